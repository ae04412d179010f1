//! The journal's two threads, turned by hand on the caller's one.
//!
//! ```text
//! write = one turn of the commit thread   take the buffer -> cut and chain -> store.write
//! sync  = one turn of the sync thread     syncer.sync -> recent blocks -> horizon -> wakers
//! ```
//!
//! **Architecture invariant:** nothing is done here that the threads do not do: each turn calls what
//! they call, and only the moment is the caller's choice.

use std::sync::Arc;
use std::task::Waker;

use super::queue::Buffer;
use super::store::ReadStore;
use super::writer::{Gathered, Group, Writer};
use super::{JournalError, Sequence, run_prune};

/// Drives a journal that was made [`by_hand`](super::Journal::by_hand).
pub struct Hand {
    writer: Writer,
    reader: Arc<dyn ReadStore>,
    buffer: Buffer,
    groups: Vec<Group>,
    wakers: Vec<Waker>,
    is_over: bool,
}

impl Hand {
    pub(super) fn new(writer: Writer, reader: Arc<dyn ReadStore>) -> Self {
        let (groups, wakers) = (Vec::new(), Vec::new());
        Self { writer, reader, buffer: Buffer::default(), groups, wakers, is_over: false }
    }

    /// Takes what has gathered and writes it. Says whether there was anything.
    pub fn write(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        match self.writer.take(&mut self.buffer) {
            Ok(Gathered::Group(group)) => {
                self.groups.push(group);
                true
            }
            Ok(Gathered::Nothing | Gathered::Closed) => false,
            Err(error) => {
                self.fail(&error);
                true
            }
        }
    }

    /// Makes the oldest `count` groups durable together, as the sync thread does with what has
    /// gathered. Says whether there was anything.
    pub fn sync(&mut self, count: usize) -> bool {
        let count = count.min(self.groups.len());
        if count == 0 || self.is_over() {
            return false;
        }
        let mut ready: Vec<Group> = self.groups.drain(..count).collect();
        if let Err(error) = self.writer.finisher.finish(&mut ready, &mut self.wakers) {
            self.fail(&error);
        }
        true
    }

    /// Groups that are written and not durable. The threads never have more than two: one that is
    /// synced, and one that was written meanwhile.
    pub fn unsynced(&self) -> usize {
        self.groups.len()
    }

    /// Drops what lies wholly below a record and is durable, as the pruning thread does.
    pub fn prune(&mut self, below: Sequence) {
        let shared = &self.writer.shared;
        let below = below.min(shared.horizon.durable().next());
        run_prune(shared, &*self.reader, below, &self.writer.finisher.on_fatal);
    }

    /// Commits what is left of a journal that was closed, and closes its store.
    ///
    /// # Errors
    ///
    /// A commit failed, now or before.
    pub fn end(&mut self) -> Result<(), JournalError> {
        while self.write() || self.sync(1) {}
        if let Err(error) = self.writer.finisher.end() {
            self.fail(&error);
        }
        if self.is_over() { Err(JournalError::Failed) } else { Ok(()) }
    }

    fn is_over(&self) -> bool {
        self.is_over || self.writer.shared.horizon.is_failed()
    }

    fn fail(&mut self, error: &JournalError) {
        self.is_over = true;
        self.writer.finisher.fail(error);
    }
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hand").field("unsynced", &self.unsynced()).finish_non_exhaustive()
    }
}
