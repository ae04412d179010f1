//! The people of a soak: an open loop of lives, each of which gives its place back.
//!
//! ```text
//! hold -+- 1/4 release, a little later
//!       +- 1/4 nothing: the deadline gives it back
//!       '- 1/2 book, a little later -> cancel, minutes later
//! ```
//!
//! **Architecture invariant:** what is due is sent when it is due, and its latency is reckoned from then;
//! no life keeps a place, so the store holds as much at the end as in the middle.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

use haoyuan::client::CallError;
use haoyuan::model::{Action, Outcome, RequestId, Timestamp};
use haoyuan::protocol::{FrameKind, Packer, reply_head};
use hdrhistogram::Histogram;

use crate::load::{Kind, Patch, Template, Wish, patient_key};
use crate::random::Random;
use crate::supply::Supply;
use crate::{Failure, clock};

/// Connections that the lives are spread over.
pub(super) const LANES: usize = 4;

/// From a hold to its booking or release, and from a booking to its cancellation, in µs.
const THINKS: (u64, u64) = (5_000_000, 40_000_000);
const STAYS: (u64, u64) = (60_000_000, 600_000_000);

/// The longest latency that is told apart: a minute, in µs.
const MICROS_MAX: u64 = 60_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Life {
    kind: Kind,
    /// When the request was to be sent, in µs from the start.
    due: u64,
    appointment: u128,
    wish: Option<Wish>,
}

/// Everybody.
#[derive(Debug)]
pub(super) struct Lives {
    supply: Supply,
    random: Random,
    templates: [Template; 4],
    /// A life's number is the correlation id of its request: it has one under way at most.
    all: Vec<Life>,
    free: Vec<u32>,
    due: BinaryHeap<Reverse<(u64, u32)>>,
    /// When the next life begins, and how far apart they are.
    next: u64,
    every: u64,
    packers: [Packer; LANES],
    start: Instant,
    wall: Timestamp,
    /// Since the last sample.
    latencies: Histogram<u64>,
    pub(super) counted: Counted,
}

/// Since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) sent: u64,
    pub(super) done: u64,
    /// Refusals by the number of their outcome.
    pub(super) refused: BTreeMap<u16, u64>,
    /// Lives that the deadline ends.
    pub(super) lapsed: u64,
}

impl Lives {
    /// So many lives a second, from now on.
    pub(super) fn new(supply: Supply, per_second: u32, seed: u64) -> Result<Self, Failure> {
        Ok(Self {
            supply,
            random: Random::new(seed),
            templates: [
                Template::hold(false),
                Template::book(),
                Template::change(Action::Release),
                Template::change(Action::Cancel),
            ],
            all: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            next: 0,
            every: 1_000_000 / u64::from(per_second),
            packers: std::array::from_fn(|_| Packer::default()),
            start: clock::now(),
            wall: clock::wall(),
            latencies: histogram()?,
            counted: Counted::default(),
        })
    }

    /// µs since the start.
    pub(super) fn micros(&self) -> u64 {
        clock::micros(self.start.elapsed())
    }

    /// Requests without an answer.
    pub(super) fn under_way(&self) -> u64 {
        self.counted.sent - self.counted.done - self.counted.refused.values().sum::<u64>()
    }

    /// Sends what is due. `is_ending`: nobody new comes.
    pub(super) fn send_due(&mut self, now: u64, is_ending: bool) {
        while self.next <= now && !is_ending {
            let life = self.begin();
            self.ask(life, now);
        }
        while let Some(Reverse((due, life))) = self.due.peek().copied() {
            if now < due {
                return;
            }
            self.due.pop();
            self.ask(life, now);
        }
    }

    /// What a connection has to send.
    pub(super) fn frames(&mut self, lane: usize) -> Vec<u8> {
        self.packers[lane].take()
    }

    /// Latencies since the last call, in µs.
    pub(super) fn take_latencies(&mut self) -> Result<Histogram<u64>, Failure> {
        Ok(std::mem::replace(&mut self.latencies, histogram()?))
    }

    fn begin(&mut self) -> u32 {
        let wish = Some(Wish::draw(&mut self.random, &self.supply));
        let life = Life { kind: Kind::Hold, due: self.next, appointment: 0, wish };
        self.next += self.every;
        let free = self.free.pop().unwrap_or_else(|| {
            self.all.push(Life::default());
            u32::try_from(self.all.len() - 1).expect("fewer than 2^32 lives at a time")
        });
        self.all[free as usize] = life;
        free
    }

    fn ask(&mut self, number: u32, now: u64) {
        let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        let id = RequestId::from_parts(self.wall.plus_millis(now / 1_000), random >> 32);
        let life = &mut self.all[number as usize];
        if life.kind == Kind::Hold {
            life.appointment = id.0;
        }
        let Some(wish) = life.wish else { return };
        let patch = Patch {
            correlation: number,
            request: id.0,
            appointment: life.appointment,
            patient: patient_key(wish.patient),
            session: self.supply.first + u64::from(wish.session),
            slot: wish.slot,
        };
        let item = self.templates[life.kind as usize].patched(&patch);
        self.packers[number as usize % LANES].encoded_item(FrameKind::Requests, item);
        self.counted.sent += 1;
    }

    /// An answer came.
    pub(super) fn answer(
        &mut self,
        kind: FrameKind,
        unit: &[u8],
        now: u64,
    ) -> Result<(), CallError> {
        let head = reply_head(unit).filter(|_| kind == FrameKind::Replies);
        let known = head.filter(|(number, _)| (*number as usize) < self.all.len());
        let Some((number, code)) = known else {
            return Err(CallError::Protocol("an answer to no question".to_owned()));
        };
        let life = self.all[number as usize];
        self.latencies.saturating_record(now.saturating_sub(life.due).max(1));
        if code == Outcome::Done.code() {
            self.counted.done += 1;
        } else {
            *self.counted.refused.entry(code).or_default() += 1;
        }
        match self.after(life.kind, code == Outcome::Done.code()) {
            Some((kind, (least, most))) => {
                let due = now + least + self.random.next() % (most - least);
                let life = &mut self.all[number as usize];
                (life.kind, life.due) = (kind, due);
                self.due.push(Reverse((due, number)));
            }
            None => self.free.push(number),
        }
        Ok(())
    }

    /// What somebody does next, and after how long. Whoever was refused goes away.
    fn after(&mut self, kind: Kind, is_done: bool) -> Option<(Kind, (u64, u64))> {
        match kind {
            Kind::Hold if is_done => match self.random.below(4) {
                0 => Some((Kind::Release, THINKS)),
                1 => {
                    self.counted.lapsed += 1;
                    None
                }
                _ => Some((Kind::Book, THINKS)),
            },
            Kind::Book if is_done => Some((Kind::Cancel, STAYS)),
            Kind::Hold | Kind::Book | Kind::Release | Kind::Cancel | Kind::Read => None,
        }
    }
}

fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_bounds(1, MICROS_MAX, 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(number: u32, outcome: Outcome) -> Vec<u8> {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend(outcome.code().to_le_bytes());
        bytes
    }

    #[test]
    fn every_life_gives_its_place_back_or_lets_the_deadline_do_it() {
        let mut lives = Lives::new(Supply::new(10, 40, 20), 1_000, 3).unwrap();
        lives.send_due(1_000_000, false);
        let begun = u32::try_from(lives.all.len()).unwrap();
        assert!((1_000..1_002).contains(&begun), "{begun}");
        let mut asked = vec![0; begun as usize];
        let mut waiting: Vec<u32> = (0..begun).collect();
        let mut now = 1_000_000;
        while let Some(number) = waiting.pop() {
            asked[number as usize] += 1;
            lives.answer(FrameKind::Replies, &reply(number, Outcome::Done), now).unwrap();
            if let Some(Reverse((due, next))) =
                lives.due.peek().copied().filter(|_| waiting.is_empty())
            {
                now = due;
                lives.send_due(now, true);
                waiting.push(next);
            }
        }
        let count = |requests| asked.iter().filter(|it| **it == requests).count();
        assert_eq!(lives.under_way(), 0);
        assert_eq!(lives.counted.lapsed, count(1) as u64, "hold, and no more");
        let lives_of = [count(1), count(2), count(3)];
        assert!(
            lives_of.iter().zip([250, 250, 500]).all(|(it, of)| it.abs_diff(of) < 60),
            "{lives_of:?}"
        );
    }

    #[test]
    fn who_was_refused_goes_away_and_is_counted() {
        let mut lives = Lives::new(Supply::new(10, 40, 20), 1_000, 3).unwrap();
        lives.send_due(0, false);
        lives.answer(FrameKind::Replies, &reply(0, Outcome::SoldOut), 900).unwrap();
        assert_eq!(lives.counted.refused, BTreeMap::from([(Outcome::SoldOut.code(), 1)]));
        assert_eq!((lives.under_way(), lives.free.len()), (0, 1));
        assert!(lives.answer(FrameKind::Replies, &reply(9, Outcome::Done), 900).is_err());
    }
}
