//! The pipeline: the path of a request, in one place.
//!
//! ```text
//! call:  admit -> rates of the way -> sold out? -> rates of persons -> gate -> permit -> inventory { decide, append, evolve } -> Answer { after }
//! read:  admit -> rates of the way -> board or shard ------------------------------------------> Answer { after }
//! tick:  gate looks; deadlines -> permit -> inventory { expire }      what ended long ago -> { forget }
//! ```
//!
//! An [`Answer`] may be told when the record it names is durable, not before (invariant I-5).
//!
//! **Architecture invariant:** this is the only module that knows admission, inventory and journal.
//! It reads no clock: every call is told the time.

#[cfg(any(feature = "node", fuzzing))]
pub mod audit;
mod chance;
mod counters;
pub mod digest;
mod disruption;
mod draws;
mod explain;
#[cfg(any(feature = "node", fuzzing))]
mod image;
#[cfg(feature = "node")]
mod open;
#[cfg(fuzzing)]
pub mod probe;
mod probing;
mod rates;
mod read;
mod refusals;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use self::chance::Chances;
use self::counters::Counters;
pub use self::counters::{LATENESS_BUCKETS, ServiceStats};
use self::draws::Drawing;
#[cfg(feature = "node")]
pub use self::open::{OpenError, OpenOptions, RecoveryReport, restore_shard};
use self::refusals::RefusalRing;
pub use crate::admission::{ConnectionLevels, Meter, RateCounts, Regime, ShedReason};
use crate::admission::{Gate, Observation, Probes, Rates, Shed, admit};
use crate::codec::encode_facts;
use crate::draw::NodeKey;
use crate::engine::Context;
pub use crate::inventory::Imported;
use crate::inventory::Inventory;
use crate::journal::{Journal, JournalError, Lane, Permit};
use crate::model::{
    Action, Actor, Answer, AppointmentId, BookingChannel, Change, ClockReading, Command, Facts,
    Hold, Outcome, Receipt, Refusal, RequestId, Role, Sequence, Timestamp,
};

/// A node's reservation service: the inventory, and the journal that makes it last.
#[derive(Debug)]
pub struct Service {
    inventory: Inventory,
    journal: Journal,
    limits: Limits,
    counters: Counters,
    gate: Gate,
    rates: Rates,
    probes: Probes,
    chances: Chances,
    /// Set while memory holds as many appointments as it may; looked at every second.
    is_full: AtomicBool,
    counted: AtomicU64,
    /// Set while the clock is in doubt: nothing expires, nothing is forgotten, nothing opens.
    is_paused: AtomicBool,
    /// When the clock was last believed, in milliseconds: while it is not, openings stand still.
    believed: AtomicU64,
    timekeeper: OnceLock<Box<dyn Timekeeper>>,
    /// What the seeds of draws are made from.
    draw_key: OnceLock<NodeKey>,
    drawing: Mutex<Drawing>,
    refusals: RefusalRing,
    /// Cleared while the node stops.
    is_serving: AtomicBool,
    #[cfg(feature = "node")]
    folder: Option<crate::journal::DataFolder>,
}

/// Who has the node's clock.
pub trait Timekeeper: fmt::Debug + Send + Sync {
    /// What it shows.
    fn read(&self) -> ClockReading;

    /// Believes the machine's clock again.
    fn confirm(&self);
}

/// Bounds that a configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long requests are remembered, in milliseconds. An older id is refused.
    pub retention_millis: u64,
    /// Appointments in memory; beyond that holds are refused as `Overloaded`. Looked at every
    /// second, so leave a second's worth of room.
    pub appointments_max: u64,
    /// How long a new hold may wait for the disk, in milliseconds; what would wait longer is shed
    /// as `Overloaded`. 0, the default, sheds nothing before the queue is full: right for one who
    /// waits by himself, as a replay does.
    pub delay_max_millis: u64,
    /// How many refusals are remembered to be explained, 96 bytes each, taken as they come.
    pub refusals_kept: usize,
}

impl Default for Limits {
    /// A day of requests; 50 million appointments, about 12 GB.
    fn default() -> Self {
        let retention_millis = crate::model::limits::RETENTION_MILLIS_DEFAULT;
        Self {
            retention_millis,
            appointments_max: 50_000_000,
            delay_max_millis: 0,
            refusals_kept: 1 << 20,
        }
    }
}

impl Service {
    /// A service on an inventory that is up to the journal's tail.
    pub fn new(inventory: Inventory, journal: Journal, limits: Limits) -> Self {
        let chances = Chances::from_system();
        Self {
            inventory,
            journal,
            limits,
            counters: Counters::default(),
            gate: Gate::new(limits.delay_max_millis, 0),
            rates: Rates::default(),
            probes: Probes::default(),
            refusals: RefusalRing::new(limits.refusals_kept, chances.draw()),
            chances,
            is_full: AtomicBool::new(false),
            counted: AtomicU64::new(0),
            is_paused: AtomicBool::new(false),
            believed: AtomicU64::new(0),
            timekeeper: OnceLock::new(),
            draw_key: OnceLock::new(),
            drawing: Mutex::default(),
            is_serving: AtomicBool::new(true),
            #[cfg(feature = "node")]
            folder: None,
        }
    }

    /// The same with random numbers that follow from a seed, for a run that is to be repeated.
    #[must_use]
    pub fn with_chances(self, seed: u64) -> Self {
        Self { chances: Chances::of_seed(seed), ..self }
    }

    /// Carries out a command, or refuses it. Nobody's rates are counted: what comes from outside
    /// comes by [`call_metered`](Self::call_metered).
    pub fn call(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        self.carry_out((now, false), actor, None, command)
    }

    /// The same for a command that waited too long before it was read: new holds are shed, so that
    /// those behind them are not late too.
    pub fn call_late(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        self.carry_out((now, true), actor, None, command)
    }

    fn carry_out(
        &self,
        (now, is_late): (Timestamp, bool),
        actor: &Actor,
        mut meter: Option<&mut Meter>,
        command: &Command,
    ) -> Answer<Receipt> {
        let context = Context {
            openings: self.openings(now),
            key: self.draw_key.get(),
            ..Context::new(now, actor)
        };
        let answer =
            if let Err(refusal) = self.refuse_early(&context, meter.as_deref_mut(), command) {
                Answer::refused(refusal)
            } else {
                let answer = self.decide(&context, meter.as_deref(), command, is_late);
                if let Err(refusal) = &answer.result {
                    self.refusals.note(now, command, refusal);
                }
                answer
            };
        if let (Command::Hold(hold), Err(refusal)) = (command, &answer.result) {
            self.count_refusal(now, hold, refusal.outcome);
        }
        let outcome = match &answer.result {
            Ok(receipt) if receipt.retried => Outcome::AlreadyDone,
            Ok(_) => Outcome::Done,
            Err(refusal) => refusal.outcome,
        };
        self.counters.count(command.operation(), outcome);
        answer
    }

    /// Refuses what needs no lock: what was asked in a wrong way or too often, and what is sold out.
    /// Such refusals are too many to be kept.
    fn refuse_early(
        &self,
        context: &Context<'_>,
        meter: Option<&mut Meter>,
        command: &Command,
    ) -> Result<(), Refusal> {
        admit(context.now, context.actor, command, self.limits.retention_millis)?;
        if let Some(meter) = meter {
            self.meter_command(context.now, context.actor, meter, command)?;
        }
        let Command::Hold(hold) = command else { return Ok(()) };
        self.inventory.refuse_at_once(context, hold).map_or(Ok(()), Err)
    }

    fn decide(
        &self,
        context: &Context<'_>,
        meter: Option<&Meter>,
        command: &Command,
        is_late: bool,
    ) -> Answer<Receipt> {
        let now = context.now;
        if !self.is_serving() {
            return Answer::refused(Refusal::for_now(Outcome::NotReady, NOT_READY_MILLIS));
        }
        let opens = matches!(command, Command::OpenSession(_));
        if opens && self.is_paused.load(Ordering::Relaxed) {
            return Answer::refused(Refusal::for_now(Outcome::NotReady, CLOCK_MILLIS));
        }
        if let Some(meter) = meter
            && let Err(limited) = self.rates.admit_keys(now, context.actor, meter, command)
        {
            return Answer::refused(limited);
        }
        if let Err(shed) = self.admit_now(now, command, is_late) {
            return self.shed(shed);
        }
        let Some(permit) = self.journal.reserve(Lane::Request) else {
            return self.shed(QUEUE_FULL);
        };
        let append = self.append(permit, now);
        let drawn = || Context { chance: self.chances.draw(), ..*context };
        match command {
            Command::Hold(hold) => self.inventory.hold(context, hold, append),
            Command::Change(change) => self.inventory.change(&drawn(), change, append),
            Command::OpenSession(open) => self.inventory.open(context, open, append),
            Command::SetQuotas(set) => self.inventory.set_quotas(context, set, append),
            Command::Reschedule(ask) => self.inventory.reschedule(context, ask, append),
            Command::BlockSession(block) => self.inventory.block(context, block, append),
            Command::Substitute(substitute) => {
                self.inventory.substitute(context, substitute, append)
            }
            Command::AddPlace(add) => self.inventory.add_place(context, add, append),
            Command::RevealDraw(reveal) => self.inventory.give_beacon(context, reveal, append),
            Command::JoinWaitlist(join) => self.inventory.join_waitlist(context, join, append),
            Command::LeaveWaitlist(leave) => self.inventory.leave_waitlist(context, leave, append),
            Command::CallNext(call) => self.inventory.call_next(context, call, append),
            Command::ApplyRules(apply) => {
                let answer = self.inventory.apply_rules(context, apply, append);
                self.follow_rules(now);
                self.probes.forget_rules();
                answer
            }
            Command::Order(order) => self.inventory.order(context, order, append),
            Command::Pay(pay) => self.inventory.pay(&drawn(), pay, append),
            Command::Refund(refund) => self.inventory.refund(context, refund, append),
            Command::NamePatient(name) => self.inventory.name_patient(context, name, append),
            Command::Restrict(ask) => self.inventory.restrict(context, ask, append),
            Command::Amend(ask) => self.inventory.amend(context, ask, append),
            Command::Appeal(ask) => self.inventory.appeal(context, ask, append),
            Command::MergePatients(ask) => self.inventory.merge(context, ask, append),
        }
    }

    /// Appends facts to the journal, at the place that was reserved.
    fn append<'a>(
        &'a self,
        permit: Permit<'a>,
        now: Timestamp,
    ) -> impl FnOnce(&Facts) -> Sequence + 'a {
        move |facts| self.journal.append(permit, now, |buffer| encode_facts(facts, buffer))
    }

    /// The time that openings go by. A clock that jumped opens nothing before an operator looked.
    fn openings(&self, now: Timestamp) -> Timestamp {
        if !self.is_paused.load(Ordering::Relaxed) {
            return now;
        }
        now.min(Timestamp::from_millis(self.believed.load(Ordering::Relaxed)))
    }

    /// Whether there is room for it: memory, and time. What finishes passes longer than a new hold.
    fn admit_now(&self, now: Timestamp, command: &Command, is_late: bool) -> Result<(), Shed> {
        if self.gate.is_due(now) {
            self.look(now);
        }
        let durable = self.journal.durable();
        let waiting = self.journal.appended().0.saturating_sub(durable.0);
        let Command::Hold(hold) = command else { return self.gate.admit_finish(waiting) };
        if self.is_full.load(Ordering::Relaxed) {
            return Err(Shed::for_now(ShedReason::Memory, MEMORY_FULL_MILLIS));
        }
        let who = (hold.holder().unwrap_or_default(), hold.channel);
        self.gate.admit_hold(now, waiting, is_late, who)
    }

    fn shed<T>(&self, shed: Shed) -> Answer<T> {
        self.counters.count_shed(shed.reason);
        Answer::refused(shed)
    }

    /// Books a row of history under a clock that the caller turns. A refusal is remembered like a
    /// booking, so that a run that is continued reads it instead of deciding it again.
    pub fn import(&self, now: Timestamp, hold: &Hold) -> Answer<Imported> {
        let actor = Actor::unbounded(Role::Admin);
        let context = Context::new(now, &actor);
        if self.is_failed() {
            return Answer::refused(Refusal::for_now(Outcome::NotReady, NOT_READY_MILLIS));
        }
        let Some(permit) = self.journal.reserve(Lane::Request) else {
            return self.shed(QUEUE_FULL);
        };
        self.inventory.import(&context, hold, self.append(permit, now))
    }

    /// Closes the day for an appointment: the patient came, or did not.
    pub fn settle(
        &self,
        now: Timestamp,
        appointment: AppointmentId,
        came: bool,
    ) -> Answer<Receipt> {
        let actor = Actor::unbounded(Role::Admin);
        let context = Context::new(now, &actor);
        if self.is_failed() {
            return Answer::refused(Refusal::for_now(Outcome::NotReady, NOT_READY_MILLIS));
        }
        let Some(permit) = self.journal.reserve(Lane::Upkeep) else {
            return self.shed(QUEUE_FULL);
        };
        let change = Change {
            // The id follows from the appointment and the time: the same settlement again is a retry.
            request: RequestId::from_parts(now, appointment.0 ^ SETTLEMENT),
            appointment,
            patient: None,
            channel: BookingChannel::default(),
            action: if came { Action::Settle } else { Action::NoShow },
        };
        self.inventory.change(&context, &change, self.append(permit, now))
    }

    /// Does what time demands: ends holds whose deadline has passed, and now and then forgets what
    /// ended long ago. Returns how many holds it ended; call again soon if that is many.
    pub fn tick(&self, now: Timestamp) -> u64 {
        self.look(now);
        if self.is_paused.load(Ordering::Relaxed) || self.journal.is_failed() {
            return 0;
        }
        self.believed.store(now.as_millis(), Ordering::Relaxed);
        self.measure(now);
        self.step_sessions(now);
        self.sweep(now);
        self.step_draws(now);
        let mut expired = 0;
        for home in self.inventory.due_homes(now) {
            while let Some(permit) = self.journal.reserve(Lane::Upkeep) {
                let chance = self.chances.draw();
                let done = self.inventory.expire_one(home, now, chance, self.append(permit, now));
                let Some((_, late_millis)) = done else { break };
                self.counters.count_expiry(late_millis);
                expired += 1;
            }
        }
        expired
    }

    /// Does what is due in sessions: unused places go to other pools, freed ones come back
    /// or are offered to who waits.
    fn step_sessions(&self, now: Timestamp) {
        for shard in self.inventory.due_sessions(now) {
            while let Some(permit) = self.journal.reserve(Lane::Upkeep) {
                let chance = self.chances.draw();
                let done =
                    self.inventory.step_session(shard, now, chance, self.append(permit, now));
                if done.is_none() {
                    break;
                }
            }
        }
    }

    /// Lets the gate look at how the journal fares.
    fn look(&self, now: Timestamp) {
        let stats = self.journal.stats();
        // The horizon first: what is appended meanwhile waits.
        let durable = self.journal.durable();
        self.gate.look(&Observation {
            now,
            appended: self.journal.appended().0,
            durable: durable.0,
            small_commits: stats.small_commits,
            small_commit_micros: stats.small_commit_micros,
        });
    }

    /// Whether requests that had waited in the node for so long when they were read are
    /// [late](Self::call_late).
    pub fn is_late(&self, waited_micros: u64) -> bool {
        self.gate.is_late(waited_micros)
    }

    /// What of new holds is let in at present.
    pub fn regime(&self) -> Regime {
        self.gate.regime()
    }

    /// Whether some subjects have to wait for their turn.
    pub fn is_shedding(&self) -> bool {
        self.gate.is_shedding()
    }

    /// Counts the appointments, if the last count is a second old.
    fn measure(&self, now: Timestamp) {
        let counted = self.counted.load(Ordering::Relaxed);
        if now.as_millis().abs_diff(counted) < 1_000 {
            return;
        }
        self.counted.store(now.as_millis(), Ordering::Relaxed);
        let (_, appointments) = self.inventory.counts();
        self.is_full.store(self.limits.appointments_max <= appointments, Ordering::Relaxed);
    }

    /// Forgets what ended before the retention window, in bounded steps, and says how many records
    /// that took. Meant for every minute or so.
    pub fn forget(&self, now: Timestamp) -> u64 {
        let mut records = 0;
        for home in 0..crate::inventory::SHARD_COUNT {
            if self.is_paused.load(Ordering::Relaxed) || self.is_failed() {
                break;
            }
            let Some(permit) = self.journal.reserve(Lane::Upkeep) else { break };
            let done = self.inventory.forget_some(home, now, self.append(permit, now));
            records += u64::from(done.is_some());
        }
        records
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.inventory.next_deadline()
    }

    /// Gives the node's clock to those who ask for it. Without one they are told `NotReady`.
    pub fn set_timekeeper(&self, timekeeper: impl Timekeeper + 'static) {
        // A node has one clock; a second would change nothing.
        let _set = self.timekeeper.set(Box::new(timekeeper));
    }

    /// Stops or resumes expiry, forgetting and openings: the clock is in doubt, or was confirmed.
    pub fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
    }

    /// Refuses changes from now on: the node stops.
    pub fn stop_serving(&self) {
        self.is_serving.store(false, Ordering::Relaxed);
    }

    /// Whether changes are taken.
    pub fn is_serving(&self) -> bool {
        self.is_serving.load(Ordering::Relaxed) && !self.journal.is_failed()
    }

    /// The last record that is durable.
    pub fn durable(&self) -> Sequence {
        self.journal.durable()
    }

    /// Whether the journal failed. What waits is never answered then.
    pub fn is_failed(&self) -> bool {
        self.journal.is_failed()
    }

    /// Has a waker called at the next advance of the durable horizon. Register, then look again.
    pub fn register(&self, waker: &Waker) {
        self.journal.register(waker);
    }

    /// Blocks this thread until a record is durable.
    ///
    /// # Errors
    ///
    /// The journal failed or is closed.
    pub fn wait_durable(&self, sequence: Sequence) -> Result<(), JournalError> {
        self.journal.wait_durable(sequence)
    }

    /// The journal, to read records from.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The inventory, to look at.
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Counters and gauges.
    pub fn stats(&self) -> ServiceStats {
        let (sessions, places_free) = self.inventory.free_places();
        let (holds, appointments) = self.inventory.counts();
        ServiceStats {
            holds,
            appointments,
            sessions,
            places_free,
            shadow_refusals: self.inventory.shadow_refusals(),
            appended: self.journal.appended(),
            durable: self.journal.durable(),
            journal: self.journal.stats(),
            ..self.counters.read()
        }
    }

    /// A hash of the whole state: see [`digest`]. Nothing may change meanwhile.
    pub fn digest(&self) -> [u8; 32] {
        digest::of_inventory(&self.inventory)
    }

    /// Commits what was appended and closes the journal.
    ///
    /// # Errors
    ///
    /// The journal failed before.
    pub fn close(&self) -> Result<(), JournalError> {
        self.stop_serving();
        self.journal.close()
    }
}

/// The journal's queue is full: it drains in less than a second.
const QUEUE_FULL: Shed = Shed::for_now(ShedReason::Queue, 500);

/// When to come back to a node whose memory is full: it forgets every minute.
const MEMORY_FULL_MILLIS: u32 = 10_000;

/// When to come back to a node that starts or stops.
const NOT_READY_MILLIS: u32 = 2_000;

/// When to come back to a node whose clock waits for an operator: people take that long.
const CLOCK_MILLIS: u32 = 10_000;

/// Makes the id of a settlement out of the id of its appointment.
const SETTLEMENT: u128 = 0x5e77_1e5e_771e;
