//! Counts of what the service did: cheap enough to be always on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam::utils::CachePadded;

use crate::admission::ShedReason;
use crate::journal::JournalStats;
use crate::model::{Operation, Outcome, RuleKey, Sequence};

/// Powers of two of milliseconds that the lateness of expiry is counted in: 0, 1, 2–3, 4–7 …
pub const LATENESS_BUCKETS: usize = 24;

/// A copy of the counters, and gauges beside them.
#[derive(Clone, Debug, Default)]
pub struct ServiceStats {
    /// Requests by operation and outcome, those that occurred.
    pub requests: Vec<(Operation, Outcome, u64)>,
    /// Requests shed, by reason.
    pub shed: [u64; ShedReason::ALL.len()],
    /// Requests that were granted though a rule in shadow would have refused them, in the order of
    /// [`RuleKey::ALL`].
    pub shadow_refusals: [u64; RuleKey::ALL.len()],
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

/// Counts by stripe, so that two threads seldom write the same line.
#[derive(Debug)]
pub(super) struct Counters {
    stripes: Box<[CachePadded<Stripe>]>,
    shed: [CachePadded<AtomicU64>; ShedReason::ALL.len()],
    expired: AtomicU64,
    lateness: [AtomicU64; LATENESS_BUCKETS],
}

/// By operation, then by outcome.
type Stripe = [[AtomicU64; Outcome::ALL.len()]; Operation::ALL.len()];

/// More than the threads that serve on the machines this runs on.
const STRIPES: usize = 16;

thread_local! {
    /// The stripe of this thread.
    static STRIPE: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES
    };
}

impl Default for Counters {
    fn default() -> Self {
        let row = |_| std::array::from_fn(|_| AtomicU64::new(0));
        let stripe = || CachePadded::new(std::array::from_fn(row));
        Self {
            stripes: (0..STRIPES).map(|_| stripe()).collect(),
            shed: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(0))),
            expired: AtomicU64::new(0),
            lateness: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Counters {
    pub(super) fn count(&self, operation: Operation, outcome: Outcome) {
        let stripe = STRIPE.with(|stripe| &self.stripes[*stripe]);
        let count = &stripe[operation.position()][outcome.position()];
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_shed(&self, reason: ShedReason) {
        self.shed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_expiry(&self, late_millis: u64) {
        self.expired.fetch_add(1, Ordering::Relaxed);
        let bucket = (u64::BITS - late_millis.leading_zeros()) as usize;
        self.lateness[bucket.min(LATENESS_BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ServiceStats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut requests = Vec::new();
        for (row, operation) in Operation::ALL.iter().enumerate() {
            for (column, outcome) in Outcome::ALL.iter().enumerate() {
                let counts = self.stripes.iter().map(|stripe| load(&stripe[row][column]));
                let count: u64 = counts.sum();
                if count != 0 {
                    requests.push((*operation, *outcome, count));
                }
            }
        }
        ServiceStats {
            requests,
            shed: std::array::from_fn(|reason| load(&self.shed[reason])),
            expired: load(&self.expired),
            lateness: std::array::from_fn(|bucket| load(&self.lateness[bucket])),
            ..ServiceStats::default()
        }
    }
}
