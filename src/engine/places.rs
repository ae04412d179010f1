//! The places of a session, as atomics: written under its lock, read without one.
//!
//! ```text
//! cells   slot 0: pool 0, pool 1 | slot 1: pool 0, pool 1 | ...     open bit + free places
//! totals  pool 0, pool 1                                            free places of all slots
//! last    the record that the newest value rests on
//! ```
//!
//! **Architecture invariant:** only evolve writes here, under the lock of the session's shard, and
//! `last` is stored before the cells: who reads a cell and then `last` knows a record that is not
//! older than what was read. A place is *given* under the lock only; without it, all that is told is
//! that there is none.

use smallvec::SmallVec;

use crate::model::limits::SESSION_POOLS_MAX;
use crate::model::{
    Availability, BookingChannel, ChannelSet, ClaimRequest, ClassSet, OrganizationId, PatientClass,
    PoolIndex, Sequence, Session, SlotChoice, SlotIndex, Timestamp,
};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The free places of a session, and what it takes to tell whether a request may have one.
#[derive(Debug)]
pub struct Places {
    organization: OrganizationId,
    slot_millis: u32,
    start: Timestamp,
    last: AtomicU64,
    slots: u16,
    pools: SmallVec<[(ChannelSet, ClassSet); 1]>,
    totals: [AtomicU32; SESSION_POOLS_MAX],
    cells: Box<[AtomicU32]>,
}

/// Set in a cell while its slot is open. A cell without it is never called sold out.
const OPEN: u32 = 1 << 31;

impl Places {
    /// The places of a session, none of them taken.
    pub(super) fn new(spec: &Session) -> Self {
        let slots = spec.slot_count();
        let quota = |slot| spec.pools.iter().map(move |pool| pool.quotas.get(slot));
        let quotas = (0..slots).flat_map(quota).map(|quota| quota.copied().unwrap_or_default());
        let totals = std::array::from_fn(|pool| {
            let quotas = spec.pools.get(pool).into_iter().flat_map(|pool| &pool.quotas);
            AtomicU32::new(quotas.map(|quota| u32::from(*quota)).sum())
        });
        Self {
            organization: spec.organization,
            slot_millis: spec.slot_millis,
            start: spec.start,
            last: AtomicU64::new(0),
            slots: u16::try_from(slots).expect("a session has at most 288 slots"),
            pools: spec.pools.iter().map(|pool| (pool.channels, pool.classes)).collect(),
            totals,
            cells: quotas.map(|quota| AtomicU32::new(OPEN | u32::from(quota))).collect(),
        }
    }

    /// Whose session it is.
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Says which record the next values rest on. Call it before them.
    pub fn note(&self, last: Sequence) {
        self.last.store(last.0, Ordering::Release);
    }

    /// Whether no place that the wish may have is free. False where this cannot tell: then the
    /// engine looks closer, under the lock.
    pub fn is_sold_out(
        &self,
        wish: &ClaimRequest,
        channel: BookingChannel,
        class: PatientClass,
    ) -> bool {
        if self.slots < u16::from(wish.count) {
            return false;
        }
        let before = self.last.load(Ordering::Acquire);
        let mut pools = 0_usize;
        let all_taken = self.admitted(channel, class).all(|pool| {
            pools = pools.saturating_add(1);
            match &wish.slots {
                SlotChoice::Any => self.total(pool) == Some(0),
                SlotChoice::Ranked(slots) => slots.iter().all(|slot| {
                    slot.0.saturating_add(u16::from(wish.count)) <= self.slots
                        && self.load(*slot, pool) == Some(OPEN)
                }),
            }
        });
        let slots = match &wish.slots {
            SlotChoice::Any => 1,
            SlotChoice::Ranked(slots) => slots.len(),
        };
        match pools.saturating_mul(slots) {
            0 => false,
            1 => all_taken,
            // A place may have moved from one to the other between two looks. One record only takes
            // or only gives, so what was seen within one was true before it or after it.
            _ => all_taken && self.last.load(Ordering::Acquire) == before,
        }
    }

    /// The free places for a channel and class, and the record that they rest on.
    pub fn read(&self, channel: BookingChannel, class: PatientClass) -> (Availability, Sequence) {
        let mut free = arrayvec::ArrayVec::new();
        for slot in (0..self.slots).map(SlotIndex) {
            let places = self.admitted(channel, class).map(|pool| u32::from(self.free(slot, pool)));
            free.push(u16::try_from(places.sum::<u32>()).unwrap_or(u16::MAX));
        }
        let last = Sequence(self.last.load(Ordering::Acquire));
        (Availability { start: self.start, slot_millis: self.slot_millis, free }, last)
    }

    /// Free places over all slots and pools.
    pub fn all_free(&self) -> u64 {
        self.totals.iter().map(|total| u64::from(total.load(Ordering::Relaxed))).sum()
    }

    /// Free places of a pool in a slot; 0 where there is no such slot or pool.
    ///
    /// # Panics
    ///
    /// Never: what is free is at most a quota.
    pub fn free(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        let free = self.load(slot, pool).unwrap_or_default() & !OPEN;
        u16::try_from(free).expect("a quota fits 16 bits")
    }

    /// The pools that a request may take from, in their order.
    pub fn admitted(
        &self,
        channel: BookingChannel,
        class: PatientClass,
    ) -> impl Iterator<Item = PoolIndex> + '_ {
        (0_u8..).zip(&self.pools).filter_map(move |(index, (channels, classes))| {
            let admits = channels.contains(channel) && classes.contains(class);
            admits.then_some(PoolIndex(index))
        })
    }

    /// Slots of the session.
    pub(super) const fn slots(&self) -> u16 {
        self.slots
    }

    /// Takes a place, if there is one. Under the lock.
    pub(super) fn take(&self, slot: SlotIndex, pool: PoolIndex) -> Option<()> {
        let free = self.free(slot, pool).checked_sub(1)?;
        self.store(slot, pool, free, |total| total.checked_sub(1))
    }

    /// Gives a place back, unless that makes more than the quota. Under the lock.
    pub(super) fn give_back(&self, slot: SlotIndex, pool: PoolIndex, quota: u16) -> Option<()> {
        let free = self.free(slot, pool).checked_add(1).filter(|free| *free <= quota)?;
        self.store(slot, pool, free, |total| total.checked_add(1))
    }

    fn store(
        &self,
        slot: SlotIndex,
        pool: PoolIndex,
        free: u16,
        count: impl FnOnce(u32) -> Option<u32>,
    ) -> Option<()> {
        let cell = self.cells.get(self.cell(slot, pool)?)?;
        let total = self.totals.get(usize::from(pool.0))?;
        let sum = count(total.load(Ordering::Relaxed))?;
        cell.store(OPEN | u32::from(free), Ordering::Release);
        total.store(sum, Ordering::Release);
        Some(())
    }

    fn load(&self, slot: SlotIndex, pool: PoolIndex) -> Option<u32> {
        let cell = self.cells.get(self.cell(slot, pool)?)?;
        Some(cell.load(Ordering::Acquire))
    }

    fn total(&self, pool: PoolIndex) -> Option<u32> {
        self.totals.get(usize::from(pool.0)).map(|total| total.load(Ordering::Acquire))
    }

    fn cell(&self, slot: SlotIndex, pool: PoolIndex) -> Option<usize> {
        let (pools, pool) = (self.pools.len(), usize::from(pool.0));
        (pool < pools).then(|| usize::from(slot.0).saturating_mul(pools).saturating_add(pool))
    }
}

#[cfg(all(test, haoyuan_loom))]
#[path = "places_loom.rs"]
mod loom;
