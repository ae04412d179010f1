//! Queues through the pipeline: called in turn, kept by a crash, a snapshot and an audit.

#[cfg(feature = "node")]
use super::super::image;
use super::{Node, refused};
use crate::engine::tests::build::{self, MINUTE};
use crate::model::{
    Action, Actor, Answer, AppointmentId, Attendance, CallLine, CallNext, CallOrderOf, Command,
    Hold, LateRule, Outcome, PatientId, PaymentRef, Query, Reading, Receipt, Role, Session,
    SessionId, SessionTerms,
};

const SESSION: SessionId = SessionId(1);

/// Slots of ten minutes from 09:00, with a queue.
fn session() -> Session {
    let hour = 60 * 60_000;
    let rules = Attendance {
        check_in_from: hour,
        pick_up_until: None,
        grace: 60_000,
        late_until: hour,
        late: LateRule::Every(1),
    };
    let terms = SessionTerms { attendance: Some(rules), ..SessionTerms::default() };
    Session { terms, ..build::session(1, &[5, 5, 5]) }
}

/// Three on time and two late ones have checked in.
fn waiting_room() -> Node {
    let mut node = Node::new();
    node.open(session());
    for id in 1..=5 {
        let book = Some(PaymentRef(1));
        node.hold(&Hold { book, ..build::hold(id, id, [build::at(1, 0)]) }).result.unwrap();
    }
    node.later(60 * MINUTE);
    (1..=3).for_each(|id| check_in(&node, id));
    node.later(2 * MINUTE);
    (4..=5).for_each(|id| check_in(&node, id));
    node
}

fn check_in(node: &Node, id: u128) {
    node.change(&build::change(100 + id, id, Action::CheckIn)).result.unwrap();
}

fn call(node: &Node, role: Role, request: u128) -> Answer<Receipt> {
    let request = build::request(request);
    let command = Command::CallNext(CallNext { request, session: SESSION });
    node.service.call(node.now, &Actor::unbounded(role), &command)
}

fn called(node: &Node, request: u128) -> Option<AppointmentId> {
    call(node, Role::Practitioner, request).result.unwrap().appointment
}

fn read(node: &Node, role: Role, of: CallOrderOf) -> Answer<Reading> {
    let query = Query::CallOrder { session: SESSION, of };
    node.service.read(node.now, &Actor::unbounded(role), &query)
}

fn lines(node: &Node) -> Vec<CallLine> {
    match read(node, Role::Counter, CallOrderOf::All { from: 0 }).result.unwrap() {
        Reading::CallOrder(order) => order.lines,
        other => panic!("{other:?}"),
    }
}

fn one(appointment: u128, patient: u128) -> CallOrderOf {
    CallOrderOf::One {
        appointment: build::appointment(appointment),
        patient: Some(PatientId(patient)),
        channel: build::channel(0),
    }
}

#[test]
fn a_queue_is_called_in_turn_and_told_to_whom_it_concerns() {
    let mut node = waiting_room();
    let order =
        |node: &Node| lines(node).iter().map(|it| it.appointment.0 & 0xff).collect::<Vec<_>>();
    assert_eq!(order(&node), [1, 4, 2, 5, 3].map(|id| build::appointment(id).0 & 0xff));
    assert_eq!(called(&node, 201), Some(build::appointment(1)));
    assert_eq!(called(&node, 201), Some(build::appointment(1)), "the same request again");
    assert_eq!(called(&node, 202), Some(build::appointment(4)));
    node.later(4 * MINUTE);
    node.service
        .call(
            node.now,
            &Actor::unbounded(Role::Practitioner),
            &Command::Change(build::change(301, 1, Action::Fulfil)),
        )
        .result
        .unwrap();

    // A gateway learns its patient's turn and nobody else's.
    let turn = read(&node, Role::Gateway, one(2, 2)).result.unwrap();
    let Reading::CallOrder(turn) = turn else { panic!("{turn:?}") };
    let [line] = turn.lines.as_slice() else { panic!("{turn:?}") };
    assert_eq!((line.position, line.wait_millis, turn.waiting), (1, 240_000, 3));
    let refusals = [
        (Role::Gateway, one(2, 3), Outcome::AppointmentNotFound),
        (Role::Gateway, one(1, 1), Outcome::WrongStatus),
        (Role::Gateway, CallOrderOf::All { from: 0 }, Outcome::RoleNotPermitted),
        (Role::Observer, one(2, 2), Outcome::RoleNotPermitted),
    ];
    for (role, of, outcome) in refusals {
        assert_eq!(refused(&read(&node, role, of)), outcome, "{role:?} {of:?}");
    }
    assert_eq!(refused(&call(&node, Role::Gateway, 203)), Outcome::RoleNotPermitted);
}

#[test]
fn a_queue_survives_a_crash_and_an_audit_agrees() {
    let node = waiting_room();
    called(&node, 201);
    called(&node, 202);
    node.commit();
    let mut again = Node::recovered(&node.medium.crash());
    again.now = node.now;
    assert_eq!(lines(&again), lines(&node));
    assert_eq!(again.service.digest(), node.service.digest());
    assert_eq!(called(&again, 203), called(&node, 203), "and the next one is the same");
    #[cfg(feature = "node")]
    {
        node.commit();
        let report = crate::service::audit::of_records(&node.records());
        assert!(report.is_clean(), "{:?}", report.faults);
        assert_eq!(report.digest, node.service.digest());
    }
}

#[cfg(feature = "node")]
#[test]
fn an_audit_finds_who_was_called_out_of_turn_or_twice_or_lost() {
    use crate::model::{Fact, Facts, Sequence, Timestamp};
    use crate::service::audit::of_records;
    type Records = Vec<(Sequence, Timestamp, Facts)>;
    let node = waiting_room();
    called(&node, 201);
    node.commit();
    let records = node.records();
    let altered = |change: &dyn Fn(&mut Records)| {
        let mut records = records.clone();
        change(&mut records);
        of_records(&records).faults.join("; ")
    };
    let last = records.len() - 1;
    let other = altered(&|records| {
        if let Fact::Called(called) = &mut records[last].2[0] {
            called.appointment = build::appointment(3);
        }
    });
    assert!(other.contains("whose turn it is not"), "{other}");
    let twice = altered(&|records| records.push(records[last].clone()));
    assert!(twice.contains("whose turn it is not"), "{twice}");
    let early = altered(&|records| {
        for fact in records.iter_mut().flat_map(|(_, _, facts)| facts) {
            if let Fact::Queued(queued) = fact {
                queued.is_late = !queued.is_late;
            }
        }
    });
    assert!(early.contains("not by the rules"), "{early}");
}

#[cfg(feature = "node")]
#[test]
fn a_queue_comes_back_from_the_image_of_its_shard() {
    use crate::engine::tests::build::DAY;
    use crate::inventory::Inventory;
    use crate::model::Sequence;
    let node = waiting_room();
    called(&node, 201);
    let mut restored = Inventory::new(99, DAY);
    for (kind, index) in Inventory::parts() {
        let mut bytes = Vec::new();
        let inventory = node.service.inventory();
        inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
        restored.restore_part(kind, index, Sequence(1), |part| image::read(part, &bytes)).unwrap();
    }
    restored.rebuild();
    assert_eq!(crate::service::digest::of_inventory(&restored), node.service.digest());
    let page = |inventory: &Inventory| {
        inventory.call_order(&Actor::unbounded(Role::Counter), SESSION, Err(0)).result.unwrap()
    };
    assert_eq!(page(&restored), page(node.service.inventory()));
}

#[test]
fn who_did_not_come_is_missed_at_settlement_and_not_before() {
    let mut node = Node::new();
    node.open(session());
    let book = Some(PaymentRef(1));
    node.hold(&Hold { book, ..build::hold(1, 1, [build::at(1, 0)]) }).result.unwrap();
    node.later(120 * MINUTE);
    let settle = |node: &Node| node.service.settle(node.now, build::appointment(1), false);
    assert_eq!(refused(&settle(&node)), Outcome::TooEarly, "they may still come");
    node.later(1);
    settle(&node).result.unwrap();
}
