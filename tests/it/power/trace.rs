//! The trace that the layer writes: what was done to the folder, and what the driver had been told.

use std::path::{Path, PathBuf};

/// One entry.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Open { fd: i32, path: PathBuf, created: bool, truncated: bool },
    Close { fd: i32 },
    Write { fd: i32, offset: u64, data: Vec<u8> },
    Truncate { fd: i32, length: u64 },
    SyncBegins { fd: i32, token: u64 },
    SyncDone { token: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Unlink { path: PathBuf },
    MakeDirectory { path: PathBuf },
    RemoveDirectory { path: PathBuf },
    Mark(Vec<u8>),
}

/// Reads a trace. A killed process may leave half an entry at its end.
pub(crate) fn read(path: &Path) -> Vec<Entry> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while let Some((entry, after)) = entry(rest) {
        entries.push(entry);
        rest = after;
    }
    entries
}

/// The bytes of a mark, to be appended in one write.
pub(crate) fn mark(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'A', 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn entry(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<20>()?;
    let path_bytes = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let fd = i32::from_le_bytes(head[4..8].try_into().unwrap());
    let offset = u64::from_le_bytes(head[8..16].try_into().unwrap());
    let data_bytes = u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize;
    let (path, rest) = rest.split_at_checked(path_bytes)?;
    let (data, rest) = rest.split_at_checked(data_bytes)?;
    let text = std::str::from_utf8(path).unwrap();
    let path = || PathBuf::from(text);
    let entry = match head[0] {
        b'O' => {
            Entry::Open { fd, path: path(), created: head[1] & 1 != 0, truncated: head[1] & 2 != 0 }
        }
        b'C' => Entry::Close { fd },
        b'W' => Entry::Write { fd, offset, data: data.to_vec() },
        b'T' => Entry::Truncate { fd, length: offset },
        b'B' => Entry::SyncBegins { fd, token: offset },
        b'E' => Entry::SyncDone { token: offset },
        b'R' => {
            let (from, to) = text.split_once('\0')?;
            Entry::Rename { from: from.into(), to: to.into() }
        }
        b'U' => Entry::Unlink { path: path() },
        b'M' => Entry::MakeDirectory { path: path() },
        b'D' => Entry::RemoveDirectory { path: path() },
        b'A' => Entry::Mark(data.to_vec()),
        other => panic!("an entry of kind {other}"),
    };
    Some((entry, rest))
}
