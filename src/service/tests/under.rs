//! Every command is decided under the rules in force, and its record says so.

use super::Node;
use crate::engine::tests::build::{self, DAY, KEY, MINUTE};
use crate::model::{
    AccountId, Action, Actor, AddPlace, Amend, Amendment, Appeal, AppealRule, ApplyRules,
    Attendance, Attributes, Beacon, BlockSession, CallNext, ChannelSet, CivilTime, ClientKeys,
    Command, Consequence, DrawHash, DrawId, EvidenceRef, Fact, Facts, Hold, Holder, HolderRule,
    JoinWaitlist, LatePayment, LateRule, LeaveWaitlist, MergePatients, NamePatient, Operation,
    OperationKind, Order, OrderRule, PatientClass, PatientId, Pay, PaymentKind, PaymentMode,
    PaymentRef, PaymentRule, PoolIndex, Refund, Reschedule, ResourceId, Restrict, RestrictionId,
    ReturnRule, RevealDraw, Role, RuleLayer, RuleMode, RuleScope, Rules, RulesVersion, Sequence,
    Session, SessionId, SessionTerms, SetQuotas, SlotIndex, Substitute, Term, Timestamp, Undecided,
    WaitlistRule,
};
use crate::service::audit::of_records;

const V1: RulesVersion = RulesVersion(1);

fn rules(from: Timestamp) -> Rules {
    let payment = PaymentRule {
        by: PaymentMode::SelfPay,
        channels: ChannelSet(1 << 3),
        late: LatePayment::Rebook,
        order: Some(OrderRule { minutes: 30, times: 2 }),
        mode: RuleMode::Enforce,
    };
    let appeal = AppealRule {
        term: Term::Days(3),
        is_suspending: false,
        per_restriction: 1,
        undecided: Undecided::Lifted,
    };
    let layer = RuleLayer {
        payment: Some(payment),
        holder: Some(HolderRule { by: Holder::Account, limit: 2 }),
        appeal: Some(appeal),
        ..RuleLayer::default()
    };
    Rules { from, civil: CivilTime::default(), layers: vec![layer], ..Rules::default() }
}

fn apply(number: u128, from: Timestamp) -> Command {
    Command::ApplyRules(ApplyRules { request: build::request(number), rules: rules(from) }.into())
}

fn open(session: Session) -> Command {
    Command::OpenSession(build::open(session).into())
}

fn hold(id: u128, session: u64) -> Command {
    Command::Hold(build::hold(id, id, [build::any(session)]))
}

fn change(number: u128, id: u128, action: Action) -> Command {
    Command::Change(build::change(number, id, action))
}

/// Full of one, with a queue, a waitlist, and places that go to it.
fn waited() -> Session {
    let rule = WaitlistRule {
        entries_max: 10,
        priority: build::EQUAL,
        draw_millis: 0,
        offer_millis: 30 * 60_000,
        near_offer_millis: 30 * 60_000,
        near_millis: 0,
        hours: None,
        closes_at: build::MORNING.plus_millis(50 * MINUTE),
    };
    let delay = crate::model::Delay { min_millis: 60_000, max_millis: 60_000 };
    let attendance = Attendance {
        check_in_from: 2 * 60 * 60_000,
        pick_up_until: None,
        grace: 60_000,
        late_until: 60 * 60_000,
        late: LateRule::Every(1),
    };
    let terms = SessionTerms {
        attendance: Some(attendance),
        returns: ReturnRule::WaitlistFirst(delay),
        waitlist: Some(Box::new(rule)),
        ..SessionTerms::default()
    };
    Session { terms, ..build::session(2, &[1]) }
}

fn drawn() -> Session {
    let mut session = build::drawn(3, &[1]);
    let draw = session.pools[0].terms.draw.as_mut().unwrap();
    let until = build::MORNING.plus_millis(10 * MINUTE);
    draw.beacon = Some(Beacon { name: DrawHash([1; 32]), until });
    session
}

fn join(number: u128, patient: u128) -> Command {
    Command::JoinWaitlist(Box::new(JoinWaitlist {
        request: build::request(number),
        patient: PatientId(patient),
        account: None,
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: std::iter::once(SessionId(2)).collect(),
    }))
}

/// What is about a place: two minutes after the rules are in force.
fn of_places() -> Vec<(Role, Command)> {
    use Role::{Admin, Counter, Gateway, Practitioner};
    let (request, appointment) = (build::request, build::appointment);
    let (channel, class) = (build::channel(0), PatientClass::Outpatient);
    let book = |payment| Action::Book { payment: PaymentRef(payment) };
    let draw = DrawId { session: SessionId(3), pool: PoolIndex(0) };
    let beacon = RevealDraw { request: request(100), draw, beacon: "abc".to_owned() };
    let quotas =
        SetQuotas { request: request(101), session: SessionId(1), quotas: vec![vec![9, 9, 9]] };
    let substitute = Substitute {
        request: request(102),
        session: SessionId(1),
        resource: ResourceId(77),
        reason: 1,
        by: None,
    };
    let block = BlockSession {
        request: request(103),
        session: SessionId(1),
        first: SlotIndex(2),
        count: 1,
        is_blocked: true,
        reason: 1,
        by: None,
    };
    let add = AddPlace {
        appointment: appointment(90),
        patient: PatientId(90),
        session: SessionId(1),
        slot: SlotIndex(0),
        channel,
        class,
        payment: None,
        reason: 1,
        by: None,
    };
    let reschedule = Reschedule {
        request: request(104),
        appointment: appointment(1),
        patient: None,
        channel,
        claims: std::iter::once(build::at(1, 1)).collect(),
    };
    let leave = LeaveWaitlist {
        request: request(105),
        entry: request(106),
        patient: PatientId(50),
        channel,
    };
    vec![
        (Admin, open(build::session(9, &[9]))),
        (Admin, Command::RevealDraw(beacon.into())),
        (Gateway, hold(1, 1)),
        (Gateway, change(110, 1, book(7))),
        (Gateway, Command::Reschedule(reschedule.into())),
        (Gateway, change(111, 1, Action::Cancel)),
        (Gateway, hold(2, 1)),
        (Gateway, change(112, 2, Action::Release)),
        (Admin, Command::SetQuotas(quotas.into())),
        (Admin, Command::Substitute(substitute)),
        (Practitioner, Command::BlockSession(block)),
        (Practitioner, Command::AddPlace(add)),
        (Gateway, hold(3, 2)),
        (Gateway, change(113, 3, book(0))),
        (Gateway, join(106, 50)),
        (Gateway, Command::LeaveWaitlist(leave)),
        (Gateway, join(107, 51)),
        (Counter, change(114, 3, Action::Arrive)),
        (Counter, change(115, 3, Action::CheckIn)),
        (Counter, Command::CallNext(CallNext { request: request(116), session: SessionId(2) })),
        (Practitioner, change(117, 3, Action::Fulfil)),
    ]
}

/// What is about money and about patients.
fn of_persons() -> Vec<(Role, Command)> {
    use Role::{Admin, Counter, Gateway};
    let (request, appointment) = (build::request, build::appointment);
    let (channel, class) = (build::channel(0), PatientClass::Outpatient);
    let until = build::MORNING.plus_millis(20 * MINUTE);
    let (patient, id) = (PatientId(60), appointment(4));
    let keys = ClientKeys { account: Some(AccountId(8)), ..ClientKeys::default() };
    let order = Order { request: request(200), appointment: id, patient: None, channel, until };
    let pay = Pay {
        request: request(201),
        appointment: id,
        patient: None,
        channel,
        kind: PaymentKind::SelfPay,
        payment: PaymentRef(5),
    };
    let refund = Refund {
        request: request(203),
        appointment: id,
        payment: PaymentRef(5),
        reference: PaymentRef(6),
    };
    let name = NamePatient {
        request: request(204),
        appointment: appointment(5),
        patient,
        keys,
        channel,
        class,
        attributes: Attributes::default(),
    };
    let restrict = Restrict {
        request: request(205),
        patient,
        within: RuleScope::Region,
        consequence: Consequence::Refuse { but: ChannelSet(0) },
        from: Timestamp::default(),
        until: build::MORNING.plus_millis(30 * DAY),
        evidence: EvidenceRef(7),
        reason: 4,
    };
    let (restriction, evidence) = (RestrictionId(request(205).0), EvidenceRef(0));
    let appeal = Appeal { request: request(206), patient, restriction, evidence, channel };
    let amend = Amend {
        request: request(207),
        patient,
        restriction,
        amendment: Amendment::Lift,
        evidence,
        reason: 1,
    };
    let merge = MergePatients { request: request(208), from: patient, into: PatientId(61) };
    let unnamed = Hold { patient: None, keys, ..build::hold(5, 0, [build::any(1)]) };
    vec![
        (Gateway, hold(4, 1)),
        (Gateway, Command::Order(order)),
        (Gateway, Command::Pay(pay)),
        (Gateway, change(202, 4, Action::Cancel)),
        (Admin, Command::Refund(refund)),
        (Gateway, Command::Hold(unnamed)),
        (Gateway, Command::NamePatient(name.into())),
        (Admin, Command::Restrict(restrict.into())),
        (Gateway, Command::Appeal(appeal.into())),
        (Admin, Command::Amend(amend.into())),
        (Admin, Command::MergePatients(merge)),
        (Counter, hold(6, 1)),
        (Counter, change(210, 6, Action::Book { payment: PaymentRef(0) })),
        (Admin, apply(212, build::MORNING.plus_millis(3 * DAY))),
    ]
}

fn asked(node: &Node, role: Role, command: &Command) -> Sequence {
    let answer = node.service.call(node.now, &Actor::unbounded(role), command);
    answer.result.unwrap_or_else(|refusal| panic!("{command:?}: {refusal:?}"));
    answer.after
}

fn named(facts: &Facts) -> Vec<RulesVersion> {
    facts.iter().filter_map(Fact::under).collect()
}

/// What every record says of the rules, from one record on.
fn named_from(node: &Node, first: Sequence) -> Vec<(Facts, Vec<RulesVersion>)> {
    node.commit();
    let records = node.records().into_iter().filter(|(sequence, ..)| first <= *sequence);
    records.map(|(.., facts)| (facts.clone(), named(&facts))).collect()
}

#[test]
fn every_command_is_decided_under_the_rules_in_force_and_says_so_once() {
    let mut node = Node::new();
    node.service.set_draw_key(KEY.clone());
    asked(&node, Role::Admin, &open(build::session(1, &[9, 9, 9])));
    let last = asked(&node, Role::Admin, &apply(99, node.now.plus_millis(10_000)));
    node.later(10_000);
    asked(&node, Role::Admin, &open(waited()));
    asked(&node, Role::Admin, &open(drawn()));
    node.later(60_000);
    asked(&node, Role::Gateway, &hold(30, 3));
    node.later(60_000);
    let mut seen = vec![Operation::OpenWithTerms];
    for (role, command) in of_places().into_iter().chain(of_persons()) {
        asked(&node, role, &command);
        seen.push(command.operation());
    }
    // Their slot has begun.
    node.later(60 * MINUTE);
    asked(&node, Role::Counter, &change(211, 6, Action::NoShow));
    seen.push(Operation::NoShow);
    let unseen = Operation::ALL.into_iter().filter(|operation| {
        operation.kind() == OperationKind::Command && !seen.contains(operation)
    });
    assert_eq!(unseen.collect::<Vec<_>>(), [], "every command is in the table");
    for (facts, named) in named_from(&node, last.next()) {
        assert_eq!(named, [V1], "{facts:?}");
    }
    let report = of_records(&node.records());
    assert!(report.is_clean(), "{:?}", report.faults);
}

#[test]
fn what_the_node_does_unasked_is_decided_under_the_rules_in_force() {
    let mut node = Node::new();
    node.service.set_draw_key(KEY.clone());
    asked(&node, Role::Admin, &apply(99, node.now.plus_millis(10_000)));
    node.later(10_000);
    let first = asked(&node, Role::Admin, &open(build::session(1, &[9, 9, 9])));
    asked(&node, Role::Admin, &open(drawn()));
    asked(&node, Role::Admin, &open(waited()));
    node.later(60_000);
    asked(&node, Role::Gateway, &hold(30, 3));
    asked(&node, Role::Gateway, &hold(31, 2));
    for (role, command) in of_places().into_iter().filter(|(_, command)| {
        matches!(command, Command::JoinWaitlist(_) | Command::BlockSession(_))
    }) {
        asked(&node, role, &command);
    }
    asked(&node, Role::Gateway, &change(301, 31, Action::Release));
    for _ in 0..60 {
        node.later(60_000);
        node.service.tick(node.now);
    }
    node.later(3 * DAY);
    node.service.forget(node.now);
    let records = named_from(&node, first);
    for name in ["Swept", "PlaceOffered", "Expired", "DrawRevealed", "DrawWon", "Forgotten"] {
        let happened = records.iter().any(|(facts, _)| facts.iter().any(|it| it.name() == name));
        assert!(happened, "{name} never happened");
    }
    for (facts, named) in records {
        assert_eq!(named, [V1], "{facts:?}");
    }
}

#[test]
fn a_record_that_names_other_rules_than_those_in_force_is_a_fault_by_the_rules() {
    let mut node = Node::new();
    asked(&node, Role::Admin, &apply(99, node.now.plus_millis(10_000)));
    node.later(10_000);
    asked(&node, Role::Admin, &open(build::session(1, &[9, 9, 9])));
    asked(&node, Role::Gateway, &hold(1, 1));
    node.commit();
    let records = node.records();
    // As an older release wrote it: nobody said under which rules.
    let mut unsaid = records.clone();
    unsaid[1].2.pop();
    for (number, said, is_fault) in
        [(1, Some(V1), false), (1, None, false), (1, Some(RulesVersion(2)), true)]
    {
        let mut changed = if said.is_none() { unsaid.clone() } else { records.clone() };
        if let (Some(version), Some(Fact::DecidedUnder(under))) =
            (said, changed[number].2.last_mut())
        {
            *under = version;
        }
        let faults = of_records(&changed).faults;
        let expected = "record 2: by the rules: it names others than those in force";
        assert_eq!(faults.contains(&expected.to_owned()), is_fault, "{said:?}: {faults:?}");
    }
    let mut held = records;
    let [Fact::Held(fact)] = held[2].2.as_mut_slice() else { panic!("a hold names them itself") };
    fact.rules = RulesVersion(0);
    assert_eq!(
        of_records(&held).faults,
        ["record 3: by the rules: it names others than those in force"]
    );
}
