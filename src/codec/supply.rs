//! Layouts of sessions and what they are made of.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::limits::{SESSION_POOLS_MAX, SESSION_SLOTS_MAX};
use crate::model::{
    AccountId, AppointmentId, BookingChannel, ChannelSet, ClassSet, ClientKey, DepartmentId,
    OrganizationId, PatientId, PaymentRef, Pick, Pool, PoolIndex, PoolTerms, Repeat, RequestId,
    ResourceId, RulesVersion, Sequence, ServiceId, Session, SessionId, SessionTerms, Sharing,
    SiteId, SlotIndex, Timestamp, Ttl,
};

layout_number!(
    RequestId AppointmentId PatientId AccountId ClientKey PaymentRef SessionId ResourceId
    OrganizationId DepartmentId SiteId SlotIndex PoolIndex RulesVersion Sequence ChannelSet ClassSet
    ServiceId
);
layout_checked!(
    Timestamp as u64,
    |time| time.as_millis(),
    |millis| Some(Timestamp::from_millis(millis)),
    "Timestamp"
);
layout_checked!(Ttl as u32, |ttl| ttl.as_millis(), Ttl::from_millis, "Ttl");
layout_checked!(
    BookingChannel as u8,
    |channel| channel.number(),
    BookingChannel::new,
    "BookingChannel"
);
layout_code!(Pick { Earliest, Even });
layout_code!(Repeat { OnePerPatient, Unlimited });
layout_code!(Sharing { Own, Read, Cancel });

layout_list!(Quotas<u16>, Vec<u16>, u16, SESSION_SLOTS_MAX, "more slots than a session has");
type Table = Vec<Vec<u16>>;
layout_list!(Pools<Pool>, Vec<Pool>, u8, SESSION_POOLS_MAX, "more pools than a session has");

/// The quotas of every pool of a session.
pub(super) struct QuotaTable<T>(pub(super) T);

impl Encode for QuotaTable<&Table> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let pools = u8::try_from(self.0.len()).map_err(|_| EncodeError::Other("too many pools"))?;
        pools.encode(encoder)?;
        self.0.iter().try_for_each(|quotas| Quotas(quotas).encode(encoder))
    }
}

impl<Context> Decode<Context> for QuotaTable<Table> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let pools = usize::from(u8::decode(decoder)?);
        if SESSION_POOLS_MAX < pools {
            return Err(DecodeError::Other("more pools than a session has"));
        }
        let quotas = (0..pools).map(|_| Ok(Quotas::decode(decoder)?.0));
        quotas.collect::<Result<_, _>>().map(Self)
    }
}

/// Without its terms: `codec::terms` writes those.
impl Encode for Pool {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.channels.encode(encoder)?;
        self.classes.encode(encoder)?;
        Quotas(&self.quotas).encode(encoder)
    }
}

impl<Context> Decode<Context> for Pool {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            channels: Decode::decode(decoder)?,
            classes: Decode::decode(decoder)?,
            quotas: Quotas::decode(decoder)?.0,
            terms: PoolTerms::default(),
        })
    }
}

/// Without its terms: `codec::terms` writes those.
impl Encode for Session {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.id.encode(encoder)?;
        self.organization.encode(encoder)?;
        self.site.encode(encoder)?;
        self.department.encode(encoder)?;
        self.resource.encode(encoder)?;
        self.appointment_type.encode(encoder)?;
        self.start.encode(encoder)?;
        self.slot_millis.encode(encoder)?;
        self.pick.encode(encoder)?;
        self.repeat.encode(encoder)?;
        self.sharing.encode(encoder)?;
        self.ttl_max.encode(encoder)?;
        Pools(&self.pools).encode(encoder)
    }
}

impl<Context> Decode<Context> for Session {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Decode::decode(decoder)?,
            organization: Decode::decode(decoder)?,
            site: Decode::decode(decoder)?,
            department: Decode::decode(decoder)?,
            resource: Decode::decode(decoder)?,
            appointment_type: Decode::decode(decoder)?,
            start: Decode::decode(decoder)?,
            slot_millis: Decode::decode(decoder)?,
            pick: Decode::decode(decoder)?,
            repeat: Decode::decode(decoder)?,
            sharing: Decode::decode(decoder)?,
            ttl_max: Decode::decode(decoder)?,
            terms: SessionTerms::default(),
            pools: Pools::decode(decoder)?.0,
        })
    }
}
