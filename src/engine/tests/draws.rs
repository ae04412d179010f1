//! Draws: who may enter, who wins, and what is kept from whom.

use super::build::{self, KEY, MINUTE, MORNING, any, at, drawn, hold};
use super::world::World;
use crate::codec::encode_facts;
use crate::draw::{commitment, receipt};
use crate::engine::read_draw;
use crate::model::{
    Action, Actor, AppointmentStatus, Beacon, Cause, ChannelSet, ClassSet, Command, DrawHash,
    DrawId, Fact, Hold, Outcome, PaymentRef, Pool, PoolIndex, PoolTerms, Reclaim, Refusal, Repeat,
    RevealDraw, Role, Session, SessionId, SlotChoice, SlotIndex,
};

fn admin() -> Actor {
    Actor::unbounded(Role::Admin)
}

fn gateway() -> Actor {
    Actor::unbounded(Role::Gateway)
}

const DRAW: DrawId = DrawId { session: SessionId(1), pool: PoolIndex(0) };

/// A world with a session, at a minute past eight.
fn world(session: Session, minute: u64) -> World {
    let mut world = World::new(MORNING);
    world.run(&admin(), &Command::OpenSession(build::open(session).into())).unwrap();
    world.now = MORNING.plus_millis(minute * MINUTE);
    world
}

fn ask(world: &mut World, hold: Hold) -> Result<AppointmentStatus, Outcome> {
    let answer = world.run(&gateway(), &Command::Hold(hold));
    answer.map(|receipt| receipt.status.unwrap()).map_err(|refusal| refusal.outcome)
}

fn release(world: &mut World, id: u128) -> Result<(), Outcome> {
    let change = build::change(1_000 + id, id, Action::Release);
    let answer = world.run(&gateway(), &Command::Change(change));
    answer.map(|_| ()).map_err(|Refusal { outcome, .. }| outcome)
}

fn ranked(session: u64, slots: &[u16]) -> crate::model::ClaimRequest {
    let slots = SlotChoice::Ranked(slots.iter().map(|slot| SlotIndex(*slot)).collect());
    crate::model::ClaimRequest { session: SessionId(session), count: 1, slots }
}

fn status(world: &World, id: u128) -> (AppointmentStatus, Cause) {
    let state = world.state();
    let found = state.appointments.iter().find(|it| it.id == build::appointment(id)).unwrap();
    (found.status, found.cause)
}

fn given(world: &World) -> usize {
    world.session(SessionId(1)).taken().into_iter().map(usize::from).sum()
}

#[test]
fn a_request_is_an_entry_in_the_window_and_nothing_before_or_after() {
    let window = [
        (MINUTE - 1, Err(Outcome::NotOpenYet)),
        (MINUTE, Ok(AppointmentStatus::Waitlist)),
        (2 * MINUTE - 1, Ok(AppointmentStatus::Waitlist)),
        (2 * MINUTE, Err(Outcome::DrawPending)),
    ];
    for (millis, expected) in window {
        let mut world = world(drawn(1, &[1, 1]), 0);
        world.now = MORNING.plus_millis(millis);
        assert_eq!(ask(&mut world, hold(1, 1, [any(1)])), expected, "{millis}");
        assert_eq!(given(&world), 0, "an entry takes no place");
    }
}

#[test]
fn an_entry_is_refused_for_the_first_of_these_reasons() {
    let paid = |hold: Hold| Hold { book: Some(PaymentRef(1)), ..hold };
    let run = |count| crate::model::ClaimRequest { count, ..any(1) };
    for (asked, expected) in [
        (hold(9, 9, [ranked(1, &[0, 1, 2, 3])]), Outcome::EntryInvalid),
        (paid(hold(9, 9, [any(1)])), Outcome::EntryInvalid),
        (hold(9, 9, [any(1), any(2)]), Outcome::EntryInvalid),
        (hold(9, 9, [any(1), any(3)]), Outcome::SessionNotFound),
        (hold(9, 1, [any(1)]), Outcome::AlreadyHasAppointment),
        (hold(9, 1, [ranked(1, &[0, 1, 2, 3])]), Outcome::AlreadyHasAppointment),
        (hold(1, 9, [any(1)]), Outcome::IdReused),
        (hold(9, 9, [at(1, 4)]), Outcome::SlotNotFound),
        (hold(9, 9, [run(5)]), Outcome::SlotNotFound),
        (hold(9, 9, [at(1, 3)]), Outcome::SoldOut),
    ] {
        let mut world = world(drawn(1, &[1, 1, 1, 0]), 0);
        let other = Command::OpenSession(build::open(build::session(2, &[1])).into());
        world.run(&admin(), &other).unwrap();
        world.now = MORNING.plus_millis(MINUTE);
        ask(&mut world, hold(1, 1, [any(1)])).unwrap();
        assert_eq!(ask(&mut world, asked.clone()), Err(expected), "{asked:?}");
    }
}

#[test]
fn one_patient_has_one_entry_through_whichever_channel() {
    let mut world = world(drawn(1, &[1]), 1);
    for channel in 0..4 {
        let other = Hold { channel: build::channel(channel), ..hold(channel.into(), 1, [any(1)]) };
        let expected = match channel {
            0 => Ok(AppointmentStatus::Waitlist),
            _ => Err(Outcome::AlreadyHasAppointment),
        };
        assert_eq!(ask(&mut world, other), expected);
    }
    assert_eq!(world.session(SessionId(1)).draws()[0].waiting().len(), 1);
}

#[test]
fn a_retry_has_the_same_answer_until_the_draw_and_shows_what_was_won_after_it() {
    let mut world = world(drawn(1, &[1]), 1);
    let asked = Command::Hold(hold(1, 1, [any(1)]));
    let first = world.run(&gateway(), &asked).unwrap();
    let again = world.run(&gateway(), &asked).unwrap();
    assert_eq!((again.status, again.until, again.retried), (first.status, first.until, true));
    world.now = first.until;
    assert_eq!(world.step_draws(), 1);
    let won = world.run(&gateway(), &asked).unwrap();
    assert_eq!(won.status, Some(AppointmentStatus::Pending));
    assert_eq!(won.until, world.now.plus_millis(15 * MINUTE));
}

#[test]
fn an_entry_can_be_withdrawn_until_the_close_and_made_anew() {
    let mut world = world(drawn(1, &[1]), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    assert_eq!(release(&mut world, 1), Ok(()));
    assert_eq!(status(&world, 1), (AppointmentStatus::Cancelled, Cause::Released));
    assert_eq!(ask(&mut world, hold(2, 1, [any(1)])), Ok(AppointmentStatus::Waitlist));
    world.now = MORNING.plus_millis(2 * MINUTE);
    assert_eq!(release(&mut world, 2), Err(Outcome::DrawPending));
    world.step_draws();
    assert_eq!(release(&mut world, 2), Ok(()), "a hold that was won can be given up");
}

#[test]
fn all_places_are_given_and_never_more_than_there_are() {
    for (places, entrants) in [(3, 10), (10, 3), (4, 4), (2, 0)] {
        let mut world = world(drawn(1, &[places, 0]), 1);
        for patient in 0..entrants {
            ask(&mut world, hold(patient, patient, [any(1)])).unwrap();
        }
        world.now = MORNING.plus_millis(2 * MINUTE);
        world.step_draws();
        let won = usize::from(places).min(usize::try_from(entrants).unwrap());
        assert_eq!(given(&world), won);
        let lost = (0..entrants).filter(|id| status(&world, *id).1 == Cause::NotDrawn).count();
        assert_eq!(lost, usize::try_from(entrants).unwrap() - won);
        assert_eq!(world.state().ledger.len(), won, "who lost may enter elsewhere");
        assert!(world.session(SessionId(1)).draws()[0].is_over());
    }
}

#[test]
fn each_winner_has_the_best_preference_that_was_free() {
    let mut world = world(drawn(1, &[1, 1, 5]), 1);
    for patient in 0..7 {
        ask(&mut world, hold(patient, patient, [ranked(1, &[1, 0, 2])])).unwrap();
    }
    world.now = MORNING.plus_millis(2 * MINUTE);
    let mut plan = world.next_plan().unwrap();
    world.reveal(&mut plan);
    let mut got = Vec::new();
    while let Some(step) = plan.next_step() {
        got.push(step.won.unwrap().0);
        world.step_draw(&mut plan);
    }
    assert_eq!(got, [1, 0, 2, 2, 2, 2, 2]);
    assert_eq!(world.session(SessionId(1)).taken(), [1, 1, 5]);
}

#[test]
fn nobody_takes_a_place_that_is_to_be_drawn() {
    let mut world = world(drawn(1, &[2]), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    ask(&mut world, hold(2, 2, [any(1)])).unwrap();
    world.now = MORNING.plus_millis(2 * MINUTE);
    assert_eq!(ask(&mut world, hold(9, 9, [any(1)])), Err(Outcome::DrawPending));
    let mut plan = world.next_plan().unwrap();
    world.reveal(&mut plan);
    assert_eq!(ask(&mut world, hold(9, 9, [any(1)])), Err(Outcome::DrawPending));
    world.step_draw(&mut plan);
    assert_eq!(ask(&mut world, hold(9, 9, [any(1)])), Err(Outcome::DrawPending));
    world.step_draw(&mut plan);
    assert_eq!(ask(&mut world, hold(9, 9, [any(1)])), Err(Outcome::SoldOut));
    release(&mut world, 1).unwrap();
    let booked = Hold { book: Some(PaymentRef(1)), ..hold(9, 9, [any(1)]) };
    assert_eq!(ask(&mut world, booked), Ok(AppointmentStatus::Booked));
}

#[test]
fn who_comes_first_has_the_places_that_are_not_drawn() {
    let mut session = drawn(1, &[1]);
    session.pools.push(Pool {
        channels: ChannelSet::ALL,
        classes: ClassSet::ALL,
        quotas: vec![1],
        terms: PoolTerms::default(),
    });
    let mut world = world(session, 1);
    assert_eq!(ask(&mut world, hold(1, 1, [any(1)])), Ok(AppointmentStatus::Pending));
    assert_eq!(ask(&mut world, hold(2, 2, [any(1)])), Ok(AppointmentStatus::Waitlist));
}

/// Not even a plan that was made again from the state alone changes what becomes of an entry.
#[test]
fn a_draw_that_is_interrupted_between_any_two_steps_comes_to_the_same() {
    let entered = || {
        let mut world = world(drawn(1, &[2, 1]), 1);
        for patient in 0..9 {
            let first = u16::try_from(patient % 2).unwrap();
            ask(&mut world, hold(patient, patient, [ranked(1, &[first, 1 - first])])).unwrap();
        }
        world.now = MORNING.plus_millis(2 * MINUTE);
        world
    };
    let mut whole = entered();
    assert_eq!(whole.step_draws(), 9);
    for steps in 0..=9 {
        let mut cut = entered();
        let mut plan = cut.next_plan().unwrap();
        cut.reveal(&mut plan);
        for _ in 0..steps {
            cut.step_draw(&mut plan);
        }
        let mut again = World::replayed(cut.records.into_iter());
        assert_eq!(again.step_draws(), 9 - steps);
        assert_eq!(again.state(), whole.state(), "cut after {steps} steps");
    }
}

#[test]
fn nothing_that_a_client_chooses_changes_a_rank() {
    let winners = |ids: &dyn Fn(u128) -> u128, order: &mut dyn Iterator<Item = u128>| {
        let mut world = world(drawn(1, &[5]), 1);
        for patient in order {
            let id = ids(patient);
            ask(&mut world, hold(id, patient, [any(1)])).unwrap();
            let again = Hold { channel: build::channel(3), ..hold(id + 5_000, patient, [any(1)]) };
            ask(&mut world, again).unwrap_err();
        }
        world.now = MORNING.plus_millis(2 * MINUTE);
        world.step_draws();
        let state = world.state();
        let won = state.appointments.iter().filter(|it| it.status == AppointmentStatus::Pending);
        let mut won: Vec<_> = won.map(|it| it.patient.0).collect();
        won.sort_unstable();
        won
    };
    let first = winners(&|patient| patient, &mut (0..50));
    assert_eq!(winners(&|patient| 900 - patient, &mut (0..50)), first, "other ids");
    assert_eq!(winners(&|patient| patient, &mut (0..50).rev()), first, "another order");
}

#[test]
fn quotas_stay_while_entries_are_decided() {
    let set = |world: &mut World, number: u128| {
        let set = crate::model::SetQuotas {
            request: build::request(7_000 + number),
            session: SessionId(1),
            quotas: vec![vec![1]],
        };
        let answer = world.run(&admin(), &Command::SetQuotas(set.into()));
        answer.map(|_| ()).map_err(|refusal| refusal.outcome)
    };
    let mut world = world(drawn(1, &[1]), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    assert_eq!(set(&mut world, 1), Ok(()));
    world.now = MORNING.plus_millis(2 * MINUTE);
    let mut plan = world.next_plan().unwrap();
    world.reveal(&mut plan);
    assert_eq!(set(&mut world, 2), Err(Outcome::DrawPending));
    world.step_draw(&mut plan);
    assert_eq!(set(&mut world, 3), Ok(()));
}

#[test]
fn unused_places_go_to_another_pool_only_after_the_draw() {
    let mut session = drawn(1, &[1]);
    session.pools.push(Pool {
        channels: ChannelSet(2),
        classes: ClassSet::ALL,
        quotas: vec![0],
        terms: PoolTerms::default(),
    });
    let at = MORNING.plus_millis(3 * MINUTE);
    session.pools[0].terms.reclaim = Some(Reclaim { at, to: PoolIndex(1) });
    let mut world = world(session, 4);
    world.step_sessions();
    assert_eq!(world.session(SessionId(1)).free(SlotIndex(0), PoolIndex(1)), 0);
    world.step_draws();
    world.step_sessions();
    assert_eq!(world.session(SessionId(1)).free(SlotIndex(0), PoolIndex(1)), 1);
}

fn with_beacon(mut session: Session) -> Session {
    let draw = session.pools[0].terms.draw.as_mut().unwrap();
    let until = MORNING.plus_millis(10 * MINUTE);
    draw.beacon = Some(Beacon { name: DrawHash([1; 32]), until });
    session
}

fn reveal(world: &mut World, number: u128, beacon: &str) -> Result<bool, Outcome> {
    let request = build::request(8_000 + number);
    let reveal = RevealDraw { request, draw: DRAW, beacon: beacon.to_owned() };
    let answer = world.run(&admin(), &Command::RevealDraw(reveal.into()));
    answer.map(|receipt| receipt.retried).map_err(|refusal| refusal.outcome)
}

#[test]
fn a_beacon_is_taken_once_after_the_close_and_before_its_deadline() {
    let mut world = world(with_beacon(drawn(1, &[1])), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    assert_eq!(reveal(&mut world, 1, "abc"), Err(Outcome::BeaconNotAwaited));
    world.now = MORNING.plus_millis(2 * MINUTE);
    assert_eq!(world.step_draws(), 0, "the draw waits for the beacon");
    assert_eq!(reveal(&mut world, 2, "two words"), Err(Outcome::BeaconInvalid));
    assert_eq!(reveal(&mut world, 3, ""), Err(Outcome::BeaconInvalid));
    assert_eq!(reveal(&mut world, 4, "abc"), Ok(false));
    assert_eq!(reveal(&mut world, 4, "abc"), Ok(true));
    assert_eq!(reveal(&mut world, 4, "abd"), Err(Outcome::IdReused));
    assert_eq!(reveal(&mut world, 5, "abd"), Err(Outcome::BeaconNotAwaited));
    assert_eq!(world.step_draws(), 1);
    let read = read_draw(world.session(SessionId(1)), DRAW, None).unwrap();
    assert_eq!(read.revealed.unwrap().beacon.as_deref(), Some("abc"));
}

#[test]
fn a_draw_goes_on_without_a_beacon_that_does_not_come() {
    let mut world = world(with_beacon(drawn(1, &[1])), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    world.now = MORNING.plus_millis(10 * MINUTE - 1);
    assert_eq!(world.step_draws(), 0);
    world.now = MORNING.plus_millis(10 * MINUTE);
    assert_eq!(reveal(&mut world, 1, "abc"), Err(Outcome::BeaconNotAwaited));
    assert_eq!(world.step_draws(), 1);
    let read = read_draw(world.session(SessionId(1)), DRAW, None).unwrap();
    assert_eq!(read.revealed.unwrap().beacon, None);
}

#[test]
fn a_beacon_changes_who_wins() {
    let winner = |beacon: Option<&str>| {
        let mut world = world(with_beacon(drawn(1, &[1])), 1);
        for patient in 0..1_000 {
            ask(&mut world, hold(patient, patient, [any(1)])).unwrap();
        }
        world.now = MORNING.plus_millis(2 * MINUTE);
        if let Some(beacon) = beacon {
            reveal(&mut world, 1, beacon).unwrap();
        }
        world.now = MORNING.plus_millis(10 * MINUTE);
        let plan = world.next_plan().unwrap();
        plan.next_step().unwrap().appointment
    };
    let winners = [winner(None), winner(Some("a")), winner(Some("b"))];
    assert!(winners[0] != winners[1] && winners[1] != winners[2] && winners[0] != winners[2]);
}

#[test]
fn a_plan_that_was_overtaken_reveals_nothing() {
    let mut world = world(with_beacon(drawn(1, &[1])), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    world.now = MORNING.plus_millis(10 * MINUTE);
    let mut plan = world.next_plan().unwrap();
    world.now = MORNING.plus_millis(10 * MINUTE - 1);
    reveal(&mut world, 1, "abc").unwrap();
    world.now = MORNING.plus_millis(10 * MINUTE);
    assert!(!world.reveal(&mut plan), "the beacon came in between");
    assert_eq!(world.step_draws(), 1);
}

/// The commitment is there before the opening, and the seed nowhere before the reveal.
#[test]
fn the_seed_is_in_no_fact_and_no_answer_before_the_reveal() {
    let mut world = world(drawn(1, &[2]), 1);
    let seed = KEY.seed(DRAW);
    let holds_seed = |world: &World| {
        let mut bytes = Vec::new();
        world.records.iter().for_each(|(_, facts)| encode_facts(facts, &mut bytes));
        bytes.windows(32).any(|window| window == seed.0)
    };
    let read = read_draw(world.session(SessionId(1)), DRAW, None).unwrap();
    assert_eq!(read.terms.commitment, Some(commitment(DRAW, &seed)));
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    ask(&mut world, hold(2, 2, [any(1)])).unwrap();
    world.now = MORNING.plus_millis(2 * MINUTE);
    let read = read_draw(world.session(SessionId(1)), DRAW, None).unwrap();
    assert_eq!((read.revealed, read.waiting), (None, 2));
    assert!(!holds_seed(&world));
    world.step_draws();
    assert!(holds_seed(&world), "the look finds it once it is there");
    let read = read_draw(world.session(SessionId(1)), DRAW, None).unwrap();
    assert_eq!(read.revealed.unwrap().seed, seed);
}

#[test]
fn an_entrant_can_read_a_receipt_of_what_was_entered() {
    let mut world = world(drawn(1, &[2]), 1);
    ask(&mut world, hold(1, 1, [any(1)])).unwrap();
    let id = build::appointment(1);
    let read = read_draw(world.session(SessionId(1)), DRAW, Some(id)).unwrap();
    let facts = world.records.iter().flat_map(|(_, facts)| facts);
    let mut entries = facts.filter_map(|fact| {
        let Fact::Entered(entered) = fact else { return None };
        Some(&entered.entry)
    });
    assert_eq!(read.receipt, Some(receipt(DRAW, entries.next().unwrap())));
}

#[test]
fn a_session_whose_draw_is_at_odds_is_not_opened() {
    type Spoil = fn(&mut Session);
    let spoils: [(&str, Spoil); 8] = [
        ("it opens at once", |session| session.pools[0].terms.opens = MORNING),
        ("it closes when it opens", |session| {
            let opens = session.pools[0].terms.opens;
            session.pools[0].terms.draw.as_mut().unwrap().closes = opens;
        }),
        ("it closes after the session begins", |session| {
            let start = session.start;
            session.pools[0].terms.draw.as_mut().unwrap().closes = start.plus_millis(1);
        }),
        ("no preference", |session| {
            session.pools[0].terms.draw.as_mut().unwrap().preferences_max = 0;
        }),
        ("nine preferences", |session| {
            session.pools[0].terms.draw.as_mut().unwrap().preferences_max = 9;
        }),
        ("many appointments of a patient", |session| session.repeat = Repeat::Unlimited),
        ("a commitment of the client's", |session| {
            let draw = session.pools[0].terms.draw.as_mut().unwrap();
            draw.commitment = Some(DrawHash([0; 32]));
        }),
        ("a beacon before the close", |session| {
            let draw = session.pools[0].terms.draw.as_mut().unwrap();
            draw.beacon = Some(Beacon { name: DrawHash([0; 32]), until: draw.closes });
        }),
    ];
    for (what, spoil) in spoils {
        let mut session = drawn(1, &[1]);
        spoil(&mut session);
        let open = Command::OpenSession(build::open(session).into());
        let answer = World::new(MORNING).run(&admin(), &open);
        let refused = answer.map(|_| ()).map_err(|refusal| refusal.outcome);
        assert_eq!(refused, Err(Outcome::SessionInvalid), "{what}");
    }
}
