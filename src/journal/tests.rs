//! The journal on a store in memory: order, durability, faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Wake, Waker};

use super::*;

fn ignore_fatal() -> OnFatal {
    Arc::new(|_| ())
}

fn start(medium: &MemoryMedium) -> Journal {
    let store = Box::new(MemoryStore::new(medium));
    Journal::start(store, Tail::default(), JournalConfig::default(), ignore_fatal())
}

fn append(journal: &Journal, text: &str) -> Sequence {
    let permit = journal.reserve(Lane::Request).unwrap();
    journal.append(permit, Timestamp::from_millis(7), |to| to.extend_from_slice(text.as_bytes()))
}

fn texts(page: &Page) -> Vec<String> {
    page.records().map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// All records of an image that a start accepts.
fn recovered(image: &MemoryImage) -> Vec<String> {
    let (store, tail, _) = MemoryStore::reopen(image).unwrap();
    texts(&store.reader().read(Sequence(1), tail.last_sequence(), usize::MAX).unwrap())
}

#[test]
fn what_is_durable_is_read_back_in_order() {
    let journal = start(&MemoryMedium::default());
    let names: Vec<_> = (1..=1_000).map(|number| format!("record {number}")).collect();
    let last = names.iter().fold(Sequence(0), |_, name| append(&journal, name));
    journal.wait_durable(last).unwrap();
    assert_eq!((last, journal.durable(), journal.appended()), (Sequence(1_000), last, last));

    let mut read = Vec::new();
    let mut next = Sequence(1);
    while next <= last {
        let page = journal.read(next, 1).unwrap();
        read.extend(texts(&page));
        next = page.next();
    }
    assert_eq!(read, names);
    assert_eq!(texts(&journal.read(Sequence(998), usize::MAX).unwrap()), names[997..]);
    assert!(journal.read(Sequence(1_001), 1).unwrap().is_empty());
    assert_eq!(journal.stats().records, 1_000);
}

#[test]
fn a_crash_loses_the_unsynced_tail_and_nothing_else() {
    let medium = MemoryMedium::default();
    let journal = start(&medium);
    journal.wait_durable(append(&journal, "acknowledged")).unwrap();
    medium.hold();
    append(&journal, "unsynced");
    medium.wait_syncing();
    let durable = journal.durable();
    let (image, torn) = (medium.crash(), medium.crash_torn());
    medium.resume();

    assert_eq!(durable, Sequence(1), "nothing is acknowledged before its sync");
    assert_eq!(recovered(&image), ["acknowledged"]);
    assert_eq!(torn.blocks.len(), 2);
    assert_eq!(recovered(&torn), ["acknowledged"]);
    assert!(MemoryStore::reopen(&torn).unwrap().2, "the torn tail is reported");
}

#[test]
fn a_failed_sync_is_fatal_and_nothing_later_is_acknowledged() {
    let medium = MemoryMedium::default();
    let fatal = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&fatal);
    let on_fatal: OnFatal = Arc::new(move |_| _ = seen.fetch_add(1, Ordering::SeqCst));
    let store = Box::new(MemoryStore::new(&medium));
    let journal = Journal::start(store, Tail::default(), JournalConfig::default(), on_fatal);

    let first = append(&journal, "good");
    journal.wait_durable(first).unwrap();
    medium.fail_sync(1);
    let lost = append(&journal, "lost");
    assert!(matches!(journal.wait_durable(lost), Err(JournalError::Failed)));
    let later = append(&journal, "later");
    assert!(matches!(journal.wait_durable(later), Err(JournalError::Failed)));
    assert!(journal.close().is_err());
    assert_eq!((journal.durable(), journal.is_failed()), (first, true));
    assert_eq!(fatal.load(Ordering::SeqCst), 1, "no second attempt");
    assert_eq!(recovered(&medium.crash()), ["good"]);
}

#[test]
fn without_a_free_permit_requests_wait_and_upkeep_goes_on() {
    let medium = MemoryMedium::default();
    let config = JournalConfig { request_bytes_max: 3 * 4_016, ..JournalConfig::default() };
    let store = Box::new(MemoryStore::new(&medium));
    let journal = Journal::start(store, Tail::default(), config, ignore_fatal());
    medium.hold();
    let largest = "x".repeat(RECORD_BYTES_MAX);
    let last = (0..3).fold(Sequence(0), |_, _| append(&journal, &largest));
    assert!(journal.reserve(Lane::Request).is_none());
    let permit = journal.reserve(Lane::Upkeep).unwrap();
    let upkeep = journal.append(permit, Timestamp::default(), |_| ());
    assert!(journal.reserve(Lane::Request).is_none());
    medium.resume();

    journal.wait_durable(last.max(upkeep)).unwrap();
    assert!(journal.reserve(Lane::Request).is_some());
}

#[test]
fn a_commit_and_a_failure_wake_who_registered() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let medium = MemoryMedium::default();
    let journal = start(&medium);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    for ends in [false, true] {
        if ends {
            medium.fail_sync(1);
        }
        let sequence = append(&journal, "held");
        loop {
            journal.register(&waker);
            if sequence <= journal.durable() || journal.is_failed() {
                break;
            }
            thread::park();
        }
    }
    assert!(journal.is_failed());
}

#[test]
fn closing_commits_what_was_appended() {
    let medium = MemoryMedium::default();
    let journal = start(&medium);
    for number in 0..100 {
        append(&journal, &number.to_string());
    }
    journal.close().unwrap();
    assert_eq!(journal.durable(), Sequence(100));
    assert_eq!(recovered(&medium.crash()).len(), 100);
    let late = append(&journal, "late");
    assert!(matches!(journal.wait_durable(late), Err(JournalError::Closed)));
}

#[test]
fn a_log_goes_on_where_it_ended() {
    let medium = MemoryMedium::default();
    let journal = start(&medium);
    append(&journal, "one");
    journal.close().unwrap();
    let (store, tail, _) = MemoryStore::reopen(&medium.crash()).unwrap();
    let medium = store.medium();
    let journal = Journal::start(Box::new(store), tail, JournalConfig::default(), ignore_fatal());
    assert_eq!(append(&journal, "two"), Sequence(2));
    journal.close().unwrap();
    assert_eq!(recovered(&medium.crash()), ["one", "two"]);
}

#[test]
fn a_reader_behind_the_pruned_part_is_told_where_to_go_on() {
    let medium = MemoryMedium::default();
    let store = Box::new(MemoryStore::new(&medium));
    let config = JournalConfig { recent_bytes_max: 0, ..JournalConfig::default() };
    let journal = Journal::start(store, Tail::default(), config, ignore_fatal());
    for number in 1..=3 {
        journal.wait_durable(append(&journal, &number.to_string())).unwrap();
    }
    assert!(journal.prune(Sequence(3)));
    journal.wait_pruned();
    let gone = journal.read(Sequence(2), 1).unwrap_err();
    assert!(matches!(gone, ReadError::Gone { oldest: Sequence(3) }));
    assert_eq!(texts(&journal.read(Sequence(3), 1).unwrap()), ["3"]);
    assert_eq!(journal.stats().pruned_trees, 1);
}

#[test]
fn an_image_without_an_acknowledged_record_is_refused() {
    let medium = MemoryMedium::default();
    let journal = start(&medium);
    for text in ["a", "b", "c"] {
        journal.wait_durable(append(&journal, text)).unwrap();
    }
    let good = medium.crash();
    let damaged = |change: fn(&mut MemoryImage)| {
        let mut image = good.clone();
        change(&mut image);
        MemoryStore::reopen(&image).map(|_| ()).unwrap_err().to_string()
    };
    assert!(damaged(|image| drop(image.blocks.pop())).starts_with("the log ends at record 2"));
    assert!(damaged(|image| drop(image.blocks.remove(1))).starts_with("record 2 is missing"));
    let flipped = damaged(|image| {
        let mut bytes = image.blocks[1].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        image.blocks[1] = Arc::from(bytes);
    });
    assert!(flipped.starts_with("the checksum chain breaks at record 2"), "{flipped}");
}
