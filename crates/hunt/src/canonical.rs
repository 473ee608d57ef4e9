//! A source seen through a profile: asked for a canonical field, it reads the places the profile names and gives the
//! first that a record has. Everything else passes as it is.

use crate::profile::{Place, Profile, Spot, Take};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Flow, Morsel, Morsels, Scan, Source};
use backsight_engine::value::column::{Batch, Column, ColumnBuilder, Kinds, TextBuilder};
use backsight_engine::value::json::Route;
use backsight_engine::value::{Kind, Value, ValueRef, json};
use backsight_lang::ast::Segment;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// A source with the canonical fields of a profile.
pub struct Canonical {
    inner: Arc<dyn Source + Send>,
    profile: Arc<Profile>,
    opened: Opened,
}

impl Canonical {
    /// The source through the profile.
    pub fn new(inner: Arc<dyn Source + Send>, profile: Arc<Profile>) -> Canonical {
        Canonical { inner, profile, opened: Opened::default() }
    }
}

/// What is asked of the inner source, and how its columns are turned. Lives as long as the source, as a pass may.
struct Inner {
    scan: Scan<'static>,
    slots: Vec<Slot>,
}

/// The passes begun so far: a list that grows behind a shared reference.
#[derive(Default)]
struct Opened(OnceLock<Box<(Inner, Opened)>>);

impl Opened {
    fn push(&self, inner: Inner) -> &Inner {
        let mut last = self;
        let mut inner = Some(inner);
        loop {
            let node = last.0.get_or_init(|| Box::new((inner.take().expect("only one is made"), Opened::default())));
            if inner.is_none() {
                return &node.0;
            }
            last = &node.1;
        }
    }
}

/// How a column is made of the inner source's.
enum Slot {
    /// This one as it is.
    Same(usize),
    /// The first of these that is there.
    Places(Vec<(Vec<From>, Take)>),
}

/// A column of the inner source, or what its JSON texts hold.
struct From {
    column: usize,
    inside: Option<Inside>,
}

/// What of a JSON text.
enum Inside {
    All,
    At(Route),
}

impl Source for Canonical {
    fn open<'a>(&'a self, scan: &'a Scan<'a>, counters: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error> {
        let mut want: Vec<Field> = Vec::new();
        let mut ask = |field: &Field| match want.iter().position(|f| f == field) {
            Some(at) => at,
            None => {
                want.push(field.clone());
                want.len() - 1
            }
        };
        let mut spelled = true;
        let slots = scan.want.iter().map(|field| match self.profile.places(field) {
            None => Slot::Same(ask(field)),
            Some(places) => {
                // A needle can only be looked for in the record if the value stands there as it is, or has escapes.
                spelled &= places.iter().all(Place::stands_in_record);
                let mut from = |spot: &Spot| From {
                    column: ask(&spot.field),
                    inside: spot.inside.as_ref().map(|path| match path.as_slice() {
                        [] => Inside::All,
                        path => Inside::At(Route::new(path)),
                    }),
                };
                Slot::Places(places.iter().map(|p| (p.from.iter().map(&mut from).collect(), p.take.clone())).collect())
            }
        });
        let slots: Vec<Slot> = slots.collect();
        let needles = if spelled { scan.needles.clone() } else { Vec::new() };
        let inner =
            self.opened.push(Inner { scan: Scan { want, needles, range: scan.range, ..Scan::default() }, slots });
        let morsels = self.inner.open(&inner.scan, counters)?;
        Ok(Box::new(Turned { morsels, slots: &inner.slots, absent: &self.profile.absent }))
    }

    fn size(&self) -> Option<u64> {
        self.inner.size()
    }
}

impl Place {
    /// Every value is a piece of the record's own text.
    fn stands_in_record(&self) -> bool {
        !matches!(self.take, Take::Joined | Take::Milliseconds | Take::Attempt | Take::Success)
    }
}

struct Turned<'a> {
    morsels: Box<dyn Morsels + 'a>,
    slots: &'a [Slot],
    absent: &'a [String],
}

impl Morsels for Turned<'_> {
    fn next(&self) -> Option<Box<dyn Morsel + '_>> {
        let morsel = self.morsels.next()?;
        Some(Box::new(TurnedMorsel { morsel, slots: self.slots, absent: self.absent }))
    }
}

struct TurnedMorsel<'a> {
    morsel: Box<dyn Morsel + 'a>,
    slots: &'a [Slot],
    absent: &'a [String],
}

impl Morsel for TurnedMorsel<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let TurnedMorsel { morsel, slots, absent } = *self;
        morsel.read(&mut |batch| {
            let columns = slots.iter().map(|slot| slot.column(&batch, absent)).collect();
            out(Batch { columns, ..batch })
        })
    }
}

impl Slot {
    fn column(&self, batch: &Batch, absent: &[String]) -> Column {
        match self {
            Slot::Same(at) => batch.columns[*at].clone(),
            Slot::Places(places) => {
                let outcome = places.iter().any(|(_, take)| *take == Take::Success);
                let mut found: Option<Column> = None;
                for (from, take) in places {
                    let from: Vec<Cow<'_, Column>> = from.iter().map(|from| from.column(batch)).collect();
                    // An outcome is never absent; anything else without its first field is.
                    if *take != Take::Success && is_null(&from[0]) {
                        continue;
                    }
                    let from: Vec<&Column> = from.iter().map(|column| &**column).collect();
                    let column = taken(take, &from, absent);
                    found = Some(match found {
                        None => column,
                        Some(before) => merged(&before, &column),
                    });
                    if !outcome && found.as_ref().is_some_and(|c| c.null_count() == 0) {
                        break;
                    }
                }
                found.unwrap_or_else(|| Column::null(batch.rows))
            }
        }
    }
}

impl From {
    fn column<'b>(&self, batch: &'b Batch) -> Cow<'b, Column> {
        let column = &batch.columns[self.column];
        self.inside.as_ref().map_or(Cow::Borrowed(column), |inside| Cow::Owned(inside.of(column)))
    }
}

impl Inside {
    /// What the JSON texts of a column hold. What is no text but a map has been looked into where it stands.
    fn of(&self, column: &Column) -> Column {
        let kind = match column {
            Column::Text(_, Kinds::All(kind)) => Some(*kind),
            Column::Dict(_, dictionary) => dictionary.kind(),
            _ => None,
        };
        if is_null(column) || kind.is_some_and(|kind| kind != Kind::String) {
            return Column::null(column.len());
        }
        let mut out = TextBuilder::default();
        for cell in column.iter() {
            let found = match (cell, self) {
                (ValueRef::Text(Kind::String, text), Inside::At(route)) => route.get(text),
                (ValueRef::Text(Kind::String, text), Inside::All) if text.starts_with(b"{") => json::get(text, &[]),
                _ => None,
            };
            match found {
                Some((kind, text)) => out.push_text(kind, &text),
                None => out.push(ValueRef::Null),
            }
        }
        out.finish()
    }
}

fn is_null(column: &Column) -> bool {
    matches!(column, Column::Const(Value::Null, _))
}

/// The cells of the first, those of the second where they are null.
fn merged(first: &Column, second: &Column) -> Column {
    let cells = first.iter().zip(second.iter()).map(|(a, b)| if a.is_null() { b } else { a });
    cells.collect::<ColumnBuilder>().finish()
}

fn taken(take: &Take, from: &[&Column], absent: &[String]) -> Column {
    match take {
        Take::Same => present(from[0], absent),
        Take::Method => pieces(from[0], absent, method),
        Take::Path => pieces(from[0], absent, |t| target(t).map(|t| before_query(after_host(t)))),
        Take::Query => pieces(from[0], absent, |t| target(t).and_then(query)),
        Take::Uri => pieces(from[0], absent, |t| target(t).map(after_host)),
        Take::Host => pieces(from[0], absent, |t| target(t).and_then(host)),
        Take::Header(name) => headers(from[0], name),
        Take::Joined => joined(from, absent),
        Take::Milliseconds => milliseconds(from),
        Take::Attempt => texts(from[0].len(), |i| (!from[0].get(i).is_null()).then_some(Cow::Borrowed(b"attempt"))),
        Take::Success => texts(from[0].len(), |i| {
            let failed = from.iter().any(|from| from.get(i).text().is_some_and(|t| &*t == b"Failure"));
            Some(Cow::Borrowed(if failed { b"attempt".as_slice() } else { b"success" }))
        }),
    }
}

/// The column with absent markers as nulls; itself if there are none.
fn present(column: &Column, absent: &[String]) -> Column {
    if absent.is_empty() {
        return column.clone();
    }
    let is_absent = |t: &[u8]| absent.iter().any(|a| a.as_bytes() == t);
    match column {
        Column::Const(v, rows) => match v {
            Value::Text(_, t) if is_absent(t) => Column::null(*rows),
            _ => column.clone(),
        },
        Column::Text(array, kinds) => {
            use arrow::array::{Array, AsArray, BooleanArray};
            use arrow::buffer::BooleanBuffer;
            use arrow::compute::nullif;
            // Markers are short, so they lie in the view: a length in the lowest bytes, then the text.
            let views: Vec<u128> = absent.iter().map(|a| arrow::array::make_view(a.as_bytes(), 0, 0)).collect();
            if absent.iter().any(|a| a.len() > 12) {
                return column.clone();
            }
            let marked = match views.as_slice() {
                [view] => BooleanBuffer::collect_bool(array.len(), |i| array.views()[i] == *view),
                views => BooleanBuffer::collect_bool(array.len(), |i| views.contains(&array.views()[i])),
            };
            if marked.count_set_bits() == 0 {
                return column.clone();
            }
            match nullif(array, &BooleanArray::new(marked, None)) {
                Ok(left) if left.null_count() == left.len() => Column::null(left.len()),
                Ok(left) => Column::Text(left.as_binary_view().clone(), kinds.clone()),
                Err(_) => column.clone(),
            }
        }
        other => other.clone(),
    }
}

/// A column of strings.
fn texts<'a>(rows: usize, mut text: impl FnMut(usize) -> Option<Cow<'a, [u8]>>) -> Column {
    let mut out = TextBuilder::default();
    for i in 0..rows {
        match text(i) {
            Some(t) => out.push_text(Kind::String, &t),
            None => out.push(ValueRef::Null),
        }
    }
    out.finish()
}

/// Pieces of the texts of a column.
fn pieces(column: &Column, absent: &[String], piece: impl Fn(&[u8]) -> Option<&[u8]>) -> Column {
    let column = present(column, absent);
    let mut out = TextBuilder::default();
    for cell in column.iter() {
        match cell.text().as_deref().and_then(&piece) {
            Some(t) if !t.is_empty() => out.push_text(Kind::String, t),
            _ => out.push(ValueRef::Null),
        }
    }
    out.finish()
}

/// The method of `GET /a HTTP/1.1`.
fn method(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|c| *c == b' ')?;
    let word = &line[..end];
    (!word.is_empty() && word.iter().all(|c| c.is_ascii_alphabetic() || *c == b'-')).then_some(word)
}

/// What a request line asks for; a text without a method is taken as a whole.
fn target(line: &[u8]) -> Option<&[u8]> {
    let Some(method) = method(line) else { return Some(line) };
    let rest = &line[method.len() + 1..];
    let end = rest.windows(6).rposition(|w| w == b" HTTP/").unwrap_or(rest.len());
    Some(&rest[..end])
}

fn after_host(url: &[u8]) -> &[u8] {
    let Some(scheme) = scheme(url) else { return url };
    let rest = &url[scheme..];
    let from = rest.iter().position(|c| matches!(c, b'/' | b'?')).unwrap_or(rest.len());
    &rest[from..]
}

/// Where the host of a URL begins.
fn scheme(url: &[u8]) -> Option<usize> {
    let at = url.windows(3).take(12).position(|w| w == b"://")?;
    url[..at].iter().all(|c| c.is_ascii_alphanumeric() || *c == b'+').then_some(at + 3)
}

fn before_query(uri: &[u8]) -> &[u8] {
    &uri[..uri.iter().position(|c| *c == b'?').unwrap_or(uri.len())]
}

fn query(uri: &[u8]) -> Option<&[u8]> {
    uri.iter().position(|c| *c == b'?').map(|at| &uri[at + 1..])
}

/// The host of a URL, or of `host:port` and `[host]:port`.
fn host(text: &[u8]) -> Option<&[u8]> {
    let start = match scheme(text) {
        Some(at) => at,
        None if text.first().is_some_and(|c| *c == b'/') => return None,
        None => 0,
    };
    let rest = &text[start..];
    let rest = &rest[..rest.iter().position(|c| matches!(c, b'/' | b'?')).unwrap_or(rest.len())];
    if let Some(inside) = rest.strip_prefix(b"[") {
        return inside.iter().position(|c| *c == b']').map(|end| &inside[..end]);
    }
    // Several colons are an address, not a port.
    match rest.iter().filter(|c| **c == b':').count() {
        1 => rest.iter().position(|c| *c == b':').map(|at| &rest[..at]),
        _ => Some(rest),
    }
}

/// The value of a header in `[{"name":"Host","value":"a"},…]`.
fn headers(column: &Column, name: &str) -> Column {
    let path = |key: &str| [Segment::Name { text: key.to_owned(), quoted: true }];
    let (name_path, value_path) = (path("name"), path("value"));
    let mut out = TextBuilder::default();
    for cell in column.iter() {
        let value = match cell {
            ValueRef::Text(Kind::List, list) => json::elements(list).flatten().find_map(|(_, header)| {
                let (_, found) = json::get(&header, &name_path)?;
                if !found.eq_ignore_ascii_case(name.as_bytes()) {
                    return None;
                }
                json::get(&header, &value_path).map(|(_, value)| value.into_owned())
            }),
            _ => None,
        };
        match value {
            Some(value) => out.push_text(Kind::String, &value),
            None => out.push(ValueRef::Null),
        }
    }
    out.finish()
}

/// `path?query`; null where the query is, so that the path alone can be found in the next place.
fn joined(from: &[&Column], absent: &[String]) -> Column {
    let [path, rest] = from else { return Column::null(from[0].len()) };
    if is_null(rest) {
        return Column::null(path.len());
    }
    let (path, rest) = (present(path, absent), present(rest, absent));
    texts(path.len(), |i| {
        let (path, rest) = (path.get(i).text()?, rest.get(i).text()?);
        let rest = rest.strip_prefix(b"?").unwrap_or(&rest);
        if rest.is_empty() {
            return None;
        }
        Some(Cow::Owned([&path, b"?".as_slice(), rest].concat()))
    })
}

/// Seconds in milliseconds; a negative one means that there was no answer.
fn milliseconds(from: &[&Column]) -> Column {
    let cell = |i: usize| {
        let mut sum = 0.0;
        for column in from {
            let seconds = column.get(i).number()?.as_f64();
            if seconds < 0.0 {
                return None;
            }
            sum += seconds;
        }
        Some((sum * 1e6).round() / 1e3)
    };
    (0..from[0].len())
        .map(|i| match cell(i) {
            Some(ms) if ms.fract() == 0.0 => Value::Int(ms as i64),
            Some(ms) => Value::float(ms),
            None => Value::Null,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Events;
    use crate::profile::{Profiles, field};

    fn cells(profile: &str, line: &str, name: &str) -> String {
        let profiles = Profiles::built_in().expect("readable");
        let profile = Arc::new(profiles.named(profile).expect("known").clone());
        let source = Canonical::new(Arc::new(Events::new(vec![line.to_owned()])), profile);
        let scan = Scan { want: vec![field(name).expect("a name")], ..Scan::default() };
        let counters = Counters::default();
        let morsels = source.open(&scan, &counters).expect("opens");
        let mut found = String::new();
        while let Some(morsel) = morsels.next() {
            morsel
                .read(&mut |batch| {
                    let text = batch.columns[0].get(0).text().map(|t| String::from_utf8_lossy(&t).into_owned());
                    found = text.unwrap_or_else(|| "(null)".into());
                    Ok(Flow::More)
                })
                .expect("reads");
        }
        found
    }

    #[test]
    fn canonical_fields() {
        let alb = r#"{"client:port":"[2001:db8::1]:2817","request":"GET http://a.example:80/x/y?q=1&u=http://b HTTP/1.1","request_processing_time":"0.001","target_processing_time":"-1","elb_status_code":200}"#;
        let waf = r#"{"httpRequest":{"clientIp":"1.2.3.4","uri":"/a","args":"b=c","headers":[{"name":"User-Agent","value":"curl"}]}}"#;
        for (profile, line, name, expected) in [
            ("access", r#"{"ip":"1.2.3.4"}"#, "ip", "1.2.3.4"),
            ("access", r#"{"ip":"-","sourceIp":"1.2.3.4"}"#, "ip", "1.2.3.4"),
            ("access", r#"{"user":"-"}"#, "user", "(null)"),
            ("access", r#"{"user":"-"}"#, "`user `", "(null)"),
            ("access", r#"{"caller":"-"}"#, "caller", "-"),
            ("access", r#"{"identity":{"sourceIp":"1.2.3.4"}}"#, "ip", "1.2.3.4"),
            ("access", alb, "ip", "2001:db8::1"),
            ("access", alb, "method", "GET"),
            ("access", alb, "path", "/x/y"),
            ("access", alb, "query", "q=1&u=http://b"),
            ("access", alb, "uri", "/x/y?q=1&u=http://b"),
            ("access", alb, "host", "a.example"),
            ("access", alb, "status", "200"),
            ("access", alb, "latencyMs", "(null)"),
            ("access", r#"{"request_time":"0.25"}"#, "latencyMs", "250"),
            ("access", r#"{"request":"GET /a b HTTP/1.1"}"#, "path", "/a b"),
            ("access", r#"{"request":"\u0016\u0003"}"#, "path", "\u{16}\u{3}"),
            ("access", r#"{"path":"/a","query":"b=1"}"#, "uri", "/a?b=1"),
            ("access", r#"{"path":"/a","query":"-"}"#, "uri", "/a"),
            ("access", r#"{"resourcePath":"/a/{id}"}"#, "path", "/a/{id}"),
            ("waf", waf, "uri", "/a?b=c"),
            ("waf", waf, "userAgent", "curl"),
            ("cloudtrail", r#"{"eventName":"A"}"#, "outcome", "success"),
            ("cloudtrail", r#"{"errorCode":"AccessDenied"}"#, "outcome", "attempt"),
            ("cloudtrail", r#"{"responseElements":{"ConsoleLogin":"Failure"}}"#, "outcome", "attempt"),
            ("cloudtrail", r#"{"userIdentity":{"type":"Root","accountId":"1"}}"#, "principal", "1"),
            ("cloudtrail", r#"{"requestParameters":"{\"bucketName\":\"b\"}"}"#, "requestParameters.bucketName", "b"),
            ("cloudtrail", r#"{"requestParameters":"bucketName"}"#, "requestParameters.bucketName", "(null)"),
            ("cloudtrail", r#"{"requestParameters":"bucketName"}"#, "requestParameters", "bucketName"),
            ("cloudtrail", r#"{"requestParameters":"{ \"a\": [1, 2] }"}"#, "requestParameters", r#"{"a":[1,2]}"#),
            ("cloudtrail", r#"{"responseElements":"{\"ConsoleLogin\":\"Failure\"}"}"#, "outcome", "attempt"),
        ] {
            assert_eq!(cells(profile, line, name), expected, "{name} of {line}");
        }
    }
}
