//! Apache Parquet.

use crate::formats::{Fields, Format, Reader};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "parquet",
    about: "Apache Parquet, one row a record",
    extensions: &["parquet"],
    sources: &[],
    time: "timestamp, time, eventTime, requestTimeEpoch, requestTime or ts, the first that is there",
    times: &[],
    fields: Fields::listed(&[]),
    example: "columns of any type",
    sniff: |head| crate::parquet::sniff(head.bytes),
    reader: Reader::Whole(crate::columnar::parquet),
};
