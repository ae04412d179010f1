//! Rules in shadow: what they would have refused is granted, and counted once.

use super::Node;
use crate::engine::tests::build::{self, MINUTE, MORNING};
use crate::model::{
    AccountId, Action, Actor, Answer, ApplyRules, Attributes, Begins, BookingLimit, CancelRule,
    ChannelSet, CivilTime, ClientKeys, Command, Consequence, CooldownLength, CooldownRule,
    CountedOf, Deadline, Delay, EndingSet, Hold, Holder, HolderRule, JoinWaitlist, LateCancel,
    LatePayment, LimitKey, LimitScope, NamePatient, NoShowRule, OrganizationId, Outcome,
    PatientClass, PatientId, Pay, PaymentKind, PaymentMode, PaymentRef, PaymentRule, Period,
    PersonsRule, Receipt, Reschedule, ReturnRule, Role, RuleKey, RuleLayer, RuleMode, RuleScope,
    Rules, ScopeKind, Session, SessionId, SessionTerms, Term, TieRule, Tier, Timestamp, Violation,
    ViolationRule, ViolationSet, WaitCounts, WaitKey, WaitLimit, WaitlistRule, Window,
};

/// One rule, what was done before, and what it refuses.
struct Case {
    what: &'static str,
    key: RuleKey,
    says: RuleLayer,
    /// Each after so many minutes.
    before: Vec<(u64, Role, Command)>,
    wait: u64,
    asked: Command,
    outcome: Outcome,
}

/// Two sessions with places, and the third, which is full and has a waitlist.
fn node(rules: Rules) -> Node {
    let mut node = Node::new();
    for id in [1, 2] {
        node.open(build::session(id, &[9; 20]));
    }
    node.open(waited());
    let from = node.now.plus_millis(MINUTE);
    let rules = Rules { from, civil: CivilTime::default(), ..rules };
    let apply = ApplyRules { request: build::request(9 << 40), rules };
    ask(&node, Role::Admin, &Command::ApplyRules(apply.into())).result.unwrap();
    let last = Hold { book: Some(PaymentRef(0)), ..build::hold(99, 99, [build::any(3)]) };
    node.hold(&last).result.unwrap();
    node.later(MINUTE);
    node
}

fn waited() -> Session {
    let rule = WaitlistRule {
        entries_max: 10,
        priority: build::EQUAL,
        draw_millis: 0,
        offer_millis: 30 * 60_000,
        near_offer_millis: 30 * 60_000,
        near_millis: 0,
        hours: None,
        closes_at: MORNING.plus_millis(50 * MINUTE),
    };
    let delay = Delay { min_millis: 60_000, max_millis: 60_000 };
    let terms = SessionTerms {
        returns: ReturnRule::WaitlistFirst(delay),
        waitlist: Some(Box::new(rule)),
        ..SessionTerms::default()
    };
    Session { terms, ..build::session(3, &[1]) }
}

fn ask(node: &Node, role: Role, command: &Command) -> Answer<Receipt> {
    node.service.call(node.now, &Actor::unbounded(role), command)
}

/// What was counted, of the keys of which anything was.
fn counted(node: &Node) -> Vec<(RuleKey, u64)> {
    let all = RuleKey::ALL.into_iter().zip(node.service.stats().shadow_refusals);
    all.filter(|(_, count)| *count != 0).collect()
}

fn rules(layer: RuleLayer) -> Rules {
    Rules { layers: vec![layer], ..Rules::default() }
}

fn hold(id: u128, patient: u128, session: u64) -> Command {
    Command::Hold(build::hold(id, patient, [build::any(session)]))
}

fn booked(id: u128, patient: u128, session: u64) -> Command {
    let book = Some(PaymentRef(0));
    Command::Hold(Hold { book, ..build::hold(id, patient, [build::any(session)]) })
}

fn account() -> ClientKeys {
    ClientKeys { account: Some(AccountId(7)), ..ClientKeys::default() }
}

fn hold_by_account(id: u128, patient: u128) -> Command {
    Command::Hold(Hold { keys: account(), ..build::hold(id, patient, [build::any(1)]) })
}

fn change(number: u128, id: u128, action: Action) -> Command {
    Command::Change(build::change(number, id, action))
}

fn join(number: u128, patient: u128) -> Command {
    Command::JoinWaitlist(Box::new(JoinWaitlist {
        request: build::request(number),
        patient: PatientId(patient),
        account: Some(AccountId(7)),
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: std::iter::once(SessionId(3)).collect(),
    }))
}

fn pay(number: u128, id: u128) -> Command {
    Command::Pay(Pay {
        request: build::request(number),
        appointment: build::appointment(id),
        patient: None,
        channel: build::channel(0),
        kind: PaymentKind::SelfPay,
        payment: PaymentRef(5),
    })
}

fn name(number: u128, id: u128, patient: u128) -> Command {
    Command::NamePatient(Box::new(NamePatient {
        request: build::request(number),
        appointment: build::appointment(id),
        patient: PatientId(patient),
        keys: account(),
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
    }))
}

fn move_to(number: u128, id: u128, session: u64) -> Command {
    Command::Reschedule(Box::new(Reschedule {
        request: build::request(number),
        appointment: build::appointment(id),
        patient: None,
        channel: build::channel(0),
        claims: std::iter::once(build::any(session)).collect(),
    }))
}

/// The first time refuses for a day.
fn once() -> NoShowRule {
    let refuse = Consequence::Refuse { but: ChannelSet(0) };
    NoShowRule {
        within: ScopeKind::Region,
        window: Window::Month,
        begins: Begins::AtOnce,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: std::iter::once(Tier { count: 1, consequence: refuse, term: Term::Days(1) })
            .collect(),
    }
}

fn one_at_a_time() -> RuleLayer {
    let key = LimitKey { within: LimitScope::Region, period: Period::Any, ..LimitKey::default() };
    let limit = BookingLimit { key, most: 1, mode: RuleMode::Enforce };
    RuleLayer { limits: vec![limit], ..RuleLayer::default() }
}

fn cooling() -> RuleLayer {
    let cooldown = CooldownRule {
        after: EndingSet::ALL,
        within: ScopeKind::Region,
        length: CooldownLength::Minutes(30),
        of: CountedOf::Patient,
        mode: RuleMode::Enforce,
    };
    RuleLayer { cooldown: vec![cooldown], ..RuleLayer::default() }
}

fn releases() -> RuleLayer {
    let counts = ViolationSet::only(Violation::Release);
    let violations = vec![ViolationRule { counts, of: CountedOf::Patient, rule: once() }];
    RuleLayer { violations, ..RuleLayer::default() }
}

fn day_before() -> RuleLayer {
    let cancel = CancelRule {
        until: Deadline::Minutes(24 * 60),
        later: ChannelSet(0),
        late: LateCancel::Refuse,
        mode: RuleMode::Enforce,
    };
    RuleLayer { cancel: Some(cancel), ..RuleLayer::default() }
}

fn paid_online() -> RuleLayer {
    let payment = PaymentRule {
        by: PaymentMode::SelfPay,
        channels: ChannelSet::ALL,
        late: LatePayment::Refund,
        order: None,
        mode: RuleMode::Enforce,
    };
    RuleLayer { payment: Some(payment), ..RuleLayer::default() }
}

fn one_patient() -> RuleLayer {
    let account = Some(TieRule { patients: 1, accounts: 0, changes: None });
    let rule = PersonsRule { account, ..PersonsRule::default() };
    RuleLayer { persons: Some(Box::new(rule)), ..RuleLayer::default() }
}

fn nobody_waits() -> RuleLayer {
    let key = WaitKey { within: ScopeKind::Region, counts: WaitCounts::Sessions };
    let limit = WaitLimit { key, most: 0, mode: RuleMode::Enforce };
    RuleLayer { waitlist: [limit].into(), ..RuleLayer::default() }
}

fn cases() -> Vec<Case> {
    use Role::{Counter, Gateway};
    let case = |key, says, before: &[Command], asked, outcome| {
        let before = before.iter().map(|command| (0, Gateway, command.clone())).collect();
        Case { what: "", key, says, before, wait: 0, asked, outcome }
    };
    let released = [hold(1, 1, 1), change(50, 1, Action::Release)];
    let holder = Some(HolderRule { by: Holder::Account, limit: 2 });
    let unnamed = Hold { patient: None, keys: account(), ..build::hold(1, 0, [build::any(1)]) };
    let missed = vec![(0, Gateway, booked(1, 1, 1)), (60, Counter, change(50, 1, Action::NoShow))];
    vec![
        Case {
            what: "a hold beyond a limit",
            ..case(
                RuleKey::Limits,
                one_at_a_time(),
                &[hold(1, 1, 1)],
                hold(2, 1, 2),
                Outcome::LimitReached,
            )
        },
        Case {
            what: "a patient who is named and has a visit already",
            ..case(
                RuleKey::Limits,
                RuleLayer { holder, ..one_at_a_time() },
                &[Command::Hold(unnamed), hold(2, 1, 2)],
                name(51, 1, 1),
                Outcome::LimitReached,
            )
        },
        Case {
            what: "a hold soon after a release",
            ..case(RuleKey::Cooldown, cooling(), &released, hold(2, 1, 2), Outcome::CoolingDown)
        },
        Case {
            what: "joining soon after a release",
            ..case(RuleKey::Cooldown, cooling(), &released, join(2, 1), Outcome::CoolingDown)
        },
        Case {
            what: "a hold of who gave one up",
            ..case(RuleKey::Violations, releases(), &released, hold(2, 1, 2), Outcome::Restricted)
        },
        Case {
            what: "a hold of who did not come",
            before: missed,
            ..case(
                RuleKey::NoShow,
                RuleLayer { no_show: Some(once()), ..RuleLayer::default() },
                &[],
                hold(2, 1, 2),
                Outcome::Restricted,
            )
        },
        Case {
            what: "a cancel after the deadline",
            ..case(
                RuleKey::Cancel,
                day_before(),
                &[booked(1, 1, 1)],
                change(51, 1, Action::Cancel),
                Outcome::CancelTooLate,
            )
        },
        Case {
            what: "a move after the deadline",
            ..case(
                RuleKey::Cancel,
                day_before(),
                &[booked(1, 1, 1)],
                move_to(51, 1, 2),
                Outcome::CancelTooLate,
            )
        },
        Case {
            what: "a booking without a payment",
            ..case(
                RuleKey::Payment,
                paid_online(),
                &[hold(1, 1, 1)],
                change(51, 1, Action::Book { payment: PaymentRef(0) }),
                Outcome::PaymentMissing,
            )
        },
        Case {
            what: "a hold that is booked at once without a payment",
            ..case(RuleKey::Payment, paid_online(), &[], booked(1, 1, 1), Outcome::PaymentMissing)
        },
        Case {
            what: "a late payment that books again",
            wait: 30,
            ..case(
                RuleKey::Payment,
                paid_online(),
                &[hold(1, 1, 1)],
                pay(51, 1),
                Outcome::PaymentRefundable,
            )
        },
        Case {
            what: "a hold for one patient more of an account",
            ..case(
                RuleKey::Persons,
                one_patient(),
                &[hold_by_account(1, 1)],
                hold_by_account(2, 2),
                Outcome::PersonLimit,
            )
        },
        Case {
            what: "joining for one patient more of an account",
            ..case(
                RuleKey::Persons,
                one_patient(),
                &[hold_by_account(1, 1)],
                join(2, 2),
                Outcome::PersonLimit,
            )
        },
        Case {
            what: "waiting for one session more",
            ..case(RuleKey::Waitlist, nobody_waits(), &[], join(2, 1), Outcome::WaitLimit)
        },
    ]
}

#[test]
fn what_a_rule_in_shadow_would_have_refused_is_granted_and_counted_once() {
    let cases = cases();
    for case in &cases {
        let what = case.what;
        for mode in [RuleMode::Enforce, RuleMode::Shadow] {
            let rules = rules(case.says.clone());
            let is_tried = mode == RuleMode::Shadow;
            let mut node = node(if is_tried { rules.in_shadow() } else { rules });
            for (wait, role, command) in &case.before {
                node.later(wait * MINUTE);
                let done = ask(&node, *role, command).result;
                assert!(done.is_ok(), "{what}: {command:?}: {done:?}");
            }
            node.later(case.wait * MINUTE);
            assert_eq!(counted(&node), [], "{what}: what was done before is allowed");
            for is_again in [false, true] {
                let answer = ask(&node, Role::Gateway, &case.asked).result;
                if is_tried {
                    let receipt = answer.unwrap_or_else(|why| panic!("{what}: {why:?}"));
                    assert_eq!(receipt.retried, is_again, "{what}");
                    assert_eq!(counted(&node), [(case.key, 1)], "{what}");
                } else {
                    assert_eq!(answer.unwrap_err().outcome, case.outcome, "{what}");
                    assert_eq!(counted(&node), [], "{what}");
                }
            }
        }
    }
    // Rates count for themselves; nobody is refused for probing itself; the others have no mode.
    for key in RuleKey::ALL {
        let is_tried = cases.iter().any(|case| case.key == key);
        let has_none = matches!(
            key,
            RuleKey::Rates
                | RuleKey::Probing
                | RuleKey::Holder
                | RuleKey::Appeal
                | RuleKey::Notice
                | RuleKey::Staff
        );
        assert_ne!(is_tried, has_none, "{}", key.name());
    }
}

#[test]
fn each_of_several_rules_in_shadow_is_counted_and_what_is_refused_anyhow_is_not() {
    let layer = RuleLayer { cooldown: cooling().cooldown, ..one_at_a_time() };
    let node = node(rules(layer).in_shadow());
    for command in [hold(1, 1, 1), hold(2, 1, 2), change(50, 1, Action::Release)] {
        ask(&node, Role::Gateway, &command).result.unwrap();
    }
    assert_eq!(counted(&node), [(RuleKey::Limits, 1)], "one who has two");
    let other = ask(&node, Role::Gateway, &hold(3, 1, 2)).result;
    assert_eq!(other.unwrap_err().outcome, Outcome::AlreadyHasAppointment);
    assert_eq!(counted(&node), [(RuleKey::Limits, 1)], "it was refused by no rule in shadow");
    ask(&node, Role::Gateway, &hold(4, 1, 1)).result.unwrap();
    assert_eq!(counted(&node), [(RuleKey::Limits, 2), (RuleKey::Cooldown, 1)]);
}

#[test]
fn a_nearer_limit_in_shadow_hides_a_farther_one_and_is_counted_for_itself() {
    let [limit] = one_at_a_time().limits.as_slice().try_into().unwrap();
    let near = RuleLayer {
        scope: RuleScope::Organization(OrganizationId(1)),
        limits: vec![BookingLimit { most: 2, mode: RuleMode::Shadow, ..limit }],
        ..RuleLayer::default()
    };
    let layers = vec![one_at_a_time(), near];
    let node = node(Rules { layers, ..Rules::default() });
    node.open(build::session(4, &[9]));
    for (number, session, count) in [(1, 1, None), (2, 2, None), (3, 4, Some(1))] {
        ask(&node, Role::Gateway, &hold(number, 1, session)).result.unwrap();
        let told: Vec<_> = count.map(|count| (RuleKey::Limits, count)).into_iter().collect();
        assert_eq!(counted(&node), told, "number {number} of two");
    }
}
