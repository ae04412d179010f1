//! The report of an open loop.

use super::report::Report;
use crate::Failure;
use crate::load::Tally;
use crate::report::{
    Curve, Figure, Latencies, OverTime, Page, Percentiles, Scale, Section, float, latency, number,
};

/// Makes it.
pub(super) fn page(report: &Report, tally: &Tally) -> Result<Page, Failure> {
    let curve = |name: &str, read: fn(&crate::series::Slice) -> f64| {
        Curve::new(name, report.series.iter().map(|slice| (slice.seconds, read(slice))).collect())
    };
    let over_time = |title: &str, text: &str, unit: &str, scale, curves| Section {
        title: title.to_owned(),
        text: text.to_owned(),
        figure: Figure::OverTime(OverTime { unit: unit.to_owned(), scale, curves }),
    };
    let sections = vec![
        over_time(
            "Answers over time",
            "In quarters of a second.",
            "answers/s",
            Scale::Linear,
            vec![curve("answers", |slice| slice.per_second)],
        ),
        over_time(
            "Latency over time",
            "From the instant at which a request was to be sent.",
            "µs",
            Scale::Log,
            vec![
                curve("p50", |slice| float(slice.p50_us)),
                curve("p99", |slice| float(slice.p99_us)),
            ],
        ),
        Section {
            title: "Latency by percentile".to_owned(),
            text: "All answers, from the intended instant.".to_owned(),
            figure: Figure::Percentiles(Percentiles {
                curves: vec![Latencies::of(report.mix, &tally.all_latencies()?)],
            }),
        },
    ];
    let verdict = if report.valid { "yes".to_owned() } else { report.why.join("; ") };
    let per_second = |value| format!("{}/s", number(value));
    let pair = |name: &str, value: String| (name.to_owned(), value);
    Ok(Page {
        title: format!("An open loop: {}, {}", report.arrivals, report.mix),
        summary: format!(
            "Up to {} requests a second for {} s, sent when they were due, whatever was answered.",
            number(report.rate),
            report.seconds
        ),
        facts: vec![
            pair("offered", per_second(report.offered_per_second)),
            pair("achieved", per_second(report.achieved_per_second)),
            pair("accepted", per_second(report.accepted_per_second)),
            pair("p99", latency(float(report.p99_us))),
            pair("valid", if report.valid { "yes" } else { "no" }.to_owned()),
        ],
        sections,
        conditions: vec![
            pair("valid", verdict),
            pair("connections", report.connections.to_string()),
            pair("threads of the generator", report.threads.to_string()),
            pair("processors", report.processors.to_string()),
            pair("seed", report.seed.to_string()),
        ],
        data: serde_json::to_value(report)?,
    })
}
