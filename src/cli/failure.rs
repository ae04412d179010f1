//! How a command fails: an exit code, one sentence what is wrong, one what to do.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::codec::CodecError;
use crate::journal::{JournalError, ReadError};
use crate::service::OpenError;

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    wrong: String,
    advice: String,
}

impl Failure {
    /// Bad use or bad input: exit code 2.
    pub(super) fn usage(wrong: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: 2, wrong: wrong.into(), advice: advice.into() }
    }

    /// The thing itself failed, or an audit disagrees: exit code 1.
    pub(super) fn failed(wrong: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: 1, wrong: wrong.into(), advice: advice.into() }
    }

    /// What a closed pipe does to the rest of the output: nothing that deserves a message.
    const fn quiet() -> Self {
        Self { code: 0, wrong: String::new(), advice: String::new() }
    }

    /// Tells it on stderr, and gives the exit code.
    #[expect(clippy::print_stderr, reason = "the one place where a command tells why it failed")]
    pub(super) fn report(&self) -> ExitCode {
        if !self.wrong.is_empty() {
            eprintln!("error: {}", self.wrong);
        }
        if !self.advice.is_empty() {
            eprintln!("  {}", self.advice);
        }
        ExitCode::from(self.code)
    }
}

/// Standard output fails: a closed pipe ends the command in peace.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::quiet();
        }
        Self::failed(
            format!("cannot write the output: {error}"),
            "make room or choose another place",
        )
    }
}

/// A data folder that cannot be opened: used, missing or of another release is bad use; damage is
/// a failure.
pub(super) fn of_open(folder: &Path, error: &OpenError) -> Failure {
    let wrong = format!("cannot open {}: {error}", folder.display());
    match error {
        OpenError::Journal(JournalError::NewerFormat { .. })
        | OpenError::Read(ReadError::Journal(JournalError::NewerFormat { .. }))
        | OpenError::Record { source: CodecError::NewerFact, .. } => {
            Failure::usage(wrong, NEWER_ADVICE)
        }
        OpenError::Journal(JournalError::NoFolder { .. } | JournalError::Locked { .. }) => {
            Failure::usage(wrong, "name the data folder of a stopped node with --data-dir")
        }
        OpenError::Journal(JournalError::Io { .. } | JournalError::Store { .. }) => {
            Failure::failed(wrong, DISK_ADVICE)
        }
        _ => Failure::failed(wrong, DAMAGE_ADVICE),
    }
}

/// Tells something on stderr that ends nothing.
#[expect(clippy::print_stderr, reason = "what a person at the terminal should know")]
pub(super) fn warn(what: &str) {
    eprintln!("warning: {what}");
}

/// A commit failed (I-9): nobody knows what is on the disk, so nothing may be said any more.
#[expect(clippy::print_stderr, reason = "the last words of a process that ends here")]
pub(super) fn end_process(error: &JournalError) {
    tracing::error!(%error, "a commit failed");
    eprintln!(
        "error: a commit failed and the process ends: {error}\n  make room on the disk or replace \
         it, then start again: everything that was acknowledged is in the journal"
    );
    std::process::abort();
}

pub(super) const NEWER_ADVICE: &str =
    "docs/operations.md, \"The node does not start: the format is newer\", says how to go on";
const DISK_ADVICE: &str = "look at the disk (df, dmesg) and at the folder's rights, then start again: the system refused, \
     and nothing that was acknowledged was changed";
const DAMAGE_ADVICE: &str =
    "keep a copy of the folder; docs/operations.md, \"The node does not start\", says how to go on";
