//! A patient has one live appointment in a session, where the session allows no more.

use std::collections::BTreeMap;

use haoyuan::model::{AppointmentId, Fact, PatientId, Repeat, SessionId};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct OneLive {
    live: BTreeMap<(PatientId, SessionId), Vec<AppointmentId>>,
}

impl Invariant for OneLive {
    fn name(&self) -> &'static str {
        "one_live_appointment_per_patient_and_session"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            let id = fact.appointment();
            match fact {
                Fact::Held(_) | Fact::Offered(_) | Fact::PlaceOffered(_) | Fact::PlaceAdded(_) => {
                    let (Some(id), Some(patient)) = (id, fact.patient()) else { continue };
                    for claim in fact.taken() {
                        let live = self.live.entry((patient, claim.session)).or_default();
                        live.push(id);
                        let session = history.sessions.get(&claim.session);
                        let once = session.is_some_and(|s| s.repeat == Repeat::OnePerPatient);
                        ensure(!once || live.len() == 1, || {
                            format!("patient {} has {live:x?} in {:?}", patient.0, claim.session)
                        })?;
                    }
                }
                // An entry of a draw counts, until it ends without a place.
                Fact::Entered(entered) => {
                    let key = (entered.patient, entered.draw.session);
                    let live = self.live.entry(key).or_default();
                    live.push(entered.appointment);
                    ensure(live.len() == 1, || format!("{live:x?} with an entry"))?;
                }
                Fact::Rescheduled(moved) => {
                    let id = moved.appointment;
                    self.live.values_mut().for_each(|live| live.retain(|live| *live != id));
                    for claim in &moved.to {
                        let live = self.live.entry((moved.patient, claim.session)).or_default();
                        live.push(id);
                        let session = history.sessions.get(&claim.session);
                        let once = session.is_some_and(|s| s.repeat == Repeat::OnePerPatient);
                        ensure(!once || live.len() == 1, || format!("{live:x?} after a move"))?;
                    }
                }
                Fact::PatientNamed(named) => {
                    let id = named.appointment;
                    self.live.values_mut().for_each(|live| live.retain(|live| *live != id));
                    for claim in &named.claims {
                        let live = self.live.entry((named.patient, claim.session)).or_default();
                        live.push(id);
                        let session = history.sessions.get(&claim.session);
                        let once = session.is_some_and(|s| s.repeat == Repeat::OnePerPatient);
                        ensure(!once || live.len() == 1, || format!("{live:x?} named"))?;
                    }
                }
                // Two live appointments that a merge brings together stay, and no third one comes.
                Fact::PatientsMerged(merged) => {
                    let live = std::mem::take(&mut self.live);
                    for ((patient, session), ids) in live {
                        let patient = if patient == merged.from { merged.into } else { patient };
                        self.live.entry((patient, session)).or_default().extend(ids);
                    }
                }
                // Who was displaced has no place: an offer may lie in the same session.
                Fact::Ended(_)
                | Fact::Freed(_)
                | Fact::Settled(_)
                | Fact::Left(_)
                | Fact::EntryEnded(_)
                | Fact::Displaced(_) => {
                    self.live.values_mut().for_each(|live| live.retain(|live| Some(*live) != id));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
