//! The pipeline on a journal in memory, and on real folders where the node is built.
//!
//! **Architecture invariant:** nothing here waits for a time: a store that must stand still is held
//! by the test, and the clock is an argument.

mod answers;
mod attendance;
#[cfg(feature = "node")]
mod billing;
#[cfg(feature = "node")]
mod cooldown;
mod crash;
mod digests;
mod disruption;
#[cfg(feature = "node")]
mod draws;
mod explain;
#[cfg(feature = "node")]
mod folder;
#[cfg(feature = "node")]
mod images;
#[cfg(feature = "node")]
mod late;
#[cfg(feature = "node")]
mod persons;
#[cfg(feature = "node")]
mod probing;
#[cfg(feature = "node")]
mod restrictions;
mod shadow;
#[cfg(feature = "node")]
mod under;
mod upkeep;
mod waitlist;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Limits, Service};
use crate::codec::decode_facts;
use crate::engine::tests::build::{self, DAY, MORNING};
use crate::inventory::Inventory;
use crate::journal::{
    Journal, JournalConfig, MemoryImage, MemoryMedium, MemoryStore, OnFatal, Store, Tail,
};
use crate::model::{
    Action, Actor, Answer, Change, Command, Facts, Hold, Outcome, PaymentRef, Receipt, Role,
    Sequence, Session, Timestamp,
};

/// A service, and what is under its journal.
struct Node {
    service: Service,
    medium: MemoryMedium,
    /// How often the journal said that it cannot go on.
    fatal: Arc<AtomicU64>,
    actor: Actor,
    now: Timestamp,
}

impl Node {
    fn new() -> Self {
        Self::with(JournalConfig::default(), Limits::default())
    }

    fn with(config: JournalConfig, limits: Limits) -> Self {
        let medium = MemoryMedium::default();
        let store = MemoryStore::new(&medium);
        let inventory = Inventory::new(1, limits.retention_millis);
        Self::on(store, Tail::default(), inventory, config, limits)
    }

    fn on(
        store: MemoryStore,
        tail: Tail,
        inventory: Inventory,
        config: JournalConfig,
        limits: Limits,
    ) -> Self {
        let (medium, fatal) = (store.medium(), Arc::new(AtomicU64::new(0)));
        let seen = Arc::clone(&fatal);
        let on_fatal: OnFatal = Arc::new(move |_| _ = seen.fetch_add(1, Ordering::SeqCst));
        let journal = Journal::start(Box::new(store), tail, config, on_fatal);
        let service = Service::new(inventory, journal, limits);
        Self { service, medium, fatal, actor: Actor::unbounded(Role::Gateway), now: MORNING }
    }

    /// What a start makes of what a crash left.
    fn recovered(image: &MemoryImage) -> Self {
        let (store, tail, _) = MemoryStore::reopen(image).unwrap();
        let page = store.reader().read(Sequence(1), tail.last_sequence(), usize::MAX).unwrap();
        let mut inventory = Inventory::new(2, DAY);
        for (sequence, time, bytes) in page.records() {
            inventory.replay(sequence, time, &decode_facts(bytes).unwrap());
        }
        inventory.rebuild();
        Self::on(store, tail, inventory, JournalConfig::default(), Limits::default())
    }

    fn open(&self, session: Session) -> Sequence {
        let command = Command::OpenSession(build::open(session).into());
        let answer = self.service.call(self.now, &Actor::unbounded(Role::Admin), &command);
        answer.result.unwrap();
        answer.after
    }

    fn hold(&self, hold: &Hold) -> Answer<Receipt> {
        self.service.call(self.now, &self.actor, &Command::Hold(hold.clone()))
    }

    /// Holds one place for a patient with the same number.
    fn hold_any(&self, id: u128, session: u64) -> Answer<Receipt> {
        self.hold(&build::hold(id, id, [build::any(session)]))
    }

    fn change(&self, change: &Change) -> Answer<Receipt> {
        self.service.call(self.now, &self.actor, &Command::Change(*change))
    }

    fn book(&self, id: u128) -> Answer<Receipt> {
        self.change(&build::change(4 << 40 | id, id, Action::Book { payment: PaymentRef(id) }))
    }

    fn release(&self, id: u128) -> Answer<Receipt> {
        self.change(&build::change(2 << 40 | id, id, Action::Release))
    }

    fn later(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }

    fn commit(&self) {
        self.service.wait_durable(self.service.journal().appended()).unwrap();
    }

    /// Every durable record.
    fn records(&self) -> Vec<(Sequence, Timestamp, Facts)> {
        let (mut records, mut next) = (Vec::new(), Sequence(1));
        while next <= self.service.durable() {
            let page = self.service.journal().read(next, 1 << 20).unwrap();
            records
                .extend(page.records().map(|(s, t, bytes)| (s, t, decode_facts(bytes).unwrap())));
            next = page.next();
        }
        records
    }
}

impl Drop for Node {
    /// The journal closes only when the store goes on, even where a test failed.
    fn drop(&mut self) {
        self.medium.resume();
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: &Answer<T>) -> Outcome {
    answer.result.as_ref().unwrap_err().outcome
}
