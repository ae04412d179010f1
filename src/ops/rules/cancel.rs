//! The key `cancel`: until when a visit can be cancelled.

use arrayvec::ArrayVec;
use serde_json::{Map, Value, json};

use super::read::MODES;
use super::render::{channels, named};
use crate::model::{CancelRule, ChannelSet, Day, Deadline, LateCancel, RuleMode};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::words::read_channels;
use crate::ops::document::{DocumentDefaults, narrow};

const LATE: [(&str, LateCancel); 2] = [("refuse", LateCancel::Refuse), ("mark", LateCancel::Mark)];

pub(super) fn read(field: Field, defaults: &DocumentDefaults) -> Result<CancelRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let until = deadline(entry.need("until")?)?;
    let later = entry.may("later").map(|field| read_channels(field, defaults)).transpose()?;
    let late = entry.choice("late", &LATE)?;
    let mode = entry.choice("mode", &MODES)?;
    entry.finish()?;
    Ok(CancelRule { until, later: later.unwrap_or(ChannelSet(0)), late, mode })
}

fn deadline(field: Field) -> Result<Deadline, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let minutes = entry.may("minutes").map(|field| field.number(0, MINUTES_MAX)).transpose()?;
    let days = entry.may("days").map(|field| field.number(0, DAYS_MAX)).transpose()?;
    let workdays = entry.may("workdays").map(|field| field.number(0, DAYS_MAX)).transpose()?;
    let halves = entry.may("half_days").map(|field| field.number(1, DAYS_MAX)).transpose()?;
    let at = entry.may("at").map(|field| field.clock()).transpose()?;
    let except = entry.may("except").map(exceptions).transpose()?;
    let deadline = match (minutes, days, workdays, halves, at, except) {
        (Some(minutes), None, None, None, None, None) => Deadline::Minutes(narrow(minutes)),
        (None, Some(days), None, None, Some(minute), None) => {
            Deadline::Days { days: narrow(days), minute }
        }
        (None, None, Some(days), None, Some(minute), except) => {
            let except = except.unwrap_or_default();
            Deadline::Workdays { days: narrow(days), minute, except }
        }
        (None, None, None, Some(halves), None, None) => Deadline::HalfDays(narrow(halves)),
        _ => {
            return Err(entry.fault(
                "needs one of minutes, days with at, workdays with at and may be except, half_days",
            ));
        }
    };
    entry.finish()?;
    Ok(deadline)
}

fn exceptions(
    field: Field,
) -> Result<ArrayVec<Day, { crate::model::limits::RULE_DAYS_MAX }>, Fault> {
    let place = field.place.clone();
    let mut days = field
        .list()?
        .iter()
        .map(|field| {
            let date = field.date()?;
            Day::of(date).ok_or_else(|| fault(&field.place, "is before 1970"))
        })
        .collect::<Result<Vec<Day>, Fault>>()?;
    days.sort_unstable();
    days.dedup();
    ArrayVec::try_from(days.as_slice()).map_err(|_| fault(&place, "are too many; 32 at most"))
}

pub(super) fn render(rule: &CancelRule) -> Value {
    let mut object = Map::new();
    object.insert("until".to_owned(), until(&rule.until));
    if rule.later != ChannelSet(0) {
        object.insert("later".to_owned(), channels(rule.later));
    }
    if rule.late != LateCancel::default() {
        object.insert("late".to_owned(), named(&LATE, rule.late));
    }
    if rule.mode != RuleMode::default() {
        object.insert("mode".to_owned(), named(&MODES, rule.mode));
    }
    Value::Object(object)
}

fn until(deadline: &Deadline) -> Value {
    let at = |minute: &u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    match deadline {
        Deadline::Minutes(minutes) => json!({ "minutes": minutes }),
        Deadline::Days { days, minute } => json!({ "days": days, "at": at(minute) }),
        Deadline::Workdays { days, minute, except } if except.is_empty() => {
            json!({ "workdays": days, "at": at(minute) })
        }
        Deadline::Workdays { days, minute, except } => {
            let except: Vec<String> = except.iter().map(|day| day.date().to_string()).collect();
            json!({ "workdays": days, "at": at(minute), "except": except })
        }
        Deadline::HalfDays(halves) => json!({ "half_days": halves }),
    }
}

/// Sixty days, as far as bookings are made ahead.
const MINUTES_MAX: u64 = 86_400;
const DAYS_MAX: u64 = 60;
