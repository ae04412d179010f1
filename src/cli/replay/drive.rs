//! A plan, driven through the service under the plan's own clock.
//!
//! ```text
//! step -> service (decides at once) -> answer rests on record n -> ... -> n durable -> ack
//!          `---------- up to IN_FLIGHT_MAX rows ahead of the disk ---------'
//! ```
//!
//! **Architecture invariant:** whatever the service decided in an earlier run is read, not decided
//! again; so the counts of a run that continues are those of one that was never broken off.

use std::collections::VecDeque;
use std::time::Duration;

use super::plan::{Plan, StepAction, opening_request};
use super::policy;
use super::rows::Row;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::journal::JournalError;
use crate::model::{
    Actor, Answer, AppointmentStatus, Attributes, BookingChannel, ClaimRequest, ClientKeys,
    Command, Hold, OpenSession, Outcome, PatientClass, PaymentRef, Receipt, Refusal, Role,
    Sequence, Session, SlotChoice, SlotIndex, Timestamp, Ttl,
};
use crate::ops::clock;
use crate::service::{Imported, Service};

/// What history came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) booked: u64,
    pub(super) refused_in_past: u64,
    pub(super) fulfilled: u64,
    pub(super) no_show: u64,
    /// Asked for while a rule kept the patient from booking.
    pub(super) restricted_bookings: u64,
}

/// How fast, and how loud.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Rows per second; as fast as it goes if absent.
    pub(super) rate: Option<u32>,
    /// Whether to print the line of each row once it is durable.
    pub(super) acks: bool,
}

/// Drives every step, and waits until all of them are durable.
pub(super) fn drive(
    service: &Service,
    plan: &Plan,
    pace: Pace,
    output: &mut Output,
) -> Result<Tally, Failure> {
    let mut driver = Driver {
        service,
        plan,
        pace,
        output,
        admin: Actor::unbounded(Role::Admin),
        tally: Tally::default(),
        is_booked: vec![false; plan.rows.len()],
        waiting: VecDeque::with_capacity(IN_FLIGHT_MAX),
        last: Sequence(0),
    };
    driver.run()?;
    Ok(driver.tally)
}

struct Driver<'a> {
    service: &'a Service,
    plan: &'a Plan,
    pace: Pace,
    output: &'a mut Output,
    admin: Actor,
    tally: Tally,
    is_booked: Vec<bool>,
    /// Records that are not durable yet, with the lines that wait for them.
    waiting: VecDeque<(Sequence, u64)>,
    last: Sequence,
}

impl Driver<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let start = clock::monotonic_now();
        let mut rows = 0;
        for step in &self.plan.steps {
            match step.action {
                StepAction::Open(session) => self.open(step.time, &self.plan.sessions[session])?,
                StepAction::Book(index) => {
                    if let Some(rate) = self.pace.rate {
                        let due = Duration::from_secs(rows) / rate;
                        self.wait_until(start, due)?;
                    }
                    rows += 1;
                    self.book(step.time, index)?;
                }
                StepAction::Settle(index) => self.settle(step.time, index)?,
            }
            self.acknowledge()?;
        }
        self.service.wait_durable(self.last).map_err(|error| broken(&error))?;
        self.acknowledge()
    }

    fn open(&mut self, now: Timestamp, session: &Session) -> Result<(), Failure> {
        let request = opening_request(session);
        let open = OpenSession { request, session: session.clone() };
        let command = Command::OpenSession(Box::new(open));
        let answer = self.decided(|service, admin| service.call(now, admin, &command))?;
        self.last = self.last.max(answer.after);
        match answer.result {
            Ok(_) => Ok(()),
            Err(refusal) => Err(another_history(refusal.outcome)),
        }
    }

    fn book(&mut self, now: Timestamp, index: usize) -> Result<(), Failure> {
        let row = &self.plan.rows[index];
        let hold = hold_of(row, &self.plan.sessions[self.plan.session_of[index]]);
        let answer = self.decided(|service, _| service.import(now, &hold))?;
        match answer.result {
            Ok(Imported::Booked(_)) => {
                self.is_booked[index] = true;
                self.tally.booked += 1;
                let would_refuse = policy::would_refuse(self.service, row.patient, now);
                self.tally.restricted_bookings += u64::from(would_refuse);
            }
            Ok(Imported::Declined(Outcome::SlotInPast)) => self.tally.refused_in_past += 1,
            Ok(Imported::Declined(Outcome::Restricted)) => self.tally.restricted_bookings += 1,
            Ok(Imported::Declined(outcome)) | Err(Refusal { outcome, .. }) => {
                return Err(another_history(outcome));
            }
        }
        self.last = self.last.max(answer.after);
        self.waiting.push_back((answer.after, row.line));
        Ok(())
    }

    fn settle(&mut self, now: Timestamp, index: usize) -> Result<(), Failure> {
        if !self.is_booked[index] {
            return Ok(());
        }
        let row = &self.plan.rows[index];
        let answer = self.decided(|service, _| service.settle(now, row.appointment, row.came))?;
        self.last = self.last.max(answer.after);
        match status_of(&answer.result) {
            Some(AppointmentStatus::Fulfilled) => self.tally.fulfilled += 1,
            Some(AppointmentStatus::NoShow) => self.tally.no_show += 1,
            _ => {
                let outcome = answer.result.err().map_or(Outcome::WrongStatus, |it| it.outcome);
                return Err(another_history(outcome));
            }
        }
        Ok(())
    }

    /// Asks until the answer is not that there is no room: then the disk has to catch up first.
    fn decided<T>(
        &self,
        ask: impl Fn(&Service, &Actor) -> Answer<T>,
    ) -> Result<Answer<T>, Failure> {
        loop {
            let answer = ask(self.service, &self.admin);
            match &answer.result {
                Err(refusal) if refusal.outcome == Outcome::Overloaded => {
                    self.service.wait_durable(self.last).map_err(|error| broken(&error))?;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Tells of rows that are durable, and does not run further ahead of the disk than it may.
    fn acknowledge(&mut self) -> Result<(), Failure> {
        if IN_FLIGHT_MAX <= self.waiting.len()
            && let Some((half, _)) = self.waiting.get(IN_FLIGHT_MAX / 2)
        {
            self.service.wait_durable(*half).map_err(|error| broken(&error))?;
        }
        let durable = self.service.durable();
        let mut told = false;
        while let Some((_, line)) = self.waiting.pop_front_if(|(after, _)| *after <= durable) {
            if self.pace.acks {
                self.output.line(line)?;
                told = true;
            }
        }
        if told { self.output.flush() } else { Ok(()) }
    }

    /// Waits for the time of the next row, and tells meanwhile what became durable.
    fn wait_until(&mut self, start: std::time::Instant, due: Duration) -> Result<(), Failure> {
        loop {
            let left = due.saturating_sub(clock::monotonic_now().duration_since(start));
            if left.is_zero() {
                return Ok(());
            }
            clock::pause(left.min(ACK_EVERY));
            self.acknowledge()?;
        }
    }
}

/// A row asks for the one slot of its session, and is booked at once.
fn hold_of(row: &Row, session: &Session) -> Hold {
    let claim = ClaimRequest { session: session.id, count: 1, slots: SlotChoice::at(SlotIndex(0)) };
    Hold {
        appointment: row.appointment,
        patient: Some(row.patient),
        keys: ClientKeys::default(),
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        ttl: Ttl::DEFAULT,
        book: Some(PaymentRef(row.appointment.0)),
        claims: std::iter::once(claim).collect(),
    }
}

/// Where the appointment stands, also if an earlier run has settled it.
fn status_of(result: &Result<Receipt, Refusal>) -> Option<AppointmentStatus> {
    match result {
        Ok(receipt) => receipt.status,
        Err(refusal) => refusal.status,
    }
}

pub(super) fn another_history(outcome: Outcome) -> Failure {
    Failure::usage(
        format!("the data folder holds another history than the file: {}", outcome.name()),
        "name the folder of an earlier run of the same file with --data-dir, or a new one",
    )
}

fn broken(error: &JournalError) -> Failure {
    Failure::failed(error.to_string(), "run the same command again: it continues where it stood")
}

/// Rows that were decided and are not durable yet. More would only be more to do again.
const IN_FLIGHT_MAX: usize = 4_096;

/// How long a row that is durable may wait for its line while nothing else happens.
const ACK_EVERY: Duration = Duration::from_millis(5);
