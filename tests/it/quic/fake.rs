//! A pipeline without rules, whose journal moves only when the test says so.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use haoyuan::client::{Client, ClientConfig, Dialer};
use haoyuan::codec;
use haoyuan::model::*;
use haoyuan::ops::cert::{Authority, Pair, Validity};
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::ALPN;
use haoyuan::server::{Engine, Server, ServerConfig, ServerMetrics, SnapshotSource};
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[derive(Default)]
pub(crate) struct Fake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    decided: u64,
    durable: u64,
    failed: bool,
    /// Durable at once.
    eager: bool,
    /// Holds are told to come back.
    turns_away: bool,
    oldest: u64,
    snapshot: Vec<u8>,
    wakers: Vec<Waker>,
    /// How often each id was asked for.
    asked: BTreeMap<u128, usize>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn eager() -> Arc<Self> {
        let fake = Self::new();
        fake.state.lock().eager = true;
        fake
    }

    pub(crate) fn turn_away(&self, turns_away: bool) {
        self.state.lock().turns_away = turns_away;
    }

    pub(crate) fn decided(&self) -> u64 {
        self.state.lock().decided
    }

    pub(crate) fn asked(&self) -> BTreeMap<u128, usize> {
        self.state.lock().asked.clone()
    }

    /// Makes records durable up to and including this one.
    pub(crate) fn advance(&self, durable: u64) {
        let wakers = {
            let mut state = self.state.lock();
            state.durable = durable;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn append(&self, count: u64) {
        let decided = {
            let mut state = self.state.lock();
            state.decided += count;
            state.decided
        };
        self.advance(decided);
    }

    pub(crate) fn fail(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.failed = true;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn prune(&self, oldest: u64, snapshot: Vec<u8>) {
        let mut state = self.state.lock();
        state.oldest = oldest;
        state.snapshot = snapshot;
    }
}

impl Engine for Fake {
    fn call(&self, _: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        if !permits(actor.role, command.operation()) {
            return Answer::at_once(Err(Outcome::RoleNotPermitted.into()));
        }
        let mut state = self.state.lock();
        let times = state.asked.entry(command.request().0).or_default();
        *times += 1;
        let retried = *times != 1;
        if state.turns_away && matches!(command, Command::Hold(_)) {
            return Answer::at_once(Err(Refusal::for_now(Outcome::Overloaded, 60_000)));
        }
        if matches!(command, Command::Change(_)) {
            return Answer::at_once(Err(Outcome::AppointmentNotFound.into()));
        }
        state.decided += 1;
        let after = Sequence(state.decided);
        if state.eager {
            state.durable = state.decided;
        }
        drop(state);
        let status = Some(AppointmentStatus::Pending);
        let result =
            Ok(Receipt { status, until: NOW, claims: Claims::new(), retried, appointment: None });
        Answer { after, result }
    }

    fn read(&self, _: Timestamp, _: &Actor, query: &Query) -> Answer<Reading> {
        match query {
            Query::Availability { .. } => {
                let free = (0..40).collect();
                let places = Availability { start: NOW, slot_millis: 900_000, free };
                Answer::at_once(Ok(Reading::Availability(places)))
            }
            Query::Get { .. } => Answer::at_once(Err(Outcome::AppointmentNotFound.into())),
            Query::List { .. } => Answer::at_once(Ok(Reading::Appointments(Vec::new()))),
            Query::ReadSession { .. }
            | Query::Alternatives { .. }
            | Query::Draw { .. }
            | Query::Waitlist { .. }
            | Query::CallOrder { .. } => Answer::refused(Outcome::SessionNotFound),
            Query::Displaced { .. } => {
                Answer::at_once(Ok(Reading::Displaced(DisplacedPage::default())))
            }
            // A refusal by a rule, to see how it is told.
            Query::Explain { .. } => {
                let why = RuleWhy {
                    until: NOW.plus_millis(1_000),
                    ..RuleWhy::of(RuleKey::NoShow, RuleRef::default())
                };
                Answer::refused(Refusal::by_rule(Outcome::Restricted, NOW, why))
            }
            Query::ReadRules { .. }
            | Query::ReadStanding { .. }
            | Query::ReadRecord { .. }
            | Query::ReadBills { .. }
            | Query::Clock
            | Query::ConfirmClock => Answer::refused(Outcome::NotReady),
        }
    }

    fn durable(&self) -> Sequence {
        Sequence(self.state.lock().durable)
    }

    fn is_failed(&self) -> bool {
        self.state.lock().failed
    }

    fn register(&self, waker: &Waker) {
        self.state.lock().wakers.push(waker.clone());
    }

    fn feed(&self, from: Sequence, bytes_max: usize) -> Result<FeedPage, FeedError> {
        let state = self.state.lock();
        if from.0 < state.oldest {
            return Err(FeedError::Gone { oldest: Sequence(state.oldest) });
        }
        let upto = state.durable.min(from.0 + (bytes_max / 100) as u64);
        Ok((from.0..=upto).map(record).collect())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, FeedError> {
        let state = self.state.lock();
        let source = Snapshot { sequence: state.oldest, bytes: state.snapshot.clone(), at: 0 };
        Ok((!state.snapshot.is_empty()).then(|| Box::new(source) as Box<dyn SnapshotSource>))
    }
}

struct Snapshot {
    sequence: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl SnapshotSource for Snapshot {
    fn sequence(&self) -> Sequence {
        Sequence(self.sequence)
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&mut self, bytes_max: usize) -> std::io::Result<Vec<u8>> {
        let end = self.bytes.len().min(self.at + bytes_max);
        let piece = self.bytes[self.at..end].to_vec();
        self.at = end;
        Ok(piece)
    }
}

pub(crate) fn fact(sequence: u64) -> Fact {
    Fact::Booked(Booked {
        request: RequestId(u128::from(sequence)),
        fingerprint: 1,
        appointment: AppointmentId(2),
        payment: PaymentRef(3),
    })
}

fn record(sequence: u64) -> FeedRecord {
    let mut facts = Vec::new();
    codec::encode_facts(&std::iter::once(fact(sequence)).collect(), &mut facts);
    FeedRecord { sequence: Sequence(sequence), time: NOW, facts }
}

/// A node on loopback, and who signs its clients.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Arc<Fake>,
    pub(crate) metrics: Arc<ServerMetrics>,
    pub(crate) authority: Authority,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
}

pub(crate) fn validity() -> Validity {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Validity { now: Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap()), days: 1 }
}

impl Node {
    pub(crate) fn start(engine: &Arc<Fake>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), engine, Authority::new(validity()).unwrap())
    }

    /// A node at the address of one that was killed, once the system has given it free.
    pub(crate) async fn start_again(
        address: SocketAddr,
        engine: &Arc<Fake>,
        authority: Authority,
    ) -> Self {
        while std::net::UdpSocket::bind(address).is_err() {
            tokio::task::yield_now().await;
        }
        Self::start_at(address, engine, authority)
    }

    fn start_at(address: SocketAddr, engine: &Arc<Fake>, authority: Authority) -> Self {
        Self::start_with(address, engine, authority, |_| {})
    }

    /// A node with other limits or certificates than usual.
    pub(crate) fn start_with(
        address: SocketAddr,
        engine: &Arc<Fake>,
        authority: Authority,
        adjust: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let pair = authority.server(&["localhost".to_owned()], validity()).unwrap();
        let identity = Identity::from_pems(&pair, &authority.pair().certificate).unwrap();
        let mut config = ServerConfig::new(address, identity.server(ALPN).unwrap());
        config.drain = Duration::from_secs(20);
        adjust(&mut config);
        let metrics: Arc<ServerMetrics> = Arc::default();
        let server = Server::bind(
            config,
            Arc::clone(engine) as Arc<dyn Engine>,
            Arc::new(|| NOW),
            Arc::clone(&metrics),
        )
        .unwrap();
        let address = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        let engine = Arc::clone(engine);
        Self { address, engine, metrics, authority, stop: Some(stop), running: Some(running) }
    }

    pub(crate) fn tls_of(&self, pair: &Pair, alpn: &[u8]) -> rustls::ClientConfig {
        let identity = Identity::from_pems(pair, &self.authority.pair().certificate).unwrap();
        identity.client(alpn).unwrap()
    }

    pub(crate) fn tls(&self, actor: &Actor) -> rustls::ClientConfig {
        let pair = self.authority.client("test", actor, validity()).unwrap();
        self.tls_of(&pair, ALPN)
    }

    pub(crate) fn dialer(&self, role: Role) -> Dialer {
        let tls = self.tls(&Actor::unbounded(role));
        Dialer::new(&[self.address], "localhost", tls).unwrap()
    }

    pub(crate) fn client(&self, role: Role) -> Client {
        self.client_at(&[self.address], role)
    }

    pub(crate) fn client_at(&self, addresses: &[SocketAddr], role: Role) -> Client {
        let tls = self.tls(&Actor::unbounded(role));
        Client::new(&ClientConfig::new(addresses.to_vec(), "localhost", tls)).unwrap()
    }

    /// Asks the node to stop; the handle ends when it has.
    pub(crate) fn stop(&mut self) -> tokio::task::JoinHandle<()> {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap()
    }

    /// Ends the node at once, as a crash would.
    pub(crate) async fn kill(mut self) -> (SocketAddr, Authority) {
        let running = self.running.take().unwrap();
        running.abort();
        drop(running.await);
        (self.address, self.authority)
    }
}

pub(crate) fn hold(number: u128) -> Hold {
    let claim =
        ClaimRequest { session: SessionId(7), count: 1, slots: SlotChoice::at(SlotIndex(3)) };
    Hold {
        keys: ClientKeys { account: Some(AccountId(number)), ..ClientKeys::default() },
        ..Hold::of(AppointmentId(RequestId::from_parts(NOW, number).0), PatientId(number), [claim])
    }
}

pub(crate) fn release(number: u128) -> Change {
    Change {
        request: RequestId::from_parts(NOW, number),
        appointment: AppointmentId(1),
        patient: None,
        channel: BookingChannel::default(),
        action: Action::Release,
    }
}

pub(crate) fn availability() -> Query {
    Query::Availability {
        session: SessionId(7),
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
    }
}
