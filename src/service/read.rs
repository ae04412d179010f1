//! Answers queries: what may be read, by whom, and from which shard.
//!
//! **Architecture invariant:** nothing here writes a record; an answer names the last record that it
//! has seen.

use super::{CLOCK_MILLIS, Service};
use crate::admission::admit_query;
use crate::engine::Context;
use crate::model::{
    Actor, Answer, Appointment, BookingChannel, CallOrderOf, ExplainOf, LISTED_MAX, Outcome,
    PatientId, Query, Reading, Refusal, Role, Sequence, SessionId, Sharing, Timestamp,
};

impl Service {
    /// Answers a query.
    pub fn read(&self, now: Timestamp, actor: &Actor, query: &Query) -> Answer<Reading> {
        let answer = match admit_query(actor, query) {
            Ok(()) => self.look_up(now, actor, query),
            Err(outcome) => Answer::refused(outcome),
        };
        let outcome = answer.result.as_ref().map_or_else(|why| why.outcome, |_| Outcome::Done);
        self.counters.count(query.operation(), outcome);
        answer
    }

    pub(super) fn look_up(&self, now: Timestamp, actor: &Actor, query: &Query) -> Answer<Reading> {
        match self.of_person(query) {
            Query::Availability { session, channel, class } => {
                let context = Context { openings: self.openings(now), ..Context::new(now, actor) };
                let answer = self.inventory.availability(&context, session, channel, class);
                Answer { after: answer.after, result: answer.result.map(Reading::Availability) }
            }
            Query::Get { appointment, patient, channel } => {
                let (found, after) = self.inventory.appointment(appointment);
                let result = may_read(actor, channel, patient, found)
                    .map(|appointment| Reading::Appointment(Box::new(appointment)))
                    .map_err(Refusal::from);
                Answer { after, result }
            }
            Query::List { patient, channel } => {
                let (ids, mut after) = self.inventory.live(patient);
                let mut listed = Vec::new();
                for id in ids {
                    let (found, last) = self.inventory.appointment(id);
                    after = after.max(last);
                    listed.extend(may_read(actor, channel, Some(patient), found));
                }
                listed.truncate(LISTED_MAX);
                Answer { after, result: Ok(Reading::Appointments(listed)) }
            }
            Query::ReadSession { session } => self.inventory.read_session(actor, session),
            query @ Query::Alternatives { .. } => self.alternatives(now, actor, &query),
            Query::Displaced { session, department, after } => {
                self.inventory.displaced(actor, session, department, after)
            }
            Query::Draw { draw, appointment: None, .. } => {
                self.inventory.read_draw(actor, draw, None)
            }
            Query::Draw { draw, appointment: Some(entrant), patient, channel } => {
                let (found, after) = self.inventory.appointment(entrant);
                match may_read(actor, channel, patient, found) {
                    Ok(_) => self.inventory.read_draw(actor, draw, Some(entrant)),
                    Err(outcome) => Answer { after, result: Err(outcome.into()) },
                }
            }
            Query::Waitlist { session, patient, .. } => {
                self.inventory.waitlist(actor, session, patient)
            }
            Query::CallOrder { session, of } => self.call_order(actor, session, of),
            Query::ReadRules { at } => self.inventory.read_rules(at.unwrap_or(now)),
            Query::ReadRecord { patient, .. } => self.inventory.read_record(actor, patient),
            Query::Explain { of, at, .. } => self.explain(now, actor, of, at),
            Query::ReadBills { appointment, after } => {
                self.inventory.read_bills(actor, appointment, after)
            }
            Query::ReadStanding { patient, .. } => {
                self.inventory.read_standing(actor, now, patient)
            }
            Query::Clock | Query::ConfirmClock => {
                let Some(timekeeper) = self.timekeeper.get() else {
                    return Answer::refused(Refusal::for_now(Outcome::NotReady, CLOCK_MILLIS));
                };
                if matches!(query, Query::ConfirmClock) {
                    timekeeper.confirm();
                    // The ticker would see it soon; the next request may come sooner.
                    self.set_paused(timekeeper.read().is_suspended);
                }
                Answer::at_once(Ok(Reading::Clock(timekeeper.read())))
            }
        }
    }

    /// The query with the key under which the patient is kept.
    fn of_person(&self, query: &Query) -> Query {
        let mut query = *query;
        match &mut query {
            Query::Get { patient: Some(patient), .. }
            | Query::List { patient, .. }
            | Query::Alternatives { patient: Some(patient), .. }
            | Query::Draw { patient: Some(patient), .. }
            | Query::Waitlist { patient: Some(patient), .. }
            | Query::CallOrder { of: CallOrderOf::One { patient: Some(patient), .. }, .. }
            | Query::ReadRecord { patient, .. }
            | Query::Explain {
                of:
                    ExplainOf::Request { patient: Some(patient), .. }
                    | ExplainOf::Appointment { patient: Some(patient), .. }
                    | ExplainOf::Patient(patient),
                ..
            }
            | Query::ReadStanding { patient, .. } => *patient = self.inventory.person(*patient),
            _ => {}
        }
        query
    }

    /// Whose turn it is. One appointment's place is told to who may read the appointment.
    fn call_order(&self, actor: &Actor, session: SessionId, of: CallOrderOf) -> Answer<Reading> {
        let (sought, mut after, status) = match of {
            CallOrderOf::All { from } => (Err(from), Sequence(0), None),
            CallOrderOf::One { appointment, patient, channel } => {
                let (found, after) = self.inventory.appointment(appointment);
                match may_read(actor, channel, patient, found) {
                    Err(outcome) => return Answer { after, result: Err(outcome.into()) },
                    Ok(found) => (Ok(appointment), after, Some(found.status)),
                }
            }
        };
        let answer = self.inventory.call_order(actor, session, sought);
        after = after.max(answer.after);
        // What it wants is a check-in; or it was seen already.
        let absent = Refusal { status, ..Outcome::WrongStatus.into() };
        let result = answer.result.and_then(|order| order.ok_or(absent));
        Answer { after, result: result.map(|order| Reading::CallOrder(Box::new(order))) }
    }
}

/// Whether an actor may read an appointment for a patient, through a channel.
pub(super) fn may_read(
    actor: &Actor,
    channel: BookingChannel,
    patient: Option<PatientId>,
    found: Option<Appointment>,
) -> Result<Appointment, Outcome> {
    let Some(appointment) = found else { return Err(Outcome::AppointmentNotFound) };
    if !actor.may_touch(appointment.organization) {
        return Err(Outcome::OrganizationNotPermitted);
    }
    if patient.is_some_and(|patient| patient != appointment.patient) {
        return Err(Outcome::AppointmentNotFound);
    }
    let by_patient = matches!(actor.role, Role::Gateway | Role::Counter);
    let shared = channel == appointment.channel || appointment.sharing != Sharing::Own;
    if by_patient && !shared { Err(Outcome::ChannelNotShared) } else { Ok(appointment) }
}
