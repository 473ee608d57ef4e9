//! What the case runner is made of.

pub mod answer;
pub mod case;
pub mod check;
pub mod run;
