//! Patients who come by the clock, whatever the node does.
//!
//! ```text
//! due? -> hold ---- acknowledged ---> think -> book ---- shed ---> come back -> book
//!   |       '-- shed: gone (or, of a few, back when told, or every 5 ms)
//!   '-- not its turn while the node turns many away, or answers are awaited for too long:
//!       shed without asking, as the client of a gateway does
//! ```
//!
//! **Architecture invariant:** every time is measured from the moment at which it was to be sent.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use haoyuan::client::{Backlog, CallError, StretchId, Throttle};
use haoyuan::model::{BookingChannel, Outcome, PatientId, RequestId, Timestamp, Ttl};
use haoyuan::protocol::{FrameKind, Packer, reply_head};
use parking_lot::Mutex;

use super::cohort::{Cohort, GROUPS};
use crate::load::{Clocked, Lanes, Patch, Template, run_by_clock};
use crate::random::{Random, mix};
use crate::supply::Supply;
use crate::{Failure, clock};

/// How a hold lasts: who has not booked by then has lost it.
pub(super) const TTL_MILLIS: u32 = 10_000;

/// Requests sent at one look at the most: answers must be read too.
const AT_ONCE_MAX: u32 = 4_096;

/// How often the pushy ask.
const PUSHY_MICROS: u64 = 5_000;

/// The polite, and the pushy.
pub(super) const REGULARS: usize = 200;

/// Whom to ask, and about what.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) server: std::net::SocketAddr,
    pub(super) certs: std::path::PathBuf,
    pub(super) supply: Supply,
    pub(super) connections: u32,
    pub(super) threads: u32,
    pub(super) think_micros: (u64, u64),
    /// While answers are awaited for longer, a patient is told to come back without asking the node,
    /// as a gateway does. In µs.
    pub(super) patience_micros: u64,
    /// While the node turns away more than this, patients ask it by turns.
    pub(super) turned_away_percent: u8,
}

/// What the leader says and the threads count.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) start: Instant,
    /// Patients a second, over all connections.
    pub(super) rate: AtomicU64,
    /// The cohort of who comes now.
    pub(super) cohort: AtomicU32,
    /// Set once: the regulars come.
    pub(super) regulars: AtomicBool,
    pub(super) ending: AtomicBool,
    pub(super) connected: std::sync::Barrier,
    pub(super) cohorts: Mutex<Vec<Cohort>>,
    /// How long the polite and the pushy waited to be let in, in µs.
    pub(super) waits: Mutex<[Vec<u64>; 2]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// Comes once.
    #[default]
    Once,
    /// Comes back when told to.
    Polite,
    /// Comes back at once, and again.
    Pushy,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// When it was to be sent, in µs from the start.
    due: u64,
    /// When the hold was acknowledged; 0 before.
    held: u64,
    /// When the patient first came.
    came: u64,
    cohort: u32,
    session: u32,
    slot: u16,
    manner: Manner,
    patient: u64,
    appointment: u128,
    request: u128,
    asked: StretchId,
}

/// Everything of a connection but the stream.
struct Desk {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    positions: Vec<Position>,
    free: Vec<u32>,
    /// Positions that wait to send, by time.
    later: BinaryHeap<Reverse<(u64, u32)>>,
    packer: Packer,
    /// What is asked and not answered.
    backlog: Backlog,
    throttle: Throttle,
    /// Who is told to come back without asking the node, and in how many µs.
    away: Vec<(u32, u64)>,
    random: Random,
    hold: Template,
    book: Template,
    number: u64,
    drawn: u64,
    /// When the next patient comes, in nanoseconds, and at which rate that was reckoned.
    next: u64,
    rate: u64,
    regulars_came: bool,
    wall: Timestamp,
}

/// Runs the connections of one thread to the end.
pub(super) fn run_thread(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    thread: u32,
) -> Result<(), Failure> {
    let Plan { certs, connections, threads, .. } = &**plan;
    let (connections, threads, name) = (*connections, *threads, "loadtest overload");
    let servers = &[plan.server];
    let lanes = Lanes { servers, certs, connections, threads, thread, name };
    let wait = || {
        shared.connected.wait();
    };
    lanes.run(wait, |number, lane, ()| Ok(run_by_clock(lane, Desk::new(plan, shared, number))))?;
    Ok(())
}

impl Shared {
    pub(super) fn new(threads: u32) -> Self {
        Self {
            start: clock::now(),
            rate: AtomicU64::new(0),
            cohort: AtomicU32::new(0),
            regulars: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            connected: std::sync::Barrier::new(threads as usize + 1),
            cohorts: Mutex::new(vec![Cohort::default()]),
            waits: Mutex::default(),
        }
    }

    fn micros(&self) -> u64 {
        clock::micros(self.start.elapsed())
    }
}

impl Clocked for Desk {
    fn micros(&self) -> u64 {
        self.shared.micros()
    }

    /// Counts a reply, and decides how the patient goes on.
    fn settle(&mut self, kind: FrameKind, unit: &[u8], micros: u64) -> Result<(), CallError> {
        let head = reply_head(unit).filter(|_| kind == FrameKind::Replies);
        let Some((index, code)) = head.filter(|head| (head.0 as usize) < self.positions.len())
        else {
            return Err(CallError::Protocol("an answer to no question".to_owned()));
        };
        self.backlog.answer(self.positions[index as usize].asked);
        let done = code == Outcome::Done.code() || code == Outcome::AlreadyDone.code();
        let shed = code == Outcome::Overloaded.code();
        let hint =
            unit.get(6..10).and_then(|hint| hint.try_into().ok()).map_or(0, u32::from_le_bytes);
        if self.positions[index as usize].held == 0 {
            let who = subject(self.positions[index as usize].patient);
            if shed {
                self.throttle.turned_away(micros, who, hint);
            } else {
                self.throttle.let_in(who.1);
            }
            self.settle_hold(index, done, shed, hint, micros);
        } else {
            self.settle_booking(index, done, shed, hint, micros);
        }
        Ok(())
    }

    fn is_done(&self, _now: u64) -> bool {
        self.shared.ending.load(Ordering::Relaxed) && self.free.len() == self.positions.len()
    }

    /// What is due; and tells those for whom it takes too long.
    fn frames(&mut self, micros: u64) -> Vec<u8> {
        self.send_due(micros);
        for (index, waits) in std::mem::take(&mut self.away) {
            let hint = u32::try_from(waits / 1_000).unwrap_or(u32::MAX).max(1);
            self.settle_hold(index, false, true, hint, micros);
        }
        self.packer.take()
    }
}

impl Desk {
    fn new(plan: &Arc<Plan>, shared: &Arc<Shared>, number: u32) -> Self {
        Self {
            positions: Vec::new(),
            free: Vec::new(),
            later: BinaryHeap::new(),
            packer: Packer::default(),
            backlog: Backlog::default(),
            throttle: Throttle::new(clock::wall().as_millis(), plan.turned_away_percent),
            away: Vec::new(),
            random: Random::new(mix(u64::from(number) + 77) ^ clock::wall().as_millis()),
            hold: Template::hold_for(Ttl::from_millis(TTL_MILLIS).unwrap_or(Ttl::DEFAULT)),
            book: Template::book(),
            number: u64::from(number),
            drawn: 0,
            next: 0,
            rate: 0,
            regulars_came: false,
            wall: clock::wall().minus_millis(shared.micros() / 1_000),
            plan: Arc::clone(plan),
            shared: Arc::clone(shared),
        }
    }

    fn send_due(&mut self, micros: u64) {
        let shared = Arc::clone(&self.shared);
        let mut cohorts = shared.cohorts.lock();
        if shared.regulars.load(Ordering::Relaxed) && !self.regulars_came && self.number == 0 {
            self.regulars_came = true;
            for manner in [Manner::Polite, Manner::Pushy] {
                (0..REGULARS).for_each(|_| self.come(micros, micros, u32::MAX, manner));
            }
        }
        let mut sent = 0;
        while let Some(Reverse((due, index))) = self.later.peek().copied()
            && due <= micros
            && sent < AT_ONCE_MAX
        {
            self.later.pop();
            self.ask(index, due, micros);
            sent += 1;
        }
        let rate = shared.rate.load(Ordering::Relaxed);
        let interval = (u64::from(self.plan.connections) * 1_000_000_000).checked_div(rate);
        if rate != self.rate {
            self.rate = rate;
            self.next = micros * 1_000 + self.random.next() % interval.unwrap_or(0).max(1);
        }
        let Some(interval) = interval else { return };
        let cohort = shared.cohort.load(Ordering::Relaxed);
        while self.next <= micros * 1_000 && sent < AT_ONCE_MAX {
            let due = self.next / 1_000;
            self.come(due, micros, cohort, Manner::Once);
            let position = self.drawn;
            let counted = &mut cohorts[cohort as usize];
            counted.offered += 1;
            counted.groups[group(patient(self.number, position))].0 += 1;
            counted.lag.saturating_record((micros - due).max(1));
            self.next += interval;
            sent += 1;
        }
    }

    /// A new patient asks for a hold.
    fn come(&mut self, due: u64, micros: u64, cohort: u32, manner: Manner) {
        self.drawn += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.positions.push(Position::default());
            u32::try_from(self.positions.len() - 1).expect("fewer than 2^32 patients at a time")
        });
        let appointment = self.fresh_id(micros);
        let supply = &self.plan.supply;
        let session = self.random.below(supply.sessions);
        let slot = u16::try_from(self.random.below(supply.slots)).unwrap_or(0);
        self.positions[index as usize] = Position {
            due,
            held: 0,
            came: due,
            cohort,
            session,
            slot,
            manner,
            patient: patient(self.number, self.drawn),
            appointment,
            request: appointment,
            asked: StretchId::default(),
        };
        self.ask(index, due, micros);
    }

    /// Sends what the position wants: its hold, or its booking.
    fn ask(&mut self, index: u32, due: u64, micros: u64) {
        if self.positions[index as usize].held != 0
            && self.positions[index as usize].request == self.positions[index as usize].appointment
        {
            self.positions[index as usize].request = self.fresh_id(micros);
        }
        let position = &mut self.positions[index as usize];
        if position.held == 0 {
            position.due = due;
            let waits = self.backlog.waits(micros);
            if self.plan.patience_micros < waits {
                self.away.push((index, waits));
                return;
            }
            if let Err(waits) = self.throttle.admit(micros, subject(position.patient)) {
                self.away.push((index, waits));
                return;
            }
        }
        position.asked = self.backlog.ask(micros);
        let patch = Patch {
            correlation: index,
            request: position.request,
            appointment: position.appointment,
            patient: key(position.patient),
            session: self.plan.supply.first + u64::from(position.session),
            slot: position.slot,
        };
        let template = if position.held == 0 { &mut self.hold } else { &mut self.book };
        self.packer.encoded_item(FrameKind::Requests, template.patched(&patch));
    }

    fn fresh_id(&mut self, micros: u64) -> u128 {
        let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        RequestId::from_parts(self.wall.plus_millis(micros / 1_000), random >> 32).0
    }

    fn settle_hold(&mut self, index: u32, done: bool, shed: bool, hint: u32, micros: u64) {
        let shared = Arc::clone(&self.shared);
        let position = &mut self.positions[index as usize];
        let late = (micros - position.due).max(1);
        if position.manner == Manner::Once {
            let mut cohorts = shared.cohorts.lock();
            let cohort = &mut cohorts[position.cohort as usize];
            if done {
                cohort.held += 1;
                cohort.groups[group(position.patient)].1 += 1;
                cohort.latency.saturating_record(late);
            } else if shed {
                cohort.shed += 1;
                cohort.hints_ms += u64::from(hint);
                cohort.shed_latency.saturating_record(late);
            } else {
                cohort.refused += 1;
            }
        } else if done {
            let which = usize::from(position.manner == Manner::Pushy);
            shared.waits.lock()[which].push(micros - position.came);
        } else if shed && !shared.ending.load(Ordering::Relaxed) {
            let wait = match position.manner {
                Manner::Pushy => PUSHY_MICROS,
                Manner::Once | Manner::Polite => u64::from(hint) * 1_000,
            };
            self.later.push(Reverse((micros + wait, index)));
            return;
        }
        if done {
            let (least, most) = self.plan.think_micros;
            let span = u32::try_from(most.saturating_sub(least)).unwrap_or(u32::MAX);
            let think = least + u64::from(self.random.below(span.max(1)));
            let position = &mut self.positions[index as usize];
            (position.held, position.due) = (micros, micros + think);
            self.later.push(Reverse((micros + think, index)));
        } else {
            self.free.push(index);
        }
    }

    fn settle_booking(&mut self, index: u32, done: bool, shed: bool, hint: u32, micros: u64) {
        let position = self.positions[index as usize];
        let in_time = micros < position.held + u64::from(TTL_MILLIS) * 1_000;
        if position.manner == Manner::Once {
            let mut cohorts = self.shared.cohorts.lock();
            let cohort = &mut cohorts[position.cohort as usize];
            cohort.bookings_shed += u64::from(shed);
            if done && in_time {
                cohort.booked += 1;
                cohort.booking_latency.saturating_record((micros - position.due).max(1));
            } else if !(shed && in_time) {
                cohort.lost += 1;
            }
        }
        if shed && in_time {
            self.later.push(Reverse((micros + u64::from(hint.max(1)) * 1_000, index)));
        } else {
            self.free.push(index);
        }
    }
}

/// Nobody comes twice, on whatever connection.
const fn patient(connection: u64, drawn: u64) -> u64 {
    connection << 48 | drawn
}

/// What the node knows a patient by.
fn key(patient: u64) -> u128 {
    u128::from(mix(patient)) << 64 | u128::from(patient)
}

fn subject(patient: u64) -> (PatientId, BookingChannel) {
    (PatientId(key(patient)), BookingChannel::default())
}

fn group(patient: u64) -> usize {
    usize::try_from(mix(patient) % GROUPS as u64).unwrap_or(0)
}
