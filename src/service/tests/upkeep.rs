//! What time does, and what history does: both are records like any other.

use super::{Node, refused};
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::model::{
    Action, Actor, AppointmentStatus, Cause, CivilTime, Command, Ended, Ending, Fact, Hold,
    Outcome, Past, PatientId, PaymentRef, Role, Sequence, SlotIndex, Stay,
};
use crate::service::digest::Digest;
use crate::service::{Imported, Service};

#[test]
fn i6_an_expiry_is_a_fact_in_the_journal() {
    let mut node = Node::new();
    node.open(build::session(1, &[2]));
    let hold = build::hold(1, 1, [build::any(1)]);
    let receipt = node.hold(&hold).result.unwrap();
    node.hold_any(2, 1).result.unwrap();
    node.book(2).result.unwrap();
    assert_eq!(node.service.next_deadline(), Some(receipt.until));

    node.now = receipt.until.minus_millis(1);
    assert_eq!(node.service.tick(node.now), 0);
    node.later(8);
    assert_eq!(node.service.tick(node.now), 1);
    assert_eq!(node.service.tick(node.now), 0);
    node.commit();
    let records = node.records();
    let (sequence, time, facts) = records.last().unwrap();
    let expected = Ended {
        request: None,
        appointment: hold.appointment,
        patient: hold.patient.unwrap(),
        cause: Cause::Expired,
        claims: receipt.claims,
    };
    assert_eq!((*sequence, *time), (Sequence(5), node.now));
    assert_eq!(facts[0], Fact::Ended(expected));
    assert_eq!(facts[1..].iter().map(Fact::name).collect::<Vec<_>>(), ["Recorded"]);

    let stats = node.service.stats();
    assert_eq!((stats.expired, stats.holds, stats.places_free), (1, 0, 1));
    assert_eq!(stats.lateness[3], 1, "seven milliseconds late");
    let restarted = Node::recovered(&node.medium.crash());
    assert_eq!(restarted.service.digest(), node.service.digest());
}

#[test]
fn i6_a_hold_past_its_deadline_is_void_before_its_expiry() {
    let mut node = Node::new();
    node.open(build::session(1, &[1]));
    node.hold_any(1, 1).result.unwrap();
    node.later(15 * MINUTE);
    assert_eq!(refused(&node.book(1)), Outcome::HoldExpired);
    assert_eq!(refused(&node.hold_any(2, 1)), Outcome::SoldOut, "the place comes by the fact");
    node.service.tick(node.now);
    node.hold_any(2, 1).result.unwrap();
}

#[test]
fn i7_while_the_clock_is_in_doubt_nothing_expires_and_nothing_is_forgotten() {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    node.hold_any(1, 1).result.unwrap();
    node.hold_any(2, 1).result.unwrap();
    node.release(2).result.unwrap();
    let appended = node.service.journal().appended();
    node.service.set_paused(true);
    node.later(9 * DAY);
    assert_eq!((node.service.tick(node.now), node.service.forget(node.now)), (0, 0));
    assert_eq!(node.service.journal().appended(), appended);
    let opening = Command::OpenSession(build::open(build::session(2, &[9])).into());
    let open = |node: &Node| node.service.call(node.now, &Actor::unbounded(Role::Admin), &opening);
    assert_eq!(refused(&open(&node)), Outcome::IdTooOld, "what is wrong in itself comes first");
    node.now = build::MORNING;
    let refusal = open(&node).result.unwrap_err();
    assert_eq!((refusal.outcome, 0 < refusal.retry_after_millis), (Outcome::NotReady, true));
    node.hold_any(3, 1).result.unwrap();
    node.service.set_paused(false);
    open(&node).result.unwrap();
    node.later(9 * DAY);
    assert_eq!((node.service.tick(node.now), node.service.forget(node.now)), (2, 1));
}

#[test]
fn i7_while_the_clock_is_in_doubt_no_pool_opens() {
    let mut node = Node::new();
    let mut session = build::session(1, &[9]);
    session.pools[0].terms.opens = node.now.plus_millis(60_000);
    node.open(session);
    node.service.tick(node.now);
    node.service.set_paused(true);
    node.later(3_600_000 - 1);
    let refusal = node.hold_any(1, 1).result.unwrap_err();
    assert_eq!((refusal.outcome, refusal.retry_after_millis), (Outcome::NotOpenYet, 60_000));
    node.service.set_paused(false);
    node.hold_any(1, 1).result.unwrap();
}

#[test]
fn what_is_forgotten_leaves_nothing_but_what_rules_count() {
    let mut node = Node::new();
    let without = Node::new();
    for node in [&node, &without] {
        node.open(build::session(1, &[9]));
        node.hold_any(2, 1).result.unwrap();
        node.book(2).result.unwrap();
    }
    node.hold_any(1, 1).result.unwrap();
    node.release(1).result.unwrap();
    assert_ne!(node.service.digest(), without.service.digest());

    node.later(2 * DAY);
    assert_eq!(node.service.forget(node.now), 0);
    node.later(1);
    assert_eq!(node.service.forget(node.now), 1);
    let visit = Stay::of(&build::session(1, &[9])).visit(&CivilTime::default(), SlotIndex(0));
    let (patient, ending, day) = (PatientId(1), Ending::Released, visit.day);
    let mut kept = Digest::default();
    let past = Past { visit, ending, booked: day, ended: day, is_joined: false };
    kept.past(patient, &past);
    let expected = added(without.service.digest(), kept.finish());
    assert_eq!(node.service.digest(), expected);
    assert_eq!(refused(&node.hold_any(1, 1)), Outcome::IdTooOld);
    assert_eq!(refused(&node.release(1)), Outcome::IdTooOld);
    node.commit();
    let restarted = Node::recovered(&node.medium.crash());
    assert_eq!(restarted.service.digest(), expected);
}

#[test]
fn a_row_of_history_is_decided_once() {
    let node = Node::new();
    node.open(build::session(1, &[1]));
    let row = |id| Hold { book: Some(PaymentRef(0)), ..build::hold(id, id, [build::any(1)]) };
    let import = |id| node.service.import(node.now, &row(id));
    let appended = |node: &Node| node.service.journal().appended();

    let first = import(1);
    assert!(matches!(first.result, Ok(Imported::Booked(ref receipt)) if !receipt.retried));
    let second = import(2);
    assert_eq!(second.result, Ok(Imported::Declined(Outcome::SoldOut)));
    assert_eq!((second.after, appended(&node)), (Sequence(3), Sequence(3)));
    // Read, not decided: even after a place came free.
    let cancel = build::change(70, 1, Action::Cancel);
    node.change(&cancel).result.unwrap();
    assert_eq!(import(2).result, Ok(Imported::Declined(Outcome::SoldOut)));
    assert!(matches!(import(1).result, Ok(Imported::Booked(ref receipt)) if receipt.retried));
    assert_eq!(appended(&node), Sequence(4));

    node.commit();
    let restarted = Node::recovered(&node.medium.crash());
    let again = restarted.service.import(node.now, &row(2));
    assert_eq!(again.result, Ok(Imported::Declined(Outcome::SoldOut)));
    assert_eq!(appended(&restarted), Sequence(4));
}

#[test]
fn a_day_is_settled_once() {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    for id in [1, 2, 3] {
        let hold = Hold { book: Some(PaymentRef(0)), ..build::hold(id, id, [build::any(1)]) };
        node.service.import(node.now, &hold).result.unwrap();
    }
    node.later(DAY / 2);
    let settle =
        |service: &Service, id, came| service.settle(node.now, build::appointment(id), came).result;
    let statuses = [(1, true), (2, false)]
        .map(|(id, came)| settle(&node.service, id, came).unwrap().status.unwrap());
    assert_eq!(statuses, [AppointmentStatus::Fulfilled, AppointmentStatus::NoShow]);

    let appended = node.service.journal().appended();
    assert!(settle(&node.service, 1, true).unwrap().retried);
    assert!(settle(&node.service, 2, false).unwrap().retried);
    assert!(settle(&node.service, 1, false).is_err(), "it cannot be both");
    let later = node.service.settle(node.now.plus_millis(1), build::appointment(1), false);
    assert_eq!(refused(&later), Outcome::WrongStatus);
    assert_eq!(node.service.journal().appended(), appended);
}

/// The digest of what two digests are of.
fn added(one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    let lane = |bytes: &[u8; 32], at: usize| {
        u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap())
    };
    let lanes = (0..4).flat_map(|at| lane(&one, at).wrapping_add(lane(&other, at)).to_le_bytes());
    lanes.collect::<Vec<_>>().try_into().unwrap()
}
