//! Values of the model from bytes: few different numbers, so that requests meet each other.

use haoyuan::model::{
    Action, ApplyRules, AppointmentId, Attendance, Attributes, Begins, BookingChannel, CallNext,
    Change, ChannelSet, CivilTime, ClaimRequest, ClassSet, ClientKeys, Consequence, Delay,
    DepartmentId, Hold, JoinWaitlist, LateRule, LeaveWaitlist, NoShowRule, OrganizationId,
    PatientClass, PatientId, PaymentRef, Pick, Pool, PoolIndex, PoolTerms, Reclaim, Repeat,
    RequestId, Reschedule, ResourceId, ReturnRule, RuleLayer, RuleMode, RuleScope,
    Rules, RulesVersion, ScopeKind, ServiceHours, Session, SessionId, SessionTerms, SetQuotas,
    Sharing, SiteId, SlotChoice, SlotIndex, Term, Tier, Timestamp, Ttl, WaitlistRule, Window,
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
    SessionTerms {
        booking_ends: bytes.once_in(4).then(|| soon(bytes)),
        lead_millis: bytes.once_in(4).then_some(600_000),
        hours: bytes.once_in(4).then(|| ServiceHours {
            from: 8 * 60 + u16::from(bytes.below(30)),
            to: 9 * 60,
            channels: ChannelSet(3),
            offsets,
        }),
        attendance: bytes.once_in(4).then(|| attendance(bytes)),
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
        earliest: if bytes.once_in(8) { soon(bytes) } else { Timestamp::default() },
        latest: Timestamp::MAX,
        targets: std::iter::once(SessionId(u64::from(bytes.below(4)))).collect(),
    }
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
        1 => Consequence::Lower(1 + bytes.byte() % 3),
        2 => Consequence::Refuse { but: ChannelSet(u64::from(bytes.below(4))) },
        _ => Consequence::Refuse { but: ChannelSet(0) },
    };
    let term = match bytes.below(4) {
        0 => Term::Days(0),
        1 => Term::Months(1),
        2 => Term::MonthEnd,
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
    let count = u16::from(bytes.byte() % 3);
    let no_show = NoShowRule {
        within: if bytes.once_in(2) { ScopeKind::Schedule } else { ScopeKind::Region },
        window,
        begins,
        is_used_up: bytes.once_in(4),
        mode: if bytes.once_in(8) { RuleMode::Shadow } else { RuleMode::Enforce },
        tiers: std::iter::once(Tier { count, consequence, term }).collect(),
    };
    let scope = match bytes.below(4) {
        0 => RuleScope::Organization(OrganizationId(1)),
        _ => RuleScope::Region,
    };
    let layer = RuleLayer { scope, no_show: Some(no_show), ..RuleLayer::default() };
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
    let patient = (!bytes.once_in(32)).then(|| patient(bytes));
    Hold {
        appointment: id,
        patient,
        keys: ClientKeys::default(),
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
