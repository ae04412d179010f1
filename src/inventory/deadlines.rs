//! The next deadline of every shard of a kind, where the ticker looks without a lock.
//!
//! **Architecture invariant:** derived. A deadline is noted while its shard is locked, so that the last
//! one noted is the shard's.

use super::shards::SHARD_COUNT;
use crate::model::Timestamp;
use crate::sync::atomic::{AtomicU64, Ordering};

/// One deadline for each shard, in milliseconds; `u64::MAX` where there is none.
#[derive(Debug)]
pub(super) struct Deadlines {
    next: Box<[AtomicU64]>,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { next: (0..SHARD_COUNT).map(|_| AtomicU64::new(u64::MAX)).collect() }
    }

    /// The shards whose deadline has passed.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = usize> + '_ {
        let is_due = move |index: &usize| self.load(*index) <= now.as_millis();
        (0..SHARD_COUNT).filter(is_due)
    }

    /// The earliest of all.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        let earliest = (0..SHARD_COUNT).map(|index| self.load(index)).min()?;
        (earliest != u64::MAX).then_some(Timestamp::from_millis(earliest))
    }

    /// Notes the next deadline of a shard. Most often it is the one that was noted: then nothing is
    /// written, because a written line leaves the caches of the other cores.
    pub(super) fn note(&self, index: usize, deadline: Option<Timestamp>) {
        let next = deadline.map_or(u64::MAX, Timestamp::as_millis);
        if self.load(index) != next {
            self.next[index].store(next, Ordering::Relaxed);
        }
    }

    fn load(&self, index: usize) -> u64 {
        self.next[index].load(Ordering::Relaxed)
    }

    /// Asserts that the deadline of a shard is known.
    #[cfg(test)]
    pub(super) fn check(&self, index: usize, deadline: Option<Timestamp>) {
        assert_eq!(self.load(index), deadline.map_or(u64::MAX, Timestamp::as_millis));
    }
}
