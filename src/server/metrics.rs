//! What the server counts. Everything is added once per reading of a stream, not per request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::model::Outcome;

/// Counters and histograms of one node's transport.
#[derive(Debug)]
pub struct ServerMetrics {
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Connections that were opened since the start.
    pub connections_opened: AtomicU64,
    /// Connections that were turned away: certificate, protocol or number.
    pub connections_refused: AtomicU64,
    /// Connections that were cut off: too slow, or a certificate that is not valid any more.
    pub connections_cut: AtomicU64,
    /// Handshakes under way.
    pub handshakes: AtomicU64,
    /// First packets that were answered with a Retry, as each is.
    pub handshakes_retried: AtomicU64,
    /// First packets that were dropped, because too many handshakes were under way.
    pub handshakes_dropped: AtomicU64,
    /// Streams that are open.
    pub streams: AtomicU64,
    /// Subscriptions that are open.
    pub subscriptions: AtomicU64,
    /// Readings of a stream, each of one or more packets.
    pub batches: AtomicU64,
    /// Bytes of streams received.
    pub bytes_received: AtomicU64,
    /// Bytes of streams sent.
    pub bytes_sent: AtomicU64,
    requests: [AtomicU64; OUTCOMES],
    durable: Mutex<Histogram<u32>>,
    at_once: Mutex<Histogram<u32>>,
}

/// Which answers a latency is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerClass {
    /// Answers that waited for the journal.
    Durable,
    /// Refusals and readings that were given at once.
    AtOnce,
}

/// Requests by outcome, counted without touching shared memory until they are added.
#[derive(Debug)]
pub(super) struct Tally([u32; OUTCOMES]);

const OUTCOMES: usize = Outcome::ALL.len();

/// The longest latency that is told apart, in microseconds: a minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

impl Default for ServerMetrics {
    fn default() -> Self {
        let histogram = || {
            Mutex::new(
                Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 2)
                    .expect("the bounds are constants that a histogram takes"),
            )
        };
        Self {
            connections: AtomicU64::new(0),
            connections_opened: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_cut: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
            handshakes_retried: AtomicU64::new(0),
            handshakes_dropped: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            subscriptions: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            requests: std::array::from_fn(|_| AtomicU64::new(0)),
            durable: histogram(),
            at_once: histogram(),
        }
    }
}

impl ServerMetrics {
    /// Requests answered (or waiting to be) since the start, by outcome.
    pub fn requests(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Outcome::ALL.iter().copied().zip(self.requests.iter().map(count))
    }

    /// Latencies since the start, in microseconds from reading to release. A copy.
    pub fn latency(&self, class: AnswerClass) -> Histogram<u32> {
        self.histogram(class).lock().clone()
    }

    /// Adds `count` answers of one latency.
    pub(super) fn record(&self, class: AnswerClass, since: Instant, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(LATENCY_MICROS_MAX);
        self.histogram(class).lock().saturating_record_n(micros.max(1), count);
    }

    /// Adds a tally and empties it.
    pub(super) fn add(&self, tally: &mut Tally) {
        for (counter, count) in self.requests.iter().zip(&mut tally.0) {
            if *count != 0 {
                counter.fetch_add(u64::from(std::mem::take(count)), Ordering::Relaxed);
            }
        }
    }

    const fn histogram(&self, class: AnswerClass) -> &Mutex<Histogram<u32>> {
        match class {
            AnswerClass::Durable => &self.durable,
            AnswerClass::AtOnce => &self.at_once,
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self([0; OUTCOMES])
    }
}

impl Tally {
    pub(super) fn count(&mut self, outcome: Outcome) {
        let position = POSITIONS.get(usize::from(outcome.code())).copied().unwrap_or(0);
        if let Some(count) = self.0.get_mut(usize::from(position)) {
            *count += 1;
        }
    }
}

/// A gauge that counts while it lives.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    pub(super) fn new(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The present, for measuring only.
pub(super) fn stopwatch() -> Instant {
    #![expect(
        clippy::disallowed_methods,
        reason = "a latency is measured, nothing is decided by it"
    )]
    Instant::now()
}

/// The position of each outcome in `Outcome::ALL`, by code.
const POSITIONS: [u8; 1_000] = {
    let mut positions = [0; 1_000];
    let mut position = 0;
    while position < Outcome::ALL.len() {
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 outcomes")]
        let small = position as u8;
        positions[Outcome::ALL[position].code() as usize] = small;
        position += 1;
    }
    positions
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_counted_under_its_own_name() {
        let metrics = ServerMetrics::default();
        let mut tally = Tally::default();
        for (times, outcome) in (1..).zip(Outcome::ALL) {
            (0..times).for_each(|_| tally.count(*outcome));
        }
        metrics.add(&mut tally);
        metrics.add(&mut tally);
        let counted: Vec<(Outcome, u64)> = metrics.requests().collect();
        let expected: Vec<(Outcome, u64)> = Outcome::ALL.iter().copied().zip(1..).collect();
        assert_eq!(counted, expected);
    }
}
