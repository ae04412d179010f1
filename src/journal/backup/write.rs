//! Makes a backup.
//!
//! ```text
//! archive copied -> snapshot copied -> mark read: go up to here -> records pushed -> manifest -> name
//! ```
//!
//! In this order, because pruning never passes a snapshot that is newer than the archive was.
//!
//! **Architecture invariant:** it takes no lock of the node and writes nothing into its folder.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, ManifestFile};
use super::{ARCHIVE, BackupError, KEYS, LOG, MANIFEST, SNAPSHOTS};
use crate::journal::archive;
use crate::journal::block::{BlockRef, Cutter};
use crate::journal::chain::Tail;
use crate::journal::files::{names, sync_directory, sync_file};
use crate::journal::mark::{self, Found};
use crate::journal::{DataFolder, JournalError, Log, Sequence, Snapshots, Timestamp};

/// A backup in the making: everything is copied but the records from [`next`](Self::next) up to
/// [`through`](Self::through), which are pushed one by one. Dropped before
/// [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct BackupWriter {
    staging: Staging,
    target: PathBuf,
    manifest: Manifest,
    cutter: Cutter,
    blocks: Vec<BlockRef>,
    tail: Tail,
    next: Sequence,
    through: Sequence,
    warnings: Vec<String>,
}

/// A folder under a temporary name, removed unless it gets its own.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) path: PathBuf,
    is_kept: bool,
}

/// Backs up the folder of a stopped node.
///
/// # Errors
///
/// [`JournalError::Locked`] where a node runs: have it push its records.
pub fn back_up_stopped(folder: &Path, to: &Path) -> Result<(Manifest, Vec<String>), BackupError> {
    let log = DataFolder::inspect(folder)?;
    let mut writer = BackupWriter::begin(folder, to, Some(&log))?;
    writer.warnings.extend(log.warnings().iter().cloned());
    let from = writer.next();
    log.for_each_record::<BackupError>(from, |sequence, time, payload| {
        writer.push(sequence, time, payload)
    })?;
    writer.finish()
}

impl BackupWriter {
    /// Copies what never changes from a folder, and looks how far its node is. `log` is the open
    /// log where no node runs.
    ///
    /// # Errors
    ///
    /// `to` is there and not empty; the folder is none, or damaged; the disk refuses. A file that
    /// went away meanwhile is such an error too: begin again.
    pub fn begin(folder: &Path, to: &Path, log: Option<&Log>) -> Result<Self, BackupError> {
        check_free(to)?;
        let data = DataFolder::existing(folder)?;
        let staging = Staging::make(to, "partial")?;
        let mut manifest =
            Manifest { release: env!("CARGO_PKG_VERSION").to_owned(), ..Manifest::default() };
        let (first, archived) = copy_archive(&data.archive(), &staging.path, &mut manifest)?;
        let origin = log.map(|log| log.sled.origin()).unwrap_or_default();
        let tail = match archived {
            Some(tail) if origin.next_sequence <= tail.next_sequence => tail,
            None if origin.next_sequence <= Sequence(1) => Tail::default(),
            // The archive was moved elsewhere: begin where the log does.
            None => origin,
            Some(tail) => {
                let (from, oldest) = (tail.next_sequence, origin.next_sequence);
                return Err(BackupError::Gap { from, oldest });
            }
        };

        let (snapshot, warnings) =
            Snapshots::new(&data.snapshots()).choose(tail.next_sequence, Sequence(u64::MAX))?;
        let mut highest = tail.last_sequence();
        if let Some(snapshot) = snapshot {
            highest = highest.max(snapshot.highest());
            copy(snapshot.path(), &staging.path, SNAPSHOTS, &mut manifest)?;
        }
        copy_keys(&data.keys(), &staging.path, &mut manifest)?;
        let acknowledged = match mark::peek(&data.mark())? {
            Found::Mark(mark) => mark.last,
            Found::Nothing | Found::Unreadable | Found::Newer(_) => Sequence(0),
        };
        let through =
            log.map_or_else(|| acknowledged.max(highest), |log| log.tail().last_sequence());
        manifest.first = first.unwrap_or(tail.next_sequence);
        Ok(Self {
            staging,
            target: to.to_owned(),
            manifest,
            cutter: Cutter::new(tail.next_sequence, tail.last_time, tail.last_chain),
            blocks: Vec::new(),
            next: tail.next_sequence,
            tail,
            through,
            warnings,
        })
    }

    /// The record that must be pushed next.
    pub const fn next(&self) -> Sequence {
        self.next
    }

    /// The last record that must be pushed: nothing that was acknowledged before
    /// [`begin`](Self::begin) is behind it.
    pub const fn through(&self) -> Sequence {
        self.through
    }

    /// Whether every record is there.
    pub fn is_complete(&self) -> bool {
        self.through < self.next
    }

    /// Adds the next record.
    ///
    /// # Errors
    ///
    /// The disk refuses, or it is another record than the next.
    pub fn push(
        &mut self,
        sequence: Sequence,
        time: Timestamp,
        payload: &[u8],
    ) -> Result<(), BackupError> {
        if sequence != self.next {
            return Err(BackupError::Gap { from: self.next, oldest: sequence });
        }
        self.next = sequence.next();
        self.blocks.extend(self.cutter.push(time.as_millis(), payload));
        if BLOCKS_PER_FILE <= self.blocks.len() { self.write_file() } else { Ok(()) }
    }

    /// Completes the backup and gives it its name. Says what is in it, and what the operator should
    /// know.
    ///
    /// # Errors
    ///
    /// The disk refuses, or records are missing.
    pub fn finish(mut self) -> Result<(Manifest, Vec<String>), BackupError> {
        if !self.is_complete() {
            return Err(BackupError::Gap { from: self.next, oldest: self.through.next() });
        }
        self.blocks.extend(self.cutter.finish());
        self.write_file()?;
        self.manifest.sequence = self.tail.last_sequence();
        self.manifest.time = self.tail.last_time;

        let path = self.staging.path.join(MANIFEST);
        fs::write(&path, self.manifest.render())
            .map_err(|error| JournalError::io("write", &path, error))?;
        sync_file(&path)?;
        self.staging.publish(&self.target)?;
        Ok((self.manifest, self.warnings))
    }

    fn write_file(&mut self) -> Result<(), BackupError> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let directory = make_in(&self.staging.path, LOG)?;
        let first = self.tail.next_sequence;
        let blocks = self.blocks.drain(..).map(|block| Ok(block.bytes));
        archive::write(&directory, &mut self.tail, blocks)?;
        let name = archive::name_of(first, self.tail.last_sequence());
        let (bytes, hash) = super::check::hash_file(&directory.join(&name))
            .map_err(|error| JournalError::io("read", &directory, error))?;
        self.manifest.files.push(ManifestFile { name: format!("{LOG}/{name}"), bytes, hash });
        Ok(())
    }
}

impl Staging {
    /// An empty folder beside `target`. What an earlier attempt left there is removed.
    pub(super) fn make(target: &Path, suffix: &str) -> Result<Self, BackupError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(suffix);
        let path = target.with_file_name(name);
        let failed = |error| JournalError::io("make", &path, error);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(failed)?;
        }
        fs::create_dir_all(&path).map_err(failed)?;
        Ok(Self { path, is_kept: false })
    }

    /// Gives the folder its name, once all in it is durable.
    pub(super) fn publish(&mut self, target: &Path) -> Result<(), JournalError> {
        for name in names(&self.path)? {
            let path = self.path.join(name);
            if path.is_dir() {
                sync_directory(&path)?;
            }
        }
        sync_directory(&self.path)?;
        let renamed = fs::rename(&self.path, target);
        renamed.map_err(|error| JournalError::io("name", target, error))?;
        self.is_kept = true;
        match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
            _ => sync_directory(Path::new(".")),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left is removed by the next attempt.
            let _removed = fs::remove_dir_all(&self.path);
        }
    }
}

/// Nothing is overwritten. An empty folder may be there.
pub(super) fn check_free(path: &Path) -> Result<(), BackupError> {
    let is_free = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if is_free { Ok(()) } else { Err(BackupError::Exists { path: path.to_owned() }) }
}

/// Copies the archive; says where it begins, and how the log goes on behind it.
fn copy_archive(
    archive: &Path,
    staging: &Path,
    manifest: &mut Manifest,
) -> Result<(Option<Sequence>, Option<Tail>), BackupError> {
    let mut tail = None;
    let files = archive::list(archive)?;
    for file in &files {
        archive::read::<JournalError>(file, Sequence(0), &mut tail, |_, _, _| Ok(()))?;
        copy(&file.path, staging, ARCHIVE, manifest)?;
    }
    Ok((files.first().map(|file| file.first), tail))
}

/// Copies the node's keys: without the key of its draws, a draw that was announced cannot be made.
fn copy_keys(keys: &Path, staging: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    if keys.is_dir() {
        for name in names(keys)? {
            // What is being written bears another name until it is whole.
            if Path::new(&name).extension().is_some_and(|it| it == "key") {
                copy(&keys.join(name), staging, KEYS, manifest)?;
            }
        }
    }
    Ok(())
}

/// Copies a file into a folder of the backup, durably, and notes it in the manifest.
fn copy(
    from: &Path,
    staging: &Path,
    folder: &str,
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let to = make_in(staging, folder)?.join(&name);
    let (bytes, hash) = copy_file(from, &to)?;
    manifest.files.push(ManifestFile { name: format!("{folder}/{name}"), bytes, hash });
    Ok(())
}

/// Copies a file durably; says its length and hash.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(u64, [u8; 32]), JournalError> {
    let failed = |error| JournalError::io("copy", from, error);
    let mut source = File::open(from).map_err(failed)?;
    let mode = source.metadata().map_err(failed)?.permissions().mode();
    let mut options = File::options();
    let created = options.write(true).create(true).truncate(true).mode(mode).open(to);
    let mut copy = created.map_err(|error| JournalError::io("create", to, error))?;
    let mut buffer = vec![0; 256 << 10];
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    loop {
        let read = source.read(&mut buffer).map_err(failed)?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        hasher.update(part);
        copy.write_all(part).map_err(|error| JournalError::io("write", to, error))?;
        bytes += read as u64;
    }
    copy.sync_all().map_err(|error| JournalError::io("sync", to, error))?;
    Ok((bytes, *hasher.finalize().as_bytes()))
}

pub(super) fn make_in(staging: &Path, folder: &str) -> Result<PathBuf, JournalError> {
    let directory = staging.join(folder);
    let made = fs::create_dir_all(&directory);
    made.map_err(|error| JournalError::io("make", &directory, error))?;
    Ok(directory)
}

/// As many as a tree of the log has: 14 MB at most.
const BLOCKS_PER_FILE: usize = 2_000;
