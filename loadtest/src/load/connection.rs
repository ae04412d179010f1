//! One connection of the load: a window of positions, each with one request under way.
//!
//! ```text
//! position = correlation id: when sent, what kind, which slot, which appointment
//! receive --> each reply settles its position --> positions that are free --> frames --> flush
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use haoyuan::client::{CallError, Lane};
use haoyuan::model::{Action, Outcome, RequestId, Timestamp};
use haoyuan::protocol::{FrameKind, Packer, Reply, decode_reply, reply_head};

use super::mix::Kind;
use super::tally::Tally;
use super::template::{Patch, Template};
use super::wish::{PATIENTS, Wish, patient_key};
use super::{ENDING, MEASURED, Plan, Shared};
use crate::random::{Random, mix};
use crate::{Failure, clock};

/// No other factor than 2 and 5 divides the number of patients, so steps of this reach them all.
const PATIENT_STEP: u64 = 7_654_321;

/// A hot session is left for the next when this share of its places is taken.
const HOT_SHARE_PERCENT: u64 = 95;

/// A connection with its window.
#[derive(Debug)]
pub(super) struct Connection {
    lane: Lane,
    window: Window,
    shared: Arc<Shared>,
}

/// Everything of a connection but the stream.
#[derive(Debug)]
struct Window {
    plan: Arc<Plan>,
    positions: Vec<Position>,
    /// Positions without a request under way.
    free: Vec<u32>,
    packer: Packer,
    random: Random,
    templates: [Template; Kind::ALL.len()],
    /// How many patients this connection has drawn, and which connection it is.
    drawn: u64,
    number: u64,
    /// Places taken less those given back, since they were last added to the shared count.
    taken: i64,
    /// The wall's time at the zero of the run.
    wall: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Microseconds from the start of the run; the low half is enough for a difference.
    sent: u32,
    kind: Kind,
    session: u32,
    slot: u16,
    patient: u32,
    appointment: u128,
}

impl Connection {
    /// A connection that has sent nothing yet.
    pub(super) fn new(lane: Lane, plan: &Arc<Plan>, shared: &Arc<Shared>, number: u32) -> Self {
        let window = Window {
            positions: vec![Position::default(); plan.window as usize],
            free: (0..plan.window).collect(),
            packer: Packer::default(),
            random: Random::new(plan.seed ^ mix(u64::from(number) + 1)),
            templates: [
                Template::hold(plan.hot),
                Template::book(),
                Template::change(Action::Release),
                Template::change(Action::Cancel),
                Template::availability(),
            ],
            drawn: 0,
            number: u64::from(number),
            taken: 0,
            wall: clock::wall().minus_millis(clock::micros(shared.start.elapsed()) / 1_000),
            plan: Arc::clone(plan),
        };
        Self { lane, window, shared: Arc::clone(shared) }
    }

    /// Sends and receives until the run ends and all is answered.
    pub(super) async fn run(mut self, tally: Rc<RefCell<Tally>>) -> Result<(), Failure> {
        for position in &mut self.window.positions {
            position.kind = self.window.plan.mix.next(Kind::Hold, false, &mut self.window.random);
        }
        self.send(clock::now());
        while self.window.free.len() < self.window.positions.len() || !self.lane.sender.is_idle() {
            let busy = !self.lane.sender.is_idle();
            let (window, shared) = (&mut self.window, &self.shared);
            // Every unit that comes with one reading has the same time.
            let mut received = None;
            tokio::select! {
                biased;
                flushed = self.lane.sender.flush(), if busy => flushed?,
                going_on = self.lane.receiver.receive_units(|kind, unit| {
                    let (now, counts) = *received.get_or_insert_with(|| {
                        (clock::now(), shared.phase.load(Ordering::Relaxed) == MEASURED)
                    });
                    window.settle(kind, unit, shared.since(now), counts, &mut tally.borrow_mut())
                }) => if !going_on? {
                    return Err("the node ended the stream".into());
                },
            }
            if let Some((now, _)) = received {
                self.send(now);
            }
        }
        tally.borrow_mut().settle();
        Ok(())
    }

    /// Gives every free position a new request, unless the run ends or more answers are awaited.
    fn send(&mut self, now: Instant) {
        let window = &mut self.window;
        let taken = std::mem::take(&mut window.taken);
        // Two's complement: adding a negative number wraps to the right sum.
        let before = self.shared.taken.fetch_add(taken.cast_unsigned(), Ordering::Relaxed);
        let ending = self.shared.phase.load(Ordering::Relaxed) == ENDING;
        if ending || window.free.len() < window.plan.batch.min(window.plan.window) as usize {
            return;
        }
        let micros = self.shared.since(now);
        let hot = window.plan.hot.then(|| window.hot_session(before.wrapping_add_signed(taken)));
        while let Some(correlation) = window.free.pop() {
            window.ask(correlation, micros, hot);
        }
        self.lane.sender.queue_frames(window.packer.take());
    }
}

impl Shared {
    /// Microseconds since the start of the run.
    fn since(&self, now: Instant) -> u64 {
        clock::micros(now.duration_since(self.start))
    }
}

impl Window {
    /// Counts a reply, and decides what its position asks next.
    #[inline]
    fn settle(
        &mut self,
        kind: FrameKind,
        unit: &[u8],
        micros: u64,
        counts: bool,
        tally: &mut Tally,
    ) -> Result<(), CallError> {
        let head = reply_head(unit).filter(|_| kind == FrameKind::Replies);
        let known = head.and_then(|(correlation, code)| {
            Some((correlation, code, self.positions.get_mut(correlation as usize)?))
        });
        let Some((correlation, code, position)) = known else {
            return Err(CallError::Protocol("an answer to no question".to_owned()));
        };
        if counts {
            #[expect(clippy::cast_possible_truncation, reason = "the low halves are compared")]
            let late = (micros as u32).wrapping_sub(position.sent);
            tally.count(position.kind, code, u64::from(late), micros);
        }
        let done = code == Outcome::Done.code();
        if done {
            let change = match position.kind {
                Kind::Hold => 1,
                Kind::Release | Kind::Cancel => -1,
                Kind::Book | Kind::Read => 0,
            };
            if position.kind == Kind::Hold && self.plan.hot {
                position.slot = picked_slot(unit)?;
            }
            if change != 0 {
                let slot = position.session * self.plan.supply.slots + u32::from(position.slot);
                tally.taken[slot as usize] += change;
                self.taken += i64::from(change);
            }
        }
        position.kind = self.plan.mix.next(position.kind, done, &mut self.random);
        self.free.push(correlation);
        Ok(())
    }

    /// Appends the next request of a position.
    #[inline]
    fn ask(&mut self, correlation: u32, micros: u64, hot: Option<u32>) {
        let supply = &self.plan.supply;
        let position = &mut self.positions[correlation as usize];
        #[expect(clippy::cast_possible_truncation, reason = "the low half is enough")]
        let sent = micros as u32;
        position.sent = sent;
        let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        // Spread over the 74 free bits of the id.
        let id = RequestId::from_parts(self.wall.plus_millis(micros / 1_000), random >> 32);
        match position.kind {
            Kind::Hold => {
                position.appointment = id.0;
                let wish = Wish::draw_among(&mut self.random, supply, self.plan.patients);
                position.session = hot.unwrap_or(wish.session);
                position.slot = wish.slot;
                // In one hot session nobody may come twice; elsewhere chance is enough.
                position.patient = if hot.is_some() {
                    let nth = self.drawn * u64::from(self.plan.connections) + self.number;
                    self.drawn += 1;
                    scattered(nth)
                } else {
                    wish.patient
                };
            }
            Kind::Read => {
                position.session = hot.unwrap_or_else(|| self.random.below(supply.sessions));
            }
            Kind::Book | Kind::Release | Kind::Cancel => {}
        }
        let patch = Patch {
            correlation,
            request: id.0,
            appointment: position.appointment,
            patient: patient_key(position.patient),
            session: supply.first + u64::from(position.session),
            slot: position.slot,
        };
        let item = self.templates[position.kind as usize].patched(&patch);
        self.packer.encoded_item(FrameKind::Requests, item);
    }

    /// The session that is hot while so many places are taken.
    fn hot_session(&self, taken: u64) -> u32 {
        let supply = &self.plan.supply;
        let each = supply.places() / u64::from(supply.sessions) * HOT_SHARE_PERCENT / 100;
        let index = taken / each.max(1);
        u32::try_from(index).map_or(supply.sessions - 1, |index| index.min(supply.sessions - 1))
    }
}

/// The nth patient of an order that names each once before any twice.
fn scattered(nth: u64) -> u32 {
    let patients = u64::from(PATIENTS);
    u32::try_from(nth % patients * PATIENT_STEP % patients).expect("below the number of patients")
}

/// Which slot a receipt says that the engine picked.
fn picked_slot(unit: &[u8]) -> Result<u16, CallError> {
    match decode_reply(unit) {
        Ok((_, Reply::Receipt(receipt))) if !receipt.claims.is_empty() => {
            Ok(receipt.claims[0].slot.0)
        }
        _ => Err(CallError::Protocol("a hold without a receipt".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_patient_comes_twice_in_a_row_of_a_million() {
        let mut seen: Vec<u32> = (0..1_000_000).map(scattered).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000_000);
    }
}
