//! The key `holder`: whose a hold may be.

use serde_json::{Map, Value, json};

use super::render::named;
use crate::model::{Holder, HolderRule};
use crate::ops::document::entry::{Entry, Fault, Field};
use crate::ops::document::narrow;

const BY: [(&str, Holder); 2] = [("patient", Holder::Patient), ("account", Holder::Account)];

pub(super) fn read(field: Field) -> Result<HolderRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let by = entry.choice("by", &BY)?;
    let limit = narrow(entry.number_or("limit", 1, 8, 1)?);
    entry.finish()?;
    Ok(HolderRule { by, limit })
}

pub(super) fn render(rule: HolderRule) -> Value {
    let mut object = Map::new();
    object.insert("by".to_owned(), named(&BY, rule.by));
    if rule.limit != 1 {
        object.insert("limit".to_owned(), json!(rule.limit));
    }
    Value::Object(object)
}
