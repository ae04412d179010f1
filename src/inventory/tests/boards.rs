//! What is told without a lock agrees with what the engine would say.

use super::race::next;
use super::{Node, START};
use crate::engine::tests::build::{self, MINUTE};
use crate::model::{
    Action, ChannelSet, ClassSet, Hold, Outcome, PatientClass, PaymentRef, Pool, PoolTerms,
    Session, SlotChoice, SlotIndex,
};

/// At every step of a long day, for every kind of wish: who is refused by the board is refused by
/// the engine for the same reason, and for a wish of one slot the other way round too.
#[test]
fn a_board_refuses_exactly_as_the_engine_does() {
    let node = Node::new();
    for id in 0..4 {
        node.open(START, &build::open(pooled(id))).result.unwrap();
    }
    let mut random = 1;
    let (mut told, mut sold_out, mut early) = (0, 0, 0);
    for step in 0..4_000_u128 {
        random = next(random);
        let hold = wish(step, random >> 16);
        let now = START.plus_millis(u64::try_from(step).unwrap() / 40 * MINUTE);
        let context = node.context(now);
        let by_board = node.inventory.refuse_at_once(&context, &hold);
        let answer = node.inventory.hold(&context, &hold, |facts| node.append(now, facts));
        let by_engine = answer.result.as_ref().err();
        if by_board.is_some() {
            told += 1;
            assert_eq!(by_engine, by_board.as_ref(), "{hold:?}");
        }
        let outcome = by_engine.map(|refusal| refusal.outcome);
        if matches!(outcome, Some(Outcome::SoldOut | Outcome::NotOpenYet)) {
            early += usize::from(outcome == Some(Outcome::NotOpenYet));
            sold_out += 1;
            let is_simple = hold.claims.len() == 1 && hold.claims[0].count == 1;
            assert!(by_board.is_some() || !is_simple, "{hold:?}");
        }
        if step % 3 == 0 {
            let id = u128::from(random >> 40) % (step + 1);
            node.change(now, &build::change(1 << 40 | step, id, Action::Release));
        }
        node.expire(now);
        node.inventory.check_boards();
    }
    assert!(100 < early, "{early} were told that it is not open yet");
    assert!(500 < told && told < sold_out, "{told} of {sold_out} were told by the board");
    node.inventory.check_derived();
}

/// The only place is in the first slot: once that is over, no opening brings it back.
#[test]
fn a_board_speaks_of_an_opening_only_while_every_slot_lies_ahead() {
    let node = Node::new();
    let mut session = Session { start: START, ..build::session(9, &[1, 0]) };
    session.pools[0].terms.opens = START.plus_millis(60 * MINUTE);
    node.open(START, &build::open(session)).result.unwrap();
    for (minute, by_board, by_engine) in [
        (0, Some(Outcome::NotOpenYet), Outcome::NotOpenYet),
        (9, Some(Outcome::NotOpenYet), Outcome::NotOpenYet),
        (10, None, Outcome::SlotInPast),
    ] {
        let now = START.plus_millis(minute * MINUTE);
        let context = node.context(now);
        let hold = build::hold(minute.into(), 1, [build::any(9)]);
        let told = node.inventory.refuse_at_once(&context, &hold);
        assert_eq!(told.map(|refusal| refusal.outcome), by_board, "minute {minute}");
        let answer = node.inventory.hold(&context, &hold, |facts| node.append(now, facts));
        assert_eq!(answer.result.unwrap_err().outcome, by_engine, "minute {minute}");
    }
}

/// Two pools, so that a slot is sold out for some and not for others.
fn pooled(id: u64) -> Session {
    let pool = |channels, quotas: &[u16]| Pool {
        channels,
        classes: ClassSet::ALL,
        quotas: quotas.to_vec(),
        terms: PoolTerms::default(),
    };
    let pools = vec![pool(ChannelSet(1), &[1, 0, 2]), pool(ChannelSet::ALL, &[0, 1, 1])];
    let mut session =
        Session { pools, start: START.plus_millis(40 * MINUTE), ..build::session(id, &[]) };
    match id {
        1 => session.pools[1].terms.opens = START.plus_millis(15 * MINUTE),
        2 => session
            .pools
            .iter_mut()
            .for_each(|pool| pool.terms.opens = START.plus_millis(20 * MINUTE)),
        _ => {}
    }
    session
}

fn wish(id: u128, random: u64) -> Hold {
    let session = random % 5;
    let mut claims = vec![build::any(session)];
    let slot = |shift: u32| SlotIndex(u16::try_from(random >> shift & 3).unwrap());
    match random / 8 % 8 {
        0..=2 => {}
        3 | 4 => claims[0].slots = SlotChoice::at(slot(10)),
        5 => claims[0].slots = SlotChoice::Ranked([slot(12), slot(14)].into_iter().collect()),
        6 => claims[0].count = 2,
        _ => claims.push(build::any((session + 1) % 5)),
    }
    Hold {
        channel: build::channel(u8::from((random / 64).is_multiple_of(2))),
        class: PatientClass::Outpatient,
        ..build::hold(id, id, claims)
    }
}

#[test]
fn i5_a_retry_of_the_id_that_took_the_last_place_gets_its_success() {
    let node = Node::new();
    node.open(START, &build::open(build::session(1, &[1]))).result.unwrap();
    let first = build::hold(1, 1, [build::at(1, 0)]);
    assert!(!node.hold(START, &first).result.unwrap().retried);
    assert!(node.hold(START, &first).result.unwrap().retried);
    let other = node.hold(START, &build::hold(2, 2, [build::at(1, 0)]));
    assert_eq!(other.result.unwrap_err().outcome, Outcome::SoldOut);
}

#[test]
fn an_id_of_another_request_is_refused_as_reused_even_where_all_is_sold_out() {
    let node = Node::new();
    node.open(START, &build::open(build::session(1, &[1]))).result.unwrap();
    node.hold(START, &build::hold(1, 1, [build::at(1, 0)])).result.unwrap();
    node.change(START, &build::change(2, 1, Action::Arrive));
    node.change(START, &build::change(3, 1, Action::Book { payment: PaymentRef(1) }));
    for (id, expected) in [(2, Outcome::SoldOut), (3, Outcome::IdReused), (4, Outcome::SoldOut)] {
        let refused = node.hold(START, &build::hold(id, 9, [build::at(1, 0)]));
        assert_eq!(refused.result.unwrap_err().outcome, expected, "id {id}");
    }
}

/// Two threads send the same request, so one of them is the retry of the other. Nobody else wants
/// the place: neither may hear that it is sold out.
#[test]
fn i5_a_racing_retry_is_never_told_that_its_own_place_is_sold_out() {
    let node = Node::new();
    for id in 0..2_000 {
        node.open(START, &build::open(build::session(id, &[1]))).result.unwrap();
    }
    let meet = std::sync::Barrier::new(2);
    // Refusals are collected: a thread that ended early would leave the other one waiting.
    let run = || {
        let answers = (0..2_000_u64).map(|id| {
            meet.wait();
            let hold = build::hold(id.into(), id.into(), [build::any(id)]);
            node.hold(START, &hold).result.map(|receipt| receipt.retried)
        });
        answers.collect::<Vec<_>>()
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads = [scope.spawn(run), scope.spawn(run)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let refusal = answers.iter().find_map(|answer| answer.as_ref().err());
    assert_eq!(refusal, None, "it was refused its own place");
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(true)).count(), 2_000);
}

#[test]
fn a_sold_out_session_of_another_organization_tells_nothing() {
    let mut node = Node::new();
    node.open(START, &build::open(build::session(1, &[0]))).result.unwrap();
    let organizations = crate::model::Organizations::Only([].into_iter().collect());
    node.actor.organizations = organizations;
    let answer = node.hold(START, &build::hold(1, 1, [build::any(1)]));
    assert_eq!(answer.result.unwrap_err().outcome, Outcome::OrganizationNotPermitted);
}
