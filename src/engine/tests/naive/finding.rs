//! Which place a wish gets, as simply as it can be said.

use super::draws::Found;
use super::{Naive, lowest};
use crate::model::{
    Actor, AppointmentId, BookingChannel, Claim, ClaimRequest, DrawId, Outcome, PatientClass, Pick,
    PoolIndex, Refusal, Session, SlotChoice, SlotIndex,
};

impl Naive {
    /// The best place for a wish, where one appointment's places count as free.
    pub(super) fn find(
        &self,
        actor: &Actor,
        (channel, class): (BookingChannel, PatientClass),
        wish: &ClaimRequest,
        but: Option<AppointmentId>,
    ) -> Result<Found, Refusal> {
        let session = self.session(wish.session).ok_or(Outcome::SessionNotFound)?;
        let slots = session.pools[0].quotas.len();
        let all: Vec<u16> = (0_u16..).take(slots).collect();
        let fits = |slot: u16| usize::from(slot) + usize::from(wish.count) <= slots;
        let (wished, is_in_range) = match &wish.slots {
            SlotChoice::Any => (all, fits(0)),
            SlotChoice::Ranked(list) => {
                (list.iter().map(|slot| slot.0).collect(), list.iter().all(|slot| fits(slot.0)))
            }
        };
        let mut refusals = Vec::new();
        if !actor.may_touch(session.organization) {
            refusals.push(Outcome::OrganizationNotPermitted);
        }
        if !is_in_range {
            refusals.push(Outcome::SlotNotFound);
        }
        let pools: Vec<u8> = (0_u8..)
            .zip(&session.pools)
            .filter(|(_, pool)| pool.channels.contains(channel) && pool.classes.contains(class))
            .map(|(index, _)| index)
            .collect();
        if pools.is_empty() {
            refusals.push(Outcome::PoolNotFound);
        }
        lowest(&refusals)?;

        let is_open = |slot: u16| {
            !(slot..slot + u16::from(wish.count)).any(|slot| self.is_blocked(session.id, slot))
        };
        let wished: Vec<u16> =
            wished.into_iter().filter(|slot| fits(*slot)).filter(|slot| is_open(*slot)).collect();
        if wished.is_empty() {
            return Err(Outcome::SessionBlocked.into());
        }
        let quota =
            |slot: u16, pool: u8| session.pools[usize::from(pool)].quotas[usize::from(slot)];
        let free = |slot, pool| quota(slot, pool) - self.taken_but(session.id, slot, pool, but);
        let has_room = |slot: u16, pool: u8| {
            (slot..slot + u16::from(wish.count)).all(|slot| 0 < free(slot, pool))
        };
        let mut found: Vec<u16> = wished;
        found.retain(|slot| pools.iter().any(|pool| has_room(*slot, *pool)));
        if found.is_empty() {
            return Err(Outcome::SoldOut.into());
        }
        // What is left after each rule; the rule that leaves nothing is the reason. Of a slot that
        // broke two rules the first is, and of two slots the one that came farther.
        found.retain(|slot| self.now < session.slot_end(SlotIndex(*slot)));
        if found.is_empty() {
            return Err(Outcome::SlotInPast.into());
        }
        found.retain(|slot| self.is_bookable(session, *slot));
        if found.is_empty() {
            return Err(Outcome::BookingClosed.into());
        }
        let opens = |pool: u8| session.pools[usize::from(pool)].terms.opens;
        let open: Vec<u8> = pools.iter().copied().filter(|pool| opens(*pool) <= self.now).collect();
        let drawn = |pool: u8| !self.is_drawn(session, pool);
        let fits_draw = |pool: u8| {
            open.contains(&pool) && drawn(pool) && found.iter().any(|slot| has_room(*slot, pool))
        };
        let is_pending = pools.iter().any(|pool| fits_draw(*pool));
        // In the order of the wishes, not of the pools.
        let enters = found.iter().find_map(|slot| {
            let collects = |pool: &&u8| has_room(*slot, **pool) && self.collects(session, **pool);
            let pool = open.iter().find(collects)?;
            Some(DrawId { session: session.id, pool: PoolIndex(*pool) })
        });
        let open: Vec<u8> = open.into_iter().filter(|pool| !drawn(*pool)).collect();
        found.retain(|slot| open.iter().any(|pool| has_room(*slot, *pool)));
        if found.is_empty() && is_pending {
            if let Some(refusal) = self.closed_hours(session, channel) {
                return Err(refusal);
            }
            return enters.map(Found::Entry).ok_or_else(|| self.pending(session, None));
        }
        if found.is_empty() {
            let all_slots = 0..session.slot_count();
            let is_left = |pool: u8| {
                let mut slots = all_slots.clone().map(|slot| u16::try_from(slot).unwrap());
                slots.any(|slot| !self.is_blocked(session.id, slot) && 0 < free(slot, pool))
            };
            let later = pools.iter().filter(|pool| self.now < opens(**pool) && is_left(**pool));
            let next = later.map(|pool| opens(*pool)).min().unwrap();
            return Err(Refusal::until(Outcome::NotOpenYet, self.now, next));
        }
        // Exact for slots of up to ten places.
        let share = |slot: u16| {
            let free: u16 = pools.iter().map(|pool| free(slot, *pool)).sum();
            let all: u16 = pools.iter().map(|pool| quota(slot, *pool)).sum();
            u32::from(free) * 2_520 / u32::from(all)
        };
        if wish.slots == SlotChoice::Any && session.pick == Pick::Even {
            found.sort_by_key(|slot| std::cmp::Reverse(share(*slot)));
        }
        if let Some(refusal) = self.closed_hours(session, channel) {
            return Err(refusal);
        }
        let slot = found[0];
        let pool = *open.iter().find(|pool| has_room(slot, **pool)).unwrap();
        let (slot, pool) = (SlotIndex(slot), PoolIndex(pool));
        Ok(Found::Claim(Claim { session: session.id, slot, count: wish.count, pool }))
    }

    pub(super) fn closed_hours(
        &self,
        session: &Session,
        channel: BookingChannel,
    ) -> Option<Refusal> {
        let wait = session.terms.hours.as_ref()?.closed_for(self.now, channel)?;
        let until = self.now.plus_millis(wait);
        Some(Refusal::until(Outcome::OutsideServiceHours, self.now, until))
    }

    pub(in super::super) fn is_bookable(&self, session: &Session, slot: u16) -> bool {
        let start = session.slot_start(SlotIndex(slot));
        let ended = session.terms.booking_ends.is_some_and(|end| end <= self.now);
        let lead = session.terms.lead_millis.map(|lead| start.minus_millis(lead.into()));
        !ended && lead.is_none_or(|lead| self.now < lead)
    }
}
