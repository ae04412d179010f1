//! Streams that push: a feed of facts, or a snapshot.
//!
//! ```text
//! watch     page from the journal -> frames -> written -> next page      heartbeat when idle
//! snapshot  offer -> chunks -> checksum
//! ```
//!
//! **Architecture invariant:** a subscriber costs one page. Whoever is slow is served from the
//! journal at its own speed, and never makes the node hold more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::engine::SnapshotSource;
use super::metrics::Counted;
use super::stream::{Fault, Stream};
use crate::model::{
    Actor, FeedError, FeedPage, Operation, Organizations, Outcome, Refusal, Sequence, permits,
};
use crate::protocol::{CloseCode, FrameKind, Heartbeat, Reply, Request};

/// What a stream turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Push {
    correlation: u32,
    /// The record to watch from; a snapshot where there is none.
    from: Option<Sequence>,
}

/// Bytes of records read from the journal at a time.
const PAGE_BYTES: usize = 48 << 10;

/// Bytes of a snapshot read at a time: a frame with its header is below the longest.
const CHUNK_BYTES: usize = 60 << 10;

/// How long a feed is silent at most. Well below the idle timeout of a connection.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// When to ask again for a snapshot that is not there yet.
const SNAPSHOT_RETRY_MILLIS: u32 = 10_000;

const _: () = assert!(CHUNK_BYTES + 5 < crate::protocol::FRAME_BYTES_MAX);

impl Push {
    pub(super) const fn new(correlation: u32, request: &Request) -> Self {
        let from = match request {
            Request::Watch { from } if from.0 != 0 => Some(*from),
            Request::Watch { .. } => Some(Sequence(1)),
            _ => None,
        };
        Self { correlation, from }
    }
}

/// Whether the actor may have a push stream. Facts of all organizations come in one order, so a
/// certificate for some of them gets none.
pub(super) fn permitted(actor: &Actor, operation: Operation) -> Result<(), Outcome> {
    if !permits(actor.role, operation) {
        return Err(Outcome::RoleNotPermitted);
    }
    match actor.organizations {
        Organizations::All => Ok(()),
        Organizations::Only(_) => Err(Outcome::OrganizationNotPermitted),
    }
}

/// Pushes until the client leaves, the node stops, or there is nothing more.
pub(super) async fn run(
    stream: &mut Stream<'_>,
    push: Push,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Fault> {
    let shared = stream.shared;
    let _open = Counted::new(&shared.metrics.subscriptions);
    match push.from {
        Some(from) => feed(stream, push.correlation, from, stop).await,
        None => snapshot(stream, push.correlation).await,
    }
}

async fn feed(
    stream: &mut Stream<'_>,
    correlation: u32,
    from: Sequence,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Fault> {
    let mut next = from;
    let mut greeted = false;
    while !*stop.borrow() {
        let page = match page(stream, next).await? {
            Ok(page) => page,
            Err(error) => return end_feed(stream, correlation, error).await,
        };
        if !greeted {
            greeted = true;
            stream.desk.reply(correlation, &Reply::Watching { from });
            stream.flush().await?;
        }
        if let Some(last) = page.last() {
            next = last.sequence.next();
            for record in &page {
                stream.desk.outbox.fact(record);
            }
            stream.flush().await?;
        } else if !idle(stream, next, stop).await? {
            let heartbeat = Heartbeat {
                durable: stream.shared.engine.durable(),
                time: (stream.shared.clock)(),
            };
            stream.desk.outbox.frame(FrameKind::Heartbeat, |buffer| heartbeat.write(buffer));
            stream.flush().await?;
        }
    }
    Ok(())
}

/// Waits for a record. Says whether there is one, or the node stops; otherwise it is time for a
/// sign of life.
async fn idle(
    stream: &mut Stream<'_>,
    next: Sequence,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool, Fault> {
    let gone = stream.send.stopped();
    let engine = stream.shared.engine.as_ref();
    tokio::select! {
        biased;
        reached = stream.horizon.reach(engine, next) => {
            reached?;
            Ok(true)
        }
        _ = stop.changed() => Ok(true),
        _ = gone => Err(Fault::Gone),
        () = stream.shared.pause(HEARTBEAT) => Ok(false),
    }
}

async fn page(stream: &Stream<'_>, from: Sequence) -> Result<Result<FeedPage, FeedError>, Fault> {
    let engine = Arc::clone(&stream.shared.engine);
    spawn_blocking(move || engine.feed(from, PAGE_BYTES)).await.map_err(|_| failed())
}

/// Says why there is no more: what is wanted was pruned, or the journal cannot be read.
async fn end_feed(
    stream: &mut Stream<'_>,
    correlation: u32,
    error: FeedError,
) -> Result<(), Fault> {
    let last = match error {
        FeedError::Gone { oldest } => {
            let snapshot = open_snapshot(stream).await?.map(|source| source.sequence());
            Reply::Gone { oldest, snapshot }
        }
        FeedError::Unreadable(problem) => {
            tracing::error!(%problem, "a subscriber cannot be served");
            Reply::Refused(Refusal::for_now(Outcome::NotReady, SNAPSHOT_RETRY_MILLIS))
        }
    };
    stream.desk.reply(correlation, &last);
    stream.flush().await
}

async fn snapshot(stream: &mut Stream<'_>, correlation: u32) -> Result<(), Fault> {
    let Some(mut source) = open_snapshot(stream).await? else {
        let none = Refusal::for_now(Outcome::NotReady, SNAPSHOT_RETRY_MILLIS);
        stream.desk.reply(correlation, &Reply::Refused(none));
        return stream.flush().await;
    };
    let offer = Reply::Snapshot { sequence: source.sequence(), bytes: source.bytes() };
    stream.desk.reply(correlation, &offer);
    let mut hash = blake3::Hasher::new();
    loop {
        let (rest, piece) = spawn_blocking(move || {
            let piece = source.read(CHUNK_BYTES);
            (source, piece)
        })
        .await
        .map_err(|_| failed())?;
        source = rest;
        let piece = piece.map_err(|error| {
            tracing::error!(%error, "the snapshot cannot be read to its end");
            failed()
        })?;
        if piece.is_empty() {
            break;
        }
        hash.update(&piece);
        stream
            .desk
            .outbox
            .frame(FrameKind::SnapshotChunk, |buffer| buffer.extend_from_slice(&piece));
        stream.flush().await?;
    }
    let hash = hash.finalize();
    stream
        .desk
        .outbox
        .frame(FrameKind::SnapshotEnd, |buffer| buffer.extend_from_slice(hash.as_bytes()));
    stream.flush().await
}

async fn open_snapshot(stream: &Stream<'_>) -> Result<Option<Box<dyn SnapshotSource>>, Fault> {
    let engine = Arc::clone(&stream.shared.engine);
    let source = spawn_blocking(move || engine.snapshot()).await.map_err(|_| failed())?;
    Ok(source.unwrap_or_else(|error| {
        tracing::error!(%error, "the newest snapshot cannot be read");
        None
    }))
}

fn failed() -> Fault {
    Fault::Close(CloseCode::NodeFailed, "the node could not read its own files".to_owned())
}
