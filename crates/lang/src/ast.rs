//! The syntax tree of a query. Every node knows its [`Span`]; nothing here knows data.
//!
//! Equality of nodes ignores spans where it matters for `parse(fmt(q)) == q`: compare with [`Query::same`].

use crate::span::Span;

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

/// A field reference.
#[derive(Clone, Debug)]
pub struct Path {
    /// At least one; the first is always [`Segment::Name`].
    pub segments: Vec<Segment>,
    /// Where it stands.
    pub span: Span,
}

/// One step of a path.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A key. `quoted`: it stood in backticks, so a dot in it is part of the name.
    Name { text: String, quoted: bool },
    /// A zero-based position, from `.0` or `[0]`.
    Index(u64),
}

impl Path {
    /// The path as text: segments joined by dots, without backticks.
    pub fn text(&self) -> String {
        let parts: Vec<String> = self
            .segments
            .iter()
            .map(|s| match s {
                Segment::Name { text, .. } => text.clone(),
                Segment::Index(n) => n.to_string(),
            })
            .collect();
        parts.join(".")
    }
}

/// A regular expression literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    /// Between the slashes, `\/` already turned into `/`.
    pub pattern: String,
    /// Some of `i s m x`.
    pub flags: String,
}

impl Regex {
    /// The pattern with its flags in front, as the `regex` crate reads it.
    pub fn source(&self) -> String {
        match self.flags.as_str() {
            "" => self.pattern.clone(),
            f => format!("(?{f}){}", self.pattern),
        }
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands, enclosing parentheses included.
    pub span: Span,
}

/// Every form of expression.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `"…"`
    String(String),
    /// Digits as written.
    Number(String),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
    /// `5m`
    Duration(Duration),
    /// `/…/` as an argument or right of `like`.
    Regex(Regex),
    /// `$name`, without the `$`.
    Param(String),
    /// A field.
    Path(Path),
    /// `.x` or `[i]` behind a call or parenthesis.
    Member { base: Box<Expr>, segments: Vec<Segment> },
    /// `name(args)`; `star` for `name(*)`.
    Call { name: Name, args: Vec<Expr>, star: bool },
    /// `-x`
    Negate(Box<Expr>),
    /// `not x` or `!x`.
    Not(Box<Expr>),
    /// Arithmetic, comparison, `and`, `or`.
    Binary { op: BinaryOp, op_span: Span, left: Box<Expr>, right: Box<Expr> },
    /// `[not] like`, `[not] =~`; `regex_op` for `=~`.
    Like { left: Box<Expr>, right: Box<Expr>, negated: bool, regex_op: bool },
    /// `[not] in …`
    In { left: Box<Expr>, set: InSet, negated: bool },
    /// Could not be parsed.
    Broken,
}

/// The right side of `in`.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum InSet {
    /// `[a, b]`
    List(Vec<Expr>, Span),
    /// `$list`
    Param(Name),
    /// `( query )`
    Query(Box<Query>),
    /// `table name` or `table name.column`
    Table { name: Name, column: Option<Name> },
}

/// `count` of `unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duration {
    /// At least 1.
    pub count: u64,
    /// The unit.
    pub unit: Unit,
}

/// Units of time (language reference, "Literals").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// `ms`
    Millisecond,
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
    /// `q`
    Quarter,
    /// `y`
    Year,
}

impl Duration {
    /// Milliseconds, for units up to weeks; `None` for calendar units and beyond 64 bits.
    pub fn millis(self) -> Option<i64> {
        let unit: i64 = match self.unit {
            Unit::Millisecond => 1,
            Unit::Second => 1_000,
            Unit::Minute => 60_000,
            Unit::Hour => 3_600_000,
            Unit::Day => 86_400_000,
            Unit::Week => 604_800_000,
            Unit::Month | Unit::Quarter | Unit::Year => return None,
        };
        unit.checked_mul(i64::try_from(self.count).ok()?)
    }
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `^`
    Pow,
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
}

impl BinaryOp {
    /// The operator as written.
    pub fn text(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }
}
