//! What sessions and schedules say of coming to a visit: pick-up, check-in, lateness (取号, 签到, 过号).

use jiff::civil::Date;

use super::entry::{Entry, Fault, Field, fault};
use super::moment::{Locale, Moment};
use super::words::{DAY_MINUTES, MINUTE_MILLIS};
use super::{MAX_8, narrow};
use crate::model::limits::PICK_UP_WINDOWS_MAX;
use crate::model::{Attendance, LateRule, PickUpWindow};

/// When patients may come: around their slots, and by the clock of their day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct AttendanceTable {
    pub(super) rules: Attendance,
    windows: Vec<(Moment, Moment)>,
}

impl AttendanceTable {
    /// The windows in which numbers are picked up, for a session of that date.
    pub(super) fn windows(
        &self,
        date: Date,
        locale: Locale<'_>,
    ) -> Result<Vec<PickUpWindow>, Fault> {
        let window = |(from, until): &(Moment, Moment)| {
            Ok(PickUpWindow { from: from.of(date, locale)?, until: until.of(date, locale)? })
        };
        self.windows.iter().map(window).collect()
    }
}

/// Reads when patients may come, in minutes around the start of their slot, and when in the day numbers
/// are picked up. An empty table says the usual of everything.
pub(super) fn read_attendance(field: Field) -> Result<AttendanceTable, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let mut minutes =
        |key, otherwise| -> Result<u64, Fault> { entry.number_or(key, 0, DAY_MINUTES, otherwise) };
    let check_in = minutes("check_in_minutes", 60)?;
    let (grace, late) = (minutes("grace_minutes", 15)?, minutes("late_minutes", 60)?);
    if late < grace {
        let reason = format!(
            "is on time for {grace} minutes (grace_minutes) and taken for {late} (late_minutes); \
             the second is as long or longer"
        );
        return Err(entry.fault(&reason));
    }
    let pick_up = entry.may("pick_up_minutes").map(|field| signed_minutes(&field)).transpose()?;
    let every = entry.may("late_every").map(|field| field.number(1, MAX_8)).transpose()?;
    let windows = entry.may("pick_up_windows").map_or(Ok(Vec::new()), read_windows)?;
    entry.finish()?;
    let rules = Attendance {
        check_in_from: millis(check_in),
        pick_up_until: pick_up,
        grace: millis(grace),
        late_until: millis(late),
        late: every.map_or(LateRule::EndOfSegment, |every| LateRule::Every(narrow(every))),
    };
    Ok(AttendanceTable { rules, windows })
}

/// `[{ from = "07:30", until = "10:30" }]`, of the local day of the session.
fn read_windows(field: Field) -> Result<Vec<(Moment, Moment)>, Fault> {
    let place = field.place.clone();
    let windows = field.list()?.into_iter().map(|field| {
        let mut entry = Entry::new(field.place, field.value)?;
        let window = (clock(entry.need("from")?)?, clock(entry.need("until")?)?);
        entry.finish()?;
        Ok(window)
    });
    let windows = windows.collect::<Result<Vec<_>, Fault>>()?;
    if windows.is_empty() || PICK_UP_WINDOWS_MAX < windows.len() {
        let reason = format!("has {} entries; 1 to {PICK_UP_WINDOWS_MAX}", windows.len());
        return Err(fault(&place, &reason));
    }
    Ok(windows)
}

/// A local time of the session's day, or an instant.
fn clock(field: Field) -> Result<Moment, Fault> {
    match field.clock() {
        Ok(clock) => Ok(Moment::days_before(&field.place, 0, clock)),
        Err(wrong) if field.time().is_err() => Err(wrong),
        Err(_) => Moment::read(field),
    }
}

/// Milliseconds after the start, or negative ones before it.
fn signed_minutes(field: &Field) -> Result<i32, Fault> {
    let number = field.value.as_i64().filter(|number| number.unsigned_abs() <= DAY_MINUTES);
    let number = number.and_then(|number| i32::try_from(number * MINUTE_MILLIS.cast_signed()).ok());
    number.ok_or_else(|| {
        let reason = format!(
            "is {}; it takes minutes after the start, or negative ones before it, -{DAY_MINUTES} to \
             {DAY_MINUTES}",
            field.value
        );
        fault(&field.place, &reason)
    })
}

fn millis(minutes: u64) -> u32 {
    narrow(minutes * MINUTE_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::document::{DocumentDefaults, DocumentFormat};
    use crate::ops::sessions::parse;

    fn read(table: &str) -> Result<Option<Attendance>, String> {
        let text = format!(
            "[[sessions]]\nid = 1\norganization = 1\nsite = 1\ndepartment = 1\nresource = 1\n\
             start = \"2027-03-01T08:00:00+08:00\"\nslot_minutes = 10\nslots = 6\nplaces = 1\n{table}"
        );
        let read = parse("s.toml", DocumentFormat::Toml, &text, &DocumentDefaults::default());
        read.map(|sessions| sessions[0].terms.attendance).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_table_says_the_usual_and_no_table_nothing() {
        let minutes = |minutes: u32| minutes * 60_000;
        let usual = Attendance {
            check_in_from: minutes(60),
            pick_up_until: None,
            grace: minutes(15),
            late_until: minutes(60),
            late: LateRule::EndOfSegment,
        };
        let table = "[sessions.attendance]\ncheck_in_minutes = 30\npick_up_minutes = -20\n\
                     grace_minutes = 0\nlate_minutes = 1440\nlate_every = 3";
        let all = Attendance {
            check_in_from: minutes(30),
            pick_up_until: Some(-1_200_000),
            grace: 0,
            late_until: minutes(1_440),
            late: LateRule::Every(3),
        };
        let after = Attendance { pick_up_until: Some(300_000), ..usual };
        for (table, expected) in [
            ("", None),
            ("attendance = {}", Some(usual)),
            (table, Some(all)),
            ("attendance = { pick_up_minutes = 5 }", Some(after)),
        ] {
            assert_eq!(read(table).unwrap(), expected, "{table}");
        }
    }

    #[test]
    fn what_is_wrong_with_attendance_is_named() {
        for (table, expected) in [
            ("true", ": needs a table of keys, not true"),
            ("{ late = 3 }", ".late: is no key; the keys are check_in_minutes, "),
            (
                "{ check_in_minutes = 1441 }",
                ".check_in_minutes: is 1441; it takes a number, 0 to 1440",
            ),
            ("{ grace_minutes = -1 }", ".grace_minutes: is -1; it takes a number, 0 to 1440"),
            (
                "{ grace_minutes = 61 }",
                ": is on time for 61 minutes (grace_minutes) and taken for 60",
            ),
            (
                "{ pick_up_minutes = -1441 }",
                ".pick_up_minutes: is -1441; it takes minutes after the",
            ),
            ("{ pick_up_minutes = \"08:00\" }", ".pick_up_minutes: is \"08:00\"; it takes minutes"),
            ("{ pick_up_windows = [] }", ".pick_up_windows: has 0 entries; 1 to 4"),
            (
                "{ pick_up_windows = [{ from = \"7:30\", until = \"10:30\" }] }",
                ".pick_up_windows[0].from: is \"7:30\"; it takes a local time",
            ),
            (
                "{ pick_up_windows = [{ from = \"07:30\", until = \"10:30\" }] }",
                ".pick_up_windows[0].from: is a local time, which needs the session's zone",
            ),
            ("{ late_every = 0 }", ".late_every: is 0; it takes a number, 1 to 255"),
        ] {
            let refused = read(&format!("attendance = {table}")).unwrap_err();
            let expected = format!("s.toml: sessions[0].attendance{expected}");
            assert!(refused.starts_with(&expected), "{refused}");
        }
    }

    /// Sessions of 2027-03-01 from 08:00 on in Shanghai.
    #[test]
    fn windows_are_local_times_of_the_day_or_instants() {
        let zoned = |windows: &str| {
            let text = format!(
                "[[sessions]]\nid = 1\norganization = 1\nsite = 1\ndepartment = 1\nresource = 1\n\
                 start = \"2027-03-01T08:00:00+08:00\"\nslot_minutes = 10\nslots = 6\nplaces = 1\n\
                 zone = \"Asia/Shanghai\"\nattendance = {{ pick_up_windows = {windows} }}"
            );
            let read = parse("s.toml", DocumentFormat::Toml, &text, &DocumentDefaults::default());
            read.map(|sessions| sessions[0].terms.pick_up_windows.clone())
                .map_err(|error| error.to_string())
        };
        let eight = 1_803_859_200_000;
        let at = |minutes: i64| {
            crate::model::Timestamp::from_millis(u64::try_from(eight + minutes * 60_000).unwrap())
        };
        let local =
            "[{ from = \"07:30\", until = \"10:30\" }, { from = \"12:30\", until = \"15:30\" }]";
        let instants =
            "[{ from = \"2027-03-01T07:30:00+08:00\", until = \"2027-03-01T02:30:00Z\" }]";
        let morning = PickUpWindow { from: at(-30), until: at(150) };
        let afternoon = PickUpWindow { from: at(270), until: at(450) };
        assert_eq!(zoned(local), Ok(vec![morning, afternoon]));
        assert_eq!(zoned(instants), Ok(vec![morning]));
        for wrong in [
            "[{ from = \"10:30\", until = \"07:30\" }]",
            "[{ from = \"07:30\", until = \"10:30\" }, { from = \"10:30\", until = \"11:00\" }]",
            "[{ from = \"2027-03-03T07:30:00+08:00\", until = \"2027-03-03T10:30:00+08:00\" }]",
        ] {
            let error = zoned(wrong).unwrap_err();
            assert!(error.contains("numbers are picked up in at most 4 windows"), "{error}");
        }
    }
}
