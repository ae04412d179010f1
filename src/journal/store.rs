//! The seam between the journal and what keeps its blocks.
//!
//! ```text
//! commit thread   Store::write(group n + 1)       the blocks are in the store, not yet safe
//! sync thread     Syncer::sync(group n)           now they are
//! ```
//!
//! **Architecture invariant:** a store knows blocks, not records' meaning. `sync` returns only when
//! a crash can no longer take the blocks away (as far as the [`Durability`] says so).

use std::sync::Arc;

use super::block::{Block, BlockRef, Records};
use super::{JournalError, ReadError, Sequence, Timestamp};

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process and a loss of power.
    #[default]
    Commit,
    /// Nothing but an orderly close: for measurements, and for replays that can start again.
    None,
}

/// The writing side of a store. The commit thread owns it.
pub trait Store: Send {
    /// Adds blocks that continue the log. They are not durable before a [`Syncer::sync`] that
    /// begins after this returns. After an error the store must not be used again: what it holds
    /// is unknown. Says whether a new generation began.
    fn write(&mut self, blocks: &[BlockRef]) -> Result<bool, JournalError>;

    /// The reading side, for other threads.
    fn reader(&self) -> Arc<dyn ReadStore>;

    /// The side that makes blocks durable, to be used by one thread at a time. Asked for once.
    fn syncer(&mut self) -> Result<Box<dyn Syncer>, JournalError>;
}

/// The side of a store that makes blocks durable, while others are written.
pub trait Syncer: Send {
    /// Makes every block durable that was written before, the last of which is `last`. `rolled`
    /// says that a new generation began among them. An error is final: no sync is tried twice.
    fn sync(&mut self, last: &BlockRef, rolled: bool) -> Result<(), JournalError>;

    /// Makes everything durable, whatever the [`Durability`].
    fn close(&mut self) -> Result<(), JournalError>;
}

/// The reading and pruning side of a store. Used beside a running commit.
pub trait ReadStore: Send + Sync {
    /// Blocks from the one that holds `from` on, none that ends after `through`, until they are
    /// `bytes_max` together; at least one if there is one.
    fn read(&self, from: Sequence, through: Sequence, bytes_max: usize) -> Result<Page, ReadError>;

    /// The oldest record that can be read; the next one to come, if there is none.
    fn oldest(&self) -> Sequence;

    /// Drops whole generations of blocks whose records are all below `below`, and says how many.
    /// Whatever is dropped was archived first.
    fn prune(&self, below: Sequence) -> Result<u64, JournalError>;
}

/// Some consecutive blocks, read from a record on.
#[derive(Clone, Debug)]
pub struct Page {
    from: Sequence,
    blocks: Vec<Arc<[u8]>>,
}

impl Page {
    /// A page of blocks that follow each other.
    pub fn new(from: Sequence, blocks: Vec<Arc<[u8]>>) -> Self {
        Self { from, blocks }
    }

    /// The records from the requested one on.
    pub fn records(&self) -> impl Iterator<Item = (Sequence, Timestamp, &[u8])> {
        let from = self.from;
        self.blocks.iter().flat_map(|bytes| records(bytes)).filter(move |record| from <= record.0)
    }

    /// Where the next page starts: where this one started, if it is empty.
    pub fn next(&self) -> Sequence {
        let last = self.blocks.last().and_then(|bytes| Block::parse(bytes).ok());
        last.map_or(self.from, |block| block.last().next())
    }

    /// Whether there is no block in it.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The blocks, verbatim.
    pub fn blocks(&self) -> &[Arc<[u8]>] {
        &self.blocks
    }
}

/// The records of a block that was verified before; none, should it not parse.
fn records(bytes: &[u8]) -> impl Iterator<Item = <Records<'_> as Iterator>::Item> {
    Block::parse(bytes).into_iter().flat_map(|block| block.records())
}
