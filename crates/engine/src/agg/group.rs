//! One small state per group: the shape of all aggregates that need not remember every value.

use super::{Accumulator, Input, Put, Restore, Stop, same_type, unreadable};
use crate::error::Error;
use crate::value::Value;
use crate::value::column::Column;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is remembered of a group.
pub(super) trait State: Default + Send + Serialize + DeserializeOwned + 'static {
    /// What all groups have in common: which variant of the aggregate it is, say.
    type Variant: Clone + Send + 'static;

    /// Adds rows; `states` has one entry per group.
    fn update(states: &mut [Self], variant: &Self::Variant, input: &Input<'_>, groups: &[u32]);

    /// Takes in what another worker remembers of the same group.
    fn merge(&mut self, other: Self, variant: &Self::Variant);

    /// The result.
    fn finish(self, variant: &Self::Variant) -> Value;

    /// Bytes of memory beside the state itself.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// The accumulator made of such states.
pub(super) struct PerGroup<S: State> {
    states: Vec<S>,
    variant: S::Variant,
    stop: Stop,
}

/// Groups between two looks at whether the run is to stop.
const BETWEEN: usize = 1 << 16;

impl<S: State> PerGroup<S> {
    /// An accumulator without groups.
    pub(super) fn boxed(variant: S::Variant) -> Box<dyn Accumulator> {
        Box::new(PerGroup::<S> { states: Vec::new(), variant, stop: Stop::default() })
    }

    fn reach(&mut self, n_groups: usize) {
        if self.states.len() < n_groups {
            self.states.resize_with(n_groups, S::default);
        }
    }
}

impl<S: State> Accumulator for PerGroup<S> {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        self.reach(n_groups);
        S::update(&mut self.states, &self.variant, input, groups);
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, n_groups: usize) {
        self.reach(n_groups);
        for (mut other, map) in same_type::<Self>(others) {
            let mut states = std::mem::take(&mut other.states).into_iter();
            for (i, group) in map.into_iter().enumerate() {
                if i % BETWEEN == 0 && self.stop.load(Ordering::Relaxed) {
                    return let_go(states);
                }
                if let Some(state) = states.next() {
                    self.states[group as usize].merge(state, &self.variant);
                }
            }
        }
    }

    fn finish(mut self: Box<Self>, n_groups: usize) -> Column {
        self.reach(n_groups);
        if self.stop.load(Ordering::Relaxed) {
            return Column::null(n_groups);
        }
        let states = std::mem::take(&mut self.states);
        states.into_iter().take(n_groups).map(|s| s.finish(&self.variant)).collect()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.stop = Arc::clone(stop);
    }

    fn bytes(&self) -> usize {
        /// States looked at; it is asked after every batch, and there can be millions.
        const SAMPLE: usize = 256;
        let step = self.states.len().div_ceil(SAMPLE).max(1);
        let sampled: usize = self.states.iter().step_by(step).map(State::heap_bytes).sum();
        self.states.capacity() * size_of::<S>() + sampled * step
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for (group, state) in std::mem::take(&mut self.states).into_iter().enumerate() {
            bytes = postcard::to_extend(&state, bytes).map_err(|e| Error::Bug(e.to_string()))?;
            put(group as u32, &[], &bytes)?;
            bytes.clear();
        }
        Ok(())
    }

    fn restore(self: Box<Self>) -> Box<dyn Restore> {
        Box::new(Merging::<S> { state: S::default(), variant: self.variant.clone() })
    }
}

impl<S: State> Drop for PerGroup<S> {
    fn drop(&mut self) {
        if self.states.len() > BETWEEN && self.stop.load(Ordering::Relaxed) {
            let_go(std::mem::take(&mut self.states));
        }
    }
}

/// Frees memory in the background: that of millions of groups takes longer than somebody who has stopped a run waits.
fn let_go<T: Send + 'static>(states: T) {
    // Without a thread it is freed here and now.
    let _ = std::thread::Builder::new().spawn(move || drop(states));
}

/// One group's states, merged as they come.
struct Merging<S: State> {
    state: S,
    variant: S::Variant,
}

impl<S: State> Restore for Merging<S> {
    fn add(&mut self, _: &[u8], value: &[u8]) -> Result<(), Error> {
        let other = postcard::from_bytes(value).map_err(|_| unreadable())?;
        self.state.merge(other, &self.variant);
        Ok(())
    }

    fn finish(&mut self) -> Value {
        std::mem::take(&mut self.state).finish(&self.variant)
    }
}
