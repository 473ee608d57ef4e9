//! The compressed bytes a decoder reads: a stored file, or what another decoder gives.

use super::{Decoder, Finding, State};
use crate::bytes::{RELEASE_FROM, Stored};
use backsight_engine::error::Error;
use std::sync::Arc;

/// The compressed bytes of a file.
pub struct Feed(Kind);

enum Kind {
    Stored {
        stored: Arc<Stored>,
        /// What [`Stored::check`] has allowed so far.
        safe: usize,
    },
    Piped(Pipe),
}

/// What another decoder gives, as much of it as is looked at.
struct Pipe {
    decoder: Box<dyn Decoder>,
    state: State,
    bytes: Vec<u8>,
    /// Where `bytes` begin.
    base: usize,
    findings: Vec<Finding>,
    error: Option<Error>,
}

/// Bytes looked at without asking for the file's size again.
const WINDOW: usize = 1 << 20;

/// Bytes of a pipe that are kept behind the place that is read, to go back to after damage.
const BEHIND: usize = 4 << 20;

/// Bytes a pipe is asked for at a time.
const AHEAD: usize = 64 << 10;

impl Feed {
    /// The bytes of a stored file.
    pub fn new(stored: Arc<Stored>) -> Feed {
        Feed(Kind::Stored { stored, safe: 0 })
    }

    /// What `decoder` gives behind `head`, which it gave already and which ended so.
    pub fn piped(decoder: Box<dyn Decoder>, head: Vec<u8>, state: State) -> Feed {
        let state = if state == State::End { State::End } else { State::More };
        Feed(Kind::Piped(Pipe { decoder, state, bytes: head, base: 0, findings: Vec::new(), error: None }))
    }

    /// Bytes of the file; of a pipe, those it has given so far, which are all once [`Feed::from`] gave none.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Stored { stored, .. } => stored.bytes().len(),
            Kind::Piped(pipe) => pipe.base + pipe.bytes.len(),
        }
    }

    /// True for an empty file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first byte that can still be read: a pipe keeps only so much.
    pub fn earliest(&self) -> usize {
        match &self.0 {
            Kind::Stored { .. } => 0,
            Kind::Piped(pipe) => pipe.base,
        }
    }

    /// The bytes from `at` on: at least `need`, mostly more, less only where the file ends (or was cut short).
    pub fn from(&mut self, at: usize, need: usize) -> &[u8] {
        match &mut self.0 {
            Kind::Stored { stored, safe } => {
                if at.saturating_add(need) > *safe || at >= *safe {
                    if stored.bytes().len() >= RELEASE_FROM {
                        stored.release(at.saturating_sub(BEHIND).saturating_sub(WINDOW)..at.saturating_sub(BEHIND));
                    }
                    *safe = stored.check(at.saturating_add(need.max(WINDOW)));
                }
                &stored.bytes()[at.min(*safe)..(*safe).min(at.saturating_add(WINDOW.max(need)))]
            }
            Kind::Piped(pipe) => pipe.from(at, need),
        }
    }

    /// All bytes of the file, if it is stored and not cut short.
    pub fn all(&self) -> Option<&[u8]> {
        let Kind::Stored { stored, .. } = &self.0 else { return None };
        let length = stored.bytes().len();
        (stored.check(length) == length).then(|| &stored.bytes()[..])
    }

    /// Gives back the memory of a large file, which will not be read further.
    pub fn release(&self) {
        if let Kind::Stored { stored, .. } = &self.0
            && stored.bytes().len() >= RELEASE_FROM
        {
            stored.release(0..stored.bytes().len());
        }
    }

    /// Bytes of the file on the disk that were taken when those up to `at` were.
    pub fn taken(&self, at: usize) -> u64 {
        match &self.0 {
            Kind::Stored { .. } => at as u64,
            Kind::Piped(pipe) => pipe.decoder.taken(),
        }
    }

    /// What the decoders before this feed have found. To be asked after each turn; the findings of whoever reads the
    /// feed, `own`, are placed in the file on the disk.
    ///
    /// # Errors
    /// The error that ended them.
    pub fn settle(&mut self, own: usize, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let Kind::Piped(pipe) = &mut self.0 else { return Ok(()) };
        let outer = pipe.decoder.taken();
        for found in &mut findings[own..] {
            found.message = format!("{} (byte {} of what is compressed in it)", found.message, found.offset);
            found.offset = outer;
            found.lost = 0;
        }
        findings.append(&mut pipe.findings);
        pipe.error.take().map_or(Ok(()), Err)
    }
}

impl Pipe {
    fn from(&mut self, at: usize, need: usize) -> &[u8] {
        if at > self.base + BEHIND * 2 {
            let gone = (at - BEHIND).min(self.base + self.bytes.len()) - self.base;
            self.bytes.drain(..gone);
            self.base += gone;
        }
        let wanted = at.saturating_add(need.max(1));
        while self.base + self.bytes.len() < wanted && self.state != State::End && self.error.is_none() {
            let len = self.bytes.len();
            self.bytes.resize(len + AHEAD, 0);
            let n = match self.decoder.fill(&mut self.bytes[len..], &mut self.findings) {
                Ok((n, state)) => {
                    self.state = state;
                    n
                }
                Err(error) => {
                    self.error = Some(error);
                    0
                }
            };
            self.bytes.truncate(len + n);
        }
        &self.bytes[at.saturating_sub(self.base).min(self.bytes.len())..]
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Stored { stored, .. } => f.debug_tuple("Feed").field(stored).finish(),
            Kind::Piped(_) => f.write_str("Feed(a pipe)"),
        }
    }
}
