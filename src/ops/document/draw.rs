//! What sessions and schedules say of a pool that is drawn.

use jiff::civil::Date;

use super::entry::{Entry, Fault, Field, fault};
use super::moment::{Locale, Moment};
use super::narrow;
use crate::draw::beacon_name;
use crate::model::{Beacon, Draw, Timestamp, Ttl};

/// When entries are taken, what they may say, and from what the draw is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct DrawRule {
    opens: Moment,
    closes: Moment,
    preferences_max: u8,
    hold: Ttl,
    beacon: Option<(String, Moment)>,
}

impl DrawRule {
    /// `{ opens, closes, preferences, hold_minutes, beacon, beacon_until }`; the last four may be left
    /// out.
    pub(super) fn read(field: Field, hold: Ttl) -> Result<Self, Fault> {
        let mut entry = Entry::new(field.place, field.value)?;
        let beacon = match (entry.may("beacon"), entry.may("beacon_until")) {
            (None, None) => None,
            (Some(name), Some(until)) => {
                let text = name.value.as_str().filter(|text| !text.is_empty());
                let text = text.ok_or_else(|| fault(&name.place, "names its source in a text"))?;
                Some((text.to_owned(), Moment::read(until)?))
            }
            _ => return Err(entry.fault("has one of beacon and beacon_until; give both or none")),
        };
        let rule = Self {
            opens: Moment::read(entry.need("opens")?)?,
            closes: Moment::read(entry.need("closes")?)?,
            preferences_max: narrow(entry.may("preferences").map_or(Ok(3), |it| it.number(1, 8))?),
            hold: match entry.may("hold_minutes") {
                Some(field) => Ttl::from_millis(narrow::<u32>(field.number(1, 1_440)? * 60_000))
                    .expect("a day at most"),
                None => hold,
            },
            beacon,
        };
        entry.finish()?;
        Ok(rule)
    }

    /// When entries begin, and the draw, for a session of that date.
    pub(super) fn of(&self, date: Date, locale: Locale<'_>) -> Result<(Timestamp, Draw), Fault> {
        let beacon = match &self.beacon {
            Some((name, until)) => {
                Some(Beacon { name: beacon_name(name), until: until.of(date, locale)? })
            }
            None => None,
        };
        let draw = Draw {
            closes: self.closes.of(date, locale)?,
            preferences_max: self.preferences_max,
            ttl: self.hold,
            beacon,
            commitment: None,
        };
        Ok((self.opens.of(date, locale)?, draw))
    }
}
