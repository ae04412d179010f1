//! The key `probing`: who asks too often for what is not to be had (刷号), in a document.
//!
//! ```toml
//! probing = { refusals = 60, minutes = 5, of = "account" }
//! ```

use serde_json::{Map, Value, json};

use super::read::MODES;
use super::render::named;
use super::violations::SUBJECTS;
use crate::model::limits::PROBING_MINUTES_MAX;
use crate::model::{CountedOf, ProbingRule, RuleMode};
use crate::ops::document::entry::{Entry, Fault, Field};
use crate::ops::document::{MAX_16, narrow};

pub(super) fn read(field: Field) -> Result<ProbingRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let refusals = narrow(entry.need("refusals")?.number(2, MAX_16)?);
    let minutes = narrow(entry.need("minutes")?.number(1, PROBING_MINUTES_MAX.into())?);
    let of = entry.choice("of", &SUBJECTS)?;
    let mode = entry.choice("mode", &MODES)?;
    entry.finish()?;
    Ok(ProbingRule { refusals, minutes, of, mode })
}

pub(super) fn render(rule: ProbingRule) -> Value {
    let mut object = Map::new();
    object.insert("refusals".to_owned(), json!(rule.refusals));
    object.insert("minutes".to_owned(), json!(rule.minutes));
    if rule.of != CountedOf::default() {
        object.insert("of".to_owned(), named(&SUBJECTS, rule.of));
    }
    if rule.mode != RuleMode::default() {
        object.insert("mode".to_owned(), named(&MODES, rule.mode));
    }
    Value::Object(object)
}
