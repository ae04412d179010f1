//! Samples of places on their way back.

use super::*;

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let returning = Returning { until: NOW, slot: SlotIndex(3), pool: PoolIndex(0), count: 1 };
    let ended = Ended {
        request: Some((RequestId::from_parts(NOW, 2), 6)),
        appointment: id(1),
        patient: PatientId(0x11),
        cause: Cause::Cancelled,
        claims: claims(),
    };
    vec![
        ("freed", Fact::Freed(Box::new(Freed { ended, back: vec![NOW.after(Ttl::DEFAULT)] }))),
        (
            "returned",
            Fact::Returned(Box::new(Returned { session: SessionId(7), places: vec![returning] })),
        ),
    ]
}
