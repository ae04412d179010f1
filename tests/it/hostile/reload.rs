//! Certificates and lists that are replaced while the node runs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use haoyuan::client::{Client, ClientConfig, Dialer, Lane};
use haoyuan::model::{Actor, Role, SessionId};
use haoyuan::ops::cert::{Authority, Pair};
use haoyuan::ops::renew::{CertificateFiles, Look, RenewalStats, Renewer};
use haoyuan::ops::tls::{Identity, certificates, serial_of};
use haoyuan::protocol::{ALPN, CloseCode};
use quinn::Connection;

use super::certificates::revoked;
use super::{loopback, still_serves, until};
use crate::quic::code_of;
use crate::quic::fake::{Fake, Node, validity};

struct Setup {
    folder: tempfile::TempDir,
    node: Node,
    renewer: Renewer,
    stats: Arc<RenewalStats>,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(validity()).unwrap();
    let list = authority.revocation_list(&[], validity()).unwrap();
    authority.pair().write(folder.path(), "ca").unwrap();
    let server = authority.server(&["localhost".to_owned()], validity()).unwrap();
    server.write(folder.path(), "server").unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("revoked.pem"), list).unwrap();
    let files = CertificateFiles {
        certificate: file("server.pem"),
        key: file("server.key"),
        authority: file("ca.pem"),
        revoked: Some(file("revoked.pem")),
    };
    let stats = Arc::default();
    let renewer = Renewer::start(files, ALPN, validity().now, &stats).unwrap();
    let in_force = renewer.in_force();
    let node = Node::start_with(loopback(), &Fake::eager(), authority, |config| {
        config.tls = in_force.borrow().tls.clone();
        config.renewals = Some(in_force);
    });
    Setup { folder, node, renewer, stats }
}

impl Setup {
    fn client(&self) -> Pair {
        let actor = Actor::unbounded(Role::Gateway);
        self.node.authority.client("x", &actor, validity()).unwrap()
    }

    fn dialer(&self, pair: &Pair) -> Dialer {
        Dialer::new(&[self.node.address], "localhost", self.node.tls_of(pair, ALPN)).unwrap()
    }

    async fn connect(&self, pair: &Pair) -> (Connection, Lane) {
        let connection = self.dialer(pair).connect().await.unwrap();
        let lane = Lane::open(&connection, "x").await.unwrap();
        (connection, lane)
    }

    fn revoke(&mut self, pairs: &[&Pair]) {
        let named: Vec<_> = pairs.iter().map(|pair| revoked(pair)).collect();
        let list = self.node.authority.revocation_list(&named, validity()).unwrap();
        std::fs::write(self.folder.path().join("revoked.pem"), list).unwrap();
        let looked = self.renewer.look(validity().now, true);
        assert!(matches!(looked, Look::Taken), "{looked:?}");
    }
}

async fn ask(lane: &mut Lane, number: u32) {
    lane.sender.queue(number, &crate::quic::fake::availability().into());
    lane.sender.flush().await.unwrap();
    let mut answered = false;
    while !answered {
        assert!(
            lane.receiver.receive(|correlation, _| answered = correlation == number).await.unwrap()
        );
    }
}

#[tokio::test]
async fn a_revoked_client_is_cut_off_and_refused_and_others_notice_nothing() {
    let mut setup = setup();
    let (thief, honest) = (setup.client(), setup.client());
    // One dialer for both handshakes: what it remembers of the first must not open the second.
    let dialer = setup.dialer(&thief);
    let stolen = dialer.connect().await.unwrap();
    let _lane = Lane::open(&stolen, "x").await.unwrap();
    let (other, mut lane) = setup.connect(&honest).await;
    ask(&mut lane, 1).await;
    setup.revoke(&[&thief]);
    assert_eq!(code_of(&stolen.closed().await), Some(CloseCode::CertificateNotValid));
    let again = dialer.connect().await;
    let refused = match again {
        Err(error) => error.to_string(),
        // The client's side may be done before it hears of it.
        Ok(connection) => connection.closed().await.to_string(),
    };
    assert!(refused.contains("Revoked"), "{refused}");
    ask(&mut lane, 2).await;
    assert!(other.close_reason().is_none());
    assert_eq!(setup.node.metrics.connections_cut.load(Ordering::Relaxed), 1);
    still_serves(&setup.node).await;
    // Taken off the list, it is let in again.
    setup.revoke(&[]);
    let (_, mut lane) = setup.connect(&thief).await;
    ask(&mut lane, 3).await;
}

#[tokio::test]
async fn a_broken_list_is_refused_and_the_last_good_one_stays_in_force() {
    let mut setup = setup();
    let (thief, honest) = (setup.client(), setup.client());
    setup.revoke(&[&thief]);
    let (_, mut lane) = setup.connect(&honest).await;
    std::fs::write(setup.folder.path().join("revoked.pem"), "garbage").unwrap();
    assert!(matches!(setup.renewer.look(validity().now, true), Look::Refused(_)));
    assert_eq!(setup.stats.is_behind.load(Ordering::Relaxed), 1);
    ask(&mut lane, 1).await;
    let refused = match setup.dialer(&thief).connect().await {
        Err(error) => error.to_string(),
        Ok(connection) => connection.closed().await.to_string(),
    };
    assert!(refused.contains("Revoked"), "{refused}");
    still_serves(&setup.node).await;
}

#[tokio::test]
async fn a_new_certificate_of_the_node_is_shown_to_whoever_comes_next() {
    let mut setup = setup();
    let client = setup.client();
    let (before, mut lane) = setup.connect(&client).await;
    let pair = setup.node.authority.server(&["localhost".to_owned()], validity()).unwrap();
    pair.write(setup.folder.path(), "server").unwrap();
    assert!(matches!(setup.renewer.look(validity().now, true), Look::Taken));
    let shown = |connection: &Connection| {
        let chain = connection.peer_identity().unwrap();
        chain.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().unwrap()
    };
    // The change reaches the endpoint by a task of its own.
    let old = shown(&before);
    loop {
        let (connection, mut lane) = setup.connect(&client).await;
        ask(&mut lane, 1).await;
        if shown(&connection) != old {
            break;
        }
    }
    ask(&mut lane, 2).await;
    assert!(before.close_reason().is_none(), "who is here stays");
}

#[tokio::test]
async fn who_believes_another_authority_from_now_on_lets_the_clients_of_the_old_one_go() {
    let mut setup = setup();
    let client = setup.client();
    let (connection, _lane) = setup.connect(&client).await;
    let next = Authority::new(validity()).unwrap();
    let (old, new) = (setup.node.authority.pair().certificate, next.pair().certificate);
    let path = setup.folder.path().join("ca.pem");
    // First both: nobody is cut off, and clients of the new one are let in.
    std::fs::write(&path, format!("{old}{new}")).unwrap();
    assert!(matches!(setup.renewer.look(validity().now, true), Look::Taken));
    let renewed = next.client("x", &Actor::unbounded(Role::Gateway), validity()).unwrap();
    loop {
        let Ok(connection) = setup.dialer(&renewed).connect().await else { continue };
        if Lane::open(&connection, "x").await.is_ok() {
            break;
        }
    }
    assert!(connection.close_reason().is_none());
    // Then the new one alone; the list of the old one goes with it.
    std::fs::write(&path, new).unwrap();
    let list = next.revocation_list(&[], validity()).unwrap();
    std::fs::write(setup.folder.path().join("revoked.pem"), list).unwrap();
    assert!(matches!(setup.renewer.look(validity().now, true), Look::Taken));
    assert_eq!(code_of(&connection.closed().await), Some(CloseCode::CertificateNotValid));
}

/// A process that is gone when the test is.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn haoyuan(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_haoyuan")).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn metric(address: &str, name: &str) -> i64 {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: n\r\nconnection: close\r\n\r\n").unwrap();
    let page = std::io::read_to_string(stream).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

fn dial(pki: &Path, name: &str, address: &str) -> Client {
    let file = |name: &str| pki.join(name);
    let identity = Identity::load(
        &file(&format!("{name}.pem")),
        &file(&format!("{name}.key")),
        &file("ca.pem"),
    );
    let tls = identity.unwrap().client(ALPN).unwrap();
    Client::new(&ClientConfig::new(vec![address.parse().unwrap()], "localhost", tls)).unwrap()
}

/// The cards "a client certificate was stolen" and "the certificate is about to end", as written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cards_about_certificates_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("pki");
    let at = |name: &str| pki.join(name).to_str().unwrap().to_owned();
    let pki_text = pki.to_str().unwrap();
    haoyuan(&["cert", "ca", "--out", pki_text]);
    let server = ["cert", "server", "--ca", pki_text, "--out", pki_text, "--name", "localhost"];
    haoyuan(&[&server[..], &["--days", "20"]].concat());
    for file in ["one", "two", "three"] {
        let client = ["cert", "client", "--ca", pki_text, "--out", pki_text, "--role", "gateway"];
        haoyuan(&[&client[..], &["--file", file]].concat());
    }
    haoyuan(&["cert", "revoke", "--ca", pki_text]);
    let config = folder.path().join("node.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n[certificates]\n\
         ca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\nrevoked = \"{}\"\n",
        folder.path().join("data").display(),
        at("ca.pem"),
        at("server.pem"),
        at("server.key"),
        at("revoked.pem")
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
        .args(["serve", "--json", "--config", config.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let node = Served(child);
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let (listen, pages) = (ready["listen"].as_str().unwrap(), ready["metrics"].as_str().unwrap());
    let looked = async |client: &Client| {
        client
            .availability(
                SessionId(1),
                haoyuan::model::BookingChannel::default(),
                haoyuan::model::PatientClass::Outpatient,
            )
            .await
    };
    let is_refused = |result: &Result<_, haoyuan::client::CallError>| matches!(result, Err(haoyuan::client::CallError::Protocol(said)) if said.contains("Revoked") || said.contains("(4)"));

    // "A client certificate was stolen": seconds after, without a restart.
    let (one, two) = (dial(&pki, "one", listen), dial(&pki, "two", listen));
    for client in [&one, &two] {
        let read = looked(client).await;
        assert!(matches!(read, Err(haoyuan::client::CallError::Refused(_))), "{read:?}");
    }
    let said = haoyuan(&["cert", "revoke", "--ca", pki_text, &at("one.pem")]);
    assert!(said.contains("1 revoked"), "{said}");
    while !is_refused(&looked(&one).await) {
        tokio::task::yield_now().await;
    }
    until(|| metric(pages, "haoyuan_connections_cut_total") == 1).await;
    let third = certificates(&std::fs::read(at("three.pem")).unwrap()).unwrap();
    let serial = serial_of(&third[0]).unwrap();
    let said = haoyuan(&["cert", "revoke", "--ca", pki_text, "--serial", &serial]);
    assert!(said.contains("2 revoked"), "the first one stays on the list: {said}");
    let three = dial(&pki, "three", listen);
    while !is_refused(&looked(&three).await) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(looked(&two).await, Err(haoyuan::client::CallError::Refused(_))));

    // "The certificate is about to end": a broken file is refused, a good one taken.
    assert_eq!(metric(pages, "haoyuan_certificate_days_left"), 19);
    let good = std::fs::read(pki.join("server.key")).unwrap();
    std::fs::write(pki.join("server.key"), "half of a k").unwrap();
    let pid = rustix::process::Pid::from_child(&node.0);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    until(|| metric(pages, "haoyuan_certificates_behind") == 1).await;
    assert!(1 <= metric(pages, "haoyuan_certificates_refused_total"));
    assert!(matches!(
        looked(&dial(&pki, "two", listen)).await,
        Err(haoyuan::client::CallError::Refused(_))
    ));
    std::fs::write(pki.join("server.key"), good).unwrap();
    let next = folder.path().join("next");
    let next = next.to_str().unwrap();
    let server = ["cert", "server", "--ca", pki_text, "--out", next, "--name", "localhost"];
    haoyuan(&[&server[..], &["--days", "90"]].concat());
    for name in ["server.pem", "server.key"] {
        std::fs::rename(Path::new(next).join(name), pki.join(name)).unwrap();
    }
    until(|| metric(pages, "haoyuan_certificate_days_left") == 89).await;
    until(|| metric(pages, "haoyuan_certificates_behind") == 0).await;
    assert!(matches!(
        looked(&dial(&pki, "two", listen)).await,
        Err(haoyuan::client::CallError::Refused(_))
    ));
}
