//! What the people of the scenes do: ask for a place, act on it, read.
//!
//! ```text
//! a person or a script --> Desk --> the node, over QUIC
//!                           `-----> account of what was acknowledged; surprises
//! ```
//!
//! **Architecture invariant:** whatever the node acknowledges here is noted in the account, and whatever
//! nobody could expect is kept to be shown: nothing that happens in a scene is passed over.

use std::time::Duration;

use parking_lot::Mutex;

use super::account::{Account, Acknowledged};
use super::patients::pause;
use crate::cli::failure::Failure;
use crate::client::ids::new_request_id;
use crate::client::{CallError, Client};
use crate::model::{
    Action, AppointmentId, BookingChannel, Change, ChannelSet, ClaimRequest, ClassSet,
    DepartmentId, Hold, OpenSession, OrganizationId, Outcome, PatientId, Pick, Pool, PoolTerms,
    Receipt, Repeat, ResourceId, Session, SessionId, SessionTerms, Sharing, SiteId, SlotChoice,
    Timestamp, Ttl,
};
use crate::ops::clock::Clock;

/// Where the people of the scenes ask.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) account: Mutex<Account>,
    /// Answers that nobody could expect.
    pub(super) surprises: Mutex<Vec<String>>,
}

impl Desk {
    pub(super) fn new(client: Client) -> Self {
        let (account, surprises) = (Mutex::default(), Mutex::default());
        Self { client, clock: Clock::start(), account, surprises }
    }

    /// Asks for a place.
    pub(super) async fn hold(
        &self,
        id: AppointmentId,
        patient: PatientId,
        channel: BookingChannel,
        claim: (SessionId, SlotChoice),
    ) -> Result<Receipt, CallError> {
        let (session, slots) = claim;
        let claim = ClaimRequest { session, count: 1, slots };
        let hold = Hold { channel, ..Hold::of(id, patient, [claim]) };
        self.patiently(|| self.client.hold(hold.clone())).await
    }

    /// Acts on an appointment. Whether the node did it; it may be too late for it.
    pub(super) async fn act(
        &self,
        id: AppointmentId,
        patient: PatientId,
        channel: BookingChannel,
        action: Action,
    ) -> bool {
        let Err(error) = self.change(id, patient, channel, action).await else { return true };
        if !matches!(refused_as(&error), Some(Outcome::HoldExpired | Outcome::WrongStatus)) {
            self.wonder(&error);
        }
        false
    }

    /// Acts on an appointment.
    pub(super) async fn change(
        &self,
        id: AppointmentId,
        patient: PatientId,
        channel: BookingChannel,
        action: Action,
    ) -> Result<(), CallError> {
        let then = match action {
            Action::Release => Acknowledged::Released,
            Action::Cancel => Acknowledged::Cancelled,
            _ => Acknowledged::Booked,
        };
        let request = new_request_id(self.clock.now());
        let change = Change { request, appointment: id, patient: Some(patient), channel, action };
        self.patiently(|| self.client.change(change)).await?;
        self.account.lock().note(id, then);
        Ok(())
    }

    /// Asks, and asks the same again as long as the node has no room, or was not even asked.
    pub(super) async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        loop {
            match ask().await {
                Err(CallError::Refused(refusal)) if refusal.outcome == Outcome::Overloaded => {
                    let said = Duration::from_millis(refusal.retry_after_millis.into());
                    pause(said.max(OVERLOADED)).await;
                }
                Err(CallError::Behind { .. }) => pause(OVERLOADED).await,
                Err(CallError::OutOfTurn { wait }) => pause(wait.max(OVERLOADED)).await,
                answer => return answer,
            }
        }
    }

    /// Keeps an error that nobody could expect.
    pub(super) fn wonder(&self, error: &CallError) {
        if !matches!(error, CallError::Refused(_)) {
            self.account.lock().unanswered += 1;
        }
        self.surprise(format!("somebody in a scene got: {error}"));
    }

    /// Keeps what nobody could expect.
    pub(super) fn surprise(&self, what: String) {
        let mut surprises = self.surprises.lock();
        if surprises.len() < SURPRISES_MAX {
            surprises.push(what);
        }
    }

    /// Waits until an instant.
    pub(super) async fn until(&self, time: Timestamp) {
        let left = time.as_millis().saturating_sub(self.clock.now().as_millis());
        pause(Duration::from_millis(left)).await;
    }
}

/// The refusal that an answer is, if it is one.
pub(super) const fn refused_as(error: &CallError) -> Option<Outcome> {
    match error {
        CallError::Refused(refusal) => Some(refusal.outcome),
        _ => None,
    }
}

/// A session of tomorrow with one pool, as the scenes and the opening minute have them.
pub(super) fn clinic(id: SessionId, now: Timestamp, ttl_max: Ttl, quotas: Vec<u16>) -> Session {
    Session {
        id,
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(id.0),
        appointment_type: 0,
        start: now.plus_millis(24 * 3_600_000),
        slot_millis: 10 * 60_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max,
        terms: SessionTerms::default(),
        pools: vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas,
            terms: PoolTerms::default(),
        }],
    }
}

/// Opens a session.
pub(super) async fn open(admin: &Client, now: Timestamp, session: Session) -> Result<(), Failure> {
    let open = OpenSession { request: new_request_id(now), session };
    let opened = admin.open_session(open).await;
    opened.map(drop).map_err(|error| {
        Failure::failed(format!("the hospital cannot be opened: {error}"), "see above")
    })
}

/// What a scene fails with that did not come to its end.
pub(super) fn stuck(what: &str) -> Failure {
    Failure::failed(
        format!("the demonstration did not go on: {what}"),
        "try again where the machine has less to do; if it stays, please report it",
    )
}

/// The doors that people use: an app, a site, a telephone, a counter.
pub(super) const CHANNELS: [BookingChannel; 4] = [
    BookingChannel::new(1).expect("1 is below 64"),
    BookingChannel::new(2).expect("2 is below 64"),
    BookingChannel::new(3).expect("3 is below 64"),
    BookingChannel::new(4).expect("4 is below 64"),
];

/// The sessions of scenes begin here; those of the opening minute are below.
pub(super) const FIRST_OF_SCENES: SessionId = SessionId(1_000_000);

/// How long one waits at least who is told that there is no room.
const OVERLOADED: Duration = Duration::from_millis(20);

/// Surprises that are kept to be shown.
const SURPRISES_MAX: usize = 5;
