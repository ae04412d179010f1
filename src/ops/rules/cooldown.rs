//! The key `cooldown`: how long one waits after a place was given up (冷却期), in a document.
//!
//! ```toml
//! cooldown = [
//!   { within = "resource", for = { minutes = 30 } },                        # after any of them
//!   { after = ["cancel"], within = "region", for = { days = 1 }, mode = "shadow" },
//!   { of = "account", within = "resource", for = { returned = 5 } },        # and five minutes more
//! ]
//! ```

use serde_json::{Map, Value, json};

use super::read::{MODES, SCOPES};
use super::render::named;
use super::violations::SUBJECTS;
use crate::model::limits::{COOLDOWN_DAYS_MAX, LAYER_COOLDOWNS_MAX};
use crate::model::{
    CooldownLength, CooldownRule, CountedOf, Ending, EndingSet, RuleMode, ScopeKind,
};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::{MAX_16, narrow};

const AFTER: [(&str, Ending); 3] =
    [("cancel", Ending::Cancelled), ("release", Ending::Released), ("expiry", Ending::Expired)];

pub(super) fn read(field: Field) -> Result<Vec<CooldownRule>, Fault> {
    let place = field.place.clone();
    let rules = field.list()?.into_iter().map(read_one).collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() {
        return Err(fault(&place, "is empty; leave the key out, or say for how long"));
    }
    if LAYER_COOLDOWNS_MAX < rules.len() {
        let reason = format!("has {} entries; {LAYER_COOLDOWNS_MAX} at most", rules.len());
        return Err(fault(&place, &reason));
    }
    Ok(rules)
}

fn read_one(field: Field) -> Result<CooldownRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let after = entry.may("after").map_or(Ok(EndingSet::ALL), after)?;
    let within = entry.choice("within", &SCOPES)?;
    let length = length(entry.need("for")?)?;
    let of = entry.choice("of", &SUBJECTS)?;
    let mode = entry.choice("mode", &MODES)?;
    entry.finish()?;
    Ok(CooldownRule { after, within, length, of, mode })
}

fn after(field: Field) -> Result<EndingSet, Fault> {
    let place = field.place.clone();
    let mut set = EndingSet::default();
    for field in field.list()? {
        let Some((_, ending)) = AFTER.iter().find(|(name, _)| field.value == *name) else {
            let reason = format!("is {}; use cancel, release or expiry", field.value);
            return Err(fault(&field.place, &reason));
        };
        set.0 |= EndingSet::of(*ending).0;
    }
    if set == EndingSet::default() {
        return Err(fault(&place, "is empty; leave the key out for all of them"));
    }
    Ok(set)
}

fn length(field: Field) -> Result<CooldownLength, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let days_max = u64::from(COOLDOWN_DAYS_MAX);
    let minutes = entry.may("minutes").map(|field| field.number(1, MAX_16)).transpose()?;
    let hours = entry.may("hours").map(|field| field.number(1, 24 * days_max)).transpose()?;
    let days = entry.may("days").map(|field| field.number(1, days_max)).transpose()?;
    let returned = entry.may("returned").map(|field| field.number(0, 24 * 60)).transpose()?;
    let length = match (minutes, hours, days, returned) {
        (Some(minutes), None, None, None) => CooldownLength::Minutes(narrow(minutes)),
        (None, Some(hours), None, None) => CooldownLength::Hours(narrow(hours)),
        (None, None, Some(days), None) => CooldownLength::Days(narrow(days)),
        (None, None, None, Some(minutes)) => CooldownLength::Returned(narrow(minutes)),
        _ => return Err(entry.fault("needs minutes, hours, days or returned, one of the four")),
    };
    entry.finish()?;
    Ok(length)
}

pub(super) fn render(rules: &[CooldownRule]) -> Value {
    rules.iter().copied().map(render_one).collect()
}

fn render_one(rule: CooldownRule) -> Value {
    let mut object = Map::new();
    if rule.after != EndingSet::ALL {
        let names = AFTER.iter().filter(|(_, ending)| rule.after.contains(*ending));
        object.insert("after".to_owned(), names.map(|(name, _)| *name).collect());
    }
    if rule.within != ScopeKind::default() {
        object.insert("within".to_owned(), named(&SCOPES, rule.within));
    }
    let length = match rule.length {
        CooldownLength::Minutes(minutes) => json!({ "minutes": minutes }),
        CooldownLength::Hours(hours) => json!({ "hours": hours }),
        CooldownLength::Days(days) => json!({ "days": days }),
        CooldownLength::Returned(minutes) => json!({ "returned": minutes }),
    };
    object.insert("for".to_owned(), length);
    if rule.of != CountedOf::default() {
        object.insert("of".to_owned(), named(&SUBJECTS, rule.of));
    }
    if rule.mode != RuleMode::default() {
        object.insert("mode".to_owned(), named(&MODES, rule.mode));
    }
    Value::Object(object)
}
