//! The terminal side of Backsight.

mod args;
mod draw;
mod escape;
mod exit;
mod output;
mod summary;

fn main() {}
