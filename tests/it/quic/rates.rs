//! Rates over the wire: who asks too often is told when to come back, and is let in then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use haoyuan::client::{CallError, Client, ids};
use haoyuan::model::*;
use haoyuan::server::Clock;
use haoyuan::service::{OpenOptions, Service};
use tokio::task::JoinHandle;

use super::fake::{hold, validity};
use super::service::{serve_by, session};

const MINUTE: u64 = 60_000;

/// A node whose time the test turns.
struct World {
    folder: tempfile::TempDir,
    time: Arc<AtomicU64>,
    service: Arc<Service>,
    running: JoinHandle<()>,
    admin: Client,
    gateway: Client,
}

fn open(folder: &tempfile::TempDir) -> Arc<Service> {
    let on_fatal = Arc::new(|error: &_| panic!("{error}"));
    Service::open(folder.path(), &OpenOptions::default(), on_fatal).unwrap().0
}

fn served(service: &Arc<Service>, time: &Arc<AtomicU64>) -> (JoinHandle<()>, Client, Client) {
    let told = Arc::clone(time);
    let clock: Clock = Arc::new(move || Timestamp::from_millis(told.load(Ordering::Relaxed)));
    let (running, client) = serve_by(service, clock);
    (running, client(Role::Admin), client(Role::Gateway))
}

impl World {
    /// With a session that is sold out, and one that is not; under these rates.
    async fn under(rates: Vec<RateRule>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let time = Arc::new(AtomicU64::new(validity().now.as_millis()));
        let service = open(&folder);
        let (running, admin, gateway) = served(&service, &time);
        let world = Self { folder, time, service, running, admin, gateway };
        for (id, places) in [(7, 200), (8, 0)] {
            let mut session = session(world.now());
            session.id = SessionId(id);
            session.start = world.now().plus_millis(24 * 60 * MINUTE);
            session.repeat = Repeat::Unlimited;
            session.pools[0].quotas = vec![places; 4];
            let request = ids::new_request_id(world.now());
            world.admin.open_session(OpenSession { request, session }).await.unwrap();
        }
        world.apply(rates).await;
        world
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::Relaxed))
    }

    fn pass(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::Relaxed);
    }

    /// Puts rates in force, and waits until they are.
    async fn apply(&self, rates: Vec<RateRule>) {
        let admission = Some(AdmissionRule { rates, shares: Vec::new() });
        let layers = vec![RuleLayer { admission, ..RuleLayer::default() }];
        let from = self.now().plus_millis(limits::RULES_LEAD_MILLIS);
        let rules = Rules { from, layers, civil: CivilTime::default(), ..Rules::none() };
        let request = ids::new_request_id(self.now());
        self.admin.apply_rules(ApplyRules { request, rules }).await.unwrap();
        self.pass(limits::RULES_LEAD_MILLIS);
    }

    /// Asks for a place of a patient from an address; says when to come back, if too often.
    async fn ask(&self, session: u64, patient: u128, address: u128) -> Result<Outcome, u32> {
        let mut wish = Hold { appointment: ids::new_appointment_id(self.now()), ..hold(patient) };
        wish.keys.address = Some(ClientKey(address));
        wish.claims[0].session = SessionId(session);
        wish.claims[0].slots = SlotChoice::Any;
        match self.gateway.hold(wish).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => told(&error),
        }
    }

    async fn look(&self, channel: u8) -> Result<Outcome, u32> {
        let channel = BookingChannel::new(channel).unwrap();
        let class = PatientClass::Outpatient;
        match self.gateway.availability(SessionId(7), channel, class).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => told(&error),
        }
    }

    fn limited(&self, key: RateKey) -> [u64; 2] {
        let position = RateKey::ALL.iter().position(|known| *known == key).unwrap();
        self.service.rate_counts(self.now()).limited[position]
    }

    fn stop(self) {
        self.running.abort();
        self.service.close().unwrap();
    }
}

fn told(error: &CallError) -> Result<Outcome, u32> {
    match error {
        CallError::Refused(Refusal {
            outcome: Outcome::RateLimited, retry_after_millis, ..
        }) => Err(*retry_after_millis),
        CallError::Refused(refusal) => Ok(refusal.outcome),
        other => panic!("{other}"),
    }
}

fn rate(per: RateKey, rate: u32, burst: u32) -> RateRule {
    RateRule {
        per,
        rate,
        every_seconds: 60,
        burst,
        block_minutes: 0,
        channels: ChannelSet::ALL,
        mode: RuleMode::Enforce,
    }
}

/// Within the time that was meant, and the spread that keeps clients from coming back together.
fn about(told: Result<Outcome, u32>, millis: u64, spread: u64) -> u64 {
    let wait = u64::from(told.expect_err("it is not limited"));
    assert!((millis..millis + millis / 8 + spread).contains(&wait), "{wait} for {millis}");
    wait
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_who_asks_too_often_is_told_when_to_come_back_and_is_let_in_then() {
    let world = World::under(vec![rate(RateKey::Patient, 2, 2)]).await;
    for _ in 0..2 {
        assert_eq!(world.ask(7, 1, 1).await, Ok(Outcome::Done));
    }
    let wait = about(world.ask(7, 1, 1).await, 30_000, 20);
    assert_eq!(world.ask(7, 2, 1).await, Ok(Outcome::Done), "another patient has another bucket");
    world.pass(wait - 4_000);
    assert!(world.ask(7, 1, 1).await.is_err());
    world.pass(4_000);
    assert_eq!(world.ask(7, 1, 1).await, Ok(Outcome::Done));
    assert_eq!(world.limited(RateKey::Patient), [2, 0]);
    // On the sold-out path persons are not counted: refusing costs next to nothing.
    for _ in 0..5 {
        assert_eq!(world.ask(8, 1, 1).await, Ok(Outcome::SoldOut));
    }
    world.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_with_more_than_a_hundred_operations_a_minute_is_blocked_for_its_term() {
    let mut rule = rate(RateKey::Address, 100, 100);
    rule.block_minutes = 60;
    let world = World::under(vec![rule]).await;
    for patient in 0..100 {
        assert_eq!(world.ask(7, patient, 5).await, Ok(Outcome::Done), "{patient}");
    }
    let wait = about(world.ask(7, 900, 5).await, 60 * MINUTE, 20);
    assert_eq!(world.ask(7, 901, 6).await, Ok(Outcome::Done), "another address");
    world.pass(59 * MINUTE);
    assert!(world.ask(7, 902, 5).await.is_err(), "a block is no bucket that fills");
    world.pass(wait - 59 * MINUTE);
    assert_eq!(world.ask(7, 903, 5).await, Ok(Outcome::Done));
    world.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_and_a_connection_are_limited_on_every_path_also_where_all_is_sold_out() {
    let mut channel = rate(RateKey::Channel, 6, 3);
    channel.channels = ChannelSet(1 << 7);
    let world = World::under(vec![rate(RateKey::Connection, 60, 10), channel]).await;
    for _ in 0..3 {
        assert_eq!(world.look(7).await, Ok(Outcome::Done));
    }
    let wait = about(world.look(7).await, 10_000, 1_000);
    // Four of the connection's tokens are gone: also that of the request which the channel refused.
    for _ in 0..6 {
        assert_eq!(world.ask(8, 1, 1).await, Ok(Outcome::SoldOut));
    }
    about(world.ask(8, 1, 1).await, 1_000, 1_000);
    world.pass(wait);
    assert_eq!(world.look(7).await, Ok(Outcome::Done));
    assert_eq!(
        (world.limited(RateKey::Channel), world.limited(RateKey::Connection)),
        ([1, 0], [1, 0])
    );
    // Administrators are not counted: a wrong document can be taken back.
    for _ in 0..20 {
        world.admin.rules(None).await.unwrap();
    }
    world.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_in_shadow_count_and_let_through_and_come_back_after_a_restart_as_the_rules_say() {
    let mut shadow = rate(RateKey::Account, 1, 1);
    shadow.mode = RuleMode::Shadow;
    let world = World::under(vec![shadow]).await;
    for _ in 0..4 {
        assert_eq!(world.ask(7, 1, 1).await, Ok(Outcome::Done));
    }
    assert_eq!(world.limited(RateKey::Account), [0, 3]);
    // Other rules, from then on and not before.
    let later = rate(RateKey::Account, 1, 1);
    world.apply(vec![later]).await;
    world.time.fetch_sub(1, Ordering::Relaxed);
    assert_eq!(world.ask(7, 1, 1).await, Ok(Outcome::Done));
    world.pass(1);
    assert_eq!(world.ask(7, 1, 1).await, Ok(Outcome::Done));
    assert!(world.ask(7, 1, 1).await.is_err());

    let World { folder, time, service, running, .. } = world;
    running.abort();
    service.close().unwrap();
    drop((service, running.await));
    let service = open(&folder);
    let (running, admin, gateway) = served(&service, &time);
    let world = World { folder, time, service, running, admin, gateway };
    // What was counted is forgotten; the rule is not.
    assert_eq!(world.ask(7, 1, 1).await, Ok(Outcome::Done));
    assert!(world.ask(7, 1, 1).await.is_err());
    world.stop();
}
