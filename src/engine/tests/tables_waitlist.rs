//! The waitlist of a session: who joins, who is offered what, and when.

use super::build::EQUAL;
use super::build::{self, MINUTE, MORNING};
use super::world::World;
use crate::codec::{decode_facts, encode_facts};
use crate::model::{
    Action, Actor, AppointmentId, Attributes, BlockSession, ChannelSet, Command, Delay, Fact,
    JoinWaitlist, LeaveWaitlist, Outcome, PatientClass, PatientId, PaymentRef, RequestId,
    Reschedule, ReturnRule, Role, ServiceHours, Session, SessionId, SessionTerms, SlotIndex,
    Targets, Timestamp, WaitEnd, WaitlistRule,
};

const DELAY: Delay = Delay { min_millis: 60_000, max_millis: 60_000 };

fn rule() -> WaitlistRule {
    WaitlistRule {
        entries_max: 4,
        priority: EQUAL,
        draw_millis: 0,
        offer_millis: 30 * 60_000,
        near_offer_millis: 5 * 60_000,
        near_millis: 10 * 60_000,
        hours: None,
        closes_at: MORNING.plus_millis(50 * MINUTE),
    }
}

/// Sessions 1 and 2 with that rule, each with one place, which patients 1 and 2 have booked.
fn full(rule: &WaitlistRule) -> World {
    let mut world = World::new(MORNING);
    for id in 1..=2 {
        let (returns, waitlist) = (ReturnRule::WaitlistFirst(DELAY), Some(Box::new(rule.clone())));
        let terms = SessionTerms { returns, waitlist, ..SessionTerms::default() };
        let session = Session { terms, ..build::session(id, &[1]) };
        run(&mut world, &Command::OpenSession(build::open(session).into())).unwrap();
        let hold = build::hold(id.into(), id.into(), [build::any(id)]);
        run(&mut world, &Command::Hold(hold)).unwrap();
        let book = build::change(50 + u128::from(id), id.into(), BOOK);
        run(&mut world, &Command::Change(book)).unwrap();
    }
    world
}

const BOOK: Action = Action::Book { payment: PaymentRef(1) };

fn run(world: &mut World, command: &Command) -> Result<(), Outcome> {
    let actor = Actor::unbounded(Role::Admin);
    world.run(&actor, command).map(|_| ()).map_err(|refusal| refusal.outcome)
}

fn entry(number: u128) -> RequestId {
    build::request(1_000 + number)
}

fn join(patient: u128, sessions: &[u64]) -> JoinWaitlist {
    JoinWaitlist {
        request: entry(patient),
        patient: PatientId(patient),
        account: None,
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: sessions.iter().map(|id| SessionId(*id)).collect::<Targets>(),
    }
}

fn joins(world: &mut World, patient: u128, sessions: &[u64]) -> Result<(), Outcome> {
    run(world, &Command::JoinWaitlist(join(patient, sessions).into()))
}

fn cancel(world: &mut World, id: u128) {
    let change = build::change(100 + id, id, Action::Cancel);
    run(world, &Command::Change(change)).unwrap();
    world.step_sessions();
}

/// Who has an offer, with the session and the deadline in minutes after the morning.
fn offers(world: &World) -> Vec<(u128, u64, u64)> {
    let pending = world.state().appointments.into_iter();
    let pending = pending.filter(|it| it.status == crate::model::AppointmentStatus::Pending);
    let mut offers: Vec<_> = pending
        .map(|it| {
            let minutes = (it.until.as_millis() - MORNING.as_millis()) / MINUTE;
            (it.patient.0, it.claims[0].session.0, minutes)
        })
        .collect();
    offers.sort_unstable();
    offers
}

/// The offered appointment of a patient.
fn offer_of(world: &World, patient: u128) -> AppointmentId {
    let mut live = world.live(PatientId(patient));
    assert_eq!(live.len(), 1);
    live.pop().unwrap()
}

fn act(world: &mut World, request: u128, appointment: AppointmentId, action: Action) {
    let change = build::change(request, 0, action);
    let change = crate::model::Change { appointment, ..change };
    run(world, &Command::Change(change)).unwrap();
    world.step_sessions();
}

fn free(world: &World, session: u64) -> u16 {
    let state = world.session(SessionId(session));
    state.free(SlotIndex(0), crate::model::PoolIndex(0))
}

fn left(world: &World) -> Vec<(u128, WaitEnd)> {
    let facts = world.records.iter().flat_map(|(_, facts)| facts);
    let left = facts.filter_map(|fact| {
        let Fact::WaitLeft(left) = fact else { return None };
        Some((left.patient.0, left.why))
    });
    left.collect()
}

/// The facts, written and read back, make the same state.
fn check_replay(world: &World) {
    let records = world.records.iter().map(|(time, facts)| {
        let mut bytes = Vec::new();
        encode_facts(facts, &mut bytes);
        (*time, decode_facts(&bytes).unwrap())
    });
    assert_eq!(World::replayed(records).state(), world.state(), "replay equals live");
}

/// Both sessions find the same patient; the second looks again under the lock of the ledger.
#[test]
fn two_sessions_that_found_the_same_candidate_make_one_offer() {
    let mut world = full(&rule());
    joins(&mut world, 10, &[1, 2]).unwrap();
    for id in 1..=2 {
        let change = build::change(100 + id, id, Action::Cancel);
        run(&mut world, &Command::Change(change)).unwrap();
    }
    let found = [1, 2].map(|id| world.next_candidate(SessionId(id)).unwrap());
    assert_eq!(found.map(|candidate| candidate.patient), [PatientId(10); 2]);
    let offered = found.map(|candidate| {
        world.now = world.now.plus_millis(1);
        world.offer_to(candidate)
    });
    assert_eq!(offered, [true, false]);
    assert_eq!(offers(&world), [(10, 1, 30)]);
    check_replay(&world);
}

#[test]
fn a_place_in_a_blocked_slot_is_offered_to_nobody() {
    // Offers begin a minute later: by then the slot is blocked, or open again.
    for (is_blocked, expected) in [(false, vec![(10, 1, 31)]), (true, vec![])] {
        let opens = u16::try_from(MORNING.as_millis() / MINUTE % 1_440).unwrap() + 1;
        let offsets = vec![(Timestamp::default(), 0)];
        let hours = ServiceHours { from: opens, to: 1_440, channels: ChannelSet::ALL, offsets };
        let mut world = full(&WaitlistRule { hours: Some(hours), ..rule() });
        joins(&mut world, 10, &[1]).unwrap();
        cancel(&mut world, 1);
        assert_eq!(offers(&world), []);
        let block = BlockSession {
            request: build::request(300),
            session: SessionId(1),
            first: SlotIndex(0),
            count: 1,
            is_blocked,
            reason: 1,
            by: None,
        };
        run(&mut world, &Command::BlockSession(block)).unwrap();
        world.now = MORNING.plus_millis(MINUTE);
        world.step_sessions();
        assert_eq!(offers(&world), expected, "blocked: {is_blocked}");
        check_replay(&world);
    }
}

#[test]
fn one_joins_what_is_full_and_open_and_not_joined_yet() {
    let mut world = full(&rule());
    let free_session =
        Session { terms: SessionTerms { ..SessionTerms::default() }, ..build::session(3, &[1]) };
    run(&mut world, &Command::OpenSession(build::open(free_session).into())).unwrap();
    for (patient, sessions, expected) in [
        (1, &[1][..], Err(Outcome::AlreadyHasAppointment)),
        (10, &[], Err(Outcome::ClaimsInvalid)),
        (10, &[1, 1], Err(Outcome::ClaimsOverlap)),
        (10, &[9], Err(Outcome::SessionNotFound)),
        (10, &[1, 3], Err(Outcome::NotFull)),
        (10, &[1], Ok(())),
        (11, &[1, 2], Ok(())),
        (12, &[1], Ok(())),
        (13, &[1], Ok(())),
        (14, &[1], Err(Outcome::WaitlistFull)),
        (14, &[2], Ok(())),
    ] {
        assert_eq!(joins(&mut world, patient, sessions), expected, "{patient} {sessions:?}");
    }
    let again = JoinWaitlist { request: entry(99), ..join(11, &[2]) };
    assert_eq!(run(&mut world, &Command::JoinWaitlist(again.into())), Err(Outcome::AlreadyWaiting));
    world.now = rule().closes_at;
    assert_eq!(joins(&mut world, 15, &[2]), Err(Outcome::WaitlistClosed));
    check_replay(&world);
}

/// The invariant "one live entry per patient and target": whatever patients ask, nobody waits twice for
/// a session; and who left may wait again.
#[test]
fn one_live_entry_per_patient_and_target() {
    let mut world = full(&rule());
    let mut number = 0;
    for sessions in [&[1][..], &[1, 2], &[2], &[2, 1], &[1]] {
        number += 1;
        let join = JoinWaitlist { request: entry(number), ..join(10, sessions) };
        let _answer = run(&mut world, &Command::JoinWaitlist(join.into()));
        let state = world.state();
        for session in [1, 2] {
            let waits = state.waits.iter().filter(|waits| waits.waits_for(SessionId(session)));
            assert!(waits.count() <= 1, "patient 10 waits twice for {session}");
        }
    }
    let waiting: Vec<_> = world.state().waits.iter().map(|it| it.entry.entry).collect();
    assert_eq!(waiting, [entry(1), entry(3)]);
    let leave = LeaveWaitlist {
        request: build::request(200),
        entry: entry(1),
        patient: PatientId(10),
        channel: build::channel(0),
    };
    run(&mut world, &Command::LeaveWaitlist(leave)).unwrap();
    assert_eq!(run(&mut world, &Command::LeaveWaitlist(leave)), Ok(()), "a retry");
    let other = LeaveWaitlist { request: build::request(201), ..leave };
    assert_eq!(run(&mut world, &Command::LeaveWaitlist(other)), Err(Outcome::NotWaiting));
    let again = JoinWaitlist { request: entry(7), ..join(10, &[1]) };
    assert_eq!(run(&mut world, &Command::JoinWaitlist(again.into())), Ok(()));
    check_replay(&world);
}

/// The invariant "an offer is exclusive": two sessions that are both waited for offer once, and a place
/// that is offered is nobody else's.
#[test]
fn an_offer_is_exclusive() {
    let mut world = full(&rule());
    joins(&mut world, 10, &[1, 2]).unwrap();
    joins(&mut world, 11, &[2]).unwrap();
    cancel(&mut world, 1);
    assert_eq!(offers(&world), [(10, 1, 30)]);
    world.now = MORNING.plus_millis(MINUTE);
    cancel(&mut world, 2);
    assert_eq!(offers(&world), [(10, 1, 30), (11, 2, 31)], "10 has an offer, so 11 has the next");
    let hold = Command::Hold(build::hold(20, 20, [build::any(1)]));
    assert_eq!(run(&mut world, &hold), Err(Outcome::SoldOut));
    assert_eq!((free(&world, 1), free(&world, 2)), (0, 0));
    assert!(world.session(SessionId(1)).returning().is_empty());
    check_replay(&world);
}

#[test]
fn an_offer_is_accepted_declined_or_lapses_and_goes_to_the_next_at_once() {
    let mut world = full(&rule());
    for patient in [10, 11, 12] {
        joins(&mut world, patient, &[1]).unwrap();
    }
    cancel(&mut world, 1);
    assert_eq!(offers(&world), [(10, 1, 30)]);
    let declined = offer_of(&world, 10);
    act(&mut world, 300, declined, Action::Release);
    assert_eq!(offers(&world), [(11, 1, 30)]);
    world.now = MORNING.plus_millis(30 * MINUTE);
    assert_eq!(world.expire().len(), 1);
    world.step_sessions();
    assert_eq!(offers(&world), [(12, 1, 50)], "the waitlist closes before the half hour is over");
    let accepted = offer_of(&world, 12);
    act(&mut world, 301, accepted, BOOK);
    assert_eq!(
        left(&world),
        [(10, WaitEnd::Declined), (11, WaitEnd::Lapsed), (12, WaitEnd::Accepted)]
    );
    assert_eq!(free(&world, 1), 0);
    check_replay(&world);
}

/// Nobody can bring a place past those who wait by moving away from it.
#[test]
fn a_place_that_is_left_by_moving_away_goes_to_who_waits_too() {
    let mut world = full(&rule());
    let open = build::open(build::session(3, &[1]));
    run(&mut world, &Command::OpenSession(open.into())).unwrap();
    joins(&mut world, 10, &[1]).unwrap();
    let away = Reschedule {
        request: build::request(400),
        appointment: build::appointment(1),
        patient: None,
        channel: build::channel(0),
        claims: std::iter::once(build::any(3)).collect(),
    };
    run(&mut world, &Command::Reschedule(away.into())).unwrap();
    let hold = Command::Hold(build::hold(20, 20, [build::any(1)]));
    assert_eq!(run(&mut world, &hold), Err(Outcome::SoldOut));
    world.step_sessions();
    assert_eq!(offers(&world), [(10, 1, 30)]);
    check_replay(&world);
}

#[test]
fn a_place_that_nobody_wants_comes_back_and_one_that_somebody_wants_waits() {
    let hours = ServiceHours {
        from: 8 * 60 + 20,
        to: 9 * 60,
        channels: ChannelSet::ALL,
        offsets: vec![(Timestamp::default(), 0)],
    };
    let mut world = full(&WaitlistRule { hours: Some(hours), ..rule() });
    joins(&mut world, 10, &[1]).unwrap();
    cancel(&mut world, 1);
    cancel(&mut world, 2);
    world.now = MORNING.plus_millis(2 * MINUTE);
    world.step_sessions();
    assert_eq!((free(&world, 1), free(&world, 2)), (0, 1), "10 waits for 1, and nobody for 2");
    assert_eq!(offers(&world), []);
    world.now = MORNING.plus_millis(20 * MINUTE);
    world.step_sessions();
    assert_eq!(offers(&world), [(10, 1, 50)], "in the hours for offers");
    check_replay(&world);
}

#[test]
fn who_is_not_eligible_now_is_passed_over_and_not_dropped() {
    let mut world = World::new(MORNING);
    let (returns, waitlist) = (ReturnRule::WaitlistFirst(DELAY), Some(Box::new(rule())));
    let terms = SessionTerms { returns, waitlist, ..SessionTerms::default() };
    let session = Session { terms, ..build::session(1, &[1, 1]) };
    let (first, second) = (session.start, session.slot_start(SlotIndex(1)));
    run(&mut world, &Command::OpenSession(build::open(session).into())).unwrap();
    for id in [1, 2] {
        run(&mut world, &Command::Hold(build::hold(id, id, [build::any(1)]))).unwrap();
        run(&mut world, &Command::Change(build::change(50 + id, id, BOOK))).unwrap();
    }
    // Both want the first slot; the second comes back to everybody, and 10 books it.
    for patient in [10, 11] {
        let join = JoinWaitlist { latest: first, ..join(patient, &[1]) };
        run(&mut world, &Command::JoinWaitlist(join.into())).unwrap();
    }
    cancel(&mut world, 2);
    world.now = MORNING.plus_millis(MINUTE);
    world.step_sessions();
    assert!(first < second);
    run(&mut world, &Command::Hold(build::hold(3, 10, [build::at(1, 1)]))).unwrap();
    run(&mut world, &Command::Change(build::change(53, 3, BOOK))).unwrap();
    cancel(&mut world, 1);
    assert_eq!(offers(&world), [(11, 1, 31)], "10 has an appointment in the session");
    // 10 gives that up, and is the first again.
    cancel(&mut world, 3);
    let declined = offer_of(&world, 11);
    world.now = world.now.plus_millis(10_000);
    act(&mut world, 300, declined, Action::Release);
    assert_eq!(offers(&world), [(10, 1, 31)]);
    check_replay(&world);
}

#[test]
fn those_who_join_in_the_window_are_ordered_by_the_draw_and_later_ones_behind_them() {
    let order = |seed: u64| {
        let mut world = full(&WaitlistRule { draw_millis: 600_000, ..rule() });
        for patient in [10, 11, 12] {
            joins(&mut world, patient, &[1]).unwrap();
        }
        cancel(&mut world, 1);
        assert_eq!(offers(&world), [], "the place waits for the draw");
        world.now = MORNING.plus_millis(9 * MINUTE);
        world.step_sessions();
        assert_eq!((offers(&world), free(&world, 1)), (vec![], 0));
        world.now = MORNING.plus_millis(10 * MINUTE);
        joins(&mut world, 13, &[1]).unwrap();
        world.chance = seed;
        world.step_sessions();
        let mut order = Vec::new();
        for step in 0..4 {
            let patient = offers(&world)[0].0;
            order.push(patient);
            let declined = offer_of(&world, patient);
            act(&mut world, 300 + step, declined, Action::Release);
        }
        check_replay(&world);
        order
    };
    let orders: Vec<_> = (0..40).map(order).collect();
    assert!(orders.iter().all(|order| order[3] == 13), "who came later waits behind: {orders:?}");
    for first in [10, 11, 12] {
        let times = orders.iter().filter(|order| order[0] == first).count();
        assert!(5 < times, "{first} is first {times} times of 40");
    }
}

#[test]
fn classes_go_before_one_another_as_the_rule_says() {
    let mut world = full(&WaitlistRule { priority: [1, 0, 1, 1, 1], ..rule() });
    joins(&mut world, 10, &[1]).unwrap();
    let class = PatientClass::Inpatient;
    let inpatient = JoinWaitlist { class, ..join(11, &[1]) };
    run(&mut world, &Command::JoinWaitlist(inpatient.into())).unwrap();
    cancel(&mut world, 1);
    assert_eq!(offers(&world), [(11, 1, 30)]);
}

#[test]
fn a_waitlist_is_cleared_when_it_closes_and_offers_end_by_then() {
    let mut world = full(&rule());
    for patient in [10, 11] {
        joins(&mut world, patient, &[1]).unwrap();
    }
    joins(&mut world, 12, &[2]).unwrap();
    world.now = MORNING.plus_millis(30 * MINUTE);
    cancel(&mut world, 1);
    assert_eq!(offers(&world), [(10, 1, 50)]);
    world.now = rule().closes_at;
    world.step_sessions();
    assert_eq!(left(&world), [(11, WaitEnd::Cleared), (12, WaitEnd::Cleared)]);
    assert_eq!(world.expire().len(), 1);
    world.step_sessions();
    assert_eq!(left(&world)[2], (10, WaitEnd::Lapsed));
    assert_eq!(free(&world, 1), 0, "the place comes back after the delay");
    world.now = world.now.plus_millis(MINUTE);
    world.step_sessions();
    assert_eq!(free(&world, 1), 1);
    assert!(world.state().waits.is_empty());
    check_replay(&world);
}

#[test]
fn an_offer_of_a_near_visit_is_short_and_only_slots_that_suit_are_offered() {
    let near = WaitlistRule { near_millis: 3_600_000, ..rule() };
    let mut world = full(&near);
    let late = JoinWaitlist { earliest: MORNING.plus_millis(build::DAY), ..join(9, &[1]) };
    assert_eq!(run(&mut world, &Command::JoinWaitlist(late.into())), Err(Outcome::SlotNotFound));
    joins(&mut world, 10, &[1]).unwrap();
    cancel(&mut world, 1);
    assert_eq!(offers(&world), [(10, 1, 5)]);
}
