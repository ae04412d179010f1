//! What a run showed, for people.

use super::report::{Conditions, ORDER, PartReport, Report};

/// A line of the table: what it is, and how it is read.
pub(crate) type Row = (&'static str, fn(&PartReport) -> String);

pub(crate) const ROWS: [Row; 22] = [
    ("places with the ring", |part| percent(part.ring_share)),
    ("  its share of all who ask", |part| percent(part.identity_share)),
    ("  its share of entries", |part| part.ring_entry_share.map_or_else(none, percent)),
    ("  of places drawn", |part| part.ring_drawn_share.map_or_else(none, percent)),
    ("  even lots would give it", |part| part.ring_expected_share.map_or_else(none, percent)),
    ("came first and won (AUC)", |part| number(part.auc)),
    ("  of people alone", |part| number(part.auc_people)),
    ("handed over while people wait", |part| part.handovers.to_string()),
    ("handed over, of tries", |part| format!("{} of {}", part.handovers_all, part.handovers_tried)),
    ("people hindered by rules", |part| percent(part.honest_hindered)),
    ("places left empty", |part| percent(part.left_empty)),
    ("seconds to sell", |part| number(part.seconds_to_sell)),
    ("requests", |part| part.requests.to_string()),
    ("  of the ring", |part| part.ring_requests.to_string()),
    ("  a person's in the first minute", |part| format!("{:.1}", part.person_asks_per_minute)),
    ("  an identity's of the ring", |part| format!("{:.1}", part.ring_asks_per_minute)),
    ("  that the node shed", |part| part.shed.to_string()),
    ("oversold", |part| part.oversold.to_string()),
    ("lost", |part| part.lost.to_string()),
    ("double", |part| part.double.to_string()),
    ("leaked", |part| part.leaked.to_string()),
    ("early", |part| part.early.to_string()),
];

/// The table, and below it what went wrong.
pub(crate) fn table(report: &Report) -> String {
    let Conditions { honest, identities, openings, places, speed, tactics, .. } =
        &report.conditions;
    let parts = || ORDER.iter().filter_map(|name| Some((*name, report.parts.get(name)?)));
    let mut lines = vec![
        format!(
            "{openings} openings of {places} places; {honest} people, and a ring of {identities} \
             with scripts {speed} times as fast: {}",
            tactics.join(", ")
        ),
        String::new(),
        line("", parts().map(|(name, _)| name.to_owned())),
    ];
    lines.extend(ROWS.iter().map(|(name, read)| line(name, parts().map(|(_, part)| read(part)))));
    for (name, part) in parts() {
        if part.generator_fell_behind {
            lines.push(format!(
                "{name}: the generator fell behind by {:.0} ms: people came later than they meant to",
                part.lag_p99_ms
            ));
        }
        lines.extend(part.violations.iter().map(|violation| format!("{name}: {violation}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    cells.fold(format!("{name:<32}"), |line, cell| format!("{line}{cell:>14}"))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(none, |value| format!("{value:.3}"))
}

fn none() -> String {
    "-".to_owned()
}
