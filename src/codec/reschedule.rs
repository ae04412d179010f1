//! Layouts of moving an appointment: the command and the fact.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::demand::{ClaimList, Wishes};
use crate::model::{Reschedule, Rescheduled};

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
            to: ClaimList::decode(decoder)?.0,
        })
    }
}
