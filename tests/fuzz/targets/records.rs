//! What stands on disk: facts, chained blocks, archive, high-water mark, snapshot, images of shards.
//!
//! The first byte says what the rest is. A checksum is set right where the fuzzer could not guess
//! it, and then one byte is changed: what is sealed must read back as it was, and a change must show.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use haoyuan::codec::{decode_facts, encode_facts};
use haoyuan::inventory::Inventory;
use haoyuan::journal::probe::{self, MARK_BYTES, Record};
use haoyuan::journal::{
    Block, BlockRef, GENESIS, RECORD_BYTES_MAX, SnapshotReader, SnapshotWriter, Snapshots, Tail,
};
use haoyuan::model::{Sequence, Timestamp};
use haoyuan::service::{digest, probe as images};
use haoyuan_fuzz::{Bytes, TIMES, bounded, possible};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 8 {
        0 => facts(data),
        1 => block(data),
        2 => log(data),
        3 => archive(data),
        4 => mark(data),
        5 => snapshot(data),
        6 => sections(data),
        _ => image(data),
    }
});

fn facts(bytes: &[u8]) {
    let Ok(facts) = bounded(bytes, TIMES, || decode_facts(bytes)) else { return };
    let mut again = Vec::new();
    encode_facts(&facts, &mut again);
    assert_eq!(again, bytes, "{facts:?}");
}

fn records_of(block: &Block<'_>) -> Vec<Record> {
    block.records().map(|(sequence, time, payload)| (sequence, time, payload.to_vec())).collect()
}

/// Any block: sealed, it is accepted; its records cut again are the same records.
fn block(bytes: &[u8]) {
    let Ok(block) = bounded(bytes, 1, || Block::parse(bytes)) else { return };
    let records = records_of(&block);
    assert_eq!(records.last().map(|record| record.0), Some(block.last()), "it is full");
    assert_eq!(records.iter().map(|record| record.1).max(), Some(block.latest()));

    let mut sealed = bytes.to_vec();
    probe::seal_block(&GENESIS, &mut sealed);
    let before = Tail { next_sequence: block.first(), ..Tail::default() };
    let mut tail = before;
    tail.accept(&sealed).expect("a sealed block is sound");
    assert_eq!(tail.last_sequence(), block.last());
    let spoilt = bytes.len() / 2;
    sealed[spoilt] ^= 1;
    let mut tail = before;
    assert!(tail.accept(&sealed).is_err(), "byte {spoilt} was changed");
    assert_eq!(tail, before, "what is not accepted moves nothing");

    let cut = probe::cut(block.first(), GENESIS, &records);
    let again: Vec<Record> = cut
        .iter()
        .flat_map(|block| records_of(&Block::parse(&block.bytes).expect("it was just cut")))
        .collect();
    assert_eq!(again, records);
}

/// Records from bytes: lengths and times are the fuzzer's.
fn records(bytes: &mut Bytes<'_>) -> Vec<Record> {
    let first = if bytes.once_in(4) { bytes.long().clamp(1, 1 << 60) } else { 1 };
    let mut records = Vec::new();
    let mut time = 1_800_000_000_000_u64;
    while !bytes.is_empty() && records.len() < 64 {
        time = match bytes.below(8) {
            0 => bytes.long(),
            1 => time.wrapping_sub(u64::from(bytes.short())),
            _ => time.wrapping_add(u64::from(bytes.byte())),
        };
        // A few long ones, so that there is more than one block.
        let long = bytes.once_in(8);
        let length = usize::from(bytes.byte());
        let mut payload = bytes.take(length).to_vec();
        if long {
            payload.resize(RECORD_BYTES_MAX.min(payload.len() * 16), 7);
        }
        let sequence = Sequence(first + records.len() as u64);
        records.push((sequence, Timestamp::from_millis(time), payload));
    }
    records
}

/// A log is accepted as it was cut, and in no other form.
fn log(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (what, which, at) = (bytes.below(5), bytes.byte(), bytes.short());
    let records = records(&mut bytes);
    let Some((first, _, _)) = records.first() else { return };
    let blocks = probe::cut(*first, GENESIS, &records);
    let bytes: Vec<Vec<u8>> = blocks.iter().map(|block| block.bytes.to_vec()).collect();
    let origin = Tail { next_sequence: *first, ..Tail::default() };
    assert_eq!(accepted(origin, &bytes), bytes.len());

    let which = usize::from(which) % bytes.len();
    let mut spoilt = bytes.clone();
    match what {
        0 => {
            let at = usize::from(at) % spoilt[which].len();
            spoilt[which][at] ^= 1 << (which % 8);
        }
        1 => drop(spoilt.remove(which)),
        2 => spoilt.insert(which, bytes[which].clone()),
        3 => {
            let length = usize::from(at) % spoilt[which].len();
            spoilt[which].truncate(length);
        }
        _ => spoilt.reverse(),
    }
    // What is sound before the first change is kept, and nothing behind it.
    let same = bytes.iter().zip(&spoilt).take_while(|(left, right)| left == right).count();
    assert_eq!(accepted(origin, &spoilt), same);
}

fn accepted(mut tail: Tail, blocks: &[Vec<u8>]) -> usize {
    blocks.iter().take_while(|bytes| tail.accept(bytes).is_ok()).count()
}

fn archive_of(first: Sequence, blocks: &[BlockRef]) -> Vec<u8> {
    let mut file = b"haoyarch".to_vec();
    file.extend_from_slice(&first.0.to_le_bytes());
    file.extend_from_slice(&GENESIS);
    for block in blocks {
        file.extend_from_slice(&(block.bytes.len() as u64).to_le_bytes());
        file.extend_from_slice(&block.bytes);
    }
    file.extend_from_slice(&[0; 8]);
    probe::seal_file(&mut file);
    file
}

/// Half of the inputs are the content of a file; the others make one, and then change it.
fn archive(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.once_in(2) {
        let mut file = bytes.0.to_vec();
        probe::seal_file(&mut file);
        let last = Sequence(u64::from(data[0]));
        let read = bounded(&file, 64, || probe::read_archive(&file, Sequence(1), last));
        if let Ok(records) = read {
            assert!(records.iter().all(|record| record.0 <= last));
        }
        return;
    }
    let at = usize::from(bytes.short());
    let records = records(&mut bytes);
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
    let blocks = probe::cut(first.0, GENESIS, &records);
    let mut file = archive_of(first.0, &blocks);
    let read = probe::read_archive(&file, first.0, last.0);
    assert_eq!(read.expect("it was just made"), records);
    let at = at % file.len();
    file[at] ^= 1;
    assert!(probe::read_archive(&file, first.0, last.0).is_err(), "byte {at} was changed");
}

fn mark(data: &[u8]) {
    let Some((bytes, _)) = data.split_first_chunk::<MARK_BYTES>() else { return };
    let mut bytes = *bytes;
    bytes[..8].copy_from_slice(b"haoymark");
    probe::seal_mark(&mut bytes);
    let (counter, last, latest, chain) = probe::read_mark(&bytes).expect("the seal is right");
    assert_eq!(probe::write_mark(counter, last, latest, chain), bytes);
    let at = usize::from(data[0]) % MARK_BYTES;
    bytes[at] ^= 1;
    assert_eq!(probe::read_mark(&bytes), None, "byte {at} was changed");
}

/// A folder of this process, in memory where the script says so.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let given = std::env::var_os("HAOYUAN_FUZZ_DIR").map(PathBuf::from);
        let parent = given.unwrap_or_else(std::env::temp_dir);
        let folder = parent.join(format!("haoyuan-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("there is room for a folder");
        folder
    })
}

/// The content of a snapshot file, with its checksums right.
fn snapshot(data: &[u8]) {
    let mut file = b"haoysnap".to_vec();
    file.extend_from_slice(data);
    probe::seal_sections(&mut file);
    probe::seal_file(&mut file);
    let path = folder().join("content");
    std::fs::write(&path, &file).expect("memory takes it");
    // Two buffers of 256 KiB for reading, whatever the file is.
    let read = || {
        let mut reader = SnapshotReader::open(&path, Sequence(u64::MAX)).ok()?;
        let (mut count, mut payload, mut bytes) = (0, Vec::new(), 0);
        while reader.next_section(&mut payload).ok()?.is_some() {
            count += 1;
            bytes += payload.len();
        }
        Some((count, bytes))
    };
    let padded = vec![0; file.len() + (1 << 20)];
    if let Some((count, bytes)) = bounded(&padded, 2, read) {
        assert!(bytes + count * 37 + 8 + 21 + 32 <= file.len(), "sections lie in the file");
    }
}

/// Sections that are written read back; a changed byte shows.
fn sections(data: &[u8]) {
    let mut bytes = Bytes(data);
    let at = usize::from(bytes.short());
    let folder = folder().join("written");
    let _absent = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("memory takes it");
    let mut writer = SnapshotWriter::create(&folder).expect("memory takes it");
    let mut written = Vec::new();
    while !bytes.is_empty() && written.len() < 8 {
        let (kind, index, sequence) = (bytes.below(255), bytes.byte(), u64::from(bytes.short()));
        let length = usize::from(bytes.byte());
        let payload = bytes.take(length);
        writer.section(kind, index.into(), Sequence(sequence), payload).expect("memory takes it");
        written.push((kind, u32::from(index), sequence, payload.to_vec()));
    }
    let path = writer.finish(Sequence(u64::MAX)).expect("memory takes it");
    let mut reader = SnapshotReader::open(&path, Sequence(1 << 16)).expect("it was just written");
    let (mut payload, mut read) = (Vec::new(), Vec::new());
    while let Some(section) = reader.next_section(&mut payload).expect("it was just written") {
        read.push((section.kind, section.index, section.sequence.0, payload.clone()));
    }
    assert_eq!(read, written);
    let mut file = std::fs::read(&path).expect("it was just written");
    let at = at % file.len();
    file[at] ^= 1;
    std::fs::write(&path, &file).expect("memory takes it");
    assert!(SnapshotReader::open(&path, Sequence(1 << 16)).is_err(), "byte {at} was changed");
    assert!(Snapshots::new(&folder).choose(Sequence(2), Sequence(1 << 16)).is_err());
}

/// The image of a shard: what is taken from it makes an image of the same.
fn image(data: &[u8]) {
    let mut bytes = Bytes(data);
    let kind = bytes.below(3);
    let restore = |image: &[u8]| {
        // Nothing is too old to be remembered: what is, is dropped two by two, and not at once.
        let mut inventory = Inventory::new(1, u64::MAX);
        let read = images::read_image(&mut inventory, kind, 0, Sequence(1), image);
        read.map(|()| inventory)
    };
    let Some(Ok(first)) = possible(|| restore(bytes.0)) else { return };
    let image = images::write_image(&first, kind, 0);
    let second = possible(|| restore(&image)).expect("it is possible").expect("it was written");
    assert_eq!(digest::of_inventory(&second), digest::of_inventory(&first));
    assert_eq!(second.counts(), first.counts());
    assert_eq!(images::write_image(&second, kind, 0).len(), image.len());
}
