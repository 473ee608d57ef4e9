//! The token stream as a nom input, the faults parsers return, and the smallest parsers.
//!
//! Convention: a parser returns [`nom::Err::Error`] only if it has taken nothing, so that `opt`, `alt` and `many0` may try
//! something else; once it has taken a token it fails with [`nom::Err::Failure`] (nom's `cut`).

use std::cell::{Cell, RefCell};

use nom::combinator::cut;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Needed, Parser};

use crate::diag::{Diagnostic, MOST_DIAGNOSTICS, Severity};
use crate::lex::token::{Sign, Token, TokenKind};
use crate::span::Span;

/// The result of every parser here.
pub(crate) type Found<'a, O> = IResult<Input<'a>, O, Fault>;

/// A place in the token stream. The stream always ends with a [`TokenKind::End`] token.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub state: &'a State<'a>,
    /// Index of the next token.
    pub at: usize,
    /// One past the last token that may be read.
    end: usize,
}

/// What is known about the whole query while it is being parsed.
pub(crate) struct State<'a> {
    pub source: &'a str,
    pub tokens: &'a [Token],
    /// Errors so far. Parsers report only when nothing can make them try the same text again.
    pub errors: RefCell<Vec<Diagnostic>>,
    /// Notes so far.
    pub notes: RefCell<Vec<Diagnostic>>,
    /// What would have been right at the furthest token looked at.
    expected: RefCell<Expected>,
    /// Levels of recursion now open.
    pub depth: Cell<usize>,
    /// Height of the tallest expression of the query being parsed.
    pub tallest: Cell<usize>,
    /// `asc` and `desc` are reserved.
    pub in_sort: Cell<bool>,
}

#[derive(Default)]
struct Expected {
    at: usize,
    what: Vec<Label>,
}

/// Something that could stand at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// Shown in backquotes.
    Exactly(&'static str),
    /// Shown as it is, e.g. `an expression`.
    Kind(&'static str),
}

/// Why a parser gave up, and at which token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub at: usize,
    /// A diagnostic has been added for it.
    pub reported: bool,
}

impl<'a> State<'a> {
    /// The state before the first token. `tokens` must end with an [`TokenKind::End`] token.
    pub fn new(source: &'a str, tokens: &'a [Token]) -> State<'a> {
        State {
            source,
            tokens,
            errors: RefCell::default(),
            notes: RefCell::default(),
            expected: RefCell::default(),
            depth: Cell::new(0),
            tallest: Cell::new(0),
            in_sort: Cell::new(false),
        }
    }

    /// Adds a finding, unless there are plenty.
    pub fn report(&self, diagnostic: Diagnostic) {
        let list = if diagnostic.severity == Severity::Error { &self.errors } else { &self.notes };
        let mut list = list.borrow_mut();
        if list.len() < MOST_DIAGNOSTICS {
            list.push(diagnostic);
        }
    }

    /// What would have been right at token `at`, in the order it was tried.
    pub fn expected_at(&self, at: usize) -> Vec<Label> {
        let expected = self.expected.borrow();
        if expected.at == at { expected.what.clone() } else { Vec::new() }
    }

    fn expect(&self, at: usize, label: Label) {
        let mut expected = self.expected.borrow_mut();
        if at > expected.at {
            *expected = Expected { at, what: Vec::new() };
        }
        if at == expected.at && !expected.what.contains(&label) {
            expected.what.push(label);
        }
    }
}

impl<'a> Input<'a> {
    /// The start of `state`'s tokens.
    pub fn start(state: &'a State<'a>) -> Input<'a> {
        Input { state, at: 0, end: state.tokens.len() }
    }

    /// The next token; at the end, the end token again and again.
    pub fn peek(self) -> &'a Token {
        self.peek_at(0)
    }

    /// The token `ahead` of the next one.
    pub fn peek_at(self, ahead: usize) -> &'a Token {
        let last = self.state.tokens.len() - 1;
        &self.state.tokens[(self.at + ahead).min(last)]
    }

    /// The place behind the next token.
    pub fn skip(self) -> Input<'a> {
        Input { at: (self.at + 1).min(self.end), ..self }
    }

    /// The place before token `at`.
    pub fn to_token(self, at: usize) -> Input<'a> {
        Input { at: at.min(self.end), ..self }
    }

    /// The token before this place, if any.
    pub fn previous(self) -> Option<&'a Token> {
        self.at.checked_sub(1).and_then(|at| self.state.tokens.get(at))
    }

    /// Where the text read before this place ends, in bytes.
    pub fn end_of_previous(self) -> usize {
        self.previous().map_or(0, |token| token.span.end)
    }

    /// From the start of the next token of `self` to the end of the token before `after`.
    pub fn span_to(self, after: Input<'a>) -> Span {
        let start = self.peek().span.start;
        Span::new(start, after.end_of_previous().max(start))
    }

    /// The source text of a token.
    pub fn text(self, token: &Token) -> &'a str {
        token.span.text(self.state.source)
    }

    /// Whether the token `ahead` is the plain word `word`, in any case.
    pub fn is_word(self, ahead: usize, word: &str) -> bool {
        let token = self.peek_at(ahead);
        matches!(token.kind, TokenKind::Word) && self.text(token).eq_ignore_ascii_case(word)
    }

    /// Whether the token `ahead` is `sign`.
    pub fn is_sign(self, ahead: usize, sign: Sign) -> bool {
        matches!(self.peek_at(ahead).kind, TokenKind::Sign(s) if s == sign)
    }

    /// Gives up here without having taken anything, and remembers what would have been right.
    pub fn miss<O>(self, label: Label) -> Found<'a, O> {
        self.state.expect(self.at, label);
        Err(nom::Err::Error(Fault { at: self.at, reported: false }))
    }

    /// Gives up for good, with a diagnostic of its own.
    pub fn fail<O>(self, diagnostic: Diagnostic) -> Found<'a, O> {
        self.state.report(diagnostic);
        Err(nom::Err::Failure(Fault { at: self.at, reported: true }))
    }
}

impl<'a> nom::Input for Input<'a> {
    type Item = &'a Token;
    type Iter = std::slice::Iter<'a, Token>;
    type IterIndices = std::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.end - self.at
    }

    fn take(&self, index: usize) -> Self {
        Input { end: self.at + index, ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        Input { at: self.at + index, ..*self }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.iter_elements().position(predicate)
    }

    fn iter_elements(&self) -> Self::Iter {
        self.state.tokens[self.at..self.end].iter()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if self.input_len() >= count { Ok(count) } else { Err(Needed::new(count - self.input_len())) }
    }
}

impl<'a> ParseError<Input<'a>> for Fault {
    fn from_error_kind(input: Input<'a>, _: ErrorKind) -> Fault {
        Fault { at: input.at, reported: false }
    }

    fn append(_: Input<'a>, _: ErrorKind, other: Fault) -> Fault {
        other
    }
}

/// The sign `sign`.
pub(crate) fn sign<'a>(sign: Sign) -> impl Fn(Input<'a>) -> Found<'a, Span> + Copy {
    move |input| match input.is_sign(0, sign) {
        true => Ok((input.skip(), input.peek().span)),
        false => input.miss(Label::Exactly(sign.text())),
    }
}

/// The keyword `word`, in any case.
pub(crate) fn word<'a>(word: &'static str) -> impl Fn(Input<'a>) -> Found<'a, Span> + Copy {
    move |input| match input.is_word(0, word) {
        true => Ok((input.skip(), input.peek().span)),
        false => input.miss(Label::Exactly(word)),
    }
}

/// `item, item, …`: at least one; behind a comma there must be another.
pub(crate) fn comma_list<'a, O>(
    item: impl Parser<Input<'a>, Output = O, Error = Fault> + Copy,
) -> impl FnMut(Input<'a>) -> Found<'a, Vec<O>> {
    // By hand: lists nest in expressions, and nom's combinators would cost several frames a level.
    move |input| {
        let (mut input, first) = { item }.parse(input)?;
        let mut items = vec![first];
        while let Ok((after, _)) = sign(Sign::Comma)(input) {
            let (after, item) = cut(item).parse(after)?;
            items.push(item);
            input = after;
        }
        Ok((input, items))
    }
}
