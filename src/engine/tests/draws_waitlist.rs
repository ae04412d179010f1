//! Who has no place in the draw of an opening, where the session keeps a waitlist.

use super::build::EQUAL;
use super::build::{self, MINUTE, MORNING, any, drawn, hold};
use super::world::World;
use crate::model::{
    Action, Actor, AppointmentId, Attributes, Change, Command, Delay, Fact, JoinWaitlist,
    LeaveWaitlist, PatientClass, PatientId, ReturnRule, Role, Session, SessionId, SessionTerms,
    Timestamp, WaitOrder, WaitlistRule,
};

const CLOSES: Timestamp = MORNING.plus_millis(50 * MINUTE);

/// A draw of so many places, entered by patients 0 to 5 and made, in a session with a waitlist.
fn made(places: u16, entries_max: u16, draw_millis: u32) -> World {
    let rule = WaitlistRule {
        entries_max,
        priority: EQUAL,
        draw_millis,
        offer_millis: 30 * 60_000,
        near_offer_millis: 5 * 60_000,
        near_millis: 10 * 60_000,
        hours: None,
        closes_at: CLOSES,
    };
    let delay = Delay { min_millis: 60_000, max_millis: 60_000 };
    let (returns, waitlist) = (ReturnRule::WaitlistFirst(delay), Some(Box::new(rule)));
    let terms = SessionTerms { returns, waitlist, ..SessionTerms::default() };
    let session = Session { terms, ..drawn(1, &[places]) };
    let mut world = World::new(MORNING);
    run(&mut world, &Command::OpenSession(build::open(session).into()));
    world.now = MORNING.plus_millis(MINUTE);
    for id in 0..6 {
        run(&mut world, &Command::Hold(hold(id, id, [any(1)])));
    }
    world.now = MORNING.plus_millis(2 * MINUTE);
    world.step_draws();
    world
}

fn run(world: &mut World, command: &Command) {
    world.run(&Actor::unbounded(Role::Admin), command).unwrap();
}

/// Who won, then who did not, in the order that was drawn.
fn order(world: &World) -> (Vec<u128>, Vec<u128>) {
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for fact in world.records.iter().flat_map(|(_, facts)| facts) {
        if let Fact::DrawWon(fact) = fact {
            won.push(fact.appointment.0 & 0xffff);
        }
        if let Fact::EntryEnded(fact) = fact {
            lost.push(fact.patient.0);
        }
    }
    (won, lost)
}

/// Who waits, in the order in which they are offered a place.
fn waiting(world: &World) -> Vec<(u128, WaitOrder)> {
    let state = world.session(SessionId(1)).waitlist().cloned().unwrap_or_default();
    let mut waiters = state.waiters;
    waiters.sort_by_key(|waiter| waiter.key(state.seed));
    waiters.iter().map(|waiter| (waiter.patient.0, waiter.order)).collect()
}

fn cancel(world: &mut World, id: u128) {
    let change = build::change(9_000 + id, id, Action::Release);
    run(world, &Command::Change(change));
    world.step_sessions();
}

#[test]
fn who_is_not_drawn_waits_in_drawn_order_before_whoever_joins_later() {
    let mut world = made(2, 10, 600_000);
    let (won, lost) = order(&world);
    let opening = |patient: &u128| (*patient, WaitOrder::Opening);
    assert_eq!(waiting(&world), lost.iter().map(opening).collect::<Vec<_>>());
    let late = JoinWaitlist {
        request: build::request(7_000),
        patient: PatientId(9),
        account: None,
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: std::iter::once(SessionId(1)).collect(),
    };
    run(&mut world, &Command::JoinWaitlist(late.into()));
    assert_eq!(waiting(&world).last(), Some(&(9, WaitOrder::Draw)), "the window begins with them");
    cancel(&mut world, won[0]);
    assert_eq!(world.live(PatientId(lost[0])), [], "offers wait for the waitlist's own draw");
    world.now = world.now.plus_millis(600_000);
    world.step_sessions();
    assert_eq!(
        world.live(PatientId(lost[0])).len(),
        1,
        "the first who was not drawn is offered it"
    );
}

#[test]
fn who_is_not_drawn_does_not_wait_where_there_is_no_room() {
    for (entries_max, waits) in [(1, 1), (3, 3), (10, 4)] {
        let world = made(2, entries_max, 0);
        let (_, lost) = order(&world);
        let first: Vec<_> = lost.iter().take(waits).map(|it| (*it, WaitOrder::Opening)).collect();
        assert_eq!(waiting(&world), first);
    }
}

#[test]
fn who_was_brought_leaves_under_the_id_of_the_appointment() {
    let mut world = made(5, 10, 0);
    let (_, lost) = order(&world);
    let entry = build::appointment(lost[0]).request();
    let leave = LeaveWaitlist {
        request: build::request(7_000),
        entry,
        patient: PatientId(lost[0]),
        channel: build::channel(0),
    };
    run(&mut world, &Command::LeaveWaitlist(leave));
    assert_eq!(waiting(&world), []);
}

#[test]
fn whoever_releases_what_was_won_is_not_offered_it_again() {
    let mut world = made(1, 10, 0);
    let (won, lost) = order(&world);
    let change = Change { ..build::change(9_000, won[0], Action::Release) };
    run(&mut world, &Command::Change(change));
    world.step_sessions();
    let offered: Vec<AppointmentId> = world.live(PatientId(lost[0]));
    assert_eq!(offered.len(), 1);
    assert_eq!(world.live(PatientId(won[0])), []);
}
