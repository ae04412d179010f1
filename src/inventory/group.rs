//! The locks of one command, taken in one order: homes, ledger, sessions, each ascending.
//!
//! **Architecture invariant:** nobody takes these locks in another order, so nobody waits in a
//! circle; and nothing happens under them but memory.

use arrayvec::ArrayVec;

use super::shards::{Guard, Shards, route};
use crate::engine::{HomeShard, LedgerShard, SessionShard, View};
use crate::model::limits::CLAIMS_MAX;
use crate::model::{Fact, PatientId, RequestId, Sequence, SessionId, Timestamp};

/// The locked shards of one command.
pub(super) struct Group<'a> {
    homes: ArrayVec<(usize, Guard<'a, HomeShard>), 2>,
    ledger: Option<Guard<'a, LedgerShard>>,
    sessions: ArrayVec<(usize, Guard<'a, SessionShard>), CLAIMS_MAX>,
}

impl<'a> Group<'a> {
    /// Locks the homes of the ids.
    pub(super) fn of_homes(shards: &'a Shards<HomeShard>, ids: &[RequestId]) -> Self {
        let mut indices: ArrayVec<usize, 2> = ids.iter().map(|id| route(id.0)).collect();
        indices.sort_unstable();
        let mut homes = ArrayVec::new();
        for index in indices {
            if homes.last().is_none_or(|(last, _)| *last != index) {
                homes.push((index, shards.lock(index)));
            }
        }
        Self { homes, ledger: None, sessions: ArrayVec::new() }
    }

    /// Locks a home by its index.
    pub(super) fn of_home(shards: &'a Shards<HomeShard>, index: usize) -> Self {
        let homes = std::iter::once((index, shards.lock(index))).collect();
        Self { homes, ledger: None, sessions: ArrayVec::new() }
    }

    /// Locks the ledger of a patient. Homes come before, sessions after.
    pub(super) fn lock_ledger(&mut self, shards: &'a Shards<LedgerShard>, patient: PatientId) {
        debug_assert!(self.ledger.is_none() && self.sessions.is_empty(), "locks have one order");
        self.ledger = Some(shards.lock(route(patient.0)));
    }

    /// Locks the shards of sessions, last of all.
    pub(super) fn lock_sessions(
        &mut self,
        shards: &'a Shards<SessionShard>,
        sessions: impl Iterator<Item = SessionId>,
    ) {
        debug_assert!(self.sessions.is_empty(), "locks have one order");
        let mut indices: ArrayVec<usize, CLAIMS_MAX> = sessions.map(session_route).collect();
        indices.sort_unstable();
        for index in indices {
            if self.sessions.last().is_none_or(|(last, _)| *last != index) {
                self.sessions.push((index, shards.lock(index)));
            }
        }
    }

    /// What the engine may read.
    pub(super) fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let homes: ArrayVec<&HomeShard, 2> =
            self.homes.iter().map(|(_, home)| &home.state).collect();
        let sessions: ArrayVec<&SessionShard, CLAIMS_MAX> =
            self.sessions.iter().map(|(_, shard)| &shard.state).collect();
        let ledger = self.ledger.as_ref().map(|ledger| &ledger.state);
        look(&View { homes: &homes, ledger, sessions: &sessions })
    }

    /// The last record that touched any of the shards.
    pub(super) fn last(&self) -> Sequence {
        let homes = self.homes.iter().map(|(_, home)| home.last);
        let sessions = self.sessions.iter().map(|(_, shard)| shard.last);
        let ledger = self.ledger.iter().map(|ledger| ledger.last);
        homes.chain(sessions).chain(ledger).max().unwrap_or_default()
    }

    /// Writes a fact into the shards that it touches.
    pub(super) fn evolve(&mut self, sequence: Sequence, time: Timestamp, fact: &Fact) {
        if let Some((request, fingerprint)) = fact.request() {
            let home = self.home_mut(route(request.0));
            home.state.remember(time, request, fingerprint);
            home.last = sequence;
        }
        if let Some(appointment) = fact.appointment() {
            let home = self.home_mut(route(appointment.0));
            home.state.evolve(time, fact);
            home.last = sequence;
        }
        if fact.patient().is_some() {
            let ledger = self.ledger.as_mut().expect("a fact's ledger is locked");
            ledger.state.evolve(fact);
            ledger.last = sequence;
        }
        for claim in fact.claims() {
            let shard = self.session_mut(claim.session);
            if let Fact::Held(_) = fact {
                shard.state.take(claim, sequence);
            } else {
                shard.state.give_back(claim, sequence);
            }
            shard.last = sequence;
        }
        if let Fact::SessionOpened(opened) = fact {
            let shard = self.session_mut(opened.session.id);
            shard.state.open(opened.session.clone(), sequence);
            shard.last = sequence;
        }
    }

    pub(super) fn home_mut(&mut self, index: usize) -> &mut Guard<'a, HomeShard> {
        let found = self.homes.iter_mut().find(|(other, _)| *other == index);
        &mut found.expect("a fact's home is locked").1
    }

    pub(super) fn session_mut(&mut self, session: SessionId) -> &mut Guard<'a, SessionShard> {
        let index = session_route(session);
        let found = self.sessions.iter_mut().find(|(other, _)| *other == index);
        &mut found.expect("a fact's session is locked").1
    }

    /// The homes with their indices.
    pub(super) fn homes(&self) -> impl Iterator<Item = (usize, &HomeShard)> {
        self.homes.iter().map(|(index, home)| (*index, &home.state))
    }
}

/// The shard of a session. Session ids are small numbers; the constant spreads them.
pub(super) fn session_route(session: SessionId) -> usize {
    route(u128::from(session.0) << 64 | 0x5e55)
}
