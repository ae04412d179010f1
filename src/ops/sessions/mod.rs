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
//! pools = [
//!   { places = 2 },                                        # for every channel and class
//!   { channels = ["counter", 7], classes = ["referral"], places = 1 },
//!   { places = 5, draw = { opens = "2027-02-20T08:00:00+08:00",     # entries, drawn at the close
//!       closes = "2027-02-20T09:00:00+08:00", preferences = 3, hold_minutes = 120 } },
//! ]
//! ```
//!
//! **Architecture invariant:** nothing in a document is ignored. A key that is not known, a value
//! of another type and a number out of range are refused with file, entry and key.

mod entry;

use std::collections::BTreeMap;

use serde_json::Value;

use self::entry::{Entry, Fault, Field, fault};
use crate::draw::beacon_name;
use crate::model::{
    Beacon, BookingChannel, ChannelSet, ClassSet, DepartmentId, Draw, OrganizationId, PatientClass,
    Pick, Pool, PoolTerms, Repeat, ResourceId, Session, SessionId, SessionTerms, Sharing, SiteId,
    Ttl,
};

/// In which language a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFormat {
    /// `.toml`.
    Toml,
    /// `.json`, and standard input.
    Json,
}

/// What a document may leave out, and the names that it may use.
#[derive(Clone, Debug)]
pub struct DocumentDefaults {
    /// The longest hold of a session that does not say.
    pub ttl: Ttl,
    /// Channels by name.
    pub channels: BTreeMap<String, BookingChannel>,
}

/// Why a document is not taken: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {place}: {reason}")]
pub struct DocumentError {
    /// Which file.
    pub file: String,
    /// Which entry and key, as in `sessions[2].pools[0].places`.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

impl DocumentFormat {
    /// The format of a file, by its extension; `-` is JSON on standard input.
    pub fn of(name: &str) -> Option<Self> {
        if name == "-" {
            return Some(Self::Json);
        }
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Default for DocumentDefaults {
    fn default() -> Self {
        Self { ttl: Ttl::DEFAULT, channels: BTreeMap::new() }
    }
}

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
    let located = |fault: Fault| DocumentError {
        file: file.to_owned(),
        place: fault.place,
        reason: fault.reason,
    };
    let value = match format {
        DocumentFormat::Toml => toml::from_str::<toml::Table>(text)
            .map(|table| from_toml(toml::Value::Table(table)))
            .map_err(|error| fault("document", error.to_string().trim_end())),
        DocumentFormat::Json => {
            serde_json::from_str(text).map_err(|error| fault("document", &error.to_string()))
        }
    };
    value.and_then(|value| read_document(value, defaults)).map_err(located)
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

fn read_session(field: Field, defaults: &DocumentDefaults) -> Result<Session, Fault> {
    let place = field.place.clone();
    let mut entry = Entry::new(field.place, field.value)?;
    let slot_minutes = entry.need("slot_minutes")?.number(1, 10_080)?;
    let slots = entry.need("slots")?.number(1, 288)?;
    let session = Session {
        id: SessionId(entry.need("id")?.number(0, u64::MAX)?),
        organization: OrganizationId(narrow(entry.need("organization")?.number(0, MAX_32)?)),
        site: SiteId(narrow(entry.need("site")?.number(0, MAX_16)?)),
        department: DepartmentId(narrow(entry.need("department")?.number(0, MAX_32)?)),
        resource: ResourceId(entry.need("resource")?.number(0, u64::MAX)?),
        appointment_type: narrow(entry.may("type").map_or(Ok(0), |field| field.number(0, 255))?),
        start: entry.need("start")?.time()?,
        slot_millis: narrow(slot_minutes * 60_000),
        pick: entry.choice("pick", &[("earliest", Pick::Earliest), ("even", Pick::Even)])?,
        repeat: entry.choice(
            "repeat",
            &[("one-per-patient", Repeat::OnePerPatient), ("unlimited", Repeat::Unlimited)],
        )?,
        sharing: entry.choice(
            "sharing",
            &[("own", Sharing::Own), ("read", Sharing::Read), ("cancel", Sharing::Cancel)],
        )?,
        ttl_max: match entry.may("hold_minutes") {
            Some(field) => Ttl::from_millis(narrow::<u32>(field.number(1, 1_440)? * 60_000))
                .expect("a day at most"),
            None => defaults.ttl,
        },
        terms: SessionTerms::default(),
        pools: read_pools(&mut entry, narrow::<u16>(slots).into(), defaults)?,
    };
    entry.finish()?;
    session.check().map_err(|reason| fault(&place, &reason.to_string()))?;
    Ok(session)
}

fn read_pools(
    entry: &mut Entry,
    slots: usize,
    defaults: &DocumentDefaults,
) -> Result<Vec<Pool>, Fault> {
    match (entry.may("places"), entry.may("pools")) {
        (Some(places), None) => Ok(vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: read_places(places, slots)?,
            terms: PoolTerms::default(),
        }]),
        (None, Some(pools)) => {
            pools.list()?.into_iter().map(|pool| read_pool(pool, slots, defaults)).collect()
        }
        (None, None) => Err(entry.fault("needs places, or pools with places each")),
        (Some(_), Some(_)) => Err(entry.fault("has places and pools; give one of the two")),
    }
}

fn read_pool(field: Field, slots: usize, defaults: &DocumentDefaults) -> Result<Pool, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let channels = entry.may("channels").map(|field| read_channels(field, defaults));
    let classes = entry.may("classes").map(read_classes);
    let pool = Pool {
        channels: channels.unwrap_or(Ok(ChannelSet::ALL))?,
        classes: classes.unwrap_or(Ok(ClassSet::ALL))?,
        quotas: read_places(entry.need("places")?, slots)?,
        terms: match entry.may("draw") {
            Some(draw) => read_draw(draw, defaults)?,
            None => PoolTerms::default(),
        },
    };
    entry.finish()?;
    Ok(pool)
}

/// `{ opens, closes, preferences, hold_minutes, beacon, beacon_until }`; the last four may be left out.
fn read_draw(field: Field, defaults: &DocumentDefaults) -> Result<PoolTerms, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let opens = entry.need("opens")?.time()?;
    let beacon = match (entry.may("beacon"), entry.may("beacon_until")) {
        (None, None) => None,
        (Some(name), Some(until)) => {
            let text = name.value.as_str().filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| fault(&name.place, "names its source in a text"))?;
            Some(Beacon { name: beacon_name(text), until: until.time()? })
        }
        _ => return Err(entry.fault("has one of beacon and beacon_until; give both or none")),
    };
    let draw = Draw {
        closes: entry.need("closes")?.time()?,
        preferences_max: narrow(entry.may("preferences").map_or(Ok(3), |it| it.number(1, 8))?),
        ttl: match entry.may("hold_minutes") {
            Some(field) => Ttl::from_millis(narrow::<u32>(field.number(1, 1_440)? * 60_000))
                .expect("a day at most"),
            None => defaults.ttl,
        },
        beacon,
        commitment: None,
    };
    entry.finish()?;
    Ok(PoolTerms { opens, draw: Some(draw), ..PoolTerms::default() })
}

fn read_places(field: Field, slots: usize) -> Result<Vec<u16>, Fault> {
    let Value::Array(_) = field.value else {
        return Ok(vec![narrow(field.number(0, 10_000)?); slots]);
    };
    let place = field.place.clone();
    let places: Result<Vec<u16>, Fault> =
        field.list()?.into_iter().map(|places| places.number(0, 10_000).map(narrow)).collect();
    let places = places?;
    if places.len() != slots {
        let reason = format!("has {} numbers for {slots} slots", places.len());
        return Err(fault(&place, &reason));
    }
    Ok(places)
}

fn read_channels(field: Field, defaults: &DocumentDefaults) -> Result<ChannelSet, Fault> {
    if field.value == "all" {
        return Ok(ChannelSet::ALL);
    }
    let mut set = ChannelSet(0);
    for channel in field.list()? {
        let named = match &channel.value {
            Value::String(name) => defaults.channels.get(name).copied(),
            Value::Number(number) => number
                .as_u64()
                .and_then(|number| u8::try_from(number).ok())
                .and_then(BookingChannel::new),
            _ => None,
        };
        let Some(named) = named else {
            let known: Vec<&str> = defaults.channels.keys().map(String::as_str).collect();
            let reason = format!(
                "{} is no channel; use a number from 0 to 63 or a name of the configuration ({})",
                channel.value,
                if known.is_empty() { "none there".to_owned() } else { known.join(", ") },
            );
            return Err(fault(&channel.place, &reason));
        };
        set = set.with(named);
    }
    Ok(set)
}

fn read_classes(field: Field) -> Result<ClassSet, Fault> {
    if field.value == "all" {
        return Ok(ClassSet::ALL);
    }
    let mut set = 0;
    for class in field.list()? {
        let name = class.value.as_str().unwrap_or_default();
        let Some(named) = class_named(name) else {
            let known: Vec<&str> = CLASSES.iter().map(|(name, _)| *name).collect();
            let reason = format!("{} is no class; use {}", class.value, known.join(", "));
            return Err(fault(&class.place, &reason));
        };
        set |= 1 << named as u8;
    }
    Ok(ClassSet(set))
}

/// The names of patient classes, in documents and on the command line.
pub const CLASSES: [(&str, PatientClass); 5] = [
    ("outpatient", PatientClass::Outpatient),
    ("inpatient", PatientClass::Inpatient),
    ("check-up", PatientClass::CheckUp),
    ("emergency", PatientClass::Emergency),
    ("referral", PatientClass::Referral),
];

/// The class of that name.
pub fn class_named(name: &str) -> Option<PatientClass> {
    CLASSES.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::from(truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(values) => values.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
        }
    }
}

/// A number that was checked to fit.
fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).ok().expect("the range was checked")
}

const MAX_16: u64 = u16::MAX as u64;
const MAX_32: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

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
        let json =
            serde_json::to_string(&from_toml(toml::Value::Table(toml::from_str(GOOD).unwrap())));
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
}
