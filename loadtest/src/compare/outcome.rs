//! What a comparison comes to: medians of all runs, ratios of medians, and the same for people.
//!
//! **Architecture invariant:** fields are added, never renamed: other tools read them. A ratio whose
//! rounds were not measured is `null`.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::contest::{CONNECTIONS, Durability, Round, System, WINDOW, WINDOW_DEEP, Workload};
use super::measure::Figures;
use crate::Failure;
use crate::report::float;
use crate::series::Slice;

/// A comparison.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) runs: Vec<Summary>,
    pub(super) ratios: Ratios,
    /// What is equal and what is not.
    pub(super) notes: Vec<&'static str>,
    /// Who is not in it, and why.
    pub(super) skipped: Vec<String>,
    pub(super) versions: BTreeMap<&'static str, String>,
    pub(super) conditions: Conditions,
}

/// What was asked, and where.
#[derive(Debug, Serialize)]
pub(super) struct Conditions {
    pub(super) runs: u32,
    pub(super) seconds: f64,
    pub(super) warmup: f64,
    pub(super) seed: u64,
    pub(super) processors: usize,
    pub(super) file_system: Option<String>,
}

/// Medians of a round.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    #[serde(skip)]
    pub(super) round: Round,
    pub(super) system: &'static str,
    pub(super) durability: &'static str,
    /// What the server says of it, in the last run.
    pub(super) durability_read_back: String,
    pub(super) tls: bool,
    pub(super) workload: &'static str,
    pub(super) in_flight: u32,
    pub(super) connections: u32,
    pub(super) ops_per_second: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) server_cpu: Option<f64>,
    pub(super) client_cpu: Option<f64>,
    pub(super) rss_mb: Option<f64>,
    /// Each run, in the order in which they took turns.
    pub(super) each: Vec<f64>,
    /// The last run over time.
    pub(super) series: Vec<Slice>,
    /// The latencies of the last run.
    #[serde(skip)]
    pub(super) latency: Histogram<u64>,
}

/// Medians of haoyuan over those of a peer.
#[derive(Debug, Serialize)]
pub(super) struct Ratios {
    pub(super) hold_commit_vs_redis_always: Option<f64>,
    pub(super) hold_commit_vs_redis_always_lean: Option<f64>,
    pub(super) hold_commit_vs_postgres: Option<f64>,
    pub(super) sold_out_vs_redis: Option<f64>,
    pub(super) sold_out_vs_redis_deep: Option<f64>,
    pub(super) hold_commit_vs_redis_always_tls: Option<f64>,
    pub(super) sold_out_vs_redis_tls: Option<f64>,
}

/// What the ratios are to reach.
pub(super) const GOALS: [(&str, f64); 5] = [
    ("hold_commit_vs_redis_always", 10.0),
    ("hold_commit_vs_redis_always_lean", 5.0),
    ("hold_commit_vs_postgres", 30.0),
    ("sold_out_vs_redis", 5.0),
    ("sold_out_vs_redis_deep", 10.0),
];

/// What a reader must know.
pub(super) const NOTES: [&str; 6] = [
    "equal: machine, disk, one thread of the generator, connections, requests under way, wishes drawn from the same seed, a warm-up, a fresh server for each run",
    "equal for the ratios: every answer comes after an fsync; a refusal writes nothing anywhere",
    "equal in the full forms: idempotent by id, one live appointment of a patient in a session, a limit of live appointments, restrictions, deadlines and their expiry",
    "in haoyuan's disfavour: TLS and client certificates always, where the peers of the ratios have none; opening hours, classes, channels and organizations are checked, a hash chain is kept; metrics are on",
    "in the peers' disfavour: their client libraries take more processor time for an answer than our generator (client_cpu says how much)",
    "not equal: Redis runs its scripts on one processor, haoyuan and PostgreSQL on all; generator and server share them",
];

impl Summary {
    /// The medians of some runs of a round.
    pub(super) fn new(round: Round, runs: &[Figures]) -> Result<Self, Failure> {
        let last = runs.last().ok_or("a round was not measured")?;
        let of = |read: fn(&Figures) -> f64| median(runs.iter().map(read).collect());
        let maybe = |read: fn(&Figures) -> Option<f64>| {
            let known: Option<Vec<f64>> = runs.iter().map(read).collect();
            known.map(median)
        };
        Ok(Self {
            round,
            system: round.system.name(),
            durability: round.durability.name(),
            durability_read_back: last.read_back.clone(),
            tls: round.tls,
            workload: round.workload.name(),
            in_flight: round.in_flight(),
            connections: CONNECTIONS,
            ops_per_second: of(|run| run.ops_per_second),
            p50_us: whole(of(|run| float(run.p50_us))),
            p99_us: whole(of(|run| float(run.p99_us))),
            server_cpu: maybe(|run| run.server_cpu),
            client_cpu: maybe(|run| run.client_cpu),
            rss_mb: maybe(|run| run.rss_mb),
            each: runs.iter().map(|run| run.ops_per_second).collect(),
            series: last.series.slices(),
            latency: last.latency.clone(),
        })
    }

    /// What it is called where there is little room.
    pub(super) fn label(&self) -> String {
        let tls = if self.tls { ", TLS" } else { "" };
        format!("{} {}{tls}", self.system, self.durability)
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency in µs")]
const fn whole(value: f64) -> u64 {
    value.round() as u64
}

impl Ratios {
    /// Of what was measured.
    pub(super) fn new(runs: &[Summary]) -> Self {
        use Durability::{Always, Commit, On};
        let of = |system, durability, tls, workload, window| {
            let wanted = Round { system, durability, tls, workload, window };
            runs.iter().find(|run| run.round == wanted).map(|run| run.ops_per_second)
        };
        let against = |system, durability, tls, workload, window| {
            let ours = of(System::Haoyuan, Commit, true, workload, window)?;
            of(system, durability, tls, workload, window).map(|theirs| ours / theirs)
        };
        let (hold, sold_out) = (Workload::HoldCommit, Workload::SoldOut);
        let (full, lean) = (System::Redis, System::RedisLean);
        Self {
            hold_commit_vs_redis_always: against(full, Always, false, hold, WINDOW),
            hold_commit_vs_redis_always_lean: against(lean, Always, false, hold, WINDOW),
            hold_commit_vs_postgres: against(System::Postgres, On, false, hold, WINDOW),
            sold_out_vs_redis: against(full, Always, false, sold_out, WINDOW),
            sold_out_vs_redis_deep: against(full, Always, false, sold_out, WINDOW_DEEP),
            hold_commit_vs_redis_always_tls: against(full, Always, true, hold, WINDOW),
            sold_out_vs_redis_tls: against(full, Always, true, sold_out, WINDOW),
        }
    }

    /// Those with a goal, by name, with it.
    pub(super) fn with_goals(&self) -> [(&'static str, Option<f64>, f64); 5] {
        let values = [
            self.hold_commit_vs_redis_always,
            self.hold_commit_vs_redis_always_lean,
            self.hold_commit_vs_postgres,
            self.sold_out_vs_redis,
            self.sold_out_vs_redis_deep,
        ];
        std::array::from_fn(|at| (GOALS[at].0, values[at], GOALS[at].1))
    }
}

impl Report {
    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let mut workload = ("", 0);
        for run in &self.runs {
            if workload != (run.workload, run.in_flight) {
                workload = (run.workload, run.in_flight);
                let window = run.in_flight / run.connections;
                let title = format!("{}, {} connections x {window}", run.workload, run.connections);
                line(&mut text, format_args!("\n{title}"));
            }
            let maybe =
                |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |it| format!("{it:.2}"));
            line(
                &mut text,
                format_args!(
                    "  {:<24} {:>9.0}/s  p50 {:>7} us  p99 {:>7} us  server {} client {}  {:>5.0} MB  [{}]",
                    run.label(),
                    run.ops_per_second,
                    run.p50_us,
                    run.p99_us,
                    maybe(run.server_cpu),
                    maybe(run.client_cpu),
                    run.rss_mb.unwrap_or_default(),
                    run.durability_read_back
                ),
            );
        }
        line(&mut text, format_args!("\nratios of medians"));
        for (name, ratio, goal) in self.ratios.with_goals() {
            let found =
                ratio.map_or_else(|| "not measured".to_owned(), |ratio| format!("{ratio:.2}"));
            line(&mut text, format_args!("  {name:<36} {found:>6}  (goal {goal})"));
        }
        for note in &self.notes {
            line(&mut text, format_args!("* {note}"));
        }
        text
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _written = writeln!(text, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, expected) in
            [(vec![3.0], 3.0), (vec![9.0, 1.0, 5.0], 5.0), (vec![4.0, 1.0, 2.0, 9.0], 3.0)]
        {
            assert!((median(values) - expected).abs() < 1e-9);
        }
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_ratio_of_what_was_not_measured_is_null() {
        let ratios = serde_json::to_value(Ratios::new(&[])).unwrap();
        for (name, _) in GOALS {
            assert_eq!(ratios.get(name), Some(&serde_json::Value::Null), "{name}");
        }
    }
}
