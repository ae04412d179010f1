//! The key `violations`: what else counts against somebody.

use serde_json::{Map, Value, json};

use super::read::counted;
use super::render::{counted_into, named};
use crate::model::limits::LAYER_VIOLATIONS_MAX;
use crate::model::{
    Begins, Consequence, CountedOf, Tier, Violation, ViolationRule, ViolationSet, Window,
};
use crate::ops::document::DocumentDefaults;
use crate::ops::document::entry::{Entry, Fault, Field, fault};

/// Whom a rule is about.
pub(super) const SUBJECTS: [(&str, CountedOf); 3] =
    [("patient", CountedOf::Patient), ("account", CountedOf::Account), ("phone", CountedOf::Phone)];

pub(super) fn read(field: Field, defaults: &DocumentDefaults) -> Result<Vec<ViolationRule>, Fault> {
    let place = field.place.clone();
    let rules = field.list()?.into_iter().map(|field| rule(field, defaults));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    if LAYER_VIOLATIONS_MAX < rules.len() {
        return Err(fault(&place, &format!("are too many; {LAYER_VIOLATIONS_MAX} at most")));
    }
    Ok(rules)
}

fn rule(field: Field, defaults: &DocumentDefaults) -> Result<ViolationRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let counts = kinds(entry.need("counts")?)?;
    let of = entry.choice("of", &SUBJECTS)?;
    let rule = counted(&mut entry, defaults)?;
    if matches!(rule.window, Window::InARow | Window::Ever) {
        let reason = "has a window that has no end; say month, quarter, year, days or months";
        return Err(entry.fault(reason));
    }
    if rule.is_used_up && rule.begins == Begins::FirstStrike {
        let reason = "is used up and begins with the first; say at-once or next-day";
        return Err(entry.fault(reason));
    }
    let is_fewer = |tier: &Tier| matches!(tier.consequence, Consequence::Fewer(_));
    if of != CountedOf::Patient && rule.tiers.iter().any(is_fewer) {
        let reason =
            "has a tier with fewer, which is of patients alone; say refuse, or of = \"patient\"";
        return Err(entry.fault(reason));
    }
    entry.finish()?;
    Ok(ViolationRule { counts, of, rule })
}

/// `"cancel"` or `["unpaid", "release"]`.
fn kinds(field: Field) -> Result<ViolationSet, Fault> {
    let kind = |place: &str, value: &Value| {
        let found = Violation::ALL.into_iter().find(|kind| *value == kind.name());
        found.ok_or_else(|| {
            let names = Violation::ALL.map(Violation::name).join(", ");
            fault(place, &format!("is {value}; use {names}"))
        })
    };
    if field.value.is_string() {
        return Ok(ViolationSet::only(kind(&field.place, &field.value)?));
    }
    let place = field.place.clone();
    let all = field.list()?;
    if all.is_empty() {
        return Err(fault(&place, "is empty; say what counts"));
    }
    all.iter().map(|field| kind(&field.place, &field.value)).collect()
}

pub(super) fn render(rules: &[ViolationRule]) -> Value {
    rules.iter().map(rendered).collect()
}

fn rendered(rule: &ViolationRule) -> Value {
    let mut object = Map::new();
    let kinds = Violation::ALL.into_iter().filter(|kind| rule.counts.contains(*kind));
    let kinds: Vec<&str> = kinds.map(Violation::name).collect();
    let counts = if let [one] = kinds.as_slice() { json!(one) } else { json!(kinds) };
    object.insert("counts".to_owned(), counts);
    if rule.of != CountedOf::default() {
        object.insert("of".to_owned(), named(&SUBJECTS, rule.of));
    }
    counted_into(&rule.rule, &mut object);
    Value::Object(object)
}
