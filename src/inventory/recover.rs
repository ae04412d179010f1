//! Rebuilding an inventory: snapshots of shards, then facts, then what is derived from them.
//!
//! **Architecture invariant:** recovery runs `evolve` and nothing else. It takes `&mut self`: nobody
//! is served before it is over.

use std::sync::Arc;

use crossbeam::channel::bounded;

use super::Inventory;
use super::routing::{evolve_homes, evolve_ledgers, evolve_sessions};
use super::rules::evolve_rules;
use super::shards::{SHARD_COUNT, Shards};
use crate::engine::{HomeShard, LedgerShard, Rulebook, SessionShard};
use crate::model::{Fact, Facts, Sequence, Timestamp};

/// One shard, to copy or to fill.
#[derive(Debug)]
pub enum Part<'a> {
    /// Appointments and requests.
    Home(&'a mut HomeShard),
    /// What patients have.
    Ledger(&'a mut LedgerShard),
    /// Sessions.
    Session(&'a mut SessionShard),
    /// The rules.
    Rules(&'a mut Rulebook),
}

/// Records on their way to the shards, in order.
pub type Batch = Vec<(Sequence, Timestamp, Facts)>;

/// Batches that may wait for a thread: enough that nobody waits for long, few enough for memory.
const BATCHES_MAX: usize = 8;

/// Kinds of which there are many shards, as snapshots number them.
const KINDS: u8 = 3;

impl Inventory {
    /// Every part by its kind and index: 0 homes, 1 ledgers, 2 sessions, 3 the rules.
    pub fn parts() -> impl Iterator<Item = (u8, usize)> + Clone {
        let shards = (0..KINDS).flat_map(|kind| (0..SHARD_COUNT).map(move |index| (kind, index)));
        shards.chain(std::iter::once((KINDS, 0)))
    }

    /// Lets `copy` read one shard under its lock.
    pub fn with_part<T>(&self, kind: u8, index: usize, copy: impl FnOnce(Part<'_>) -> T) -> T {
        match kind {
            0 => copy(Part::Home(&mut self.homes.lock(index).state)),
            1 => copy(Part::Ledger(&mut self.ledgers.lock(index).state)),
            2 => copy(Part::Session(&mut self.sessions.lock(index).state)),
            _ => copy(Part::Rules(&mut self.rules.write().state)),
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
            2 => fill(Part::Session(at(&mut self.sessions, index, base))),
            _ => {
                let locked = self.rules.get_mut();
                (locked.base, locked.last) = (base, base);
                fill(Part::Rules(&mut locked.state))
            }
        }
    }

    /// Lets a record happen again. A shard whose snapshot has it already skips it.
    pub fn replay(&mut self, sequence: Sequence, time: Timestamp, facts: &Facts) {
        for fact in facts {
            evolve_homes(&mut self.homes, sequence, time, fact);
            evolve_ledgers(&mut *self.ledgers, sequence, time, fact);
            evolve_sessions(&mut self.sessions, sequence, fact);
            evolve_rules(self.rules.get_mut(), sequence, fact);
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
        let Self { homes, ledgers, sessions, rules, .. } = self;
        let rules = rules.get_mut();
        std::thread::scope(|scope| {
            let (to_homes, for_homes) = bounded::<Arc<Batch>>(BATCHES_MAX);
            let (to_others, for_others) = bounded::<Arc<Batch>>(BATCHES_MAX);
            scope.spawn(move || {
                for batch in for_homes {
                    each(&batch, |sequence, time, fact| evolve_homes(homes, sequence, time, fact));
                }
            });
            scope.spawn(move || {
                for batch in for_others {
                    each(&batch, |sequence, time, fact| {
                        evolve_ledgers(&mut **ledgers, sequence, time, fact);
                        evolve_sessions(sessions, sequence, fact);
                        evolve_rules(rules, sequence, fact);
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
        self.ledgers.rebuild();
        for index in 0..SHARD_COUNT {
            let home = &self.homes.only(index).state;
            self.due.note(index, home.next_deadline());
            let shard = self.sessions.only(index);
            self.sessions_due.note(index, shard.state.next_deadline());
            self.draws_due.note(index, shard.state.next_draw_deadline());
            for state in shard.state.sessions() {
                state.places().note(shard.last);
                self.boards.insert(state.spec().id, Arc::clone(state.places()));
                self.directory.insert(state.spec(), None);
                if state.is_sweeping() {
                    self.sweeps.lock().begin(state.spec().id);
                }
            }
        }
    }
}

fn each(batch: &Batch, mut replay: impl FnMut(Sequence, Timestamp, &Fact)) {
    for (sequence, time, facts) in batch {
        facts.iter().for_each(|fact| replay(*sequence, *time, fact));
    }
}
