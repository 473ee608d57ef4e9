//! Where records lie in a file of JSON that is not one object a line.
//!
//! Values may follow each other with or without white space between them, as elements of a list, or as elements of a list
//! that is the one thing of interest in an object around it: an [`Envelope`]. The [`Framer`] walks over such text and says
//! where records are. What it must know to go on in the middle of a file is one of a few [`State`]s, so a file can be cut
//! between any two records and the pieces read by different workers.

use super::nesting::{Ending, ending};
use crate::formats::Place;
use backsight_engine::value::json::Cursor;

/// An object whose records are the elements of one of its lists.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// The key of the list.
    pub list: &'static str,
    /// Keys that may stand before it. What stands behind it does not matter: by then the list has been read.
    pub before: &'static [&'static str],
    /// What its elements start with.
    pub element: u8,
    /// Keys of which an element has one first, if such lists have other things in them elsewhere.
    pub first: &'static [&'static str],
}

/// The objects of which only a list matters. Those with few records that need what is beside the list are not among
/// them: they are records themselves until they are read.
pub(crate) const ENVELOPES: &[Envelope] = &[
    // CloudTrail, and notifications of S3, SQS and SNS.
    Envelope { list: "Records", before: &[], element: b'{', first: &[] },
    // `aws cloudtrail lookup-events`
    Envelope {
        list: "Events",
        before: &["NextToken"],
        element: b'{',
        first: &["EventId", "EventName", "EventTime", "AccessKeyId", "CloudTrailEvent", "EventSource"],
    },
    // `aws logs filter-log-events` and `get-log-events`
    Envelope {
        list: "events",
        before: &["nextToken", "searchedLogStreams", "nextForwardToken", "nextBackwardToken", "ResponseMetadata"],
        element: b'{',
        first: &["logStreamName", "timestamp", "message", "ingestionTime", "eventId"],
    },
    // `aws logs get-query-results`: a record is a list of fields.
    Envelope {
        list: "results",
        before: &["queryLanguage", "encryptionKey", "status", "statistics", "ResponseMetadata"],
        element: b'[',
        first: &[],
    },
    // AWS Config: history and snapshots.
    Envelope { list: "configurationItems", before: &["fileVersion", "configSnapshotId"], element: b'{', first: &[] },
    // `aws guardduty get-findings`, `aws securityhub get-findings`
    Envelope { list: "Findings", before: &["NextToken", "ResponseMetadata"], element: b'{', first: &[] },
    // Kubernetes: lists of audit events.
    Envelope {
        list: "items",
        before: &["kind", "apiVersion", "metadata"],
        element: b'{',
        first: &["level", "auditID", "kind", "stage", "requestURI", "annotations"],
    },
];

/// What an object turns out to be, as far as its first bytes tell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opening {
    /// An envelope; the offset is that behind the opening bracket of its list.
    Envelope(&'static Envelope, usize),
    /// No envelope: a record.
    Record,
    /// More bytes are needed to tell.
    Unknown,
}

/// Looks at the start of an object.
pub(crate) fn opening(text: &[u8]) -> Opening {
    opened(text).unwrap_or(Opening::Record)
}

/// `None`: no envelope.
fn opened(text: &[u8]) -> Option<Opening> {
    let mut cursor = Cursor::new(text);
    cursor.enter_map().ok()?;
    // What it still can be.
    let mut candidates: Vec<&Envelope> = ENVELOPES.iter().collect();
    let mut first = true;
    loop {
        let Ok(key) = cursor.key(&mut first) else { return cut_off(text) };
        let key = key?;
        let list = candidates.iter().find(|e| key.is(e.list.as_bytes()));
        if let Some(envelope) = list
            && cursor.peek().is_none_or(|c| c == b'[')
        {
            cursor.enter_list().ok().or_else(|| cursor.peek().is_none().then_some(()))?;
            let at = cursor.at();
            return match cursor.peek() {
                None => cut_off(text),
                Some(b']') => Some(Opening::Envelope(envelope, at)),
                Some(c) if c != envelope.element => None,
                Some(_) if envelope.first.is_empty() => Some(Opening::Envelope(envelope, at)),
                Some(_) => {
                    cursor.enter_map().ok()?;
                    match cursor.key(&mut true) {
                        Ok(Some(key)) if envelope.first.iter().any(|k| key.is(k.as_bytes())) => {
                            Some(Opening::Envelope(envelope, at))
                        }
                        Ok(_) => None,
                        Err(_) => cut_off(text),
                    }
                }
            };
        }
        candidates.retain(|e| e.before.iter().any(|b| key.is(b.as_bytes())));
        if candidates.is_empty() {
            return None;
        }
        if cursor.value().is_err() {
            return cut_off(text);
        }
    }
}

/// What is to be said about an object that is not well-formed up to its end.
fn cut_off(text: &[u8]) -> Option<Opening> {
    (ending(text) == Ending::Open).then_some(Opening::Unknown)
}

/// Where a [`Framer`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Between values of the file.
    #[default]
    Top,
    /// In a list.
    List,
    /// In the list of an envelope.
    Records,
    /// In an envelope, behind its list.
    Envelope,
    /// Behind a gap: anywhere. Brackets that close something close what is not known.
    Lost,
}

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A record: a list or map, whole as far as its brackets tell.
    Record(usize, usize),
    /// Something that is no record: text that is no JSON, or a value without fields.
    Text(usize, usize),
    /// Something that starts here and does not end in the data.
    Cut(usize),
    /// Nothing more.
    End,
}

/// Walks over text from record to record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framer {
    pub state: State,
}

impl Framer {
    /// The next piece of `data` at or behind `at`. The data may end anywhere.
    pub fn next(&mut self, data: &[u8], mut at: usize) -> Piece {
        loop {
            let Some(byte) = data.get(at) else { return Piece::End };
            match (byte, self.state) {
                (b' ' | b'\t' | b'\r' | b'\n' | b',', _) => at += 1,
                (0xef, State::Top) if data[at..].starts_with(b"\xef\xbb\xbf") => at += 3,
                (b']', State::List) => {
                    self.state = State::Top;
                    at += 1;
                }
                (b']', State::Records) => {
                    self.state = State::Envelope;
                    at += 1;
                }
                (b'}', State::Envelope) => {
                    self.state = State::Top;
                    at += 1;
                }
                (b'"', State::Envelope) => match member(&data[at..]) {
                    Some(len) => at += len,
                    None => return Piece::Cut(at),
                },
                (b']' | b'}', State::Lost) => at += 1,
                (b'[', State::Top | State::Lost) => match data[at + 1..].iter().find(|b| !b.is_ascii_whitespace()) {
                    // A list of anything else is not a list of records.
                    Some(b'{' | b']') => {
                        self.state = State::List;
                        at += 1;
                    }
                    Some(_) => return self.value(data, at),
                    None => return Piece::Cut(at),
                },
                (b'{', State::Top | State::Lost) => match opening(&data[at..]) {
                    Opening::Envelope(_, len) => {
                        self.state = State::Records;
                        at += len;
                    }
                    Opening::Record => return self.value(data, at),
                    Opening::Unknown => return Piece::Cut(at),
                },
                (b'{' | b'[', State::List | State::Records) => return self.value(data, at),
                _ => return self.text(data, at),
            }
        }
    }

    /// All pieces of `data`, in which what is cut off is no record.
    pub fn places(mut self, data: &[u8]) -> impl Iterator<Item = Place> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (start, end, is_record) = match self.next(data, at) {
                Piece::Record(start, end) => (start, end, true),
                Piece::Text(start, end) => (start, end, false),
                Piece::Cut(start) => (start, data.len(), false),
                Piece::End => return None,
            };
            at = end;
            Some(Place { start, end, is_record })
        })
    }

    fn value(self, data: &[u8], at: usize) -> Piece {
        match ending(&data[at..]) {
            Ending::At(len) => Piece::Record(at, at + len),
            Ending::Open => Piece::Cut(at),
            Ending::Broken(len) => Piece::Text(at, at + len),
        }
    }

    /// Something that is no list and no map, up to where a record may start again.
    fn text(self, data: &[u8], at: usize) -> Piece {
        let listed = matches!(self.state, State::List | State::Records);
        let mut inside = Cursor::new(&data[at..]);
        // A string that is none reaches to where that shows: what a piece is must not depend on what follows it.
        let skipped = match data[at] {
            b'"' if listed => match inside.string() {
                Ok(_) => inside.at(),
                Err(fault) if at + fault.at < data.len() => fault.at,
                Err(_) => return Piece::Cut(at),
            },
            _ => 1,
        };
        let mut rest = data[at + skipped..].iter();
        match rest.position(|b| matches!(b, b'\n' | b'{') || listed && matches!(b, b',' | b']')) {
            Some(len) => Piece::Text(at, at + skipped + len),
            None => Piece::Cut(at),
        }
    }
}

/// Length of a key and its value at the start of `text`; `None` if it is cut off, or no member at all.
fn member(text: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(text);
    cursor.string().ok()?;
    let colon = cursor.at() + text[cursor.at()..].iter().position(|b| !b.is_ascii_whitespace())?;
    let value = colon + 1 + text[colon + 1..].iter().position(|b| !b.is_ascii_whitespace())?;
    match text[value] {
        b'{' | b'[' => match ending(&text[value..]) {
            Ending::At(len) => Some(value + len),
            _ => None,
        },
        b'"' => {
            let mut cursor = Cursor::new(&text[value..]);
            cursor.string().ok()?;
            Some(value + cursor.at())
        }
        _ => text[value..].iter().position(|b| matches!(b, b',' | b'}')).map(|len| value + len),
    }
}
