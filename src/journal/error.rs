//! What can go wrong between a record and the disk, each with what to do about it.
//!
//! **Architecture invariant:** nothing here is retried. An error of the commit path ends the
//! process; an error of the start prevents it.

use std::io;
#[cfg(any(feature = "node", fuzzing))]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::Sequence;

/// A fault of the journal or of its data folder.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Something that was acknowledged cannot be read back as it was written.
    #[error("{what}; {instruction}")]
    Damaged {
        /// What is damaged, with the sequence number where one is known.
        what: String,
        /// What the operator should do.
        instruction: String,
    },
    /// The log ends before the last record that was acknowledged.
    #[error("the log ends at record {}, but record {} was acknowledged; {instruction}", found.0, expected.0)]
    Shortened {
        /// The last record in the log.
        found: Sequence,
        /// The last record that the high-water mark knows of.
        expected: Sequence,
        /// What the operator should do.
        instruction: String,
    },
    /// Another process uses the data folder.
    #[error("{} is in use by another process; stop that process, or name another data folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder was written by a newer release.
    #[error(
        "{} is of {kind} format {found}, this release ({}) knows {kind} formats up to {known}; use \
         a newer release, one that knows {kind} format {found}. Nothing is damaged, and nothing was \
         changed", file.display(), env!("CARGO_PKG_VERSION")
    )]
    NewerFormat {
        /// The file or folder.
        file: PathBuf,
        /// Of what: folder, mark, snapshot, archive, block.
        kind: &'static str,
        /// The format's number.
        found: u32,
        /// The newest one that this release knows.
        known: u32,
    },
    /// There is no data folder to look into.
    #[error("{} is not a data folder; check the path", folder.display())]
    NoFolder {
        /// The path that was given.
        folder: PathBuf,
    },
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, on which file.
        what: String,
        /// The answer of the operating system.
        source: Arc<io::Error>,
    },
    /// The store refused.
    #[error("the store failed to {what}: {detail}")]
    Store {
        /// What was attempted.
        what: &'static str,
        /// The answer of the store.
        detail: String,
    },
    /// The journal failed before; nothing becomes durable any more.
    #[error("the journal has failed; restart the node")]
    Failed,
    /// The journal is closed, and the record was not in it by then.
    #[error("the journal is closed")]
    Closed,
    /// A snapshot holds facts that are not durable yet.
    #[error("the snapshot reaches record {}, durable is {}; wait for it first", highest.0, durable.0)]
    NotDurable {
        /// The highest sequence number of a section.
        highest: Sequence,
        /// The durable horizon.
        durable: Sequence,
    },
}

/// Why a page of the log cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The records were pruned.
    #[error("records before {} were pruned; start from a snapshot, or read the archive", oldest.0)]
    Gone {
        /// The oldest record that can be read.
        oldest: Sequence,
    },
    /// The store failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl JournalError {
    /// An error of the operating system, with what was attempted.
    #[cfg(any(feature = "node", fuzzing))]
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { what: format!("{what} {}", path.display()), source: Arc::new(source) }
    }

    /// Damage that only a copy of the data can undo.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), instruction: RESTORE.to_owned() }
    }
}

/// What to do when acknowledged records are gone.
pub(crate) const RESTORE: &str = "keep a copy of the folder as it is, restore it from a backup or \
                                  a replica, and compare with `haoyuan audit` before serving";
