//! The session document: what an administrator writes to open sessions, in TOML or JSON.
//!
//! ```toml
//! [[sessions]]
//! id = 1001
//! organization = 1            # site, department, resource, type: numbers too; type may be left out
//! site = 1
//! department = 12
//! resource = 4711
//! start = "2027-03-01T08:00:00+08:00"
//! slot_minutes = 10
//! slots = 24
//! pick = "even"               # or "earliest"
//! zone = "Asia/Shanghai"      # for local times: opens, reclaim, booking_ends, hours, waitlist
//! booking_ends = { days_before = 1, at = "15:00" }
//! pools = [
//!   { places = 2, opens = { days_before = 7, at = "07:00" } },  # for every channel and class
//!   { channels = ["counter", 7], classes = ["referral"], places = 1 },
//!   { places = 5, draw = { opens = "2027-02-20T08:00:00+08:00",     # entries, drawn at the close
//!       closes = "2027-02-20T09:00:00+08:00", preferences = 3, hold_minutes = 120 } },
//! ]
//! [sessions.waitlist]         # empty: as usual; freed places go to who waits first
//! ```
//!
//! The words of terms are those of a [schedule](super::schedule), which makes many sessions.
//!
//! **Architecture invariant:** nothing in a document is ignored. A key that is not known, a value
//! of another type and a number out of range are refused with file, entry and key.

mod difference;
mod render;

use serde_json::Value;

pub use self::difference::{Difference, differences};
pub use self::render::render;
use super::civil::Zone;
use super::document::draw::Kind;
use super::document::entry::{Entry, Fault, Field, fault};
use super::document::moment::{Locale, Moment};
use super::document::narrow;
use super::document::pools::{Places, PoolHead, targets};
use super::document::subject::Subject;
use super::document::words::read_zone;
pub use super::document::words::{CLASSES, class_named};
pub use super::document::{DocumentDefaults, DocumentError, DocumentFormat};
use crate::model::{Pool, Session, SessionId, Timestamp};

/// Reads the sessions of a document.
///
/// # Errors
///
/// The first thing in it that is wrong.
pub fn parse(
    file: &str,
    format: DocumentFormat,
    text: &str,
    defaults: &DocumentDefaults,
) -> Result<Vec<Session>, DocumentError> {
    let read = format.read(text).and_then(|value| read_document(value, defaults));
    read.map_err(|fault| DocumentError::of(file, fault))
}

fn read_document(value: Value, defaults: &DocumentDefaults) -> Result<Vec<Session>, Fault> {
    let mut document = Entry::new(String::new(), value)?;
    let sessions = document.need("sessions")?.list()?;
    document.finish()?;
    let sessions: Result<Vec<Session>, Fault> =
        sessions.into_iter().map(|field| read_session(field, defaults)).collect();
    let sessions = sessions?;
    for (index, session) in sessions.iter().enumerate() {
        let earlier = sessions.iter().take(index).position(|other| other.id == session.id);
        if let Some(earlier) = earlier {
            let reason = format!("{} is the id of sessions[{earlier}] too", session.id.0);
            return Err(fault(&format!("sessions[{index}].id"), &reason));
        }
    }
    Ok(sessions)
}

/// What a session says in local time.
struct LocalTerms {
    zone: Option<Zone>,
    opens: Option<Moment>,
}

fn read_session(field: Field, defaults: &DocumentDefaults) -> Result<Session, Fault> {
    let place = field.place.clone();
    let mut entry = Entry::new(field.place, field.value)?;
    let id = SessionId(entry.need("id")?.number(0, u64::MAX)?);
    let subject = Subject::read(&mut entry, defaults)?;
    let start = entry.need("start")?.time()?;
    let slot_minutes = entry.need("slot_minutes")?.number(1, 10_080)?;
    let slots = usize::from(narrow::<u16>(entry.need("slots")?.number(1, 288)?));
    let local = LocalTerms {
        zone: entry.may("zone").map(|field| read_zone(&field)).transpose()?,
        opens: entry.may("opens").map(Moment::read).transpose()?,
    };
    let pools = read_pools(&mut entry, slots, start, &local, defaults)?;
    entry.finish()?;
    let (date, locale) = local.locale(start);
    subject.session((id, start, narrow(slot_minutes * 60_000)), pools, &place, date, locale)
}

impl LocalTerms {
    /// The local day of a session that starts then.
    fn locale(&self, start: Timestamp) -> (jiff::civil::Date, Locale<'_>) {
        let utc = Zone::utc();
        // Without a zone nothing counts days; faults name the date.
        let date = self.zone.as_ref().unwrap_or(&utc).date_of(start);
        let locale = Locale { zone: self.zone.as_ref(), calendar: None };
        (date.unwrap_or_default(), locale)
    }
}

fn read_pools(
    entry: &mut Entry,
    slots: usize,
    start: Timestamp,
    local: &LocalTerms,
    defaults: &DocumentDefaults,
) -> Result<Vec<Pool>, Fault> {
    let (heads, quotas) = match (entry.may("places"), entry.may("pools")) {
        (Some(places), None) => {
            (vec![PoolHead::for_all(entry.place())], vec![Places::read(places)?.of(slots)?])
        }
        (None, Some(pools)) => {
            let read = |pool: Field| read_pool(pool, slots, defaults);
            let pools: Result<Vec<_>, Fault> = pools.list()?.into_iter().map(read).collect();
            pools?.into_iter().unzip()
        }
        (None, None) => return Err(entry.fault("needs places, or pools with places each")),
        (Some(_), Some(_)) => return Err(entry.fault("has places and pools; give one of the two")),
    };
    let (date, locale) = local.locale(start);
    let pool = |((head, quotas), to): ((PoolHead, Vec<u16>), Option<usize>)| {
        let opens = head.opens.as_ref().or(local.opens.as_ref());
        let opens = opens.map(|opens| opens.of(date, locale)).transpose()?;
        let terms = head.terms(opens, to, date, locale)?;
        Ok(Pool { channels: head.channels, classes: head.classes, quotas, terms })
    };
    let targets = targets(&heads)?;
    heads.into_iter().zip(quotas).zip(targets).map(pool).collect()
}

fn read_pool(
    field: Field,
    slots: usize,
    defaults: &DocumentDefaults,
) -> Result<(PoolHead, Vec<u16>), Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let head = PoolHead::read(&mut entry, Kind::Sessions, defaults)?;
    let quotas = Places::read(entry.need("places")?)?.of(slots)?;
    entry.finish()?;
    Ok((head, quotas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BookingChannel, ChannelSet, ClassSet, Delay, Pick, PoolIndex, Reclaim, ReturnRule, Sharing,
        Ttl,
    };

    const GOOD: &str = r#"
        [[sessions]]
        id = 1001
        organization = 1
        site = 2
        department = 12
        resource = 4711
        start = 2027-03-01T08:00:00+08:00
        slot_minutes = 10
        slots = 3
        pick = "even"
        sharing = "read"
        hold_minutes = 5
        pools = [
          { places = [4, 4, 2] },
          { channels = ["counter", 7], classes = ["referral", "emergency"], places = 1 },
        ]
    "#;

    fn read(text: &str) -> Result<Vec<Session>, DocumentError> {
        let mut defaults = DocumentDefaults::default();
        defaults.channels.insert("counter".to_owned(), BookingChannel::new(3).unwrap());
        parse("mondays.toml", DocumentFormat::Toml, text, &defaults)
    }

    #[test]
    fn a_document_says_everything_about_a_session() {
        let sessions = read(GOOD).unwrap();
        let [session] = &sessions[..] else { panic!("{sessions:?}") };
        assert_eq!(session.id, SessionId(1001));
        assert_eq!(session.start, Timestamp::from_millis(1_803_859_200_000));
        assert_eq!(session.slot_millis, 600_000);
        assert_eq!(session.ttl_max.as_millis(), 300_000);
        assert_eq!((session.pick, session.sharing), (Pick::Even, Sharing::Read));
        assert_eq!(session.pools[0].quotas, [4, 4, 2]);
        assert_eq!(session.pools[1].quotas, [1, 1, 1]);
        assert_eq!(session.pools[1].channels, ChannelSet(1 << 3 | 1 << 7));
        assert_eq!(session.pools[1].classes, ClassSet(0b11000));
    }

    #[test]
    fn the_same_document_may_be_json() {
        let json = serde_json::to_string(&DocumentFormat::Toml.read(GOOD).unwrap());
        let mut defaults = DocumentDefaults::default();
        defaults.channels.insert("counter".to_owned(), BookingChannel::new(3).unwrap());
        let sessions = parse("-", DocumentFormat::Json, &json.unwrap(), &defaults).unwrap();
        assert_eq!(sessions, read(GOOD).unwrap());
        assert_eq!(DocumentFormat::of("a.b.JSON"), Some(DocumentFormat::Json));
        assert_eq!(DocumentFormat::of("-"), Some(DocumentFormat::Json));
        assert_eq!(DocumentFormat::of("sessions.yaml"), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_file_entry_and_key() {
        for (from, to, expected) in [
            ("site = 2", "sight = 2", "mondays.toml: sessions[0].site: is missing"),
            ("site = 2", "site = 2\nroom = 3", "sessions[0].room: is no key; the keys are"),
            (
                "site = 2",
                "site = 70000",
                "sessions[0].site: is 70000; it takes a number, 0 to 65535",
            ),
            ("places = 1", "places = -1", "sessions[0].pools[1].places: is -1"),
            ("[4, 4, 2]", "[4, 4]", "sessions[0].pools[0].places: has 2 numbers for 3 slots"),
            (
                "\"counter\", 7",
                "\"fax\"",
                "sessions[0].pools[1].channels[0]: \"fax\" is no channel",
            ),
            ("\"counter\", 7", "64", "sessions[0].pools[1].channels[0]: 64 is no channel"),
            ("\"referral\"", "\"vip\"", "sessions[0].pools[1].classes[0]: \"vip\" is no class"),
            ("\"even\"", "\"odd\"", "sessions[0].pick: is \"odd\"; use earliest or even"),
            (
                "+08:00",
                "",
                "sessions[0].start: is \"2027-03-01T08:00:00\"; it takes a time with its offset",
            ),
            ("pools = [", "places = 1\npools = [", "sessions[0]: has places and pools"),
            ("slots = 3", "slots = 289", "sessions[0].slots: is 289"),
            ("[[sessions]]", "[[session]]", "sessions: is missing"),
            ("id = 1001", "id =", "document: TOML parse error"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{to:?}: {error}");
        }
        let twice = read(&format!("{GOOD}{GOOD}")).unwrap_err().to_string();
        assert!(twice.contains("sessions[1].id: 1001 is the id of sessions[0] too"), "{twice}");
    }

    #[test]
    fn a_document_says_when_and_how_a_session_may_be_booked() {
        let at = |text: &str| {
            let millis = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            Timestamp::from_millis(millis.try_into().unwrap())
        };
        let text = include_str!("../../../docs/examples/sessions.toml");
        let sessions = read(text).unwrap();
        let (terms, pools) = (&sessions[0].terms, &sessions[0].pools);
        assert_eq!((terms.service.0, terms.fee, terms.lead_millis), (301, 5_000, Some(1_800_000)));
        assert_eq!(terms.booking_ends, Some(at("2027-02-28T15:00:00+08:00")));
        let delay = Delay { min_millis: 300_000, max_millis: 1_800_000 };
        assert_eq!(terms.returns, ReturnRule::Delayed(delay));
        let offer = terms.displaced_offer.map(Ttl::as_millis);
        assert_eq!((terms.changes_max, offer), (Some(2), Some(7_200_000)));
        let hours = terms.hours.as_ref().unwrap();
        assert_eq!((hours.from, hours.to, hours.channels), (390, 1_440, ChannelSet(0b1000)));
        assert_eq!(hours.offsets, [(Timestamp::default(), 480)]);
        assert_eq!((pools[0].terms.opens, pools[0].terms.floor), (at("2027-02-21T23:00Z"), 10));
        assert_eq!(pools[1].terms.opens, at("2027-02-14T23:00Z"));
        let reclaim = Reclaim { at: at("2027-02-28T04:00Z"), to: PoolIndex(0) };
        assert_eq!(pools[1].terms.reclaim, Some(reclaim));
        assert_eq!(sessions[1].pools[0].terms, crate::model::PoolTerms::default());
    }

    #[test]
    fn what_is_wrong_with_terms_is_named_too() {
        for (from, to, expected) in [
            ("zone = \"Asia/Shanghai\"", "", "sessions[0].opens: is a local time, which needs the"),
            (
                "days_before = 1, at = \"15:00\"",
                "workdays_before = 1, at = \"15:00\"",
                "sessions[0].booking_ends: counts workdays, which needs a calendar",
            ),
            ("to = \"everybody\"", "to = 3", "sessions[0].pools[1].reclaim.to: is 3; it takes"),
            ("floor = 10", "floor = 73", "sessions[0]: a pool's floor is at most its places"),
            ("min_minutes = 5, ", "", "sessions[0].returns: needs both of min_minutes and"),
            ("to = \"24:00\"", "to = \"24:01\"", "sessions[0].hours.to: is \"24:01\"; it takes a"),
            (
                "minutes = 480 }",
                "minutes = 1440 }",
                "sessions[1]: service hours have 1 to 8 offsets",
            ),
        ] {
            let text = include_str!("../../../docs/examples/sessions.toml").replacen(from, to, 1);
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{to:?}: {error}");
        }
    }
}
