//! What the server needs of the pipeline behind it.

use std::task::Waker;

use crate::model::{
    Actor, Answer, Command, FeedError, FeedPage, Query, Reading, Receipt, Sequence, Timestamp,
};
use crate::service::Meter;

/// The pipeline, as the server sees it. `service::Service` is the one that counts.
///
/// [`Engine::call`] and [`Engine::read`] take microseconds and never wait for a disk: they run on
/// the threads that move packets. [`Engine::feed`] and the snapshot may wait; they run elsewhere.
pub trait Engine: Send + Sync + 'static {
    /// Decides a command. The answer may be said once its `after` is durable.
    fn call(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt>;

    /// Answers a query.
    fn read(&self, now: Timestamp, actor: &Actor, query: &Query) -> Answer<Reading>;

    /// Whether what had waited in the node for so many microseconds when it was read is late.
    fn is_late(&self, waited_micros: u64) -> bool {
        waited_micros == u64::MAX
    }

    /// Decides a command of a stream, which may be late, as often as the rates in force allow.
    fn call_metered(
        &self,
        (now, is_late): (Timestamp, bool),
        actor: &Actor,
        _meter: &mut Meter,
        command: &Command,
    ) -> Answer<Receipt> {
        if is_late { self.call_late(now, actor, command) } else { self.call(now, actor, command) }
    }

    /// Answers a query of a stream, as often as the rates in force allow.
    fn read_metered(
        &self,
        now: Timestamp,
        actor: &Actor,
        _meter: &mut Meter,
        query: &Query,
    ) -> Answer<Reading> {
        self.read(now, actor, query)
    }

    /// Decides a command that is late: new work may be refused, for the sake of what is behind it.
    fn call_late(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        self.call(now, actor, command)
    }

    /// The last durable record.
    fn durable(&self) -> Sequence;

    /// Whether the journal has failed: what waits is never answered.
    fn is_failed(&self) -> bool;

    /// Wakes the waker once, at the next advance of the durable horizon or at the journal's
    /// failure. Register, then look again: the horizon may have moved in between.
    fn register(&self, waker: &Waker);

    /// Durable records from `from` on, in order, about `bytes_max` bytes of them and at least one
    /// if there is one. Empty where `from` is not durable yet.
    ///
    /// # Errors
    ///
    /// [`FeedError`].
    fn feed(&self, from: Sequence, bytes_max: usize) -> Result<FeedPage, FeedError>;

    /// The newest snapshot, if there is one.
    ///
    /// # Errors
    ///
    /// [`FeedError::Unreadable`].
    fn snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, FeedError>;
}

/// A snapshot file that is being sent.
pub trait SnapshotSource: Send {
    /// The record to watch from once the snapshot is loaded: no shard of it lacks an older one.
    fn sequence(&self) -> Sequence;

    /// Its length in bytes.
    fn bytes(&self) -> u64;

    /// The next piece, at most `bytes_max` long; empty at the end.
    ///
    /// # Errors
    ///
    /// Whatever the file system says.
    fn read(&mut self, bytes_max: usize) -> std::io::Result<Vec<u8>>;
}
