//! Sessions, holds and nodes for the tests of what an operator does.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use haoyuan::journal::{DataFolder, FolderOptions, Journal, JournalConfig, JournalError, Lane};
use haoyuan::model::*;
use serde_json::Value;

use super::cli::{haoyuan, json, text};

pub(super) const MINUTE: u64 = 60_000;
pub(super) const DAY: u64 = 24 * 60 * MINUTE;

/// Ten-minute slots that begin at a time, with so many places each.
pub(super) fn session(id: u64, start: Timestamp, quotas: &[u16]) -> Session {
    let pool = Pool {
        channels: ChannelSet::ALL,
        classes: ClassSet::ALL,
        quotas: quotas.to_vec(),
        terms: PoolTerms::default(),
    };
    Session {
        id: SessionId(id),
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(id),
        appointment_type: 1,
        start,
        slot_millis: 600_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::DEFAULT,
        terms: SessionTerms::default(),
        pools: vec![pool],
    }
}

/// A hold of any slot in each of some sessions.
pub(super) fn hold(appointment: AppointmentId, patient: u128, sessions: &[u64]) -> Hold {
    let claim =
        |id: &u64| ClaimRequest { session: SessionId(*id), count: 1, slots: SlotChoice::Any };
    Hold::of(appointment, PatientId(patient), sessions.iter().map(claim))
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Appends a record to the journal of a folder that no node serves.
pub(super) fn append(data: &Path, encode: impl FnOnce(&mut Vec<u8>)) {
    let opened = DataFolder::open(data, &FolderOptions::default()).unwrap();
    let tail = opened.log.tail();
    let on_fatal = Arc::new(|error: &JournalError| panic!("{error}"));
    let journal = Journal::start(Box::new(opened.store), tail, JournalConfig::default(), on_fatal);
    let permit = journal.reserve(Lane::Request).unwrap();
    journal.append(permit, tail.last_time, encode);
    journal.close().unwrap();
}

/// A session document for `haoyuan ctl open`, far in the future.
pub(super) fn document(id: u64, slots: u16, places: u16) -> String {
    format!(
        "[[sessions]]\nid = {id}\norganization = 1\nsite = 1\ndepartment = 12\nresource = {id}\n\
         start = \"2099-03-01T08:00:00+08:00\"\nslot_minutes = 5\nslots = {slots}\n\
         places = {places}\n"
    )
}

/// A node that serves a folder, and is gone when the test is.
pub(super) struct Serving {
    child: Child,
    pub(super) server: String,
    metrics: String,
    pub(super) data: PathBuf,
    log: PathBuf,
}

impl Serving {
    /// Starts `serve --dev`, with more flags.
    pub(super) fn start(data: &Path, flags: &[&str]) -> Self {
        Self::start_with(data, &[&["--dev"], flags].concat())
    }

    /// Starts `serve` with flags that say whose certificates it has.
    pub(super) fn start_with(data: &Path, flags: &[&str]) -> Self {
        let log = data.with_extension("log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
            .args(["serve", "--json", "--listen", "127.0.0.1:0"])
            .args(["--metrics", "127.0.0.1:0", "--data-dir", text(data)])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let told = std::fs::read_to_string(&log).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap_or_else(|_| panic!("{told}"));
        let word = |key: &str| ready[key].as_str().unwrap().to_owned();
        let (server, metrics) = (word("listen"), word("metrics"));
        Self { child, server, metrics, data: data.to_owned(), log }
    }

    pub(super) fn certs(&self) -> PathBuf {
        self.data.join("dev-certs")
    }

    /// Backs the folder up beside the node.
    pub(super) fn backup(&self, to: &Path) -> Value {
        let (data, certs) = (text(&self.data), self.certs());
        let beside = ["--server", &self.server, "--certs", text(&certs), "--json"];
        json(&[&["backup", "--data-dir", data, "--to", text(to)], &beside[..]].concat())
    }

    /// Asks with `haoyuan ctl`.
    pub(super) fn ctl(&self, arguments: &[&str]) -> Output {
        let certs = self.certs();
        let to = ["ctl", "--json", "--server", &self.server, "--certs", text(&certs)];
        haoyuan(&[&to, arguments].concat())
    }

    /// Asks what must be granted.
    pub(super) fn told(&self, arguments: &[&str]) -> Value {
        let output = self.ctl(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Opens a session of so many slots and places.
    pub(super) fn open(&self, id: u64, slots: u16, places: u16) {
        let path = self.data.with_extension(format!("{id}.toml"));
        std::fs::write(&path, document(id, slots, places)).unwrap();
        self.told(&["open", text(&path)]);
    }

    /// A page of the metrics server.
    pub(super) fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// What it logged so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Stops it in order; says how it ended.
    pub(super) fn stop(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap().code()
    }

    /// Kills it.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
