//! Room for one more? The door that new work passes before any lock, and that closes early.
//!
//! ```text
//! hold       -> its subject's turn, in its channel? -> read in time, and fewer waiting than the limit? -> in
//! the rest   ---------------------------------------> fewer than four times that?   -> in
//!                       refused: Overloaded, and when to come back
//! now and then   look at the counts -> limit, turn of each channel
//! ```
//!
//! Work that finishes what was begun (booking, release, cancellation ...) passes after new holds are
//! refused, so that who holds a place can book it. Expiry does not come here at all.
//!
//! **Architecture invariant:** asking takes a few loads and no lock, and reads no clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

use super::control::{Arrivals, Control, Observation, PERIOD_MILLIS, Regime};
use super::shares::{CHANNELS, Shares};
use super::turns::{Turn, position};
use crate::model::{BookingChannel, Outcome, PatientId, Refusal, Timestamp};

/// Decides what is let in. Shared by all threads.
#[derive(Debug)]
pub struct Gate {
    seed: u64,
    regime: CachePadded<Published>,
    /// Holds that came in their turn, by channel.
    channels: Box<[CachePadded<Came>]>,
    looked: CachePadded<AtomicU64>,
    /// Readings, and those of them that were late.
    readings: CachePadded<[AtomicU64; 2]>,
    /// `None` where nothing is shed early.
    control: Option<Mutex<(Control, Shares)>>,
}

/// Holds of one channel that came in their turn.
#[derive(Debug, Default)]
struct Came {
    passed: AtomicU64,
    refused: AtomicU64,
}

/// Why a request was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedReason {
    /// Not all can be let in, and it is not its subject's turn.
    Turn,
    /// So much waits, for the disk or to be read, that the answer would take too long.
    Delay,
    /// The queue of records is full.
    Queue,
    /// Memory holds as many appointments as it may.
    Memory,
}

/// A request that was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// Why.
    pub reason: ShedReason,
    /// When to come back: the more has to be refused, the later.
    pub retry_after_millis: u32,
}

/// The regime, as atomics.
#[derive(Debug)]
struct Published {
    limit: AtomicU64,
    turn: AtomicU64,
    began: AtomicU64,
    pace: AtomicU32,
    /// The turn of each channel, and its pace.
    turns: [AtomicU64; CHANNELS],
    paces: [AtomicU32; CHANNELS],
    target_micros: AtomicU64,
    rate: AtomicU64,
}

impl ShedReason {
    /// Every reason, in order.
    pub const ALL: [Self; 4] = [Self::Turn, Self::Delay, Self::Queue, Self::Memory];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Delay => "delay",
            Self::Queue => "queue",
            Self::Memory => "memory",
        }
    }
}

impl Shed {
    /// Shed for a reason that says nothing of how long it lasts.
    pub const fn for_now(reason: ShedReason, retry_after_millis: u32) -> Self {
        Self { reason, retry_after_millis }
    }
}

impl From<Shed> for Refusal {
    fn from(shed: Shed) -> Self {
        Self::for_now(Outcome::Overloaded, shed.retry_after_millis)
    }
}

impl Gate {
    /// A gate that keeps the time from arrival to durable below `delay_max_millis`; 0 lets
    /// everything in. `seed` decides where subjects stand, and should be nobody's guess.
    pub fn new(delay_max_millis: u64, seed: u64) -> Self {
        let control = (0 < delay_max_millis).then(|| Control::new(delay_max_millis));
        let regime = control.as_ref().map_or(OPEN, Control::regime);
        Self {
            seed,
            regime: CachePadded::new(Published::new(&regime)),
            channels: (0..CHANNELS).map(|_| CachePadded::default()).collect(),
            looked: CachePadded::new(AtomicU64::new(0)),
            readings: CachePadded::default(),
            control: control.map(|control| Mutex::new((control, Shares::default()))),
        }
    }

    /// Gives the channels their weights: how they share where not all can come in.
    pub fn weigh(&self, weights: &[u16; CHANNELS]) {
        if let Some(control) = &self.control {
            control.lock().1.weigh(weights);
        }
    }

    /// Whether a new hold may come in, with so many records waiting for the disk, or one that
    /// [is late](Self::is_late).
    ///
    /// # Errors
    ///
    /// [`Shed`]: not now.
    #[inline]
    pub fn admit_hold(
        &self,
        now: Timestamp,
        waiting: u64,
        is_late: bool,
        (subject, channel): (PatientId, BookingChannel),
    ) -> Result<(), Shed> {
        let channel = usize::from(channel.number());
        let turn = Turn::unpack(self.regime.turns[channel].load(Ordering::Relaxed));
        if !turn.is_for_all() {
            let position = position(self.seed, subject);
            if !turn.covers(position) {
                return Err(self.out_of_turn((turn, channel), position, now));
            }
        }
        let mut limit = self.regime.limit.load(Ordering::Relaxed);
        if turn.is_for_all() && self.is_shedding() {
            // The flood is in other channels: it does not fill the queue to the last place.
            limit = limit.saturating_mul(SHARE_LIMITS);
        }
        let came = &self.channels[channel];
        if limit <= waiting || is_late {
            came.refused.fetch_add(1, Ordering::Relaxed);
            return Err(self.too_late(waiting));
        }
        came.passed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a request may come in that finishes what was begun.
    ///
    /// # Errors
    ///
    /// [`Shed`]: not now.
    #[inline]
    pub fn admit_finish(&self, waiting: u64) -> Result<(), Shed> {
        let limit = self.regime.limit.load(Ordering::Relaxed);
        if limit.saturating_mul(FINISH_LIMITS) <= waiting {
            return Err(self.too_late(waiting));
        }
        Ok(())
    }

    /// Whether a request that waited in the node for so long before it was read came too late for
    /// a new hold: what waits behind it would be answered later still.
    ///
    /// Where there has been something to read for over a second, refusing everybody does not help:
    /// more comes than can even be refused. Then only the turn narrows, and some late answers are
    /// better than none.
    #[inline]
    pub fn is_late(&self, waited_micros: u64) -> bool {
        let is_late = self.regime.target_micros.load(Ordering::Relaxed) < waited_micros;
        let [all, late] = &*self.readings;
        all.fetch_add(1, Ordering::Relaxed);
        if is_late {
            late.fetch_add(1, Ordering::Relaxed);
        }
        is_late && waited_micros < HOPELESS_MICROS
    }

    /// Whether somebody should [`look`](Self::look) again.
    #[inline]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        looked.saturating_add(PERIOD_MILLIS) <= now.as_millis()
    }

    /// Learns from what was counted, and adapts. Who comes while another looks goes on. What the
    /// gate counts itself need not be in `seen`.
    pub fn look(&self, seen: &Observation) {
        self.looked.store(seen.now.as_millis(), Ordering::Relaxed);
        let Some(mut learned) = self.control.as_ref().and_then(Mutex::try_lock) else { return };
        let (control, shares) = &mut *learned;
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [readings, late] = &*self.readings;
        let mut arrived =
            Arrivals { readings: load(readings), late: load(late), ..Arrivals::default() };
        let mut in_turn = [0; CHANNELS];
        for (count, came) in in_turn.iter_mut().zip(&self.channels) {
            let (passed, refused) = (load(&came.passed), load(&came.refused));
            arrived.passed += passed;
            arrived.refused += refused;
            *count = passed + refused;
        }
        let began = control.regime().began;
        if let Some(regime) = control.look(seen, arrived) {
            shares.steer(&in_turn, regime.turn.width, regime.began != began);
            self.regime.publish(&regime);
            self.regime.publish_shares(shares);
        }
    }

    /// What is in force.
    pub fn regime(&self) -> Regime {
        self.regime.read()
    }

    /// Whether some subjects have to wait for their turn.
    pub fn is_shedding(&self) -> bool {
        !Turn::unpack(self.regime.turn.load(Ordering::Relaxed)).is_for_all()
    }

    #[cold]
    fn out_of_turn(&self, (turn, channel): (Turn, usize), position: u32, now: Timestamp) -> Shed {
        let began = self.regime().began;
        let pace = self.regime.paces[channel].load(Ordering::Relaxed);
        let wait = turn.wait_millis(position, pace, began, now);
        Shed::for_now(ShedReason::Turn, u32::try_from(wait).unwrap_or(u32::MAX))
    }

    /// Come back when what waits has become durable, and then as long again as the excess takes.
    #[cold]
    fn too_late(&self, waiting: u64) -> Shed {
        let Regime { limit, rate, .. } = self.regime();
        let records = waiting.saturating_add(waiting.saturating_sub(limit));
        let millis = records.saturating_mul(1_000) / rate.max(1);
        let millis = millis.clamp(DELAY_MILLIS_MIN, DELAY_MILLIS_MAX);
        Shed::for_now(ShedReason::Delay, u32::try_from(millis).unwrap_or(u32::MAX))
    }
}

impl Published {
    fn new(regime: &Regime) -> Self {
        let published = Self {
            limit: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            began: AtomicU64::new(0),
            pace: AtomicU32::new(0),
            turns: std::array::from_fn(|_| AtomicU64::new(Turn::ALL.pack())),
            paces: std::array::from_fn(|_| AtomicU32::new(u32::MAX)),
            target_micros: AtomicU64::new(0),
            rate: AtomicU64::new(0),
        };
        published.publish(regime);
        published
    }

    /// One by one: who reads between two of them decides by a mixture, which is as good as either.
    fn publish(&self, regime: &Regime) {
        self.limit.store(regime.limit, Ordering::Relaxed);
        self.turn.store(regime.turn.pack(), Ordering::Relaxed);
        self.began.store(regime.began.as_millis(), Ordering::Relaxed);
        self.pace.store(regime.pace, Ordering::Relaxed);
        self.target_micros.store(regime.target_micros, Ordering::Relaxed);
        self.rate.store(regime.rate, Ordering::Relaxed);
    }

    fn publish_shares(&self, shares: &Shares) {
        for ((turn, pace), channel) in self.turns.iter().zip(&self.paces).zip(shares.channels()) {
            turn.store(channel.turn.pack(), Ordering::Relaxed);
            pace.store(channel.pace, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Regime {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Regime {
            limit: load(&self.limit),
            turn: Turn::unpack(load(&self.turn)),
            began: Timestamp::from_millis(load(&self.began)),
            pace: self.pace.load(Ordering::Relaxed),
            target_micros: load(&self.target_micros),
            rate: load(&self.rate),
        }
    }
}

/// Nothing is shed.
const OPEN: Regime = Regime {
    limit: u64::MAX,
    turn: Turn::ALL,
    began: Timestamp::from_millis(0),
    pace: u32::MAX,
    target_micros: u64::MAX,
    rate: 1,
};

/// The holds of a channel that wants less than its share pass until so many times as much waits. They
/// are few, so the queue hardly grows; and what fills it beyond the limit are bookings, which pass longer.
const SHARE_LIMITS: u64 = 3;

/// What finishes passes until this many times as much waits as may when a hold comes.
const FINISH_LIMITS: u64 = 4;

/// Refusing takes a tenth of the time of accepting: what has not caught up after so long never will.
const HOPELESS_MICROS: u64 = 1_000_000;

/// The shortest and the longest time to come back when too much waits.
const DELAY_MILLIS_MIN: u64 = 20;
const DELAY_MILLIS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::super::turns::EPOCH_MILLIS;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn fixed(regime: Regime) -> Gate {
        let gate = Gate::new(100, 7);
        publish(&gate, &regime);
        gate
    }

    /// Puts a regime in force, with the same turn for every channel.
    fn publish(gate: &Gate, regime: &Regime) {
        gate.regime.publish(regime);
        for (turn, pace) in gate.regime.turns.iter().zip(&gate.regime.paces) {
            turn.store(regime.turn.pack(), Ordering::Relaxed);
            pace.store(regime.pace, Ordering::Relaxed);
        }
    }

    fn of(patient: u128) -> (PatientId, BookingChannel) {
        (PatientId(patient), BookingChannel::default())
    }

    #[test]
    fn holds_are_shed_before_what_finishes() {
        let regime = Regime { limit: 100, rate: 1_000, began: NOW, ..OPEN };
        let gate = fixed(regime);
        let delay = |millis| Err(Shed::for_now(ShedReason::Delay, millis));
        for (waiting, hold, finish) in [
            (0, Ok(()), Ok(())),
            (99, Ok(()), Ok(())),
            (100, delay(100), Ok(())),
            (399, delay(698), Ok(())),
            (400, delay(700), delay(700)),
            (90_000, delay(10_000), delay(10_000)),
        ] {
            assert_eq!(gate.admit_hold(NOW, waiting, false, of(1)), hold, "hold, {waiting}");
            assert_eq!(gate.admit_finish(waiting), finish, "finish, {waiting}");
        }
    }

    #[test]
    fn who_is_told_to_come_back_is_let_in_then_and_not_before_however_often_it_asks() {
        let turn = Turn { start: 0, width: u32::MAX / 10 };
        let pace = turn.width;
        let gate = fixed(Regime { turn, began: NOW, pace, ..OPEN });
        let mut shed = 0;
        for patient in 0..1_000 {
            let Err(told) = gate.admit_hold(NOW, 0, false, of(patient)) else { continue };
            shed += 1;
            for _ in 0..100 {
                assert_eq!(gate.admit_hold(NOW, 0, false, of(patient)), Err(told));
            }
            let (mut turn, mut began) = (turn, NOW);
            let (mut now, mut told) = (NOW, told);
            for visits in 0.. {
                assert!(visits < 6, "{patient} was sent away six times");
                now = now.plus_millis(u64::from(told.retry_after_millis));
                while EPOCH_MILLIS <= now.as_millis() - began.as_millis() {
                    (turn, began) = (turn.next(), began.plus_millis(EPOCH_MILLIS));
                }
                publish(&gate, &Regime { turn, began, pace, ..OPEN });
                match gate.admit_hold(now, 0, false, of(patient)) {
                    Ok(()) => break,
                    Err(again) => told = again,
                }
            }
            let turn = Turn { start: 0, ..turn };
            publish(&gate, &Regime { turn, began: NOW, pace, ..OPEN });
        }
        assert!((850..950).contains(&shed), "{shed}");
    }

    #[test]
    fn a_hold_that_waited_longer_than_the_target_before_it_was_read_is_refused() {
        let gate = fixed(Regime { target_micros: 12_000, rate: 1_000, ..OPEN });
        for (waited, admitted) in
            [(0, true), (12_000, true), (12_001, false), (999_999, false), (1_000_000, true)]
        {
            let hold = gate.admit_hold(NOW, 3, gate.is_late(waited), of(1));
            assert_eq!(hold.is_ok(), admitted, "{waited}");
            assert_eq!(gate.admit_finish(3), Ok(()));
        }
    }

    #[test]
    fn a_gate_without_a_target_lets_everything_in() {
        let gate = Gate::new(0, 7);
        gate.look(&Observation { now: NOW, appended: u64::MAX, ..Observation::default() });
        assert_eq!(gate.admit_hold(NOW, u64::MAX - 1, false, of(1)), Ok(()));
        assert_eq!(gate.admit_finish(u64::MAX - 1), Ok(()));
        assert!(!gate.is_shedding());
    }
}
