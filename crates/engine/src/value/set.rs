//! The values right of `in`, made ready for many look-ups.

use super::{Kind, Value, ValueRef, compare, order};
use std::collections::HashSet;

/// A set of values with the membership of language reference §4.3: `x in [a, b]` is `x = a or x = b`.
#[derive(Clone, Debug, Default)]
pub struct Set {
    values: Vec<Value>,
    /// Canonical texts of the strings and numbers: what a string equals.
    texts: HashSet<Box<[u8]>>,
    /// Sort keys of the numbers: what a number equals beside its own spelling.
    numbers: HashSet<Box<[u8]>>,
    /// Booleans and timestamps, compared one by one.
    others: Vec<Value>,
    /// Views of the texts, where all are short enough to stand in their view.
    views: Option<Vec<u128>>,
    /// Networks that hold addresses (`in table`).
    networks: Vec<ipnet::IpNet>,
}

impl Set {
    /// A set of values; nulls, lists and maps equal nothing and are left out.
    pub fn new(values: impl IntoIterator<Item = Value>) -> Set {
        let mut set = Set::default();
        for value in values {
            let v = value.as_ref();
            let Some(kind) = v.kind() else { continue };
            match kind {
                Kind::String | Kind::Number | Kind::Float => {
                    if let Some(text) = v.text() {
                        set.texts.insert(text.into());
                    }
                    if let (Kind::Number, Some(n)) = (kind, v.number()) {
                        let mut key = Vec::new();
                        order::push_number(n, &mut key);
                        set.numbers.insert(key.into());
                    }
                }
                Kind::Bool | Kind::Time => set.others.push(value.clone()),
                Kind::List | Kind::Map => continue,
            }
            set.values.push(value);
        }
        let short = set.texts.len() <= 16 && set.texts.iter().all(|t| t.len() <= 12);
        set.views = short.then(|| set.texts.iter().map(|t| arrow::array::make_view(t, 0, 0)).collect());
        set
    }

    /// The same set, in which an address within one of the networks is also a member.
    pub fn with_networks(mut self, networks: Vec<ipnet::IpNet>) -> Set {
        if !networks.is_empty() {
            self.views = None;
        }
        self.networks = networks;
        self
    }

    /// Whether membership of a string is more than equality.
    pub fn has_networks(&self) -> bool {
        !self.networks.is_empty()
    }

    fn in_network(&self, v: ValueRef<'_>) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let ip: Option<std::net::IpAddr> = v.scalar_text().and_then(|t| t.parse().ok());
        ip.is_some_and(|ip| self.networks.iter().any(|net| net.contains(&ip)))
    }

    /// The values, in the order given.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// True if membership of a string or number is decided by its text alone.
    pub fn text_only(&self) -> bool {
        self.numbers.is_empty() && self.others.is_empty()
    }

    /// The texts as views of 12 bytes or less, if all fit and they are few: `view == v` is then equality of text.
    pub fn views(&self) -> Option<&[u128]> {
        self.views.as_deref()
    }

    /// The lower halves of the texts' views, length and first bytes, where they are few; a text of the set has one of
    /// them. Empty: nothing is said.
    pub fn starts(&self) -> Vec<u64> {
        let texts = self.texts.iter().take(if self.texts.len() <= 16 { 16 } else { 0 });
        texts.map(|text| arrow::array::make_view(text, 0, 0) as u64).collect()
    }

    /// True if `text` is the canonical text of a string or number of the set.
    pub fn has_text(&self, text: &[u8]) -> bool {
        self.texts.contains(text)
    }

    /// Membership.
    pub fn contains(&self, v: ValueRef<'_>) -> bool {
        match v.kind() {
            None | Some(Kind::List | Kind::Map) => false,
            Some(Kind::String) => {
                v.text().is_some_and(|t| self.texts.contains(&*t))
                    || self.others.iter().any(|o| compare::equal(v, o.as_ref()))
                    || self.in_network(v)
            }
            Some(Kind::Number | Kind::Float) => {
                if v.text().is_some_and(|t| self.texts.contains(&*t)) {
                    return true;
                }
                if !self.numbers.is_empty()
                    && let Some(n) = v.number()
                {
                    let mut key = Vec::new();
                    order::push_number(n, &mut key);
                    if self.numbers.contains(key.as_slice()) {
                        return true;
                    }
                }
                self.others.iter().any(|o| compare::equal(v, o.as_ref()))
            }
            Some(Kind::Bool | Kind::Time) => self.values.iter().any(|o| compare::equal(v, o.as_ref())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_equality() {
        let values = [
            Value::Int(404),
            Value::Float(0.5),
            Value::string("007"),
            Value::string("1"),
            Value::string("2024-05-01T12:00:00Z"),
            Value::Bool(false),
            Value::Time(1_714_564_800_000),
            Value::Text(Kind::Number, b"404.0".as_slice().into()),
            Value::Text(Kind::Number, b"7".as_slice().into()),
            Value::Null,
            Value::Text(Kind::Map, b"{}".as_slice().into()),
        ];
        for a in &values {
            for b in &values {
                let set = Set::new([b.clone()]);
                assert_eq!(set.contains(a.as_ref()), compare::equal(a.as_ref(), b.as_ref()), "{a:?} {b:?}");
            }
        }
    }
}
