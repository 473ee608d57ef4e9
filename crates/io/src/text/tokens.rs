//! Lines as all of their tokens, by name: how an archive keeps them, and where it then finds a field.

use super::{Divide, Find, Header, Names, Span, Variant};
use backsight_lang::ast::Segment;
use std::borrow::Cow;
use std::collections::HashSet;

/// How lines of a file are divided.
#[derive(Clone, Debug)]
pub struct Divider {
    variants: Vec<Variant>,
    header: Header,
    /// By variant: no two tokens have the same name.
    distinct: Vec<bool>,
}

/// Tokens of a line, at most.
const MAX_TOKENS: usize = 256;

/// A token that may hold a field: its name, and where the field is in it.
pub(crate) type Holder = (String, Option<Find>);

impl Divider {
    /// `header`: the names the file gives its columns.
    pub(super) fn new(variants: &[Variant], header: &Header) -> Divider {
        let mut out = Divider { variants: variants.to_vec(), header: header.clone(), distinct: Vec::new() };
        out.distinct = (0..variants.len()).map(|number| out.names(number).len() == out.count(number)).collect();
        out
    }

    /// Divides a line: its tokens in order, and the variant that tells their names. `None` for a line of which tokens are
    /// not all there is to know: one that looks like none, or has tokens that must be changed to be text.
    pub(crate) fn tokens(&self, line: &[u8], spans: &mut Vec<Span>) -> Option<usize> {
        let number = self.variants.iter().position(|variant| {
            (variant.fits)(line) && {
                variant.divide.tokens(line, MAX_TOKENS + 1, spans);
                spans.len() >= variant.least
            }
        })?;
        let variant = &self.variants[number];
        let named = matches!(variant.tokens, Names::Fixed(_)) || spans.len() <= self.header.len();
        let plain = !spans.is_empty() && !spans.iter().any(|span| span.doubled);
        let few = self.distinct[number] && spans.len() <= MAX_TOKENS;
        (variant.divide != Divide::Nothing && named && plain && few).then_some(number)
    }

    /// The name of a token of such lines: the first of its names, or `field_` and its number.
    pub(crate) fn name(&self, variant: usize, token: usize) -> Cow<'_, str> {
        let names = match self.variants[variant].tokens {
            Names::Fixed(names) => names.get(token).copied(),
            Names::Header => self.header.get(token).map(String::as_str),
        };
        // Columns of tables are called as they are.
        let is_table = matches!(self.variants[variant].divide, Divide::Table(_));
        match names {
            Some(name) if is_table => Cow::Borrowed(name),
            Some(names) => Cow::Borrowed(names.split('|').next().unwrap_or(names)),
            None => Cow::Owned(format!("field_{}", token + 1)),
        }
    }

    /// The names of the tokens of such lines.
    fn names(&self, variant: usize) -> HashSet<Cow<'_, str>> {
        (0..self.count(variant)).map(|token| self.name(variant, token)).collect()
    }

    /// How many of them there are.
    fn count(&self, variant: usize) -> usize {
        match self.variants[variant].tokens {
            Names::Fixed(names) => names.len(),
            Names::Header => self.header.len(),
        }
    }
}

/// The tokens that hold the field of that name in lines divided in one of these ways; of each line at most one has it.
/// `None` if it takes the line to say.
pub(crate) fn holders(dividers: &[Divider], field: &[Segment]) -> Option<Vec<Holder>> {
    let field = &*super::name(field);
    let variants = || dividers.iter().flat_map(|divider| (0..divider.variants.len()).map(move |n| (divider, n)));
    let pick = |divider: &Divider, number: usize| divider.variants[number].pick(field, &divider.header);
    let mut out: Vec<Holder> = Vec::new();
    for (divider, number) in variants() {
        let Some(pick) = pick(divider, number) else { continue };
        let holder = (divider.name(number, pick.of?).into_owned(), pick.find);
        match out.iter().find(|(name, _)| *name == holder.0) {
            None => out.push(holder),
            Some((_, find)) if find.is_some() != holder.1.is_some() => return None,
            Some(_) => {}
        }
    }
    // Other lines may have tokens of these names that are something else there.
    let clear = variants().all(|(divider, number)| {
        let own = pick(divider, number).and_then(|pick| Some(divider.name(number, pick.of?)));
        let names = divider.names(number);
        out.iter().all(|(name, _)| own.as_deref() == Some(name) || !names.contains(&name[..]))
    });
    clear.then_some(out)
}
