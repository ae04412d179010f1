//! What the patients of a ledger shard wait for: the entries themselves, of which sessions keep
//! references.
//!
//! **Architecture invariant:** an entry has one offer at most, and nobody who waits for a session joins
//! it again. (Two keys that are merged may have an entry each.) Two sessions that want to offer to the same patient meet here.

use std::collections::BTreeMap;

use crate::model::{
    AppointmentId, Fact, PatientId, PlaceOffered, RequestId, SessionId, WaitEntry, WaitLeft,
};

/// An entry, and the offer that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// What the patient waits for.
    pub entry: WaitEntry,
    /// The appointment that is offered.
    pub offer: Option<AppointmentId>,
}

/// The entries of the patients of a shard. Few patients wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    patients: BTreeMap<PatientId, Vec<Waits>>,
}

impl Waiting {
    pub(super) fn evolve(&mut self, fact: &Fact) {
        if let Fact::WaitJoined(joined) = fact {
            for target in &joined.entry.targets {
                let again = self
                    .of(joined.entry.patient)
                    .iter()
                    .any(|other| other.waits_for(target.session));
                let session = target.session;
                assert!(!again, "an impossible fact: a patient waits twice for {session:?}");
            }
            self.insert(Waits { entry: joined.entry.clone(), offer: None });
        } else if let Fact::PlaceOffered(offered) = fact {
            self.offer(offered);
        } else if let Fact::WaitLeft(left) = fact {
            self.leave(left);
        }
    }

    /// Puts an entry in, as a fact or a snapshot brings it.
    pub(super) fn insert(&mut self, waits: Waits) {
        let entries = self.patients.entry(waits.entry.patient).or_default();
        let id = waits.entry.entry;
        let again = entries.iter().any(|other| other.entry.entry == id);
        assert!(!again, "an impossible fact: {:032x} waits twice", id.0);
        entries.push(waits);
    }

    pub(super) fn remove(&mut self, patient: PatientId) {
        self.patients.remove(&patient);
    }

    /// The entries of a patient, in the order of joining.
    pub(super) fn of(&self, patient: PatientId) -> &[Waits] {
        self.patients.get(&patient).map_or(&[], Vec::as_slice)
    }

    /// Every entry, by patient.
    pub(super) fn all(&self) -> impl Iterator<Item = &Waits> {
        self.patients.values().flatten()
    }

    fn offer(&mut self, offered: &PlaceOffered) {
        let waits = self.entry(offered.held.patient, offered.entry);
        assert!(waits.offer.is_none(), "an impossible fact: {:032x} has an offer", offered.entry.0);
        assert!(
            offered.is_one_place() && waits.entry.sessions() == offered.targets,
            "an impossible fact: {:032x} is offered what it does not wait for",
            offered.entry.0
        );
        waits.offer = Some(offered.held.appointment);
    }

    fn leave(&mut self, left: &WaitLeft) {
        let waits = self.entry(left.patient, left.entry);
        waits.entry.targets.retain(|target| !left.targets.contains(&target.session));
        if waits.entry.targets.is_empty()
            && let Some(entries) = self.patients.get_mut(&left.patient)
        {
            entries.retain(|waits| waits.entry.entry != left.entry);
            if entries.is_empty() {
                self.patients.remove(&left.patient);
            }
        }
    }

    fn entry(&mut self, patient: PatientId, entry: RequestId) -> &mut Waits {
        let entries = self.patients.get_mut(&patient).into_iter().flatten();
        let mut found = entries.filter(|waits| waits.entry.entry == entry);
        found.next().unwrap_or_else(|| panic!("an impossible fact: {:032x} does not wait", entry.0))
    }
}

impl Waits {
    /// Whether the entry is for that session.
    pub fn waits_for(&self, session: SessionId) -> bool {
        self.entry.targets.iter().any(|target| target.session == session)
    }
}
