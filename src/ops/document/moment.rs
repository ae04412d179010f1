//! Moments of a document: an instant, or a local time so many days before a session.
//!
//! ```text
//! "2026-09-01T07:00:00+08:00"             an instant
//! { days_before = 7, at = "07:00" }       the local 07:00 of the day a week before
//! { workdays_before = 1, at = "15:00" }   the local 15:00 of the workday before
//! ```

use jiff::civil::Date;
use serde_json::Value;

use super::entry::{Entry, Fault, Field, fault};
use super::narrow;
use crate::model::Timestamp;
use crate::ops::calendar::Calendar;
use crate::ops::civil::Zone;

/// A moment, with where the document says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Moment {
    place: String,
    when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Days { before: u16, clock: u16 },
    Workdays { before: u16, clock: u16 },
}

/// What a local moment is worked out from.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Locale<'a> {
    pub(in crate::ops) zone: Option<&'a Zone>,
    pub(in crate::ops) calendar: Option<&'a Calendar>,
}

impl Moment {
    pub(in crate::ops) fn read(field: Field) -> Result<Self, Fault> {
        let place = field.place.clone();
        let Value::Object(_) = field.value else {
            let instant = field.time().map_err(|_| {
                let reason = format!(
                    "is {}; it takes a time with its offset, as 2027-03-01T08:00:00+08:00, or {{ \
                     days_before = 7, at = \"07:00\" }}",
                    field.value
                );
                fault(&place, &reason)
            })?;
            return Ok(Self { place, when: When::At(instant) });
        };
        let mut entry = Entry::new(field.place, field.value)?;
        let when = Self::read_local(&mut entry)?;
        entry.finish()?;
        Ok(Self { place, when })
    }

    /// A local time so many days before a session, which the document at `place` need not say.
    pub(super) fn days_before(place: &str, before: u16, clock: u16) -> Self {
        Self { place: place.to_owned(), when: When::Days { before, clock } }
    }

    /// The keys of a local moment, in a table that may have others too; where it has none of the
    /// two that count days, `at` is an instant.
    pub(in crate::ops) fn read_within(entry: &mut Entry) -> Result<Self, Fault> {
        let place = entry.place().to_owned();
        Ok(Self { place, when: Self::read_local(entry)? })
    }

    fn read_local(entry: &mut Entry) -> Result<When, Fault> {
        let (days, workdays) = (entry.may("days_before"), entry.may("workdays_before"));
        let at = entry.need("at")?;
        let before =
            |field: Field, least: u64| field.number(least, DAYS_BEFORE_MAX).map(narrow::<u16>);
        match (days, workdays) {
            (Some(days), None) => Ok(When::Days { before: before(days, 0)?, clock: at.clock()? }),
            (None, Some(days)) => {
                Ok(When::Workdays { before: before(days, 1)?, clock: at.clock()? })
            }
            (None, None) if at.clock().is_err() => Ok(When::At(at.time()?)),
            (None, None) => Err(entry.fault("needs days_before or workdays_before")),
            (Some(_), Some(_)) => {
                Err(entry.fault("has days_before and workdays_before; give one of the two"))
            }
        }
    }

    /// When it is, for a session of that date. A local time that is skipped is as much later as the
    /// clocks were put forward; one that is repeated is the first of the two.
    pub(in crate::ops) fn of(&self, date: Date, locale: Locale<'_>) -> Result<Timestamp, Fault> {
        if let When::At(instant) = self.when {
            return Ok(instant);
        }
        let zone = locale
            .zone
            .ok_or_else(|| fault(&self.place, "is a local time, which needs the session's zone"))?;
        let (day, clock) = self.day(date, locale.calendar)?;
        let found = zone.instant(day, clock).ok_or_else(|| self.out_of_range(date))?;
        Ok(found.time())
    }

    fn day(&self, date: Date, calendar: Option<&Calendar>) -> Result<(Date, u16), Fault> {
        match self.when {
            When::At(_) => Ok((date, 0)),
            When::Days { before, clock } => {
                let day = date.checked_sub(jiff::Span::new().days(before));
                day.map(|day| (day, clock)).map_err(|_| self.out_of_range(date))
            }
            When::Workdays { before, clock } => {
                let calendar = calendar.ok_or_else(|| {
                    fault(&self.place, "counts workdays, which needs a calendar (--calendar)")
                })?;
                let day = calendar.workdays_before(date, before);
                day.map(|day| (day, clock))
                    .map_err(|uncovered| fault(&self.place, &uncovered.to_string()))
            }
        }
    }

    /// A fault of the moment itself.
    pub(in crate::ops) fn fault(&self, reason: &str) -> Fault {
        fault(&self.place, reason)
    }

    fn out_of_range(&self, date: Date) -> Fault {
        fault(&self.place, &format!("is beyond the calendar for the session of {date}"))
    }
}

/// A year: nothing is planned further ahead.
const DAYS_BEFORE_MAX: u64 = 366;
