//! What the lexer has to know of the text before: the nesting of parentheses and the command it is in.

use super::token::{RESERVED, Sign, Token, TokenKind, is_one_of};

/// The nesting at one place of the text.
pub(super) struct Context {
    frames: Vec<Frame>,
    /// The last token can end an operand, so a `/` behind it divides.
    operand: bool,
    /// The last token is a dot behind an operand, so a name or position follows.
    dot: bool,
}

/// One open parenthesis or bracket, or the query itself.
struct Frame {
    kind: FrameKind,
    /// In a query: the command being read.
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Query,
    Parenthesis,
    Bracket,
}

/// The commands that read some characters differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The next word is a command.
    Next,
    Parse,
    Source,
    FirstSeen,
    /// `let`, `table`: the next command follows without a `|`.
    Prelude,
    /// A parenthesis of its own opens a sub-query.
    WithQuery,
    Other,
}

impl Command {
    fn from_word(word: &str) -> Command {
        const COMMANDS: &[(&str, Command)] = &[
            ("parse", Command::Parse),
            ("source", Command::Source),
            ("firstseen", Command::FirstSeen),
            ("let", Command::Prelude),
            ("table", Command::Prelude),
            ("join", Command::WithQuery),
            ("union", Command::WithQuery),
            ("appendcols", Command::WithQuery),
        ];
        COMMANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map_or(Command::Other, |(_, c)| *c)
    }
}

impl Default for Context {
    fn default() -> Context {
        Context { frames: vec![Frame { kind: FrameKind::Query, command: Command::Next }], operand: false, dot: false }
    }
}

impl Context {
    /// Whether a `/` opens a regular expression: always at the top of `parse`, elsewhere where no operand stands before.
    pub fn wants_regex(&self) -> bool {
        !self.operand || self.at_top_of(Command::Parse)
    }

    /// Whether the last token is the dot of a path.
    pub fn behind_dot(&self) -> bool {
        self.dot
    }

    /// Whether a bare time follows: behind `start=` and `end=` of `source`, and behind `after` of `firstseen`.
    pub fn wants_time(&self, source: &str, tokens: &[Token]) -> bool {
        let word =
            |token: &Token, words| matches!(token.kind, TokenKind::Word) && is_one_of(token.span.text(source), words);
        match tokens {
            [.., option, equals] if self.at_top_of(Command::Source) => {
                matches!(equals.kind, TokenKind::Sign(Sign::Eq)) && word(option, &["start", "end"])
            }
            // A field may be called `after`; the keyword stands behind a field.
            [.., field, after] if self.at_top_of(Command::FirstSeen) => {
                word(after, &["after"])
                    && !matches!(field.kind, TokenKind::Sign(Sign::Comma | Sign::Dot))
                    && !word(field, &["firstseen"])
            }
            _ => false,
        }
    }

    /// Takes note of `token`, which follows `before`.
    pub fn see(&mut self, source: &str, before: &[Token], token: &Token) {
        let behind_dot = std::mem::take(&mut self.dot);
        match &token.kind {
            TokenKind::Sign(sign) => self.see_sign(*sign, source, before),
            TokenKind::Word if behind_dot => self.operand = true,
            TokenKind::Word => {
                let word = token.span.text(source);
                let starts = self.starts_command(source, before);
                if starts && let Some(top) = self.frames.last_mut() {
                    top.command = Command::from_word(word);
                }
                let value = is_one_of(word, &["true", "false", "null"]);
                self.operand = !starts && (value || !is_one_of(word, RESERVED));
            }
            _ => self.operand = true,
        }
    }

    fn at_top_of(&self, command: Command) -> bool {
        self.frames.last().is_some_and(|top| top.kind == FrameKind::Query && top.command == command)
    }

    /// Whether a word here is a command: behind `|`, at the start of a query, or behind the value of a prelude.
    fn starts_command(&self, source: &str, before: &[Token]) -> bool {
        let behind_value = match before {
            [.., equals, value] if matches!(value.kind, TokenKind::Word) => {
                matches!(equals.kind, TokenKind::Sign(Sign::Eq))
                    && is_one_of(value.span.text(source), &["true", "false", "null"])
            }
            [.., value] => matches!(
                value.kind,
                TokenKind::Text { .. }
                    | TokenKind::Number
                    | TokenKind::Duration(_)
                    | TokenKind::Regex(_)
                    | TokenKind::Sign(Sign::CloseList)
            ),
            [] => false,
        };
        self.at_top_of(Command::Next) || self.at_top_of(Command::Prelude) && behind_value
    }

    fn see_sign(&mut self, sign: Sign, source: &str, before: &[Token]) {
        match sign {
            Sign::Pipe => self.next_command(),
            Sign::Semicolon if self.top_is(FrameKind::Query) => self.next_command(),
            Sign::Open => {
                let behind_in = matches!(before, [.., last] if matches!(last.kind, TokenKind::Word)
                    && !self.operand && last.span.text(source).eq_ignore_ascii_case("in"));
                let kind = match behind_in || self.at_top_of(Command::WithQuery) {
                    true => FrameKind::Query,
                    false => FrameKind::Parenthesis,
                };
                self.frames.push(Frame { kind, command: Command::Next });
            }
            Sign::OpenList => self.frames.push(Frame { kind: FrameKind::Bracket, command: Command::Next }),
            Sign::Close => {
                self.close_brackets();
                self.leave();
            }
            Sign::CloseList if self.top_is(FrameKind::Bracket) => self.leave(),
            _ => {}
        }
        self.dot = sign == Sign::Dot && self.operand;
        self.operand = matches!(sign, Sign::Close | Sign::CloseList);
    }

    /// A `|` ends whatever was left open in its stage.
    fn next_command(&mut self) {
        while !self.top_is(FrameKind::Query) {
            self.leave();
        }
        if let Some(top) = self.frames.last_mut() {
            top.command = Command::Next;
        }
    }

    fn close_brackets(&mut self) {
        while self.top_is(FrameKind::Bracket) {
            self.leave();
        }
    }

    /// Leaves the innermost frame; the outermost, the query itself, stays.
    fn leave(&mut self) {
        if self.frames.len() > 1 {
            self.frames.pop();
        }
    }

    fn top_is(&self, kind: FrameKind) -> bool {
        self.frames.last().is_some_and(|top| top.kind == kind)
    }
}
