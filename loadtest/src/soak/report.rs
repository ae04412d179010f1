//! What a soak showed: samples, and how far the last quarter is from the first.
//!
//! **Architecture invariant:** what cannot be told is `null`: drift of a run that ended before the node
//! forgot anything.

#![expect(clippy::cast_precision_loss, reason = "bytes and counts far below 2^52")]

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::lives::Lives;
use super::{Options, WARM_SECONDS};
use crate::report::{Curve, Figure, OverTime, Page, Scale, Section, latency, number};
use crate::{Failure, usage};

/// How much more the last quarter may be than the first. Latency of a machine that others share changes by
/// more than memory does.
const BYTES_DRIFT_MAX: f64 = 1.05;
const LATENCY_DRIFT_MAX: f64 = 1.5;

/// What was seen at one time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    seconds: f64,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    resident_bytes: Option<u64>,
    disk_bytes: Option<u64>,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    hours: f64,
    rate: u32,
    requests: u64,
    answers: u64,
    refused: BTreeMap<u16, u64>,
    lapsed: u64,
    unanswered: u64,
    pub(super) oversold: u64,
    /// Seconds from which on drift is reckoned.
    warm_seconds: f64,
    /// The last quarter over the first.
    memory_drift: Option<f64>,
    disk_drift: Option<f64>,
    p99_drift: Option<f64>,
    seed: u64,
    processors: usize,
    samples: Vec<Sample>,
}

impl Sample {
    /// Of answers between two moments, in µs.
    pub(super) fn new(
        (from, to): (u64, u64),
        answers: u64,
        latencies: &Histogram<u64>,
        resident_bytes: Option<u64>,
        disk_bytes: Option<u64>,
    ) -> Self {
        let seconds = (to.saturating_sub(from)).max(1) as f64 / 1e6;
        Self {
            seconds: to as f64 / 1e6,
            per_second: answers as f64 / seconds,
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            resident_bytes,
            disk_bytes,
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: Option<u64>| bytes.map_or(0, |bytes| bytes >> 20);
        write!(
            formatter,
            "{:>7.0} s {:>7.0}/s  p50 {:>7}  p99 {:>7}  memory {:>6} MiB  disk {:>6} MiB",
            self.seconds,
            self.per_second,
            latency(self.p50_us as f64),
            latency(self.p99_us as f64),
            mebibytes(self.resident_bytes),
            mebibytes(self.disk_bytes),
        )
    }
}

impl Report {
    pub(super) fn new(
        options: &Options,
        lives: &Lives,
        samples: Vec<Sample>,
        oversold: u64,
    ) -> Self {
        let counted = &lives.counted;
        let drift = |of: fn(&Sample) -> Option<f64>| drift(&samples, of);
        Self {
            hours: options.hours,
            rate: options.rate,
            requests: counted.sent,
            answers: counted.sent - lives.under_way(),
            refused: counted.refused.clone(),
            lapsed: counted.lapsed,
            unanswered: lives.under_way(),
            oversold,
            warm_seconds: WARM_SECONDS,
            memory_drift: drift(|sample| sample.resident_bytes.map(|bytes| bytes as f64)),
            disk_drift: drift(|sample| sample.disk_bytes.map(|bytes| bytes as f64)),
            p99_drift: drift(|sample| Some(sample.p99_us as f64)),
            seed: options.seed,
            processors: usage::processors(),
            samples,
        }
    }

    /// Whether something grows, or nobody can tell.
    pub(super) fn drifts(&self) -> bool {
        let beyond = |drift: Option<f64>, most: f64| drift.is_none_or(|drift| most < drift);
        beyond(self.memory_drift, BYTES_DRIFT_MAX)
            || beyond(self.disk_drift, BYTES_DRIFT_MAX)
            || beyond(self.p99_drift, LATENCY_DRIFT_MAX)
            || 0 < self.unanswered
    }

    #[expect(clippy::print_stdout, reason = "this is what the tool is for")]
    pub(super) fn show(&self, json: bool) -> Result<(), Failure> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        for (name, value) in self.facts() {
            println!("{name:<40} {value:>16}");
        }
        if self.memory_drift.is_none() {
            println!(
                "Drift is reckoned after {:.0} minutes, when as much is forgotten as comes: this run was too short.",
                WARM_SECONDS / 60.0
            );
        }
        Ok(())
    }

    fn facts(&self) -> Vec<(String, String)> {
        let percent = |drift: Option<f64>| {
            drift.map_or_else(|| "-".to_owned(), |drift| format!("{:+.1} %", 100.0 * (drift - 1.0)))
        };
        let refused: u64 = self.refused.values().sum();
        let fact = |name: &str, value: String| (name.to_owned(), value);
        vec![
            fact("hours", format!("{:.2}", self.hours)),
            fact("requests", number(self.requests as f64)),
            fact("refused", number(refused as f64)),
            fact("not answered", self.unanswered.to_string()),
            fact("oversold, by the audit of its folder", self.oversold.to_string()),
            fact("memory, last quarter against first", percent(self.memory_drift)),
            fact("disk", percent(self.disk_drift)),
            fact("p99", percent(self.p99_drift)),
        ]
    }

    /// The page.
    pub(super) fn page(&self) -> Result<Page, Failure> {
        let curve = |name: &str, of: &dyn Fn(&Sample) -> Option<f64>| {
            let point = |sample: &Sample| Some((sample.seconds, of(sample)?));
            Curve::new(name, self.samples.iter().filter_map(point).collect())
        };
        let over_time = |title: &str, text: &str, unit: &str, scale, curves| Section {
            title: title.to_owned(),
            text: text.to_owned(),
            figure: Figure::OverTime(OverTime { unit: unit.to_owned(), scale, curves }),
        };
        let mebibytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / f64::from(1 << 20));
        let grows = "It grows until as much is forgotten as comes: two hours and a quarter.";
        Ok(Page {
            title: "Hours of the same".to_owned(),
            summary: format!("{} people a second for {:.1} hours.", self.rate, self.hours),
            facts: self.facts(),
            sections: vec![
                over_time(
                    "Memory",
                    grows,
                    "MiB",
                    Scale::Linear,
                    vec![curve("resident", &|it| mebibytes(it.resident_bytes))],
                ),
                over_time(
                    "Disk",
                    "A tooth for each snapshot: then the log before it is pruned.",
                    "MiB",
                    Scale::Linear,
                    vec![curve("folder", &|it| mebibytes(it.disk_bytes))],
                ),
                over_time(
                    "Latency",
                    "From the instant at which a request was to be sent.",
                    "µs",
                    Scale::Log,
                    vec![
                        curve("p50", &|it| Some(it.p50_us as f64)),
                        curve("p99", &|it| Some(it.p99_us as f64)),
                    ],
                ),
                over_time(
                    "Answers",
                    "All kinds.",
                    "answers/s",
                    Scale::Linear,
                    vec![curve("answers", &|it| Some(it.per_second))],
                ),
            ],
            conditions: vec![
                ("seed".to_owned(), self.seed.to_string()),
                ("processors".to_owned(), self.processors.to_string()),
            ],
            data: serde_json::to_value(self)?,
        })
    }
}

/// The median of the last quarter over that of the first, of what comes after the warm-up. What goes up and
/// down in teeth is as often in one quarter as in the other.
fn drift(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let warm: Vec<f64> =
        samples.iter().filter(|it| WARM_SECONDS <= it.seconds).filter_map(of).collect();
    let quarter = warm.len() / 4;
    if quarter < QUARTER_MIN {
        return None;
    }
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part[part.len() / 2]
    };
    let first = median(&warm[..quarter]);
    (0.0 < first).then(|| median(&warm[warm.len() - quarter..]) / first)
}

/// Fewer samples say nothing.
const QUARTER_MIN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl Fn(usize) -> u64) -> Vec<Sample> {
        let empty = Histogram::new_with_bounds(1, 1_000, 3).unwrap();
        let sample = |index: usize| {
            let end = index as u64 * 60_000_000;
            Sample::new((end, end + 60_000_000), 60, &empty, Some(of(index)), None)
        };
        (0..400).map(sample).collect()
    }

    fn memory(samples: &[Sample]) -> Option<f64> {
        drift(samples, |sample| sample.resident_bytes.map(|bytes| bytes as f64))
    }

    #[test]
    fn drift_is_found_after_the_warm_up_only() {
        // It grows while nothing is forgotten, and is flat then.
        assert_eq!(memory(&samples(|minute| minute.min(130) as u64)), Some(1.0));
        let grows = memory(&samples(|minute| 1_000 + minute as u64)).unwrap();
        assert!((1.1..1.3).contains(&grows), "{grows}");
        // Teeth are no drift.
        let teeth = memory(&samples(|minute| 100 + (minute % 5) as u64)).unwrap();
        assert!((0.97..1.03).contains(&teeth), "{teeth}");
        assert_eq!(memory(&samples(|_| 7)[..140]), None, "too short to say");
    }
}
