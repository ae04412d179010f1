//! What is kept of how patients behaved: strikes, and what followed from them.
//!
//! **Architecture invariant:** a record only grows, so that what held at an instant can be told later:
//! a restriction is never taken away, but ends.

use std::collections::BTreeMap;

use crate::model::{Day, Fact, PatientId, Restriction, Strike, Timestamp};

/// The record of one patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientRecord {
    /// Strikes, in the order in which they were counted.
    pub strikes: Vec<KeptStrike>,
    /// Restrictions, in the order in which they were made.
    pub restrictions: Vec<Restriction>,
}

/// A strike, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptStrike {
    /// The strike.
    pub strike: Strike,
    /// Whether a restriction used it up.
    pub is_used: bool,
    /// Whether a visit took place after it, which ends a row.
    pub is_over: bool,
}

/// The records of the patients of a shard. Few patients have one.
#[derive(Debug, Default)]
pub(super) struct Records {
    patients: BTreeMap<PatientId, PatientRecord>,
}

impl PatientRecord {
    /// The restrictions that hold at an instant.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = &Restriction> {
        self.restrictions.iter().filter(move |restriction| restriction.is_active(now))
    }
}

impl Records {
    pub(super) fn evolve(&mut self, fact: &Fact) {
        if let Fact::Struck(struck) = fact {
            let record = self.patients.entry(struck.patient).or_default();
            let strike = KeptStrike { strike: struck.strike, is_used: false, is_over: false };
            record.strikes.push(strike);
            let Some(restriction) = struck.restriction else { return };
            record.restrictions.push(restriction);
            if struck.is_used_up {
                record.use_up(&restriction, struck.strike.day);
            }
        }
    }

    /// Notes that a visit took place.
    pub(super) fn end_row(&mut self, patient: PatientId) {
        let record = self.patients.get_mut(&patient);
        let strikes = record.into_iter().flat_map(|record| &mut record.strikes);
        strikes.for_each(|kept| kept.is_over = true);
    }

    pub(super) fn of(&self, patient: PatientId) -> Option<&PatientRecord> {
        self.patients.get(&patient)
    }

    /// Every record, by patient.
    pub(super) fn all(&self) -> impl Iterator<Item = (PatientId, &PatientRecord)> {
        self.patients.iter().map(|(patient, record)| (*patient, record))
    }

    /// Puts a record in, as a snapshot brings it.
    pub(super) fn insert(&mut self, patient: PatientId, record: PatientRecord) {
        self.patients.insert(patient, record);
    }
}

impl PatientRecord {
    /// Marks the strikes that led to a restriction.
    fn use_up(&mut self, restriction: &Restriction, newest: Day) {
        for kept in &mut self.strikes {
            let days = restriction.since..=newest;
            if restriction.within.contains(&kept.strike.place) && days.contains(&kept.strike.day) {
                kept.is_used = true;
            }
        }
    }
}
