//! No slot is sold more often than it has places, over all its pools.

use std::collections::BTreeMap;

use haoyuan::model::{PoolIndex, SessionId, SlotIndex};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct NeverOversold {
    taken: BTreeMap<(SessionId, u16), u32>,
}

impl Invariant for NeverOversold {
    fn name(&self) -> &'static str {
        "never_oversold"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            let freed = fact.freed().iter().map(|claim| (claim, false));
            let claims = freed.chain(fact.taken().iter().map(|claim| (claim, true)));
            // An added place is beyond those that there are.
            let in_pools = claims.filter(|(claim, _)| claim.pool != PoolIndex::ADDED);
            for (claim, is_taken) in in_pools {
                for slot in claim.slot.0..claim.slot.0 + u16::from(claim.count) {
                    let taken = self.taken.entry((claim.session, slot)).or_default();
                    if is_taken {
                        *taken += 1;
                    } else {
                        *taken = taken.checked_sub(1).ok_or("a place came back twice")?;
                    }
                    let session = history.sessions.get(&claim.session).ok_or("no such session")?;
                    let pools = (0..).map(PoolIndex).take(session.pools.len());
                    let places = pools.map(|pool| u32::from(session.quota(SlotIndex(slot), pool)));
                    let (taken, places) = (*taken, places.sum());
                    ensure(taken <= places, || {
                        format!("{taken} of {places} places of {}:{slot}", claim.session.0)
                    })?;
                }
            }
        }
        Ok(())
    }
}
