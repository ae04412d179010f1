//! The Rust client: a pool of connections to a node, pipelined, with retries that are safe.
//!
//! ```text
//! Client::hold -> Link (one of N) -> frames of what is queued -> node
//!      ^-- broken connection: the same request id again, on the next link, until the deadline
//! ```
//!
//! Every request that changes something carries an id made by the caller, so that asking again
//! never does it twice. Refusals are answers: the client hands them over and does not ask again.
//!
//! A node and a client in one program:
//!
//! ```
//! use std::sync::Arc;
//!
//! use haoyuan::client::{CallError, Client, ClientConfig, ids};
//! use haoyuan::model::*;
//! use haoyuan::ops::{cert, tls::Identity};
//! use haoyuan::protocol::ALPN;
//! use haoyuan::server::{Server, ServerConfig};
//! use haoyuan::service::{OpenOptions, Service};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
//! # runtime.block_on(async {
//! // Certificates: an authority, the node's, and those of two clients.
//! let millis = std::time::UNIX_EPOCH.elapsed()?.as_millis();
//! let now = Timestamp::from_millis(u64::try_from(millis)?);
//! let validity = cert::Validity { now, days: 1 };
//! let authority = cert::Authority::new(validity)?;
//! let trusted = authority.pair().certificate;
//! let node = authority.server(&["localhost".to_owned()], validity)?;
//! let tls = |role| {
//!     let pair = authority.client("example", &Actor::unbounded(role), validity).unwrap();
//!     Identity::from_pems(&pair, &trusted).unwrap().client(ALPN).unwrap()
//! };
//!
//! // The node.
//! let folder = tempfile::tempdir()?;
//! let (service, _report) =
//!     Service::open(folder.path(), &OpenOptions::default(), Arc::new(|error| panic!("{error}")))?;
//! let config = ServerConfig::new(
//!     "127.0.0.1:0".parse()?,
//!     Identity::from_pems(&node, &trusted)?.server(ALPN)?,
//! );
//! let server = Server::bind(config, service.clone(), Arc::new(move || now), Arc::default())?;
//! let address = server.local_addr()?;
//! tokio::spawn(server.run(std::future::pending()));
//!
//! // An administrator opens a session of one slot with one place.
//! let client = |role| Client::new(&ClientConfig::new(vec![address], "localhost", tls(role)));
//! let pool = Pool { channels: ChannelSet::ALL, classes: ClassSet::ALL, quotas: vec![1], terms: PoolTerms::default() };
//! let session = Session {
//!     id: SessionId(1),
//!     organization: OrganizationId(1),
//!     site: SiteId(1),
//!     department: DepartmentId(1),
//!     resource: ResourceId(1),
//!     appointment_type: 1,
//!     start: now.plus_millis(3_600_000),
//!     slot_millis: 900_000,
//!     pick: Pick::Earliest,
//!     repeat: Repeat::OnePerPatient,
//!     sharing: Sharing::Cancel,
//!     ttl_max: Ttl::DEFAULT,
//!     terms: SessionTerms::default(),
//!     pools: vec![pool],
//! };
//! let request = ids::new_request_id(now);
//! client(Role::Admin)?.open_session(OpenSession { request, session }).await?;
//!
//! // A gateway holds the place for one patient; for the next there is none.
//! let gateway = client(Role::Gateway)?;
//! let hold = |patient| {
//!     let claim = ClaimRequest { session: SessionId(1), count: 1, slots: SlotChoice::Any };
//!     Hold::of(ids::new_appointment_id(now), PatientId(patient), [claim])
//! };
//! let receipt = gateway.hold(hold(1)).await?;
//! assert_eq!(receipt.status, Some(AppointmentStatus::Pending));
//! assert_eq!(gateway.hold(hold(2)).await, Err(CallError::Refused(Outcome::SoldOut.into())));
//! # service.close()?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! **Architecture invariant:** a shell over `protocol`; it never makes up an answer, and says so where it
//! did not ask.

mod backlog;
mod config;
mod dial;
mod error;
pub mod ids;
mod lane;
mod link;
mod throttle;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

pub use backlog::{Backlog, StretchId};
pub use config::ClientConfig;
pub use dial::Dialer;
pub use error::CallError;
pub use lane::{Lane, LaneReceiver, LaneSender, read_reply};
pub use throttle::Throttle;
pub use watch::{Event, SnapshotReader, Watch};

use crate::model::{
    Action, ApplyRules, Appointment, AppointmentId, Availability, BookingChannel, CallNext,
    CallOrder, CallOrderOf, Change, ClockReading, Command, DrawId, DrawReading, ExplainOf,
    Explanation, Hold, JoinWaitlist, LeaveWaitlist, OpenSession, Outcome, PatientClass, PatientId,
    Query, Reading, Receipt, RecordReading, RequestId, RevealDraw, RulesReading, Sequence,
    SessionId, SessionReading, SetQuotas, Timestamp, WaitlistReading,
};
use crate::protocol::{Reply, Request};
use link::{BACKOFF_MIN, Link, pause};

/// A client. Cheap to clone; the connections close with the last clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    links: Vec<Arc<Link>>,
    drivers: Vec<AbortHandle>,
    next: AtomicUsize,
    dialer: Arc<Dialer>,
    name: Arc<str>,
    deadline: Duration,
    hold_patience: Duration,
    throttle: Mutex<Throttle>,
    start: Instant,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.drivers.iter().for_each(AbortHandle::abort);
    }
}

impl Client {
    /// A client. It connects with its first call; must be made in a runtime.
    ///
    /// # Errors
    ///
    /// [`CallError`] where the configuration cannot work.
    pub fn new(config: &ClientConfig) -> Result<Self, CallError> {
        let tls = config.tls.clone();
        let dialer = Arc::new(Dialer::new(&config.addresses, &config.server_name, tls)?);
        let name: Arc<str> = config.name.as_str().into();
        let new_link = |_| Arc::new(Link::new(config.in_flight_max));
        let links: Vec<Arc<Link>> = (0..config.connections.max(1)).map(new_link).collect();
        let drive = |link: &Arc<Link>| {
            let driver = Arc::clone(link).drive(Arc::clone(&dialer), Arc::clone(&name));
            tokio::spawn(driver).abort_handle()
        };
        let drivers = links.iter().map(drive).collect();
        let next = AtomicUsize::new(0);
        let ClientConfig { deadline, hold_patience, .. } = *config;
        let throttle = Mutex::new(Throttle::new(
            u64::from_le_bytes(ids::random()),
            config.turned_away_percent,
        ));
        let start = link::now();
        let inner =
            Inner { links, drivers, next, dialer, name, deadline, hold_patience, throttle, start };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sends any request, and again over another connection where one breaks. The reply as it is:
    /// refusals are among them.
    ///
    /// # Errors
    ///
    /// [`CallError::Unavailable`], [`CallError::Protocol`], or, of a hold, [`CallError::Behind`] and
    /// [`CallError::OutOfTurn`].
    pub async fn call(&self, request: &Request) -> Result<Reply, CallError> {
        let Request::Command(Command::Hold(hold)) = request else {
            return self.send(request, self.inner.link()).await;
        };
        let link = self.inner.link();
        let waited = link.waits();
        if self.inner.hold_patience < waited {
            return Err(CallError::Behind { waited });
        }
        let who = (hold.holder().unwrap_or_default(), hold.channel);
        self.inner.admit(who)?;
        let reply = self.send(request, link).await?;
        self.inner.answered(who, &reply);
        Ok(reply)
    }

    async fn send(&self, request: &Request, first: &Link) -> Result<Reply, CallError> {
        let mut last = String::from("no time to ask");
        let mut link = first;
        let attempts = async {
            let mut backoff = BACKOFF_MIN;
            loop {
                match link.call(request).await {
                    Err(CallError::Unavailable(problem)) => last = problem,
                    other => return other,
                }
                pause(backoff).await;
                backoff *= 2;
                link = self.inner.link();
            }
        };
        let deadline = self.inner.deadline;
        if let Ok(answered) = tokio::time::timeout(deadline, attempts).await {
            return answered;
        }
        Err(CallError::Unavailable(format!("not within {deadline:?}; last: {last}")))
    }

    /// Holds places.
    ///
    /// # Errors
    ///
    /// [`CallError`]; so for every call below.
    pub async fn hold(&self, hold: Hold) -> Result<Receipt, CallError> {
        receipt(self.call(&hold.into()).await?)
    }

    /// Opens a session.
    pub async fn open_session(&self, open: OpenSession) -> Result<Receipt, CallError> {
        receipt(self.call(&open.into()).await?)
    }

    /// Confirms a hold, releases it, cancels, and so on: what the action says.
    pub async fn change(&self, change: Change) -> Result<Receipt, CallError> {
        receipt(self.call(&change.into()).await?)
    }

    /// Changes an appointment under a new request id, for a caller that would not ask again itself.
    pub async fn act(
        &self,
        now: Timestamp,
        appointment: AppointmentId,
        patient: Option<PatientId>,
        channel: BookingChannel,
        action: Action,
    ) -> Result<Receipt, CallError> {
        let request: RequestId = ids::new_request_id(now);
        self.change(Change { request, appointment, patient, channel, action }).await
    }

    /// The free places of a session.
    pub async fn availability(
        &self,
        session: SessionId,
        channel: BookingChannel,
        class: PatientClass,
    ) -> Result<Availability, CallError> {
        match self.read(Query::Availability { session, channel, class }).await? {
            Reading::Availability(availability) => Ok(availability),
            _ => Err(unexpected()),
        }
    }

    /// One appointment.
    pub async fn get(
        &self,
        appointment: AppointmentId,
        patient: Option<PatientId>,
        channel: BookingChannel,
    ) -> Result<Appointment, CallError> {
        match self.read(Query::Get { appointment, patient, channel }).await? {
            Reading::Appointment(appointment) => Ok(*appointment),
            _ => Err(unexpected()),
        }
    }

    /// The live appointments of a patient.
    pub async fn list(
        &self,
        patient: PatientId,
        channel: BookingChannel,
    ) -> Result<Vec<Appointment>, CallError> {
        match self.read(Query::List { patient, channel }).await? {
            Reading::Appointments(list) => Ok(list),
            _ => Err(unexpected()),
        }
    }

    /// A session as it stands.
    pub async fn session(&self, session: SessionId) -> Result<SessionReading, CallError> {
        match self.read(Query::ReadSession { session }).await? {
            Reading::Session(reading) => Ok(*reading),
            _ => Err(unexpected()),
        }
    }

    /// Calls the next patient of a session's queue; the receipt says whom.
    pub async fn call_next(&self, call: CallNext) -> Result<Receipt, CallError> {
        receipt(self.call(&Command::CallNext(call).into()).await?)
    }

    /// Whose turn it is in a session.
    pub async fn call_order(
        &self,
        session: SessionId,
        of: CallOrderOf,
    ) -> Result<CallOrder, CallError> {
        match self.read(Query::CallOrder { session, of }).await? {
            Reading::CallOrder(order) => Ok(*order),
            _ => Err(unexpected()),
        }
    }

    /// Puts rules in force from an instant on.
    pub async fn apply_rules(&self, apply: ApplyRules) -> Result<Receipt, CallError> {
        let command = Command::ApplyRules(Box::new(apply));
        receipt(self.call(&command.into()).await?)
    }

    /// The rules in force at an instant, or now.
    pub async fn rules(&self, at: Option<Timestamp>) -> Result<RulesReading, CallError> {
        match self.read(Query::ReadRules { at }).await? {
            Reading::Rules(reading) => Ok(*reading),
            _ => Err(unexpected()),
        }
    }

    /// Why something is as it is. A patient's record is told for an instant, now if absent.
    pub async fn explain(
        &self,
        of: ExplainOf,
        channel: BookingChannel,
        at: Option<Timestamp>,
    ) -> Result<Explanation, CallError> {
        match self.read(Query::Explain { of, channel, at }).await? {
            Reading::Explanation(explanation) => Ok(*explanation),
            _ => Err(unexpected()),
        }
    }

    /// What is kept of how a patient behaved.
    pub async fn record(
        &self,
        patient: PatientId,
        channel: BookingChannel,
    ) -> Result<RecordReading, CallError> {
        match self.read(Query::ReadRecord { patient, channel }).await? {
            Reading::Record(reading) => Ok(*reading),
            _ => Err(unexpected()),
        }
    }

    /// Moves the deadline of a hold to that of a payment order.
    pub async fn order(&self, order: crate::model::Order) -> Result<Receipt, CallError> {
        receipt(self.call(&Command::Order(order).into()).await?)
    }

    /// Books a hold with a payment; the receipt names another appointment where the hold was over.
    pub async fn pay(&self, pay: crate::model::Pay) -> Result<Receipt, CallError> {
        receipt(self.call(&Command::Pay(pay).into()).await?)
    }

    /// Says that money was given back.
    pub async fn refund(&self, refund: crate::model::Refund) -> Result<Receipt, CallError> {
        receipt(self.call(&Command::Refund(refund).into()).await?)
    }

    /// Names the patient of a hold that an account has.
    pub async fn name_patient(
        &self,
        name: crate::model::NamePatient,
    ) -> Result<Receipt, CallError> {
        let command = Command::NamePatient(Box::new(name));
        receipt(self.call(&command.into()).await?)
    }

    /// What is owed back, or the payments of one appointment. The query is a `ReadBills`.
    pub async fn bills(&self, query: Query) -> Result<crate::model::BillsPage, CallError> {
        match self.read(query).await? {
            Reading::Bills(page) => Ok(*page),
            _ => Err(unexpected()),
        }
    }

    /// Restricts a patient, does something about a restriction, or appeals against one.
    pub async fn restrict(&self, command: Command) -> Result<Receipt, CallError> {
        receipt(self.call(&command.into()).await?)
    }

    /// Where a patient's restrictions stand.
    pub async fn standing(
        &self,
        patient: PatientId,
        channel: BookingChannel,
    ) -> Result<crate::model::StandingReading, CallError> {
        match self.read(Query::ReadStanding { patient, channel }).await? {
            Reading::Standing(reading) => Ok(*reading),
            _ => Err(unexpected()),
        }
    }

    /// Shares the places of a session out anew.
    pub async fn set_quotas(&self, set: SetQuotas) -> Result<Receipt, CallError> {
        let command = Command::SetQuotas(Box::new(set));
        receipt(self.call(&command.into()).await?)
    }

    /// Moves an appointment to other places.
    pub async fn reschedule(&self, ask: crate::model::Reschedule) -> Result<Receipt, CallError> {
        let command = Command::Reschedule(Box::new(ask));
        receipt(self.call(&command.into()).await?)
    }

    /// Closes slots of a session, or opens them again; puts another resource into one; adds a place.
    pub async fn alter(&self, command: Command) -> Result<Receipt, CallError> {
        receipt(self.call(&command.into()).await?)
    }

    /// Places that could be had instead. The query is an `Alternatives`.
    pub async fn alternatives(
        &self,
        query: Query,
    ) -> Result<Vec<crate::model::Alternative>, CallError> {
        match self.read(query).await? {
            Reading::Alternatives(found) => Ok(found),
            _ => Err(unexpected()),
        }
    }

    /// Appointments that lost their places and have no others. The query is a `Displaced`.
    pub async fn displaced(&self, query: Query) -> Result<crate::model::DisplacedPage, CallError> {
        match self.read(query).await? {
            Reading::Displaced(page) => Ok(page),
            _ => Err(unexpected()),
        }
    }

    /// Where a draw stands, with the receipt of an entrant.
    pub async fn draw(
        &self,
        draw: DrawId,
        appointment: Option<AppointmentId>,
        patient: Option<PatientId>,
        channel: BookingChannel,
    ) -> Result<DrawReading, CallError> {
        match self.read(Query::Draw { draw, appointment, patient, channel }).await? {
            Reading::Draw(reading) => Ok(*reading),
            _ => Err(unexpected()),
        }
    }

    /// Gives the value of a draw's beacon.
    pub async fn reveal_draw(&self, reveal: RevealDraw) -> Result<Receipt, CallError> {
        let command = Command::RevealDraw(Box::new(reveal));
        receipt(self.call(&command.into()).await?)
    }

    /// Joins the waitlists of sessions that are full.
    pub async fn join_waitlist(&self, join: JoinWaitlist) -> Result<Receipt, CallError> {
        let command = Command::JoinWaitlist(Box::new(join));
        receipt(self.call(&command.into()).await?)
    }

    /// Leaves the waitlists that an entry is in.
    pub async fn leave_waitlist(&self, leave: LeaveWaitlist) -> Result<Receipt, CallError> {
        receipt(self.call(&Command::LeaveWaitlist(leave).into()).await?)
    }

    /// How many wait for a session, and where a patient stands.
    pub async fn waitlist(
        &self,
        session: SessionId,
        patient: Option<PatientId>,
        channel: BookingChannel,
    ) -> Result<WaitlistReading, CallError> {
        match self.read(Query::Waitlist { session, patient, channel }).await? {
            Reading::Waitlist(reading) => Ok(reading),
            _ => Err(unexpected()),
        }
    }

    /// The node's clock; with `confirm` it believes the machine's again, after a jump.
    pub async fn clock(&self, confirm: bool) -> Result<ClockReading, CallError> {
        match self.read(if confirm { Query::ConfirmClock } else { Query::Clock }).await? {
            Reading::Clock(clock) => Ok(clock),
            _ => Err(unexpected()),
        }
    }

    /// Subscribes to facts from a record on, over a connection of its own.
    pub fn watch(&self, from: Sequence) -> Watch {
        Watch::new(Arc::clone(&self.inner.dialer), Arc::clone(&self.inner.name), from)
    }

    /// Begins to fetch the newest snapshot, over a connection of its own.
    pub async fn snapshot(&self) -> Result<SnapshotReader, CallError> {
        SnapshotReader::open(&self.inner.dialer, &self.inner.name).await
    }

    async fn read(&self, query: Query) -> Result<Reading, CallError> {
        match self.call(&query.into()).await? {
            Reply::Reading(reading) => Ok(reading),
            Reply::Refused(refusal) => Err(CallError::Refused(refusal)),
            _ => Err(unexpected()),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: $action:ident;)*) => {
        impl Client {$(
            $(#[$doc])*
            ///
            /// The action of `change` is replaced; its request id makes asking again safe.
            pub async fn $name(&self, change: Change) -> Result<Receipt, CallError> {
                self.change(Change { action: Action::$action, ..change }).await
            }
        )*}
    };
}

actions! {
    /// Gives up a hold.
    release: Release;
    /// Cancels a booked appointment.
    cancel: Cancel;
    /// Records that the patient has come.
    arrive: Arrive;
    /// Records the check-in.
    check_in: CheckIn;
    /// Records that the visit took place.
    fulfil: Fulfil;
    /// Records that the patient did not come.
    no_show: NoShow;
}

impl Client {
    /// Confirms a hold with a payment. The action of `change` is replaced.
    pub async fn book(
        &self,
        change: Change,
        payment: crate::model::PaymentRef,
    ) -> Result<Receipt, CallError> {
        self.change(Change { action: Action::Book { payment }, ..change }).await
    }
}

impl Inner {
    fn link(&self) -> &Link {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        &self.links[next % self.links.len()]
    }

    /// Whether somebody may ask for a hold now.
    fn admit(&self, who: (PatientId, BookingChannel)) -> Result<(), CallError> {
        let admitted = self.throttle.lock().admit(self.micros(), who);
        admitted.map_err(|micros| CallError::OutOfTurn { wait: Duration::from_micros(micros) })
    }

    fn answered(&self, who: (PatientId, BookingChannel), reply: &Reply) {
        let mut throttle = self.throttle.lock();
        match reply {
            Reply::Refused(refusal) if refusal.outcome == Outcome::Overloaded => {
                throttle.turned_away(self.micros(), who, refusal.retry_after_millis);
            }
            _ => throttle.let_in(who.1),
        }
    }

    fn micros(&self) -> u64 {
        let spent = link::now().duration_since(self.start);
        u64::try_from(spent.as_micros()).unwrap_or(u64::MAX)
    }
}

fn receipt(reply: Reply) -> Result<Receipt, CallError> {
    match reply {
        Reply::Receipt(receipt) => Ok(receipt),
        Reply::Refused(refusal) => Err(CallError::Refused(refusal)),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> CallError {
    CallError::Protocol("the reply is to another kind of request".to_owned())
}
