//! The commit thread and the sync thread: whatever has gathered meanwhile is the next group.
//!
//! ```text
//! commit thread   ring -> take the buffer -> cut and chain -> store.write --.   group n + 1
//!                                                                           |
//! sync thread     .--- groups that wait, as one <---------------------------'
//!                 '--> syncer.sync -> recent blocks -> horizon -> wakers        group n
//! ```
//!
//! There is no linger: while one group is synced the next one gathers and is written by itself. A
//! small group with nobody before it is synced by the commit thread: handing it over would cost more
//! than it saves.
//!
//! **Architecture invariant:** the horizon moves only after `Syncer::sync` has returned, and only to
//! the end of what was written before it began. An error of the store is fatal; no sync is tried
//! twice.

use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::block::{BLOCK_BYTES_MAX, BlockRef, Cutter};
use super::queue::{Buffer, Charged, Taken};
use super::store::{Store, Syncer};
use super::{JournalError, OnFatal, Shared};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::channel::{Receiver, Sender};

/// Groups that may wait for the sync thread, beside the one that is written and the one that is
/// synced. More would only make groups small: each costs a flush and a sync, whatever is in it.
pub(super) const GROUPS_MAX: usize = 0;

/// Blocks of a group that the commit thread syncs itself, when nobody is before it.
const INLINE_BLOCKS_MAX: usize = 1;

/// The commit thread's part.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Box<dyn Store>,
    pub(super) bell: Receiver<()>,
    pub(super) cutter: Cutter,
    pub(super) finisher: Arc<Finisher>,
    pub(super) groups: Sender<Group>,
}

/// What both threads use to make groups durable.
pub(super) struct Finisher {
    pub(super) shared: Arc<Shared>,
    pub(super) syncer: Mutex<Box<dyn Syncer>>,
    /// Groups that were handed over and are not durable yet.
    pub(super) waiting: AtomicUsize,
    pub(super) commit_delay: Duration,
    pub(super) commit_delay_block: Duration,
    pub(super) on_fatal: OnFatal,
}

/// What a look at the queue came to.
pub(super) enum Gathered {
    /// Records, which are written now.
    Group(Group),
    /// Nothing yet: wait to be rung.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

/// Blocks that are written and not durable yet.
pub(super) struct Group {
    blocks: Vec<BlockRef>,
    records: usize,
    charged: Charged,
    rolled: bool,
    started: Instant,
}

impl Writer {
    /// Writes until the journal is closed and drained, or a commit fails.
    pub(super) fn run(mut self) {
        let _guard = FailOnPanic(Arc::clone(&self.shared));
        if let Err(error) = self.write_all() {
            self.finisher.fail(&error);
        }
    }

    fn write_all(&mut self) -> Result<(), JournalError> {
        let mut buffer = Buffer::default();
        let mut wakers = Vec::new();
        loop {
            match self.take(&mut buffer)? {
                Gathered::Group(group) => self.hand_over(group, &mut wakers)?,
                Gathered::Nothing => {
                    if self.bell.recv().is_err() {
                        self.shared.queue.close();
                    }
                }
                Gathered::Closed => return Ok(()),
            }
            if self.shared.horizon.is_failed() {
                return Err(JournalError::Failed);
            }
        }
    }

    /// Takes what has gathered and writes it.
    pub(super) fn take(&mut self, buffer: &mut Buffer) -> Result<Gathered, JournalError> {
        Ok(match self.shared.queue.take(buffer) {
            Taken::Records => Gathered::Group(self.write(buffer)?),
            Taken::Nothing => Gathered::Nothing,
            Taken::Closed => Gathered::Closed,
        })
    }

    fn write(&mut self, buffer: &mut Buffer) -> Result<Group, JournalError> {
        let started = now();
        let mut blocks = Vec::new();
        for (time, payload) in buffer.records() {
            blocks.extend(self.cutter.push(time, payload));
        }
        blocks.extend(self.cutter.finish());
        let rolled = self.store.write(&blocks)?;
        let records = buffer.len();
        Ok(Group { blocks, records, charged: buffer.empty(), rolled, started })
    }

    fn hand_over(&self, group: Group, wakers: &mut Vec<Waker>) -> Result<(), JournalError> {
        let is_first = self.finisher.waiting.load(Ordering::Acquire) == 0;
        if is_first && group.blocks.len() <= INLINE_BLOCKS_MAX {
            return self.finisher.finish(&mut vec![group], wakers);
        }
        self.finisher.waiting.fetch_add(1, Ordering::AcqRel);
        self.groups.send(group).map_err(|_| JournalError::Failed)
    }
}

impl Finisher {
    /// The sync thread: syncs until the commit thread has ended, then closes the store.
    pub(super) fn run(&self, groups: &Receiver<Group>) {
        let _guard = FailOnPanic(Arc::clone(&self.shared));
        if let Err(error) = self.finish_all(groups) {
            self.fail(&error);
        }
    }

    fn finish_all(&self, groups: &Receiver<Group>) -> Result<(), JournalError> {
        let mut ready = Vec::new();
        let mut wakers = Vec::new();
        while let Ok(group) = groups.recv() {
            ready.push(group);
            ready.extend(groups.try_iter());
            let count = ready.len();
            self.finish(&mut ready, &mut wakers)?;
            self.waiting.fetch_sub(count, Ordering::AcqRel);
        }
        self.end()
    }

    /// Closes the store: everything was synced, or a commit failed.
    pub(super) fn end(&self) -> Result<(), JournalError> {
        if self.shared.horizon.is_failed() {
            return Ok(());
        }
        self.syncer.lock().close()?;
        self.shared.horizon.close();
        Ok(())
    }

    /// Makes groups durable and says so.
    pub(super) fn finish(
        &self,
        groups: &mut Vec<Group>,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), JournalError> {
        let rolled = groups.iter().any(|group| group.rolled);
        let Some(last) = groups.iter().rev().find_map(|group| group.blocks.last()) else {
            return Ok(());
        };
        let records = groups.iter().map(|group| group.records as u64).sum();
        // A slow disk is slow in its sync.
        let began = now();
        self.delay(groups);
        self.syncer.lock().sync(last, rolled)?;
        if self.shared.horizon.is_failed() {
            return Err(JournalError::Failed);
        }
        self.shared.counters.synced(records, began.elapsed());
        let durable = last.last;

        for group in groups.drain(..) {
            let bytes: usize = group.blocks.iter().map(|block| block.bytes.len()).sum();
            self.shared.counters.committed(
                group.records as u64,
                group.blocks.len() as u64,
                bytes as u64,
                group.started.elapsed(),
            );
            self.shared.recent.extend(group.blocks.into_iter());
            self.shared.queue.give_back(group.charged);
        }
        self.shared.horizon.publish(durable, wakers);
        Ok(())
    }

    /// Tells the node, then the waiters: the process should end before anybody hears of it.
    pub(super) fn fail(&self, error: &JournalError) {
        // Whoever failed before has said so.
        if !matches!(error, JournalError::Failed) {
            (self.on_fatal)(error);
        }
        self.shared.horizon.fail();
    }

    /// A slower disk, for tests of overload: so long for each commit, and for each block's bytes.
    fn delay(&self, groups: &[Group]) {
        let blocks = groups.iter().flat_map(|group| &group.blocks);
        let bytes: u64 = blocks.map(|block| block.bytes.len() as u64).sum();
        let nanos =
            self.commit_delay_block.as_nanos() * u128::from(bytes) / BLOCK_BYTES_MAX as u128;
        let rest = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let delay = self.commit_delay.saturating_add(rest);
        if !delay.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "an injected fault, on its own thread")]
            thread::sleep(delay);
        }
    }
}

/// Waiters must not hang when a thread of the journal dies of a bug.
struct FailOnPanic(Arc<Shared>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.horizon.fail();
        }
    }
}

/// How long commits take is measured, not decided on.
#[expect(clippy::disallowed_methods, reason = "a stopwatch, not a source of time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(all(test, haoyuan_loom))]
#[path = "writer_loom.rs"]
mod loom;
