//! Shards behind locks, and which shard a key belongs to.

use crossbeam::utils::CachePadded;

use crate::model::Sequence;
use crate::sync::{Mutex, MutexGuard};

/// Shards of each kind. Few enough that their heads (locks, ends of queues and slabs, 160 kB in all)
/// stay in a core's second-level cache; enough that two requests on two cores meet once in hundreds,
/// and that a shard of a region's ten million appointments, 40,000, is copied in milliseconds.
pub const SHARD_COUNT: usize = if cfg!(haoyuan_loom) { 4 } else { 256 };

/// The shards of one kind.
#[derive(Debug)]
pub(super) struct Shards<T> {
    locks: Box<[CachePadded<Mutex<Locked<T>>>]>,
}

/// What a lock guards: a shard, and how far the journal is in it. In this order, so that the lock,
/// the numbers and the first fields of the shard share a line of memory.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Locked<T> {
    /// The last record that touched it.
    pub(super) last: Sequence,
    /// The last record that its snapshot holds; recovery skips what it has already.
    pub(super) base: Sequence,
    /// The shard.
    pub(super) state: T,
}

pub(super) type Guard<'a, T> = MutexGuard<'a, Locked<T>>;

impl<T> Locked<T> {
    /// Nothing has touched it.
    pub(super) fn new(state: T) -> Self {
        Self { last: Sequence::default(), base: Sequence::default(), state }
    }
}

impl<T> Shards<T> {
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        let locks = (0..SHARD_COUNT).map(|_| CachePadded::new(Mutex::new(Locked::new(make()))));
        Self { locks: locks.collect() }
    }

    pub(super) fn lock(&self, index: usize) -> Guard<'_, T> {
        self.locks[index % SHARD_COUNT].lock()
    }

    /// The shard without its lock: only one thread knows the inventory yet.
    pub(super) fn only(&mut self, index: usize) -> &mut Locked<T> {
        self.locks[index % SHARD_COUNT].get_mut()
    }

    #[cfg(test)]
    pub(super) fn is_locked(&self, index: usize) -> bool {
        self.locks[index].is_locked()
    }
}

/// The shard of a key: a fixed function, because snapshots are written shard by shard.
#[expect(clippy::cast_possible_truncation, reason = "both halves are used, and the index is small")]
pub(super) const fn route(key: u128) -> usize {
    let folded = (key as u64 ^ 0x9e37_79b9_7f4a_7c15) as u128
        * ((key >> 64) as u64 ^ 0xa076_1d64_78bd_642f) as u128;
    let mixed = (folded as u64 ^ (folded >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> (64 - SHARD_COUNT.trailing_zeros())) as usize
}

const _: () = assert!(SHARD_COUNT.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_over_all_shards() {
        for step in [1_u128, 1 << 64, 1 << 80, 4_096] {
            let mut counts = vec![0_u32; SHARD_COUNT];
            for key in 0..100_000_u128 {
                counts[route(key * step + 7)] += 1;
            }
            let most = counts.iter().max().unwrap();
            assert!(*most < 600, "step {step}: {most} of 100,000 keys in one of 256 shards");
        }
    }

    #[test]
    fn the_route_is_pinned_because_snapshots_are_written_by_shard() {
        let routes: Vec<usize> = [0, 1, 1 << 64, u128::MAX].into_iter().map(route).collect();
        assert_eq!(routes, PINNED);
    }

    const PINNED: [usize; 4] = [155, 78, 154, 9];
}
