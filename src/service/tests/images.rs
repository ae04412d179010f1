//! The image of a shard in a snapshot, for every kind of shard.

use super::Node;
use crate::codec::CodecError;
use crate::engine::SessionState;
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::inventory::{Inventory, Part, SHARD_COUNT};
use crate::model::{
    Action, Actor, AddPlace, Appointment, BlockSession, CivilTime, Command, Fact, Facts, Hold,
    PatientClass, PatientId, PaymentRef, Repeat, RequestId, Reschedule, Role, RuleCondition,
    RuleLayer, Rules, RulesApplied, RulesFault, RulesVersion, Sequence, Session, SessionId,
    SlotIndex, Timestamp,
};
use crate::service::digest::of_inventory;
use crate::service::image;

/// A node with something of everything.
fn busy() -> Node {
    let mut node = Node::new();
    node.open(build::session(1, &[200, 100]));
    node.open(Session { repeat: Repeat::Unlimited, ..build::session(2, &[50]) });
    for id in 1..=120 {
        let _answer = node.hold(&build::hold(id, id % 40, [build::any(2)]));
        let _answer = node.hold(&build::hold(1_000 + id, id, [build::any(1), build::any(2)]));
        if id % 3 == 0 {
            let _answer = node.book(1_000 + id);
        }
        if id % 5 == 0 {
            let _answer = node.release(id);
        }
    }
    let row = Hold { book: Some(PaymentRef(3)), ..build::hold(500, 5, [build::any(9)]) };
    node.service.import(node.now, &row).result.unwrap();
    node.change(&build::change(600, 1_003, Action::CheckIn)).result.unwrap();
    node.later(15 * MINUTE);
    assert!(0 < node.service.tick(node.now));
    node
}

fn images(inventory: &Inventory) -> Vec<(u8, usize, Vec<u8>)> {
    let mut images = Vec::new();
    for (kind, index) in Inventory::parts() {
        let mut bytes = Vec::new();
        inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
        images.push((kind, index, bytes));
    }
    images
}

/// Whose claims are of which slots and since when: limits count by it, though no digest tells.
fn lines(inventory: &Inventory) -> Vec<(PatientId, SlotIndex, Timestamp)> {
    let mut lines = Vec::new();
    for (kind, index) in Inventory::parts() {
        inventory.with_part(kind, index, |part| {
            let Part::Ledger(ledger) = part else { return };
            for entry in ledger.entries() {
                lines.extend(
                    entry.live().map(|live| (entry.patient(), live.slot, live.since().unwrap())),
                );
            }
        });
    }
    lines.sort_unstable();
    lines
}

#[test]
fn every_shard_comes_back_from_its_image() {
    let node = busy();
    let taken = images(node.service.inventory());
    let mut restored = Inventory::new(99, DAY);
    for (kind, index, bytes) in &taken {
        let base = node.service.journal().appended();
        restored.restore_part(*kind, *index, base, |part| image::read(part, bytes)).unwrap();
    }
    restored.rebuild();
    assert_eq!(of_inventory(&restored), node.service.digest());
    assert_eq!(lines(&restored), lines(node.service.inventory()));
    assert_eq!(restored.counts(), node.service.inventory().counts());
    assert_eq!(restored.next_deadline(), node.service.inventory().next_deadline());
    assert_eq!(restored.free_places(), node.service.inventory().free_places());
    // What no digest covers: the requests that are remembered.
    let requests = |inventory: &Inventory| {
        let mut all = Vec::new();
        for index in 0..SHARD_COUNT {
            inventory.with_part(0, index, |part| {
                if let Part::Home(home) = part {
                    all.extend(home.requests());
                }
            });
        }
        all
    };
    assert_eq!(requests(&restored), requests(node.service.inventory()));
    assert!(!requests(&restored).is_empty());
}

#[test]
fn rules_that_were_applied_come_back_though_a_check_would_refuse_them_today() {
    let unsound = RuleCondition { ages: (14, 13), ..RuleCondition::default() };
    let layer = RuleLayer { when: unsound, ..RuleLayer::default() };
    let (version, civil) = (RulesVersion(1), CivilTime::default());
    let rules = Rules { version, civil, layers: vec![layer], ..Rules::none() };
    assert_eq!(rules.check(), Err(RulesFault::Condition));
    let applied = RulesApplied { request: RequestId(1), fingerprint: 1, rules };
    let facts: Facts = std::iter::once(Fact::RulesApplied(Box::new(applied))).collect();
    let mut replayed = Inventory::new(1, DAY);
    replayed.replay(Sequence(1), build::MORNING, &facts);
    let mut restored = Inventory::new(2, DAY);
    for (kind, index, bytes) in &images(&replayed) {
        let read =
            restored.restore_part(*kind, *index, Sequence(1), |part| image::read(part, bytes));
        assert_eq!(read, Ok(()));
    }
    assert_eq!(of_inventory(&restored), of_inventory(&replayed));
    assert_ne!(of_inventory(&restored), of_inventory(&Inventory::new(3, DAY)));
}

#[test]
fn a_shard_skips_the_records_that_its_snapshot_has() {
    let node = Node::new();
    node.open(build::session(1, &[9]));
    node.hold_any(1, 1).result.unwrap();
    let early = images(node.service.inventory());
    let middle = node.service.journal().appended();
    node.book(1).result.unwrap();
    node.hold_any(2, 1).result.unwrap();
    let late = images(node.service.inventory());
    let end = node.service.journal().appended();
    node.commit();

    // Every other shard is copied before the last two records, the rest after.
    let mut restored = Inventory::new(3, DAY);
    for (early, late) in early.iter().zip(&late) {
        let (base, (kind, index, bytes)) =
            if early.1 % 2 == 0 { (middle, early) } else { (end, late) };
        restored.restore_part(*kind, *index, base, |part| image::read(part, bytes)).unwrap();
    }
    for (sequence, time, facts) in node.records().into_iter().skip(1) {
        restored.replay(sequence, time, &facts);
    }
    restored.rebuild();
    assert_eq!(of_inventory(&restored), node.service.digest());
}

/// A node on which an appointment was moved, slots are blocked and a place was added.
fn disrupted() -> Node {
    let node = Node::new();
    node.open(build::session(1, &[3, 3]));
    node.open(build::session(2, &[5]));
    for id in 1..=3 {
        let hold = Hold { book: Some(PaymentRef(id)), ..build::hold(id, id, [build::at(1, 0)]) };
        node.hold(&hold).result.unwrap();
    }
    let call = |role, command: Command| {
        node.service.call(node.now, &Actor::unbounded(role), &command).result.unwrap()
    };
    let ask = Reschedule {
        request: build::request(9 << 40),
        appointment: build::appointment(1),
        patient: None,
        channel: build::channel(0),
        claims: std::iter::once(build::any(2)).collect(),
    };
    call(Role::Gateway, Command::Reschedule(Box::new(ask)));
    let add = AddPlace {
        appointment: build::appointment(9),
        patient: PatientId(9),
        session: SessionId(1),
        slot: SlotIndex(1),
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        payment: None,
        reason: 1,
        by: None,
    };
    call(Role::Practitioner, Command::AddPlace(add));
    let block = BlockSession {
        request: build::request(7 << 40),
        session: SessionId(1),
        first: SlotIndex(0),
        count: 1,
        is_blocked: true,
        reason: 4,
        by: None,
    };
    call(Role::Admin, Command::BlockSession(block));
    node
}

fn restored(images: &[(u8, usize, Vec<u8>)], base: Sequence) -> Inventory {
    let mut inventory = Inventory::new(99, DAY);
    for (kind, index, bytes) in images {
        inventory.restore_part(*kind, *index, base, |part| image::read(part, bytes)).unwrap();
    }
    inventory.rebuild();
    inventory
}

/// What was altered, moved and displaced.
fn altered(inventory: &Inventory) -> Vec<String> {
    let mut all = Vec::new();
    for (kind, index) in Inventory::parts() {
        inventory.with_part(kind, index, |part| match part {
            Part::Home(home) => {
                all.extend(home.moved().into_iter().map(|moved| format!("{moved:?}")));
                let found = home.appointments().filter(Appointment::is_displaced);
                all.extend(found.map(|found| format!("{found:?}")));
            }
            Part::Session(shard) => {
                let found = shard.sessions().into_iter().filter_map(SessionState::alterations);
                all.extend(found.map(|found| format!("{found:?}")));
            }
            Part::Ledger(_) | Part::Rules(_) => {}
        });
    }
    all
}

#[test]
fn what_was_blocked_added_and_moved_comes_back_before_and_after_the_block_is_over() {
    let node = disrupted();
    let early = altered(node.service.inventory());
    assert_eq!(early.len(), 2, "a move and a session: {early:?}");
    for is_over in [false, true] {
        while is_over && node.service.inventory().sweep_home().is_some() {
            node.service.tick(node.now);
        }
        let base = node.service.journal().appended();
        let copy = restored(&images(node.service.inventory()), base);
        assert_eq!(of_inventory(&copy), node.service.digest());
        assert_eq!(altered(&copy), altered(node.service.inventory()));
        assert_eq!(copy.free_places(), node.service.inventory().free_places());
        assert_eq!(copy.sweep_home().is_some(), !is_over, "an unfinished block goes on");
    }
    let late = altered(node.service.inventory());
    assert_eq!(late.len(), 4, "two were displaced: {late:?}");
    node.commit();
    let replayed = Node::recovered(&node.medium.crash());
    assert_eq!(altered(replayed.service.inventory()), late);
}

#[test]
fn alterations_that_fit_no_session_are_refused() {
    let node = disrupted();
    let is_altered = |(kind, _, bytes): &&(u8, usize, Vec<u8>)| *kind == 2 && bytes[3] != 0;
    let images = images(node.service.inventory());
    let (kind, index, bytes) = images.iter().find(is_altered).unwrap();
    // At the end: session u64, sweeping u8, u16 1, slot u16, reason u16, u16 1, slot u16, added u16.
    let end = bytes.len();
    for (back, what) in [(21, "session"), (10, "blocked slot"), (4, "slot of an added place")] {
        let mut bad = bytes.clone();
        bad[end - back] = 200;
        let mut inventory = Inventory::new(0, DAY);
        let read =
            inventory.restore_part(*kind, *index, Sequence(1), |part| image::read(part, &bad));
        assert_eq!(read, Err(CodecError::Invalid("alterations fit no session")), "{what}");
    }
}

#[test]
fn an_image_that_is_cut_or_too_long_is_refused() {
    let node = busy();
    for (kind, index, bytes) in images(node.service.inventory()) {
        let is_empty = bytes.iter().all(|byte| *byte == 0);
        if is_empty {
            continue;
        }
        let read = |bytes: &[u8]| {
            let mut inventory = Inventory::new(0, DAY);
            inventory.restore_part(kind, index, Sequence(1), |part| image::read(part, bytes))
        };
        assert_eq!(read(&bytes[..bytes.len() - 1]), Err(CodecError::Truncated));
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        assert_eq!(read(&longer), Err(CodecError::Trailing(1)));
        if kind == 2 {
            return;
        }
    }
    panic!("no session was found");
}
