//! Stories of freed places that must be found wrong, and some that must not.

use super::*;
use crate::model::{
    AccountId, AppointmentId, BookingChannel, Claims, Freed, Held, OrganizationId, PatientClass,
    PlaceOffered, PoolIndex, RulesVersion, Sharing, SlotIndex, WaitLeft,
};

fn claims(slot: u16) -> Claims {
    let (slot, pool) = (SlotIndex(slot), PoolIndex(0));
    std::iter::once(Claim { session: SESSION, slot, count: 1, pool }).collect()
}

fn held(patient: u128, slot: u16) -> Held {
    Held {
        appointment: AppointmentId(patient),
        patient: PatientId(patient),
        account: None::<AccountId>,
        organization: OrganizationId(1),
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        until: Timestamp::MAX,
        fingerprint: 0,
        rules: RulesVersion::default(),
        claims: claims(slot),
    }
}

fn freed(patient: u128, slot: u16, cause: Cause) -> Fact {
    let (appointment, patient) = (AppointmentId(patient), PatientId(patient));
    let ended = Ended { request: None, appointment, patient, cause, claims: claims(slot) };
    Fact::Freed(Box::new(Freed { ended, back: vec![Timestamp::MAX] }))
}

fn offered(patient: u128, slot: u16) -> Fact {
    let (entry, held) = (RequestId(patient), held(patient, slot));
    let targets = std::iter::once(SESSION).collect();
    Fact::PlaceOffered(Box::new(PlaceOffered { entry, targets, back: Timestamp::MAX, held }))
}

fn left(patient: u128, why: WaitEnd) -> Fact {
    let (entry, patient) = (RequestId(patient), PatientId(patient));
    let targets = std::iter::once(SESSION).collect();
    Fact::WaitLeft(Box::new(WaitLeft { request: None, entry, patient, targets, why }))
}

/// All places are booked by patients 1 to 20; 101 to 103 wait in this order; patient 1 cancels,
/// and then this happens.
fn faults(facts: Vec<Fact>, accepted: u32, declined: u32) -> Vec<String> {
    let mut seen = Seen::default();
    for slot in 0..PLACES {
        seen.add(Timestamp::default(), &Fact::Held(held(u128::from(slot) + 1, slot)));
    }
    seen.waiting.extend((101..=103).map(RequestId));
    let first = freed(1, 0, Cause::Cancelled);
    for (time, fact) in (0..).zip(std::iter::once(first).chain(facts)) {
        seen.add(Timestamp::from_millis(time), &fact);
    }
    let positions = (101..=103).map(PatientId).zip(1..).collect();
    let booked_first = PLACES.into();
    let played =
        Played { positions, booked_first, cancelled: 1, accepted, declined, ..Played::default() };
    WaitlistReport::new(&played, &seen).1
}

#[test]
fn a_place_that_goes_past_those_who_wait_is_a_fault() {
    let accepted = |patient| vec![offered(patient, 0), left(patient, WaitEnd::Accepted)];
    let declined =
        vec![offered(101, 0), left(101, WaitEnd::Declined), freed(101, 0, Cause::Released)];
    for (what, facts, answers, expected) in [
        ("the first accepts", accepted(101), (1, 0), ""),
        (
            "the first declines, the second accepts",
            [declined.clone(), accepted(102)].concat(),
            (1, 1),
            "",
        ),
        ("the second is asked first", accepted(102), (1, 0), "the first who waited"),
        ("nobody is asked", vec![], (0, 0), "offered to nobody"),
        ("the next is not asked", declined, (0, 1), "offered to nobody"),
        ("somebody else has it", vec![Fact::Held(held(201, 0))], (0, 0), "before those who did"),
        (
            "two have it",
            [accepted(101), vec![Fact::Held(held(201, 0))]].concat(),
            (1, 0),
            "given twice",
        ),
        ("the patient was told otherwise", accepted(101), (0, 1), "told something else"),
    ] {
        let found = faults(facts, answers.0, answers.1).join("; ");
        assert_eq!(found.is_empty(), expected.is_empty(), "{what}: {found}");
        assert!(found.contains(expected), "{what}: {found}");
    }
}
