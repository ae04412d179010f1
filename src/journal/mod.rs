//! The journal: numbers records, commits them in groups, and says how far they are durable.
//!
//! ```text
//!             under shard locks       commit thread              sync thread
//! reserve -> append -> queue ==swap==> cut, chain, write -> sync -> horizon -> replies released
//!                                                   |                `-----> recent blocks
//!                                                   `-> sled, or memory in tests
//! ```
//!
//! A record is opaque here: bytes with a time. Its number is its place in the log.
//!
//! **Architecture invariant:** nothing here knows what a fact is. The hand-over (`block`, `queue`,
//! `horizon`, `writer`) touches no file and builds without the node; only `sled` names sled.

#[cfg(any(feature = "node", fuzzing))]
mod archive;
#[cfg(feature = "node")]
pub mod backup;
mod block;
mod chain;
mod error;
#[cfg(any(feature = "node", fuzzing))]
mod files;
#[cfg(feature = "node")]
mod folder;
mod hand;
mod horizon;
#[cfg(any(feature = "node", fuzzing))]
mod mark;
mod memory;
#[cfg(fuzzing)]
pub mod probe;
mod queue;
mod recent;
#[cfg(feature = "node")]
mod recover;
#[cfg(feature = "node")]
mod sled;
#[cfg(any(feature = "node", fuzzing))]
mod snapshot;
mod stats;
mod store;
mod writer;

#[cfg(test)]
#[cfg(feature = "node")]
mod folder_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[cfg(any(feature = "node", fuzzing))]
pub use self::archive::Retention;
pub use self::block::{
    BLOCK_BYTES_MAX, Block, BlockRef, Chain, GENESIS, Malformed, RECORD_BYTES_MAX, Records,
};
pub use self::chain::{Damage, Tail};
pub use self::error::{JournalError, ReadError};
#[cfg(feature = "node")]
pub use self::folder::{DataFolder, FolderOptions, KEYS, Opened};
pub use self::hand::Hand;
pub use self::memory::{MemoryImage, MemoryMedium, MemoryStore};
pub use self::queue::{Lane, Permit, QUEUE_BYTES_MAX, UPKEEP_BYTES_MAX};
#[cfg(feature = "node")]
pub use self::recover::Log;
#[cfg(feature = "node")]
pub use self::sled::{SledStore, is_opening_store};
#[cfg(any(feature = "node", fuzzing))]
pub use self::snapshot::{SECTION_BYTES_MAX, Section, SnapshotReader, SnapshotWriter, Snapshots};
pub use self::stats::{COMMIT_BUCKETS, JournalStats};
pub use self::store::{Durability, Page, ReadStore, Store, Syncer};

use crate::model::{Sequence, Timestamp};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::channel::{Receiver, Sender, bounded};

use self::block::Cutter;
use self::horizon::Horizon;
use self::queue::Queue;
use self::recent::Recent;
use self::stats::Counters;
use self::writer::{Finisher, GROUPS_MAX, Group, Writer};

/// Blocks of a tree of the log, unless the configuration says otherwise.
pub const BLOCKS_PER_TREE: u32 = 2_000;

/// Called once, when a commit failed or a pruning found damage, on the thread that met it. The
/// node ends the process in it.
pub type OnFatal = Arc<dyn Fn(&JournalError) + Send + Sync>;

/// What a journal may use.
#[derive(Clone, Copy, Debug)]
pub struct JournalConfig {
    /// Bytes of records that requests may have waiting. At least one largest record, default
    /// [`QUEUE_BYTES_MAX`]. More admits longer queues before `Overloaded`.
    pub request_bytes_max: u64,
    /// The same for upkeep. Default [`UPKEEP_BYTES_MAX`].
    pub upkeep_bytes_max: u64,
    /// Bytes of committed blocks kept in memory for subscribers, default 16 MiB. Less sends slow
    /// subscribers to the disk sooner.
    pub recent_bytes_max: usize,
    /// Added to every commit, default zero. For tests of overload.
    pub commit_delay: Duration,
    /// Added to every commit for each 7,000 bytes of it, default zero: a disk that is slow at
    /// writing, as [`commit_delay`](Self::commit_delay) is one that is slow at syncing.
    pub commit_delay_block: Duration,
}

/// A running journal. Clones are handles to the same one; the last one dropped closes it.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            request_bytes_max: QUEUE_BYTES_MAX,
            upkeep_bytes_max: UPKEEP_BYTES_MAX,
            recent_bytes_max: 16 << 20,
            commit_delay: Duration::ZERO,
            commit_delay_block: Duration::ZERO,
        }
    }
}

impl Journal {
    /// Starts the commit and sync threads on a store whose log ends at `tail`.
    ///
    /// # Panics
    ///
    /// Panics if the operating system has no thread left.
    pub fn start(
        store: Box<dyn Store>,
        tail: Tail,
        config: JournalConfig,
        on_fatal: OnFatal,
    ) -> Self {
        let (journal, writer, written) = Self::assemble(store, tail, config, on_fatal);
        let finisher = Arc::clone(&writer.finisher);
        // The sync thread ends when the commit thread has: joining it waits for both.
        spawn("journal-commit", move || writer.run());
        let commits = spawn("journal-sync", move || finisher.run(&written));
        *journal.handle.commits.lock() = Some(commits);
        journal
    }

    /// A journal without threads: the caller's [`Hand`] does their work, step by step. For
    /// simulations, where one thread decides what happens when. Nothing may wait for it.
    ///
    /// # Panics
    ///
    /// Panics if the store refuses its syncing side.
    pub fn by_hand(
        store: Box<dyn Store>,
        tail: Tail,
        config: JournalConfig,
        on_fatal: OnFatal,
    ) -> (Self, Hand) {
        let (journal, writer, _) = Self::assemble(store, tail, config, on_fatal);
        let reader = Arc::clone(&journal.handle.reader);
        (journal, Hand::new(writer, reader))
    }

    /// The parts, before anything drives them.
    fn assemble(
        mut store: Box<dyn Store>,
        tail: Tail,
        config: JournalConfig,
        on_fatal: OnFatal,
    ) -> (Self, Writer, Receiver<Group>) {
        let next = tail.next_sequence;
        let shared = Arc::new(Shared {
            queue: Queue::new(next, config.request_bytes_max, config.upkeep_bytes_max),
            horizon: Horizon::new(tail.last_sequence()),
            recent: Recent::new(config.recent_bytes_max),
            counters: Counters::default(),
        });
        let reader = store.reader();
        let syncer = store.syncer().expect("a store that was just opened has its syncing side");
        let (ring, bell) = bounded(1);
        let (groups, written) = bounded(GROUPS_MAX);
        let finisher = Arc::new(Finisher {
            shared: Arc::clone(&shared),
            syncer: Mutex::new(syncer),
            waiting: AtomicUsize::new(0),
            commit_delay: config.commit_delay,
            commit_delay_block: config.commit_delay_block,
            on_fatal: Arc::clone(&on_fatal),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            store,
            bell,
            cutter: Cutter::new(next, tail.last_time, tail.last_chain),
            finisher,
            groups,
        };
        let (commits, prune) = (Mutex::default(), Mutex::default());
        let handle = Handle { shared, reader, ring, on_fatal, commits, prune };
        (Self { handle: Arc::new(handle) }, writer, written)
    }

    /// Room for one record, or `None` when too much waits for the disk: answer `Overloaded`.
    /// Call it before any lock is taken.
    pub fn reserve(&self, lane: Lane) -> Option<Permit<'_>> {
        self.shared().queue.reserve(lane)
    }

    /// Appends what `encode` adds to the buffer as the next record. Touches memory only, and rings
    /// the commit thread if it sleeps. Call it under the locks of all shards that the record is
    /// about.
    ///
    /// # Panics
    ///
    /// Panics if the record is over [`RECORD_BYTES_MAX`], or the permit is of another journal.
    pub fn append(
        &self,
        permit: Permit<'_>,
        time: Timestamp,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Sequence {
        let appended = self.shared().queue.append(permit, time, encode);
        if appended.must_ring {
            // A full channel means that the thread is rung already.
            let _rung = self.handle.ring.try_send(());
        }
        appended.sequence
    }

    /// The last record appended, 0 before the first.
    pub fn appended(&self) -> Sequence {
        self.shared().queue.appended()
    }

    /// The last record that is durable, 0 before the first.
    pub fn durable(&self) -> Sequence {
        self.shared().horizon.durable()
    }

    /// Whether a commit failed. Nothing becomes durable any more.
    pub fn is_failed(&self) -> bool {
        self.shared().horizon.is_failed()
    }

    /// Has the waker called once, when more is durable or the journal ends. Register first, then
    /// look at [`durable`](Self::durable) again.
    pub fn register(&self, waker: &Waker) {
        self.shared().horizon.register(waker);
    }

    /// Blocks this thread until a record is durable.
    pub fn wait_durable(&self, sequence: Sequence) -> Result<(), JournalError> {
        self.shared().horizon.wait(sequence)
    }

    /// Durable blocks from the one that holds `from` on, `bytes_max` together but at least one.
    /// Empty at the end of the log.
    pub fn read(&self, from: Sequence, bytes_max: usize) -> Result<Page, ReadError> {
        let durable = self.durable();
        match self.shared().recent.read(from, bytes_max) {
            Some(page) => Ok(page),
            None => self.handle.reader.read(from, durable, bytes_max),
        }
    }

    /// The oldest record that [`read`](Self::read) reaches.
    pub fn oldest(&self) -> Sequence {
        self.handle.reader.oldest()
    }

    /// Starts to archive and drop what lies wholly below a record and is durable, on a thread of
    /// its own. Says whether it started: it does not while an earlier one runs.
    pub fn prune(&self, below: Sequence) -> bool {
        let mut prune = self.handle.prune.lock();
        if prune.as_ref().is_some_and(|running| !running.is_finished()) {
            return false;
        }
        let below = below.min(self.durable().next());
        let (shared, reader) = (Arc::clone(self.shared()), Arc::clone(&self.handle.reader));
        let on_fatal = Arc::clone(&self.handle.on_fatal);
        *prune =
            Some(spawn("journal-prune", move || run_prune(&shared, &*reader, below, &on_fatal)));
        true
    }

    /// Waits until no pruning runs.
    pub fn wait_pruned(&self) {
        let running = self.handle.prune.lock().take();
        join(running);
    }

    /// The counters so far.
    pub fn stats(&self) -> JournalStats {
        let Shared { queue, counters, .. } = &**self.shared();
        JournalStats {
            request_bytes: queue.used_bytes(Lane::Request),
            upkeep_bytes: queue.used_bytes(Lane::Upkeep),
            ..counters.read()
        }
    }

    /// Commits all that was appended, closes the store, and waits for its threads to end.
    /// What is appended later never becomes durable. The data folder stays locked until the last
    /// handle is dropped.
    pub fn close(&self) -> Result<(), JournalError> {
        self.handle.close();
        if self.is_failed() { Err(JournalError::Failed) } else { Ok(()) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Journal")
            .field("appended", &self.appended())
            .field("durable", &self.durable())
            .finish_non_exhaustive()
    }
}

/// What the commit thread and the handles share.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    horizon: Horizon,
    recent: Recent,
    counters: Counters,
}

struct Handle {
    shared: Arc<Shared>,
    reader: Arc<dyn ReadStore>,
    ring: Sender<()>,
    on_fatal: OnFatal,
    commits: Mutex<Thread>,
    prune: Mutex<Thread>,
}

/// A thread until it is joined.
type Thread = Option<JoinHandle<()>>;

impl Handle {
    fn close(&self) {
        self.shared.queue.close();
        let _rung = self.ring.try_send(());
        let prune = self.prune.lock().take();
        join(prune);
        let commits = self.commits.lock().take();
        join(commits);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

fn run_prune(shared: &Shared, reader: &dyn ReadStore, below: Sequence, on_fatal: &OnFatal) {
    match reader.prune(below) {
        Ok(trees) => {
            shared.counters.pruned_trees.fetch_add(trees, Ordering::Relaxed);
        }
        // What the commit thread relies on is unknown, or what was acknowledged is damaged.
        Err(error @ (JournalError::Store { .. } | JournalError::Damaged { .. })) => {
            shared.horizon.fail();
            on_fatal(&error);
        }
        Err(error) => {
            shared.counters.prune_failures.fetch_add(1, Ordering::Relaxed);
            warn(&format!("nothing is lost, but the journal was not pruned: {error}"));
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("the system has a thread left")
}

fn join(running: Thread) {
    // The last handle may go on the very thread that it would wait for.
    if let Some(running) = running
        && running.thread().id() != thread::current().id()
    {
        // A panic was reported by its hook, and told to the waiters by the guard.
        let _panicked = running.join();
    }
}

/// Tells the operator, where there is one.
fn warn(message: &str) {
    #[cfg(feature = "node")]
    tracing::warn!("{message}");
    #[cfg(not(feature = "node"))]
    let _: &str = message;
}
