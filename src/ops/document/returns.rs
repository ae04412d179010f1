//! What becomes of a freed place (退号去向), and what a waitlist makes of it.

use serde_json::Value;

use super::entry::{Entry, Fault, Field, fault};
use super::narrow;
use super::words::{DAY_MINUTES, MINUTE_MILLIS};
use crate::model::{Delay, ReturnRule};

/// Reads the rule of a session with a waitlist or without. Where the document says nothing of it, a
/// freed place is free at once, or goes to the waitlist first and comes back after a delay.
pub(super) fn read_returns(field: Option<Field>, has_waitlist: bool) -> Result<ReturnRule, Fault> {
    let (least, most) = DELAY_MINUTES;
    let Some(field) = field else {
        let first = ReturnRule::WaitlistFirst(delay_of(least, most));
        return Ok(if has_waitlist { first } else { ReturnRule::default() });
    };
    let place = field.place.clone();
    let rule = read_rule(field)?;
    if has_waitlist && !matches!(rule, ReturnRule::WaitlistFirst(_)) {
        let reason = "keeps freed places from the waitlist; use waitlist-first, leave returns away, \
                      or take the waitlist out";
        return Err(fault(&place, reason));
    }
    Ok(rule)
}

/// `"at-once"`, or a table with the rule and the bounds of its delay.
fn read_rule(field: Field) -> Result<ReturnRule, Fault> {
    let place = field.place.clone();
    let (name, delay) = match &field.value {
        Value::Object(_) => {
            let mut entry = Entry::new(field.place, field.value)?;
            let name = entry.need("rule")?;
            let (least, most) = (entry.may("min_minutes"), entry.may("max_minutes"));
            let minutes = |field: Field| field.number(0, DAY_MINUTES);
            let bounds = match (least.map(minutes).transpose()?, most.map(minutes).transpose()?) {
                (Some(least), Some(most)) => Some((least, most)),
                (None, None) => None,
                _ => return Err(entry.fault("needs both of min_minutes and max_minutes")),
            };
            entry.finish()?;
            (name, bounds)
        }
        _ => (field, None),
    };
    let (least, most) = delay.unwrap_or(DELAY_MINUTES);
    let bounds = delay_of(least, most);
    match (name.value.as_str(), delay) {
        (Some("at-once"), None) => Ok(ReturnRule::AtOnce),
        (Some("withheld"), None) => Ok(ReturnRule::Withheld),
        (Some("delayed"), Some(_)) if least <= most => Ok(ReturnRule::Delayed(bounds)),
        (Some("waitlist-first"), _) if least <= most => Ok(ReturnRule::WaitlistFirst(bounds)),
        (Some("at-once" | "withheld"), Some(_)) => {
            Err(fault(&place, "has no delay; leave min_minutes and max_minutes away"))
        }
        (Some("delayed"), None) => Err(fault(
            &place,
            "needs bounds, as { rule = \"delayed\", min_minutes = 5, max_minutes = 30 }",
        )),
        (Some("delayed" | "waitlist-first"), _) => {
            Err(fault(&place, "has min_minutes above max_minutes"))
        }
        _ => Err(fault(
            &name.place,
            &format!("is {}; use at-once, delayed, waitlist-first or withheld", name.value),
        )),
    }
}

fn delay_of(least: u64, most: u64) -> Delay {
    let millis = |minutes: u64| narrow(minutes * MINUTE_MILLIS);
    Delay { min_millis: millis(least), max_millis: millis(most) }
}

/// How long a place that nobody waits for is on its way back, where the document does not say.
const DELAY_MINUTES: (u64, u64) = (5, 30);
