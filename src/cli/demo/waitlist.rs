//! The scene of the waitlist: a full session, those who wait, those who cancel, and scripts.
//!
//! ```text
//! all places booked -> some wait -> their order is drawn -> a few cancel
//!                                                             |  offer to the first: accept, decline, forget
//!      scripts ask for any place, all the time ------- none --'    `-> then to the next
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::account::Acknowledged;
use super::desk::{CHANNELS, Desk, FIRST_OF_SCENES, clinic, open, refused_as, stuck};
use super::patients::{Dice, pause};
use crate::cli::failure::Failure;
use crate::client::ids::{new_appointment_id, new_request_id};
use crate::client::{CallError, Client};
use crate::model::{
    Action, AppointmentId, Attributes, BookingChannel, Delay, JoinWaitlist, Outcome, PatientClass,
    PatientId, PaymentRef, ReturnRule, SessionId, SlotChoice, SlotIndex, Timestamp, Ttl,
    WaitlistReading, WaitlistRule,
};

/// The scene as it was played: what those who took part know.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// Who waited, and at which position after the draw, from 1.
    pub(super) positions: BTreeMap<PatientId, u32>,
    pub(super) booked_first: u32,
    pub(super) cancelled: u32,
    /// Offers that patients saw and accepted, declined, or let lapse.
    pub(super) accepted: u32,
    pub(super) declined: u32,
    pub(super) lapsed: u32,
    pub(super) scripts: Scripts,
}

/// What scripts tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scripts {
    pub(super) people: u32,
    pub(super) tries: u32,
    pub(super) refused: u32,
    pub(super) got: u32,
}

/// What all who take part share.
#[derive(Debug)]
struct Stage {
    desk: Arc<Desk>,
    accepted: AtomicU32,
    /// Patients who had an offer and answered it, or did not.
    answered: AtomicU32,
    is_over: AtomicBool,
}

/// What a patient did with an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Accepted,
    Declined,
    Lapsed,
}

/// What a patient who waits sees.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// An offer.
    Offer(AppointmentId),
    /// No entry any more: an offer came and lapsed before the patient looked.
    Nothing,
}

/// Plays the scene.
pub(super) async fn play(desk: &Arc<Desk>, admin: &Client) -> Result<Played, Failure> {
    let now = desk.clock.now();
    let mut session = clinic(SESSION, now, Ttl::DEFAULT, vec![1; PLACES.into()]);
    session.terms.returns = ReturnRule::WaitlistFirst(Delay { min_millis: 200, max_millis: 400 });
    session.terms.waitlist = Some(Box::new(rule(session.start)));
    open(admin, now, session).await?;
    let booked = fill(desk).await;
    let waiting = join(desk).await?;

    let stage = Arc::new(Stage {
        desk: Arc::clone(desk),
        accepted: AtomicU32::new(0),
        answered: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
    });
    let mut scripts = JoinSet::new();
    for number in 0..SCRIPTS {
        scripts.spawn(script(Arc::clone(&stage), number));
    }
    let mut patients = JoinSet::new();
    for (patient, position) in &waiting {
        patients.spawn(wait_for_offer(Arc::clone(&stage), *patient, *position));
    }
    let cancelled = stage.cancel(&booked).await;
    stage.watch(cancelled, waiting.len()).await;

    let reactions = patients.join_all().await;
    let tries = scripts.join_all().await;
    let count =
        |what| super::table::count(reactions.iter().filter(|it| **it == Some(what)).count());
    Ok(Played {
        positions: waiting,
        booked_first: super::table::count(booked.len()),
        cancelled,
        accepted: count(Reaction::Accepted),
        declined: count(Reaction::Declined),
        lapsed: count(Reaction::Lapsed),
        scripts: tries.into_iter().fold(Scripts::default(), Scripts::plus),
    })
}

/// Who joins within the window is ordered by a draw; an offer lasts for a moment only.
fn rule(start: Timestamp) -> WaitlistRule {
    WaitlistRule {
        entries_max: 100,
        priority: [0; PatientClass::COUNT],
        draw_millis: DRAW_MILLIS,
        offer_millis: OFFER_MILLIS,
        near_offer_millis: OFFER_MILLIS,
        near_millis: 0,
        hours: None,
        closes_at: start.minus_millis(3_600_000),
    }
}

/// Books every place.
async fn fill(desk: &Arc<Desk>) -> Vec<(PatientId, AppointmentId)> {
    let mut booking = JoinSet::new();
    for slot in 0..PLACES {
        let desk = Arc::clone(desk);
        booking.spawn(async move {
            let patient = PatientId(FIRST_PATIENT + u128::from(slot));
            let id = new_appointment_id(desk.clock.now());
            let wish = (SESSION, SlotChoice::at(SlotIndex(slot)));
            if let Err(error) = desk.hold(id, patient, CHANNEL, wish).await {
                desk.wonder(&error);
                return None;
            }
            desk.account.lock().note(id, Acknowledged::Held);
            let payment = PaymentRef(id.0);
            let is_booked = desk.act(id, patient, CHANNEL, Action::Book { payment }).await;
            is_booked.then_some((patient, id))
        });
    }
    let mut booked: Vec<_> = booking.join_all().await.into_iter().flatten().collect();
    booked.sort_unstable();
    booked
}

/// Lets some wait, and asks everyone for the position once their order is drawn.
async fn join(desk: &Arc<Desk>) -> Result<BTreeMap<PatientId, u32>, Failure> {
    let mut joining = JoinSet::new();
    for number in 0..WAITING {
        let desk = Arc::clone(desk);
        joining.spawn(async move {
            let patient = PatientId(FIRST_WAITING + u128::from(number));
            let join = JoinWaitlist {
                request: new_request_id(desk.clock.now()),
                patient,
                account: None,
                channel: CHANNEL,
                class: PatientClass::Outpatient,
                attributes: Attributes::default(),
                earliest: Timestamp::default(),
                latest: Timestamp::MAX,
                targets: std::iter::once(SESSION).collect(),
            };
            let ask = || desk.client.join_waitlist(join.clone());
            if let Err(error) = desk.patiently(ask).await {
                desk.wonder(&error);
            }
            patient
        });
    }
    let mut positions = BTreeMap::new();
    let end = desk.clock.now().plus_millis(PATIENCE_MILLIS);
    for patient in joining.join_all().await {
        let position = loop {
            let reading = look(desk, patient).await.map_err(|error| stuck(&error.to_string()))?;
            if let Some(position) = reading.position {
                break position;
            }
            if end < desk.clock.now() {
                return Err(stuck("the order of the waitlist was not drawn in time"));
            }
            pause(LOOK_AGAIN).await;
        };
        positions.insert(patient, u32::from(position));
    }
    Ok(positions)
}

/// What a patient reads who waits.
async fn look(desk: &Desk, patient: PatientId) -> Result<WaitlistReading, CallError> {
    desk.patiently(|| desk.client.waitlist(SESSION, Some(patient), CHANNEL)).await
}

/// A script asks for any place that comes back, until the scene is over.
async fn script(stage: Arc<Stage>, number: u16) -> Scripts {
    let (mut dice, mut told) =
        (Dice::new(u64::from(number)), Scripts { people: 1, ..Scripts::default() });
    let patient = PatientId(FIRST_SCRIPT + u128::from(number));
    for channel in CHANNELS.into_iter().cycle() {
        if stage.is_over.load(Ordering::Relaxed) {
            break;
        }
        told.tries += 1;
        let id = new_appointment_id(stage.desk.clock.now());
        match stage.desk.hold(id, patient, channel, (SESSION, SlotChoice::Any)).await {
            Ok(_) => {
                stage.desk.account.lock().note(id, Acknowledged::Held);
                told.got += 1;
                break;
            }
            Err(error) if refused_as(&error) == Some(Outcome::SoldOut) => told.refused += 1,
            Err(error) => {
                stage.desk.wonder(&error);
                break;
            }
        }
        pause(dice.between(SCRIPT_PAUSE_MILLIS)).await;
    }
    told
}

/// A patient who waits looks now and then, and does with an offer what this one is like.
async fn wait_for_offer(stage: Arc<Stage>, patient: PatientId, position: u32) -> Option<Reaction> {
    let desk = &stage.desk;
    let Seen::Offer(offer) = stage.offered(patient).await? else {
        stage.answered.fetch_add(1, Ordering::Relaxed);
        return Some(Reaction::Lapsed);
    };
    desk.account.lock().note(offer, Acknowledged::Held);
    let reaction = match position {
        DECLINES if desk.act(offer, patient, CHANNEL, Action::Release).await => Reaction::Declined,
        // The deadline gives it to the next.
        DECLINES | FORGETS => Reaction::Lapsed,
        _ => {
            let payment = PaymentRef(offer.0);
            if desk.act(offer, patient, CHANNEL, Action::Book { payment }).await {
                stage.accepted.fetch_add(1, Ordering::Relaxed);
                Reaction::Accepted
            } else {
                Reaction::Lapsed
            }
        }
    };
    stage.answered.fetch_add(1, Ordering::Relaxed);
    Some(reaction)
}

impl Stage {
    /// Looks until there is an offer. `None` where the scene ends without one.
    async fn offered(&self, patient: PatientId) -> Option<Seen> {
        loop {
            let is_over = self.is_over.load(Ordering::Relaxed);
            match look(&self.desk, patient).await {
                Ok(WaitlistReading { offer: Some(offer), .. }) => return Some(Seen::Offer(offer)),
                Ok(_) => {}
                Err(error) if refused_as(&error) == Some(Outcome::NotWaiting) => {
                    return Some(Seen::Nothing);
                }
                Err(error) => {
                    self.desk.wonder(&error);
                    return None;
                }
            }
            if is_over {
                return None;
            }
            pause(LOOK_AGAIN).await;
        }
    }

    /// A few cancel, one after the other. Says how many.
    async fn cancel(&self, booked: &[(PatientId, AppointmentId)]) -> u32 {
        let mut cancelled = 0;
        for slot in CANCELLED {
            pause(BETWEEN).await;
            let Some((patient, id)) = booked.get(slot) else { continue };
            cancelled += u32::from(self.desk.act(*id, *patient, CHANNEL, Action::Cancel).await);
        }
        cancelled
    }

    /// Waits until every freed place has somebody, or everybody had an offer.
    async fn watch(&self, cancelled: u32, waiting: usize) {
        let end = self.desk.clock.now().plus_millis(PATIENCE_MILLIS);
        while self.accepted.load(Ordering::Relaxed) < cancelled
            && (self.answered.load(Ordering::Relaxed) as usize) < waiting
            && self.desk.clock.now() < end
        {
            pause(LOOK_AGAIN).await;
        }
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Scripts {
    const fn plus(self, other: Self) -> Self {
        Self {
            people: self.people + other.people,
            tries: self.tries + other.tries,
            refused: self.refused + other.refused,
            got: self.got + other.got,
        }
    }
}

/// The session of the scene.
pub(super) const SESSION: SessionId = SessionId(FIRST_OF_SCENES.0 + 2);

/// Its places, one in each slot.
pub(super) const PLACES: u16 = 20;

/// How long one who waits and does not answer keeps an offer: hours, played fast.
pub(super) const OFFER_MILLIS: u32 = 700;

const WAITING: u16 = 12;
const SCRIPTS: u16 = 6;
const CHANNEL: BookingChannel = CHANNELS[2];

/// The slots of those who cancel.
const CANCELLED: [usize; 4] = [3, 7, 12, 16];

/// The position of one who does not want the place after all, and of one who does not look.
const DECLINES: u32 = 2;
const FORGETS: u32 = 4;

/// How long after the first all who join are ordered by a draw.
const DRAW_MILLIS: u32 = 200;

const SCRIPT_PAUSE_MILLIS: (u64, u64) = (5, 15);
const BETWEEN: Duration = Duration::from_millis(120);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const PATIENCE_MILLIS: u64 = 20_000;

/// Where the patients of this scene begin, those who wait, and those of scripts.
const FIRST_PATIENT: u128 = 2_000_000_000;
const FIRST_WAITING: u128 = 2_000_100_000;
const FIRST_SCRIPT: u128 = 2_000_200_000;
