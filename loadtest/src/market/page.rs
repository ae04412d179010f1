//! The report of the openings, as a page with pictures.
//!
//! **Architecture invariant:** a picture stands only where its parts were played.

use super::report::{ORDER, PartReport, Report};
use super::table;
use crate::Failure;
use crate::report::{Curve, Fairness, Figure, Page, Sales, Section, Shares, Table, float};

/// Makes it.
pub(super) fn page(report: &Report) -> Result<Page, Failure> {
    let mut sections = Vec::new();
    sections.extend(fairness(report));
    sections.extend(played(report).map(|(name, part)| sales(name, part)));
    sections.push(all(report));
    let conditions = &report.conditions;
    let pair = |name: &str, value: String| (name.to_owned(), value);
    Ok(Page {
        title: "Openings with a ring of scalpers".to_owned(),
        summary: format!(
            "{} openings of {} places. {} people want one, and a ring with the papers of {}, whose scripts are \
             {} times as fast. Who has the places is counted from the journal of a node that was killed.",
            conditions.openings,
            conditions.places,
            conditions.honest,
            conditions.identities,
            conditions.speed
        ),
        facts: facts(report),
        sections,
        conditions: vec![
            pair("tactics of the ring", conditions.tactics.join(", ")),
            pair("speed of its scripts, a person's is 1", conditions.speed.to_string()),
            pair("seed", conditions.seed.to_string()),
            pair("processors", conditions.processors.to_string()),
        ],
        data: serde_json::to_value(report)?,
    })
}

/// The parts that were played, in their order.
fn played(report: &Report) -> impl Iterator<Item = (&'static str, &PartReport)> {
    ORDER.iter().filter_map(|name| Some((*name, report.parts.get(name)?)))
}

/// What a part is, for who reads pictures.
fn words(name: &str) -> &'static str {
    match name {
        "control" => "first come, first served, an open door",
        "draw" => "by lot, everybody enters everything",
        "sparse" => "by lot, people want a few",
        _ => "first come, first served, under rules",
    }
}

fn facts(report: &Report) -> Vec<(String, String)> {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let share = |(name, part): (&str, &PartReport)| {
        (format!("the ring's share: {}", words(name)), percent(part.ring_share))
    };
    let sum = |of: fn(&PartReport) -> u64| played(report).map(|(_, part)| of(part)).sum::<u64>();
    let wrong = sum(|part| part.oversold + part.lost + part.double + part.leaked + part.early);
    let mut facts: Vec<_> = played(report).map(share).collect();
    facts.push(("oversold, lost, double, leaked, early".to_owned(), wrong.to_string()));
    facts
}

/// The open door beside each of the defences.
fn fairness(report: &Report) -> Option<Section> {
    let control = report.parts.get("control")?;
    let groups: Vec<_> = played(report)
        .filter(|(name, _)| *name != "control")
        .map(|(name, part)| Shares {
            name: words(name).to_owned(),
            before: control.ring_share,
            after: part.ring_share,
        })
        .collect();
    (!groups.is_empty()).then(|| Section {
        title: "What the ring gets".to_owned(),
        text: "Of the places that are booked at the end, those of the ring: at an open door, and with each defence. \
               Where people want a few openings and the ring all, it may have as many lots as it has entries."
            .to_owned(),
        figure: Figure::Fairness(Fairness {
            before: "open door".to_owned(),
            after: "defended".to_owned(),
            reference: control.identity_share,
            reference_name: "the ring's share of all who ask".to_owned(),
            groups,
        }),
    })
}

fn sales(name: &str, part: &PartReport) -> Section {
    let curve = |who: &str, of: fn(&(u64, u64, u64)) -> u64| {
        let point = |point: &(u64, u64, u64)| (seconds(point.0), float(of(point)));
        Curve::new(who, part.sales.iter().map(point).collect())
    };
    Section {
        title: format!("Sales: {}", words(name)),
        text: "Bookings that last, by how long after its opening each was made, all openings together. \
               In seconds of the run."
            .to_owned(),
        figure: Figure::Sales(Sales {
            places: part.places,
            curves: vec![curve("people", |point| point.1), curve("the ring", |point| point.2)],
        }),
    }
}

/// The terminal's table.
fn all(report: &Report) -> Section {
    let mut head = vec![String::new()];
    head.extend(played(report).map(|(name, _)| name.to_owned()));
    let row = |(name, read): &table::Row| {
        let mut row = vec![name.trim_start().to_owned()];
        row.extend(played(report).map(|(_, part)| read(part)));
        row
    };
    Section {
        title: "All parts".to_owned(),
        text: "control is the open door; rules is first come, first served, under rules."
            .to_owned(),
        figure: Figure::Table(Table { head, rows: table::ROWS.iter().map(row).collect() }),
    }
}

fn seconds(millis: u64) -> f64 {
    float(millis) / 1e3
}
