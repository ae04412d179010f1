//! A peer as a child process: a free port, a folder that goes with it, and what it uses.
//!
//! **Architecture invariant:** a peer is killed before its folder is removed, and with its whole family.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Failure, clock, usage};

/// Processor time and memory of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) server_cpu: Option<f64>,
    pub(super) client_cpu: Option<f64>,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Run before the child is killed.
    stop: Option<Command>,
}

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl Server {
    /// Starts it. `stop` ends it politely, where killing it would leave children behind.
    pub(super) fn start(mut command: Command, stop: Option<Command>) -> Result<Self, Failure> {
        let program = command.get_program().display().to_string();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.map_err(|error| format!("{program} does not start: {error}"))?;
        Ok(Self { child, stop })
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What it used so far, and what we did.
    pub(super) fn used(&self) -> Used {
        let server_cpu = usage::family_cpu_seconds(self.child.id());
        Used { server_cpu, client_cpu: usage::cpu_seconds(std::process::id()) }
    }

    /// Bytes in memory, those that are shared counted once.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        usage::family_resident_bytes(self.child.id())
    }

    /// Tries again until it works, as long as the server may take to start.
    pub(super) async fn until_ready<T>(
        &mut self,
        attempt: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let until = clock::now() + START;
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) if self.has_ended() => {
                    return Err(format!("the server ended at its start ({failure})").into());
                }
                Err(failure) if until < clock::now() => return Err(failure),
                Err(_) => clock::sleep(ASK_AGAIN).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = &mut self.stop {
            drop(stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port of loopback that nobody listens on.
pub(super) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The first line that a program says of its version. `None`, if it is not installed.
pub(super) fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// A new folder under `base`, or the system's for temporary files.
pub(super) fn folder(base: Option<&Path>) -> Result<tempfile::TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("haoyuan-compare-");
    Ok(match base {
        Some(base) => builder.tempdir_in(base)?,
        None => builder.tempdir()?,
    })
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The programs of the newest `PostgreSQL` that is installed where distributions put it.
pub(super) fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut found: Vec<_> = versions.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.join("bin/postgres").exists());
    found.into_iter().max_by_key(number).map(|path| path.join("bin"))
}
