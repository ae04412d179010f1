//! A store in memory that can lose its unsynced tail, tear a write, fail a sync and stand still.
//!
//! **Architecture invariant:** what `crash` returns is what a disk could hold at that instant, no
//! more: the synced blocks, and of the unsynced ones at most a torn piece.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::block::{Block, BlockRef};
use super::chain::Tail;
use super::store::{Page, ReadStore, Store, Syncer};
use super::{JournalError, ReadError, Sequence};

/// The writing side. See the module.
#[derive(Debug)]
pub struct MemoryStore {
    medium: MemoryMedium,
}

/// The medium under a [`MemoryStore`]: a test keeps it to inject faults and to look at what is left
/// after the journal died.
#[derive(Clone, Debug, Default)]
pub struct MemoryMedium {
    inner: Arc<Inner>,
}

/// What a crash left.
#[derive(Clone, Debug, Default)]
pub struct MemoryImage {
    /// The blocks, the last of which may be torn.
    pub blocks: Vec<Arc<[u8]>>,
    /// The last record that was acknowledged: the high-water mark.
    pub acknowledged: Sequence,
    origin: Tail,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    origin: Tail,
    blocks: Vec<BlockRef>,
    synced: usize,
    syncs: u64,
    fail_sync: Option<u64>,
    is_held: bool,
    /// Whether a sync waits for the end of a hold.
    is_waiting: bool,
}

impl MemoryStore {
    /// A store on a medium.
    pub fn new(medium: &MemoryMedium) -> Self {
        Self { medium: medium.clone() }
    }

    /// What a start makes of an image: verifies it, and cuts a damaged tail that was never
    /// acknowledged. The flag says whether something was cut.
    pub fn reopen(image: &MemoryImage) -> Result<(Self, Tail, bool), JournalError> {
        let mut tail = image.origin;
        let mut blocks = Vec::new();
        let mut is_cut = false;
        for bytes in &image.blocks {
            match tail.accept(bytes) {
                Ok(block) => blocks.push(refer(&block, &tail, bytes)),
                Err(damage) if tail.next_sequence <= image.acknowledged => {
                    return Err(JournalError::damaged(damage.to_string()));
                }
                Err(_) => {
                    is_cut = true;
                    break;
                }
            }
        }
        if tail.last_sequence() < image.acknowledged {
            return Err(JournalError::Shortened {
                found: tail.last_sequence(),
                expected: image.acknowledged,
                instruction: super::error::RESTORE.to_owned(),
            });
        }

        let synced = blocks.len();
        let state = State { origin: image.origin, blocks, synced, ..State::default() };
        let inner = Inner { state: Mutex::new(state), ..Inner::default() };
        Ok((Self { medium: MemoryMedium { inner: Arc::new(inner) } }, tail, is_cut))
    }

    /// The medium under it.
    pub fn medium(&self) -> MemoryMedium {
        self.medium.clone()
    }
}

impl MemoryMedium {
    /// Makes the `nth` sync from now fail, counted from 1.
    pub fn fail_sync(&self, nth: u64) {
        let mut state = self.inner.state.lock();
        state.fail_sync = Some(state.syncs + nth);
    }

    /// Lets commits write but not sync, until [`resume`](Self::resume).
    pub fn hold(&self) {
        self.inner.state.lock().is_held = true;
    }

    /// Ends a [`hold`](Self::hold).
    pub fn resume(&self) {
        self.inner.state.lock().is_held = false;
        self.inner.moved.notify_all();
    }

    /// Waits until a sync has begun and is held: its blocks are written and not safe.
    pub fn wait_syncing(&self) {
        let mut state = self.inner.state.lock();
        while !state.is_waiting {
            self.inner.moved.wait(&mut state);
        }
    }

    /// What is left after a loss of power now: everything unsynced is gone.
    pub fn crash(&self) -> MemoryImage {
        let state = self.inner.state.lock();
        let synced = state.blocks.get(..state.synced).unwrap_or_default();
        MemoryImage {
            blocks: synced.iter().map(|block| Arc::clone(&block.bytes)).collect(),
            acknowledged: synced.last().map_or_else(|| state.origin.last_sequence(), |b| b.last),
            origin: state.origin,
        }
    }

    /// As [`crash`](Self::crash), but half of the first unsynced block reached the disk.
    pub fn crash_torn(&self) -> MemoryImage {
        let mut image = self.crash();
        let state = self.inner.state.lock();
        if let Some(block) = state.blocks.get(state.synced) {
            let half = block.bytes.len() / 2;
            image.blocks.push(block.bytes.iter().copied().take(half).collect());
        }
        image
    }
}

impl Store for MemoryStore {
    fn write(&mut self, blocks: &[BlockRef]) -> Result<bool, JournalError> {
        let mut state = self.medium.inner.state.lock();
        state.blocks.extend_from_slice(blocks);
        Ok(false)
    }

    fn reader(&self) -> Arc<dyn ReadStore> {
        Arc::new(self.medium.clone())
    }

    fn syncer(&mut self) -> Result<Box<dyn Syncer>, JournalError> {
        Ok(Box::new(self.medium.clone()))
    }
}

impl Syncer for MemoryMedium {
    /// Makes no more durable than it was asked for, so that a crash loses all that it may lose.
    fn sync(&mut self, last: &BlockRef, _rolled: bool) -> Result<(), JournalError> {
        let mut state = self.inner.state.lock();
        while state.is_held {
            state.is_waiting = true;
            self.inner.moved.notify_all();
            self.inner.moved.wait(&mut state);
        }
        state.is_waiting = false;
        state.syncs += 1;
        if state.fail_sync == Some(state.syncs) {
            return Err(JournalError::Store { what: "sync", detail: "injected".to_owned() });
        }
        state.synced = state.blocks.partition_point(|block| block.last <= last.last);
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

impl ReadStore for MemoryMedium {
    fn read(&self, from: Sequence, through: Sequence, bytes_max: usize) -> Result<Page, ReadError> {
        let state = self.inner.state.lock();
        let oldest = state.origin.next_sequence;
        if from < oldest {
            return Err(ReadError::Gone { oldest });
        }
        let start = state.blocks.partition_point(|block| block.last < from);
        let mut bytes = 0;
        let mut page = Vec::new();
        for block in state.blocks.iter().skip(start).take_while(|block| block.last <= through) {
            bytes += block.bytes.len();
            if !page.is_empty() && bytes_max < bytes {
                break;
            }
            page.push(Arc::clone(&block.bytes));
        }
        Ok(Page::new(from, page))
    }

    fn oldest(&self) -> Sequence {
        self.inner.state.lock().origin.next_sequence
    }

    fn prune(&self, below: Sequence) -> Result<u64, JournalError> {
        let mut state = self.inner.state.lock();
        let synced = state.blocks.get(..state.synced).unwrap_or_default();
        let count = synced.partition_point(|block| block.last < below);
        let Some(last) = count.checked_sub(1).and_then(|index| state.blocks.get(index)) else {
            return Ok(0);
        };
        state.origin = Tail {
            next_sequence: last.last.next(),
            last_chain: last.chain,
            last_time: last.latest,
        };
        state.blocks.drain(..count);
        state.synced -= count;
        Ok(1)
    }
}

fn refer(block: &Block<'_>, tail: &Tail, bytes: &Arc<[u8]>) -> BlockRef {
    BlockRef {
        first: block.first(),
        last: block.last(),
        latest: tail.last_time,
        chain: block.chain(),
        bytes: Arc::clone(bytes),
    }
}
