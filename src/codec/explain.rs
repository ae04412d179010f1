//! Layouts of what is explained.
//!
//! ```text
//! explain      1 request u128, patient u128? | 2 appointment u128, patient u128? | 3 patient u128
//! explanation  civil, then
//!   1 refused option, declined outcome?, made option, done bool, kept u32
//!   2 appointment, start u64, list8<step>
//!   3 at u64, restrictions list8<standing>, strikes list8, counters list8
//! ```

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::restrict::StandingList;
use crate::model::{
    CountedStrike, Counter, ExplainOf, Explained, ExplainedAppointment, ExplainedPatient,
    ExplainedRequest, Explanation, KeptRestriction, LISTED_MAX, NextStep, RefusedRequest,
    RestrictionState, STEPS_MAX, Step, StepBy,
};

layout_code!(Step { Book, Release, Cancel, Move, Arrive, CheckIn, Fulfil, NoShow, Expire, Draw });
layout_code!(StepBy { Patient, Staff, Node });
layout_struct!(NextStep { what, by, from, until });
layout_struct!(CountedStrike { strike, counts, until });
layout_struct!(Counter { scope, why });
layout_struct!(RefusedRequest {
    at,
    operation,
    outcome,
    retry_after_millis,
    why,
    patient,
    appointment,
    session,
    channel,
});
layout_struct!(ExplainedRequest { refused, declined, made, is_done, kept });
layout_struct!(Explanation { civil, about });

type Steps = Vec<NextStep>;
layout_list!(StepList<NextStep>, Steps, u8, STEPS_MAX, "more steps than are told at once");
layout_with_lists!(ExplainedAppointment { appointment, start, steps as StepList<Steps> });

type Standing = Vec<(RestrictionState, KeptRestriction)>;
type Strikes = Vec<CountedStrike>;
layout_list!(StrikeList<CountedStrike>, Strikes, u8, LISTED_MAX, "more than is listed at once");
type Counters = Vec<Counter>;
layout_list!(CounterList<Counter>, Counters, u8, LISTED_MAX, "more than is listed at once");
layout_with_lists!(ExplainedPatient {
    at,
    restrictions as StandingList<Standing>,
    strikes as StrikeList<Strikes>,
    counters as CounterList<Counters>,
});

const REQUEST: u8 = 1;
const APPOINTMENT: u8 = 2;
const PATIENT: u8 = 3;

impl Encode for ExplainOf {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Request { request, patient } => (REQUEST, *request, *patient).encode(encoder),
            Self::Appointment { appointment, patient } => {
                (APPOINTMENT, *appointment, *patient).encode(encoder)
            }
            Self::Patient(patient) => (PATIENT, *patient).encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for ExplainOf {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            REQUEST => Self::Request {
                request: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
            },
            APPOINTMENT => Self::Appointment {
                appointment: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
            },
            PATIENT => Self::Patient(Decode::decode(decoder)?),
            _ => return Err(DecodeError::Other("ExplainOf")),
        })
    }
}

impl Encode for Explained {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Request(request) => {
                REQUEST.encode(encoder)?;
                request.encode(encoder)
            }
            Self::Appointment(appointment) => {
                APPOINTMENT.encode(encoder)?;
                appointment.encode(encoder)
            }
            Self::Patient(patient) => {
                PATIENT.encode(encoder)?;
                patient.encode(encoder)
            }
        }
    }
}

impl<Context> Decode<Context> for Explained {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            REQUEST => Self::Request(Decode::decode(decoder)?),
            APPOINTMENT => Self::Appointment(Decode::decode(decoder)?),
            PATIENT => Self::Patient(Decode::decode(decoder)?),
            _ => return Err(DecodeError::Other("Explained")),
        })
    }
}
