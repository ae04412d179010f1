//! Decides who may pick up and check in, who is late, and who is called next.
//!
//! ```text
//! arrive    now <= start + pick_up_until                        later: TooLate
//! windows   arrival, or check-in without one, in one of them     before the next: TooEarly, and when
//!           of the day                                          none to come in time: TooLate
//! check in  start - check_in_from <= now                        earlier: TooEarly, and when
//!           now <= start + grace: on time    <= start + late_until: late    later: TooLate
//! no show   start + late_until < now, for who did not check in  earlier: TooEarly, and when
//! call      the first of the queue's order
//! ```
//!
//! An appointment in several sessions stands in one queue: that of the first of its claims whose
//! session keeps one.

use super::queue::Queue;
use super::session::SessionState;
use super::view::{Context, Decision, View};
use crate::model::{
    Action, Appointment, AppointmentId, AppointmentStatus, Attendance, CallNext, Called, Change,
    Claim, Fact, Left, Outcome, Queued, Refusal, Session, SlotIndex, Timestamp,
};

/// Where an appointment's attendance is kept, and by which rules.
pub(super) struct Post<'a> {
    session: &'a SessionState,
    claim: &'a Claim,
    rules: Attendance,
}

impl<'a> Post<'a> {
    /// `None` where none of its sessions says anything.
    pub(super) fn of(view: &View<'a>, appointment: &'a Appointment) -> Option<Self> {
        appointment.claims.iter().find_map(|claim| {
            let session = view.session(claim.session)?;
            let rules = session.spec().terms.attendance?;
            Some(Self { session, claim, rules })
        })
    }

    /// Refuses what comes too early or too late. The status has allowed it.
    pub(super) fn check(
        &self,
        now: Timestamp,
        action: Action,
        status: AppointmentStatus,
    ) -> Result<(), Refusal> {
        let start = self.start();
        let late_ends = start.plus_millis(self.rules.late_until.into());
        let missed_pick_up = self.rules.pick_up_ends(start).is_some_and(|ends| ends < now);
        // Who checks in without an arrival before picks up with it.
        let picks_up = matches!(action, Action::Arrive | Action::CheckIn)
            && status == AppointmentStatus::Booked;
        if matches!(action, Action::CheckIn) {
            let begins = start.minus_millis(self.rules.check_in_from.into());
            if now < begins {
                return Err(too_early(status, now, begins));
            }
        }
        if picks_up {
            let pick_up_ends = self.rules.pick_up_ends(start).unwrap_or(Timestamp::MAX);
            let checks_in = matches!(action, Action::CheckIn);
            let last = if checks_in { pick_up_ends.min(late_ends) } else { pick_up_ends };
            self.check_windows(now, last, status)?;
        }
        let is_too_late = matches!(action, Action::CheckIn) && late_ends < now;
        if is_too_late || picks_up && missed_pick_up {
            return Err(Refusal::of_status(Outcome::TooLate, status));
        }
        if matches!(action, Action::NoShow) {
            let is_here = status == AppointmentStatus::CheckedIn;
            let from = if is_here { start } else { late_ends.plus_millis(1) };
            if now < from {
                return Err(too_early(status, now, from));
            }
        }
        Ok(())
    }

    /// Refuses to pick up a number outside the windows of the day: too early before one that opens no
    /// later than `last`, too late where there is none.
    fn check_windows(
        &self,
        now: Timestamp,
        last: Timestamp,
        status: AppointmentStatus,
    ) -> Result<(), Refusal> {
        let windows = &self.session.spec().terms.pick_up_windows;
        match windows.iter().find(|window| now <= window.until) {
            _ if windows.is_empty() => Ok(()),
            Some(window) if window.from <= now => Ok(()),
            Some(window) if window.from <= last => Err(too_early(status, now, window.from)),
            _ => Err(Refusal::of_status(Outcome::TooLate, status)),
        }
    }

    /// Whether the queue has an appointment, and its patient as late.
    pub(super) fn is_late(&self, appointment: AppointmentId) -> bool {
        let entry = self.session.queue().and_then(|queue| queue.entry(appointment));
        entry.is_some_and(|entry| entry.is_late)
    }

    /// What is written of a change where the queue has to know of it.
    pub(super) fn fact(
        &self,
        now: Timestamp,
        change: &Change,
        appointment: &Appointment,
        status: AppointmentStatus,
        fingerprint: u64,
    ) -> Option<Fact> {
        let Change { request, appointment: id, .. } = *change;
        let session = self.claim.session;
        match change.action {
            Action::CheckIn => {
                let start = self.start();
                let is_late = start.plus_millis(self.rules.grace.into()) < now;
                let slot = self.claim.slot;
                let segment =
                    if is_late { slot_at(self.session.spec(), now).max(slot) } else { slot };
                let since = now;
                Some(Fact::Queued(Queued {
                    request,
                    fingerprint,
                    appointment: id,
                    session,
                    slot,
                    segment,
                    is_late,
                    since,
                }))
            }
            Action::Fulfil | Action::NoShow | Action::Settle => {
                let entry = self.session.queue()?.entry(id)?;
                let ends = matches!(change.action, Action::Fulfil);
                let visit_millis = entry.call.filter(|_| ends).map(|(at, _)| {
                    let millis = now.as_millis().saturating_sub(at.as_millis());
                    u32::try_from(millis).unwrap_or(u32::MAX)
                });
                let patient = appointment.patient;
                Some(Fact::Left(Left {
                    request,
                    fingerprint,
                    appointment: id,
                    patient,
                    status,
                    session,
                    visit_millis,
                }))
            }
            Action::Book { .. } | Action::Release | Action::Cancel | Action::Arrive => None,
        }
    }

    fn start(&self) -> Timestamp {
        self.session.spec().slot_start(self.claim.slot)
    }
}

/// Decides who is called next (叫号).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_call(
    view: &View<'_>,
    context: &Context<'_>,
    call: &CallNext,
) -> Result<Decision, Refusal> {
    let fingerprint = call.fingerprint();
    let queue = view.session(call.session).and_then(SessionState::queue);
    if let Some(retry) = view.repeated(context.now, call.request, fingerprint)? {
        let known = queue.and_then(|queue| queue.called_by(call.request));
        return Ok(naming(known, retry));
    }
    let rules = view.permitted(context, call.session)?.spec().terms.attendance;
    let next = rules.zip(queue).and_then(|(rules, queue)| queue.next(rules.late));
    let appointment = next.ok_or(Outcome::NobodyWaiting)?;

    let CallNext { request, session } = *call;
    let called = Called { request, fingerprint, session, appointment, at: context.now };
    Ok(naming(Some(appointment), Decision::done(context.now, Fact::Called(called))))
}

/// A call's decision with whom it came to. Who was called earlier may have left since.
fn naming(appointment: Option<AppointmentId>, mut decision: Decision) -> Decision {
    decision.receipt.appointment = appointment;
    decision.receipt.status = appointment.map(|_| AppointmentStatus::CheckedIn);
    decision
}

/// The slot that runs at a time, the last one after the end.
fn slot_at(spec: &Session, now: Timestamp) -> SlotIndex {
    let into = now.as_millis().saturating_sub(spec.start.as_millis());
    let last = spec.slot_count().saturating_sub(1);
    let slot = into.checked_div(spec.slot_millis.into()).unwrap_or_default();
    let slot = usize::try_from(slot).unwrap_or(usize::MAX).min(last);
    SlotIndex(u16::try_from(slot).unwrap_or(u16::MAX))
}

fn too_early(status: AppointmentStatus, now: Timestamp, until: Timestamp) -> Refusal {
    Refusal { status: Some(status), ..Refusal::until(Outcome::TooEarly, now, until) }
}

impl SessionState {
    /// Who checked in and has not left. `None` where nobody ever did.
    pub fn queue(&self) -> Option<&Queue> {
        self.queue.as_deref()
    }
}
