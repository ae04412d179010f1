//! Small durable steps on the file system.
//!
//! **Architecture invariant:** a file counts as there only when its content and its directory entry
//! are synced; until then it bears another name.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::JournalError;

/// A file that takes its name only when it is complete and synced.
#[derive(Debug)]
pub(super) struct NewFile {
    file: std::io::BufWriter<File>,
    temporary: PathBuf,
    hasher: blake3::Hasher,
}

impl NewFile {
    /// Starts a file in a directory, under a temporary name.
    pub(super) fn create(directory: &Path, temporary: &str) -> Result<Self, JournalError> {
        let temporary = directory.join(temporary);
        let file = File::create(&temporary)
            .map_err(|error| JournalError::io("create", &temporary, error))?;
        let file = std::io::BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { file, temporary, hasher: blake3::Hasher::new() })
    }

    /// Adds bytes that the checksum covers.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.hasher.update(bytes);
        self.write_bare(bytes)
    }

    /// Adds the checksum over all bytes so far, and gives the file its name.
    pub(super) fn finish(mut self, name: &str) -> Result<PathBuf, JournalError> {
        let checksum = self.hasher.finalize();
        self.write_bare(checksum.as_bytes())?;
        let path = self.temporary.with_file_name(name);
        let failed = |error| JournalError::io("finish", &self.temporary, error);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&self.temporary, &path).map_err(failed)?;
        sync_directory(path.parent().unwrap_or_else(|| Path::new(".")))?;
        Ok(path)
    }

    fn write_bare(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| JournalError::io("write", &self.temporary, error))
    }
}

/// Makes created, renamed and removed entries of a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), JournalError> {
    sync_file(directory)
}

/// Makes the content of a file durable.
pub(super) fn sync_file(path: &Path) -> Result<(), JournalError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| JournalError::io("sync", path, error))
}

/// The format of a file by its magic, if it is newer than ours, which is 1 and ends in letters. Later
/// formats keep the first five bytes and end in three digits: "haoym002".
pub(super) fn newer_format(magic: [u8; 8], ours: [u8; 8]) -> Option<u32> {
    let (kind, digits) = magic.split_first_chunk::<5>()?;
    let number = str::from_utf8(digits).ok()?.parse().ok()?;
    (ours.starts_with(kind) && 1 < number).then_some(number)
}

/// The names in a directory, sorted; none, if there is no directory.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, JournalError> {
    let failed = |error| JournalError::io("list", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

const BUFFER_BYTES: usize = 256 << 10;
