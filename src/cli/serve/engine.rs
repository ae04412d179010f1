//! The service, as the server wants to see it.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::task::Waker;

use crate::journal::{ReadError, Snapshots};
use crate::model::{
    Actor, Answer, Command, FeedError, FeedPage, FeedRecord, Query, Reading, Receipt, Sequence,
    Timestamp,
};
use crate::server::{Engine, SnapshotSource};
use crate::service::{Meter, Service};

/// A service behind a server.
#[derive(Debug)]
pub(super) struct Node(pub(super) Arc<Service>);

struct SnapshotFile {
    file: File,
    sequence: Sequence,
    bytes: u64,
}

impl Engine for Node {
    fn call(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        self.0.call(now, actor, command)
    }

    fn read(&self, now: Timestamp, actor: &Actor, query: &Query) -> Answer<Reading> {
        self.0.read(now, actor, query)
    }

    fn is_late(&self, waited_micros: u64) -> bool {
        self.0.is_late(waited_micros)
    }

    fn call_late(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        self.0.call_late(now, actor, command)
    }

    fn call_metered(
        &self,
        arrival: (Timestamp, bool),
        actor: &Actor,
        meter: &mut Meter,
        command: &Command,
    ) -> Answer<Receipt> {
        self.0.call_metered(arrival, actor, meter, command)
    }

    fn read_metered(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &mut Meter,
        query: &Query,
    ) -> Answer<Reading> {
        self.0.read_metered(now, actor, meter, query)
    }

    fn durable(&self) -> Sequence {
        self.0.durable()
    }

    fn is_failed(&self) -> bool {
        self.0.is_failed()
    }

    fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }

    fn feed(&self, from: Sequence, bytes_max: usize) -> Result<FeedPage, FeedError> {
        let page = self.0.journal().read(from, bytes_max).map_err(|error| unread(&error))?;
        let records = page.records().map(|(sequence, time, facts)| FeedRecord {
            sequence,
            time,
            facts: facts.to_vec(),
        });
        Ok(records.collect())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, FeedError> {
        let Some(folder) = self.0.folder() else { return Ok(None) };
        let found = Snapshots::new(&folder.snapshots())
            .choose(self.0.journal().oldest(), self.0.durable())
            .map_err(|error| FeedError::Unreadable(error.to_string()))?;
        let (Some(snapshot), _) = found else { return Ok(None) };
        let opened = File::open(snapshot.path()).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok(SnapshotFile { file, sequence: snapshot.lowest().next(), bytes })
        });
        match opened {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) => Err(FeedError::Unreadable(error.to_string())),
        }
    }
}

impl SnapshotSource for SnapshotFile {
    fn sequence(&self) -> Sequence {
        self.sequence
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self, bytes_max: usize) -> std::io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(bytes_max);
        let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        self.file.by_ref().take(bytes_max).read_to_end(&mut piece)?;
        Ok(piece)
    }
}

fn unread(error: &ReadError) -> FeedError {
    match error {
        ReadError::Gone { oldest } => FeedError::Gone { oldest: *oldest },
        other => FeedError::Unreadable(other.to_string()),
    }
}
