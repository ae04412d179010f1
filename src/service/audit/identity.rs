//! The account of people with several keys: what one key had belongs to the other, once.
//!
//! **Architecture invariant:** what the older key had is worked out here from the appointments and the
//! waitlists of the account, and compared with what the fact says.

use super::{Account, AuditReport};
use crate::model::{Estate, PatientId, PatientsMerged, Sequence, Timestamp};

impl Account {
    /// The key under which somebody is kept.
    pub(super) fn person(&self, key: PatientId) -> PatientId {
        self.persons.get(&key).copied().unwrap_or(key)
    }

    pub(super) fn merge(
        &mut self,
        report: &mut AuditReport,
        (sequence, time): (Sequence, Timestamp),
        fact: &PatientsMerged,
    ) {
        let PatientsMerged { from, into, .. } = *fact;
        if from == into || self.persons.contains_key(&from) || self.persons.contains_key(&into) {
            report.fault(sequence, "two keys are merged that are of one person already");
        }
        let mut keys: Vec<_> = self.keys_of(from);
        let mut said = fact.keys.clone();
        keys.sort_unstable();
        said.sort_unstable();
        let mut estate = fact.estate.clone();
        estate.waits.sort_by_key(|(entry, _)| entry.entry);
        let mut own = self.estate(from);
        // A snapshot of a version that kept no histories did not say when they were made.
        for (line, said) in own.live.iter_mut().zip(&estate.live) {
            if said.since == Timestamp::default() {
                line.since = said.since;
            }
        }
        if keys != said || own != estate {
            report.fault(sequence, "a key is merged with other things than it had");
        }
        for key in keys.into_iter().chain([from]) {
            self.persons.insert(key, into);
        }
        self.hand_over(from, into);
        self.conduct.cooling.hand_over((sequence, time), from, into);
        self.ties.merge(from);
    }

    fn keys_of(&self, person: PatientId) -> Vec<PatientId> {
        let own = self.persons.iter().filter(|(_, other)| **other == person);
        own.map(|(key, _)| *key).collect()
    }

    fn hand_over(&mut self, from: PatientId, into: PatientId) {
        let moved: Vec<_> = self.waits.keys().filter(|(who, _)| *who == from).copied().collect();
        for key in moved {
            if let Some((mut entry, offer)) = self.waits.remove(&key) {
                entry.patient = into;
                self.waits.insert((into, key.1), (entry, offer));
            }
        }
        self.conduct.hand_over(from, into);
        self.histories.hand_over(from, into);
    }

    fn estate(&self, patient: PatientId) -> Estate {
        let own = self.appointments.values().filter(|it| self.person(it.patient) == patient);
        let live = own.filter(|it| it.status.is_live());
        let mut live: Vec<_> = live
            .flat_map(|it| it.claims.iter().map(|claim| self.histories.line(it.id, claim)))
            .collect();
        live.sort_unstable();
        let mut waits: Vec<_> = self.waits.values().cloned().collect();
        waits.retain(|(entry, _)| entry.patient == patient);
        waits.sort_by_key(|(entry, _)| entry.entry);
        let (strikes, restrictions) = self.conduct.kept(patient);
        Estate { live, waits, strikes, restrictions, past: self.histories.of(patient) }
    }
}
