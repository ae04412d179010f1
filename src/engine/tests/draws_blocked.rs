//! Draws of sessions in which slots are blocked meanwhile, and who moves or is displaced to one.

use super::build::{self, MINUTE, MORNING, any, at, drawn, hold};
use super::world::World;
use crate::model::{
    Actor, AppointmentStatus, BlockSession, Cause, Command, Outcome, Reschedule, Role, SessionId,
    SlotIndex,
};

fn block(world: &mut World, number: u128, slot: u16, is_blocked: bool) {
    let block = BlockSession {
        request: build::request(number),
        session: SessionId(1),
        first: SlotIndex(slot),
        count: 1,
        is_blocked,
        reason: 1,
        by: None,
    };
    world.run(&Actor::unbounded(Role::Admin), &Command::BlockSession(block)).unwrap();
}

/// A draw of so many places in each slot, entered by patients 0 to 5 for any slot, at its close.
fn entered(places: &[u16]) -> World {
    let mut world = World::new(MORNING);
    let admin = Actor::unbounded(Role::Admin);
    for session in [drawn(1, places), build::session(2, &[1])] {
        world.run(&admin, &Command::OpenSession(build::open(session).into())).unwrap();
    }
    world.now = MORNING.plus_millis(MINUTE);
    for id in 0..6 {
        let asked = Command::Hold(hold(id, id, [any(1)]));
        world.run(&Actor::unbounded(Role::Gateway), &asked).unwrap();
    }
    world.now = MORNING.plus_millis(2 * MINUTE);
    world
}

/// What each of the six came to, with the slot of whoever won.
fn came_to(world: &World) -> Vec<(AppointmentStatus, Cause, Option<SlotIndex>)> {
    let state = world.state();
    let six = state.appointments.iter().take(6);
    six.map(|it| (it.status, it.cause, it.places().first().map(|claim| claim.slot))).collect()
}

#[test]
fn a_draw_gives_no_place_in_a_slot_that_was_blocked_before_it() {
    for (blocked, winners) in [(vec![0], 2), (vec![1], 1), (vec![0, 1], 0)] {
        let mut world = entered(&[1, 2]);
        for slot in &blocked {
            block(&mut world, 100 + u128::from(*slot), *slot, true);
        }
        assert_eq!(world.step_draws(), 6);
        let all = came_to(&world);
        let won: Vec<_> = all.iter().filter_map(|(_, _, slot)| *slot).collect();
        assert_eq!(won.len(), winners, "{blocked:?}");
        assert!(won.iter().all(|slot| !blocked.contains(&slot.0)), "{blocked:?}");
        let lost = all.iter().filter(|it| it.1 == Cause::NotDrawn).count();
        assert_eq!(lost, 6 - winners, "nobody is forgotten");
    }
}

#[test]
fn a_block_after_the_reveal_takes_what_was_won_there_and_changes_nobody_elses_place() {
    let mut undisturbed = entered(&[1, 2]);
    undisturbed.step_draws();
    // After so many more steps the plan is made anew.
    for steps in 0..4 {
        let mut world = entered(&[1, 2]);
        let mut plan = world.next_plan().unwrap();
        world.reveal(&mut plan);
        block(&mut world, 100, 0, true);
        for _ in 0..steps {
            world.step_draw(&mut plan);
        }
        world.step_draws();
        for (found, expected) in came_to(&world).into_iter().zip(came_to(&undisturbed)) {
            let lost = (AppointmentStatus::Cancelled, Cause::NotDrawn, None);
            let expected = if expected.2 == Some(SlotIndex(0)) { lost } else { expected };
            assert_eq!(found, expected, "anew after {steps} steps");
        }
    }
}

#[test]
fn nobody_moves_to_a_place_that_is_to_be_drawn() {
    let mut world = entered(&[2]);
    let gateway = Actor::unbounded(Role::Gateway);
    world.run(&gateway, &Command::Hold(hold(10, 10, [at(2, 0)]))).unwrap();
    let ask = |id: u128| {
        Command::Reschedule(Box::new(Reschedule {
            request: build::request(200 + id),
            appointment: build::appointment(id),
            patient: None,
            channel: build::channel(0),
            claims: std::iter::once(any(1)).collect(),
        }))
    };
    let refused = world.run(&gateway, &ask(10)).unwrap_err();
    assert_eq!(refused.outcome, Outcome::DrawPending);
    // An entry has no place that it could leave.
    let refused = world.run(&gateway, &ask(0)).unwrap_err();
    assert_eq!(refused.outcome, Outcome::WrongStatus);
}
