//! A disk that is full or fails: the node ends and says what to do, and the next start is clean.
//!
//! ```text
//! serve under tests/powercut/shim.c --> answers --> calls fail --> it ends, with a message
//!                                                                    |
//!            every answer is there, the audit is clean <--- serve <--'
//! ```

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use haoyuan::client::{Client, ClientConfig, ids};
use haoyuan::model::{
    AppointmentId, AppointmentStatus, BookingChannel, ClaimRequest, Hold, PatientId, Role,
    SessionId, SlotChoice,
};
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::ALPN;
use serde_json::Value;

use crate::cli::{haoyuan, json, text};
use crate::power::shim::Shim;
use crate::power::{Acks, Driver, acks_of, judge, now};

/// A node on a folder.
struct Node {
    child: Child,
    address: SocketAddr,
    data: PathBuf,
}

impl Node {
    fn start(folder: &Path, shim: Option<&Shim>) -> Self {
        let data = folder.join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_haoyuan"));
        command
            .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(shim) = shim {
            shim.under(&mut command, folder);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["listen"].as_str().unwrap().parse().unwrap();
        Self { child, address, data }
    }

    fn client(&self, role: Role, deadline: Duration) -> Client {
        let file = |name: &str| self.data.join("dev-certs").join(name);
        let (cert, key) = (format!("{}.pem", role.name()), format!("{}.key", role.name()));
        let identity = Identity::load(&file(&cert), &file(&key), &file("ca.pem")).unwrap();
        let tls = identity.client(ALPN).unwrap();
        let config = ClientConfig::new(vec![self.address], "localhost", tls);
        Client::new(&ClientConfig { deadline, ..config }).unwrap()
    }

    /// How it ended, and what it said. It must end by itself.
    fn end(mut self) -> (ExitStatus, String) {
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap(), told)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const SESSIONS: &str = r#"
    [[sessions]]
    id = 1
    organization = 1
    site = 1
    department = 1
    resource = 1
    start = "2099-03-01T08:00:00+08:00"
    slot_minutes = 10
    slots = 40
    places = 500
"#;

fn hold() -> Hold {
    let appointment = ids::new_appointment_id(now());
    Hold::of(
        appointment,
        PatientId(appointment.0),
        [ClaimRequest { session: SessionId(1), count: 1, slots: SlotChoice::Any }],
    )
}

/// Holds one after the other until one is not answered. Gives back those that were.
async fn hold_until_the_end(client: &Client, holds_max: usize) -> Vec<AppointmentId> {
    let mut answered = Vec::new();
    while answered.len() < holds_max {
        let hold = hold();
        let appointment = hold.appointment;
        match client.hold(hold).await {
            Ok(_) => answered.push(appointment),
            Err(_) => break,
        }
    }
    answered
}

async fn check(folder: &Path, answered: &[AppointmentId], shim: &Shim) {
    let node = Node::start(folder, None);
    let client = node.client(Role::Admin, Duration::from_secs(10));
    for id in answered {
        let found = client.get(*id, None, BookingChannel::default()).await;
        assert_eq!(found.map(|it| it.status), Ok(AppointmentStatus::Pending), "{shim:?}");
    }
    let fresh = node.client(Role::Gateway, Duration::from_secs(10));
    assert_eq!(hold_until_the_end(&fresh, 3).await.len(), 3, "it serves again");
    let data = node.data.clone();
    drop(node);
    let audit = json(&["audit", "--data-dir", text(&data), "--json"]);
    assert_eq!((&audit["oversold"], &audit["clean"]), (&0.into(), &true.into()), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_disk_that_is_full_or_fails_ends_the_node_with_what_to_do() {
    for fail in [
        "write:ENOSPC:store/db:1:sticky",
        "write:ENOSPC:store/db:1:short",
        "write:EIO:store/db:1:once",
        // sled's own writing back, and our sync after it.
        "sync:EIO:store/db:1:once",
        "sync:EIO:store/db:2:once",
        "write:ENOSPC:data/mark:1:sticky",
        "sync:EIO:data/mark:1:once",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let arm = folder.path().join("arm");
        let shim = Shim { fail: Some(fail.to_owned()), arm: Some(arm.clone()), trace: None };
        let node = Node::start(folder.path(), Some(&shim));
        let document = folder.path().join("sessions.toml");
        std::fs::write(&document, SESSIONS).unwrap();
        let (address, certs) = (node.address.to_string(), node.data.join("dev-certs"));
        let to = ["ctl", "--server", &address, "--certs", text(&certs), "open", text(&document)];
        assert!(haoyuan(&to).status.success());
        let client = node.client(Role::Gateway, Duration::from_secs(1));
        let mut answered = hold_until_the_end(&client, 20).await;
        assert_eq!(answered.len(), 20);
        std::fs::write(&arm, "").unwrap();
        answered.extend(hold_until_the_end(&client, 100_000).await);

        let (status, told) = node.end();
        assert!(!status.success(), "{fail}: {told}");
        for expected in ["a commit failed and the process ends", "make room on the disk or replace"]
        {
            assert!(told.contains(expected), "{fail}: {told}");
        }
        check(folder.path(), &answered, &shim).await;
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_is_told_from_a_damaged_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Node::start(folder.path(), None));
    for fail in [
        "write:ENOSPC:store:1:sticky",
        "open:ENOSPC:store:1:sticky",
        "sync:EIO:store:1:once",
        "sync:EIO:data/mark:1:once",
    ] {
        let shim = Shim { fail: Some(fail.to_owned()), ..Shim::default() };
        let mut command = Command::new(env!("CARGO_BIN_EXE_haoyuan"));
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
        shim.under(&mut command, folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // What needs nothing of what fails, starts.
        if line.starts_with("ready") {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{fail}: {told}");
        assert!(line.starts_with("ready") || told.contains("look at the disk"), "{fail}: {told}");
        assert!(!told.contains("restore"), "{fail}: {told}");
    }
    let audit = json(&["audit", "--data-dir", text(&data), "--json"]);
    assert_eq!(audit["oversold"], 0);
}

/// One call of a class fails, the `nth`, wherever that is: in the first start, a commit, a roll, a
/// snapshot, a pruning. `None`, if there are not so many calls; otherwise whether it went on.
fn fail_nth(class: &str, errno: &str, mode: &str, nth: usize, seed: u64) -> Option<bool> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let trace = folder.path().join("trace");
    let driver = Driver { root: root.clone(), marks: trace.clone(), seed, requests: 200 };
    let fail = format!("{class}:{errno}:*:{nth}:{mode}");
    let ended = driver.run(&Shim { trace: None, fail: Some(fail.clone()), arm: None });
    let acks = if trace.exists() { acks_of(&trace) } else { Acks::new() };
    if !ended.status.success() {
        let is_told = ended.told.contains("fatal: ") || ended.told.contains("refused: ");
        assert!(is_told, "{fail}, seed {seed}: {}", ended.told);
    }
    if let Err(wrong) = judge(&root, &acks) {
        let kept = folder.keep();
        panic!("{fail}, seed {seed}: {wrong}; after {}; {}", ended.told, kept.display());
    }
    ended.told.contains("shim: a call fails").then(|| ended.status.success())
}

const CLASSES: [(&str, &str, &str); 6] = [
    ("write", "ENOSPC", "sticky"),
    ("write", "ENOSPC", "short"),
    ("write", "EIO", "once"),
    ("sync", "EIO", "once"),
    ("open", "ENOSPC", "sticky"),
    ("rename", "EIO", "once"),
];

#[test]
fn whichever_call_fails_the_next_start_has_every_answer() {
    for (index, (class, errno, mode)) in CLASSES.into_iter().enumerate() {
        for nth in [2, 9, 40] {
            assert!(fail_nth(class, errno, mode, nth + index, 1).is_some() || nth == 40);
        }
    }
}

#[test]
#[ignore = "hundreds of runs: minutes"]
fn every_call_fails_once_and_the_next_start_has_every_answer() {
    let (mut ended, mut went_on) = (0, 0);
    for (class, errno, mode) in CLASSES {
        let mut calls = 0;
        while let Some(goes_on) = fail_nth(class, errno, mode, calls + 1, 1) {
            calls += 1;
            ended += usize::from(!goes_on);
            went_on += usize::from(goes_on);
        }
        println!("{class} {errno} {mode}: each of {calls} calls");
        assert!(0 < calls);
    }
    println!("failed calls: {}, ended by it: {ended}, went on: {went_on}", ended + went_on);
}
