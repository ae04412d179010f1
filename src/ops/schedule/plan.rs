//! From schedules and dates to sessions.
//!
//! **Architecture invariant:** a session rests on its date alone, never on when it is planned.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::pools::{beacons_of, pools_of};
use super::{DayPattern, Extent, Period, PlanSpan, Planned, Schedule, Unplanned, session_id};
use crate::model::limits::SESSION_SLOTS_MAX;
use crate::model::{Session, Timestamp};
use crate::ops::calendar::{Calendar, DayKind, Uncovered, days};
use crate::ops::civil::LocalTime;
use crate::ops::document::entry::{Fault, fault};
use crate::ops::document::moment::Locale;
use crate::ops::document::subject::end_of;

pub(super) fn plan(
    schedules: &[Schedule],
    calendar: Option<&Calendar>,
    span: &PlanSpan,
) -> Result<Vec<Planned>, Fault> {
    let mut all = Vec::new();
    let mut places_of = BTreeMap::new();
    for schedule in schedules {
        let planned = schedule.plan(calendar, span)?;
        for one in &planned {
            if let Some(other) = places_of.insert(one.session.id, &schedule.place) {
                let reason = format!(
                    "has a session with the id {} on {}, which {other} has too; choose another id",
                    one.session.id.0, one.date
                );
                return Err(fault(&schedule.place, &reason));
            }
        }
        all.extend(planned);
    }
    Ok(all)
}

/// Every period on every date of the span, whatever the schedule says of it.
pub(super) fn unplanned(schedule: &Schedule, span: &PlanSpan) -> Vec<Unplanned> {
    let all = schedule.span_dates(span).into_iter().flat_map(|(first, last)| days(first, last));
    let of = |date: Date| {
        schedule.periods.iter().map(move |period| Unplanned {
            schedule: schedule.id.clone(),
            date,
            period: period.name.clone(),
            session: session_id(schedule.subject.organization, &schedule.id, date, &period.name),
        })
    };
    all.flat_map(of).collect()
}

impl Schedule {
    fn plan(&self, calendar: Option<&Calendar>, span: &PlanSpan) -> Result<Vec<Planned>, Fault> {
        let Some((first, last)) = self.dates(span)? else { return Ok(Vec::new()) };
        let mut planned = Vec::new();
        for date in days(first, last).filter(|date| !self.except.contains(date)) {
            for period in &self.periods {
                let is_on = period.days.has(date, calendar);
                if is_on.map_err(|reason| fault(&self.place, &reason))? {
                    planned.push(self.session(date, period, calendar)?);
                }
            }
        }
        planned.sort_by_key(|planned| planned.session.start);
        self.check_overlaps(&planned)?;
        Ok(planned)
    }

    /// The first and the last date to plan.
    fn dates(&self, span: &PlanSpan) -> Result<Option<(Date, Date)>, Fault> {
        let (first, last) = self
            .span_dates(span)
            .ok_or_else(|| fault(&self.place, "has no dates: the first one is beyond 9999"))?;
        let first = self.from.map_or(first, |from| from.max(first));
        let last = self.until.map_or(last, |until| until.min(last));
        Ok((first <= last).then_some((first, last)))
    }

    /// The dates that are asked for.
    fn span_dates(&self, span: &PlanSpan) -> Option<(Date, Date)> {
        let first = span.from.or_else(|| self.zone.date_of(span.now))?;
        let days = span.days.unwrap_or(self.horizon_days).max(1);
        let last = first.checked_add(jiff::Span::new().days(days - 1)).ok()?;
        Some((first, last))
    }

    fn session(
        &self,
        date: Date,
        period: &Period,
        calendar: Option<&Calendar>,
    ) -> Result<Planned, Fault> {
        let locale = Locale { zone: Some(&self.zone), calendar };
        let (start, slots) = self.extent(date, period)?;
        let places = period.places.of(slots)?;
        let pools = pools_of(&self.pools, &self.targets, &places, date, locale)?;
        let id = session_id(self.subject.organization, &self.id, date, &period.name);
        let slot_millis = u32::from(period.slot_minutes) * MINUTE_MILLIS;
        let timing = (id, start, slot_millis);
        let session = self.subject.session(timing, pools, &period.place, date, locale);
        let session = session.map_err(|found| of_date(found, &period.place, date))?;
        check(&session, date, period)?;
        let beacons = beacons_of(&self.pools, &session, date);
        let (schedule, period, zone) = (self.id.clone(), period.name.clone(), self.zone.clone());
        Ok(Planned { schedule, date, period, zone, session, beacons })
    }

    /// When a period begins on a date, and how many slots it has: by the time that passes, not by
    /// what the clocks show.
    fn extent(&self, date: Date, period: &Period) -> Result<(Timestamp, usize), Fault> {
        let start = self.instant(date, period, period.start, "start")?;
        let slots = match period.extent {
            Extent::Slots(slots) => usize::from(slots),
            Extent::Until(minute) => {
                let end = self.instant(date, period, minute, "end")?;
                let slot = u64::from(period.slot_minutes) * u64::from(MINUTE_MILLIS);
                let millis = end.as_millis().saturating_sub(start.as_millis());
                if millis == 0 || !millis.is_multiple_of(slot) {
                    let reason = format!(
                        "lasts {} minutes on {date}, which is no number of slots of {}; give slots \
                         instead of end, or another slot_minutes",
                        millis / u64::from(MINUTE_MILLIS),
                        period.slot_minutes
                    );
                    return Err(fault(&period.place, &reason));
                }
                usize::try_from(millis / slot).unwrap_or(usize::MAX)
            }
        };
        if SESSION_SLOTS_MAX < slots {
            let reason = format!("has {slots} slots; a session takes 1 to {SESSION_SLOTS_MAX}");
            return Err(fault(&period.place, &reason));
        }
        Ok((start, slots))
    }

    /// A minute of a date. Nobody comes at a time that the clocks skip, so it is refused.
    fn instant(
        &self,
        date: Date,
        period: &Period,
        minute: u16,
        key: &str,
    ) -> Result<Timestamp, Fault> {
        let place = format!("{}.{key}", period.place);
        match self.zone.instant(date, minute) {
            Some(LocalTime::Once(time) | LocalTime::Repeated(time)) => Ok(time),
            Some(LocalTime::Skipped(_)) => {
                let reason = format!(
                    "{:02}:{:02} is skipped on {date}, when the clocks of {} go forward; choose \
                     another time, or put the date under except",
                    minute / 60,
                    minute % 60,
                    self.zone.name()
                );
                Err(fault(&place, &reason))
            }
            None => Err(fault(&place, &format!("{date} is before 1970 or beyond 9999"))),
        }
    }

    /// One resource is in one place at a time.
    fn check_overlaps(&self, planned: &[Planned]) -> Result<(), Fault> {
        for pair in planned.windows(2) {
            if let [one, next] = pair
                && next.session.start < end_of(&one.session)
            {
                let reason = format!(
                    "{:?} on {} begins before {:?} on {} has ended",
                    next.period, next.date, one.period, one.date
                );
                return Err(fault(&format!("{}.periods", self.place), &reason));
            }
        }
        Ok(())
    }
}

impl DayPattern {
    /// Whether a date is one of its days. Without a calendar there are no holidays, and nothing that
    /// needs to know of them.
    fn has(&self, date: Date, calendar: Option<&Calendar>) -> Result<bool, String> {
        let Some(calendar) = calendar else {
            if self.workdays || self.weekends || self.holidays {
                let reason =
                    "has workdays, weekends or holidays, which need a calendar (--calendar)";
                return Err(reason.to_owned());
            }
            return Ok(self.weekdays.contains(&date.weekday()));
        };
        self.has_by(date, calendar).map_err(|uncovered| uncovered.to_string())
    }

    fn has_by(&self, date: Date, calendar: &Calendar) -> Result<bool, Uncovered> {
        let kind = match calendar.kind(date)? {
            DayKind::Workday => self.workdays,
            DayKind::Weekend => self.weekends,
            DayKind::Holiday => self.holidays,
        };
        let weekday = calendar.weekday(date)?;
        Ok(kind || weekday.is_some_and(|weekday| self.weekdays.contains(&weekday)))
    }
}

/// What no session should be, although each part of it is sound.
fn check(session: &Session, date: Date, period: &Period) -> Result<(), Fault> {
    let end = end_of(session);
    let wrong = |reason: &str| {
        let reason = format!("{reason}, for the session of {date}");
        Err(fault(&period.place, &reason))
    };
    if session.pools.iter().any(|pool| end <= pool.terms.opens) {
        return wrong("a pool opens after the last slot has ended");
    }
    let ends = session.terms.booking_ends.unwrap_or(Timestamp::MAX);
    if session.pools.iter().any(|pool| ends <= pool.terms.opens) {
        return wrong("a pool opens when booking has ended");
    }
    Ok(())
}

/// A fault of a whole session, with its date.
fn of_date(found: Fault, place: &str, date: Date) -> Fault {
    if found.place != place {
        return found;
    }
    fault(place, &format!("{}, for the session of {date}", found.reason))
}

const MINUTE_MILLIS: u32 = 60_000;
