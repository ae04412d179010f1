//! The protocol over real QUIC on loopback, with a journal that the test moves.

mod attendance;
pub(crate) mod fake;
mod rates;
pub(crate) mod service;
mod waitlist;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use haoyuan::client::{CallError, Client, ClientConfig, Event, Lane, Watch};
use haoyuan::model::*;
use haoyuan::ops::cert::Authority;
use haoyuan::ops::tls::provider;
use haoyuan::protocol::{
    ALPN, Assembler, ClientHello, CloseCode, FrameKind, Hello, Packer, Reply, Request, ServerHello,
    decode_reply, write_request,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use fake::{Fake, Node, availability, hold, release, validity};

/// Reads replies until there are `count`.
async fn replies(lane: &mut Lane, count: usize) -> Vec<(u32, Reply)> {
    let mut all = Vec::new();
    while all.len() < count {
        let more = lane.receiver.receive(|correlation, reply| all.push((correlation, reply)));
        assert!(more.await.unwrap(), "the stream ended after {} replies", all.len());
    }
    all
}

#[tokio::test]
async fn an_answer_waits_for_the_journal_and_what_need_not_overtakes_it() {
    let node = Node::start(&Fake::new());
    let connection = node.dialer(Role::Gateway).connect().await.unwrap();
    let mut lane = Lane::open(&connection, "test").await.unwrap();
    assert_eq!(lane.hello.time, fake::NOW);
    for (correlation, request) in
        [(10, hold(1).into()), (11, Request::from(availability())), (12, hold(2).into())]
    {
        lane.sender.queue(correlation, &request);
    }
    lane.sender.queue(13, &release(3).into());
    lane.sender.flush().await.unwrap();
    let first = replies(&mut lane, 2).await;
    assert!(matches!(first[0], (11, Reply::Reading(Reading::Availability(_)))), "{first:?}");
    assert_eq!(first[1], (13, Reply::Refused(Outcome::AppointmentNotFound.into())));
    assert_eq!(node.engine.decided(), 2, "decided, and still not answered");
    node.engine.advance(1);
    let second = replies(&mut lane, 1).await;
    assert!(matches!(second[..], [(10, Reply::Receipt(_))]), "{second:?}");
    node.engine.advance(2);
    let third = replies(&mut lane, 1).await;
    assert!(matches!(third[..], [(12, Reply::Receipt(_))]), "{third:?}");
}

#[tokio::test]
async fn a_malformed_request_is_answered_and_the_rest_is_served() {
    let node = Node::start(&Fake::eager());
    let connection = node.dialer(Role::Gateway).connect().await.unwrap();
    let mut lane = Lane::open(&connection, "test").await.unwrap();
    let mut packer = Packer::default();
    packer.item(FrameKind::Requests, |buffer| buffer.extend_from_slice(&[1, 0, 0, 0, 2, 9, 9]));
    packer.item(FrameKind::Requests, |buffer| buffer.extend_from_slice(&[2, 0, 0, 0, 200]));
    packer.item(FrameKind::Requests, |buffer| write_request(3, &hold(1).into(), buffer));
    lane.sender.queue_frames(packer.take());
    lane.sender.flush().await.unwrap();
    let replies = replies(&mut lane, 3).await;
    assert_eq!(replies[0], (1, Reply::Refused(Outcome::Malformed.into())));
    assert_eq!(replies[1], (2, Reply::Refused(Outcome::UnknownOperation.into())));
    assert!(matches!(replies[2], (3, Reply::Receipt(_))), "{replies:?}");
    let counted: BTreeMap<Outcome, u64> = node.metrics.requests().collect();
    for outcome in [Outcome::Malformed, Outcome::UnknownOperation, Outcome::Done] {
        assert_eq!(counted[&outcome], 1, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_client_of_the_first_version_reads_a_refusal_by_a_rule_as_it_always_did() {
    let node = Node::start(&Fake::eager());
    let dialer = node.dialer(Role::Gateway);
    let of = ExplainOf::Patient(PatientId(1));
    let query = Query::Explain { of, channel: BookingChannel::default(), at: None };
    for (version, bytes) in [(1, 10), (2, 46), (9, 46)] {
        let connection = dialer.connect().await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let mut packer = Packer::default();
        let ours = ClientHello { version_min: 1, version_max: version, ..ClientHello::new("x") };
        packer.frame(FrameKind::Hello, |buffer| ours.write(buffer));
        packer.item(FrameKind::Requests, |buffer| write_request(7, &query.into(), buffer));
        send.write_all(&packer.take()).await.unwrap();
        send.finish().unwrap();
        let mut input = Assembler::default();
        input.push(&recv.read_to_end(1_000).await.unwrap());
        let (kind, hello) = input.next_unit().unwrap().unwrap();
        assert_eq!(
            (kind, ServerHello::read(hello).unwrap().version),
            (FrameKind::Hello, version.min(2))
        );
        let (_, reply) = input.next_unit().unwrap().unwrap();
        assert_eq!(reply.len(), bytes, "version {version}");
        let (correlation, reply) = decode_reply(reply).unwrap();
        let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
        assert_eq!((correlation, refusal.outcome), (7, Outcome::Restricted));
        assert_eq!((refusal.retry_after_millis, refusal.why.is_some()), (1_000, version != 1));
    }
}

#[tokio::test]
async fn what_cannot_be_delimited_closes_the_connection_with_its_code() {
    let node = Node::start(&Fake::eager());
    let dialer = node.dialer(Role::Gateway);
    let hello = |min, max| {
        let mut packer = Packer::default();
        let ours = ClientHello { version_min: min, version_max: max, ..ClientHello::new("x") };
        packer.frame(FrameKind::Hello, |buffer| ours.write(buffer));
        packer.take()
    };
    let after_hello = |bytes: &[u8]| [hello(1, 1), bytes.to_vec()].concat();
    for (bytes, code) in [
        (after_hello(&[1, 0, 1, 0, 2]), CloseCode::FrameLength),
        (after_hello(&[0, 0, 0, 0, 2]), CloseCode::FrameLength),
        (after_hello(&[1, 0, 0, 0, 77]), CloseCode::FrameKind),
        (after_hello(&[4, 0, 0, 0, 3, 1, 0, 0]), CloseCode::FrameKind),
        (after_hello(&[4, 0, 0, 0, 2, 9, 0, 0]), CloseCode::FrameItems),
        (after_hello(&[5, 0, 0, 0, 2, 2, 0, 0, 0]), CloseCode::FrameItems),
        (after_hello(&hello(1, 1)), CloseCode::Hello),
        (vec![4, 0, 0, 0, 1, 1, 2, 3], CloseCode::Hello),
        (vec![5, 0, 0, 0, 2, 2, 0, 0, 0], CloseCode::Hello),
        (hello(3, 9), CloseCode::Version),
    ] {
        let connection = dialer.connect().await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        assert_eq!(code_of(&connection.closed().await), Some(code), "{bytes:?}");
    }
}

pub(crate) fn code_of(error: &quinn::ConnectionError) -> Option<CloseCode> {
    match error {
        quinn::ConnectionError::ApplicationClosed(close) => {
            CloseCode::from_code(close.error_code.into_inner())
        }
        _ => None,
    }
}

#[tokio::test]
async fn only_clients_of_the_authority_that_speak_the_protocol_and_name_a_role_are_served() {
    let node = Node::start(&Fake::eager());
    let uri = |uri: &str| node.authority.client_with_uri("x", uri, validity()).unwrap();
    let good = uri("haoyuan://gateway/?organizations=all&channels=all");
    let stranger = Authority::new(validity()).unwrap();
    let forged = stranger.client("x", &Actor::unbounded(Role::Gateway), validity()).unwrap();
    let nobody = {
        let mut roots = rustls::RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(node.authority.pair().certificate.as_bytes()) {
            roots.add(der.unwrap()).unwrap();
        }
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls
    };
    for (what, tls, expected) in [
        ("a role", node.tls_of(&good, ALPN), None),
        ("no certificate", nobody, Some(None)),
        ("another authority", node.tls_of(&forged, ALPN), Some(None)),
        ("another protocol", node.tls_of(&good, b"h3"), Some(None)),
        (
            "an unknown role",
            node.tls_of(&uri("haoyuan://king/?organizations=all&channels=all"), ALPN),
            Some(Some(CloseCode::CertificateNotUnderstood)),
        ),
        (
            "no role",
            node.tls_of(&uri("https://example.org/"), ALPN),
            Some(Some(CloseCode::CertificateNotUnderstood)),
        ),
    ] {
        let config = ClientConfig::new(vec![node.address], "localhost", tls);
        let call = Client::new(&config).unwrap().hold(hold(1)).await;
        match (call, expected) {
            (Ok(_), None) => {}
            (Err(CallError::Protocol(said)), Some(code)) => {
                let code = code.map(|code| format!("({})", code.code()));
                assert!(code.is_none_or(|code| said.contains(&code)), "{what}: {said}");
            }
            (call, _) => panic!("{what}: {call:?}"),
        }
    }
    assert_eq!(node.engine.asked().len(), 1, "only the one with a role reached the engine");
}

#[tokio::test]
async fn the_client_shows_receipts_refusals_and_readings_as_they_are() {
    let node = Node::start(&Fake::eager());
    let client = node.client(Role::Gateway);
    assert!(!client.hold(hold(1)).await.unwrap().retried);
    assert!(client.hold(hold(1)).await.unwrap().retried, "the same id again");
    let refused = client.release(release(2)).await;
    assert_eq!(refused, Err(CallError::Refused(Outcome::AppointmentNotFound.into())));
    let (channel, class) = (BookingChannel::default(), PatientClass::Outpatient);
    let places = client.availability(SessionId(7), channel, class).await.unwrap();
    assert_eq!(places.free.len(), 40);
    assert_eq!(client.list(PatientId(1), channel).await, Ok(Vec::new()));
    let observer = node.client(Role::Observer);
    let refused = observer.hold(hold(3)).await;
    assert_eq!(refused, Err(CallError::Refused(Outcome::RoleNotPermitted.into())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_each_get_their_own_answer() {
    let node = Node::start(&Fake::eager());
    let tls = node.tls(&Actor::unbounded(Role::Gateway));
    let mut config = ClientConfig::new(vec![node.address], "localhost", tls);
    (config.connections, config.in_flight_max) = (3, 100);
    let client = Client::new(&config).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..2_000 {
        let client = client.clone();
        calls.spawn(async move {
            if number % 3 == 0 {
                let places = client.availability(
                    SessionId(7),
                    BookingChannel::default(),
                    PatientClass::Outpatient,
                );
                places.await.is_ok()
            } else {
                client.hold(hold(number)).await.is_ok_and(|receipt| !receipt.retried)
            }
        });
    }
    let answered = calls.join_all().await;
    assert!(answered.into_iter().all(|answered| answered));
    assert_eq!(node.metrics.connections_opened.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn while_answers_are_awaited_for_too_long_holds_are_refused_unsent_and_nothing_else_is() {
    let fake = Fake::new();
    let node = Node::start(&fake);
    let tls = node.tls(&Actor::unbounded(Role::Gateway));
    let mut config = ClientConfig::new(vec![node.address], "localhost", tls);
    config.hold_patience = Duration::from_millis(20);
    let client = Client::new(&config).unwrap();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.hold(hold(1)).await }
    });
    while fake.decided() == 0 {
        tokio::task::yield_now().await;
    }
    // Its record is not durable. Sooner or later the next hold is refused without being sent.
    let mut sent = 1;
    let waited = loop {
        let (client, number) = (client.clone(), u128::try_from(sent).unwrap() + 1);
        let next = async move { client.hold(hold(number)).await };
        match tokio::time::timeout(Duration::from_millis(5), next).await {
            Ok(Err(CallError::Behind { waited })) => break waited,
            Ok(other) => panic!("{other:?}"),
            Err(_) => sent += 1,
        }
    };
    assert!(Duration::from_millis(20) < waited, "{waited:?}");
    let refused = client.release(release(2)).await;
    assert_eq!(refused, Err(CallError::Refused(Outcome::AppointmentNotFound.into())));
    assert!(fake.asked().len() <= sent + 1, "the release, and the holds that were sent");
    fake.advance(1_000);
    assert!(first.await.unwrap().is_ok());
    assert!(client.hold(hold(1_000)).await.is_ok(), "nobody waits any more");
}

#[tokio::test]
async fn while_the_node_turns_many_away_holds_are_refused_unsent_by_turns_and_nothing_else_is() {
    let fake = Fake::eager();
    let node = Node::start(&fake);
    let client = node.client(Role::Gateway);
    fake.turn_away(true);
    // The node is asked by everybody, until it is seen that it lets nobody in.
    let mut number = 0;
    let wait = loop {
        number += 1;
        match client.hold(hold(number)).await {
            Err(CallError::Refused(refusal)) => assert_eq!(refusal.outcome, Outcome::Overloaded),
            Err(CallError::OutOfTurn { wait }) => break wait,
            other => panic!("{other:?}"),
        }
    };
    assert!(Duration::ZERO < wait && wait < Duration::from_secs(16), "{wait:?}");
    let sent = fake.asked().len();
    // Whom it has told to come in a minute is told so here, whosever turn it is.
    let told = client.hold(hold(number - 1)).await;
    let Err(CallError::OutOfTurn { wait }) = told else { panic!("{told:?}") };
    assert!(Duration::from_secs(50) < wait && wait <= Duration::from_mins(1), "{wait:?}");
    let refused = client.release(release(1_000_000)).await;
    assert_eq!(refused, Err(CallError::Refused(Outcome::AppointmentNotFound.into())));
    assert_eq!(fake.asked().len(), sent + 1, "the release, and none of the holds");
    // It lets everybody in again: soon the client sends all.
    fake.turn_away(false);
    let mut sent_on_end = 0;
    while sent_on_end < 1_000 {
        number += 1;
        match client.hold(hold(number)).await {
            Ok(_) => sent_on_end += 1,
            Err(CallError::OutOfTurn { .. }) => sent_on_end = 0,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_broken_connection_is_retried_under_the_same_id() {
    let first = Fake::new();
    let node = Node::start(&first);
    let client = node.client(Role::Gateway);
    let call = tokio::spawn(async move { client.hold(hold(1)).await });
    while first.decided() == 0 {
        tokio::task::yield_now().await;
    }
    // The node ends with the hold decided and not durable; another one takes its place.
    let (address, authority) = node.kill().await;
    let second = Fake::eager();
    let _node = Node::start_again(address, &second, authority).await;
    assert!(call.await.unwrap().is_ok());
    assert_eq!(first.asked(), second.asked(), "one id, asked once of each");
    assert_eq!(first.asked().len(), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let node = Node::start(&Fake::eager());
    let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addresses = [unused.local_addr().unwrap(), node.address];
    let client = node.client_at(&addresses, Role::Gateway);
    assert!(client.hold(hold(1)).await.is_ok());
}

#[tokio::test]
async fn a_watch_brings_each_record_once_over_broken_connections() {
    let engine = Fake::eager();
    engine.append(700);
    let node = Node::start(&engine);
    let client = node.client(Role::Auditor);
    let mut watch = client.watch(Sequence(3));
    for expected in 3..=700 {
        assert_eq!(next_record(&mut watch).await, expected);
    }
    engine.append(1);
    assert_eq!(next_record(&mut watch).await, 701);
    let (address, authority) = node.kill().await;
    engine.append(2);
    let _node = Node::start_again(address, &engine, authority).await;
    assert_eq!(next_record(&mut watch).await, 702);
    assert_eq!(next_record(&mut watch).await, 703);
    assert_eq!(watch.position(), Sequence(704));
}

async fn next_record(watch: &mut Watch) -> u64 {
    loop {
        if let Event::Record(record) = watch.next().await.unwrap() {
            let facts = haoyuan::codec::decode_facts(&record.facts).unwrap();
            assert_eq!(facts.as_slice(), [fake::fact(record.sequence.0)]);
            return record.sequence.0;
        }
    }
}

#[tokio::test]
async fn a_record_is_pushed_only_when_it_is_durable() {
    let engine = Fake::new();
    let node = Node::start(&engine);
    let gateway = node.client(Role::Gateway);
    let call = tokio::spawn(async move { gateway.hold(hold(1)).await });
    while engine.decided() == 0 {
        tokio::task::yield_now().await;
    }
    let mut watch = node.client(Role::Replica).watch(Sequence(1));
    tokio::select! {
        biased;
        early = watch.next() => panic!("{early:?}"),
        () = async { while node.metrics.subscriptions.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        } } => {}
    }
    engine.advance(1);
    assert_eq!(next_record(&mut watch).await, 1);
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test]
async fn who_watches_from_what_is_pruned_is_told_and_offered_the_snapshot() {
    let engine = Fake::eager();
    engine.append(100);
    let contents: Vec<u8> = (0..200_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    engine.prune(50, contents.clone());
    let node = Node::start(&engine);
    let client = node.client(Role::Admin);
    let gone = client.watch(Sequence(49)).next().await;
    let snapshot = Some(Sequence(50));
    assert_eq!(gone, Err(CallError::Gone { oldest: Sequence(50), snapshot }));
    let mut reader = client.snapshot().await.unwrap();
    assert_eq!((reader.sequence, reader.bytes), (Sequence(50), 200_000));
    let mut read = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == contents);
    assert_eq!(next_record(&mut client.watch(reader.sequence)).await, 50);
}

#[tokio::test]
async fn a_node_without_a_snapshot_says_so() {
    let node = Node::start(&Fake::eager());
    match node.client(Role::Replica).snapshot().await {
        Err(CallError::Refused(refusal)) => {
            assert_eq!(refusal.outcome, Outcome::NotReady);
            assert_ne!(refusal.retry_after_millis, 0);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_may_not_watch_everything_may_watch_nothing() {
    let node = Node::start(&Fake::eager());
    let some = Organizations::Only(std::iter::once(OrganizationId(1)).collect());
    for (actor, outcome) in [
        (Actor::unbounded(Role::Gateway), Outcome::RoleNotPermitted),
        (Actor::unbounded(Role::Observer), Outcome::RoleNotPermitted),
        (
            Actor { organizations: some, ..Actor::unbounded(Role::Admin) },
            Outcome::OrganizationNotPermitted,
        ),
    ] {
        let config = ClientConfig::new(vec![node.address], "localhost", node.tls(&actor));
        let client = Client::new(&config).unwrap();
        let refused = Err(CallError::Refused(outcome.into()));
        assert_eq!(client.watch(Sequence(1)).next().await, refused);
        assert_eq!(client.snapshot().await.map(|_| ()), refused.map(|_: Event| ()));
    }
}

#[tokio::test]
async fn a_stopping_node_answers_what_becomes_durable_and_then_closes() {
    let engine = Fake::new();
    let mut node = Node::start(&engine);
    let connection = node.dialer(Role::Gateway).connect().await.unwrap();
    let mut lane = Lane::open(&connection, "test").await.unwrap();
    lane.sender.queue(1, &hold(1).into());
    lane.sender.flush().await.unwrap();
    while engine.decided() == 0 {
        tokio::task::yield_now().await;
    }
    let stopped = node.stop();
    while node.dialer(Role::Gateway).connect().await.is_ok() {}
    assert!(!stopped.is_finished(), "it waits for what it has decided");
    engine.advance(1);
    assert!(matches!(replies(&mut lane, 1).await[..], [(1, Reply::Receipt(_))]));
    while lane.receiver.receive(|_, reply| panic!("{reply:?}")).await.is_ok_and(|more| more) {}
    assert_eq!(code_of(&connection.closed().await), Some(CloseCode::Stopping));
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_stopping_node_waits_for_no_client_that_has_all_its_answers() {
    let engine = Fake::eager();
    let hour = Duration::from_hours(1);
    let local = "127.0.0.1:0".parse().unwrap();
    let authority = Authority::new(validity()).unwrap();
    let mut node = Node::start_with(local, &engine, authority, |config| {
        config.drain = hour;
        config.patience.peer = hour;
    });
    let client = node.client(Role::Gateway);
    client.hold(hold(1)).await.unwrap();
    tokio::time::timeout(hour / 60, node.stop()).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_waits_for_a_failed_journal_is_never_answered() {
    let engine = Fake::new();
    let node = Node::start(&engine);
    let connection = node.dialer(Role::Gateway).connect().await.unwrap();
    let mut lane = Lane::open(&connection, "test").await.unwrap();
    lane.sender.queue(1, &hold(1).into());
    lane.sender.flush().await.unwrap();
    while engine.decided() == 0 {
        tokio::task::yield_now().await;
    }
    engine.fail();
    let lost = lane.receiver.receive(|_, reply| panic!("{reply:?}")).await;
    assert!(lost.is_err());
    assert_eq!(code_of(&connection.closed().await), Some(CloseCode::NodeFailed));
}

#[tokio::test]
async fn a_stream_is_not_read_beyond_what_may_wait() {
    let engine = Fake::new();
    let node = Node::start(&engine);
    let connection = node.dialer(Role::Gateway).connect().await.unwrap();
    let Lane { mut sender, mut receiver, hello } = Lane::open(&connection, "test").await.unwrap();
    let count = hello.in_flight_max + 5_000;
    let sending = tokio::spawn(async move {
        for number in 0..count {
            sender.queue(number, &hold(u128::from(number)).into());
            if number % 64 == 0 {
                sender.flush().await.unwrap();
            }
        }
        sender.flush().await.unwrap();
        sender
    });
    while engine.decided() < u64::from(hello.in_flight_max) {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.decided(), u64::from(hello.in_flight_max), "no further");
    let mut answered = 0;
    while answered < count {
        engine.advance(engine.decided());
        let more = receiver.receive(|_, _| answered += 1).await;
        assert!(more.unwrap());
    }
    drop(sending.await.unwrap());
}
