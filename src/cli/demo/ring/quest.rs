//! One person's wish for a place in one clinic, and how far it has come.
//!
//! ```text
//! Open -- asks --> Entered -- won --> Held --> Booked --> Over
//!   '-- asks, is offered ------------> '-- lapsed --> Open
//! ```
//!
//! **Architecture invariant:** a quest does one thing after the other, so what it notes of an appointment
//! stands in the order in which it happened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::mind::{First, Later, Mind, Next, Refused, Then};
use super::people::Person;
use super::stage::{ASKING, Answer, JOINING, News, Stage, TOO_LATE, Wish};
use crate::cli::demo::account::Acknowledged;
use crate::cli::demo::patients::pause;
use crate::client::CallError;
use crate::model::{
    Action, AppointmentId, AppointmentStatus, Outcome, PaymentRef, Receipt, Refusal,
};
use crate::ops::clock::monotonic_now;

/// Somebody's wish.
#[derive(Debug)]
pub(super) struct Quest {
    stage: Arc<Stage>,
    person: Person,
    wish: Wish,
    mind: Mind,
    state: State,
    appointment: AppointmentId,
    /// What is done next, and when.
    due: Option<(Instant, Step)>,
    has_joined: bool,
    is_asking: bool,
    /// The race that a script is in: the opening's, or that for a place which is handed over.
    race_from: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asks, will ask, or waits to be offered a place.
    Open,
    Entered,
    Held,
    Booked,
    /// Wants nothing more.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ask,
    Join,
    Book,
    Release,
    Cancel,
    HandOver,
}

/// An entry of a draw of which nobody has told what it came to.
pub(super) type Untold = (AppointmentId, Person);

/// Lives until the part is over.
pub(super) async fn live(mut quest: Quest, mut news: UnboundedReceiver<News>) -> Option<Untold> {
    loop {
        let heard = match quest.due {
            None => news.recv().await,
            Some((at, step)) => tokio::select! {
                biased;
                heard = news.recv() => heard,
                () = pause(at.saturating_duration_since(monotonic_now())) => {
                    quest.due = None;
                    quest.take(step).await;
                    continue;
                }
            },
        };
        match heard {
            Some(news) => quest.hear(news),
            None => break,
        }
    }
    (quest.state == State::Entered).then_some((quest.appointment, quest.person))
}

impl Quest {
    pub(super) fn new(stage: &Arc<Stage>, person: Person, clinic: u16) -> Self {
        let mut mind = Mind::new(&stage.population, stage.part, person, clinic);
        let opens = stage.opens;
        let first = match mind.first() {
            First::Before(before) => opens.checked_sub(before).unwrap_or(opens),
            First::After(after) => opens + after,
        };
        Self {
            stage: Arc::clone(stage),
            person,
            wish: (person.number, clinic),
            mind,
            state: State::Open,
            appointment: AppointmentId::default(),
            due: Some((first, Step::Ask)),
            has_joined: false,
            is_asking: false,
            race_from: opens,
        }
    }

    /// What the platform or, to a script, the ring tells.
    fn hear(&mut self, news: News) {
        match news {
            News::Place { id, until } => {
                self.stage.note(id, Acknowledged::Held);
                self.appointment = id;
                let left =
                    until.as_millis().saturating_sub(self.stage.desk.clock.now().as_millis());
                self.got_place(Duration::from_millis(left), false);
            }
            News::Lost(id) => {
                self.stage.note(id, Acknowledged::NotDrawn);
                self.lapsed();
            }
            News::Asked(answer) => {
                if self.state == State::Over {
                    self.state = State::Open;
                }
                self.race_from = monotonic_now();
                self.answered(answer);
            }
        }
    }

    fn plan(&mut self, step: Step, after: Duration) {
        self.due = Some((monotonic_now() + after, step));
    }

    async fn take(&mut self, step: Step) {
        match (step, self.state) {
            (Step::Ask, State::Open | State::Entered) => self.ask().await,
            (Step::Join, State::Open) => self.join().await,
            (Step::Book, State::Held) => self.book().await,
            (Step::Release, State::Held) => self.leave(step, Action::Release).await,
            (Step::Cancel, State::Booked) => self.leave(step, Action::Cancel).await,
            (Step::HandOver, State::Booked) => self.hand_over().await,
            _ => {}
        }
    }

    async fn ask(&mut self) {
        if self.person.is_ring && !std::mem::replace(&mut self.is_asking, true) {
            self.stage.scripts.fetch_add(1, Ordering::Relaxed);
        }
        let answer = self.stage.hold(self.person, self.wish.1).await;
        self.answered(answer);
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Ok((id, receipt)) => self.got(id, &receipt),
            Err(error) => match self.stage.refusal(self.person, &error, ASKING) {
                Some(refusal) => {
                    let hint = Duration::from_millis(refusal.retry_after_millis.into());
                    self.go_on(refusal.outcome, hint);
                }
                None => self.asks_no_more(),
            },
        }
    }

    /// A place, or an entry.
    fn got(&mut self, id: AppointmentId, receipt: &Receipt) {
        let is_entry = receipt.status == Some(AppointmentStatus::Waitlist);
        self.stage.note(id, if is_entry { Acknowledged::Entered } else { Acknowledged::Held });
        if self.state != State::Open {
            self.stage.desk.surprise(format!("somebody got a second place: {receipt:?}"));
        }
        self.appointment = id;
        self.stage.has(self.wish, true);
        if !is_entry {
            let now = self.stage.desk.clock.now().as_millis();
            let left = receipt.until.as_millis().saturating_sub(now);
            return self.got_place(Duration::from_millis(left), true);
        }
        self.state = State::Entered;
        if self.mind.asks_on() {
            self.go_on(Outcome::AlreadyHasAppointment, Duration::ZERO);
        }
    }

    /// A hold, for so long.
    fn got_place(&mut self, hold: Duration, is_race: bool) {
        self.asks_no_more();
        self.state = State::Held;
        self.stage.has(self.wish, true);
        match self.mind.held(hold, is_race) {
            Then::Book(after) => self.plan(Step::Book, after),
            Then::Release(after) => self.plan(Step::Release, after),
            Then::Forget => self.due = None,
        }
    }

    async fn book(&mut self) {
        let payment = PaymentRef(self.appointment.0);
        match self.change(Action::Book { payment }).await {
            Ok(()) => {
                self.state = State::Booked;
                match self.mind.booked() {
                    Later::Keep => {}
                    Later::Cancel(after) => self.plan(Step::Cancel, after),
                    Later::HandOver(after) => self.plan(Step::HandOver, after),
                }
            }
            Err(error) => match self.stage.refusal(self.person, &error, TOO_LATE) {
                Some(refusal) if refusal.outcome == Outcome::RateLimited => {
                    self.plan(Step::Book, hint_of(&refusal));
                }
                _ => self.lapsed(),
            },
        }
    }

    /// Gives a place up.
    async fn leave(&mut self, step: Step, action: Action) {
        match self.change(action).await {
            Ok(()) => self.is_over(),
            Err(error) => match self.stage.refusal(self.person, &error, TOO_LATE) {
                Some(refusal) if refusal.outcome == Outcome::RateLimited => {
                    self.plan(step, hint_of(&refusal));
                }
                _ => {}
            },
        }
    }

    /// Cancels, and in the same moment the script of a customer asks: at best it is the next request that
    /// the node reads.
    async fn hand_over(&mut self) {
        self.stage.handovers_tried.fetch_add(1, Ordering::Relaxed);
        let customer = self.stage.customer(self.wish, &mut self.mind);
        let cancel = self.change(Action::Cancel);
        let cancelled = match customer {
            None => cancel.await,
            Some((customer, quest)) => {
                let ask = self.stage.hold(customer, self.wish.1);
                // What is polled first is sent first.
                let (cancelled, answer) = tokio::join!(biased; cancel, ask);
                // The customer is there until nobody can tell it anything any more.
                let _told = quest.send(News::Asked(answer));
                cancelled
            }
        };
        match cancelled {
            Ok(()) => self.is_over(),
            Err(error) => drop(self.stage.refusal(self.person, &error, TOO_LATE)),
        }
    }

    async fn join(&mut self) {
        if let Err(error) = self.stage.join(self.person, self.wish.1).await {
            let _expected = self.stage.refusal(self.person, &error, JOINING);
        }
        self.has_joined = true;
        if self.mind.asks_on() {
            self.go_on(Outcome::SoldOut, Duration::ZERO);
        } else {
            self.asks_no_more();
        }
    }

    async fn change(&self, action: Action) -> Result<(), CallError> {
        let Person { channel, .. } = self.person;
        self.stage.desk.change(self.appointment, self.person.patient(), channel, action).await
    }

    /// What somebody does who was refused.
    fn go_on(&mut self, outcome: Outcome, hint: Duration) {
        let refused = Refused {
            outcome,
            hint,
            since_opening: monotonic_now().saturating_duration_since(self.race_from),
            has_joined: self.has_joined,
            scripts: self.stage.scripts.load(Ordering::Relaxed),
        };
        if !matches!(self.state, State::Open | State::Entered) {
            return;
        }
        match self.mind.refused(&refused) {
            Next::Again(after) => self.plan(Step::Ask, after),
            Next::Wait if self.state == State::Open => self.plan(Step::Join, Duration::ZERO),
            Next::Wait | Next::Stop => self.asks_no_more(),
        }
    }

    /// A hold, or an entry, came to nothing.
    fn lapsed(&mut self) {
        self.state = State::Open;
        self.stage.has(self.wish, false);
        if self.mind.asks_on() {
            self.plan(Step::Ask, Duration::ZERO);
        } else {
            self.asks_no_more();
        }
    }

    fn is_over(&mut self) {
        self.state = State::Over;
        self.stage.has(self.wish, false);
    }

    fn asks_no_more(&mut self) {
        if std::mem::take(&mut self.is_asking) {
            self.stage.scripts.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// After how long the node says to come back, at least a moment.
fn hint_of(refusal: &Refusal) -> Duration {
    Duration::from_millis(refusal.retry_after_millis.max(1).into())
}
