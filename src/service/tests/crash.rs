//! What a crash leaves of what was acknowledged, and what a failed disk does.

use std::sync::atomic::Ordering;

use super::{Node, refused};
use crate::engine::tests::build;
use crate::inventory::Inventory;
use crate::model::{
    Action, Appointment, AppointmentStatus, AppointmentStatus as S, Booked, Cause, Claim, Claims,
    Ended, Estate, Fact, Facts, Forgotten, Held, Hold, Outcome, PatientId, PatientsMerged,
    PaymentRef, PoolIndex, Progressed, Reclaim, Reclaimed, Returned, Sequence, Session, SessionId,
    SessionOpened, Settled, SlotIndex,
};

#[test]
fn i5_a_crash_loses_only_what_was_not_acknowledged() {
    for acknowledged in [0, 1, 2, 7, 40] {
        let node = Node::new();
        node.open(build::session(1, &[100]));
        node.open(build::session(2, &[3, 3]));
        (1..=acknowledged).for_each(|step| act(&node, step));
        node.commit();
        let digest = node.service.digest();
        let told: Vec<_> = (1..=acknowledged)
            .map(|id| node.service.inventory().appointment(build::appointment(id)).0)
            .collect();

        let durable = node.service.durable();
        node.medium.hold();
        (acknowledged + 1..acknowledged + 30).for_each(|step| act(&node, step));
        node.medium.wait_syncing();
        assert_eq!(node.service.durable(), durable, "nothing is acknowledged before its sync");
        let images = [node.medium.crash(), node.medium.crash_torn()];
        node.medium.resume();

        for image in images {
            let restarted = Node::recovered(&image);
            assert_eq!(restarted.service.digest(), digest, "after {acknowledged} steps");
            for (id, told) in (1..).zip(&told) {
                let found = restarted.service.inventory().appointment(build::appointment(id)).0;
                assert_eq!(&found, told);
            }
            // It goes on: what was lost can be asked for again.
            act(&restarted, acknowledged + 1);
            restarted.commit();
        }
    }
}

/// A hold, and something with an earlier one.
fn act(node: &Node, step: u128) {
    let _answer = node.hold_any(step, 1 + u64::try_from(step % 2).unwrap());
    let earlier = step.div_ceil(2);
    let _answer = match step % 3 {
        0 => node.release(earlier),
        1 => node.book(earlier),
        _ => node.change(&build::change(3 << 40 | step, earlier, Action::Cancel)),
    };
}

#[test]
fn a_retry_after_a_restart_gets_the_answer_of_the_first_time() {
    let mut node = Node::new();
    node.open(build::session(1, &[1]));
    let first = node.hold_any(1, 1).result.unwrap();
    let booked = node.book(1).result.unwrap();
    node.commit();
    let mut restarted = Node::recovered(&node.medium.crash());
    node.later(1);
    restarted.now = node.now;
    let again = restarted.hold_any(1, 1).result.unwrap();
    assert!(again.retried && again.claims == first.claims);
    let again = restarted.book(1).result.unwrap();
    assert!(again.retried && again.until == booked.until);
    assert_eq!(refused(&restarted.hold_any(2, 1)), Outcome::SoldOut);
}

#[test]
fn i9_after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    node.commit();
    let durable = node.service.durable();
    node.medium.fail_sync(1);
    let lost = node.hold_any(1, 1);
    assert!(node.service.wait_durable(lost.after).is_err());
    assert_eq!(node.fatal.load(Ordering::SeqCst), 1, "the process is told to end, once");
    assert!(node.service.is_failed() && !node.service.is_serving());

    for id in 2..5 {
        let later = node.hold_any(id, 1);
        assert!(later.result.is_err() || node.service.wait_durable(later.after).is_err());
    }
    let appended = node.service.journal().appended();
    let row = Hold { book: Some(PaymentRef(1)), ..build::hold(7, 7, [build::any(1)]) };
    let imported = node.service.import(node.now, &row);
    assert_eq!(refused(&imported), Outcome::NotReady);
    let settled = node.service.settle(node.now, build::appointment(1), true);
    assert_eq!(refused(&settled), Outcome::NotReady);
    node.later(build::DAY / 2);
    assert_eq!((node.service.tick(node.now), node.service.forget(node.now)), (0, 0));
    assert_eq!(node.service.journal().appended(), appended, "nothing is decided any more");
    assert_eq!((node.service.durable(), node.fatal.load(Ordering::SeqCst)), (durable, 1));
    let restarted = Node::recovered(&node.medium.crash());
    assert_eq!(restarted.service.inventory().counts().1, 0);
}

/// A journal that tells an impossible story is not believed: recovery stops.
#[test]
fn i9_an_impossible_fact_stops_the_recovery() {
    let held = |id| Fact::Held(held_in(id, 1));
    let opened = || {
        let open = build::open(build::session(1, &[1]));
        let (request, fingerprint) = (open.request, open.fingerprint());
        Fact::SessionOpened(Box::new(SessionOpened { request, fingerprint, session: open.session }))
    };
    let booked = |id| {
        let (request, appointment) = (build::request(90), build::appointment(id));
        Fact::Booked(Booked { request, fingerprint: 1, appointment, payment: PaymentRef(1) })
    };
    let ended = |id| {
        let Held { appointment, patient, claims, .. } = held_in(id, 1);
        Fact::Ended(Ended { request: None, appointment, patient, cause: Cause::Expired, claims })
    };
    let settled = |id: u128, status| {
        let (request, patient) = (build::request(91), PatientId(id));
        let appointment = build::appointment(id);
        Fact::Settled(Settled { request, fingerprint: 1, appointment, patient, status })
    };
    let arrived = |id, status| {
        let (request, appointment) = (build::request(92), build::appointment(id));
        Fact::Progressed(Progressed { request, fingerprint: 1, appointment, status })
    };
    let ended_as = |id, cause, count| {
        let Held { appointment, patient, claims, .. } = held_in(id, count);
        Fact::Ended(Ended { request: None, appointment, patient, cause, claims })
    };
    let forgotten = |id| {
        let appointments = std::iter::once(build::appointment(id)).collect();
        Fact::Forgotten(Box::new(Forgotten { appointments }))
    };
    let malformed = || {
        let session = Session { slot_millis: 0, ..build::session(1, &[1]) };
        let request = build::request(93);
        Fact::SessionOpened(Box::new(SessionOpened { request, fingerprint: 1, session }))
    };
    let nowhere = || Fact::Held(Held { claims: Claims::new(), ..held_in(1, 1) });
    let far = || {
        let mut held = held_in(1, 200);
        held.claims[0].slot = SlotIndex(u16::MAX);
        Fact::Held(held)
    };
    for (what, facts, is_possible) in [
        ("a visit", vec![opened(), held(1), booked(1)], true),
        (
            "a visit to its end",
            vec![opened(), held(1), booked(1), arrived(1, S::Arrived), settled(1, S::Fulfilled)],
            true,
        ),
        ("what ended is forgotten", vec![opened(), held(1), ended(1), forgotten(1)], true),
        ("a hold is forgotten", vec![opened(), held(1), forgotten(1)], false),
        ("a hold arrives", vec![opened(), held(1), arrived(1, S::Arrived)], false),
        ("a hold is seen", vec![opened(), held(1), settled(1, S::Fulfilled)], false),
        ("settled as live", vec![opened(), held(1), booked(1), settled(1, S::Arrived)], false),
        ("arrived as ended", vec![opened(), held(1), booked(1), arrived(1, S::Cancelled)], false),
        ("a hold is cancelled", vec![opened(), held(1), ended_as(1, Cause::Cancelled, 1)], false),
        ("an end for no cause", vec![opened(), held(1), ended_as(1, Cause::None, 1)], false),
        ("no places come back", vec![opened(), held(1), ended_as(1, Cause::Released, 0)], false),
        ("a malformed session", vec![malformed()], false),
        ("a hold of no place", vec![opened(), nowhere()], false),
        ("a hold of no slot", vec![opened(), Fact::Held(held_in(1, 0))], false),
        ("a slot beyond all numbers", vec![opened(), far()], false),
        ("an expiry and another hold", vec![opened(), held(1), ended(1), held(2)], true),
        ("a place sold twice", vec![opened(), held(1), held(2)], false),
        ("a session opened twice", vec![opened(), opened()], false),
        ("a hold in no session", vec![held(1)], false),
        ("nothing comes back to no session", vec![returned()], false),
        ("places go to another pool", vec![shared(), reclaimed(1)], true),
        ("places of a slot that is not there", vec![shared(), reclaimed(2)], false),
        ("a slot that is not there", vec![opened(), Fact::Held(held_in(1, 2))], false),
        ("a booking of nothing", vec![opened(), booked(1)], false),
        ("an end before the beginning", vec![opened(), ended(1)], false),
        ("two ends", vec![opened(), held(1), ended(1), ended(1)], false),
        ("a place of nothing is left late", vec![opened(), left_late(1)], false),
        ("a telephone of nothing", vec![opened(), phoned(1)], false),
        ("a telephone", vec![opened(), held(1), phoned(1)], true),
        ("two telephones", vec![opened(), held(1), phoned(1), phoned(1)], false),
        ("somebody is bound", vec![bound(1, None)], true),
        ("somebody is bound twice", vec![bound(1, None), bound(1, None)], false),
        ("one for another", vec![bound(1, None), bound(2, Some(1))], true),
        ("one for nobody", vec![bound(2, Some(1))], false),
        ("two keys are one person's", vec![merged(1, 2, &[])], true),
        ("a key is its own", vec![merged(1, 1, &[])], false),
        ("a key brings another that it never had", vec![merged(1, 2, &[3])], false),
        ("a third key", vec![merged(1, 2, &[]), merged(2, 3, &[1])], true),
        ("a third key forgets the first", vec![merged(1, 2, &[]), merged(2, 3, &[])], false),
        ("a key is merged twice", vec![merged(1, 2, &[]), merged(1, 3, &[])], false),
        ("a key into an older one", vec![merged(1, 2, &[]), merged(3, 1, &[])], false),
        ("a booking after the end", vec![opened(), held(1), ended(1), booked(1)], false),
    ] {
        let records: Vec<_> = (1..)
            .zip(&facts)
            .map(|(number, fact)| {
                (Sequence(number), build::MORNING, Facts::from_iter([fact.clone()]))
            })
            .collect();
        #[cfg(feature = "node")]
        assert_eq!(crate::service::audit::of_records(&records).is_clean(), is_possible, "{what}");
        let replayed = std::panic::catch_unwind(|| {
            let mut inventory = Inventory::new(0, build::DAY);
            for (sequence, time, record) in records {
                inventory.replay(sequence, time, &record);
            }
            inventory.rebuild();
        });
        assert_eq!(replayed.is_ok(), is_possible, "{what}");
    }
}

fn merged(from: u128, into: u128, keys: &[u128]) -> Fact {
    Fact::PatientsMerged(Box::new(PatientsMerged {
        request: build::request(90 + from * 10 + into),
        fingerprint: 1,
        from: PatientId(from),
        into: PatientId(into),
        keys: keys.iter().map(|key| PatientId(*key)).collect(),
        estate: Estate::default(),
    }))
}

fn left_late(id: u128) -> Fact {
    let (appointment, patient) = (build::appointment(id), PatientId(id));
    let (deadline, rule) = (build::MORNING, crate::model::RuleRef::default());
    Fact::LeftLate(Box::new(crate::model::LeftLate { appointment, patient, deadline, rule }))
}

fn phoned(id: u128) -> Fact {
    let (appointment, phone) = (build::appointment(id), crate::model::ClientKey(id));
    Fact::Phoned(crate::model::Phoned { appointment, phone })
}

fn bound(id: u128, instead_of: Option<u128>) -> Fact {
    Fact::Bound(Box::new(crate::model::Bound {
        tie: crate::model::Tie::AccountPatient,
        holder: 1,
        other: id,
        instead_of,
        changed: Vec::new(),
        is_beyond: false,
        rule: crate::model::RuleRef::default(),
    }))
}

/// One slot, of which the first pool gives its unused places to the second.
fn shared() -> Fact {
    let mut session = build::session(1, &[1]);
    session.pools.push(session.pools[0].clone());
    let (at, to) = (build::MORNING, PoolIndex(1));
    session.pools[0].terms.reclaim = Some(Reclaim { at, to });
    let request = build::request(900);
    Fact::SessionOpened(Box::new(SessionOpened { request, fingerprint: 1, session }))
}

fn reclaimed(slots: usize) -> Fact {
    let (session, from, to) = (SessionId(1), PoolIndex(0), PoolIndex(1));
    let places = (0..slots).map(|slot| u16::from(slot == 0)).collect();
    Fact::Reclaimed(Box::new(Reclaimed { session, from, to, places }))
}

fn returned() -> Fact {
    Fact::Returned(Box::new(Returned { session: SessionId(1), places: Vec::new() }))
}

/// A hold of one place, or of a run that goes beyond the only slot.
fn held_in(id: u128, count: u8) -> Held {
    let claim = Claim { session: SessionId(1), slot: SlotIndex(0), count, pool: PoolIndex(0) };
    let claims: Claims = std::iter::once(claim).collect();
    let hold = build::hold(id, id, [build::at(1, 0)]);
    Held {
        appointment: hold.appointment,
        patient: hold.patient.unwrap(),
        account: None,
        organization: crate::model::OrganizationId(1),
        channel: hold.channel,
        class: hold.class,
        sharing: crate::model::Sharing::Cancel,
        until: build::MORNING.after(hold.ttl),
        fingerprint: hold.fingerprint(),
        rules: crate::model::RulesVersion(0),
        claims,
    }
}

#[test]
fn i2_recovery_decides_nothing_again() {
    // Rules that would refuse today what was granted then do not matter: the facts carry results.
    let mut inventory = Inventory::new(0, build::DAY);
    let open = build::open(build::session(1, &[1]));
    let (request, fingerprint) = (open.request, open.fingerprint());
    let opened = SessionOpened { request, fingerprint, session: open.session };
    let held = Held { until: build::MORNING.plus_millis(77), fingerprint: 42, ..held_in(1, 1) };
    for (number, fact) in
        [(1, Fact::SessionOpened(Box::new(opened))), (2, Fact::Held(held.clone()))]
    {
        let record: Facts = std::iter::once(fact).collect();
        inventory.replay(Sequence(number), build::MORNING.plus_millis(9 * build::DAY), &record);
    }
    inventory.rebuild();
    let Appointment { status, until, fingerprint, claims, .. } =
        inventory.appointment(held.appointment).0.unwrap();
    assert_eq!((status, until), (AppointmentStatus::Pending, held.until));
    assert_eq!((fingerprint, claims), (42, held.claims));
}
