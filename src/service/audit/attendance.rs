//! The audit of queues: who checked in, who was called in which order, and who left.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary: the
//! order of calls is found here by looking at everybody.

use super::{Account, AuditReport};
use crate::engine::Tally;
use crate::model::{
    AppointmentEvent, AppointmentId, AppointmentStatus, Called, LateRule, Left, QueueEntry, Queued,
    Sequence, Session, Timestamp,
};
use crate::service::digest::Digest;

/// A queue, as the records tell it.
#[derive(Default)]
pub(super) struct Waiting {
    entries: Vec<QueueEntry>,
    tally: Tally,
}

impl Account {
    /// Somebody checks in: in time, into the slot that they booked, once.
    pub(super) fn queue(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Queued,
    ) {
        let Queued { appointment, session, slot, segment, is_late, since, .. } = *fact;
        self.look_at_pick_up(report, sequence, time, appointment);
        self.step(report, sequence, time, appointment, AppointmentEvent::CheckIn, None);
        let claims = self.appointments.get(&appointment).map(|known| known.claims.clone());
        let is_booked = claims.is_some_and(|claims| {
            claims.iter().any(|claim| (claim.session, claim.slot) == (session, slot))
        });
        let rules = self.sessions.get(&session).map(|session| is_right(session, fact));
        if !is_booked || rules != Some(true) {
            report.fault(sequence, "a check-in is not by the rules of its session");
        }
        let queue = self.queues.entry(session).or_default();
        if queue.entries.iter().any(|entry| entry.appointment == appointment) {
            report.fault(sequence, "an appointment is queued twice");
        }
        queue.entries.push(QueueEntry { appointment, slot, segment, is_late, since, call: None });
    }

    /// A number is picked up in a window of the day, where the session says some.
    pub(super) fn look_at_pick_up(
        &self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        id: AppointmentId,
    ) {
        let known = self.appointments.get(&id);
        let booked = known.filter(|known| known.status == AppointmentStatus::Booked);
        let mut claims = booked.into_iter().flat_map(|booked| &booked.claims);
        let terms = claims.find_map(|claim| {
            let terms = &self.sessions.get(&claim.session)?.terms;
            terms.attendance.map(|_| terms)
        });
        let windows = terms.map_or(&[][..], |terms| &terms.pick_up_windows);
        let is_in = windows.iter().any(|window| window.from <= time && time <= window.until);
        if !windows.is_empty() && !is_in {
            report.fault(sequence, "by the rules: a number is picked up outside its windows");
        }
    }

    /// The next one is called, once.
    pub(super) fn call(&mut self, report: &mut AuditReport, sequence: Sequence, fact: &Called) {
        let rule = self.sessions.get(&fact.session).and_then(|it| it.terms.attendance);
        let (Some(queue), Some(rules)) = (self.queues.get_mut(&fact.session), rule) else {
            return report.fault(sequence, "somebody is called where there is no queue");
        };
        if queue.next(rules.late) != Some(fact.appointment) {
            report.fault(sequence, "somebody is called whose turn it is not");
        }
        let waits = |entry: &&mut QueueEntry| entry.appointment == fact.appointment;
        let Some(entry) = queue.entries.iter_mut().find(waits) else { return };
        entry.call = Some((fact.at, fact.request));
        queue.tally.run = if entry.is_late { 0 } else { queue.tally.run.saturating_add(1) };
        queue.forget();
    }

    /// Somebody leaves, and says how long the visit took. Whether they had come late.
    pub(super) fn leave(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Left,
    ) -> bool {
        let found = self.queues.get_mut(&fact.session).and_then(|queue| {
            let at = queue.entries.iter().position(|it| it.appointment == fact.appointment)?;
            Some((queue.entries.remove(at), queue))
        });
        let Some((entry, queue)) = found else {
            report.fault(sequence, "somebody leaves a queue and was not in it");
            return false;
        };
        queue.forget();
        let Some(millis) = fact.visit_millis else { return entry.is_late };
        let took = entry.call.map(|(at, _)| time.as_millis().saturating_sub(at.as_millis()));
        if took != Some(millis.into()) || fact.status != AppointmentStatus::Fulfilled {
            report.fault(sequence, "a visit took another time than from its call to its end");
        }
        queue.tally.visits = queue.tally.visits.saturating_add(1);
        queue.tally.visit_millis = queue.tally.visit_millis.saturating_add(millis.into());
        entry.is_late
    }

    /// Who lost their places is in no queue.
    pub(super) fn drop_queued(&mut self, appointment: AppointmentId) {
        for queue in self.queues.values_mut() {
            queue.entries.retain(|entry| entry.appointment != appointment);
            queue.forget();
        }
    }

    /// Adds the queues to the digest; who is in one must be checked in.
    pub(super) fn close_queues(&self, report: &mut AuditReport, digest: &mut Digest) {
        for (id, queue) in &self.queues {
            for entry in &queue.entries {
                digest.queued(*id, entry);
                let status = self.appointments.get(&entry.appointment).map(|it| it.status);
                if status != Some(AppointmentStatus::CheckedIn) {
                    report.fault(report.last, "somebody is in a queue and not checked in");
                }
            }
            digest.tally(*id, queue.tally);
        }
    }
}

impl Waiting {
    /// Whose turn it is: the first on time, or the first late one where the rule lets it go first.
    fn next(&self, rule: LateRule) -> Option<AppointmentId> {
        let first = |is_late: bool| {
            let waiting = self.entries.iter().filter(|it| it.call.is_none());
            let of_kind = waiting.filter(|entry| entry.is_late == is_late);
            of_kind.min_by_key(|entry| (entry.segment, entry.since, entry.appointment))
        };
        let (on_time, late) = (first(false), first(true));
        let (Some(on_time), Some(late)) = (on_time, late) else {
            return on_time.or(late).map(|entry| entry.appointment);
        };
        let late_goes = match rule {
            LateRule::EndOfSegment => late.segment < on_time.slot,
            LateRule::Every(number) => u16::from(number) <= self.tally.run,
        };
        Some(if late_goes { late.appointment } else { on_time.appointment })
    }

    /// Without anybody late who waits, nothing is counted.
    fn forget(&mut self) {
        if !self.entries.iter().any(|entry| entry.is_late && entry.call.is_none()) {
            self.tally.run = 0;
        }
    }
}

/// Whether a check-in is as the session's terms say.
fn is_right(session: &Session, fact: &Queued) -> bool {
    let Some(rules) = session.terms.attendance else { return false };
    let since = i128::from(fact.since.as_millis());
    let start = i128::from(session.slot_start(fact.slot).as_millis());
    let is_late = start + i128::from(rules.grace) < since;
    let is_in_time = start - i128::from(rules.check_in_from) <= since
        && since <= start + i128::from(rules.late_until);
    let segment_fits = if is_late { fact.slot <= fact.segment } else { fact.segment == fact.slot };
    is_in_time && fact.is_late == is_late && segment_fits
}
