//! The ledgers, and which of them a key of a patient leads to.
//!
//! ```text
//! key -> was any merged at all? (one number) -> the person's key -> lock its ledger -> still theirs?
//! ```
//!
//! **Architecture invariant:** derived from the ledgers. A key gets another person only while the ledgers
//! of both are locked, so what is found under the lock of a person's ledger stays true.

use std::ops::{Deref, DerefMut};

use dashmap::DashMap;
use foldhash::fast::FixedState;

use super::shards::{Guard, SHARD_COUNT, Shards, route};
use crate::engine::LedgerShard;
use crate::model::{PatientId, PatientsMerged};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The ledgers of a node.
#[derive(Debug)]
pub(super) struct Ledgers {
    shards: Shards<LedgerShard>,
    /// Keys that were merged: while there are none nobody looks further.
    count: AtomicU64,
    persons: DashMap<PatientId, PatientId, FixedState>,
}

impl Ledgers {
    pub(super) fn new(seed: u64) -> Self {
        let (hasher, first) = (FixedState::with_seed(seed), LedgerShard::new(seed));
        Self {
            shards: Shards::new(|| first.beside()),
            count: AtomicU64::new(0),
            persons: DashMap::with_hasher_and_shard_amount(hasher, 64),
        }
    }

    /// The key under which a person is kept now.
    pub(super) fn person(&self, key: PatientId) -> PatientId {
        if self.count.load(Ordering::Acquire) == 0 {
            return key;
        }
        self.persons.get(&key).map_or(key, |person| *person)
    }

    /// Locks the ledger in which a person is kept, and says under which key.
    pub(super) fn lock_person(&self, key: PatientId) -> (Guard<'_, LedgerShard>, PatientId) {
        loop {
            let person = self.person(key);
            let guard = self.shards.lock(route(person.0));
            // It may have been merged before the lock was got.
            if self.person(person) == person {
                return (guard, person);
            }
        }
    }

    /// Notes that keys are of another person, while the ledgers of both are locked.
    pub(super) fn note(&self, fact: &PatientsMerged) {
        for key in fact.keys.iter().chain([&fact.from]) {
            self.persons.insert(*key, fact.into);
        }
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Notes what the ledgers know, before anything is served.
    ///
    /// # Panics
    ///
    /// Panics if a key is of two people, or of somebody who is another person's key: no ledger sees that
    /// alone.
    pub(super) fn rebuild(&mut self) {
        for index in 0..SHARD_COUNT {
            for (person, key) in self.shards.only(index).state.all_keys() {
                let before = self.persons.insert(key, person);
                assert!(before.is_none(), "an impossible fact: key {:032x} is merged twice", key.0);
                self.count.fetch_add(1, Ordering::Release);
            }
        }
        let people: Vec<PatientId> = self.persons.iter().map(|of| *of.value()).collect();
        for person in people {
            let is_key = self.persons.contains_key(&person);
            assert!(!is_key, "an impossible fact: key {:032x} was merged before", person.0);
        }
    }
}

impl Deref for Ledgers {
    type Target = Shards<LedgerShard>;

    fn deref(&self) -> &Self::Target {
        &self.shards
    }
}

impl DerefMut for Ledgers {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.shards
    }
}
