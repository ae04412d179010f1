//! What people write: the configuration, session documents, the table of appointments.
//!
//! The first byte says what the rest is.

#![no_main]

use haoyuan::fuzzing;
use haoyuan::model::{OpenSession, Session};
use haoyuan::ops::config::Config;
use haoyuan::ops::sessions::{DocumentDefaults, DocumentFormat, parse};
use haoyuan::protocol::{REQUEST_BYTES_MAX, Request, decode_request, write_request};
use haoyuan_fuzz::{Bytes, channel, request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    if kind % 4 == 3 {
        return table(data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match kind % 4 {
        0 => config(text),
        1 => sessions(DocumentFormat::Toml, text),
        _ => sessions(DocumentFormat::Json, text),
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

/// What is taken can be opened: it fits a request, and says the same behind the wire.
fn sessions(format: DocumentFormat, text: &str) {
    let mut defaults = DocumentDefaults::default();
    defaults.channels.insert("counter".to_owned(), channel(&mut Bytes(&[2])));
    let Ok(sessions) = parse("sessions", format, text, &defaults) else { return };
    for session in sessions {
        assert_eq!(session.check(), Ok(()));
        open(session);
    }
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
