//! Stories of places, and how they must be counted.

use super::*;
use crate::cli::demo::ring::clinics::{Times, draw_id, session, session_id};
use crate::cli::demo::ring::people::patient_of;
use crate::cli::demo::ring::population::Population;
use crate::model::{
    Booked, BookingChannel, Cause, Claims, DrawChoice, DrawEntry, DrawWon, Entered, Freed, Held,
    OrganizationId, PatientClass, PaymentRef, PlaceOffered, PoolIndex, Pseudonym, RequestId,
    RulesVersion, SessionOpened, Sharing, WaitEnd, WaitEntry, WaitJoined, WaitLeft,
};

/// The ring's identities begin here. Clinics open at 1,000 ms, with two places in a slot.
const RING: u32 = 100;
const OPENS: u64 = 1_000;

fn claim(part: Part) -> Claim {
    Claim { session: session_id(part, 0), slot: SlotIndex(0), count: 1, pool: PoolIndex(0) }
}

fn held(part: Part, person: u32) -> Held {
    Held {
        appointment: AppointmentId(person.into()),
        patient: patient_of(person),
        account: None,
        organization: OrganizationId(1),
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        until: Timestamp::MAX,
        fingerprint: 0,
        rules: RulesVersion::default(),
        claims: std::iter::once(claim(part)).collect(),
    }
}

fn holds(person: u32) -> Fact {
    Fact::Held(held(Part::FirstCome, person))
}

fn books(person: u32) -> Fact {
    let (request, payment) = (RequestId(1), PaymentRef(1));
    let appointment = AppointmentId(person.into());
    Fact::Booked(Booked { request, fingerprint: 0, appointment, payment })
}

fn ended(part: Part, person: u32) -> Ended {
    Ended {
        request: None,
        appointment: AppointmentId(person.into()),
        patient: patient_of(person),
        cause: Cause::Cancelled,
        claims: std::iter::once(claim(part)).collect::<Claims>(),
    }
}

fn cancels(person: u32) -> Fact {
    Fact::Ended(ended(Part::FirstCome, person))
}

fn enters(person: u32) -> Fact {
    let choice =
        DrawChoice { class: PatientClass::Outpatient, count: 1, slots: arrayvec::ArrayVec::new() };
    Fact::Entered(Box::new(Entered {
        appointment: AppointmentId(person.into()),
        patient: patient_of(person),
        account: None,
        organization: OrganizationId(1),
        channel: BookingChannel::default(),
        sharing: Sharing::Cancel,
        until: Timestamp::MAX,
        fingerprint: 0,
        rules: RulesVersion::default(),
        draw: draw_id(0),
        entry: DrawEntry { pseudonym: Pseudonym([0; 16]), choice },
    }))
}

fn wins(person: u32) -> Fact {
    let (appointment, until) = (AppointmentId(person.into()), Timestamp::MAX);
    Fact::DrawWon(DrawWon { appointment, until, claim: claim(Part::ByLot) })
}

fn waits(person: u32) -> Fact {
    let targets: crate::model::Targets = std::iter::once(session_id(Part::ByLot, 0)).collect();
    let entry = WaitEntry {
        entry: RequestId(person.into()),
        patient: patient_of(person),
        account: None,
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
        attributes: crate::model::Attributes::default(),
        joined: Timestamp::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: arrayvec::ArrayVec::new(),
    };
    Fact::WaitJoined(Box::new(WaitJoined { fingerprint: None, entry, targets }))
}

fn waits_no_more(person: u32) -> Fact {
    let targets = std::iter::once(session_id(Part::ByLot, 0)).collect();
    let (entry, patient) = (RequestId(person.into()), patient_of(person));
    let why = WaitEnd::Left;
    Fact::WaitLeft(Box::new(WaitLeft { request: None, entry, patient, targets, why }))
}

fn offered(person: u32) -> Fact {
    let targets = std::iter::once(session_id(Part::ByLot, 0)).collect();
    let (entry, held) = (RequestId(person.into()), held(Part::ByLot, person));
    Fact::PlaceOffered(Box::new(PlaceOffered { entry, targets, back: Timestamp::MAX, held }))
}

/// Plays facts from so many milliseconds on, one in each.
fn counted(part: Part, from: u64, facts: Vec<Fact>) -> Count {
    let mut population = Population::read().unwrap();
    (population.openings.places, population.openings.slots) = (8, 4);
    let mut seen = Seen::of(RING);
    let times = Times::new(&population, part, Timestamp::from_millis(OPENS));
    let session = session(&population, part, times, 0, Timestamp::default());
    let opened = SessionOpened { request: RequestId(1), fingerprint: 0, session };
    seen.add(Timestamp::default(), &Fact::SessionOpened(Box::new(opened)));
    for (time, fact) in (from..).zip(facts) {
        seen.add(Timestamp::from_millis(time), &fact);
    }
    seen.count(part)
}

#[test]
fn places_are_counted_of_those_who_have_them_at_the_end() {
    let count = counted(
        Part::FirstCome,
        OPENS,
        vec![holds(RING), books(RING), holds(5), books(5), cancels(5), holds(6)],
    );
    assert_eq!((count.booked, count.places, count.clinics), ([0, 1], 8, 1));
    assert_eq!((count.oversold, count.early, count.second, count.handovers), (0, 0, 0, 0));
}

#[test]
fn what_must_not_be_is_found() {
    let first = |facts| counted(Part::FirstCome, OPENS, facts);
    for (name, count, expected) in [
        ("fine", first(vec![holds(1), holds(2)]), [0, 0, 0]),
        ("oversold", first(vec![holds(1), holds(2), holds(3)]), [1, 0, 0]),
        ("early", counted(Part::FirstCome, OPENS - 1, vec![holds(1), holds(2)]), [0, 1, 0]),
        ("two entries", counted(Part::ByLot, OPENS, vec![enters(RING), enters(RING)]), [0, 0, 1]),
        ("drawn early", counted(Part::ByLot, OPENS, vec![enters(1), wins(1)]), [0, 1, 0]),
        ("won", counted(Part::ByLot, 100_000, vec![enters(1), wins(1)]), [0, 0, 0]),
    ] {
        assert_eq!([count.oversold, count.early, count.second], expected, "{name}: {count:?}");
    }
    let two = Fact::Held(Held { appointment: AppointmentId(77), ..held(Part::FirstCome, 1) });
    assert_eq!(first(vec![holds(1), two]).second, 1, "a second place of the same person");
}

#[test]
fn a_hand_over_is_from_the_ring_to_the_ring_by_asking() {
    let sold = || vec![holds(RING), books(RING), cancels(RING)];
    for (name, then, expected) in [
        ("caught", vec![holds(RING + 1)], 1),
        ("by a person", vec![holds(7)], 0),
        ("by a person first", vec![holds(7), holds(RING + 1)], 0),
    ] {
        let count = counted(Part::FirstCome, OPENS, [sold(), then].concat());
        assert_eq!((count.handovers, count.handovers_past), (expected, 0), "{name}");
    }
}

#[test]
fn a_hand_over_past_who_waits_is_told_from_others() {
    let back = vec![Timestamp::MAX];
    let freed = Fact::Freed(Box::new(Freed { ended: ended(Part::ByLot, RING), back }));
    let asks = Fact::Held(held(Part::ByLot, RING + 1));
    let won = vec![enters(RING), wins(RING), books(RING)];
    for (name, then, expected) in [
        ("past who waits", vec![waits(7), freed.clone(), asks.clone()], (1, 1)),
        ("the ring waits alone", vec![waits(RING + 2), freed.clone(), asks.clone()], (1, 0)),
        ("offered", vec![waits(7), freed.clone(), offered(7)], (0, 0)),
        ("nobody waits any more", vec![waits(7), freed, waits_no_more(7), asks], (1, 0)),
    ] {
        let count = counted(Part::ByLot, 100_000, [won.clone(), then].concat());
        assert_eq!((count.handovers, count.handovers_past), expected, "{name}");
    }
}

#[test]
fn even_lots_give_by_entries() {
    let entries = (1..=9).chain([RING]).map(enters).collect();
    let count = counted(Part::ByLot, OPENS, entries);
    assert_eq!((count.entries, count.to_draw, count.drawn), ([9, 1], 8, 0));
    assert!((count.ring_expected - 0.8).abs() < 1e-9);
}
