//! The steps of a waitlist by the ticker, and what a crash between them leaves.

use super::Node;
use crate::engine::tests::build::{self, MINUTE, MORNING};
use crate::model::{
    Action, Actor, AppointmentId, AppointmentStatus, Attributes, Change, Command, Delay, Fact,
    JoinWaitlist, PatientClass, PatientId, PaymentRef, ReturnRule, Role, Session, SessionTerms,
    Timestamp, WaitlistRule,
};

fn session(draw_millis: u32) -> Session {
    let rule = WaitlistRule {
        entries_max: 10,
        priority: [0; PatientClass::COUNT],
        draw_millis,
        offer_millis: 30 * 60_000,
        near_offer_millis: 30 * 60_000,
        near_millis: 0,
        hours: None,
        closes_at: MORNING.plus_millis(300 * MINUTE),
    };
    let delay = Delay { min_millis: 60_000, max_millis: 60_000 };
    let terms = SessionTerms {
        returns: ReturnRule::WaitlistFirst(delay),
        waitlist: Some(Box::new(rule)),
        ..SessionTerms::default()
    };
    let start = MORNING.plus_millis(600 * MINUTE);
    Session { start, terms, ..build::session(1, &[1]) }
}

fn join(node: &Node, patient: u128) {
    let join = JoinWaitlist {
        request: build::request(900 + patient),
        patient: PatientId(patient),
        account: None,
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: std::iter::once(crate::model::SessionId(1)).collect(),
    };
    let command = Command::JoinWaitlist(Box::new(join));
    node.service.call(node.now, &node.actor, &command).result.unwrap();
}

/// One place that patient 1 has, and three who wait for it.
fn full(draw_millis: u32) -> Node {
    let node = Node::new();
    node.open(session(draw_millis));
    node.hold_any(1, 1).result.unwrap();
    node.book(1).result.unwrap();
    (10..13).for_each(|patient| join(&node, patient));
    node
}

fn live(node: &Node, patient: u128) -> Option<AppointmentId> {
    node.service.inventory().live(PatientId(patient)).0.first().copied()
}

fn act(node: &Node, request: u128, appointment: AppointmentId, action: Action) {
    let change = Change { appointment, ..build::change(request, 0, action) };
    let actor = Actor::unbounded(Role::Counter);
    node.service.call(node.now, &actor, &Command::Change(change)).result.unwrap();
}

/// One step of a cascade: 10 declines, 11 lets the offer lapse, 12 accepts.
fn step(node: &mut Node, number: usize) {
    match number {
        0 => act(node, 500, build::appointment(1), Action::Cancel),
        2 => {
            let offer = live(node, 10).expect("10 is the first");
            act(node, 501, offer, Action::Release);
        }
        4 => {
            assert!(live(node, 11).is_some(), "11 is the next");
            node.later(30 * MINUTE);
            node.service.tick(node.now);
        }
        6 => {
            let offer = live(node, 12).expect("12 is the last");
            act(node, 502, offer, Action::Book { payment: PaymentRef(1) });
        }
        _ => _ = node.service.tick(node.now),
    }
}

const STEPS: usize = 8;

#[test]
fn a_cascade_of_offers_goes_on_after_a_crash_between_any_two_of_its_steps() {
    let mut whole = full(0);
    (0..STEPS).for_each(|number| step(&mut whole, number));
    let digest = whole.service.digest();
    let accepted = whole.service.inventory().appointment(live(&whole, 12).unwrap()).0.unwrap();
    assert_eq!(accepted.status, AppointmentStatus::Booked);
    for crash in 0..=STEPS {
        let mut node = full(0);
        (0..crash).for_each(|number| step(&mut node, number));
        node.commit();
        let before = node.service.digest();
        let mut restarted = Node::recovered(&node.medium.crash());
        restarted.now = node.now;
        assert_eq!(restarted.service.digest(), before, "a crash before step {crash}");
        (crash..STEPS).for_each(|number| step(&mut restarted, number));
        assert_eq!(restarted.service.digest(), digest, "a crash before step {crash}");
    }
}

/// What is kept for who waits is neither lost nor given away while the node is down.
#[test]
fn a_place_that_waits_for_the_draw_waits_after_a_crash_too() {
    let node = full(600_000);
    act(&node, 500, build::appointment(1), Action::Cancel);
    node.commit();
    let mut restarted = Node::recovered(&node.medium.crash());
    restarted.now = MORNING.plus_millis(9 * MINUTE);
    restarted.service.tick(restarted.now);
    assert_eq!(restarted.service.inventory().free_places(), (1, 0));
    assert!((10..13).all(|patient| live(&restarted, patient).is_none()));
    restarted.now = MORNING.plus_millis(10 * MINUTE);
    restarted.service.tick(restarted.now);
    let offers = (10..13).filter(|patient| live(&restarted, *patient).is_some());
    assert_eq!(offers.count(), 1);
}

/// An account that shares no code with the engine finds nothing wrong, and comes to the same state.
#[cfg(feature = "node")]
#[test]
fn the_audit_agrees_about_waitlists() {
    let mut node = full(0);
    (0..STEPS).for_each(|number| {
        step(&mut node, number);
        node.commit();
        let report = crate::service::audit::of_records(&node.records());
        assert_eq!(report.faults, Vec::<String>::new(), "after step {number}");
        assert_eq!(report.digest, node.service.digest(), "after step {number}");
    });
}

/// The second fact of a record says why an offer ended: no violation can be counted from it.
#[test]
fn a_lapsed_and_a_declined_offer_are_marked_in_their_record() {
    let mut node = full(0);
    (0..STEPS).for_each(|number| step(&mut node, number));
    node.commit();
    let records = node.records();
    let why: Vec<_> = records
        .iter()
        .filter_map(|(_, _, facts)| match facts.as_slice() {
            [first, Fact::WaitLeft(left)] => Some((first.name(), left.why.name())),
            _ => None,
        })
        .collect();
    assert_eq!(why, [("Released", "declined"), ("Expired", "lapsed"), ("Booked", "accepted")]);
}
