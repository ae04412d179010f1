//! What a schedule comes to, for people and for programs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::compare::{Found, Tally};
use crate::cli::ctl::describe::{self, plural};
use crate::cli::ctl::session::taken_sum;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::model::{Pool, Session, SessionReading};
use crate::ops::schedule::{Planned, Unplanned};
use crate::ops::sessions::{Difference, render};

/// Prints line by line, with a head for each schedule.
pub(super) struct Printer {
    output: Output,
    json: bool,
    schedule: Option<String>,
}

/// Prints the sessions of a document and their sums.
pub(super) fn check(planned: &[Planned], json: bool) -> Result<(), Failure> {
    let mut printer = Printer::new(json);
    planned.iter().try_for_each(|planned| printer.described(planned))?;
    printer.sums(planned)
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self { output: Output::new(), json, schedule: None }
    }

    /// A session as the document describes it.
    fn described(&mut self, planned: &Planned) -> Result<(), Failure> {
        let Planned { session, zone, .. } = planned;
        if self.json {
            let mut line = of_planned(planned);
            line["session"] = render(session, zone);
            if !planned.beacons.is_empty() {
                line["beacons"] = beacons(planned);
            }
            return self.output.json(&line);
        }
        let is_new = self.head(&planned.schedule)?;
        if is_new {
            self.output.line(format_args!("  times of {}", zone.name()))?;
            for line in describe::terms(session, zone).into_iter().filter(|line| !is_dated(line)) {
                self.output.line(format_args!("  {line}"))?;
            }
        }
        let (period, places) = (describe::period(session, zone), describe::places(session));
        let line = format!("{}: {period}, {places} places", label(planned));
        self.output.line(format_args!("  {line}, session {}", session.id.0))?;
        let openings = describe::openings(session, zone);
        let ends = session.terms.booking_ends.map(|ends| zone.show(ends));
        let ends = ends.map_or_else(String::new, |ends| format!("; booking ends {ends}"));
        let closes = session.terms.waitlist.as_ref().map(|rule| zone.show(rule.closes_at));
        let closes = closes.map_or_else(String::new, |at| format!("; waitlist closes {at}"));
        self.output.line(format_args!("      opens {openings}{ends}{closes}"))?;
        for (pool, name) in &planned.beacons {
            self.output.line(format_args!("      beacon of pool {}: {name}", pool.0))?;
        }
        if is_new {
            for (index, pool) in session.pools.iter().enumerate() {
                let line = describe::pool(index, pool, zone);
                self.output.line(format_args!("      {line}"))?;
            }
        }
        Ok(())
    }

    fn sums(mut self, planned: &[Planned]) -> Result<(), Failure> {
        let schedules: BTreeSet<&str> = planned.iter().map(|one| one.schedule.as_str()).collect();
        let slots: usize = planned.iter().map(|planned| planned.session.slot_count()).sum();
        let places: u64 = planned.iter().map(|planned| describe::places(&planned.session)).sum();
        let first = planned.iter().map(|planned| planned.date).min();
        let last = planned.iter().map(|planned| planned.date).max();
        let (schedules, sessions) = (schedules.len(), planned.len());
        if self.json {
            self.output.json(&json!({
                "schedules": schedules,
                "sessions": sessions,
                "slots": slots,
                "places": places,
                "first": first.map(|date| date.to_string()),
                "last": last.map(|date| date.to_string()),
            }))?;
        } else if let (Some(first), Some(last)) = (first, last) {
            self.output.line(format_args!(
                "{schedules} schedule{}, {sessions} session{} from {first} to {last}: {slots} \
                 slots, {places} places",
                plural(schedules),
                plural(sessions)
            ))?;
        } else {
            self.output.line("no session on these dates")?;
        }
        self.output.flush()
    }

    /// What a session on the node is to the document.
    pub(super) fn compared(&mut self, planned: &Planned, found: &Found) -> Result<(), Failure> {
        if self.json {
            let mut line = of_planned(planned);
            line["found"] = word(found).into();
            if let Found::Different(differences) = found {
                line["differences"] = differences.iter().map(as_json).collect();
            }
            self.output.json(&line)?;
        } else if *found != Found::Same {
            self.head(&planned.schedule)?;
            let (session, label) = (planned.session.id.0, label(planned));
            self.output.line(format_args!("  {label}: {}, session {session}", word(found)))?;
            if let Found::Different(differences) = found {
                for difference in differences {
                    let Difference { key, document, node } = difference;
                    self.output.line(format_args!("      {key}"))?;
                    self.output.line(format_args!(
                        "        document  {}",
                        or_nothing(document.as_ref())
                    ))?;
                    self.output
                        .line(format_args!("        node      {}", or_nothing(node.as_ref())))?;
                }
            }
        }
        self.output.flush()
    }

    /// A session on the node that the document does not describe.
    pub(super) fn unplanned(&mut self, unplanned: &Unplanned) -> Result<(), Failure> {
        let Unplanned { schedule, date, period, session } = unplanned;
        if self.json {
            self.output.json(&json!({
                "schedule": schedule,
                "date": date.to_string(),
                "period": period,
                "id": session.0,
                "found": "not in the document",
            }))?;
        } else {
            self.head(schedule)?;
            let id = session.0;
            self.output
                .line(format_args!("  {date} {period}: not in the document, session {id}"))?;
        }
        self.output.flush()
    }

    pub(super) fn tally(&mut self, tally: &Tally) -> Result<(), Failure> {
        let Tally { same, opened, missing, past, late, different } = tally;
        if self.json {
            self.output.json(&json!({
                "opened": opened,
                "same": same,
                "missing": missing,
                "past": past,
                "late": late,
                "different": different,
            }))?;
        } else {
            self.output.line(format_args!(
                "{opened} opened, {same} there as described, {missing} missing, {past} past, {late} \
                 too late, {different} different"
            ))?;
        }
        self.output.flush()
    }

    /// What has become of a session.
    pub(super) fn standing(
        &mut self,
        planned: &Planned,
        found: Option<&SessionReading>,
    ) -> Result<(), Failure> {
        let zone = &planned.zone;
        let taken = found.map(|found| taken_sum(&found.taken));
        let places = found.map(|found| describe::places(&found.session));
        if self.json {
            let mut line = of_planned(planned);
            line["places"] = places.into();
            line["taken"] = taken.into();
            line["session"] = found.map_or(Value::Null, |found| render(&found.session, zone));
            return self.output.json(&line);
        }
        self.head(&planned.schedule)?;
        let label = label(planned);
        match (found, taken, places) {
            (Some(found), Some(taken), Some(places)) => {
                let (id, opens) = (found.session.id.0, describe::openings(&found.session, zone));
                self.output.line(format_args!(
                    "  {label}: {taken} of {places} places taken, session {id}, opens {opens}"
                ))?;
                commitments(&found.session)
                    .try_for_each(|line| self.output.line(format_args!("      {line}")))
            }
            _ => self.output.line(format_args!("  {label}: not open")),
        }
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.output.flush()
    }

    /// The head of a schedule, once.
    fn head(&mut self, schedule: &str) -> Result<bool, Failure> {
        if self.schedule.as_deref() == Some(schedule) {
            return Ok(false);
        }
        self.schedule = Some(schedule.to_owned());
        self.output.line(schedule)?;
        Ok(true)
    }
}

fn label(planned: &Planned) -> String {
    let weekday = planned.date.strftime("%a");
    format!("{} {weekday} {}", planned.date, planned.period)
}

/// Lines that differ from date to date.
fn is_dated(line: &str) -> bool {
    line.starts_with("booking ends") || line.starts_with("waitlist closes")
}

fn beacons(planned: &Planned) -> Value {
    let named = planned.beacons.iter();
    named.map(|(pool, name)| json!({ "pool": pool.0, "name": name })).collect()
}

/// What the node is bound to in the draws of a session, for publishing.
fn commitments(session: &Session) -> impl Iterator<Item = String> {
    let of = |(index, pool): (usize, &Pool)| {
        let commitment = pool.terms.draw?.commitment?;
        Some(format!("draw {}.{index}: commitment {commitment}", session.id.0))
    };
    session.pools.iter().enumerate().filter_map(of)
}

const fn word(found: &Found) -> &'static str {
    match found {
        Found::Same => "same",
        Found::Opened => "opened",
        Found::Missing => "missing",
        Found::Past => "past",
        Found::Late => "too late",
        Found::Different(_) => "different",
    }
}

fn of_planned(planned: &Planned) -> Value {
    json!({
        "schedule": planned.schedule,
        "date": planned.date.to_string(),
        "period": planned.period,
        "id": planned.session.id.0,
    })
}

fn as_json(difference: &Difference) -> Value {
    let Difference { key, document, node } = difference;
    json!({ "key": key, "document": document, "node": node })
}

fn or_nothing(value: Option<&Value>) -> String {
    value.map_or_else(|| "says nothing".to_owned(), Value::to_string)
}
