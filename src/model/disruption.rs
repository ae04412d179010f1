//! What a practitioner's absence does to a session that is booked already: blocked, substituted, and
//! places added for one patient (停诊, 替诊, 加号).
//!
//! ```text
//! block       SessionBlocked -> [ Displaced | Ended ] each -> Offered ...   -> Swept
//!             one small fact    bounded steps, driven by the ticker         all are reached
//! substitute  Substituted: another resource, every appointment stays
//! add         PlaceAdded: a place for one patient, in no pool
//! ```

use super::actor::BookingChannel;
use super::appointment::{Appointment, AppointmentStatus, Cause, Claim, Claims, PatientClass};
use super::fingerprint::Fingerprint;
use super::id::{
    AccountId, AppointmentId, OrganizationId, PatientId, PaymentRef, PoolIndex, RequestId,
    ResourceId, RulesVersion, SessionId, SlotIndex,
};
use super::operation::Operation;
use super::session::Sharing;
use super::time::Timestamp;

/// Closes slots of a session, or opens them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSession {
    /// The id of the request.
    pub request: RequestId,
    /// Which session.
    pub session: SessionId,
    /// The first slot.
    pub first: SlotIndex,
    /// How many slots, from 1.
    pub count: u16,
    /// Whether they close; otherwise they open again.
    pub is_blocked: bool,
    /// Why, a code of the hospital.
    pub reason: u16,
    /// Who does it, as a keyed hash.
    pub by: Option<AccountId>,
}

/// Puts another resource into a session. Appointments stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Substitute {
    /// The id of the request.
    pub request: RequestId,
    /// Which session.
    pub session: SessionId,
    /// Who or what takes over.
    pub resource: ResourceId,
    /// Why, a code of the hospital.
    pub reason: u16,
    /// Who does it, as a keyed hash.
    pub by: Option<AccountId>,
}

/// Adds a place to a slot for one patient, and books it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddPlace {
    /// The new appointment, and the id of the request.
    pub appointment: AppointmentId,
    /// For whom.
    pub patient: PatientId,
    /// In which session.
    pub session: SessionId,
    /// In which slot.
    pub slot: SlotIndex,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// The payment, where it is paid already.
    pub payment: Option<PaymentRef>,
    /// Why, a code of the hospital.
    pub reason: u16,
    /// Who does it, as a keyed hash.
    pub by: Option<AccountId>,
}

/// See `Fact::SessionBlocked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBlocked {
    /// The fingerprint of the request.
    pub fingerprint: u64,
    /// What was asked for, and done.
    pub block: BlockSession,
}

/// See `Fact::Displaced`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// The session that was blocked.
    pub session: SessionId,
    /// Why, a code of the hospital.
    pub reason: u16,
    /// The places that came back: all that it had, not only those of the blocked session.
    pub claims: Claims,
}

/// See `Fact::Substituted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Substituted {
    /// The fingerprint of the request.
    pub fingerprint: u64,
    /// Who or what was there before.
    pub from: ResourceId,
    /// What was asked for, and done.
    pub substitute: Substitute,
}

/// See `Fact::PlaceAdded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceAdded {
    /// The appointment, new.
    pub appointment: AppointmentId,
    /// Who is to be seen.
    pub patient: PatientId,
    /// Whose session it is.
    pub organization: OrganizationId,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What other channels may do.
    pub sharing: Sharing,
    /// The fingerprint of the request.
    pub fingerprint: u64,
    /// The rules that it was decided under.
    pub rules: RulesVersion,
    /// The payment, where it was paid already.
    pub payment: Option<PaymentRef>,
    /// Why, a code of the hospital.
    pub reason: u16,
    /// Who did it, as a keyed hash.
    pub by: Option<AccountId>,
    /// The one place, in [`PoolIndex::ADDED`].
    pub claims: Claims,
}

impl PoolIndex {
    /// The pool of added places. No session has it and no request is admitted to it, so that an
    /// added place can never go to somebody else.
    pub const ADDED: Self = Self(u8::MAX);
}

impl Appointment {
    /// Whether its places were blocked and it has no others: it stays booked, and takes none.
    pub fn is_displaced(&self) -> bool {
        self.status == AppointmentStatus::Booked && self.cause == Cause::Displaced
    }

    /// Whether it is a hold that the engine made for a displaced appointment.
    pub fn is_offer(&self) -> bool {
        self.status == AppointmentStatus::Pending && self.cause == Cause::Displaced
    }

    /// The places that it takes now.
    pub fn places(&self) -> &[Claim] {
        let takes = self.status.takes_places() && !self.is_displaced();
        if takes { &self.claims } else { &[] }
    }

    /// The id of the hold that is offered to it instead of the places that it lost, whether there is
    /// one or not. It follows from the appointment and from when it was displaced.
    pub fn offer_id(&self) -> Option<AppointmentId> {
        let mixed = self.id.0.wrapping_mul(OFFER_FACTOR) ^ self.id.0 >> 64;
        let id = RequestId::from_parts(self.until, mixed);
        self.is_displaced().then_some(AppointmentId(id.0))
    }
}

/// Odd, so that different appointments have different offers.
const OFFER_FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

impl BlockSession {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::BlockSession as u64);
        print.add(self.session.0).add(
            u64::from(self.first.0)
                | u64::from(self.count) << 16
                | u64::from(self.reason) << 32
                | u64::from(self.is_blocked) << 48,
        );
        print.add_optional(self.by.map(|by| by.0)).finish()
    }

    /// The slots.
    pub fn slots(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        (self.first.0..self.first.0.saturating_add(self.count)).map(SlotIndex)
    }
}

impl Substitute {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::Substitute as u64);
        print.add(self.session.0).add(self.resource.0).add(u64::from(self.reason));
        print.add_optional(self.by.map(|by| by.0)).finish()
    }
}

impl AddPlace {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::AddPlace as u64);
        print.add_wide(patient.0).add(self.session.0);
        print.add(
            u64::from(self.slot.0)
                | u64::from(self.reason) << 16
                | u64::from(self.channel.number()) << 32
                | u64::from(self.class as u8) << 40
                | u64::from(self.payment.is_some()) << 48,
        );
        print.add_wide(self.payment.map_or(0, |payment| payment.0));
        print.add_optional(self.by.map(|by| by.0)).finish()
    }

    /// The place.
    pub const fn claim(&self) -> Claim {
        Claim { session: self.session, slot: self.slot, count: 1, pool: PoolIndex::ADDED }
    }
}

impl PlaceAdded {
    /// The appointment that it makes, at a time.
    pub fn appointment(&self, time: Timestamp) -> Appointment {
        Appointment {
            id: self.appointment,
            patient: self.patient,
            account: None,
            organization: self.organization,
            channel: self.channel,
            class: self.class,
            sharing: self.sharing,
            status: AppointmentStatus::Booked,
            cause: Cause::None,
            until: time,
            fingerprint: self.fingerprint,
            payment: self.payment,
            rules: self.rules,
            claims: Claims::from_slice(&self.claims),
        }
    }
}
