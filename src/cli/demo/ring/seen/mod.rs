//! Who has the places, by the journal.
//!
//! ```text
//! Held, DrawWon, PlaceOffered: taken      Ended, Freed: freed
//!   '-- who cancelled it before: a hand-over, where both are the ring's
//! ```
//!
//! **Architecture invariant:** of those who took part only their keys are known here: when a clinic opens,
//! what it has and who got it is what the journal says.

mod clinic;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

pub(super) use self::clinic::Count;
use self::clinic::{Clinic, Live};
use super::Part;
use super::clinics::clinic_of;
use super::people::number_of;
use crate::model::{
    AppointmentId, Cause, Claim, Ended, Fact, PatientId, SessionId, SlotIndex, Timestamp,
};

/// What the journal says of the clinics of the scene.
#[derive(Debug)]
pub(in crate::cli::demo) struct Seen {
    /// From this number on people are the ring's.
    first_of_ring: u32,
    clinics: BTreeMap<(Part, u16), Clinic>,
    /// In which clinic an appointment is.
    homes: HashMap<AppointmentId, (Part, u16), foldhash::fast::FixedState>,
}

impl Seen {
    /// Nothing yet. People from a number on are the ring's.
    pub(in crate::cli::demo) fn new(played: &super::Played) -> Self {
        Self::of(played.population.honest.count)
    }

    fn of(first_of_ring: u32) -> Self {
        Self { first_of_ring, clinics: BTreeMap::new(), homes: HashMap::default() }
    }

    /// Takes the next fact.
    pub(in crate::cli::demo) fn add(&mut self, time: Timestamp, fact: &Fact) {
        match fact {
            Fact::SessionOpened(opened) => {
                if let Some(clinic) = clinic_of(opened.session.id) {
                    self.clinics.insert(clinic, Clinic::of(&opened.session));
                }
            }
            Fact::Entered(entered) => {
                self.begin(time, entered.appointment, entered.patient, entered.draw.session, None);
            }
            Fact::Held(held) => {
                for claim in &held.claims {
                    let slot = Some(claim.slot);
                    self.is_handed_over(held.patient, claim);
                    self.begin(time, held.appointment, held.patient, claim.session, slot);
                }
            }
            Fact::PlaceOffered(offered) => {
                let held = &offered.held;
                for claim in &held.claims {
                    if let Some(clinic) = self.clinic(claim.session) {
                        clinic.last_freed(claim.slot);
                        number_of(held.patient).map(|person| clinic.waiting.remove(&person));
                    }
                    let slot = Some(claim.slot);
                    self.begin(time, held.appointment, held.patient, claim.session, slot);
                }
            }
            Fact::DrawWon(won) => {
                if let Some(clinic) = self.clinic(won.claim.session) {
                    clinic.win(time, won.appointment, won.claim.slot);
                }
            }
            Fact::Booked(booked) => {
                let live = self
                    .home(booked.appointment)
                    .and_then(|clinic| clinic.live.get_mut(&booked.appointment));
                if let Some(live) = live {
                    live.is_booked = true;
                }
            }
            Fact::Ended(ended) => self.end(ended),
            Fact::Freed(freed) => self.end(&freed.ended),
            Fact::EntryEnded(ended) => {
                if let Some(clinic) = self.clinic(ended.draw.session) {
                    clinic.live.remove(&ended.appointment);
                }
            }
            Fact::WaitJoined(joined) => {
                self.wait(&joined.targets, joined.entry.patient, |waiting, person| {
                    waiting.insert(person)
                });
            }
            Fact::WaitLeft(left) => {
                self.wait(&left.targets, left.patient, |waiting, person| waiting.remove(&person));
            }
            _ => {}
        }
    }

    fn clinic(&mut self, session: SessionId) -> Option<&mut Clinic> {
        self.clinics.get_mut(&clinic_of(session)?)
    }

    fn home(&mut self, appointment: AppointmentId) -> Option<&mut Clinic> {
        self.clinics.get_mut(self.homes.get(&appointment)?)
    }

    fn begin(
        &mut self,
        time: Timestamp,
        id: AppointmentId,
        patient: PatientId,
        session: SessionId,
        slot: Option<SlotIndex>,
    ) {
        let (Some(home), Some(person)) = (clinic_of(session), number_of(patient)) else { return };
        let Some(clinic) = self.clinics.get_mut(&home) else { return };
        self.homes.insert(id, home);
        let ring = usize::from(self.first_of_ring <= person);
        clinic.count.early += u32::from(time < clinic.opens);
        let has_another = clinic.live.values().any(|live| live.person == person);
        let enters_again = slot.is_none() && !clinic.entered.insert(person);
        clinic.count.second += u32::from(has_another || enters_again);
        match slot {
            Some(slot) => clinic.take(slot),
            None => clinic.count.entries[ring] += 1,
        }
        clinic.live.insert(id, Live { person, slot, is_booked: false });
    }

    fn end(&mut self, ended: &Ended) {
        let Some(clinic) = self.home(ended.appointment) else { return };
        let Some(Live { person, slot: Some(slot), .. }) = clinic.live.remove(&ended.appointment)
        else {
            return;
        };
        let taken = clinic.taken.entry(slot).or_default();
        *taken = taken.saturating_sub(1);
        let seller = (ended.cause == Cause::Cancelled).then_some(person);
        clinic.freed.entry(slot).or_default().push_back(seller);
    }

    /// Somebody takes by asking what may have been freed for them.
    fn is_handed_over(&mut self, patient: PatientId, claim: &Claim) {
        let first_of_ring = self.first_of_ring;
        let is_ring = |person: u32| first_of_ring <= person;
        let Some(clinic) = self.clinic(claim.session) else { return };
        let before = clinic.last_freed(claim.slot);
        if before.is_some_and(is_ring) && number_of(patient).is_some_and(is_ring) {
            let somebody_waits = clinic.waiting.iter().any(|person| !is_ring(*person));
            clinic.count.handovers += 1;
            clinic.count.handovers_past += u32::from(somebody_waits);
        }
    }

    fn wait(
        &mut self,
        targets: &[SessionId],
        patient: PatientId,
        change: impl Fn(&mut BTreeSet<u32>, u32) -> bool,
    ) {
        let Some(person) = number_of(patient) else { return };
        for session in targets {
            if let Some(clinic) = self.clinic(*session) {
                change(&mut clinic.waiting, person);
            }
        }
    }

    /// What the clinics of a part came to.
    pub(super) fn count(&self, part: Part) -> Count {
        let clinics = self.clinics.iter().filter(|((of, _), _)| *of == part);
        clinics
            .fold(Count::default(), |all, (_, clinic)| all.plus(&clinic.closed(self.first_of_ring)))
    }
}

#[cfg(test)]
mod tests;
