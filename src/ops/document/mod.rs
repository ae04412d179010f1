//! What the documents of an administrator have in common: their languages, their faults, their words.
//!
//! ```text
//! TOML --.
//!         >-- values --> Entry, Field --> sessions, schedules, calendars
//! JSON --'               words, moments    or a fault: file, place, reason
//! ```
//!
//! **Architecture invariant:** nothing in a document is ignored. A key that is not known, a value
//! of another type and a number out of range are refused with file, entry and key.

mod attendance;
pub(super) mod draw;
pub(super) mod entry;
pub(super) mod moment;
pub(super) mod pools;
mod returns;
pub(super) mod subject;
mod waitlist;
pub(super) mod words;

use std::collections::BTreeMap;

use serde_json::Value;

use self::entry::{Fault, fault};
use crate::model::{BookingChannel, Ttl};

/// In which language a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFormat {
    /// `.toml`.
    Toml,
    /// `.json`, and standard input.
    Json,
}

/// What a document may leave out, and the names that it may use.
#[derive(Clone, Debug)]
pub struct DocumentDefaults {
    /// The longest hold of a session that does not say.
    pub ttl: Ttl,
    /// Channels by name.
    pub channels: BTreeMap<String, BookingChannel>,
}

/// Why a document is not taken: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {place}: {reason}")]
pub struct DocumentError {
    /// Which file.
    pub file: String,
    /// Which entry and key, as in `sessions[2].pools[0].places`.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

impl DocumentFormat {
    /// The format of a file, by its extension; `-` is JSON on standard input.
    pub fn of(name: &str) -> Option<Self> {
        if name == "-" {
            return Some(Self::Json);
        }
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Reads a text of this language.
    pub(super) fn read(self, text: &str) -> Result<Value, Fault> {
        match self {
            Self::Toml => toml::from_str::<toml::Table>(text)
                .map(|table| from_toml(toml::Value::Table(table)))
                .map_err(|error| fault("document", error.to_string().trim_end())),
            Self::Json => {
                serde_json::from_str(text).map_err(|error| fault("document", &error.to_string()))
            }
        }
    }
}

impl Default for DocumentDefaults {
    fn default() -> Self {
        Self { ttl: Ttl::DEFAULT, channels: BTreeMap::new() }
    }
}

impl DocumentError {
    pub(super) fn of(file: &str, fault: Fault) -> Self {
        Self { file: file.to_owned(), place: fault.place, reason: fault.reason }
    }
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::from(truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(values) => values.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
        }
    }
}

/// A number that was checked to fit.
pub(super) fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).ok().expect("the range was checked")
}

pub(super) const MAX_8: u64 = u8::MAX as u64;
pub(super) const MAX_16: u64 = u16::MAX as u64;
pub(super) const MAX_32: u64 = u32::MAX as u64;
