//! How a visit is paid for (支付方式), and how long an order may keep its place.
//!
//! ```text
//! at-pick-up, after-visit            booked without a payment
//! self-pay, self-pay-only            booked with one of the patient's own
//! self-pay-or-insurance              ... or of an insurance
//! pre-authorization                  booked with money that is set aside
//! ```

use super::RuleMode;
use crate::model::actor::{BookingChannel, ChannelSet};
use crate::model::fingerprint::Fingerprint;
use crate::model::outcome::Outcome;
use crate::model::payment::PaymentKind;

/// How visits are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentRule {
    /// When, and with what.
    pub by: PaymentMode,
    /// Through which channels that has to be so. Others, such as a counter's, may take a payment of
    /// any kind or none.
    pub channels: ChannelSet,
    /// What a payment comes to that is made when the hold is over.
    pub late: LatePayment,
    /// Whether a payment order moves the deadline of a hold, and how far.
    pub order: Option<OrderRule>,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// When a visit is paid for, and with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PaymentMode {
    /// When the number is picked up, with insurance or without (取号缴费).
    #[default]
    AtPickUp = 0,
    /// When it is booked, by the patient (在线自费).
    SelfPay = 1,
    /// When it is booked, by the patient or an insurance (在线自费或医保).
    SelfPayOrInsurance = 2,
    /// By the patient, and through no channel by an insurance (仅自费).
    SelfPayOnly = 3,
    /// After the visit (诊后缴费).
    AfterVisit = 4,
    /// When it is booked money is set aside, and taken later (预授权).
    PreAuthorization = 5,
}

/// What a payment comes to that is made when the hold is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LatePayment {
    /// The same slot is booked again if there is a place, otherwise the money is owed back.
    #[default]
    Rebook = 0,
    /// The money is owed back.
    Refund = 1,
}

/// How payment orders (支付订单) move deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRule {
    /// How far ahead of the order the deadline may lie at most, in minutes, 1 to 2,880.
    pub minutes: u16,
    /// How many orders one hold may have, from 1.
    pub times: u8,
}

impl PaymentRule {
    /// How many bytes it takes at most.
    pub(super) const fn weight(self) -> usize {
        match self.order {
            Some(_) => 16,
            None => 13,
        }
    }

    pub(super) fn is_sound(self) -> bool {
        self.order
            .is_none_or(|order| (1..=ORDER_MINUTES_MAX).contains(&order.minutes) && 0 < order.times)
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        print.add(7 << 56 | self.by as u64 | (self.late as u64) << 8 | (self.mode as u64) << 16);
        print.add(self.channels.0);
        if let Some(OrderRule { minutes, times }) = self.order {
            print.add(1 << 32 | u64::from(minutes) | u64::from(times) << 16);
        }
    }

    /// Channels through which the rule asks for nothing, where it does not take a kind of payment, or
    /// none, through others.
    pub const fn elsewhere(self, kind: Option<PaymentKind>) -> ChannelSet {
        match (self.by, kind) {
            (PaymentMode::SelfPayOnly, Some(PaymentKind::Insurance)) => ChannelSet(0),
            _ => ChannelSet(!self.channels.0),
        }
    }

    /// Whether a visit may be booked through a channel with a payment of that kind, or without one.
    ///
    /// # Errors
    ///
    /// [`Outcome::PaymentMissing`] and [`Outcome::PaymentKindRefused`].
    pub fn check(self, channel: BookingChannel, kind: Option<PaymentKind>) -> Result<(), Outcome> {
        use PaymentKind as K;
        use PaymentMode as M;
        if self.by == M::SelfPayOnly && kind == Some(K::Insurance) {
            return Err(Outcome::PaymentKindRefused);
        }
        if !self.channels.contains(channel) {
            return Ok(());
        }
        match (self.by, kind) {
            (M::AtPickUp | M::AfterVisit, None)
            | (M::SelfPay | M::SelfPayOnly, Some(K::SelfPay))
            | (M::SelfPayOrInsurance, Some(K::SelfPay | K::Insurance))
            | (M::PreAuthorization, Some(K::PreAuthorization)) => Ok(()),
            (_, None) => Err(Outcome::PaymentMissing),
            (_, Some(_)) => Err(Outcome::PaymentKindRefused),
        }
    }
}

/// Two days: the longest that a published rule reserves a slot for (P12).
const ORDER_MINUTES_MAX: u16 = 2_880;
