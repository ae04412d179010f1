//! What lines say of facts.

use super::*;
use crate::model::{
    Booked, BookingChannel, Cause, ChannelSet, ClassSet, DepartmentId, OrganizationId,
    PatientClass, PaymentRef, Pick, Pool, PoolIndex, PoolTerms, Repeat, ResourceId, RulesVersion,
    SessionTerms, Settled, Sharing, SiteId, SlotIndex, Ttl,
};

const ID: AppointmentId = AppointmentId(0xa1);

fn claim(session: u64, slot: u16, count: u8) -> Claim {
    let session = SessionId(session);
    Claim { session, slot: SlotIndex(slot), count, pool: PoolIndex(1) }
}

fn held() -> Fact {
    Fact::Held(Held {
        appointment: ID,
        patient: PatientId(0xb2),
        account: None,
        organization: OrganizationId(7),
        channel: BookingChannel::new(3).unwrap(),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        until: Timestamp::from_millis(900),
        fingerprint: 1,
        rules: RulesVersion(0),
        claims: [claim(5, 2, 1), claim(6, 0, 3)].into_iter().collect(),
    })
}

fn opened(quotas: &[u16]) -> Fact {
    Fact::SessionOpened(Box::new(SessionOpened {
        request: RequestId(9),
        fingerprint: 1,
        session: Session {
            id: SessionId(5),
            organization: OrganizationId(7),
            site: SiteId(1),
            department: DepartmentId(1),
            resource: ResourceId(1),
            appointment_type: 0,
            start: Timestamp::from_millis(0),
            slot_millis: 1,
            pick: Pick::Earliest,
            repeat: Repeat::OnePerPatient,
            sharing: Sharing::Cancel,
            ttl_max: Ttl::DEFAULT,
            terms: SessionTerms::default(),
            pools: vec![Pool {
                channels: ChannelSet::ALL,
                classes: ClassSet::ALL,
                quotas: quotas.to_vec(),
                terms: PoolTerms::default(),
            }],
        },
    }))
}

/// Lines as `fact session slot+count pool status patient`.
fn check(facts: &[Fact], expected: &[&str]) {
    let mut enricher = Enricher::default();
    let mut found = Vec::new();
    for (fact, sequence) in facts.iter().zip(1..) {
        let facts: Facts = std::iter::once(fact.clone()).collect();
        let time = Timestamp::from_millis(sequence * 10);
        found.extend(enricher.lines(Sequence(sequence), time, &facts));
    }
    let shown = |line: &Line| {
        let number =
            |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
        format!(
            "{} {} {}+{} {} {} {}",
            line.fact,
            number(line.session),
            number(line.slot.map(u64::from)),
            number(line.count.map(u64::from)),
            number(line.places.map(u64::from)),
            line.status.unwrap_or("-"),
            line.patient.as_ref().map_or("-", |patient| patient.trim_start_matches('0')),
        )
    };
    let found: Vec<String> = found.iter().map(shown).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_line_about_an_appointment_says_whose_it_is_and_which_places_it_takes() {
    let request = RequestId(9);
    let settled = Settled {
        request,
        fingerprint: 0,
        appointment: ID,
        patient: PatientId(0xb2),
        status: AppointmentStatus::NoShow,
    };
    let booked = Booked { request, fingerprint: 0, appointment: ID, payment: PaymentRef(0) };
    check(
        &[held(), Fact::Booked(booked), Fact::Settled(settled)],
        &[
            "Held 5 2+1 - pending b2",
            "Held 6 0+3 - pending b2",
            "Booked 5 2+1 - booked b2",
            "Booked 6 0+3 - booked b2",
            "NoShow 5 2+1 - noshow b2",
            "NoShow 6 0+3 - noshow b2",
        ],
    );
}

#[test]
fn a_place_beyond_all_numbers_is_shown_and_ends_nothing() {
    let line = Line { session: Some(5), ..Line::default() };
    for (slot, count, shown) in [(u16::MAX, 200, "to 65535"), (0, 0, "to 0"), (2, 3, "to 4")] {
        let line = Line { slot: Some(slot), count: Some(count), ..line.clone() };
        assert!(line.for_people().ends_with(shown), "{}", line.for_people());
    }
}

#[test]
fn an_end_carries_its_own_claims_and_its_cause_in_its_name() {
    let ended = Ended {
        request: None,
        appointment: ID,
        patient: PatientId(0xb2),
        cause: Cause::Expired,
        claims: std::iter::once(claim(5, 2, 1)).collect(),
    };
    check(&[Fact::Ended(ended)], &["Expired 5 2+1 - cancelled b2"]);
}

#[test]
fn an_opened_session_says_its_places_in_runs_of_equal_slots() {
    check(
        &[opened(&[4, 4, 0, 2])],
        &["SessionOpened 5 0+2 4 - -", "SessionOpened 5 2+1 0 - -", "SessionOpened 5 3+1 2 - -"],
    );
}

#[test]
fn every_line_of_a_record_names_the_rules_that_it_was_decided_under() {
    let booked =
        Booked { request: RequestId(9), fingerprint: 0, appointment: ID, payment: PaymentRef(0) };
    let Fact::Held(unruled) = held() else { unreachable!() };
    let ruled = Fact::Held(Held { rules: RulesVersion(3), ..unruled });
    let named = Fact::DecidedUnder(RulesVersion(4));
    for (facts, expected) in [
        (vec![held()], vec![None; 2]),
        (vec![ruled], vec![Some(3); 2]),
        (vec![held(), Fact::Booked(booked)], vec![None; 4]),
        (vec![Fact::Swept(SessionId(5)), named], vec![Some(4)]),
    ] {
        let facts: Facts = facts.into_iter().collect();
        let lines = Enricher::default().lines(Sequence(1), Timestamp::from_millis(1), &facts);
        let under: Vec<_> = lines.iter().map(|line| line.under).collect();
        assert_eq!(under, expected, "{facts:?}");
    }
}
