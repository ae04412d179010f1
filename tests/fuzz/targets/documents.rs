//! What people write: the configuration, sessions, schedules, calendars, the table of appointments.
//!
//! The first byte says what the rest is.

#![no_main]

use haoyuan::fuzzing;
use haoyuan::model::{OpenSession, Session, Timestamp};
use haoyuan::ops::calendar::Calendar;
use haoyuan::ops::civil::Zone;
use haoyuan::ops::config::Config;
use haoyuan::ops::schedule::{PlanSpan, Schedules};
use haoyuan::ops::sessions::{DocumentDefaults, DocumentFormat, differences, parse, render};
use haoyuan::protocol::{REQUEST_BYTES_MAX, Request, decode_request, write_request};
use haoyuan_fuzz::{Bytes, channel, request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    // Seeds of the first four kinds are older than the others, and stay what they were.
    let kind = if *kind < 128 { kind % 4 } else { 4 + kind % 3 };
    if kind == 3 {
        return table(data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match kind {
        0 => config(text),
        1 => sessions(DocumentFormat::Toml, text),
        2 => sessions(DocumentFormat::Json, text),
        4 => schedules(DocumentFormat::Toml, text),
        5 => schedules(DocumentFormat::Json, text),
        _ => drop(Calendar::parse("calendar", DocumentFormat::Toml, text)),
    }
});

/// What is printed is read back as it was.
fn config(text: &str) {
    let Ok(config) = Config::parse("node.toml", text) else { return };
    if config.check().is_err() {
        return;
    }
    let printed = config.render();
    let again = Config::parse("printed", &printed);
    assert_eq!(again.expect("what is printed is a configuration"), config, "{printed}");
    assert!(config.channel_names().is_ok_and(|names| names.len() == config.channels.len()));
}

fn defaults() -> DocumentDefaults {
    let mut defaults = DocumentDefaults::default();
    defaults.channels.insert("counter".to_owned(), channel(&mut Bytes(&[2])));
    defaults
}

/// What is planned can be opened, and planning it again changes nothing.
fn schedules(format: DocumentFormat, text: &str) {
    let Ok(schedules) = Schedules::parse("schedules", format, text, &defaults()) else { return };
    let calendar =
        Calendar::parse("calendar", DocumentFormat::Toml, CALENDAR).expect("it is sound");
    for calendar in [None, Some(&calendar)] {
        let now = Timestamp::from_millis(1_772_000_000_000);
        let plan = |days| schedules.plan(calendar, &PlanSpan { from: None, days: Some(days), now });
        let Ok(planned) = plan(8) else { continue };
        if let Ok(fewer) = plan(3) {
            assert!(fewer.iter().all(|one| planned.contains(one)), "the same, whenever planned");
        }
        for one in planned {
            assert_eq!(one.session.check(), Ok(()));
            assert_eq!(differences(&one.session, &one.session.clone(), &one.zone, now), []);
            read_back(&one.session, &one.zone);
            open(one.session);
        }
    }
}

/// Covers the dates that are planned, with a holiday and a day that is worked instead.
const CALENDAR: &str = r#"
name = "some"
from = "2026-01-01"
until = "2026-12-31"
holidays = [{ from = "2026-02-26", until = "2026-02-27" }]
workdays = [{ date = "2026-02-28", as = "friday" }]
"#;

/// What is taken can be opened: it fits a request, and says the same behind the wire.
fn sessions(format: DocumentFormat, text: &str) {
    let Ok(sessions) = parse("sessions", format, text, &defaults()) else { return };
    for session in sessions {
        assert_eq!(session.check(), Ok(()));
        read_back(&session, &Zone::utc());
        open(session);
    }
}

/// What is printed of a session is a document of it.
fn read_back(session: &Session, zone: &Zone) {
    let printed = format!("{{\"sessions\":[{}]}}", render(session, zone));
    let again = parse("printed", DocumentFormat::Json, &printed, &defaults());
    assert_eq!(again.as_deref(), Ok(std::slice::from_ref(session)), "{printed}");
}

fn open(session: Session) {
    let open = Request::from(OpenSession { request: request(1), session });
    let mut item = Vec::new();
    write_request(1, &open, &mut item);
    assert!(item.len() <= REQUEST_BYTES_MAX, "a session of {} bytes", item.len());
    assert_eq!(decode_request(&item), Ok((1, open)));
}

/// Every line is a row or a rejection, and the plan of rows goes forward in time.
fn table(bytes: &[u8]) {
    let Some(table) = fuzzing::table(bytes) else { return };
    assert!(table.steps.is_sorted(), "the clock of a replay never goes back");
    if !table.steps.is_empty() {
        let bookings = table.rows + table.sessions;
        // A row that was booked after its day is refused, and has no end.
        assert!((bookings..=bookings + table.rows).contains(&table.steps.len()));
    }
    assert_eq!(fuzzing::table(bytes), Some(table), "the same table, the same plan");
}
