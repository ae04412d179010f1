//! What becomes of freed places, by the rule of their session.

use super::build::{self, MINUTE, MORNING};
use super::world::World;
use crate::codec::{decode_facts, encode_facts};
use crate::model::{
    Action, Actor, Change, Command, Delay, ReturnRule, Role, Session, SessionId, SessionTerms,
    SlotIndex, Timestamp,
};

const DELAY: Delay = Delay { min_millis: 60_000, max_millis: 180_000 };

/// A world with a session of two places, both booked, the rule being told.
fn sold_out(returns: ReturnRule) -> World {
    let mut world = World::new(MORNING);
    let terms = SessionTerms { returns, ..SessionTerms::default() };
    let session = Session { terms, ..build::session(1, &[2]) };
    let admin = Actor::unbounded(Role::Admin);
    world.run(&admin, &Command::OpenSession(build::open(session).into())).unwrap();
    for id in 1..=2 {
        world.run(&admin, &Command::Hold(build::hold(id, id, [build::any(1)]))).unwrap();
    }
    world
}

fn release(world: &mut World, id: u128) {
    let change: Change = build::change(100 + id, id, Action::Release);
    world.run(&Actor::unbounded(Role::Gateway), &Command::Change(change)).unwrap();
}

/// Free places, and those on their way back with when they come.
fn places(world: &World) -> (u16, Vec<(u16, Timestamp)>) {
    let state = world.session(SessionId(1));
    let returning = state.returning().iter().map(|places| (places.count, places.until));
    (state.free(SlotIndex(0), crate::model::PoolIndex(0)), returning.collect())
}

#[test]
fn a_freed_place_comes_back_by_the_rule_of_its_session() {
    let later = |millis| MORNING.plus_millis(millis);
    for (rule, chance, back) in [
        (ReturnRule::AtOnce, 0, None),
        (ReturnRule::Delayed(DELAY), 0, Some(later(60_000))),
        (ReturnRule::Delayed(DELAY), u64::MAX, Some(later(180_000))),
        (ReturnRule::WaitlistFirst(DELAY), 1 << 63, Some(later(120_000))),
        (ReturnRule::Withheld, 5, Some(Timestamp::MAX)),
    ] {
        let mut world = sold_out(rule);
        world.chance = chance;
        release(&mut world, 1);
        let Some(back) = back else {
            assert_eq!(places(&world), (1, vec![]), "{rule:?}");
            continue;
        };
        assert_eq!(places(&world), (0, vec![(1, back)]), "{rule:?}");
        world.now = if back == Timestamp::MAX { later(build::DAY) } else { back.minus_millis(1) };
        world.step_sessions();
        assert_eq!(places(&world), (0, vec![(1, back)]), "{rule:?} not yet");
        if back != Timestamp::MAX {
            world.now = back;
            world.step_sessions();
            assert_eq!(places(&world), (1, vec![]), "{rule:?} now");
        }
    }
}

/// The invariant "no place is lost on its way back": however the places of a session are freed, what
/// is free and what is on its way are together what nobody has, and after the longest delay all is
/// free.
#[test]
fn no_place_is_lost_on_its_way_back() {
    let mut world = sold_out(ReturnRule::Delayed(DELAY));
    world.chance = 1 << 62;
    release(&mut world, 1);
    world.now = MORNING.plus_millis(15 * MINUTE);
    world.chance = 1 << 61;
    assert_eq!(world.expire().len(), 1);
    let (free, returning) = places(&world);
    let on_their_way: u16 = returning.iter().map(|(count, _)| count).sum();
    assert_eq!(free + on_their_way, 2);
    world.now = world.now.plus_millis(u64::from(DELAY.max_millis));
    world.step_sessions();
    assert_eq!(places(&world), (2, vec![]));

    let records = world.records.iter().map(|(time, facts)| {
        let mut bytes = Vec::new();
        encode_facts(facts, &mut bytes);
        (*time, decode_facts(&bytes).unwrap())
    });
    assert_eq!(World::replayed(records).state(), world.state(), "replay equals live");
    let names: Vec<_> = world.records.iter().map(|(_, facts)| facts[0].name()).collect();
    assert_eq!(names[3..], ["Released", "Expired", "Returned"]);
}

#[test]
fn equal_places_come_back_together_and_a_place_that_is_on_its_way_is_sold_out() {
    let mut world = sold_out(ReturnRule::Delayed(DELAY));
    release(&mut world, 1);
    release(&mut world, 2);
    assert_eq!(places(&world), (0, vec![(2, MORNING.plus_millis(60_000))]));
    let hold = Command::Hold(build::hold(3, 3, [build::any(1)]));
    let refused = world.run(&Actor::unbounded(Role::Gateway), &hold).unwrap_err();
    assert_eq!(refused.outcome, crate::model::Outcome::SoldOut);
}
