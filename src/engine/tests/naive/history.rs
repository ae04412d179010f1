//! What is kept of appointments that are over, and when those were made that are not.

use super::Naive;
use super::disruption::is_displaced;
use super::words::shape;
use crate::model::{
    Actor, Appointment, AppointmentId, AppointmentStatus, Cause, CivilTime, Claim, Day, Ending,
    HalfDay, Hold, Outcome, PatientId, Receipt, Refusal, Role, SlotIndex, Timestamp, Visit,
};

#[derive(Default)]
pub(in super::super) struct NaiveHistory {
    /// When each appointment was made, and whether it waited for a draw and has not moved since.
    pub(super) made: Vec<(Timestamp, bool)>,
    pub(in super::super) ended: Vec<NaiveEnded>,
}

/// An appointment that is over.
#[derive(Clone, Debug)]
pub(in super::super) struct NaiveEnded {
    pub(in super::super) patient: PatientId,
    pub(in super::super) ending: Ending,
    pub(in super::super) booked: Day,
    pub(in super::super) ended: Day,
    pub(in super::super) visits: Vec<Visit>,
}

impl Naive {
    /// A row of history.
    pub(in super::super) fn import(
        &mut self,
        hold: &Hold,
    ) -> Result<Result<Receipt, Outcome>, Refusal> {
        let hold = &self.hold_of_person(hold);
        shape(hold)?;
        let known = self.declined.iter().find(|(other, _)| other.appointment == hold.appointment);
        if let Some((other, outcome)) = known {
            let is_same = super::asks_the_same(other, hold);
            return if is_same { Ok(Err(*outcome)) } else { Err(Outcome::IdReused.into()) };
        }
        match self.hold(&Actor::unbounded(Role::Admin), hold) {
            Ok(receipt) => Ok(Ok(receipt)),
            Err(refusal) if refusal.outcome == Outcome::IdReused => Err(refusal),
            Err(Refusal { outcome, .. }) => {
                self.declined.push((hold.clone(), outcome));
                Ok(Err(outcome))
            }
        }
    }

    /// Ends the holds that are due, the earliest first.
    pub(in super::super) fn expire(&mut self) -> Vec<AppointmentId> {
        let now = self.now;
        let mut ended = Vec::new();
        let mut order: Vec<_> = (0..self.appointments.len()).collect();
        order.sort_by_key(|index| self.appointments[*index].until);
        for index in order {
            let is_kept = self.is_kept(index);
            let appointment = &mut self.appointments[index];
            if appointment.status == AppointmentStatus::Pending && appointment.until <= now {
                appointment.status = AppointmentStatus::Cancelled;
                appointment.cause = Cause::Expired;
                appointment.until = now;
                let ended_one = appointment.clone();
                let id = ended_one.id;
                ended.push(id);
                if is_kept {
                    self.keep_ended(&ended_one, index);
                    self.count_end(&ended_one);
                    self.cool(None, &ended_one);
                }
                self.free(index);
                self.end_offer(id);
            }
        }
        ended
    }

    pub(super) fn civil(&self) -> CivilTime {
        self.rules().1.map_or_else(CivilTime::default, |rules| rules.civil.clone())
    }

    /// Whether the end of an appointment, if it comes now, is the patient's doing.
    pub(super) fn is_kept(&self, index: usize) -> bool {
        let appointment = &self.appointments[index];
        let is_offer = appointment.status == AppointmentStatus::Pending
            && appointment.cause == Cause::Displaced
            || self.entries.iter().any(|entry| entry.offer == Some(appointment.id));
        let waits = appointment.status == AppointmentStatus::Waitlist;
        !is_offer && !waits && !is_displaced(appointment)
    }

    /// Keeps what has just come to its end; nothing, where it goes on.
    pub(super) fn keep_ended(&mut self, appointment: &Appointment, index: usize) {
        let ending = match (appointment.status, appointment.cause) {
            (AppointmentStatus::Fulfilled, _) if self.came_late(appointment.id) => Ending::Late,
            (AppointmentStatus::Fulfilled, _) => Ending::Fulfilled,
            (AppointmentStatus::NoShow, _) => Ending::Missed,
            (AppointmentStatus::Cancelled, Cause::Released) => Ending::Released,
            (AppointmentStatus::Cancelled, Cause::Expired) => Ending::Expired,
            (AppointmentStatus::Cancelled, Cause::Cancelled) => Ending::Cancelled,
            _ => return,
        };
        let civil = self.civil();
        let visits = appointment.claims.iter().map(|claim| self.visit(claim, claim.slot));
        let visits = visits.collect();
        self.history.ended.push(NaiveEnded {
            patient: appointment.patient,
            ending,
            booked: civil.day_of(self.history.made[index].0),
            ended: civil.day_of(self.now),
            visits,
        });
    }

    pub(super) fn visit(&self, claim: &Claim, slot: SlotIndex) -> Visit {
        let session = self.session(claim.session).unwrap();
        let civil = self.civil();
        let start = session.slot_start(slot);
        let day = civil.day_of(start);
        let noon = civil.start_of(day).plus_millis(12 * 60 * 60 * 1_000);
        let half = if start < noon { HalfDay::Morning } else { HalfDay::Afternoon };
        let place = super::rules::place_of(session);
        Visit { place, appointment_type: session.appointment_type, day, half }
    }
}
