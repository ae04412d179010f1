//! The data folder: its layout, its lock, its format.
//!
//! ```text
//! FORMAT      one line: the format version; written last when a folder is made
//! LOCK        held by the process that uses the folder
//! UNFINISHED  there while a folder is made: nothing in it was ever acknowledged
//! store/      sled
//! mark        how far the log was acknowledged
//! snapshots/  states to start from
//! archive/    what was pruned
//! keys/       secrets of the node: that of its draws
//! ```
//!
//! **Architecture invariant:** nothing in the folder is touched before the lock is held.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::BLOCKS_PER_TREE;
use super::archive::{self, Retention};
use super::chain::Tail;
use super::files::{names, sync_directory};
use super::mark::{self, Found, Mark, MarkFile};
use super::recover::{Log, OnDamagedTail};
use super::sled::{Place, SledLog, SledStore};
use super::store::Durability;
use super::writer::now;
use super::{JournalError, Sequence};

/// The folder of secrets in a data folder and in a backup.
pub const KEYS: &str = "keys";

/// How a data folder is used.
#[derive(Clone, Copy, Debug)]
pub struct FolderOptions {
    /// What an acknowledged commit survives. Default: a loss of power.
    pub durability: Durability,
    /// What of the archive is kept. Default: everything.
    pub retention: Retention,
    /// Bytes of sled's page cache, default 64 MiB. The log is written once and read rarely.
    pub cache_bytes: u64,
    /// Blocks per tree, 1,000 to 4,000, default 2,000. Larger trees stall commits when dropped.
    pub blocks_per_tree: u32,
}

/// A data folder by its path.
#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// A data folder in use: a verified log, and the store that continues it.
#[derive(Debug)]
pub struct Opened {
    /// The log up to now, for recovery.
    pub log: Log,
    /// The store, for [`Journal::start`](super::Journal::start) with the tail of the log.
    pub store: SledStore,
    /// The folder.
    pub folder: DataFolder,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Commit,
            retention: Retention::Keep,
            cache_bytes: 64 << 20,
            blocks_per_tree: BLOCKS_PER_TREE,
        }
    }
}

impl DataFolder {
    /// Opens a folder for a node. Makes it, if there is none. A second process
    /// is refused.
    pub fn open(path: &Path, options: &FolderOptions) -> Result<Opened, JournalError> {
        let folder = Self { path: path.to_owned() };
        folder.make()?;
        let lock = folder.lock()?;
        let is_new = !folder.check_format()?;
        tracing::debug!(is_new, "opening the data folder");
        if is_new {
            folder.begin()?;
        } else {
            folder.end_beginning()?;
        }
        let sled = SledLog::open(folder.place(options, lock))?;
        let (mut mark_file, found) = MarkFile::open(&folder.mark(), now())?;
        let mark = folder.judge_mark(found, is_new)?;

        let log = Log::verify(sled, folder.archive(), mark, OnDamagedTail::Cut)?;
        let tail = log.tail();
        if is_new {
            if tail.last_sequence() != Sequence(0) {
                return Err(folder.without("FORMAT"));
            }
            mark_file.write(Mark::EMPTY, now(), true)?;
            folder.finish()?;
        }
        let store = SledStore::new(
            Arc::clone(&log.sled),
            &tail,
            mark_file,
            options.durability,
            options.blocks_per_tree,
        )?;
        Ok(Opened { log, store, folder })
    }

    /// Opens an existing folder to look at its records. Changes nothing but what sled does on
    /// open, and takes the lock: not beside a running node.
    pub fn inspect(path: &Path) -> Result<Log, JournalError> {
        Self::look(path, true)
    }

    /// As [`inspect`](Self::inspect), of a damaged folder: reads as far as the chain is whole, even
    /// where that is less than was acknowledged.
    pub fn salvage(path: &Path) -> Result<Log, JournalError> {
        Self::look(path, false)
    }

    fn look(path: &Path, heeds_mark: bool) -> Result<Log, JournalError> {
        let folder = Self::existing(path)?;
        let lock = folder.lock()?;
        let sled = SledLog::open(folder.place(&FolderOptions::default(), lock))?;
        let (_, found) = MarkFile::open(&folder.mark(), now())?;
        let mark = if heeds_mark { folder.judge_mark(found, false)? } else { Mark::EMPTY };
        Log::verify(sled, folder.archive(), mark, OnDamagedTail::Ignore)
    }

    /// An existing folder, whether a node uses it or not. Takes no lock.
    pub(super) fn existing(path: &Path) -> Result<Self, JournalError> {
        let folder = Self { path: path.to_owned() };
        if !path.join(FORMAT).is_file() {
            return Err(JournalError::NoFolder { folder: path.to_owned() });
        }
        folder.check_format()?;
        Ok(folder)
    }

    /// Begins a folder whose log starts at `start`, to be filled and then declared complete.
    pub(super) fn create(
        path: &Path,
        start: Tail,
        options: &FolderOptions,
    ) -> Result<(SledStore, Self), JournalError> {
        let folder = Self { path: path.to_owned() };
        folder.make()?;
        let lock = folder.lock()?;
        let sled = SledLog::open(folder.place(options, lock))?;
        sled.move_origin(start)?;
        let (mark, _) = MarkFile::open(&folder.mark(), now())?;
        let blocks = options.blocks_per_tree;
        let store = SledStore::new(Arc::new(sled), &start, mark, options.durability, blocks)?;
        Ok((store, folder))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where snapshots go.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Where pruned records go.
    pub fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    /// Bytes of all files in the folder.
    pub fn size_bytes(&self) -> Result<u64, JournalError> {
        size_bytes(&self.path).map_err(|error| JournalError::io("measure", &self.path, error))
    }

    /// Where the node keeps its secrets.
    pub fn keys(&self) -> PathBuf {
        self.path.join(KEYS)
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.path.join("mark")
    }

    /// Up to which record the log of a folder was acknowledged, as its mark says; a node may be running
    /// there. After a SIGKILL all that anybody was told of is up to it.
    ///
    /// # Errors
    ///
    /// Where the mark cannot be read, or is none of this version.
    pub fn acknowledged(path: &Path) -> Result<Sequence, JournalError> {
        let file = path.join("mark");
        match mark::peek(&file)? {
            Found::Mark(mark) => Ok(mark.last),
            Found::Nothing => Ok(Sequence(0)),
            Found::Newer(found) => {
                Err(JournalError::NewerFormat { file, kind: "mark", found, known: 1 })
            }
            Found::Unreadable => {
                Err(JournalError::damaged(format!("no slot of {} can be read", file.display())))
            }
        }
    }

    fn place(&self, options: &FolderOptions, lock: Arc<File>) -> Place {
        Place {
            store: self.path.join("store"),
            archive: self.archive(),
            retention: options.retention,
            cache_bytes: options.cache_bytes,
            lock,
        }
    }

    fn make(&self) -> Result<(), JournalError> {
        for directory in [self.path.clone(), self.snapshots(), self.archive()] {
            let made = fs::create_dir_all(&directory);
            made.map_err(|error| JournalError::io("make", &directory, error))?;
        }
        Ok(())
    }

    /// Takes the lock. It lives as long as the file stays open.
    fn lock(&self) -> Result<Arc<File>, JournalError> {
        let path = self.path.join("LOCK");
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| JournalError::io("open", &path, error))?;
        for _ in 0..LOCK_TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Arc::new(file)),
                // A program that is being started by a thread of ours has a copy of every open file
                // until it runs, and with it a lock that was let go.
                #[expect(clippy::disallowed_methods, reason = "a start may wait a moment")]
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
                Err(error) => return Err(JournalError::io("lock", &path, error.into())),
            }
        }
        Err(JournalError::Locked { folder: self.path.clone() })
    }

    /// Whether the folder is complete and of our format; `false`, if it is new.
    fn check_format(&self) -> Result<bool, JournalError> {
        let file = self.path.join(FORMAT);
        let text = match fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(JournalError::io("read", &file, error)),
        };
        let number = text.trim().strip_prefix(FORMAT_TEXT).and_then(|it| it.trim().parse().ok());
        match number {
            Some(FORMAT_NUMBER) => Ok(true),
            Some(found) if FORMAT_NUMBER < found => {
                Err(JournalError::NewerFormat { file, kind: "folder", found, known: FORMAT_NUMBER })
            }
            _ => Err(JournalError::damaged(format!("{} names no format", file.display()))),
        }
    }

    fn judge_mark(&self, found: Found, is_new: bool) -> Result<Mark, JournalError> {
        match found {
            Found::Mark(mark) => Ok(mark),
            Found::Newer(found) => {
                Err(JournalError::NewerFormat { file: self.mark(), kind: "mark", found, known: 1 })
            }
            Found::Nothing | Found::Unreadable if is_new && self.is_unused()? => Ok(Mark::EMPTY),
            Found::Nothing => Err(self.without("mark")),
            Found::Unreadable => Err(JournalError::damaged(format!(
                "neither slot of {} can be read, so nobody knows how far the log must reach",
                self.mark().display()
            ))),
        }
    }

    fn is_unused(&self) -> Result<bool, JournalError> {
        let has_snapshot = !names(&self.snapshots())?.is_empty();
        Ok(!has_snapshot && archive::list(&self.archive())?.is_empty())
    }

    fn without(&self, name: &str) -> JournalError {
        JournalError::damaged(format!("{} has records, but no {name}", self.path.display()))
    }

    /// Begins a new folder, or begins it again: a kill or a power cut in the first start can leave
    /// a store that sled cannot open, half of its `conf` for one.
    fn begin(&self) -> Result<(), JournalError> {
        let (flag, store) = (self.path.join(UNFINISHED), self.path.join("store"));
        let failed = |error| JournalError::io("begin", &self.path, error);
        if flag.exists() {
            if store.exists() {
                fs::remove_dir_all(&store).map_err(failed)?;
            }
        } else if !store.exists() {
            fs::write(&flag, "").map_err(failed)?;
            // No store may be found without it.
            sync_directory(&self.path)?;
        }
        Ok(())
    }

    /// Removes the flag of a folder that is complete.
    fn end_beginning(&self) -> Result<(), JournalError> {
        let flag = self.path.join(UNFINISHED);
        match fs::remove_file(&flag) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(JournalError::io("remove", &flag, error))
            }
            _ => Ok(()),
        }
    }

    /// Declares a new folder complete.
    pub(super) fn finish(&self) -> Result<(), JournalError> {
        let temporary = self.path.join("FORMAT.tmp");
        let path = self.path.join(FORMAT);
        let failed = |error| JournalError::io("write", &path, error);
        fs::write(&temporary, format!("{FORMAT_TEXT} {FORMAT_NUMBER}\n")).map_err(failed)?;
        super::files::sync_file(&temporary)?;
        // Names become durable in any order: that of the mark must be there before this one is.
        sync_directory(&self.path)?;
        fs::rename(&temporary, &path).map_err(failed)?;
        sync_directory(&self.path)?;
        match self.path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
            Some(parent) => sync_directory(parent),
            None => Ok(()),
        }?;
        self.end_beginning()
    }
}

fn size_bytes(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

const FORMAT: &str = "FORMAT";
const UNFINISHED: &str = "UNFINISHED";
const FORMAT_TEXT: &str = "haoyuan data folder";
const FORMAT_NUMBER: u32 = 1;
/// Half a second, then the folder is in use.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
