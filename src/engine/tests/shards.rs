//! What shards say about themselves.

use super::build::{self, DAY, MORNING};
use super::world::World;
use crate::engine::{HomeShard, LedgerShard, Live, SessionState};
use crate::model::{
    AccountId, Action, Actor, Appointment, AppointmentStatus, Cause, Command, Outcome,
    PatientClass, PatientId, PaymentRef, PoolIndex, Role, SessionId, Sharing, SlotIndex,
};

#[test]
fn a_shard_says_whether_there_is_anything_in_it() {
    let mut ledger = LedgerShard::new(1);
    assert!(ledger.is_empty());
    ledger.insert(
        PatientId(1),
        Live::new(build::appointment(1), SessionId(1), SlotIndex(3), MORNING),
    );
    ledger.insert(
        PatientId(1),
        Live::new(build::appointment(2), SessionId(2), SlotIndex(0), MORNING),
    );
    assert!(!ledger.is_empty());
    assert_eq!(ledger.len(), 1, "patients, not appointments");

    let mut home = HomeShard::new(1, DAY);
    assert!(home.is_empty());
    home.remember(MORNING, build::request(9), 7);
    assert!(home.is_empty(), "a request is no appointment");
    assert_eq!((home.len(), home.pending()), (0, 0));
    home.insert(&held());
    assert_eq!((home.is_empty(), home.len(), home.pending()), (false, 1, 1));
}

/// A deadline that comes up may be that of a hold which was booked, or moved on.
#[test]
fn nothing_expires_but_a_hold_that_is_due() {
    let mut world = World::new(MORNING);
    let actor = Actor::unbounded(Role::Admin);
    let open = Command::OpenSession(build::open(build::session(1, &[2])).into());
    world.run(&actor, &open).unwrap();
    for id in [1, 2] {
        let hold = Command::Hold(build::hold(id, id, [build::any(1)]));
        world.run(&Actor::unbounded(Role::Gateway), &hold).unwrap();
    }
    let book = Action::Book { payment: PaymentRef(1) };
    let book = Command::Change(build::change(9, 2, book));
    world.run(&Actor::unbounded(Role::Gateway), &book).unwrap();
    assert_eq!(world.expiry_of(build::appointment(1)), None, "it is not due");
    world.now = MORNING.plus_millis(DAY);
    assert_eq!(world.expiry_of(build::appointment(2)), None, "it is booked");
    assert_eq!(world.expiry_of(build::appointment(3)), None, "there is none");
    assert!(world.expiry_of(build::appointment(1)).is_some());
}

#[test]
fn refusals_come_out_by_id() {
    let mut home = HomeShard::new(1, DAY);
    for id in [3, 1, 2] {
        home.insert_declined(build::appointment(id), 7, Outcome::SoldOut);
    }
    let expected = [1, 2, 3].map(|id| (build::appointment(id), 7, Outcome::SoldOut));
    assert_eq!(home.refusals(), expected);
}

#[test]
fn two_sessions_are_equal_when_terms_and_places_are() {
    let of =
        |quotas: &[u16], taken: &[u16]| SessionState::from_parts(build::session(1, quotas), taken);
    let state = of(&[2, 1], &[1, 0]).unwrap();
    assert_eq!(state, state.clone());
    assert_eq!(state.taken(), [1, 0]);
    assert_eq!(state.free(SlotIndex(0), PoolIndex(0)), 1);
    assert_eq!(state.free(SlotIndex(0), PoolIndex(1)), 0, "there is no such pool");
    assert_ne!(state, of(&[2, 1], &[1, 1]).unwrap());
    assert_ne!(state, of(&[3, 1], &[1, 0]).unwrap());
    assert!(of(&[2, 1], &[3, 0]).is_none(), "more are taken than there are");
    assert!(of(&[2, 1], &[1]).is_none(), "a slot is missing");
    assert!(of(&[2, 1], &[1, 0, 0]).is_none(), "there is no third slot");
}

/// A clone has places of its own: what is taken from one is free in the other.
#[test]
fn a_clone_of_a_session_shares_no_place() {
    let state = SessionState::from_parts(build::session(1, &[2]), &[0]).unwrap();
    let copy = state.clone();
    copy.places().take(SlotIndex(0), PoolIndex(0)).unwrap();
    assert_eq!((state.taken(), copy.taken()), (vec![0], vec![1]));
    assert_eq!((state.places().all_free(), copy.places().all_free()), (2, 1));
}

#[test]
#[should_panic(expected = "is held twice")]
fn an_appointment_that_is_there_cannot_be_held() {
    let mut home = HomeShard::new(1, DAY);
    home.insert(&held());
    home.insert(&held());
}

#[test]
#[should_panic(expected = "is answered twice")]
fn a_request_that_was_answered_cannot_be_remembered() {
    let mut home = HomeShard::new(1, DAY);
    home.remember(MORNING, build::request(9), 7);
    home.remember(MORNING, build::request(9), 7);
}

/// A request is remembered for two windows, to the millisecond, and then makes room.
#[test]
fn requests_are_remembered_for_two_windows() {
    let mut home = HomeShard::new(1, DAY);
    for number in 0..3 {
        home.remember(MORNING, build::request(number), 7);
    }
    let remembered = |home: &HomeShard| {
        (0..6).filter(|number| home.request(build::request(*number)).is_some()).collect::<Vec<_>>()
    };
    home.remember(MORNING.plus_millis(2 * DAY), build::request(3), 7);
    assert_eq!(remembered(&home), [0, 1, 2, 3]);
    home.remember(MORNING.plus_millis(2 * DAY + 1), build::request(4), 7);
    assert_eq!(remembered(&home), [2, 3, 4], "two go out for one that comes in");
    home.remember(MORNING.plus_millis(2 * DAY + 1), build::request(5), 7);
    assert_eq!(remembered(&home), [3, 4, 5]);
    assert_eq!(home.requests().count(), 3);
}

/// Every field with every value that it has, in one appointment or another.
#[test]
fn an_appointment_comes_out_of_a_shard_as_it_went_in() {
    let claims = held().claims;
    let mut home = HomeShard::new(1, DAY);
    let mut all = Vec::new();
    for number in 0..60_u128 {
        let turn = usize::try_from(number).unwrap();
        let count = 1 + turn % 3;
        let appointment = Appointment {
            id: build::appointment(number),
            patient: PatientId(number << 100 | number),
            account: turn.is_multiple_of(2).then_some(AccountId(number << 90 | 1)),
            payment: turn.is_multiple_of(3).then_some(PaymentRef(number << 80 | 1)),
            channel: build::channel(u8::try_from(turn % 8).unwrap()),
            class: CLASSES[turn % 5],
            sharing: [Sharing::Own, Sharing::Read, Sharing::Cancel][turn % 3],
            cause: [Cause::None, Cause::Released, Cause::Expired, Cause::Cancelled][turn % 4],
            status: AppointmentStatus::ALL[turn % AppointmentStatus::ALL.len()],
            claims: claims.iter().cycle().take(count).copied().collect(),
            ..held()
        };
        home.insert(&appointment);
        all.push(appointment);
    }
    for appointment in &all {
        assert_eq!(home.appointment(appointment.id).as_ref(), Some(appointment));
    }
    assert_eq!(home.appointments().collect::<Vec<_>>(), all);
}

const CLASSES: [PatientClass; 5] = [
    PatientClass::Outpatient,
    PatientClass::Inpatient,
    PatientClass::CheckUp,
    PatientClass::Emergency,
    PatientClass::Referral,
];

/// A hold as a world makes it.
fn held() -> Appointment {
    let mut world = World::new(MORNING);
    let open = Command::OpenSession(build::open(build::session(1, &[9])).into());
    world.run(&Actor::unbounded(Role::Admin), &open).unwrap();
    let hold = Command::Hold(build::hold(1, 1, [build::at(1, 0)]));
    world.run(&Actor::unbounded(Role::Gateway), &hold).unwrap();
    let appointment = world.state().appointments[0].clone();
    let release = build::change(9, 1, Action::Release);
    world.run(&Actor::unbounded(Role::Gateway), &Command::Change(release)).unwrap();
    appointment
}
