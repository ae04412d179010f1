//! Certificates that are wrong in every way there is.

use haoyuan::client::{CallError, Client, ClientConfig};
use haoyuan::model::{Actor, Role, Timestamp};
use haoyuan::ops::cert::{Authority, Pair, Validity};
use haoyuan::ops::revoked::Revoked;
use haoyuan::ops::tls::{Identity, certificates, serial_of};
use haoyuan::protocol::{ALPN, CloseCode};

use super::{loopback, still_serves};
use crate::quic::fake::{Fake, Node, hold, validity};

const DAY: u64 = 24 * 3_600_000;

fn later(days: i64) -> Validity {
    let millis = validity().now.as_millis().checked_add_signed(days * DAY.cast_signed()).unwrap();
    Validity { now: Timestamp::from_millis(millis), days: 2 }
}

/// What a revocation list calls a certificate.
pub(super) fn revoked(pair: &Pair) -> Revoked {
    let der = certificates(pair.certificate.as_bytes()).unwrap();
    let hex = serial_of(&der[0]).unwrap();
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap();
    let serial = (0..hex.len()).step_by(2).map(byte).skip_while(|byte| *byte == 0).collect();
    Revoked { serial, since: validity().now }
}

async fn call(node: &Node, pair: &Pair) -> Result<(), CallError> {
    let tls = node.tls_of(pair, ALPN);
    let config = ClientConfig::new(vec![node.address], "localhost", tls);
    Client::new(&config).unwrap().hold(hold(1)).await.map(|_| ())
}

#[tokio::test]
async fn each_wrong_certificate_is_refused_in_its_own_way() {
    let authority = Authority::new(validity()).unwrap();
    let actor = Actor::unbounded(Role::Gateway);
    let client = |authority: &Authority, validity| authority.client("x", &actor, validity).unwrap();
    let uri = |uri: &str| authority.client_with_uri("x", uri, validity()).unwrap();
    let stranger = Authority::new(validity()).unwrap();
    let withdrawn = client(&authority, validity());
    let list = authority.revocation_list(&[revoked(&withdrawn)], validity()).unwrap();
    let other_list = stranger.revocation_list(&[], validity()).unwrap();
    let server = authority.server(&["localhost".to_owned()], validity()).unwrap();
    let turned_away = CloseCode::CertificateNotUnderstood;
    let cases = [
        ("a good one", client(&authority, validity()), None),
        ("another authority", client(&stranger, validity()), Some("UnknownIssuer")),
        ("one that has ended", client(&authority, later(-9)), Some("expired")),
        ("one of tomorrow", client(&authority, later(1)), Some("not valid")),
        ("one that was revoked", withdrawn, Some("Revoked")),
        ("the node's own", server.clone(), Some("crypt")),
        ("no role", uri("https://example.org/"), Some(turned_away.name())),
        ("an unknown role", uri("haoyuan://king/?organizations=all&channels=all"), Some("(3)")),
        ("half a role", uri("haoyuan://gateway/"), Some("(3)")),
    ];
    let trusted = authority.pair().certificate;
    let node = Node::start_with(loopback(), &Fake::eager(), authority, |config| {
        let identity = Identity::from_pems(&server, &trusted).unwrap();
        let identity = identity.with_revoked(list.as_bytes()).unwrap();
        config.tls = identity.server(ALPN).unwrap();
    });
    let identity = Identity::from_pems(&server, &trusted).unwrap();
    assert!(identity.with_revoked(other_list.as_bytes()).is_err(), "a list of somebody else");
    for (what, pair, expected) in cases {
        match (call(&node, &pair).await, expected) {
            (Ok(()), None) => {}
            (Err(CallError::Protocol(said)), Some(expected)) => {
                assert!(said.contains(expected), "{what}: {said}");
            }
            (result, _) => panic!("{what}: {result:?}"),
        }
        still_serves(&node).await;
    }
    assert_eq!(node.engine.asked().values().filter(|times| **times == 1).count(), 10);
}

#[tokio::test]
async fn a_client_does_not_believe_a_node_that_shows_the_wrong_certificate() {
    let authority = Authority::new(validity()).unwrap();
    let stranger = Authority::new(validity()).unwrap();
    let trusted = authority.pair().certificate;
    let localhost = ["localhost".to_owned()];
    let gateway = authority.client("x", &Actor::unbounded(Role::Gateway), validity()).unwrap();
    for (what, shown) in [
        ("a client's", gateway.clone()),
        ("another authority", stranger.server(&localhost, validity()).unwrap()),
        ("another name", authority.server(&["example.org".to_owned()], validity()).unwrap()),
        ("one that has ended", authority.server(&localhost, later(-9)).unwrap()),
    ] {
        let again = Authority::from_pair(&authority.pair()).unwrap();
        let node = Node::start_with(loopback(), &Fake::eager(), again, |config| {
            let identity = Identity::from_pems(&shown, &trusted).unwrap();
            config.tls = identity.server(ALPN).unwrap();
        });
        let result = call(&node, &gateway).await;
        assert!(matches!(result, Err(CallError::Protocol(_))), "{what}: {result:?}");
        assert_eq!(node.engine.asked().len(), 0, "{what}: nothing was said");
    }
}

#[tokio::test]
async fn one_certificate_has_only_so_many_connections() {
    let authority = Authority::new(validity()).unwrap();
    let node = Node::start_with(loopback(), &Fake::eager(), authority, |config| {
        config.connections_per_certificate = 3;
    });
    let dialer = node.dialer(Role::Gateway);
    let mut held = Vec::new();
    for _ in 0..3 {
        let connection = dialer.connect().await.unwrap();
        held.push(haoyuan::client::Lane::open(&connection, "x").await.unwrap());
    }
    let fourth = dialer.connect().await.unwrap();
    let code = crate::quic::code_of(&fourth.closed().await);
    assert_eq!(code, Some(CloseCode::TooManyConnections));
    // Another certificate is not touched by it, and who leaves makes room.
    still_serves(&node).await;
    drop(held.pop());
    loop {
        let connection = dialer.connect().await.unwrap();
        if haoyuan::client::Lane::open(&connection, "x").await.is_ok() {
            break;
        }
    }
}
