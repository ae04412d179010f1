//! Who asks again and again for what is not to be had: what is counted, what is written down, and what
//! follows.
//!
//! ```text
//! three refusals of an account in five minutes: it probes     once a day: warned    twice: refused for a day
//! ```

use super::Node;
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::inventory::Inventory;
use crate::model::limits::PROBED_MAX;
use crate::model::{
    AccountId, Actor, ApplyRules, AppointmentId, Barred, Begins, ChannelSet, CivilTime, ClientKey,
    ClientKeys, Command, Consequence, CountedOf, Ending, Fact, Hold, MergePatients, NoShowRule,
    Outcome, PatientId, Probed, ProbingRule, RequestId, Role, RuleLayer, RuleMode, Rules,
    RulesVersion, ScopeKind, Session, Term, Tier, Violation, ViolationRule, ViolationSet, Window,
};
use crate::service::audit::of_records;
use crate::service::digest::of_inventory;
use crate::service::image;

const SECOND: u64 = 1_000;

const THREE_IN_FIVE: ProbingRule =
    ProbingRule { refusals: 3, minutes: 5, of: CountedOf::Account, mode: RuleMode::Enforce };

/// A warning for the first on a day, and a day without booking for the second.
fn violation(of: CountedOf) -> ViolationRule {
    let tier = |count, consequence| Tier { count, consequence, term: Term::Days(1) };
    let tiers = [tier(1, Consequence::Warn), tier(2, Consequence::Refuse { but: ChannelSet(0) })];
    let rule = NoShowRule {
        within: ScopeKind::Region,
        window: Window::Days(1),
        begins: Begins::AtOnce,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: tiers.into_iter().collect(),
    };
    ViolationRule { counts: ViolationSet::only(Violation::Probing), of, rule }
}

/// Session 1 has one place, which is gone; session 2 opens in an hour; session 3 has many places.
fn clinic(rule: Option<ProbingRule>) -> Node {
    let mut node = Node::new();
    node.open(build::session(1, &[1]));
    let mut later: Session = build::session(2, &[9]);
    for pool in &mut later.pools {
        pool.terms.opens = node.now.plus_millis(60 * MINUTE);
    }
    node.open(later);
    node.open(build::session(3, &[200]));
    let taken = Hold { book: None, ..build::hold(1, 1, [build::any(1)]) };
    node.hold(&taken).result.unwrap();
    node.book(1).result.unwrap();
    if let Some(rule) = rule {
        node.put_in_force(901, rule);
    }
    node
}

impl Node {
    fn put_in_force(&mut self, request: u128, rule: ProbingRule) {
        let layer = RuleLayer {
            probing: Some(rule),
            violations: vec![violation(rule.of)],
            ..RuleLayer::default()
        };
        let rules = Rules {
            version: RulesVersion(0),
            from: self.now.plus_millis(2 * SECOND),
            civil: CivilTime::default(),
            notice_days: 0,
            layers: vec![layer],
        };
        let apply = ApplyRules { request: build::request(request), rules };
        let admin = Actor::unbounded(Role::Admin);
        self.service.call(self.now, &admin, &Command::ApplyRules(apply.into())).result.unwrap();
        self.later(2 * SECOND);
    }

    /// What an account and a patient are told who ask for a place.
    fn asks(&self, id: u128, account: u128, patient: u128, session: u64) -> &'static str {
        let keys = ClientKeys {
            account: Some(AccountId(account)),
            phone: Some(ClientKey(account)),
            ..ClientKeys::default()
        };
        let hold = Hold { keys, ..build::hold(id, patient, [build::any(session)]) };
        self.hold(&hold).result.map_or_else(|why| why.outcome, |_| Outcome::Done).name()
    }

    fn facts(&self) -> Vec<Fact> {
        self.commit();
        self.records().into_iter().flat_map(|(.., facts)| facts).collect()
    }

    fn probed(&self) -> Vec<Probed> {
        let facts = self.facts().into_iter();
        facts
            .filter_map(|fact| if let Fact::Probed(it) = fact { Some(*it) } else { None })
            .collect()
    }

    fn barred(&self) -> Vec<Barred> {
        let facts = self.facts().into_iter();
        facts
            .filter_map(|fact| if let Fact::Barred(it) = fact { Some(*it) } else { None })
            .collect()
    }

    /// The story is a possible one, and survives a snapshot and a crash.
    #[track_caller]
    fn is_sound(&self) {
        self.commit();
        let report = of_records(&self.records());
        assert!(report.is_clean(), "{:?}", report.faults);
        assert_eq!(report.digest, self.service.digest(), "the account");
        assert_eq!(of_inventory(&restored(self)), self.service.digest(), "a snapshot");
        let after = Self::recovered(&self.medium.crash());
        assert_eq!(after.service.digest(), self.service.digest(), "a crash");
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
fn an_account_that_asks_on_and_on_is_warned_and_then_refused() {
    let mut node = clinic(Some(THREE_IN_FIVE));
    // Second, request, account, patient, session; what they are told; how often it was written down.
    let table = [
        (0, 10, 5, 2, 1, "SoldOut", 0),
        (1, 11, 5, 2, 1, "SoldOut", 0),
        // Another account is another count.
        (2, 12, 6, 2, 1, "SoldOut", 0),
        // Not open yet is nothing to be had either; the third one is told no more than the others.
        (3, 13, 5, 3, 2, "NotOpenYet", 1),
        // Warned, and not kept out.
        (4, 14, 5, 2, 3, "Done", 1),
        // What is refused for another reason does not count.
        (5, 15, 5, 2, 3, "AlreadyHasAppointment", 1),
        (6, 16, 5, 2, 9, "SessionNotFound", 1),
        // A request that is sent again is one.
        (7, 17, 5, 2, 1, "SoldOut", 1),
        (8, 17, 5, 2, 1, "SoldOut", 1),
        (9, 17, 5, 2, 1, "SoldOut", 1),
        (10, 18, 5, 2, 1, "SoldOut", 1),
        (11, 19, 5, 2, 1, "SoldOut", 2),
        // Kept out, with whichever patient; others with the same patients are not.
        (12, 20, 5, 4, 3, "Restricted", 2),
        (13, 21, 6, 4, 3, "Done", 2),
        (14, 22, 6, 2, 1, "SoldOut", 2),
        // Six minutes later the other account's two count no more.
        (360, 23, 6, 2, 1, "SoldOut", 2),
        (361, 24, 6, 2, 1, "SoldOut", 2),
        (362, 25, 6, 2, 1, "SoldOut", 3),
    ];
    let start = node.now;
    node.open(Session { start: start.plus_millis(3 * DAY), ..build::session(4, &[9]) });
    for (second, id, account, patient, session, told, count) in table {
        node.now = start.plus_millis(second * SECOND);
        assert_eq!(node.asks(id, account, patient, session), told, "request {id}");
        assert_eq!(node.probed().len(), count, "after request {id}");
    }
    let probed = node.probed();
    let parts = |it: &Probed| (it.patient, it.session.0, it.count, it.appointment);
    assert_eq!(parts(&probed[0]), (AccountId(5).holder(), 2, 3, build::appointment(13)));
    assert!(start <= probed[0].since.plus_millis(SECOND) && probed[0].since <= start);
    let causes: Vec<_> = node.barred().iter().map(|it| it.restriction.consequence.name()).collect();
    assert_eq!(causes, ["warn", "refuse", "warn"]);
    node.is_sound();
    // The next day it books again.
    node.later(DAY);
    let keys = ClientKeys { account: Some(AccountId(5)), ..ClientKeys::default() };
    let appointment = AppointmentId(RequestId::from_parts(node.now, 30).0);
    let hold = Hold { appointment, keys, ..build::hold(30, 8, [build::any(4)]) };
    node.hold(&hold).result.unwrap();
}

#[test]
fn without_a_rule_nothing_is_counted_and_with_one_from_then_on() {
    let mut node = clinic(None);
    for id in 10..40 {
        assert_eq!(node.asks(id, 5, 2, 1), "SoldOut");
    }
    assert_eq!(node.service.probes.bytes(), 0, "no rule, no memory");
    node.put_in_force(902, THREE_IN_FIVE);
    for id in 40..46 {
        assert_eq!(node.asks(id, 5, 2, 1), "SoldOut");
    }
    assert_eq!(node.probed().len(), 2);
    // A new version of the rules counts anew.
    for id in 46..48 {
        assert_eq!(node.asks(id, 5, 2, 1), "SoldOut");
    }
    node.put_in_force(903, ProbingRule { refusals: 2, ..THREE_IN_FIVE });
    assert_eq!(node.asks(48, 5, 2, 1), "SoldOut");
    assert_eq!(node.probed().len(), 2);
    assert_eq!(node.asks(49, 5, 2, 1), "SoldOut");
    assert_eq!(node.probed().len(), 3);
    node.is_sound();
}

#[test]
fn a_retry_of_the_hold_that_got_the_place_is_no_probe() {
    let node = clinic(Some(THREE_IN_FIVE));
    let held = build::hold(1, 1, [build::any(1)]);
    for _ in 0..9 {
        assert!(node.hold(&held).result.unwrap().retried);
    }
    assert_eq!(node.probed(), []);
}

#[test]
fn in_shadow_it_is_written_down_and_nothing_else() {
    let node = clinic(Some(ProbingRule { mode: RuleMode::Shadow, ..THREE_IN_FIVE }));
    for id in 10..22 {
        assert_eq!(node.asks(id, 5, 2, 1), "SoldOut");
    }
    let modes: Vec<_> = node.probed().iter().map(|it| it.mode).collect();
    assert_eq!(modes, [RuleMode::Shadow; 4]);
    assert_eq!(node.barred(), []);
    assert_eq!(node.asks(30, 5, 2, 3), "Done");
    node.is_sound();
}

#[test]
fn a_patient_and_a_telephone_are_counted_each_where_the_rule_says_so() {
    for (of, key, others) in [
        (CountedOf::Patient, PatientId(2), [(6, 2), (5, 3)]),
        (CountedOf::Phone, ClientKey(5).phone_holder(), [(5, 3), (6, 2)]),
    ] {
        let node = clinic(Some(ProbingRule { of, ..THREE_IN_FIVE }));
        for id in 10..16 {
            assert_eq!(node.asks(id, 5, 2, 1), "SoldOut");
        }
        let whose: Vec<_> = node.probed().iter().map(|it| (it.of, it.patient)).collect();
        assert_eq!(whose, [(of, key); 2]);
        let [same, other] =
            others.map(|(account, patient)| node.asks(account + 90, account, patient, 3));
        assert_eq!((same, other), ("Restricted", "Done"), "{of:?}");
        node.is_sound();
    }
}

#[test]
fn what_two_keys_of_one_person_did_counts_together() {
    let of = CountedOf::Patient;
    let node = clinic(Some(ProbingRule { of, ..THREE_IN_FIVE }));
    for id in 10..13 {
        assert_eq!(node.asks(id, 5, 20, 1), "SoldOut");
    }
    let (from, into) = (PatientId(20), PatientId(21));
    let merge = MergePatients { request: build::request(905), from, into };
    let admin = Actor::unbounded(Role::Admin);
    node.service.call(node.now, &admin, &Command::MergePatients(merge)).result.unwrap();
    assert_eq!(node.asks(13, 5, 20, 3), "Done");
    // By the old key and by the new one, it is one who asks.
    for (id, patient) in [(14, 20), (15, 21), (16, 20)] {
        assert_eq!(node.asks(id, 5, patient, 1), "SoldOut");
    }
    let whose: Vec<_> = node.probed().iter().map(|it| it.patient).collect();
    assert_eq!(whose, [from, into]);
    let last = node.barred().last().map(|it| (it.patient, it.restriction.count));
    assert_eq!(last, Some((into, 2)));
    node.is_sound();
}

#[test]
fn a_script_does_not_make_a_ledger_forget_what_else_there_is() {
    let node = clinic(Some(ProbingRule { refusals: 2, of: CountedOf::Patient, ..THREE_IN_FIVE }));
    for id in 100..120 {
        assert_eq!(node.asks(id, 5, 7, 3), "Done");
        node.release(id).result.unwrap();
    }
    for id in 1_000..2_000 {
        let told = node.asks(id, 5, 7, 1);
        assert_eq!(told, "SoldOut", "request {id}");
    }
    assert_eq!(node.probed().len(), 500);
    let kept = node.service.inventory().past_of(PatientId(7));
    let of = |ending: Ending| kept.iter().filter(|past| past.ending == ending).count();
    assert_eq!((of(Ending::Released), of(Ending::Probed)), (20, PROBED_MAX));
    node.is_sound();
}
