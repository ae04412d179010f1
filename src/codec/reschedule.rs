//! Layouts of moving an appointment: the command, and the fact in its two forms.
//!
//! ```text
//! all places come back at once     the fields of the fact
//! others come back later           the same, u8 n, n (u64: when the places of a claim come back)
//! ```

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::demand::{ClaimList, Wishes};
use super::returns::TimeList;
use crate::model::{Reschedule, Rescheduled, Timestamp};

impl Encode for Reschedule {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.channel.encode(encoder)?;
        Wishes(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for Reschedule {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            appointment: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            channel: Decode::decode(decoder)?,
            claims: Wishes::decode(decoder)?.0,
        })
    }
}

impl Encode for Rescheduled {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.fingerprint.encode(encoder)?;
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.organization.encode(encoder)?;
        self.sharing.encode(encoder)?;
        self.changes.encode(encoder)?;
        ClaimList(&self.from).encode(encoder)?;
        ClaimList(&self.to).encode(encoder)
    }
}

impl<Context> Decode<Context> for Rescheduled {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            fingerprint: Decode::decode(decoder)?,
            appointment: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            organization: Decode::decode(decoder)?,
            sharing: Decode::decode(decoder)?,
            changes: Decode::decode(decoder)?,
            from: ClaimList::decode(decoder)?.0,
            back: Vec::new(),
            to: ClaimList::decode(decoder)?.0,
        })
    }
}

/// A move of which places come back later.
pub(super) struct MovedLater<T>(pub(super) T);

impl Encode for MovedLater<&Rescheduled> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)?;
        TimeList(&self.0.back).encode(encoder)
    }
}

impl<Context> Decode<Context> for MovedLater<Rescheduled> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let fact: Rescheduled = Decode::decode(decoder)?;
        let back = TimeList::decode(decoder)?.0;
        if back.len() != fact.from.len() || back.iter().all(|it| *it == Timestamp::default()) {
            return Err(DecodeError::Other("a move says when its places come back, or not at all"));
        }
        Ok(Self(Rescheduled { back, ..fact }))
    }
}
