//! The node that is killed: `haoyuan serve` as a child, and what its log said when it died.
//!
//! ```text
//! stderr --> lines --> which steps are under way --> the awaited one begins --> SIGKILL, a little later
//! ```
//!
//! **Architecture invariant:** where a kill fell is read from what the dead process had said before:
//! a step that began and did not end.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use haoyuan::model::Role;
use haoyuan::ops::tls::Identity;
use serde::{Deserialize, Serialize};

use crate::{Failure, clock};

/// What a node does that a kill may fall into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// From the first process on a folder to its first recovery.
    FirstStart,
    /// From the opening of a folder to the state that it holds.
    Recovery,
    /// A snapshot is written.
    Snapshot,
    /// A new tree of the log begins, up to its first sync.
    Roll,
    /// A tree is archived and dropped.
    Prune,
}

/// Lines of the log that begin and end steps.
const LINES: [(&str, Step, bool); 9] = [
    ("opening the data folder is_new=true", Step::FirstStart, true),
    ("opening the data folder is_new=false", Step::Recovery, true),
    ("recovered", Step::Recovery, false),
    ("taking a snapshot", Step::Snapshot, true),
    ("the snapshot is taken", Step::Snapshot, false),
    ("rolling to a new tree", Step::Roll, true),
    ("the new tree is durable", Step::Roll, false),
    ("pruning a tree", Step::Prune, true),
    ("the tree is pruned", Step::Prune, false),
];

/// Small trees and many snapshots; the log says what begins and what ends.
const CONFIG: &str = "[journal]
snapshot_every_records = 100
tree_blocks = 8
[log]
level = \"warn,haoyuan::journal=debug,haoyuan::service=debug,haoyuan::cli=info\"
";

/// A node is killed this long after a step began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trap {
    pub(crate) step: Step,
    pub(crate) delay: Duration,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    child: Arc<Mutex<Child>>,
    stdout: Option<BufReader<ChildStdout>>,
    reader: Option<JoinHandle<Told>>,
    traps: Sender<Trap>,
    data: PathBuf,
}

/// What a dead node had said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What it was at.
    pub(crate) steps: BTreeSet<Step>,
    /// Its last lines.
    pub(crate) last: Vec<String>,
    /// The first lines in which it complains, each with the next.
    pub(crate) complaints: Vec<String>,
}

#[derive(Deserialize)]
struct Ready {
    listen: SocketAddr,
}

/// The program of the node: the one that was named, or the `haoyuan` beside this binary.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let program = match named {
        Some(program) => program.to_owned(),
        None => std::env::current_exe()?.with_file_name("haoyuan"),
    };
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "{} is not there; `cargo build --release --workspace --bins` makes it, or name --binary",
        program.display()
    )
    .into())
}

impl Node {
    /// Starts a node that is to be killed on a folder. `is_first`, if nobody ever did so.
    pub(super) fn start(
        binary: &Path,
        data: &Path,
        is_first: bool,
        trap: Option<Trap>,
    ) -> Result<Self, Failure> {
        Self::start_with(CONFIG, binary, data, is_first, trap)
    }

    /// The same with a configuration of one's own.
    pub(crate) fn start_with(
        text: &str,
        binary: &Path,
        data: &Path,
        is_first: bool,
        trap: Option<Trap>,
    ) -> Result<Self, Failure> {
        let config = data.with_extension("toml");
        std::fs::write(&config, text)?;
        let mut child = Command::new(binary)
            .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let stderr = child.stderr.take().ok_or("the node has no log")?;
        let child = Arc::new(Mutex::new(child));
        let (traps, set) = channel();
        if let Some(trap) = trap {
            traps.send(trap)?;
        }
        let victim = Arc::clone(&child);
        let begun = if is_first { BTreeSet::from([Step::FirstStart]) } else { BTreeSet::new() };
        let reader = std::thread::spawn(move || watch(stderr, &set, &victim, begun));
        Ok(Self { child, stdout, reader: Some(reader), traps, data: data.to_owned() })
    }

    /// Waits until it takes requests, and says where. `None`, if it ended before.
    pub(crate) fn ready(&mut self) -> Option<SocketAddr> {
        let mut line = String::new();
        self.stdout.as_mut()?.read_line(&mut line).ok()?;
        serde_json::from_str::<Ready>(&line).ok().map(|ready| ready.listen)
    }

    /// Has it killed when a step begins.
    pub(super) fn set(&self, trap: Trap) {
        if self.traps.send(trap).is_err() {
            // It is dead already.
        }
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Whether it has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Kills it, if it lives, and says what it was at.
    pub(crate) fn kill(&mut self) -> Told {
        kill(&self.child);
        // Whoever is still to be told of the end: the log is read to its end first.
        let told = self.reader.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        drop(child.wait());
        told
    }

    /// A client's certificate among those that it made.
    pub(crate) fn identity(&self, role: Role) -> Result<Identity, Failure> {
        let folder = self.data.join("dev-certs");
        let file = |name: &str, kind: &str| folder.join(format!("{name}.{kind}"));
        let name = role.name();
        Ok(Identity::load(&file(name, "pem"), &file(name, "key"), &file("ca", "pem"))?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

fn kill(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    if child.kill().is_err() {
        // It ended by itself.
    }
}

/// Follows the log to its end, and springs the trap.
fn watch(
    stderr: ChildStderr,
    traps: &Receiver<Trap>,
    child: &Mutex<Child>,
    steps: BTreeSet<Step>,
) -> Told {
    let mut told = Told { steps, ..Told::default() };
    let mut is_complaint = false;
    let mut trap = None;
    let mut reader = BufReader::new(stderr);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| 0 < read) {
        trap = traps.try_iter().last().or(trap);
        for (text, step, begins) in LINES {
            if line.contains(text) {
                note(&mut told.steps, step, begins);
                if begins && trap.is_some_and(|trap| trap.step == step) {
                    clock::pause(trap.take().map_or(Duration::ZERO, |trap| trap.delay));
                    kill(child);
                }
            }
        }
        if told.last.len() == LAST_LINES {
            told.last.remove(0);
        }
        let complains = line.contains("ERROR") || line.contains("panicked");
        if (complains || is_complaint) && told.complaints.len() < COMPLAINTS_MAX {
            told.complaints.push(line.trim_end().to_owned());
        }
        is_complaint = complains;
        told.last.push(line.trim_end().to_owned());
        line.clear();
    }
    drop(reader.read_to_string(&mut line));
    told
}

fn note(steps: &mut BTreeSet<Step>, step: Step, begins: bool) {
    if begins {
        steps.insert(step);
    } else {
        steps.remove(&step);
        if step == Step::Recovery {
            steps.remove(&Step::FirstStart);
        }
    }
}

const LAST_LINES: usize = 20;
const COMPLAINTS_MAX: usize = 6;
