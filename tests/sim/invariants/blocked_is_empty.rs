//! Nothing is taken in a blocked slot, a block that is over reached everybody, and every block ends.

use std::collections::{BTreeMap, BTreeSet};

use haoyuan::inventory::{Part, SHARD_COUNT};
use haoyuan::model::{AppointmentId, Claims, Fact, SessionId, SlotIndex};
use haoyuan::service::Service;

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct BlockedIsEmpty {
    blocked: BTreeSet<(SessionId, SlotIndex)>,
    /// The places of live appointments.
    live: BTreeMap<AppointmentId, Claims>,
}

impl Invariant for BlockedIsEmpty {
    fn name(&self) -> &'static str {
        "blocked_is_empty"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => record.facts.iter().try_for_each(|fact| self.see_fact(fact)),
            Sight::Healed { service, .. } => {
                ensure(!is_sweeping(service), || "a block never reached everybody".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl BlockedIsEmpty {
    fn see_fact(&mut self, fact: &Fact) -> Result<(), String> {
        if let Fact::SessionBlocked(fact) = fact {
            for slot in fact.block.slots() {
                let cell = (fact.block.session, slot);
                let _was = if fact.block.is_blocked {
                    self.blocked.insert(cell)
                } else {
                    self.blocked.remove(&cell)
                };
            }
        }
        if let Some(id) = fact.appointment() {
            if !fact.freed().is_empty() || matches!(fact, Fact::Settled(_) | Fact::Left(_)) {
                self.live.remove(&id);
            }
            if !fact.taken().is_empty() {
                let claims = Claims::from_slice(fact.taken());
                ensure(!self.hits(&claims, None), || {
                    format!("{:x} has {claims:?}, which is blocked", id.0)
                })?;
                self.live.insert(id, claims);
            }
        }
        if let Fact::Swept(session) = fact {
            let left = self.live.iter().find(|(_, claims)| self.hits(claims, Some(*session)));
            ensure(left.is_none(), || format!("the block of {} forgot {left:x?}", session.0))?;
        }
        Ok(())
    }

    /// Whether a claim has a blocked slot, of one session or any.
    fn hits(&self, claims: &Claims, session: Option<SessionId>) -> bool {
        let claims = claims.iter().filter(|claim| session.is_none_or(|it| it == claim.session));
        claims.into_iter().any(|claim| {
            let mut slots = claim.slot.0..claim.slot.0 + u16::from(claim.count);
            slots.any(|slot| self.blocked.contains(&(claim.session, SlotIndex(slot))))
        })
    }
}

fn is_sweeping(service: &Service) -> bool {
    (0..SHARD_COUNT).any(|index| {
        service.inventory().with_part(2, index, |part| match part {
            Part::Session(shard) => shard
                .sessions()
                .into_iter()
                .any(|state| state.alterations().is_some_and(|altered| altered.is_sweeping)),
            _ => false,
        })
    })
}
