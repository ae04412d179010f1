//! The real pipeline behind the real transport.

use std::sync::Arc;

use haoyuan::client::{Client, ClientConfig, Event, ids};
use haoyuan::codec;
use haoyuan::model::*;
use haoyuan::ops::cert::Authority;
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::ALPN;
use haoyuan::server::{Clock, Server, ServerConfig};
use haoyuan::service::{OpenOptions, Service};

use tokio::task::JoinHandle;

use super::fake::{hold, validity};

/// Four slots of two places, an hour from now.
pub(crate) fn session(now: Timestamp) -> Session {
    let pool = Pool {
        channels: ChannelSet::ALL,
        classes: ClassSet::ALL,
        quotas: vec![2, 2, 2, 2],
        terms: PoolTerms::default(),
    };
    Session {
        id: SessionId(7),
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(1),
        appointment_type: 1,
        start: now.plus_millis(3_600_000),
        slot_millis: 900_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::DEFAULT,
        terms: SessionTerms::default(),
        pools: vec![pool],
    }
}

/// A server of a service on loopback, and a way to be a client of any role.
pub(crate) fn serve(
    service: &Arc<Service>,
    now: Timestamp,
) -> (JoinHandle<()>, impl Fn(Role) -> Client + use<>) {
    serve_by(service, Arc::new(move || now))
}

/// The same by a clock.
pub(crate) fn serve_by(
    service: &Arc<Service>,
    clock: Clock,
) -> (JoinHandle<()>, impl Fn(Role) -> Client + use<>) {
    let authority = Authority::new(validity()).unwrap();
    let trusted = authority.pair().certificate;
    let node = authority.server(&["localhost".to_owned()], validity()).unwrap();
    let tls = Identity::from_pems(&node, &trusted).unwrap().server(ALPN).unwrap();
    let config = ServerConfig::new("127.0.0.1:0".parse().unwrap(), tls);
    let engine: Arc<Service> = Arc::clone(service);
    let server = Server::bind(config, engine, clock, Arc::default()).unwrap();
    let address = server.local_addr().unwrap();
    let running = tokio::spawn(server.run(std::future::pending()));
    let client = move |role| {
        let pair = authority.client("test", &Actor::unbounded(role), validity()).unwrap();
        let tls = Identity::from_pems(&pair, &trusted).unwrap().client(ALPN).unwrap();
        Client::new(&ClientConfig::new(vec![address], "localhost", tls)).unwrap()
    };
    (running, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_answered_watched_and_kept_in_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let now = validity().now;
    let (service, _) =
        Service::open(folder.path(), &OpenOptions::default(), Arc::new(|error| panic!("{error}")))
            .unwrap();
    let (running, client) = serve(&service, now);

    let admin = client(Role::Admin);
    let request = ids::new_request_id(now);
    admin.open_session(OpenSession { request, session: session(now) }).await.unwrap();
    let gateway = client(Role::Gateway);
    let wish = |number| Hold { appointment: ids::new_appointment_id(now), ..hold(number) };
    let held = wish(1);
    let receipt = gateway.hold(held.clone()).await.unwrap();
    assert_eq!(receipt.claims[0].slot, SlotIndex(3));
    assert_eq!(gateway.hold(held.clone()).await.unwrap(), Receipt { retried: true, ..receipt });
    let change = Change {
        request: ids::new_request_id(now),
        appointment: held.appointment,
        patient: held.patient,
        channel: held.channel,
        action: Action::Release,
    };
    gateway.book(change, PaymentRef(5)).await.unwrap();

    let mut watch = admin.watch(Sequence(1));
    let mut names = Vec::new();
    while names.len() < 3 {
        if let Event::Record(record) = watch.next().await.unwrap() {
            let facts = codec::decode_facts(&record.facts).unwrap();
            names.extend(facts.iter().map(Fact::name));
        }
    }
    assert_eq!(names, ["SessionOpened", "Held", "Booked"]);

    let taking = Arc::clone(&service);
    let taken = tokio::task::spawn_blocking(move || taking.take_snapshot()).await.unwrap();
    let file = std::fs::read(taken.unwrap().unwrap()).unwrap();
    let mut snapshot = admin.snapshot().await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = snapshot.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == file);
    gateway.hold(wish(2)).await.unwrap();
    let mut watch = admin.watch(snapshot.sequence);
    while watch.position() != Sequence(5) {
        watch.next().await.unwrap();
    }
    running.abort();
    service.close().unwrap();
}
