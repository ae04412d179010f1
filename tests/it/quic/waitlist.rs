//! A waitlist from the client to the folder: join, offer, accept, and an audit of it all.

use std::sync::Arc;

use haoyuan::client::{CallError, ids};
use haoyuan::model::*;
use haoyuan::service::{OpenOptions, Service, audit};

use super::fake::{hold, validity};
use super::service::{serve, session};

/// The session of the other tests with one place, and a waitlist.
fn with_waitlist(now: Timestamp) -> Session {
    let mut session = session(now);
    session.pools[0].quotas = vec![1];
    session.terms.returns =
        ReturnRule::WaitlistFirst(Delay { min_millis: 60_000, max_millis: 120_000 });
    session.terms.waitlist = Some(Box::new(WaitlistRule {
        entries_max: 5,
        priority: [0; PatientClass::COUNT],
        draw_millis: 0,
        offer_millis: 600_000,
        near_offer_millis: 600_000,
        near_millis: 0,
        hours: None,
        closes_at: now.plus_millis(1_800_000),
    }));
    session
}

fn join(now: Timestamp, patient: PatientId, channel: BookingChannel) -> JoinWaitlist {
    JoinWaitlist {
        request: ids::new_request_id(now),
        patient,
        account: None,
        channel,
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: std::iter::once(SessionId(7)).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_offered_the_place_that_comes_back_and_accepts_it() {
    let folder = tempfile::tempdir().unwrap();
    let now = validity().now;
    let (service, _) =
        Service::open(folder.path(), &OpenOptions::default(), Arc::new(|error| panic!("{error}")))
            .unwrap();
    let (running, client) = serve(&service, now);
    let (admin, gateway) = (client(Role::Admin), client(Role::Gateway));
    let open = OpenSession { request: ids::new_request_id(now), session: with_waitlist(now) };
    admin.open_session(open).await.unwrap();

    let mut first = Hold { appointment: ids::new_appointment_id(now), ..hold(1) };
    first.claims[0].slots = SlotChoice::Any;
    let (channel, waiting) = (first.channel, PatientId(77));
    let early = gateway.join_waitlist(join(now, waiting, channel)).await.unwrap_err();
    assert!(matches!(early, CallError::Refused(refusal) if refusal.outcome == Outcome::NotFull));
    gateway.hold(first.clone()).await.unwrap();
    let entry = join(now, waiting, channel);
    assert!(!gateway.join_waitlist(entry.clone()).await.unwrap().retried);
    assert!(gateway.join_waitlist(entry.clone()).await.unwrap().retried);
    let seen = gateway.waitlist(SessionId(7), Some(waiting), channel).await.unwrap();
    assert_eq!((seen.waiting, seen.position, seen.offer), (1, Some(1), None));

    let release = |appointment, patient, action| Change {
        request: ids::new_request_id(now),
        appointment,
        patient,
        channel,
        action,
    };
    gateway.change(release(first.appointment, first.patient, Action::Release)).await.unwrap();
    service.tick(now);
    let offered = gateway.list(waiting, channel).await.unwrap();
    assert_eq!(offered.len(), 1);
    assert_eq!(offered[0].status, AppointmentStatus::Pending);
    let seen = gateway.waitlist(SessionId(7), Some(waiting), channel).await.unwrap();
    assert_eq!((seen.waiting, seen.offer), (1, Some(offered[0].id)));
    gateway
        .change(release(offered[0].id, Some(waiting), Action::Book { payment: PaymentRef(3) }))
        .await
        .unwrap();
    let gone = gateway.waitlist(SessionId(7), Some(waiting), channel).await.unwrap_err();
    assert!(matches!(gone, CallError::Refused(refusal) if refusal.outcome == Outcome::NotWaiting));

    running.abort();
    let _gone = running.await;
    drop((admin, gateway));
    service.close().unwrap();
    let digest = service.digest();
    drop(service);
    let report = audit::audit(folder.path()).unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.digest, digest);
}
