//! Where a list or map ends, without looking at what is in it.
//!
//! Blocks of 64 bytes become bits. Quotes that no backslash escapes divide them into inside and outside of strings
//! (a prefix sum modulo two); brackets outside are counted. As long as a block closes fewer brackets than are open,
//! the end cannot be in it, and counting is all there is to do (after Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019).

use super::index::Escapes;
use super::simd::{Brackets, Level, Loop, Simd, dispatch};

/// Where a list or map that starts at the first byte of a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Behind its last bracket.
    At(usize),
    /// Not in the text.
    Open,
    /// A line feed stands inside a string, where none can: whatever this is, it is no JSON, and the next line may be.
    Broken(usize),
}

/// Finds the end of the list or map `text` starts with.
pub(crate) fn ending(text: &[u8]) -> Ending {
    dispatch(Level::best(), Walk { text })
}

struct Walk<'t> {
    text: &'t [u8],
}

/// What carries over from block to block.
#[derive(Default)]
struct State {
    depth: u32,
    /// All ones inside a string.
    inside: u64,
    escapes: Escapes,
}

impl Loop for Walk<'_> {
    type Output = Ending;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Ending {
        let mut state = State::default();
        let (blocks, rest) = self.text.as_chunks::<64>();
        for (i, block) in blocks.iter().enumerate() {
            if let Some(found) = state.block(simd, simd.brackets(block), i * 64) {
                return found;
            }
        }
        let mut last = [b' '; 64];
        last[..rest.len()].copy_from_slice(rest);
        // The blanks behind the text change nothing: they are no brackets and no line feeds.
        state.block(simd, simd.brackets(&last), blocks.len() * 64).unwrap_or(Ending::Open)
    }
}

impl State {
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, found: Brackets, at: usize) -> Option<Ending> {
        let quotes = found.quotes & !self.escapes.next(found.slashes);
        let inside = simd.running_parity(quotes) ^ self.inside;
        self.inside = ((inside as i64) >> 63) as u64;
        let (opens, mut closes) = (found.opens & !inside, found.closes & !inside);
        let broken = found.feeds & inside;
        if broken == 0 && closes.count_ones() < self.depth {
            self.depth = self.depth + opens.count_ones() - closes.count_ones();
            return None;
        }
        let first_broken = broken.trailing_zeros();
        let mut closed = 0;
        while closes != 0 {
            let place = closes.trailing_zeros();
            if place > first_broken {
                break;
            }
            closed += 1;
            let opened = self.depth + (opens & ((1u64 << place) - 1)).count_ones();
            if opened <= closed {
                return Some(Ending::At(at + place as usize + 1));
            }
            closes &= closes - 1;
        }
        if broken != 0 {
            return Some(Ending::Broken(at + first_broken as usize));
        }
        self.depth = self.depth + opens.count_ones() - closed;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, byte for byte.
    fn slow(text: &[u8]) -> Ending {
        let (mut depth, mut inside, mut escaped) = (0, false, false);
        for (i, byte) in text.iter().enumerate() {
            match byte {
                _ if std::mem::take(&mut escaped) && *byte != b'\n' => {}
                b'\\' if inside => escaped = true,
                b'"' => inside = !inside,
                b'\n' if inside => return Ending::Broken(i),
                b'{' | b'[' if !inside => depth += 1,
                b'}' | b']' if !inside => {
                    depth -= 1;
                    if depth == 0 {
                        return Ending::At(i + 1);
                    }
                }
                _ => {}
            }
        }
        Ending::Open
    }

    #[test]
    fn ends_are_found_at_any_distance() {
        for pad in 0..200 {
            for inner in ["", "\"a\":\"}\"", "\"\\\"}\":[{}]", "\"\\\\\":{\"b\":[1,[2]]}", "\"\\\\\\\"}\":0"] {
                let text = format!("{{{}{inner}}},{{\"next\":1}}", " ".repeat(pad));
                let expected = slow(text.as_bytes());
                assert_eq!(expected, Ending::At(pad + inner.len() + 2), "{text}");
                for level in Level::all() {
                    assert_eq!(dispatch(level, Walk { text: text.as_bytes() }), expected, "{text}");
                }
                assert_eq!(ending(&text.as_bytes()[..pad + inner.len() + 1]), Ending::Open, "{text}");
            }
        }
        assert_eq!(ending(b"{\"a\nb\":1}"), Ending::Broken(3));
        assert_eq!(ending(b"{\n\"a\":1\n}"), Ending::At(9));
    }

    #[test]
    fn agrees_with_the_definition_on_noise() {
        let mut state = 11u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let parts = ["\"a\"", "\"", "\\\\\"", "{", "}", "[", "]", "{", ",", ":", "x", "\"\\\\\"", "\"\\\"\"", " "];
        for _ in 0..3000 {
            let mut text = String::from("{\"");
            (0..next() % 120).for_each(|_| text.push_str(parts[next() % parts.len()]));
            // A backslash outside of a string is the one place where they may differ: neither is JSON.
            let outside = {
                let mut inside = false;
                let mut escaped = false;
                text.bytes().any(|b| {
                    let was = std::mem::take(&mut escaped);
                    match b {
                        b'\\' if inside && !was => escaped = true,
                        b'\\' if !inside => return true,
                        b'"' if !was => inside = !inside,
                        _ => {}
                    }
                    false
                })
            };
            if !outside {
                for level in Level::all() {
                    assert_eq!(dispatch(level, Walk { text: text.as_bytes() }), slow(text.as_bytes()), "{text}");
                }
            }
        }
    }
}
