//! What was found out about a text, for where it repeats.
//!
//! In a column that comes from a dictionary equal texts are equal views, so that a regular expression need not look at a
//! text twice. Where views hardly repeat, in a column that lies in the lines of a log, this is noticed and left.

/// Texts remembered, by a part of their view: one of them a place.
const PLACES: usize = 1 << 11;

/// Questions after which it is judged whether to go on: user agents repeat, but there are hundreds of them.
const TRIAL: u32 = 1024;

/// It pays if so many of the questions, as a fraction, need not be asked.
const PAYS: u32 = 4;

/// Answers to a question about the texts of one array.
pub(super) struct Repeats {
    known: Vec<(u128, bool)>,
    asked: u32,
    found: u32,
}

impl Repeats {
    /// Nothing is known.
    pub(super) fn new() -> Repeats {
        // No text has this view: it would be longer than any array.
        Repeats { known: vec![(u128::MAX, false); PLACES], asked: 0, found: 0 }
    }

    /// The answer for the text behind a view, asked for only if it is not known.
    #[inline]
    pub(super) fn get(&mut self, view: u128, ask: impl FnOnce() -> bool) -> bool {
        if self.asked >= TRIAL && self.found < TRIAL / PAYS {
            return ask();
        }
        let mixed = ((view >> 64) as u64 ^ view as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.known[(mixed >> 53) as usize % PLACES];
        let known = place.0 == view;
        if self.asked < TRIAL {
            self.asked += 1;
            self.found += u32::from(known);
        }
        if !known {
            *place = (view, ask());
        }
        place.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_while_it_pays() {
        for (different, most) in [(3u128, 3), (500, 2000), (5000, 5000)] {
            let (mut repeats, mut asked) = (Repeats::new(), 0);
            for i in 0..5000u128 {
                let view = i % different;
                let even = repeats.get(view, || {
                    asked += 1;
                    view % 2 == 0
                });
                assert_eq!(even, view % 2 == 0);
            }
            assert!(asked <= most, "{asked}");
        }
    }
}
