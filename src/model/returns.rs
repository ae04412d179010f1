//! Places on their way back: freed, and not free yet (退号回池).
//!
//! ```text
//! taken --Freed--> returning until an instant --Returned--> free
//!                            never (Withheld)
//! ```
//!
//! **Architecture invariant:** a returning place counts as taken wherever a request looks. When it
//! comes back was drawn when it was freed, and is in the fact.

use super::fact::Ended;
use super::id::{PoolIndex, SessionId, SlotIndex};
use super::terms::{Delay, ReturnRule};
use super::time::Timestamp;

/// Equal places of a session on their way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Returning {
    /// When they are free again; [`Timestamp::MAX`] where they do not come back.
    pub until: Timestamp,
    /// Of which slot.
    pub slot: SlotIndex,
    /// Of which pool.
    pub pool: PoolIndex,
    /// How many.
    pub count: u16,
}

/// See [`super::Fact::Freed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freed {
    /// What ended.
    pub ended: Ended,
    /// When the places of each claim come back: zero at once, [`Timestamp::MAX`] never.
    pub back: Vec<Timestamp>,
}

/// See [`super::Fact::Returned`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Of which session.
    pub session: SessionId,
    /// Which places, as they were returning. 1 to `RETURNED_MAX`.
    pub places: Vec<Returning>,
}

impl ReturnRule {
    /// When a place that is freed now comes back, by chance where there is a delay: uniform over the
    /// milliseconds from the shortest to the longest. Zero means at once.
    pub fn back(self, now: Timestamp, chance: u64) -> Timestamp {
        match self {
            Self::AtOnce => Timestamp::default(),
            Self::Delayed(delay) | Self::WaitlistFirst(delay) => {
                now.plus_millis(delay.draw(chance))
            }
            Self::Withheld => Timestamp::MAX,
        }
    }
}

impl Delay {
    /// A number of milliseconds from the shortest to the longest, each as likely as any other to
    /// within 2^-37.
    fn draw(self, chance: u64) -> u64 {
        let span = u64::from(self.max_millis.saturating_sub(self.min_millis)).saturating_add(1);
        let above = (u128::from(chance).saturating_mul(u128::from(span)) >> 64) as u64;
        u64::from(self.min_millis).saturating_add(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_drawn_from_the_shortest_to_the_longest() {
        let now = Timestamp::from_millis(1_000);
        let delay = Delay { min_millis: 10, max_millis: 12 };
        let third = u64::MAX / 3;
        for (chance, millis) in
            [(0, 10), (third - 1, 10), (third + 1, 11), (2 * third + 2, 12), (u64::MAX, 12)]
        {
            let expected = Timestamp::from_millis(1_000 + millis);
            assert_eq!(ReturnRule::Delayed(delay).back(now, chance), expected, "{chance}");
            assert_eq!(ReturnRule::WaitlistFirst(delay).back(now, chance), expected, "{chance}");
        }
        assert_eq!(ReturnRule::AtOnce.back(now, 7), Timestamp::default());
        assert_eq!(ReturnRule::Withheld.back(now, 7), Timestamp::MAX);
    }
}
