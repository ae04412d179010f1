//! Finding the appointments of blocked sessions: home by home, a few at a time.
//!
//! ```text
//! homes   0   1   2  ...  255      one round serves every session that was blocked before it began
//! cursor          ^
//! left    {S1: 254, S7: 12}        homes that each session has yet to see
//! ```
//!
//! An index of a session's appointments would cost every hold; a round costs a look at every entry,
//! and only where something was blocked.
//!
//! **Architecture invariant:** derived. A session whose block has not reached everybody says so in its
//! state, and after a restart sees every home again: who was reached before is not met twice.

use std::collections::BTreeMap;

use super::Inventory;
use super::group::Group;
use super::shards::SHARD_COUNT;
use crate::engine::{Context, Seeker, decide_displace, decide_offer, offers};
use crate::model::{
    Actor, Appointment, AppointmentId, ClaimRequest, Fact, Facts, Role, Sequence, SessionId,
    SlotChoice, Timestamp,
};

/// How far the search for the appointments of blocked sessions is.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    left: BTreeMap<SessionId, usize>,
    cursor: usize,
}

impl Sweeps {
    /// Has a session see every home from now on.
    pub(super) fn begin(&mut self, session: SessionId) {
        self.left.insert(session, SHARD_COUNT);
    }
}

/// Alternatives that are tried for an offer: another may take one first.
const OFFERS_TRIED: usize = 4;

impl Inventory {
    /// The appointments of a home that the blocks under way may reach. `None`: no block is under way.
    pub fn sweep_home(&self) -> Option<Vec<AppointmentId>> {
        let (home, sessions) = {
            let sweeps = self.sweeps.lock();
            let sessions: Vec<SessionId> = sweeps.left.keys().copied().collect();
            (sweeps.cursor, sessions)
        };
        if sessions.is_empty() {
            return None;
        }
        let mut found = self.homes.lock(home).state.live_in(&sessions);
        found.sort_unstable();
        Some(found)
    }

    /// The home was seen: its appointments were displaced, and offered other places. Says which
    /// sessions have seen every home now.
    pub fn sweep_on(&self) -> Vec<SessionId> {
        let mut sweeps = self.sweeps.lock();
        sweeps.cursor = (sweeps.cursor + 1) % SHARD_COUNT;
        let mut over = Vec::new();
        for (session, left) in &mut sweeps.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                over.push(*session);
            }
        }
        over
    }

    /// Does to an appointment what a block does, if one reaches it.
    pub fn displace(
        &self,
        now: Timestamp,
        id: AppointmentId,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        self.unasked(now, |context| {
            let mut group = Group::of_homes(&self.homes, &[id.request()]);
            let appointment = group.view(|view| view.appointment(id))?;
            group.lock_ledger(&self.ledgers, appointment.patient);
            let sessions = super::waitlist::sessions_of(&group, &appointment);
            group.lock_sessions(&self.sessions, sessions.into_iter());
            let facts = group.view(|view| decide_displace(view, id))?;
            Some(self.carry_out(&mut group, context, facts, append))
        })
    }

    /// Offers the best place that there is to a displaced appointment, once, where its session says so.
    pub fn offer(
        &self,
        now: Timestamp,
        id: AppointmentId,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        let (displaced, _) = self.appointment(id);
        let displaced = displaced?;
        let offer = displaced.offer_id()?;
        // Later the first offer may be forgotten, and its id must not be used again.
        if displaced.until.plus_millis(self.retention_millis) < now {
            return None;
        }
        if self.knows(offer.request()) || !self.offers(&displaced) {
            return None;
        }
        let lost = *displaced.claims.first()?;
        let seeker = Seeker {
            now,
            openings: now,
            channel: displaced.channel,
            class: displaced.class,
            heeds_hours: false,
        };
        let actor = Actor::unbounded(Role::Admin);
        let found = self.find_like(&actor, &lost, seeker, Some(displaced.patient), &[id]);
        let book = self.rules.read();
        let context = self.by_the_book(&book.state, &Context::new(now, &actor));
        for alternative in found.ok()?.1.into_iter().take(OFFERS_TRIED) {
            let claim = alternative.claim;
            let slots = SlotChoice::at(claim.slot);
            let wish = ClaimRequest { session: claim.session, count: claim.count, slots };
            let mut group = Group::of_homes(&self.homes, &[id.request(), offer.request()]);
            group.lock_ledger(&self.ledgers, displaced.patient);
            group.lock_sessions(&self.sessions, [lost.session, claim.session].into_iter());
            let facts = group.view(|view| decide_offer(view, &context, id, &wish));
            if let Some(facts) = facts {
                return Some(self.carry_out(&mut group, &context, facts, append));
            }
        }
        None
    }

    /// Writes down that a block has reached everybody, unless another one began meanwhile.
    pub fn end_sweep(
        &self,
        now: Timestamp,
        session: SessionId,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        self.unasked(now, |context| {
            let index = super::routing::session_route(session);
            let mut group = Group::of_session(&self.sessions, index);
            // Under the lock of the session: a new block would have to wait for it.
            {
                let mut sweeps = self.sweeps.lock();
                if sweeps.left.get(&session) != Some(&0) {
                    return None;
                }
                sweeps.left.remove(&session);
            }
            let facts: Facts = std::iter::once(Fact::Swept(session)).collect();
            Some(self.carry_out(&mut group, context, facts, append))
        })
    }

    /// Has a round begin for a session whose block may not have reached everybody.
    pub(super) fn begin_sweep(&self, session: SessionId) {
        self.sweeps.lock().begin(session);
    }

    fn offers(&self, displaced: &Appointment) -> bool {
        let [lost] = displaced.claims.as_slice() else { return false };
        let shard = self.sessions.lock(super::routing::session_route(lost.session));
        shard.state.session(lost.session).is_some_and(|session| offers(session, lost).is_some())
    }
}
