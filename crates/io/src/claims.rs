//! What the name of a file claims it to be. Content decides; where the two differ, that is said.

use crate::codec::Codec;
use crate::container::Container;

/// Endings and what files of that name are, or are compressed with.
const CLAIMS: &[(&[&str], &str)] = &[
    (&["gz", "gzip", "tgz"], "gzip"),
    (&["zst", "zstd"], "zstd"),
    (&["bz2"], "bzip2"),
    (&["xz"], "xz"),
    (&["lz4"], "lz4"),
    (&["zip"], "zip"),
    (&["tar"], "tar"),
    (&["parquet"], "parquet"),
    (&["json", "jsonl", "ndjson", "csv", "tsv", "txt"], "text"),
];

/// What a name claims.
fn claimed(name: &str) -> Option<(&str, &'static str)> {
    let (_, ending) = name.rsplit_once('.')?;
    let (_, claimed) = CLAIMS.iter().find(|(endings, _)| endings.iter().any(|e| e.eq_ignore_ascii_case(ending)))?;
    Some((ending, claimed))
}

/// What an empty file was cut off from, if its name claims what cannot be empty.
pub(crate) fn cut_off(name: &str) -> Option<&'static str> {
    claimed(name).map(|(_, claimed)| claimed).filter(|claimed| *claimed != "text")
}

/// What a name claims that is not so, to be said; nothing where it claims nothing.
pub(crate) fn untrue(
    name: &str,
    codec: Option<&Codec>,
    container: Option<&Container>,
    is_parquet: bool,
) -> Option<String> {
    let (ending, claimed) = claimed(name)?;
    let parquet = is_parquet.then_some("parquet");
    let outermost = codec.map(|c| c.name).or_else(|| container.map(|c| c.name)).or(parquet).unwrap_or("text");
    (outermost != claimed).then(|| format!("called .{ending}, but its content is {outermost}: read as that"))
}
