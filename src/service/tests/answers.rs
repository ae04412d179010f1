//! When an answer may be told, and what room there is.

use super::{Node, refused};
use crate::engine::tests::build::{self, MINUTE};
use crate::journal::JournalConfig;
use crate::model::{
    Actor, Answer, Hold, Outcome, PatientClass, PatientId, Query, Reading, Role, Sequence, Session,
    SessionId, Sharing,
};
use crate::service::Limits;

#[test]
fn i5_no_success_is_told_before_its_record_is_durable() {
    let node = Node::new();
    node.open(build::session(1, &[9]));
    node.commit();
    node.medium.hold();
    let durable = node.service.durable();
    for (number, answer) in
        [node.hold_any(1, 1), node.book(1), node.hold_any(2, 1)].into_iter().enumerate()
    {
        answer.result.unwrap();
        assert_eq!(answer.after.0, durable.0 + 1 + number as u64);
    }
    assert_eq!(node.service.durable(), durable);
    node.medium.resume();
    node.commit();
    assert_eq!(node.service.durable().0, durable.0 + 3);
}

#[test]
fn i5_a_refusal_that_rests_on_an_undurable_fact_waits_for_it() {
    let node = Node::new();
    node.open(build::session(1, &[9, 9]));
    node.commit();
    node.medium.hold();
    let held = node.hold_any(1, 1).after;
    let booked = node.book(1).after;
    assert!(node.service.durable() < held);

    let second = node.hold(&build::hold(2, 1, [build::at(1, 1)]));
    assert_eq!((refused(&second), second.after), (Outcome::AlreadyHasAppointment, held));
    let reused = node.hold(&build::hold(1, 7, [build::at(1, 0)]));
    assert_eq!((refused(&reused), reused.after), (Outcome::IdReused, booked));
    let retried = node.hold_any(1, 1);
    assert_eq!((retried.result.unwrap().retried, retried.after), (true, booked));
    let released = node.release(1);
    assert_eq!((refused(&released), released.after), (Outcome::WrongStatus, booked));
    let unheard = node.release(99);
    assert_eq!((refused(&unheard), unheard.after), (Outcome::AppointmentNotFound, Sequence(0)));
    node.medium.resume();
}

#[test]
fn i5_sold_out_alone_is_told_at_once() {
    let node = Node::new();
    node.open(build::session(1, &[1]));
    node.open(build::session(2, &[1]));
    node.medium.hold();
    let last = node.hold_any(1, 1);
    assert!(node.service.durable() < last.after);
    let by_board = node.hold_any(2, 1);
    assert_eq!((refused(&by_board), by_board.after), (Outcome::SoldOut, Sequence(0)));
    // Two claims are looked at under the locks.
    let by_engine = node.hold(&build::hold(3, 3, [build::any(2), build::any(1)]));
    assert_eq!((refused(&by_engine), by_engine.after), (Outcome::SoldOut, Sequence(0)));
    node.medium.resume();
}

#[test]
fn i5_a_reading_names_the_record_that_it_rests_on() {
    let node = Node::new();
    node.open(build::session(1, &[2]));
    node.commit();
    node.medium.hold();
    let held = node.hold_any(1, 1).after;
    let channel = build::channel(0);
    let patient = PatientId(1);
    let read = |query| node.service.read(node.now, &node.actor, &query);
    let availability =
        Query::Availability { session: SessionId(1), channel, class: PatientClass::Outpatient };
    let get = |patient| Query::Get { appointment: build::appointment(1), patient, channel };

    let Answer { after, result } = read(availability);
    let Ok(Reading::Availability(places)) = result else { panic!("{result:?}") };
    assert_eq!((after, places.free.as_slice()), (held, &[1][..]));
    let Answer { after, result } = read(get(Some(patient)));
    let Ok(Reading::Appointment(appointment)) = result else { panic!("{result:?}") };
    assert_eq!((after, appointment.patient), (held, patient));
    let Answer { after, result } = read(Query::List { patient, channel });
    let Ok(Reading::Appointments(listed)) = result else { panic!("{result:?}") };
    assert_eq!((after, listed.len()), (held, 1));
    let stranger = read(get(Some(PatientId(2))));
    assert_eq!((refused(&stranger), stranger.after), (Outcome::AppointmentNotFound, held));
    node.medium.resume();
}

#[test]
fn who_may_read_an_appointment_is_what_its_session_shares() {
    for (sharing, role, channel, is_shown) in [
        (Sharing::Own, Role::Gateway, 1, true),
        (Sharing::Own, Role::Gateway, 2, false),
        (Sharing::Own, Role::Counter, 2, false),
        (Sharing::Own, Role::Practitioner, 2, true),
        (Sharing::Own, Role::Auditor, 2, true),
        (Sharing::Read, Role::Gateway, 2, true),
        (Sharing::Cancel, Role::Gateway, 2, true),
    ] {
        let node = Node::new();
        node.open(Session { sharing, ..build::session(1, &[9]) });
        let channel_of = build::channel;
        let hold = Hold { channel: channel_of(1), ..build::hold(1, 1, [build::any(1)]) };
        node.hold(&hold).result.unwrap();
        let channel = channel_of(channel);
        let actor = Actor::unbounded(role);
        let get = Query::Get { appointment: build::appointment(1), patient: None, channel };
        let list = Query::List { patient: PatientId(1), channel };

        let got = node.service.read(node.now, &actor, &get).result;
        let expected = if is_shown { None } else { Some(Outcome::ChannelNotShared) };
        let case = format!("{sharing:?} {role:?} {channel:?}");
        assert_eq!(got.err().map(|refusal| refusal.outcome), expected, "{case}");
        let listed = node.service.read(node.now, &actor, &list).result.unwrap();
        let Reading::Appointments(listed) = listed else { panic!("{listed:?}") };
        assert_eq!(listed.len(), usize::from(is_shown), "{case}");
    }
}

#[test]
fn i8_without_room_in_the_journal_nothing_is_decided_and_upkeep_goes_on() {
    // Room for a largest record, and a few small ones.
    let config = JournalConfig { request_bytes_max: 5_000, ..JournalConfig::default() };
    let mut node = Node::with(config, Limits::default());
    node.open(build::session(1, &[1_000]));
    node.commit();
    node.medium.hold();
    let taken = (1..100).find(|id| node.hold_any(*id, 1).result.is_err()).unwrap() - 1;
    let refusal = node.hold_any(999, 1).result.unwrap_err();
    assert_eq!(refusal.outcome, Outcome::Overloaded);
    assert!(refusal.outcome.is_transient() && 0 < refusal.retry_after_millis);
    assert_eq!(node.service.inventory().counts().1, u64::try_from(taken).unwrap());
    assert_eq!(node.service.journal().appended().0, 1 + u64::try_from(taken).unwrap());
    assert_eq!(refused(&node.release(1)), Outcome::Overloaded);

    node.later(16 * MINUTE);
    assert_eq!(u128::from(node.service.tick(node.now)), taken, "expiry has a lane of its own");
    assert_eq!(refused(&node.hold_any(999, 1)), Outcome::Overloaded);
    node.medium.resume();
    node.commit();
    node.hold_any(999, 1).result.unwrap();
}

#[test]
fn i8_holds_are_shed_early_while_bookings_readings_and_sold_out_go_on() {
    let limits = Limits { delay_max_millis: 100, ..Limits::default() };
    let mut node = Node::with(JournalConfig::default(), limits);
    node.open(build::session(1, &[10_000]));
    node.open(build::session(2, &[0]));
    node.hold_any(1, 1).result.unwrap();
    node.commit();
    node.medium.hold();
    let taken = (2..9_000).take_while(|id| node.hold_any(*id, 1).result.is_ok()).count();
    assert!((1_000..4_000).contains(&taken), "{taken} were let in before any was shed");
    let refusal = node.hold_any(9_999, 1).result.unwrap_err();
    assert_eq!(refusal.outcome, Outcome::Overloaded);
    assert!((20..1_000).contains(&refusal.retry_after_millis), "{refusal:?}");
    assert_eq!(refused(&node.hold_any(9_999, 2)), Outcome::SoldOut);
    node.book(1).result.unwrap();

    // Looked at again and again, the queue does not move.
    for _ in 0..20 {
        node.later(50);
        for id in 10_000..10_050 {
            assert_eq!(refused(&node.hold_any(id, 1)), Outcome::Overloaded);
        }
        node.service.tick(node.now);
    }
    let shed = node.service.stats().shed;
    assert!(1_000 < shed[1] && shed[2..] == [0, 0], "{shed:?}");
    node.medium.resume();
    node.commit();
    node.later(50);
    node.service.tick(node.now);
    for _ in 0..100 {
        node.later(50);
        node.service.tick(node.now);
    }
    assert!(!node.service.is_shedding());
    node.hold_any(9_999, 1).result.unwrap();
}

#[test]
fn i8_appointments_in_memory_are_bounded() {
    let limits = Limits { appointments_max: 2, ..Limits::default() };
    let node = Node::with(JournalConfig::default(), limits);
    node.open(build::session(1, &[9]));
    node.hold_any(1, 1).result.unwrap();
    node.hold_any(2, 1).result.unwrap();
    node.service.tick(node.now);
    assert_eq!(refused(&node.hold_any(3, 1)), Outcome::Overloaded);
    node.book(2).result.unwrap();
}

#[test]
fn a_node_that_stops_takes_no_changes() {
    let node = Node::new();
    node.open(build::session(1, &[9]));
    node.hold_any(1, 1).result.unwrap();
    node.service.stop_serving();
    assert_eq!(refused(&node.hold_any(2, 1)), Outcome::NotReady);
    assert_eq!(refused(&node.release(1)), Outcome::NotReady);
    node.service.close().unwrap();
    assert_eq!(node.service.durable(), Sequence(2));
}

#[test]
fn every_answer_is_counted_by_operation_and_outcome() {
    let node = Node::new();
    node.open(build::session(1, &[1]));
    for id in [1, 1, 2] {
        let _answer = node.hold_any(id, 1);
    }
    let requests = node.service.stats().requests;
    let count = |outcome| {
        let hold = crate::model::Operation::Hold;
        requests.iter().find(|row| (row.0, row.1) == (hold, outcome)).map(|row| row.2)
    };
    let counted = [Outcome::Done, Outcome::AlreadyDone, Outcome::SoldOut].map(count);
    assert_eq!(counted, [Some(1), Some(1), Some(1)]);
}
