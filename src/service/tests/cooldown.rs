//! Cool-downs on a service: snapshots, digests, the account, explanations, and two keys of one person.

use super::Node;
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::inventory::Inventory;
use crate::model::{
    Actor, ApplyRules, CivilTime, Command, CooldownLength, CooldownRule, CountedOf, EndingSet,
    ExplainOf, Explained, MergePatients, Outcome, PatientId, Query, Reading, Role, RuleKey,
    RuleLayer, RuleMode, Rules, RulesVersion, ScopeKind,
};
use crate::service::audit::of_records;
use crate::service::digest::of_inventory;
use crate::service::image;

/// Sessions of two practitioners, and half an hour before the next place in the region.
fn cooling() -> Node {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    node.open(build::session(2, &[9]));
    let rule = |within, minutes, mode| CooldownRule {
        after: EndingSet::ALL,
        within,
        length: CooldownLength::Minutes(minutes),
        of: CountedOf::Patient,
        mode,
    };
    let layer = RuleLayer {
        cooldown: vec![
            rule(ScopeKind::Region, 30, RuleMode::Enforce),
            rule(ScopeKind::Schedule, 50, RuleMode::Shadow),
        ],
        ..RuleLayer::default()
    };
    let rules = Rules {
        version: RulesVersion(0),
        from: node.now.plus_millis(2_000),
        civil: CivilTime::default(),
        notice_days: 0,
        layers: vec![layer],
    };
    let apply = ApplyRules { request: build::request(900), rules };
    node.run(Role::Admin, &Command::ApplyRules(apply.into()));
    node.later(2_000);
    node
}

impl Node {
    fn run(&self, role: Role, command: &Command) {
        self.service.call(self.now, &Actor::unbounded(role), command).result.unwrap();
    }

    fn held(&self, number: u128, patient: u128, session: u64) -> Option<Outcome> {
        let answer = self.hold(&build::hold(number, patient, [build::any(session)]));
        answer.result.err().map(|refusal| refusal.outcome)
    }
}

/// An inventory made of the images of another one's shards.
fn restored(node: &Node) -> Inventory {
    let mut inventory = Inventory::new(9, DAY);
    for (kind, index) in Inventory::parts() {
        let mut bytes = Vec::new();
        node.service.inventory().with_part(kind, index, |part| image::write(&part, &mut bytes));
        let base = node.service.journal().appended();
        inventory.restore_part(kind, index, base, |part| image::read(part, &bytes)).unwrap();
    }
    inventory.rebuild();
    inventory
}

#[test]
fn a_cool_down_survives_a_snapshot_and_a_crash_and_ends_on_time() {
    let mut node = cooling();
    assert_eq!(node.held(1, 1, 1), None);
    node.release(1).result.unwrap();
    assert_eq!(node.held(2, 1, 2), Some(Outcome::CoolingDown));
    let copied = restored(&node);
    assert_eq!(of_inventory(&copied), node.service.digest());
    let admin = Actor::unbounded(Role::Admin);
    let of = |inventory: &Inventory| inventory.cooldowns_for(&admin, PatientId(1)).0;
    assert_eq!(of(&copied), of(node.service.inventory()));
    assert_eq!(of(&copied).len(), 2);
    node.commit();
    let mut after = Node::recovered(&node.medium.crash());
    after.now = node.now;
    assert_eq!(after.service.digest(), node.service.digest());
    for node in [&mut after, &mut node] {
        assert_eq!(node.held(2, 1, 2), Some(Outcome::CoolingDown));
        node.later(30 * MINUTE - 1);
        assert_eq!(node.held(2, 1, 2), Some(Outcome::CoolingDown));
        node.later(1);
        assert_eq!(node.held(2, 1, 1), None, "in shadow it goes on");
    }
    after.commit();
    let report = of_records(&after.records());
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, after.service.digest());
}

#[test]
fn digests_leave_out_what_is_over_wherever_it_is_kept() {
    let mut node = cooling();
    for patient in 1..=40 {
        assert_eq!(node.held(patient, patient, 1), None);
        node.release(patient).result.unwrap();
        node.later(MINUTE);
    }
    node.commit();
    let report = of_records(&node.records());
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, node.service.digest());
    assert_eq!(of_inventory(&restored(&node)), node.service.digest());
}

#[test]
fn a_hold_that_expires_is_a_place_given_up() {
    let mut node = cooling();
    assert_eq!(node.held(1, 1, 1), None);
    node.later(20 * MINUTE);
    assert_eq!(node.service.tick(node.now), 1);
    assert_eq!(node.held(2, 1, 1), Some(Outcome::CoolingDown));
    let admin = Actor::unbounded(Role::Admin);
    let (kept, _) = node.service.inventory().cooldowns_for(&admin, PatientId(1));
    assert_eq!(kept.iter().map(|it| it.since).max(), Some(node.now));
}

#[test]
fn two_keys_of_one_person_wait_together() {
    let mut node = cooling();
    for (number, patient) in [(1, 10), (2, 20)] {
        assert_eq!(node.held(number, patient, 1), None);
        node.release(number).result.unwrap();
        node.later(10 * MINUTE);
    }
    let merge = |number, from, into| {
        let (from, into) = (PatientId(from), PatientId(into));
        Command::MergePatients(MergePatients { request: build::request(number), from, into })
    };
    node.run(Role::Admin, &merge(901, 20, 30));
    node.run(Role::Admin, &merge(902, 30, 10));
    node.commit();
    let mut after = Node::recovered(&node.medium.crash());
    after.now = node.now;
    assert_eq!(after.service.digest(), node.service.digest());
    // The first key's own ended ten minutes ago.
    after.later(19 * MINUTE);
    assert_eq!(after.held(3, 10, 2), Some(Outcome::CoolingDown));
    after.later(MINUTE);
    assert_eq!(after.held(3, 10, 2), None);
    after.commit();
    let report = of_records(&after.records());
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, after.service.digest());
}

#[test]
fn what_a_patient_waits_for_is_explained() {
    let node = cooling();
    assert_eq!(node.held(1, 1, 1), None);
    node.release(1).result.unwrap();
    let query = Query::Explain {
        of: ExplainOf::Patient(PatientId(1)),
        channel: build::channel(0),
        at: None,
    };
    let answer = node.service.read(node.now, &node.actor, &query).result.unwrap();
    let Reading::Explanation(told) = answer else { panic!("{answer:?}") };
    let Explained::Patient(patient) = told.about else { panic!("{told:?}") };
    let [counter] = patient.counters.as_slice() else { panic!("{patient:?}") };
    assert_eq!((counter.why.key, counter.why.since), (RuleKey::Cooldown, node.now));
    assert_eq!(counter.why.until, node.now.plus_millis(30 * MINUTE));
}
