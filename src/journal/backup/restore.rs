//! From a backup to a data folder.
//!
//! ```text
//! verified -> NEW.restoring: archive, snapshot, keys, log imported, mark, FORMAT -> looked at -> NEW
//! ```
//!
//! **Architecture invariant:** what is there is never overwritten, and NEW is a whole data folder
//! or not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{files_of, verify};
use super::manifest::Manifest;
use super::write::{Staging, check_free, copy_file, make_in};
use super::{ARCHIVE, BackupError, KEYS, LOG, SNAPSHOTS};
use crate::journal::archive;
use crate::journal::block::{Block, BlockRef};
use crate::journal::chain::Tail;
use crate::journal::{DataFolder, FolderOptions, JournalError, Sequence, Store};

/// A data folder made from a backup, under a temporary name. Look at it, then
/// [`keep`](Self::keep) it; dropped, it leaves nothing.
#[derive(Debug)]
pub struct Restoration {
    staging: Staging,
    target: PathBuf,
    manifest: Manifest,
}

impl Restoration {
    /// Verifies the backup at `from`, and makes a data folder of it beside `target`.
    ///
    /// # Errors
    ///
    /// `target` is there and not empty; the backup is damaged; the disk refuses.
    pub fn prepare(from: &Path, target: &Path) -> Result<Self, BackupError> {
        check_free(target)?;
        let manifest = verify(from)?;
        let staging = Staging::make(target, "restoring")?;
        for (folder, name) in [ARCHIVE, SNAPSHOTS, KEYS].into_iter().flat_map(|folder| {
            manifest.files_in(folder).into_iter().map(move |file| (folder, &file.name))
        }) {
            let from = from.join(name);
            let name = from.file_name().unwrap_or_default();
            copy_file(&from, &make_in(&staging.path, folder)?.join(name))?;
        }
        import(from, &manifest, &staging.path)?;
        Ok(Self { staging, target: target.to_owned(), manifest })
    }

    /// Where the folder lies until it is kept.
    pub fn path(&self) -> &Path {
        &self.staging.path
    }

    /// What it was made from.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn keep(mut self) -> Result<Manifest, BackupError> {
        self.staging.publish(&self.target)?;
        Ok(self.manifest)
    }
}

/// Writes the records behind the archive into a new log.
fn import(from: &Path, manifest: &Manifest, to: &Path) -> Result<(), BackupError> {
    let mut start = None;
    for file in files_of(from, manifest, ARCHIVE)? {
        archive::read::<JournalError>(&file, Sequence(0), &mut start, |_, _, _| Ok(()))?;
    }
    let files = files_of(from, manifest, LOG)?;
    // Without an archive the first file says where the log begins.
    let start = match (start, files.first()) {
        (Some(start), _) => start,
        (None, Some(file)) => archive::start_of(file)?,
        (None, None) => Tail::default(),
    };
    let (mut store, folder) = DataFolder::create(to, start, &FolderOptions::default())?;
    let mut syncer = store.syncer()?;
    let mut tail = start;
    let mut last = None;
    for file in &files {
        let bytes =
            fs::read(&file.path).map_err(|error| JournalError::io("read", &file.path, error))?;
        let blocks = archive::blocks(&bytes).map(|block| block_of(&mut tail, block));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        store.write(&blocks)?;
        last = blocks.last().cloned().or(last);
    }
    if let Some(last) = &last {
        syncer.sync(last, true)?;
    }
    syncer.close()?;
    folder.finish()?;
    Ok(())
}

fn block_of(tail: &mut Tail, bytes: &[u8]) -> Result<BlockRef, BackupError> {
    let block: Block<'_> =
        tail.accept(bytes).map_err(|damage| BackupError::damaged(damage.to_string()))?;
    Ok(BlockRef {
        first: block.first(),
        last: block.last(),
        latest: tail.last_time,
        chain: tail.last_chain,
        bytes: Arc::from(bytes),
    })
}
