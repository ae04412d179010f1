//! Files of state to start from: one section per shard, each at its own sequence number.
//!
//! `snapshot-<lowest>-<n>.haoyuan`, little-endian:
//!
//! ```text
//! "haoysnap"
//! per section: kind u8 (0..=254), index u32, sequence u64, length u64,
//!              first 16 bytes of blake3(these 21 bytes | payload), payload
//! trailer:     kind 255, section count u32, lowest sequence u64, highest sequence u64,
//!              blake3 over everything before, 32 bytes
//! ```
//!
//! A section holds every fact up to its sequence number. So a start loads the sections, reads the
//! journal from the record after the lowest on, and each shard skips what it has.
//!
//! **Architecture invariant:** a snapshot never reaches beyond the durable horizon: what it holds
//! is in the journal too.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::block::{Chain, short_hash};
use super::files::{NewFile, names, newer_format, sync_directory};
use super::{JournalError, Sequence};

/// Writes a snapshot. Dropped before [`finish`](Self::finish), it leaves nothing that is read.
#[derive(Debug)]
pub struct SnapshotWriter {
    file: NewFile,
    directory: PathBuf,
    sections: u32,
    lowest: Option<Sequence>,
    highest: Sequence,
}

/// Reads the sections of a snapshot whose checksum held.
#[derive(Debug)]
pub struct SnapshotReader {
    file: BufReader<File>,
    path: PathBuf,
    lowest: Sequence,
    highest: Sequence,
    sections_left: u32,
    /// What is left before the trailer: a section that claims more is none.
    bytes_left: u64,
}

/// What a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// The kind, chosen by whoever wrote it.
    pub kind: u8,
    /// Which one of its kind.
    pub index: u32,
    /// The last record that is in it.
    pub sequence: Sequence,
}

/// The snapshots of a folder.
#[derive(Clone, Debug)]
pub struct Snapshots {
    directory: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SnapshotFile {
    lowest: Sequence,
    number: u64,
    path: PathBuf,
}

impl SnapshotWriter {
    /// Starts a snapshot in a directory. One at a time.
    pub fn create(directory: &Path) -> Result<Self, JournalError> {
        let mut file = NewFile::create(directory, "snapshot.tmp")?;
        file.write(MAGIC)?;
        let directory = directory.to_owned();
        Ok(Self { file, directory, sections: 0, lowest: None, highest: Sequence(0) })
    }

    /// Adds a section: all that the facts up to `sequence` made of a shard.
    ///
    /// # Panics
    ///
    /// Panics on kind 255, and on a payload over [`SECTION_BYTES_MAX`] (1 GiB).
    pub fn section(
        &mut self,
        kind: u8,
        index: u32,
        sequence: Sequence,
        payload: &[u8],
    ) -> Result<(), JournalError> {
        assert!(kind != TRAILER, "kind 255 is the trailer");
        let length = payload.len() as u64;
        assert!(length <= SECTION_BYTES_MAX, "a section of {length} bytes");
        let header = encode_header(Section { kind, index, sequence }, length);
        self.file.write(&header)?;
        self.file.write(&checksum(&header, payload))?;
        self.file.write(payload)?;

        self.sections += 1;
        self.lowest = Some(self.lowest.map_or(sequence, |lowest| lowest.min(sequence)));
        self.highest = self.highest.max(sequence);
        Ok(())
    }

    /// The highest sequence number of a section so far.
    pub fn highest(&self) -> Sequence {
        self.highest
    }

    /// Completes the snapshot, gives it its name, and removes all but the newest two. `durable` is
    /// the horizon now; an error, if a section is beyond it: wait for [`highest`](Self::highest)
    /// to be durable before.
    pub fn finish(mut self, durable: Sequence) -> Result<PathBuf, JournalError> {
        if durable < self.highest {
            return Err(JournalError::NotDurable { highest: self.highest, durable });
        }
        let lowest = self.lowest.unwrap_or_default();
        self.file.write(&[TRAILER])?;
        self.file.write(&self.sections.to_le_bytes())?;
        self.file.write(&lowest.0.to_le_bytes())?;
        self.file.write(&self.highest.0.to_le_bytes())?;

        let snapshots = Snapshots::new(&self.directory);
        let newest = snapshots.list()?.iter().map(|file| file.number).max();
        let number = newest.map_or(1, |number| number + 1);
        let path = self.file.finish(&format!("snapshot-{:016x}-{number}.haoyuan", lowest.0))?;
        snapshots.remove_old()?;
        Ok(path)
    }
}

impl Snapshots {
    /// The snapshots in a directory.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The newest sound snapshot from which a log that reaches from `oldest` to `last` can go on,
    /// and a warning for each newer one that is damaged. No snapshot, if the log reaches back to
    /// record 1. An error, if nothing leads to the present.
    pub fn choose(
        &self,
        oldest: Sequence,
        last: Sequence,
    ) -> Result<(Option<SnapshotReader>, Vec<String>), JournalError> {
        let mut warnings = Vec::new();
        for file in self.list()?.iter().rev() {
            if file.lowest.next() < oldest {
                break;
            }
            match SnapshotReader::open(&file.path, last) {
                Ok(reader) => return Ok((Some(reader), warnings)),
                // Older ones may be readable, but whoever wrote this one knew more than we do.
                Err(error @ JournalError::NewerFormat { .. }) => return Err(error),
                Err(error) => warnings.push(error.to_string()),
            }
        }
        if oldest <= Sequence(1) {
            return Ok((None, warnings));
        }
        warnings.push(format!("no snapshot reaches record {}, where the log starts", oldest.0));
        Err(JournalError::damaged(warnings.join("; ")))
    }

    /// Below which record nothing is needed to start from any kept snapshot: pruning may go up to
    /// here. `None` without a snapshot.
    pub fn prunable_below(&self) -> Result<Option<Sequence>, JournalError> {
        let lowest = self.list()?.iter().map(|file| file.lowest).min();
        Ok(lowest.map(Sequence::next))
    }

    /// Oldest first.
    fn list(&self) -> Result<Vec<SnapshotFile>, JournalError> {
        let parse = |name: String| {
            let stem = name.strip_prefix("snapshot-")?.strip_suffix(".haoyuan")?;
            let (lowest, number) = stem.split_once('-')?;
            Some(SnapshotFile {
                lowest: Sequence(u64::from_str_radix(lowest, 16).ok()?),
                number: number.parse().ok()?,
                path: self.directory.join(&name),
            })
        };
        let mut files: Vec<_> = names(&self.directory)?.into_iter().filter_map(parse).collect();
        files.sort_unstable();
        Ok(files)
    }

    fn remove_old(&self) -> Result<(), JournalError> {
        let files = self.list()?;
        for file in files.iter().take(files.len().saturating_sub(KEPT)) {
            let removed = fs::remove_file(&file.path);
            removed.map_err(|error| JournalError::io("remove", &file.path, error))?;
        }
        sync_directory(&self.directory)
    }
}

impl SnapshotReader {
    /// Opens a snapshot, and checks it as a whole. `last` is the end of the log.
    pub fn open(path: &Path, last: Sequence) -> Result<Self, JournalError> {
        let failed = |error| JournalError::io("read", path, error);
        let damaged = |what: &str| JournalError::damaged(format!("{}: {what}", path.display()));
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let body = length.checked_sub(32).ok_or_else(|| damaged("is too short"))?;
        let mut hasher = blake3::Hasher::new();
        let mut tail = Vec::new();
        hash(&mut file, body, &mut hasher, &mut tail).map_err(failed)?;
        let mut checksum = [0; 32];
        file.read_exact(&mut checksum).map_err(failed)?;
        if hasher.finalize() != blake3::Hash::from_bytes(checksum) {
            return Err(damaged("the checksum is wrong"));
        }
        let trailer = tail.last_chunk().ok_or_else(|| damaged("is too short"))?;
        let (sections_left, lowest, highest) =
            decode_trailer(trailer).ok_or_else(|| damaged("has no trailer"))?;
        if last < highest {
            return Err(damaged("reaches beyond the end of the log"));
        }

        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(failed)?);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(failed)?;
        if let Some(found) = newer_format(magic, *MAGIC) {
            let file = path.to_owned();
            return Err(JournalError::NewerFormat { file, kind: "snapshot", found, known: 1 });
        }
        if magic != *MAGIC {
            return Err(damaged("is of another kind"));
        }
        let bytes_left = body.saturating_sub((MAGIC.len() + TRAILER_BYTES) as u64);
        Ok(Self { file, path: path.to_owned(), lowest, highest, sections_left, bytes_left })
    }

    /// The lowest sequence number of a section: read the journal from the record after it on.
    pub fn lowest(&self) -> Sequence {
        self.lowest
    }

    /// The highest sequence number of a section.
    pub fn highest(&self) -> Sequence {
        self.highest
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next section, whose payload replaces what is in the buffer. `None` after the last.
    pub fn next_section(&mut self, payload: &mut Vec<u8>) -> Result<Option<Section>, JournalError> {
        if self.sections_left == 0 {
            return Ok(None);
        }
        self.sections_left -= 1;
        let failed = |error| JournalError::io("read", &self.path, error);
        let mut header = [0; HEADER_BYTES];
        let mut expected = Chain::default();
        self.file.read_exact(&mut header).map_err(failed)?;
        self.file.read_exact(&mut expected).map_err(failed)?;
        let (section, length) = decode_header(&header);
        let taken = length.checked_add((HEADER_BYTES + expected.len()) as u64);
        let left = taken.and_then(|taken| self.bytes_left.checked_sub(taken)).ok_or_else(|| {
            let what = format!("{}: a section is longer than the file", self.path.display());
            JournalError::damaged(what)
        })?;
        self.bytes_left = left;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        payload.clear();
        payload.resize(length, 0);
        self.file.read_exact(payload).map_err(failed)?;
        if checksum(&header, payload) != expected {
            let what = format!("{}: a section changed while reading", self.path.display());
            return Err(JournalError::damaged(what));
        }
        Ok(Some(section))
    }
}

/// Hashes so many bytes, and leaves the last of them in `tail`.
fn hash(
    file: &mut File,
    mut left: u64,
    hasher: &mut blake3::Hasher,
    tail: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    while 0 < left {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        let part = &mut buffer[..size];
        file.read_exact(part)?;
        hasher.update(part);
        tail.extend_from_slice(&part[size.saturating_sub(TRAILER_BYTES)..]);
        let excess = tail.len().saturating_sub(TRAILER_BYTES);
        tail.drain(..excess);
        left -= size as u64;
    }
    Ok(())
}

fn encode_header(section: Section, length: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = section.kind;
    header[1..5].copy_from_slice(&section.index.to_le_bytes());
    header[5..13].copy_from_slice(&section.sequence.0.to_le_bytes());
    header[13..].copy_from_slice(&length.to_le_bytes());
    header
}

pub(super) fn decode_header(header: &[u8; HEADER_BYTES]) -> (Section, u64) {
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| header[at + index]));
    let index = u32::from_le_bytes(std::array::from_fn(|index| header[1 + index]));
    (Section { kind: header[0], index, sequence: Sequence(number(5)) }, number(13))
}

/// Section count, lowest and highest sequence number.
fn decode_trailer(trailer: &[u8; TRAILER_BYTES]) -> Option<(u32, Sequence, Sequence)> {
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| trailer[at + index]));
    let count = u32::from_le_bytes(std::array::from_fn(|index| trailer[1 + index]));
    (trailer[0] == TRAILER).then(|| (count, Sequence(number(5)), Sequence(number(13))))
}

pub(super) fn checksum(header: &[u8], payload: &[u8]) -> Chain {
    short_hash(blake3::Hasher::new().update(header).update(payload))
}

/// The largest section, in bytes: a shard is far smaller.
pub const SECTION_BYTES_MAX: u64 = 1 << 30;
pub(super) const MAGIC: &[u8; 8] = b"haoysnap";
const TRAILER: u8 = 255;
pub(super) const HEADER_BYTES: usize = 1 + 4 + 8 + 8;
pub(super) const TRAILER_BYTES: usize = 1 + 4 + 8 + 8;
const BUFFER_BYTES: usize = 256 << 10;
/// The newest, and one to fall back to.
const KEPT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const END: Sequence = Sequence(1_000);

    /// A snapshot with shards at two sequence numbers.
    fn write(directory: &Path, lowest: u64) -> PathBuf {
        let mut writer = SnapshotWriter::create(directory).unwrap();
        writer.section(1, 0, Sequence(lowest + 5), b"first shard").unwrap();
        writer.section(1, 1, Sequence(lowest), &vec![9; 300_000]).unwrap();
        writer.finish(END).unwrap()
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }

    fn chosen(directory: &Path, oldest: u64) -> Result<Option<u64>, JournalError> {
        let (reader, _) = Snapshots::new(directory).choose(Sequence(oldest), END)?;
        Ok(reader.map(|reader| reader.lowest().0))
    }

    #[test]
    fn sections_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), 7);
        assert!(path.ends_with("snapshot-0000000000000007-1.haoyuan"));
        let mut reader = SnapshotReader::open(&path, END).unwrap();
        let mut payload = Vec::new();
        let first = reader.next_section(&mut payload).unwrap().unwrap();
        assert_eq!(first, Section { kind: 1, index: 0, sequence: Sequence(12) });
        assert_eq!(payload, b"first shard");
        let second = reader.next_section(&mut payload).unwrap().unwrap();
        assert_eq!((second.index, second.sequence, payload.len()), (1, Sequence(7), 300_000));
        assert_eq!(reader.next_section(&mut payload).unwrap(), None);
    }

    #[test]
    fn a_damaged_newest_snapshot_gives_way_to_an_older_one_that_the_log_reaches() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(chosen(folder.path(), 1).unwrap(), None);
        write(folder.path(), 10);
        let newest = write(folder.path(), 20);
        assert_eq!(chosen(folder.path(), 1).unwrap(), Some(20));
        assert_eq!(Snapshots::new(folder.path()).prunable_below().unwrap(), Some(Sequence(11)));

        flip(&newest, 40);
        assert_eq!(chosen(folder.path(), 11).unwrap(), Some(10));
        let refused = chosen(folder.path(), 12).unwrap_err().to_string();
        assert!(refused.contains("the checksum is wrong") && refused.contains("restore"));
    }

    #[test]
    fn any_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), 10);
        let length = fs::read(&path).unwrap().len();
        for at in [0, 8, 9, 20, 40, 5_000, length - 53, length - 40, length - 1] {
            flip(&path, at);
            assert!(SnapshotReader::open(&path, END).is_err(), "byte {at}");
            flip(&path, at);
        }
        assert!(SnapshotReader::open(&path, END).is_ok());
    }

    /// A length is not believed before the bytes are there: a gigabyte would be asked for.
    #[test]
    fn a_section_that_claims_more_than_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), 10);
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 32);
        let length = MAGIC.len() + 13;
        bytes[length..length + 8].copy_from_slice(&(SECTION_BYTES_MAX - 1).to_le_bytes());
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        fs::write(&path, bytes).unwrap();
        let mut payload = Vec::new();
        let refused = SnapshotReader::open(&path, END).unwrap().next_section(&mut payload);
        assert!(refused.unwrap_err().to_string().contains("a section is longer than the file"));
        assert_eq!(payload.capacity(), 0);
    }

    #[test]
    fn only_the_newest_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for lowest in [10, 20, 20, 30] {
            write(folder.path(), lowest);
        }
        let expected =
            ["snapshot-0000000000000014-3.haoyuan", "snapshot-000000000000001e-4.haoyuan"];
        assert_eq!(names(folder.path()).unwrap(), expected);
    }

    #[test]
    fn a_snapshot_beyond_the_durable_horizon_is_not_finished_nor_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(folder.path()).unwrap();
        writer.section(0, 0, Sequence(5), b"").unwrap();
        assert!(matches!(writer.finish(Sequence(4)), Err(JournalError::NotDurable { .. })));
        let path = write(folder.path(), 10);
        assert!(SnapshotReader::open(&path, Sequence(14)).is_err());
        assert!(SnapshotReader::open(&path, Sequence(15)).is_ok());
    }
}
