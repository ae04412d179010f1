//! What all who take part in a part of the scene share: the desk, the clock, and what they are told.
//!
//! ```text
//! a quest asks --> the desk --> node --feed--> won, offered, lost --> the quest that it is for
//! ```
//!
//! **Architecture invariant:** the feed brings what is durable, so what it tells somebody is noted as an
//! answer is.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Part;
use super::clinics::{Times, clinic_of, session_id};
use super::mind::Mind;
use super::people::{Person, everybody, number_of};
use super::population::Population;
use crate::cli::demo::account::Acknowledged;
use crate::cli::demo::desk::{Desk, stuck};
use crate::cli::failure::Failure;
use crate::client::ids::{new_appointment_id, new_request_id};
use crate::client::{CallError, Event, Watch};
use crate::codec::decode_facts;
use crate::model::{
    AppointmentId, Attributes, ClaimRequest, Fact, Hold, JoinWaitlist, Outcome, PatientClass,
    PatientId, Receipt, Refusal, SessionId, SlotChoice, Timestamp,
};
use crate::ops::clock::monotonic_now;

/// A person's number, and a clinic's.
pub(super) type Wish = (u32, u16);

/// What came of a request for a place.
pub(super) type Answer = Result<(AppointmentId, Receipt), CallError>;

/// What somebody is told without having asked.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// A place was won, or is offered.
    Place { id: AppointmentId, until: Timestamp },
    /// The entry of a draw won nothing.
    Lost(AppointmentId),
    /// A script of the ring gave a place up, and asked for this one in the same moment.
    Asked(Answer),
}

/// What all who take part in a part share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) desk: Arc<Desk>,
    pub(super) population: Arc<Population>,
    pub(super) part: Part,
    pub(super) opens: Instant,
    times: Times,
    pub(super) everybody: Vec<Person>,
    /// Requests for a place: of people, and of the ring.
    pub(super) requests: [AtomicU64; 2],
    /// Scripts that ask at this time.
    pub(super) scripts: AtomicU32,
    pub(super) handovers_tried: AtomicU32,
    pub(super) hindered: Mutex<BTreeSet<u32>>,
    /// Wishes that came to a place or an entry.
    had: Mutex<BTreeSet<Wish>>,
    inbox: Mutex<BTreeMap<Wish, UnboundedSender<News>>>,
}

impl Stage {
    pub(super) fn new(
        desk: &Arc<Desk>,
        population: &Arc<Population>,
        part: Part,
        times: Times,
    ) -> Self {
        let left = times.opens.as_millis().saturating_sub(desk.clock.now().as_millis());
        Self {
            desk: Arc::clone(desk),
            population: Arc::clone(population),
            part,
            opens: monotonic_now() + Duration::from_millis(left),
            times,
            everybody: everybody(population),
            requests: <[AtomicU64; 2]>::default(),
            scripts: AtomicU32::new(0),
            handovers_tried: AtomicU32::new(0),
            hindered: Mutex::default(),
            had: Mutex::default(),
            inbox: Mutex::default(),
        }
    }

    pub(super) fn news_for(&self, wish: Wish) -> UnboundedReceiver<News> {
        let (sender, news) = unbounded_channel();
        self.inbox.lock().insert(wish, sender);
        news
    }

    fn tell(&self, wish: Option<Wish>, news: News) {
        let inbox = self.inbox.lock();
        if let Some(quest) = wish.and_then(|wish| inbox.get(&wish)) {
            // Who is gone wants nothing more.
            let _told = quest.send(news);
        }
    }

    /// The part is over: everybody ends what they are doing, and goes.
    pub(super) fn close(&self) {
        self.inbox.lock().clear();
    }

    /// Notes an answer, or what the platform told.
    pub(super) fn note(&self, id: AppointmentId, what: Acknowledged) {
        self.desk.account.lock().note(id, what);
    }

    /// Whether a wish has come to a place or an entry.
    pub(super) fn has(&self, wish: Wish, has: bool) {
        let mut had = self.had.lock();
        if has {
            had.insert(wish);
        } else {
            had.remove(&wish);
        }
    }

    /// Another identity of the ring that has nothing there, by chance.
    pub(super) fn customer(
        &self,
        (seller, clinic): Wish,
        mind: &mut Mind,
    ) -> Option<(Person, UnboundedSender<News>)> {
        let had = self.had.lock();
        let is_free = |who: &&Person| {
            who.is_ring && who.number != seller && !had.contains(&(who.number, clinic))
        };
        let free: Vec<_> = self.everybody.iter().filter(is_free).collect();
        let customer = **free.get(mind.one_of(free.len()))?;
        let quest = self.inbox.lock().get(&(customer.number, clinic)).cloned()?;
        Some((customer, quest))
    }

    /// Asks for any place of a clinic.
    pub(super) async fn hold(&self, who: Person, clinic: u16) -> Answer {
        self.requests[usize::from(who.is_ring)].fetch_add(1, Ordering::Relaxed);
        let id = new_appointment_id(self.desk.clock.now());
        let session = session_id(self.part, clinic);
        let claim = ClaimRequest { session, count: 1, slots: SlotChoice::Any };
        let hold = Hold {
            keys: who.keys(),
            channel: who.channel,
            ttl: self.times.hold,
            ..Hold::of(id, who.patient(), [claim])
        };
        let receipt = self.desk.patiently(|| self.desk.client.hold(hold.clone())).await?;
        Ok((id, receipt))
    }

    /// Joins the waitlist of a clinic.
    pub(super) async fn join(&self, who: Person, clinic: u16) -> Result<Receipt, CallError> {
        let join = JoinWaitlist {
            request: new_request_id(self.desk.clock.now()),
            patient: who.patient(),
            account: who.keys().account,
            channel: who.channel,
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            earliest: Timestamp::default(),
            latest: Timestamp::MAX,
            targets: std::iter::once(session_id(self.part, clinic)).collect(),
        };
        self.desk.patiently(|| self.desk.client.join_waitlist(join.clone())).await
    }

    /// The refusal that an answer is. What nobody could expect is kept.
    pub(super) fn refusal(
        &self,
        who: Person,
        error: &CallError,
        expected: &[Outcome],
    ) -> Option<Refusal> {
        if let CallError::Refused(refusal) = error {
            let is_by_rule = BY_RULE.contains(&refusal.outcome);
            if is_by_rule && !who.is_ring {
                self.hindered.lock().insert(who.number);
            }
            if is_by_rule || expected.contains(&refusal.outcome) {
                return Some(*refusal);
            }
        }
        self.desk.wonder(error);
        None
    }

    /// Whose wish it is that a patient has for a session.
    fn wish_of(&self, patient: PatientId, session: SessionId) -> Option<Wish> {
        let (part, clinic) = clinic_of(session)?;
        (part == self.part).then_some((number_of(patient)?, clinic))
    }
}

/// What the platform sends its users: what the feed says of them.
pub(super) async fn listen(stage: &Stage, mut feed: Watch) -> Result<Infallible, Failure> {
    let mut entries = HashMap::<_, _, foldhash::fast::FixedState>::default();
    loop {
        let event = feed.next().await.map_err(|error| stuck(&error.to_string()))?;
        let Event::Record(record) = event else { continue };
        for fact in decode_facts(&record.facts).map_err(|error| stuck(&error.to_string()))? {
            match &fact {
                Fact::Entered(entered) => {
                    let wish = stage.wish_of(entered.patient, entered.draw.session);
                    entries.extend(wish.map(|wish| (entered.appointment, wish)));
                }
                Fact::DrawWon(won) => {
                    let (id, until) = (won.appointment, won.until);
                    stage.tell(entries.get(&id).copied(), News::Place { id, until });
                }
                Fact::EntryEnded(ended) => {
                    let id = ended.appointment;
                    stage.tell(entries.get(&id).copied(), News::Lost(id));
                }
                Fact::PlaceOffered(offered) => {
                    let session = offered.held.claims.first().map(|claim| claim.session);
                    let wish =
                        session.and_then(|session| stage.wish_of(offered.held.patient, session));
                    let (id, until) = (offered.held.appointment, offered.held.until);
                    stage.tell(wish, News::Place { id, until });
                }
                _ => {}
            }
        }
    }
}

/// Refusals that somebody may expect who asks for a place,
pub(super) const ASKING: &[Outcome] =
    &[Outcome::SoldOut, Outcome::NotOpenYet, Outcome::AlreadyHasAppointment, Outcome::DrawPending];

/// who joins a waitlist,
pub(super) const JOINING: &[Outcome] = &[
    Outcome::NotFull,
    Outcome::AlreadyWaiting,
    Outcome::AlreadyHasAppointment,
    Outcome::WaitlistFull,
    Outcome::WaitlistClosed,
];

/// and who acts on an appointment.
pub(super) const TOO_LATE: &[Outcome] = &[Outcome::HoldExpired, Outcome::WrongStatus];

/// Refusals by a rule.
const BY_RULE: &[Outcome] = &[
    Outcome::RateLimited,
    Outcome::Restricted,
    Outcome::LimitReached,
    Outcome::PersonLimit,
    Outcome::CoolingDown,
    Outcome::WaitLimit,
];
