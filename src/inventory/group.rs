//! The locks of one command, taken in one order: homes, ledger, sessions, each ascending. Before them
//! lies that of the rulebook, for who needs it (`rules`).
//!
//! **Architecture invariant:** nobody takes these locks in another order, so nobody waits in a
//! circle; and nothing happens under them but memory.

use arrayvec::ArrayVec;

use super::ledgers::Ledgers;
use super::routing::{Reach, evolve_homes, evolve_ledgers, evolve_sessions, session_route};
use super::shards::{Guard, Locked, Shards, route};
use crate::engine::{HomeShard, LedgerShard, SessionShard, View};
use crate::model::limits::{
    COMMAND_HOMES_MAX as HOMES_MAX, COMMAND_LEDGERS_MAX as LEDGERS_MAX, MOVE_SESSIONS_MAX,
};
use crate::model::{Asked, Fact, PatientId, RequestId, Sequence, SessionId, Subjects, Timestamp};

/// The locked shards of one command.
pub(super) struct Group<'a> {
    homes: ArrayVec<(usize, Guard<'a, HomeShard>), HOMES_MAX>,
    ledgers: ArrayVec<(usize, Guard<'a, LedgerShard>), LEDGERS_MAX>,
    sessions: ArrayVec<(usize, Guard<'a, SessionShard>), MOVE_SESSIONS_MAX>,
}

impl<'a> Group<'a> {
    /// Locks the homes of the ids.
    pub(super) fn of_homes(shards: &'a Shards<HomeShard>, ids: &[RequestId]) -> Self {
        let mut indices: ArrayVec<usize, HOMES_MAX> = ids.iter().map(|id| route(id.0)).collect();
        indices.sort_unstable();
        let mut homes = ArrayVec::new();
        for index in indices {
            if homes.last().is_none_or(|(last, _)| *last != index) {
                homes.push((index, shards.lock(index)));
            }
        }
        Self { homes, ledgers: ArrayVec::new(), sessions: ArrayVec::new() }
    }

    /// Locks a home by its index.
    pub(super) fn of_home(shards: &'a Shards<HomeShard>, index: usize) -> Self {
        let homes = std::iter::once((index, shards.lock(index))).collect();
        Self { homes, ledgers: ArrayVec::new(), sessions: ArrayVec::new() }
    }

    /// Locks a shard of sessions by its index.
    pub(super) fn of_session(shards: &'a Shards<SessionShard>, index: usize) -> Self {
        let sessions = std::iter::once((index, shards.lock(index))).collect();
        Self { homes: ArrayVec::new(), ledgers: ArrayVec::new(), sessions }
    }

    /// Locks the ledger of a patient first of all: no home is concerned.
    pub(super) fn of_nothing() -> Self {
        Self { homes: ArrayVec::new(), ledgers: ArrayVec::new(), sessions: ArrayVec::new() }
    }

    /// Locks the ledger of a patient. Homes come before, sessions after.
    pub(super) fn lock_ledger(&mut self, ledgers: &'a Ledgers, patient: PatientId) {
        self.lock_ledgers(ledgers, &[patient]);
    }

    /// Locks the ledgers of those who stand behind something, as far as rules ask of them.
    pub(super) fn lock_subjects(&mut self, ledgers: &'a Ledgers, asked: Asked, who: &Subjects) {
        self.lock_ledgers(ledgers, &who.ledgers(asked));
    }

    /// Locks the ledgers of some keys: of patients, accounts, telephones. All of them at once. A key of a
    /// patient that was merged into another one leads to the ledger of that one.
    pub(super) fn lock_ledgers(&mut self, ledgers: &'a Ledgers, keys: &[PatientId]) {
        let is_first = self.ledgers.is_empty() && self.sessions.is_empty();
        debug_assert!(is_first, "locks have one order");
        loop {
            let persons = keys.iter().map(|key| ledgers.person(*key));
            let persons: ArrayVec<PatientId, LEDGERS_MAX> = persons.collect();
            let mut indices: ArrayVec<usize, LEDGERS_MAX> =
                persons.iter().map(|person| route(person.0)).collect();
            indices.sort_unstable();
            for index in indices {
                if self.ledgers.last().is_none_or(|(last, _)| *last != index) {
                    self.ledgers.push((index, ledgers.lock(index)));
                }
            }
            // One may have been merged before its lock was got.
            if persons.iter().all(|person| ledgers.person(*person) == *person) {
                return;
            }
            self.ledgers.clear();
        }
    }

    /// Locks the shards of sessions, last of all.
    pub(super) fn lock_sessions(
        &mut self,
        shards: &'a Shards<SessionShard>,
        sessions: impl Iterator<Item = SessionId>,
    ) {
        debug_assert!(self.sessions.is_empty(), "locks have one order");
        let mut indices: ArrayVec<usize, MOVE_SESSIONS_MAX> = sessions.map(session_route).collect();
        indices.sort_unstable();
        for index in indices {
            if self.sessions.last().is_none_or(|(last, _)| *last != index) {
                self.sessions.push((index, shards.lock(index)));
            }
        }
    }

    /// What the engine may read.
    pub(super) fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let homes: ArrayVec<&HomeShard, HOMES_MAX> =
            self.homes.iter().map(|(_, home)| &home.state).collect();
        let sessions: ArrayVec<&SessionShard, MOVE_SESSIONS_MAX> =
            self.sessions.iter().map(|(_, shard)| &shard.state).collect();
        let ledgers: ArrayVec<(usize, &LedgerShard), LEDGERS_MAX> =
            self.ledgers.iter().map(|(number, ledger)| (*number, &ledger.state)).collect();
        let route = |person: PatientId| route(person.0);
        look(&View { homes: &homes, ledgers: &ledgers, route, sessions: &sessions })
    }

    /// The last record that touched any of the shards.
    pub(super) fn last(&self) -> Sequence {
        let homes = self.homes.iter().map(|(_, home)| home.last);
        let sessions = self.sessions.iter().map(|(_, shard)| shard.last);
        let ledgers = self.ledgers.iter().map(|(_, ledger)| ledger.last);
        homes.chain(sessions).chain(ledgers).max().unwrap_or_default()
    }

    /// Writes a fact into the shards that it touches.
    pub(super) fn evolve(&mut self, sequence: Sequence, time: Timestamp, fact: &Fact) {
        evolve_homes(&mut self.homes, sequence, time, fact);
        evolve_ledgers(&mut self.ledgers, sequence, time, fact);
        evolve_sessions(&mut self.sessions, sequence, fact);
    }

    pub(super) fn home_mut(&mut self, index: usize) -> &mut Locked<HomeShard> {
        self.homes.reach(index)
    }

    pub(super) fn session_mut(&mut self, session: SessionId) -> &mut Locked<SessionShard> {
        self.sessions.reach(session_route(session))
    }

    pub(super) fn session_shard(&mut self, index: usize) -> &SessionShard {
        &self.sessions.reach(index).state
    }

    /// The ledgers.
    pub(super) fn ledgers(&self) -> impl Iterator<Item = &LedgerShard> {
        self.ledgers.iter().map(|(_, ledger)| &ledger.state)
    }

    /// The shards of sessions with their indices.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (usize, &SessionShard)> {
        self.sessions.iter().map(|(index, shard)| (*index, &shard.state))
    }

    /// The homes with their indices.
    pub(super) fn homes(&self) -> impl Iterator<Item = (usize, &HomeShard)> {
        self.homes.iter().map(|(index, home)| (*index, &home.state))
    }
}

impl<T, const N: usize> Reach<T> for ArrayVec<(usize, Guard<'_, T>), N> {
    fn reach(&mut self, index: usize) -> &mut Locked<T> {
        let found = self.iter_mut().find(|(other, _)| *other == index);
        &mut found.expect("a fact's shard is locked").1
    }
}
