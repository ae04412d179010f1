//! The rule document (规则): who may book, by whose rules, in TOML or JSON.
//!
//! ```toml
//! zone = "Asia/Shanghai"                         # what a day is; UTC without it
//!
//! [[rules]]                                      # for all of the platform
//! [rules.no_show]
//! window = { months = 3 }                        # or { days = 90 }, "month", "quarter", "year",
//! tiers = [                                      #    "in-a-row", "ever"
//!   { count = 1, consequence = "warn", for = { days = 30 } },
//!   { count = 3, for = { months = 3 } },         # refused; but = ["counter"] lets a channel pass
//! ]
//!
//! [[rules]]                                      # nearer: one department, only children
//! scope = { organization = 1, department = 12 }
//! when = { ages = [0, 13] }
//! [rules.no_show]
//! window = "ever"
//! tiers = [{ count = 6, for = { days = 30 } }]
//!
//! [[rules]]                                      # how many somebody may have
//! limits = [
//!   { most = 1, within = "department", period = "day" },
//!   { most = 5, period = { months = 3 }, counts = "all" },
//! ]
//!
//! [[rules]]                                      # what else counts against somebody
//! violations = [{ counts = "cancel", window = "month", tiers = [{ count = 3, for = "month-end" }] }]
//! ```
//!
//! **Architecture invariant:** a document is taken whole or refused with file, place and reason.

mod appeal;
mod cancel;
mod cooldown;
mod holder;
mod limits;
mod payment;
mod persons;
mod probing;
mod rates;
mod read;
mod render;
#[cfg(test)]
mod tests;
mod violations;
mod waits;

use super::civil::Zone;
use super::document::entry::fault;
use super::document::{DocumentDefaults, DocumentError, DocumentFormat};
use crate::model::{CivilTime, RuleLayer, Rules, RulesVersion, Timestamp};

pub use self::render::render;

/// The rules of a document, before it is known since when they are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDocument {
    /// Since when, where the document says so.
    pub from: Option<Timestamp>,
    zone: Zone,
    notice_days: u16,
    layers: Vec<RuleLayer>,
}

impl RuleDocument {
    /// The rules, in force from an instant on. They know the local days of a year before it, and as
    /// long after it as the clocks change seven times more.
    pub fn rules(&self, from: Timestamp) -> Rules {
        let civil = CivilTime(self.zone.offsets_from(from.minus_millis(BEFORE_MILLIS)));
        Rules {
            version: RulesVersion::default(),
            from,
            civil,
            notice_days: self.notice_days,
            layers: self.layers.clone(),
        }
    }
}

/// Reads a document.
///
/// # Errors
///
/// [`DocumentError`], for the first thing that is wrong.
pub fn read(
    file: &str,
    text: &str,
    format: DocumentFormat,
    defaults: &DocumentDefaults,
) -> Result<RuleDocument, DocumentError> {
    let of = |fault| DocumentError::of(file, fault);
    let document = read::document(format.read(text).map_err(of)?, defaults).map_err(of)?;
    let rules = document.rules(document.from.unwrap_or_default());
    rules.check().map_err(|error| of(fault("document", &error.to_string())))?;
    Ok(document)
}

/// A year and some days: the longest window of days that rules count in.
const BEFORE_MILLIS: u64 = 400 * 24 * 3_600_000;
