//! Rebuilding an inventory: snapshots of shards, then facts, then what is derived from them.
//!
//! **Architecture invariant:** recovery runs `evolve` and nothing else. It takes `&mut self`: nobody
//! is served before it is over.

use std::sync::Arc;

use crossbeam::channel::bounded;

use super::Inventory;
use super::group::session_route;
use super::shards::{Locked, SHARD_COUNT, Shards, route};
use crate::engine::{HomeShard, LedgerShard, SessionShard};
use crate::model::{Fact, Facts, Sequence, Timestamp};
use crate::sync::atomic::Ordering;

/// One shard, to copy or to fill.
#[derive(Debug)]
pub enum Part<'a> {
    /// Appointments and requests.
    Home(&'a mut HomeShard),
    /// What patients have.
    Ledger(&'a mut LedgerShard),
    /// Sessions.
    Session(&'a mut SessionShard),
}

/// Records on their way to the shards, in order.
pub type Batch = Vec<(Sequence, Timestamp, Facts)>;

/// Batches that may wait for a thread: enough that nobody waits for long, few enough for memory.
const BATCHES_MAX: usize = 8;

/// Kinds of shards, as snapshots number them.
const KINDS: u8 = 3;

impl Inventory {
    /// Kinds of shards: 0 homes, 1 ledgers, 2 sessions.
    pub const PART_KINDS: u8 = KINDS;

    /// Lets `copy` read one shard under its lock.
    pub fn with_part<T>(&self, kind: u8, index: usize, copy: impl FnOnce(Part<'_>) -> T) -> T {
        match kind {
            0 => copy(Part::Home(&mut self.homes.lock(index).state)),
            1 => copy(Part::Ledger(&mut self.ledgers.lock(index).state)),
            _ => copy(Part::Session(&mut self.sessions.lock(index).state)),
        }
    }

    /// Lets `fill` write one shard as it was after record `base`, before anything is served.
    pub fn restore_part<T>(
        &mut self,
        kind: u8,
        index: usize,
        base: Sequence,
        fill: impl FnOnce(Part<'_>) -> T,
    ) -> T {
        fn at<T>(shards: &mut Shards<T>, index: usize, base: Sequence) -> &mut T {
            let locked = shards.only(index);
            (locked.base, locked.last) = (base, base);
            &mut locked.state
        }
        match kind {
            0 => fill(Part::Home(at(&mut self.homes, index, base))),
            1 => fill(Part::Ledger(at(&mut self.ledgers, index, base))),
            _ => fill(Part::Session(at(&mut self.sessions, index, base))),
        }
    }

    /// Lets a record happen again. A shard whose snapshot has it already skips it.
    pub fn replay(&mut self, sequence: Sequence, time: Timestamp, facts: &Facts) {
        for fact in facts {
            replay_home(&mut self.homes, sequence, time, fact);
            replay_ledger(&mut self.ledgers, sequence, fact);
            replay_session(&mut self.sessions, sequence, fact);
        }
    }

    /// Lets every record happen again that `read` passes on, in batches. Homes are written by one
    /// thread, ledgers and sessions by another: no fact reads what another kind of shard holds, and
    /// each thread goes from front to back, so that every shard sees its facts in order.
    ///
    /// # Errors
    ///
    /// What `read` says; what it passed on before has happened.
    pub fn replay_all<E>(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(Batch)) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { homes, ledgers, sessions, .. } = self;
        std::thread::scope(|scope| {
            let (to_homes, for_homes) = bounded::<Arc<Batch>>(BATCHES_MAX);
            let (to_others, for_others) = bounded::<Arc<Batch>>(BATCHES_MAX);
            scope.spawn(move || {
                for batch in for_homes {
                    each(&batch, |sequence, time, fact| replay_home(homes, sequence, time, fact));
                }
            });
            scope.spawn(move || {
                for batch in for_others {
                    each(&batch, |sequence, _, fact| {
                        replay_ledger(ledgers, sequence, fact);
                        replay_session(sessions, sequence, fact);
                    });
                }
            });
            read(&mut |batch| {
                let batch = Arc::new(batch);
                // A thread that is gone met an impossible fact: the scope ends with its panic.
                let _gone = to_homes.send(Arc::clone(&batch));
                let _gone = to_others.send(batch);
            })
        })
    }

    /// Builds what is derived: boards and deadlines. Call it once, after the last record.
    pub fn rebuild(&mut self) {
        for index in 0..SHARD_COUNT {
            let home = &self.homes.only(index).state;
            let next = home.next_deadline().map_or(u64::MAX, Timestamp::as_millis);
            self.due[index].store(next, Ordering::Relaxed);
            let shard = self.sessions.only(index);
            for state in shard.state.sessions() {
                state.places().note(shard.last);
                self.boards.insert(state.spec().id, Arc::clone(state.places()));
            }
        }
    }
}

fn each(batch: &Batch, mut replay: impl FnMut(Sequence, Timestamp, &Fact)) {
    for (sequence, time, facts) in batch {
        facts.iter().for_each(|fact| replay(*sequence, *time, fact));
    }
}

fn replay_home(homes: &mut Shards<HomeShard>, sequence: Sequence, time: Timestamp, fact: &Fact) {
    if let Some((request, fingerprint)) = fact.request()
        && let Some(home) = due(homes.only(route(request.0)), sequence)
    {
        home.remember(time, request, fingerprint);
    }
    if let Some(appointment) = fact.appointment()
        && let Some(home) = due(homes.only(route(appointment.0)), sequence)
    {
        home.evolve(time, fact);
    }
}

fn replay_ledger(ledgers: &mut Shards<LedgerShard>, sequence: Sequence, fact: &Fact) {
    if let Some(patient) = fact.patient()
        && let Some(ledger) = due(ledgers.only(route(patient.0)), sequence)
    {
        ledger.evolve(fact);
    }
}

fn replay_session(sessions: &mut Shards<SessionShard>, sequence: Sequence, fact: &Fact) {
    for claim in fact.claims() {
        let shard = sessions.only(session_route(claim.session));
        match (due(shard, sequence), fact) {
            (None, _) => {}
            (Some(shard), Fact::Held(_)) => shard.take(claim, sequence),
            (Some(shard), _) => shard.give_back(claim, sequence),
        }
    }
    if let Fact::SessionOpened(opened) = fact
        && let Some(shard) = due(sessions.only(session_route(opened.session.id)), sequence)
    {
        shard.open(opened.session.clone(), sequence);
    }
}

/// The shard, if the record is news to it.
fn due<T>(locked: &mut Locked<T>, sequence: Sequence) -> Option<&mut T> {
    if sequence <= locked.base {
        return None;
    }
    locked.last = sequence;
    Some(&mut locked.state)
}
