//! Draws through the service: interrupted anywhere, and silent about the seed before the reveal.

use super::{Node, refused};
use crate::codec::encode_facts;
use crate::draw::{Collector, verify};
use crate::engine::tests::build::{self, DAY, KEY, MINUTE, MORNING};
use crate::inventory::Inventory;
use crate::journal::MemoryImage;
use crate::model::{
    Delay, DrawId, Fact, Outcome, PatientClass, PoolIndex, ReturnRule, Session, SessionId,
    SessionTerms, WaitlistRule,
};
use crate::service::digest::of_inventory;

const DRAW: DrawId = DrawId { session: SessionId(1), pool: PoolIndex(0) };

/// A node with a draw of three places, which nine have entered.
fn entered() -> Node {
    let mut node = Node::new();
    node.service.set_draw_key(KEY.clone());
    node.open(build::drawn(1, &[2, 1]));
    node.later(MINUTE);
    (1..=9).for_each(|id| drop(node.hold_any(id, 1).result.unwrap()));
    node.commit();
    node
}

fn recovered(image: &MemoryImage, from: &Node) -> Node {
    let mut node = Node::recovered(image);
    node.service.set_draw_key(KEY.clone());
    node.now = from.now;
    node
}

/// Facts of one record each: what a crash may cut between.
fn draw_all(node: &Node) -> [u8; 32] {
    for _ in 0..20 {
        node.service.tick(node.now);
    }
    node.commit();
    node.service.digest()
}

#[test]
fn a_draw_goes_on_after_a_crash_between_any_two_records() {
    let mut whole = entered();
    let before = whole.service.journal().appended();
    whole.later(MINUTE);
    let expected = draw_all(&whole);
    let records = whole.records();
    let steps = records.iter().filter(|(sequence, ..)| before < *sequence).count();
    assert_eq!(steps, 10, "the reveal, and each entry");

    for kept in 0..=steps {
        let mut cut = Inventory::new(3, DAY);
        let last = before.0 + kept as u64;
        for (sequence, time, facts) in records.iter().filter(|(sequence, ..)| sequence.0 <= last) {
            cut.replay(*sequence, *time, facts);
        }
        cut.rebuild();
        // A snapshot that was taken there says the same.
        let mut restored = Inventory::new(4, DAY);
        for (kind, index) in Inventory::parts() {
            let mut bytes = Vec::new();
            cut.with_part(kind, index, |part| crate::service::image::write(&part, &mut bytes));
            restored
                .restore_part(kind, index, crate::model::Sequence(last), |part| {
                    crate::service::image::read(part, &bytes)
                })
                .unwrap();
        }
        restored.rebuild();
        assert_eq!(of_inventory(&restored), of_inventory(&cut), "{kept} steps");
        let limits = crate::service::Limits::default();
        let (store, config) = (
            crate::journal::MemoryStore::new(&crate::journal::MemoryMedium::default()),
            crate::journal::JournalConfig::default(),
        );
        // The journal goes on where it was cut: what a shard knows already is not done again.
        let next_sequence = crate::model::Sequence(last).next();
        let tail = crate::journal::Tail { next_sequence, ..crate::journal::Tail::default() };
        let mut node = Node::on(store, tail, restored, config, limits);
        node.service.set_draw_key(KEY.clone());
        node.now = whole.now;
        assert_eq!(draw_all(&node), expected, "cut after {kept} steps");
    }
}

#[test]
fn a_node_that_is_killed_in_the_window_draws_what_was_entered() {
    let node = entered();
    let mut restarted = recovered(&node.medium.crash(), &node);
    assert_eq!(restarted.service.digest(), node.service.digest());
    restarted.later(MINUTE);
    draw_all(&restarted);
    let read = restarted.service.inventory().read_draw(&restarted.actor, DRAW, None);
    let crate::model::Reading::Draw(read) = read.result.unwrap() else { panic!() };
    assert_eq!(read.revealed.unwrap().winners, 3);
}

#[test]
fn with_another_key_nothing_is_revealed_and_the_other_holds_still_expire() {
    let node = entered();
    let mut restarted = Node::recovered(&node.medium.crash());
    let other = crate::draw::NodeKey::new([8; crate::draw::NodeKey::BYTES]);
    restarted.service.set_draw_key(other);
    restarted.now = node.now;
    assert_eq!(restarted.service.unbound_draws(), [DRAW]);
    restarted.open(build::session(2, &[1]));
    restarted.hold_any(50, 2).result.unwrap();
    restarted.later(20 * MINUTE);
    let before = restarted.service.journal().appended();
    assert_eq!(restarted.service.tick(restarted.now), 1);
    assert_eq!(restarted.service.journal().appended(), before.next());
}

#[test]
fn without_a_key_no_session_with_a_draw_is_opened() {
    let node = Node::new();
    let open = crate::model::Command::OpenSession(build::open(build::drawn(1, &[1])).into());
    let admin = crate::model::Actor::unbounded(crate::model::Role::Admin);
    let answer = node.service.call(node.now, &admin, &open);
    assert_eq!(refused(&answer), Outcome::DrawKeyMissing);
}

/// Journal, feed, replica and audit read records and snapshots, and nothing else of a node.
#[test]
fn the_seed_is_in_no_record_and_no_snapshot_before_the_reveal() {
    let mut node = entered();
    let seed = KEY.seed(DRAW).0;
    let holds_seed = |node: &Node| {
        let mut bytes = Vec::new();
        node.records().iter().for_each(|(.., facts)| encode_facts(facts, &mut bytes));
        for (kind, index) in Inventory::parts() {
            let inventory = node.service.inventory();
            inventory.with_part(kind, index, |part| {
                crate::service::image::write(&part, &mut bytes);
            });
        }
        bytes.windows(32).any(|window| window == seed)
    };
    assert!(!holds_seed(&node));
    node.later(MINUTE);
    assert!(!holds_seed(&node));
    draw_all(&node);
    assert!(holds_seed(&node), "the look finds it once it is there");
}

#[test]
fn what_was_drawn_is_published_from_the_records_and_verified() {
    let mut node = entered();
    let published = KEY.commitment(DRAW);
    node.later(MINUTE);
    draw_all(&node);
    let mut collector = Collector::new(DRAW);
    node.records().iter().flat_map(|(.., facts)| facts).for_each(|fact| collector.add(fact));
    let file = collector.finish().unwrap();
    assert_eq!(file.entries.len(), 9);
    verify(&file.render(), published, None).unwrap();
    let report = crate::service::audit::of_records(&node.records());
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, node.service.digest());
}

/// Losers are told a few in each tick. A winner may be faster than that.
#[test]
fn what_a_winner_gives_up_while_others_are_told_goes_to_who_waits_and_the_audit_agrees() {
    let rule = WaitlistRule {
        entries_max: 100,
        priority: [0; PatientClass::COUNT],
        draw_millis: 0,
        offer_millis: 60_000,
        near_offer_millis: 60_000,
        near_millis: 0,
        hours: None,
        closes_at: MORNING.plus_millis(50 * MINUTE),
    };
    let delay = Delay { min_millis: 60_000, max_millis: 60_000 };
    let (returns, waitlist) = (ReturnRule::WaitlistFirst(delay), Some(Box::new(rule)));
    let terms = SessionTerms { returns, waitlist, ..SessionTerms::default() };
    let mut node = Node::new();
    node.service.set_draw_key(KEY.clone());
    node.open(Session { terms, ..build::drawn(1, &[1]) });
    node.later(MINUTE);
    (1..=600).for_each(|id| drop(node.hold_any(id, 1).result.unwrap()));
    node.later(MINUTE);
    node.service.tick(node.now);
    node.commit();
    let winner =
        node.records().iter().flat_map(|(.., facts)| facts.clone()).find_map(|fact| match fact {
            Fact::DrawWon(won) => Some(won.appointment),
            _ => None,
        });
    let winner = winner.unwrap().0 & u128::from(u32::MAX);
    node.release(winner).result.unwrap();
    node.service.tick(node.now);
    node.commit();
    let records = node.records();
    let is_offer = |fact: &Fact| matches!(fact, Fact::PlaceOffered(_));
    let told = |facts: &&Fact| matches!(facts, Fact::EntryEnded(_));
    let facts = || records.iter().flat_map(|(.., facts)| facts);
    assert!(facts().any(is_offer), "it is offered at once");
    assert!(facts().filter(told).count() < 599, "while others are still to be told");
    draw_all(&node);
    let report = crate::service::audit::of_records(&node.records());
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, node.service.digest());
}
