//! No pool gives more than its quota, and only to the channels and classes that it is for, in slots
//! that are not over.

use std::collections::BTreeMap;

use haoyuan::model::{Claim, PoolIndex, SessionId, SlotIndex};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct QuotaKept {
    taken: BTreeMap<(SessionId, u16, u8), u16>,
}

impl QuotaKept {
    fn count(&mut self, claim: &Claim, is_hold: bool, quota: impl Fn(SlotIndex) -> u16) -> bool {
        (claim.slot.0..claim.slot.0 + u16::from(claim.count)).all(|slot| {
            let taken = self.taken.entry((claim.session, slot, claim.pool.0)).or_default();
            *taken = if is_hold { *taken + 1 } else { taken.wrapping_sub(1) };
            *taken <= quota(SlotIndex(slot))
        })
    }
}

impl Invariant for QuotaKept {
    fn name(&self) -> &'static str {
        "quota_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            let freed = fact.freed().iter().map(|claim| (claim, false));
            let claims = freed.chain(fact.taken().iter().map(|claim| (claim, true)));
            // An added place lies in no pool.
            let in_pools = claims.filter(|(claim, _)| claim.pool != PoolIndex::ADDED);
            for (claim, is_taken) in in_pools {
                let session = history.sessions.get(&claim.session).ok_or("no such session")?;
                let kept = self.count(claim, is_taken, |slot| session.quota(slot, claim.pool));
                ensure(kept, || format!("the quota of {claim:?}"))?;
                let Some(held) = fact.held() else { continue };
                let pool = &session.pools[usize::from(claim.pool.0)];
                ensure(pool.admits(held.channel, held.class), || {
                    format!("{claim:?} is not for {:?}, {:?}", held.channel, held.class)
                })?;
                ensure(record.time < session.slot_end(claim.slot), || {
                    format!("{claim:?} was over")
                })?;
            }
        }
        Ok(())
    }
}
