//! Tokens of connections and channels, as near to a request as can be.
//!
//! ```text
//! channel     level (all connections)     connection   level (its streams)
//!                 '-- lease: a few tokens, for 10 ms --.     '-- lease --.
//! stream                                      left, until           left, until
//! ```
//!
//! A stream takes one token from the shared level first. If it needs the next one soon, it takes two,
//! then four, up to a 64th of the bucket: so a stream that is fast touches a shared line once for many
//! requests, and one that is slow loses nobody's tokens. A lease that is not used within 10 ms is lost.
//! So in any stretch of time t no more come in than burst + rate × (t + 10 ms).
//!
//! **Architecture invariant:** a lease belongs to one stream and is touched by it alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::{Level, Limit};
use super::rates::RateSet;
use crate::model::limits::RATES_MAX;
use crate::model::{BookingChannel, Timestamp};

/// What the streams of one connection share.
#[derive(Debug, Default)]
pub struct ConnectionLevels {
    /// Of which rates the levels are.
    generation: AtomicU64,
    pub(super) levels: [AtomicU64; RATES_MAX],
}

/// What one stream knows of rates: those in force as it last looked, and tokens that it has taken.
#[derive(Debug)]
pub struct Meter {
    pub(super) set: Arc<RateSet>,
    pub(super) leases: Leases,
}

/// The tokens that a stream has taken.
#[derive(Debug, Default)]
pub(super) struct Leases {
    pub(super) connection: Arc<ConnectionLevels>,
    /// One for each rate of connections.
    pub(super) of_connection: Box<[Lease]>,
    /// Some for each rate of channels.
    pub(super) of_channels: Box<[ChannelLeases]>,
    /// Counts requests that were refused.
    pub(super) asked: u64,
}

/// The leases of one rate of channels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChannelLeases([Lease; LEASES]);

/// Tokens that a stream has taken and not used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lease {
    /// Of which channel they are.
    channel: u8,
    left: u32,
    /// How many were taken last.
    size: u32,
    /// Until when they may be used, in milliseconds.
    until: u64,
    /// Until when there are none to be had.
    empty_until: u64,
}

/// Leases of one rate of channels: most streams use fewer channels. Those that fall together take
/// single tokens.
const LEASES: usize = 8;

/// How long tokens may be kept: a few readings of a busy stream.
const LEASE_MILLIS: u64 = 10;

/// The most that are taken at once, and which part of a bucket.
const LEASE_MAX: u64 = 64;

impl Default for Meter {
    /// The meter of a connection with one stream.
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Meter {
    /// A meter of a new stream.
    pub fn new(connection: Arc<ConnectionLevels>) -> Self {
        Self { set: Arc::default(), leases: Leases { connection, ..Leases::default() } }
    }

    /// Goes over to other rates.
    #[cold]
    pub(super) fn follow(&mut self, set: Arc<RateSet>) {
        let connection = &self.leases.connection;
        if connection.generation.swap(set.generation, Ordering::Relaxed) != set.generation {
            // Full buckets: who asks meanwhile on another stream gains a token.
            connection.levels.iter().for_each(|level| level.store(0, Ordering::Relaxed));
        }
        self.leases.of_connection = set.connections.iter().map(|_| Lease::default()).collect();
        self.leases.of_channels = set.channels.iter().map(|_| ChannelLeases::default()).collect();
        self.set = set;
    }
}

impl ChannelLeases {
    /// The lease of a channel.
    #[inline]
    pub(super) fn of(&mut self, channel: BookingChannel) -> &mut Lease {
        let number = channel.number();
        let lease = &mut self.0[usize::from(number) % LEASES];
        if lease.channel != number {
            *lease = Lease { channel: number, ..Lease::default() };
        }
        lease
    }
}

impl Lease {
    /// Takes a token, of those at hand or of those that are shared.
    ///
    /// # Errors
    ///
    /// How long to wait, in milliseconds.
    #[inline]
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        shared: &AtomicU64,
        limit: &Limit,
    ) -> Result<(), u64> {
        let millis = now.as_millis();
        if 0 < self.left && millis < self.until {
            self.left -= 1;
            return Ok(());
        }
        if millis < self.empty_until {
            return Err(self.empty_until - millis);
        }
        self.renew(now, shared, limit)
    }

    #[inline(never)]
    fn renew(&mut self, now: Timestamp, shared: &AtomicU64, limit: &Limit) -> Result<(), u64> {
        let millis = now.as_millis();
        let most = (limit.burst() / LEASE_MAX).clamp(1, LEASE_MAX);
        let is_fast = 0 < self.size && millis < self.until;
        let wanted = if is_fast { (u64::from(self.size) * 2).min(most) } else { 1 };
        let mut word = shared.load(Ordering::Relaxed);
        loop {
            let (next, given) = match Level::of_word(word).take(now, limit, wanted) {
                Ok((next, given)) => (next, given),
                Err(short) => {
                    *self = Self {
                        channel: self.channel,
                        empty_until: millis + short.wait_millis,
                        ..Self::default()
                    };
                    return Err(short.wait_millis);
                }
            };
            let swapped = shared.compare_exchange_weak(
                word,
                next.to_word(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => {
                    self.size = u32::try_from(given).unwrap_or(1);
                    (self.left, self.until) = (self.size - 1, millis + LEASE_MILLIS);
                    return Ok(());
                }
                Err(found) => word = found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChannelSet, RateKey, RateRule, RuleMode};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn limit(rate: u32, burst: u32) -> Limit {
        Limit::from(&RateRule {
            per: RateKey::Channel,
            rate,
            every_seconds: 1,
            burst,
            block_minutes: 0,
            channels: ChannelSet::ALL,
            mode: RuleMode::Enforce,
        })
    }

    #[test]
    fn a_fast_stream_leases_more_and_more_and_a_slow_one_a_token_at_a_time() {
        let (shared, limit) = (AtomicU64::new(0), limit(1_000, 100_000));
        let mut lease = Lease::default();
        let mut touched = 0;
        for _ in 0..1_000 {
            let before = shared.load(Ordering::Relaxed);
            lease.take(NOW, &shared, &limit).unwrap();
            touched += u32::from(before != shared.load(Ordering::Relaxed));
        }
        assert!(touched < 30, "{touched}");
        let mut slow = Lease::default();
        for second in 1..100 {
            slow.take(NOW.plus_millis(second * 1_000), &shared, &limit).unwrap();
            assert_eq!((slow.left, slow.size), (0, 1));
        }
    }

    #[test]
    fn ten_streams_together_get_the_burst_and_what_flows_in_and_ten_milliseconds_more_at_most() {
        for (rate, burst) in [(1_000, 100), (50_000, 5_000), (10, 3), (200_000, 100_000)] {
            let (shared, limit) = (AtomicU64::new(0), limit(rate, burst));
            let mut leases = [Lease::default(); 10];
            let (mut passed, mut refused) = (0, 0_u64);
            for millis in 0..2_000 {
                for (number, lease) in (0..).zip(&mut leases) {
                    // Each at its own pace, together far too many.
                    for _ in 0..=rate / 1_000 / (number + 1) {
                        match lease.take(NOW.plus_millis(millis), &shared, &limit) {
                            Ok(()) => passed += 1,
                            Err(wait) => {
                                assert!(0 < wait);
                                refused += 1;
                            }
                        }
                    }
                }
            }
            let most = u64::from(burst) + u64::from(rate) * 2_010 / 1_000;
            assert!(passed <= most, "{passed} of {most}");
            let asked = passed + refused;
            assert!(asked.min(most) * 9 / 10 <= passed, "{passed} of {most}, {asked} asked");
        }
    }

    #[test]
    fn tokens_that_were_leased_and_not_used_are_no_hoard() {
        let (shared, limit) = (AtomicU64::new(0), limit(10_000, 10_000));
        let mut leases = [Lease::default(); 20];
        // Each ends with most of a lease left.
        for lease in &mut leases {
            (0..130).for_each(|_| lease.take(NOW, &shared, &limit).unwrap());
            assert!(50 < lease.left);
        }
        for (millis, most) in [(60_000, 10_000), (60_009, 90), (60_010, 10)] {
            let now = NOW.plus_millis(millis);
            let mut passed = 0;
            for lease in &mut leases {
                while lease.take(now, &shared, &limit).is_ok() {
                    passed += 1;
                }
            }
            assert_eq!(passed, most, "{millis}");
        }
    }

    #[test]
    fn a_stream_that_found_none_asks_no_more_until_the_next_token_is_there() {
        let (shared, limit) = (AtomicU64::new(0), limit(1, 1));
        let mut lease = Lease::default();
        assert_eq!(lease.take(NOW, &shared, &limit), Ok(()));
        assert_eq!(lease.take(NOW, &shared, &limit), Err(1_000));
        // Somebody filled the bucket meanwhile: the stream does not look.
        shared.store(0, Ordering::Relaxed);
        assert_eq!(lease.take(NOW.plus_millis(999), &shared, &limit), Err(1));
        assert_eq!(lease.take(NOW.plus_millis(1_000), &shared, &limit), Ok(()));
    }
}
