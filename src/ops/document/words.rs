//! The words that sessions and schedules share: channels, classes, rules, and what is said of a
//! session besides its places.

use serde_json::Value;

use super::entry::{Entry, Fault, Field, fault};
use super::{DocumentDefaults, MAX_8, MAX_16, MAX_32, narrow};
use crate::model::{
    BookingChannel, ChannelSet, ClassSet, Delay, DepartmentId, OrganizationId, PatientClass, Pick,
    Repeat, ResourceId, ReturnRule, ServiceHours, ServiceId, Sharing, SiteId, Timestamp, Ttl,
};
use crate::ops::civil::Zone;

/// The names of patient classes, in documents and on the command line.
pub const CLASSES: [(&str, PatientClass); 5] = [
    ("outpatient", PatientClass::Outpatient),
    ("inpatient", PatientClass::Inpatient),
    ("check-up", PatientClass::CheckUp),
    ("emergency", PatientClass::Emergency),
    ("referral", PatientClass::Referral),
];
pub(in crate::ops) const PICKS: [(&str, Pick); 2] =
    [("earliest", Pick::Earliest), ("even", Pick::Even)];
pub(in crate::ops) const REPEATS: [(&str, Repeat); 2] =
    [("one-per-patient", Repeat::OnePerPatient), ("unlimited", Repeat::Unlimited)];
pub(in crate::ops) const SHARINGS: [(&str, Sharing); 3] =
    [("own", Sharing::Own), ("read", Sharing::Read), ("cancel", Sharing::Cancel)];

/// The class of that name.
pub fn class_named(name: &str) -> Option<PatientClass> {
    CLASSES.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
}

/// Who is booked, and by which rules: the same keys in a session and in a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Subject {
    pub(in crate::ops) organization: OrganizationId,
    pub(in crate::ops) site: SiteId,
    pub(in crate::ops) department: DepartmentId,
    pub(in crate::ops) resource: ResourceId,
    pub(in crate::ops) service: ServiceId,
    pub(in crate::ops) appointment_type: u8,
    pub(in crate::ops) fee: u32,
    pub(in crate::ops) pick: Pick,
    pub(in crate::ops) repeat: Repeat,
    pub(in crate::ops) sharing: Sharing,
    pub(in crate::ops) ttl: Ttl,
    pub(in crate::ops) lead_millis: Option<u32>,
    pub(in crate::ops) returns: ReturnRule,
    pub(in crate::ops) changes_max: Option<u8>,
    pub(in crate::ops) displaced_offer: Option<Ttl>,
}

/// Hours of service, before it is known which offsets of the clocks they go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct LocalHours {
    place: String,
    from: u16,
    to: u16,
    channels: ChannelSet,
    /// Where the document gives them, so that no zone is needed.
    offsets: Option<Vec<(Timestamp, i16)>>,
}

impl LocalHours {
    /// The hours of a session that ends then.
    pub(in crate::ops) fn until(
        &self,
        end: Timestamp,
        zone: Option<&Zone>,
    ) -> Result<ServiceHours, Fault> {
        let Self { place, from, to, channels, offsets } = self;
        let offsets = offsets.clone().or_else(|| zone.map(|zone| zone.offsets_until(end)));
        let offsets = offsets
            .ok_or_else(|| fault(place, "are local times, which need the session's zone"))?;
        Ok(ServiceHours { from: *from, to: *to, channels: *channels, offsets })
    }
}

pub(in crate::ops) fn read_subject(
    entry: &mut Entry,
    defaults: &DocumentDefaults,
) -> Result<Subject, Fault> {
    Ok(Subject {
        organization: OrganizationId(narrow(entry.need("organization")?.number(0, MAX_32)?)),
        site: SiteId(narrow(entry.need("site")?.number(0, MAX_16)?)),
        department: DepartmentId(narrow(entry.need("department")?.number(0, MAX_32)?)),
        resource: ResourceId(entry.need("resource")?.number(0, u64::MAX)?),
        service: ServiceId(narrow(entry.number_or("service", 0, MAX_32, 0)?)),
        appointment_type: narrow(entry.number_or("type", 0, MAX_8, 0)?),
        fee: narrow(entry.number_or("fee", 0, MAX_32, 0)?),
        pick: entry.choice("pick", &PICKS)?,
        repeat: entry.choice("repeat", &REPEATS)?,
        sharing: entry.choice("sharing", &SHARINGS)?,
        ttl: minutes_of_day(entry, "hold_minutes")?.unwrap_or(defaults.ttl),
        lead_millis: match entry.may("lead_minutes") {
            Some(field) => Some(narrow(field.number(0, WEEK_MINUTES)? * MINUTE_MILLIS)),
            None => None,
        },
        returns: entry.may("returns").map(read_returns).transpose()?.unwrap_or_default(),
        changes_max: match entry.may("changes_max") {
            Some(field) => Some(narrow(field.number(0, MAX_8)?)),
            None => None,
        },
        displaced_offer: minutes_of_day(entry, "displaced_offer_minutes")?,
    })
}

/// Minutes from 1 to a day.
fn minutes_of_day(entry: &mut Entry, key: &'static str) -> Result<Option<Ttl>, Fault> {
    let minutes = entry.may(key).map(|field| field.number(1, 1_440)).transpose()?;
    let ttl = |minutes| Ttl::from_millis(narrow::<u32>(minutes * MINUTE_MILLIS));
    Ok(minutes.map(|minutes| ttl(minutes).expect("a day at most")))
}

pub(in crate::ops) fn read_channels(
    field: Field,
    defaults: &DocumentDefaults,
) -> Result<ChannelSet, Fault> {
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

pub(in crate::ops) fn read_classes(field: Field) -> Result<ClassSet, Fault> {
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

/// `"at-once"`, or a table with the rule and the bounds of its delay.
fn read_returns(field: Field) -> Result<ReturnRule, Fault> {
    let place = field.place.clone();
    let (name, delay) = match &field.value {
        Value::Object(_) => {
            let mut entry = Entry::new(field.place, field.value)?;
            let name = entry.need("rule")?;
            let (least, most) = (entry.may("min_minutes"), entry.may("max_minutes"));
            let minutes = |field: Field| field.number(0, DAY_MINUTES);
            let bounds = match (least.map(minutes).transpose()?, most.map(minutes).transpose()?) {
                (Some(least), Some(most)) => Some((least, most)),
                (None, None) => None,
                _ => return Err(entry.fault("needs both of min_minutes and max_minutes")),
            };
            entry.finish()?;
            (name, bounds)
        }
        _ => (field, None),
    };
    let (least, most) = delay.unwrap_or_default();
    let millis = |minutes: u64| narrow(minutes * MINUTE_MILLIS);
    let bounds = Delay { min_millis: millis(least), max_millis: millis(most) };
    match (name.value.as_str(), delay) {
        (Some("at-once"), None) => Ok(ReturnRule::AtOnce),
        (Some("withheld"), None) => Ok(ReturnRule::Withheld),
        (Some("delayed"), Some(_)) if least <= most => Ok(ReturnRule::Delayed(bounds)),
        (Some("waitlist-first"), _) if least <= most => Ok(ReturnRule::WaitlistFirst(bounds)),
        (Some("at-once" | "withheld"), Some(_)) => {
            Err(fault(&place, "has no delay; leave min_minutes and max_minutes away"))
        }
        (Some("delayed"), None) => Err(fault(
            &place,
            "needs bounds, as { rule = \"delayed\", min_minutes = 5, max_minutes = 30 }",
        )),
        (Some("delayed" | "waitlist-first"), _) => {
            Err(fault(&place, "has min_minutes above max_minutes"))
        }
        _ => Err(fault(
            &name.place,
            &format!("is {}; use at-once, delayed, waitlist-first or withheld", name.value),
        )),
    }
}

pub(in crate::ops) fn read_hours(
    field: Field,
    defaults: &DocumentDefaults,
) -> Result<LocalHours, Fault> {
    let place = field.place.clone();
    let mut entry = Entry::new(field.place, field.value)?;
    let (from, to) = (entry.need("from")?.clock()?, entry.need("to")?.clock()?);
    let channels = entry.may("channels").map(|field| read_channels(field, defaults));
    let offsets = entry.may("offsets").map(read_offsets).transpose()?;
    let channels = channels.unwrap_or(Ok(ChannelSet::ALL))?;
    if to <= from {
        return Err(entry.fault("closes before it opens; from and to are hours of one day"));
    }
    entry.finish()?;
    Ok(LocalHours { place, from, to, channels, offsets })
}

/// `[{ since = "...", minutes = 480 }]`: how a session is printed that was opened elsewhere.
fn read_offsets(field: Field) -> Result<Vec<(Timestamp, i16)>, Fault> {
    let read = |field: Field| {
        let mut entry = Entry::new(field.place, field.value)?;
        let since = entry.need("since")?.time()?;
        let minutes = entry.need("minutes")?;
        let number = minutes.value.as_i64().and_then(|number| i16::try_from(number).ok());
        let number = number.ok_or_else(|| {
            fault(&minutes.place, &format!("is {}; it takes minutes east of UTC", minutes.value))
        })?;
        entry.finish()?;
        Ok((since, number))
    };
    field.list()?.into_iter().map(read).collect()
}

pub(in crate::ops) fn read_zone(field: &Field) -> Result<Zone, Fault> {
    let name = field.value.as_str().unwrap_or_default();
    Zone::named(name).ok_or_else(|| {
        let reason = format!(
            "{} is no time zone; use a name of the IANA list, as Asia/Shanghai",
            field.value
        );
        fault(&field.place, &reason)
    })
}

pub(in crate::ops) const MINUTE_MILLIS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;
const WEEK_MINUTES: u64 = 7 * DAY_MINUTES;
