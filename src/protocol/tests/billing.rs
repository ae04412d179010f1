//! Samples of payments, orders, refunds, of naming a patient, and of the rules about them.

use super::*;

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let (request, appointment) = (RequestId::from_parts(NOW, 5), id(1));
    let (patient, channel) = (Some(PatientId(0x11)), channel(2));
    let order = Order { request, appointment, patient, channel, until: NOW.plus_millis(1_800_000) };
    let (kind, payment) = (PaymentKind::Insurance, PaymentRef(9));
    let pay = Pay { request, appointment, patient, channel, kind, payment };
    let refund = Refund { request, appointment, payment, reference: PaymentRef(10) };
    let name = NamePatient {
        request,
        appointment,
        patient: PatientId(0x11),
        keys: ClientKeys { account: Some(AccountId(0x22)), ..ClientKeys::default() },
        channel,
        class: PatientClass::Outpatient,
        attributes: Attributes(30),
    };
    let apply = ApplyRules { request, rules: rules() };
    let bills = |appointment, after| Query::ReadBills { appointment, after }.into();
    vec![
        ("order", Request::Command(Command::Order(order))),
        ("pay", Request::Command(Command::Pay(pay))),
        ("refund", Request::Command(Command::Refund(refund))),
        ("name_patient", Request::Command(Command::NamePatient(Box::new(name)))),
        ("read_bills", bills(None, id(2))),
        ("read_bills_of_one", bills(Some(id(1)), AppointmentId(0))),
        ("apply_rules_payment", Request::Command(Command::ApplyRules(Box::new(apply)))),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Reply)> {
    let late = Bill { rebooked: Some(id(2)), refund: RefundState::None, ..bill() };
    let page = BillsPage { bills: vec![bill(), late], next: Some(id(1)) };
    vec![("bills", Reply::Reading(Reading::Bills(Box::new(page))))]
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let (request, appointment, patient) = (RequestId::from_parts(NOW, 2), id(1), PatientId(0x11));
    let rule = RuleRef { version: RulesVersion(3), layer: 1, tier: 0 };
    let left = LeftLate { appointment, patient, deadline: NOW, rule };
    let billed = Billed { request: Some((request, 6)), bill: bill() };
    let until = NOW.plus_millis(1_800_000);
    let ordered = Ordered { request, fingerprint: 6, appointment, until, orders: 1 };
    let claim = Claim { session: SessionId(7), slot: SlotIndex(3), count: 1, pool: PoolIndex(0) };
    let named = PatientNamed {
        request,
        fingerprint: 6,
        appointment,
        account: AccountId(0x22),
        patient,
        class: PatientClass::Outpatient,
        claims: std::iter::once(claim).collect(),
    };
    vec![
        ("left_late", Fact::LeftLate(Box::new(left))),
        ("billed", Fact::Billed(Box::new(billed))),
        ("ordered", Fact::Ordered(ordered)),
        ("patient_named", Fact::PatientNamed(Box::new(named))),
        ("phoned", Fact::Phoned(Phoned { appointment, phone: ClientKey(0x33) })),
    ]
}

fn bill() -> Bill {
    Bill {
        appointment: id(1),
        patient: PatientId(0x11),
        organization: OrganizationId(1),
        kind: PaymentKind::SelfPay,
        payment: PaymentRef(9),
        since: NOW,
        refund: RefundState::Due,
        reference: None,
        rebooked: None,
    }
}

/// Each key, and each form of a deadline.
fn rules() -> Rules {
    let except = [Day(19_685), Day(19_690)].into_iter().collect();
    let deadlines = [
        Deadline::Minutes(30),
        Deadline::Days { days: 1, minute: 900 },
        Deadline::Workdays { days: 2, minute: 1_440, except },
        Deadline::HalfDays(1),
    ];
    let cancel = |until| CancelRule {
        until,
        later: ChannelSet(1),
        late: LateCancel::Mark,
        mode: RuleMode::Enforce,
    };
    let mut layers: Vec<RuleLayer> = deadlines
        .map(|until| RuleLayer { cancel: Some(cancel(until)), ..RuleLayer::default() })
        .into();
    layers.push(RuleLayer {
        payment: Some(PaymentRule {
            by: PaymentMode::SelfPayOrInsurance,
            channels: ChannelSet(6),
            late: LatePayment::Refund,
            order: Some(OrderRule { minutes: 30, times: 1 }),
            mode: RuleMode::Shadow,
        }),
        holder: Some(HolderRule { by: Holder::Account, limit: 2 }),
        ..RuleLayer::default()
    });
    Rules {
        version: RulesVersion(0),
        from: NOW.plus_millis(10_000),
        civil: CivilTime(vec![(Timestamp::default(), 480)]),
        layers,
        ..Rules::default()
    }
}
