//! Values of the model from bytes: few different numbers, so that requests meet each other.

use haoyuan::model::{
    AccountId, Action, Amend, Amendment, Appeal, AppealRule, ApplyRules, AppointmentId, Attendance,
    Attributes, Begins, BookingChannel, CallNext, CancelRule, Change, Changes, ChannelSet,
    CivilTime, ClaimRequest, ClassSet, ClientKey, ClientKeys, Consequence, CooldownLength,
    CooldownRule, CountedOf, Deadline, Delay, DepartmentId, EndingSet, EvidenceRef, Hold, Holder,
    HolderRule, JoinWaitlist, LateCancel, LatePayment, LateRule, LeaveWaitlist, MergePatients,
    NamePatient, NewPatients, NoShowRule, Order, OrderRule, OrganizationId, PatientClass,
    PatientId, Pay, PaymentKind, PaymentMode, PaymentRef, PaymentRule, Period, PersonsRule, Pick,
    PickUpWindow, Pool, PoolIndex, PoolTerms, ProbingRule, Reclaim, Refund, Repeat, RequestId,
    Reschedule, ResourceId, Restrict, RestrictionId, ReturnRule, RuleLayer, RuleMode, RuleScope,
    Rules, RulesVersion, ScopeKind, ServiceHours, Session, SessionId, SessionTerms, SetQuotas,
    Sharing, SiteId, SlotChoice, SlotIndex, Term, TieRule, Tier, Timestamp, Ttl, Undecided,
    Violation, ViolationRule, WaitCounts, WaitKey, WaitLimit, WaitlistRule, Window,
};

use crate::Bytes;

/// When every story begins.
pub const MORNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The id of a request made in the morning.
pub fn request(number: u128) -> RequestId {
    RequestId::from_parts(MORNING, number)
}

/// One of 24 appointments.
pub fn appointment(bytes: &mut Bytes<'_>) -> AppointmentId {
    AppointmentId(request(u128::from(bytes.below(24))).0)
}

/// One of 6 patients.
pub fn patient(bytes: &mut Bytes<'_>) -> PatientId {
    PatientId(u128::from(bytes.below(6)))
}

/// One of 3 channels.
pub fn channel(bytes: &mut Bytes<'_>) -> BookingChannel {
    BookingChannel::new(bytes.below(3)).expect("3 channels are there")
}

/// One of 4 sessions, with 1 to 6 slots in 1 to 3 pools; malformed once in 32.
pub fn session(bytes: &mut Bytes<'_>) -> Session {
    let slots = usize::from(bytes.below(6)) + 1;
    let pools = usize::from(bytes.below(3)) + 1;
    let malformed = bytes.once_in(32);
    let pool = |index: usize, bytes: &mut Bytes<'_>| Pool {
        channels: if index == 0 {
            ChannelSet::ALL
        } else {
            ChannelSet(u64::from(bytes.byte() & 7))
        },
        classes: if bytes.once_in(4) { ClassSet(bytes.byte()) } else { ClassSet::ALL },
        quotas: (0..slots + usize::from(malformed) * index)
            // 9 places over all pools at most: the naive model compares shares exactly up to 10.
            .map(|_| u16::from(bytes.below(4)))
            .collect(),
        terms: if bytes.once_in(2) {
            pool_terms(index, pools, bytes)
        } else {
            PoolTerms::default()
        },
    };
    let pools = (0..pools).map(|index| pool(index, bytes)).collect();
    Session {
        id: SessionId(u64::from(bytes.below(4))),
        organization: OrganizationId(u32::from(bytes.below(2))),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(1),
        appointment_type: 0,
        start: MORNING.plus_millis(u64::from(bytes.below(120)) * 60_000),
        slot_millis: 600_000 * u32::from(!bytes.once_in(64)),
        pick: if bytes.once_in(2) { Pick::Even } else { Pick::Earliest },
        repeat: if bytes.once_in(2) { Repeat::Unlimited } else { Repeat::OnePerPatient },
        sharing: [Sharing::Cancel, Sharing::Read, Sharing::Own][usize::from(bytes.below(3))],
        ttl_max: ttl(bytes),
        terms: if bytes.once_in(2) { session_terms(bytes) } else { SessionTerms::default() },
        pools,
    }
}

fn soon(bytes: &mut Bytes<'_>) -> Timestamp {
    MORNING.plus_millis(u64::from(bytes.below(120)) * 60_000)
}

fn pool_terms(index: usize, pools: usize, bytes: &mut Bytes<'_>) -> PoolTerms {
    let to = PoolIndex(u8::try_from((index + 1) % pools).expect("three pools at most"));
    PoolTerms {
        draw: None,
        opens: if bytes.once_in(2) { soon(bytes) } else { Timestamp::default() },
        floor: u32::from(bytes.once_in(4)),
        reclaim: bytes.once_in(2).then(|| Reclaim { at: soon(bytes), to }),
    }
}

fn session_terms(bytes: &mut Bytes<'_>) -> SessionTerms {
    let offsets = vec![(Timestamp::default(), 0)];
    let attendance = bytes.once_in(4).then(|| attendance(bytes));
    let windows = if attendance.is_some() && bytes.once_in(2) {
        let from = soon(bytes);
        vec![PickUpWindow { from, until: from.plus_millis(600_000) }]
    } else {
        Vec::new()
    };
    SessionTerms {
        booking_ends: bytes.once_in(4).then(|| soon(bytes)),
        lead_millis: bytes.once_in(4).then_some(600_000),
        hours: bytes.once_in(4).then(|| ServiceHours {
            from: 8 * 60 + u16::from(bytes.below(30)),
            to: 9 * 60,
            channels: ChannelSet(3),
            offsets,
        }),
        attendance,
        pick_up_windows: windows,
        ..if bytes.once_in(3) { waiting(bytes) } else { SessionTerms::default() }
    }
}

fn attendance(bytes: &mut Bytes<'_>) -> Attendance {
    let minutes = |bytes: &mut Bytes<'_>| u32::from(bytes.below(60)) * 60_000;
    let grace = minutes(bytes);
    Attendance {
        check_in_from: minutes(bytes) * 2,
        pick_up_until: bytes.once_in(4).then_some(60_000),
        grace,
        late_until: grace + minutes(bytes),
        late: if bytes.once_in(2) { LateRule::Every(1) } else { LateRule::EndOfSegment },
    }
}

/// A waitlist, and freed places that go to it.
fn waiting(bytes: &mut Bytes<'_>) -> SessionTerms {
    let delay = Delay { min_millis: 60_000, max_millis: 600_000 };
    let rule = WaitlistRule {
        entries_max: u16::from(bytes.below(4)) + 1,
        priority: [1, u8::from(bytes.once_in(2)), 1, 1, 1],
        draw_millis: u32::from(bytes.below(4)) * 60_000,
        offer_millis: 600_000,
        near_offer_millis: 120_000,
        near_millis: 1_800_000,
        hours: None,
        closes_at: soon(bytes),
    };
    let (returns, waitlist) = (ReturnRule::WaitlistFirst(delay), Some(Box::new(rule)));
    SessionTerms { returns, waitlist, ..SessionTerms::default() }
}

/// Waits for one of the sessions: with several, the order of the shards would be seen.
pub fn join(bytes: &mut Bytes<'_>) -> JoinWaitlist {
    JoinWaitlist {
        request: request(4_000 + u128::from(bytes.below(64))),
        patient: patient(bytes),
        account: None,
        channel: channel(bytes),
        class: if bytes.once_in(4) { PatientClass::Referral } else { PatientClass::Outpatient },
        attributes: Attributes(if bytes.once_in(4) { 30 } else { 0xff }),
        earliest: if bytes.once_in(8) { soon(bytes) } else { Timestamp::default() },
        latest: Timestamp::MAX,
        targets: std::iter::once(SessionId(u64::from(bytes.below(4)))).collect(),
    }
}

/// How much somebody may wait for at a time.
fn wait_limit(bytes: &mut Bytes<'_>) -> WaitLimit {
    let counts = if bytes.once_in(2) { WaitCounts::Sessions } else { WaitCounts::Resources };
    let within = if bytes.once_in(2) { ScopeKind::Region } else { ScopeKind::Department };
    let key = WaitKey { within, counts };
    WaitLimit { key, most: u16::from(bytes.below(3)), mode: RuleMode::Enforce }
}

/// Waits no more.
pub fn leave(bytes: &mut Bytes<'_>) -> LeaveWaitlist {
    LeaveWaitlist {
        request: request(5_000 + u128::from(bytes.byte())),
        entry: request(4_000 + u128::from(bytes.below(64))),
        patient: patient(bytes),
        channel: channel(bytes),
    }
}

/// Calls somebody in one of the sessions.
pub fn call_next(bytes: &mut Bytes<'_>) -> CallNext {
    let session = SessionId(u64::from(bytes.below(4)));
    CallNext { request: request(6_000 + u128::from(bytes.byte())), session }
}

/// Rules that are soon reached, and in force two seconds later at the earliest.
pub fn apply_rules(bytes: &mut Bytes<'_>, now: Timestamp) -> ApplyRules {
    let consequence = match bytes.below(4) {
        0 => Consequence::Warn,
        1 if bytes.once_in(2) => Consequence::Fewer(1 + bytes.byte() % 3),
        1 => Consequence::Lower(1 + bytes.byte() % 3),
        2 => Consequence::Refuse { but: ChannelSet(u64::from(bytes.below(4))) },
        _ => Consequence::Refuse { but: ChannelSet(0) },
    };
    let term = match bytes.below(4) {
        0 => Term::Days(0),
        1 => Term::Months(1),
        2 => Term::QuarterEnd,
        _ => Term::Days(1),
    };
    let window = match bytes.below(4) {
        0 => Window::Days(u16::from(bytes.byte())),
        1 => Window::InARow,
        2 => Window::Month,
        _ => Window::Ever,
    };
    let begins = match bytes.below(3) {
        0 => Begins::NextDay,
        1 => Begins::FirstStrike,
        _ => Begins::AtOnce,
    };
    let byte = bytes.byte();
    let (count, is_once) = (u16::from(byte % 3), byte & 0x40 != 0);
    let no_show = NoShowRule {
        within: if bytes.once_in(2) { ScopeKind::Schedule } else { ScopeKind::Region },
        window,
        begins,
        is_used_up: bytes.once_in(4),
        is_once,
        mode: if bytes.once_in(8) { RuleMode::Shadow } else { RuleMode::Enforce },
        tiers: std::iter::once(Tier { count, consequence, term }).collect(),
    };
    let scope = match bytes.below(4) {
        0 => RuleScope::Organization(OrganizationId(1)),
        _ => RuleScope::Region,
    };
    let appeal = bytes.once_in(2).then(|| AppealRule {
        term: Term::Days(1 + u16::from(bytes.byte() % 2)),
        is_suspending: bytes.once_in(2),
        per_restriction: 1 + bytes.byte() % 2,
        undecided: if bytes.once_in(2) { Undecided::Lifted } else { Undecided::Stands },
    });
    let often = NoShowRule {
        window: if window == Window::Ever { Window::Year } else { window },
        ..no_show.clone()
    };
    let counts = [
        Violation::Cancel,
        Violation::Release,
        Violation::Unpaid,
        Violation::Probing,
        Violation::Booking,
        Violation::Late,
        Violation::Missed,
    ];
    let violation = ViolationRule {
        counts: counts.into_iter().skip(count.into()).collect(),
        of: if count == 1 { CountedOf::Account } else { CountedOf::Patient },
        rule: often,
    };
    let layer = RuleLayer {
        scope,
        no_show: Some(no_show),
        violations: if begins == Begins::AtOnce { vec![violation] } else { Vec::new() },
        cancel: bytes.once_in(2).then(|| cancel(bytes)),
        payment: bytes.once_in(2).then(|| payment(bytes)),
        holder: bytes
            .once_in(2)
            .then(|| HolderRule { by: Holder::Account, limit: 1 + bytes.below(2) }),
        appeal,
        waitlist: if bytes.once_in(4) { [wait_limit(bytes)].into() } else { Box::default() },
        cooldown: if bytes.once_in(2) { vec![cooldown(bytes)] } else { Vec::new() },
        persons: bytes.once_in(2).then(|| Box::new(persons(bytes))),
        probing: bytes.once_in(4).then(|| probing(bytes)),
        ..RuleLayer::default()
    };
    ApplyRules {
        request: request(7_000 + u128::from(bytes.byte())),
        rules: Rules {
            version: RulesVersion(u32::from(bytes.once_in(16))),
            from: now.plus_millis(1_990 + u64::from(bytes.byte())),
            civil: CivilTime::default(),
            notice_days: 7,
            layers: vec![layer],
        },
    }
}

fn cancel(bytes: &mut Bytes<'_>) -> CancelRule {
    CancelRule {
        until: match bytes.below(4) {
            0 => Deadline::Days { days: bytes.below(2), minute: u16::from(bytes.byte()) * 6 },
            1 => Deadline::HalfDays(bytes.below(3)),
            _ => Deadline::Minutes(u32::from(bytes.byte())),
        },
        later: ChannelSet(u64::from(bytes.below(4))),
        late: if bytes.once_in(2) { LateCancel::Mark } else { LateCancel::Refuse },
        mode: RuleMode::Enforce,
    }
}

fn payment(bytes: &mut Bytes<'_>) -> PaymentRule {
    PaymentRule {
        by: match bytes.below(4) {
            0 => PaymentMode::AtPickUp,
            1 => PaymentMode::SelfPayOnly,
            2 => PaymentMode::PreAuthorization,
            _ => PaymentMode::SelfPayOrInsurance,
        },
        channels: ChannelSet(u64::MAX ^ u64::from(bytes.once_in(4))),
        late: if bytes.once_in(4) { LatePayment::Refund } else { LatePayment::Rebook },
        order: (!bytes.once_in(4))
            .then(|| OrderRule { minutes: u16::from(bytes.byte()), times: 1 + bytes.below(2) }),
        mode: RuleMode::Enforce,
    }
}

/// Moves the deadline of one of the appointments.
pub fn order(bytes: &mut Bytes<'_>, now: Timestamp) -> Order {
    Order {
        request: request(8_000 + u128::from(bytes.byte())),
        appointment: appointment(bytes),
        patient: bytes.once_in(4).then(|| patient(bytes)),
        channel: channel(bytes),
        until: now.plus_millis(u64::from(bytes.byte()) * 20_000),
    }
}

/// Pays for one of the appointments, or for one that a payment made.
pub fn pay(bytes: &mut Bytes<'_>) -> Pay {
    Pay {
        request: request(9_000 + u128::from(bytes.byte())),
        appointment: paid_for(bytes),
        patient: bytes.once_in(4).then(|| patient(bytes)),
        channel: channel(bytes),
        kind: PaymentKind::ALL[usize::from(bytes.below(3))],
        payment: PaymentRef(u128::from(1 + bytes.below(3))),
    }
}

/// Gives money back, that is owed or not.
pub fn refund(bytes: &mut Bytes<'_>) -> Refund {
    Refund {
        request: request(10_000 + u128::from(bytes.byte())),
        appointment: paid_for(bytes),
        payment: PaymentRef(u128::from(1 + bytes.below(3))),
        reference: PaymentRef(u128::from(bytes.below(2))),
    }
}

/// Names the patient of one of the appointments.
pub fn name_patient(bytes: &mut Bytes<'_>) -> NamePatient {
    NamePatient {
        request: request(11_000 + u128::from(bytes.byte())),
        appointment: appointment(bytes),
        patient: patient(bytes),
        keys: keys(bytes),
        channel: channel(bytes),
        class: if bytes.once_in(4) { PatientClass::Referral } else { PatientClass::Outpatient },
        attributes: Attributes::default(),
    }
}

fn paid_for(bytes: &mut Bytes<'_>) -> AppointmentId {
    if bytes.once_in(8) {
        return AppointmentId(request(9_000 + u128::from(bytes.byte())).0);
    }
    appointment(bytes)
}

/// One patient of an account or a telephone, or two.
fn persons(bytes: &mut Bytes<'_>) -> PersonsRule {
    let changes = bytes.once_in(2).then(|| Changes { most: 1, period: Period::Days(1) });
    let few = 1 + bytes.below(2);
    let ties = |patients, accounts| Some(TieRule { patients, accounts, changes });
    let most = bytes.below(2);
    let new_patients = bytes.once_in(4).then_some(NewPatients { most, minutes: 60 });
    PersonsRule {
        account: ties(few, 0),
        phone: ties(few, 1),
        patient: ties(0, 1),
        new_patients,
        mode: if bytes.once_in(8) { RuleMode::Shadow } else { RuleMode::Enforce },
    }
}

/// One of two accounts, mostly.
fn keys(bytes: &mut Bytes<'_>) -> ClientKeys {
    let account = (!bytes.once_in(4)).then(|| AccountId(u128::from(bytes.below(2))));
    let phone = bytes.once_in(4).then(|| ClientKey(u128::from(bytes.below(2))));
    ClientKeys { account, phone, ..ClientKeys::default() }
}

/// Restricts somebody for some hours.
pub fn restrict(bytes: &mut Bytes<'_>, now: Timestamp) -> Restrict {
    Restrict {
        request: request(12_000 + u128::from(bytes.below(8))),
        patient: patient(bytes),
        within: if bytes.once_in(4) {
            RuleScope::Organization(OrganizationId(1))
        } else {
            RuleScope::Region
        },
        consequence: match bytes.below(4) {
            3 => Consequence::Fewer(bytes.byte() % 3),
            0 => Consequence::Lower(bytes.byte() % 3),
            1 => Consequence::RefuseBut { channels: ChannelSet(1), classes: ClassSet(1) },
            _ => Consequence::Refuse { but: ChannelSet(0) },
        },
        from: now.minus_millis(u64::from(bytes.byte() % 2) * 60_000),
        until: now.plus_millis(u64::from(bytes.byte()) * 600_000),
        evidence: EvidenceRef(0),
        reason: 1,
    }
}

/// Does something about one of the restrictions.
pub fn amend(bytes: &mut Bytes<'_>, now: Timestamp) -> Amend {
    let until = now.plus_millis(u64::from(bytes.byte()) * 60_000);
    Amend {
        request: request(13_000 + u128::from(bytes.byte())),
        patient: patient(bytes),
        restriction: RestrictionId(request(12_000 + u128::from(bytes.below(8))).0),
        amendment: match bytes.below(5) {
            0 => Amendment::Lift,
            1 => Amendment::Resume,
            2 => Amendment::Uphold,
            3 => Amendment::Grant,
            _ => Amendment::Suspend { until },
        },
        evidence: EvidenceRef(0),
        reason: 1,
    }
}

/// Who asks too often: two refusals are enough.
fn probing(bytes: &mut Bytes<'_>) -> ProbingRule {
    let of = [CountedOf::Patient, CountedOf::Account, CountedOf::Phone];
    ProbingRule {
        refusals: 2,
        minutes: 1 + u16::from(bytes.byte()),
        of: of[usize::from(bytes.below(3))],
        mode: if bytes.once_in(4) { RuleMode::Shadow } else { RuleMode::Enforce },
    }
}

/// How long one waits after giving a place up.
fn cooldown(bytes: &mut Bytes<'_>) -> CooldownRule {
    let kinds = [ScopeKind::Region, ScopeKind::Department, ScopeKind::Schedule];
    CooldownRule {
        after: EndingSet(1 + bytes.below(7)),
        within: kinds[usize::from(bytes.below(3))],
        length: match bytes.below(3) {
            0 => CooldownLength::Returned(bytes.byte().into()),
            _ => CooldownLength::Minutes(1 + u16::from(bytes.byte())),
        },
        of: [CountedOf::Patient, CountedOf::Account, CountedOf::Phone][usize::from(bytes.below(3))],
        mode: if bytes.once_in(4) { RuleMode::Shadow } else { RuleMode::Enforce },
    }
}

/// Appeals against one of the restrictions.
pub fn appeal(bytes: &mut Bytes<'_>) -> Appeal {
    Appeal {
        request: request(14_000 + u128::from(bytes.byte())),
        patient: patient(bytes),
        restriction: RestrictionId(request(12_000 + u128::from(bytes.below(8))).0),
        evidence: EvidenceRef(1),
        channel: channel(bytes),
    }
}

/// Takes two keys for one person's.
pub fn merge(bytes: &mut Bytes<'_>) -> MergePatients {
    let (from, into) = (patient(bytes), patient(bytes));
    MergePatients { request: request(15_000 + u128::from(bytes.below(8))), from, into }
}

/// Moves one of the appointments.
pub fn reschedule(bytes: &mut Bytes<'_>) -> Reschedule {
    let Hold { patient, channel, claims, .. } = hold(bytes);
    Reschedule {
        request: request(3_000 + u128::from(bytes.byte())),
        appointment: appointment(bytes),
        patient: patient.filter(|_| bytes.once_in(2)),
        channel,
        claims,
    }
}

/// Quotas of one of the sessions, of any shape.
pub fn set_quotas(bytes: &mut Bytes<'_>) -> SetQuotas {
    let slots = bytes.below(6) + 1;
    let pools = bytes.below(3) + 1;
    let pool = |bytes: &mut Bytes<'_>| (0..slots).map(|_| u16::from(bytes.below(6))).collect();
    SetQuotas {
        request: request(2_000 + u128::from(bytes.byte())),
        session: SessionId(u64::from(bytes.below(4))),
        quotas: (0..pools).map(|_| pool(bytes)).collect(),
    }
}

/// A hold of 0 to 4 claims.
pub fn hold(bytes: &mut Bytes<'_>) -> Hold {
    let claims = usize::from([1_u8, 1, 2, 1, 3, 1, 4, 0][usize::from(bytes.below(8))]);
    let id = appointment(bytes);
    let patient = (!bytes.once_in(8)).then(|| patient(bytes));
    Hold {
        appointment: id,
        patient,
        keys: keys(bytes),
        channel: channel(bytes),
        class: if bytes.once_in(4) { PatientClass::Referral } else { PatientClass::Outpatient },
        attributes: Attributes::default(),
        ttl: ttl(bytes),
        book: bytes.once_in(4).then_some(PaymentRef(7)),
        claims: (0..claims).map(|_| wish(bytes)).collect(),
    }
}

/// A change of one of the appointments; `Settle` too, if that is asked for.
pub fn change(bytes: &mut Bytes<'_>, settle: bool) -> Change {
    let action = match bytes.below(if settle { 8 } else { 7 }) {
        0 => Action::Book { payment: PaymentRef(u128::from(bytes.below(2))) },
        1 => Action::Release,
        2 => Action::Cancel,
        3 => Action::Arrive,
        4 => Action::CheckIn,
        5 => Action::Fulfil,
        6 => Action::NoShow,
        _ => Action::Settle,
    };
    // Now and then the id of a request that was made before, or of an appointment.
    let number = match bytes.below(8) {
        1 => u32::from(bytes.below(24)),
        _ => 1_000 + u32::from(bytes.short()),
    };
    Change {
        request: request(number.into()),
        appointment: appointment(bytes),
        patient: bytes.once_in(4).then(|| patient(bytes)),
        channel: channel(bytes),
        action,
    }
}

fn wish(bytes: &mut Bytes<'_>) -> ClaimRequest {
    let session = SessionId(u64::from(bytes.below(4)));
    let count = [1, 1, 1, 2, 3, 0, 96, 97][usize::from(bytes.below(8))];
    let ranked = usize::from(bytes.below(4));
    let slots = if ranked == 0 {
        SlotChoice::Any
    } else {
        SlotChoice::Ranked((0..ranked).map(|_| SlotIndex(bytes.below(7).into())).collect())
    };
    ClaimRequest { session, count, slots }
}

fn ttl(bytes: &mut Bytes<'_>) -> Ttl {
    Ttl::from_millis((u32::from(bytes.below(60)) + 1) * 60_000).expect("an hour at most")
}
