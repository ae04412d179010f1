//! The commit thread: whatever has gathered since the last commit is the next one.
//!
//! ```text
//! ring -> take the buffer -> cut and chain -> store.commit -> recent blocks -> horizon -> wakers
//! ```
//!
//! There is no linger: while one commit runs the next one gathers by itself.
//!
//! **Architecture invariant:** the horizon moves only after `Store::commit` has returned. An error
//! of the store is fatal; no sync is tried twice.

use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::block::{BlockRef, Cutter};
use super::queue::{Buffer, Taken};
use super::store::Store;
use super::{JournalError, OnFatal, Shared};

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Box<dyn Store>,
    pub(super) bell: Receiver<()>,
    pub(super) cutter: Cutter,
    pub(super) commit_delay: Duration,
    pub(super) on_fatal: OnFatal,
}

impl Writer {
    /// Commits until the journal is closed and drained, or a commit fails.
    pub(super) fn run(mut self) {
        let _guard = FailOnPanic(Arc::clone(&self.shared));
        if let Err(error) = self.commit_all() {
            self.shared.horizon.fail();
            // Whoever failed before has said so.
            if !matches!(error, JournalError::Failed) {
                (self.on_fatal)(&error);
            }
        }
    }

    fn commit_all(&mut self) -> Result<(), JournalError> {
        let mut buffer = Buffer::default();
        let mut blocks = Vec::new();
        let mut wakers = Vec::new();
        loop {
            match self.shared.queue.take(&mut buffer) {
                Taken::Records => self.commit(&mut buffer, &mut blocks, &mut wakers)?,
                Taken::Nothing => {
                    if self.bell.recv().is_err() {
                        self.shared.queue.close();
                    }
                }
                Taken::Closed => break,
            }
        }
        self.store.close()?;
        self.shared.horizon.close();
        Ok(())
    }

    fn commit(
        &mut self,
        buffer: &mut Buffer,
        blocks: &mut Vec<BlockRef>,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), JournalError> {
        let started = now();
        self.cut(buffer, blocks);
        self.delay();
        self.store.commit(blocks)?;
        if self.shared.horizon.is_failed() {
            return Err(JournalError::Failed);
        }
        let Some(durable) = blocks.last().map(|block| block.last) else { return Ok(()) };

        let bytes: usize = blocks.iter().map(|block| block.bytes.len()).sum();
        let counters = &self.shared.counters;
        counters.committed(
            buffer.len() as u64,
            blocks.len() as u64,
            bytes as u64,
            started.elapsed(),
        );
        self.shared.recent.extend(blocks.drain(..));
        self.shared.queue.settle(buffer);
        self.shared.horizon.publish(durable, wakers);
        Ok(())
    }

    fn cut(&mut self, buffer: &Buffer, blocks: &mut Vec<BlockRef>) {
        for (time, payload) in buffer.records() {
            blocks.extend(self.cutter.push(time, payload));
        }
        blocks.extend(self.cutter.finish());
    }

    /// A slower disk, for tests of overload.
    fn delay(&self) {
        if !self.commit_delay.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "an injected fault, on its own thread")]
            thread::sleep(self.commit_delay);
        }
    }
}

/// Waiters must not hang when the commit thread dies of a bug.
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
