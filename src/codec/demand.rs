//! Layouts of requests, appointments and receipts.

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::supply::QuotaTable;
use crate::model::limits::{CLAIMS_MAX, RANKED_SLOTS_MAX};
use crate::model::{
    AccountId, Action, Appointment, AppointmentId, AppointmentStatus, Attributes, Cause, Change,
    Claim, ClaimRequest, ClaimRequests, Claims, ClientKey, ClientKeys, Hold, OpenSession,
    Operation, Outcome, PatientClass, PatientId, PaymentRef, Receipt, SetQuotas, SlotChoice,
    SlotIndex,
};

layout_code!(PatientClass { Outpatient, Inpatient, CheckUp, Emergency, Referral });
layout_code!(AppointmentStatus {
    Pending,
    Booked,
    Arrived,
    CheckedIn,
    Fulfilled,
    Cancelled,
    NoShow,
    Waitlist
});
layout_code!(Cause { None, Released, Expired, Cancelled, Displaced, NotDrawn });
layout_checked!(Outcome as u16, |outcome| outcome.code(), Outcome::from_code, "Outcome");
layout_checked!(Operation as u8, |operation| *operation as u8, Operation::from_code, "Operation");
layout_number!(Attributes);
layout_struct!(Claim { session, slot, count, pool });
layout_struct!(ClientKeys { account, phone, device, address });
layout_struct!(OpenSession { request, session });

layout_list!(ClaimList<Claim>, Claims, u8, CLAIMS_MAX, "more claims than an appointment has");
layout_list!(Wishes<ClaimRequest>, ClaimRequests, u8, CLAIMS_MAX, "more claims than a request has");

/// The slots of a wish: none stands for "any".
type Ranked = ArrayVec<SlotIndex, RANKED_SLOTS_MAX>;
layout_list!(RankedList<SlotIndex>, Ranked, u8, RANKED_SLOTS_MAX, "more slots than can be ranked");

impl Encode for ClaimRequest {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.session.encode(encoder)?;
        self.count.encode(encoder)?;
        match &self.slots {
            SlotChoice::Any => 0_u8.encode(encoder),
            SlotChoice::Ranked(slots) => RankedList(slots).encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for ClaimRequest {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let session = Decode::decode(decoder)?;
        let count = Decode::decode(decoder)?;
        let ranked: Ranked = RankedList::decode(decoder)?.0;
        let slots = if ranked.is_empty() { SlotChoice::Any } else { SlotChoice::Ranked(ranked) };
        Ok(Self { session, count, slots })
    }
}

impl Encode for Hold {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.keys.encode(encoder)?;
        self.channel.encode(encoder)?;
        self.class.encode(encoder)?;
        self.attributes.encode(encoder)?;
        self.ttl.encode(encoder)?;
        self.book.encode(encoder)?;
        Wishes(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for Hold {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut hold = blank_hold();
        fill_hold(&mut hold, decoder)?;
        Ok(hold)
    }
}

/// Reads the fields of a hold into one that is there already.
#[inline]
pub(super) fn fill_hold<D: Decoder>(hold: &mut Hold, decoder: &mut D) -> Result<(), DecodeError> {
    hold.appointment = AppointmentId(u128::decode(decoder)?);
    hold.patient = optional(decoder)?.map(PatientId);
    hold.keys.account = optional(decoder)?.map(AccountId);
    hold.keys.phone = optional(decoder)?.map(ClientKey);
    hold.keys.device = optional(decoder)?.map(ClientKey);
    hold.keys.address = optional(decoder)?.map(ClientKey);
    hold.channel = Decode::<D::Context>::decode(decoder)?;
    hold.class = Decode::<D::Context>::decode(decoder)?;
    hold.attributes = Decode::<D::Context>::decode(decoder)?;
    hold.ttl = Decode::<D::Context>::decode(decoder)?;
    hold.book = optional(decoder)?.map(PaymentRef);
    hold.claims.clear();
    let claims = usize::from(u8::decode(decoder)?);
    if CLAIMS_MAX < claims {
        return Err(DecodeError::Other("more claims than a request has"));
    }
    for _ in 0..claims {
        hold.claims.push(Decode::<D::Context>::decode(decoder)?);
    }
    Ok(())
}

#[inline]
fn optional<D: Decoder>(decoder: &mut D) -> Result<Option<u128>, DecodeError> {
    match u8::decode(decoder)? {
        0 => Ok(None),
        1 => Ok(Some(u128::decode(decoder)?)),
        _ => Err(DecodeError::Other("an option is 0 or 1")),
    }
}

/// A hold of nothing, to read one into.
pub fn blank_hold() -> Hold {
    Hold { patient: None, ..Hold::of(AppointmentId::default(), PatientId(0), []) }
}

/// The operation is the first byte; only `Book` has something behind the common fields.
impl Encode for Change {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        if matches!(self.action, Action::Settle) {
            return Err(EncodeError::Other("settling is no request"));
        }
        self.action.operation().encode(encoder)?;
        self.request.encode(encoder)?;
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.channel.encode(encoder)?;
        match self.action {
            Action::Book { payment } => payment.encode(encoder),
            _ => Ok(()),
        }
    }
}

impl<Context> Decode<Context> for Change {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let operation = Operation::decode(decoder)?;
        let request = Decode::decode(decoder)?;
        let appointment = Decode::decode(decoder)?;
        let patient = Decode::decode(decoder)?;
        let channel = Decode::decode(decoder)?;
        let action = match operation {
            Operation::Book => Action::Book { payment: Decode::decode(decoder)? },
            Operation::Release => Action::Release,
            Operation::Cancel => Action::Cancel,
            Operation::Arrive => Action::Arrive,
            Operation::CheckIn => Action::CheckIn,
            Operation::Fulfil => Action::Fulfil,
            Operation::NoShow => Action::NoShow,
            _ => return Err(DecodeError::Other("no change has this code")),
        };
        Ok(Self { request, appointment, patient, channel, action })
    }
}

impl Encode for Receipt {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.status.encode(encoder)?;
        self.until.encode(encoder)?;
        ClaimList(&self.claims).encode(encoder)?;
        self.retried.encode(encoder)
    }
}

impl<Context> Decode<Context> for Receipt {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            status: Decode::decode(decoder)?,
            until: Decode::decode(decoder)?,
            claims: ClaimList::decode(decoder)?.0,
            retried: Decode::decode(decoder)?,
            // `protocol::reply` puts it behind.
            appointment: None,
        })
    }
}

impl Encode for Appointment {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.id.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.account.encode(encoder)?;
        self.organization.encode(encoder)?;
        self.channel.encode(encoder)?;
        self.class.encode(encoder)?;
        self.sharing.encode(encoder)?;
        self.status.encode(encoder)?;
        self.cause.encode(encoder)?;
        self.until.encode(encoder)?;
        self.fingerprint.encode(encoder)?;
        self.payment.encode(encoder)?;
        self.rules.encode(encoder)?;
        ClaimList(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for Appointment {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            account: Decode::decode(decoder)?,
            organization: Decode::decode(decoder)?,
            channel: Decode::decode(decoder)?,
            class: Decode::decode(decoder)?,
            sharing: Decode::decode(decoder)?,
            status: Decode::decode(decoder)?,
            cause: Decode::decode(decoder)?,
            until: Decode::decode(decoder)?,
            fingerprint: Decode::decode(decoder)?,
            payment: Decode::decode(decoder)?,
            rules: Decode::decode(decoder)?,
            claims: ClaimList::decode(decoder)?.0,
        })
    }
}

impl Encode for SetQuotas {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.session.encode(encoder)?;
        QuotaTable(&self.quotas).encode(encoder)
    }
}

impl<Context> Decode<Context> for SetQuotas {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            session: Decode::decode(decoder)?,
            quotas: QuotaTable::decode(decoder)?.0,
        })
    }
}
