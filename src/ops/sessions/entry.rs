//! A value of a document and where it stands: reading that forgets no key.
//!
//! **Architecture invariant:** a key that nobody asked for is a fault when its entry is finished.

use serde_json::{Map, Value};

use crate::model::Timestamp;

/// An object of the document, of which every key must be asked for.
pub(super) struct Entry {
    place: String,
    object: Map<String, Value>,
    known: Vec<&'static str>,
}

/// A value of the document, and where it stands.
pub(super) struct Field {
    pub(super) place: String,
    pub(super) value: Value,
}

/// What is wrong, and where.
pub(super) struct Fault {
    pub(super) place: String,
    pub(super) reason: String,
}

impl Entry {
    pub(super) fn new(place: String, value: Value) -> Result<Self, Fault> {
        match value {
            Value::Object(object) => Ok(Self { place, object, known: Vec::new() }),
            other => Err(fault(&place, &format!("needs a table of keys, not {other}"))),
        }
    }

    pub(super) fn may(&mut self, key: &'static str) -> Option<Field> {
        self.known.push(key);
        let place = self.place_of(key);
        self.object.remove(key).map(|value| Field { place, value })
    }

    pub(super) fn need(&mut self, key: &'static str) -> Result<Field, Fault> {
        self.may(key).ok_or_else(|| fault(&self.place_of(key), "is missing"))
    }

    pub(super) fn choice<T: Copy + Default>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, Fault> {
        let Some(field) = self.may(key) else { return Ok(T::default()) };
        let chosen = choices.iter().find(|(name, _)| field.value.as_str() == Some(name));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            fault(&field.place, &format!("is {}; use {}", field.value, names.join(" or ")))
        })
    }

    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.object.keys().next() {
            None => Ok(()),
            Some(key) => {
                let known = self.known.join(", ");
                Err(fault(&self.place_of(key), &format!("is no key; the keys are {known}")))
            }
        }
    }

    pub(super) fn fault(&self, reason: &str) -> Fault {
        fault(&self.place, reason)
    }

    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
}

impl Field {
    pub(super) fn number(&self, least: u64, greatest: u64) -> Result<u64, Fault> {
        let number = self.value.as_u64().filter(|number| (least..=greatest).contains(number));
        number.ok_or_else(|| {
            let reason = format!("is {}; it takes a number, {least} to {greatest}", self.value);
            fault(&self.place, &reason)
        })
    }

    pub(super) fn time(&self) -> Result<Timestamp, Fault> {
        let text = self.value.as_str().unwrap_or_default();
        let time = text.parse::<jiff::Timestamp>().ok();
        let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        millis.map(Timestamp::from_millis).ok_or_else(|| {
            let reason = format!(
                "is {}; it takes a time with its offset, as 2027-03-01T08:00:00+08:00",
                self.value
            );
            fault(&self.place, &reason)
        })
    }

    pub(super) fn list(self) -> Result<Vec<Self>, Fault> {
        let Value::Array(values) = self.value else {
            return Err(fault(&self.place, &format!("is {}; it takes a list", self.value)));
        };
        let place = self.place;
        let field = |(index, value)| Self { place: format!("{place}[{index}]"), value };
        Ok(values.into_iter().enumerate().map(field).collect())
    }
}

pub(super) fn fault(place: &str, reason: &str) -> Fault {
    let place = if place.is_empty() { "document" } else { place };
    Fault { place: place.to_owned(), reason: reason.to_owned() }
}
