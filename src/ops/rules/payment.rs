//! The key `payment`: how a visit is paid for.

use serde_json::{Map, Value, json};

use super::read::MODES;
use super::render::{channels, named};
use crate::model::{ChannelSet, LatePayment, OrderRule, PaymentMode, PaymentRule, RuleMode};
use crate::ops::document::entry::{Entry, Fault, Field};
use crate::ops::document::words::read_channels;
use crate::ops::document::{DocumentDefaults, MAX_8, narrow};

const BY: [(&str, PaymentMode); 6] = [
    ("at-pick-up", PaymentMode::AtPickUp),
    ("self-pay", PaymentMode::SelfPay),
    ("self-pay-or-insurance", PaymentMode::SelfPayOrInsurance),
    ("self-pay-only", PaymentMode::SelfPayOnly),
    ("after-visit", PaymentMode::AfterVisit),
    ("pre-authorization", PaymentMode::PreAuthorization),
];
const LATE: [(&str, LatePayment); 2] =
    [("rebook", LatePayment::Rebook), ("refund", LatePayment::Refund)];

pub(super) fn read(field: Field, defaults: &DocumentDefaults) -> Result<PaymentRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let by = entry.choice("by", &BY)?;
    let channels = entry.may("channels").map(|field| read_channels(field, defaults)).transpose()?;
    let late = entry.choice("late", &LATE)?;
    let order = entry.may("order").map(order).transpose()?;
    let mode = entry.choice("mode", &MODES)?;
    entry.finish()?;
    Ok(PaymentRule { by, channels: channels.unwrap_or(ChannelSet::ALL), late, order, mode })
}

fn order(field: Field) -> Result<OrderRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let minutes = narrow(entry.need("minutes")?.number(1, 2_880)?);
    let times = narrow(entry.number_or("times", 1, MAX_8, 1)?);
    entry.finish()?;
    Ok(OrderRule { minutes, times })
}

pub(super) fn render(rule: &PaymentRule) -> Value {
    let mut object = Map::new();
    object.insert("by".to_owned(), named(&BY, rule.by));
    if rule.channels != ChannelSet::ALL {
        object.insert("channels".to_owned(), channels(rule.channels));
    }
    if rule.late != LatePayment::default() {
        object.insert("late".to_owned(), named(&LATE, rule.late));
    }
    if let Some(OrderRule { minutes, times }) = rule.order {
        object.insert("order".to_owned(), json!({ "minutes": minutes, "times": times }));
    }
    if rule.mode != RuleMode::default() {
        object.insert("mode".to_owned(), named(&MODES, rule.mode));
    }
    Value::Object(object)
}
