//! The words that sessions and schedules share: channels, classes, rules, hours.

use serde_json::Value;

use super::DocumentDefaults;
use super::entry::{Entry, Fault, Field, fault};
use crate::model::{
    BookingChannel, ChannelSet, ClassSet, PatientClass, Pick, Repeat, ServiceHours, Sharing,
    Timestamp,
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
    /// The hours of every day for every channel, by the clocks of the session's zone.
    pub(in crate::ops) fn daily(place: &str, from: u16, to: u16) -> Self {
        Self { place: place.to_owned(), from, to, channels: ChannelSet::ALL, offsets: None }
    }

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

pub(in crate::ops) fn read_hours(
    field: Field,
    defaults: &DocumentDefaults,
) -> Result<LocalHours, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let channels = entry.may("channels").map(|field| read_channels(field, defaults));
    let channels = channels.unwrap_or(Ok(ChannelSet::ALL))?;
    read_hours_for(entry, channels)
}

/// Hours that bind every channel, so that the table names none.
pub(in crate::ops) fn read_hours_for_all(field: Field) -> Result<LocalHours, Fault> {
    read_hours_for(Entry::new(field.place, field.value)?, ChannelSet::ALL)
}

fn read_hours_for(mut entry: Entry, channels: ChannelSet) -> Result<LocalHours, Fault> {
    let place = entry.place().to_owned();
    let (from, to) = (entry.need("from")?.clock()?, entry.need("to")?.clock()?);
    let offsets = entry.may("offsets").map(read_offsets).transpose()?;
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
pub(in crate::ops) const DAY_MINUTES: u64 = 24 * 60;
pub(in crate::ops) const WEEK_MINUTES: u64 = 7 * DAY_MINUTES;
