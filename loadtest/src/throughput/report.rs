//! What a run says: one JSON object, or the same as a table.
//!
//! **Architecture invariant:** fields are added, never renamed: other tools read them.

#![expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]

use std::collections::BTreeMap;

use haoyuan::model::Outcome;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Account, Measured, Options, wanted};
use crate::load::{Kind, Plan};
use crate::node::Keep;
use crate::node::child::Node;
use crate::series::Series;
use crate::{Failure, usage};

/// The figures of a run, and the conditions under which they hold.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Acknowledged changes, readings, or sold-out refusals, whichever the mix is about.
    pub(crate) ops_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
    /// Answers and latencies by what was asked.
    pub(crate) by_operation: BTreeMap<&'static str, OperationReport>,
    /// Processors that the node kept busy; `null` for a node that is not ours, as below.
    pub(crate) server_cpu: Option<f64>,
    pub(crate) client_cpu: Option<f64>,
    pub(crate) commits_per_second: Option<f64>,
    pub(crate) records_per_commit: Option<f64>,
    pub(crate) bytes_per_record: Option<f64>,
    pub(crate) requests_per_reading: Option<f64>,
    pub(crate) commit_p99_us: Option<u64>,
    /// Acknowledged holds beyond what was free in their slot.
    pub(crate) oversold: u64,
    /// Slots whose free places are not what our account says.
    pub(crate) slots_that_differ: u64,
    /// Acknowledged holds that live at the end, the warm-up's too.
    pub(crate) live_holds: u64,
    /// What the audit of the store found, where it was asked for.
    pub(crate) audit_oversold: Option<u64>,
    /// Answers that were not what the mix is about, by outcome.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    pub(crate) rss_mb: Option<f64>,
    pub(crate) snapshot_seconds: Option<f64>,
    pub(crate) conditions: Conditions,
    /// For plots: answers over time, and all latencies.
    #[serde(skip)]
    pub(crate) series: Series,
    #[serde(skip)]
    pub(crate) latency: Histogram<u64>,
}

/// What was asked, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    mix: &'static str,
    hot: bool,
    connections: u32,
    window: u32,
    batch: u32,
    /// Seconds that were measured in fact.
    seconds: f64,
    warmup: f64,
    sessions: u32,
    slots: u32,
    quota: u16,
    patients: u32,
    /// Whether accounts had named their patients before.
    known: bool,
    /// Live appointments that a rule lets a patient have.
    limit: Option<u16>,
    /// The document of rules in force.
    rules: Option<String>,
    durability: Option<Keep>,
    generator_threads: u32,
    node_threads: Option<usize>,
    processors: usize,
    seed: u64,
    /// Where the node's store was; it is gone now.
    folder: Option<String>,
    file_system: Option<String>,
}

/// The figures of one operation.
#[derive(Debug, Serialize)]
pub(crate) struct OperationReport {
    answers: u64,
    done: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
}

impl Report {
    /// Works out the figures of a run.
    pub(super) fn new(
        options: &Options,
        plan: &Plan,
        node: Option<&Node>,
        measured: &Measured,
        account: Account,
    ) -> Result<Self, Failure> {
        let Measured { tally, first, last, rss_bytes, snapshot_seconds } = measured;
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let wanted = wanted(plan.mix);
        let done: u64 = Kind::ALL.iter().map(|kind| tally.answers(*kind, wanted)).sum();
        let answers: u64 = Kind::ALL.iter().map(|kind| tally.latency(*kind).len()).sum();
        let all = tally.all_latencies()?;
        let rate = |from: Option<f64>, to: Option<f64>| Some((to? - from?) / seconds);
        let grown = |read: fn(&crate::node::Stats) -> u64| {
            let (from, to) = (first.stats.as_ref()?, last.stats.as_ref()?);
            Some((read(to) - read(from)) as f64)
        };
        let (commits, records) = (grown(|stats| stats.commits), grown(|stats| stats.records));
        let per = |part: Option<f64>, whole: Option<f64>| {
            Some(part? / whole.filter(|whole| 0.0 < *whole)?)
        };
        Ok(Self {
            ops_per_second: done as f64 / seconds,
            p50_us: all.value_at_quantile(0.5),
            p99_us: all.value_at_quantile(0.99),
            p999_us: all.value_at_quantile(0.999),
            max_us: all.max(),
            by_operation: by_operation(measured, wanted),
            server_cpu: rate(first.server_cpu, last.server_cpu),
            client_cpu: rate(first.client_cpu, last.client_cpu),
            commits_per_second: commits.map(|commits| commits / seconds),
            records_per_commit: per(records, commits),
            bytes_per_record: per(grown(|stats| stats.bytes), records),
            requests_per_reading: per(Some(answers as f64), grown(|stats| stats.batches)),
            commit_p99_us: last.stats.as_ref().map(|stats| stats.commit_p99_us),
            oversold: account.oversold,
            slots_that_differ: account.slots_that_differ,
            live_holds: account.live,
            audit_oversold: None,
            refused: refused(measured, wanted),
            rss_mb: rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
            snapshot_seconds: *snapshot_seconds,
            conditions: Conditions::new(options, plan, node, seconds),
            series: tally.series.clone(),
            latency: all,
        })
    }
}

impl Conditions {
    fn new(options: &Options, plan: &Plan, node: Option<&Node>, seconds: f64) -> Self {
        Self {
            mix: plan.mix.name(),
            hot: plan.hot,
            connections: plan.connections,
            window: plan.window,
            batch: plan.batch,
            seconds,
            warmup: options.warmup,
            sessions: plan.supply.sessions,
            slots: plan.supply.slots,
            quota: plan.supply.quota,
            patients: plan.patients,
            known: options.known,
            limit: options.limit,
            rules: options.rules.as_ref().map(|file| file.display().to_string()),
            durability: node.map(|_| options.durability),
            generator_threads: plan.threads,
            node_threads: node.map(|_| options.node_threads),
            processors: usage::processors(),
            seed: plan.seed,
            folder: node.map(|node| node.folder().display().to_string()),
            file_system: node.and_then(|node| usage::file_system(node.folder())),
        }
    }
}

fn by_operation(measured: &Measured, wanted: Outcome) -> BTreeMap<&'static str, OperationReport> {
    let report = |kind: Kind| {
        let latency = measured.tally.latency(kind);
        let done = measured.tally.answers(kind, wanted);
        let at = |share| Histogram::value_at_quantile(latency, share);
        let report = OperationReport {
            answers: latency.len(),
            done,
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
        };
        (kind.name(), report)
    };
    Kind::ALL.into_iter().map(report).filter(|(_, report)| 0 < report.answers).collect()
}

fn refused(measured: &Measured, wanted: Outcome) -> BTreeMap<&'static str, u64> {
    let count = |outcome: &Outcome| {
        Kind::ALL.iter().map(|kind| measured.tally.answers(*kind, *outcome)).sum::<u64>()
    };
    Outcome::ALL
        .iter()
        .filter(|outcome| **outcome != wanted)
        .map(|outcome| (outcome.name(), count(outcome)))
        .filter(|(_, count)| 0 < *count)
        .collect()
}

/// Prints a report.
#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
pub(crate) fn show(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!("{}", table(report));
    }
    Ok(())
}

/// The report for people.
fn table(report: &Report) -> String {
    let conditions = &report.conditions;
    let maybe = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "?".to_owned(), |value| format!("{value:.digits$}"))
    };
    let mut lines = vec![
        format!(
            "{}{} with {} connections x {}: {:.0} per second over {:.1} s",
            conditions.mix,
            if conditions.hot { ", hot" } else { "" },
            conditions.connections,
            conditions.window,
            report.ops_per_second,
            conditions.seconds
        ),
        format!(
            "latency      p50 {} us, p99 {} us, p99.9 {} us, longest {} us",
            report.p50_us, report.p99_us, report.p999_us, report.max_us
        ),
    ];
    for (name, operation) in &report.by_operation {
        lines.push(format!(
            "  {name:<12} {} of {} answers, p50 {} us, p99 {} us, p99.9 {} us",
            operation.done,
            operation.answers,
            operation.p50_us,
            operation.p99_us,
            operation.p999_us
        ));
    }
    lines.extend([
        format!(
            "processors   node {}, generator {}, of {}",
            maybe(report.server_cpu, 2),
            maybe(report.client_cpu, 2),
            conditions.processors
        ),
        format!(
            "journal      {} commits/s, {} records each, {} bytes a record",
            maybe(report.commits_per_second, 0),
            maybe(report.records_per_commit, 0),
            maybe(report.bytes_per_record, 1)
        ),
        format!("memory       {} MB resident in the node", maybe(report.rss_mb, 0)),
        format!(
            "account      oversold {}, {} live holds, {} slots differ",
            report.oversold, report.live_holds, report.slots_that_differ
        ),
    ]);
    if let Some(folder) = &conditions.folder {
        let system = conditions.file_system.as_deref().unwrap_or("unknown");
        lines.push(format!("store        {folder} on {system}"));
    }
    if !report.refused.is_empty() {
        let list: Vec<_> = report.refused.iter().map(|(name, n)| format!("{name} {n}")).collect();
        lines.push(format!("other        {}", list.join(", ")));
    }
    lines.join("\n")
}
