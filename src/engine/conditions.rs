//! When the places of a session can be booked: openings, the end of booking, hours of the day.
//!
//! **Architecture invariant:** conditions never change while a session is open, so that who holds no
//! lock may read them.

use crate::model::{BookingChannel, Outcome, PoolIndex, Refusal, ServiceHours, Session, Timestamp};

/// What the terms of a session say about when.
#[derive(Debug)]
pub(super) struct Conditions {
    opens: Box<[Timestamp]>,
    booking_ends: Option<Timestamp>,
    lead_millis: Option<u32>,
    hours: Option<ServiceHours>,
}

impl Conditions {
    pub(super) fn of(spec: &Session) -> Self {
        Self {
            opens: spec.pools.iter().map(|pool| pool.terms.opens).collect(),
            booking_ends: spec.terms.booking_ends,
            lead_millis: spec.terms.lead_millis,
            hours: spec.terms.hours.clone(),
        }
    }

    /// When a pool opens.
    pub(super) fn opens(&self, pool: PoolIndex) -> Timestamp {
        self.opens.get(usize::from(pool.0)).copied().unwrap_or_default()
    }

    /// Whether a slot that begins then can still be booked.
    pub(super) fn is_bookable(&self, start: Timestamp, now: Timestamp) -> bool {
        let lead_begins = self.lead_millis.map(|lead| start.minus_millis(lead.into()));
        let ends = [self.booking_ends, lead_begins];
        ends.into_iter().flatten().all(|end| now < end)
    }

    /// Whether the channel has to wait for the hours of service, and how long.
    pub(super) fn refuse_hour(&self, now: Timestamp, channel: BookingChannel) -> Option<Refusal> {
        let wait = self.hours.as_ref()?.closed_for(now, channel)?;
        Some(Refusal::until(Outcome::OutsideServiceHours, now, now.plus_millis(wait)))
    }
}
