//! From the values of a document to schedules.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pools::read_pools;
use super::{DayPattern, Extent, Period, Schedule};
use crate::model::limits::SESSION_SLOTS_MAX;
use crate::ops::calendar::{WEEKDAYS, weekday_named};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::pools::Places;
use crate::ops::document::subject::Subject;
use crate::ops::document::words::read_zone;
use crate::ops::document::{DocumentDefaults, narrow};

pub(super) fn read_document(
    value: Value,
    defaults: &DocumentDefaults,
) -> Result<Vec<Schedule>, Fault> {
    let mut document = Entry::new(String::new(), value)?;
    let schedules = document.need("schedules")?.list()?;
    document.finish()?;
    let schedules: Result<Vec<Schedule>, Fault> =
        schedules.into_iter().map(|field| read_schedule(field, defaults)).collect();
    let schedules = schedules?;
    let mut names = BTreeSet::new();
    for schedule in &schedules {
        if !names.insert((schedule.subject.organization, &schedule.id)) {
            let reason = format!("{:?} is the id of a schedule before", schedule.id);
            return Err(fault(&format!("{}.id", schedule.place), &reason));
        }
    }
    Ok(schedules)
}

fn read_schedule(field: Field, defaults: &DocumentDefaults) -> Result<Schedule, Fault> {
    let place = field.place.clone();
    let mut entry = Entry::new(field.place, field.value)?;
    let id = entry.need("id")?.text()?;
    let subject = Subject::read(&mut entry, defaults)?;
    let zone = read_zone(&entry.need("zone")?)?;
    let from = entry.may("from").map(|field| field.date()).transpose()?;
    let until = entry.may("until");
    let last = until.as_ref().map(Field::date).transpose()?;
    if let (Some(field), Some(from), Some(last)) = (&until, from, last)
        && last < from
    {
        return Err(fault(&field.place, "is before from"));
    }
    let horizon_days = narrow(entry.number_or("horizon_days", 1, HORIZON_DAYS_MAX, 14)?);
    let except = entry.may("except").map_or_else(|| Ok(Vec::new()), Field::list)?;
    let except = except.iter().map(Field::date).collect::<Result<_, _>>()?;
    let days = entry.may("days").map(read_days).transpose()?;
    let periods = read_periods(entry.need("periods")?, days.as_ref())?;
    let (pools, targets) = read_pools(&mut entry, defaults)?;
    entry.finish()?;
    Ok(Schedule {
        place,
        id,
        subject,
        zone,
        from,
        until: last,
        horizon_days,
        except,
        periods,
        pools,
        targets,
    })
}

fn read_periods(field: Field, days: Option<&DayPattern>) -> Result<Vec<Period>, Fault> {
    let place = field.place.clone();
    let periods: Result<Vec<Period>, Fault> =
        field.list()?.into_iter().map(|field| read_period(field, days)).collect();
    let periods = periods?;
    if periods.is_empty() {
        return Err(fault(&place, "is empty; a schedule has a period or more"));
    }
    let mut names = BTreeSet::new();
    for period in &periods {
        if !names.insert(&period.name) {
            return Err(fault(&format!("{}.name", period.place), "is the name of a period before"));
        }
    }
    Ok(periods)
}

fn read_period(field: Field, days: Option<&DayPattern>) -> Result<Period, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let place = entry.place().to_owned();
    let name = entry.need("name")?.text()?;
    let own = entry.may("days").map(read_days).transpose()?;
    let days = own.or_else(|| days.cloned());
    let days = days.ok_or_else(|| entry.fault("needs days, here or in the schedule"))?;
    let start = entry.need("start")?;
    let minute = start.clock()?;
    if minute == DAY_MINUTES {
        return Err(fault(&start.place, "is the end of the day; use \"00:00\" of the next"));
    }
    let slot_minutes = narrow(entry.need("slot_minutes")?.number(1, DAY_MINUTES.into())?);
    let extent = match (entry.may("end"), entry.may("slots")) {
        (Some(end), None) if end.clock()? <= minute => {
            let reason = "is not after start; give slots for a period that goes past midnight";
            return Err(fault(&end.place, reason));
        }
        (Some(end), None) => Extent::Until(end.clock()?),
        (None, Some(slots)) => Extent::Slots(narrow(slots.number(1, SLOTS_MAX)?)),
        (None, None) => return Err(entry.fault("needs an end, or a number of slots")),
        (Some(_), Some(_)) => return Err(entry.fault("has end and slots; give one of the two")),
    };
    let places = Places::read(entry.need("places")?)?;
    entry.finish()?;
    Ok(Period { place, name, days, start: minute, extent, slot_minutes, places })
}

fn read_days(field: Field) -> Result<DayPattern, Fault> {
    let place = field.place.clone();
    let mut days = DayPattern::default();
    for day in field.list()? {
        match day.value.as_str().unwrap_or_default() {
            "workdays" => days.workdays = true,
            "weekends" => days.weekends = true,
            "holidays" => days.holidays = true,
            name => days.weekdays.push(weekday_named(name).ok_or_else(|| {
                let names = WEEKDAYS.map(|(name, _)| name).join(", ");
                let reason =
                    format!("{} is no day; use {names}, workdays, weekends, holidays", day.value);
                fault(&day.place, &reason)
            })?),
        }
    }
    if days == DayPattern::default() {
        return Err(fault(&place, "is empty; name a day or more"));
    }
    Ok(days)
}

/// A year: nothing is planned further ahead.
const HORIZON_DAYS_MAX: u64 = 366;
const DAY_MINUTES: u16 = 24 * 60;
const SLOTS_MAX: u64 = SESSION_SLOTS_MAX as u64;
