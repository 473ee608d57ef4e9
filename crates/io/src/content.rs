//! A file with its compression opened, layer by layer.

use crate::bytes::Stored;
use crate::codec::{self, Again, Codec, Decoder, Deflated, Feed, Finding, Identity, State, Utf16};
use crate::formats::{HEAD, Pass};
use crate::input::{Input, Method};
use backsight_engine::error::Error;
use backsight_engine::source::Weight;
use std::sync::Arc;

/// A file with its compression opened.
pub(crate) struct Content {
    /// The outermost compression.
    pub codec: Option<&'static Codec>,
    /// The first bytes, decompressed; at least one unless there are none.
    pub head: Vec<u8>,
    pub body: Body,
    /// What was noticed on the way.
    pub findings: Vec<Finding>,
    /// The bytes as stored, where they lie by themselves.
    pub stored: Option<Arc<Stored>>,
}

/// What a file holds.
pub(crate) enum Body {
    /// As stored.
    Plain(Arc<Stored>),
    /// What follows the head, and how that ended.
    Decoded(Box<dyn Decoder>, State),
}

/// Compression within compression that is followed.
const MAX_NESTING: usize = 3;

impl Content {
    /// Opens a file. `glance`: only its first bytes are wanted.
    pub(crate) fn open(input: &Input, glance: bool) -> Result<Content, Error> {
        let (stored, method) = input.stored()?;
        let kept = Some(Arc::clone(&stored));
        let mut findings = Vec::new();
        let (head, body) = match method {
            Method::Deflated { crc, size } => {
                let decoder = Box::new(Deflated::new(Feed::new(stored), crc, size));
                start_decoding(decoder, glance, &mut findings)?
            }
            Method::Stored { crc, size } => {
                findings.extend(codec::checked(&stored, crc, size));
                plain(stored)
            }
            Method::Plain => plain(stored),
        };
        Ok(Content { stored: kept, ..Content::layers(input, (head, body), glance, findings)? })
    }

    /// Opens what a decoder gives.
    pub(crate) fn of(input: &Input, decoder: Box<dyn Decoder>) -> Result<Content, Error> {
        let mut findings = Vec::new();
        let opened = start_decoding(decoder, false, &mut findings)?;
        Content::layers(input, opened, false, findings)
    }

    fn layers(
        input: &Input,
        (mut head, mut body): (Vec<u8>, Body),
        glance: bool,
        mut findings: Vec<Finding>,
    ) -> Result<Content, Error> {
        let mut outermost = None;
        let mut depth = 0;
        while let Some(codec) = codec::sniff(&head) {
            if depth == MAX_NESTING {
                let why = format!("compressed more than {MAX_NESTING} times");
                return Err(Error::Input { file: input.shown.clone(), offset: None, why });
            }
            depth += 1;
            outermost = outermost.or(Some(codec));
            let feed = match body {
                Body::Plain(stored) => Feed::new(stored),
                Body::Decoded(decoder, state) => Feed::piped(decoder, head, state),
            };
            (head, body) = start_decoding((codec.open)(feed), glance, &mut findings)?;
        }
        if let Some(order) = Utf16::sniff(&head) {
            let bytes: Box<dyn Decoder> = match body {
                Body::Plain(stored) => Box::new(Identity::new(Feed::new(stored))),
                Body::Decoded(decoder, state) => Box::new(Again::new(decoder, head, state)),
            };
            (head, body) = start_decoding(Box::new(Utf16::new(bytes, order)), glance, &mut findings)?;
        }
        Ok(Content { codec: outermost, head, body, findings, stored: None })
    }
}

fn plain(stored: Arc<Stored>) -> (Vec<u8>, Body) {
    let head = stored.bytes()[..stored.check(HEAD)].to_vec();
    (head, Body::Plain(stored))
}

/// Decompresses the first bytes.
fn start_decoding(
    mut decoder: Box<dyn Decoder>,
    glance: bool,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<u8>, Body), Error> {
    if glance {
        decoder.expect_little();
    }
    let mut head = vec![0; HEAD];
    let mut len = 0;
    let mut state = State::More;
    while len < HEAD && state == State::More {
        let (n, now) = decoder.fill(&mut head[len..], findings)?;
        len += n;
        state = now;
        // Nothing before the first damage: look behind it.
        if len == 0 && matches!(state, State::Gap | State::Break) {
            state = State::More;
        }
    }
    head.truncate(len);
    Ok((head, Body::Decoded(decoder, state)))
}

/// Bytes a file that is needed as a whole may decompress to.
const WHOLE: usize = 256 << 20;

/// Decompresses all of a file into memory, for what needs it so.
pub(crate) fn decode_all(
    pass: &Pass<'_>,
    mut decoder: Box<dyn Decoder>,
    head: Vec<u8>,
    state: State,
) -> Result<Vec<u8>, Error> {
    let fail = |offset, why: String| Error::Input { file: pass.input.shown.clone(), offset, why };
    let (mut bytes, mut state) = (head, state);
    let mut findings = Vec::new();
    while state == State::More {
        let len = bytes.len();
        bytes.resize((len * 2).max(1 << 20), 0);
        let (n, now) = decoder.fill(&mut bytes[len..], &mut findings)?;
        bytes.truncate(len + n);
        state = now;
        pass.input.expands(n as u64, (decoder.taken(), bytes.len() as u64), pass.options)?;
        if bytes.len() > WHOLE {
            let why = format!("holds more than {} MiB that are needed at once; decompress it first", WHOLE >> 20);
            return Err(fail(None, why));
        }
    }
    if let Some(found) = findings.into_iter().find(|f| f.weight == Weight::Damage) {
        return Err(fail(Some(found.offset), found.message));
    }
    Ok(bytes)
}
