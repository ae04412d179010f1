//! Moving appointments, as simply as it can be said.

use super::disruption::is_displaced;
use super::{Found, Naive, is_live, lowest, shape_of, told};
use crate::model::{
    Actor, Appointment, AppointmentStatus, Cause, Claims, ClientKeys, Outcome, Receipt, Refusal,
    Repeat, Reschedule, Role, Sharing,
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
        let is_lost = is_displaced(appointment);
        for claim in appointment.claims.iter().filter(|_| may_move(appointment) && !is_lost) {
            let session = self.session(claim.session).unwrap();
            if session.slot_start(claim.slot) <= self.now {
                refusals.push(Outcome::BookingClosed.into());
            }
            let most = session.terms.changes_max;
            if for_patients && most.is_some_and(|most| most <= self.changes[index]) {
                refusals.push(Refusal::of_status(Outcome::TooManyChanges, status));
            }
        }
        let late = self.leave_late(actor, appointment, ask.channel);
        refusals.extend(late.as_ref().err());
        if let Some(lowest) = refusals.iter().min_by_key(|refusal| refusal.outcome) {
            return Err(*lowest);
        }
        let is_late = late.unwrap_or_default();

        let offer = self.offer_of(index);
        let mut but = vec![self.appointments[index].id];
        but.extend(offer.map(|offer| self.appointments[offer].id));
        let wanted = super::limits::Wanted {
            patient: self.appointments[index].patient,
            class: self.appointments[index].class,
            attributes: crate::model::Attributes::default(),
            but: &but,
        };
        let asked: Vec<_> = ask.claims.iter().map(|wish| wish.session).collect();
        let more = self.one_more(&self.appointments[index], &asked, &but).filter(|_| !is_lost);
        if let Some(refusal) = more.or_else(|| self.beyond_limits(&wanted, &claims)) {
            return Err(refusal);
        }
        let left: Vec<_> = self.appointments[index].claims.iter().map(|it| it.session).collect();
        let moved = &self.appointments[index];
        let (account, phone) = (moved.account, self.known_phone(moved.id));
        let keys = ClientKeys { account, phone, ..ClientKeys::default() };
        let cooling = self.cooling((moved.patient, &keys), &left, &asked).filter(|_| !is_lost);
        if let Some(refusal) = cooling {
            return Err(refusal);
        }
        let sessions: Vec<_> =
            claims.iter().map(|claim| self.session(claim.session).unwrap()).collect();
        let organization = sessions[0].organization;
        let sharing = sessions.iter().map(|session| session.sharing).min().unwrap();
        if !is_lost {
            let left = self.appointments[index].claims.clone();
            self.free_but(&left, &claims);
        }
        let appointment = &mut self.appointments[index];
        (appointment.organization, appointment.sharing) = (organization, sharing);
        appointment.claims = claims;
        if is_lost {
            (appointment.cause, appointment.until) = (Cause::None, self.now);
        } else {
            self.changes[index] += 1;
        }
        if let Some(offer) = offer {
            let offer = &mut self.appointments[offer];
            offer.status = AppointmentStatus::Cancelled;
            (offer.cause, offer.until) = (Cause::Released, self.now);
        }
        self.history.made[index].1 = false;
        self.billing.late.extend(is_late.then_some(ask.appointment));
        self.moved.push(ask.clone());
        Ok(told(&self.appointments[index], false))
    }

    /// The hold that a displaced appointment was offered, while it stands.
    fn offer_of(&self, index: usize) -> Option<usize> {
        let offer = self.appointment(self.appointments[index].offer_id()?)?;
        let hold = &self.appointments[offer];
        let stands = hold.status == AppointmentStatus::Pending && self.now < hold.until;
        let is_offer = hold.cause == Cause::Displaced;
        (stands && is_offer && hold.patient == self.appointments[index].patient).then_some(offer)
    }

    /// The places for every wish of a move, and why not.
    fn find_all(&self, actor: &Actor, ask: &Reschedule, index: usize) -> (Claims, Vec<Refusal>) {
        let leaving = &self.appointments[index];
        let offer = self.offer_of(index).map(|offer| self.appointments[offer].id);
        let who = (ask.channel, leaving.class);
        let (mut claims, mut refusals) = (Claims::new(), Vec::new());
        for wish in &ask.claims {
            let left = offer.unwrap_or(leaving.id);
            match self.find(actor, who, wish, may_move(leaving).then_some(left)) {
                Ok(Found::Claim(claim)) => claims.push(claim),
                Ok(Found::Entry(draw)) => refusals.push(self.until_drawn(draw)),
                Err(refusal) => refusals.push(refusal),
            }
            let once = self
                .session(wish.session)
                .is_some_and(|session| session.repeat == Repeat::OnePerPatient);
            let others = self
                .appointments
                .iter()
                .filter(|other| other.id != leaving.id && Some(other.id) != offer);
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
    pub(crate) fn moves(&self) -> Vec<(crate::model::AppointmentId, u8)> {
        let all = self.appointments.iter().zip(&self.changes);
        let mut moves: Vec<_> = all.map(|(one, changes)| (one.id, *changes)).collect();
        moves.retain(|(_, changes)| 0 < *changes);
        moves.sort_unstable();
        moves
    }
}

fn may_move(appointment: &Appointment) -> bool {
    appointment.status == AppointmentStatus::Booked
        || appointment.status == AppointmentStatus::Pending && appointment.cause != Cause::Displaced
}
