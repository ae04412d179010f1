//! From a data folder to a service, and from a service to a snapshot.
//!
//! ```text
//! open:      newest sound snapshot -> every record after it -> what is derived -> journal starts
//! snapshot:  shard by shard under its lock, each at its own sequence, while the others go on
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Limits, Service, image};
use crate::admission::Gate;
use crate::codec::{CodecError, decode_facts};
use crate::inventory::{Batch, Inventory};
use crate::journal::{
    DataFolder, Durability, FolderOptions, Journal, JournalConfig, JournalError, Log, OnFatal,
    ReadError, Retention, SnapshotWriter, Snapshots,
};
use crate::model::{Sequence, Timestamp};

/// How a data folder is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// Bounds of the service.
    pub limits: Limits,
    /// What an acknowledged change survives.
    pub durability: Durability,
    /// What of the archive is kept.
    pub retention: Retention,
    /// Blocks in a tree of the log, which is pruned at once.
    pub blocks_per_tree: u32,
    /// Bytes of records that may wait for the disk.
    pub queue_bytes: u64,
    /// Added to every commit; for tests of overload.
    pub commit_delay: Duration,
    /// Added to every commit for each 7,000 bytes of it; for tests of overload.
    pub commit_delay_block: Duration,
    /// Makes tables hard to attack; any number, best a random one.
    pub seed: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        let journal = JournalConfig::default();
        Self {
            limits: Limits::default(),
            durability: Durability::Commit,
            retention: Retention::Keep,
            blocks_per_tree: FolderOptions::default().blocks_per_tree,
            queue_bytes: journal.request_bytes_max,
            commit_delay: Duration::ZERO,
            commit_delay_block: Duration::ZERO,
            seed: 0,
        }
    }
}

/// What a start found.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// The snapshot that it began with.
    pub snapshot: Option<PathBuf>,
    /// Records that were replayed after it.
    pub replayed: u64,
    /// The last record.
    pub last: Sequence,
    /// The time of the last record: the clock must not be behind it.
    pub last_time: Timestamp,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// Why a data folder cannot be opened, or looked at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal or its folder.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Records that are needed are gone.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record or a snapshot does not say what it must.
    #[error("record {}: {source}; {}", sequence.0, advice(*source))]
    Record {
        /// Which record, or up to which one the snapshot goes.
        sequence: Sequence,
        /// What is wrong with it.
        source: CodecError,
    },
}

/// What to do about a record that cannot be read.
const fn advice(source: CodecError) -> &'static str {
    match source {
        CodecError::NewerFact => "nothing is damaged, and nothing was changed",
        _ => "keep a copy of the folder and restore it from a backup",
    }
}

impl Service {
    /// Opens a data folder, or makes one, and brings the state up to its last record.
    ///
    /// # Errors
    ///
    /// The folder is in use, of a newer format, or damaged: the message says what to do.
    pub fn open(
        path: &Path,
        options: &OpenOptions,
        on_fatal: OnFatal,
    ) -> Result<(Arc<Self>, RecoveryReport), OpenError> {
        let folder_options = FolderOptions {
            durability: options.durability,
            retention: options.retention,
            blocks_per_tree: options.blocks_per_tree,
            ..FolderOptions::default()
        };
        let opened = DataFolder::open(path, &folder_options)?;
        let snapshots = opened.folder.snapshots();
        let (inventory, report) = recover(&opened.log, &snapshots, options)?;
        let config = JournalConfig {
            request_bytes_max: options.queue_bytes,
            commit_delay: options.commit_delay,
            commit_delay_block: options.commit_delay_block,
            ..JournalConfig::default()
        };
        let tail = opened.log.tail();
        let journal = Journal::start(Box::new(opened.store), tail, config, on_fatal);
        let mut service = Self::new(inventory, journal, options.limits);
        service.gate = Gate::new(options.limits.delay_max_millis, options.seed);
        service.folder = Some(opened.folder);
        Ok((Arc::new(service), report))
    }

    /// Writes a snapshot while the service goes on, then prunes what no snapshot needs any more.
    /// Says where it is. One at a time.
    ///
    /// # Errors
    ///
    /// The disk refused; nothing is lost, the older snapshots stay.
    pub fn take_snapshot(&self) -> Result<Option<PathBuf>, JournalError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let directory = folder.snapshots();
        tracing::debug!("taking a snapshot");
        let mut writer = SnapshotWriter::create(&directory)?;
        let mut buffer = Vec::new();
        for (kind, index) in Inventory::parts() {
            buffer.clear();
            let sequence = self.copy_shard(kind, index, &mut buffer);
            writer.section(kind, number_of(index), sequence, &buffer)?;
        }
        self.journal.wait_durable(writer.highest())?;
        let path = writer.finish(self.journal.durable())?;
        tracing::debug!("the snapshot is taken");
        if let Some(below) = Snapshots::new(&directory).prunable_below()? {
            let _started = self.journal.prune(below);
        }
        Ok(Some(path))
    }

    /// Appends the image of one shard to a buffer, and says up to which record it goes. Kinds are
    /// those of [`Inventory::parts`].
    pub fn copy_shard(&self, kind: u8, index: usize, buffer: &mut Vec<u8>) -> Sequence {
        // Under the lock: every record up to here that touches the shard is in it, and none after.
        self.inventory.with_part(kind, index, |part| {
            image::write(&part, buffer);
            self.journal.appended()
        })
    }

    /// The folder, if there is one.
    pub const fn folder(&self) -> Option<&DataFolder> {
        self.folder.as_ref()
    }
}

/// Fills one shard of an empty inventory from an image that goes up to a record.
///
/// # Errors
///
/// The image does not say what it must.
pub fn restore_shard(
    inventory: &mut Inventory,
    kind: u8,
    index: usize,
    sequence: Sequence,
    image: &[u8],
) -> Result<(), CodecError> {
    inventory.restore_part(kind, index, sequence, |part| image::read(part, image))
}

/// Rebuilds the state that a log and its snapshots hold.
pub(super) fn recover(
    log: &Log,
    snapshots: &Path,
    options: &OpenOptions,
) -> Result<(Inventory, RecoveryReport), OpenError> {
    let tail = log.tail();
    let mut inventory = Inventory::new(options.seed, options.limits.retention_millis);
    let mut report = RecoveryReport {
        last: tail.last_sequence(),
        last_time: tail.last_time,
        warnings: log.warnings().to_vec(),
        ..RecoveryReport::default()
    };
    let found = Snapshots::new(snapshots).choose(log.oldest(), report.last)?;
    let (snapshot, warnings) = found;
    report.warnings.extend(warnings);
    let mut from = Sequence(1);
    if let Some(mut reader) = snapshot {
        from = reader.lowest().next();
        report.snapshot = Some(reader.path().to_owned());
        let mut payload = Vec::new();
        while let Some(section) = reader.next_section(&mut payload)? {
            let (index, sequence) = (section.index as usize, section.sequence);
            restore_shard(&mut inventory, section.kind, index, sequence, &payload)
                .map_err(|source| OpenError::Record { sequence, source })?;
        }
    }
    inventory.replay_all::<OpenError>(|pass| {
        let mut batch = Batch::with_capacity(BATCH_RECORDS);
        log.for_each_record::<OpenError>(from, |sequence, time, bytes| {
            let facts =
                decode_facts(bytes).map_err(|source| OpenError::Record { sequence, source })?;
            batch.push((sequence, time, facts));
            report.replayed += 1;
            if batch.len() == BATCH_RECORDS {
                pass(std::mem::replace(&mut batch, Batch::with_capacity(BATCH_RECORDS)));
            }
            Ok(())
        })?;
        pass(batch);
        Ok(())
    })?;
    inventory.rebuild();
    Ok((inventory, report))
}

/// The number of a shard as a snapshot has it.
fn number_of(index: usize) -> u32 {
    u32::try_from(index).expect("there are 256 shards of a kind")
}

/// Records that recovery hands over at once.
const BATCH_RECORDS: usize = 1_024;
