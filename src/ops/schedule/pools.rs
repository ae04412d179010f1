//! The pools of a schedule: how much of the places, and in which waves.
//!
//! ```text
//! schedule   app 70 % { wave 1: half, wave 2: half }      counter 30 %
//! session    pool 0: 35 %   pool 1: 35 %                  pool 2: 30 %
//! ```
//!
//! **Architecture invariant:** a wave of an opening is a pool of the session, so that the sum over
//! pools is the capacity whatever has opened.

use jiff::civil::Date;

use super::share::{Mismatch, Part, apportion, divide};
use crate::model::limits::{QUOTA_MAX, SESSION_POOLS_MAX};
use crate::model::{Pool, PoolIndex, Session, Timestamp};
use crate::ops::document::draw::{DrawRule, Kind};
use crate::ops::document::entry::{Entry, Fault, Field, fault};
use crate::ops::document::moment::{Locale, Moment};
use crate::ops::document::pools::{PoolHead, targets};
use crate::ops::document::{DocumentDefaults, narrow};

/// A pool of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PoolPlan {
    head: PoolHead,
    part: Part,
    /// One where the document has none: the whole pool.
    waves: Vec<Wave>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wave {
    place: String,
    part: Part,
    opens: Option<Moment>,
}

/// The pools, and which of them the unused places of each go to.
pub(super) fn read_pools(
    entry: &mut Entry,
    defaults: &DocumentDefaults,
) -> Result<(Vec<PoolPlan>, Vec<Option<usize>>), Fault> {
    let opens = entry.may("opens").map(Moment::read).transpose()?;
    let Some(field) = entry.may("pools") else {
        let head = PoolHead::for_all(entry.place());
        let wave = Wave { place: entry.place().to_owned(), part: Part::Share(1), opens };
        let plan = PoolPlan { head, part: Part::Share(1), waves: vec![wave] };
        return Ok((vec![plan], vec![None]));
    };
    let place = field.place.clone();
    let read = |field: Field| read_pool(field, opens.as_ref(), defaults);
    let plans: Result<Vec<PoolPlan>, Fault> = field.list()?.into_iter().map(read).collect();
    let plans = plans?;
    let count = plans.iter().map(|plan| plan.waves.len()).sum::<usize>();
    if !(1..=SESSION_POOLS_MAX).contains(&count) {
        let reason = format!(
            "has {count} pools and waves; a session takes 1 to {SESSION_POOLS_MAX}, and each wave \
             is one"
        );
        return Err(fault(&place, &reason));
    }
    let heads: Vec<PoolHead> = plans.iter().map(|plan| plan.head.clone()).collect();
    Ok((plans, targets(&heads)?))
}

fn read_pool(
    field: Field,
    opens: Option<&Moment>,
    defaults: &DocumentDefaults,
) -> Result<PoolPlan, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let head = PoolHead::read(&mut entry, Kind::Schedules, defaults)?;
    let part = read_part(&mut entry)?;
    let waves = match entry.may("waves") {
        Some(_) if head.opens.is_some() => {
            return Err(entry.fault("has opens and waves; the waves say when they open"));
        }
        Some(_) if head.draw.is_some() => {
            return Err(entry.fault(
                "has waves and a draw, which opens once; make pools of the waves that are drawn",
            ));
        }
        Some(waves) => {
            let place = waves.place.clone();
            let waves: Result<Vec<Wave>, Fault> =
                waves.list()?.into_iter().map(read_wave).collect();
            let waves = waves?;
            if waves.is_empty() {
                return Err(fault(&place, "is empty; leave it away, or name a wave or more"));
            }
            waves
        }
        None => {
            let opens = head.opens.as_ref().or(opens).cloned();
            vec![Wave { place: entry.place().to_owned(), part: Part::Share(1), opens }]
        }
    };
    entry.finish()?;
    Ok(PoolPlan { head, part, waves })
}

fn read_wave(field: Field) -> Result<Wave, Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let place = entry.place().to_owned();
    let part = read_part(&mut entry)?;
    let opens = Some(Moment::read(entry.need("opens")?)?);
    entry.finish()?;
    Ok(Wave { place, part, opens })
}

fn read_part(entry: &mut Entry) -> Result<Part, Fault> {
    match (entry.may("share"), entry.may("places")) {
        (Some(share), None) => Ok(Part::Share(narrow(share.number(1, SHARE_MAX)?))),
        (None, Some(places)) => Ok(Part::Places(narrow(places.number(0, QUOTA_MAX.into())?))),
        (None, None) => Err(entry.fault("needs a share, or places of each slot")),
        (Some(_), Some(_)) => Err(entry.fault("has share and places; give one of the two")),
    }
}

/// The pools of a session with so many places in each slot.
pub(super) fn pools_of(
    plans: &[PoolPlan],
    targets: &[Option<usize>],
    places: &[u16],
    date: Date,
    locale: Locale<'_>,
) -> Result<Vec<Pool>, Fault> {
    let place = plans.first().map_or("", |plan| plan.head.place.as_str());
    let place = place.rsplit_once('[').map_or(place, |(list, _)| list);
    let parts: Vec<Part> = plans.iter().map(|plan| plan.part).collect();
    let quotas =
        divide(places, &parts).map_err(|mismatch| of_mismatch(mismatch, place, date, "pools"))?;
    let mut pools = Vec::new();
    for ((plan, quotas), target) in plans.iter().zip(quotas).zip(targets) {
        // Unused places go to the first wave of the other pool, which has opened for sure.
        let waves_before =
            |target: usize| plans.iter().take(target).map(|plan| plan.waves.len()).sum::<usize>();
        plan.add(&quotas, target.map(waves_before), date, locale, &mut pools)?;
    }
    Ok(pools)
}

/// The names of the beacons of a session's draws.
pub(super) fn beacons_of(
    plans: &[PoolPlan],
    session: &Session,
    date: Date,
) -> Vec<(PoolIndex, String)> {
    let rules = plans.iter().flat_map(|plan| plan.waves.iter().map(|_| plan.head.draw.as_ref()));
    let named = |((index, pool), rule): ((PoolIndex, &Pool), Option<&DrawRule>)| {
        let closes = pool.terms.draw?.closes;
        rule?.beacon_text(date, closes).map(|name| (index, name))
    };
    (0..).map(PoolIndex).zip(&session.pools).zip(rules).filter_map(named).collect()
}

impl PoolPlan {
    /// Adds its waves to the pools of a session.
    fn add(
        &self,
        quotas: &[u16],
        target: Option<usize>,
        date: Date,
        locale: Locale<'_>,
        pools: &mut Vec<Pool>,
    ) -> Result<(), Fault> {
        let Self { head, waves, .. } = self;
        let parts: Vec<Part> = waves.iter().map(|wave| wave.part).collect();
        let place = format!("{}.waves", head.place);
        let rows =
            divide(quotas, &parts).map_err(|found| of_mismatch(found, &place, date, "waves"))?;
        let sums: Vec<u64> =
            rows.iter().map(|row| row.iter().map(|places| u64::from(*places)).sum()).collect();
        let places = sums.iter().sum::<u64>();
        if places < u64::from(head.floor) {
            let reason = format!("is {}, and the pool has {places} places on {date}", head.floor);
            return Err(fault(&format!("{}.floor", head.place), &reason));
        }
        let mut before = Timestamp::default();
        for ((wave, quotas), floor) in
            waves.iter().zip(rows).zip(apportion(head.floor.into(), &sums))
        {
            let opens = wave.opens.as_ref().map(|opens| opens.of(date, locale)).transpose()?;
            if opens.is_some_and(|opens| opens < before) {
                let reason = format!("opens before the wave above it, for the session of {date}");
                return Err(fault(&wave.place, &reason));
            }
            before = opens.unwrap_or(before);
            let mut terms = head.terms(opens, target, date, locale)?;
            terms.floor = narrow(floor);
            pools.push(Pool { channels: head.channels, classes: head.classes, quotas, terms });
        }
        Ok(())
    }
}

fn of_mismatch(mismatch: Mismatch, place: &str, date: Date, what: &str) -> Fault {
    let Mismatch { slot, places, named } = mismatch;
    let advice = if places < named { "take some away" } else { "give one of them a share" };
    let reason = format!(
        "the {what} have {named} places of the {places} in slot {slot} on {date}; {advice}"
    );
    fault(place, &reason)
}

/// Shares are in proportion to each other; percent are usual.
const SHARE_MAX: u64 = 1_000_000;
