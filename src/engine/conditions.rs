//! When the places of a session can be booked: openings, the end of booking, hours of the day.
//!
//! **Architecture invariant:** conditions never change while a session is open, so that who holds no
//! lock may read them; that a draw is over is said by one atomic, under the lock, and stays.

use crate::model::{BookingChannel, Outcome, PoolIndex, Refusal, ServiceHours, Session, Timestamp};
use crate::sync::atomic::{AtomicU32, Ordering};

/// What the terms of a session say about when.
#[derive(Debug)]
pub(super) struct Conditions {
    opens: Box<[Timestamp]>,
    booking_ends: Option<Timestamp>,
    lead_millis: Option<u32>,
    hours: Option<ServiceHours>,
    /// A bit for each pool whose places wait for a draw.
    undrawn: AtomicU32,
}

impl Conditions {
    pub(super) fn of(spec: &Session) -> Self {
        let pools = (0_u32..).zip(&spec.pools);
        let drawn = pools.filter(|(_, pool)| pool.terms.draw.is_some());
        Self {
            undrawn: AtomicU32::new(drawn.fold(0, |bits, (index, _)| bits | bit_of(index))),
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

    /// Whether the places of some pool wait for a draw.
    pub(super) fn has_undrawn(&self) -> bool {
        self.undrawn.load(Ordering::Relaxed) != 0
    }

    /// Whether the places of a pool wait for a draw.
    pub(super) fn is_undrawn(&self, pool: PoolIndex) -> bool {
        self.undrawn.load(Ordering::Relaxed) & bit_of(pool.0.into()) != 0
    }

    /// Says that the draw of a pool is over. Under the lock.
    pub(super) fn note_drawn(&self, pool: PoolIndex) {
        let undrawn = self.undrawn.load(Ordering::Relaxed);
        self.undrawn.store(undrawn & !bit_of(pool.0.into()), Ordering::Relaxed);
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

/// The bit of a pool: a session has at most 8.
fn bit_of(pool: u32) -> u32 {
    1_u32.checked_shl(pool).unwrap_or_default()
}
