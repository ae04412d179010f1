//! Which shards a fact is written to: said once, for the live path and for recovery.
//!
//! ```text
//! request      -> home of its id        patient  -> its ledger
//! appointment  -> home of its id        claims   -> their sessions        session -> its shard
//! ```
//!
//! **Architecture invariant:** a fact reaches the same shards live and replayed, each kind by itself:
//! no shard is read to find another.

use super::shards::{Locked, Shards, route};
use crate::engine::{HomeShard, LedgerShard, SessionShard};
use crate::model::{Fact, Sequence, SessionId, Timestamp};

/// Shards of a kind that can be written: those that a command locked, or all of them in recovery.
pub(super) trait Reach<T> {
    /// The shard with that index.
    ///
    /// # Panics
    ///
    /// Panics if the command did not lock it.
    fn reach(&mut self, index: usize) -> &mut Locked<T>;
}

impl<T> Reach<T> for Shards<T> {
    fn reach(&mut self, index: usize) -> &mut Locked<T> {
        self.only(index)
    }
}

/// Writes what a fact does to homes.
pub(super) fn evolve_homes(
    homes: &mut impl Reach<HomeShard>,
    sequence: Sequence,
    time: Timestamp,
    fact: &Fact,
) {
    if let Some((request, fingerprint)) = fact.request()
        && let Some(home) = news(homes.reach(route(request.0)), sequence)
    {
        home.remember(time, request, fingerprint);
    }
    if let Some(appointment) = fact.appointment()
        && let Some(home) = news(homes.reach(route(appointment.0)), sequence)
    {
        home.evolve(time, fact);
    }
}

/// Writes what a fact does to ledgers.
pub(super) fn evolve_ledgers(
    ledgers: &mut impl Reach<LedgerShard>,
    sequence: Sequence,
    time: Timestamp,
    fact: &Fact,
) {
    if let Some(merged) = fact.merged()
        && let Some(ledger) = news(ledgers.reach(route(merged.from.0)), sequence)
    {
        ledger.give_up(merged);
    }
    if let Some(patient) = fact.patient()
        && let Some(ledger) = news(ledgers.reach(route(patient.0)), sequence)
    {
        ledger.evolve(time, fact);
    }
    if let Some(holder) = fact.holder()
        && let Some(ledger) = news(ledgers.reach(route(holder.0)), sequence)
    {
        ledger.let_go(fact);
    }
}

/// Writes what a fact does to sessions.
pub(super) fn evolve_sessions(
    sessions: &mut impl Reach<SessionShard>,
    sequence: Sequence,
    fact: &Fact,
) {
    let moves = !fact.freed().is_empty();
    for claim in fact.taken().iter().filter(|_| moves) {
        sessions.reach(session_route(claim.session)).state.announce(claim.session, true);
    }
    for (index, claim) in fact.freed().iter().enumerate() {
        if let Some(shard) = news(sessions.reach(session_route(claim.session)), sequence) {
            shard.free(claim, fact.back(index), sequence);
            if let Fact::Displaced(fact) = fact {
                shard.drop_queued(claim.session, fact.appointment);
            }
        }
    }
    let offers = matches!(fact, Fact::PlaceOffered(_));
    for claim in fact.taken().iter().filter(|_| !offers) {
        if let Some(shard) = news(sessions.reach(session_route(claim.session)), sequence) {
            shard.take(claim, sequence);
        }
    }
    for claim in fact.taken().iter().filter(|_| moves) {
        sessions.reach(session_route(claim.session)).state.announce(claim.session, false);
    }
    for target in fact.targets() {
        if let Some(shard) = news(sessions.reach(session_route(*target)), sequence) {
            shard.tend(fact, *target, sequence);
        }
    }
    if let Some(session) = fact.session()
        && let Some(shard) = news(sessions.reach(session_route(session)), sequence)
    {
        shard.evolve(fact, sequence);
    }
}

/// The shard of a session. Session ids are small numbers; the constant spreads them.
pub(super) fn session_route(session: SessionId) -> usize {
    route(u128::from(session.0) << 64 | 0x5e55)
}

/// The shard, unless its snapshot has the record already. Live, every record is news.
fn news<T>(locked: &mut Locked<T>, sequence: Sequence) -> Option<&mut T> {
    if sequence <= locked.base {
        return None;
    }
    locked.last = sequence;
    Some(&mut locked.state)
}
