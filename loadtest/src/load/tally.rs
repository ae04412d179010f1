//! What the answers of a run come to: how many, how late, and our own account of the places.
//!
//! **Architecture invariant:** the account follows acknowledged answers only, in every phase of a
//! run; counts and latencies are those of the measured phase.

use haoyuan::model::Outcome;
use hdrhistogram::Histogram;

use super::mix::Kind;
use crate::Failure;
use crate::series::Series;

/// The longest latency that is told apart: a minute.
const MICROS_MAX: u64 = 60_000_000;

/// Outcomes have codes below this.
const CODES: usize = 1_000;

/// The counts of one thread, or of all.
#[derive(Debug)]
pub(crate) struct Tally {
    latency: Vec<Histogram<u64>>,
    counts: Vec<u64>,
    /// Acknowledged holds that live, slot by slot.
    pub(crate) taken: Vec<i32>,
    /// The same by time.
    pub(crate) series: Series,
    /// The latency that came last, how often, for which kind, in which slice: answers come in batches.
    run: (Kind, u64, usize, u64),
}

impl Tally {
    /// Nothing counted yet, over so many slots.
    pub(crate) fn new(slots: usize) -> Self {
        let histogram = |_| {
            Histogram::new_with_bounds(1, MICROS_MAX, 3)
                .expect("the bounds are constants that a histogram takes")
        };
        Self {
            latency: Kind::ALL.iter().map(histogram).collect(),
            counts: vec![0; Kind::ALL.len() * CODES],
            taken: vec![0; slots],
            series: Series::default(),
            run: (Kind::Hold, 0, 0, 0),
        }
    }

    /// Counts an answer of the measured phase that took so long and came `at` µs from the start.
    #[inline]
    pub(crate) fn count(&mut self, kind: Kind, code: u16, micros: u64, at: u64) {
        self.counts[kind as usize * CODES + usize::from(code).min(CODES - 1)] += 1;
        let slice = Series::slice_of(at);
        if (self.run.0, self.run.1, self.run.2) == (kind, micros, slice) {
            self.run.3 += 1;
        } else {
            self.settle();
            self.run = (kind, micros, slice, 1);
        }
    }

    /// Brings the histograms up to date.
    pub(crate) fn settle(&mut self) {
        let (kind, micros, slice, count) = std::mem::take(&mut self.run);
        if 0 < count {
            self.latency[kind as usize].saturating_record_n(micros.max(1), count);
            self.series.record(slice, micros.max(1), count);
        }
    }

    /// Adds what another thread counted.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        for (sum, part) in self.latency.iter_mut().zip(&other.latency) {
            sum.add(part)?;
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, part)| *sum += part);
        self.taken.iter_mut().zip(&other.taken).for_each(|(sum, part)| *sum += part);
        self.series.add(&other.series)
    }

    /// Answers of a kind with an outcome.
    pub(crate) fn answers(&self, kind: Kind, outcome: Outcome) -> u64 {
        self.counts[kind as usize * CODES + usize::from(outcome.code())]
    }

    /// The latencies of a kind, in µs.
    pub(crate) fn latency(&self, kind: Kind) -> &Histogram<u64> {
        &self.latency[kind as usize]
    }

    /// The latencies of all kinds, in µs.
    pub(crate) fn all_latencies(&self) -> Result<Histogram<u64>, Failure> {
        let mut all = Histogram::new_with_bounds(1, MICROS_MAX, 3)?;
        for part in &self.latency {
            all.add(part)?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_and_added_up() {
        let (mut sum, mut part) = (Tally::new(2), Tally::new(2));
        for (kind, micros) in
            [(Kind::Hold, 10), (Kind::Hold, 10), (Kind::Read, 10), (Kind::Hold, 0)]
        {
            part.count(kind, Outcome::Done.code(), micros, 300_000);
        }
        part.count(Kind::Hold, Outcome::SoldOut.code(), 7, 600_000);
        part.settle();
        part.taken[1] = 3;
        sum.add(&part).unwrap();
        sum.add(&part).unwrap();
        assert_eq!(sum.answers(Kind::Hold, Outcome::Done), 6);
        assert_eq!(sum.answers(Kind::Hold, Outcome::SoldOut), 2);
        assert_eq!((sum.latency(Kind::Hold).len(), sum.latency(Kind::Read).len()), (8, 2));
        assert_eq!((sum.all_latencies().unwrap().len(), sum.taken[1]), (10, 6));
    }
}
