//! A machine whose clock jumps, under a node: the whole binary, on a wall clock that the test turns.
//!
//! Each incident card of `docs/operations.md` about the clock is played here by its own commands.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::cli::{haoyuan, text};

/// A node on a wall clock of its own. It is gone when the test is.
struct Node {
    child: Child,
    folder: PathBuf,
    listen: String,
    metrics: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(folder: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"));
    Command::new(env!("CARGO_BIN_EXE_haoyuan"))
        .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
        .args(["--data-dir", text(&folder.join("data"))])
        .args(["--wall-offset", text(&folder.join("offset"))])
        .stdout(Stdio::piped())
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

fn turn(folder: &Path, millis: i64) {
    // In one step: the node may read it at any time.
    std::fs::write(folder.join("next"), millis.to_string()).unwrap();
    std::fs::rename(folder.join("next"), folder.join("offset")).unwrap();
}

fn document(folder: &Path, session: u64) -> PathBuf {
    let path = folder.join(format!("{session}.toml"));
    let lines = format!(
        "[[sessions]]\nid = {session}\norganization = 1\nsite = 1\ndepartment = 12\nresource = 4\n\
         start = \"2099-03-01T08:00:00+08:00\"\nslot_minutes = 10\nslots = 2\nplaces = 9\n"
    );
    std::fs::write(&path, lines).unwrap();
    path
}

impl Node {
    fn start(folder: &Path) -> Self {
        let mut child = spawn(folder);
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap_or_else(|_| {
            panic!("{}", std::fs::read_to_string(folder.join("log")).unwrap());
        });
        let name = |key: &str| ready[key].as_str().unwrap().to_owned();
        let (listen, metrics) = (name("listen"), name("metrics"));
        Self { child, folder: folder.to_owned(), listen, metrics }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let certs = self.folder.join("data/dev-certs");
        let to = ["ctl", "--json", "--server", &self.listen, "--certs", text(&certs)];
        haoyuan(&[&to, arguments].concat())
    }

    fn told(&self, arguments: &[&str]) -> Value {
        let output = self.ask(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks until the answer is right: each time costs a process and a handshake.
    fn wait(&self, arguments: &[&str], is_right: impl Fn(&Value) -> bool) -> Value {
        let mut answers = (0..200).map(|_| self.told(arguments));
        answers.find(is_right).unwrap_or_else(|| panic!("{arguments:?} never became right"))
    }

    fn outcome(&self, arguments: &[&str]) -> Value {
        let output = self.ask(arguments);
        let line = serde_json::from_slice(&output.stdout);
        line.map_or(Value::Null, |line: Value| line["outcome"].clone())
    }

    fn page(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").unwrap();
        std::io::read_to_string(stream).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn i7_a_jump_suspends_the_clock_until_an_operator_confirms_it() {
    for jump in [3_600_000_i64, -3_600_000, 2_000, -2_000] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (first, second) = (document(folder, 1), document(folder, 2));
        let node = Node::start(folder);
        node.told(&["open", text(&first)]);
        let held = node.told(&["hold", "1", "--patient-text", "Li Lei"]);
        let id = held["appointment"].as_str().unwrap();
        let before = node.told(&["clock"])["time_ms"].as_i64().unwrap();

        turn(folder, jump);
        let clock = node.wait(&["clock"], |clock| clock["suspended"] == true);
        let (time, gap) = (clock["time_ms"].as_i64().unwrap(), clock["gap_ms"].as_i64().unwrap());
        assert!((gap - jump).abs() < 1_000, "{jump}: {clock}");
        assert!(before <= time && time < before + 60_000, "{jump}: the time jumped: {clock}");

        // Suspended: nothing opens, nothing expires; all else goes on.
        assert_eq!(node.outcome(&["open", text(&second)]), "NotReady", "{jump}");
        node.told(&["hold", "1", "--patient-text", "Han Meimei"]);
        assert_eq!(node.told(&["get", id])["status"], "pending", "{jump}");
        assert!(node.page("/readyz").contains("ctl clock confirm"), "{jump}");
        assert!(node.page("/metrics").contains("haoyuan_clock_suspended 1"), "{jump}");
        assert!(node.log().contains("the machine's clock jumped"), "{}", node.log());

        let gateway = node.outcome(&["clock", "confirm", "--role", "gateway"]);
        assert_eq!(gateway, "RoleNotPermitted", "{jump}");
        assert_eq!(node.told(&["clock"])["suspended"], true, "{jump}");
        let confirmed = node.told(&["clock", "confirm"]);
        let after = confirmed["time_ms"].as_i64().unwrap();
        assert_eq!(confirmed["suspended"], false, "{jump}: {confirmed}");
        // A wall that is ahead is jumped to; one that is behind is not gone back to.
        assert!((jump - 1_000).max(0) <= after - time, "{jump}: from {time} to {after}");
        node.told(&["open", text(&second)]);
        if 900_000 < jump {
            // A quarter of an hour is over, by the right time.
            node.wait(&["get", id], |found| found["status"] == "cancelled");
        } else {
            assert_eq!(node.told(&["book", id, "--payment", "7"])["status"], "booked", "{jump}");
        }
        assert!(node.page("/readyz").ends_with("ok\n"), "{jump}");
        assert!(node.log().contains("an operator confirmed the time"), "{}", node.log());
        node.stop();
    }
}

#[test]
fn i7_a_start_behind_the_journal_waits_a_little_and_refuses_beyond_that() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = document(folder, 1);
    // The journal's last record is ahead of the machine, by less than what a start waits for, and
    // by more than a stop and a start of a busy machine take.
    turn(folder, 4_500);
    let node = Node::start(folder);
    node.told(&["open", text(&first)]);
    node.stop();
    turn(folder, 0);
    let node = Node::start(folder);
    assert!(node.log().contains("the clock is behind the journal; waiting"), "{}", node.log());
    node.told(&["availability", "1"]);
    node.stop();

    turn(folder, -3_600_000);
    let mut child = spawn(folder);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    assert!(log.contains("set the machine's clock"), "{log}");
    turn(folder, 0);
    Node::start(folder).told(&["availability", "1"]);
}
