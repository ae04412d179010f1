//! The report of a comparison.

use super::contest::{CONNECTIONS, Workload};
use super::outcome::{Report, Summary};
use crate::Failure;
use crate::report::{
    Bar, Curve, Figure, Latencies, OverTime, Page, Peers, Percentiles, Scale, Section, Table, float,
};

/// Makes it.
pub(super) fn page(report: &Report) -> Result<Page, Failure> {
    let mut sections = Vec::new();
    for (workload, in_flight) in groups(report) {
        let runs = || report.runs.iter().filter(move |run| is_of(run, workload, in_flight));
        sections.push(side_by_side(runs(), workload, in_flight));
        // Of the others a picture would show less than the bars do.
        let durable: Vec<_> = runs().filter(|run| run.round.durability.is_full()).collect();
        sections.extend(pictures(&durable, workload, in_flight));
    }
    sections.push(all(report));
    Ok(Page {
        title: "haoyuan beside Redis and PostgreSQL".to_owned(),
        summary: format!(
            "The same wishes from one generator, {CONNECTIONS} connections, medians of {} runs in which the systems took turns.",
            report.conditions.runs
        ),
        facts: facts(report),
        sections,
        conditions: conditions(report),
        data: serde_json::to_value(report)?,
    })
}

fn groups(report: &Report) -> Vec<(Workload, u32)> {
    let mut groups: Vec<_> =
        report.runs.iter().map(|run| (run.round.workload, run.in_flight)).collect();
    groups.dedup();
    groups
}

fn is_of(run: &Summary, workload: Workload, in_flight: u32) -> bool {
    (run.round.workload, run.in_flight) == (workload, in_flight)
}

fn title(workload: Workload, in_flight: u32) -> String {
    let what = match workload {
        Workload::HoldCommit => "Holds",
        Workload::SoldOut => "Refusals of what is sold out",
    };
    format!("{what}, {CONNECTIONS} connections × {} under way", in_flight / CONNECTIONS)
}

fn facts(report: &Report) -> Vec<(String, String)> {
    let words = |name: &str| name.replace("_vs_", " vs ").replace('_', " ");
    let fact = |(name, ratio, goal): (&str, Option<f64>, f64)| {
        let found = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1} ×"));
        (format!("{} (goal {goal})", words(name)), found)
    };
    report.ratios.with_goals().map(fact).into()
}

fn side_by_side<'a>(
    runs: impl Iterator<Item = &'a Summary>,
    workload: Workload,
    in_flight: u32,
) -> Section {
    let bar = |run: &Summary| Bar {
        name: run.label(),
        value: run.ops_per_second,
        low: run.each.iter().copied().fold(f64::INFINITY, f64::min),
        high: run.each.iter().copied().fold(0.0, f64::max),
        is_ours: run.system == "haoyuan",
    };
    let unit = "operations/s".to_owned();
    let figure = Peers { unit, scale: Scale::Linear, bars: runs.map(bar).collect() };
    Section {
        title: title(workload, in_flight),
        text: "Bars are medians, whiskers reach from the slowest to the fastest run. The word after a system is what an answer survives.".to_owned(),
        figure: Figure::Peers(figure),
    }
}

fn pictures(runs: &[&Summary], workload: Workload, in_flight: u32) -> [Section; 3] {
    let curves = |read: fn(&crate::series::Slice) -> f64| {
        let curve = |run: &&Summary| {
            let points = run.series.iter().map(|slice| (slice.seconds, read(slice)));
            Curve::new(run.label(), points.collect())
        };
        runs.iter().map(curve).collect::<Vec<_>>()
    };
    let over_time = |name: &str, text: &str, unit: &str, curves| Section {
        title: format!("{name}: {}", title(workload, in_flight)),
        text: text.to_owned(),
        figure: Figure::OverTime(OverTime { unit: unit.to_owned(), scale: Scale::Log, curves }),
    };
    let latencies = runs.iter().map(|run| Latencies::of(run.label(), &run.latency));
    [
        over_time(
            "Throughput",
            "The last run, in quarters of a second; every answer durable.",
            "operations/s",
            curves(|slice| slice.per_second),
        ),
        over_time(
            "p99 over time",
            "The slowest hundredth of each quarter of a second. In a closed loop latency follows from throughput: requests under way ÷ requests per second.",
            "µs",
            curves(|slice| float(slice.p99_us)),
        ),
        Section {
            title: format!("Latency by percentile: {}", title(workload, in_flight)),
            text: "The last run. Each mark on the axis below is a tenth of the requests that the one before left.".to_owned(),
            figure: Figure::Percentiles(Percentiles { curves: latencies.collect() }),
        },
    ]
}

fn all(report: &Report) -> Section {
    let head = [
        "system",
        "workload",
        "in flight",
        "per second",
        "p50 µs",
        "p99 µs",
        "server CPU",
        "client CPU",
        "MB",
        "the server says",
    ];
    let maybe = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let row = |run: &Summary| {
        vec![
            run.label(),
            run.workload.to_owned(),
            run.in_flight.to_string(),
            format!("{:.0}", run.ops_per_second),
            run.p50_us.to_string(),
            run.p99_us.to_string(),
            maybe(run.server_cpu, 2),
            maybe(run.client_cpu, 2),
            maybe(run.rss_mb, 0),
            run.durability_read_back.clone(),
        ]
    };
    let rows = report.runs.iter().map(row).collect();
    Section {
        title: "All medians".to_owned(),
        text: report.notes.join(". ") + ".",
        figure: Figure::Table(Table { head: head.map(str::to_owned).into(), rows }),
    }
}

fn conditions(report: &Report) -> Vec<(String, String)> {
    let conditions = &report.conditions;
    let mut pairs: Vec<(String, String)> = report
        .versions
        .iter()
        .map(|(name, version)| ((*name).to_owned(), version.clone()))
        .collect();
    pairs.extend(report.skipped.iter().map(|line| ("left out".to_owned(), line.clone())));
    let mut add = |name: &str, value: String| pairs.push((name.to_owned(), value));
    add("runs", conditions.runs.to_string());
    add("measured", format!("{} s, after {} s of warm-up", conditions.seconds, conditions.warmup));
    add("processors", conditions.processors.to_string());
    let system = conditions.file_system.as_deref().unwrap_or("unknown");
    add("file system", system.to_owned());
    add("seed", conditions.seed.to_string());
    pairs
}
