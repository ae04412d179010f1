//! Samples of waitlists.

use super::*;
use crate::codec::waitlist_session;

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    vec![
        (
            "open_with_terms_waitlist",
            OpenSession { request: RequestId::from_parts(NOW, 3), session: waitlist_session() }
                .into(),
        ),
        ("join_waitlist", Request::Command(Command::JoinWaitlist(Box::new(join())))),
        (
            "join_waitlist_attested",
            Request::Command(Command::JoinWaitlist(Box::new(JoinWaitlist {
                attributes: Attributes(30),
                ..join()
            }))),
        ),
        ("leave_waitlist", Request::Command(Command::LeaveWaitlist(leave()))),
        (
            "waitlist",
            Query::Waitlist {
                session: SessionId(7),
                patient: Some(PatientId(0x11)),
                channel: channel(2),
            }
            .into(),
        ),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Reply)> {
    vec![(
        "waitlist",
        Reply::Reading(Reading::Waitlist(WaitlistReading {
            waiting: 12,
            closes_at: NOW,
            entry: Some(join().request),
            position: Some(3),
            offer: None,
            likelihood: Some(250),
        })),
    )]
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let (request, appointment, patient) = (RequestId::from_parts(NOW, 2), id(1), PatientId(0x11));
    vec![
        (
            "wait_joined",
            Fact::WaitJoined(Box::new(WaitJoined {
                fingerprint: Some(6),
                entry: wait_entry(),
                targets: wait_entry().sessions(),
            })),
        ),
        (
            "wait_joined_attested",
            Fact::WaitJoined(Box::new(WaitJoined {
                fingerprint: Some(6),
                entry: WaitEntry { attributes: Attributes(30), ..wait_entry() },
                targets: wait_entry().sessions(),
            })),
        ),
        (
            "place_offered",
            Fact::PlaceOffered(Box::new(PlaceOffered {
                entry: join().request,
                targets: join().targets,
                back: NOW,
                held: Held {
                    appointment,
                    patient,
                    account: Some(AccountId(0x22)),
                    organization: OrganizationId(1),
                    channel: channel(2),
                    class: PatientClass::Referral,
                    sharing: Sharing::Cancel,
                    until: NOW.after(Ttl::DEFAULT),
                    fingerprint: 5,
                    rules: RulesVersion(0),
                    claims: claims(),
                },
            })),
        ),
        (
            "wait_left",
            Fact::WaitLeft(Box::new(WaitLeft {
                request: Some((request, 6)),
                entry: join().request,
                patient,
                targets: join().targets,
                why: WaitEnd::Left,
            })),
        ),
        ("wait_drawn", Fact::WaitDrawn(WaitDrawn { session: SessionId(7), seed: 8 })),
    ]
}

fn join() -> JoinWaitlist {
    JoinWaitlist {
        request: RequestId::from_parts(NOW, 5),
        patient: PatientId(0x11),
        account: Some(AccountId(0x22)),
        channel: channel(2),
        class: PatientClass::Referral,
        attributes: Attributes::default(),
        earliest: NOW,
        latest: NOW.plus_millis(3_600_000),
        targets: [SessionId(7), SessionId(8)].into_iter().collect(),
    }
}

fn leave() -> LeaveWaitlist {
    LeaveWaitlist {
        request: RequestId::from_parts(NOW, 6),
        entry: join().request,
        patient: PatientId(0x11),
        channel: channel(2),
    }
}

fn wait_entry() -> WaitEntry {
    let JoinWaitlist { request, patient, account, channel, class, earliest, latest, .. } = join();
    let target = |session| WaitTarget {
        session,
        priority: 3,
        order: WaitOrder::Draw,
        drawn_at: NOW.plus_millis(600_000),
    };
    WaitEntry {
        entry: request,
        patient,
        account,
        channel,
        class,
        attributes: Attributes::default(),
        joined: NOW,
        earliest,
        latest,
        targets: join().targets.into_iter().map(target).collect(),
    }
}
