//! The high-water mark: how far the log was acknowledged, kept beside the store.
//!
//! ```text
//! slot 0 at byte 0, slot 1 at byte 4096, each little-endian:
//! offset size
//!      0    8  magic "haoymark"
//!      8    8  counter; the valid slot with the higher one holds
//!     16    8  last acknowledged record
//!     24    8  latest time, ms since the epoch
//!     32   16  chain of the last acknowledged block
//!     48   16  first 16 bytes of blake3(bytes 0..48)
//! ```
//!
//! sled can come back with a shorter log and say nothing; the mark says it. It is written after
//! every acknowledged commit and synced every second and at every roll, so a shortened log is found
//! exactly after a kill, and to one second after a loss of power.
//!
//! **Architecture invariant:** the slots take turns, so that a torn write leaves the other one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::block::{Chain, GENESIS, short_hash};
use super::files::newer_format;
use super::{JournalError, Sequence, Timestamp};

/// What the mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) last: Sequence,
    pub(super) latest: Timestamp,
    pub(super) chain: Chain,
}

/// The file of the mark, open for writing.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    path: PathBuf,
    counter: u64,
    synced: Instant,
}

/// What stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No file, or an empty one: a new folder.
    Nothing,
    /// At least one valid slot.
    Mark(Mark),
    /// A whole slot of a newer format.
    Newer(u32),
    /// A file without a valid slot.
    Unreadable,
}

impl Mark {
    /// The mark of an empty log.
    pub(super) const EMPTY: Self =
        Self { last: Sequence(0), latest: Timestamp::from_millis(0), chain: GENESIS };
}

impl MarkFile {
    /// Opens the file, and reads the newer valid slot. Creates the file if there is none.
    pub(super) fn open(path: &Path, now: Instant) -> Result<(Self, Found), JournalError> {
        let failed = |error| JournalError::io("open", path, error);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (counter, found) = match read(&file) {
            (_, Found::Unreadable) if length == 0 => (0, Found::Nothing),
            read => read,
        };
        Ok((Self { file, path: path.to_owned(), counter, synced: now }, found))
    }

    /// Writes the mark into the older slot. Syncs it if asked to, or if the last sync is a second
    /// ago.
    pub(super) fn write(
        &mut self,
        mark: Mark,
        now: Instant,
        sync: bool,
    ) -> Result<(), JournalError> {
        self.counter += 1;
        let bytes = encode(self.counter, mark);
        let offset = self.counter % 2 * SLOT_DISTANCE;
        let written = self.file.write_all_at(&bytes, offset);
        written.map_err(|error| JournalError::io("write", &self.path, error))?;
        if sync || SYNC_INTERVAL <= now.saturating_duration_since(self.synced) {
            let synced = self.file.sync_data();
            synced.map_err(|error| JournalError::io("sync", &self.path, error))?;
            self.synced = now;
        }
        Ok(())
    }
}

/// What stands in the file of a node that may be running: nothing is created or changed.
pub(super) fn peek(path: &Path) -> Result<Found, JournalError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(JournalError::io("open", path, error)),
    };
    Ok(read(&file).1)
}

/// The newer valid slot, and its counter.
fn read(file: &File) -> (u64, Found) {
    let best = (0..2).filter_map(|slot| read_slot(file, slot)).max_by_key(|slot| slot.0);
    best.unwrap_or((0, Found::Unreadable))
}

pub(super) fn encode(counter: u64, mark: Mark) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&counter.to_le_bytes());
    bytes[16..24].copy_from_slice(&mark.last.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&mark.latest.as_millis().to_le_bytes());
    bytes[32..48].copy_from_slice(&mark.chain);
    let checksum = checksum(&bytes[..48]);
    bytes[48..].copy_from_slice(&checksum);
    bytes
}

fn read_slot(file: &File, slot: u64) -> Option<(u64, Found)> {
    let mut bytes = [0; SLOT_BYTES];
    file.read_exact_at(&mut bytes, slot * SLOT_DISTANCE).ok()?;
    decode(&bytes)
}

/// Counter and content of a slot, if it is valid.
pub(super) fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<(u64, Found)> {
    if bytes[48..] != checksum(&bytes[..48]) {
        return None;
    }
    let magic = bytes.first_chunk()?;
    if let Some(format) = newer_format(*magic, *MAGIC) {
        return Some((number(bytes, 8), Found::Newer(format)));
    }
    if magic != MAGIC {
        return None;
    }
    let mark = Mark {
        last: Sequence(number(bytes, 16)),
        latest: Timestamp::from_millis(number(bytes, 24)),
        chain: std::array::from_fn(|index| bytes[32 + index]),
    };
    Some((number(bytes, 8), Found::Mark(mark)))
}

fn number(bytes: &[u8; SLOT_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

pub(super) fn checksum(bytes: &[u8]) -> Chain {
    short_hash(blake3::Hasher::new().update(bytes))
}

const MAGIC: &[u8; 8] = b"haoymark";
pub(super) const SLOT_BYTES: usize = 64;
/// A page of their own each: no disk tears two pages in one write of 64 bytes.
const SLOT_DISTANCE: u64 = 4_096;
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::writer::now;

    fn mark(last: u64) -> Mark {
        Mark { last: Sequence(last), latest: Timestamp::from_millis(9), chain: [3; 16] }
    }

    fn found(path: &Path) -> Found {
        MarkFile::open(path, now()).unwrap().1
    }

    #[test]
    fn the_newer_valid_slot_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut file, nothing) = MarkFile::open(&path, now()).unwrap();
        assert_eq!(nothing, Found::Nothing);
        for last in 1..=5 {
            file.write(mark(last), now(), last == 5).unwrap();
            assert_eq!(found(&path), Found::Mark(mark(last)));
        }

        let (mut file, _) = MarkFile::open(&path, now()).unwrap();
        file.write(mark(6), now(), false).unwrap();
        assert_eq!(found(&path), Found::Mark(mark(6)));
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before_and_two_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut file, _) = MarkFile::open(&path, now()).unwrap();
        file.write(mark(1), now(), false).unwrap();
        file.write(mark(2), now(), false).unwrap();
        file.file.write_all_at(&[0xff; 20], 20).unwrap();
        assert_eq!(found(&path), Found::Mark(mark(1)));
        file.file.write_all_at(&[0xff; 20], 20 + SLOT_DISTANCE).unwrap();
        assert_eq!(found(&path), Found::Unreadable);
    }
}
