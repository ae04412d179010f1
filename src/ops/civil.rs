//! Local time: zones by their IANA names, and which instants their clocks show.
//!
//! ```text
//! spring   01:59 | 03:00     02:30 is skipped: it never is
//! autumn   01:59 | 01:00     01:30 is repeated: it is twice
//! ```
//!
//! **Architecture invariant:** the zones are those that the program was built with. Nothing is read
//! from the machine, so that a document means the same everywhere.

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::model::Timestamp;
use crate::model::limits::OFFSETS_MAX;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// What a local time is on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTime {
    /// One instant.
    Once(Timestamp),
    /// The clocks jump over it; later by as much as they jump.
    Skipped(Timestamp),
    /// The clocks show it twice; the first time.
    Repeated(Timestamp),
}

impl LocalTime {
    /// The instant, whatever the clocks do.
    pub const fn time(self) -> Timestamp {
        let (Self::Once(time) | Self::Skipped(time) | Self::Repeated(time)) = self;
        time
    }
}

impl Zone {
    /// The zone of that name, as `Asia/Shanghai`.
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        // A name that is written another way would be printed another way.
        (zone.iana_name() == Some(name)).then_some(Self(zone))
    }

    /// The zone whose clocks show UTC and no other time.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of a fixed offset, in minutes east of UTC, less than a day.
    pub fn fixed(minutes: i16) -> Option<Self> {
        let offset = jiff::tz::Offset::from_seconds(i32::from(minutes) * 60).ok()?;
        Some(Self(TimeZone::fixed(offset)))
    }

    /// Its name; `UTC` and fixed offsets are named by their offset.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The local day of an instant.
    pub fn date_of(&self, time: Timestamp) -> Option<Date> {
        Some(self.0.to_datetime(instant(time)?).date())
    }

    /// An instant as its clocks show it, `2026-09-01 08:00`, with seconds where there are any.
    pub fn show(&self, time: Timestamp) -> String {
        let Some(instant) = instant(time) else { return "-".to_owned() };
        let local = self.0.to_datetime(instant);
        let form =
            if time.as_millis().is_multiple_of(60_000) { "%F %H:%M" } else { "%F %H:%M:%S%.f" };
        local.strftime(form).to_string()
    }

    /// An instant with the offset of its clocks, `2026-09-01T08:00:00+08:00`; in UTC where that is no
    /// whole minute, which the form cannot say.
    pub fn rfc3339(&self, time: Timestamp) -> String {
        let Some(instant) = instant(time) else { return "-".to_owned() };
        let offset = self.0.to_offset(instant);
        let is_whole = offset.seconds() % 60 == 0;
        let offset = if is_whole { offset } else { jiff::tz::Offset::UTC };
        instant.display_with_offset(offset).to_string()
    }

    /// The instant of a minute of a local day, 0 to 1,440; `None` before 1970 and beyond 9999.
    pub fn instant(&self, date: Date, minute: u16) -> Option<LocalTime> {
        let (date, minute) =
            if minute < DAY_MINUTES { (date, minute) } else { (date.tomorrow().ok()?, 0) };
        let hour = i8::try_from(minute / 60).ok()?;
        let local = date.at(hour, i8::try_from(minute % 60).ok()?, 0, 0);
        let found = self.0.to_ambiguous_timestamp(local);
        let kind = found.offset();
        let time = u64::try_from(found.compatible().ok()?.as_millisecond()).ok()?;
        let time = Timestamp::from_millis(time);
        Some(match kind {
            AmbiguousOffset::Unambiguous { .. } => LocalTime::Once(time),
            AmbiguousOffset::Gap { .. } => LocalTime::Skipped(time),
            AmbiguousOffset::Fold { .. } => LocalTime::Repeated(time),
        })
    }

    /// Its offsets from UTC in minutes while a session that ends then may be booked, as
    /// [`ServiceHours`](crate::model::ServiceHours) have them.
    pub fn offsets_until(&self, end: Timestamp) -> Vec<(Timestamp, i16)> {
        let begin = end.minus_millis(BOOKING_MILLIS);
        let (Some(first), Some(_)) = (instant(begin), instant(end)) else {
            return vec![(Timestamp::default(), 0)];
        };
        let mut offsets: Vec<_> =
            self.offsets(first).take_while(|(since, _)| *since <= end).collect();
        // The oldest matter least: booking has hardly begun.
        let surplus = offsets.len().saturating_sub(OFFSETS_MAX);
        offsets.drain(..surplus);
        offsets
    }
}

impl Zone {
    /// Its offsets from UTC in minutes from an instant on, as many as can be kept.
    pub fn offsets_from(&self, begin: Timestamp) -> Vec<(Timestamp, i16)> {
        let Some(first) = instant(begin) else { return vec![(Timestamp::default(), 0)] };
        self.offsets(first).take(OFFSETS_MAX).collect()
    }

    /// The offset at an instant, as if it held since ever, and each other one after it.
    fn offsets(&self, first: jiff::Timestamp) -> impl Iterator<Item = (Timestamp, i16)> + '_ {
        let minutes = |seconds: i32| i16::try_from(seconds / 60).unwrap_or_default();
        let mut last = minutes(self.0.to_offset(first).seconds());
        let later = self.0.following(first).filter_map(move |change| {
            let before = std::mem::replace(&mut last, minutes(change.offset().seconds()));
            let since = u64::try_from(change.timestamp().as_millisecond()).unwrap_or_default();
            (before != last).then_some((Timestamp::from_millis(since), last))
        });
        let now = minutes(self.0.to_offset(first).seconds());
        std::iter::once((Timestamp::default(), now)).chain(later)
    }
}

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(time.as_millis()).ok()?).ok()
}

const DAY_MINUTES: u16 = 24 * 60;

/// How long before its end a session can be booked: longer than anything is planned ahead. The same
/// for every session, so that planning it again on another day gives the same session.
const BOOKING_MILLIS: u64 = 400 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let millis = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        Timestamp::from_millis(millis.try_into().unwrap())
    }

    #[test]
    fn clocks_skip_an_hour_and_repeat_one() {
        use LocalTime::{Once, Repeated, Skipped};
        for (name, day, minute, expected) in [
            // New York 2026: forward on 8 March at 02:00, back on 1 November at 02:00.
            ("America/New_York", date(2026, 3, 8), 119, Once(at("2026-03-08T06:59Z"))),
            ("America/New_York", date(2026, 3, 8), 120, Skipped(at("2026-03-08T07:00Z"))),
            ("America/New_York", date(2026, 3, 8), 150, Skipped(at("2026-03-08T07:30Z"))),
            ("America/New_York", date(2026, 3, 8), 180, Once(at("2026-03-08T07:00Z"))),
            ("America/New_York", date(2026, 11, 1), 60, Repeated(at("2026-11-01T05:00Z"))),
            ("America/New_York", date(2026, 11, 1), 120, Once(at("2026-11-01T07:00Z"))),
            ("Europe/Berlin", date(2026, 3, 29), 150, Skipped(at("2026-03-29T01:30Z"))),
            ("Europe/Berlin", date(2026, 10, 25), 150, Repeated(at("2026-10-25T00:30Z"))),
            // Shanghai had summer time from 1986 to 1991, and has none now.
            ("Asia/Shanghai", date(1986, 5, 4), 150, Skipped(at("1986-05-03T18:30Z"))),
            ("Asia/Shanghai", date(1990, 7, 1), 480, Once(at("1990-06-30T23:00Z"))),
            ("Asia/Shanghai", date(1991, 9, 15), 90, Repeated(at("1991-09-14T16:30Z"))),
            ("Asia/Shanghai", date(1992, 7, 1), 480, Once(at("1992-07-01T00:00Z"))),
            ("Asia/Shanghai", date(2026, 7, 1), 1_440, Once(at("2026-07-01T16:00Z"))),
        ] {
            assert_eq!(zone(name).instant(day, minute), Some(expected), "{name} {day} {minute}");
        }
        assert_eq!(zone("Asia/Shanghai").instant(date(1969, 12, 31), 0), None);
    }

    #[test]
    fn offsets_are_those_of_the_year_before_the_session() {
        assert_eq!(
            zone("Asia/Shanghai").offsets_until(at("2026-09-01T04:00Z")),
            [(Timestamp::default(), 480)]
        );
        assert_eq!(
            zone("America/New_York").offsets_until(at("2026-09-01T04:00Z")),
            [
                (Timestamp::default(), -240),
                (at("2025-11-02T06:00Z"), -300),
                (at("2026-03-08T07:00Z"), -240),
            ]
        );
        let shanghai = zone("Asia/Shanghai").offsets_until(at("1990-07-01T00:00Z"));
        let minutes: Vec<i16> = shanghai.iter().map(|(_, minutes)| *minutes).collect();
        assert_eq!(minutes, [540, 480, 540], "{shanghai:?}");
    }

    #[test]
    fn a_zone_has_one_name_and_needs_no_file_of_the_machine() {
        assert_eq!(zone("Asia/Shanghai").name(), "Asia/Shanghai");
        for unknown in ["asia/shanghai", "Asia/Beijing", "CST6", "", "+08:00"] {
            assert_eq!(Zone::named(unknown), None, "{unknown}");
        }
        assert_eq!(zone("Asia/Shanghai").show(at("2026-09-01T00:00Z")), "2026-09-01 08:00");
    }

    #[test]
    fn an_instant_is_printed_so_that_it_is_read_back() {
        for (name, text) in [
            ("Asia/Shanghai", "2026-09-01T08:00:00+08:00"),
            // 44 minutes and 30 seconds behind UTC, until 1972.
            ("Africa/Monrovia", "1970-01-01T00:00:00+00:00"),
        ] {
            let time = at(text);
            assert_eq!(zone(name).rfc3339(time), text);
            assert_eq!(at(&zone(name).rfc3339(time)), time, "{name}");
        }
    }
}
