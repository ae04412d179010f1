//! The journal on a data folder: every trap of sled, as a test.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

/// A tree per four blocks, so that a test can roll and prune.
const OPTIONS: FolderOptions = FolderOptions {
    durability: Durability::Commit,
    retention: Retention::Keep,
    cache_bytes: 8 << 20,
    blocks_per_tree: 4,
};

fn open(path: &Path) -> Result<Opened, JournalError> {
    DataFolder::open(path, &OPTIONS)
}

fn refusal(path: &Path) -> String {
    open(path).map(|_| ()).unwrap_err().to_string()
}

fn start(path: &Path) -> Journal {
    let Opened { log, store, .. } = open(path).unwrap();
    let on_fatal: OnFatal = Arc::new(|error| panic!("{error}"));
    let config = JournalConfig { recent_bytes_max: 0, ..JournalConfig::default() };
    Journal::start(Box::new(store), log.tail(), config, on_fatal)
}

/// Each record in a commit, and so in a block, of its own.
fn append(journal: &Journal, count: u64) {
    for _ in 0..count {
        let permit = journal.reserve(Lane::Request).unwrap();
        let number = journal.appended().0 + 1;
        let sequence = journal.append(permit, Timestamp::from_millis(number), |to| {
            to.extend_from_slice(&number.to_le_bytes());
        });
        journal.wait_durable(sequence).unwrap();
    }
}

/// A folder with so many records, closed.
fn filled(count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    append(&journal, count);
    journal.close().unwrap();
    folder
}

/// The numbers of all records from one on, archived ones too; their content is their number.
fn history(log: &Log, from: u64) -> Result<Vec<u64>, ReadError> {
    let mut seen = Vec::new();
    log.history::<ReadError>(Sequence(from), |sequence, time, bytes| {
        assert_eq!((time.as_millis(), bytes), (sequence.0, sequence.0.to_le_bytes().as_slice()));
        seen.push(sequence.0);
        Ok(())
    })?;
    Ok(seen)
}

fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

fn tamper(path: &Path, first: u64, change: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>>) {
    open(path).unwrap().log.sled.tamper(first, change);
}

#[test]
fn a_closed_folder_goes_on_where_it_ended() {
    let folder = filled(10);
    let opened = open(folder.path()).unwrap();
    assert_eq!(opened.log.tail().next_sequence, Sequence(11));
    assert_eq!(opened.log.tail().last_time.as_millis(), 10);
    assert_eq!((opened.log.oldest(), opened.log.warnings().len()), (Sequence(1), 0));
    drop(opened);

    let journal = start(folder.path());
    append(&journal, 5);
    journal.close().unwrap();
    drop(journal);
    let log = DataFolder::inspect(folder.path()).unwrap();
    assert_eq!(history(&log, 1).unwrap(), numbers(1, 15));
    assert_eq!(history(&log, 13).unwrap(), numbers(13, 15));
}

#[test]
fn large_commits_leave_blobs_empty_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = FolderOptions { blocks_per_tree: 500, ..OPTIONS };
    let Opened { log, store, .. } = DataFolder::open(folder.path(), &options).unwrap();
    let on_fatal: OnFatal = Arc::new(|error| panic!("{error}"));
    let journal = Journal::start(Box::new(store), log.tail(), JournalConfig::default(), on_fatal);
    let sizes = |number: u64| if number.is_multiple_of(2) { RECORD_BYTES_MAX } else { 75 };
    for number in 1..=4_000 {
        let permit = journal.reserve(Lane::Request).unwrap();
        journal.append(permit, Timestamp::from_millis(1), |to| {
            to.resize(to.len() + sizes(number), 7);
        });
    }
    journal.close().unwrap();
    assert!(journal.stats().commits < 2_000, "commits were grouped");
    drop((journal, log));

    let blobs = fs::read_dir(folder.path().join("store/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
    let mut count = 0;
    let log = DataFolder::inspect(folder.path()).unwrap();
    log.for_each_record::<ReadError>(Sequence(1), |sequence, _, bytes| {
        count += 1;
        assert_eq!((sequence.0, bytes.len()), (count, sizes(count)));
        Ok(())
    })
    .unwrap();
    assert_eq!(count, 4_000);
}

#[test]
fn a_blob_stops_the_start() {
    let folder = filled(1);
    fs::write(folder.path().join("store/blobs/17"), b"large").unwrap();
    let refusal = refusal(folder.path());
    assert!(refusal.contains("blobs/17"), "{refusal}");
}

#[test]
fn what_a_kill_in_open_left_is_removed() {
    let folder = filled(3);
    let stale = folder.path().join("store/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&stale, b"half").unwrap();
    let opened = open(folder.path()).unwrap();
    assert!(!stale.exists());
    assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 3));
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    for round in 1..=4 {
        append(&journal, 3);
        // With no commit under way, the files are what a kill at this moment leaves.
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let opened = open(copy.path()).unwrap();
        assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 3 * round));
        drop(opened);

        // The mark is as new as the log: nothing of it may be missing.
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        tamper(copy.path(), 3 * round, |_| None);
        assert!(matches!(open(copy.path()), Err(JournalError::Shortened { .. })));
    }
}

#[test]
fn what_a_kill_in_the_first_start_left_is_begun_again() {
    // sled writes its conf in two pieces; half of it can never be opened.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("UNFINISHED"), "").unwrap();
    fs::create_dir(folder.path().join("store")).unwrap();
    fs::write(folder.path().join("store/conf"), [7; 58]).unwrap();
    let journal = start(folder.path());
    append(&journal, 3);
    journal.close().unwrap();
    drop(journal);
    assert!(!folder.path().join("UNFINISHED").exists());

    // Of a complete folder nothing is removed, whatever else lies there.
    fs::write(folder.path().join("UNFINISHED"), "").unwrap();
    let opened = open(folder.path()).unwrap();
    assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 3));
    assert!(!folder.path().join("UNFINISHED").exists());
}

#[test]
fn a_second_process_is_refused() {
    let folder = filled(1);
    let _opened = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(JournalError::Locked { .. })));
    assert!(matches!(DataFolder::inspect(folder.path()), Err(JournalError::Locked { .. })));
}

#[test]
fn another_format_is_refused_and_nothing_is_not_inspected() {
    let folder = filled(1);
    fs::write(folder.path().join("FORMAT"), "haoyuan data folder 2\n").unwrap();
    assert!(refusal(folder.path()).contains("knows folder format 2"));
    fs::write(folder.path().join("FORMAT"), [0xff, 0xfe]).unwrap();
    assert!(refusal(folder.path()).contains("FORMAT names no format"));
    fs::remove_file(folder.path().join("FORMAT")).unwrap();
    assert!(refusal(folder.path()).contains("no FORMAT"));
    let nothing = DataFolder::inspect(&folder.path().join("typo")).map(|_| ());
    assert!(matches!(nothing, Err(JournalError::NoFolder { .. })));
    assert!(!folder.path().join("typo").exists());
}

#[test]
fn a_changed_acknowledged_block_is_refused() {
    let folder = filled(10);
    tamper(folder.path(), 6, |block| {
        let mut block = block.unwrap();
        *block.last_mut().unwrap() ^= 1;
        Some(block)
    });
    let refusal = refusal(folder.path());
    assert!(refusal.contains("chain breaks at record 6"), "{refusal}");
    assert!(refusal.contains("restore it from a backup"), "{refusal}");
}

#[test]
fn a_hole_is_refused() {
    for (removed, expected) in [(1, "record 1 is missing"), (6, "record 6 is missing")] {
        let folder = filled(10);
        tamper(folder.path(), removed, |_| None);
        let refusal = refusal(folder.path());
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn a_log_shorter_than_its_mark_is_refused() {
    let folder = filled(10);
    tamper(folder.path(), 10, |_| None);
    let refusal = refusal(folder.path());
    assert!(refusal.contains("ends at record 9, but record 10 was acknowledged"), "{refusal}");
}

#[test]
fn flips_and_cuts_of_the_data_file_never_pass_silently() {
    let folder = filled(40);
    let whole = fs::read(folder.path().join("store/db")).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut images: Vec<Vec<u8>> = [0, 100, used / 2, used].map(|end| whole[..end].to_vec()).into();
    for at in (0..16).map(|step| used * step / 16) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        images.push(flipped);
    }
    for (index, image) in images.into_iter().enumerate() {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        fs::write(copy.path().join("store/db"), image).unwrap();
        // sled does not look at every byte. What it hands out must be right and complete.
        if let Ok(opened) = open(copy.path()) {
            assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 40), "image {index}");
        }
        assert!(!is_opening_store());
    }
}

#[test]
fn a_damaged_tail_is_cut_with_a_warning() {
    let folder = filled(10);
    tamper(folder.path(), 11, |_| Some(vec![1, 0x48, 3]));
    inspect_twice(folder.path());
    let opened = open(folder.path()).unwrap();
    assert!(opened.log.warnings()[0].contains("never acknowledged"));
    assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 10));
    drop(opened);

    let journal = start(folder.path());
    append(&journal, 2);
    journal.close().unwrap();
    drop(journal);
    let opened = open(folder.path()).unwrap();
    assert_eq!(opened.log.warnings(), [""; 0]);
    assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 12));
}

/// An inspection must see a damaged tail without removing it.
fn inspect_twice(path: &Path) {
    for _ in 0..2 {
        let log = DataFolder::inspect(path).unwrap();
        assert_eq!(log.warnings().len(), 1);
        assert_eq!(history(&log, 1).unwrap(), numbers(1, 10));
    }
}

#[test]
fn without_a_readable_mark_records_are_not_trusted() {
    let folder = filled(2);
    let mark = folder.path().join("mark");
    let whole = fs::read(&mark).unwrap();
    fs::write(&mark, vec![0xff; whole.len()]).unwrap();
    assert!(refusal(folder.path()).contains("neither slot"));
    fs::remove_file(&mark).unwrap();
    assert!(refusal(folder.path()).contains("no mark"));
    fs::write(&mark, whole).unwrap();
    assert!(open(folder.path()).is_ok());
}

#[test]
fn a_mark_of_another_log_is_refused() {
    let folder = filled(2);
    let other = tempfile::tempdir().unwrap();
    let journal = start(other.path());
    let permit = journal.reserve(Lane::Request).unwrap();
    journal.append(permit, Timestamp::default(), |to| to.push(1));
    journal.close().unwrap();
    fs::copy(other.path().join("mark"), folder.path().join("mark")).unwrap();
    assert!(refusal(folder.path()).contains("record 1 is not the one that was acknowledged"));
}

#[test]
fn pruned_records_are_archived_and_the_history_has_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    append(&journal, 18);
    assert!(journal.prune(Sequence(12)));
    journal.wait_pruned();
    // Trees start at 1, 5, 9, 13: the one from 9 on holds record 12.
    assert_eq!((journal.oldest(), journal.stats().pruned_trees), (Sequence(9), 2));
    assert!(matches!(journal.read(Sequence(8), 1), Err(ReadError::Gone { oldest: Sequence(9) })));
    assert_eq!(journal.read(Sequence(9), usize::MAX).unwrap().records().count(), 10);
    append(&journal, 4);
    journal.close().unwrap();
    drop(journal);

    let opened = open(folder.path()).unwrap();
    assert_eq!(opened.log.oldest(), Sequence(9));
    assert_eq!(history(&opened.log, 1).unwrap(), numbers(1, 22));
    assert_eq!(history(&opened.log, 7).unwrap(), numbers(7, 22));
    let gone = opened.log.for_each_record::<ReadError>(Sequence(8), |_, _, _| Ok(()));
    assert!(matches!(gone, Err(ReadError::Gone { oldest: Sequence(9) })));
}

#[test]
fn pruning_cannot_hide_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    append(&journal, 18);
    journal.prune(Sequence(9));
    journal.wait_pruned();
    journal.close().unwrap();
    drop(journal);
    tamper(folder.path(), 9, |_| None);
    let refusal = refusal(folder.path());
    assert!(refusal.contains("record 9 is missing"), "{refusal}");
}

#[test]
fn damage_that_a_pruning_meets_ends_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { log, store, .. } = open(folder.path()).unwrap();
    let (tail, on_fatal): (_, OnFatal) = (log.tail(), Arc::new(|_| ()));
    let journal = Journal::start(Box::new(store), tail, JournalConfig::default(), on_fatal);
    append(&journal, 10);
    log.sled.tamper(2, |_| None);
    journal.prune(Sequence(9));
    journal.wait_pruned();
    assert!(journal.is_failed());
    assert_eq!((journal.oldest(), journal.durable()), (Sequence(1), Sequence(10)));
    let permit = journal.reserve(Lane::Upkeep).unwrap();
    let late = journal.append(permit, Timestamp::default(), |_| ());
    assert!(matches!(journal.wait_durable(late), Err(JournalError::Failed)));
    assert!(journal.close().is_err());
    assert_eq!(journal.durable(), Sequence(10));
}

#[test]
fn an_interrupted_pruning_is_harmless() {
    for with_origin in [false, true] {
        let folder = filled(10);
        open(folder.path()).unwrap().log.sled.prune_half(with_origin);
        let oldest = if with_origin { 5 } else { 1 };
        let log = DataFolder::inspect(folder.path()).unwrap();
        assert_eq!(history(&log, 1).unwrap(), numbers(1, 10));
        drop(log);

        let trees = open(folder.path()).unwrap().log.sled.generations();
        assert!(trees.iter().all(|tree| oldest <= tree.base), "what is archived was dropped");
        drop(trees);
        let journal = start(folder.path());
        assert_eq!(journal.oldest(), Sequence(oldest));
        journal.prune(Sequence(9));
        journal.wait_pruned();
        assert_eq!(journal.oldest(), Sequence(9));
        journal.close().unwrap();
        drop(journal);
        assert_eq!(history(&open(folder.path()).unwrap().log, 1).unwrap(), numbers(1, 10));
    }
}

#[test]
fn a_damaged_archive_is_found_and_a_limited_one_says_where_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let options = FolderOptions { retention: Retention::Newest(1), ..OPTIONS };
    let Opened { log, store, .. } = DataFolder::open(folder.path(), &options).unwrap();
    let on_fatal: OnFatal = Arc::new(|error| panic!("{error}"));
    let journal = Journal::start(Box::new(store), log.tail(), JournalConfig::default(), on_fatal);
    append(&journal, 10);
    journal.prune(Sequence(9));
    journal.wait_pruned();
    journal.close().unwrap();
    drop((journal, log));

    let log = DataFolder::inspect(folder.path()).unwrap();
    assert!(matches!(history(&log, 1), Err(ReadError::Gone { oldest: Sequence(5) })));
    assert_eq!(history(&log, 5).unwrap(), numbers(5, 10));
    let file = folder.path().join("archive/0000000000000005-0000000000000008.arc");
    let mut bytes = fs::read(&file).unwrap();
    bytes[60] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert!(history(&log, 5).unwrap_err().to_string().contains("the checksum is wrong"));
    bytes[60] ^= 1;
    bytes.truncate(bytes.len() - 32);
    bytes.push(7);
    bytes.extend_from_slice(blake3::hash(&bytes.clone()).as_bytes());
    fs::write(&file, &bytes).unwrap();
    assert!(history(&log, 5).unwrap_err().to_string().contains("does not end as a file"));
}

#[test]
fn readers_and_commits_go_on_while_trees_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    append(&journal, 100);
    thread::scope(|scope| {
        scope.spawn(|| append(&journal, 100));
        scope.spawn(|| {
            for below in (5..=100).step_by(8) {
                journal.prune(Sequence(below));
                journal.wait_pruned();
            }
        });
        let mut next = Sequence(1);
        while next.0 <= 200 {
            match journal.read(next, 100) {
                Ok(page) => {
                    assert!(
                        page.records().zip(next.0..).all(|(record, number)| record.0.0 == number)
                    );
                    next = page.next();
                }
                Err(ReadError::Gone { oldest }) => next = oldest.max(next),
                Err(error) => panic!("{error}"),
            }
        }
    });
    journal.close().unwrap();
    drop(journal);
    assert_eq!(history(&open(folder.path()).unwrap().log, 1).unwrap(), numbers(1, 200));
}

#[test]
fn without_durability_the_mark_waits_for_the_close() {
    let folder = tempfile::tempdir().unwrap();
    let options = FolderOptions { durability: Durability::None, ..OPTIONS };
    let Opened { log, store, .. } = DataFolder::open(folder.path(), &options).unwrap();
    let on_fatal: OnFatal = Arc::new(|error| panic!("{error}"));
    let journal = Journal::start(Box::new(store), log.tail(), JournalConfig::default(), on_fatal);
    let before = fs::read(folder.path().join("mark")).unwrap();
    append(&journal, 5);
    assert_eq!(fs::read(folder.path().join("mark")).unwrap(), before);
    journal.close().unwrap();
    drop((journal, log));
    assert_eq!(history(&open(folder.path()).unwrap().log, 1).unwrap(), numbers(1, 5));
}

fn copy_folder(source: &Path, target: &Path) {
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
