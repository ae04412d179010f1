//! The locks: what is held while a record is appended, and what threads do to each other.
//!
//! **Architecture invariant:** nothing here waits for a time. A race is run to its end, and then
//! one thread looks whether the journal tells what happened.

mod boards;
mod locks;
#[cfg(haoyuan_loom)]
mod loom;
mod parts;
mod race;

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Inventory, SHARD_COUNT};
use crate::engine::Context;
use crate::engine::tests::build::{DAY, MORNING};
use crate::model::{
    Actor, Answer, AppointmentStatus, Change, Facts, Hold, OpenSession, Receipt, Role, Sequence,
    Timestamp,
};

/// An inventory, and the records that it appended, in their order.
struct Node {
    inventory: Inventory,
    records: Mutex<Vec<(Timestamp, Facts)>>,
    actor: Actor,
}

impl Node {
    fn new() -> Self {
        Self {
            inventory: Inventory::new(7, DAY),
            records: Mutex::default(),
            actor: Actor::unbounded(Role::Gateway),
        }
    }

    fn context(&self, now: Timestamp) -> Context<'_> {
        Context::new(now, &self.actor)
    }

    /// As the journal does it: a place in the order, and a number.
    fn append(&self, now: Timestamp, facts: &Facts) -> Sequence {
        // Lets another thread in, if the shards are not locked after all.
        std::thread::yield_now();
        let mut records = self.records.lock();
        records.push((now, facts.clone()));
        Sequence(records.len() as u64)
    }

    fn open(&self, now: Timestamp, open: &OpenSession) -> Answer<Receipt> {
        self.inventory.open(&self.context(now), open, |facts| self.append(now, facts))
    }

    /// As the service does it: the board first.
    fn hold(&self, now: Timestamp, hold: &Hold) -> Answer<Receipt> {
        let context = self.context(now);
        if let Some(refusal) = self.inventory.refuse_at_once(&context, hold) {
            return Answer::refused(refusal);
        }
        self.inventory.hold(&context, hold, |facts| self.append(now, facts))
    }

    fn change(&self, now: Timestamp, change: &Change) -> Answer<Receipt> {
        self.inventory.change(&self.context(now), change, |facts| self.append(now, facts))
    }

    fn expire(&self, now: Timestamp) {
        for home in self.inventory.due_homes(now) {
            while self.inventory.expire_one(home, now, 0, |facts| self.append(now, facts)).is_some()
            {
            }
        }
    }

    /// The same facts on one thread, front to back.
    fn replayed(&self) -> Inventory {
        let mut inventory = Inventory::new(9, DAY);
        for (number, (time, facts)) in (1..).zip(self.records.lock().iter()) {
            inventory.replay(Sequence(number), *time, facts);
        }
        inventory.rebuild();
        inventory
    }
}

impl Inventory {
    /// Asserts that what is derived from the shards agrees with them. Nothing may change meanwhile.
    fn check_derived(&self) {
        let (mut pending, mut appointments) = (0, 0);
        for index in 0..SHARD_COUNT {
            let home = self.homes.lock(index);
            for appointment in home.state.appointments() {
                assert!(
                    home.state.knows(appointment.id.request()),
                    "{:?} is not found",
                    appointment.id
                );
                appointments += 1;
                pending += u64::from(appointment.status == AppointmentStatus::Pending);
            }
            self.due.check(index, home.state.next_deadline());
        }
        assert_eq!(self.counts(), (pending, appointments));
        assert_eq!(self.boards.len(), self.check_boards());
    }

    /// Asserts that every board shows what its session has, and says how many sessions there are.
    fn check_boards(&self) -> usize {
        let mut sessions = 0;
        for index in 0..SHARD_COUNT {
            for state in self.sessions.lock(index).state.sessions() {
                sessions += 1;
                let board = self.boards.get(&state.spec().id).expect("a session has a board");
                assert!(Arc::ptr_eq(&board, state.places()));
                let free = state.cells().map(|(slot, pool, _)| u64::from(state.free(slot, pool)));
                assert_eq!(board.all_free(), free.sum::<u64>(), "{state:?}");
            }
        }
        sessions
    }
}

const START: Timestamp = MORNING;
