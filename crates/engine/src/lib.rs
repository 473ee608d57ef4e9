//! Plans and runs Backsight queries over an abstract [`source::Source`] of rows.

pub mod agg;
pub mod error;
pub mod func;
pub mod source;
pub mod value;
