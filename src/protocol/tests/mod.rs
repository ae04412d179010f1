//! Every kind of unit, both ways, whole and broken; and the bytes that are frozen.
//!
//! **Architecture invariant:** a golden line never changes; a new kind adds its own.

use std::fmt::Write;

use super::*;
use crate::codec;
use crate::codec::rich_session;
use crate::model::*;

mod attendance;
mod billing;
mod broken;
mod cooldown;
mod disruption;
mod persons;
mod probing;
mod returns;
mod rules;
mod waitlist;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn id(number: u128) -> AppointmentId {
    AppointmentId(RequestId::from_parts(NOW, number).0)
}

fn hold() -> Hold {
    let claim =
        ClaimRequest { session: SessionId(7), count: 1, slots: SlotChoice::at(SlotIndex(3)) };
    Hold {
        keys: ClientKeys { account: Some(AccountId(0x22)), ..ClientKeys::default() },
        channel: channel(2),
        ..Hold::of(id(1), PatientId(0x11), [claim])
    }
}

fn channel(number: u8) -> BookingChannel {
    BookingChannel::new(number).unwrap()
}

fn full_hold() -> Hold {
    let wish = |index: u64| ClaimRequest {
        session: SessionId(index),
        count: 96,
        slots: if index == 0 {
            SlotChoice::Any
        } else {
            SlotChoice::Ranked((0..8).map(SlotIndex).collect())
        },
    };
    Hold {
        keys: ClientKeys {
            account: Some(AccountId(1)),
            phone: Some(ClientKey(2)),
            device: Some(ClientKey(3)),
            address: Some(ClientKey(4)),
        },
        class: PatientClass::Referral,
        book: Some(PaymentRef(9)),
        claims: (0..8).map(wish).collect(),
        ..hold()
    }
}

fn session() -> Session {
    let pool = |quotas: &[u16]| Pool {
        channels: ChannelSet::ALL,
        classes: ClassSet::ALL,
        quotas: quotas.to_vec(),
        terms: PoolTerms::default(),
    };
    Session {
        id: SessionId(7),
        organization: OrganizationId(1),
        site: SiteId(2),
        department: DepartmentId(3),
        resource: ResourceId(4),
        appointment_type: 1,
        start: NOW,
        slot_millis: 900_000,
        pick: Pick::Even,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::DEFAULT,
        terms: SessionTerms::default(),
        pools: vec![pool(&[4, 4, 2]), pool(&[1, 1, 3])],
    }
}

fn claims() -> Claims {
    std::iter::once(Claim {
        session: SessionId(7),
        slot: SlotIndex(3),
        count: 1,
        pool: PoolIndex(0),
    })
    .collect()
}

fn appointment() -> Appointment {
    Appointment {
        id: id(1),
        patient: PatientId(0x11),
        account: Some(AccountId(0x22)),
        organization: OrganizationId(1),
        channel: channel(2),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        status: AppointmentStatus::Booked,
        cause: Cause::None,
        until: NOW,
        fingerprint: 5,
        payment: Some(PaymentRef(9)),
        rules: RulesVersion(0),
        claims: claims(),
    }
}

fn change(action: Action) -> Change {
    let patient = Some(PatientId(0x11));
    Change {
        request: RequestId::from_parts(NOW, 2),
        appointment: id(1),
        patient,
        channel: channel(2),
        action,
    }
}

fn requests() -> Vec<(&'static str, Request)> {
    let mut all = first_requests();
    all.extend(disruption::requests());
    all.extend(attendance::requests());
    all.extend(waitlist::requests());
    all.extend(rules::requests());
    all.extend(billing::requests());
    all.extend(cooldown::requests());
    all.extend(persons::requests());
    all.extend(probing::requests());
    all
}

fn first_requests() -> Vec<(&'static str, Request)> {
    let class = PatientClass::Outpatient;
    let open = OpenSession { request: RequestId::from_parts(NOW, 3), session: session() };
    vec![
        ("open_session", open.into()),
        ("hold", hold().into()),
        ("hold_full", full_hold().into()),
        ("book", change(Action::Book { payment: PaymentRef(9) }).into()),
        ("release", change(Action::Release).into()),
        ("cancel", change(Action::Cancel).into()),
        ("arrive", change(Action::Arrive).into()),
        ("check_in", change(Action::CheckIn).into()),
        ("fulfil", change(Action::Fulfil).into()),
        ("no_show", change(Action::NoShow).into()),
        (
            "availability",
            Query::Availability { session: SessionId(7), channel: channel(2), class }.into(),
        ),
        (
            "get",
            Query::Get { appointment: id(1), patient: Some(PatientId(0x11)), channel: channel(2) }
                .into(),
        ),
        ("list", Query::List { patient: PatientId(0x11), channel: channel(2) }.into()),
        ("watch", Request::Watch { from: Sequence(42) }),
        ("snapshot", Request::Snapshot),
        ("clock", Query::Clock.into()),
        ("confirm_clock", Query::ConfirmClock.into()),
        (
            "open_with_terms",
            OpenSession { request: RequestId::from_parts(NOW, 3), session: rich_session() }.into(),
        ),
        ("set_quotas", Request::Command(Command::SetQuotas(Box::new(set_quotas())))),
        ("read_session", Query::ReadSession { session: SessionId(7) }.into()),
        ("reveal_draw", Request::Command(Command::RevealDraw(Box::new(reveal_draw())))),
        (
            "draw",
            Query::Draw {
                draw: reveal_draw().draw,
                appointment: None,
                patient: None,
                channel: channel(2),
            }
            .into(),
        ),
    ]
}

fn reveal_draw() -> RevealDraw {
    let draw = DrawId { session: SessionId(7), pool: PoolIndex(0) };
    RevealDraw { request: RequestId::from_parts(NOW, 5), draw, beacon: "abc".to_owned() }
}

fn set_quotas() -> SetQuotas {
    SetQuotas {
        request: RequestId::from_parts(NOW, 4),
        session: SessionId(7),
        quotas: vec![vec![5, 4, 1], vec![0, 1, 4]],
    }
}

fn receipt() -> Receipt {
    Receipt {
        status: Some(AppointmentStatus::Pending),
        until: NOW.after(Ttl::DEFAULT),
        claims: claims(),
        retried: false,
        appointment: None,
    }
}

fn availability(slots: u16) -> Availability {
    let free = (0..slots).map(|slot| slot % 5).collect();
    Availability { start: NOW, slot_millis: 900_000, free }
}

fn replies() -> Vec<(&'static str, Reply)> {
    let mut all = first_replies();
    all.extend(disruption::replies());
    all.extend(attendance::replies());
    all.extend(waitlist::replies());
    all.extend(rules::replies());
    all.extend(billing::replies());
    all
}

fn first_replies() -> Vec<(&'static str, Reply)> {
    let opened = Receipt { status: None, claims: Claims::new(), ..receipt() };
    vec![
        ("receipt", Reply::Receipt(receipt())),
        ("receipt_retried", Reply::Receipt(Receipt { retried: true, ..receipt() })),
        ("receipt_session", Reply::Receipt(opened)),
        ("availability", Reply::Reading(Reading::Availability(availability(3)))),
        ("appointment", Reply::Reading(Reading::Appointment(Box::new(appointment())))),
        ("appointments", Reply::Reading(Reading::Appointments(vec![appointment(); 2]))),
        (
            "clock",
            Reply::Reading(Reading::Clock(ClockReading {
                time: NOW,
                gap_millis: -2_000,
                is_suspended: true,
            })),
        ),
        ("watching", Reply::Watching { from: Sequence(42) }),
        ("snapshot", Reply::Snapshot { sequence: Sequence(41), bytes: 1 << 20 }),
        ("refused", Reply::Refused(Outcome::SoldOut.into())),
        (
            "refused_status",
            Reply::Refused(Refusal::of_status(Outcome::WrongStatus, AppointmentStatus::Cancelled)),
        ),
        ("refused_retry", Reply::Refused(Refusal::for_now(Outcome::Overloaded, 250))),
        (
            "refused_both",
            Reply::Refused(Refusal {
                outcome: Outcome::TooEarly,
                status: Some(AppointmentStatus::Booked),
                retry_after_millis: 60_000,
                why: None,
            }),
        ),
        ("refused_why", Reply::Refused(Refusal::by_rule(Outcome::Restricted, NOW, rules::why()))),
        ("refused_why_all", {
            let until = Timestamp::from_millis(0);
            let why = RuleWhy { until, ..rules::why() };
            let status = Some(AppointmentStatus::Booked);
            let refusal = Refusal::by_rule(Outcome::TooLate, NOW, why);
            Reply::Refused(Refusal { status, retry_after_millis: 9, ..refusal })
        }),
        ("gone", Reply::Gone { oldest: Sequence(40), snapshot: Some(Sequence(41)) }),
        (
            "session",
            Reply::Reading(Reading::Session(Box::new(SessionReading {
                session: rich_session(),
                taken: vec![1, 0, 2, 0],
                returning: vec![],
            }))),
        ),
        (
            "receipt_of",
            Reply::Receipt(Receipt {
                status: Some(AppointmentStatus::CheckedIn),
                claims: Claims::new(),
                appointment: Some(id(1)),
                ..receipt()
            }),
        ),
        ("gone_bare", Reply::Gone { oldest: Sequence(40), snapshot: None }),
    ]
}

fn facts() -> Vec<(&'static str, Fact)> {
    let mut all = first_facts();
    all.extend(returns::facts());
    all.extend(waitlist::facts());
    all.extend(disruption::facts());
    all.extend(attendance::facts());
    all.extend(rules::facts());
    all.extend(billing::facts());
    all.extend(cooldown::facts());
    all.extend(persons::facts());
    all.extend(probing::facts());
    all
}

fn first_facts() -> Vec<(&'static str, Fact)> {
    let request = RequestId::from_parts(NOW, 2);
    let appointment = id(1);
    let patient = PatientId(0x11);
    vec![
        (
            "session_opened",
            Fact::SessionOpened(Box::new(SessionOpened {
                request,
                fingerprint: 6,
                session: session(),
            })),
        ),
        (
            "held",
            Fact::Held(Held {
                appointment,
                patient,
                account: Some(AccountId(0x22)),
                organization: OrganizationId(1),
                channel: channel(2),
                class: PatientClass::Outpatient,
                sharing: Sharing::Cancel,
                until: NOW.after(Ttl::DEFAULT),
                fingerprint: 5,
                rules: RulesVersion(0),
                claims: claims(),
            }),
        ),
        (
            "booked",
            Fact::Booked(Booked { request, fingerprint: 6, appointment, payment: PaymentRef(9) }),
        ),
        (
            "ended",
            Fact::Ended(Ended {
                request: Some((request, 6)),
                appointment,
                patient,
                cause: Cause::Released,
                claims: claims(),
            }),
        ),
        (
            "expired",
            Fact::Ended(Ended {
                request: None,
                appointment,
                patient,
                cause: Cause::Expired,
                claims: claims(),
            }),
        ),
        (
            "progressed",
            Fact::Progressed(Progressed {
                request,
                fingerprint: 6,
                appointment,
                status: AppointmentStatus::Arrived,
            }),
        ),
        (
            "settled",
            Fact::Settled(Settled {
                request,
                fingerprint: 6,
                appointment,
                patient,
                status: AppointmentStatus::Fulfilled,
            }),
        ),
        (
            "declined",
            Fact::Declined(Declined {
                appointment,
                patient,
                fingerprint: 6,
                outcome: Outcome::SlotInPast,
            }),
        ),
        (
            "forgotten",
            Fact::Forgotten(Box::new(Forgotten {
                appointments: [id(1), id(2)].into_iter().collect(),
            })),
        ),
        (
            "session_opened_with_terms",
            Fact::SessionOpened(Box::new(SessionOpened {
                request,
                fingerprint: 6,
                session: rich_session(),
            })),
        ),
        (
            "quotas_set",
            Fact::QuotasSet(Box::new(QuotasSet {
                request,
                fingerprint: 6,
                session: SessionId(7),
                quotas: set_quotas().quotas,
            })),
        ),
        (
            "reclaimed",
            Fact::Reclaimed(Box::new(Reclaimed {
                session: SessionId(7),
                from: PoolIndex(1),
                to: PoolIndex(0),
                places: vec![0, 1, 2],
            })),
        ),
    ]
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    write(&mut buffer);
    buffer
}

fn all_requests() -> Vec<(&'static str, Vec<u8>)> {
    let encode =
        |(name, request)| (name, encoded(|buffer| write_request(0x0102, &request, buffer)));
    requests().into_iter().map(encode).collect()
}

fn all_replies() -> Vec<(&'static str, Vec<u8>)> {
    let encode = |(name, reply)| (name, encoded(|buffer| write_reply(0x0102, &reply, buffer)));
    replies().into_iter().map(encode).collect()
}

fn fact_record(fact: Fact) -> FeedRecord {
    let facts = encoded(|buffer| codec::encode_facts(&smallvec::smallvec![fact], buffer));
    FeedRecord { sequence: Sequence(42), time: NOW, facts }
}

/// Name and bytes of one of each: what the golden file pins.
fn golden() -> Vec<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    let newer = ClientHello::new("golden");
    let older = ClientHello { version_max: 1, ..ClientHello::new("golden") };
    for (version, client) in [("", older), ("_2", newer)] {
        let server = client.answer(NOW).unwrap();
        lines.push((format!("hello.client{version}"), encoded(|buffer| client.write(buffer))));
        lines.push((format!("hello.server{version}"), encoded(|buffer| server.write(buffer))));
    }
    for (name, bytes) in all_requests() {
        lines.push((format!("request.{name}"), bytes));
    }
    for (name, bytes) in all_replies() {
        lines.push((format!("reply.{name}"), bytes));
    }
    for (name, fact) in facts() {
        let bytes = encoded(|buffer| write_fact_item(&fact_record(fact), buffer));
        lines.push((format!("fact.{name}"), bytes));
    }
    let heartbeat = Heartbeat { durable: Sequence(42), time: NOW };
    lines.push(("push.heartbeat".to_owned(), encoded(|buffer| heartbeat.write(buffer))));
    let mut packer = Packer::default();
    for (number, (_, request)) in (1..).zip(requests().iter().skip(10).take(2)) {
        packer.item(FrameKind::Requests, |buffer| write_request(number, request, buffer));
    }
    lines.push(("frame.requests".to_owned(), packer.take()));
    lines
}

#[test]
fn the_bytes_of_every_kind_are_those_of_the_golden_file() {
    let text = include_str!("../../../tests/it/golden/wire.hex");
    let mut now = String::new();
    for (name, bytes) in golden() {
        now.push_str(&name);
        now.push(' ');
        for byte in bytes {
            write!(now, "{byte:02x}").unwrap();
        }
        now.push('\n');
    }
    assert!(text == now, "a frozen layout changed, or a kind was added. The bytes are now:\n{now}");
}

#[test]
fn every_request_reads_as_it_was_written() {
    for ((name, request), (_, bytes)) in requests().into_iter().zip(all_requests()) {
        assert_eq!(decode_request(&bytes), Ok((0x0102, request)), "{name}");
    }
}

#[test]
fn every_reply_reads_as_it_was_written() {
    for ((name, reply), (_, bytes)) in replies().into_iter().zip(all_replies()) {
        assert_eq!(decode_reply(&bytes), Ok((0x0102, reply)), "{name}");
    }
}

#[test]
fn every_fact_and_hello_reads_as_it_was_written() {
    for (name, fact) in facts() {
        let record = fact_record(fact.clone());
        let read = decode_fact_item(&encoded(|buffer| write_fact_item(&record, buffer))).unwrap();
        assert_eq!(read, record, "{name}");
        assert_eq!(codec::decode_facts(&read.facts).unwrap().as_slice(), [fact], "{name}");
    }
    let client =
        ClientHello::new("a name of more than sixty-four bytes is cut where a letter ends: é");
    assert_eq!(ClientHello::read(&encoded(|buffer| client.write(buffer))), Ok(client.clone()));
    let server = client.answer(NOW).unwrap();
    assert_eq!(ServerHello::read(&encoded(|buffer| server.write(buffer))), Ok(server));
    let heartbeat = Heartbeat { durable: Sequence(1), time: NOW };
    assert_eq!(Heartbeat::read(&encoded(|buffer| heartbeat.write(buffer))), Ok(heartbeat));
}

#[test]
fn the_usual_units_are_as_short_as_promised() {
    let length = |request: Request| encoded(|buffer| write_request(1, &request, buffer)).len() + 2;
    assert!(length(hold().into()) <= 90, "{}", length(hold().into()));
    let reply = |reply: Reply| encoded(|buffer| write_reply(1, &reply, buffer)).len() + 2;
    assert!(reply(Reply::Receipt(receipt())) <= 48);
    assert!(reply(Reply::Refused(Outcome::SoldOut.into())) <= 12);
    assert!(reply(Reply::Reading(Reading::Availability(availability(40)))) <= 110);
}

#[test]
fn the_longest_units_are_within_their_bounds() {
    let pool = Pool { quotas: vec![QUOTA; 128], ..session().pools[0].clone() };
    let session = Session { pools: vec![pool; 8], ..session() };
    assert_eq!(session.check(), Ok(()));
    let open = OpenSession { request: RequestId(0), session };
    for request in [Request::from(open), full_hold().into()] {
        let bytes = encoded(|buffer| write_request(1, &request, buffer));
        assert!(bytes.len() <= REQUEST_BYTES_MAX && decode_request(&bytes).is_ok());
    }
    let claim = claims()[0];
    let long = Appointment { claims: smallvec::SmallVec::from_slice(&[claim; 8]), ..appointment() };
    let list = Reply::Reading(Reading::Appointments(vec![long; LISTED_MAX]));
    assert!(encoded(|buffer| write_reply(1, &list, buffer)).len() <= REPLY_BYTES_MAX);
}

const QUOTA: u16 = limits::QUOTA_MAX;

#[test]
fn a_request_cut_anywhere_is_malformed_and_says_whose_it_was() {
    for (name, bytes) in all_requests() {
        for cut in 0..bytes.len() {
            let expected = (5 <= cut)
                .then_some(RequestFault { correlation: 0x0102, outcome: Outcome::Malformed });
            assert_eq!(decode_request(&bytes[..cut]), Err(expected), "{name} {cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(decode_request(&longer).is_err(), "{name} with a byte more");
    }
}

#[test]
fn a_hold_is_read_the_same_into_one_that_was_there_before() {
    let mut command = Command::Hold(full_hold());
    for (name, bytes) in all_requests() {
        let parts = split_request(&bytes).unwrap();
        let apart = parts.command().filter(|_| parts.operation == Operation::Hold);
        let read = parts.hold_into(&mut command).map(|()| command.clone());
        assert_eq!(read, apart, "{name}");
        for cut in 5..bytes.len() {
            let parts = split_request(&bytes[..cut]).unwrap();
            assert_eq!(parts.hold_into(&mut command), None, "{name} {cut}");
        }
        let long = [&bytes[..], &[0]].concat();
        assert_eq!(split_request(&long).unwrap().hold_into(&mut command), None, "{name}");
    }
}

#[test]
fn an_operation_of_another_version_is_unknown() {
    for code in (0..=255_u8).filter(|code| Operation::from_code(*code).is_none()) {
        let fault = RequestFault { correlation: 9, outcome: Outcome::UnknownOperation };
        assert_eq!(decode_request(&[9, 0, 0, 0, code, 1, 2]), Err(Some(fault)));
    }
}
