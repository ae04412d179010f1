//! One stream, one task: read, decode, decide, answer, write.
//!
//! ```text
//! read_chunks -> Assembler -> Desk { decode, Engine } -> Outbox -> write_chunks
//!    '-- clock and stopwatch once --'               ^-- release at each advance of the horizon
//! ```
//!
//! A reader and a writer in one task share nothing with anybody: no lock, and no wake-up between
//! them. Both sides of the loop are safe to drop half-way, so `select!` decides what is next.
//!
//! **Architecture invariant:** nothing here waits while it holds input that could be answered, and
//! it reads no further while its outbox is full (I-8).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::watch;

use super::Shared;
use super::desk::{Desk, Moment, TooShort};
use super::horizon::{Failed, Horizon};
use super::metrics::{AnswerClass, Counted, stopwatch};
use super::patience::Pulse;
use super::push;
use crate::model::Actor;
use crate::protocol::{
    Assembler, ClientHello, CloseCode, FrameFault, FrameKind, Hello, HelloFault,
};
use crate::service::Meter;

/// Why a stream ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The peer is gone, or wants no more.
    Gone,
    /// The connection is to be closed, for this reason.
    Close(CloseCode, String),
}

/// Pieces of a stream taken in one reading: each at most a packet.
const CHUNKS: usize = 32;

pub(super) struct Stream<'a> {
    pub(super) send: SendStream,
    recv: RecvStream,
    input: Assembler,
    pub(super) desk: Desk<'a>,
    /// What is being written.
    writing: Bytes,
    pub(super) horizon: Horizon,
    /// What is read now came after this: there was nothing to read then.
    drained: Instant,
    greeted: bool,
    pulse: Arc<Pulse>,
    /// Frames read and bytes written.
    progress: u64,
    pub(super) shared: &'a Shared,
}

/// Serves a stream to its end.
///
/// # Errors
///
/// [`Fault::Close`] where the whole connection must go.
pub(super) async fn serve(
    (send, recv): (SendStream, RecvStream),
    (actor, meter): (Arc<Actor>, Meter),
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Fault> {
    let _open = Counted::new(&shared.metrics.streams);
    let mut stream = Stream {
        send,
        recv,
        input: Assembler::default(),
        desk: Desk::new(&actor, &shared, meter),
        writing: Bytes::new(),
        horizon: Horizon::default(),
        drained: stopwatch(),
        greeted: false,
        pulse,
        progress: 0,
        shared: &shared,
    };
    let ended = stream.live(&mut stop).await;
    if let Err(Fault::Close(code, _)) = &ended {
        // Dropped, it would look like an orderly end to whoever waits for an answer.
        drop(stream.send.reset(VarInt::from_u32(code.code())));
    }
    ended
}

impl Stream<'_> {
    async fn live(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Fault> {
        self.converse(stop).await?;
        if let Some(push) = self.desk.push.take() {
            // The rest of the client's side is not read: a subscriber has nothing more to ask here.
            drop(self.recv.stop(VarInt::from_u32(CloseCode::Finished.code())));
            push::run(self, push, stop).await?;
            self.flush().await?;
        }
        let stopping = *stop.borrow();
        self.finish(stopping).await
    }

    /// Answers requests until the client ends its side, the node stops, or the stream becomes a
    /// push stream; and then until all is answered and written.
    async fn converse(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Fault> {
        let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let mut ended = *stop.borrow();
        // Whether `input` may hold another unit.
        let mut more = false;
        let idle = AtomicBool::new(false);
        loop {
            if more && self.desk.outbox.has_room() {
                more = self.answer_batch()?;
            }
            ended |= self.desk.push.is_some();
            self.desk.outbox.release(self.shared.engine.durable(), &self.shared.metrics);
            self.refill();
            let awaits = self.desk.outbox.awaits();
            let readable = !ended && !more && self.desk.outbox.has_room();
            if ended
                && (!more || self.desk.push.is_some())
                && awaits.is_none()
                && self.writing.is_empty()
            {
                return Ok(());
            }
            let after = awaits.unwrap_or_default();
            let unended = readable && (!self.greeted || 0 < self.input.pending_bytes());
            self.pulse.note(unended || !self.writing.is_empty(), self.progress);
            tokio::select! {
                biased;
                written = self.send.write_chunks(std::slice::from_mut(&mut self.writing)),
                    if !self.writing.is_empty() =>
                {
                    self.wrote(written?.bytes);
                }
                reached = self.horizon.reach(self.shared.engine.as_ref(), after),
                    if awaits.is_some() => reached?,
                read = noting(&idle, self.recv.read_chunks(&mut chunks)), if readable => match read? {
                    Some(count) => {
                        more = true;
                        if idle.swap(false, Ordering::Relaxed) {
                            self.drained = stopwatch();
                        }
                        self.take_in(chunks.iter_mut().take(count));
                    }
                    None => ended = true,
                },
                _ = stop.changed(), if !ended => ended = true,
            }
        }
    }

    fn take_in<'c>(&mut self, chunks: impl Iterator<Item = &'c mut Bytes>) {
        let mut bytes = 0;
        for chunk in chunks {
            let chunk = std::mem::take(chunk);
            bytes += chunk.len() as u64;
            self.input.push(&chunk);
        }
        self.shared.metrics.bytes_received.fetch_add(bytes, Ordering::Relaxed);
        self.shared.metrics.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers what has been read, as far as the outbox has room. Says whether there may be more.
    fn answer_batch(&mut self) -> Result<bool, Fault> {
        let (now, durable) = ((self.shared.clock)(), self.shared.engine.durable());
        let read = stopwatch();
        let waited = read.saturating_duration_since(self.drained).as_micros();
        let is_late = self.shared.engine.is_late(u64::try_from(waited).unwrap_or(u64::MAX));
        let moment = Moment { now, durable, is_late };
        let (waiting, mut units) = (self.desk.outbox.waiting(), 0);
        let more = loop {
            if !self.desk.outbox.has_room() {
                break true;
            }
            let Some((kind, unit)) = self.input.next_unit()? else { break false };
            match (kind, self.greeted) {
                (FrameKind::Requests, true) => {
                    self.desk.answer(moment, unit)?;
                    units += 1;
                }
                (FrameKind::Hello, false) => {
                    let hello = ClientHello::read(unit)?;
                    let answer = hello.answer(now)?;
                    tracing::debug!(client = %hello.name, "a stream is open");
                    self.desk.outbox.frame(FrameKind::Hello, |buffer| answer.write(buffer));
                    self.desk.says_why = answer.says_why();
                    self.greeted = true;
                }
                (FrameKind::Hello, true) | (_, false) => Err(HelloFault::Malformed)?,
                (kind, true) => Err(FrameFault::Kind(kind as u8))?,
            }
            if self.desk.push.is_some() {
                break false;
            }
        };
        self.progress += units as u64;
        let added = self.desk.outbox.waiting() - waiting;
        self.desk.outbox.end_batch(read, added);
        if added < units {
            self.shared.metrics.record(AnswerClass::AtOnce, read, units - added);
        }
        self.desk.end_batch();
        Ok(more)
    }

    fn refill(&mut self) {
        if self.writing.is_empty()
            && let Some(bytes) = self.desk.outbox.take()
        {
            self.writing = bytes;
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.progress += bytes as u64;
        let sent = &self.shared.metrics.bytes_sent;
        sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Writes all that is ready.
    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        loop {
            self.refill();
            self.pulse.note(!self.writing.is_empty(), self.progress);
            if self.writing.is_empty() {
                return Ok(());
            }
            let written = self.send.write_chunks(std::slice::from_mut(&mut self.writing)).await?;
            self.wrote(written.bytes);
        }
    }

    /// Ends our side. A stopping node waits until the client has it all, because it closes next.
    async fn finish(&mut self, stopping: bool) -> Result<(), Fault> {
        self.send.finish().map_err(|_| Fault::Gone)?;
        if stopping {
            drop(self.recv.stop(VarInt::from_u32(CloseCode::Stopping.code())));
            self.send.stopped().await.map_err(|_| Fault::Gone)?;
        }
        Ok(())
    }
}

/// Notes whether a future had to wait.
async fn noting<F: Future>(waits: &AtomicBool, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            waits.store(true, Ordering::Relaxed);
        }
        polled
    })
    .await
}

impl From<TooShort> for Fault {
    fn from(_: TooShort) -> Self {
        FrameFault::Items.into()
    }
}

impl From<FrameFault> for Fault {
    fn from(fault: FrameFault) -> Self {
        Self::Close(fault.close_code(), fault.to_string())
    }
}

impl From<HelloFault> for Fault {
    fn from(fault: HelloFault) -> Self {
        Self::Close(fault.close_code(), fault.to_string())
    }
}

impl From<Failed> for Fault {
    fn from(_: Failed) -> Self {
        Self::Close(CloseCode::NodeFailed, "the node's journal failed".to_owned())
    }
}

impl From<ReadError> for Fault {
    fn from(_: ReadError) -> Self {
        Self::Gone
    }
}

impl From<WriteError> for Fault {
    fn from(_: WriteError) -> Self {
        Self::Gone
    }
}
