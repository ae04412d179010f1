//! What clients were told of appointments, and which of them they speak of next.

use haoyuan::model::{
    AccountId, Appointment, AppointmentId, AppointmentStatus, BookingChannel, Claim, Command,
    Outcome, PatientId, Reading, Receipt, SessionId,
};

use super::Traffic;
use crate::ask::{Ask, Body, Reply, Said};
use crate::random::Random;

/// An appointment that some client was told of.
pub(crate) struct Known {
    pub(crate) id: AppointmentId,
    pub(crate) patient: PatientId,
    /// Who asked for it.
    pub(crate) account: Option<AccountId>,
    pub(crate) channel: BookingChannel,
    pub(crate) status: AppointmentStatus,
    /// The sessions of its places.
    pub(super) sessions: Vec<SessionId>,
}

impl Traffic {
    /// A client reads an answer.
    pub(crate) fn learn(&mut self, ask: &Ask, reply: &Reply) {
        match &reply.result {
            Ok(Said::Receipt(receipt)) => {
                let pays = matches!(&ask.body, Body::Command(Command::Pay(_) | Command::Change(_)));
                if let (Some(id), true) = (receipt.appointment, pays) {
                    self.note_rebooked(ask, id, receipt);
                } else if let (Some(id), Some(status)) = (ask.appointment(), receipt.status) {
                    self.note(ask, id, status, &receipt.claims);
                }
            }
            Ok(Said::Reading(Reading::Appointment(found))) => self.note_found(found),
            Ok(Said::Reading(Reading::Appointments(found))) => {
                for found in found {
                    self.note_found(found);
                }
            }
            Err(refusal) if refusal.outcome == Outcome::SoldOut => {
                if let Body::Command(Command::Hold(hold)) = &ask.body {
                    self.full.extend(hold.claims.iter().map(|claim| claim.session));
                }
            }
            _ => {}
        }
    }

    fn note_found(&mut self, found: &Appointment) {
        if let Some(index) = self.by_id.get(&found.id) {
            self.known[*index].status = found.status;
            return;
        }
        // Somebody who waited finds an offer.
        let _none = self.by_id.insert(found.id, self.known.len());
        let Appointment { id, patient, account, channel, status, .. } = *found;
        let sessions = found.claims.iter().map(|claim| claim.session).collect();
        self.known.push(Known { id, patient, account, channel, status, sessions });
    }

    /// A payment that came too late booked the same place anew.
    fn note_rebooked(&mut self, ask: &Ask, id: AppointmentId, receipt: &Receipt) {
        let old = ask.appointment().and_then(|id| self.by_id.get(&id)).copied();
        let (Some(old), Some(status)) = (old, receipt.status) else { return };
        if self.by_id.contains_key(&id) {
            return;
        }
        self.known[old].status = AppointmentStatus::Cancelled;
        let _none = self.by_id.insert(id, self.known.len());
        let Known { patient, account, channel, .. } = self.known[old];
        let sessions = receipt.claims.iter().map(|claim| claim.session).collect();
        self.known.push(Known { id, patient, account, channel, status, sessions });
    }

    fn note(&mut self, ask: &Ask, id: AppointmentId, status: AppointmentStatus, claims: &[Claim]) {
        if let Some(index) = self.by_id.get(&id) {
            self.known[*index].status = status;
            if let Body::Command(Command::NamePatient(name)) = &ask.body {
                self.known[*index].patient = name.patient;
            }
        } else if let Body::Command(Command::AddPlace(add)) = &ask.body {
            let _none = self.by_id.insert(id, self.known.len());
            let (patient, channel, sessions) = (add.patient, add.channel, vec![add.session]);
            let account = None;
            self.known.push(Known { id, patient, account, channel, status, sessions });
        } else if let Body::Command(Command::Hold(hold)) | Body::Import(hold) = &ask.body {
            let _none = self.by_id.insert(id, self.known.len());
            let account = hold.keys.account;
            let holder = account.map(AccountId::holder);
            let patient = hold.patient.or(holder).unwrap_or_default();
            let channel = hold.channel;
            let sessions = claims.iter().map(|claim| claim.session).collect();
            self.known.push(Known { id, patient, account, channel, status, sessions });
        }
    }

    /// Mostly one of the latest, and mostly one that can still change.
    pub(crate) fn some_known(&self, random: &mut Random) -> Option<&Known> {
        let found = self.one_known(random)?;
        if found.status.is_live() || random.chance(200) {
            return Some(found);
        }
        let lives = |_| self.one_known(random).filter(|known| known.status.is_live());
        (0..6).find_map(lives).or(Some(found))
    }

    fn one_known(&self, random: &mut Random) -> Option<&Known> {
        let window = if random.chance(800) { 16 } else { self.known.len() };
        let back = random.index(window.min(self.known.len()).max(1));
        self.known.get(self.known.len().checked_sub(back + 1)?)
    }
}
