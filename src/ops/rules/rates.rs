//! Rates and shares of a rule document, from values and back.
//!
//! ```toml
//! rates = [
//!   { per = "address", rate = 100, every = { minutes = 1 }, block = { hours = 1 } },
//!   { per = "channel", rate = 5000, every = { seconds = 1 }, burst = 20000, channels = [7] },
//! ]
//! shares = [{ channels = [0], weight = 3 }]
//! ```

use serde_json::{Map, Value, json};

use super::read::MODES;
use crate::model::limits::{
    BLOCK_MINUTES_MAX, RATE_EVERY_SECONDS_MAX, RATE_MAX, RATES_MAX, SHARE_WEIGHT_MAX, SHARES_MAX,
};
use crate::model::{
    AdmissionRule, ChannelSet, ChannelShare, RateKey, RateRule, RuleCondition, RuleMode, RuleScope,
};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::words::read_channels;
use crate::ops::document::{DocumentDefaults, narrow};

/// Lengths of time by their names, in seconds.
const EVERY: [(&str, u64); 2] = [("seconds", 1), ("minutes", 60)];

/// Lengths of time by their names, in minutes.
const BLOCK: [(&str, u64); 3] = [("minutes", 1), ("hours", 60), ("days", 24 * 60)];

/// What a layer says of admission, if it says anything.
pub(super) fn admission(
    layer: &mut Entry,
    (scope, when): (RuleScope, &RuleCondition),
    defaults: &DocumentDefaults,
) -> Result<Option<AdmissionRule>, Fault> {
    let (rates, shares) = (layer.may("rates"), layer.may("shares"));
    let Some(place) = rates.as_ref().or(shares.as_ref()).map(|field| field.place.clone()) else {
        return Ok(None);
    };
    if scope != RuleScope::Region {
        let reason = "is said for a part of the platform; it holds for the region alone, because \
                      a request is counted before it is known whose session it is about";
        return Err(fault(&place, reason));
    }
    if *when != RuleCondition::default() {
        return Err(fault(&place, "has a condition (when) beside it; it holds for everybody"));
    }
    let rates = read_all(rates, RATES_MAX, |field| rate(field, defaults))?;
    let shares = read_all(shares, SHARES_MAX, |field| share(field, defaults))?;
    Ok(Some(AdmissionRule { rates, shares }))
}

fn read_all<T>(
    field: Option<Field>,
    most: usize,
    read: impl Fn(Field) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let Some(field) = field else { return Ok(Vec::new()) };
    let place = field.place.clone();
    let entries = field.list()?;
    if most < entries.len() {
        return Err(fault(&place, &format!("has {} entries; {most} at most", entries.len())));
    }
    entries.into_iter().map(read).collect()
}

fn rate(field: Field, defaults: &DocumentDefaults) -> Result<RateRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let per = key(&entry.need("per")?)?;
    let rate = narrow(entry.need("rate")?.number(1, RATE_MAX.into())?);
    let every = length(entry.need("every")?, &EVERY, RATE_EVERY_SECONDS_MAX.into())?;
    let burst = entry
        .may("burst")
        .map_or_else(|| Ok(u64::from(rate)), |field| field.number(1, RATE_MAX.into()))?;
    let block = entry.may("block");
    if let Some(block) = block.as_ref().filter(|_| !per.is_personal()) {
        let reason = format!("shuts out all who come through the same {}", per.name());
        return Err(fault(&block.place, &reason));
    }
    let block = block.map_or(Ok(0), |field| length(field, &BLOCK, BLOCK_MINUTES_MAX.into()))?;
    let channels = entry.may("channels").map(|field| some_channels(field, defaults)).transpose()?;
    let mode = entry.choice("mode", &MODES)?;
    entry.finish()?;
    Ok(RateRule {
        per,
        rate,
        every_seconds: narrow(every),
        burst: narrow(burst),
        block_minutes: narrow(block),
        channels: channels.unwrap_or(ChannelSet::ALL),
        mode,
    })
}

fn share(field: Field, defaults: &DocumentDefaults) -> Result<ChannelShare, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let channels = some_channels(entry.need("channels")?, defaults)?;
    let weight = narrow(entry.need("weight")?.number(1, SHARE_WEIGHT_MAX.into())?);
    entry.finish()?;
    Ok(ChannelShare { channels, weight })
}

fn some_channels(field: Field, defaults: &DocumentDefaults) -> Result<ChannelSet, Fault> {
    let place = field.place.clone();
    let channels = read_channels(field, defaults)?;
    if channels == ChannelSet(0) { Err(fault(&place, "is empty")) } else { Ok(channels) }
}

fn key(field: &Field) -> Result<RateKey, Fault> {
    RateKey::ALL.into_iter().find(|key| field.value == key.name()).ok_or_else(|| {
        let names = RateKey::ALL.map(RateKey::name).join(", ");
        fault(&field.place, &format!("is {}; use {names}", field.value))
    })
}

/// A length of time, as one of these names and a number, in units of the first.
fn length(field: Field, names: &[(&'static str, u64)], most: u64) -> Result<u64, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let mut said = Vec::new();
    for (name, units) in names {
        if let Some(field) = entry.may(name) {
            said.push(field.number(1, most / units)? * units);
        }
    }
    let [length] = said.as_slice() else {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        return Err(entry.fault(&format!("needs one of {}", names.join(", "))));
    };
    entry.finish()?;
    Ok(*length)
}

/// Puts what a layer says of admission beside its other keys.
pub(super) fn render(rule: &AdmissionRule, layer: &mut Map<String, Value>) {
    if !rule.rates.is_empty() || rule.shares.is_empty() {
        layer.insert("rates".to_owned(), rule.rates.iter().map(render_rate).collect());
    }
    if !rule.shares.is_empty() {
        let share = |share: &ChannelShare| json!({ "channels": render_channels(share.channels), "weight": share.weight });
        layer.insert("shares".to_owned(), rule.shares.iter().map(share).collect());
    }
}

fn render_rate(rule: &RateRule) -> Value {
    let mut object = Map::new();
    object.insert("per".to_owned(), json!(rule.per.name()));
    object.insert("rate".to_owned(), json!(rule.rate));
    object.insert("every".to_owned(), render_length(rule.every_seconds.into(), &EVERY));
    object.insert("burst".to_owned(), json!(rule.burst));
    if rule.block_minutes != 0 {
        object.insert("block".to_owned(), render_length(rule.block_minutes.into(), &BLOCK));
    }
    if rule.channels != ChannelSet::ALL {
        object.insert("channels".to_owned(), render_channels(rule.channels));
    }
    if rule.mode != RuleMode::default() {
        object.insert("mode".to_owned(), json!(rule.mode.name()));
    }
    Value::Object(object)
}

fn render_channels(channels: ChannelSet) -> Value {
    if channels == ChannelSet::ALL {
        return json!("all");
    }
    (0..64_u8).filter(|bit| channels.0 >> bit & 1 == 1).map(Value::from).collect()
}

/// A length of time by the longest name that it is whole in.
fn render_length(length: u64, names: &[(&str, u64)]) -> Value {
    let whole = names.iter().rev().find(|(_, units)| length.is_multiple_of(*units));
    let (name, units) = whole.copied().unwrap_or(("", 1));
    let mut object = Map::new();
    object.insert(name.to_owned(), json!(length / units));
    Value::Object(object)
}
