//! Supply: a session, its slots, and the pools that share their places.

use super::actor::{BookingChannel, ChannelSet};
use super::appointment::PatientClass;
use super::id::{
    DepartmentId, OrganizationId, PoolIndex, ResourceId, SessionId, SiteId, SlotIndex,
};
use super::limits::{QUOTA_MAX, SESSION_CELLS_MAX, SESSION_POOLS_MAX, SESSION_SLOTS_MAX};
use super::terms::{PoolTerms, SessionTerms, TermsFault};
use super::time::{Timestamp, Ttl};

/// One resource's contiguous period (出诊单元): a row of equal slots with capacities.
///
/// ```text
/// start                                   end
///   | slot 0 | slot 1 | slot 2 | ...       |      each slot_millis long
/// pool 0:  4        4        2                    quotas: places of the pool in the slot
/// pool 1:  1        1        3
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Chosen by who opens it; unique for ever.
    pub id: SessionId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// At which campus.
    pub site: SiteId,
    /// In which department.
    pub department: DepartmentId,
    /// Who or what is booked.
    pub resource: ResourceId,
    /// The kind of visit (普通/专家/特需/复诊), a code of the platform.
    pub appointment_type: u8,
    /// When the first slot begins.
    pub start: Timestamp,
    /// The length of every slot, 1 ms to 7 days.
    pub slot_millis: u32,
    /// Which slot a request for any slot gets.
    pub pick: Pick,
    /// How many live appointments a patient may have here.
    pub repeat: Repeat,
    /// What another channel than the booking one may do with an appointment.
    pub sharing: Sharing,
    /// The longest hold; a request for a longer one gets this.
    pub ttl_max: Ttl,
    /// When and how it may be booked.
    pub terms: SessionTerms,
    /// Shares of the places, in the order in which a request tries them. 1 to 8.
    pub pools: Vec<Pool>,
}

/// A share of a session's places (号源池) for some channels and classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// From which channels it may be booked.
    pub channels: ChannelSet,
    /// For which classes of patients.
    pub classes: ClassSet,
    /// Places in each slot, in order.
    pub quotas: Vec<u16>,
    /// When it opens, and what becomes of its places.
    pub terms: PoolTerms,
}

/// A set of patient classes, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassSet(pub u8);

impl ClassSet {
    /// Every class.
    pub const ALL: Self = Self(u8::MAX);

    /// Whether the class is in the set.
    pub const fn contains(self, class: PatientClass) -> bool {
        self.0 >> class as u8 & 1 == 1
    }
}

/// How a session gives a slot to a request for *any* slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Pick {
    /// The first slot with a place.
    #[default]
    Earliest = 0,
    /// The slot with the largest free share, the first of equals (避免忙闲不均).
    Even = 1,
}

/// How many live appointments one patient may have in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Repeat {
    /// One: the rule everywhere.
    #[default]
    OnePerPatient = 0,
    /// Any number: history from elsewhere, and group therapy.
    Unlimited = 1,
}

/// What a channel may do with an appointment that was booked through another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sharing {
    /// Nothing.
    Own = 0,
    /// Read it.
    Read = 1,
    /// Read, release and cancel it.
    #[default]
    Cancel = 2,
}

/// Why a session cannot be opened as described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// No pool, or more than 8.
    #[error("a session has 1 to {SESSION_POOLS_MAX} pools")]
    Pools,
    /// No slot, or more than 288.
    #[error("a session has 1 to {SESSION_SLOTS_MAX} slots")]
    Slots,
    /// Slots × pools is over the bound.
    #[error("slots times pools is at most {SESSION_CELLS_MAX}")]
    Cells,
    /// The pools do not all have a quota for every slot.
    #[error("every pool has one quota for every slot")]
    Quotas,
    /// A quota is over the bound.
    #[error("a quota is at most {QUOTA_MAX}")]
    Quota,
    /// The slot length is out of range.
    #[error("a slot is 1 ms to 7 days long")]
    SlotLength,
    /// The terms are at fault.
    #[error(transparent)]
    Terms(TermsFault),
}

impl Session {
    /// Slots of the session.
    pub fn slot_count(&self) -> usize {
        self.pools.first().map_or(0, |pool| pool.quotas.len())
    }

    /// When a slot begins.
    pub const fn slot_start(&self, slot: SlotIndex) -> Timestamp {
        self.start.plus_millis((self.slot_millis as u64).saturating_mul(slot.0 as u64))
    }

    /// When a slot ends. It can be booked until then.
    pub const fn slot_end(&self, slot: SlotIndex) -> Timestamp {
        self.slot_start(slot).plus_millis(self.slot_millis as u64)
    }

    /// The places of a pool in a slot; 0 where there is no such slot or pool.
    pub fn quota(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        let pool = self.pools.get(usize::from(pool.0));
        pool.and_then(|pool| pool.quotas.get(usize::from(slot.0))).copied().unwrap_or(0)
    }

    /// Checks shape and ranges.
    ///
    /// # Errors
    ///
    /// The first [`SessionFault`] in the order of that enum.
    pub fn check(&self) -> Result<(), SessionFault> {
        let slots = self.slot_count();
        if self.pools.is_empty() || SESSION_POOLS_MAX < self.pools.len() {
            return Err(SessionFault::Pools);
        }
        if slots == 0 || SESSION_SLOTS_MAX < slots {
            return Err(SessionFault::Slots);
        }
        if SESSION_CELLS_MAX < slots.saturating_mul(self.pools.len()) {
            return Err(SessionFault::Cells);
        }
        if self.pools.iter().any(|pool| pool.quotas.len() != slots) {
            return Err(SessionFault::Quotas);
        }
        if self.pools.iter().flat_map(|pool| &pool.quotas).any(|quota| QUOTA_MAX < *quota) {
            return Err(SessionFault::Quota);
        }
        if self.slot_millis == 0 || SLOT_MILLIS_MAX < self.slot_millis {
            return Err(SessionFault::SlotLength);
        }
        self.check_terms().map_err(SessionFault::Terms)
    }

    /// Whether it says anything besides who is booked, when, and how many places there are.
    pub fn has_terms(&self) -> bool {
        self.terms != SessionTerms::default()
            || self.pools.iter().any(|pool| pool.terms != PoolTerms::default())
    }

    fn check_terms(&self) -> Result<(), TermsFault> {
        self.terms.check()?;
        self.terms.check_windows(self.start)?;
        for (index, pool) in (0_u8..).zip(&self.pools) {
            let places = pool.quotas.iter().map(|quota| u32::from(*quota)).sum::<u32>();
            if places < pool.terms.floor {
                return Err(TermsFault::Floor);
            }
            pool.terms.check_draw(self.start)?;
            if pool.terms.draw.is_some() && self.repeat != Repeat::OnePerPatient {
                return Err(TermsFault::Draw);
            }
            let Some(reclaim) = pool.terms.reclaim else { continue };
            if reclaim.to.0 == index || self.pools.len() <= usize::from(reclaim.to.0) {
                return Err(TermsFault::Reclaim);
            }
        }
        Ok(())
    }
}

impl Pool {
    /// Whether a request may take from this pool.
    pub const fn admits(&self, channel: BookingChannel, class: PatientClass) -> bool {
        self.channels.contains(channel) && self.classes.contains(class)
    }
}

/// A week: a bed, not a visit.
const SLOT_MILLIS_MAX: u32 = 7 * 24 * 60 * 60 * 1_000;
