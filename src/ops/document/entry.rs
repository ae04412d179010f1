//! A value of a document and where it stands: reading that forgets no key.
//!
//! **Architecture invariant:** a key that nobody asked for is a fault when its entry is finished.

use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::model::Timestamp;

/// An object of the document, of which every key must be asked for.
#[derive(Debug)]
pub(in crate::ops) struct Entry {
    place: String,
    object: Map<String, Value>,
    known: Vec<&'static str>,
}

/// A value of the document, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Field {
    pub(in crate::ops) place: String,
    pub(in crate::ops) value: Value,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Fault {
    pub(in crate::ops) place: String,
    pub(in crate::ops) reason: String,
}

impl Entry {
    pub(in crate::ops) fn new(place: String, value: Value) -> Result<Self, Fault> {
        match value {
            Value::Object(object) => Ok(Self { place, object, known: Vec::new() }),
            other => Err(fault(&place, &format!("needs a table of keys, not {other}"))),
        }
    }

    pub(in crate::ops) fn may(&mut self, key: &'static str) -> Option<Field> {
        self.known.push(key);
        let place = self.place_of(key);
        self.object.remove(key).map(|value| Field { place, value })
    }

    pub(in crate::ops) fn need(&mut self, key: &'static str) -> Result<Field, Fault> {
        self.may(key).ok_or_else(|| fault(&self.place_of(key), "is missing"))
    }

    /// A number, or what holds without one.
    pub(in crate::ops) fn number_or(
        &mut self,
        key: &'static str,
        least: u64,
        greatest: u64,
        otherwise: u64,
    ) -> Result<u64, Fault> {
        self.may(key).map_or(Ok(otherwise), |field| field.number(least, greatest))
    }

    pub(in crate::ops) fn choice<T: Copy + Default>(
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

    pub(in crate::ops) fn finish(self) -> Result<(), Fault> {
        match self.object.keys().next() {
            None => Ok(()),
            Some(key) => {
                let known = self.known.join(", ");
                Err(fault(&self.place_of(key), &format!("is no key; the keys are {known}")))
            }
        }
    }

    pub(in crate::ops) fn place(&self) -> &str {
        &self.place
    }

    pub(in crate::ops) fn fault(&self, reason: &str) -> Fault {
        fault(&self.place, reason)
    }

    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
}

impl Field {
    pub(in crate::ops) fn number(&self, least: u64, greatest: u64) -> Result<u64, Fault> {
        let number = self.value.as_u64().filter(|number| (least..=greatest).contains(number));
        number.ok_or_else(|| {
            let reason = format!("is {}; it takes a number, {least} to {greatest}", self.value);
            fault(&self.place, &reason)
        })
    }

    pub(in crate::ops) fn time(&self) -> Result<Timestamp, Fault> {
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

    /// A text that is not empty and not too long to print.
    pub(in crate::ops) fn text(&self) -> Result<String, Fault> {
        let text = self.value.as_str().unwrap_or_default();
        if text.is_empty()
            || TEXT_CHARS_MAX < text.chars().count()
            || text.contains(char::is_control)
        {
            let reason =
                format!("is {}; it takes a text of 1 to {TEXT_CHARS_MAX} characters", self.value);
            return Err(fault(&self.place, &reason));
        }
        Ok(text.to_owned())
    }

    /// A day of the calendar.
    pub(in crate::ops) fn date(&self) -> Result<Date, Fault> {
        let text = self.value.as_str().unwrap_or_default();
        // `jiff` would take a time behind the date too.
        let date = text.parse().ok().filter(|date: &Date| date.to_string() == text);
        date.ok_or_else(|| {
            fault(&self.place, &format!("is {}; it takes a date, as 2026-09-01", self.value))
        })
    }

    /// A time of the local day, as minutes after midnight, 0 to 1,440.
    pub(in crate::ops) fn clock(&self) -> Result<u16, Fault> {
        let text = self.value.as_str().unwrap_or_default();
        // TOML writes the seconds of its own times.
        let short = if text.len() == 8 { text.strip_suffix(":00") } else { Some(text) };
        short.and_then(minute_of_day).ok_or_else(|| {
            let reason =
                format!("is {}; it takes a local time, \"00:00\" to \"24:00\"", self.value);
            fault(&self.place, &reason)
        })
    }

    pub(in crate::ops) fn list(self) -> Result<Vec<Self>, Fault> {
        let Value::Array(values) = self.value else {
            return Err(fault(&self.place, &format!("is {}; it takes a list", self.value)));
        };
        let place = self.place;
        let field = |(index, value)| Self { place: format!("{place}[{index}]"), value };
        Ok(values.into_iter().enumerate().map(field).collect())
    }
}

pub(in crate::ops) fn fault(place: &str, reason: &str) -> Fault {
    let place = if place.is_empty() { "document" } else { place };
    Fault { place: place.to_owned(), reason: reason.to_owned() }
}

fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let whole = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole { digits.parse::<u16>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let is_time = minutes < 60 && (hours < 24 || (hours, minutes) == (24, 0));
    is_time.then_some(hours * 60 + minutes)
}

/// Names are printed in tables and in faults.
const TEXT_CHARS_MAX: usize = 64;
