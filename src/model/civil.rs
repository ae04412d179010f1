//! Days as people count them: which local day an instant lies in, and what comes a month later.
//!
//! ```text
//! offsets   (since, minutes east of UTC), oldest first      instant <-> local day and time
//! day       days since 1970-01-01                           day <-> year, month, day (jiff)
//! ```
//!
//! **Architecture invariant:** nothing here knows a zone by name. Offsets are data that a rule brings
//! with it, so that a replay counts the same days on every machine.

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan, Unit};

use super::history::HalfDay;
use super::limits::OFFSETS_MAX;
use super::time::Timestamp;

/// A local day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

/// What local time is: offsets from UTC in minutes and since when, oldest first, 1 to
/// [`OFFSETS_MAX`]. The first holds before its own instant too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CivilTime(pub Vec<(Timestamp, i16)>);

impl Default for CivilTime {
    /// UTC.
    fn default() -> Self {
        Self(vec![(Timestamp::default(), 0)])
    }
}

impl CivilTime {
    /// Whether the offsets are in order, few enough, and each within a day.
    pub fn is_sound(&self) -> bool {
        are_sound(&self.0)
    }

    /// Milliseconds east of UTC at an instant.
    fn offset(&self, now: Timestamp) -> i64 {
        i64::from(minutes_at(&self.0, now)).saturating_mul(MINUTE_MILLIS)
    }

    /// The local day of an instant; the first or the last one beyond what can be counted.
    pub fn day_of(&self, now: Timestamp) -> Day {
        let local = now.as_millis().saturating_add_signed(self.offset(now));
        Day(u32::try_from(local.checked_div(DAY_MILLIS).unwrap_or_default()).unwrap_or(u32::MAX))
    }

    /// The local day of an instant, and the half of it.
    pub fn half_of(&self, now: Timestamp) -> (Day, HalfDay) {
        let local = now.as_millis().saturating_add_signed(self.offset(now));
        let is_late = DAY_MILLIS / 2 <= local.checked_rem(DAY_MILLIS).unwrap_or_default();
        (self.day_of(now), if is_late { HalfDay::Afternoon } else { HalfDay::Morning })
    }

    /// The local day of an instant and the minute in it, as clocks show it.
    pub fn clock_of(&self, now: Timestamp) -> (Day, u16) {
        let local = now.as_millis().saturating_add_signed(self.offset(now));
        let into = local.checked_rem(DAY_MILLIS).unwrap_or_default();
        let minute = into.checked_div(MINUTE_MILLIS.unsigned_abs()).unwrap_or_default();
        (self.day_of(now), u16::try_from(minute).unwrap_or_default())
    }

    /// When a local day begins.
    pub fn start_of(&self, day: Day) -> Timestamp {
        self.instant(u64::from(day.0).saturating_mul(DAY_MILLIS))
    }

    /// When a minute of a local day begins, 0 to 1,440.
    pub fn at(&self, day: Day, minute: u16) -> Timestamp {
        let minute = u64::from(minute).saturating_mul(MINUTE_MILLIS.unsigned_abs());
        self.instant(u64::from(day.0).saturating_mul(DAY_MILLIS).saturating_add(minute))
    }

    /// The minute of its local day in which an instant lies, 0 to 1,439.
    pub fn minute_of(&self, now: Timestamp) -> u16 {
        let local = now.as_millis().saturating_add_signed(self.offset(now));
        let into = local.checked_rem(DAY_MILLIS).unwrap_or_default();
        let minute = into.checked_div(MINUTE_MILLIS.unsigned_abs()).unwrap_or_default();
        u16::try_from(minute).unwrap_or_default()
    }

    /// The instant at which the clocks show a local time, in milliseconds since 1970 as if it were
    /// UTC. Where they jump over it: as much later as they jump. Where they show it twice: the first.
    fn instant(&self, local: u64) -> Timestamp {
        let with = |minutes: i16| {
            let offset = i64::from(minutes).saturating_mul(MINUTE_MILLIS);
            Timestamp::from_millis(local.saturating_add_signed(offset.saturating_neg()))
        };
        let mut before = 0;
        for (index, (since, minutes)) in self.0.iter().enumerate() {
            let instant = with(*minutes);
            let ends = self.0.get(index.saturating_add(1)).map(|(since, _)| *since);
            if ends.is_none_or(|ends| instant < ends) {
                return if index == 0 || *since <= instant { instant } else { with(before) };
            }
            before = *minutes;
        }
        with(before)
    }

    /// The same local time some days later.
    #[must_use]
    pub fn plus_days(&self, from: Timestamp, days: u32) -> Timestamp {
        let local = from.as_millis().saturating_add_signed(self.offset(from));
        self.instant(local.saturating_add(u64::from(days).saturating_mul(DAY_MILLIS)))
    }

    /// The same local time some months later, or on the last day of the month if that is shorter.
    #[must_use]
    pub fn plus_months(&self, from: Timestamp, months: u16) -> Timestamp {
        let day = self.day_of(from);
        let days = day.plus_months(months).0.saturating_sub(day.0);
        self.plus_days(from, days)
    }
}

/// Minutes east of UTC at an instant, of offsets as [`CivilTime`] has them.
pub(super) fn minutes_at(offsets: &[(Timestamp, i16)], now: Timestamp) -> i16 {
    let known = offsets.iter().rev().find(|(since, _)| *since <= now).or_else(|| offsets.first());
    known.map_or(0, |(_, minutes)| *minutes)
}

/// Whether offsets are in order, few enough, and each within a day.
pub(super) fn are_sound(offsets: &[(Timestamp, i16)]) -> bool {
    let in_order = offsets.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let within = offsets.iter().all(|(_, minutes)| i64::from(minutes.unsigned_abs()) < MINUTES);
    in_order && within && (1..=OFFSETS_MAX).contains(&offsets.len())
}

impl Day {
    /// The day as a date; the last that can be told where there is none.
    pub fn date(self) -> Date {
        // `days` panics beyond 20,000 years, and a day that a peer or a file claims may lie there.
        let span = Span::new().try_days(self.0);
        span.and_then(|span| EPOCH.checked_add(span)).unwrap_or(Date::MAX)
    }

    /// The day of a date, if it is not before 1970.
    pub fn of(date: Date) -> Option<Self> {
        let days = EPOCH.until((Unit::Day, date)).ok()?.get_days();
        u32::try_from(days).ok().map(Self)
    }

    /// So many days later.
    #[must_use]
    pub const fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// So many days earlier, not before 1970.
    #[must_use]
    pub const fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// So many months later, or the last day of that month.
    #[must_use]
    pub fn plus_months(self, months: u16) -> Self {
        let date = self.date().checked_add(i32::from(months).months());
        date.ok().and_then(Self::of).unwrap_or(self)
    }

    /// So many months earlier, or the last day of that month; not before 1970.
    #[must_use]
    pub fn minus_months(self, months: u16) -> Self {
        let date = self.date().checked_sub(i32::from(months).months());
        date.ok().and_then(Self::of).unwrap_or_default()
    }

    /// The first day of its month.
    #[must_use]
    pub fn month_start(self) -> Self {
        Self::of(self.date().first_of_month()).unwrap_or(self)
    }

    /// The first day of its quarter.
    #[must_use]
    pub fn quarter_start(self) -> Self {
        let first = self.date().first_of_month();
        let into = i32::from(first.month().saturating_sub(1)).checked_rem(3).unwrap_or_default();
        let start = first.checked_sub(into.months()).unwrap_or(first);
        Self::of(start).unwrap_or(self)
    }

    /// The first day of its year.
    #[must_use]
    pub fn year_start(self) -> Self {
        Self::of(self.date().first_of_year()).unwrap_or(self)
    }

    /// 0 on a Monday, 6 on a Sunday.
    pub const fn weekday(self) -> u32 {
        // 1970-01-01 was a Thursday.
        self.0.saturating_add(3) % 7
    }

    /// The Monday of its week.
    #[must_use]
    pub const fn week_start(self) -> Self {
        self.minus(self.weekday())
    }
}

/// 1970-01-01.
const EPOCH: Date = date(1970, 1, 1);

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;
const MINUTE_MILLIS: i64 = 60_000;
const MINUTES: i64 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::of(text.parse().unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(u64::try_from(instant.as_millisecond()).unwrap())
    }

    #[test]
    fn a_day_has_the_start_of_its_month_quarter_year_and_week() {
        for (given, month, quarter, year, week) in [
            ("2027-02-28", "2027-02-01", "2027-01-01", "2027-01-01", "2027-02-22"),
            ("2027-12-31", "2027-12-01", "2027-10-01", "2027-01-01", "2027-12-27"),
            ("2028-01-01", "2028-01-01", "2028-01-01", "2028-01-01", "2027-12-27"),
            ("2027-05-03", "2027-05-01", "2027-04-01", "2027-01-01", "2027-05-03"),
        ] {
            let given = day(given);
            assert_eq!(given.month_start(), day(month), "{given:?}");
            assert_eq!(given.quarter_start(), day(quarter), "{given:?}");
            assert_eq!(given.year_start(), day(year), "{given:?}");
            assert_eq!(given.week_start(), day(week), "{given:?}");
        }
    }

    #[test]
    fn a_month_later_is_the_last_day_of_a_shorter_month() {
        for (given, months, expected) in [
            ("2027-01-31", 1, "2027-02-28"),
            ("2028-01-31", 1, "2028-02-29"),
            ("2027-11-30", 3, "2028-02-29"),
            ("2027-06-15", 6, "2027-12-15"),
            ("2027-06-15", 0, "2027-06-15"),
        ] {
            assert_eq!(day(given).plus_months(months), day(expected), "{given} + {months}");
        }
    }

    #[test]
    fn a_day_beyond_all_dates_is_the_last_date() {
        for (given, expected) in [
            (0, "1970-01-01"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "9999-12-31"),
            (7_304_485, "9999-12-31"),
            (u32::MAX, "9999-12-31"),
        ] {
            assert_eq!(Day(given).date().to_string(), expected, "day {given}");
            let _ = (Day(given).plus_months(u16::MAX), Day(given).minus_months(u16::MAX));
        }
    }

    #[test]
    fn a_local_day_begins_at_local_midnight() {
        let beijing = CivilTime(vec![(Timestamp::default(), 480)]);
        for (now, expected) in
            [("2027-01-01T15:59:59.999Z", "2027-01-01"), ("2027-01-01T16:00:00Z", "2027-01-02")]
        {
            assert_eq!(beijing.day_of(at(now)), day(expected), "{now}");
        }
        assert_eq!(beijing.start_of(day("2027-01-02")), at("2027-01-01T16:00:00Z"));
        let later = beijing.plus_months(at("2027-01-31T01:00:00Z"), 1);
        assert_eq!(later, at("2027-02-28T01:00:00Z"));
    }

    /// New York goes from -300 to -240 minutes on 2027-03-14T07:00Z, at 02:00 local time.
    #[test]
    fn days_around_a_change_of_the_clocks_have_23_hours_and_the_same_time_of_day() {
        let change = at("2027-03-14T07:00:00Z");
        let york = CivilTime(vec![(Timestamp::default(), -300), (change, -240)]);
        assert_eq!(york.start_of(day("2027-03-14")), at("2027-03-14T05:00:00Z"));
        assert_eq!(york.start_of(day("2027-03-15")), at("2027-03-15T04:00:00Z"));
        assert_eq!(york.plus_days(at("2027-03-13T15:00:00Z"), 1), at("2027-03-14T14:00:00Z"));
        // 02:30 is never on that day.
        assert_eq!(york.plus_days(at("2027-03-13T07:30:00Z"), 1), at("2027-03-14T07:30:00Z"));
        // 01:30 is twice on 2027-11-07.
        let york = CivilTime(vec![(change, -240), (at("2027-11-07T06:00:00Z"), -300)]);
        assert_eq!(york.plus_days(at("2027-11-06T05:30:00Z"), 1), at("2027-11-07T05:30:00Z"));
    }
}
