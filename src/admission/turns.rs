//! Whose turn is it? Which subjects are let in while not all can be.
//!
//! ```text
//! ring of subjects   0 |-----[== turn ==>-----------------| 2^32     position = hash(seed, subject)
//! an epoch later     0 |---------[== turn ==>-------------|          start moves on by half the width
//! ```
//!
//! A subject has one place on the ring, however often it asks. Who asks a thousand times while it is
//! not its turn is refused a thousand times; who comes when it was told to is let in. The turn goes
//! round, so nobody waits longer than one round. It lasts two epochs for each, so that who comes a
//! little late has not missed it.
//!
//! **Architecture invariant:** pure: a position follows from seed and subject, a turn is two numbers.

use crate::model::{PatientId, Timestamp};

/// How long a turn stays where it is: long enough to come back in, short enough to wait for.
pub const EPOCH_MILLIS: u64 = 500;

/// The longest wait that is named. Who waits longer is told to ask again, and learns how far it is.
const WAIT_MILLIS_MAX: u64 = 15_000;

/// The part of the ring whose subjects are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Where it begins.
    pub start: u32,
    /// How much it covers; [`Turn::ALL`] is everything.
    pub width: u32,
}

impl Turn {
    /// Everybody's turn.
    pub const ALL: Self = Self { start: 0, width: u32::MAX };

    /// Whether it is everybody's turn.
    pub const fn is_for_all(self) -> bool {
        self.width == u32::MAX
    }

    /// Whether it is the turn of who stands there.
    pub const fn covers(self, position: u32) -> bool {
        self.is_for_all() || position.wrapping_sub(self.start) < self.width
    }

    /// The turn of the next epoch: half of its subjects are new.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { start: self.start.wrapping_add(self.width / 2), width: self.width }
    }

    /// How long from now until the turn may have come to a position, in milliseconds. `pace` is its
    /// usual width, `began` is when this epoch did.
    ///
    /// A wait of many epochs is halved: the width changes meanwhile, and who looks half-way learns
    /// the rest.
    pub fn wait_millis(self, position: u32, pace: u32, began: Timestamp, now: Timestamp) -> u64 {
        let beyond = position.wrapping_sub(self.start).saturating_sub(self.width);
        let epochs = u64::from(beyond / (pace / 2).max(1)) + 1;
        let epochs = if epochs <= SURE_EPOCHS { epochs } else { epochs.div_ceil(2) };
        let spent = now.as_millis().saturating_sub(began.as_millis());
        // A little into the turn: a clock that is a little off still hits it.
        let wait = (epochs * EPOCH_MILLIS + EPOCH_MILLIS / 8).saturating_sub(spent);
        wait.clamp(EPOCH_MILLIS / 8, WAIT_MILLIS_MAX)
    }

    /// As one number, to be kept in an atomic.
    pub(super) const fn pack(self) -> u64 {
        (self.start as u64) << 32 | self.width as u64
    }

    /// Of one number.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are taken apart")]
    pub(super) const fn unpack(packed: u64) -> Self {
        Self { start: (packed >> 32) as u32, width: packed as u32 }
    }
}

/// Where a subject stands on the ring. Without the seed nobody can choose a place.
#[expect(clippy::cast_possible_truncation, reason = "the halves of a number, and the high bits")]
pub const fn position(seed: u64, subject: PatientId) -> u32 {
    let (low, high) = (subject.0 as u64, (subject.0 >> 64) as u64);
    (mix(mix(seed ^ low).wrapping_add(high)) >> 32) as u32
}

/// Spreads a number over 64 bits (`SplitMix64`'s finisher).
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Waits of so many epochs are told as they are.
const SURE_EPOCHS: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: u32 = 1 << 30;

    #[test]
    fn a_turn_covers_its_part_of_the_ring_and_wraps_around() {
        for (start, width, position, covered) in [
            (0, QUARTER, 0, true),
            (0, QUARTER, QUARTER - 1, true),
            (0, QUARTER, QUARTER, false),
            (3 * QUARTER, 2 * QUARTER, QUARTER - 1, true),
            (3 * QUARTER, 2 * QUARTER, QUARTER, false),
            (3 * QUARTER, 2 * QUARTER, 3 * QUARTER - 1, false),
            (0, 0, 0, false),
            (7, u32::MAX, 6, true),
        ] {
            assert_eq!(
                Turn { start, width }.covers(position),
                covered,
                "{start} {width} {position}"
            );
        }
    }

    #[test]
    fn a_round_comes_to_everybody_for_two_epochs() {
        let width = u32::MAX / 10;
        for number in 0..10_000 {
            let position = position(5, PatientId(number));
            let mut turn = Turn { start: 99, width };
            let mut times = 0;
            for _ in 0..20 {
                times += u32::from(turn.covers(position));
                turn = turn.next();
            }
            // The round ends a few steps before it is full.
            assert!(times == 2 || u32::MAX - 99 < position.wrapping_sub(99), "{number}: {times}");
        }
    }

    #[test]
    fn the_wait_grows_with_the_distance_and_never_misses_the_turn() {
        let (began, now) = (Timestamp::from_millis(10_000), Timestamp::from_millis(10_100));
        let turn = Turn { start: 0, width: 1 << 28 };
        for (position, wait) in
            [(1 << 28, 462), (2 << 28, 962), (3 << 28, 1_462), (8 << 28, 3_962), (u32::MAX, 7_462)]
        {
            assert_eq!(turn.wait_millis(position, 1 << 28, began, now), wait, "{position}");
        }
        assert_eq!(Turn { start: 1, width: 0 }.wait_millis(0, 0, began, now), WAIT_MILLIS_MAX);
    }

    #[test]
    fn positions_are_spread_evenly_and_another_seed_spreads_otherwise() {
        let mut groups = [0_u32; 16];
        let mut same = 0;
        for number in 0..16_000 {
            let patient = PatientId(number << 64 | number);
            groups[(position(1, patient) >> 28) as usize] += 1;
            same += u32::from(position(1, patient) >> 28 == position(2, patient) >> 28);
        }
        assert!(groups.iter().all(|count| (850..1_150).contains(count)), "{groups:?}");
        assert!((800..1_200).contains(&same), "{same}");
    }
}
