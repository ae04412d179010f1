//! The queue of a session (候诊队列): who checked in and has not left, and in which order they are
//! called.
//!
//! ```text
//! on time   by slot, check-in, id      s0 a   s0 b   s1 c
//! late      by check-in, id                 x (checked in during s0)
//! called    EndOfSegment: a b x c      Every(1): a x b c      nobody waits for who is not there
//! ```
//!
//! **Architecture invariant:** the order is a function of the queue alone: what a call takes is what a
//! reader was shown first.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use crate::model::{
    AppointmentId, CallLine, CallOrder, Called, LISTED_MAX, LateRule, Left, QueueEntry, Queued,
    RequestId, SlotIndex, Timestamp,
};

/// The queue of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    entries: BTreeMap<AppointmentId, QueueEntry>,
    /// Those who wait, on time and late: derived.
    on_time: BTreeSet<Turn>,
    late: BTreeSet<Turn>,
    /// Those who were called: derived.
    called: BTreeSet<(Timestamp, AppointmentId)>,
    tally: Tally,
}

/// What a queue counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many on time were called since the last late one, while somebody late was waiting.
    pub run: u16,
    /// Visits that began with a call and ended with their fulfilment.
    pub visits: u32,
    /// How long they took together.
    pub visit_millis: u64,
}

/// What orders those who wait among their kind.
type Turn = (SlotIndex, Timestamp, AppointmentId);

impl Queue {
    /// A queue as a snapshot kept it, if its entries are not the same twice.
    pub fn from_parts(tally: Tally, entries: &[QueueEntry]) -> Option<Self> {
        let mut queue = Self { tally, ..Self::default() };
        for entry in entries {
            queue.insert(*entry)?;
        }
        Some(queue)
    }

    /// Everybody, by id.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &QueueEntry> {
        self.entries.values()
    }

    /// What it counts.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether the appointment is in it.
    pub fn entry(&self, appointment: AppointmentId) -> Option<&QueueEntry> {
        self.entries.get(&appointment)
    }

    /// Who is called next.
    pub fn next(&self, rule: LateRule) -> Option<AppointmentId> {
        self.order(rule).next()
    }

    /// Whom a request called who has not left.
    pub fn called_by(&self, request: RequestId) -> Option<AppointmentId> {
        let called = self.called.iter().filter_map(|(_, id)| self.entries.get(id));
        let by = |entry: &&QueueEntry| entry.call.is_some_and(|(_, by)| by == request);
        called.into_iter().find(by).map(|entry| entry.appointment)
    }

    /// The lines from one on: who was called, then who waits. `slot_millis` is what a visit takes
    /// where there was none yet.
    pub fn page(&self, rule: LateRule, slot_millis: u32, from: u16) -> CallOrder {
        let visit_millis = self.mean_visit(slot_millis);
        let all = self.lines(rule, visit_millis);
        let lines = all.skip(from.into()).take(LISTED_MAX).collect();
        CallOrder { waiting: self.waiting(), visit_millis, lines }
    }

    /// The line of one appointment alone. `None` where it is not in the queue.
    pub fn page_of(
        &self,
        rule: LateRule,
        slot_millis: u32,
        appointment: AppointmentId,
    ) -> Option<CallOrder> {
        self.entry(appointment)?;
        let visit_millis = self.mean_visit(slot_millis);
        let mut all = self.lines(rule, visit_millis);
        let line = all.find(|line| line.appointment == appointment)?;
        Some(CallOrder { waiting: self.waiting(), visit_millis, lines: vec![line] })
    }

    /// Lets somebody wait.
    pub(super) fn enqueue(&mut self, fact: &Queued) {
        let Queued { appointment, slot, segment, is_late, since, .. } = *fact;
        let entry = QueueEntry { appointment, slot, segment, is_late, since, call: None };
        self.insert(entry).unwrap_or_else(|| {
            panic!("an impossible fact: {:032x} is queued twice", appointment.0)
        });
    }

    /// Calls somebody who waits.
    pub(super) fn call(&mut self, fact: &Called) {
        let id = fact.appointment;
        let entry = self.entries.get_mut(&id).filter(|entry| entry.call.is_none());
        let entry = entry.unwrap_or_else(|| {
            panic!("an impossible fact: {:032x} is called, and does not wait", id.0)
        });
        entry.call = Some((fact.at, fact.request));
        let (turn, is_late) = (turn_of(entry), entry.is_late);
        if is_late {
            self.late.remove(&turn)
        } else {
            self.on_time.remove(&turn)
        };
        self.called.insert((fact.at, id));
        self.tally.run = if is_late { 0 } else { self.tally.run.saturating_add(1) };
        self.forget_run();
    }

    /// Lets somebody leave, called or not.
    pub(super) fn leave(&mut self, fact: &Left) {
        let id = fact.appointment;
        self.drop_out(id).unwrap_or_else(|| {
            panic!("an impossible fact: {:032x} leaves a queue and is not in it", id.0)
        });
        if let Some(millis) = fact.visit_millis {
            self.tally.visits = self.tally.visits.saturating_add(1);
            self.tally.visit_millis = self.tally.visit_millis.saturating_add(millis.into());
        }
    }

    /// Takes somebody out. `None` where they are not in it.
    pub(super) fn drop_out(&mut self, id: AppointmentId) -> Option<()> {
        let entry = self.entries.remove(&id)?;
        match entry.call {
            Some((at, _)) => self.called.remove(&(at, id)),
            None if entry.is_late => self.late.remove(&turn_of(&entry)),
            None => self.on_time.remove(&turn_of(&entry)),
        };
        self.forget_run();
        Some(())
    }

    /// Nobody late is owed anything by calls that were made before they came.
    fn forget_run(&mut self) {
        if self.late.is_empty() {
            self.tally.run = 0;
        }
    }

    fn insert(&mut self, entry: QueueEntry) -> Option<()> {
        if self.entries.insert(entry.appointment, entry).is_some() {
            return None;
        }
        match entry.call {
            Some((at, _)) => self.called.insert((at, entry.appointment)),
            None if entry.is_late => self.late.insert(turn_of(&entry)),
            None => self.on_time.insert(turn_of(&entry)),
        };
        Some(())
    }

    fn waiting(&self) -> u32 {
        let waiting = self.entries.len().saturating_sub(self.called.len());
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    fn mean_visit(&self, slot_millis: u32) -> u32 {
        let Tally { visits, visit_millis, .. } = self.tally;
        let mean = visit_millis.checked_div(visits.into());
        mean.map_or(slot_millis, |mean| u32::try_from(mean).unwrap_or(u32::MAX))
    }

    fn lines(&self, rule: LateRule, visit_millis: u32) -> impl Iterator<Item = CallLine> {
        let called = self.called.iter().map(|(_, id)| (0, *id));
        let waiting = (1_u32..).zip(self.order(rule));
        let lines = called.chain(waiting);
        lines.filter_map(move |(position, id)| {
            let QueueEntry { appointment, slot, is_late, since, call, .. } =
                *self.entries.get(&id)?;
            let called = call.map(|(at, _)| at);
            let wait_millis = position.saturating_mul(visit_millis);
            Some(CallLine { appointment, slot, is_late, since, called, position, wait_millis })
        })
    }

    fn order(&self, rule: LateRule) -> impl Iterator<Item = AppointmentId> {
        Order {
            on_time: self.on_time.iter().peekable(),
            late: self.late.iter().peekable(),
            rule,
            run: self.tally.run,
        }
    }
}

/// Those who wait, on time and late ones merged by the rule.
struct Order<'a, I: Iterator<Item = &'a Turn>> {
    on_time: Peekable<I>,
    late: Peekable<I>,
    rule: LateRule,
    run: u16,
}

impl<'a, I: Iterator<Item = &'a Turn>> Iterator for Order<'a, I> {
    type Item = AppointmentId;

    fn next(&mut self) -> Option<AppointmentId> {
        let is_late = match (self.on_time.peek(), self.late.peek()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some((slot, ..)), Some((segment, ..))) => match self.rule {
                LateRule::EndOfSegment => segment < slot,
                LateRule::Every(on_time) => u16::from(on_time) <= self.run,
            },
        };
        self.run = if is_late { 0 } else { self.run.saturating_add(1) };
        let turn = if is_late { self.late.next() } else { self.on_time.next() };
        turn.map(|(.., id)| *id)
    }
}

const fn turn_of(entry: &QueueEntry) -> Turn {
    (entry.segment, entry.since, entry.appointment)
}
