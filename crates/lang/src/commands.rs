//! The table of commands. The parser dispatches through it; completion, documentation and suggestions read it.

use crate::ast::StageKind;
use crate::diag::{Diagnostic, nearest};
use crate::parse::input::{Found, Input};
use crate::parse::{combine, extract, follow, select};
use crate::span::Span;

/// Everything known about one command.
#[derive(Debug)]
pub struct Command {
    /// The canonical spelling.
    pub name: &'static str,
    /// Other accepted spellings.
    pub aliases: &'static [&'static str],
    /// Where it comes from.
    pub status: Status,
    /// Delivery tier of the language reference: 1 is the daily core, 3 comes last. 0: never offered.
    pub tier: u8,
    /// What it does, in one line.
    pub about: &'static str,
    /// Its form: words as written, `[optional]`, `a|b`, `…` for repetition.
    pub syntax: &'static str,
    /// A query that uses it and parses.
    pub example: &'static str,
    /// Words with a meaning inside this command; elsewhere they are names.
    pub keywords: &'static [&'static str],
    /// It may only stand before all other commands.
    pub(crate) leads: bool,
    /// How it is read.
    pub(crate) form: Form,
}

/// Where a command comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Part of CloudWatch Logs Insights.
    LogsInsights,
    /// Added by Backsight.
    Extension,
}

/// How a command is read.
#[derive(Debug)]
pub(crate) enum Form {
    /// A stage of the pipeline: the parser of what follows the command word.
    Stage(StageParser),
    /// A declaration in front of the pipeline, read by the query parser.
    Prelude,
}

/// Reads what follows a command word.
pub(crate) type StageParser = for<'a> fn(Input<'a>) -> Found<'a, StageKind>;

/// A Logs Insights command of the first tier without aliases or keywords; rows say what differs.
const fn command(
    name: &'static str,
    about: &'static str,
    syntax: &'static str,
    example: &'static str,
    parse: StageParser,
) -> Command {
    let (status, form) = (Status::LogsInsights, Form::Stage(parse));
    Command { name, aliases: &[], status, tier: 1, about, syntax, example, keywords: &[], leads: false, form }
}

impl Command {
    const fn tier(self, tier: u8) -> Command {
        Command { tier, ..self }
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Command {
        Command { aliases, ..self }
    }

    const fn keywords(self, keywords: &'static [&'static str]) -> Command {
        Command { keywords, ..self }
    }

    const fn extension(self) -> Command {
        Command { status: Status::Extension, ..self }
    }

    const fn leading(self) -> Command {
        Command { leads: true, ..self }
    }

    const fn prelude(self) -> Command {
        Command { form: Form::Prelude, leads: true, ..self }
    }

    /// All spellings, the canonical one first.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// Every command, most used first.
pub static COMMANDS: &[Command] = &[
    command(
        "fields",
        "Selects and creates columns.",
        "fields e [as name], …",
        "fields @timestamp, concat(httpMethod, \" \", resourcePath) as req",
        select::fields,
    ),
    command(
        "filter",
        "Keeps the rows for which a condition is true.",
        "filter condition",
        "filter status >= 400 and ispresent(user)",
        select::filter,
    )
    .alias(&["where"]),
    command(
        "stats",
        "Aggregates rows, in groups if `by` is given.",
        "stats aggregate [as name], … [by e [as name], …] [offset period]",
        "stats count(*) as n, pct(latency, 95) as p95 by ip, bin(5m)",
        select::stats,
    )
    .keywords(&["offset"]),
    command(
        "sort",
        "Orders the rows; ascending unless `desc` is written.",
        "sort e [asc|desc], …",
        "sort n desc, ip",
        select::sort,
    )
    .keywords(&["asc", "desc", "by"]),
    command(
        "limit",
        "Keeps the first rows; `any` takes the first found.",
        "limit [any] number",
        "limit 20",
        select::limit,
    )
    .keywords(&["any"])
    .alias(&["head"]),
    command(
        "parse",
        "Cuts new fields out of text.",
        "parse [e] \"…*…\"|/regex/ [multi] [as name, …] or parse [e] logfmt|csv as name, …",
        "parse @message /user=(?<user>\\w+)/",
        extract::parse,
    )
    .keywords(&["multi", "logfmt", "csv"]),
    command(
        "display",
        "Shows exactly these columns.",
        "display e [as name], …",
        "fields @message | parse @message \"[*] *\" as level, msg | display msg",
        select::display,
    ),
    command(
        "dedup",
        "Keeps the first row of each combination of values.",
        "dedup field, …",
        "dedup ip, user",
        select::dedup,
    ),
    command(
        "unnest",
        "Makes one row of each element of a list.",
        "unnest e into name",
        "unnest resources into r | stats count(*) by r.type",
        extract::unnest,
    )
    .keywords(&["into"]),
    command(
        "source",
        "Names what is read, and the time range.",
        "source \"name\"|logGroups(namePrefix: [ … ])|dataSource([ … ]) … [start=time] [end=time]",
        "source 'logs/2024/*.json.gz' start=2024-05-01 end=2024-05-02 | filter status = 403",
        combine::source,
    )
    .keywords(&["start", "end", "logGroups", "dataSource"])
    .leading(),
    command(
        "pattern",
        "Groups texts that differ only in numbers, ids, addresses and times.",
        "pattern e",
        "pattern @message | sort @sampleCount desc",
        extract::pattern,
    )
    .tier(2),
    command(
        "expand",
        "Replaces a list by its elements, one row each.",
        "expand field",
        "expand items",
        extract::expand,
    )
    .tier(2),
    command(
        "lookup",
        "Adds columns of a table whose key equals a field.",
        "lookup table column [as field], … output|outputnew column [as name], …",
        "lookup users userId as uid output name, department",
        combine::lookup,
    )
    .keywords(&["output", "outputnew"])
    .tier(2),
    command(
        "cidrlookup",
        "Adds columns of a table whose network holds an address.",
        "cidrlookup table e [as column] output|outputnew column [as name], …",
        "cidrlookup nets srcAddr output region, owner",
        combine::cidr_lookup,
    )
    .keywords(&["output", "outputnew"])
    .tier(2),
    command(
        "join",
        "Pairs rows with those of another query.",
        "join [type=inner|left] [left=a] [right=b] where a.x = b.y ( query )",
        "join type=left left=api right=fn where api.requestId=fn.requestId (source 'lambda.json')",
        combine::join,
    )
    .keywords(&["type", "left", "right", "inner", "where"])
    .tier(2),
    command(
        "json",
        "Takes a value out of JSON text.",
        "json field=field \"path\" as name",
        "json field=detail \"user.id\" as userId",
        extract::json,
    )
    .keywords(&["field"])
    .tier(2),
    command(
        "filterIndex",
        "As `filter`, for a field that an index or statistics cover.",
        "filterIndex field = value|in [ value, … ]",
        "filterIndex requestId in [\"r-1\", \"r-2\"]",
        follow::filter_index,
    )
    .tier(2),
    command(
        "addtotals",
        "Adds a total of each row, or of each column.",
        "addtotals [fieldname=name] [row=true|false] [col=true|false] [field, …]",
        "stats sum(a) as a, sum(b) as b by k | addtotals fieldname=All col=true a, b",
        follow::add_totals,
    )
    .keywords(&["fieldname", "row", "col"])
    .tier(2),
    command(
        "accum",
        "Adds up a field from row to row, with `by` in rows of one key; null adds nothing. Rows are taken in ascending \
         time unless sorted before; a row with a null key has no sum.",
        "accum field [as name] [by key, …]",
        "fields bytes | sort @timestamp | accum bytes as total",
        follow::accum,
    )
    .keywords(&["by"])
    .tier(2),
    command(
        "autoregress",
        "Adds values of earlier rows, with `by` of earlier rows of the same key: `autoregress @timestamp as before by \
         user | fields @timestamp - before as gap`. Null where there is no such row, or the key is null.",
        "autoregress field [as name] [p=number[-number]] [by key, …]",
        "fields bytes | sort @timestamp | autoregress bytes p=1-2",
        follow::autoregress,
    )
    .keywords(&["p", "by"])
    .tier(2),
    command(
        "baseline",
        "Compares a field with its own past: over the earlier rows of the same key, adds the median (`f_median`, as \
         `median()`), the median distance from it (`f_mad`), and how many numbers there were (`f_past`). Rows are taken \
         in ascending time unless sorted before; the row itself is not part of its past.",
        "baseline field [as name] [by key, …]",
        "stats count(*) as n by user, bin(1h) | baseline n by user | filter n_past >= 24 and n > n_median + 6 * n_mad",
        follow::baseline,
    )
    .keywords(&["by"])
    .extension()
    .tier(2),
    command(
        "filldown",
        "Replaces nulls by the last value above.",
        "filldown [field …]",
        "filldown host cpu*",
        follow::fill_down,
    )
    .tier(2),
    command(
        "fillmissing",
        "Adds rows for empty time bins.",
        "fillmissing [with value for field, …]",
        "stats count(*) as n by bin(1m) | fillmissing with 0 for n",
        follow::fill_missing,
    )
    .keywords(&["with", "for"])
    .tier(2),
    command(
        "sessionize",
        "Numbers sessions: events of one identity without a long gap.",
        "sessionize field, … [maxspan period] [as name]",
        "sessionize userId, deviceId maxspan 1h as session | stats count(*) by session",
        follow::sessionize,
    )
    .keywords(&["maxspan"])
    .tier(2),
    command(
        "countFrequent",
        "Counts combinations of values, most frequent first.",
        "countFrequent field, …",
        "countFrequent method, status",
        follow::count_frequent,
    )
    .tier(2)
    .alias(&["count_frequent"]),
    command(
        "estimate",
        "Says how much the query would read, without running it.",
        "estimate",
        "filter status = 404 | estimate",
        extract::estimate,
    )
    .tier(2),
    command(
        "diff",
        "Compares patterns with those of an earlier time.",
        "diff [previousDay|previousWeek|previousMonth]",
        "diff previousDay",
        extract::diff,
    )
    .keywords(&["previousDay", "previousWeek", "previousMonth"])
    .tier(3),
    command(
        "logcompare",
        "As `diff`, with a baseline shifted by a period.",
        "logcompare timeshift period",
        "logcompare timeshift 7d",
        follow::log_compare,
    )
    .keywords(&["timeshift"])
    .tier(3),
    command(
        "outlier",
        "Clamps, drops or marks values far out of the usual range.",
        "outlier [action=transform|remove] [param=number] [uselower=true] [mark=true] field …",
        "outlier action=remove param=3.0 latency",
        follow::outlier,
    )
    .keywords(&["action", "param", "uselower", "mark"])
    .tier(3),
    command(
        "appendcols",
        "Puts the columns of another query beside these, row by row.",
        "appendcols [override=true] [max=number] ( query )",
        "stats count(*) as n by svc | appendcols ( source 'b.json' | stats avg(latency) as l by svc )",
        combine::append_columns,
    )
    .keywords(&["override", "max"])
    .tier(3),
    command(
        "relevantfields",
        "Ranks fields by how much their values change where a condition holds.",
        "relevantfields [field, …] where condition",
        "relevantfields path, userAgent where status = 403",
        follow::relevant_fields,
    )
    .keywords(&["where"])
    .tier(3),
    command(
        "unmask",
        "Shows masked data; nothing is masked offline.",
        "unmask e [as name]",
        "unmask @message",
        extract::unmask,
    )
    .tier(3),
    command(
        "anomaly",
        "Machine learning of Logs Insights; not available offline.",
        "anomaly",
        "pattern @message | anomaly",
        extract::anomaly,
    )
    .tier(0),
    command(
        "burst",
        "Finds keys with many events within a sliding window.",
        "burst by key, … within period aggregate >= number",
        "filter status in [401, 403] | burst by ip within 5m count >= 100",
        follow::burst,
    )
    .keywords(&["within"])
    .extension(),
    command(
        "sequence",
        "Finds events of one key that follow each other.",
        "sequence by key, … within period [ name: condition [at least n] ; … ]",
        "sequence by ip within 15m [ fail: status = 401 at least 10 ; ok: status = 200 ]",
        follow::sequence,
    )
    .keywords(&["within", "at", "least"])
    .extension()
    .tier(2),
    command(
        "firstseen",
        "Lists combinations of values that occur for the first time, with `first_time`, `last_time` and `events`: those \
         first seen at or after a time, or behind the `history` at the start of the source's events. With `by`, a value \
         is new to its key, and `known` says how many values of the key had been seen before.",
        "firstseen field, … [by key, …] [history period|after time]",
        "firstseen userAgent by user history 7d | filter known > 0",
        follow::first_seen,
    )
    .keywords(&["by", "history", "after"])
    .extension()
    .tier(2),
    command(
        "union",
        "Adds the rows of another query.",
        "union ( query )",
        "fields ip | union ( source 'apigw' | fields ip )",
        combine::union,
    )
    .extension()
    .tier(2),
    command(
        "let",
        "Declares a parameter. `$name` stands where a literal may: also `like $name` (a search for the text, or for the \
         regular expression if that is its type), `within $name`, `bin($name)`, `in $name`, `at least $name`. Inside of \
         `/…/` it stands for its expression, of a text for exactly that text, of a list for one of its texts.",
        "let name = literal|period|/regex/|[ literal, … ]",
        "let threshold = 20 filter n > $threshold",
        no_stage,
    )
    .extension()
    .prelude(),
    command(
        "table",
        "Names a file whose values `in table`, `lookup` and `cidrlookup` use.",
        "table name from \"file\"",
        "table bad from \"iocs.csv\" filter ip in table bad",
        no_stage,
    )
    .keywords(&["from"])
    .extension()
    .prelude(),
];

/// The parser of what is never a stage; [`Form::Prelude`] takes its place.
fn no_stage(input: Input<'_>) -> Found<'_, StageKind> {
    Ok((input, StageKind::Broken))
}

/// Commands of other languages, and what does their work here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("tail", "use `sort @timestamp desc | limit 20`"),
    ("top", "use `stats count(*) as n by field | sort n desc | limit 10`"),
    ("take", "use `limit`"),
    ("select", "use `fields`"),
    ("project", "use `fields`"),
    ("columns", "use `fields`"),
    ("extend", "use `fields … as name`"),
    ("eval", "use `fields … as name`"),
    ("rename", "use `fields old as new`"),
    ("group", "use `stats`"),
    ("summarize", "use `stats`"),
    ("aggregate", "use `stats`"),
    ("count", "use `stats count(*)`"),
    ("sum", "use `stats sum(field)`"),
    ("avg", "use `stats avg(field)`"),
    ("min", "use `stats min(field)`"),
    ("max", "use `stats max(field)`"),
    ("search", "use `filter @message like \"text\"`"),
    ("grep", "use `filter @message like /regex/`"),
    ("having", "use `filter` behind `stats`"),
    ("distinct", "use `dedup`"),
    ("uniq", "use `dedup`"),
    ("rex", "use `parse field /regex/`"),
    ("extract", "use `parse field /regex/`"),
    ("from", "use `source`"),
    ("mvexpand", "use `unnest list into name`"),
];

/// A stage command that other languages have and that is read as one of ours.
static ORDER: Command =
    command("order", "`order by` of SQL: `sort`.", "order by e [asc|desc]", "order by a", select::order)
        .keywords(&["by", "asc", "desc"]);

/// The command spelled `word`, in any case.
pub fn find(word: &str) -> Option<&'static Command> {
    let spelled = |command: &Command| command.spellings().any(|s| s.eq_ignore_ascii_case(word));
    COMMANDS.iter().find(|command| spelled(command))
}

/// As [`find`], for the parser, which also reads `order by`.
pub(crate) fn find_or_foreign(word: &str) -> Option<&'static Command> {
    find(word).or_else(|| word.eq_ignore_ascii_case(ORDER.name).then_some(&ORDER))
}

/// E001 for `word` at `span`.
pub(crate) fn unknown(word: &str, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::error("E001", span, format!("unknown command `{word}`"));
    if let Some((_, help)) = ELSEWHERE.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return diagnostic.help(*help);
    }
    match nearest(word, COMMANDS.iter().flat_map(Command::spellings)) {
        Some(best) => diagnostic.help(format!("did you mean `{best}`?")),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Stage;
    use crate::{format, parse};

    #[test]
    fn every_example_uses_its_command_and_parses() {
        for command in COMMANDS {
            let parsed = parse(command.example);
            assert_eq!(parsed.diagnostics, [], "{}", command.name);
            let word = |stage: &Stage| stage.word.text(command.example).eq_ignore_ascii_case(command.name);
            let declared = command.name == "let" && !parsed.query.lets.is_empty()
                || command.name == "table" && !parsed.query.tables.is_empty();
            assert!(declared || parsed.query.stages.iter().any(word), "{}", command.name);
            let text = format(&parsed.query, command.example);
            assert!(parse(&text).query.same(&parsed.query), "{text}");
        }
    }

    #[test]
    fn spellings_are_unique_and_keywords_are_in_the_syntax() {
        let mut spellings: Vec<String> =
            COMMANDS.iter().flat_map(Command::spellings).map(str::to_ascii_lowercase).collect();
        let count = spellings.len();
        spellings.sort();
        spellings.dedup();
        assert_eq!(spellings.len(), count);
        for command in COMMANDS {
            for keyword in command.keywords {
                assert!(command.syntax.contains(keyword) || *keyword == "by", "{}: {keyword}", command.name);
            }
        }
    }

    #[test]
    fn suggestions() {
        let cases = [
            ("filtr", Some("did you mean `filter`?")),
            ("FIELD", Some("did you mean `fields`?")),
            ("countfrequnt", Some("did you mean `countFrequent`?")),
            ("tail", Some("use `sort @timestamp desc | limit 20`")),
            ("Select", Some("use `fields`")),
            ("group", Some("use `stats`")),
            ("summarize", Some("use `stats`")),
            ("xyzzy", None),
        ];
        for (word, help) in cases {
            let found = unknown(word, Span::default());
            assert_eq!(found.message, format!("unknown command `{word}`"));
            assert_eq!(found.help.as_deref(), help, "{word}");
        }
    }
}
