//! What a journal on this machine's disk does: `cargo bench --bench journal`.
//!
//! Closed loops of 75-byte records from one thread, single commits beside a bare write and
//! `fdatasync`, appends without a disk, and the start on the log that was written. Leaves out the
//! network, the engine, and competition for the disk.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]
#![expect(clippy::cast_precision_loss, reason = "figures of three digits")]

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use haoyuan::journal::{
    BlockRef, DataFolder, FolderOptions, Journal, JournalConfig, JournalError, Lane, MemoryMedium,
    MemoryStore, OnFatal, ReadError, ReadStore, Store, Syncer, Tail,
};
use haoyuan::model::{Sequence, Timestamp};

const RECORD: [u8; 75] = [7; 75];
const RUN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = folder.path().join("data");
    appends(2)?;
    bare(&folder.path().join("bare"))?;
    for in_flight in [1, 512, 4_096, 16_384] {
        closed_loop(&path, in_flight)?;
    }
    start_again(&path)
}

/// The hand-over alone: no disk behind it.
fn appends(threads: usize) -> Result<(), JournalError> {
    let journal =
        Journal::start(Box::new(Nowhere), Tail::default(), JournalConfig::default(), on_fatal());
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while started.elapsed() < RUN {
                    for _ in 0..1_000 {
                        append(&journal);
                    }
                }
            });
        }
    });
    let rate = per_second(journal.appended().0, started.elapsed());
    println!("append, {threads} threads, no disk    {rate:>12.0} records/s");
    journal.close()
}

/// What one commit would cost without sled: 4 KiB into a preallocated file, and a sync.
fn bare(path: &Path) -> std::io::Result<()> {
    let file = File::create(path)?;
    file.write_all_at(&vec![1; 16 << 20], 0)?;
    file.sync_all()?;
    let mut micros = Vec::new();
    for turn in 0..2_000 {
        let started = Instant::now();
        file.write_all_at(&[2; 4_096], turn % 4_096 * 4_096)?;
        file.sync_data()?;
        micros.push(started.elapsed().as_micros());
    }
    println!("bare 4 KiB write + fdatasync  {}", percentiles(micros));
    Ok(())
}

/// Keeps so many records in flight, as that many clients would that wait for their answers.
fn closed_loop(path: &Path, in_flight: u64) -> Result<(), JournalError> {
    let opened = DataFolder::open(path, &FolderOptions::default())?;
    let (store, tail) = (Box::new(opened.store), opened.log.tail());
    drop(opened.log);
    let journal = Journal::start(store, tail, JournalConfig::default(), on_fatal());
    let mut sent = VecDeque::new();
    let mut micros = Vec::new();
    let started = Instant::now();
    while started.elapsed() < RUN {
        while (sent.len() as u64) < in_flight {
            let sequence = append(&journal);
            sent.push_back((sequence, Instant::now()));
        }
        let Some((oldest, _)) = sent.front() else { break };
        journal.wait_durable(*oldest)?;
        let (durable, now) = (journal.durable(), Instant::now());
        while let Some((_, at)) = sent.pop_front_if(|front| front.0 <= durable) {
            micros.push(now.duration_since(at).as_micros());
        }
    }
    journal.close()?;
    let (stats, took) = (journal.stats(), started.elapsed());
    println!(
        "closed loop, {in_flight:>6} in flight  {}  {:>9.0} records/s  {:>6.0} commits/s  \
         {:.1} bytes/record",
        percentiles(micros),
        per_second(stats.records, took),
        per_second(stats.commits, took),
        stats.bytes as f64 / stats.records as f64,
    );
    Ok(())
}

/// Verifies the log that the loops wrote, then reads all its records.
fn start_again(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let opened = DataFolder::open(path, &FolderOptions::default())?;
    let records = opened.log.tail().last_sequence().0;
    println!(
        "open and verify               {:>12.0} records/s",
        per_second(records, started.elapsed())
    );
    let started = Instant::now();
    let mut bytes = 0;
    opened.log.for_each_record::<ReadError>(Sequence(1), |_, _, record| {
        bytes += record.len() as u64;
        Ok(())
    })?;
    println!(
        "read all records              {:>12.0} records/s",
        per_second(records, started.elapsed())
    );
    assert_eq!(bytes, records * RECORD.len() as u64, "every record came back");
    println!("{records} records, {} bytes on disk", opened.folder.size_bytes()?);
    Ok(())
}

fn append(journal: &Journal) -> Sequence {
    loop {
        if let Some(permit) = journal.reserve(Lane::Request) {
            return journal.append(permit, Timestamp::from_millis(1), |to| to.extend(RECORD));
        }
        thread::yield_now();
    }
}

fn percentiles(mut micros: Vec<u128>) -> String {
    micros.sort_unstable();
    let at = |share: usize| micros.get(micros.len() * share / 1_000).copied().unwrap_or_default();
    format!("p50 {:>6} µs  p99 {:>6} µs  p99.9 {:>6} µs", at(500), at(990), at(999))
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn on_fatal() -> OnFatal {
    Arc::new(|error| panic!("{error}"))
}

/// A store that forgets everything.
struct Nowhere;

impl Store for Nowhere {
    fn write(&mut self, _: &[BlockRef]) -> Result<bool, JournalError> {
        Ok(false)
    }

    fn reader(&self) -> Arc<dyn ReadStore> {
        MemoryStore::new(&MemoryMedium::default()).reader()
    }

    fn syncer(&mut self) -> Result<Box<dyn Syncer>, JournalError> {
        Ok(Box::new(Self))
    }
}

impl Syncer for Nowhere {
    fn sync(&mut self, _: &BlockRef, _: bool) -> Result<(), JournalError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}
