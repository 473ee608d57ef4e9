//! Which columns a path of a query means.

use super::schema::{Meaning, Node, Shape};
use backsight_engine::value::json::{Route, Step};
use backsight_lang::ast::Segment;
use std::ops::Range;

/// A way to the value of a path: a column, members of it, and what is left for the text of the last of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    /// The number of the column, then of the member in it, and so on; never empty.
    pub steps: Vec<usize>,
    /// The leaf columns to read.
    pub leaves: Range<usize>,
    /// The rest of the path, within the JSON text of the column: it is a list, a map, or holds JSON.
    pub rest: Option<Route>,
}

/// The system fields, as columns may be named.
const SYSTEM: [&str; 6] = ["@timestamp", "@message", "@logStream", "@log", "@ingestionTime", "@ptr"];

/// The columns that a path may mean, in the order in which they count: the first that is not null in a row is its
/// value there.
pub(super) fn find(columns: &[Node], path: &[Segment]) -> Vec<Access> {
    let mut out: Vec<Access> = Vec::new();
    for reading in Route::new(path).readings() {
        let mut reading = reading.clone();
        let Some(first) = data_key(&reading[0].key) else { continue };
        // A column of such a name is the system field, not data.
        if SYSTEM.iter().any(|name| name.as_bytes() == first) {
            continue;
        }
        reading[0].key = first.into();
        if let Some(access) = follow(columns, &reading, Vec::new())
            // The rest of one reading tries the keys of the others too.
            && !out.iter().any(|a| a.steps == access.steps)
        {
            out.push(access);
        }
    }
    out.extend(in_message(columns, path));
    out
}

/// The column of this very name.
pub(super) fn named(columns: &[Node], name: &str) -> Option<Access> {
    let at = columns.iter().rposition(|c| c.name == name)?;
    Some(Access { steps: vec![at], leaves: columns[at].leaves.clone(), rest: None })
}

/// The key in the data that a first name stands for: `@@x` is the key `@x`, and no key is `@x`.
fn data_key(name: &[u8]) -> Option<&[u8]> {
    match name.strip_prefix(b"@") {
        None => Some(name),
        Some(rest) => rest.starts_with(b"@").then_some(rest),
    }
}

fn follow(nodes: &[Node], reading: &[Step], mut steps: Vec<usize>) -> Option<Access> {
    let (step, rest) = reading.split_first()?;
    // Of equal names the last counts, as of the keys of a JSON object.
    let at = nodes.iter().rposition(|n| n.name.as_bytes() == &*step.key)?;
    let node = &nodes[at];
    steps.push(at);
    let route = match &node.shape {
        _ if rest.is_empty() => None,
        Shape::Struct(members) => return follow(members, rest, steps),
        Shape::List(_) | Shape::Map(..) | Shape::Leaf(Meaning::Json) => Some(route(rest)),
        Shape::Leaf(_) => return None,
    };
    Some(Access { steps, leaves: node.leaves.clone(), rest: route })
}

/// The rest of a path.
pub(super) fn route(rest: &[Step]) -> Route {
    let segments: Vec<Segment> = rest
        .iter()
        .map(|step| match step.index {
            Some(n) => Segment::Index(n),
            None => Segment::Name { text: String::from_utf8_lossy(&step.key).into_owned(), quoted: true },
        })
        .collect();
    Route::new(&segments)
}

/// Exported query results hold events as text in `@message`; the fields of those that are JSON are fields too.
fn in_message(columns: &[Node], path: &[Segment]) -> Option<Access> {
    let message = named(columns, "@message")?;
    let Shape::Leaf(_) = columns[message.steps[0]].shape else { return None };
    let mut path = path.to_vec();
    if let Some(Segment::Name { text, .. }) = path.first_mut() {
        *text = String::from_utf8_lossy(data_key(text.as_bytes())?).into_owned();
    }
    Some(Access { rest: Some(Route::new(&path)), ..message })
}

/// True for a column of JSON text.
pub(super) fn text_column(shape: &Shape) -> bool {
    matches!(shape, Shape::Leaf(Meaning::Json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: &str, at: usize, meaning: Meaning) -> Node {
        Node { name: name.into(), leaves: at..at + 1, shape: Shape::Leaf(meaning) }
    }

    /// a { b, c.d { e } }, a.b, m (map), j (JSON), @x
    fn columns() -> Vec<Node> {
        let inner = Node { name: "c.d".into(), leaves: 1..2, shape: Shape::Struct(vec![leaf("e", 1, Meaning::Plain)]) };
        let a =
            Node { name: "a".into(), leaves: 0..2, shape: Shape::Struct(vec![leaf("b", 0, Meaning::Plain), inner]) };
        let (key, value) = (leaf("key", 3, Meaning::Plain), leaf("value", 4, Meaning::Plain));
        let map = Node { name: "m".into(), leaves: 3..5, shape: Shape::Map(Box::new(key), Box::new(value)) };
        vec![a, leaf("a.b", 2, Meaning::Plain), map, leaf("j", 5, Meaning::Json), leaf("@x", 6, Meaning::Plain)]
    }

    fn names(parts: &[(&str, bool)]) -> Vec<Segment> {
        parts.iter().map(|(text, quoted)| Segment::Name { text: (*text).into(), quoted: *quoted }).collect()
    }

    #[test]
    fn readings() {
        let columns = columns();
        type Case<'a> = (&'a [(&'a str, bool)], &'a [&'a [usize]]);
        let table: &[Case<'_>] = &[
            (&[("a", false)], &[&[0]]),
            (&[("a", false), ("b", false)], &[&[0, 0], &[1]]),
            (&[("a.b", true)], &[&[1], &[0, 0]]),
            (&[("a", false), ("c", false), ("d", false), ("e", false)], &[&[0, 1, 0]]),
            (&[("m", false), ("k", false), ("l", false)], &[&[2]]),
            (&[("j", false), ("k", false)], &[&[3]]),
            (&[("a", false), ("b", false), ("z", false)], &[]),
            (&[("A", false)], &[]),
            (&[("@@x", false)], &[&[4]]),
            (&[("@x", false)], &[]),
        ];
        for (path, expected) in table {
            let found: Vec<Vec<usize>> = find(&columns, &names(path)).into_iter().map(|a| a.steps).collect();
            assert_eq!(found, *expected, "{path:?}");
        }
    }

    #[test]
    fn the_rest_of_a_path_is_for_the_text() {
        let [access] = &find(&columns(), &names(&[("m", false), ("k", false), ("l", false)]))[..] else {
            panic!("one way")
        };
        let rest = access.rest.as_ref().expect("a rest");
        for text in [&b"{\"k\":{\"l\":1}}"[..], b"{\"k.l\":1}"] {
            assert!(rest.get(text).is_some());
        }
    }
}
