//! The service as the server's engine.

use std::fs::File;
use std::io::Read;
use std::task::Waker;

use super::engine::{Engine, SnapshotSource};
use crate::journal::{ReadError, SnapshotReader, Snapshots};
use crate::model::{
    Actor, Answer, Command, FeedError, FeedPage, FeedRecord, Query, Reading, Receipt, Sequence,
    Timestamp,
};
use crate::service::{Meter, Service};

impl Engine for Service {
    fn call(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        Self::call(self, now, actor, command)
    }

    fn read(&self, now: Timestamp, actor: &Actor, query: &Query) -> Answer<Reading> {
        Self::read(self, now, actor, query)
    }

    fn is_late(&self, waited_micros: u64) -> bool {
        Self::is_late(self, waited_micros)
    }

    fn call_late(&self, now: Timestamp, actor: &Actor, command: &Command) -> Answer<Receipt> {
        Self::call_late(self, now, actor, command)
    }

    fn call_metered(
        &self,
        arrival: (Timestamp, bool),
        actor: &Actor,
        meter: &mut Meter,
        command: &Command,
    ) -> Answer<Receipt> {
        Self::call_metered(self, arrival, actor, meter, command)
    }

    fn read_metered(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &mut Meter,
        query: &Query,
    ) -> Answer<Reading> {
        Self::read_metered(self, now, actor, meter, query)
    }

    fn durable(&self) -> Sequence {
        Self::durable(self)
    }

    fn is_failed(&self) -> bool {
        Self::is_failed(self)
    }

    fn register(&self, waker: &Waker) {
        Self::register(self, waker);
    }

    fn feed(&self, from: Sequence, bytes_max: usize) -> Result<FeedPage, FeedError> {
        let page = self.journal().read(from, bytes_max).map_err(explain)?;
        let record = |(sequence, time, facts): (_, _, &[u8])| FeedRecord {
            sequence,
            time,
            facts: facts.to_vec(),
        };
        Ok(page.records().map(record).collect())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, FeedError> {
        let Some(folder) = self.folder() else { return Ok(None) };
        let snapshots = Snapshots::new(&folder.snapshots());
        let (found, _) = snapshots
            .choose(self.journal().oldest(), self.durable())
            .map_err(|error| FeedError::Unreadable(error.to_string()))?;
        let Some(reader) = found else { return Ok(None) };
        open(&reader)
            .map(|source| Some(Box::new(source) as Box<dyn SnapshotSource>))
            .map_err(|error| FeedError::Unreadable(error.to_string()))
    }
}

/// A snapshot file on its way to a subscriber. An open file stays readable when it is replaced.
struct SnapshotFile {
    file: File,
    bytes: u64,
    sequence: Sequence,
}

impl SnapshotSource for SnapshotFile {
    fn sequence(&self) -> Sequence {
        self.sequence
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self, bytes_max: usize) -> std::io::Result<Vec<u8>> {
        let mut piece = vec![0; bytes_max];
        let read = self.file.read(&mut piece)?;
        piece.truncate(read);
        Ok(piece)
    }
}

fn open(reader: &SnapshotReader) -> std::io::Result<SnapshotFile> {
    let file = File::open(reader.path())?;
    let bytes = file.metadata()?.len();
    Ok(SnapshotFile { file, bytes, sequence: reader.lowest().next() })
}

fn explain(error: ReadError) -> FeedError {
    match error {
        ReadError::Gone { oldest } => FeedError::Gone { oldest },
        other => FeedError::Unreadable(other.to_string()),
    }
}
