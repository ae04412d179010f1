//! The key `limits`: how many appointments somebody may have.

use serde_json::{Map, Value, json};

use super::read::{Length, MODES, length};
use super::render::named;
use crate::model::limits::LIMIT_COUNT_MAX;
use crate::model::{BookingLimit, Counts, DayOf, LimitKey, LimitScope, Period, RuleMode};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::narrow;

const SCOPES: [(&str, LimitScope); 7] = [
    ("region", LimitScope::Region),
    ("organization", LimitScope::Organization),
    ("department", LimitScope::Department),
    ("resource", LimitScope::Schedule),
    ("service", LimitScope::Service),
    ("session", LimitScope::Session),
    ("appointment-type", LimitScope::AppointmentType),
];
const PERIODS: [(&str, Period); 7] = [
    ("any", Period::Any),
    ("half-day", Period::HalfDay),
    ("day", Period::Day),
    ("week", Period::Week),
    ("month", Period::Month),
    ("quarter", Period::Quarter),
    ("year", Period::Year),
];
const DAYS: [(&str, DayOf); 2] = [("visit", DayOf::Visit), ("booking", DayOf::Booking)];
const COUNTS: [(&str, Counts); 5] = [
    ("live", Counts::Live),
    ("all", Counts::All),
    ("departments", Counts::Departments),
    ("resources", Counts::Resources),
    ("operations", Counts::Operations),
];

pub(super) fn read(field: Field) -> Result<Vec<BookingLimit>, Fault> {
    let place = field.place.clone();
    let mut limits: Vec<BookingLimit> = Vec::new();
    for field in field.list()? {
        let limit = limit(field)?;
        if limits.iter().any(|other| other.key == limit.key) {
            return Err(fault(&place, "has two that count the same; say one number for it"));
        }
        limits.push(limit);
    }
    if limits.is_empty() {
        return Err(fault(&place, "is empty; leave the key out, or say how many of what"));
    }
    Ok(limits)
}

fn limit(field: Field) -> Result<BookingLimit, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let most = most(&entry.need("most")?)?;
    let within = entry.choice("within", &SCOPES)?;
    let period = entry.may("period").map_or(Ok(Period::Any), |field| period(&field))?;
    let by = entry.choice("by", &DAYS)?;
    let counts = entry.choice("counts", &COUNTS)?;
    let mode: RuleMode = entry.choice("mode", &MODES)?;
    if period == Period::HalfDay && by == DayOf::Booking {
        return Err(entry.fault("counts half-days of booking; a half-day is one of the visit"));
    }
    if period == Period::Any && counts != Counts::Live && within != LimitScope::Session {
        return Err(entry.fault("counts what is over, so it needs a period: a year at most"));
    }
    entry.finish()?;
    Ok(BookingLimit { key: LimitKey { within, period, by, counts }, most, mode })
}

fn most(field: &Field) -> Result<u16, Fault> {
    if field.value == "no-limit" {
        return Ok(BookingLimit::NO_LIMIT);
    }
    let number = field
        .number(0, u64::from(LIMIT_COUNT_MAX))
        .map_err(|fault| Fault { reason: format!("{}, or \"no-limit\"", fault.reason), ..fault })?;
    Ok(narrow(number))
}

pub(super) fn period(field: &Field) -> Result<Period, Fault> {
    if let Some((_, period)) = PERIODS.iter().find(|(name, _)| field.value == *name) {
        return Ok(*period);
    }
    if !field.value.is_object() {
        let names = PERIODS.map(|(name, _)| name).join(", ");
        let reason = format!("is {}; use {{ days }}, {{ months }}, {names}", field.value);
        return Err(fault(&field.place, &reason));
    }
    match length(field)? {
        Length::Days(days @ 1..=366) => Ok(Period::Days(days)),
        Length::Months(months @ 1..=12) => Ok(Period::Months(months)),
        _ => Err(fault(&field.place, "is longer than a year; use up to 366 days or 12 months")),
    }
}

pub(super) fn render(limits: &[BookingLimit]) -> Value {
    limits.iter().map(render_one).collect()
}

fn render_one(limit: &BookingLimit) -> Value {
    let LimitKey { within, period, by, counts } = limit.key;
    let mut object = Map::new();
    let mut say = |key: &str, value: Value| object.insert(key.to_owned(), value);
    let is_free = limit.most == BookingLimit::NO_LIMIT;
    say("most", if is_free { json!("no-limit") } else { json!(limit.most) });
    if within != LimitScope::default() {
        say("within", named(&SCOPES, within));
    }
    if period != Period::Any {
        say("period", render_period(period));
    }
    if by != DayOf::default() {
        say("by", named(&DAYS, by));
    }
    if counts != Counts::default() {
        say("counts", named(&COUNTS, counts));
    }
    if limit.mode != RuleMode::default() {
        say("mode", named(&MODES, limit.mode));
    }
    Value::Object(object)
}

pub(super) fn render_period(period: Period) -> Value {
    match period {
        Period::Days(days) => json!({ "days": days }),
        Period::Months(months) => json!({ "months": months }),
        other => named(&PERIODS, other),
    }
}
