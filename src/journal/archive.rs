//! What pruning drops is exported first: the journal is evidence in appeals.
//!
//! One file per dropped tree, `<first>-<last>.arc` (16 hexadecimal digits each), little-endian:
//!
//! ```text
//! offset size
//!      0    8  magic "haoyarch"
//!      8    8  first record
//!     16   16  chain before the first block
//!     32       per block: length u64, then the block verbatim
//!              length 0
//!              blake3 over everything before, 32 bytes
//! ```
//!
//! **Architecture invariant:** a file is complete, synced and named before its tree is dropped.
//! Should both exist after a crash, readers take the records once.

use std::fs;
use std::path::{Path, PathBuf};

use super::block::Chain;
use super::chain::Tail;
use super::files::{NewFile, names, newer_format, sync_directory};
use super::{JournalError, Sequence, Timestamp};

/// How much of the archive is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// All of it.
    #[default]
    Keep,
    /// So many of the newest files.
    Newest(usize),
}

/// A file of the archive, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ArchiveFile {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    pub(super) path: PathBuf,
}

#[cfg(fuzzing)]
impl ArchiveFile {
    /// A file that is on no disk.
    pub(super) fn unnamed(first: Sequence, last: Sequence) -> Self {
        Self { first, last, path: PathBuf::new() }
    }
}

/// Writes blocks that continue `tail`, which it moves past them. Every block is verified first.
pub(super) fn write(
    directory: &Path,
    tail: &mut Tail,
    blocks: impl Iterator<Item = Result<impl AsRef<[u8]>, JournalError>>,
) -> Result<(), JournalError> {
    let first = tail.next_sequence;
    let mut file = NewFile::create(directory, "incoming.tmp")?;
    file.write(MAGIC)?;
    file.write(&first.0.to_le_bytes())?;
    file.write(&tail.last_chain)?;
    for block in blocks {
        let block = block?;
        let bytes = block.as_ref();
        tail.accept(bytes).map_err(|damage| JournalError::damaged(damage.to_string()))?;
        file.write(&(bytes.len() as u64).to_le_bytes())?;
        file.write(bytes)?;
    }
    file.write(&[0; 8])?;
    file.finish(&name_of(first, tail.last_sequence()))?;
    Ok(())
}

/// The name of the file of these records.
pub(super) fn name_of(first: Sequence, last: Sequence) -> String {
    format!("{:016x}-{:016x}.arc", first.0, last.0)
}

/// Where the log stood before the first block of a file.
pub(super) fn start_of(file: &ArchiveFile) -> Result<Tail, JournalError> {
    let path = &file.path;
    let bytes = fs::read(path).map_err(|error| JournalError::io("read", path, error))?;
    let start = open(&bytes).map(|(start, _)| start);
    start.map_err(|what| JournalError::damaged(format!("{}: {what}", path.display())))
}

/// The blocks of a file that was verified before; none, if it is no such file.
pub(super) fn blocks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = open(bytes).map(|(_, blocks)| blocks).unwrap_or_default();
    std::iter::from_fn(move || {
        let (block, rest) = split_block(left)?;
        left = rest;
        Some(block)
    })
}

/// The files of an archive, oldest first.
pub(super) fn list(directory: &Path) -> Result<Vec<ArchiveFile>, JournalError> {
    let parse = |name: String| {
        let (first, last) = name.strip_suffix(".arc")?.split_once('-')?;
        let [first, last] = [first, last].map(|digits| u64::from_str_radix(digits, 16).ok());
        Some(ArchiveFile {
            first: Sequence(first?),
            last: Sequence(last?),
            path: directory.join(&name),
        })
    };
    let mut files: Vec<_> = names(directory)?.into_iter().filter_map(parse).collect();
    files.sort_unstable();
    Ok(files)
}

/// Removes what the retention does not keep.
pub(super) fn retain(directory: &Path, retention: Retention) -> Result<(), JournalError> {
    let Retention::Newest(count) = retention else { return Ok(()) };
    let files = list(directory)?;
    let excess = files.len().saturating_sub(count);
    for file in files.iter().take(excess) {
        let removed = fs::remove_file(&file.path);
        removed.map_err(|error| JournalError::io("remove", &file.path, error))?;
    }
    sync_directory(directory)
}

/// Passes on the records of a file from `from` on. The whole file is verified before the first.
pub(super) fn read<E: From<JournalError>>(
    file: &ArchiveFile,
    from: Sequence,
    tail: &mut Option<Tail>,
    visit: impl FnMut(Sequence, Timestamp, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let path = &file.path;
    let bytes = fs::read(path).map_err(|error| JournalError::io("read", path, error))?;
    read_bytes(file, &bytes, from, tail, visit)
}

/// As [`read`], of the bytes of a file.
pub(super) fn read_bytes<E: From<JournalError>>(
    file: &ArchiveFile,
    bytes: &[u8],
    from: Sequence,
    tail: &mut Option<Tail>,
    mut visit: impl FnMut(Sequence, Timestamp, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let path = &file.path;
    let damaged = |what: &str| JournalError::damaged(format!("{}: {what}", path.display()));
    check_format(file, bytes)?;
    let (header, mut blocks) = open(bytes).map_err(damaged)?;
    let mut own = tail.unwrap_or(header);
    if own.next_sequence != header.next_sequence || own.last_chain != header.last_chain {
        return Err(damaged("does not continue the file before it").into());
    }

    while let Some((block, rest)) = split_block(blocks) {
        blocks = rest;
        let block = own
            .accept(block)
            .map_err(|damage| damage.newer(path).unwrap_or_else(|| damaged(&damage.to_string())))?;
        for (sequence, time, payload) in block.records().filter(|record| from <= record.0) {
            visit(sequence, time, payload)?;
        }
    }
    if blocks != [0; 8] {
        return Err(damaged("does not end as a file of the archive").into());
    }
    if own.last_sequence() != file.last {
        return Err(damaged("does not end where its name says").into());
    }
    *tail = Some(own);
    Ok(())
}

/// A whole file of a newer format is not damaged.
fn check_format(file: &ArchiveFile, bytes: &[u8]) -> Result<(), JournalError> {
    let newer = bytes.first_chunk().and_then(|magic| newer_format(*magic, *MAGIC));
    let Some((found, (body, checksum))) = newer.zip(bytes.split_last_chunk::<32>()) else {
        return Ok(());
    };
    if blake3::hash(body) != blake3::Hash::from_bytes(*checksum) {
        return Ok(());
    }
    let file = file.path.clone();
    Err(JournalError::NewerFormat { file, kind: "archive", found, known: 1 })
}

/// Where a file starts, and its blocks, if its checksum holds.
fn open(bytes: &[u8]) -> Result<(Tail, &[u8]), &'static str> {
    let (body, checksum) = bytes.split_last_chunk::<32>().ok_or("is too short")?;
    if blake3::hash(body) != blake3::Hash::from_bytes(*checksum) {
        return Err("the checksum is wrong");
    }
    let (magic, rest) = body.split_first_chunk::<8>().ok_or("is too short")?;
    let (first, rest) = rest.split_first_chunk::<8>().ok_or("is too short")?;
    let (chain, blocks) = rest.split_first_chunk::<16>().ok_or("is too short")?;
    if magic != MAGIC {
        return Err("is of another kind");
    }
    let chain: Chain = *chain;
    let next_sequence = Sequence(u64::from_le_bytes(*first));
    Ok((Tail { next_sequence, last_chain: chain, ..Tail::default() }, blocks))
}

fn split_block(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    if length == 0 { None } else { rest.split_at_checked(length) }
}

const MAGIC: &[u8; 8] = b"haoyarch";
