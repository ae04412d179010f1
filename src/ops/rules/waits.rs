//! The key `waitlist`: how much somebody may wait for at a time.

use serde_json::{Map, Value, json};

use super::read::MODES;
use super::render::named;
use crate::model::{RuleMode, ScopeKind, WaitCounts, WaitKey, WaitLimit};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::narrow;

const SCOPES: [(&str, ScopeKind); 3] = [
    ("region", ScopeKind::Region),
    ("organization", ScopeKind::Organization),
    ("department", ScopeKind::Department),
];
const COUNTS: [(&str, WaitCounts); 2] =
    [("sessions", WaitCounts::Sessions), ("resources", WaitCounts::Resources)];

pub(super) fn read(field: Field) -> Result<Box<[WaitLimit]>, Fault> {
    let place = field.place.clone();
    let mut limits: Vec<WaitLimit> = Vec::new();
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
    Ok(limits.into())
}

fn limit(field: Field) -> Result<WaitLimit, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let most = most(&entry.need("most")?)?;
    let within = entry.choice("within", &SCOPES)?;
    let counts = entry.choice("counts", &COUNTS)?;
    let mode = entry.choice("mode", &MODES)?;
    entry.finish()?;
    Ok(WaitLimit { key: WaitKey { within, counts }, most, mode })
}

fn most(field: &Field) -> Result<u16, Fault> {
    if field.value == "no-limit" {
        return Ok(WaitLimit::NO_LIMIT);
    }
    let number = field
        .number(0, u64::from(WaitLimit::MOST_MAX))
        .map_err(|fault| Fault { reason: format!("{}, or \"no-limit\"", fault.reason), ..fault })?;
    Ok(narrow(number))
}

pub(super) fn render(limits: &[WaitLimit]) -> Value {
    limits.iter().copied().map(render_one).collect()
}

fn render_one(limit: WaitLimit) -> Value {
    let WaitKey { within, counts } = limit.key;
    let mut object = Map::new();
    let mut say = |key: &str, value: Value| object.insert(key.to_owned(), value);
    let is_free = limit.most == WaitLimit::NO_LIMIT;
    say("most", if is_free { json!("no-limit") } else { json!(limit.most) });
    if within != ScopeKind::default() {
        say("within", named(&SCOPES, within));
    }
    if counts != WaitCounts::default() {
        say("counts", named(&COUNTS, counts));
    }
    if limit.mode != RuleMode::default() {
        say("mode", named(&MODES, limit.mode));
    }
    Value::Object(object)
}
