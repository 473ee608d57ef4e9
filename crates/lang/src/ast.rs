//! The syntax tree of a query. Every node knows its [`Span`]; nothing here knows data.
//!
//! Equality of nodes ignores spans where it matters for `parse(fmt(q)) == q`: compare with [`Query::same`].

mod expr;

use crate::span::Span;
pub use expr::{BinaryOp, Duration, Expr, ExprKind, InSet, Path, Regex, Segment, Unit};

/// A whole query: preludes, then stages in order.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// `let` declarations in order.
    pub lets: Vec<Let>,
    /// `table` declarations in order.
    pub tables: Vec<Table>,
    /// The pipeline.
    pub stages: Vec<Stage>,
    /// `#` comments in order of position, outermost query only.
    pub comments: Vec<Comment>,
    /// All of the text of this (sub-)query.
    pub span: Span,
}

/// A comment, with its `#`, without the newline.
#[derive(Clone, Debug)]
pub struct Comment {
    /// `# …`
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// `let name = value`
#[derive(Clone, Debug)]
pub struct Let {
    /// The parameter's name, without `$`.
    pub name: Name,
    /// A literal, negated number, duration, regular expression or list.
    pub value: LetValue,
    /// The whole declaration.
    pub span: Span,
}

/// The right side of a `let`.
#[derive(Clone, Debug)]
pub enum LetValue {
    /// A literal, duration, regular expression or negated number literal.
    One(Expr),
    /// A list of such.
    List(Vec<Expr>),
}

/// `table name from "file"`
#[derive(Clone, Debug)]
pub struct Table {
    /// The table's name.
    pub name: Name,
    /// The path as written.
    pub file: String,
    /// The whole declaration.
    pub span: Span,
}

/// A single new name (alias, parameter, table): the text without backticks.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name itself.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// One command of the pipeline.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// The command word.
    pub word: Span,
    /// The whole command, without the `|`.
    pub span: Span,
}

/// Every command of the language, one variant each.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum StageKind {
    /// `fields e [as n], …`
    Fields(Vec<Item>),
    /// `display e [as n], …`
    Display(Vec<Item>),
    /// `filter e`, `where e`
    Filter(Expr),
    /// `stats … by … offset …`
    Stats(Stats),
    /// `sort k [asc|desc], …`
    Sort(Vec<SortKey>),
    /// `limit [any] n`; `count` is `None` where the number is missing.
    Limit { any: bool, count: Option<Expr> },
    /// `dedup f, …`
    Dedup(Vec<Expr>),
    /// `parse …`
    Parse(Parse),
    /// `json field=f "a.b" as n`
    Json { field: Path, path: Text, alias: Name },
    /// `pattern e`
    Pattern(Expr),
    /// `diff [previousDay|…]`; the word as written.
    Diff(Option<Name>),
    /// `anomaly`
    Anomaly,
    /// `unnest e into n`
    Unnest { list: Expr, alias: Name },
    /// `expand f`
    Expand(Expr),
    /// `lookup t c [as f], … output|outputnew c [as n], …`
    Lookup(Lookup),
    /// `cidrlookup t e [as column] output …`: one key whose field is an expression.
    CidrLookup(CidrLookup),
    /// `join …`
    Join(Join),
    /// `source …`
    Source(SourceStage),
    /// `filterIndex f = v` / `f in […]`, as the equivalent expression.
    FilterIndex(Expr),
    /// `unmask e [as n]`
    Unmask(Item),
    /// `addtotals …`
    AddTotals { options: Vec<Setting>, fields: Vec<Path> },
    /// `accum f [as n] [by k, …]`
    Accum { field: Path, alias: Option<Name>, by: Vec<Path> },
    /// `autoregress f [as n] [p=a[-b]] [by k, …]`
    Autoregress { field: Path, alias: Option<Name>, lags: Option<(u64, u64)>, lag_span: Span, by: Vec<Path> },
    /// `baseline f [as n] [by k, …]`
    Baseline { field: Path, alias: Option<Name>, by: Vec<Path> },
    /// `filldown [f…]`, names may hold `*`.
    FillDown(Vec<GlobName>),
    /// `fillmissing [with v for f, …]`
    FillMissing(Vec<(Expr, Path)>),
    /// `sessionize f,… [maxspan d] [as n]`
    Sessionize { fields: Vec<Path>, maxspan: Option<Expr>, alias: Option<Name> },
    /// `countFrequent f, …`
    CountFrequent(Vec<Path>),
    /// `outlier …`
    Outlier { options: Vec<Setting>, fields: Vec<Path> },
    /// `appendcols [override=] [max=] ( q )`
    AppendCols { options: Vec<Setting>, query: Box<Query> },
    /// `logcompare timeshift d`
    LogCompare(Expr),
    /// `relevantfields [f, …] where e`
    RelevantFields { fields: Vec<Path>, condition: Expr },
    /// `estimate`
    Estimate,
    /// `burst by k, … within d agg op n`
    Burst { keys: Vec<Path>, within: Expr, value: Expr, op: BinaryOp, bound: Expr },
    /// `sequence by k, … within d [ step ; … ]`
    Sequence { keys: Vec<Path>, within: Expr, steps: Vec<Step> },
    /// `firstseen f, … [by k, …] [history d|after time]`
    FirstSeen { fields: Vec<Path>, by: Vec<Path>, history: Option<Expr>, after: Option<Text> },
    /// `union ( q )`
    Union(Box<Query>),
    /// A command that could not be parsed; its diagnostics say why. The rest of the pipeline is still checked.
    Broken,
}

/// `e [as n]`
#[derive(Clone, Debug)]
pub struct Item {
    /// What is computed.
    pub expr: Expr,
    /// The name given to it.
    pub alias: Option<Name>,
    /// The name it has without `as`: the source text with white space and comments collapsed and backticks left out.
    pub text: String,
    /// The whole item.
    pub span: Span,
}

impl Item {
    /// The column's name: the alias, or the text.
    pub fn name(&self) -> &str {
        self.alias.as_ref().map_or(&self.text, |a| &a.text)
    }
}

/// `stats items by keys [offset d]`
#[derive(Clone, Debug)]
pub struct Stats {
    /// Expressions over aggregates.
    pub items: Vec<Item>,
    /// The group keys.
    pub by: Vec<Item>,
    /// `offset d`
    pub offset: Option<Expr>,
}

/// One key of `sort`.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// The expression, named as in [`Item`].
    pub item: Item,
    /// `desc` was written.
    pub descending: bool,
    /// A direction was written.
    pub explicit: bool,
}

/// `parse [e] pattern …`
#[derive(Clone, Debug)]
pub struct Parse {
    /// The text searched; `None` means `@message`.
    pub field: Option<Expr>,
    /// How.
    pub how: ParseHow,
    /// `as a, b`
    pub names: Vec<Name>,
}

/// The pattern of a `parse`.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum ParseHow {
    /// `"…*…"`
    Glob(Text),
    /// `/…/ [multi]`
    Regex { regex: Regex, multi: bool, span: Span },
    /// `logfmt`
    Logfmt,
    /// `csv`
    Csv,
}

/// A string literal with its place, quotes included in the span.
#[derive(Clone, Debug)]
pub struct Text {
    /// The text after escapes.
    pub text: String,
    /// The raw text between the quotes (globs need to see `\*`).
    pub raw: String,
    /// Where it stands.
    pub span: Span,
}

/// The columns of `lookup` and what they are matched with.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The table.
    pub table: Name,
    /// Table column, and the event field if `as` names another.
    pub keys: Vec<(Name, Option<Path>)>,
    /// Output columns.
    pub output: Output,
}

/// The parts of a `cidrlookup`.
#[derive(Clone, Debug)]
pub struct CidrLookup {
    /// The table.
    pub table: Name,
    /// The address.
    pub ip: Expr,
    /// `as column`: the table's column of networks.
    pub column: Option<Name>,
    /// Output columns.
    pub output: Output,
}

/// `output|outputnew c [as n], …`
#[derive(Clone, Debug)]
pub struct Output {
    /// `outputnew`: only nulls are filled.
    pub only_new: bool,
    /// Table column, and the new name if `as` gives one.
    pub columns: Vec<(Name, Option<Name>)>,
}

/// The parts of a `join`.
#[derive(Clone, Debug)]
pub struct Join {
    /// `type=left`
    pub left_outer: bool,
    /// `left=alias`
    pub left: Option<Name>,
    /// `right=alias`
    pub right: Option<Name>,
    /// `where a = b`
    pub on: (Path, Path),
    /// The right side.
    pub query: Box<Query>,
}

/// The parts of a `source`.
#[derive(Clone, Debug)]
pub struct SourceStage {
    /// What is read.
    pub specs: Vec<SourceSpec>,
    /// `start=`
    pub start: Option<Text>,
    /// `end=`
    pub end: Option<Text>,
}

/// One source of a `source` command.
#[derive(Clone, Debug)]
pub enum SourceSpec {
    /// A catalog name, path or glob.
    Name(Text),
    /// `logGroups(namePrefix: ['a'], …)`
    LogGroups(Vec<(Name, Vec<Text>)>),
    /// `dataSource(['…'])`
    DataSource(Vec<Text>),
}

/// `key=value` of `addtotals`, `outlier`, `appendcols`.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key, lower case.
    pub key: Name,
    /// The value as written, quotes removed.
    pub value: Name,
}

/// A name in which `*` stands for any characters.
#[derive(Clone, Debug)]
pub struct GlobName {
    /// As written, without backticks.
    pub text: String,
    /// A plain path, if it holds no `*`.
    pub path: Option<Path>,
    /// Where it stands.
    pub span: Span,
}

/// A step of `sequence`.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name.
    pub name: Name,
    /// What an event must satisfy.
    pub condition: Expr,
    /// `at least n`, a number or a parameter; else 1.
    pub at_least: Option<Expr>,
}
