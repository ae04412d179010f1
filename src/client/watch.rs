//! Subscriptions and snapshots: streams on which the node speaks.
//!
//! **Architecture invariant:** a watcher sees every record from where it began exactly once and in
//! order, over any number of broken connections, or learns that they are gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::dial::{Dialer, Farewell};
use super::error::CallError;
use super::lane::{Lane, LaneReceiver, expect};
use super::link::{BACKOFF_MIN, pause};
use crate::model::{FeedRecord, Sequence};
use crate::protocol::{FrameKind, Heartbeat, Reply, Request, decode_fact_item, decode_reply};

/// What a subscription brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A durable record; `codec::decode_facts` reads its facts.
    Record(FeedRecord),
    /// There is nothing new; this is how far the node is.
    Heartbeat(Heartbeat),
}

/// A subscription. It connects when it is first asked, and again where the connection breaks.
#[derive(Debug)]
pub struct Watch {
    dialer: Arc<Dialer>,
    name: Arc<str>,
    next: Sequence,
    /// The connection goes before its stream.
    open: Option<(Farewell, LaneReceiver)>,
    received: VecDeque<Event>,
}

/// A snapshot that is being fetched.
#[derive(Debug)]
pub struct SnapshotReader {
    /// The record to watch from once the snapshot is loaded.
    pub sequence: Sequence,
    /// Its length in bytes.
    pub bytes: u64,
    _connection: Farewell,
    receiver: LaneReceiver,
    received: VecDeque<(FrameKind, Vec<u8>)>,
    hash: blake3::Hasher,
    read: u64,
}

/// The longest pause between attempts to connect.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

impl Watch {
    pub(super) const fn new(dialer: Arc<Dialer>, name: Arc<str>, from: Sequence) -> Self {
        Self { dialer, name, next: from, open: None, received: VecDeque::new() }
    }

    /// The record that comes next. To go on later, watch from it.
    pub const fn position(&self) -> Sequence {
        self.next
    }

    /// The next event. Waits for as long as it takes; safe to drop and call again.
    ///
    /// # Errors
    ///
    /// [`CallError::Gone`], [`CallError::Refused`] or [`CallError::Protocol`]: nothing more comes.
    pub async fn next(&mut self) -> Result<Event, CallError> {
        let mut backoff = BACKOFF_MIN;
        loop {
            if let Some(event) = self.received.pop_front() {
                return Ok(event);
            }
            match self.fetch().await {
                Ok(()) => backoff = BACKOFF_MIN,
                Err(CallError::Unavailable(problem)) => {
                    tracing::debug!(problem, "the subscription is interrupted");
                    self.open = None;
                    pause(backoff).await;
                    backoff = BACKOFF_MAX.min(backoff * 2);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn fetch(&mut self) -> Result<(), CallError> {
        if self.open.is_none() {
            let from = self.next;
            self.open = Some(open(&self.dialer, &self.name, &Request::Watch { from }).await?);
        }
        let Some((_, stream)) = &mut self.open else { return Ok(()) };
        let (next, received) = (&mut self.next, &mut self.received);
        let take = |kind, unit: &[u8]| {
            if let Some(event) = event(kind, unit)? {
                if let Event::Record(record) = &event {
                    *next = record.sequence.next();
                }
                received.push_back(event);
            }
            Ok(())
        };
        if stream.receive_units(take).await? {
            Ok(())
        } else {
            Err(CallError::Unavailable("the node ended the subscription".to_owned()))
        }
    }
}

impl SnapshotReader {
    pub(super) async fn open(dialer: &Dialer, name: &str) -> Result<Self, CallError> {
        let (connection, receiver) = open(dialer, name, &Request::Snapshot).await?;
        let mut reader = Self {
            sequence: Sequence(0),
            bytes: 0,
            _connection: connection,
            receiver,
            received: VecDeque::new(),
            hash: blake3::Hasher::new(),
            read: 0,
        };
        let (kind, unit) = reader.unit().await?;
        expect(FrameKind::Replies, kind)?;
        match decode_reply(&unit) {
            Ok((_, Reply::Snapshot { sequence, bytes })) => {
                (reader.sequence, reader.bytes) = (sequence, bytes);
                Ok(reader)
            }
            Ok((_, Reply::Refused(refusal))) => Err(CallError::Refused(refusal)),
            _ => Err(super::unexpected()),
        }
    }

    /// The next piece; `None` at the end, once length and checksum agree.
    ///
    /// # Errors
    ///
    /// [`CallError::Unavailable`] where the connection breaks: begin again.
    /// [`CallError::Protocol`] where the snapshot arrives damaged.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let (kind, unit) = self.unit().await?;
        if kind == FrameKind::SnapshotChunk {
            self.hash.update(&unit);
            self.read = self.read.saturating_add(unit.len() as u64);
            return Ok(Some(unit));
        }
        expect(FrameKind::SnapshotEnd, kind)?;
        if self.read == self.bytes && unit == self.hash.finalize().as_bytes() {
            Ok(None)
        } else {
            Err(CallError::Protocol("the snapshot arrived damaged".to_owned()))
        }
    }

    async fn unit(&mut self) -> Result<(FrameKind, Vec<u8>), CallError> {
        loop {
            if let Some(unit) = self.received.pop_front() {
                return Ok(unit);
            }
            let received = &mut self.received;
            let take = |kind, unit: &[u8]| {
                received.push_back((kind, unit.to_vec()));
                Ok(())
            };
            if !self.receiver.receive_units(take).await? && self.received.is_empty() {
                return Err(CallError::Unavailable("the node ended the snapshot".to_owned()));
            }
        }
    }
}

async fn open(
    dialer: &Dialer,
    name: &str,
    request: &Request,
) -> Result<(Farewell, LaneReceiver), CallError> {
    let connection = dialer.connect().await?;
    let mut lane = Lane::open(&connection, name).await?;
    lane.sender.queue(0, request);
    lane.sender.flush().await?;
    lane.sender.finish();
    Ok((Farewell(connection), lane.receiver))
}

fn event(kind: FrameKind, unit: &[u8]) -> Result<Option<Event>, CallError> {
    let fault = |fault: &dyn std::fmt::Display| CallError::Protocol(fault.to_string());
    match kind {
        FrameKind::Facts => {
            let record = decode_fact_item(unit).map_err(|error| fault(&error))?;
            Ok(Some(Event::Record(record)))
        }
        FrameKind::Heartbeat => {
            let heartbeat = Heartbeat::read(unit).map_err(|error| fault(&error))?;
            Ok(Some(Event::Heartbeat(heartbeat)))
        }
        FrameKind::Replies => match decode_reply(unit).map_err(|(_, error)| fault(&error))?.1 {
            Reply::Watching { .. } => Ok(None),
            Reply::Gone { oldest, snapshot } => Err(CallError::Gone { oldest, snapshot }),
            Reply::Refused(refusal) => Err(CallError::Refused(refusal)),
            _ => Err(super::unexpected()),
        },
        _ => Err(CallError::Protocol(format!("a frame {kind:?} on a subscription"))),
    }
}
