//! System fields: those every file gives its rows, and where times of events are found.

use crate::Options;
use crate::formats::Pass;
use backsight_engine::source::Field;
use backsight_engine::value::Value;
use backsight_engine::value::column::{Column, ColumnBuilder, Positions, TextBuilder};
use backsight_engine::value::{Kind, ValueRef};
use backsight_lang::ast::Segment;

/// Fields that hold the time of an event, the first that is present counts (language reference, "Events and system
/// fields").
pub(crate) const TIMES: &[&str] =
    &["timestamp", "time", "eventTime", "requestTimeEpoch", "requestTime", "ts", "eventtime"];

/// The fields that may hold `@timestamp` of records without a field of that name, first come first: `own` of the format,
/// with dots between the steps of a path, then those any record may have.
pub fn times(options: &Options, own: &[&str]) -> Vec<Vec<Segment>> {
    match &options.timestamp_field {
        Some(path) => vec![path.clone()],
        None => own.iter().chain(TIMES).map(|path| self::path(path)).collect(),
    }
}

/// A path of names, with dots between them.
pub fn path(text: &str) -> Vec<Segment> {
    text.split('.').map(|name| Segment::Name { text: name.into(), quoted: true }).collect()
}

/// What stands before the offset in `@ptr` of a file's rows.
pub fn pointer(pass: &Pass<'_>) -> String {
    format!("{}#{}:", pass.input.log, pass.input.stream)
}

/// What records say themselves, and what their file says for the others.
pub fn merge(said: &Column, usual: &Column) -> Column {
    let cells = said.iter().zip(usual.iter()).map(|(said, usual)| if said.is_null() { usual } else { said });
    cells.collect::<ColumnBuilder>().finish()
}

/// The column of a system field for rows that do not have their own; null for a field of the data.
pub fn column(pass: &Pass<'_>, field: &Field, positions: &Positions) -> Column {
    let rows = positions.len();
    match field {
        Field::Log => Column::Const(Value::string(&pass.input.log), rows),
        Field::LogStream => Column::Const(Value::string(&pass.input.stream), rows),
        Field::Ptr => {
            let mut text = pointer(pass);
            let prefix = text.len();
            let mut out = TextBuilder::default();
            for row in 0..rows {
                text.truncate(prefix);
                text.push_str(&(positions.get(row) - pass.position(0)).to_string());
                out.push(ValueRef::Text(Kind::String, text.as_bytes()));
            }
            out.finish()
        }
        Field::Timestamp | Field::Message | Field::IngestionTime | Field::Path(_) => Column::null(rows),
    }
}
