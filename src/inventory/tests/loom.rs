//! Whole commands in every interleaving, on four shards of each kind.
//!
//! Sessions are opened before a second thread starts: the map of boards is a real one, and nobody
//! may wait for it. Each model stands beside one whose step is wrong on purpose, which must fail.

use std::sync::Arc;

use super::{Node, START};
use crate::engine::decide_expiry;
use crate::engine::tests::build::{self, MINUTE};
use crate::inventory::shards::route;
use crate::model::{
    Action, Actor, Answer, Cause, Fact, Hold, Outcome, PaymentRef, Receipt, Role, Timestamp, Ttl,
};
use crate::sync::{explore, thread};

/// A node with one session of one place.
fn node() -> Arc<Node> {
    let node = Node::new();
    node.open(START, &build::open(build::session(1, &[1]))).result.unwrap();
    Arc::new(node)
}

fn wish(id: u128) -> Hold {
    build::hold(id, id, [build::any(1)])
}

type Ask = fn(&Node, &Hold) -> Answer<Receipt>;

/// One request takes the last place while it is sent again.
fn model_of_a_retry(ask: Ask) {
    explore(move || {
        let node = node();
        let other = Arc::clone(&node);
        let retry = thread::spawn(move || ask(&other, &wish(1)).result);
        let answers = [ask(&node, &wish(1)).result, retry.join().unwrap()];
        let refusal = answers.iter().find_map(|answer| answer.as_ref().err());
        assert_eq!(refusal, None, "it was refused its own place");
        assert_eq!(answers.iter().flatten().filter(|receipt| receipt.retried).count(), 1);
        assert_eq!(node.records.lock().len(), 2);
    });
}

#[test]
fn a_retry_is_never_told_that_its_own_place_is_sold_out() {
    model_of_a_retry(|node, hold| node.hold(START, hold));
}

/// Broken: the board is believed without a look for the id.
#[test]
#[should_panic(expected = "it was refused its own place")]
fn broken_a_board_that_is_believed_at_once_refuses_a_retry() {
    model_of_a_retry(|node, hold| {
        let board = Arc::clone(&node.inventory.boards.get(&hold.claims[0].session).unwrap());
        if board.is_sold_out(&hold.claims[0], hold.channel, hold.class) {
            return Answer::refused(Outcome::SoldOut);
        }
        node.inventory.hold(&node.context(START), hold, |facts| node.append(START, facts))
    });
}

/// Two requests want the last place: one gets it, and the other is told so only after it is taken.
fn model_of_the_last_place(ask: Ask) {
    explore(move || {
        let node = node();
        let other = Arc::clone(&node);
        let rival = thread::spawn(move || {
            let answer = ask(&other, &wish(2)).result;
            let taken = other.records.lock().len() == 2;
            assert!(answer.is_ok() || taken, "sold out before anybody had the place");
            answer.is_ok()
        });
        let answer = ask(&node, &wish(1)).result;
        let taken = node.records.lock().len() == 2;
        assert!(answer.is_ok() || taken, "sold out before anybody had the place");
        let winners = [answer.is_ok(), rival.join().unwrap()];
        assert_eq!(winners.iter().filter(|won| **won).count(), 1, "one place, one winner");
        assert_eq!(node.inventory.free_places(), (1, 0));
        node.inventory.check_derived();
    });
}

#[test]
fn the_last_place_has_one_winner() {
    model_of_the_last_place(|node, hold| node.hold(START, hold));
}

/// Broken: the place is looked for under one lock and taken under the next.
#[test]
#[should_panic(expected = "oversells slot 0")]
fn broken_a_look_and_a_take_under_two_locks_oversell() {
    model_of_the_last_place(|node, hold| {
        let inventory = &node.inventory;
        let context = node.context(START);
        let group = inventory.lock_for_hold(&context, hold);
        let decided = group.view(|view| crate::engine::decide_hold(view, &context, hold));
        drop(group);
        let mut group = inventory.lock_for_hold(&context, hold);
        inventory.conclude(&mut group, &context, decided, |facts| node.append(START, facts))
    });
}

const TTL_MILLIS: u32 = 60_000;

/// A hold is booked just in time while the ticker finds it due.
fn model_of_expiry(expire: fn(&Node, Timestamp)) {
    explore(move || {
        let node = node();
        let ttl = Ttl::from_millis(TTL_MILLIS).unwrap();
        node.hold(START, &Hold { ttl, ..wish(1) }).result.unwrap();
        let deadline = START.plus_millis(MINUTE);
        let other = Arc::clone(&node);
        let ticker = thread::spawn(move || expire(&other, deadline));
        let book = build::change(9, 1, Action::Book { payment: PaymentRef(1) });
        let booked = node.change(START.plus_millis(MINUTE - 1), &book).result.is_ok();
        ticker.join().unwrap();

        let records = node.records.lock();
        let facts: Vec<_> = records.iter().skip(2).flat_map(|(_, facts)| facts).collect();
        match facts.as_slice() {
            [Fact::Booked(_)] => assert!(booked, "it is booked, and was refused"),
            [Fact::Ended(ended), Fact::Recorded(_)] => {
                assert_eq!(ended.cause, Cause::Expired);
                assert!(!booked, "it has expired, and was told to be booked");
            }
            other => panic!("both won, or nobody: {other:?}"),
        }
        drop(records);
        assert_eq!(node.inventory.free_places(), (1, u64::from(!booked)));
        assert_eq!(node.inventory.counts(), (0, 1));
        node.inventory.check_derived();
    });
}

#[test]
fn a_hold_is_booked_or_expires_and_never_both() {
    model_of_expiry(Node::expire);
}

/// Broken: what is due is decided under one lock, and carried out under the next.
#[test]
#[should_panic(expected = "an impossible fact: Some(Expire) of an appointment that is Booked")]
fn broken_an_expiry_under_two_locks_ends_what_was_booked() {
    model_of_expiry(|node, now| {
        let inventory = &node.inventory;
        let actor = Actor::unbounded(Role::Admin);
        let context = crate::engine::Context::new(now, &actor);
        let home = route(build::appointment(1).0);
        let mut group = inventory.lock_for_hold(&context, &wish(1));
        let Some(id) = group.home_mut(home).state.next_due(now) else {
            drop(group);
            return node.expire(now);
        };
        let Some(facts) = group.view(|view| decide_expiry(view, &context, id)) else { return };
        drop(group);

        let mut group = inventory.lock_for_hold(&context, &wish(1));
        inventory.carry_out(&mut group, &context, facts, |facts| node.append(now, facts));
    });
}
