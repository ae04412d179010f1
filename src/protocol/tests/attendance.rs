//! Samples of queues and calls.

use super::*;

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let mut session = rich_session();
    session.terms.attendance = Some(Attendance {
        check_in_from: 3_600_000,
        pick_up_until: Some(-600_000),
        grace: 900_000,
        late_until: 3_600_000,
        late: LateRule::Every(3),
    });
    let window = PickUpWindow { from: NOW, until: NOW.plus_millis(3_600_000) };
    session.terms.pick_up_windows = vec![window];
    vec![
        (
            "open_with_terms_windows",
            OpenSession { request: RequestId::from_parts(NOW, 3), session }.into(),
        ),
        (
            "call_next",
            Request::Command(Command::CallNext(CallNext {
                request: RequestId::from_parts(NOW, 5),
                session: SessionId(7),
            })),
        ),
        (
            "call_order",
            Query::CallOrder { session: SessionId(7), of: CallOrderOf::All { from: 64 } }.into(),
        ),
        (
            "call_order_one",
            Query::CallOrder {
                session: SessionId(7),
                of: CallOrderOf::One {
                    appointment: id(1),
                    patient: Some(PatientId(0x11)),
                    channel: channel(2),
                },
            }
            .into(),
        ),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Reply)> {
    vec![("call_order", Reply::Reading(Reading::CallOrder(Box::new(call_order()))))]
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let (request, appointment, patient) = (RequestId::from_parts(NOW, 2), id(1), PatientId(0x11));
    vec![
        (
            "queued",
            Fact::Queued(Queued {
                request,
                fingerprint: 6,
                appointment,
                session: SessionId(7),
                slot: SlotIndex(1),
                segment: SlotIndex(2),
                is_late: true,
                since: NOW,
            }),
        ),
        (
            "left",
            Fact::Left(Left {
                request,
                fingerprint: 6,
                appointment,
                patient,
                status: AppointmentStatus::Fulfilled,
                session: SessionId(7),
                visit_millis: Some(300_000),
            }),
        ),
        (
            "called",
            Fact::Called(Called {
                request,
                fingerprint: 6,
                session: SessionId(7),
                appointment,
                at: NOW,
            }),
        ),
    ]
}

fn call_order() -> CallOrder {
    let line = CallLine {
        appointment: id(1),
        slot: SlotIndex(3),
        is_late: false,
        since: NOW,
        called: Some(NOW),
        position: 0,
        wait_millis: 0,
    };
    let next = CallLine {
        appointment: id(2),
        is_late: true,
        called: None,
        position: 1,
        wait_millis: 300_000,
        ..line
    };
    CallOrder { waiting: 1, visit_millis: 300_000, lines: vec![line, next] }
}
