//! A bucket of tokens in one word: how far it is from full, exactly.
//!
//! ```text
//! level   blocked | limited | full at, in milliseconds (42 bits) | parts of a millisecond (20 bits)
//!
//! a token costs every/rate ms    |<--- burst tokens --->|
//!                         now ---+===== debt =====+-----+--> time
//!                                                 full at
//! ```
//!
//! A bucket that is `debt` from full lacks `debt × rate / every` tokens. A part is one `rate`-th of a
//! millisecond, so that nothing is ever rounded. A bucket that is full is 0, or any time that is past:
//! who was forgotten and who never came are the same.
//!
//! As numbers, levels stand in the order in which they matter: a blocked one is above a limited one,
//! and that above others; of equal ones that which is full later is above.
//!
//! **Architecture invariant:** pure: told the time, and the same for the same story.

use crate::model::limits::{BLOCK_MINUTES_MAX, RATE_EVERY_SECONDS_MAX, RATE_MAX};
use crate::model::{RateRule, Timestamp};

/// How many tokens flow in, and how many fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Tokens that flow in every so often, 1 to 2^20 − 1; also the parts of a millisecond.
    rate: u64,
    /// What a token costs, in parts: the length of the period in milliseconds.
    cost: u64,
    /// What the bucket holds, in parts.
    capacity: u64,
    /// How long who empties it is blocked, in milliseconds; 0 for not at all.
    block_millis: u64,
}

/// How full a bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u64);

/// A bucket that has no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// The bucket from now on.
    pub level: Level,
    /// When the next token is there, or the block ends, in milliseconds from now; at least 1.
    pub wait_millis: u64,
}

impl From<&RateRule> for Limit {
    fn from(rule: &RateRule) -> Self {
        let (rate, cost) = (u64::from(rule.rate), u64::from(rule.every_seconds) * 1_000);
        let capacity = u64::from(rule.burst) * cost;
        Self { rate, cost, capacity, block_millis: u64::from(rule.block_minutes) * 60_000 }
    }
}

impl Limit {
    /// How many tokens fit.
    pub(super) const fn burst(&self) -> u64 {
        self.capacity / self.cost
    }
}

impl Level {
    /// A full bucket.
    pub const FULL: Self = Self(0);

    /// Takes up to `count` tokens, and says how many there were.
    ///
    /// # Errors
    ///
    /// [`Short`], where there was none.
    #[inline]
    pub fn take(self, now: Timestamp, limit: &Limit, count: u64) -> Result<(Self, u64), Short> {
        let now = now.as_millis();
        let full_at = self.millis();
        if self.is_blocked() && now < full_at {
            return Err(Short { level: self, wait_millis: full_at - now });
        }
        let debt = match full_at.checked_sub(now) {
            Some(ahead) if !self.is_blocked() => ahead * limit.rate + (self.0 & PARTS),
            _ => 0,
        };
        let there = limit.capacity.saturating_sub(debt) / limit.cost;
        if there == 0 {
            return Err(self.short(now, limit, debt));
        }
        let taken = there.min(count);
        Ok((Self::at(now, debt + taken * limit.cost, limit), taken))
    }

    #[cold]
    fn short(self, now: u64, limit: &Limit, debt: u64) -> Short {
        if 0 < limit.block_millis {
            let until = (now + limit.block_millis) & MILLIS;
            let level = Self(BLOCKED | until << PARTS_BITS);
            return Short { level, wait_millis: limit.block_millis };
        }
        let lacking = (debt + limit.cost).saturating_sub(limit.capacity);
        let level = Self(self.0 | LIMITED);
        Short { level, wait_millis: lacking.div_ceil(limit.rate).max(1) }
    }

    /// So far from full.
    #[inline]
    const fn at(now: u64, debt: u64, limit: &Limit) -> Self {
        let full_at = (now + debt / limit.rate) & MILLIS;
        Self((full_at << PARTS_BITS) | (debt % limit.rate))
    }

    /// The same, or full if it is by now: what may be forgotten.
    #[inline]
    #[must_use]
    pub const fn settled(self, now: Timestamp) -> Self {
        let parts = (self.0 & PARTS != 0) as u64;
        if self.millis() + parts <= now.as_millis() { Self::FULL } else { self }
    }

    /// Whether who has it is blocked for a term.
    pub const fn is_blocked(self) -> bool {
        self.0 & BLOCKED != 0
    }

    /// Whether who has it was refused when it came last.
    pub const fn is_limited(self) -> bool {
        self.0 & (BLOCKED | LIMITED) != 0
    }

    /// As one number, to be kept in an atomic.
    pub(super) const fn to_word(self) -> u64 {
        self.0
    }

    /// Of one number.
    pub(super) const fn of_word(word: u64) -> Self {
        Self(word)
    }

    const fn millis(self) -> u64 {
        self.0 >> PARTS_BITS & MILLIS
    }
}

const BLOCKED: u64 = 1 << 63;
const LIMITED: u64 = 1 << 62;
const PARTS_BITS: u32 = 20;
const PARTS: u64 = (1 << PARTS_BITS) - 1;

/// 42 bits of milliseconds: until the year 2109.
const MILLIS: u64 = (1 << 42) - 1;

// A part of a millisecond fits, and the sums above stay in 64 bits: a debt is at most a capacity.
const _: () = assert!((RATE_MAX as u64) < 1 << PARTS_BITS);
const DEBT_MAX: u64 = RATE_MAX as u64 * RATE_EVERY_SECONDS_MAX as u64 * 1_000;
const _: () = assert!(DEBT_MAX < 1 << 47);
// A time far ahead, of a clock that was set back, times the parts of a millisecond.
const _: () = assert!((MILLIS as u128) * (RATE_MAX as u128) < 1 << 63);
const _: () = assert!((BLOCK_MINUTES_MAX as u64) * 60_000 < 1 << 42);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{ChannelSet, RateKey, RuleMode};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn limit(rate: u32, every_seconds: u32, burst: u32, block_minutes: u16) -> Limit {
        Limit::from(&RateRule {
            per: RateKey::Address,
            rate,
            every_seconds,
            burst,
            block_minutes,
            channels: ChannelSet::ALL,
            mode: RuleMode::Enforce,
        })
    }

    /// Plays a request at each of these milliseconds; says whether each passes, or how long to wait.
    fn play(limit: &Limit, times: &[u64]) -> Vec<Result<(), u64>> {
        let mut level = Level::FULL;
        let ask = |millis: &u64| match level.take(NOW.plus_millis(*millis), limit, 1) {
            Ok((next, 1)) => {
                level = next;
                Ok(())
            }
            Ok((_, taken)) => panic!("{taken} tokens for one"),
            Err(short) => {
                level = short.level;
                Err(short.wait_millis)
            }
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_a_token_each_time_one_flows_in() {
        let three_in_a_second = limit(3, 1, 2, 0);
        let told = play(&three_in_a_second, &[0, 0, 0, 333, 334, 334, 666, 667, 10_000, 10_000]);
        let expected =
            [Ok(()), Ok(()), Err(334), Err(1), Ok(()), Err(333), Err(1), Ok(()), Ok(()), Ok(())];
        assert_eq!(told, expected);
    }

    #[test]
    fn who_comes_when_told_passes_and_who_asks_meanwhile_loses_nothing() {
        let one_in_a_minute = limit(1, 60, 1, 0);
        let told = play(&one_in_a_minute, &[0, 1, 1_000, 59_999, 60_000, 60_001]);
        let expected = [Ok(()), Err(59_999), Err(59_000), Err(1), Ok(()), Err(59_999)];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_hundred_and_first_operation_at_once_blocks_for_the_term_and_no_longer() {
        let hundred_in_a_minute = limit(100, 60, 100, 60);
        let mut times = vec![0; 100];
        times.extend([1, 2, 1_800_000, 3_600_000, 3_600_001, 3_600_001]);
        let told = play(&hundred_in_a_minute, &times);
        assert!(told[..100].iter().all(Result::is_ok));
        let hour = 3_600_000;
        assert_eq!(told[100..104], [Err(hour), Err(hour - 1), Err(hour / 2 + 1), Err(1)]);
        assert_eq!(told[104..], [Ok(()), Ok(())], "the bucket is full after the term");
    }

    #[test]
    fn who_never_does_more_than_the_rate_in_a_period_is_never_limited() {
        let hundred_in_a_minute = limit(100, 60, 100, 60);
        // A hundred at once, each minute, for an hour.
        let times: Vec<u64> = (0..6_000).map(|number| number / 100 * 60_000).collect();
        assert!(play(&hundred_in_a_minute, &times).iter().all(Result::is_ok));
    }

    #[test]
    fn several_tokens_are_given_as_far_as_they_are_there() {
        let limit = limit(10, 1, 5, 0);
        let (level, taken) = Level::FULL.take(NOW, &limit, 3).unwrap();
        assert_eq!(taken, 3);
        let (level, taken) = level.take(NOW, &limit, 3).unwrap();
        assert_eq!(taken, 2);
        assert_eq!(level.take(NOW, &limit, 3).unwrap_err().wait_millis, 100);
    }

    #[test]
    fn blocked_levels_stand_above_limited_ones_and_those_above_others() {
        let (slow, fast) = (limit(1, 86_400, 9, 0), limit(1, 1, 1, 0));
        let used = Level::FULL.take(NOW, &slow, 9).unwrap().0;
        let limited = Level::FULL.take(NOW, &fast, 1).unwrap().0.take(NOW, &fast, 1);
        let limited = limited.unwrap_err().level;
        let blocking = limit(1, 1, 1, 1);
        let blocked = Level::FULL.take(NOW, &blocking, 1).unwrap().0.take(NOW, &blocking, 1);
        let blocked = blocked.unwrap_err().level;
        assert!(Level::FULL < used && used < limited && limited < blocked);
        assert!(blocked.is_blocked() && limited.is_limited() && !used.is_limited());
        for level in [used, limited, blocked] {
            assert_eq!(level.settled(NOW), level);
            assert_eq!(level.settled(NOW.plus_millis(9 * 86_400_000)), Level::FULL);
        }
    }

    /// A bucket as a fraction of tokens over the length of its period, worked out step by step.
    struct Naive {
        rate: u128,
        every: u128,
        burst: u128,
        block: u128,
        /// Tokens times the length of the period.
        tokens: u128,
        looked: u128,
        blocked_until: u128,
    }

    impl Naive {
        fn take(&mut self, now: u128, count: u128) -> Result<u128, u128> {
            if now < self.blocked_until {
                return Err(self.blocked_until - now);
            }
            if self.looked < self.blocked_until {
                (self.tokens, self.looked) = (self.burst * self.every, self.blocked_until);
            }
            let flowed = (now - self.looked) * self.rate;
            self.tokens = (self.tokens + flowed).min(self.burst * self.every);
            self.looked = now;
            let mut taken = 0;
            while taken < count && self.every <= self.tokens {
                self.tokens -= self.every;
                taken += 1;
            }
            if 0 < taken {
                return Ok(taken);
            }
            if 0 < self.block {
                self.blocked_until = now + self.block;
                return Err(self.block);
            }
            let mut wait = 1;
            while self.tokens + wait * self.rate < self.every {
                wait += 1;
            }
            Err(wait)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_word_agrees_exactly_with_a_bucket_of_fractions(
            rate in prop_oneof![1_u32..20, 1_u32..=RATE_MAX],
            every in prop_oneof![1_u32..4, 1_u32..=600],
            burst in prop_oneof![1_u32..5, 1_u32..200],
            block in prop_oneof![Just(0_u16), 1_u16..3],
            steps in prop::collection::vec((0_u64..8, 0_u64..30_000, 1_u64..4), 1..60),
        ) {
            let limit = limit(rate, every, burst, block);
            let mut naive = Naive {
                rate: rate.into(),
                every: u128::from(every) * 1_000,
                burst: burst.into(),
                block: u128::from(block) * 60_000,
                tokens: u128::from(burst) * u128::from(every) * 1_000,
                looked: NOW.as_millis().into(),
                blocked_until: 0,
            };
            let (mut level, mut now) = (Level::FULL, NOW);
            for (kind, millis, count) in steps {
                // Often at once, mostly soon, sometimes later.
                let passes = match kind { 0..=2 => 0, 3..=6 => millis % 300, _ => millis };
                now = now.plus_millis(passes);
                let expected = naive.take(now.as_millis().into(), count.into());
                let told = level.settled(now).take(now, &limit, count);
                let said = match told {
                    Ok((next, taken)) => {
                        level = next;
                        Ok(u128::from(taken))
                    }
                    Err(short) => {
                        level = short.level;
                        Err(u128::from(short.wait_millis))
                    }
                };
                prop_assert_eq!(said, expected);
            }
        }
    }
}
