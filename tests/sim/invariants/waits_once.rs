//! Who waits has one entry for a session and one offer in its life, and an offer ends with its entry.

use std::collections::BTreeMap;

use haoyuan::model::{AppointmentId, Fact, PatientId, RequestId, SessionId};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct WaitsOnce {
    entries: BTreeMap<RequestId, Entry>,
    /// Offers that were made, pending or over.
    offers: BTreeMap<AppointmentId, RequestId>,
}

struct Entry {
    patient: PatientId,
    targets: Vec<SessionId>,
    offer: Option<AppointmentId>,
}

impl Invariant for WaitsOnce {
    fn name(&self) -> &'static str {
        "waits_once"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        record.facts.iter().try_for_each(|fact| self.see_fact(fact))?;
        // Whatever ends an offer, or books it, ends the entry in the same record.
        let over = |fact: &Fact| matches!(fact, Fact::Booked(_)) || fact.ended().is_some();
        for id in record.facts.iter().filter(|fact| over(fact)).filter_map(Fact::appointment) {
            let entry = self.offers.get(&id).and_then(|entry| self.entries.get(entry));
            ensure(entry.is_none(), || format!("the offer {:x} is over, its entry waits", id.0))?;
        }
        Ok(())
    }
}

impl WaitsOnce {
    fn see_fact(&mut self, fact: &Fact) -> Result<(), String> {
        if let Fact::WaitJoined(joined) = fact {
            let (id, patient) = (joined.entry.entry, joined.entry.patient);
            let targets = joined.targets.to_vec();
            let of_patient = self.entries.values().filter(|entry| entry.patient == patient);
            let mut waited_for = of_patient.flat_map(|entry| &entry.targets);
            let again = waited_for.any(|session| targets.contains(session));
            ensure(!again, || format!("patient {} waits twice for one session", patient.0))?;
            self.entries.insert(id, Entry { patient, targets, offer: None });
        }
        if let Fact::PatientsMerged(merged) = fact {
            let own = self.entries.values_mut().filter(|entry| entry.patient == merged.from);
            own.for_each(|entry| entry.patient = merged.into);
        }
        if let Fact::PlaceOffered(offered) = fact {
            let (held, what) = (&offered.held, || format!("the offer {offered:?}"));
            let entry = self.entries.get_mut(&offered.entry).ok_or_else(what)?;
            let [claim] = held.claims.as_slice() else { return Err(what()) };
            let is_for = entry.patient == held.patient && entry.targets.contains(&claim.session);
            ensure(is_for && entry.offer.is_none(), what)?;
            entry.offer = Some(held.appointment);
            let earlier = self.offers.insert(held.appointment, offered.entry);
            ensure(earlier.is_none(), what)?;
        }
        if let Fact::WaitLeft(left) = fact {
            let what = || format!("{left:?}");
            let entry = self.entries.get_mut(&left.entry).ok_or_else(what)?;
            let before = entry.targets.len();
            entry.targets.retain(|session| !left.targets.contains(session));
            ensure(entry.targets.len() + left.targets.len() == before, what)?;
            if entry.targets.is_empty() {
                self.entries.remove(&left.entry);
            }
        }
        Ok(())
    }
}
