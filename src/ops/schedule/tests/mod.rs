//! What a schedule comes to, as tables.
//!
//! **Architecture invariant:** every date is given, so that no test depends on the day it runs on.

use jiff::civil::date;

mod queues;

use super::*;
use crate::model::{ChannelSet, Delay, Pick, PoolIndex, Reclaim, ReturnRule, ServiceId};

const CHINA: &str = include_str!("../../../../docs/examples/calendar-china-2026.toml");

/// A schedule of one period and one pool in Shanghai.
const PLAIN: &str = r#"
    [[schedules]]
    id = "plain"
    organization = 1
    site = 1
    department = 12
    resource = 4711
    zone = "Asia/Shanghai"
    days = ["monday", "thursday"]
    periods = [{ name = "morning", start = "08:00", end = "12:00", slot_minutes = 30, places = 4 }]
"#;

fn calendar() -> Calendar {
    Calendar::parse("china.toml", DocumentFormat::Toml, CHINA).unwrap()
}

fn read(text: &str) -> Result<Schedules, DocumentError> {
    Schedules::parse("s.toml", DocumentFormat::Toml, text, &DocumentDefaults::default())
}

fn plan_with(
    text: &str,
    calendar: Option<&Calendar>,
    from: Date,
    days: u16,
) -> Result<Vec<Planned>, DocumentError> {
    let span = PlanSpan { from: Some(from), days: Some(days), now: Timestamp::default() };
    read(text)?.plan(calendar, &span)
}

fn plan(text: &str, from: Date, days: u16) -> Vec<Planned> {
    plan_with(text, Some(&calendar()), from, days).unwrap()
}

/// The one session of a date.
fn session(text: &str, on: Date) -> Session {
    let planned = plan_with(text, None, on, 1).unwrap();
    let [planned] = &planned[..] else { panic!("{planned:?}") };
    planned.session.clone()
}

fn at(text: &str) -> Timestamp {
    let millis = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    Timestamp::from_millis(millis.try_into().unwrap())
}

/// Days of a month, for short tables.
fn dates(planned: &[Planned]) -> Vec<String> {
    planned.iter().map(|planned| planned.date.strftime("%m-%d").to_string()).collect()
}

#[test]
fn weekdays_holidays_and_make_up_days_follow_the_calendar() {
    for (days, expected) in [
        // Mid-autumn is 25 to 27 September; Sunday the 20th is worked, National Day is 1 to 7 October.
        (
            r#"["workdays"]"#,
            "09-18 09-20 09-21 09-22 09-23 09-24 09-28 09-29 09-30 10-08 10-09 10-10 10-12",
        ),
        (r#"["thursday", "friday"]"#, "09-18 09-24 10-08 10-09"),
        (r#"["sunday"]"#, "09-20 10-11"),
        (r#"["weekends"]"#, "09-19 10-11"),
        (r#"["holidays"]"#, "09-25 09-26 09-27 10-01 10-02 10-03 10-04 10-05 10-06 10-07"),
    ] {
        let text = PLAIN.replace(r#"["monday", "thursday"]"#, days);
        let planned = plan(&text, date(2026, 9, 18), 25);
        assert_eq!(dates(&planned).join(" "), expected, "{days}");
    }
}

#[test]
fn a_make_up_day_is_held_as_the_weekday_that_it_stands_for() {
    let worked = CHINA.replace("date = \"2026-10-10\"", "date = \"2026-10-10\"\nas = \"thursday\"");
    let calendar = Calendar::parse("c.toml", DocumentFormat::Toml, &worked).unwrap();
    for (days, expected) in [
        (r#"["thursday"]"#, "10-08 10-10"),
        (r#"["saturday"]"#, ""),
        (r#"["workdays"]"#, "10-08 10-09 10-10"),
    ] {
        let text = PLAIN.replace(r#"["monday", "thursday"]"#, days);
        let planned = plan_with(&text, Some(&calendar), date(2026, 10, 8), 4).unwrap();
        assert_eq!(dates(&planned).join(" "), expected, "{days}");
    }
}

#[test]
fn the_example_calendar_is_the_published_one() {
    use crate::ops::calendar::{DayKind, days};
    let calendar = calendar();
    let year = || days(date(2026, 1, 1), date(2026, 12, 31));
    let count = |kind| year().filter(|day| calendar.kind(*day) == Ok(kind)).count();
    // 261 days are Monday to Friday; 19 of them are holidays, and 6 at weekends are worked.
    assert_eq!(count(DayKind::Workday), 261 - 19 + 6);
    assert_eq!(count(DayKind::Holiday), 3 + 9 + 3 + 5 + 3 + 3 + 7);
    for (session, count, expected) in [
        (date(2026, 10, 8), 1, date(2026, 9, 30)),
        (date(2026, 10, 8), 2, date(2026, 9, 29)),
        (date(2026, 10, 12), 1, date(2026, 10, 10)),
        (date(2026, 10, 11), 1, date(2026, 10, 10)),
        (date(2026, 2, 24), 1, date(2026, 2, 14)),
        (date(2026, 2, 24), 2, date(2026, 2, 13)),
        (date(2026, 1, 5), 1, date(2026, 1, 4)),
    ] {
        assert_eq!(calendar.workdays_before(session, count), Ok(expected), "{session} {count}");
    }
    let error = calendar.workdays_before(date(2026, 1, 4), 1).unwrap_err().to_string();
    assert!(error.contains("2025-12-31 is not in the calendar China 2026"), "{error}");
}

#[test]
fn moments_count_days_or_workdays_back_in_local_time() {
    for (moment, expected) in [
        (r#"{ days_before = 7, at = "07:00" }"#, "2026-10-01T07:00:00+08:00"),
        (r#"{ days_before = 0, at = "00:00" }"#, "2026-10-08T00:00:00+08:00"),
        (r#"{ days_before = 1, at = "24:00" }"#, "2026-10-08T00:00:00+08:00"),
        (r#"{ workdays_before = 1, at = "15:00" }"#, "2026-09-30T15:00:00+08:00"),
        (r#"{ workdays_before = 10, at = "15:00" }"#, "2026-09-17T15:00:00+08:00"),
        (r#""2026-09-01T00:00:00Z""#, "2026-09-01T08:00:00+08:00"),
        ("2026-09-01T08:00:00+08:00", "2026-09-01T08:00:00+08:00"),
    ] {
        let text = PLAIN.replace("days =", &format!("opens = {moment}\ndays ="));
        let planned = plan(&text, date(2026, 10, 8), 1);
        assert_eq!(planned[0].session.pools[0].terms.opens, at(expected), "{moment}");
    }
}

#[test]
fn a_day_that_no_calendar_covers_is_refused() {
    let workdays = PLAIN.replace(r#"["monday", "thursday"]"#, r#"["workdays"]"#);
    let opens = PLAIN.replace("days =", "opens = { workdays_before = 2, at = \"07:00\" }\ndays =");
    let china = calendar();
    for (text, calendar, from, expected) in [
        (&workdays, None, date(2026, 9, 1), "need a calendar (--calendar)"),
        (
            &workdays,
            Some(&china),
            date(2026, 12, 30),
            "2027-01-01 is not in the calendar China 2026",
        ),
        (&opens, None, date(2026, 9, 1), "schedules[0].opens: counts workdays"),
        (&opens, Some(&china), date(2026, 1, 1), "2025-12-31 is not in the calendar"),
    ] {
        let refused = plan_with(text, calendar, from, 5).map(|planned| dates(&planned));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    assert_eq!(
        dates(&plan_with(PLAIN, None, date(2027, 1, 1), 7).unwrap()).join(" "),
        "01-04 01-07"
    );
}

/// A clinic every day of a zone.
fn in_zone(zone: &str, period: &str) -> String {
    let text = PLAIN.replace("Asia/Shanghai", zone);
    let days = r#"["monday","tuesday","wednesday","thursday","friday","saturday","sunday"]"#;
    let text = text.replace(r#"["monday", "thursday"]"#, days);
    let (head, _) = text.split_once("periods").unwrap();
    format!("{head}periods = [{{ name = \"p\", places = 1, {period} }}]")
}

#[test]
fn slots_are_equal_time_when_the_clocks_change() {
    let night = r#"start = "00:00", end = "06:00", slot_minutes = 30"#;
    for (zone, on, start, slots) in [
        ("Europe/Berlin", date(2026, 3, 28), "2026-03-27T23:00Z", 12),
        // 02:00 to 03:00 is skipped: an hour less.
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00Z", 10),
        // 02:00 to 03:00 is repeated: an hour more.
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00Z", 14),
        ("America/New_York", date(2026, 3, 8), "2026-03-08T05:00Z", 10),
        ("America/New_York", date(2026, 11, 1), "2026-11-01T04:00Z", 14),
        // Summer time of Shanghai in 1988: from 17 April 02:00 to 11 September 02:00.
        ("Asia/Shanghai", date(1988, 4, 17), "1988-04-16T16:00Z", 10),
        ("Asia/Shanghai", date(1988, 7, 1), "1988-06-30T15:00Z", 12),
        ("Asia/Shanghai", date(1988, 9, 11), "1988-09-10T15:00Z", 14),
        ("Asia/Shanghai", date(1992, 7, 1), "1992-06-30T16:00Z", 12),
    ] {
        let session = session(&in_zone(zone, night), on);
        assert_eq!((session.start, session.slot_count()), (at(start), slots), "{zone} {on}");
    }
}

#[test]
fn a_period_at_a_skipped_hour_is_refused_and_at_a_repeated_one_takes_the_first() {
    let starts = r#"start = "02:30", slots = 2, slot_minutes = 30"#;
    let ends = r#"start = "00:30", end = "02:30", slot_minutes = 30"#;
    for (period, key) in [(starts, "start"), (ends, "end")] {
        for (zone, on) in
            [("Europe/Berlin", date(2026, 3, 29)), ("America/New_York", date(2026, 3, 8))]
        {
            let refused = plan_with(&in_zone(zone, period), None, on, 1).unwrap_err().to_string();
            let expected =
                format!("s.toml: schedules[0].periods[0].{key}: 02:30 is skipped on {on}");
            assert!(refused.starts_with(&expected), "{refused}");
        }
    }
    let first = session(&in_zone("Europe/Berlin", starts), date(2026, 10, 25));
    assert_eq!(first.start, at("2026-10-25T00:30Z"));
    // 90 minutes of clock are 150 of time; half of a slot of 60 is left.
    let odd = in_zone("Europe/Berlin", r#"start = "01:00", end = "03:00", slot_minutes = 120"#);
    let refused = plan_with(&odd, None, date(2026, 10, 25), 1).unwrap_err().to_string();
    assert!(refused.contains("lasts 180 minutes on 2026-10-25"), "{refused}");
}

#[test]
fn an_opening_at_a_skipped_hour_is_later_and_at_a_repeated_one_the_first() {
    let period = r#"start = "10:00", slots = 2, slot_minutes = 30"#;
    for (on, expected) in [
        (date(2026, 3, 29), "2026-03-29T01:30Z"),
        (date(2026, 10, 25), "2026-10-25T00:30Z"),
        (date(2026, 7, 1), "2026-07-01T00:30Z"),
    ] {
        let text = in_zone("Europe/Berlin", period)
            .replace("days =", "opens = { days_before = 0, at = \"02:30\" }\ndays =");
        assert_eq!(session(&text, on).pools[0].terms.opens, at(expected), "{on}");
    }
}

#[test]
fn service_hours_carry_the_offsets_of_the_booking_period() {
    let period = r#"start = "10:00", slots = 2, slot_minutes = 30"#;
    let hours = "hours = { from = \"06:30\", to = \"24:00\", channels = [1, 2] }\ndays =";
    for (zone, on, expected) in [
        ("Asia/Shanghai", date(2026, 9, 1), &[480][..]),
        ("Asia/Shanghai", date(1991, 9, 20), &[480, 540, 480]),
        ("America/New_York", date(2026, 3, 10), &[-300, -240, -300, -240]),
    ] {
        let session = session(&in_zone(zone, period).replace("days =", hours), on);
        let hours = session.terms.hours.unwrap();
        assert_eq!((hours.from, hours.to), (390, 1_440));
        assert_eq!(hours.channels, ChannelSet(0b110));
        let minutes: Vec<i16> = hours.offsets.iter().map(|(_, minutes)| *minutes).collect();
        // A window of 400 days may hold a change more, at its beginning.
        let tail = &minutes[minutes.len().saturating_sub(expected.len())..];
        assert_eq!(tail, expected, "{zone} {on}: {minutes:?}");
    }
}

/// The pools of `PLAIN` on a Monday: eight slots of four.
fn with_pools(pools: &str) -> Result<Session, String> {
    let planned = plan_with(&format!("{PLAIN}{pools}"), Some(&calendar()), date(2026, 9, 14), 1);
    planned.map(|planned| planned[0].session.clone()).map_err(|error| error.to_string())
}

#[test]
fn waves_are_pools_and_the_places_of_every_slot_are_given_out() {
    let session = with_pools(
        r#"
        [[schedules.pools]]
        name = "app"
        channels = [1]
        share = 70
        floor = 5
        waves = [
          { share = 2, opens = { days_before = 7, at = "07:00" } },
          { share = 1, opens = { days_before = 1, at = "12:00" } },
        ]
        [[schedules.pools]]
        name = "counter"
        channels = [0]
        share = 30
        reclaim = { days_before = 0, at = "07:30", to = "app" }
        "#,
    )
    .unwrap();
    for slot in 0..8 {
        assert_eq!(session.pools.iter().map(|pool| pool.quotas[slot]).sum::<u16>(), 4, "{slot}");
    }
    let sum = |pool: usize| session.pools[pool].quotas.iter().sum::<u16>();
    // 32 places: 70 % is 22.4, of which two thirds are 14.67.
    assert_eq!((sum(0), sum(1), sum(2)), (15, 7, 10));
    let opens: Vec<Timestamp> = session.pools.iter().map(|pool| pool.terms.opens).collect();
    let (first, second) = (at("2026-09-07T07:00:00+08:00"), at("2026-09-13T12:00:00+08:00"));
    assert_eq!(opens, [first, second, Timestamp::default()]);
    let floors: Vec<u32> = session.pools.iter().map(|pool| pool.terms.floor).collect();
    assert_eq!(floors, [3, 2, 0], "a floor is shared out as the places are");
    let reclaim = Reclaim { at: at("2026-09-14T07:30:00+08:00"), to: PoolIndex(0) };
    assert_eq!(session.pools[2].terms.reclaim, Some(reclaim));
}

#[test]
fn a_schedule_says_everything_about_its_sessions() {
    let text = include_str!("../../../../docs/examples/schedule.toml");
    let planned = plan(text, date(2026, 9, 17), 1);
    let names: Vec<_> = planned.iter().map(|planned| planned.period.as_str()).collect();
    assert_eq!(names, ["morning", "thursday-afternoon"]);
    let session = &planned[1].session;
    assert_eq!(session.terms.service, ServiceId(301));
    assert_eq!((session.terms.fee, session.appointment_type, session.pick), (5_000, 2, Pick::Even));
    assert_eq!(session.terms.lead_millis, Some(1_800_000));
    assert_eq!(session.terms.booking_ends, Some(at("2026-09-16T15:00:00+08:00")));
    let delay = Delay { min_millis: 300_000, max_millis: 1_800_000 };
    assert_eq!(session.terms.returns, ReturnRule::WaitlistFirst(delay));
    assert_eq!(session.slot_count(), 6);
    let sums: u16 = session.pools.iter().flat_map(|pool| &pool.quotas).sum();
    assert_eq!(sums, 22);
    // The pool for referrals is the third: the app has two waves.
    assert_eq!(session.pools[2].terms.floor, 4);
    assert_eq!(plan(text, date(2026, 11, 16), 1).len(), 1, "an exception of one schedule");
}

#[test]
fn a_session_is_the_same_whenever_it_is_planned() {
    let text = include_str!("../../../../docs/examples/schedule.toml");
    let whole = plan(text, date(2026, 9, 1), 90);
    let ids: BTreeSet<SessionId> = whole.iter().map(|planned| planned.session.id).collect();
    assert_eq!(ids.len(), whole.len());
    assert!(whole.iter().all(|planned| i64::try_from(planned.session.id.0).is_ok()));
    for (offset, days) in [(0, 14), (1, 14), (13, 1), (40, 30)] {
        let from = date(2026, 9, 1).checked_add(jiff::Span::new().days(offset)).unwrap();
        for planned in plan(text, from, days) {
            assert!(whole.contains(&planned), "{} {}", planned.schedule, planned.date);
        }
    }
    // Frozen: another number would open every session a second time.
    let id = session_id(OrganizationId(1), "cardiology-4711", date(2026, 9, 17), "morning");
    assert_eq!(id, SessionId(6_087_650_604_567_213_747));
}

#[test]
fn only_the_dates_of_the_schedule_and_of_the_span_are_planned() {
    let bounded = PLAIN.replace("days =", "from = 2026-09-07\nuntil = \"2026-09-10\"\ndays =");
    for (text, from, days, expected) in [
        (PLAIN, date(2026, 9, 7), 1, "09-07"),
        (PLAIN, date(2026, 9, 8), 2, ""),
        (&bounded, date(2026, 8, 1), 60, "09-07 09-10"),
        (&bounded, date(2026, 9, 8), 60, "09-10"),
        (&bounded, date(2026, 9, 11), 60, ""),
    ] {
        assert_eq!(dates(&plan(text, from, days)).join(" "), expected, "{from} {days}");
    }
    // 16:30 UTC is the next day in Shanghai.
    let now = at("2026-09-06T16:30Z");
    let span = PlanSpan { from: None, days: None, now };
    let schedules = read(PLAIN).unwrap();
    let planned = schedules.plan(None, &span).unwrap();
    assert_eq!(
        dates(&planned).join(" "),
        "09-07 09-10 09-14 09-17",
        "14 days from the local today"
    );
    let unplanned = schedules.unplanned(&planned, &span);
    assert_eq!(unplanned.len(), 10, "what could be there from an earlier document");
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    for (from, to, expected) in [
        ("site = 1", "sight = 1", "schedules[0].site: is missing"),
        ("site = 1", "site = 1\nroom = 3", "schedules[0].room: is no key; the keys are id, "),
        ("\"plain\"", "\"\"", "schedules[0].id: is \"\"; it takes a text of 1 to 64"),
        ("Asia/Shanghai", "Asia/Beijing", "schedules[0].zone: \"Asia/Beijing\" is no time zone"),
        ("\"thursday\"", "\"thirsty\"", "schedules[0].days[1]: \"thirsty\" is no day; use monday"),
        (r#"["monday", "thursday"]"#, "[]", "schedules[0].days: is empty"),
        (
            "\"08:00\"",
            "\"8:00\"",
            "schedules[0].periods[0].start: is \"8:00\"; it takes a local time",
        ),
        ("\"12:00\"", "\"08:00\"", "schedules[0].periods[0].end: is not after start"),
        ("\"12:00\"", "\"12:10\"", "schedules[0].periods[0]: lasts 250 minutes on 2026-09-14"),
        ("end =", "slots = 3, end =", "schedules[0].periods[0]: has end and slots"),
        ("places = 4", "places = [4, 4]", "periods[0].places: has 2 numbers for 8 slots"),
        ("slot_minutes = 30", "slot_minutes = 0", "periods[0].slot_minutes: is 0"),
        (
            "days =",
            "until = 2026-01-01\nfrom = 2026-02-01\ndays =",
            "schedules[0].until: is before",
        ),
        (
            "days =",
            "opens = \"07:00\"\ndays =",
            "schedules[0].opens: is \"07:00\"; it takes a time",
        ),
        (
            "days =",
            "opens = { at = \"07:00\" }\ndays =",
            "schedules[0].opens: needs days_before or workdays_before",
        ),
        (
            "days =",
            "opens = { workdays_before = 0, at = \"07:00\" }\ndays =",
            "schedules[0].opens.workdays_before: is 0; it takes a number, 1 to 366",
        ),
        (
            "days =",
            "opens = \"2026-09-14T12:00:00+08:00\"\ndays =",
            "schedules[0].periods[0]: a pool opens after the last slot has ended, for the session",
        ),
        (
            "days =",
            "opens = { days_before = 1, at = \"15:00\" }\n\
             booking_ends = { days_before = 1, at = \"15:00\" }\ndays =",
            "schedules[0].periods[0]: a pool opens when booking has ended, for the session of 2026-09-14",
        ),
        (
            "days =",
            "hours = { from = \"24:00\", to = \"06:30\" }\ndays =",
            "schedules[0].hours: closes before it opens",
        ),
        ("days =", "returns = \"delayed\"\ndays =", "schedules[0].returns: needs bounds, as"),
        ("days =", "returns = \"lost\"\ndays =", "schedules[0].returns: is \"lost\"; use at-once"),
        (
            "places = 4 }]",
            "places = 4 }, { name = \"late\", start = \"11:30\", slots = 1, slot_minutes = 30, \
             places = 1 }]",
            "schedules[0].periods: \"late\" on 2026-09-14 begins before \"morning\"",
        ),
        ("[[schedules]]", "[[schedule]]", "schedules: is missing"),
        ("id =", "id", "document: TOML parse error"),
    ] {
        let text = PLAIN.replacen(from, to, 1);
        let error = plan_with(&text, Some(&calendar()), date(2026, 9, 14), 1);
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("s.toml: ") && error.contains(expected), "{to:?}: {error}");
    }
    let twice = read(&format!("{PLAIN}{PLAIN}")).unwrap_err().to_string();
    assert!(twice.contains("schedules[1].id: \"plain\" is the id of a schedule before"), "{twice}");
}

#[test]
fn what_is_wrong_with_pools_is_named_with_its_path() {
    let pool = |rest: &str| format!("[[schedules.pools]]\nname = \"a\"\n{rest}\n");
    let two = |one: &str, other: &str| {
        format!("{}[[schedules.pools]]\nname = \"b\"\n{other}\n", pool(one))
    };
    let wave = "{ share = 1, opens = { days_before = 1, at = \"07:00\" } }";
    for (pools, expected) in [
        (pool(""), "schedules[0].pools[0]: needs a share, or places"),
        (pool("share = 1\nplaces = 4"), "schedules[0].pools[0]: has share and places"),
        (
            pool("places = 3"),
            "schedules[0].pools: the pools have 3 places of the 4 in slot 0 on 2026-09-14; give",
        ),
        (
            two("places = 3", "places = 2"),
            "schedules[0].pools: the pools have 5 places of the 4 in slot 0 on 2026-09-14; take",
        ),
        (
            pool("share = 1\nfloor = 33"),
            "schedules[0].pools[0].floor: is 33, and the pool has 32 places on 2026-09-14",
        ),
        (
            two(
                "share = 1\nreclaim = { days_before = 0, at = \"07:00\", to = \"c\" }",
                "share = 1",
            ),
            "schedules[0].pools[0].reclaim.to: is \"c\"; it takes the name of another pool",
        ),
        (
            two("share = 1\nreclaim = { days_before = 0, at = \"07:00\", to = 0 }", "share = 1"),
            "schedules[0].pools[0].reclaim.to: is 0; it takes the name of another pool",
        ),
        (
            two(
                "share = 1\nopens = { days_before = 1, at = \"07:00\" }\n\
                 reclaim = { days_before = 1, at = \"07:00\", to = \"b\" }",
                "share = 1",
            ),
            "schedules[0].pools[0].reclaim: is before the pool opens",
        ),
        (
            pool(&format!("share = 1\nwaves = [{wave}, {}]", wave.replace("= 1, at", "= 2, at"))),
            "schedules[0].pools[0].waves[1]: opens before the wave above it",
        ),
        (
            pool(&format!(
                "share = 1\nopens = {{ days_before = 1, at = \"07:00\" }}\nwaves = [{wave}]"
            )),
            "schedules[0].pools[0]: has opens and waves",
        ),
        (
            pool(&format!("share = 1\nwaves = [{}]", [wave; 9].join(", "))),
            "schedules[0].pools: has 9 pools and waves; a session takes 1 to 8",
        ),
        (two("share = 1", "share = 1").replace("\"b\"", "\"a\""), "pools[1].name: is the name of"),
    ] {
        let error = with_pools(&pools).unwrap_err();
        assert!(error.contains(expected), "{pools}: {error}");
    }
}
