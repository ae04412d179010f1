//! Counts of what the service did: cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

use crate::journal::JournalStats;
use crate::model::{Operation, Outcome, Sequence};

/// Powers of two of milliseconds that the lateness of expiry is counted in: 0, 1, 2–3, 4–7 …
pub const LATENESS_BUCKETS: usize = 24;

/// A copy of the counters, and gauges beside them.
#[derive(Clone, Debug, Default)]
pub struct ServiceStats {
    /// Requests by operation and outcome, those that occurred.
    pub requests: Vec<(Operation, Outcome, u64)>,
    /// Holds that a deadline ended.
    pub expired: u64,
    /// How late they were ended: bucket 0 is under 1 ms, bucket i is `2^(i-1)..2^i` ms.
    pub lateness: [u64; LATENESS_BUCKETS],
    /// Holds pending now.
    pub holds: u64,
    /// Appointments in memory.
    pub appointments: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Free places in them.
    pub places_free: u64,
    /// The last record appended.
    pub appended: Sequence,
    /// The last record durable.
    pub durable: Sequence,
    /// Counters of the journal.
    pub journal: JournalStats,
}

/// One line for each operation, so that two threads seldom write the same one.
#[derive(Debug)]
pub(super) struct Counters {
    requests: Box<[CachePadded<Row>]>,
    expired: AtomicU64,
    lateness: [AtomicU64; LATENESS_BUCKETS],
}

type Row = [AtomicU64; Outcome::ALL.len()];

impl Default for Counters {
    fn default() -> Self {
        let row = || CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            requests: Operation::ALL.iter().map(|_| row()).collect(),
            expired: AtomicU64::new(0),
            lateness: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Counters {
    pub(super) fn count(&self, operation: Operation, outcome: Outcome) {
        let row = &self.requests[operation.position()];
        row[outcome.position()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_expiry(&self, late_millis: u64) {
        self.expired.fetch_add(1, Ordering::Relaxed);
        let bucket = (u64::BITS - late_millis.leading_zeros()) as usize;
        self.lateness[bucket.min(LATENESS_BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ServiceStats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut requests = Vec::new();
        for (operation, row) in Operation::ALL.iter().zip(&self.requests) {
            for (outcome, count) in Outcome::ALL.iter().zip(row.iter()) {
                if load(count) != 0 {
                    requests.push((*operation, *outcome, load(count)));
                }
            }
        }
        ServiceStats {
            requests,
            expired: load(&self.expired),
            lateness: std::array::from_fn(|bucket| load(&self.lateness[bucket])),
            ..ServiceStats::default()
        }
    }
}
