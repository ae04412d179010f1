//! The commit thread and the sync thread in every interleaving: nothing is durable before its sync.
//!
//! Each model stands beside one whose step is wrong on purpose, which must fail.

use super::*;
use crate::journal::horizon::Horizon;
use crate::journal::queue::{Lane, Queue};
use crate::journal::recent::Recent;
use crate::journal::stats::Counters;
use crate::journal::store::{Page, ReadStore};
use crate::journal::{GENESIS, ReadError};
use crate::model::{Sequence, Timestamp};
use crate::sync::atomic::AtomicU64;
use crate::sync::channel::bounded;
use crate::sync::{explore, thread as model};

/// How far a disk has been written, and how far it was synced.
#[derive(Clone, Debug)]
struct Disk(Arc<[AtomicU64; 2]>);

impl Disk {
    fn written(&self) -> &AtomicU64 {
        &self.0[0]
    }

    fn synced(&self) -> &AtomicU64 {
        &self.0[1]
    }
}

impl Store for Disk {
    fn write(&mut self, blocks: &[BlockRef]) -> Result<bool, JournalError> {
        for block in blocks {
            let before = self.written().swap(block.last.0, Ordering::AcqRel);
            assert_eq!(block.first.0, before + 1, "a record is written twice or never");
        }
        Ok(false)
    }

    fn reader(&self) -> Arc<dyn ReadStore> {
        Arc::new(self.clone())
    }

    fn syncer(&mut self) -> Result<Box<dyn Syncer>, JournalError> {
        Ok(Box::new(self.clone()))
    }
}

impl Syncer for Disk {
    fn sync(&mut self, last: &BlockRef, _rolled: bool) -> Result<(), JournalError> {
        assert!(last.last.0 <= self.written().load(Ordering::Acquire), "synced before written");
        self.synced().fetch_max(last.last.0, Ordering::Relaxed);
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

impl ReadStore for Disk {
    fn read(&self, from: Sequence, _: Sequence, _: usize) -> Result<Page, ReadError> {
        Ok(Page::new(from, Vec::new()))
    }

    fn oldest(&self) -> Sequence {
        Sequence(1)
    }

    fn prune(&self, _: Sequence) -> Result<u64, JournalError> {
        Ok(0)
    }
}

/// What the threads of a model are made of, as `Journal::start` makes it.
fn parts(disk: &Disk) -> (Writer, Receiver<Group>, Sender<()>) {
    let shared = Arc::new(Shared {
        queue: Queue::new(Sequence(1), 1 << 20, 1 << 20),
        horizon: Horizon::new(Sequence(0)),
        recent: Recent::new(0),
        counters: Counters::default(),
    });
    let (ring, bell) = bounded(1);
    let (groups, written) = bounded(GROUPS_MAX);
    let finisher = Arc::new(Finisher {
        shared: Arc::clone(&shared),
        syncer: Mutex::new(Box::new(disk.clone())),
        waiting: AtomicUsize::new(0),
        commit_delay: Duration::ZERO,
        on_fatal: Arc::new(|error| panic!("{error}")),
    });
    let store = Box::new(disk.clone());
    let cutter = Cutter::new(Sequence(1), Timestamp::default(), GENESIS);
    (Writer { shared, store, bell, cutter, finisher, groups }, written, ring)
}

fn append(shared: &Shared, ring: &Sender<()>, length: usize) -> Sequence {
    let permit = shared.queue.reserve(Lane::Request).expect("there is room");
    let appended = shared.queue.append(permit, Timestamp::default(), |to| {
        to.extend(std::iter::repeat_n(7, length));
    });
    if appended.must_ring {
        let _rung = ring.try_send(());
    }
    appended.sequence
}

/// Two large records make a group for the sync thread, and a small one comes whenever it likes: it
/// may join them, follow them, or find nobody before it and be synced by the commit thread.
fn model_of_groups(finish_all: fn(&Finisher, &Receiver<Group>)) {
    explore(move || {
        let disk = Disk(Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
        let (writer, written, ring) = parts(&disk);
        let (shared, finisher) = (Arc::clone(&writer.shared), Arc::clone(&writer.finisher));
        append(&shared, &ring, 4_000);
        append(&shared, &ring, 4_000);
        let threads = [
            model::spawn(move || writer.run()),
            model::spawn(move || finish_all(&finisher, &written)),
        ];
        let last = append(&shared, &ring, 1);
        assert_eq!(last, Sequence(3));
        shared.horizon.wait(Sequence(1)).expect("the disk is sound");
        let durable = shared.horizon.durable().0;
        assert!(durable <= disk.synced().load(Ordering::Relaxed), "told before it was synced");

        shared.queue.close();
        let _rung = ring.try_send(());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.horizon.durable(), last, "the horizon moved back");
        assert_eq!(disk.synced().load(Ordering::Relaxed), last.0);
        assert_eq!(shared.queue.used_bytes(Lane::Request), 0);
    });
}

#[test]
fn nothing_is_durable_before_its_sync_and_everything_is_in_the_end() {
    model_of_groups(Finisher::run);
}

/// Broken: the sync thread says that it is done with a group before it is. A small group then
/// overtakes it.
#[test]
#[should_panic(expected = "the horizon move")]
fn broken_a_group_that_is_counted_off_early_is_overtaken() {
    model_of_groups(|finisher, groups| {
        while let Ok(group) = groups.recv() {
            finisher.waiting.fetch_sub(1, Ordering::AcqRel);
            finisher.finish(&mut vec![group], &mut Vec::new()).expect("the disk is sound");
        }
        finisher.shared.horizon.close();
    });
}

/// Broken: the horizon moves to the end of a group before the group is synced.
#[test]
#[should_panic(expected = "told before it was synced")]
fn broken_a_horizon_before_the_sync_is_a_lie() {
    model_of_groups(|finisher, groups| {
        while let Ok(group) = groups.recv() {
            let last = group.blocks.last().expect("a group has blocks").last;
            finisher.shared.horizon.publish(last, &mut Vec::new());
            finisher.finish(&mut vec![group], &mut Vec::new()).expect("the disk is sound");
            finisher.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        finisher.shared.horizon.close();
    });
}
