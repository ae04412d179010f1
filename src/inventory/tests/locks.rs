//! What is locked while a record is appended, and in which order it was locked.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};

use super::{Node, START};
use crate::engine::tests::build::{self, DAY};
use crate::inventory::routing::session_route;
use crate::inventory::shards::route;
use crate::inventory::{Inventory, SHARD_COUNT};
use crate::model::{Action, Fact, Facts, Sequence, Timestamp};

impl Inventory {
    /// Asserts that every shard that the facts touch is locked.
    fn assert_locked(&self, facts: &Facts) {
        for fact in facts {
            let request = fact.request().map(|(request, _)| request.0);
            let homes = request.into_iter().chain(fact.appointment().map(|id| id.0));
            for key in homes {
                assert!(self.homes.is_locked(route(key)), "a home is not locked: {fact:?}");
            }
            if let Some(patient) = fact.patient() {
                let is_locked = self.ledgers.is_locked(route(patient.0));
                assert!(is_locked, "a ledger is not locked: {fact:?}");
            }
            let opened = match fact {
                Fact::SessionOpened(opened) => Some(opened.session.id),
                _ => None,
            };
            for session in
                opened.into_iter().chain(fact.freed().iter().chain(fact.taken()).map(|c| c.session))
            {
                let is_locked = self.sessions.is_locked(session_route(session));
                assert!(is_locked, "a session is not locked: {fact:?}");
            }
        }
    }

    fn is_unlocked(&self) -> bool {
        (0..SHARD_COUNT).all(|index| {
            !self.homes.is_locked(index)
                && !self.ledgers.is_locked(index)
                && !self.sessions.is_locked(index)
        })
    }
}

#[test]
fn i3_a_record_is_appended_while_all_its_shards_are_locked() {
    let node = Node::new();
    let inventory = &node.inventory;
    let appended = Cell::new(0_u64);
    let append = |facts: &Facts| {
        inventory.assert_locked(facts);
        appended.set(appended.get() + 1);
        Sequence(appended.get())
    };
    let context = node.context(START);
    for id in 1..=3 {
        inventory.open(&context, &build::open(build::session(id, &[9])), append).result.unwrap();
    }
    let claims = || [build::at(1, 0), build::any(2), build::at(3, 0)];
    for id in 1..=3 {
        inventory.hold(&context, &build::hold(id, id, claims()), append).result.unwrap();
    }
    let payment = crate::model::PaymentRef(1);
    for (request, id, action) in
        [(11, 1, Action::Book { payment }), (12, 1, Action::Arrive), (13, 1, Action::CheckIn)]
    {
        inventory.change(&context, &build::change(request, id, action), append).result.unwrap();
    }
    inventory.change(&context, &build::change(14, 1, Action::Fulfil), append).result.unwrap();
    inventory.change(&context, &build::change(15, 2, Action::Release), append).result.unwrap();
    inventory.import(&context, &build::hold(4, 4, [build::at(9, 0)]), append).result.unwrap();
    let later = START.plus_millis(DAY);
    let due: Vec<usize> = inventory.due_homes(later).collect();
    let expired =
        due.iter().filter(|home| inventory.expire_one(**home, later, 0, append).is_some());
    assert_eq!(expired.count(), 1);
    let much_later = START.plus_millis(9 * DAY);
    let forgotten = (0..SHARD_COUNT)
        .filter(|home| inventory.forget_some(*home, much_later, append).is_some())
        .count();

    assert_eq!(forgotten, 3);
    assert_eq!(appended.get(), 3 + 3 + 3 + 2 + 1 + 1 + 3);
    assert!(inventory.is_unlocked());
}

/// Threads take up to eight sessions each, in any order they like, and give them back.
#[test]
fn i4_holds_over_many_shards_race_without_a_deadlock() {
    let node = Node::new();
    for id in 0..16 {
        node.open(START, &build::open(build::session(id, &[2]))).result.unwrap();
    }
    let steps = AtomicU64::new(0);
    let (done, is_done) = bounded::<()>(0);
    std::thread::scope(|scope| {
        let steps = &steps;
        scope.spawn(move || abort_on_deadlock(&is_done, steps));
        for thread in 0..4_u128 {
            let (node, done) = (&node, done.clone());
            scope.spawn(move || {
                let _until_the_end = done;
                for step in 0..1_500_u128 {
                    take_and_give_back(node, thread << 32 | step);
                    steps.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(done);
    });
    node.inventory.check_derived();
    assert_eq!(node.inventory.free_places(), (16, 32), "everything was given back");
}

/// Ends the process when nothing has moved for a minute of looking, or when the detector of the
/// feature `deadlock-detection` finds a circle: a thread that waits in one cannot be told to fail.
fn abort_on_deadlock(is_done: &Receiver<()>, steps: &AtomicU64) {
    let (mut seen, mut looks) = (0, 0);
    while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let now = steps.load(Ordering::Relaxed);
        looks = if now == seen { looks + 1 } else { 0 };
        seen = now;
        if looks == LOOKS_MAX || is_circle_found() {
            eprintln!("deadlocked after {now} steps");
            std::process::abort();
        }
    }
}

const LOOK: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 1_200;

#[cfg(feature = "deadlock-detection")]
fn is_circle_found() -> bool {
    let circles = parking_lot::deadlock::check_deadlock();
    circles.iter().flatten().for_each(|thread| eprintln!("{:#?}", thread.backtrace()));
    !circles.is_empty()
}

#[cfg(not(feature = "deadlock-detection"))]
const fn is_circle_found() -> bool {
    false
}

fn take_and_give_back(node: &Node, id: u128) {
    let first = u64::try_from(id * 7 % 16).unwrap();
    let stride = [1, 3, 5, 15][usize::try_from(id % 4).unwrap()];
    let claims = (0..8).map(|index| build::any((first + index * stride) % 16));
    // Each hold has a patient of its own, so that only places refuse it.
    if node.hold(START, &build::hold(id, id, claims)).result.is_ok() {
        let release = build::change(1 << 60 | id, id, Action::Release);
        node.change(Timestamp::from_millis(START.as_millis() + 1), &release).result.unwrap();
    }
}
