//! Layouts of what happens to sessions that are booked already.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::demand::ClaimList;
use crate::model::{
    AddPlace, BlockSession, Displaced, PlaceAdded, SessionBlocked, Substitute, Substituted,
};

layout_struct!(BlockSession { request, session, first, count, is_blocked, reason, by });
layout_struct!(Substitute { request, session, resource, reason, by });
layout_struct!(AddPlace {
    appointment,
    patient,
    session,
    slot,
    channel,
    class,
    payment,
    reason,
    by,
});
layout_struct!(SessionBlocked { fingerprint, block });
layout_struct!(Substituted { fingerprint, from, substitute });

impl Encode for Displaced {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.session.encode(encoder)?;
        self.reason.encode(encoder)?;
        ClaimList(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for Displaced {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            appointment: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            session: Decode::decode(decoder)?,
            reason: Decode::decode(decoder)?,
            claims: ClaimList::decode(decoder)?.0,
        })
    }
}

impl Encode for PlaceAdded {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.organization.encode(encoder)?;
        self.channel.encode(encoder)?;
        self.class.encode(encoder)?;
        self.sharing.encode(encoder)?;
        self.fingerprint.encode(encoder)?;
        self.rules.encode(encoder)?;
        self.payment.encode(encoder)?;
        self.reason.encode(encoder)?;
        self.by.encode(encoder)?;
        ClaimList(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for PlaceAdded {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            appointment: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            organization: Decode::decode(decoder)?,
            channel: Decode::decode(decoder)?,
            class: Decode::decode(decoder)?,
            sharing: Decode::decode(decoder)?,
            fingerprint: Decode::decode(decoder)?,
            rules: Decode::decode(decoder)?,
            payment: Decode::decode(decoder)?,
            reason: Decode::decode(decoder)?,
            by: Decode::decode(decoder)?,
            claims: ClaimList::decode(decoder)?.0,
        })
    }
}
