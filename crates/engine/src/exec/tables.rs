//! Tables beside the data, made ready for look-ups, once a run.

use super::steps::put;
use crate::error::Error;
use crate::plan::tables::{Lookup, LookupBy};
use crate::source::Table;
use crate::value::column::{Batch, Column, ColumnBuilder};
use crate::value::{ValueRef, order};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;

/// An index over a table for one [`Lookup`].
pub(crate) enum Index {
    /// Row by the texts of its keys; the first of equal ones.
    Keys(Table, HashMap<Vec<u8>, u32>),
    /// Networks, longest prefix first, and their rows.
    Networks(Table, Vec<(IpNet, u32)>),
}

impl Index {
    pub fn new(table: Table, lookup: &Lookup) -> Result<Index, Error> {
        let missing = |column: &str| Error::Input {
            file: lookup.file.clone(),
            offset: None,
            why: format!("the table has no column `{column}`; it has {}", table.names().join(", ")),
        };
        for (column, ..) in &lookup.outputs {
            table.column(column).ok_or_else(|| missing(column))?;
        }
        match &lookup.by {
            LookupBy::Keys(keys) => {
                let columns: Vec<Column> = keys
                    .iter()
                    .map(|(c, _)| table.column(c).cloned().ok_or_else(|| missing(c)))
                    .collect::<Result<_, _>>()?;
                let mut rows = HashMap::new();
                for i in 0..table.rows {
                    if let Some(key) = key(&columns, i) {
                        rows.entry(key).or_insert(i as u32);
                    }
                }
                Ok(Index::Keys(table, rows))
            }
            LookupBy::Network(column, _) => {
                let column = match column {
                    Some(c) => table.column(c).ok_or_else(|| missing(c))?,
                    None => {
                        table.column("cidr").or(table.columns.first().map(|(_, c)| c)).ok_or_else(|| missing("cidr"))?
                    }
                };
                let mut nets: Vec<(IpNet, u32)> = column
                    .iter()
                    .enumerate()
                    .filter_map(|(i, v)| Some((network(&v.scalar_text()?)?, i as u32)))
                    .collect();
                nets.sort_by_key(|(net, i)| (std::cmp::Reverse(net.prefix_len()), *i));
                Ok(Index::Networks(table, nets))
            }
        }
    }

    /// Adds the output columns.
    pub fn apply(&self, lookup: &Lookup, mut batch: Batch) -> Batch {
        let (table, found): (&Table, Vec<Option<u32>>) = match (self, &lookup.by) {
            (Index::Keys(table, rows), LookupBy::Keys(keys)) => {
                let columns: Vec<Column> = keys.iter().map(|(_, slot)| super::column(&batch, *slot)).collect();
                (table, (0..batch.rows).map(|i| rows.get(&key(&columns, i)?).copied()).collect())
            }
            (Index::Networks(table, nets), LookupBy::Network(_, slot)) => {
                let ips = super::column(&batch, *slot);
                let find = |v: ValueRef<'_>| {
                    let ip: IpAddr = v.scalar_text()?.parse().ok()?;
                    nets.iter().find(|(net, _)| net.contains(&ip)).map(|(_, i)| *i)
                };
                (table, ips.iter().map(find).collect())
            }
            (Index::Keys(..), LookupBy::Network(..)) | (Index::Networks(..), LookupBy::Keys(_)) => return batch,
        };
        for (column, old, slot) in &lookup.outputs {
            let Some(cells) = table.column(column) else { continue };
            let old = old.map(|s| super::column(&batch, s));
            let mut out = ColumnBuilder::default();
            for (i, row) in found.iter().enumerate() {
                let new = row.map_or(ValueRef::Null, |r| cells.get(r as usize));
                let kept = old.as_ref().map_or(ValueRef::Null, |c| c.get(i));
                out.push(if kept.is_null() { new } else { kept });
            }
            put(&mut batch, *slot, out.finish());
        }
        batch
    }
}

/// The texts of a row's keys; `None` where one is null.
fn key(columns: &[Column], i: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for column in columns {
        let text = column.get(i).text()?;
        order::push(ValueRef::Text(crate::value::Kind::Map, &text), false, false, &mut out);
    }
    Some(out)
}

/// A network, or an address as the network of itself.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
