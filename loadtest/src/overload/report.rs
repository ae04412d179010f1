//! The figures of a run, and which bounds they break.

#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use hdrhistogram::Histogram;
use serde::Serialize;

use super::cohort::Cohort;
use super::generator::REGULARS;
use super::{Measured, Options, SLOT};
use crate::{Failure, usage};

/// The bounds. What is accepted and booked, over the capacity.
const GOODPUT_MIN: f64 = 0.90;
/// The accepted holds' p99 over that at nine tenths of the capacity.
const P99_RATIO_MAX: f64 = 2.0;
/// Seconds after the overload.
const RECOVERY_MAX: f64 = 5.0;
/// Chi-square over 100 groups: even chance stays below it, but once in ten thousand.
const CHI_SQUARE_MAX: f64 = 161.0;
/// How much sooner the pushy may be let in than the polite.
const PUSHY_GAIN_MAX: f64 = 1.5;
/// Bytes that an accepted appointment may take, with the slack of tables that double.
const BYTES_PER_APPOINTMENT: u64 = 600;
/// Memory beyond those: caches of the store that are still filling.
const RSS_SLACK: u64 = 128 << 20;
/// The generator fell behind if its p99 lag is over this, in µs.
const LAG_MAX: u64 = 10_000;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    capacity_per_second: u64,
    offered_per_second: f64,
    goodput_per_second: f64,
    goodput_share: f64,
    accepted_p50_us: u64,
    accepted_p99_us: u64,
    onset_p50_us: u64,
    onset_p99_us: u64,
    reference_p50_us: u64,
    reference_p99_us: u64,
    p99_ratio: f64,
    reference_served_share: f64,
    recovery_seconds: Option<f64>,
    shed: u64,
    shed_p99_us: u64,
    mean_hint_ms: f64,
    bookings_shed: u64,
    bookings_lost: u64,
    booking_p99_us: u64,
    refused_otherwise: u64,
    unanswered: u64,
    chi_square: f64,
    least_group_share: f64,
    most_group_share: f64,
    polite_let_in: usize,
    polite_mean_wait_ms: Option<u64>,
    pushy_let_in: usize,
    pushy_mean_wait_ms: Option<u64>,
    rss_before_mb: u64,
    rss_most_mb: u64,
    rss_after_mb: u64,
    generator_lag_p99_us: u64,
    reference_lag_p99_us: u64,
    generator_fell_behind: bool,
    node_shed: [u64; 4],
    node_limit: u64,
    node_target_us: u64,
    node_rate: u64,
    node_admitted_permille: u64,
    node_cpu: Option<f64>,
    generator_cpu: Option<f64>,
    sweep: Vec<(u64, u64)>,
    load_average: Option<String>,
    processors: usize,
    broken: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(options: &Options, run: &Measured) -> Self {
        let at = |histogram: &Histogram<u64>, share| histogram.value_at_quantile(share);
        let Measured { reference, overload, .. } = run;
        let goodput = overload.booked as f64 / run.seconds;
        let (p99, reference_p99) = (at(&overload.latency, 0.99), at(&reference.latency, 0.99));
        let lag = at(&overload.lag, 0.99);
        let offered = overload.offered as f64 / run.seconds;
        let (least, most) = overload.extremes();
        let mean = |waits: &[u64]| {
            (!waits.is_empty()).then(|| waits.iter().sum::<u64>() / waits.len() as u64 / 1_000)
        };
        let mut report = Self {
            capacity_per_second: run.capacity,
            offered_per_second: offered,
            goodput_per_second: goodput,
            goodput_share: goodput / run.capacity as f64,
            accepted_p50_us: at(&overload.latency, 0.5),
            accepted_p99_us: p99,
            onset_p50_us: at(&run.onset.latency, 0.5),
            onset_p99_us: at(&run.onset.latency, 0.99),
            reference_p50_us: at(&reference.latency, 0.5),
            reference_p99_us: reference_p99,
            p99_ratio: p99 as f64 / reference_p99.max(1) as f64,
            reference_served_share: reference.booked as f64 / reference.offered.max(1) as f64,
            recovery_seconds: recovery(&run.recovery, reference_p99),
            shed: overload.shed,
            shed_p99_us: at(&overload.shed_latency, 0.99),
            mean_hint_ms: overload.hints_ms as f64 / overload.shed.max(1) as f64,
            bookings_shed: overload.bookings_shed,
            bookings_lost: overload.lost,
            booking_p99_us: at(&overload.booking_latency, 0.99),
            refused_otherwise: overload.refused,
            unanswered: overload.open(),
            chi_square: overload.chi_square(),
            least_group_share: least,
            most_group_share: most,
            polite_let_in: run.waits[0].len(),
            polite_mean_wait_ms: mean(&run.waits[0]),
            pushy_let_in: run.waits[1].len(),
            pushy_mean_wait_ms: mean(&run.waits[1]),
            rss_before_mb: run.rss.before >> 20,
            rss_most_mb: run.rss.most >> 20,
            rss_after_mb: run.rss.after >> 20,
            generator_lag_p99_us: lag,
            reference_lag_p99_us: at(&reference.lag, 0.99),
            generator_fell_behind: LAG_MAX < lag || offered < 0.98 * run.rate as f64,
            node_shed: run.node.shed,
            node_limit: run.node.limit,
            node_target_us: run.node.target_us,
            node_rate: run.node.rate,
            node_admitted_permille: run.node.admitted_permille,
            node_cpu: run.cpu[0],
            generator_cpu: run.cpu[1],
            sweep: run.steps.clone(),
            load_average: std::fs::read_to_string("/proc/loadavg").ok(),
            processors: usage::processors(),
            broken: Vec::new(),
        };
        report.judge(options, run);
        report
    }

    fn judge(&mut self, options: &Options, run: &Measured) {
        let allowed = run.rss.before + run.overload.held * BYTES_PER_APPOINTMENT + RSS_SLACK;
        let pushed = self.pushy_let_in as f64 / self.polite_let_in.max(1) as f64;
        let sheds = 0 < options.delay_max_ms && REGULARS / 20 < self.polite_let_in;
        for (broken, what) in [
            (self.goodput_share < GOODPUT_MIN, "goodput"),
            (P99_RATIO_MAX < self.p99_ratio, "latency"),
            (self.recovery_seconds.is_none_or(|seconds| RECOVERY_MAX < seconds), "recovery"),
            (allowed < run.rss.most, "memory"),
            (CHI_SQUARE_MAX < self.chi_square, "evenness"),
            (sheds && PUSHY_GAIN_MAX < pushed, "hammering"),
        ] {
            if broken {
                self.broken.push(what);
            }
        }
    }

    /// Prints the report. Whether a bound is broken.
    pub(super) fn print(&self, json: bool) -> Result<bool, Failure> {
        crate::print(self, json)?;
        Ok(!self.broken.is_empty())
    }
}

/// Seconds until a second of stretches begins in which nobody is shed and all are answered in time.
fn recovery(slots: &[Cohort], reference_p99: u64) -> Option<f64> {
    let is_good = |cohort: &Cohort| {
        cohort.offered * 99 <= cohort.held * 100
            && cohort.latency.value_at_quantile(0.5) <= 2 * reference_p99
    };
    let first = slots.windows(10).position(|second| second.iter().all(is_good))?;
    Some(first as f64 * SLOT.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_begins_with_the_first_good_second() {
        let slot = |held, micros| {
            let mut cohort = Cohort { offered: 100, held, ..Cohort::default() };
            cohort.latency.saturating_record(micros);
            cohort
        };
        let mut slots = vec![slot(20, 10); 3];
        slots.push(slot(100, 900));
        slots.extend(vec![slot(100, 10); 10]);
        assert_eq!(recovery(&slots, 100), Some(0.4));
        assert_eq!(recovery(&slots[..13], 100), None);
    }
}
