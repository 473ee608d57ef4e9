//! CloudWatch Logs as text: export tasks to S3 (`<task>/<stream>/000000.gz`) and `aws logs tail`. What an event's text looks like
//! is found event by event: JSON, or lines of Lambda, VPC flow logs and access logs.

use crate::files::Input;
use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::Head;
use crate::json::events::{self, prefix};
use crate::layouts::{alb, apigw, clf, lambda, vpcflow};
use crate::text::Layout;
use std::path::Path;

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "cwl-export",
    about: "CloudWatch Logs export tasks: `2024-05-01T10:00:00.000Z message`, the stream from the path; `aws logs tail`",
    extensions: &["gz"],
    sources: &[],
    time: "the time before the event",
    times: &[],
    fields: Fields::listed(&["@timestamp", "@message", "@logStream"]),
    example: "2024-05-01T10:00:00.000Z START RequestId: 8f507cfc-… Version: $LATEST",
    sniff: |head| head.lines().next().is_some_and(|line| prefix(line).is_some()),
    reader: Reader::Records(open),
};

fn open<'a>(pass: &Pass<'a>, _: &Head<'_>) -> Box<dyn Records + 'a> {
    let lines = [
        &[lambda::LINE, vpcflow::AMONG_OTHERS, vpcflow::OF_TRANSIT, alb::ACCESS][..],
        apigw::VARIANTS,
        &[clf::COMBINED],
    ]
    .concat();
    events::records(pass, stream(&pass.input), &Layout::new(&lines), &vpcflow::usual())
}

/// The folder above files of six digits, which export tasks call like the stream.
fn stream(input: &Input) -> Option<String> {
    let file = input.path.file_name()?.to_str()?;
    let digits = file.split('.').next()?;
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let folder = |path: &Path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned());
    folder(Path::new(&input.stream)).or_else(|| folder(&input.path))
}
