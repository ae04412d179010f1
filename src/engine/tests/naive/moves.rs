//! Moving appointments, as simply as it can be said.

use super::{Naive, is_live, lowest, shape_of, told};
use crate::model::{
    Actor, Appointment, AppointmentStatus, Claims, Outcome, Receipt, Refusal, Repeat, Reschedule,
    Role, Sharing,
};

impl Naive {
    pub(super) fn reschedule(
        &mut self,
        actor: &Actor,
        ask: &Reschedule,
    ) -> Result<Receipt, Refusal> {
        lowest(&shape_of(&ask.claims))?;
        let found = self.appointment(ask.appointment);
        let same = |other: &&Reschedule| {
            (other.request, other.appointment, &other.claims)
                == (ask.request, ask.appointment, &ask.claims)
        };
        if let (Some(_), Some(index)) = (self.moved.iter().find(same), found) {
            return Ok(told(&self.appointments[index], true));
        }
        if self.is_used(ask.request) {
            return Err(Outcome::IdReused.into());
        }
        let Some(index) = found else { return Err(Outcome::AppointmentNotFound.into()) };
        let appointment = &self.appointments[index];
        let mut strangers = Vec::new();
        if !actor.may_touch(appointment.organization) {
            strangers.push(Outcome::OrganizationNotPermitted);
        }
        if ask.patient.is_some_and(|patient| patient != appointment.patient) {
            strangers.push(Outcome::AppointmentNotFound);
        }
        let for_patients = matches!(actor.role, Role::Gateway | Role::Counter);
        let foreign = ask.channel != appointment.channel;
        if for_patients && foreign && appointment.sharing != Sharing::Cancel {
            strangers.push(Outcome::ChannelNotShared);
        }
        lowest(&strangers)?;

        let (claims, mut refusals) = self.find_all(actor, ask, index);
        let status = appointment.status;
        if status == AppointmentStatus::Pending && appointment.until <= self.now {
            refusals.push(Refusal::of_status(Outcome::HoldExpired, status));
        }
        let is_offer = self.entries.iter().any(|entry| entry.offer == Some(appointment.id));
        if !may_move(appointment) || is_offer {
            refusals.push(Refusal::of_status(Outcome::WrongStatus, status));
        }
        for claim in appointment.claims.iter().filter(|_| may_move(appointment)) {
            let session = self.session(claim.session).unwrap();
            if session.slot_start(claim.slot) <= self.now {
                refusals.push(Outcome::BookingClosed.into());
            }
            let most = session.terms.changes_max;
            if for_patients && most.is_some_and(|most| most <= self.changes[index]) {
                refusals.push(Refusal::of_status(Outcome::TooManyChanges, status));
            }
        }
        if let Some(lowest) = refusals.iter().min_by_key(|refusal| refusal.outcome) {
            return Err(*lowest);
        }

        let sessions: Vec<_> =
            claims.iter().map(|claim| self.session(claim.session).unwrap()).collect();
        let organization = sessions[0].organization;
        let sharing = sessions.iter().map(|session| session.sharing).min().unwrap();
        let appointment = &mut self.appointments[index];
        (appointment.organization, appointment.sharing) = (organization, sharing);
        appointment.claims = claims;
        self.changes[index] += 1;
        self.moved.push(ask.clone());
        Ok(told(&self.appointments[index], false))
    }

    /// The places for every wish of a move, and why not.
    fn find_all(&self, actor: &Actor, ask: &Reschedule, index: usize) -> (Claims, Vec<Refusal>) {
        let leaving = &self.appointments[index];
        let who = (ask.channel, leaving.class);
        let (mut claims, mut refusals) = (Claims::new(), Vec::new());
        for wish in &ask.claims {
            match self.find(actor, who, wish, may_move(leaving).then_some(leaving.id)) {
                Ok(claim) => claims.push(claim),
                Err(refusal) => refusals.push(refusal),
            }
            let once = self
                .session(wish.session)
                .is_some_and(|session| session.repeat == Repeat::OnePerPatient);
            let others = self.appointments.iter().filter(|other| other.id != leaving.id);
            let mut others = others.filter(|other| other.patient == leaving.patient);
            let is_there = others.any(|other| {
                is_live(other) && other.claims.iter().any(|claim| claim.session == wish.session)
            });
            if once && is_there {
                refusals.push(Outcome::AlreadyHasAppointment.into());
            }
        }
        (claims, refusals)
    }

    /// How often appointments were moved, by id: those that were.
    pub(in crate::engine::tests) fn moves(&self) -> Vec<(crate::model::AppointmentId, u8)> {
        let all = self.appointments.iter().zip(&self.changes);
        let mut moves: Vec<_> = all.map(|(one, changes)| (one.id, *changes)).collect();
        moves.retain(|(_, changes)| 0 < *changes);
        moves.sort_unstable();
        moves
    }
}

fn may_move(appointment: &Appointment) -> bool {
    matches!(appointment.status, AppointmentStatus::Pending | AppointmentStatus::Booked)
}
