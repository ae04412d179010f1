//! The store on sled, the only file that names it.
//!
//! ```text
//! store/db   tree "log-<base>": big-endian sequence -> block      one tree per 2,000 blocks
//!            tree "log-<base>": ...
//!            default tree: "origin" -> where the oldest tree starts, and the chain before it
//! ```
//!
//! sled 0.34.7 is used around its traps: `flush` is not a sync, so a sync of our own follows; large
//! values become blob files that are never synced, so blocks stay small and `blobs/` must stay
//! empty; space comes back by dropping whole trees only; and damage mostly shows as a panic in
//! open or as a log that is silently shorter, so open runs guarded and the mark has the last word.
//!
//! **Architecture invariant:** a commit is acknowledged only after `flush`, `sync_data` on the
//! file, and the mark, in this order.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::archive::{self, Retention};
use super::block::{Block, BlockRef, short_hash};
use super::chain::Tail;
use super::error::RESTORE;
use super::files::{names, sync_directory, sync_file};
use super::mark::{Mark, MarkFile};
use super::store::{Durability, Page, ReadStore, Store, Syncer};
use super::writer::now;
use super::{JournalError, ReadError, Sequence, Timestamp};

/// The writing side of the store of a data folder.
#[derive(Debug)]
pub struct SledStore {
    log: Arc<SledLog>,
    current: Option<Current>,
    blocks_per_tree: u32,
    /// Until the journal takes it.
    syncer: Option<SledSyncer>,
}

/// The side that makes blocks durable: sled's flush, our own sync, the mark.
#[derive(Debug)]
struct SledSyncer {
    log: Arc<SledLog>,
    data: File,
    mark: MarkFile,
    last: Mark,
    durability: Durability,
}

/// The reading and pruning side.
#[derive(Debug)]
pub(super) struct SledLog {
    db: sled::Db,
    store: PathBuf,
    archive: PathBuf,
    retention: Retention,
    generations: RwLock<BTreeMap<u64, Arc<Generation>>>,
    /// Where the oldest kept tree starts.
    origin: RwLock<Tail>,
    /// Serializes prunings.
    pruning: Mutex<()>,
    /// Keeps other processes out for as long as the store is open.
    _lock: Arc<File>,
}

/// Where a store lies, and who guards it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) store: PathBuf,
    pub(super) archive: PathBuf,
    pub(super) retention: Retention,
    pub(super) cache_bytes: u64,
    pub(super) lock: Arc<File>,
}

/// A tree of blocks.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) base: u64,
    tree: sled::Tree,
    /// Whether the tree was dropped. Readers hold it shared while they read: sled frees the pages
    /// of a dropped tree under whoever is still in it.
    is_dropped: RwLock<bool>,
}

#[derive(Debug)]
struct Current {
    generation: Arc<Generation>,
    blocks: u32,
}

/// Whether this thread is inside sled's open or first scan, where a panic means damage and is
/// turned into an error. The node's panic hook must not end the process then.
pub fn is_opening_store() -> bool {
    IS_OPENING.get()
}

/// Runs what may panic on damaged files.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let outer = IS_OPENING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    IS_OPENING.set(outer);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        // sled unwraps some answers of the system; this is how such an error is printed.
        if text.contains("Os { code: ") {
            return Err(JournalError::Store { what: "open", detail: text.to_owned() });
        }
        Err(JournalError::damaged(format!("the store cannot be read, sled gave up ({text})")))
    })
}

impl SledLog {
    /// Opens sled. What its trees hold is not verified yet.
    pub(super) fn open(place: Place) -> Result<Self, JournalError> {
        prepare(&place.store)?;
        guarded(|| Self::open_prepared(place))
    }

    fn open_prepared(place: Place) -> Result<Self, JournalError> {
        let config = sled::Config::new()
            .path(&place.store)
            .cache_capacity(place.cache_bytes)
            .flush_every_ms(None);
        let db = open_once_free(&config).map_err(|error| unreadable(&error))?;
        for name in ["db", "conf"] {
            sync_file(&place.store.join(name))?;
        }
        sync_directory(&place.store)?;
        check_blobs(&place.store)?;

        let origin = read_origin(&db)?.unwrap_or_default();
        let mut generations = BTreeMap::new();
        for name in db.tree_names() {
            if let Some(base) = base_of(&name) {
                generations.insert(base, Arc::new(Generation::open(&db, base)?));
            }
        }
        Ok(Self {
            db,
            store: place.store,
            archive: place.archive,
            retention: place.retention,
            generations: RwLock::new(generations),
            origin: RwLock::new(origin),
            pruning: Mutex::default(),
            _lock: place.lock,
        })
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.store
    }

    /// Where the oldest kept tree starts.
    pub(super) fn origin(&self) -> Tail {
        *self.origin.read()
    }

    /// The trees in order.
    pub(super) fn generations(&self) -> Vec<Arc<Generation>> {
        self.generations.read().values().cloned().collect()
    }

    /// Drops a tree.
    pub(super) fn drop_generation(&self, generation: &Generation) -> Result<(), JournalError> {
        self.generations.write().remove(&generation.base);
        *generation.is_dropped.write() = true;
        let dropped = self.db.drop_tree(tree_name(generation.base));
        dropped.map(|_| ()).map_err(|error| failed("drop a tree", &error))
    }

    /// Makes everything so far durable.
    pub(super) fn sync(&self, data: &File) -> Result<(), JournalError> {
        self.db.flush().map_err(|error| failed("flush", &error))?;
        let synced = data.sync_data();
        synced.map_err(|error| JournalError::Store { what: "sync", detail: error.to_string() })
    }

    /// A file handle of our own on sled's data, for syncs.
    pub(super) fn data_file(&self) -> Result<File, JournalError> {
        let path = self.store.join("db");
        let opened = File::options().read(true).write(true).open(&path);
        opened.map_err(|error| JournalError::io("open", &path, error))
    }

    /// The tree that a record is in, if it is in one.
    fn generation_of(&self, sequence: Sequence) -> Option<Arc<Generation>> {
        self.generations.read().range(..=sequence.0).next_back().map(|(_, found)| Arc::clone(found))
    }

    /// The tree after one.
    fn generation_after(&self, base: u64) -> Option<Arc<Generation>> {
        let generations = self.generations.read();
        let after = (Bound::Excluded(base), Bound::Unbounded);
        generations.range(after).next().map(|(_, found)| Arc::clone(found))
    }

    /// Archives and drops the oldest tree, if all its records are below `below`.
    fn prune_oldest(&self, below: Sequence) -> Result<bool, JournalError> {
        let Some(oldest) = self.generation_of(self.oldest()) else { return Ok(false) };
        let is_below = |next: Arc<Generation>| next.base <= below.0;
        if !self.generation_after(oldest.base).is_some_and(is_below) {
            return Ok(false);
        }

        tracing::debug!(base = oldest.base, "pruning a tree");
        let tail = self.archive_tree(&oldest)?;
        archive::retain(&self.archive, self.retention)?;
        self.move_origin(tail)?;
        self.drop_generation(&oldest)?;
        tracing::debug!(base = oldest.base, "the tree is pruned");
        Ok(true)
    }

    /// Says where the log starts, durably.
    pub(super) fn move_origin(&self, tail: Tail) -> Result<(), JournalError> {
        self.db.insert(ORIGIN, encode_origin(&tail)).map_err(|e| failed("move the origin", &e))?;
        self.sync(&self.data_file()?)?;
        *self.origin.write() = tail;
        Ok(())
    }

    /// Exports the oldest tree. Says where the log starts without it.
    fn archive_tree(&self, oldest: &Generation) -> Result<Tail, JournalError> {
        let mut tail = self.origin();
        archive::write(&self.archive, &mut tail, oldest.blocks())?;
        Ok(tail)
    }
}

/// What a damaged disk, or a crash in the middle of a pruning, would leave.
#[cfg(test)]
impl SledLog {
    /// Changes, adds or removes the block that starts with a record.
    pub(super) fn tamper(
        &self,
        first: u64,
        change: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) {
        let generation = self.generation_of(Sequence(first)).unwrap();
        let old = generation.tree.get(key(first)).unwrap().map(|value| value.to_vec());
        match change(old) {
            Some(new) => drop(generation.tree.insert(key(first), new).unwrap()),
            None => drop(generation.tree.remove(key(first)).unwrap()),
        }
        self.sync(&self.data_file().unwrap()).unwrap();
    }

    /// Prunes the oldest tree up to the archive, or up to the origin.
    pub(super) fn prune_half(&self, with_origin: bool) {
        let tail = self.archive_tree(&self.generations()[0]).unwrap();
        if with_origin {
            self.db.insert(ORIGIN, encode_origin(&tail)).unwrap();
        }
        self.sync(&self.data_file().unwrap()).unwrap();
    }
}

impl Generation {
    fn open(db: &sled::Db, base: u64) -> Result<Self, JournalError> {
        let tree = db.open_tree(tree_name(base)).map_err(|error| failed("open a tree", &error))?;
        Ok(Self { base, tree, is_dropped: RwLock::new(false) })
    }

    /// Its blocks in order.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Result<sled::IVec, JournalError>> {
        self.tree.iter().values().map(|value| value.map_err(read_failed))
    }

    /// Its keys and blocks, from the block that holds a record on.
    pub(super) fn entries_from(
        &self,
        from: Sequence,
    ) -> Result<impl Iterator<Item = Result<(sled::IVec, sled::IVec), JournalError>>, JournalError>
    {
        let after = key(from.next().0);
        let start = self.tree.get_lt(after).map_err(read_failed)?;
        let start = start.map_or_else(|| sled::IVec::from(&[]), |(key, _)| key);
        Ok(self.tree.range(start..).map(|entry| entry.map_err(read_failed)))
    }

    /// Removes blocks from one on, in one tree: the damaged tail of a log.
    pub(super) fn cut_from(&self, from: &[u8]) -> Result<(), JournalError> {
        let rest: Vec<_> =
            self.tree.range(from..).keys().collect::<Result<_, _>>().map_err(read_failed)?;
        for key in rest {
            self.tree.remove(key).map_err(|error| failed("remove", &error))?;
        }
        Ok(())
    }

    /// Adds blocks to a page. Says whether the page may go on in the next tree.
    fn read(
        &self,
        from: Sequence,
        through: Sequence,
        page: &mut Vec<Arc<[u8]>>,
        bytes_left: &mut usize,
    ) -> Result<bool, JournalError> {
        for entry in self.entries_from(from)? {
            let (_, value) = entry?;
            let block = Block::parse(&value);
            let block = block.map_err(|error| JournalError::damaged(error.to_string()))?;
            let is_enough = !page.is_empty() && *bytes_left < value.len();
            if through < block.last() || is_enough {
                return Ok(false);
            }
            if from <= block.last() {
                *bytes_left = bytes_left.saturating_sub(value.len());
                page.push(Arc::from(&*value));
            }
        }
        Ok(true)
    }
}

impl ReadStore for SledLog {
    fn read(
        &self,
        from: Sequence,
        through: Sequence,
        mut bytes_max: usize,
    ) -> Result<Page, ReadError> {
        let mut page = Vec::new();
        let mut next = self.generation_of(from);
        if from < self.oldest() {
            return Err(ReadError::Gone { oldest: self.oldest() });
        }
        while let Some(generation) = next {
            let is_dropped = generation.is_dropped.read();
            if *is_dropped {
                return Err(ReadError::Gone { oldest: self.oldest() });
            }
            if !generation.read(from, through, &mut page, &mut bytes_max)? {
                break;
            }
            next = self.generation_after(generation.base);
        }
        Ok(Page::new(from, page))
    }

    fn oldest(&self) -> Sequence {
        self.origin.read().next_sequence
    }

    fn prune(&self, below: Sequence) -> Result<u64, JournalError> {
        let _one_at_a_time = self.pruning.lock();
        let mut trees = 0;
        while self.prune_oldest(below)? {
            trees += 1;
        }
        Ok(trees)
    }
}

impl SledStore {
    /// A store that continues a verified log.
    pub(super) fn new(
        log: Arc<SledLog>,
        tail: &Tail,
        mark: MarkFile,
        durability: Durability,
        blocks_per_tree: u32,
    ) -> Result<Self, JournalError> {
        let last =
            Mark { last: tail.last_sequence(), latest: tail.last_time, chain: tail.last_chain };
        let current = log.generations().pop().map(|generation| Current {
            blocks: u32::try_from(generation.tree.len()).unwrap_or(u32::MAX),
            generation,
        });
        let data = log.data_file()?;
        let syncer = SledSyncer { log: Arc::clone(&log), data, mark, last, durability };
        Ok(Self { log, current, blocks_per_tree, syncer: Some(syncer) })
    }

    /// Adds a block. Says whether it opened a new tree.
    fn insert(&mut self, block: &BlockRef) -> Result<bool, JournalError> {
        let (mut current, rolled) = match self.current.take() {
            Some(current) if current.blocks < self.blocks_per_tree => (current, false),
            Some(_) | None => (self.roll(block.first.0)?, true),
        };
        let inserted = current.generation.tree.insert(key(block.first.0), &*block.bytes);
        inserted.map_err(|error| failed("write", &error))?;
        current.blocks += 1;
        self.current = Some(current);
        Ok(rolled)
    }

    fn roll(&self, base: u64) -> Result<Current, JournalError> {
        tracing::debug!(base, "rolling to a new tree");
        check_blobs(&self.log.store)?;
        let generation = Arc::new(Generation::open(&self.log.db, base)?);
        self.log.generations.write().insert(base, Arc::clone(&generation));
        Ok(Current { generation, blocks: 0 })
    }
}

impl Store for SledStore {
    fn write(&mut self, blocks: &[BlockRef]) -> Result<bool, JournalError> {
        let mut rolled = false;
        for block in blocks {
            rolled |= self.insert(block)?;
        }
        Ok(rolled)
    }

    fn reader(&self) -> Arc<dyn ReadStore> {
        Arc::<SledLog>::clone(&self.log)
    }

    fn syncer(&mut self) -> Result<Box<dyn Syncer>, JournalError> {
        let syncer = self.syncer.take().ok_or(JournalError::Closed)?;
        Ok(Box::new(syncer))
    }
}

impl Syncer for SledSyncer {
    fn sync(&mut self, last: &BlockRef, rolled: bool) -> Result<(), JournalError> {
        self.last = Mark { last: last.last, latest: last.latest, chain: last.chain };
        match self.durability {
            Durability::Commit => {
                self.log.sync(&self.data)?;
                self.mark.write(self.last, now(), rolled)?;
                if rolled {
                    tracing::debug!("the new tree is durable");
                }
                Ok(())
            }
            // A mark would promise what sled has not written.
            Durability::None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.log.sync(&self.data)?;
        self.mark.write(self.last, now(), true)
    }
}

/// Opens sled when its own lock is free. Our `LOCK` keeps other processes out, but the last of
/// sled's threads may hold its lock for a moment after a store of this process was closed.
fn open_once_free(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("acquire lock") => {
                #[expect(clippy::disallowed_methods, reason = "a start may wait a moment")]
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
    config.open()
}

/// A second, with 10 ms between two tries.
const LOCK_TRIES: u32 = 100;

/// Undoes what a crash may have left, before sled sees it.
fn prepare(store: &Path) -> Result<(), JournalError> {
    let failed = |error| JournalError::io("prepare", store, error);
    fs::create_dir_all(store).map_err(failed)?;
    for name in names(store)? {
        // A kill in sled's open leaves it, and the next open would take it for the newest.
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(store.join(name)).map_err(failed)?;
        } else if name == "db" {
            // sled syncs its own snapshot, but not what the snapshot points to.
            sync_file(&store.join(name))?;
        }
    }
    sync_directory(store)
}

/// Blob files are never synced: one would mean that an acknowledged block can be lost.
fn check_blobs(store: &Path) -> Result<(), JournalError> {
    match names(&store.join("blobs"))?.first() {
        None => Ok(()),
        Some(name) => Err(JournalError::Damaged {
            what: format!("sled moved a value into the file blobs/{name}, which it never syncs"),
            instruction: "stop using this folder, keep a copy, and report it as a bug".to_owned(),
        }),
    }
}

fn read_origin(db: &sled::Db) -> Result<Option<Tail>, JournalError> {
    let Some(value) = db.get(ORIGIN).map_err(read_failed)? else { return Ok(None) };
    let origin = decode_origin(&value);
    origin.map(Some).ok_or_else(|| JournalError::damaged("the start of the log is unreadable"))
}

/// Layout: next sequence u64, chain 16, latest time u64, first 16 bytes of blake3 over these.
fn encode_origin(tail: &Tail) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    bytes.extend_from_slice(&tail.next_sequence.0.to_le_bytes());
    bytes.extend_from_slice(&tail.last_chain);
    bytes.extend_from_slice(&tail.last_time.as_millis().to_le_bytes());
    let checksum = short_hash(blake3::Hasher::new().update(&bytes));
    bytes.extend_from_slice(&checksum);
    bytes
}

fn decode_origin(bytes: &[u8]) -> Option<Tail> {
    let (body, checksum) = bytes.split_last_chunk::<16>()?;
    let (next, rest) = body.split_first_chunk()?;
    let (chain, rest) = rest.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let is_sound = rest.is_empty() && short_hash(blake3::Hasher::new().update(body)) == *checksum;
    is_sound.then(|| Tail {
        next_sequence: Sequence(u64::from_le_bytes(*next)),
        last_chain: *chain,
        last_time: Timestamp::from_millis(u64::from_le_bytes(*time)),
    })
}

#[expect(clippy::big_endian_bytes, reason = "sled orders keys as bytes")]
fn key(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}

fn tree_name(base: u64) -> String {
    format!("log-{base:016x}")
}

fn base_of(name: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(name).ok()?.strip_prefix("log-")?;
    u64::from_str_radix(digits, 16).ok()
}

fn failed(what: &'static str, error: &sled::Error) -> JournalError {
    JournalError::Store { what, detail: error.to_string() }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn read_failed(error: sled::Error) -> JournalError {
    failed("read", &error)
}

/// The system's refusal says nothing about what is on the disk; anything else is damage.
fn unreadable(error: &sled::Error) -> JournalError {
    if let sled::Error::Io(system) = error
        && system.raw_os_error().is_some()
    {
        return failed("open", error);
    }
    JournalError::Damaged {
        what: format!("the store cannot be opened ({error})"),
        instruction: RESTORE.to_owned(),
    }
}

thread_local! {
    static IS_OPENING: Cell<bool> = const { Cell::new(false) };
}

const ORIGIN: &str = "origin";

#[cfg(test)]
#[path = "sled_tests.rs"]
mod tests;
