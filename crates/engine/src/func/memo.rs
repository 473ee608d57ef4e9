//! What is made of a text argument — a needle, a network, a time zone — kept for the rows that follow.
//!
//! Arguments are mostly constants, and neighbouring records share their times: comparing with the last text is cheaper
//! than reading it again. Expressions from the data are remembered in a small table, for they are dear to compile.

use super::{Args, Prepared};
use regex::bytes::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::Arc;

/// The last text seen and what was made of it.
pub(super) struct Memo<T> {
    last: Option<(Vec<u8>, T)>,
}

impl<T> Memo<T> {
    /// An empty memory.
    pub(super) fn new() -> Memo<T> {
        Memo { last: None }
    }

    /// What `make` makes of `text`, computed only where the text is not the last one.
    pub(super) fn get(&mut self, text: &[u8], make: impl FnOnce(&[u8]) -> T) -> &T {
        if self.last.as_ref().is_some_and(|(key, _)| key != text) {
            self.last = None;
        }
        &self.last.get_or_insert_with(|| (text.to_vec(), make(text))).1
    }
}

/// Compiled expressions kept at a time.
const KEPT: usize = 64;

/// Bytes a compiled expression from the data may take; data must not be able to fill the memory.
const LARGEST: usize = 1 << 20;

/// The regular expressions of one argument: the literal the planner compiled, or those found in the data.
pub struct Regexes {
    literal: Option<Arc<Regex>>,
    seen: HashMap<String, Option<Arc<Regex>>>,
}

impl Regexes {
    /// The expressions of argument `arg`.
    pub fn of(args: &Args<'_>, arg: usize) -> Regexes {
        match args.prepared(arg) {
            Some(Prepared::Regex(regex)) => Regexes { literal: Some(Arc::clone(regex)), seen: HashMap::new() },
            _ => Regexes { literal: None, seen: HashMap::new() },
        }
    }

    /// The expression of a row; `None` where there is none or it does not compile.
    pub fn get(&mut self, args: &Args<'_>, arg: usize, row: usize) -> Option<Arc<Regex>> {
        if let Some(literal) = &self.literal {
            return Some(Arc::clone(literal));
        }
        let source = args.text(arg, row)?;
        if let Some(seen) = self.seen.get(source.as_ref()) {
            return seen.clone();
        }
        if self.seen.len() == KEPT {
            self.seen.clear();
        }
        let regex = RegexBuilder::new(&source).size_limit(LARGEST).build().ok().map(Arc::new);
        self.seen.insert(source.into_owned(), regex.clone());
        regex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_while_it_repeats() {
        let mut reads = 0;
        let mut memo = Memo::new();
        let texts: [&[u8]; 6] = [b"a", b"a", b"b", b"b", b"", b"a"];
        let lengths = texts.map(|t| {
            *memo.get(t, |t| {
                reads += 1;
                t.len()
            })
        });
        assert_eq!((lengths, reads), ([1, 1, 1, 1, 0, 1], 4));
    }
}
