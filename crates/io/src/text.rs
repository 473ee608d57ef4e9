//! Lines of text with their fields in a fixed order: access logs, flow logs, tables.
//!
//! A layout is data: how a line is divided into tokens, what each token is called, and what is taken from within one.
//! A line may have one of several [`Variant`]s, decided line by line. Fields become views into the file; no text is copied
//! but what has to be made.

mod divide;
pub(crate) mod find;
mod reader;
mod tokens;

pub(crate) use divide::{Divide, Span, table_record};
pub(crate) use reader::{First, Headers, Rows, divide, push, records};
pub use tokens::Divider;
pub(crate) use tokens::{Holder, holders};

use crate::formats::Pass;
use backsight_engine::source::{Field, Scan};
use backsight_engine::value::time;
use backsight_lang::ast::Segment;
use std::borrow::Cow;
use std::sync::Arc;

/// A layout of lines.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What a line may look like, the first that fits counts.
    pub variants: Vec<Variant>,
    /// True for lines that are no records: headers, comments.
    pub skip: fn(&[u8]) -> bool,
}

/// One way a line may look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// True if a line looks so.
    pub fits: fn(&[u8]) -> bool,
    /// What divides it.
    pub divide: Divide,
    /// Names of the tokens in order. `a|b` are names for the same token; they are found in any spelling that has the same
    /// letters and digits in the same order.
    pub tokens: Names,
    /// Fields that are found within a token or in the line.
    pub parts: &'static [Part],
    /// Tokens a record has at least.
    pub least: usize,
    /// Where the time is.
    pub time: Time,
}

/// Names of tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// Those of the format.
    Fixed(&'static [&'static str]),
    /// Those of the header of the file: see [`Header`].
    Header,
}

/// Names a file gives its columns itself.
pub(crate) type Header = Arc<[String]>;

/// A field within another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// What it is called; as for tokens.
    pub name: &'static str,
    /// The token it is in; `None` for the line.
    pub of: Option<usize>,
    /// Where it is in there.
    pub find: Find,
}

/// How a field is found within a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Find {
    /// As a stretch of the text.
    Stretch(fn(&[u8]) -> Option<&[u8]>),
    /// Made from it.
    Made(fn(&[u8]) -> Option<String>),
}

/// Where the time of a line is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    /// In a token.
    Token(usize),
    /// In the two fields of these names: a date and a time of day.
    Both(&'static str, &'static str),
    /// In the first of these fields there is.
    Named(&'static [&'static str]),
    /// Somewhere in the line.
    Line(fn(&[u8]) -> Option<&[u8]>),
}

/// What a pass wants from lines of a variant.
#[derive(Clone, Debug)]
pub(crate) struct VariantPlan {
    pub variant: Variant,
    /// One a slot of the scan; `None`: not in such lines.
    pub picks: Vec<Option<Pick>>,
    pub time: TimePick,
    /// Tokens that must be found.
    pub tokens: usize,
}

/// Where a wanted field is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    of: Option<usize>,
    find: Option<Find>,
}

/// Where the wanted time is.
#[derive(Clone, Debug)]
pub(crate) enum TimePick {
    Nowhere,
    First(Vec<Pick>),
    Both(usize, usize),
}

/// The text of a field.
pub(crate) enum Found<'l> {
    /// Lies in the line.
    There(&'l [u8]),
    /// Was made.
    Made(String),
}

impl Find {
    /// The field in the text it is within.
    pub(crate) fn get(self, text: &[u8]) -> Option<Found<'_>> {
        match self {
            Find::Stretch(find) => find(text).map(Found::There),
            Find::Made(make) => make(text).map(Found::Made),
        }
    }
}

impl Pick {
    /// The field in a line with these tokens.
    fn get<'l>(self, line: &'l [u8], spans: &[Span]) -> Option<Found<'l>> {
        let text = match self.of {
            Some(token) => spans.get(token)?.of(line),
            None => line,
        };
        self.find.map_or(Some(Found::There(text)), |find| find.get(text))
    }
}

impl Variant {
    /// The names of its tokens, where the format has them, and of their parts.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let (tokens, parts) = match self.tokens {
            Names::Fixed(names) => (names, self.parts),
            Names::Header => (&[][..], self.parts),
        };
        tokens.iter().enumerate().flat_map(move |(at, token)| {
            let within = parts.iter().filter(move |part| part.of == Some(at)).map(|part| part.name);
            [*token].into_iter().chain(within)
        })
    }

    /// Where a field of that name is: spelled so, else with the same letters and digits.
    fn pick(&self, name: &str, header: &[String]) -> Option<Pick> {
        let is_table = matches!(self.divide, Divide::Table(_));
        let exactly = |names: &str| names.split('|').any(|n| n == name);
        let loosely = |names: &str| names.split('|').any(|n| same(n, name));
        let found = |named: &dyn Fn(&str) -> bool| {
            let token = match self.tokens {
                Names::Fixed(names) => names.iter().position(|n| named(n)),
                // Columns of tables are called as they are.
                Names::Header if is_table => header.iter().rposition(|n| n == name),
                Names::Header => header.iter().rposition(|n| named(n)),
            };
            let part = || self.parts.iter().find(|p| named(p.name)).map(|p| Pick { of: p.of, find: Some(p.find) });
            token.map(|token| Pick { of: Some(token), find: None }).or_else(part)
        };
        let numbered = || {
            let number = name.strip_prefix("field_")?.parse::<usize>().ok()?.checked_sub(1)?;
            matches!(self.tokens, Names::Fixed(_)).then_some(Pick { of: Some(number), find: None })
        };
        found(&exactly).or_else(|| found(&loosely)).or_else(numbered)
    }

    /// What `scan` wants from such lines.
    pub(crate) fn plan(&self, scan: &Scan, own_time: Option<&[Segment]>, header: &[String]) -> VariantPlan {
        let picks: Vec<Option<Pick>> = scan
            .want
            .iter()
            .map(|field| match field {
                Field::Path(path) => self.pick(&name(path), header),
                _ => None,
            })
            .collect();
        let wants_time = scan.want.contains(&Field::Timestamp);
        let time = match (own_time, self.time) {
            _ if !wants_time => TimePick::Nowhere,
            (Some(path), _) => TimePick::First(self.pick(&name(path), header).into_iter().collect()),
            (None, Time::Token(token)) => TimePick::First(vec![Pick { of: Some(token), find: None }]),
            (None, Time::Both(date, time)) => {
                let token = |name| self.pick(name, header).and_then(|p| p.of);
                token(date).zip(token(time)).map_or(TimePick::Nowhere, |(d, t)| TimePick::Both(d, t))
            }
            (None, Time::Line(find)) => TimePick::First(vec![Pick { of: None, find: Some(Find::Stretch(find)) }]),
            (None, Time::Named(names)) => {
                // `Event time` of a table is `eventTime`.
                let column = |name: &str| header.iter().rposition(|n| same(n, name));
                let loosely = |name| column(name).map(|token| Pick { of: Some(token), find: None });
                let picks = names.iter().filter_map(|name| self.pick(name, header).or_else(|| loosely(name)));
                TimePick::First(picks.collect())
            }
        };
        let of_time: Vec<usize> = match &time {
            TimePick::Nowhere => Vec::new(),
            TimePick::First(picks) => picks.iter().filter_map(|p| p.of).collect(),
            TimePick::Both(date, time) => vec![*date, *time],
        };
        let wanted = picks.iter().flatten().filter_map(|p| p.of).chain(of_time).map(|token| token + 1);
        let tokens = wanted.max().unwrap_or(0).max(self.least);
        VariantPlan { variant: *self, picks, time, tokens }
    }
}

/// The name a path stands for: text has no fields within fields.
fn name(path: &[Segment]) -> Cow<'_, str> {
    if let [Segment::Name { text, .. }] = path {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Field::Path(path.to_vec()).name())
}

/// True if both names have the same letters and digits, in either case.
pub(crate) fn same(a: &str, b: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = u8> + '_ {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase())
    }
    a == b || a.is_ascii() && b.is_ascii() && !b.starts_with('@') && !a.starts_with('@') && letters(a).eq(letters(b))
}

impl VariantPlan {
    /// The time of a line.
    fn time(&self, line: &[u8], spans: &[Span], times: &mut crate::json::Times) -> Option<i64> {
        use backsight_engine::value::Kind;
        match &self.time {
            TimePick::Nowhere => None,
            TimePick::First(picks) => picks.iter().find_map(|pick| match pick.get(line, spans)? {
                Found::There(text) => times.read(Kind::String, text.strip_prefix(b"[").unwrap_or(text)),
                Found::Made(text) => time::parse(text.as_bytes()),
            }),
            TimePick::Both(date, time) => {
                let (date, time) = (spans.get(*date)?.of(line), spans.get(*time)?.of(line));
                let mut text = Vec::with_capacity(date.len() + time.len() + 1);
                text.extend_from_slice(date);
                text.push(b'T');
                text.extend_from_slice(time);
                times.read(Kind::String, &text)
            }
        }
    }
}

impl Layout {
    /// What a pass wants from each variant.
    pub(crate) fn plan(&self, pass: &Pass<'_>, header: &[String]) -> Vec<VariantPlan> {
        let own = pass.options.timestamp_field.as_deref();
        self.variants.iter().map(|v| v.plan(pass.scan, own, header)).collect()
    }

    /// A layout with nothing to skip but what is no line.
    pub(crate) fn new(variants: &[Variant]) -> Layout {
        Layout { variants: variants.to_vec(), skip: |_| false }
    }
}
