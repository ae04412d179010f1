//! What ended long ago leaves memory, and nothing else does.

use super::build::{self, DAY, MINUTE, MORNING};
use super::script::check;
use super::world::World;
use crate::engine::HomeShard;
use crate::model::{Action, Actor, Command, Fact, Forgotten, Role, Session};

#[test]
fn what_ended_before_two_windows_is_forgotten_and_its_visit_keeps_its_place() {
    check(
        "
        open S1 9                    -> Done
        hold A1 P1 S1@0              -> Done
        release A1                   -> Done
        hold A2 P2 S1@0 pay=1        -> Done
        settle A2                    -> Done
        hold A3 P3 S1@0 pay=1        -> Done
        tick 48h
        forget                       -> none
        tick 1ms
        forget                       -> A1 A2
        forget                       -> none
        free S1                      -> 7            // A2 took place; A3 is live.
        live P3                      -> A3
        book A1                      -> AppointmentNotFound
        cancel A3                    -> Done
        tick 48h
        forget                       -> none
        tick 1ms
        forget                       -> A3
        free S1                      -> 8
        ",
    );
}

/// A shard that came out of a snapshot lists what ended in another order than the shard that was
/// copied. When facts from after the snapshot forget some of it, the places in the slab are given
/// to new holds: those must not be forgotten in their turn.
#[test]
fn a_hold_in_the_place_of_a_forgotten_appointment_is_not_forgotten() {
    let mut world = World::remembering(DAY, MORNING);
    held(&mut world, 1, &[1, 2, 3]);
    for id in [2, 1, 3] {
        let release = build::change(10 + id, id, Action::Release);
        world.run(&Actor::unbounded(Role::Gateway), &Command::Change(release)).unwrap();
        world.now = world.now.plus_millis(MINUTE);
    }
    let mut restored = HomeShard::new(0, DAY);
    world.state().appointments.iter().for_each(|appointment| restored.insert(appointment));

    // After the snapshot: 2, which ended first, is forgotten, and 4 is held in its place.
    let later = MORNING.plus_millis(2 * DAY + 1);
    let appointments = std::iter::once(build::appointment(2)).collect();
    restored.evolve(later, &Fact::Forgotten(Box::new(Forgotten { appointments })));
    let mut world = World::remembering(DAY, later);
    held(&mut world, 2, &[4]);
    let (time, facts) = world.records.last().unwrap();
    facts.iter().for_each(|fact| restored.evolve(*time, fact));

    let forgotten = restored.next_forgettable(later.plus_millis(DAY)).unwrap();
    let expected = [build::appointment(1), build::appointment(3)];
    assert_eq!(forgotten.appointments.as_slice(), expected);
    restored.evolve(later.plus_millis(DAY), &Fact::Forgotten(Box::new(forgotten)));
    assert_eq!(restored.next_forgettable(later.plus_millis(9 * DAY)), None);
    assert!(restored.appointment(build::appointment(4)).is_some());
}

/// A snapshot lists appointments in no order; what ended first is forgotten first all the same.
#[test]
fn what_a_snapshot_brings_is_forgotten_in_the_order_in_which_it_ended() {
    let mut world = World::remembering(DAY, MORNING);
    held(&mut world, 1, &[1, 2]);
    for id in [1, 2] {
        let release = build::change(10 + id, id, Action::Release);
        world.run(&Actor::unbounded(Role::Gateway), &Command::Change(release)).unwrap();
        world.now = world.now.plus_millis(MINUTE);
    }
    let mut restored = HomeShard::new(0, DAY);
    let mut appointments = world.state().appointments;
    appointments.sort_by_key(|appointment| std::cmp::Reverse(appointment.until));
    for appointment in &appointments {
        restored.insert(appointment);
    }
    restored.order_ended();
    let forgotten = restored.next_forgettable(MORNING.plus_millis(2 * DAY + 1)).unwrap();
    assert_eq!(forgotten.appointments.as_slice(), [build::appointment(1)]);
}

/// Opens a session that begins in an hour, and holds places in it.
fn held(world: &mut World, session: u64, ids: &[u128]) {
    let spec =
        Session { start: world.now.plus_millis(60 * MINUTE), ..build::session(session, &[9]) };
    let actor = Actor::unbounded(Role::Gateway);
    world.run(&actor, &Command::OpenSession(build::open(spec).into())).unwrap();
    for id in ids {
        let hold = build::hold(*id, *id, [build::at(session, 0)]);
        world.run(&actor, &Command::Hold(hold)).unwrap();
    }
}
