//! Which layouts are at hand, and whether betting on them, or learning more, is worth it.
//!
//! Where every line has keys of its own, trying layouts costs more than it gains, and learning them much more. Both keep
//! an account of what they brought, and pause when it is empty.

use super::Plan;
use super::layout::Layout;
use std::sync::{Arc, PoisonError};

/// Layouts at hand, the last that matched first.
#[derive(Clone, Debug)]
pub(super) struct Layouts {
    known: Vec<Arc<Layout>>,
    /// What is known has changed.
    learned: bool,
    /// Goes up when bets win and down when they lose.
    credit: u32,
    /// Lines still to be read without betting.
    pause: u32,
    /// Layouts that may still be learned; goes up with the lines that are read by those there are.
    lessons: u32,
    /// Lines read in the general way that are to pass before more may be learned, and how many the next time.
    study: u32,
    next_study: u32,
    /// Every line is to be read in the general way.
    off: bool,
}

/// Layouts kept.
const MAX_LAYOUTS: usize = 8;

/// Layouts tried on one line.
const MAX_TRIES: usize = 4;

/// What a line read by a layout is worth, in attempts to match a line.
const WORTH: u32 = 4;

/// Credit at the start, and the most there is.
const CREDIT: u32 = 256;

/// Lines read without betting once all credit is gone.
const PAUSE: u32 = 2000;

/// The most lessons there are, and the lines read by layouts that pay for one.
const LESSONS: u32 = 16;
const LESSON: u32 = 64;

/// Pauses between lessons once they are used up, in lines: at first, and at most.
const STUDY: u32 = 2000;
const MAX_STUDY: u32 = 1 << 20;

impl Default for Layouts {
    fn default() -> Layouts {
        let known = Vec::new();
        Layouts {
            known,
            learned: false,
            credit: CREDIT,
            pause: 0,
            lessons: LESSONS,
            study: 0,
            next_study: STUDY,
            off: false,
        }
    }
}

impl Layouts {
    /// What earlier chunks have left.
    pub(super) fn of(plan: &Plan, off: bool) -> Layouts {
        let before = plan.layouts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Layouts { learned: false, off, ..before }
    }

    /// Leaves what was learned to those who read the next chunks.
    pub(super) fn give_back(mut self, plan: &Plan) {
        let mut shared = plan.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.learned {
            self.known = std::mem::take(&mut shared.known);
        }
        *shared = self;
    }

    /// The layout to try after so many that did not match.
    pub(super) fn get(&self, tried: usize) -> Option<Arc<Layout>> {
        self.known.get(tried).filter(|_| tried < MAX_TRIES).cloned()
    }

    /// True if the next line should be tried; called once a line or run of lines.
    pub(super) fn worth_trying(&mut self) -> bool {
        self.pause = self.pause.saturating_sub(1);
        self.pause == 0 && !self.off && !self.known.is_empty()
    }

    /// The layout after `tried` others has matched so many lines.
    pub(super) fn matched(&mut self, tried: usize, lines: u32) {
        self.known[..=tried].rotate_right(1);
        self.credit = (self.credit + lines * WORTH).saturating_sub(tried as u32 + 1).min(CREDIT);
        self.lessons = (self.lessons + lines / LESSON).min(LESSONS);
        if lines >= LESSON {
            self.next_study = STUDY;
        }
    }

    /// A round of trying is over: whether anything matched.
    pub(super) fn tried(&mut self, matched: bool) {
        if !matched {
            self.credit = self.credit.saturating_sub(self.known.len().min(MAX_TRIES) as u32);
        }
        if self.credit == 0 {
            self.pause = PAUSE;
            self.credit = CREDIT / 4;
        }
    }

    /// True if the line that was just read in the general way should be learned from.
    pub(super) fn wants_another(&mut self) -> bool {
        if self.off || self.pause > 0 {
            return false;
        }
        if self.study > 0 {
            self.study -= 1;
            return false;
        }
        true
    }

    /// Learns from a line, given without its end.
    pub(super) fn learn(&mut self, text: &[u8], carriage_return: bool, plan: &Plan) {
        if let Some(layout) = Layout::learn(text, carriage_return, plan) {
            self.known.truncate(MAX_LAYOUTS - 1);
            self.known.insert(0, Arc::new(layout));
            self.learned = true;
        }
        self.lessons = self.lessons.saturating_sub(1);
        if self.lessons == 0 {
            self.lessons = LESSONS / 4;
            self.study = self.next_study;
            self.next_study = (self.next_study * 2).min(MAX_STUDY);
        }
    }
}
