//! Samples of moves, blocks, substitutes and added places.

use super::*;

fn reschedule() -> Reschedule {
    Reschedule {
        request: RequestId::from_parts(NOW, 2),
        appointment: id(1),
        patient: Some(PatientId(0x11)),
        channel: channel(2),
        claims: hold().claims,
    }
}

fn block(is_blocked: bool) -> BlockSession {
    BlockSession {
        request: RequestId::from_parts(NOW, 5),
        session: SessionId(7),
        first: SlotIndex(1),
        count: 2,
        is_blocked,
        reason: 3,
        by: Some(AccountId(0x22)),
    }
}

fn substitute() -> Substitute {
    Substitute {
        request: RequestId::from_parts(NOW, 6),
        session: SessionId(7),
        resource: ResourceId(5),
        reason: 3,
        by: Some(AccountId(0x22)),
    }
}

fn add_place() -> AddPlace {
    AddPlace {
        appointment: id(7),
        patient: PatientId(0x11),
        session: SessionId(7),
        slot: SlotIndex(3),
        channel: channel(2),
        class: PatientClass::Outpatient,
        payment: Some(PaymentRef(9)),
        reason: 3,
        by: Some(AccountId(0x22)),
    }
}

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let alternatives = Query::Alternatives {
        appointment: Some(id(1)),
        session: SessionId(7),
        slot: SlotIndex(3),
        count: 1,
        patient: Some(PatientId(0x11)),
        channel: channel(2),
        class: PatientClass::Outpatient,
    };
    let displaced = Query::Displaced {
        session: Some(SessionId(7)),
        department: Some((OrganizationId(1), DepartmentId(3))),
        after: id(1),
    };
    vec![
        ("reschedule", Request::Command(Command::Reschedule(Box::new(reschedule())))),
        ("block_session", Request::Command(Command::BlockSession(block(true)))),
        ("substitute", Request::Command(Command::Substitute(substitute()))),
        ("add_place", Request::Command(Command::AddPlace(add_place()))),
        ("alternatives", alternatives.into()),
        ("displaced", displaced.into()),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Reply)> {
    let place = Alternative { claim: claims()[0], resource: ResourceId(4), start: NOW };
    let lost = Appointment { cause: Cause::Displaced, ..appointment() };
    let page = DisplacedPage { appointments: vec![lost], next: Some(id(1)) };
    vec![
        ("alternatives", Reply::Reading(Reading::Alternatives(vec![place; 2]))),
        ("displaced", Reply::Reading(Reading::Displaced(page))),
    ]
}

fn rescheduled() -> Rescheduled {
    let to = Claim { session: SessionId(8), ..claims()[0] };
    Rescheduled {
        request: RequestId::from_parts(NOW, 2),
        fingerprint: 6,
        appointment: id(1),
        patient: PatientId(0x11),
        organization: OrganizationId(1),
        sharing: Sharing::Cancel,
        changes: 1,
        from: claims(),
        back: Vec::new(),
        to: std::iter::once(to).collect(),
    }
}

fn displaced() -> Displaced {
    Displaced {
        appointment: id(1),
        patient: PatientId(0x11),
        session: SessionId(7),
        reason: 3,
        claims: claims(),
    }
}

fn place_added() -> PlaceAdded {
    PlaceAdded {
        appointment: id(7),
        patient: PatientId(0x11),
        organization: OrganizationId(1),
        channel: channel(2),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        fingerprint: 6,
        rules: RulesVersion(0),
        payment: Some(PaymentRef(9)),
        reason: 3,
        by: Some(AccountId(0x22)),
        claims: std::iter::once(add_place().claim()).collect(),
    }
}

fn offered() -> Offered {
    let held = Held {
        appointment: id(8),
        patient: PatientId(0x11),
        account: None,
        organization: OrganizationId(1),
        channel: channel(2),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        until: NOW.after(Ttl::DEFAULT),
        fingerprint: 0,
        rules: RulesVersion(0),
        claims: rescheduled().to,
    };
    Offered { displaced: id(1), held }
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let blocked = |is_blocked| SessionBlocked { fingerprint: 6, block: block(is_blocked) };
    let substituted = Substituted { fingerprint: 6, from: ResourceId(4), substitute: substitute() };
    vec![
        ("rescheduled", Fact::Rescheduled(Box::new(rescheduled()))),
        (
            "moved_later",
            Fact::Rescheduled(Box::new(Rescheduled {
                back: vec![NOW.after(Ttl::DEFAULT); claims().len()],
                ..rescheduled()
            })),
        ),
        ("session_blocked", Fact::SessionBlocked(Box::new(blocked(true)))),
        ("session_unblocked", Fact::SessionBlocked(Box::new(blocked(false)))),
        ("displaced", Fact::Displaced(Box::new(displaced()))),
        ("swept", Fact::Swept(SessionId(7))),
        ("substituted", Fact::Substituted(Box::new(substituted))),
        ("place_added", Fact::PlaceAdded(Box::new(place_added()))),
        ("offered", Fact::Offered(Box::new(offered()))),
    ]
}
