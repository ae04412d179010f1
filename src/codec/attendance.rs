//! Layouts of attendance: the rules, the queue, its facts, and how it is read.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::{
    Attendance, CallLine, CallNext, CallOrderOf, Called, LISTED_MAX, LateRule, Left, PickUpWindow,
    QueueEntry, Queued,
};

layout_struct!(Attendance { check_in_from, pick_up_until, grace, late_until, late });
layout_struct!(PickUpWindow { from, until });
layout_struct!(CallNext { request, session });
layout_struct!(QueueEntry { appointment, slot, segment, is_late, since, call });
layout_struct!(CallLine { appointment, slot, is_late, since, called, position, wait_millis });
layout_struct!(Queued {
    request,
    fingerprint,
    appointment,
    session,
    slot,
    segment,
    is_late,
    since
});
layout_struct!(Left { request, fingerprint, appointment, patient, status, session, visit_millis });
layout_struct!(Called { request, fingerprint, session, appointment, at });

type Listed = Vec<CallLine>;
layout_list!(Lines<CallLine>, Listed, u8, LISTED_MAX, "more than is listed at once");

/// A kind and a number, which is 0 where the kind has none.
impl Encode for LateRule {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.parts().encode(encoder)
    }
}

impl<Context> Decode<Context> for LateRule {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match <(u8, u8)>::decode(decoder)? {
            (0, 0) => Ok(Self::EndOfSegment),
            (1, on_time) => Ok(Self::Every(on_time)),
            _ => Err(DecodeError::Other("LateRule")),
        }
    }
}

const ALL: u8 = 0;
const ONE: u8 = 1;

impl Encode for CallOrderOf {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::All { from } => (ALL, *from).encode(encoder),
            Self::One { appointment, patient, channel } => {
                ONE.encode(encoder)?;
                appointment.encode(encoder)?;
                patient.encode(encoder)?;
                channel.encode(encoder)
            }
        }
    }
}

impl<Context> Decode<Context> for CallOrderOf {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match u8::decode(decoder)? {
            ALL => Ok(Self::All { from: Decode::decode(decoder)? }),
            ONE => Ok(Self::One {
                appointment: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            _ => Err(DecodeError::Other("CallOrderOf")),
        }
    }
}
