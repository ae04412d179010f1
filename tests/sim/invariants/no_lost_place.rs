//! Free, taken and returning places are together the capacity, cell by cell, and what clients read says so.

use std::collections::BTreeMap;

use haoyuan::engine::SessionState;
use haoyuan::inventory::{Part, SHARD_COUNT};
use haoyuan::model::{
    Actor, AppointmentStatus, BookingChannel, PatientClass, PoolIndex, Query, Reading, Role,
    SessionId, SlotIndex, Timestamp,
};
use haoyuan::service::Service;

use super::{History, Invariant, Sight, ensure};

pub(super) struct NoLostPlace;

/// Taken places by session, slot and pool.
type Taken = BTreeMap<(SessionId, u16, u8), u16>;

impl Invariant for NoLostPlace {
    fn name(&self) -> &'static str {
        "no_lost_place"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let (Sight::Calm { service } | Sight::Healed { service, .. }) = sight else {
            return Ok(());
        };
        let taken = taken(history);
        check_shards(service, history, &taken)?;
        check_readings(service, history, &taken)?;
        let quotas = history.sessions.values().flat_map(|session| &session.pools);
        let capacity: u64 =
            quotas.flat_map(|pool| &pool.quotas).map(|quota| u64::from(*quota)).sum();
        let closed = closed(history, &taken);
        let in_pools = taken.iter().filter(|((_, _, pool), _)| *pool != PoolIndex::ADDED.0);
        let taken: u64 = in_pools.map(|(_, taken)| u64::from(*taken)).sum();
        let free = service.stats().places_free;
        ensure(free + taken + closed == capacity, || {
            format!("{free} + {taken} + {closed} is not {capacity}")
        })
    }
}

/// Places of blocked slots that nobody has.
fn closed(history: &History, taken: &Taken) -> u64 {
    let of_slot = |(id, slot): &(SessionId, u16)| {
        let session = history.sessions.get(id);
        let pools = (0_u8..).take(session.map_or(0, |session| session.pools.len()));
        let quota = |pool| session.map_or(0, |it| it.quota(SlotIndex(*slot), PoolIndex(pool)));
        let has = |pool| taken.get(&(*id, *slot, pool)).copied().unwrap_or(0);
        pools.map(|pool| u64::from(quota(pool) - has(pool))).sum::<u64>()
    };
    history.blocked.iter().map(of_slot).sum()
}

fn taken(history: &History) -> Taken {
    let mut taken = Taken::new();
    for life in history.lives.values() {
        let has_none =
            matches!(life.status(), AppointmentStatus::Cancelled | AppointmentStatus::Waitlist);
        if has_none || life.is_displaced {
            continue;
        }
        for claim in life.claims() {
            for slot in claim.slot.0..claim.slot.0 + u16::from(claim.count) {
                *taken.entry((claim.session, slot, claim.pool.0)).or_default() += 1;
            }
        }
    }
    for ((session, slot, pool, _), count) in &history.returning {
        let taken = taken.entry((*session, *slot, *pool)).or_default();
        *taken += u16::try_from(*count).expect("no place comes back that was not on its way");
    }
    taken
}

fn check_shards(service: &Service, history: &History, taken: &Taken) -> Result<(), String> {
    let mut sessions = 0;
    for index in 0..SHARD_COUNT {
        service.inventory().with_part(2, index, |part| -> Result<(), String> {
            let Part::Session(shard) = part else { return Ok(()) };
            for state in shard.sessions() {
                sessions += 1;
                let id = state.spec().id;
                check_alterations(state, history, taken)?;
                for (slot, pool, has) in state.cells() {
                    let should = taken.get(&(id, slot.0, pool.0)).copied().unwrap_or(0);
                    ensure(has == should, || {
                        format!("{has} taken in {}:{} p{}, not {should}", id.0, slot.0, pool.0)
                    })?;
                }
            }
            Ok(())
        })?;
    }
    let opened = history.sessions.len();
    ensure(sessions == opened, || format!("{sessions} sessions of {opened}"))
}

/// What is blocked and added is what the facts say, and the resource is the last one.
fn check_alterations(state: &SessionState, history: &History, taken: &Taken) -> Result<(), String> {
    let id = state.spec().id;
    let resource = history.sessions.get(&id).map(|session| session.resource);
    ensure(resource == Some(state.spec().resource), || format!("{} is not {resource:?}'s", id.0))?;
    let altered = state.alterations().cloned().unwrap_or_default();
    let blocked = history.blocked.range((id, 0)..=(id, u16::MAX)).map(|(_, slot)| *slot);
    ensure(altered.blocked.keys().map(|slot| slot.0).eq(blocked), || {
        format!("{:?} are blocked in {}", altered.blocked, id.0)
    })?;
    for slot in (0..).take(state.spec().slot_count()) {
        let should = taken.get(&(id, slot, PoolIndex::ADDED.0)).copied().unwrap_or(0);
        let has = altered.added.get(&SlotIndex(slot)).copied().unwrap_or(0);
        ensure(has == should, || format!("{has} added to {}:{slot}, not {should}", id.0))?;
    }
    Ok(())
}

fn check_readings(service: &Service, history: &History, taken: &Taken) -> Result<(), String> {
    let actor = Actor::unbounded(Role::Admin);
    let class = PatientClass::Outpatient;
    for session in history.sessions.values() {
        for channel in (0..4).filter_map(BookingChannel::new) {
            let query = Query::Availability { session: session.id, channel, class };
            let reading = service.read(Timestamp::default(), &actor, &query).result;
            let Ok(Reading::Availability(places)) = reading else {
                return Err(format!("{query:?} was answered with {reading:?}"));
            };
            // At the beginning of time only what opens at once is open, and nothing is over.
            for (slot, free) in (0..).zip(&places.free) {
                let pools = (0_u8..).zip(&session.pools);
                let admitted = pools.filter(|(_, pool)| {
                    pool.admits(channel, class) && pool.terms.opens == Timestamp::default()
                });
                let is_blocked = history.blocked.contains(&(session.id, slot));
                let should: u16 = admitted
                    .filter(|_| !is_blocked)
                    .map(|(index, _)| {
                        let quota = session.quota(SlotIndex(slot), PoolIndex(index));
                        quota - taken.get(&(session.id, slot, index)).copied().unwrap_or(0)
                    })
                    .sum();
                ensure(*free == should, || {
                    format!("{}:{slot} shows {free}, not {should}", session.id.0)
                })?;
            }
        }
    }
    Ok(())
}
