//! The calendar of workdays (工作日历): public holidays, and the weekend days that are worked instead.
//!
//! ```toml
//! name = "China 2026"
//! source = "State Council notice"
//! from = "2026-01-01"                   # what it says something about; the rest is unknown
//! until = "2026-12-31"
//! [[holidays]]
//! name = "National Day"
//! from = "2026-10-01"
//! until = "2026-10-07"                  # may be left out: one day
//! [[workdays]]
//! date = "2026-10-10"                   # a Saturday that is worked
//! as = "wednesday"                      # may be left out: whose patterns it follows
//! ```
//!
//! **Architecture invariant:** every day that it covers is a workday, a day of the weekend or a
//! holiday; of other days it says nothing, and nobody guesses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};

use super::document::entry::{Entry, Fault, Field, fault};
use super::document::{DocumentError, DocumentFormat};

/// Which days are worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    name: String,
    from: Date,
    until: Date,
    holidays: BTreeSet<Date>,
    /// Days of the weekend that are worked, and as which weekday.
    workdays: BTreeMap<Date, Option<Weekday>>,
}

/// What a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// Monday to Friday without holidays, and what is worked instead of one (调休上班).
    Workday,
    /// Saturday or Sunday.
    Weekend,
    /// A public holiday, on whichever weekday.
    Holiday,
}

/// A day of which the calendar says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{date} is not in the calendar {name}, which goes from {from} to {until}; use one that does"
)]
pub struct Uncovered {
    date: Date,
    name: String,
    from: Date,
    until: Date,
}

impl Calendar {
    /// Reads a calendar document.
    ///
    /// # Errors
    ///
    /// The first thing in it that is wrong.
    pub fn parse(file: &str, format: DocumentFormat, text: &str) -> Result<Self, DocumentError> {
        let read = format.read(text).and_then(|value| {
            let mut entry = Entry::new(String::new(), value)?;
            let calendar = Self::read(&mut entry)?;
            entry.finish()?;
            Ok(calendar)
        });
        read.map_err(|fault| DocumentError::of(file, fault))
    }

    fn read(entry: &mut Entry) -> Result<Self, Fault> {
        let name = entry.need("name")?.text()?;
        // For who reads the file; the node does not need it.
        if let Some(source) = entry.may("source")
            && !source.value.is_string()
        {
            return Err(fault(&source.place, "says where the days are published, as a text"));
        }
        let (from, until) = (entry.need("from")?.date()?, entry.need("until")?);
        let (end, holidays, workdays) = (until.date()?, BTreeSet::new(), BTreeMap::new());
        if end < from || YEARS_MAX < end.year() - from.year() {
            return Err(fault(&until.place, &format!("is at most {YEARS_MAX} years after from")));
        }
        let mut calendar = Self { name, from, until: end, holidays, workdays };
        for field in entry.may("holidays").map_or_else(|| Ok(Vec::new()), Field::list)? {
            calendar.read_holiday(field)?;
        }
        for field in entry.may("workdays").map_or_else(|| Ok(Vec::new()), Field::list)? {
            calendar.read_workday(field)?;
        }
        Ok(calendar)
    }

    fn read_holiday(&mut self, field: Field) -> Result<(), Fault> {
        let mut entry = Entry::new(field.place, field.value)?;
        if let Some(name) = entry.may("name") {
            name.text()?;
        }
        let first = entry.need("from")?;
        let last = entry.may("until").unwrap_or_else(|| first.clone());
        entry.finish()?;
        let (from, until) = (self.day(&first)?, self.day(&last)?);
        if until < from {
            return Err(fault(&last.place, "is before from"));
        }
        for date in days(from, until) {
            if !self.holidays.insert(date) {
                return Err(fault(&first.place, &format!("{date} is in a holiday before")));
            }
        }
        Ok(())
    }

    fn read_workday(&mut self, field: Field) -> Result<(), Fault> {
        let mut entry = Entry::new(field.place, field.value)?;
        let day = entry.need("date")?;
        let weekday = entry.may("as").map(|field| read_weekday(&field)).transpose()?;
        entry.finish()?;
        let date = self.day(&day)?;
        if self.holidays.contains(&date) {
            return Err(fault(&day.place, &format!("{date} is a holiday")));
        }
        if !is_weekend(date.weekday()) {
            return Err(fault(&day.place, &format!("{date} is a workday anyway")));
        }
        if self.workdays.insert(date, weekday).is_some() {
            return Err(fault(&day.place, &format!("{date} stands here twice")));
        }
        Ok(())
    }

    fn day(&self, field: &Field) -> Result<Date, Fault> {
        let date = field.date()?;
        self.covered(date).map_err(|uncovered| fault(&field.place, &uncovered.to_string()))?;
        Ok(date)
    }

    fn covered(&self, date: Date) -> Result<(), Uncovered> {
        if (self.from..=self.until).contains(&date) {
            return Ok(());
        }
        let (name, from, until) = (self.name.clone(), self.from, self.until);
        Err(Uncovered { date, name, from, until })
    }

    /// What a day is.
    ///
    /// # Errors
    ///
    /// [`Uncovered`] where the calendar says nothing of it.
    pub fn kind(&self, date: Date) -> Result<DayKind, Uncovered> {
        self.covered(date)?;
        Ok(if self.holidays.contains(&date) {
            DayKind::Holiday
        } else if self.workdays.contains_key(&date) || !is_weekend(date.weekday()) {
            DayKind::Workday
        } else {
            DayKind::Weekend
        })
    }

    /// Whose patterns a day follows: its own weekday, unless it is worked as another one; none on a
    /// holiday.
    ///
    /// # Errors
    ///
    /// As [`kind`](Self::kind).
    pub fn weekday(&self, date: Date) -> Result<Option<Weekday>, Uncovered> {
        if self.kind(date)? == DayKind::Holiday {
            return Ok(None);
        }
        let worked_as = self.workdays.get(&date).copied().flatten();
        Ok(Some(worked_as.unwrap_or_else(|| date.weekday())))
    }

    /// The workday that is so many workdays before a day, from 1 on. The day itself does not count.
    ///
    /// # Errors
    ///
    /// As [`kind`](Self::kind), for every day on the way.
    pub fn workdays_before(&self, date: Date, count: u16) -> Result<Date, Uncovered> {
        let mut day = date;
        let mut left = count;
        while 0 < left {
            let before = day.yesterday().unwrap_or(Date::MIN);
            if self.kind(before)? == DayKind::Workday {
                left -= 1;
            }
            day = before;
        }
        Ok(day)
    }
}

/// A day of the week by its English name.
pub(super) fn weekday_named(name: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(known, _)| *known == name).map(|(_, weekday)| *weekday)
}

/// The days from one to another, both included.
pub(super) fn days(from: Date, until: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(from), |date| date.tomorrow().ok())
        .take_while(move |date| *date <= until)
}

fn read_weekday(field: &Field) -> Result<Weekday, Fault> {
    field
        .value
        .as_str()
        .and_then(weekday_named)
        .ok_or_else(|| fault(&field.place, &format!("is {}; use monday to sunday", field.value)))
}

pub(super) const fn is_weekend(weekday: Weekday) -> bool {
    matches!(weekday, Weekday::Saturday | Weekday::Sunday)
}

pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// A calendar is published for a year at a time; ten of them fit a file.
const YEARS_MAX: i16 = 10;
