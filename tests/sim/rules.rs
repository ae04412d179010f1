//! The rules of a run: soon reached, soon over, and now and then wrong.

use haoyuan::model::{
    Amendment, AppealRule, Begins, BookingLimit, CancelRule, Changes, ChannelSet, CivilTime,
    ClassSet, Consequence, CooldownLength, CooldownRule, CountedOf, Counts, DayOf, Deadline,
    DepartmentId, EndingSet, EvidenceRef, Holder, HolderRule, LateCancel, LatePayment, LimitKey,
    LimitScope, NewPatients, NoShowRule, OrderRule, OrganizationId, PatientId, PaymentMode,
    PaymentRule, Period, PersonsRule, ProbingRule, RequestId, Restrict, RuleLayer, RuleMode,
    RuleScope, Rules, RulesVersion, ScopeKind, Term, TieRule, Tier, Timestamp, Undecided,
    Violation, ViolationRule, WaitCounts, WaitKey, WaitLimit, Window,
};

use crate::random::Random;
use crate::sessions::MINUTE;

/// Rules for everybody, and sometimes others for a hospital or a department.
pub(crate) fn rules(
    random: &mut Random,
    now: Timestamp,
    (is_billing, is_desk): (bool, bool),
) -> Rules {
    let scopes = [
        RuleScope::Region,
        RuleScope::Organization(OrganizationId(1)),
        RuleScope::Department(OrganizationId(1), DepartmentId(1)),
    ];
    let count = usize::try_from(random.between(1, 3)).unwrap();
    let layers = scopes.into_iter().take(count).map(|scope| RuleLayer {
        scope,
        no_show: random.chance(900).then(|| no_show(random)),
        violations: violations(now, scope),
        probing: probing(now, scope),
        limits: if random.chance(300) { vec![limit(random)] } else { Vec::new() },
        cancel: random.chance(if is_billing { 700 } else { 50 }).then(|| cancel(random)),
        payment: random.chance(if is_billing { 900 } else { 50 }).then(|| payment(random)),
        holder: random.chance(if is_billing { 900 } else { 50 }).then(|| HolderRule {
            by: random.pick(&[Holder::Account, Holder::Account, Holder::Account, Holder::Patient]),
            limit: u8::try_from(random.between(1, 3)).unwrap(),
        }),
        appeal: (is_desk && random.chance(700)).then(|| appeal(random)),
        waitlist: if random.chance(300) { [wait_limit(random)].into() } else { Box::default() },
        cooldown: if random.chance(300) { vec![cooldown(random)] } else { Vec::new() },
        persons: random
            .chance(if is_billing { 700 } else { 250 })
            .then(|| Box::new(persons(random))),
        ..RuleLayer::default()
    });
    Rules {
        version: RulesVersion::default(),
        notice_days: 0,
        layers: layers.collect(),
        civil: CivilTime(vec![(Timestamp::default(), random.pick(&[0, 480, -300]))]),
        from: now.plus_millis(random.below(if is_billing { MINUTE / 3 } else { 2 * MINUTE })),
    }
}

/// Now and then a rule of what else counts against somebody: little is enough. It has chances of its own,
/// which follow from the time.
fn violations(now: Timestamp, scope: RuleScope) -> Vec<ViolationRule> {
    let random = &mut Random::new(now.as_millis() ^ scope.kind() as u64);
    if !random.chance(300) {
        return Vec::new();
    }
    let mut rule = no_show(random);
    rule.window = random.pick(&[Window::Days(2), Window::Month, Window::Year]);
    if rule.begins == Begins::FirstStrike {
        rule.is_used_up = false;
    }
    let counts = random.pick(&[
        [Violation::Cancel, Violation::Release],
        [Violation::Unpaid, Violation::Release],
        [Violation::SameDayCancel, Violation::Unpaid],
        [Violation::Booking, Violation::Booking],
        [Violation::Probing, Violation::Unpaid],
        [Violation::Late, Violation::Missed],
        [Violation::Missed, Violation::Late],
    ]);
    let of =
        random.pick(&[CountedOf::Patient, CountedOf::Account, CountedOf::Phone, CountedOf::Phone]);
    vec![ViolationRule { counts: counts.into_iter().collect(), of, rule }]
}

/// Often a rule about who probes, with chances of its own too: two or three refusals are enough.
fn probing(now: Timestamp, scope: RuleScope) -> Option<ProbingRule> {
    let random = &mut Random::new(now.as_millis() ^ 0x9b ^ (scope.kind() as u64) << 32);
    random.chance(600).then(|| ProbingRule {
        refusals: random.pick(&[2, 2, 3]),
        minutes: random.pick(&[1, 60, 1_440]),
        of: random.pick(&[CountedOf::Patient, CountedOf::Account, CountedOf::Phone]),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    })
}

/// How many appointments somebody may have: few.
fn limit(random: &mut Random) -> BookingLimit {
    let key = LimitKey {
        within: random.pick(&[LimitScope::Region, LimitScope::Department, LimitScope::Session]),
        period: random.pick(&[Period::Day, Period::Week, Period::Days(3), Period::Year]),
        by: random.pick(&[DayOf::Visit, DayOf::Booking]),
        counts: random.pick(&[Counts::Live, Counts::All, Counts::All, Counts::Operations]),
    };
    let most = u16::try_from(random.between(1, 4)).unwrap();
    let mode = random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]);
    BookingLimit { key, most, mode }
}

/// How much somebody may wait for: one or two.
fn wait_limit(random: &mut Random) -> WaitLimit {
    let within = random.pick(&[ScopeKind::Region, ScopeKind::Organization, ScopeKind::Department]);
    let counts = random.pick(&[WaitCounts::Sessions, WaitCounts::Resources]);
    let most = u16::try_from(random.between(1, 2)).unwrap();
    let mode = random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]);
    WaitLimit { key: WaitKey { within, counts }, most, mode }
}

/// How long one waits after giving a place up: not for long.
fn cooldown(random: &mut Random) -> CooldownRule {
    CooldownRule {
        after: random.pick(&[EndingSet::ALL, EndingSet(1), EndingSet(2), EndingSet(4)]),
        within: random.pick(&[ScopeKind::Schedule, ScopeKind::Department, ScopeKind::Region]),
        length: random.pick(&[
            CooldownLength::Minutes(2),
            CooldownLength::Minutes(20),
            CooldownLength::Hours(1),
            CooldownLength::Days(1),
            CooldownLength::Returned(1),
            CooldownLength::Returned(0),
        ]),
        of: random.pick(&[CountedOf::Patient, CountedOf::Account, CountedOf::Phone]),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    }
}

fn cancel(random: &mut Random) -> CancelRule {
    CancelRule {
        until: match random.below(4) {
            0 => Deadline::Minutes(10),
            1 => Deadline::Minutes(60),
            2 => Deadline::Days { days: 0, minute: 0 },
            _ => Deadline::HalfDays(1),
        },
        later: ChannelSet(random.pick(&[0, 0, 0b0010])),
        late: random.pick(&[LateCancel::Refuse, LateCancel::Mark]),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    }
}

fn payment(random: &mut Random) -> PaymentRule {
    PaymentRule {
        by: random.pick(&[
            PaymentMode::SelfPay,
            PaymentMode::SelfPayOrInsurance,
            PaymentMode::AtPickUp,
            PaymentMode::PreAuthorization,
        ]),
        channels: ChannelSet(random.pick(&[u64::MAX, u64::MAX, 0b0001])),
        late: random.pick(&[LatePayment::Rebook, LatePayment::Rebook, LatePayment::Refund]),
        order: random.chance(950).then(|| OrderRule {
            minutes: u16::try_from(random.between(1, 15)).unwrap(),
            times: random.pick(&[1, 1, 2]),
        }),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    }
}

/// Accounts and telephones of few patients, who may change now and then.
fn persons(random: &mut Random) -> PersonsRule {
    let mut few = || u8::try_from(random.between(1, 2)).unwrap();
    let (of_account, of_phone) = (few(), few());
    let changes = random.chance(500).then_some(Changes { most: 1, period: Period::Days(2) });
    PersonsRule {
        account: Some(TieRule { patients: of_account, accounts: 0, changes }),
        phone: Some(TieRule { patients: of_phone, accounts: 2, changes: None }),
        patient: random.chance(300).then_some(TieRule { patients: 0, accounts: 2, changes }),
        new_patients: random.chance(300).then_some(NewPatients { most: 1, minutes: 10 }),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    }
}

fn appeal(random: &mut Random) -> AppealRule {
    AppealRule {
        term: random.pick(&[Term::Days(1), Term::Days(2), Term::MonthEnd]),
        is_suspending: random.chance(500),
        per_restriction: random.pick(&[1, 1, 2]),
        undecided: random.pick(&[Undecided::Stands, Undecided::Lifted]),
    }
}

/// A restriction by hand, now and then one that ends before it begins.
pub(crate) fn restrict(
    random: &mut Random,
    request: RequestId,
    patient: PatientId,
    now: Timestamp,
) -> Restrict {
    Restrict {
        request,
        patient,
        within: random.pick(&[RuleScope::Region, RuleScope::Organization(OrganizationId(1))]),
        consequence: random.pick(&[
            Consequence::Refuse { but: ChannelSet(0) },
            Consequence::Refuse { but: ChannelSet(0b0011) },
            Consequence::RefuseBut { channels: ChannelSet::ALL, classes: ClassSet(1 << 4) },
            Consequence::Lower(1),
            Consequence::Fewer(1),
            Consequence::Fewer(2),
        ]),
        from: random.pick(&[Timestamp::default(), now.plus_millis(30 * MINUTE)]),
        until: now.plus_millis(random.below(300) * MINUTE),
        evidence: EvidenceRef(u128::from(random.below(3))),
        reason: 1,
    }
}

/// What is done about a restriction.
pub(crate) fn amendment(random: &mut Random, now: Timestamp) -> Amendment {
    let until = now.plus_millis(random.below(60) * MINUTE);
    random.pick(&[
        Amendment::Lift,
        Amendment::Suspend { until },
        Amendment::Suspend { until },
        Amendment::Resume,
        Amendment::Uphold,
        Amendment::Grant,
    ])
}

fn no_show(random: &mut Random) -> NoShowRule {
    let refuse = |but| Consequence::Refuse { but: ChannelSet(but) };
    let most = random.between(1, 2);
    let tier = |more| Tier {
        count: u16::try_from(1 + more).unwrap(),
        consequence: random.pick(&[
            refuse(0),
            refuse(0),
            refuse(0b0011),
            Consequence::Warn,
            Consequence::Lower(1),
            Consequence::Fewer(1),
        ]),
        term: random.pick(&[Term::Days(1), Term::DayEnd, Term::Months(1), Term::MonthEnd]),
    };
    let tiers = (0..most).map(tier).collect();
    let within = random.pick(&[ScopeKind::Region, ScopeKind::Region, ScopeKind::Schedule]);
    let window = random.pick(&[Window::Days(2), Window::Month, Window::InARow, Window::Ever]);
    let begins =
        random.pick(&[Begins::AtOnce, Begins::AtOnce, Begins::FirstStrike, Begins::NextDay]);
    let counting = random.below(1_000);
    NoShowRule {
        tiers,
        within,
        window,
        begins,
        is_used_up: counting < 300,
        is_once: (250..400).contains(&counting),
        mode: random.pick(&[RuleMode::Enforce, RuleMode::Enforce, RuleMode::Shadow]),
    }
}
