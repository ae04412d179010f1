//! Samples of rules, strikes and restrictions.

use super::*;

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let apply = ApplyRules { request: RequestId::from_parts(NOW, 5), rules: rules(0) };
    let rates = ApplyRules { request: RequestId::from_parts(NOW, 7), rules: rates() };
    let notice = ApplyRules {
        request: apply.request,
        rules: Rules { notice_days: 7, layers: Vec::new(), ..rules(0) },
    };
    let late = ApplyRules {
        request: RequestId::from_parts(NOW, 9),
        rules: violations(&[Violation::Late, Violation::Missed]),
    };
    let (patient, channel) = (PatientId(0x11), channel(2));
    vec![
        ("apply_rules_rates", Request::Command(Command::ApplyRules(Box::new(rates)))),
        ("apply_rules", Request::Command(Command::ApplyRules(Box::new(apply)))),
        (
            "apply_rules_violations",
            Request::Command(Command::ApplyRules(Box::new(ApplyRules {
                request: RequestId::from_parts(NOW, 8),
                rules: violations(&[Violation::Cancel, Violation::SameDayCancel]),
            }))),
        ),
        ("apply_rules_notice", Request::Command(Command::ApplyRules(Box::new(notice)))),
        ("read_rules", Query::ReadRules { at: Some(NOW) }.into()),
        ("read_record", Query::ReadRecord { patient, channel }.into()),
        (
            "explain",
            Query::Explain {
                of: ExplainOf::Request { request: RequestId::from_parts(NOW, 1), patient: None },
                channel,
                at: None,
            }
            .into(),
        ),
        (
            "explain_appointment",
            Query::Explain {
                of: ExplainOf::Appointment { appointment: id(1), patient: Some(patient) },
                channel,
                at: None,
            }
            .into(),
        ),
        (
            "explain_patient",
            Query::Explain { of: ExplainOf::Patient(patient), channel, at: Some(NOW) }.into(),
        ),
        ("restrict", Request::Command(Command::Restrict(Box::new(restrict())))),
        ("amend", Request::Command(Command::Amend(Box::new(amend())))),
        ("appeal", Request::Command(Command::Appeal(Box::new(appeal())))),
        ("merge_patients", Request::Command(Command::MergePatients(merge()))),
        ("read_standing", Query::ReadStanding { patient, channel }.into()),
        ("apply_rules_late", Request::Command(Command::ApplyRules(Box::new(late)))),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Reply)> {
    let next = Some((RulesVersion(4), NOW.plus_millis(60_000)));
    let reading = RulesReading { rules: rules(3), next };
    let record = RecordReading { strikes: vec![strike()], restrictions: vec![restriction()] };
    vec![
        ("rules", Reply::Reading(Reading::Rules(Box::new(reading)))),
        ("record", Reply::Reading(Reading::Record(Box::new(record)))),
        ("explained_request", explained(Explained::Request(request_explained()))),
        ("explained_appointment", explained(Explained::Appointment(appointment_explained()))),
        ("explained_patient", explained(Explained::Patient(patient_explained()))),
        ("standing", Reply::Reading(Reading::Standing(Box::new(standing())))),
    ]
}

fn explained(about: Explained) -> Reply {
    let civil = CivilTime(vec![(Timestamp::default(), 480)]);
    Reply::Reading(Reading::Explanation(Box::new(Explanation { civil, about })))
}

fn request_explained() -> ExplainedRequest {
    let refused = RefusedRequest {
        at: NOW,
        operation: Operation::Hold,
        outcome: Outcome::Restricted,
        retry_after_millis: u32::MAX,
        why: Some(why()),
        patient: Some(PatientId(0x11)),
        appointment: None,
        session: Some(SessionId(7)),
        channel: channel(2),
    };
    ExplainedRequest {
        refused: Some(refused),
        declined: None,
        made: None,
        is_done: false,
        kept: 1 << 20,
    }
}

fn appointment_explained() -> ExplainedAppointment {
    let step = |what, by, until| NextStep { what, by, from: Timestamp::default(), until };
    let steps = vec![
        step(Step::Cancel, StepBy::Patient, NOW.plus_millis(60_000)),
        step(Step::NoShow, StepBy::Staff, Timestamp::default()),
    ];
    let appointment = appointment();
    ExplainedAppointment { appointment, start: NOW.plus_millis(60_000), steps }
}

fn patient_explained() -> ExplainedPatient {
    ExplainedPatient {
        at: NOW,
        restrictions: standing().restrictions,
        strikes: vec![CountedStrike { strike: strike(), counts: true, until: NOW }],
        counters: vec![Counter { scope: restriction().within, why: why() }],
    }
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let (request, appointment, patient) = (RequestId::from_parts(NOW, 2), id(1), PatientId(0x11));
    let applied = RulesApplied { request, fingerprint: 6, rules: rules(3) };
    let struck = Struck {
        appointment,
        patient,
        strike: strike(),
        restriction: Some(restriction()),
        is_used_up: false,
    };
    let (key, mode) = (LimitKey::default(), RuleMode::Shadow);
    let rolling = LimitKey {
        within: LimitScope::Department,
        period: Period::Months(3),
        by: DayOf::Booking,
        counts: Counts::All,
    };
    let limits = vec![
        BookingLimit { key, most: BookingLimit::NO_LIMIT, mode },
        BookingLimit { key: rolling, most: 5, mode: RuleMode::Enforce },
    ];
    let layers = vec![RuleLayer { limits, ..RuleLayer::default() }];
    let limits = RulesApplied { rules: Rules { layers, ..rules(4) }, ..applied };
    let key = WaitKey { within: ScopeKind::Department, counts: WaitCounts::Resources };
    let waitlist = [WaitLimit { key, most: 1, mode: RuleMode::Enforce }].into();
    let layers = vec![RuleLayer { waitlist, ..RuleLayer::default() }];
    let waits = RulesApplied { rules: Rules { layers, ..rules(5) }, ..applied };
    let place = strike().place;
    let visit = Visit { place, appointment_type: 2, day: Day(20_833), half: HalfDay::Afternoon };
    let recorded = Recorded {
        patient,
        ending: Ending::Cancelled,
        booked: Day(20_803),
        ended: Day(20_832),
        visits: [visit].into_iter().collect(),
    };
    let mut late_merged = merged();
    late_merged.estate.past[0].ending = Ending::Late;
    let late = Recorded { ending: Ending::Late, ..recorded.clone() };
    vec![
        ("rules_applied", Fact::RulesApplied(Box::new(applied))),
        ("struck", Fact::Struck(Box::new(struck))),
        ("barred", Fact::Barred(Box::new(barred()))),
        ("limits_applied", Fact::RulesApplied(Box::new(limits))),
        ("recorded_late", Fact::Recorded(Box::new(late))),
        ("recorded", Fact::Recorded(Box::new(recorded))),
        ("wait_limits_applied", Fact::RulesApplied(Box::new(waits))),
        ("restricted", Fact::Restricted(Box::new(restricted()))),
        ("amended", Fact::Amended(Box::new(amended()))),
        ("patients_merged", Fact::PatientsMerged(Box::new(merged()))),
        ("patients_merged_late", Fact::PatientsMerged(Box::new(late_merged))),
        ("decided_under", Fact::DecidedUnder(RulesVersion(7))),
    ]
}

fn restrict() -> Restrict {
    Restrict {
        request: RequestId::from_parts(NOW, 6),
        patient: PatientId(0x11),
        within: RuleScope::Organization(OrganizationId(1)),
        consequence: named_pools(),
        from: NOW,
        until: NOW.plus_millis(86_400_000),
        evidence: EvidenceRef(0x77),
        reason: 4,
    }
}

const fn named_pools() -> Consequence {
    Consequence::RefuseBut { channels: ChannelSet(1 << 3), classes: ClassSet(0b1000) }
}

fn amend() -> Amend {
    Amend {
        request: RequestId::from_parts(NOW, 7),
        patient: PatientId(0x11),
        restriction: RestrictionId(restrict().request.0),
        amendment: Amendment::Suspend { until: NOW.plus_millis(3_600_000) },
        evidence: EvidenceRef(0x78),
        reason: 5,
    }
}

fn appeal() -> Appeal {
    Appeal {
        request: RequestId::from_parts(NOW, 8),
        patient: PatientId(0x11),
        restriction: RestrictionId(restrict().request.0),
        evidence: EvidenceRef(0x79),
        channel: channel(2),
    }
}

const fn ground(reason: u16, evidence: u128) -> Ground {
    Ground { by: Role::Admin, reason, evidence: EvidenceRef(evidence) }
}

fn restricted() -> Restricted {
    let Restrict { request, patient, within, consequence, from, until, .. } = restrict();
    let restriction = Restriction {
        within,
        cause: RestrictionCause::Staff,
        consequence,
        from,
        until,
        rule: RuleRef { version: RulesVersion(3), layer: 0, tier: 0 },
        count: 0,
        since: Day(0),
        ..restriction()
    };
    Restricted { request, fingerprint: 6, patient, restriction, ground: ground(4, 0x77) }
}

fn amended() -> Amended {
    let term = AppealTerm {
        due: NOW.plus_millis(86_400_000),
        is_suspending: true,
        undecided: Undecided::Lifted,
        rules: RulesVersion(3),
    };
    let step = RestrictionStep {
        request: appeal().request,
        at: NOW,
        ground: Ground { by: Role::Gateway, ..ground(0, 0x79) },
        what: StepKind::Appealed(term),
    };
    let (patient, restriction) = (appeal().patient, appeal().restriction);
    Amended { fingerprint: 8, patient, restriction, step }
}

fn standing() -> StandingReading {
    let Restricted { request, restriction, ground: made, .. } = restricted();
    let suspended = RestrictionStep {
        request: amend().request,
        at: NOW,
        ground: ground(5, 0x78),
        what: StepKind::Suspended(NOW.plus_millis(3_600_000)),
    };
    let kept = KeptRestriction {
        id: RestrictionId(request.0),
        restriction,
        ground: Some(made),
        steps: vec![suspended, amended().step],
    };
    StandingReading {
        patient: PatientId(0x11),
        keys: vec![PatientId(0x12)],
        doubled: 1,
        restrictions: vec![(RestrictionState::Suspended, kept)],
    }
}

const fn merge() -> MergePatients {
    let request = RequestId::from_parts(NOW, 9);
    MergePatients { request, from: PatientId(0x11), into: PatientId(0x12) }
}

fn merged() -> PatientsMerged {
    let MergePatients { request, from, into } = merge();
    let kept = standing().restrictions.remove(0).1;
    let target = WaitTarget {
        session: SessionId(8),
        priority: 2,
        order: WaitOrder::Time,
        drawn_at: Timestamp::default(),
    };
    let entry = WaitEntry {
        entry: RequestId::from_parts(NOW, 3),
        patient: from,
        account: None,
        channel: channel(2),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        joined: NOW,
        earliest: NOW,
        latest: Timestamp::MAX,
        targets: std::iter::once(target).collect(),
    };
    let visit = |day: u32| Visit {
        place: strike().place,
        appointment_type: 3,
        day: Day(day),
        half: HalfDay::Afternoon,
    };
    let past = |day: u32, is_joined: bool| Past {
        visit: visit(day),
        ending: Ending::Fulfilled,
        booked: Day(19_700),
        ended: Day(19_710),
        is_joined,
    };
    let line =
        KeptLine { appointment: id(1), session: SessionId(7), slot: SlotIndex(3), since: NOW };
    let estate = Estate {
        live: vec![line],
        waits: vec![(entry, None)],
        strikes: vec![(strike(), false, true)],
        restrictions: vec![kept],
        past: vec![past(19_710, false), past(19_711, true)],
    };
    PatientsMerged { request, fingerprint: 9, from, into, keys: vec![PatientId(0x10)], estate }
}

fn rules(version: u32) -> Rules {
    let tier = |count, consequence, term| Tier { count, consequence, term };
    let no_show = NoShowRule {
        within: ScopeKind::Department,
        window: Window::Months(3),
        begins: Begins::NextDay,
        is_used_up: true,
        is_once: false,
        mode: RuleMode::Shadow,
        tiers: [
            tier(1, Consequence::Warn, Term::MonthEnd),
            tier(2, Consequence::Lower(1), Term::Days(30)),
            tier(3, Consequence::Refuse { but: ChannelSet(1) }, Term::Months(3)),
        ]
        .into_iter()
        .collect(),
    };
    let children = RuleCondition {
        classes: ClassSet(1),
        ages: (0, 13),
        on_file: Some(true),
        first_visit: None,
        id_kinds: 1,
    };
    let layers = vec![
        RuleLayer { no_show: Some(no_show), ..RuleLayer::default() },
        RuleLayer {
            scope: RuleScope::Department(OrganizationId(1), DepartmentId(12)),
            when: children,
            ..RuleLayer::default()
        },
    ];
    Rules {
        version: RulesVersion(version),
        from: NOW.plus_millis(10_000),
        civil: CivilTime(vec![(Timestamp::default(), 480)]),
        notice_days: 0,
        layers,
    }
}

fn rates() -> Rules {
    let rate = RateRule {
        per: RateKey::Address,
        rate: 100,
        every_seconds: 60,
        burst: 120,
        block_minutes: 60,
        channels: ChannelSet(6),
        mode: RuleMode::Shadow,
    };
    let share = ChannelShare { channels: ChannelSet(1), weight: 3 };
    let admission = Some(AdmissionRule { rates: vec![rate], shares: vec![share] });
    Rules { layers: vec![RuleLayer { admission, ..RuleLayer::default() }], ..rules(0) }
}

fn violations(counts: &[Violation]) -> Rules {
    let rules = rules(0);
    let rule = NoShowRule {
        within: ScopeKind::Region,
        window: Window::Month,
        ..rules.layers[0].no_show.clone().unwrap()
    };
    let counts = counts.iter().copied().collect();
    let violations = vec![ViolationRule { counts, of: CountedOf::Patient, rule }];
    Rules { layers: vec![RuleLayer { violations, ..RuleLayer::default() }], ..rules }
}

fn barred() -> Barred {
    let cause = RestrictionCause::SameDayCancel;
    let restriction = Restriction { cause, within: RuleScope::Region, ..restriction() };
    let appointment = id(1);
    let id = Barred::id_of(appointment, &restriction);
    Barred { appointment, patient: PatientId(0x11), id, restriction }
}

fn strike() -> Strike {
    let place = Place {
        organization: OrganizationId(1),
        department: DepartmentId(12),
        resource: ResourceId(4711),
        service: ServiceId(0),
    };
    Strike { day: Day(19_685), place }
}

fn restriction() -> Restriction {
    Restriction {
        within: RuleScope::Department(OrganizationId(1), DepartmentId(12)),
        cause: RestrictionCause::NoShow,
        consequence: Consequence::Refuse { but: ChannelSet(1) },
        mode: RuleMode::Enforce,
        from: NOW,
        until: NOW.plus_millis(86_400_000),
        rule: RuleRef { version: RulesVersion(3), layer: 0, tier: 2 },
        count: 3,
        since: Day(19_600),
    }
}

pub(super) fn why() -> RuleWhy {
    RuleWhy {
        rule: restriction().rule,
        key: RuleKey::NoShow,
        within: ScopeKind::Department,
        count: 4,
        limit: 3,
        since: NOW.minus_millis(86_400_000),
        until: NOW.plus_millis(180 * 86_400_000),
        through: ChannelSet(1),
    }
}
