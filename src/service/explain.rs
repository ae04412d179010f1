//! Explains a request, an appointment or a patient to who may read them.
//!
//! **Architecture invariant:** somebody else's is not found, rather than refused: an explanation tells
//! nobody that something exists.

use super::Service;
use crate::engine::{PatientRecord, account_counters, counted_strikes, counters, steps, waits_for};
use crate::model::{
    Actor, Answer, Appointment, AppointmentId, ExplainOf, Explained, ExplainedAppointment,
    ExplainedPatient, ExplainedRequest, Explanation, LISTED_MAX, Outcome, PatientId, Reading,
    RefusedRequest, RequestId, Role, STANDING_MAX, Sequence, Timestamp,
};

impl Service {
    /// Why something is as it is.
    pub(super) fn explain(
        &self,
        now: Timestamp,
        actor: &Actor,
        of: ExplainOf,
        at: Option<Timestamp>,
    ) -> Answer<Reading> {
        let told = match of {
            ExplainOf::Request { request, patient } => {
                let (told, after) = self.explain_request(actor, request, patient);
                Answer { after, result: Ok(Explained::Request(told)) }
            }
            ExplainOf::Appointment { appointment, patient } => {
                let (told, after) = self.explain_appointment(actor, appointment, patient);
                let told = told.map(Explained::Appointment);
                Answer { after, result: told.ok_or_else(|| Outcome::AppointmentNotFound.into()) }
            }
            ExplainOf::Patient(patient) => {
                let (told, after) = self.explain_patient(actor, patient, at.unwrap_or(now));
                Answer { after, result: Ok(Explained::Patient(told)) }
            }
        };
        let civil = self.inventory.civil(now);
        let tell = |about| Reading::Explanation(Box::new(Explanation { civil, about }));
        Answer { after: told.after, result: told.result.map(tell) }
    }

    fn explain_request(
        &self,
        actor: &Actor,
        request: RequestId,
        patient: Option<PatientId>,
    ) -> (ExplainedRequest, Sequence) {
        let own = AppointmentId(request.0);
        let (made, mut after) = self.explain_appointment(actor, own, patient);
        let refused = self.refusals.find(request);
        let refused = refused.filter(|refused| self.may_know(actor, refused, patient));
        let (is_known, declined) = self.inventory.came_of(request);
        if refused.is_some() {
            // It may rest on what is not durable yet; it is not kept on what.
            after = after.max(self.journal.appended());
        }
        let exists = self.inventory.appointment(own).0.is_some();
        let is_staff = patient.is_none() && actor.role != Role::Gateway;
        let told = ExplainedRequest {
            refused,
            declined: declined.filter(|_| is_staff),
            is_done: made.is_some() || is_known && !exists && is_staff,
            made,
            kept: u32::try_from(self.refusals.entries()).unwrap_or(u32::MAX),
        };
        (told, after)
    }

    /// Whether a refusal is of a patient and a hospital that the reader may ask about.
    fn may_know(
        &self,
        actor: &Actor,
        refused: &RefusedRequest,
        patient: Option<PatientId>,
    ) -> bool {
        let about = refused.appointment.and_then(|id| self.inventory.appointment(id).0);
        let of_session = |id| self.inventory.spec(id).map(|session| session.organization);
        let organization = about
            .as_ref()
            .map(|appointment| appointment.organization)
            .or_else(|| refused.session.and_then(of_session));
        let whose = refused.patient.or_else(|| about.map(|appointment| appointment.patient));
        let whose = whose.map(|key| self.inventory.person(key));
        organization.is_none_or(|organization| actor.may_touch(organization))
            && (patient.is_none() || patient == whose)
    }

    fn explain_appointment(
        &self,
        actor: &Actor,
        id: AppointmentId,
        patient: Option<PatientId>,
    ) -> (Option<ExplainedAppointment>, Sequence) {
        let (found, after) = self.inventory.appointment(id);
        let is_own = |found: &Appointment| {
            actor.may_touch(found.organization)
                && patient.is_none_or(|patient| patient == found.patient)
        };
        let told = found.filter(is_own).map(|appointment| {
            let claim = appointment.claims.first();
            let session = claim.and_then(|claim| self.inventory.spec(claim.session));
            let start =
                session.as_ref().zip(claim).map(|(spec, claim)| spec.slot_start(claim.slot));
            let changes = self.inventory.changes(id);
            let steps = steps(&appointment, session.as_ref(), changes);
            ExplainedAppointment { start: start.unwrap_or_default(), steps, appointment }
        });
        (told, after)
    }

    fn explain_patient(
        &self,
        actor: &Actor,
        patient: PatientId,
        at: Timestamp,
    ) -> (ExplainedPatient, Sequence) {
        let (record, after) = self.inventory.record_for(actor, patient);
        let (cooldowns, cooled) = self.inventory.cooldowns_for(actor, patient);
        let after = after.max(cooled);
        let PatientRecord { restrictions, .. } = &record;
        let lies_in = restrictions.iter().filter(|kept| kept.restriction.is_active(at));
        let stood = lies_in.map(|kept| kept.as_of(at));
        let stood: Vec<_> = stood.map(|kept| (kept.state(at), kept)).collect();
        let newest_ones = stood.len().saturating_sub(STANDING_MAX);
        let ties = self.inventory.ties(patient);
        let told = self.inventory.with_rules(at, |rules| {
            let strikes = counted_strikes(rules, &record, at);
            let mut counters = counters(rules, &strikes, at);
            counters.extend(account_counters(rules, ties.as_ref()));
            ExplainedPatient {
                at,
                restrictions: stood.into_iter().skip(newest_ones).collect(),
                strikes,
                counters,
            }
        });
        let ExplainedPatient { strikes, mut counters, .. } = told;
        counters.extend(waits_for(&cooldowns, at));
        counters.truncate(LISTED_MAX);
        (ExplainedPatient { strikes: newest(strikes), counters, ..told }, after)
    }
}

fn newest<T>(mut all: Vec<T>) -> Vec<T> {
    let surplus = all.len().saturating_sub(LISTED_MAX);
    all.drain(..surplus);
    all
}
