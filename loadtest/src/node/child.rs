//! A node as a child process, in a folder that goes with it.
//!
//! **Architecture invariant:** a child never outlives its parent: it ends when its stdin does.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::{Keep, Ready, Stats};
use crate::{Failure, certs};

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) ready: Ready,
    folder: TempDir,
}

impl Node {
    /// Starts a node with an empty store in a new folder under `base`, or the system's for
    /// temporary files.
    pub(crate) fn start(base: Option<&Path>, keep: Keep, threads: usize) -> Result<Self, Failure> {
        Self::start_with(base, keep, threads, &[])
    }

    /// The same with further flags of the hidden command.
    pub(crate) fn start_with(
        base: Option<&Path>,
        keep: Keep,
        threads: usize,
        flags: &[String],
    ) -> Result<Self, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("haoyuan-loadtest-");
        let folder = match base {
            Some(base) => builder.tempdir_in(base)?,
            None => builder.tempdir()?,
        };
        let certificates = folder.path().join("certs");
        certs::make(&certificates)?;
        let durability = if keep == Keep::Commit { "commit" } else { "none" };
        let mut process = Command::new(std::env::current_exe()?)
            .arg("node")
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--certs")
            .arg(&certificates)
            .args(["--durability", durability, "--threads", &threads.to_string()])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = process.stdin.take();
        let answers = process.stdout.take().ok_or("the node has no output")?;
        let mut answers = BufReader::new(answers);
        let ready = read(&mut answers)?;
        Ok(Self { process, commands, answers, ready, folder })
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Its folder: store and certificates.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its certificates, ours among them.
    pub(crate) fn certs(&self) -> PathBuf {
        self.folder.path().join("certs")
    }

    /// Its counters.
    pub(crate) fn stats(&mut self) -> Result<Stats, Failure> {
        self.tell("stats")?;
        read(&mut self.answers)
    }

    /// Has it do something whose answer [`Node::hear`] reads.
    pub(crate) fn tell(&mut self, command: &str) -> Result<(), Failure> {
        let commands = self.commands.as_mut().ok_or("the node is stopped")?;
        Ok(writeln!(commands, "{command}")?)
    }

    /// Waits for an answer.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        read(&mut self.answers)
    }

    /// Stops it politely, and says where its store is.
    pub(crate) fn stop(&mut self) -> Result<PathBuf, Failure> {
        drop(self.commands.take());
        let status = self.process.wait()?;
        if status.success() {
            Ok(self.folder.path().join("data"))
        } else {
            Err(format!("the node ended with {status}").into())
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.commands.take());
        // The folder goes next: nobody may write into it any more.
        drop(self.process.wait());
    }
}

fn read<T: DeserializeOwned>(answers: &mut impl BufRead) -> Result<T, Failure> {
    let mut line = String::new();
    if answers.read_line(&mut line)? == 0 {
        return Err("the node ended; what it said is above".into());
    }
    Ok(serde_json::from_str(&line)?)
}
