//! Blocks through the pipeline: their steps, a crash between them, and what can be had instead.

use super::Node;
use crate::engine::tests::build::{self, MINUTE, MORNING};
use crate::inventory::SHARD_COUNT;
use crate::model::{
    Actor, Alternative, AppointmentId, BlockSession, Command, DepartmentId, DisplacedPage, Fact,
    Hold, OrganizationId, Outcome, PatientId, PaymentRef, Query, Reading, Reschedule, ResourceId,
    Role, Session, SessionId, SlotIndex, Substitute, Ttl,
};

const PATIENTS: u128 = 40;

#[test]
fn a_block_reaches_everybody_though_the_node_crashes_between_its_steps() {
    // After so many ticks of so few homes: before, within, and after the round.
    for ticks in [0, 1, 7, 20, 31, 40] {
        let node = full(None);
        block(&node, 1, true);
        (0..ticks).for_each(|_| _ = node.service.tick(node.now));
        node.commit();
        let mut restarted = Node::recovered(&node.medium.crash());
        restarted.now = node.now;
        assert_eq!(restarted.service.digest(), node.service.digest(), "after {ticks} ticks");
        sweep(&restarted);
        let ids: Vec<_> = (1..=PATIENTS).map(build::appointment).collect();
        assert_eq!(displaced(&restarted, None, None), ids, "after {ticks} ticks");
        let again = Node::recovered(&restarted.medium.crash());
        assert_eq!(displaced(&again, None, None), ids, "they are listed after a restart too");
        let records = again.records();
        let facts = records.iter().flat_map(|(_, _, facts)| facts);
        let times = facts.filter(|fact| matches!(fact, Fact::Displaced(_))).count();
        assert_eq!(times, ids.len(), "each is displaced once");
    }
}

#[test]
fn a_block_that_is_over_looks_through_no_home_again() {
    let node = full(None);
    assert_eq!(node.service.inventory().sweep_home(), None);
    block(&node, 1, true);
    sweep(&node);
    assert_eq!(node.service.inventory().sweep_home(), None);
    node.commit();
    let restarted = Node::recovered(&node.medium.crash());
    assert_eq!(restarted.service.inventory().sweep_home(), None);
}

#[test]
fn each_displaced_patient_is_offered_a_place_and_the_rest_is_listed() {
    let mut node = full(Ttl::from_millis(600_000));
    // Of the same resource, next day: ten places. Of another one in the department: ten.
    node.open(like(2, 77, 24 * 60, 10));
    node.open(like(3, 78, 60, 10));
    block(&node, 1, true);
    sweep(&node);
    assert_eq!(displaced(&node, None, None).len(), 40);
    let offers: Vec<_> = (1..=PATIENTS).filter_map(|id| offer_of(&node, id)).collect();
    assert_eq!(offers.len(), 20, "as many offers as there are places");
    let of_same = offers.iter().filter(|session| **session == SessionId(2)).count();
    assert_eq!(of_same, 10, "half of them with the same practitioner: {offers:?}");
    assert_eq!(super::refused(&node.hold_any(99, 2)), Outcome::SoldOut);
    let digest = node.service.digest();
    node.commit();
    assert_eq!(Node::recovered(&node.medium.crash()).service.digest(), digest);

    node.later(600_000);
    while 0 < node.service.tick(node.now) {}
    assert!(node.hold_any(99, 2).result.is_ok(), "what is not accepted is free again");
    assert_eq!(displaced(&node, Some(SessionId(1)), None).len(), 40);
    let department = Some((OrganizationId(1), DepartmentId(1)));
    assert_eq!(displaced(&node, None, department).len(), 40);
    assert!(displaced(&node, Some(SessionId(2)), None).is_empty());
    let elsewhere = Some((OrganizationId(1), DepartmentId(9)));
    assert!(displaced(&node, None, elsewhere).is_empty());
}

#[test]
fn alternatives_are_the_nearest_places_of_the_same_resource_and_then_of_the_same_kind() {
    let node = Node::new();
    for (id, resource, minutes) in
        [(1, 77, 60), (2, 77, 600), (3, 77, 24 * 60), (4, 78, 60), (5, 79, 300)]
    {
        node.open(like(id, resource, minutes, 1));
    }
    node.open(Session { appointment_type: 3, ..like(6, 80, 60, 1) });
    let hold = Hold { book: Some(PaymentRef(1)), ..build::hold(1, 1, [build::any(1)]) };
    node.hold(&hold).result.unwrap();
    let sessions = |node: &Node| {
        let found = alternatives(node, 1);
        found.iter().map(|found| found.claim.session.0).collect::<Vec<_>>()
    };
    assert_eq!(sessions(&node), [2, 3, 4, 5], "another type of visit is none");
    node.hold_any(2, 2).result.unwrap();
    assert_eq!(sessions(&node), [3, 4, 5], "what is taken is none");
    block(&node, 3, true);
    assert_eq!(sessions(&node), [4, 5], "what is blocked is none");
    block(&node, 3, false);
    let substitute = Substitute {
        request: build::request(8 << 40),
        session: SessionId(5),
        resource: ResourceId(77),
        reason: 1,
        by: None,
    };
    admin(&node, &Command::Substitute(substitute));
    assert_eq!(sessions(&node), [5, 3, 4], "the substitute is the same resource");
    node.hold(&build::hold(3, 1, [build::any(4)])).result.unwrap();
    assert_eq!(sessions(&node), [5, 3], "where the patient is already is none");
    let recovered = {
        node.commit();
        Node::recovered(&node.medium.crash())
    };
    assert_eq!(sessions(&recovered), [5, 3], "the directory is rebuilt");
}

#[test]
fn an_offer_hides_no_other_place_of_its_session() {
    let node = Node::new();
    let mut lost = like(1, 77, 60, 1);
    lost.terms.displaced_offer = Ttl::from_millis(600_000);
    node.open(lost);
    let hold = Hold { book: Some(PaymentRef(1)), ..build::hold(1, 1, [build::any(1)]) };
    node.hold(&hold).result.unwrap();
    let next_day = like(2, 77, 24 * 60, 1);
    node.open(Session { pools: build::session(2, &[1, 1]).pools, ..next_day });
    block(&node, 1, true);
    sweep(&node);
    assert_eq!(offer_of(&node, 1), Some(SessionId(2)));
    let found: Vec<_> = alternatives(&node, 1).iter().map(|found| found.claim).collect();
    let [other] = found[..] else { panic!("{found:?}") };
    let ask = Reschedule {
        request: build::request(9 << 40),
        appointment: build::appointment(1),
        patient: None,
        channel: build::channel(0),
        claims: std::iter::once(build::at(2, other.slot.0)).collect(),
    };
    let moved = node.service.call(node.now, &node.actor, &Command::Reschedule(ask.into()));
    assert_eq!(moved.result.unwrap().claims.as_slice(), [other], "it can be had");
}

/// A session with one slot for everybody, all booked.
fn full(offer: Option<Ttl>) -> Node {
    let node = Node::new();
    let mut session = like(1, 77, 60, 40);
    session.terms.displaced_offer = offer;
    node.open(session);
    for id in 1..=PATIENTS {
        let hold = Hold { book: Some(PaymentRef(id)), ..build::hold(id, id, [build::any(1)]) };
        node.hold(&hold).result.unwrap();
    }
    node
}

fn like(id: u64, resource: u64, minutes: u64, places: u16) -> Session {
    Session {
        resource: ResourceId(resource),
        start: MORNING.plus_millis(minutes * MINUTE),
        ..build::session(id, &[places])
    }
}

fn block(node: &Node, session: u64, is_blocked: bool) {
    let number = 7 << 40 | u128::from(session) << 1 | u128::from(is_blocked);
    let block = BlockSession {
        request: build::request(number),
        session: SessionId(session),
        first: SlotIndex(0),
        count: 1,
        is_blocked,
        reason: 1,
        by: None,
    };
    admin(node, &Command::BlockSession(block));
}

fn admin(node: &Node, command: &Command) {
    let answer = node.service.call(node.now, &Actor::unbounded(Role::Admin), command);
    answer.result.unwrap();
}

/// Ticks until no block is under way.
fn sweep(node: &Node) {
    let ticks = (0..SHARD_COUNT).take_while(|_| node.service.inventory().sweep_home().is_some());
    ticks.for_each(|_| _ = node.service.tick(node.now));
    assert_eq!(node.service.inventory().sweep_home(), None);
    node.commit();
}

fn displaced(
    node: &Node,
    session: Option<SessionId>,
    department: Option<(OrganizationId, DepartmentId)>,
) -> Vec<AppointmentId> {
    let query = Query::Displaced { session, department, after: AppointmentId(0) };
    let answer = node.service.read(node.now, &Actor::unbounded(Role::Admin), &query);
    let Ok(Reading::Displaced(DisplacedPage { appointments, next })) = answer.result else {
        panic!("{:?}", answer.result)
    };
    assert_eq!(next, None);
    appointments.iter().map(|appointment| appointment.id).collect()
}

/// In which session a displaced patient is offered a place.
fn offer_of(node: &Node, id: u128) -> Option<SessionId> {
    let (live, _) = node.service.inventory().live(PatientId(id));
    let found = live.into_iter().filter_map(|id| node.service.inventory().appointment(id).0);
    let mut offers = found.filter(crate::model::Appointment::is_offer);
    offers.next().map(|offer| offer.claims[0].session)
}

fn alternatives(node: &Node, id: u128) -> Vec<Alternative> {
    let query = Query::Alternatives {
        appointment: Some(build::appointment(id)),
        session: SessionId(0),
        slot: SlotIndex(0),
        count: 1,
        patient: None,
        channel: build::channel(0),
        class: crate::model::PatientClass::Outpatient,
    };
    match node.service.read(node.now, &node.actor, &query).result {
        Ok(Reading::Alternatives(found)) => found,
        other => panic!("{other:?}"),
    }
}
