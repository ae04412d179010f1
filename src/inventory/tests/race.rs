//! Threads hammer an inventory; then one thread replays what they appended.

use super::{Node, START};
use crate::engine::tests::build;
use crate::model::{Action, Hold, PaymentRef, Timestamp, Ttl};
use crate::service::digest::of_inventory;

const THREADS: u64 = 4;
const STEPS: u64 = 3_000;

/// Whatever the threads did to each other, the journal tells it: one pass over it, on one thread,
/// gives the same state.
#[test]
fn i3_the_journal_of_a_race_replays_to_the_same_state() {
    let node = Node::new();
    open(&node, START, 0);
    std::thread::scope(|scope| {
        for thread in 1..=THREADS {
            let node = &node;
            scope.spawn(move || {
                let mut random = thread;
                for step in 0..STEPS {
                    random = next(random);
                    act(node, step, random >> 16);
                }
            });
        }
    });

    node.inventory.check_derived();
    let replayed = node.replayed();
    replayed.check_derived();
    assert_eq!(of_inventory(&replayed), of_inventory(&node.inventory));
    assert_eq!(replayed.counts(), node.inventory.counts());
    assert_eq!(replayed.free_places(), node.inventory.free_places());
    let records = node.records.lock().len() as u64;
    assert!(STEPS / 3 < records, "only {records} things happened");
}

/// Threads that keep pace meet on the same few sessions, patients and ids, and move on to new ones
/// before everything is settled and nothing is left to race for.
pub(super) fn act(node: &Node, step: u64, random: u64) {
    let now = START.plus_millis(step * 10);
    let session = step / 16 + random % 2;
    let id = u128::from(session * 4 + random / 2 % 4);
    let change = |kind: u128, action| {
        let request = 1 << 40 | id << 4 | kind;
        let _answer = node.change(now, &build::change(request, id, action));
    };
    if step.is_multiple_of(16) {
        open(node, now, step / 16 + 1);
    }
    match random / 8 % 16 {
        0..=5 => hold(node, now, id, random, &[session]),
        6 | 7 => hold(node, now, id, random, &[session, session + 1]),
        8..=10 => change(0, Action::Book { payment: PaymentRef(1) }),
        11 | 12 => change(1, Action::Release),
        13 => change(2, Action::Cancel),
        14 => change(3, Action::Settle),
        _ => node.expire(now),
    }
}

fn open(node: &Node, now: Timestamp, session: u64) {
    let _answer = node.open(now, &build::open(build::session(session, &[1, 2])));
}

fn hold(node: &Node, now: Timestamp, id: u128, random: u64, sessions: &[u64]) {
    let wish = |session: &u64| match random / 128 % 2 {
        0 => build::any(*session),
        _ => build::at(*session, u16::from((random / 256).is_multiple_of(2))),
    };
    let millis = 1 + u32::try_from(random / 512 % 50).unwrap();
    let _answer = node.hold(
        now,
        &Hold {
            ttl: Ttl::from_millis(millis).unwrap(),
            ..build::hold(id, u128::from(random / 64 % 3), sessions.iter().map(wish))
        },
    );
}

/// Knuth's linear congruential generator: the test owns its randomness.
pub(super) const fn next(random: u64) -> u64 {
    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}
