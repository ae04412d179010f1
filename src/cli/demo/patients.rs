//! The people of the demonstration: honest, impatient, forgetful.
//!
//! ```text
//! arrive -> look -> hold -> think -> book ----------> keep, or cancel later
//!             ^       |        `---> release, or forget: the deadline ends it
//!             `- sold out: another session, a little later
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::account::{Account, Acknowledged};
use crate::client::ids::{new_appointment_id, new_request_id};
use crate::client::{CallError, Client};
use crate::model::{
    Action, AppointmentId, BookingChannel, Change, ClaimRequest, Hold, Outcome, PatientClass,
    PatientId, PaymentRef, Receipt, SessionId, SlotChoice, Ttl,
};
use crate::ops::clock::{Clock, monotonic_now};

/// What all patients share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) sessions: Vec<SessionId>,
    /// When the sessions open.
    pub(super) start: Instant,
    /// How long patients keep arriving.
    pub(super) arrivals: Duration,
    pub(super) ttl: Ttl,
    pub(super) account: Mutex<Account>,
    /// Microseconds from a request to its answer.
    pub(super) latency: Mutex<Histogram<u64>>,
    pub(super) requests: AtomicU64,
    pub(super) booked: AtomicU64,
    pub(super) sold_out: AtomicU64,
    /// Requests that the node had no room for, and that were made again.
    pub(super) told_to_wait: AtomicU64,
    /// Refusals that an honest patient should never see.
    pub(super) surprises: Mutex<Vec<String>>,
}

/// The life of one patient.
pub(super) async fn live(world: Arc<World>, number: u64) {
    let mut dice = Dice::new(number);
    let patience = world.arrivals.mul_f64(dice.share() * dice.share());
    pause(patience.saturating_sub(monotonic_now().duration_since(world.start))).await;

    let patient = PatientId(u128::from(number) + 1);
    let Some(id) = world.find_place(patient, &mut dice).await else { return };
    pause(dice.between(THINK_MILLIS)).await;
    match dice.below(100) {
        0..10 => {} // Forgets; the deadline gives the place back.
        10..18 => world.act(id, patient, Action::Release, Acknowledged::Released).await,
        _ => {
            let payment = PaymentRef(id.0);
            world.act(id, patient, Action::Book { payment }, Acknowledged::Booked).await;
            if dice.below(100) < 12 {
                pause(dice.between(THINK_MILLIS)).await;
                world.act(id, patient, Action::Cancel, Acknowledged::Cancelled).await;
            }
        }
    }
}

impl World {
    /// Looks at sessions, popular ones first, and holds any slot of one that has a place.
    async fn find_place(&self, patient: PatientId, dice: &mut Dice) -> Option<AppointmentId> {
        for _ in 0..ATTEMPTS {
            let popular = dice.share() * dice.share();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a small number"
            )]
            let session = self.sessions[(popular * self.sessions.len() as f64) as usize];
            let class = PatientClass::Outpatient;
            let asked = self.client.availability(session, CHANNEL, class);
            let free = self.timed(asked).await?.free.iter().any(|free| *free != 0);
            if free {
                let id = new_appointment_id(self.clock.now());
                if self.hold(id, session, patient).await? {
                    return Some(id);
                }
            }
            pause(dice.between(RETRY_MILLIS)).await;
        }
        None
    }

    /// Whether the place was got; `None` where asking again makes no sense.
    async fn hold(
        &self,
        id: AppointmentId,
        session: SessionId,
        patient: PatientId,
    ) -> Option<bool> {
        let claim = ClaimRequest { session, count: 1, slots: SlotChoice::Any };
        let hold = Hold { channel: CHANNEL, ttl: self.ttl, ..Hold::of(id, patient, [claim]) };
        let answer = loop {
            let started = monotonic_now();
            let answer = self.client.hold(hold.clone()).await;
            self.measure(started);
            if !self.has_waited(&answer).await {
                break answer;
            }
        };
        match answer {
            Ok(_) => {
                self.account.lock().note(id, Acknowledged::Held);
                Some(true)
            }
            Err(CallError::Refused(refusal)) if refusal.outcome == Outcome::SoldOut => {
                self.sold_out.fetch_add(1, Ordering::Relaxed);
                Some(false)
            }
            Err(error) => {
                self.wonder(&error);
                None
            }
        }
    }

    async fn act(
        &self,
        appointment: AppointmentId,
        patient: PatientId,
        action: Action,
        then: Acknowledged,
    ) {
        let request = new_request_id(self.clock.now());
        let patient = Some(patient);
        let change = Change { request, appointment, patient, channel: CHANNEL, action };
        let answer = loop {
            let started = monotonic_now();
            let answer = self.client.change(change).await;
            self.measure(started);
            if !self.has_waited(&answer).await {
                break answer;
            }
        };
        match answer {
            Ok(_) => {
                if then == Acknowledged::Booked {
                    self.booked.fetch_add(1, Ordering::Relaxed);
                }
                self.account.lock().note(appointment, then);
            }
            // Too slow: the deadline was first, and a booking that failed cannot be cancelled.
            Err(CallError::Refused(refusal))
                if matches!(refusal.outcome, Outcome::HoldExpired | Outcome::WrongStatus) => {}
            Err(error) => self.wonder(&error),
        }
    }

    /// Whether the node had no room. Then it has been waited as long as the node said, and the same
    /// is to be asked again: a small machine that does other work may well be told so.
    async fn has_waited(&self, answer: &Result<Receipt, CallError>) -> bool {
        let Err(CallError::Refused(refusal)) = answer else { return false };
        if refusal.outcome != Outcome::Overloaded {
            return false;
        }
        self.told_to_wait.fetch_add(1, Ordering::Relaxed);
        pause(Duration::from_millis(refusal.retry_after_millis.into())).await;
        true
    }

    async fn timed<T>(&self, asked: impl Future<Output = Result<T, CallError>>) -> Option<T> {
        let started = monotonic_now();
        let answer = asked.await;
        self.measure(started);
        answer.map_err(|error| self.wonder(&error)).ok()
    }

    fn measure(&self, started: Instant) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.latency.lock().saturating_record(micros);
    }

    fn wonder(&self, error: &CallError) {
        if !matches!(error, CallError::Refused(_)) {
            self.account.lock().unanswered += 1;
        }
        let mut surprises = self.surprises.lock();
        if surprises.len() < SURPRISES_MAX {
            surprises.push(error.to_string());
        }
    }
}

/// Small, seeded chance: the same patient does the same in every run.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// `SplitMix64`.
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 up to, not including, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(super) const fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, (least, greatest): (u64, u64)) -> Duration {
        Duration::from_millis(least + self.below(greatest - least))
    }
}

/// Waits as a person does.
pub(super) async fn pause(duration: Duration) {
    #![expect(clippy::disallowed_methods, reason = "a patient thinks in real time")]
    tokio::time::sleep(duration).await;
}

const CHANNEL: BookingChannel = BookingChannel::new(3).expect("3 is below 64");

/// Sessions that a patient tries.
const ATTEMPTS: usize = 6;

/// How long a patient thinks, in milliseconds: a quick minute, played fast.
const THINK_MILLIS: (u64, u64) = (20, 1_500);

/// How long a patient waits before the next attempt.
const RETRY_MILLIS: (u64, u64) = (50, 1_000);

/// Unexpected answers that are kept to be shown.
const SURPRISES_MAX: usize = 5;
