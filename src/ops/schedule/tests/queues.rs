//! What a schedule says of draws and waitlists, as tables.

use super::*;
use crate::draw::beacon_name;
use crate::model::{Draw, Ttl, WaitlistRule};

const DRAW: &str = include_str!("../../../../docs/examples/schedule-draw.toml");
const WAITLIST: &str = include_str!("../../../../docs/examples/schedule-waitlist.toml");

/// A clinic every day of a zone at ten, with more keys.
fn daily(zone: &str, keys: &str) -> String {
    let text = in_zone(zone, r#"start = "10:00", slots = 2, slot_minutes = 30"#);
    text.replace("days =", &format!("{keys}\ndays ="))
}

fn waitlist(zone: &str, table: &str, on: Date) -> WaitlistRule {
    let text = daily(zone, &format!("waitlist = {table}"));
    *session(&text, on).terms.waitlist.unwrap()
}

#[test]
fn a_waitlist_closes_at_a_local_time_whatever_the_clocks_do() {
    let usual = "{}";
    let skipped = r#"{ closes = { days_before = 0, at = "02:30" } }"#;
    let repeated = r#"{ closes = { days_before = 0, at = "01:30" } }"#;
    for (zone, on, table, expected) in [
        // The evening before is in the old time on the day of the change, in the new one after it.
        ("Asia/Shanghai", date(1988, 4, 17), usual, "1988-04-16T23:00:00+08:00"),
        ("Asia/Shanghai", date(1988, 4, 18), usual, "1988-04-17T23:00:00+09:00"),
        ("Asia/Shanghai", date(1988, 9, 11), usual, "1988-09-10T23:00:00+09:00"),
        ("Asia/Shanghai", date(1988, 9, 12), usual, "1988-09-11T23:00:00+08:00"),
        ("Asia/Shanghai", date(1992, 7, 1), usual, "1992-06-30T23:00:00+08:00"),
        ("Europe/Berlin", date(2026, 3, 29), usual, "2026-03-28T23:00:00+01:00"),
        ("Europe/Berlin", date(2026, 3, 30), usual, "2026-03-29T23:00:00+02:00"),
        ("Europe/Berlin", date(2026, 10, 26), usual, "2026-10-25T23:00:00+01:00"),
        // As much later as the clocks jump.
        ("Asia/Shanghai", date(1988, 4, 17), skipped, "1988-04-17T03:30:00+09:00"),
        ("Europe/Berlin", date(2026, 3, 29), skipped, "2026-03-29T03:30:00+02:00"),
        ("America/New_York", date(2026, 3, 8), skipped, "2026-03-08T03:30:00-04:00"),
        // The first of the two.
        ("Asia/Shanghai", date(1988, 9, 11), repeated, "1988-09-11T01:30:00+09:00"),
        ("America/New_York", date(2026, 11, 1), repeated, "2026-11-01T01:30:00-04:00"),
        ("Europe/Berlin", date(2026, 10, 25), skipped, "2026-10-25T02:30:00+02:00"),
    ] {
        assert_eq!(waitlist(zone, table, on).closes_at, at(expected), "{zone} {on} {table}");
    }
}

#[test]
fn offers_are_made_by_the_clocks_of_the_zone() {
    for (zone, on, expected) in [
        ("Asia/Shanghai", date(2026, 9, 1), &[480][..]),
        ("Asia/Shanghai", date(1991, 9, 20), &[480, 540, 480]),
        ("America/New_York", date(2026, 3, 10), &[-300, -240, -300, -240]),
    ] {
        let hours = waitlist(zone, "{}", on).hours.unwrap();
        assert_eq!((hours.from, hours.to, hours.channels), (360, 1_380, ChannelSet::ALL));
        let minutes: Vec<i16> = hours.offsets.iter().map(|(_, minutes)| *minutes).collect();
        let tail = &minutes[minutes.len().saturating_sub(expected.len())..];
        assert_eq!(tail, expected, "{zone} {on}: {minutes:?}");
    }
}

#[test]
fn a_waitlist_counts_workdays_back_too() {
    let text = PLAIN.replace(
        "days =",
        "waitlist = { closes = { workdays_before = 1, at = \"20:00\" } }\ndays =",
    );
    // National Day is 1 to 7 October.
    let planned = plan(&text, date(2026, 10, 8), 1);
    let rule = planned[0].session.terms.waitlist.as_deref().unwrap();
    assert_eq!(rule.closes_at, at("2026-09-30T20:00:00+08:00"));
}

/// The pools of a daily clinic, the first of which is drawn.
fn drawn(zone: &str, draw: &str) -> String {
    let text = daily(zone, "");
    format!("{text}\n[[schedules.pools]]\nshare = 1\n[schedules.pools.draw]\n{draw}")
}

fn draw_of(text: &str, on: Date) -> (Timestamp, Draw) {
    let terms = session(text, on).pools[0].terms;
    (terms.opens, terms.draw.unwrap())
}

#[test]
fn a_draw_opens_at_a_local_time_and_stays_open_for_as_long_as_it_says() {
    let opens = "opens = { days_before = 1, at = \"08:00\" }";
    let window = format!("{opens}\nwindow_minutes = 1080");
    let until = format!("{opens}\ncloses = {{ days_before = 0, at = \"02:30\" }}");
    for (zone, on, draw, first, last) in [
        (
            "Asia/Shanghai",
            date(2026, 9, 2),
            &window,
            "2026-09-01T08:00+08:00",
            "2026-09-02T02:00+08:00",
        ),
        // Eighteen hours that pass, an hour later by the clock.
        (
            "Europe/Berlin",
            date(2026, 3, 29),
            &window,
            "2026-03-28T08:00+01:00",
            "2026-03-29T03:00+02:00",
        ),
        (
            "Asia/Shanghai",
            date(1988, 4, 17),
            &window,
            "1988-04-16T08:00+08:00",
            "1988-04-17T03:00+09:00",
        ),
        (
            "Asia/Shanghai",
            date(1988, 9, 11),
            &window,
            "1988-09-10T08:00+09:00",
            "1988-09-11T01:00+08:00",
        ),
        // A close that is skipped is later, one that is repeated the first.
        (
            "Europe/Berlin",
            date(2026, 3, 29),
            &until,
            "2026-03-28T08:00+01:00",
            "2026-03-29T03:30+02:00",
        ),
        (
            "Europe/Berlin",
            date(2026, 10, 25),
            &until,
            "2026-10-24T08:00+02:00",
            "2026-10-25T02:30+02:00",
        ),
    ] {
        let (opens, draw) = draw_of(&drawn(zone, draw), on);
        assert_eq!((opens, draw.closes), (at(first), at(last)), "{zone} {on}");
    }
}

#[test]
fn a_draw_may_open_workdays_before_a_session() {
    let text = format!(
        "{PLAIN}[[schedules.pools]]\nshare = 1\n[schedules.pools.draw]\n\
         opens = {{ workdays_before = 2, at = \"08:00\" }}\nwindow_minutes = 60"
    );
    let planned = plan(&text, date(2026, 10, 8), 1);
    assert_eq!(planned[0].session.pools[0].terms.opens, at("2026-09-29T08:00:00+08:00"));
}

#[test]
fn each_session_has_a_beacon_of_its_own() {
    let planned = plan(DRAW, date(2026, 10, 12), 14);
    assert_eq!(dates(&planned).join(" "), "10-14 10-21");
    for (planned, day) in planned.iter().zip(["2026-10-06", "2026-10-13"]) {
        let [app, counter] = &planned.session.pools[..] else { panic!("{planned:?}") };
        let draw = app.terms.draw.unwrap();
        assert_eq!(draw.closes, at(&format!("{day}T08:00:00+08:00")));
        let beacon = draw.beacon.unwrap();
        assert_eq!(beacon.until, draw.closes.plus_millis(3_600_000));
        let name = format!("drand quicknet, first round at or after {day}T00:00:00Z");
        assert_eq!(beacon.name, beacon_name(&name));
        assert_eq!(planned.beacons, [(PoolIndex(0), name)]);
        assert_eq!((draw.preferences_max, draw.ttl), (3, Ttl::from_millis(43_200_000).unwrap()));
        assert_eq!((draw.commitment, counter.terms.draw), (None, None), "the node binds itself");
        assert_eq!(app.terms.reclaim.map(|reclaim| reclaim.to), Some(PoolIndex(1)));
        // 24 places, of which four fifths are drawn.
        assert_eq!((app.quotas.iter().sum::<u16>(), counter.quotas.iter().sum::<u16>()), (19, 5));
    }
    let dated = DRAW.replace("{closes}", "on {date}");
    let planned = plan(&dated, date(2026, 10, 14), 1);
    assert_eq!(planned[0].beacons[0].1, "drand quicknet, first round at or after on 2026-10-14");
}

#[test]
fn the_example_of_waitlists_says_everything_or_nothing() {
    let planned = plan(WAITLIST, date(2026, 10, 13), 2);
    let [all, usual] = &planned[..] else { panic!("{planned:?}") };
    let delay = Delay { min_millis: 300_000, max_millis: 1_800_000 };
    let rules = [all, usual].map(|planned| {
        assert_eq!(planned.session.terms.returns, ReturnRule::WaitlistFirst(delay));
        planned.session.terms.waitlist.as_deref().unwrap()
    });
    let [all, usual] = rules;
    assert_eq!((all.entries_max, all.priority), (60, [255, 255, 255, 0, 1]));
    assert_eq!((all.offer_millis, all.near_millis), (43_200_000, 172_800_000));
    assert_eq!(all.closes_at, at("2026-10-12T20:00:00+08:00"));
    assert_eq!((usual.entries_max, usual.offer_millis), (100, 86_400_000));
    assert_eq!(usual.closes_at, at("2026-10-13T15:00:00+08:00"), "when booking ends");
}

#[test]
fn what_is_wrong_with_draws_and_waitlists_is_named_with_its_path() {
    let (places, draw) = ("schedules[0].pools[0]", "schedules[0].pools[0].draw");
    let moment = "{ days_before = 7, at = \"08:00\" }";
    for (from, to, expected) in [
        ("window_minutes", "window", format!("{draw}: needs closes, or window_minutes")),
        ("window_minutes = 1440", "window_minutes = 0", format!("{draw}.window_minutes: is 0; it")),
        (
            "window_minutes = 1440",
            "closes = { days_before = 9, at = \"08:00\" }",
            format!("{draw}.closes: is not after entries begin, for the session of 2026-10-14"),
        ),
        (
            "window_minutes = 1440",
            "window_minutes = 11220",
            "schedules[0].pools[0].reclaim: is before the pool is drawn, for the session of".into(),
        ),
        (
            "days_before = 2, at = \"12:00\", to",
            "days_before = 0, at = \"08:00\", to",
            String::new(),
        ),
        ("{closes}", "{round}", format!("{draw}.beacon: is \"drand quicknet, first round at or")),
        ("beacon_minutes = 60", "", format!("{draw}: names a beacon, and the draw would wait")),
        (
            "beacon_minutes = 60",
            "beacon_until = { days_before = 8, at = \"08:00\" }",
            format!("{draw}.beacon_until: is not after the close, for the session of 2026-10-14"),
        ),
        ("preferences = 3", "commitment = \"00\"", format!("{draw}.commitment: is no key; the")),
        ("preferences = 3", "beacon_sha256 = \"00\"", format!("{draw}.beacon_sha256: is no key;")),
        (
            "channels = [1, 2, 3]",
            &format!("opens = {moment}"),
            format!("{places}: has opens and a draw, which says when it opens"),
        ),
        (
            "channels = [1, 2, 3]",
            &format!("waves = [{{ share = 1, opens = {moment} }}]"),
            format!("{places}: has waves and a draw, which opens once"),
        ),
        (
            "repeat = \"one-per-patient\"",
            "repeat = \"unlimited\"",
            "schedules[0].periods[0]: has a draw, and a patient has one entry".into(),
        ),
        (
            "booking_ends = { days_before = 1, at = \"15:00\" }",
            "booking_ends = { days_before = 8, at = \"08:30\" }",
            "schedules[0].periods[0]: is drawn when booking has ended".into(),
        ),
        (
            "zone =",
            "returns = \"at-once\"\nwaitlist = {}\nzone =",
            "schedules[0].returns: keeps freed places from the waitlist; use waitlist-first, "
                .into(),
        ),
        (
            "zone =",
            "waitlist = { closes = { days_before = 10, at = \"08:00\" } }\nzone =",
            "schedules[0].waitlist.closes: closes before a pool opens, for the session of".into(),
        ),
        (
            "zone =",
            "waitlist = { closes = { days_before = 0, at = \"08:00\" } }\nzone =",
            "schedules[0].waitlist.closes: closes after booking has ended".into(),
        ),
        (
            "zone =",
            "waitlist = { entries = 0 }\nzone =",
            "schedules[0].waitlist.entries: is 0; it takes a number, 1 to 1000".into(),
        ),
    ] {
        let text = DRAW.replacen(from, to, 1);
        assert_ne!(text, DRAW, "{from}");
        let planned = plan_with(&text, Some(&calendar()), date(2026, 10, 12), 7);
        match planned {
            Ok(_) => assert_eq!(expected, "", "{to:?}"),
            Err(error) => {
                let error = error.to_string();
                let is_named = error.starts_with("s.toml: ") && error.contains(&expected);
                assert!(is_named && !expected.is_empty(), "{to:?}: {error}");
            }
        }
    }
}
