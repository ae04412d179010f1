//! Visits that somebody came late for or missed, on a service: snapshots, crashes, the account.

use super::Node;
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::inventory::Inventory;
use crate::model::{
    Action, Actor, ApplyRules, Attendance, Begins, Change, ChannelSet, CivilTime, Command,
    Consequence, CountedOf, Ending, Fact, Facts, Hold, LateRule, NoShowRule, Outcome, PaymentRef,
    RequestId, RestrictionCause, Role, RuleLayer, RuleMode, Rules, RulesVersion, ScopeKind,
    Sequence, Session, SessionTerms, Term, Tier, Timestamp, Violation, ViolationRule, Window,
};
use crate::service::audit::of_records;
use crate::service::digest::of_inventory;
use crate::service::image;

/// Two who are late or missed, and no more bookings for a day.
fn rules(node: &Node) -> Rules {
    let tier = Tier {
        count: 2,
        consequence: Consequence::Refuse { but: ChannelSet(0) },
        term: Term::Days(1),
    };
    let rule = NoShowRule {
        within: ScopeKind::Region,
        window: Window::Month,
        begins: Begins::AtOnce,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: std::iter::once(tier).collect(),
    };
    let counts = [Violation::Late, Violation::Missed].into_iter().collect();
    let violations = vec![ViolationRule { counts, of: CountedOf::Patient, rule }];
    Rules {
        version: RulesVersion(0),
        from: node.now.plus_millis(2_000),
        civil: CivilTime::default(),
        notice_days: 0,
        layers: vec![RuleLayer { violations, ..RuleLayer::default() }],
    }
}

/// Two sessions at nine, late after a minute and too late after half an hour, and one the day after.
/// Patient 1 came late to the first.
fn late_once(is_counted: bool) -> Node {
    let mut node = Node::new();
    let attendance = Attendance {
        check_in_from: 3_600_000,
        pick_up_until: None,
        grace: 60_000,
        late_until: 1_800_000,
        late: LateRule::EndOfSegment,
    };
    let terms = SessionTerms { attendance: Some(attendance), ..SessionTerms::default() };
    for id in 1..=2 {
        node.open(Session { terms: terms.clone(), ..build::session(id, &[5]) });
    }
    let start = build::MORNING.plus_millis(DAY);
    node.open(Session { start, ..build::session(3, &[5]) });
    if is_counted {
        let apply = ApplyRules { request: build::request(900), rules: rules(&node) };
        node.run_late(Role::Admin, &Command::ApplyRules(apply.into()));
        node.later(2_000);
    }
    for id in 1..=2 {
        let book = Some(PaymentRef(1));
        let wish = build::at(u64::try_from(id).unwrap(), 0);
        node.hold(&Hold { book, ..build::hold(id, 1, [wish]) }).result.unwrap();
    }
    node.later(62 * MINUTE);
    node.come(1, Action::CheckIn);
    node.come(1, Action::Fulfil);
    node
}

impl Node {
    fn run_late(&self, role: Role, command: &Command) {
        self.service.call(self.now, &Actor::unbounded(role), command).result.unwrap();
    }

    fn come(&self, id: u128, action: Action) {
        let number = 1_000 + id * 10 + u128::from(action == Action::CheckIn);
        let request = RequestId::from_parts(self.now, number);
        let change = Change { request, ..build::change(0, id, action) };
        self.run_late(Role::Practitioner, &Command::Change(change));
    }

    fn books(&self) -> Option<Outcome> {
        let answer = self.hold(&build::hold(3, 1, [build::any(3)]));
        answer.result.err().map(|refusal| refusal.outcome)
    }
}

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
fn who_came_late_is_late_after_a_snapshot_and_a_crash_and_the_next_one_counts() {
    let node = late_once(true);
    assert_eq!(of_inventory(&restored(&node)), node.service.digest());
    node.commit();
    let mut after = Node::recovered(&node.medium.crash());
    after.now = node.now;
    assert_eq!(after.service.digest(), node.service.digest());
    after.later(30 * MINUTE);
    // Half an hour and two minutes after nine: too late for the second.
    after.come(2, Action::NoShow);
    assert_eq!(after.books(), Some(Outcome::Restricted));
    assert_eq!(of_inventory(&restored(&after)), after.service.digest());
    after.commit();
    let records = after.records();
    let barred = records.iter().flat_map(|(_, _, facts)| facts).find_map(|fact| match fact {
        Fact::Barred(barred) => Some(barred.restriction),
        _ => None,
    });
    let made = barred.unwrap();
    assert_eq!((made.cause, made.count), (RestrictionCause::Missed, 2));
    let report = of_records(&records);
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.digest, after.service.digest());
}

#[test]
fn an_audit_finds_lateness_that_was_hidden_or_made_up() {
    type Records = Vec<(Sequence, Timestamp, Facts)>;
    let says = |records: &mut Records, ending: Ending| {
        let facts = records.iter_mut().flat_map(|(_, _, facts)| facts);
        let mut kept = facts.filter_map(|fact| match fact {
            Fact::Recorded(recorded) => Some(recorded),
            _ => None,
        });
        kept.next().unwrap().ending = ending;
    };
    // Under rules that do not count it, what a version that knew nothing of lateness wrote is right.
    for (is_counted, ending, is_found) in [
        (true, Ending::Late, false),
        (true, Ending::Fulfilled, true),
        (true, Ending::Missed, true),
        (false, Ending::Late, false),
        (false, Ending::Fulfilled, false),
        (false, Ending::Missed, true),
    ] {
        let node = late_once(is_counted);
        node.commit();
        let mut records = node.records();
        says(&mut records, ending);
        let found = of_records(&records).faults.join("; ");
        let is_told = found.contains("what is kept of an appointment is another");
        assert_eq!(is_told, is_found, "{is_counted} {ending:?}: {found}");
    }
    // Who was in time is not late.
    let mut node = late_once(false);
    node.hold(&Hold { book: Some(PaymentRef(1)), ..build::hold(3, 1, [build::at(3, 0)]) })
        .result
        .unwrap();
    node.later(DAY);
    node.come(3, Action::CheckIn);
    node.come(3, Action::Fulfil);
    node.commit();
    let mut records = node.records();
    let last = records.len() - 1;
    if let Some(Fact::Recorded(recorded)) = records[last].2.last_mut() {
        recorded.ending = Ending::Late;
    }
    let found = of_records(&records).faults.join("; ");
    assert!(found.contains("what is kept of an appointment is another"), "{found}");
}

#[test]
fn where_nobody_counts_it_nobody_is_restricted() {
    let mut node = late_once(false);
    node.later(30 * MINUTE);
    node.come(2, Action::NoShow);
    assert_eq!(node.books(), None);
    node.commit();
    let report = of_records(&node.records());
    assert!(report.is_clean(), "{:?}", report.faults);
}
