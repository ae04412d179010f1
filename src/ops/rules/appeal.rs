//! What a layer says about appeals (申诉), in a document.
//!
//! ```toml
//! [rules.appeal]
//! term = { days = 7 }      # it is decided within; or { months = 1 }, "month-end"
//! suspends = true          # and does not hold meanwhile; false without it
//! per_restriction = 1      # so often against one restriction
//! undecided = "stands"     # or "lifted": what comes of it if nobody decides
//! ```

use serde_json::{Map, Value, json};

use super::read::{term, truth};
use super::render::term as term_of;
use crate::model::{AppealRule, Undecided};
use crate::ops::document::entry::{Entry, Fault, Field};
use crate::ops::document::{MAX_8, narrow};

const UNDECIDED: [(&str, Undecided); 2] =
    [("stands", Undecided::Stands), ("lifted", Undecided::Lifted)];

pub(super) fn read(field: Field) -> Result<AppealRule, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let term = term(&entry.need("term")?)?;
    let is_suspending = entry.may("suspends").map_or(Ok(false), |field| truth(&field))?;
    let most = entry.may("per_restriction").map_or(Ok(1), |field| field.number(1, MAX_8))?;
    let undecided = entry.choice("undecided", &UNDECIDED)?;
    entry.finish()?;
    Ok(AppealRule { term, is_suspending, per_restriction: narrow(most), undecided })
}

pub(super) fn render(rule: AppealRule) -> Value {
    let mut object = Map::new();
    object.insert("term".to_owned(), term_of(rule.term));
    if rule.is_suspending {
        object.insert("suspends".to_owned(), json!(true));
    }
    if rule.per_restriction != 1 {
        object.insert("per_restriction".to_owned(), json!(rule.per_restriction));
    }
    if rule.undecided != Undecided::default() {
        object.insert("undecided".to_owned(), json!(rule.undecided.name()));
    }
    Value::Object(object)
}
