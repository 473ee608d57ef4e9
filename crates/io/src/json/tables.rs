//! Tables whose rows are events of CloudWatch Logs, as its console saves answers: `@message` may hold JSON.

use super::Plan;
use super::reader::{Around, Line, Out, Reader};
use crate::formats::{Chunk, Pass, Records, Splitter};
use crate::text::{Divide, Rows, table_record};
use backsight_engine::error::Error;
use backsight_engine::source::Flow;
use backsight_engine::value::json::write_bytes;
use std::sync::Arc;

/// A table, opened.
pub(super) struct Table<'a> {
    pub pass: Pass<'a>,
    pub plan: Arc<Plan>,
    /// What stands between cells.
    pub by: u8,
    pub names: Vec<String>,
    /// The row that names them.
    pub line: Box<[u8]>,
}

impl Records for Table<'_> {
    fn splitter(&self) -> Box<dyn Splitter> {
        Box::new(Rows(self.by))
    }

    fn read(&self, chunk: Chunk, out: Out<'_>) -> Result<Flow, Error> {
        let data = chunk.data.clone();
        let is_first = chunk.offset == 0;
        let mut reader = Reader::new(&self.pass, &self.plan, chunk);
        let flow = self.rows(&mut reader, data.as_slice(), is_first, out);
        reader.finish(flow)
    }

    fn preamble(&self, _: u64) -> Vec<u8> {
        [&self.line[..], b"\n"].concat()
    }
}

impl Table<'_> {
    fn rows(&self, reader: &mut Reader<'_>, data: &[u8], mut is_header: bool, out: Out<'_>) -> Result<Flow, Error> {
        let (mut at, mut spans, mut object) = (0, Vec::new(), Vec::new());
        while at < data.len() {
            let behind = table_record(&data[at..], self.by).map_or(data.len(), |n| at + n);
            let row = data[at..behind].trim_ascii_end();
            let line = Line { start: at, end: at + row.len() };
            at = behind;
            if std::mem::take(&mut is_header) {
                continue;
            }
            Divide::Table(self.by).tokens(row, self.names.len(), &mut spans);
            object.clear();
            if !row.is_empty() {
                object.push(b'{');
                for (name, span) in self.names.iter().zip(&spans).filter(|(_, span)| !span.of(row).is_empty()) {
                    if object.len() > 1 {
                        object.push(b',');
                    }
                    write_bytes(name.as_bytes(), &mut object);
                    object.push(b':');
                    write_bytes(&span.text(row), &mut object);
                }
                object.push(b'}');
            }
            let around = Around { at: Some(line.start), message: Some(line), elsewhere: true, ..Around::default() };
            reader.record(&object, Line { start: 0, end: object.len() }, &around);
            if reader.hand_out_records(out, false)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        reader.hand_out_records(out, true)
    }
}
