//! Where the fields that are wanted lie in the columns of an archive.

use super::super::ParquetFile;
use super::super::paths::route;
use super::Archive;
use crate::archive::System;
use crate::formats::Pass;
use crate::text::{Divider, Find, Holder, holders};
use backsight_engine::source::Field;
use backsight_engine::value::json::{Route, Step};
use backsight_lang::ast::Segment;

/// Where the cells of a slot come from, for events that are their record.
pub(super) enum Slot {
    /// Columns that may hold it, the first that is not null counts.
    Ways(Vec<Way>),
    /// The first of these columns that is not null, read as a time.
    Time(Vec<Way>),
    Log,
    LogStream,
    Message,
    Pointer,
    Nothing,
}

/// A column, and the rest of the path within its text.
pub(super) struct Way {
    pub column: usize,
    pub kinds: Option<usize>,
    pub rest: Option<Route>,
    /// It is a token of a line, which is text; and the field may be within it.
    pub token: Option<Option<Find>>,
}

impl Slot {
    pub(super) fn new(
        file: &ParquetFile,
        archive: &Archive,
        dividers: Option<&[Divider]>,
        field: &Field,
        pass: &Pass<'_>,
        extra: bool,
    ) -> Slot {
        match field {
            Field::Timestamp => match &pass.options.timestamp_field {
                Some(path) => Slot::Time(ways(archive, path, extra)),
                None => {
                    Slot::Time(vec![Way { column: System::Timestamp as usize, kinds: None, rest: None, token: None }])
                }
            },
            Field::Message => Slot::Message,
            Field::Log => Slot::Log,
            Field::LogStream => Slot::LogStream,
            Field::Ptr => Slot::Pointer,
            Field::IngestionTime => Slot::Nothing,
            Field::Path(path) => match dividers.and_then(|dividers| holders(dividers, path)) {
                Some(holders) => Slot::Ways(tokens(file, archive, holders, extra)),
                None => Slot::Ways(ways(archive, path, extra)),
            },
        }
    }

    pub(super) fn columns(&self) -> Vec<usize> {
        match self {
            Slot::Ways(ways) | Slot::Time(ways) => {
                ways.iter().flat_map(|way| [Some(way.column), way.kinds]).flatten().collect()
            }
            Slot::Log => vec![System::Log as usize],
            Slot::LogStream => vec![System::LogStream as usize],
            Slot::Pointer => vec![System::Log as usize, System::LogStream as usize],
            Slot::Message | Slot::Nothing => Vec::new(),
        }
    }
}

/// The columns a path of the data may mean, in the order in which they count.
fn ways(archive: &Archive, path: &[Segment], extra: bool) -> Vec<Way> {
    let mut out = Vec::new();
    for reading in Route::new(path).readings() {
        let mut reading = reading.clone();
        // `@@x` is the key `@x`, and no key is `@x`.
        if let Some(rest) = reading[0].key.strip_prefix(b"@") {
            if !rest.starts_with(b"@") {
                continue;
            }
            reading[0].key = rest.into();
        }
        let rest = (reading.len() > 1).then(|| route(&reading[1..]));
        if let Some(column) = archive.columns.of_key(&reading[0].key) {
            out.push(Way { column, kinds: archive.columns.kinds(&reading[0].key), rest, token: None });
        }
        if extra {
            out.push(Way {
                column: System::Extra as usize,
                kinds: None,
                rest: Some(Route::of(vec![reading])),
                token: None,
            });
        }
    }
    out
}

/// The columns of tokens.
fn tokens(file: &ParquetFile, archive: &Archive, holders: Vec<Holder>, extra: bool) -> Vec<Way> {
    let mut out = Vec::new();
    for (name, find) in holders {
        let token = Some(find);
        let column = archive.columns.of_key(name.as_bytes());
        if let Some(column) = column {
            out.push(Way { column, kinds: None, rest: None, token });
        }
        // Every token fits into a column of text.
        if extra && !column.is_some_and(|column| file.is_text(column)) {
            let step = Step { key: name.into_bytes().into(), index: None };
            let rest = Some(Route::of(vec![vec![step]]));
            out.push(Way { column: System::Extra as usize, kinds: None, rest, token });
        }
    }
    out
}
