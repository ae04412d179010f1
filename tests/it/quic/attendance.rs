//! A queue over the wire: who checks in is called, and shown to whom it concerns.

use std::sync::Arc;

use haoyuan::client::{CallError, Client, Event, ids};
use haoyuan::codec;
use haoyuan::model::*;
use haoyuan::service::{OpenOptions, Service};

use super::fake::{hold, validity};
use super::service::{serve, session};

const HOUR: u32 = 3_600_000;

/// A session that begins in an hour and lets everybody check in from now on.
fn attended(now: Timestamp) -> Session {
    let rules = Attendance {
        check_in_from: 2 * HOUR,
        pick_up_until: Some(-60_000),
        grace: 0,
        late_until: HOUR,
        late: LateRule::Every(2),
    };
    let plain = session(now);
    let terms = SessionTerms { attendance: Some(rules), ..plain.terms };
    Session { terms, ..plain }
}

/// Books a place and checks in.
async fn come(gateway: &Client, now: Timestamp, number: u128) -> Change {
    let wish = Hold {
        appointment: ids::new_appointment_id(now),
        book: Some(PaymentRef(1)),
        claims: std::iter::once(ClaimRequest {
            session: SessionId(7),
            count: 1,
            slots: SlotChoice::at(SlotIndex(0)),
        })
        .collect(),
        ..hold(number)
    };
    let counter = Change {
        request: ids::new_request_id(now),
        appointment: wish.appointment,
        patient: wish.patient,
        channel: wish.channel,
        action: Action::CheckIn,
    };
    gateway.hold(wish).await.unwrap();
    let receipt = gateway.check_in(counter).await.unwrap();
    assert_eq!(receipt.status, Some(AppointmentStatus::CheckedIn));
    counter
}

fn refusal<T: std::fmt::Debug>(asked: &Result<T, CallError>) -> Outcome {
    let Err(CallError::Refused(refusal)) = asked else { panic!("{asked:?}") };
    refusal.outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patients_check_in_are_called_and_leave_over_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let now = validity().now;
    let open = || {
        let options = OpenOptions::default();
        Service::open(folder.path(), &options, Arc::new(|error| panic!("{error}"))).unwrap()
    };
    let (service, _) = open();
    let (running, client) = serve(&service, now);
    let admin = client(Role::Admin);
    let request = ids::new_request_id(now);
    admin.open_session(OpenSession { request, session: attended(now) }).await.unwrap();
    let read = admin.session(SessionId(7)).await.unwrap();
    assert_eq!(read.session, attended(now), "the terms are read back");

    // Practitioners hold and book too; a gateway and a counter would do the same.
    let gateway = client(Role::Counter);
    let first = come(&gateway, now, 1).await;
    let second = come(&gateway, now, 2).await;
    let desk = client(Role::Practitioner);
    let call = CallNext { request: ids::new_request_id(now), session: SessionId(7) };
    let called = desk.call_next(call).await.unwrap();
    // Both checked in in the same millisecond: the smaller id goes first.
    let (before, after) =
        if first.appointment < second.appointment { (first, second) } else { (second, first) };
    assert_eq!(called.appointment, Some(before.appointment));
    let again = desk.call_next(call).await.unwrap();
    assert_eq!(again, Receipt { retried: true, until: again.until, ..called });

    let order = desk.call_order(SessionId(7), CallOrderOf::All { from: 0 }).await.unwrap();
    let turns: Vec<_> = order.lines.iter().map(|line| (line.appointment, line.position)).collect();
    assert_eq!(turns, [(before.appointment, 0), (after.appointment, 1)]);
    let app = client(Role::Gateway);
    let own = |change: Change| CallOrderOf::One {
        appointment: change.appointment,
        patient: change.patient,
        channel: change.channel,
    };
    let turn = app.call_order(SessionId(7), own(after)).await.unwrap();
    assert_eq!((turn.lines.len(), turn.lines[0].wait_millis), (1, 900_000));
    let all = app.call_order(SessionId(7), CallOrderOf::All { from: 0 }).await;
    assert_eq!(refusal(&all), Outcome::RoleNotPermitted);
    let stranger = Change { patient: before.patient, ..after };
    let others = app.call_order(SessionId(7), own(stranger)).await;
    assert_eq!(refusal(&others), Outcome::AppointmentNotFound);

    desk.fulfil(Change { request: ids::new_request_id(now), ..before }).await.unwrap();
    let next = CallNext { request: ids::new_request_id(now), session: SessionId(7) };
    assert_eq!(desk.call_next(next).await.unwrap().appointment, Some(after.appointment));
    let last = CallNext { request: ids::new_request_id(now), session: SessionId(7) };
    assert_eq!(refusal(&desk.call_next(last).await), Outcome::NobodyWaiting);

    let mut watch = admin.watch(Sequence(1));
    let mut names = Vec::new();
    while names.last() != Some(&"Called") || names.len() < 11 {
        if let Event::Record(record) = watch.next().await.unwrap() {
            let facts = codec::decode_facts(&record.facts).unwrap();
            names.extend(facts.iter().map(Fact::name));
        }
    }
    let queue = ["Queued", "Called", "Fulfilled", "Recorded", "Called"];
    assert_eq!(names[6..], queue, "{names:?}");

    // A snapshot and a restart: the same state.
    let digest = service.digest();
    let taking = Arc::clone(&service);
    tokio::task::spawn_blocking(move || taking.take_snapshot()).await.unwrap().unwrap();
    running.abort();
    service.close().unwrap();
    drop((service, running.await));
    let (service, _) = open();
    assert_eq!(service.digest(), digest);
    service.close().unwrap();
}
