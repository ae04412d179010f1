//! What a seed decides before the run: how large the world is, and which faults it has how often.

use crate::random::Random;

/// The frame of a run. Rates are per thousand.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Events before the faults end.
    pub(crate) events: u64,
    pub(crate) retention_millis: u64,
    pub(crate) request_bytes: u64,
    pub(crate) upkeep_bytes: u64,
    pub(crate) recent_bytes: usize,
    pub(crate) clients: usize,
    pub(crate) patients: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) delayed: u64,
    /// A sync takes up to this, in microseconds.
    pub(crate) sync_micros: u64,
    /// How often each mischief happens beside the others, by its position in [`MISCHIEFS`].
    pub(crate) weights: [u64; MISCHIEFS.len()],
    /// Mean time between two of them, in microseconds.
    pub(crate) mischief_micros: u64,
    pub(crate) prunes: bool,
}

/// What may be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mischief {
    Crash,
    OrderlyStop,
    FailedSync,
    FailedWrite,
    SlowDisk,
    WallJump,
    Snapshot,
    Lull,
}

pub(crate) const MISCHIEFS: [Mischief; 8] = [
    Mischief::Crash,
    Mischief::OrderlyStop,
    Mischief::FailedSync,
    Mischief::FailedWrite,
    Mischief::SlowDisk,
    Mischief::WallJump,
    Mischief::Snapshot,
    Mischief::Lull,
];

const MINUTE: u64 = 60_000;
/// Room for one largest record and a few small ones: a queue that is soon full.
const NARROW: u64 = 4_600;
const WIDE: u64 = 4 << 20;

impl Plan {
    /// Each seed has some of the faults, and some of them often: a run with all of them would never
    /// get far.
    pub(crate) fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let rate = |random: &mut Random| random.pick(&[0, 0, 10, 50, 200]);
        let mut weights = [0; MISCHIEFS.len()];
        for weight in &mut weights {
            *weight = random.pick(&[0, 1, 1, 2, 5]);
        }
        // Lulls are where the whole state is looked at.
        weights[MISCHIEFS.len() - 1] = 4;
        Self {
            seed,
            events: random.between(1_000, 3_000),
            retention_millis: random.pick(&[10, 60, 24 * 60]) * MINUTE,
            request_bytes: random.pick(&[NARROW, 2 * NARROW, WIDE]),
            upkeep_bytes: random.pick(&[NARROW, WIDE, WIDE]),
            recent_bytes: random.pick(&[0, 2_000, 1 << 20]),
            clients: random.index(5) + 3,
            patients: random.between(3, 24),
            lost: rate(random),
            duplicated: rate(random),
            delayed: rate(random),
            sync_micros: random.pick(&[500, 5_000, 100_000, 3_000_000]),
            weights,
            mischief_micros: random.pick(&[5_000_000, 30_000_000, 120_000_000]),
            prunes: random.chance(500),
        }
    }
}
