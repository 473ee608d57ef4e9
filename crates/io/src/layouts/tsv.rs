//! Tables with a header and tabs between the cells.

use crate::formats::{Fields, Format, Reader};
use crate::layouts::csv;

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "tsv",
    about: "tab-separated values with a header",
    extensions: &["tsv", "tab"],
    time: csv::FORMAT.time,
    times: &[],
    sources: &[],
    fields: Fields::listed(&[]),
    example: "time\\tip\\tstatus\\n2024-05-01T10:00:00Z\\t203.0.113.9\\t200",
    sniff: |head| csv::is_table(head, b'\t'),
    reader: Reader::Records(|pass, head| csv::open(pass, head, b'\t')),
};
