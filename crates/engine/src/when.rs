//! Times that a person writes: absolute, relative to now, or to the first or last event of the input.

use crate::value::time;

/// A time that may depend on the clock or on the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    anchor: Anchor,
    /// Added to the anchor, milliseconds.
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    /// Epoch milliseconds.
    At(i64),
    Now,
    First,
    Last,
}

/// Times of the first and last event of the input, epoch milliseconds; `None` for input without any.
pub type Edges = Option<(i64, i64)>;

impl When {
    /// Reads RFC 3339, a date, epoch, `now`, `first`, `last`, these three with `+` or `-` and a duration, or `-90m`.
    ///
    /// # Errors
    /// A message for people.
    pub fn parse(text: &str) -> Result<When, String> {
        let wrong =
            || format!("`{text}` is not a time; expected RFC 3339, a date, epoch, `now`, `-90m`, `first` or `last-1d`");
        let text = text.trim();
        let anchors = [("now", Anchor::Now), ("first", Anchor::First), ("last", Anchor::Last)];
        let named = anchors.iter().find_map(|(word, anchor)| Some((*anchor, text.strip_prefix(word)?)));
        let (anchor, rest) = match named {
            Some(named) => named,
            None if text.starts_with('-') && duration(&text[1..]).is_some() => (Anchor::Now, text),
            None => return time::parse(text.as_bytes()).map(When::at).ok_or_else(wrong),
        };
        let offset = match rest.chars().next() {
            None => Some(0),
            Some('+') => duration(&rest[1..]),
            Some('-') => duration(&rest[1..]).map(|d| -d),
            Some(_) => None,
        };
        Ok(When { anchor, offset: offset.ok_or_else(wrong)? })
    }

    /// So long after the first event.
    pub fn first(offset: i64) -> When {
        When { anchor: Anchor::First, offset }
    }

    fn at(millis: i64) -> When {
        When { anchor: Anchor::At(millis), offset: 0 }
    }

    /// Whether the input must be looked at to know this time.
    pub fn needs_edges(self) -> bool {
        matches!(self.anchor, Anchor::First | Anchor::Last)
    }

    /// Epoch milliseconds; `None` for `first` and `last` of input without times.
    pub fn resolve(self, now: i64, edges: Edges) -> Option<i64> {
        let anchor = match self.anchor {
            Anchor::At(millis) => millis,
            Anchor::Now => now,
            Anchor::First => edges?.0,
            Anchor::Last => edges?.1,
        };
        Some(anchor.saturating_add(self.offset))
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.anchor {
            Anchor::At(millis) => f.write_str(&time::format(millis.saturating_add(self.offset))),
            anchor => {
                let word = match anchor {
                    Anchor::First => "the first event",
                    Anchor::Last => "the last event",
                    _ => "now",
                };
                match self.offset {
                    0 => f.write_str(word),
                    offset => write!(f, "{word} {offset:+} ms"),
                }
            }
        }
    }
}

/// Milliseconds of a duration in the language's own units, up to weeks.
fn duration(text: &str) -> Option<i64> {
    backsight_lang::duration(text)?.millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        const NOW: i64 = 1_714_564_800_000;
        const HOUR: i64 = 3_600_000;
        let edges = Some((1000, 9_000_000));
        for (text, millis) in [
            ("2024-05-01T12:00:00Z", Some(NOW)),
            ("2024-05-01", Some(NOW - 12 * HOUR)),
            ("1714564800", Some(NOW)),
            ("1714564800000", Some(NOW)),
            ("now", Some(NOW)),
            ("now-1h", Some(NOW - HOUR)),
            ("-90m", Some(NOW - 90 * 60_000)),
            ("-2days", Some(NOW - 48 * HOUR)),
            ("first", Some(1000)),
            ("first+1h", Some(HOUR + 1000)),
            ("last-1h", Some(9_000_000 - HOUR)),
            ("-86400", Some(-86_400_000)),
        ] {
            let when = When::parse(text).expect(text);
            assert_eq!(when.resolve(NOW, edges), millis, "{text}");
        }
        for bad in ["", "yesterday", "lastly", "last-", "last-1mo", "now+5x", "-1d2h", "first-1h; fields a", "-"] {
            assert!(When::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(When::parse("last").expect("valid").resolve(NOW, None), None);
    }
}
