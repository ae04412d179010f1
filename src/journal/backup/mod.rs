//! A copy of a data folder that a node can be started from, made while another one serves.
//!
//! ```text
//! BACKUP/
//!   MANIFEST      every file with length and hash, and up to which record; written last
//!   archive/      the node's archive, verbatim
//!   snapshots/    the newest sound snapshot, verbatim
//!   log/          the records after the archive, in the form of archive files
//! ```
//!
//! Archive files and snapshots never change once they have their name, so they are copied beside a
//! running node without its lock. The records behind the archive come from whoever has the log: the
//! log itself where no node runs, otherwise the node, over its feed. They are cut into blocks anew,
//! on the chain of the archive.
//!
//! **Architecture invariant:** a folder named as a backup is complete and synced: it is written
//! under another name, its manifest last. What is restored was verified before the first byte of it
//! is written, and bears its name only when it is whole.

mod check;
mod manifest;
mod restore;
mod write;

use std::path::PathBuf;

pub use self::check::verify;
pub use self::manifest::{Manifest, ManifestFile};
pub use self::restore::Restoration;
pub use self::write::{BackupWriter, back_up_stopped};

use super::{JournalError, ReadError, Sequence};

/// Why there is no backup, or no folder from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something is where the new folder would go.
    #[error("{} is there already, and is not empty", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The path holds no backup.
    #[error("{} is no backup: {why}", path.display())]
    NoBackup {
        /// The path.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// The backup was made by a newer release.
    #[error(
        "{} is of backup format {found}, this release knows formats up to {known}; use a release \
         that knows format {found}", path.display()
    )]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format of this release.
        known: u32,
    },
    /// The backup is not what was written.
    #[error("the backup is damaged: {what}")]
    Damaged {
        /// What is wrong with which file.
        what: String,
    },
    /// Records are neither in the archive nor in the log.
    #[error("records {} to {} are neither in the archive nor in the log", from.0, oldest.0.saturating_sub(1))]
    Gap {
        /// The first record that the archive does not have.
        from: Sequence,
        /// The first one in the log.
        oldest: Sequence,
    },
    /// The folder that is copied, or the disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log that is copied.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl BackupError {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

/// The manifest's name.
const MANIFEST: &str = "MANIFEST";
const ARCHIVE: &str = "archive";
const LOG: &str = "log";
const SNAPSHOTS: &str = "snapshots";
/// Secrets of the node: a backup is as secret as its folder.
const KEYS: &str = crate::journal::KEYS;
