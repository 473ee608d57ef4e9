//! Fields of a query that no event has. A run sees which of its fields it has met; where it was spared rows that could not
//! pass, a pass of its own makes sure.

use super::ctl::Ctl;
use super::{next, opened};
use crate::error::Error;
use crate::plan::Plan;
use crate::source::{Catalog, Counters, Field, Flow, Scan};
use crate::value::column::Column;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which fields of a scan some row has had.
pub(crate) struct Sightings(Vec<AtomicBool>);

impl Sightings {
    pub(super) fn new(fields: usize) -> Sightings {
        Sightings((0..fields).map(|_| AtomicBool::new(false)).collect())
    }

    /// Looks at the columns of a batch, one for each field.
    pub(super) fn see(&self, columns: &[Column]) {
        for (seen, column) in self.0.iter().zip(columns) {
            if !seen.load(Ordering::Relaxed) && !column.is_null() {
                seen.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The fields, by number, that no row has had so far.
    pub(super) fn absent(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, seen)| !seen.load(Ordering::Relaxed)).map(|(i, _)| i)
    }
}

/// Those of some fields that no event of a plan's source has, in its time range; ends as soon as all were met. `None` if
/// it was cancelled.
///
/// # Errors
/// What the source reports.
pub fn absent(plan: &Plan, fields: &[Field], catalog: &dyn Catalog, ctl: &Ctl) -> Result<Option<Vec<Field>>, Error> {
    let source = opened(&plan.scan, catalog)?;
    let scan = Scan { want: fields.to_vec(), range: plan.scan.range, ..Scan::default() };
    let counters = Counters::default();
    let morsels = source.open(&scan, &counters)?;
    let seen = Sightings::new(fields.len());
    let done = || ctl.cancelled() || seen.absent().next().is_none();
    let worker = || -> Result<(), Error> {
        while !done() {
            let Some(morsel) = next(&*morsels, ctl) else { break };
            morsel.read(&mut |batch| {
                seen.see(&batch.columns);
                Ok(if done() { Flow::Enough } else { Flow::More })
            })?;
        }
        Ok(())
    };
    ctl.broadcast(worker).into_iter().collect::<Result<(), Error>>()?;
    Ok((!ctl.cancelled()).then(|| seen.absent().map(|i| fields[i].clone()).collect()))
}
