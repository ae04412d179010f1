//! Counters of the commit path, cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Powers of two that the commit histogram tells apart: the last one starts at 2^30 µs, 18 minutes.
pub const COMMIT_BUCKETS: usize = 32;

/// A copy of the journal's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Commits done.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Bytes of those blocks.
    pub bytes: u64,
    /// Syncs of at most eight records: what they took is what a commit costs beside its bytes.
    pub small_commits: u64,
    /// Microseconds that those took together, without what they waited for the sync before.
    pub small_commit_micros: u64,
    /// Bytes of records that are reserved or wait for a commit, requests.
    pub request_bytes: u64,
    /// The same for upkeep.
    pub upkeep_bytes: u64,
    /// Trees that were archived and dropped.
    pub pruned_trees: u64,
    /// Prunings that failed, and left everything as it was.
    pub prune_failures: u64,
    /// How many commits took less than 2^i µs, but not less than 2^(i-1).
    pub commit_micros: [u64; COMMIT_BUCKETS],
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    records: AtomicU64,
    blocks: AtomicU64,
    bytes: AtomicU64,
    small_commits: AtomicU64,
    small_commit_micros: AtomicU64,
    pub(super) pruned_trees: AtomicU64,
    pub(super) prune_failures: AtomicU64,
    commit_micros: [AtomicU64; COMMIT_BUCKETS],
}

impl JournalStats {
    /// The upper end, in µs, of the bucket in which a share (0.0..=1.0) of the commits is reached.
    pub fn commit_micros_at(&self, share: f64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among far fewer than 2^52 commits"
        )]
        let rank = (self.commits as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.commit_micros.iter().enumerate() {
            seen += count;
            if rank <= seen {
                return 1 << bucket;
            }
        }
        1 << (COMMIT_BUCKETS - 1)
    }
}

impl Counters {
    pub(super) fn committed(&self, records: u64, blocks: u64, bytes: u64, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.commit_micros[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a sync, from its beginning: a group that waited for the one before took longer.
    pub(super) fn synced(&self, records: u64, took: Duration) {
        if records <= SMALL_RECORDS_MAX {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.small_commit_micros.fetch_add(micros, Ordering::Relaxed);
            self.small_commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> JournalStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JournalStats {
            commits: load(&self.commits),
            records: load(&self.records),
            blocks: load(&self.blocks),
            bytes: load(&self.bytes),
            small_commits: load(&self.small_commits),
            small_commit_micros: load(&self.small_commit_micros),
            request_bytes: 0,
            upkeep_bytes: 0,
            pruned_trees: load(&self.pruned_trees),
            prune_failures: load(&self.prune_failures),
            commit_micros: std::array::from_fn(|index| load(&self.commit_micros[index])),
        }
    }
}

/// Records that weigh nothing beside the commit that they are in.
const SMALL_RECORDS_MAX: u64 = 8;

/// The bucket of a duration: how many bits its microseconds have.
fn bucket(took: Duration) -> usize {
    let bits = u128::BITS - took.as_micros().leading_zeros();
    usize::try_from(bits).map_or(COMMIT_BUCKETS - 1, |bits| bits.min(COMMIT_BUCKETS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_commits_is_found_in_its_bucket() {
        let counters = Counters::default();
        for micros in [0, 1, 3, 200, 1_000_000_000_000] {
            counters.committed(1, 1, 75, Duration::from_micros(micros));
        }
        let stats = counters.read();
        assert_eq!((stats.commits, stats.bytes), (5, 375));
        assert_eq!(stats.small_commits, 0, "a commit may have waited for another");
        for (records, micros) in [(1, 700), (8, 300), (9, 50_000)] {
            counters.synced(records, Duration::from_micros(micros));
        }
        let small = counters.read();
        assert_eq!((small.small_commits, small.small_commit_micros), (2, 1_000));
        assert_eq!(
            [0.2, 0.4, 0.6, 0.8, 1.0].map(|share| stats.commit_micros_at(share)),
            [1, 2, 4, 256, 1 << 31]
        );
    }
}
