//! Layouts of places on their way back.
//!
//! ```text
//! returning  until u64, slot u16, pool u8, count u16
//! Freed      as Ended, u8 n, n (u64: when the places of the claim come back)
//! Returned   session u64, u16 n, n returning
//! ```

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::limits::{CLAIMS_MAX, RETURNED_MAX, SESSION_CELLS_MAX};
use crate::model::{Freed, Returned, Returning, Timestamp};

layout_struct!(Returning { until, slot, pool, count });

type Times = Vec<Timestamp>;
layout_list!(TimeList<Timestamp>, Times, u8, CLAIMS_MAX, "more times than claims");

type Places = Vec<Returning>;
layout_list!(ReturnedList<Returning>, Places, u16, RETURNED_MAX, "more than comes back at once");
layout_list!(ReturningList<Returning>, Places, u16, SHOWN_MAX, "more than is on its way back");

/// Returning places that a reading shows: the earliest of them.
pub(super) const SHOWN_MAX: usize = SESSION_CELLS_MAX;

impl Encode for Freed {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.ended.encode(encoder)?;
        TimeList(&self.back).encode(encoder)
    }
}

impl<Context> Decode<Context> for Freed {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self { ended: Decode::decode(decoder)?, back: TimeList::decode(decoder)?.0 })
    }
}

impl Encode for Returned {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.session.encode(encoder)?;
        ReturnedList(&self.places).encode(encoder)
    }
}

impl<Context> Decode<Context> for Returned {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self { session: Decode::decode(decoder)?, places: ReturnedList::decode(decoder)?.0 })
    }
}
