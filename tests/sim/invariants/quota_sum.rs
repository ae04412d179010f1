//! The quotas of a slot have the same sum at every fact, no pool has less than its floor, and no quota is
//! below what is taken.

use std::collections::BTreeMap;

use haoyuan::model::{Session, SessionId, SlotIndex};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct QuotaSum {
    /// The places of each slot, when the session was opened.
    places: BTreeMap<SessionId, Vec<u32>>,
    taken: BTreeMap<(SessionId, u16, u8), u16>,
}

impl Invariant for QuotaSum {
    fn name(&self) -> &'static str {
        "quota_sum"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            let freed = fact.freed().iter().map(|claim| (claim, false));
            for (claim, is_taken) in freed.chain(fact.taken().iter().map(|claim| (claim, true))) {
                for slot in claim.slot.0..claim.slot.0 + u16::from(claim.count) {
                    let cell = (claim.session, slot, claim.pool.0);
                    let taken = self.taken.entry(cell).or_default();
                    *taken = if is_taken { *taken + 1 } else { taken.wrapping_sub(1) };
                }
            }
            let Some(session) = fact.session().and_then(|id| history.sessions.get(&id)) else {
                continue;
            };
            let places = places_of(session);
            let before = self.places.entry(session.id).or_insert_with(|| places.clone());
            ensure(*before == places, || {
                format!("session {} had {before:?} places, has {places:?}", session.id.0)
            })?;
            self.check(session)?;
        }
        Ok(())
    }
}

impl QuotaSum {
    fn check(&self, session: &Session) -> Result<(), String> {
        for (pool, index) in session.pools.iter().zip(0_u8..) {
            for (quota, slot) in pool.quotas.iter().zip(0_u16..) {
                let taken = self.taken.get(&(session.id, slot, index)).copied().unwrap_or(0);
                ensure(taken <= *quota, || {
                    format!("{taken} taken of {quota} in {}:{slot} p{index}", session.id.0)
                })?;
            }
            let has: u32 = pool.quotas.iter().map(|quota| u32::from(*quota)).sum();
            ensure(pool.terms.floor <= has, || {
                format!("pool {index} of {} has {has}, below its floor", session.id.0)
            })?;
        }
        Ok(())
    }
}

fn places_of(session: &Session) -> Vec<u32> {
    let slots = (0_u16..).take(session.slot_count()).map(SlotIndex);
    let pools = || (0_u8..).take(session.pools.len()).map(haoyuan::model::PoolIndex);
    slots.map(|slot| pools().map(|pool| u32::from(session.quota(slot, pool))).sum()).collect()
}
