//! Reads log exports of every shape into batches of the engine.

pub mod parquet;
