//! The places in every interleaving: what is read without a lock was true, and names its record.
//!
//! The main thread stands for whoever holds the lock of the shard; the other reads. The reader is the
//! one that is spawned: loom lets it see every value that it may, however old.
//! Each model stands beside one whose step is wrong on purpose, which must fail.

use std::sync::Arc;

use super::*;
use crate::engine::tests::build;
use crate::model::ClaimRequest;
use crate::sync::{explore, thread};

const POOL: PoolIndex = PoolIndex(0);

fn places(quotas: &[u16]) -> Arc<Places> {
    Arc::new(Places::new(&build::session(1, quotas)))
}

fn sold_out(places: &Places, wish: &ClaimRequest) -> bool {
    places.is_sold_out(wish, build::channel(0), PatientClass::Outpatient)
}

/// The free places of the first slot, and the record that they rest on.
fn read(places: &Places) -> (u16, u64) {
    let (read, last) = places.read(build::channel(0), PatientClass::Outpatient, Default::default());
    (read.free[0], last.0)
}

/// Record 1 takes the only place, record 2 gives it back; the reader knows which it saw.
fn model_of_reading(write: fn(&Places)) {
    explore(move || {
        let places = places(&[1]);
        let other = Arc::clone(&places);
        let reader = thread::spawn(move || {
            let (free, last) = read(&other);
            assert!(free == 1 || 1 <= last, "the record is older than what was read");
            let (again, later) = read(&other);
            let is_given_back = free == 0 && again == 1;
            assert!(!is_given_back || 2 <= later, "the record is older than what was read");
        });
        write(&places);
        reader.join().unwrap();
        assert_eq!(read(&places), (1, 2));
    });
}

#[test]
fn a_reader_never_names_a_record_older_than_what_it_read() {
    model_of_reading(|places| {
        places.note(Sequence(1));
        places.take(SlotIndex(0), POOL).unwrap();
        places.note(Sequence(2));
        places.give_back(SlotIndex(0), POOL).unwrap();
    });
}

/// Broken: the record is noted after the places.
#[test]
#[should_panic(expected = "the record is older than what was read")]
fn broken_a_record_that_is_noted_late_is_missed() {
    model_of_reading(|places| {
        places.take(SlotIndex(0), POOL).unwrap();
        places.note(Sequence(1));
        places.give_back(SlotIndex(0), POOL).unwrap();
        places.note(Sequence(2));
    });
}

/// Broken: a cell is stored without an order, so that it may be seen before its record.
#[test]
#[should_panic(expected = "the record is older than what was read")]
fn broken_a_relaxed_cell_is_seen_before_its_record() {
    model_of_reading(|places| {
        places.note(Sequence(1));
        places.cells[0].store(cell_of(1, 0), Ordering::Relaxed);
        places.note(Sequence(2));
        places.cells[0].store(cell_of(1, 1), Ordering::Relaxed);
    });
}

/// A place moves from one slot to the other, back, and again: at every instant one of the two is
/// free, and a second look may meet the second move.
fn model_of_two_slots(is_sold_out: fn(&Places) -> bool) {
    explore(move || {
        let places = places(&[1, 1]);
        places.note(Sequence(1));
        places.take(SlotIndex(0), POOL).unwrap();
        let other = Arc::clone(&places);
        let reader = thread::spawn(move || {
            assert!(!is_sold_out(&other), "one of the two was free all the time");
        });
        for (last, (from, to)) in (1..).zip([(0, 1), (1, 0), (0, 1)]) {
            places.note(Sequence(2 * last));
            places.give_back(SlotIndex(from), POOL).unwrap();
            places.note(Sequence(2 * last + 1));
            places.take(SlotIndex(to), POOL).unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn two_slots_that_were_never_full_together_are_not_sold_out() {
    model_of_two_slots(|places| {
        let slots = SlotChoice::Ranked([SlotIndex(0), SlotIndex(1)].into_iter().collect());
        sold_out(places, &ClaimRequest { slots, ..build::any(1) })
    });
}

/// Broken: the slots are looked at one after the other, and that is all.
#[test]
#[should_panic(expected = "one of the two was free all the time")]
fn broken_two_looks_are_not_one() {
    model_of_two_slots(|places| [0, 1].iter().all(|slot| places.is_gone(SlotIndex(*slot), POOL)));
}

/// A place moves from one pool to the other and back, each time by one record: at every instant one
/// of the two pools has it.
fn model_of_two_pools(resize: fn(&Places, &[(u8, u16)])) {
    explore(move || {
        let mut session = build::session(1, &[1]);
        session.pools.push(Pool { quotas: vec![0], ..session.pools[0].clone() });
        let places = Arc::new(Places::new(&session));
        let other = Arc::clone(&places);
        let reader = thread::spawn(move || {
            assert!(!sold_out(&other, &build::any(1)), "one of the two had it all the time");
        });
        for (last, changes) in (1..).zip([[(1, 1), (0, 0)], [(1, 0), (0, 1)]]) {
            places.note(Sequence(last));
            resize(&places, &changes);
        }
        reader.join().unwrap();
    });
}

fn resize_all(places: &Places, changes: &[(u8, u16)]) {
    for (pool, quota) in changes {
        places.resize(SlotIndex(0), PoolIndex(*pool), *quota).unwrap();
    }
}

#[test]
fn a_place_that_moves_between_pools_is_never_called_sold_out() {
    model_of_two_pools(|places, changes| {
        places.move_places(|| resize_all(places, changes));
    });
}

/// Broken: the record does not say that it moves places.
#[test]
#[should_panic(expected = "one of the two had it all the time")]
fn broken_a_move_that_is_not_announced_is_taken_for_sold_out() {
    model_of_two_pools(resize_all);
}

/// One record takes both slots, or gives both back: what is read within it was true around it.
#[test]
fn a_look_into_a_record_sees_before_or_after_it() {
    explore(|| {
        let places = places(&[1, 1]);
        let other = Arc::clone(&places);
        let reader = thread::spawn(move || {
            let slots = SlotChoice::Ranked([SlotIndex(0), SlotIndex(1)].into_iter().collect());
            let said = sold_out(&other, &ClaimRequest { slots, ..build::any(1) });
            let last = other.last.load(Ordering::Acquire);
            assert!(!said || 1 <= last, "sold out before anything was taken");
        });
        places.note(Sequence(1));
        places.take(SlotIndex(0), POOL).unwrap();
        places.take(SlotIndex(1), POOL).unwrap();
        reader.join().unwrap();
        let slots = SlotChoice::Ranked([SlotIndex(0), SlotIndex(1)].into_iter().collect());
        assert!(sold_out(&places, &ClaimRequest { slots, ..build::any(1) }));
    });
}
