//! The schedule document (排班): recurring sessions of a resource, in TOML or JSON.
//!
//! ```text
//! document --\
//! calendar ---+--> plan: date by date, period by period --> sessions with terms and ids of their own
//! from, days-/
//! ```
//!
//! ```toml
//! [[schedules]]
//! id = "cardiology-4711"
//! organization = 1
//! site = 1
//! department = 12
//! resource = 4711
//! zone = "Asia/Shanghai"
//! days = ["monday", "thursday"]                 # or workdays, weekends, holidays
//! horizon_days = 14
//! booking_ends = { days_before = 1, at = "15:00" }
//! periods = [{ name = "morning", start = "08:00", end = "12:00", slot_minutes = 10, places = 4 }]
//! [[schedules.pools]]
//! name = "app"
//! share = 70
//! waves = [
//!   { share = 1, opens = { days_before = 7, at = "07:00" } },
//!   { share = 1, opens = { days_before = 1, at = "12:00" } },
//! ]
//! [[schedules.pools]]
//! name = "counter"
//! channels = [0]
//! share = 30
//! reclaim = { days_before = 0, at = "07:30", to = "app" }
//! [schedules.waitlist]                          # closes at 23:00 the day before, if it does not say
//! entries = 50
//! ```
//!
//! A pool may be drawn instead of opening in waves:
//! `draw = { opens = { days_before = 7, at = "08:00" }, window_minutes = 1440 }`.
//!
//! **Architecture invariant:** planning is a pure function of document, calendar, dates and days. A
//! session of a date is the same whenever it is planned, with the same id, so that applying a
//! document twice changes nothing.

mod plan;
mod pools;
mod read;
mod share;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

use self::pools::PoolPlan;
use super::calendar::Calendar;
use super::civil::Zone;
use super::document::entry::Fault;
use super::document::pools::Places;
use super::document::subject::Subject;
use super::document::{DocumentDefaults, DocumentError, DocumentFormat};
use crate::model::{OrganizationId, PoolIndex, Session, SessionId, Timestamp};

/// The schedules of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedules {
    file: String,
    schedules: Vec<Schedule>,
}

/// Which dates are planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanSpan {
    /// The first date; today in each schedule's zone where there is none.
    pub from: Option<Date>,
    /// How many; the schedule's own horizon where there is none.
    pub days: Option<u16>,
    /// When today is.
    pub now: Timestamp,
}

/// A session that a schedule describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The schedule's id.
    pub schedule: String,
    /// The local date.
    pub date: Date,
    /// The name of the period.
    pub period: String,
    /// The schedule's zone.
    pub zone: Zone,
    /// The session.
    pub session: Session,
    /// The names of the beacons of its draws, of which the session has the hashes.
    pub beacons: Vec<(PoolIndex, String)>,
}

/// A session that a schedule could have had, and does not describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplanned {
    /// The schedule's id.
    pub schedule: String,
    /// The local date.
    pub date: Date,
    /// The name of the period.
    pub period: String,
    /// The session's id.
    pub session: SessionId,
}

/// Recurring sessions of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schedule {
    place: String,
    id: String,
    subject: Subject,
    zone: Zone,
    /// The dates of the schedule itself, both included.
    from: Option<Date>,
    until: Option<Date>,
    horizon_days: u16,
    except: BTreeSet<Date>,
    periods: Vec<Period>,
    pools: Vec<PoolPlan>,
    /// Which pool the unused places of each pool go to.
    targets: Vec<Option<usize>>,
}

/// A part of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Period {
    place: String,
    name: String,
    days: DayPattern,
    /// Minutes of the local day.
    start: u16,
    extent: Extent,
    slot_minutes: u16,
    places: Places,
}

/// How far a period goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// To a minute of the same local day.
    Until(u16),
    /// For so many slots.
    Slots(u16),
}

/// On which days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DayPattern {
    weekdays: Vec<Weekday>,
    workdays: bool,
    weekends: bool,
    holidays: bool,
}

impl Schedules {
    /// Reads a schedule document.
    ///
    /// # Errors
    ///
    /// The first thing in it that is wrong.
    pub fn parse(
        file: &str,
        format: DocumentFormat,
        text: &str,
        defaults: &DocumentDefaults,
    ) -> Result<Self, DocumentError> {
        let read = format.read(text).and_then(|value| read::read_document(value, defaults));
        let schedules = read.map_err(|fault| DocumentError::of(file, fault))?;
        Ok(Self { file: file.to_owned(), schedules })
    }

    /// The sessions of the dates, schedule by schedule, each in order of time.
    ///
    /// # Errors
    ///
    /// The first date on which the document does not work: a time that is skipped, an opening after
    /// the end, a day that the calendar does not cover.
    pub fn plan(
        &self,
        calendar: Option<&Calendar>,
        span: &PlanSpan,
    ) -> Result<Vec<Planned>, DocumentError> {
        let planned = plan::plan(&self.schedules, calendar, span);
        planned.map_err(|fault: Fault| DocumentError::of(&self.file, fault))
    }

    /// The sessions that the same periods would have on dates of the span on which they are not
    /// planned. Where a node has one of them, the document said something else before.
    pub fn unplanned(&self, planned: &[Planned], span: &PlanSpan) -> Vec<Unplanned> {
        let ids: BTreeSet<SessionId> = planned.iter().map(|planned| planned.session.id).collect();
        let of = |schedule| plan::unplanned(schedule, span);
        let all = self.schedules.iter().flat_map(of);
        all.filter(|unplanned| !ids.contains(&unplanned.session)).collect()
    }
}

/// The id of a session: the same for the same schedule, date and period, for ever.
///
/// 63 bits of a hash, so that it fits the numbers of TOML too. Among a hundred million sessions two
/// share an id with a chance of one in two thousand; then the second is reported as different and
/// not opened.
///
/// # Panics
///
/// Never: a hash is longer than an id.
pub fn session_id(
    organization: OrganizationId,
    schedule: &str,
    date: Date,
    period: &str,
) -> SessionId {
    let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
    hasher.update(&organization.0.to_le_bytes());
    // No text has a zero in it, so no two of these are the same bytes.
    for part in [schedule, &date.to_string(), period] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    let hash = hasher.finalize();
    let bytes = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    SessionId(u64::from_le_bytes(*bytes) >> 1)
}

/// See `blake3::derive_key`: a context is a constant, and names what the key is for.
const ID_CONTEXT: &str = "haoyuan 2026 id of a session of a schedule";
