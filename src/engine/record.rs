//! What is kept of how patients behaved: strikes, and what followed from them.
//!
//! **Architecture invariant:** a record only grows, so that what held at an instant can be told later:
//! a restriction is never taken away, but ends.

use std::collections::BTreeMap;

use crate::model::{
    Amended, KeptRestriction, PatientId, Restricted, Restriction, RestrictionId, Strike, Timestamp,
};

/// The record of one patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientRecord {
    /// Strikes, by day and place.
    pub strikes: Vec<KeptStrike>,
    /// Restrictions, in the order in which they were made.
    pub restrictions: Vec<KeptRestriction>,
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

/// The restrictions of the patients of a shard. Few patients have one.
#[derive(Debug, Default)]
pub(super) struct Records {
    patients: BTreeMap<PatientId, Vec<KeptRestriction>>,
}

/// Those of some restrictions that hold at an instant.
pub fn active(
    restrictions: &[KeptRestriction],
    now: Timestamp,
) -> impl Iterator<Item = &Restriction> {
    let holding = restrictions.iter().filter(move |kept| kept.holds(now));
    holding.map(|kept| &kept.restriction)
}

impl Records {
    pub(super) fn restrict(&mut self, made: &Restricted) {
        let restriction = KeptRestriction {
            id: RestrictionId(made.request.0),
            restriction: made.restriction,
            ground: Some(made.ground),
            steps: Vec::new(),
        };
        self.append(made.patient, &[restriction]);
    }

    pub(super) fn amend(&mut self, amended: &Amended) {
        let mut all = self.patients.get_mut(&amended.patient).into_iter().flatten();
        let kept = all.find(|kept| kept.id == amended.restriction);
        let id = amended.restriction.0;
        let kept = kept.unwrap_or_else(|| panic!("an impossible fact: no restriction {id:032x}"));
        kept.steps.push(amended.step);
    }

    pub(super) fn of(&self, patient: PatientId) -> &[KeptRestriction] {
        self.patients.get(&patient).map_or(&[], Vec::as_slice)
    }

    /// Every patient's, by patient.
    pub(super) fn all(&self) -> impl Iterator<Item = (PatientId, &[KeptRestriction])> {
        self.patients.iter().map(|(patient, made)| (*patient, made.as_slice()))
    }

    /// Puts restrictions behind those of a patient, as a fact or a snapshot brings them.
    pub(super) fn append(&mut self, patient: PatientId, restrictions: &[KeptRestriction]) {
        if !restrictions.is_empty() {
            self.patients.entry(patient).or_default().extend_from_slice(restrictions);
        }
    }

    pub(super) fn remove(&mut self, patient: PatientId) {
        self.patients.remove(&patient);
    }
}
