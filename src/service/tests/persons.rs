//! Accounts and telephones through the pipeline: what lies beside appointments, and rules for moves.

use super::{Node, refused};
use crate::engine::tests::build::{self, DAY, MINUTE, MORNING};
use crate::inventory::{Inventory, Part};
use crate::model::{
    Actor, ApplyRules, CancelRule, ChannelSet, CivilTime, ClientKey, Command, Deadline, Fact,
    Facts, Forgotten, Held, Hold, LateCancel, Outcome, PaymentRef, Phoned, Reschedule, Role,
    RuleLayer, RuleMode, Rules, Sequence, SessionOpened,
};
use crate::service::digest::of_inventory;
use crate::service::image;

#[test]
fn a_move_is_decided_by_the_rules_in_force() {
    let mut node = Node::new();
    node.open(build::session(1, &[3, 3]));
    node.open(build::session(2, &[5]));
    let layer = RuleLayer {
        cancel: Some(CancelRule {
            until: Deadline::Minutes(600),
            later: ChannelSet(0),
            late: LateCancel::Refuse,
            mode: RuleMode::Enforce,
        }),
        ..RuleLayer::default()
    };
    let (from, layers) = (node.now.plus_millis(MINUTE), vec![layer]);
    let rules = Rules { from, layers, civil: CivilTime::default(), ..Rules::default() };
    let apply = ApplyRules { request: build::request(9 << 40), rules };
    let admin = Actor::unbounded(Role::Admin);
    node.service.call(node.now, &admin, &Command::ApplyRules(apply.into())).result.unwrap();
    let held = Hold { book: Some(PaymentRef(1)), ..build::hold(1, 1, [build::any(1)]) };
    node.hold(&held).result.unwrap();
    node.later(MINUTE);
    let ask = Reschedule {
        request: build::request(8 << 40),
        appointment: build::appointment(1),
        patient: None,
        channel: build::channel(0),
        claims: std::iter::once(build::any(2)).collect(),
    };
    let answer = node.service.call(node.now, &node.actor, &Command::Reschedule(Box::new(ask)));
    assert_eq!(refused(&answer), Outcome::CancelTooLate);
}

#[test]
fn the_telephone_of_an_appointment_is_kept_as_long_as_the_appointment() {
    let (id, phone) = (build::appointment(1), ClientKey(7));
    let session = build::session(1, &[1]);
    let opened = SessionOpened { request: build::request(1 << 40), fingerprint: 0, session };
    let node = Node::new();
    node.open(build::session(1, &[1]));
    node.hold_any(1, 1).result.unwrap();
    node.commit();
    let held = node.records().into_iter().flat_map(|(_, _, facts)| facts);
    let held: Vec<Held> = held.filter_map(|fact| fact.held().cloned()).collect();
    let ended = crate::model::Ended {
        request: None,
        appointment: id,
        patient: held[0].patient,
        cause: crate::model::Cause::Expired,
        claims: held[0].claims.clone(),
    };
    let mut inventory = Inventory::new(0, DAY);
    for (number, fact) in (1..).zip([
        Fact::SessionOpened(Box::new(opened)),
        Fact::Held(held[0].clone()),
        Fact::Phoned(Phoned { appointment: id, phone }),
        Fact::Ended(ended),
    ]) {
        inventory.replay(Sequence(number), MORNING, &Facts::from_iter([fact]));
    }
    assert_eq!(phones(&inventory), [(id, phone)]);
    let copy = copy(&inventory, Sequence(4));
    assert_eq!(phones(&copy), [(id, phone)]);
    assert_eq!(of_inventory(&copy), of_inventory(&inventory));

    let forgotten = Forgotten { appointments: std::iter::once(id).collect() };
    let record = Facts::from_iter([Fact::Forgotten(Box::new(forgotten))]);
    inventory.replay(Sequence(5), MORNING, &record);
    assert_eq!(phones(&inventory), []);
    assert_ne!(of_inventory(&copy), of_inventory(&inventory));
}

fn phones(inventory: &Inventory) -> Vec<(crate::model::AppointmentId, ClientKey)> {
    let mut all = Vec::new();
    for (kind, index) in Inventory::parts() {
        inventory.with_part(kind, index, |part| {
            if let Part::Home(home) = part {
                all.extend(home.phones().all());
            }
        });
    }
    all
}

/// What is restored from the image of every shard.
fn copy(inventory: &Inventory, base: Sequence) -> Inventory {
    let mut copy = Inventory::new(9, DAY);
    for (kind, index) in Inventory::parts() {
        let mut bytes = Vec::new();
        inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
        copy.restore_part(kind, index, base, |part| image::read(part, &bytes)).unwrap();
    }
    copy.rebuild();
    copy
}
