//! Text to tokens. Never fails: what is not a token is reported and becomes one the parser knows to be faulty.
//!
//! Two things depend on more than the next character: whether `/` divides or opens a regular expression, and where a
//! bare time (`start=2024-05-01T10:00:00Z`) stands. [`context`] follows the nesting and the command for them.

mod context;
pub(crate) mod literal;
pub(crate) mod token;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, satisfy};
use nom::combinator::{opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

use self::context::Context;
use self::literal::Period;
use self::token::{SIGNS, Token, TokenKind, continues_name, starts_name};
use crate::ast::{Comment, Duration, Unit};
use crate::diag::{Diagnostic, MOST_DIAGNOSTICS};
use crate::span::Span;

/// What the lexer found.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    /// In order; the last one is [`TokenKind::End`].
    pub tokens: Vec<Token>,
    /// In order.
    pub comments: Vec<Comment>,
    /// In order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Cuts `source` into tokens. Takes time linear in its length.
pub(crate) fn lex(source: &str) -> Lexed {
    let mut lexer = Lexer { source, rest: source, context: Context::default(), out: Lexed::default() };
    // A byte order mark is how some editors begin a file, not part of the query.
    lexer.rest = source.strip_prefix('\u{feff}').unwrap_or(source);
    while lexer.step() {}
    lexer.out
}

struct Lexer<'a> {
    source: &'a str,
    rest: &'a str,
    context: Context,
    out: Lexed,
}

impl<'a> Lexer<'a> {
    /// Reads one token or one comment; false behind the last.
    fn step(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let rest = self.rest;
        let Some(first) = rest.chars().next() else {
            self.push(TokenKind::End, rest);
            return false;
        };
        match first {
            '#' => self.comment(),
            _ if self.context.wants_time(self.source, &self.out.tokens) && raw(rest).is_ok() => {
                self.accept(TokenKind::Raw, raw(rest))
            }
            '"' | '\'' => self.string(first),
            '`' => self.quoted(),
            '@' if rest.starts_with("@`") => self.quoted(),
            '$' if param(rest).is_ok() => self.accept(TokenKind::Param, param(rest)),
            '/' if self.context.wants_regex() => self.regex(),
            _ if self.context.behind_dot() && continues_name(first) => self.tail(),
            _ if starts_name(first) => self.accept(TokenKind::Word, word(rest)),
            _ if first.is_ascii_digit() => self.number(),
            _ => self.sign(first),
        }
        true
    }

    /// Adds a token that reaches up to `after`.
    fn push(&mut self, kind: TokenKind, after: &'a str) {
        self.push_with(kind, after, false);
    }

    fn push_with(&mut self, kind: TokenKind, after: &'a str, faulty: bool) {
        let token = Token { kind, span: self.span_to(after), faulty };
        self.rest = after;
        self.context.see(self.source, &self.out.tokens, &token);
        self.out.tokens.push(token);
    }

    /// From the next character up to `after`.
    fn span_to(&self, after: &str) -> Span {
        Span::new(self.source.len() - self.rest.len(), self.source.len() - after.len())
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.out.diagnostics.len() < MOST_DIAGNOSTICS {
            self.out.diagnostics.push(diagnostic);
        }
    }

    /// Adds a token whose text a parser has recognised; the match arm has already checked that it does.
    fn accept(&mut self, kind: TokenKind, recognised: IResult<&'a str, &'a str>) {
        match recognised {
            Ok((after, _)) => self.push(kind, after),
            Err(_) => self.unexpected(),
        }
    }

    fn comment(&mut self) {
        let end = self.rest.find(['\r', '\n']).unwrap_or(self.rest.len());
        let (text, after) = self.rest.split_at(end);
        self.out.comments.push(Comment { text: text.trim_end().to_string(), span: self.span_to(after) });
        self.rest = after;
    }

    fn string(&mut self, quote: char) {
        let body = literal::string_body(quote, &self.rest[1..]);
        let Ok((after, raw)) = body else { return self.unexpected() };
        let kind = TokenKind::Text { text: literal::unescape(raw), raw: raw.to_string() };
        match after.strip_prefix(quote) {
            Some(after) => self.push(kind, after),
            None => self.unterminated("E003", "unterminated string literal", kind),
        }
    }

    fn quoted(&mut self) {
        match quoted(self.rest) {
            Ok((after, _)) => self.push(TokenKind::Quoted, after),
            Err(_) => self.unterminated("E005", "unterminated quoted name", TokenKind::Quoted),
        }
    }

    fn regex(&mut self) {
        let Some((mut regex, after)) = literal::regex(self.rest) else {
            return self.unterminated("E004", "unterminated regular expression", TokenKind::Invalid);
        };
        let letters = after.find(|c| !continues_name(c)).unwrap_or(after.len());
        let (flags, behind) = after.split_at(letters);
        if flags.chars().all(|c| "ismx".contains(c)) {
            regex.flags = flags.to_string();
            self.push(TokenKind::Regex(regex), behind);
        } else if token::is_one_of(flags, token::RESERVED) {
            self.push(TokenKind::Regex(regex), after);
        } else {
            self.push_with(TokenKind::Regex(regex), behind, true);
            let end = self.source.len() - behind.len();
            let message = format!("expected regex flags out of `i`, `s`, `m` and `x`, found `{flags}`");
            self.report(Diagnostic::error("E002", Span::new(end - flags.len(), end), message));
        }
    }

    /// Everything up to the end of the line is one faulty token.
    fn unterminated(&mut self, code: &'static str, message: &str, kind: TokenKind) {
        let end = self.rest.find(['\r', '\n']).unwrap_or(self.rest.len());
        let after = &self.rest[end..];
        let opening = self.rest.chars().next().unwrap_or('"');
        let help = format!("close it with `{opening}`").replace("```", "a backtick");
        self.report(Diagnostic::error(code, self.span_to(after), message).help(help));
        self.push_with(kind, after, true);
    }

    /// Behind a dot every word is a name, and digits are a position and never begin a fraction.
    fn tail(&mut self) {
        let tail: IResult<&str, &str> = take_while1(continues_name).parse(self.rest);
        let digits = matches!(&tail, Ok((_, text)) if text.bytes().all(|b| b.is_ascii_digit()));
        self.accept(if digits { TokenKind::Number } else { TokenKind::Word }, tail);
    }

    fn number(&mut self) {
        let Ok((after, quantity)) = literal::quantity(self.rest) else { return self.unexpected() };
        if quantity.unit.is_empty() {
            return self.push(TokenKind::Number, after);
        }
        let span = self.span_to(after);
        // Whatever is wrong with it is said here; the parser goes on with some duration.
        let stand_in = TokenKind::Duration(Duration { count: 1, unit: Unit::Minute });
        match quantity.period() {
            Period::Valid(duration) => self.push(TokenKind::Duration(duration), after),
            Period::UnknownUnit => {
                let message = format!("unknown time unit `{}`", quantity.unit);
                let help = format!("units are {}", literal::unit_symbols());
                self.report(Diagnostic::error("E031", span, message).help(help));
                self.push_with(stand_in, after, true);
            }
            Period::BadCount => {
                let help = "a whole number of at least 1 and a unit";
                self.report(Diagnostic::error("E034", span, "expected a period such as 5m").help(help));
                self.push_with(stand_in, after, true);
            }
        }
    }

    fn sign(&mut self, first: char) {
        let rest = self.rest;
        if let Some((text, sign)) = SIGNS.iter().find(|(text, _)| rest.starts_with(text)) {
            return self.push(TokenKind::Sign(*sign), &rest[text.len()..]);
        }
        match closing_quote(first) {
            Some(closing) => self.typographic(first, closing),
            None => self.unexpected(),
        }
    }

    /// A string in typographic quotes: reported once, at the opening quote, then read as the string it is meant to be.
    fn typographic(&mut self, first: char, closing: &[char]) {
        let body = &self.rest[first.len_utf8()..];
        let line = &body[..body.find(['\r', '\n']).unwrap_or(body.len())];
        let Some(end) = line.find(closing) else { return self.unexpected() };
        let message = format!("unexpected character `{first}`");
        self.report(Diagnostic::error("E006", self.span_to(body), message).help("use `\"`"));
        let raw = &line[..end];
        let after = body[end..].trim_start_matches(closing);
        let kind = TokenKind::Text { text: literal::unescape(raw), raw: raw.to_string() };
        self.push_with(kind, after, true);
    }

    /// Reports the next character, and passes over all that follow it and cannot begin a token either.
    fn unexpected(&mut self) {
        let rest = self.rest;
        let first = rest.chars().next().unwrap_or(' ');
        let shown = if first.is_control() || is_invisible(first) {
            format!("U+{:04X}", u32::from(first))
        } else {
            first.to_string()
        };
        let after_first = &rest[first.len_utf8().min(rest.len())..];
        let diagnostic =
            Diagnostic::error("E006", self.span_to(after_first), format!("unexpected character `{shown}`"));
        self.report(match plain_form(first) {
            Some(plain) => diagnostic.help(format!("use {plain}")),
            None => diagnostic,
        });
        let after = after_first.trim_start_matches(is_alien);
        self.push_with(TokenKind::Invalid, after, true);
    }
}

/// The quotes that may end what `opening` begins, if it is a quote of typography.
fn closing_quote(opening: char) -> Option<&'static [char]> {
    match opening {
        '“' | '”' | '„' | '«' | '»' => Some(&['”', '“', '»', '«']),
        '‘' | '’' | '‚' => Some(&['’', '‘']),
        _ => None,
    }
}

/// What to write instead of a character that text processors like to put in.
fn plain_form(c: char) -> Option<&'static str> {
    match c {
        '“' | '”' | '„' | '«' | '»' => Some("`\"`"),
        '‘' | '’' | '‚' | '´' => Some("`'`"),
        '–' | '—' | '−' | '‐' | '‑' => Some("`-`"),
        '≠' => Some("`!=`"),
        '≤' => Some("`<=`"),
        '≥' => Some("`>=`"),
        '×' => Some("`*`"),
        '÷' => Some("`/`"),
        '…' => Some("`...`"),
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => Some("a plain space"),
        '&' => Some("`and`"),
        '\\' => Some("quotes around text that holds a backslash"),
        _ => None,
    }
}

pub(crate) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether `c` can begin no token at all.
fn is_alien(c: char) -> bool {
    let known = c.is_ascii_digit() || starts_name(c) || closing_quote(c).is_some();
    !known && !" \t\r\n#\"'`$&~".contains(c) && !SIGNS.iter().any(|(text, _)| text.starts_with(c))
}

fn word(text: &str) -> IResult<&str, &str> {
    recognize(pair(satisfy(starts_name), take_while(continues_name))).parse(text)
}

fn quoted(text: &str) -> IResult<&str, &str> {
    let plain = recognize(satisfy(|c| !"`\r\n".contains(c)));
    let name = delimited(char('`'), many0_count(alt((plain, tag("``")))), char('`'));
    recognize(preceded(opt(tag("@")), name)).parse(text)
}

/// The text of a name token: without backticks around it, two in it for one.
pub(crate) fn unquoted(token: &str) -> String {
    let (at, name) = if token.starts_with("@`") { token.split_at(1) } else { ("", token) };
    let inner = name.strip_prefix('`').map_or(name, |name| name.strip_suffix('`').unwrap_or(name));
    format!("{at}{}", inner.replace("``", "`"))
}

fn param(text: &str) -> IResult<&str, &str> {
    recognize(preceded(char('$'), word)).parse(text)
}

fn raw(text: &str) -> IResult<&str, &str> {
    take_while1(|c: char| !c.is_whitespace() && !"|);#\"'".contains(c)).parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter per kind of token, for tables of cases.
    fn kinds(source: &str) -> String {
        let letter = |token: &Token| match &token.kind {
            TokenKind::Word => "w",
            TokenKind::Quoted => "q",
            TokenKind::Text { .. } => "t",
            TokenKind::Number => "n",
            TokenKind::Duration(_) => "d",
            TokenKind::Regex(_) => "r",
            TokenKind::Param => "p",
            TokenKind::Raw => "~",
            TokenKind::Sign(sign) => sign.text(),
            TokenKind::Invalid => "?",
            TokenKind::End => "",
        };
        lex(source).tokens.iter().map(letter).collect()
    }

    #[test]
    fn slashes() {
        let cases = [
            ("fields a / b / c", "ww/w/w"),
            ("filter a like /b/", "wwwr"),
            ("filter a LIKE /b/i and c / 2 > 1", "wwwrww/n>n"),
            ("filter a =~ /b/", "ww=~r"),
            ("filter /b/", "wr"),
            ("fields (a) / b[0] / c", "w(w)/w[n]/w"),
            ("fields regexReplace(a, /b/, c / d)", "ww(w,r,w/w)"),
            ("parse /a/", "wr"),
            ("parse @message /a/ as b | fields c / d / e", "wwrww|ww/w/w"),
            ("parse concat(a / b / c) /x/", "ww(w/w/w)r"),
            ("fields parse / b / c", "ww/w/w"),
            ("fields a.like / b / c", "ww.w/w/w"),
            ("filter a in (parse b /x/ | fields c / d / e) | fields a / b / c", "www(wwr|ww/w/w)|ww/w/w"),
            ("let a = 5 parse /x/", "ww=nwr"),
            ("let a = true parse b /x/", "ww=wwwr"),
            ("table b from \"x\" parse c /x/", "wwwtwwr"),
            ("union (parse a /x/)", "w(wwr)"),
            ("filter (a | parse b /x/", "w(w|wwr"),
            ("filter `a` / `b` / 2", "wq/q/n"),
            ("filter $a / $b / 5m", "wp/p/d"),
            ("filter @message like /$routes/", "wwwr"),
        ];
        for (source, expected) in cases {
            assert_eq!(kinds(source), expected, "{source}");
        }
    }

    #[test]
    fn names_numbers_and_times() {
        let cases = [
            ("fields a.0.b", "ww.n.w"),
            ("fields a.1.0", "ww.n.n"),
            ("fields a.24h.x", "ww.w.w"),
            ("fields a.`b c`.@`d`", "ww.q.q"),
            ("@`aws.tag:x` @x", "qw"),
            ("1.5 2e3 2E-3 5m 90secs", "nnndd"),
            ("fields 1e6x, 10.0.0.1", "wd,n.n.n"),
            ("source 'a' start=2024-05-01T10:00:00Z end=last-1d| limit 1", "wtw=~w=~|wn"),
            ("source 'a' START = now end='2024-05-01'", "wtw=~w=t"),
            ("filter a in (source b start=-1d)", "www(www=~)"),
            ("fields start=1d", "ww=d"),
            ("firstseen a.b after last-7d | limit 1", "ww.ww~|wn"),
            ("firstseen after, after after now", "ww,ww~"),
            ("a && b || c <> d ~= e !~ f == g", "w&&w||w<>w~=w!~w==w"),
        ];
        for (source, expected) in cases {
            assert_eq!(kinds(source), expected, "{source}");
        }
    }

    #[test]
    fn lexical_errors_stand_at_their_text() {
        let cases = [
            ("fields \"abc\nlimit", "E003", "\"abc"),
            ("fields 'abc\r\nlimit", "E003", "'abc"),
            ("fields 'abc\\", "E003", "'abc\\"),
            ("filter a like /abc | x\n", "E004", "/abc | x"),
            ("fields `abc, d", "E005", "`abc, d"),
            ("fields @`abc", "E005", "@`abc"),
            ("filter a = “x”", "E006", "“"),
            ("filter a = {{{ b", "E006", "{"),
            ("fields \u{a0}a", "E006", "\u{a0}"),
            ("fields $", "E006", "$"),
            ("fields ~", "E006", "~"),
            ("limit 5x", "E031", "5x"),
            ("bin(5M)", "E031", "5M"),
            ("bin(0m)", "E034", "0m"),
            ("bin(1.5h)", "E034", "1.5h"),
            ("bin(99999999999999999999h)", "E034", "99999999999999999999h"),
            ("filter a like /b/gi", "E002", "gi"),
        ];
        for (source, code, text) in cases {
            let lexed = lex(source);
            let found: Vec<_> = lexed.diagnostics.iter().map(|d| (d.code, d.span.text(source))).collect();
            assert_eq!(found, [(code, text)], "{source}");
        }
    }

    #[test]
    fn comments_are_kept_apart() {
        let source = "# one\nfields a # two  \n| filter b = \"# no\" and c like /#/ # three";
        let comments: Vec<String> = lex(source).comments.into_iter().map(|c| c.text).collect();
        assert_eq!(comments, ["# one", "# two", "# three"]);
    }
}
