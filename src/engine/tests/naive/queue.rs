//! Queues as simply as they can be said: every check-in, every call and every departure, in order,
//! and the order of calls found by looking at all of them.

use super::Naive;
use crate::model::{
    Action, Actor, Appointment, AppointmentId, AppointmentStatus, Attendance, CallNext, Change,
    Claims, LateRule, Outcome, QueueEntry, Receipt, Refusal, SessionId, SlotIndex, Timestamp,
};

#[derive(Default)]
pub(in super::super) struct NaiveQueue {
    /// Everybody who ever checked in where there is a queue, in this order.
    check_ins: Vec<(SessionId, QueueEntry)>,
    /// Those who left, with how long the visit took.
    left: Vec<(SessionId, AppointmentId, Option<u64>)>,
    /// Every call: by whom, of whom, when, and whether others who are late waited then or since.
    pub(super) calls: Vec<(CallNext, AppointmentId, Timestamp)>,
    /// On-time calls in a row, by session, while somebody late waited.
    runs: Vec<(SessionId, u32)>,
}

/// What the engine's queue is compared with: everybody who is in it, whose turn comes when, and the
/// count and sum of visits.
pub(super) type QueueState = (Vec<QueueEntry>, Vec<AppointmentId>, u64, u64);

/// Whom a call is of who has been displaced since.
const NOBODY: AppointmentId = AppointmentId(0);

/// Whether numbers are picked up now.
#[derive(PartialEq, Eq)]
enum NaiveWindow {
    Open,
    /// The next window that can be used opens then.
    Opens(i128),
    Over,
}

impl Naive {
    /// Whether somebody checked in after the grace, and was not displaced since.
    pub(super) fn came_late(&self, id: AppointmentId) -> bool {
        let mut all = self.queue.check_ins.iter();
        all.any(|(_, entry)| entry.appointment == id && entry.is_late)
    }

    /// The session whose rules hold for an appointment, when its slot there begins, and the rules.
    pub(super) fn attendance(
        &self,
        appointment: &Appointment,
    ) -> Option<(SessionId, Timestamp, Attendance)> {
        for claim in &appointment.claims {
            let session = self.session(claim.session)?;
            if let Some(rules) = session.terms.attendance {
                return Some((session.id, session.slot_start(claim.slot), rules));
            }
        }
        None
    }

    /// Whether it is not too early and not too late.
    pub(super) fn in_time(
        &self,
        appointment: &Appointment,
        action: Action,
        start: Timestamp,
        rules: &Attendance,
    ) -> Result<(), Refusal> {
        let (now, start) = (i128::from(self.now.as_millis()), i128::from(start.as_millis()));
        let status = appointment.status;
        let early = |from: i128| Refusal {
            outcome: Outcome::TooEarly,
            status: Some(status),
            retry_after_millis: u32::try_from(from - now).unwrap_or(u32::MAX),
            why: None,
        };
        let late = Refusal::of_status(Outcome::TooLate, status);
        let late_ends = start + i128::from(rules.late_until);
        let first = start - i128::from(rules.check_in_from);
        let pick_up_ends = rules.pick_up_until.map(|until| start + i128::from(until));
        let picked_up_too_late =
            status == AppointmentStatus::Booked && pick_up_ends.is_some_and(|ends| ends < now);
        let uses_by = if action == Action::CheckIn {
            pick_up_ends.into_iter().chain([late_ends]).min()
        } else {
            pick_up_ends
        };
        let window = self.window(appointment, uses_by);
        match action {
            Action::CheckIn if now < first => Err(early(first)),
            Action::Arrive | Action::CheckIn if window != NaiveWindow::Open => match window {
                NaiveWindow::Opens(from) => Err(early(from)),
                NaiveWindow::Open | NaiveWindow::Over => Err(late),
            },
            Action::Arrive if picked_up_too_late => Err(late),
            Action::CheckIn if picked_up_too_late || late_ends < now => Err(late),
            Action::NoShow if status == AppointmentStatus::CheckedIn && now < start => {
                Err(early(start))
            }
            Action::NoShow if status != AppointmentStatus::CheckedIn && now <= late_ends => {
                Err(early(late_ends + 1))
            }
            Action::Book { .. }
            | Action::Release
            | Action::Cancel
            | Action::Arrive
            | Action::CheckIn
            | Action::Fulfil
            | Action::NoShow
            | Action::Settle => Ok(()),
        }
    }

    /// Where the windows stand in which the number of a booked appointment is picked up.
    fn window(&self, appointment: &Appointment, uses_by: Option<i128>) -> NaiveWindow {
        let (id, ..) = self.attendance(appointment).unwrap();
        let windows = &self.session(id).unwrap().terms.pick_up_windows;
        let is_in = windows.iter().any(|it| it.from <= self.now && self.now <= it.until);
        if windows.is_empty() || is_in || appointment.status != AppointmentStatus::Booked {
            return NaiveWindow::Open;
        }
        let later = windows.iter().filter(|it| self.now < it.from);
        let opens = later.map(|it| i128::from(it.from.as_millis())).min();
        let in_time = opens.filter(|opens| uses_by.is_none_or(|uses_by| *opens <= uses_by));
        in_time.map_or(NaiveWindow::Over, NaiveWindow::Opens)
    }

    /// Writes down what a change does to a queue, before it is made.
    pub(super) fn note_queue(&mut self, change: &Change, index: usize) {
        let appointment = &self.appointments[index];
        let Some((id, start, rules)) = self.attendance(appointment) else { return };
        match change.action {
            Action::CheckIn => {
                let session = self.session(id).unwrap();
                let claim = appointment.claims.iter().find(|claim| claim.session == id).unwrap();
                let is_late = start.plus_millis(rules.grace.into()) < self.now;
                let running = |slot: &u16| session.slot_start(SlotIndex(*slot)) <= self.now;
                let slots = 0..u16::try_from(session.slot_count()).unwrap();
                let now = SlotIndex(slots.rev().find(running).unwrap_or(0));
                let entry = QueueEntry {
                    appointment: appointment.id,
                    slot: claim.slot,
                    segment: if is_late { now.max(claim.slot) } else { claim.slot },
                    is_late,
                    since: self.now,
                    call: None,
                };
                self.queue.check_ins.push((id, entry));
            }
            Action::Fulfil | Action::NoShow | Action::Settle
                if appointment.status == AppointmentStatus::CheckedIn =>
            {
                let call = self.queue.calls.iter().find(|(_, who, _)| *who == appointment.id);
                let took = call.map(|(.., at)| self.now.as_millis() - at.as_millis());
                let took = took.filter(|_| change.action == Action::Fulfil);
                self.queue.left.push((id, appointment.id, took));
                self.reset_run(id);
            }
            Action::Book { .. }
            | Action::Release
            | Action::Cancel
            | Action::Arrive
            | Action::Fulfil
            | Action::NoShow
            | Action::Settle => {}
        }
    }

    pub(super) fn call_next(&mut self, actor: &Actor, call: &CallNext) -> Result<Receipt, Refusal> {
        let receipt = |retried, appointment: Option<AppointmentId>| Receipt {
            status: appointment.map(|_| AppointmentStatus::CheckedIn),
            until: self.now,
            claims: Claims::new(),
            retried,
            appointment,
        };
        if let Some((_, who, _)) = self.queue.calls.iter().find(|(other, ..)| other == call) {
            let is_there =
                *who != NOBODY && !self.queue.left.iter().any(|(_, gone, _)| gone == who);
            return Ok(receipt(true, is_there.then_some(*who)));
        }
        if self.is_used(call.request) {
            return Err(Outcome::IdReused.into());
        }
        let session = self.session(call.session).ok_or(Outcome::SessionNotFound)?;
        if !actor.may_touch(session.organization) {
            return Err(Outcome::OrganizationNotPermitted.into());
        }
        let next = self.turns(call.session).first().copied().ok_or(Outcome::NobodyWaiting)?;
        let receipt = receipt(false, Some(next));
        let is_late =
            self.in_queue(call.session).iter().any(|e| e.appointment == next && e.is_late);
        self.queue.calls.push((*call, next, self.now));
        let run = if is_late { 0 } else { self.run_of(call.session) + 1 };
        self.queue.runs.retain(|(session, _)| *session != call.session);
        self.queue.runs.push((call.session, run));
        self.reset_run(call.session);
        Ok(receipt)
    }

    /// What the queue of a session comes to.
    pub(in super::super) fn queue_of(&self, session: SessionId) -> QueueState {
        let mut entries = self.in_queue(session);
        entries.sort_by_key(|entry| entry.appointment);
        let left = self.queue.left.iter().filter(|(other, ..)| *other == session);
        let visits: Vec<u64> = left.filter_map(|(.., took)| *took).collect();
        (entries, self.turns(session), visits.len() as u64, visits.iter().sum())
    }

    fn in_queue(&self, session: SessionId) -> Vec<QueueEntry> {
        let here = self.queue.check_ins.iter().filter(|(other, _)| *other == session);
        let mut entries: Vec<QueueEntry> = here.map(|(_, entry)| *entry).collect();
        entries
            .retain(|entry| !self.queue.left.iter().any(|(_, gone, _)| *gone == entry.appointment));
        for entry in &mut entries {
            let call = self.queue.calls.iter().find(|(_, who, _)| *who == entry.appointment);
            entry.call = call.map(|(call, _, at)| (*at, call.request));
        }
        entries
    }

    /// Those who wait, in the order of their calls: one after the other, each time the first of its
    /// kind.
    fn turns(&self, session: SessionId) -> Vec<AppointmentId> {
        let Some(rules) = self.session(session).and_then(|it| it.terms.attendance) else {
            return Vec::new();
        };
        let mut waiting = self.in_queue(session);
        waiting.retain(|entry| entry.call.is_none());
        waiting.sort_by_key(|entry| (entry.segment, entry.since, entry.appointment));
        let mut run = self.run_of(session);
        let mut turns = Vec::new();
        while !waiting.is_empty() {
            let on_time = waiting.iter().position(|entry| !entry.is_late);
            let late = waiting.iter().position(|entry| entry.is_late);
            let next = match (on_time, late, rules.late) {
                (Some(on_time), Some(late), LateRule::EndOfSegment) => {
                    // With everybody on time of the same slot before.
                    if waiting[late].segment < waiting[on_time].segment { late } else { on_time }
                }
                (Some(on_time), Some(late), LateRule::Every(number)) => {
                    if u32::from(number) <= run { late } else { on_time }
                }
                (on_time, late, _) => on_time.or(late).unwrap(),
            };
            run = if waiting[next].is_late { 0 } else { run + 1 };
            turns.push(waiting.remove(next).appointment);
        }
        turns
    }

    /// Who is displaced is in no queue, and may come again.
    pub(super) fn leave_queue(&mut self, id: AppointmentId) {
        self.queue.check_ins.retain(|(_, entry)| entry.appointment != id);
        let of_them = self.queue.calls.iter_mut().filter(|(_, who, _)| *who == id);
        of_them.for_each(|(_, who, _)| *who = NOBODY);
        for index in 0..self.sessions.len() {
            self.reset_run(self.sessions[index].id);
        }
    }

    fn run_of(&self, session: SessionId) -> u32 {
        let run = self.queue.runs.iter().find(|(other, _)| *other == session);
        run.map_or(0, |(_, run)| *run)
    }

    /// Calls count while somebody late waits.
    fn reset_run(&mut self, session: SessionId) {
        let waits = |entry: &QueueEntry| entry.is_late && entry.call.is_none();
        if !self.in_queue(session).iter().any(waits) {
            self.queue.runs.retain(|(other, _)| *other != session);
        }
    }
}
