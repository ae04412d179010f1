//! Is a backup what was written, and can a node start from it?
//!
//! **Architecture invariant:** it reads every byte, and changes none.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::manifest::{Manifest, ManifestFile};
use super::{ARCHIVE, BackupError, LOG, SNAPSHOTS};
use crate::journal::archive::{self, ArchiveFile};
use crate::journal::chain::Tail;
use crate::journal::{JournalError, Sequence, SnapshotReader};

/// Verifies a backup: every file is there with its length and hash, the records are in one chain
/// without a hole up to the last one, and the snapshot meets them.
///
/// # Errors
///
/// What is wrong with which file.
pub fn verify(path: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(path)?;
    for file in &manifest.files {
        verify_file(path, file)?;
    }
    let mut tail = None;
    let archived = chain(path, &manifest, ARCHIVE, &mut tail)?;
    let log_from = tail.unwrap_or_default().next_sequence;
    let logged = chain(path, &manifest, LOG, &mut tail)?;
    let first = archived.or(logged).map_or(Sequence(1), |file| file.first);
    let tail = tail.unwrap_or_default();
    if (first, tail.last_sequence()) != (manifest.first, manifest.sequence) {
        return Err(BackupError::damaged(format!(
            "it has records {} to {}, and its manifest says {} to {}",
            first.0,
            tail.last_sequence().0,
            manifest.first.0,
            manifest.sequence.0
        )));
    }
    check_snapshot(path, &manifest, log_from)?;
    Ok(manifest)
}

fn verify_file(path: &Path, file: &ManifestFile) -> Result<(), BackupError> {
    let full = path.join(&file.name);
    let unreadable =
        |error| BackupError::damaged(format!("{} cannot be read ({error})", file.name));
    let found = hash_file(&full).map_err(unreadable)?;
    if found.0 != file.bytes {
        let what = format!("{} has {} bytes, {} were written", file.name, found.0, file.bytes);
        return Err(BackupError::damaged(what));
    }
    if found.1 != file.hash {
        return Err(BackupError::damaged(format!("{}: the checksum is wrong", file.name)));
    }
    Ok(())
}

/// Length and hash of a file.
pub(super) fn hash_file(path: &Path) -> std::io::Result<(u64, [u8; 32])> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, *hasher.finalize().as_bytes()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

/// Follows the chain through the files of one folder; says which was the first.
fn chain(
    path: &Path,
    manifest: &Manifest,
    folder: &str,
    tail: &mut Option<Tail>,
) -> Result<Option<ArchiveFile>, BackupError> {
    let files = files_of(path, manifest, folder)?;
    for file in &files {
        let read = archive::read::<JournalError>(file, Sequence(0), tail, |_, _, _| Ok(()));
        read.map_err(of_content)?;
    }
    Ok(files.into_iter().next())
}

/// The archive files that the manifest names in a folder, oldest first.
pub(super) fn files_of(
    path: &Path,
    manifest: &Manifest,
    folder: &str,
) -> Result<Vec<ArchiveFile>, BackupError> {
    let named = manifest.files_in(folder);
    let found = archive::list(&path.join(folder))?;
    let is_named = |file: &ArchiveFile| {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        named.iter().any(|named| named.name == format!("{folder}/{name}"))
    };
    Ok(found.into_iter().filter(is_named).collect())
}

fn check_snapshot(path: &Path, manifest: &Manifest, log_from: Sequence) -> Result<(), BackupError> {
    let mut is_reached = log_from <= Sequence(1);
    for file in manifest.files_in(SNAPSHOTS) {
        let reader =
            SnapshotReader::open(&path.join(&file.name), manifest.sequence).map_err(of_content)?;
        is_reached |= log_from <= reader.lowest().next();
    }
    if is_reached {
        return Ok(());
    }
    Err(BackupError::damaged(format!(
        "no snapshot in it reaches record {}, where its log starts",
        log_from.0
    )))
}

/// What is wrong, without the advice that is meant for a data folder.
fn of_content(error: JournalError) -> BackupError {
    match error {
        JournalError::Damaged { what, .. } => BackupError::damaged(what),
        newer @ JournalError::NewerFormat { .. } => newer.into(),
        other => BackupError::damaged(other.to_string()),
    }
}
