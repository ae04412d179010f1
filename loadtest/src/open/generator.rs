//! The open loop: requests go out when they are due, whatever became of those before.
//!
//! ```text
//! schedule -> due? -> template, patched -> frames, one write for all that is due
//! replies  -> latency from the instant at which the request was due -> counts
//! ```
//!
//! **Architecture invariant:** what is due is sent or counted as unsent, never put off: a latency is
//! reckoned from the intended instant, and so is the generator's own lag.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Instant;

use haoyuan::client::CallError;
use haoyuan::model::{RequestId, Timestamp};
use haoyuan::protocol::{FrameKind, Packer, reply_head};
use hdrhistogram::Histogram;

use crate::arrivals::{Arrivals, Schedule};
use crate::load::{
    Clocked, Kind, Lanes, Patch, Plan, Tally, Template, Wish, patient_key, run_by_clock,
};
use crate::random::{Random, mix};
use crate::{Failure, clock};

/// Requests sent at one look at the most: answers must be read too.
const AT_ONCE_MAX: u32 = 8_192;

/// How long answers are awaited after the last request, in µs.
const PATIENCE_MICROS: u64 = 5_000_000;

/// The longest lag that is told apart: a minute.
const MICROS_MAX: u64 = 60_000_000;

/// What comes, and to which node.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Whom to ask about what; its window is not used.
    pub(super) plan: Plan,
    pub(super) arrivals: Arrivals,
    /// The most in a second, over all connections.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    /// Requests under way at the most, over all connections; what comes beyond is not sent.
    pub(super) in_flight_max: u64,
}

/// What the threads share with who leads them.
#[derive(Debug)]
pub(super) struct Shared {
    /// The zero of all instants, set when everybody is connected.
    start: OnceLock<Instant>,
    connected: Barrier,
    started: Barrier,
    /// For the progress line.
    pub(super) offered: AtomicU64,
    pub(super) answered: AtomicU64,
}

/// What a thread counted, or all.
#[derive(Debug)]
pub(super) struct Counted {
    /// Requests that were due.
    pub(super) offered: u64,
    /// Of them, those that were not sent because too many were under way.
    pub(super) unsent: u64,
    /// Of those sent, the ones without an answer at the end.
    pub(super) unanswered: u64,
    /// How late the generator was, in µs.
    pub(super) lag: Histogram<u64>,
    /// Answers.
    pub(super) tally: Tally,
}

/// Everything of a connection but the stream.
struct Desk {
    offer: Arc<Offer>,
    shared: Arc<Shared>,
    start: Instant,
    schedule: Schedule,
    /// The next instant, in µs from the start.
    next: Option<u64>,
    positions: Vec<Position>,
    free: Vec<u32>,
    in_flight_max: usize,
    packer: Packer,
    random: Random,
    templates: [Template; 2],
    wall: Timestamp,
    /// Answers since they were last told.
    answered: u64,
    counted: Counted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// When it was to be sent, in µs from the start.
    due: u64,
    kind: Kind,
    session: u32,
    slot: u16,
}

impl Counted {
    /// Nothing yet, over so many slots.
    pub(super) fn new(slots: usize) -> Result<Self, Failure> {
        let lag = Histogram::new_with_bounds(1, MICROS_MAX, 3)?;
        Ok(Self { offered: 0, unsent: 0, unanswered: 0, lag, tally: Tally::new(slots) })
    }

    /// Adds what another thread or connection counted.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.offered += other.offered;
        self.unsent += other.unsent;
        self.unanswered += other.unanswered;
        self.lag.add(&other.lag)?;
        self.tally.add(&other.tally)
    }
}

impl Shared {
    /// For so many threads and a leader.
    pub(super) fn new(threads: u32) -> Self {
        Self {
            start: OnceLock::new(),
            connected: Barrier::new(threads as usize + 1),
            started: Barrier::new(threads as usize + 1),
            offered: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// Lets everybody begin, in the thread that leads.
    pub(super) fn begin(&self) -> Instant {
        self.connected.wait();
        let start = *self.start.get_or_init(clock::now);
        self.started.wait();
        start
    }

    fn wait(&self) -> Instant {
        self.connected.wait();
        self.started.wait();
        *self.start.get_or_init(clock::now)
    }
}

/// Runs the connections of one thread to the end.
pub(super) fn run_thread(
    offer: &Arc<Offer>,
    shared: &Arc<Shared>,
    thread: u32,
) -> Result<Counted, Failure> {
    let name = "loadtest open";
    let desks = Lanes::of(&offer.plan, thread, name).run(
        || shared.wait(),
        |number, lane, start| {
            let desk = Desk::new(offer, shared, number, *start)?;
            Ok(run_by_clock(lane, desk))
        },
    )?;
    let mut all = Counted::new(offer.plan.supply.slot_count())?;
    for desk in desks {
        all.add(&desk.finish())?;
    }
    Ok(all)
}

impl Clocked for Desk {
    fn micros(&self) -> u64 {
        clock::micros(self.start.elapsed())
    }

    #[inline]
    fn settle(&mut self, kind: FrameKind, unit: &[u8], now: u64) -> Result<(), CallError> {
        let head = reply_head(unit).filter(|_| kind == FrameKind::Replies);
        let known = head
            .and_then(|(index, code)| Some((index, code, *self.positions.get(index as usize)?)));
        let Some((index, code, position)) = known else {
            return Err(CallError::Protocol("an answer to no question".to_owned()));
        };
        let late = now.saturating_sub(position.due);
        let tally = &mut self.counted.tally;
        tally.count(position.kind, code, late, now);
        if code == 0 && position.kind == Kind::Hold {
            let slot = position.session * self.offer.plan.supply.slots + u32::from(position.slot);
            tally.taken[slot as usize] += 1;
        }
        self.answered += 1;
        self.free.push(index);
        Ok(())
    }

    /// Whether nothing is due any more, and all is answered or awaited for too long.
    fn is_done(&self, now: u64) -> bool {
        let end = self.offer.seconds * 1e6;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds")]
        let last = end as u64 + PATIENCE_MICROS;
        self.next.is_none() && (self.free.len() == self.positions.len() || last < now)
    }

    fn frames(&mut self, now: u64) -> Vec<u8> {
        self.tell();
        self.send_due(now);
        self.packer.take()
    }
}

impl Desk {
    fn new(
        offer: &Arc<Offer>,
        shared: &Arc<Shared>,
        number: u32,
        start: Instant,
    ) -> Result<Self, Failure> {
        let (plan, parts) = (&offer.plan, offer.plan.connections);
        let (rate, seconds) = (offer.rate, offer.seconds);
        let mut schedule =
            Schedule::new(&offer.arrivals, rate, seconds, (number, parts), plan.seed);
        let since = clock::micros(start.elapsed()) / 1_000;
        Ok(Self {
            start,
            next: schedule.next(),
            schedule,
            positions: Vec::new(),
            free: Vec::new(),
            in_flight_max: usize::try_from(offer.in_flight_max / u64::from(parts))?,
            packer: Packer::default(),
            random: Random::new(plan.seed ^ mix(u64::from(number) + 1)),
            templates: [Template::hold(false), Template::availability()],
            wall: clock::wall().minus_millis(since),
            answered: 0,
            counted: Counted::new(plan.supply.slot_count())?,
            offer: Arc::clone(offer),
            shared: Arc::clone(shared),
        })
    }

    /// Sends what is due.
    fn send_due(&mut self, now: u64) {
        let mut sent = 0;
        while let Some(due) = self.next
            && due <= now
            && sent < AT_ONCE_MAX
        {
            self.next = self.schedule.next();
            self.counted.lag.saturating_record((now - due).max(1));
            sent += 1;
            if let Some(index) = self.position() {
                self.ask(index, due, now);
            } else {
                self.counted.unsent += 1;
            }
        }
        self.counted.offered += u64::from(sent);
        self.shared.offered.fetch_add(u64::from(sent), Ordering::Relaxed);
    }

    /// Adds what was answered to the shared count.
    fn tell(&mut self) {
        let answered = std::mem::take(&mut self.answered);
        self.shared.answered.fetch_add(answered, Ordering::Relaxed);
    }

    /// A position without a request under way, unless there are too many.
    fn position(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            if self.in_flight_max <= self.positions.len() {
                return None;
            }
            self.positions.push(Position::default());
            u32::try_from(self.positions.len() - 1).ok()
        })
    }

    #[inline]
    fn ask(&mut self, index: u32, due: u64, now: u64) {
        let plan = &self.offer.plan;
        let kind = plan.mix.next(Kind::Hold, false, &mut self.random);
        let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        let wish = Wish::draw(&mut self.random, &plan.supply);
        self.positions[index as usize] =
            Position { due, kind, session: wish.session, slot: wish.slot };
        // Spread over the 74 free bits of the id.
        let id = RequestId::from_parts(self.wall.plus_millis(now / 1_000), random >> 32).0;
        let patch = Patch {
            correlation: index,
            request: id,
            appointment: id,
            patient: patient_key(wish.patient),
            session: plan.supply.first + u64::from(wish.session),
            slot: wish.slot,
        };
        let template = &mut self.templates[usize::from(kind == Kind::Read)];
        self.packer.encoded_item(FrameKind::Requests, template.patched(&patch));
    }

    fn finish(mut self) -> Counted {
        self.counted.unanswered = (self.positions.len() - self.free.len()) as u64;
        self.counted.tally.settle();
        self.counted
    }
}
