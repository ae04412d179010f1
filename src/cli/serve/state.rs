//! What the metrics server sees of a running node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::model::{ClockReading, RateKey, RuleKey, RuleMode, Timestamp};
use crate::ops::clock::{Clock, ClockState};
use crate::ops::metrics::{Histogram, Node, Sample};
use crate::ops::renew::RenewalStats;
use crate::server::{AnswerClass, ServerMetrics};
use crate::service::{RateCounts, Service, ServiceStats, ShedReason, Timekeeper};

/// A running node, to be looked at.
#[derive(Debug)]
pub(super) struct NodeState {
    /// Set once the journal is read.
    pub(super) service: OnceLock<Arc<Service>>,
    pub(super) clock: Arc<Clock>,
    pub(super) server: Arc<ServerMetrics>,
    pub(super) renewal: Arc<RenewalStats>,
    /// When the last snapshot was taken, or the node started, in milliseconds.
    pub(super) snapshot_millis: AtomicU64,
}

impl Node for NodeState {
    fn sample(&self) -> Sample {
        let Some(service) = self.service.get() else { return Sample::default() };
        let stats = service.stats();
        let now = self.clock.now();
        let age = now.as_millis().saturating_sub(self.snapshot_millis.load(Ordering::Relaxed));
        let requests = stats.requests.iter();
        let regime = service.regime();
        let rates = service.rate_counts(self.clock.now());
        Sample {
            shed: ShedReason::ALL.map(ShedReason::name).into_iter().zip(stats.shed).collect(),
            rate_limited: limited(&rates),
            shadow_refusals: shadowed(&stats),
            rate_uncounted: rates.uncounted,
            rate_buckets: rates.used,
            admitted_permille: u64::from(regime.turn.width) * 1_000 / u64::from(u32::MAX),
            delay_target_seconds: seconds(regime.target_micros),
            requests: requests
                .map(|(operation, outcome, count)| (operation.name(), outcome.name(), *count))
                .collect(),
            request_seconds: [
                ("durable", self.latency(AnswerClass::Durable)),
                ("at_once", self.latency(AnswerClass::AtOnce)),
            ],
            commit_seconds: powers(&stats.journal.commit_micros, 1e6),
            committed_records: stats.journal.records,
            committed_bytes: stats.journal.bytes,
            queue_request_bytes: stats.journal.request_bytes,
            queue_upkeep_bytes: stats.journal.upkeep_bytes,
            holds_live: stats.holds,
            appointments: stats.appointments,
            sessions: stats.sessions,
            places_free: stats.places_free,
            expired: stats.expired,
            expiry_lag_millis: expiry_lag_millis(service, now),
            expiry_lateness_seconds: lateness(&stats),
            connections: self.server.connections.load(Ordering::Relaxed),
            connections_refused: self.server.connections_refused.load(Ordering::Relaxed),
            connections_cut: self.server.connections_cut.load(Ordering::Relaxed),
            handshakes: self.server.handshakes.load(Ordering::Relaxed),
            handshakes_retried: self.server.handshakes_retried.load(Ordering::Relaxed),
            handshakes_dropped: self.server.handshakes_dropped.load(Ordering::Relaxed),
            certificate_days_left: self.renewal.days_left.load(Ordering::Relaxed),
            certificates_taken: self.renewal.taken.load(Ordering::Relaxed),
            certificates_refused: self.renewal.refused.load(Ordering::Relaxed),
            certificates_behind: self.renewal.is_behind.load(Ordering::Relaxed) != 0,
            appended_sequence: stats.appended.0,
            durable_sequence: stats.durable.0,
            snapshot_age_seconds: age / 1_000,
            clock_gap_millis: self.clock.gap_millis(),
            clock_suspended: self.clock.state() != ClockState::Good,
        }
    }

    fn health(&self) -> Result<(), String> {
        match self.service.get() {
            Some(service) if service.is_failed() => Err("the journal has failed".to_owned()),
            _ => Ok(()),
        }
    }

    fn readiness(&self) -> Result<(), String> {
        self.health()?;
        let Some(service) = self.service.get() else {
            return Err("the journal is being read".to_owned());
        };
        if !service.is_serving() {
            return Err("the node stops".to_owned());
        }
        match self.clock.state() {
            ClockState::Good => Ok(()),
            ClockState::Suspended { gap_millis } => Err(format!(
                "the clock is {gap_millis} ms off; put it right, then `haoyuan ctl clock confirm`"
            )),
        }
    }
}

impl NodeState {
    /// A node that has not read its journal.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            service: OnceLock::new(),
            clock: Arc::new(clock),
            server: Arc::default(),
            renewal: Arc::default(),
            snapshot_millis: AtomicU64::new(0),
        }
    }

    /// The journal is read: from here on there are numbers.
    pub(super) fn begin(&self, service: &Arc<Service>) {
        self.snapshot_millis.store(self.clock.now().as_millis(), Ordering::Relaxed);
        // A node begins once; a second time would change nothing.
        let _begun = self.service.set(Arc::clone(service));
    }

    /// The latencies of a class, in few buckets.
    fn latency(&self, class: AnswerClass) -> Histogram {
        let mut buckets: Vec<(f64, u64)> = LATENCY_MICROS.map(|end| (seconds(end), 0)).to_vec();
        for value in self.server.latency(class).iter_recorded() {
            let bucket = LATENCY_MICROS.partition_point(|end| *end < value.value_iterated_to());
            let bucket = bucket.min(LATENCY_MICROS.len() - 1);
            buckets[bucket].1 += u64::from(value.count_at_value());
        }
        Histogram { buckets }
    }
}

/// What rates limited, by kind of key and mode.
fn limited(counts: &RateCounts) -> Vec<(&'static str, &'static str, u64)> {
    let modes = [RuleMode::Enforce, RuleMode::Shadow].map(RuleMode::name);
    let rows = RateKey::ALL.into_iter().zip(counts.limited);
    rows.flat_map(|(key, row)| {
        modes.into_iter().zip(row).map(move |(mode, count)| (key.name(), mode, count))
    })
    .collect()
}

/// Those that occurred.
fn shadowed(stats: &ServiceStats) -> Vec<(&'static str, u64)> {
    let all = RuleKey::ALL.map(RuleKey::name).into_iter().zip(stats.shadow_refusals);
    all.filter(|(_, count)| *count != 0).collect()
}

/// The node's clock, as the service shows it to operators.
#[derive(Debug)]
pub(super) struct Timepiece(pub(super) Arc<Clock>);

impl Timekeeper for Timepiece {
    fn read(&self) -> ClockReading {
        let (time, state) = (self.0.now(), self.0.state());
        let is_suspended = state != ClockState::Good;
        ClockReading { time, gap_millis: self.0.gap_millis(), is_suspended }
    }

    fn confirm(&self) {
        confirm(&self.0);
    }
}

/// An operator says that the machine's clock is right.
pub(super) fn confirm(clock: &Clock) {
    let gap_millis = clock.gap_millis();
    clock.confirm();
    tracing::warn!(gap_millis, "an operator confirmed the time");
}

fn expiry_lag_millis(service: &Service, now: Timestamp) -> u64 {
    let deadline = service.next_deadline().unwrap_or(Timestamp::MAX);
    now.as_millis().saturating_sub(deadline.as_millis())
}

fn lateness(stats: &ServiceStats) -> Histogram {
    powers(&stats.lateness, 1e3)
}

/// Counts by powers of two: bucket i ends at 2^i units.
fn powers(counts: &[u64], units_per_second: f64) -> Histogram {
    let ends = (0_i32..).map(|power| 2_f64.powi(power) / units_per_second);
    Histogram { buckets: ends.zip(counts.iter().copied()).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a minute of microseconds is below 2^52")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Bucket ends of latencies, in microseconds: steps of 2 to 2.5 from 50 µs to a minute.
const LATENCY_MICROS: [u64; 19] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 60_000_000,
];
