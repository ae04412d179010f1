//! Doors to the formats on disk, by bytes, for the fuzz targets in `tests/fuzz`.
//!
//! A fuzzer never guesses a checksum, so the seals are set right here and what lies behind them is
//! reached. Built under `--cfg fuzzing` only.

use super::archive::{self, ArchiveFile};
use super::block::{BLOCK_HEADER_BYTES, BlockRef, CHAIN_START, Chain, Cutter, chain_of};
use super::mark::{self, Found, Mark};
use super::snapshot::{self, HEADER_BYTES};
use super::{JournalError, Sequence, Timestamp};

/// A record as the journal keeps it: number, time and bytes.
pub type Record = (Sequence, Timestamp, Vec<u8>);

/// Bytes of a slot of the high-water mark.
pub const MARK_BYTES: usize = mark::SLOT_BYTES;

/// Cuts records into blocks that continue a log, as the commit thread does.
pub fn cut(first: Sequence, chain: Chain, records: &[Record]) -> Vec<BlockRef> {
    let mut cutter = Cutter::new(first, Timestamp::default(), chain);
    let push = |(_, time, bytes): &Record| cutter.push(time.as_millis(), bytes);
    let mut blocks: Vec<BlockRef> = records.iter().filter_map(push).collect();
    blocks.extend(cutter.finish());
    blocks
}

/// Sets the chain of a block right.
pub fn seal_block(previous: &Chain, block: &mut [u8]) {
    let chain = chain_of(previous, block);
    if let Some(place) = block.get_mut(CHAIN_START..BLOCK_HEADER_BYTES) {
        place.copy_from_slice(&chain);
    }
}

/// Appends the checksum that archives and snapshots end with.
pub fn seal_file(bytes: &mut Vec<u8>) {
    let checksum = blake3::hash(bytes);
    bytes.extend_from_slice(checksum.as_bytes());
}

/// Sets the checksum of every section of a snapshot right, as far as sections can be told.
pub fn seal_sections(bytes: &mut [u8]) {
    let mut rest = bytes.get_mut(snapshot::MAGIC.len()..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_first_chunk_mut::<HEADER_BYTES>() {
        let length = usize::try_from(snapshot::decode_header(header).1).unwrap_or(usize::MAX);
        let Some((place, behind)) = behind.split_first_chunk_mut::<16>() else { return };
        let Some((payload, behind)) = behind.split_at_mut_checked(length) else { return };
        *place = snapshot::checksum(header, payload);
        rest = behind;
    }
}

/// The records of an archive file with that content, named after its first and last record.
///
/// # Errors
///
/// The bytes are no such file.
pub fn read_archive(
    bytes: &[u8],
    first: Sequence,
    last: Sequence,
) -> Result<Vec<Record>, JournalError> {
    let mut records = Vec::new();
    let file = ArchiveFile::unnamed(first, last);
    archive::read_bytes::<JournalError>(&file, bytes, first, &mut None, |at, time, payload| {
        records.push((at, time, payload.to_vec()));
        Ok(())
    })?;
    Ok(records)
}

/// Counter, last record, latest time and chain of a slot of the mark, if it is valid.
pub fn read_mark(bytes: &[u8; MARK_BYTES]) -> Option<(u64, Sequence, Timestamp, Chain)> {
    match mark::decode(bytes)? {
        (counter, Found::Mark(mark)) => Some((counter, mark.last, mark.latest, mark.chain)),
        (_, Found::Nothing | Found::Newer(_) | Found::Unreadable) => None,
    }
}

/// A slot of the mark.
pub fn write_mark(
    counter: u64,
    last: Sequence,
    latest: Timestamp,
    chain: Chain,
) -> [u8; MARK_BYTES] {
    mark::encode(counter, Mark { last, latest, chain })
}

/// Sets the checksum of a slot of the mark right.
pub fn seal_mark(bytes: &mut [u8; MARK_BYTES]) {
    let checksum = mark::checksum(&bytes[..MARK_BYTES - 16]);
    bytes[MARK_BYTES - 16..].copy_from_slice(&checksum);
}
