//! What sessions and schedules say of a pool besides its places.

use jiff::civil::Date;
use serde_json::Value;

use super::draw::{DrawRule, Kind};
use super::entry::{Entry, Fault, Field, fault};
use super::moment::{Locale, Moment};
use super::words::{read_channels, read_classes};
use super::{DocumentDefaults, narrow};
use crate::model::limits::{QUOTA_MAX, SESSION_POOLS_MAX, SESSION_SLOTS_MAX};
use crate::model::{ChannelSet, ClassSet, PoolIndex, PoolTerms, Reclaim, Timestamp};

/// For whom a pool is, when it opens, and what becomes of its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct PoolHead {
    pub(in crate::ops) place: String,
    pub(in crate::ops) name: Option<String>,
    pub(in crate::ops) channels: ChannelSet,
    pub(in crate::ops) classes: ClassSet,
    pub(in crate::ops) floor: u32,
    pub(in crate::ops) opens: Option<Moment>,
    pub(in crate::ops) reclaim: Option<ReclaimRule>,
    pub(in crate::ops) draw: Option<DrawRule>,
}

/// When the unused places of a pool go to which other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct ReclaimRule {
    at: Moment,
    to: Field,
}

impl PoolHead {
    /// The pool of a document that has none: for everybody.
    pub(in crate::ops) fn for_all(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            name: None,
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            floor: 0,
            opens: None,
            reclaim: None,
            draw: None,
        }
    }

    pub(in crate::ops) fn read(
        entry: &mut Entry,
        kind: Kind,
        defaults: &DocumentDefaults,
    ) -> Result<Self, Fault> {
        let place = entry.place().to_owned();
        let name = entry.may("name").map(|field| field.text()).transpose()?;
        let channels = entry.may("channels").map(|field| read_channels(field, defaults));
        let classes = entry.may("classes").map(read_classes);
        let head = Self {
            place,
            name,
            channels: channels.unwrap_or(Ok(ChannelSet::ALL))?,
            classes: classes.unwrap_or(Ok(ClassSet::ALL))?,
            floor: narrow(entry.number_or("floor", 0, FLOOR_MAX, 0)?),
            opens: entry.may("opens").map(Moment::read).transpose()?,
            reclaim: entry.may("reclaim").map(ReclaimRule::read).transpose()?,
            draw: entry.may("draw").map(|field| DrawRule::read(field, kind)).transpose()?,
        };
        if head.draw.is_some() && head.opens.is_some() {
            return Err(entry.fault("has opens and a draw, which says when it opens"));
        }
        Ok(head)
    }

    /// Its terms in a session of that date, where it opens then; `to` is the pool that its unused
    /// places go to.
    pub(in crate::ops) fn terms(
        &self,
        opens: Option<Timestamp>,
        to: Option<usize>,
        date: Date,
        locale: Locale<'_>,
    ) -> Result<PoolTerms, Fault> {
        let drawn = self.draw.as_ref().map(|rule| rule.of(date, locale)).transpose()?;
        let opens = drawn.map(|(opens, _)| opens).or(opens).unwrap_or_default();
        let draw = drawn.map(|(_, draw)| draw);
        let mut terms = PoolTerms { opens, floor: self.floor, reclaim: None, draw };
        if let (Some(rule), Some(to)) = (&self.reclaim, to) {
            let at = rule.at.of(date, locale)?;
            if at <= opens {
                let reason = format!("is before the pool opens, for the session of {date}");
                return Err(rule.at.fault(&reason));
            }
            if draw.is_some_and(|draw| at <= draw.due(false)) {
                let reason = format!("is before the pool is drawn, for the session of {date}");
                return Err(rule.at.fault(&reason));
            }
            terms.reclaim = Some(Reclaim { at, to: PoolIndex(narrow(to as u64)) });
        }
        Ok(terms)
    }
}

impl ReclaimRule {
    fn read(field: Field) -> Result<Self, Fault> {
        let mut entry = Entry::new(field.place, field.value)?;
        let at = Moment::read_within(&mut entry)?;
        let to = entry.need("to")?;
        entry.finish()?;
        Ok(Self { at, to })
    }
}

/// The pools that unused places go to, each by its position; `None` for a pool that keeps them.
pub(in crate::ops) fn targets(heads: &[PoolHead]) -> Result<Vec<Option<usize>>, Fault> {
    let names: Vec<Option<&str>> = heads.iter().map(|head| head.name.as_deref()).collect();
    for (index, name) in names.iter().enumerate() {
        let earlier = names.iter().take(index).any(|other| name.is_some() && other == name);
        if let (true, Some(head)) = (earlier, heads.get(index)) {
            return Err(fault(&format!("{}.name", head.place), "is the name of a pool before"));
        }
    }
    let target = |(index, head): (usize, &PoolHead)| {
        let Some(rule) = &head.reclaim else { return Ok(None) };
        let found = match &rule.to.value {
            Value::String(name) => names.iter().position(|known| *known == Some(name.as_str())),
            Value::Number(number) => {
                number.as_u64().and_then(|number| usize::try_from(number).ok())
            }
            _ => None,
        };
        let found = found.filter(|found| *found != index && *found < heads.len());
        found.map(Some).ok_or_else(|| {
            let reason = format!(
                "is {}; it takes the name of another pool, or its position from 0",
                rule.to.value
            );
            fault(&rule.to.place, &reason)
        })
    };
    heads.iter().enumerate().map(target).collect()
}

/// Places of each slot: one number for all, or a number for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Places {
    place: String,
    numbers: Vec<u16>,
    is_list: bool,
}

impl Places {
    pub(in crate::ops) fn read(field: Field) -> Result<Self, Fault> {
        let place = field.place.clone();
        let number = |field: &Field| field.number(0, QUOTA_MAX.into()).map(narrow);
        let is_list = matches!(field.value, Value::Array(_));
        let numbers = if is_list {
            field.list()?.iter().map(number).collect::<Result<_, _>>()?
        } else {
            vec![number(&field)?]
        };
        Ok(Self { place, numbers, is_list })
    }

    /// The places of so many slots.
    pub(in crate::ops) fn of(&self, slots: usize) -> Result<Vec<u16>, Fault> {
        if !self.is_list {
            return Ok(vec![self.numbers.first().copied().unwrap_or_default(); slots]);
        }
        if self.numbers.len() != slots {
            let reason = format!("has {} numbers for {slots} slots", self.numbers.len());
            return Err(fault(&self.place, &reason));
        }
        Ok(self.numbers.clone())
    }
}

const FLOOR_MAX: u64 = SESSION_SLOTS_MAX as u64 * QUOTA_MAX as u64;
const _: () = assert!(SESSION_POOLS_MAX < 256, "a position of a pool is a byte");
