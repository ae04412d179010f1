//! Payments of appointments, orders for them, what is owed back, and naming the patient of a hold.
//!
//! ```text
//! hold --order--> later deadline --pay--> booked, with a bill     cancelled: refund due
//!   `- over, paid late: booked anew (the id of the request), or refund due      --refund--> refunded
//! ```

use super::actor::BookingChannel;
use super::appointment::{Claims, PatientClass};
use super::command::{Attributes, ClientKeys};
use super::fingerprint::Fingerprint;
use super::id::{AccountId, AppointmentId, OrganizationId, PatientId, PaymentRef, RequestId};
use super::operation::Operation;
use super::time::Timestamp;

/// Who pays, or that it is only promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PaymentKind {
    /// The patient (自费).
    SelfPay = 1,
    /// An insurance (医保).
    Insurance = 2,
    /// Money is set aside (预授权).
    PreAuthorization = 3,
}

/// Whether money is owed back (退费).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RefundState {
    /// It is not.
    #[default]
    None = 0,
    /// It is.
    Due = 1,
    /// It was, and was given back.
    Refunded = 2,
}

/// One payment of an appointment, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Of which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// Whose session it was in.
    pub organization: OrganizationId,
    /// Who paid.
    pub kind: PaymentKind,
    /// Its reference.
    pub payment: PaymentRef,
    /// When it became what it is.
    pub since: Timestamp,
    /// Whether it is owed back.
    pub refund: RefundState,
    /// The reference of what was given back.
    pub reference: Option<PaymentRef>,
    /// The appointment that was booked with it, where it came too late for this one.
    pub rebooked: Option<AppointmentId>,
}

/// A payment is what this says from now on. See [`super::Fact::Billed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billed {
    /// The request that did it with its fingerprint, where no other fact of the record names it.
    pub request: Option<(RequestId, u64)>,
    /// The payment.
    pub bill: Bill,
}

/// The deadline of a hold was moved. See [`super::Fact::Ordered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which hold.
    pub appointment: AppointmentId,
    /// The new deadline.
    pub until: Timestamp,
    /// How many orders it had, with this one.
    pub orders: u8,
}

/// The patient of a hold was named. See [`super::Fact::PatientNamed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientNamed {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which hold.
    pub appointment: AppointmentId,
    /// Whose it was.
    pub account: AccountId,
    /// Whose it is.
    pub patient: PatientId,
    /// As what the patient comes.
    pub class: PatientClass,
    /// The places, which stay.
    pub claims: Claims,
}

/// Moves the deadline of a hold to that of a payment order (支付订单).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The id of the request.
    pub request: RequestId,
    /// Which hold.
    pub appointment: AppointmentId,
    /// Whose it is, as for a change.
    pub patient: Option<PatientId>,
    /// Through which channel.
    pub channel: BookingChannel,
    /// Until when the order can be paid. A rule may allow less.
    pub until: Timestamp,
}

/// Books a hold with a payment of a kind, also when the hold is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pay {
    /// The id of the request, and of the appointment that is booked instead of one that is over.
    pub request: RequestId,
    /// Which hold.
    pub appointment: AppointmentId,
    /// Whose it is, as for a change.
    pub patient: Option<PatientId>,
    /// Through which channel.
    pub channel: BookingChannel,
    /// Who pays.
    pub kind: PaymentKind,
    /// The reference of the payment.
    pub payment: PaymentRef,
}

/// Says that money was given back (退费).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The id of the request.
    pub request: RequestId,
    /// For which appointment it was paid.
    pub appointment: AppointmentId,
    /// Which payment.
    pub payment: PaymentRef,
    /// The reference of what was given back.
    pub reference: PaymentRef,
}

/// Names the patient of a hold that an account has (选择就诊人).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamePatient {
    /// The id of the request.
    pub request: RequestId,
    /// Which hold.
    pub appointment: AppointmentId,
    /// The patient.
    pub patient: PatientId,
    /// Who asks; the account is the holder's.
    pub keys: ClientKeys,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What the gateway vouches for.
    pub attributes: Attributes,
}

impl Bill {
    /// Whether a payment that stands so, or that there was not, can become this one.
    pub fn may_follow(&self, known: Option<&Self>) -> bool {
        let is_step = match (known.map(|known| known.refund), self.refund) {
            (None, RefundState::None | RefundState::Due)
            | (Some(RefundState::None), RefundState::Due) => self.reference.is_none(),
            (Some(RefundState::Due), RefundState::Refunded) => self.reference.is_some(),
            (None | Some(_), _) => false,
        };
        is_step
            && known.is_none_or(|known| {
                (known.patient, known.kind, known.rebooked)
                    == (self.patient, self.kind, self.rebooked)
            })
    }
}

impl Order {
    /// A hash of what is asked for.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::Order as u64);
        print.add_wide(self.appointment.0).add(self.until.as_millis()).finish()
    }
}

impl Pay {
    /// A hash of what is asked for.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::Pay as u64);
        print.add_wide(self.appointment.0).add_wide(self.payment.0).add(self.kind as u64).finish()
    }
}

impl Refund {
    /// A hash of what is asked for.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::Refund as u64);
        print.add_wide(self.appointment.0).add_wide(self.payment.0).add_wide(self.reference.0);
        print.finish()
    }
}

impl NamePatient {
    /// A hash of what is asked for. As of a hold, attributes and other keys are not in it.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::NamePatient as u64);
        print.add_wide(self.appointment.0).add_wide(patient.0);
        print.add_optional(self.keys.account.map(|account| account.0));
        print.add(self.class as u64).finish()
    }
}

impl PaymentKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::SelfPay, Self::Insurance, Self::PreAuthorization];

    /// The name in commands, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SelfPay => "self-pay",
            Self::Insurance => "insurance",
            Self::PreAuthorization => "pre-authorization",
        }
    }
}

impl RefundState {
    /// The name in JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Due => "due",
            Self::Refunded => "refunded",
        }
    }
}
