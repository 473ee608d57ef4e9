//! Expressions: precedence climbing over operators, in one function that calls itself once per level of binding.
//!
//! Every tree has a height of at most [`MAX_DEPTH`], however long the query: whoever walks or drops one may recurse.

use nom::Parser;
use nom::combinator::cut;

use super::check;
use super::compare::{self, Comparison};
use super::input::{Found, Input, Label};
use super::operand::operand;
use crate::ast::{BinaryOp, Expr, ExprKind};
use crate::diag::Diagnostic;
use crate::lex::token::{Sign, TokenKind};
use crate::span::Span;

/// The most levels of nesting a query may have, and the height of the tallest tree.
///
/// Chosen so that parsing needs less than half of a 2 MiB stack in an unoptimised build.
pub const MAX_DEPTH: usize = 128;

/// Chains of `and` or `or` longer than this become balanced trees, so a list of ten thousand alternatives stays shallow.
pub(crate) const LONG_CHAIN: usize = 16;

/// An expression and the height of its tree.
pub(crate) struct Tall {
    /// Boxed: results pass through many frames of a deep recursion, and most end in a box anyway.
    pub expr: Box<Expr>,
    pub height: usize,
}

/// How tightly an operator binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Binding {
    Or,
    And,
    Not,
    Compare,
    Sum,
    Product,
    Unary,
    Power,
    /// No operator: a literal, a name, a call, a parenthesis.
    Operand,
}

/// An operator behind an operand.
enum Infix {
    Chain(BinaryOp),
    Compare(Comparison),
    Arithmetic(BinaryOp),
}

/// The operators that compute, with their signs.
const ARITHMETIC: &[(Sign, BinaryOp)] = &[
    (Sign::Plus, BinaryOp::Add),
    (Sign::Minus, BinaryOp::Sub),
    (Sign::Star, BinaryOp::Mul),
    (Sign::Slash, BinaryOp::Div),
    (Sign::Percent, BinaryOp::Rem),
    (Sign::Caret, BinaryOp::Pow),
];

impl BinaryOp {
    /// How tightly it binds.
    pub(crate) fn binding(self) -> Binding {
        match self {
            BinaryOp::Or => Binding::Or,
            BinaryOp::And => Binding::And,
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => Binding::Compare,
            BinaryOp::Add | BinaryOp::Sub => Binding::Sum,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => Binding::Product,
            BinaryOp::Pow => Binding::Power,
        }
    }

    /// The least tightly bound operand that may stand on its right without parentheses.
    pub(crate) fn right_binding(self) -> Binding {
        match self.binding() {
            Binding::Or => Binding::And,
            Binding::And => Binding::Not,
            Binding::Not | Binding::Compare => Binding::Sum,
            Binding::Sum => Binding::Product,
            Binding::Product | Binding::Unary | Binding::Power | Binding::Operand => Binding::Unary,
        }
    }
}

/// An expression. Its height is noted in the state.
pub(crate) fn expr(input: Input<'_>) -> Found<'_, Expr> {
    noted(input, |input| at_least(input, Binding::Or))
}

/// What `parser` reads, with its height noted in the state.
pub(crate) fn noted<'a>(input: Input<'a>, parser: impl FnOnce(Input<'a>) -> Found<'a, Tall>) -> Found<'a, Expr> {
    let (after, tall) = nested(input, 1, parser)?;
    let tallest = &input.state.tallest;
    tallest.set(tallest.get().max(tall.height));
    Ok((after, *tall.expr))
}

/// Runs `parser` one level of nesting deeper, or `levels` deeper if its own recursion needs that much more stack.
pub(crate) fn nested<'a, O>(
    input: Input<'a>,
    levels: usize,
    parser: impl FnOnce(Input<'a>) -> Found<'a, O>,
) -> Found<'a, O> {
    let depth = &input.state.depth;
    if depth.get() + levels > MAX_DEPTH {
        return too_deep(input, input.peek().span);
    }
    depth.set(depth.get() + levels);
    let found = parser(input);
    depth.set(depth.get() - levels);
    found
}

/// Gives up because of too much nesting at `span`.
pub(crate) fn too_deep<O>(input: Input<'_>, span: Span) -> Found<'_, O> {
    let message = format!("expected at most {MAX_DEPTH} levels of nesting, found more");
    let help = "compute the parts with `fields … as name` first";
    input.fail(Diagnostic::error("E002", span, message).help(help))
}

/// As [`at_least`], behind something already taken: there must be an operand.
pub(crate) fn required(input: Input<'_>, least: Binding) -> Found<'_, Tall> {
    cut(|input| at_least(input, least)).parse(input)
}

/// An expression whose operators outside of parentheses bind at least as tightly as `least`.
pub(crate) fn at_least(input: Input<'_>, least: Binding) -> Found<'_, Tall> {
    nested(input, 1, |input| climb(input, least))
}

/// An expression as one of several, in a list or a call: these take twice the stack of a parenthesis.
pub(crate) fn element(input: Input<'_>) -> Found<'_, Tall> {
    nested(input, 2, |input| climb(input, Binding::Or))
}

fn climb(start: Input<'_>, least: Binding) -> Found<'_, Tall> {
    let (mut input, mut left) = prefixed(start, least)?;
    let mut compared = false;
    while let Some((_, infix)) = infix(input).filter(|(binding, _)| *binding >= least) {
        (input, left) = match infix {
            Infix::Chain(op) => chain(start, input, left, op)?,
            Infix::Arithmetic(op) => arithmetic(start, input, left, op)?,
            Infix::Compare(comparison) => {
                let again = std::mem::replace(&mut compared, true);
                compare::comparison(start, input, left, comparison, again)?
            }
        };
    }
    // Never taken: tells the reader of an error here that an operator could have followed.
    let _: Found<'_, ()> = input.miss(Label::Kind("an operator"));
    Ok((input, left))
}

/// The operator at `input`, if there is one, and how tightly it binds.
fn infix(input: Input<'_>) -> Option<(Binding, Infix)> {
    if let Some(comparison) = compare::comparison_at(input) {
        return Some((Binding::Compare, Infix::Compare(comparison)));
    }
    let op = match input.peek().kind {
        TokenKind::Sign(Sign::DoubleAnd) => BinaryOp::And,
        TokenKind::Sign(Sign::DoublePipe) => BinaryOp::Or,
        TokenKind::Sign(sign) => {
            let (_, op) = ARITHMETIC.iter().find(|(s, _)| *s == sign)?;
            return Some((op.binding(), Infix::Arithmetic(*op)));
        }
        _ if input.is_word(0, "and") => BinaryOp::And,
        _ if input.is_word(0, "or") => BinaryOp::Or,
        _ => return None,
    };
    Some((op.binding(), Infix::Chain(op)))
}

/// `not`, `-` and `!` in front of an operand. They are counted, not recursed into.
fn prefixed(start: Input<'_>, least: Binding) -> Found<'_, Tall> {
    if least <= Binding::Not && start.is_word(0, "not") {
        let (input, signs) = signs(start, |input| input.is_word(0, "not"));
        let (input, operand) = required(input, Binding::Compare)?;
        return negations(start, input, &signs, operand);
    }
    let is_sign = |input: Input<'_>| input.is_sign(0, Sign::Minus) || input.is_sign(0, Sign::Bang);
    if least <= Binding::Unary && is_sign(start) {
        let (input, signs) = signs(start, is_sign);
        let (input, operand) = required(input, Binding::Power)?;
        return negations(start, input, &signs, operand);
    }
    operand(start)
}

/// The places of the prefix operators at `input`; more than can be allowed are left for the parser behind to trip over.
fn signs<'a>(mut input: Input<'a>, is_sign: impl Fn(Input<'a>) -> bool) -> (Input<'a>, Vec<Input<'a>>) {
    let mut places = Vec::new();
    while is_sign(input) {
        places.push(input);
        input = input.skip();
    }
    (input, places)
}

fn negations<'a>(start: Input<'a>, after: Input<'a>, signs: &[Input<'a>], operand: Tall) -> Found<'a, Tall> {
    let height = operand.height + signs.len();
    if height > MAX_DEPTH {
        return too_deep(start, start.peek().span);
    }
    let mut expr = operand.expr;
    for sign in signs.iter().rev() {
        let span = sign.span_to(after);
        let kind = if sign.is_sign(0, Sign::Minus) {
            check::arithmetic(*sign, &expr);
            ExprKind::Negate(expr)
        } else {
            check::condition(*sign, &expr, None);
            ExprKind::Not(expr)
        };
        expr = Box::new(Expr { kind, span });
    }
    Ok((after, Tall { expr, height }))
}

fn arithmetic<'a>(start: Input<'a>, input: Input<'a>, left: Tall, op: BinaryOp) -> Found<'a, Tall> {
    let (after, right) = required(input.skip(), op.right_binding())?;
    check::arithmetic(input, &left.expr);
    check::arithmetic(input, &right.expr);
    binary(start, input, after, op, left, right)
}

/// `left op right`, where the operator stands at `input`.
pub(crate) fn binary<'a>(
    start: Input<'a>,
    input: Input<'a>,
    after: Input<'a>,
    op: BinaryOp,
    left: Tall,
    right: Tall,
) -> Found<'a, Tall> {
    let height = left.height.max(right.height) + 1;
    if height > MAX_DEPTH {
        return too_deep(input, input.peek().span);
    }
    let kind = ExprKind::Binary { op, op_span: input.peek().span, left: left.expr, right: right.expr };
    Ok((after, Tall { expr: Box::new(Expr { kind, span: start.span_to(after) }), height }))
}

/// An operand of a chain and the operator in front of it.
pub(crate) type Link = (Span, Box<Expr>);

/// `left and b and c …` or the same with `or`.
fn chain<'a>(start: Input<'a>, mut input: Input<'a>, left: Tall, op: BinaryOp) -> Found<'a, Tall> {
    let mut height = left.height;
    let mut links: Vec<Link> = vec![(start.peek().span, left.expr)];
    while let Some((_, Infix::Chain(next))) = infix(input) {
        if next != op {
            break;
        }
        check::foreign_operator(input)?;
        let op_span = input.peek().span;
        let (after, right) = required(input.skip(), op.right_binding())?;
        height = height.max(right.height);
        links.push((op_span, right.expr));
        input = after;
    }
    check::conditions(input, op, &links);
    let count = links.len();
    height += if count <= LONG_CHAIN { count - 1 } else { count.ilog2() as usize + 1 };
    if height > MAX_DEPTH {
        return too_deep(start, start.peek().span);
    }
    let mut links = links.into_iter();
    let expr =
        if count <= LONG_CHAIN { left_deep(op, &mut links) } else { balanced(op, &mut links, count).map(|(_, e)| e) };
    let Some(mut expr) = expr else { return input.miss(Label::Kind("an expression")) };
    expr.span = start.span_to(input);
    Ok((input, Tall { expr, height }))
}

fn left_deep(op: BinaryOp, links: &mut impl Iterator<Item = Link>) -> Option<Box<Expr>> {
    let (_, first) = links.next()?;
    Some(links.fold(first, |left, link| join(op, left, link)))
}

/// The next `count` links as a tree of least height, with the operator in front of the first of them.
fn balanced(op: BinaryOp, links: &mut impl Iterator<Item = Link>, count: usize) -> Option<Link> {
    if count <= 1 {
        return links.next();
    }
    let (before, left) = balanced(op, links, count - count / 2)?;
    let right = balanced(op, links, count / 2)?;
    Some((before, join(op, left, right)))
}

fn join(op: BinaryOp, left: Box<Expr>, (op_span, right): Link) -> Box<Expr> {
    let span = left.span.to(right.span);
    Box::new(Expr { kind: ExprKind::Binary { op, op_span, left, right }, span })
}
