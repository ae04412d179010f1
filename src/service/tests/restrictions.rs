//! Restrictions on a service: snapshots, digests, the account, and two keys of one person.

use super::Node;
use crate::engine::tests::build::{self, DAY};
use crate::inventory::Inventory;
use crate::model::{
    Actor, Amend, Amendment, Appeal, AppealRule, ApplyRules, ChannelSet, CivilTime, Command,
    Consequence, EvidenceRef, MergePatients, Outcome, PatientId, Query, Reading, Receipt, Refusal,
    Restrict, RestrictionId, RestrictionState, Role, RuleLayer, RuleScope, Rules, RulesVersion,
    StandingReading, Term, Timestamp, Undecided,
};
use crate::service::audit::of_records;
use crate::service::digest::of_inventory;
use crate::service::image;

impl Node {
    fn asked(&self, role: Role, command: &Command) -> Result<Receipt, Refusal> {
        self.service.call(self.now, &Actor::unbounded(role), command).result
    }

    fn restrict(&self, number: u128, patient: u128) -> RestrictionId {
        let request = build::request(number);
        let ask = Restrict {
            request,
            patient: PatientId(patient),
            within: RuleScope::Region,
            consequence: Consequence::Refuse { but: ChannelSet(0) },
            from: Timestamp::default(),
            until: self.now.plus_millis(30 * DAY),
            evidence: EvidenceRef(7),
            reason: 4,
        };
        self.asked(Role::Admin, &Command::Restrict(ask.into())).unwrap();
        RestrictionId(request.0)
    }

    fn amend(&self, number: u128, patient: u128, id: RestrictionId, amendment: Amendment) {
        let amend = Amend {
            request: build::request(number),
            patient: PatientId(patient),
            restriction: id,
            amendment,
            evidence: EvidenceRef(0),
            reason: 1,
        };
        self.asked(Role::Admin, &Command::Amend(amend.into())).unwrap();
    }

    fn standing(&self, patient: u128) -> StandingReading {
        let (patient, channel) = (PatientId(patient), build::channel(0));
        let query = Query::ReadStanding { patient, channel };
        let actor = Actor::unbounded(Role::Admin);
        match self.service.read(self.now, &actor, &query).result.unwrap() {
            Reading::Standing(reading) => *reading,
            other => panic!("{other:?}"),
        }
    }

    fn outcome(&self, number: u128, patient: u128, session: u64) -> Option<Outcome> {
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

fn appealing() -> Node {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    let rule = AppealRule {
        term: Term::Days(3),
        is_suspending: false,
        per_restriction: 1,
        undecided: Undecided::Lifted,
    };
    let rules = Rules {
        version: RulesVersion(0),
        from: node.now.plus_millis(2_000),
        civil: CivilTime::default(),
        notice_days: 0,
        layers: vec![RuleLayer { appeal: Some(rule), ..RuleLayer::default() }],
    };
    let apply = ApplyRules { request: build::request(900), rules };
    node.asked(Role::Admin, &Command::ApplyRules(apply.into())).unwrap();
    node.later(2_000);
    node
}

#[test]
fn a_lift_survives_a_snapshot_and_a_crash() {
    let node = appealing();
    let id = node.restrict(901, 1);
    assert_eq!(node.outcome(1, 1, 1), Some(Outcome::Restricted));
    node.amend(902, 1, id, Amendment::Suspend { until: node.now.plus_millis(DAY) });
    node.amend(903, 1, id, Amendment::Lift);
    assert_eq!(node.standing(1).restrictions[0].0, RestrictionState::Lifted);
    let copied = restored(&node);
    assert_eq!(of_inventory(&copied), node.service.digest());
    node.commit();
    let after = Node::recovered(&node.medium.crash());
    assert_eq!(after.service.digest(), node.service.digest());
    assert_eq!(after.standing(1).restrictions, node.standing(1).restrictions);
    assert_eq!(after.outcome(1, 1, 1), None);
    let report = of_records(&after.records());
    assert!(report.is_clean(), "{:?}", report.faults);
}

#[test]
fn an_appeal_that_nobody_decides_is_over_by_itself_at_its_term() {
    let mut node = appealing();
    let id = node.restrict(901, 1);
    let appeal = Appeal {
        request: build::request(904),
        patient: PatientId(1),
        restriction: id,
        evidence: EvidenceRef(8),
        channel: build::channel(0),
    };
    let receipt = node.asked(Role::Gateway, &Command::Appeal(appeal.into())).unwrap();
    assert_eq!(receipt.until, node.now.plus_millis(3 * DAY));
    let digest = node.service.digest();
    for (days, state) in [(2, RestrictionState::Holds), (1, RestrictionState::Lifted)] {
        node.later(days * DAY);
        node.service.tick(node.now);
        assert_eq!(node.standing(1).restrictions[0].0, state);
        assert_eq!(node.service.digest(), digest, "no clock takes a step");
    }
}

fn merge(node: &Node, number: u128, from: u128, into: u128) -> Result<Receipt, Refusal> {
    let (from, into) = (PatientId(from), PatientId(into));
    let merge = MergePatients { request: build::request(number), from, into };
    node.asked(Role::Admin, &Command::MergePatients(merge))
}

#[test]
fn two_keys_of_one_person_share_what_each_had_and_both_are_accepted() {
    let node = Node::new();
    node.open(build::session(1, &[9]));
    node.open(build::session(2, &[9]));
    assert_eq!(node.outcome(1, 10, 1), None);
    assert_eq!(node.outcome(2, 20, 2), None);
    node.restrict(903, 10);
    merge(&node, 900, 10, 20).unwrap();
    for key in [10, 20] {
        assert_eq!(node.service.inventory().live(PatientId(key)).0.len(), 2);
        assert_eq!(node.outcome(30 + key, key, 1), Some(Outcome::AlreadyHasAppointment));
        let reading = node.standing(key);
        assert_eq!(
            (reading.patient, reading.keys.as_slice()),
            (PatientId(20), &[PatientId(10)][..])
        );
        assert_eq!(reading.restrictions.len(), 1);
    }
    let again = build::hold(1, 20, [build::any(1)]);
    assert!(node.hold(&again).result.unwrap().retried, "by the other key");
    let get = |key| {
        let (appointment, patient) = (build::appointment(1), Some(PatientId(key)));
        let query = Query::Get { appointment, patient, channel: build::channel(0) };
        node.service.read(node.now, &node.actor, &query).result
    };
    for key in [10, 20] {
        let Ok(Reading::Appointment(found)) = get(key) else { panic!("key {key} finds nothing") };
        assert_eq!(found.patient, PatientId(20));
    }
    let stranger = get(11).unwrap_err();
    assert_eq!(stranger.outcome, Outcome::AppointmentNotFound);
    node.release(1).result.unwrap();
    assert_eq!(node.service.inventory().live(PatientId(10)).0, [build::appointment(2)]);
}

#[test]
fn a_merge_is_made_once_and_neither_twice_nor_in_a_circle() {
    let node = Node::new();
    node.open(build::session(1, &[9]));
    assert_eq!(node.outcome(1, 10, 1), None);
    merge(&node, 900, 10, 20).unwrap();
    let digest = node.service.digest();
    assert!(merge(&node, 900, 10, 20).unwrap().retried);
    for (number, from, into) in [(901, 10, 20), (902, 20, 10), (903, 10, 10), (904, 7, 7)] {
        let refusal = merge(&node, number, from, into).unwrap_err();
        assert_eq!(refusal.outcome, Outcome::AlreadyMerged, "{from} into {into}");
    }
    assert_eq!(node.service.digest(), digest, "nothing happened again");
    merge(&node, 905, 20, 30).unwrap();
    assert_eq!(merge(&node, 906, 10, 30).unwrap_err().outcome, Outcome::AlreadyMerged);
    assert_eq!(node.service.inventory().person(PatientId(10)), PatientId(30), "a chain");
    assert_eq!(node.standing(10).keys.len(), 2);
}

#[test]
fn double_appointments_that_a_merge_brings_together_stay_and_are_counted() {
    let node = Node::new();
    node.open(build::session(1, &[9]));
    assert_eq!((node.outcome(1, 10, 1), node.outcome(2, 20, 1)), (None, None));
    merge(&node, 900, 10, 20).unwrap();
    assert_eq!(node.standing(10).doubled, 1);
    node.release(1).result.unwrap();
    assert_eq!(node.standing(10).doubled, 0);
}

#[test]
fn what_one_record_does_not_carry_is_not_merged() {
    let node = Node::new();
    for session in 1..=140_u64 {
        node.open(build::session(session, &[9]));
        assert_eq!(node.outcome(session.into(), 10, session), None);
    }
    let refusal = merge(&node, 900, 10, 20).unwrap_err();
    assert_eq!(refusal.outcome, Outcome::MergeTooLarge);
    merge(&node, 901, 20, 10).unwrap();
}

#[test]
fn merged_keys_survive_a_snapshot_and_a_crash_and_expiry_finds_the_person() {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    node.open(build::session(2, &[9]));
    assert_eq!(node.outcome(1, 10, 1), None);
    // What is over is carried too, from both keys.
    for (number, key) in [(5, 10), (6, 20)] {
        assert_eq!(node.outcome(number, key, 2), None);
        node.release(number).result.unwrap();
    }
    let id = node.restrict(903, 10);
    merge(&node, 900, 10, 20).unwrap();
    merge(&node, 901, 20, 30).unwrap();
    node.amend(904, 10, id, Amendment::Lift);
    let copied = restored(&node);
    assert_eq!(of_inventory(&copied), node.service.digest());
    assert_eq!(copied.person(PatientId(10)), PatientId(30));
    node.commit();
    let mut after = Node::recovered(&node.medium.crash());
    assert_eq!(after.service.digest(), node.service.digest());
    assert_eq!(after.standing(10), node.standing(30));
    after.later(DAY);
    node.later(DAY);
    assert_eq!((after.service.tick(after.now), node.service.tick(node.now)), (1, 1));
    assert!(node.service.inventory().live(PatientId(30)).0.is_empty());
    after.commit();
    let report = of_records(&after.records());
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, after.service.digest());
}
