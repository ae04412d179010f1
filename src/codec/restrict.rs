//! Layouts of restrictions by hand, and of what is done about restrictions.
//!
//! ```text
//! restrict    request, patient, scope, consequence, from u64, until u64, evidence u128, reason u16
//! amend       request, patient, restriction u128, u8 what, until u64, evidence u128, reason u16
//! appeal      request, patient, restriction u128, evidence u128, channel
//! Restricted  request, fingerprint, patient, restriction, ground
//! Amended     fingerprint, patient, restriction u128, step
//! ground      role u8, reason u16, evidence u128
//! step        request, at u64, ground, u8 what, what it needs
//! kept        id u128, restriction, option ground, u8 n, n steps
//! ```

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::limits::KEYS_MAX;
use crate::model::{
    Amend, Amended, Amendment, Appeal, AppealRule, AppealTerm, EvidenceRef, Ground,
    KeptRestriction, PatientId, Restrict, Restricted, RestrictionId, RestrictionState,
    RestrictionStep, Role, STANDING_MAX, StandingReading, StepKind, Undecided,
};

layout_number!(RestrictionId EvidenceRef);
layout_code!(Role { Gateway, Counter, Practitioner, Admin, Auditor, Observer, Replica });
layout_code!(Undecided { Stands, Lifted });
layout_code!(RestrictionState { Ahead, Holds, Suspended, Lifted, Over });
layout_struct!(AppealRule { term, is_suspending, per_restriction, undecided });
layout_struct!(AppealTerm { due, is_suspending, undecided, rules });
layout_struct!(Ground { by, reason, evidence });
layout_struct!(RestrictionStep { request, at, ground, what });
layout_struct!(Restrict { request, patient, within, consequence, from, until, evidence, reason });
layout_struct!(Amend { request, patient, restriction, amendment, evidence, reason });
layout_struct!(Appeal { request, patient, restriction, evidence, channel });
layout_struct!(Restricted { request, fingerprint, patient, restriction, ground });
layout_struct!(Amended { fingerprint, patient, restriction, step });

type Steps = Vec<RestrictionStep>;
layout_list!(StepList<RestrictionStep>, Steps, u8, u8::MAX as usize, "more steps than are kept");
layout_with_lists!(KeptRestriction { id, restriction, ground, steps as StepList<Steps> });

type Standing = Vec<(RestrictionState, KeptRestriction)>;
layout_list!(
    StandingList<(RestrictionState, KeptRestriction)>,
    Standing,
    u8,
    STANDING_MAX,
    "more restrictions than are told at once"
);
type Keys = Vec<PatientId>;
layout_list!(KeyList<PatientId>, Keys, u8, KEYS_MAX, "more keys than a person has");
layout_with_lists!(StandingReading {
    patient,
    keys as KeyList<Keys>,
    doubled,
    restrictions as StandingList<Standing>,
});

impl Encode for Amendment {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.parts().encode(encoder)
    }
}

impl<Context> Decode<Context> for Amendment {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (kind, until) = Decode::decode(decoder)?;
        Self::from_parts(kind, until).ok_or(DecodeError::Other("Amendment"))
    }
}

impl Encode for StepKind {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Lifted => 1_u8.encode(encoder),
            Self::Suspended(until) => (2_u8, *until).encode(encoder),
            Self::Resumed => 3_u8.encode(encoder),
            Self::Appealed(term) => (4_u8, *term).encode(encoder),
            Self::Upheld => 5_u8.encode(encoder),
            Self::Granted => 6_u8.encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for StepKind {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            1 => Self::Lifted,
            2 => Self::Suspended(Decode::decode(decoder)?),
            3 => Self::Resumed,
            4 => Self::Appealed(Decode::decode(decoder)?),
            5 => Self::Upheld,
            6 => Self::Granted,
            _ => return Err(DecodeError::Other("StepKind")),
        })
    }
}
