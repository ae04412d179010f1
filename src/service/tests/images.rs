//! The image of a shard in a snapshot, for every kind of shard.

use super::Node;
use crate::codec::CodecError;
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::inventory::{Inventory, SHARD_COUNT};
use crate::model::{Action, Hold, PaymentRef, Repeat, Sequence, Session};
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
    for kind in 0..Inventory::PART_KINDS {
        for index in 0..SHARD_COUNT {
            let mut bytes = Vec::new();
            inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
            images.push((kind, index, bytes));
        }
    }
    images
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
    assert_eq!(restored.counts(), node.service.inventory().counts());
    assert_eq!(restored.next_deadline(), node.service.inventory().next_deadline());
    assert_eq!(restored.free_places(), node.service.inventory().free_places());
    // What no digest covers: the requests that are remembered.
    let requests = |inventory: &Inventory| {
        let mut all = Vec::new();
        for index in 0..SHARD_COUNT {
            inventory.with_part(0, index, |part| {
                if let crate::inventory::Part::Home(home) = part {
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
