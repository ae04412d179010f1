//! Answers over time: how many, how late, in slices of a quarter of a second.
//!
//! ```text
//! start |  slice 0  |  slice 1  |  slice 2  | ...     each a histogram; threads are added up
//! ```
//!
//! **Architecture invariant:** a slice that a run only touched, its first and its last, is not shown:
//! its rate would be of a part of it.

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::Failure;

/// The length of a slice, in µs.
const SLICE_MICROS: u64 = 250_000;

/// The longest latency that is told apart: a minute.
const MICROS_MAX: u64 = 60_000_000;

/// Counts and latencies of a run, slice by slice from its start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    slices: Vec<Option<Histogram<u64>>>,
}

/// One slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Slice {
    /// Its beginning, in seconds from the first slice that is shown.
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
}

impl Series {
    /// The slice of an instant, in µs from the start.
    #[inline]
    pub(crate) fn slice_of(micros: u64) -> usize {
        usize::try_from(micros / SLICE_MICROS).unwrap_or(usize::MAX)
    }

    /// Counts answers with one latency, in µs.
    pub(crate) fn record(&mut self, slice: usize, micros: u64, count: u64) {
        if self.slices.len() <= slice {
            self.slices.resize(slice + 1, None);
        }
        self.slices[slice].get_or_insert_with(empty).saturating_record_n(micros, count);
    }

    /// Adds what another thread counted from the same start.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        if self.slices.len() < other.slices.len() {
            self.slices.resize(other.slices.len(), None);
        }
        for (sum, part) in self.slices.iter_mut().zip(&other.slices) {
            if let Some(part) = part {
                sum.get_or_insert_with(empty).add(part)?;
            }
        }
        Ok(())
    }

    /// The slices that lie within the run.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        let is_used = |slice: &Option<Histogram<u64>>| slice.is_some();
        let first = self.slices.iter().position(is_used).map_or(0, |first| first + 1);
        let last = self.slices.iter().rposition(is_used).unwrap_or(0);
        let inner = self.slices.get(first..last).unwrap_or_default();
        inner.iter().enumerate().map(|(index, slice)| shown(index, slice.as_ref())).collect()
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.slices().serialize(serializer)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a slice are far below 2^52")]
fn shown(index: usize, slice: Option<&Histogram<u64>>) -> Slice {
    let length = SLICE_MICROS as f64 / 1e6;
    let at = |share| slice.map_or(0, |slice| slice.value_at_quantile(share));
    Slice {
        seconds: index as f64 * length,
        per_second: slice.map_or(0, Histogram::len) as f64 / length,
        p50_us: at(0.5),
        p99_us: at(0.99),
    }
}

/// Two digits are enough for a picture, and a slice takes 20 KB.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, 2)
        .expect("the bounds are constants that a histogram takes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_threads_are_added_up_and_the_touched_ones_left_out() {
        let (mut sum, mut part) = (Series::default(), Series::default());
        for (slice, count) in [(4, 1), (5, 10), (7, 30), (8, 1)] {
            sum.record(slice, 100, count);
        }
        part.record(9, 100, 5);
        part.record(5, 900, 10);
        sum.add(&part).unwrap();
        let shown: Vec<_> = sum.slices().iter().map(|it| (it.seconds, it.per_second)).collect();
        assert_eq!(shown, [(0.0, 80.0), (0.25, 0.0), (0.5, 120.0), (0.75, 4.0)]);
        assert!((895..910).contains(&sum.slices()[0].p99_us));
        assert_eq!(Series::default().slices(), []);
    }
}
