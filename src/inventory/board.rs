//! The board of a session: its free places as atomics, to read without a lock.
//!
//! ```text
//! cells   slot 0: pool 0, pool 1 | slot 1: pool 0, pool 1 | ...     open bit + free places
//! totals  pool 0, pool 1                                            free places of all slots
//! last    the record that the newest value rests on
//! ```
//!
//! **Architecture invariant:** a board is derived. It is stored under the lock of its session after
//! evolve, `last` before the cells, so that who reads a cell and then `last` knows a record that is
//! not older than what was read. Recovery builds it anew. No decision to *give* a place reads it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::engine::SessionState;
use crate::model::{
    Availability, BookingChannel, ChannelSet, Claim, ClaimRequest, ClassSet, OrganizationId,
    PatientClass, Sequence, SlotChoice, SlotIndex, Timestamp,
};

/// The free places of a session.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) organization: OrganizationId,
    start: Timestamp,
    slot_millis: u32,
    slots: u16,
    pools: Box<[(ChannelSet, ClassSet)]>,
    cells: Box<[AtomicU32]>,
    totals: Box<[AtomicU32]>,
    last: AtomicU64,
}

/// Set in a cell while its slot is open. A cell without it is never called sold out.
const OPEN: u32 = 1 << 31;

impl Board {
    pub(super) fn new(state: &SessionState, last: Sequence) -> Self {
        let spec = state.spec();
        let free = |(slot, pool, _)| u32::from(state.free(slot, pool));
        let mut totals = vec![0; spec.pools.len()];
        for cell in state.cells() {
            totals[usize::from(cell.1.0)] += free(cell);
        }
        Self {
            organization: spec.organization,
            start: spec.start,
            slot_millis: spec.slot_millis,
            slots: u16::try_from(spec.slot_count()).expect("a session has at most 288 slots"),
            pools: spec.pools.iter().map(|pool| (pool.channels, pool.classes)).collect(),
            cells: state.cells().map(|cell| AtomicU32::new(OPEN | free(cell))).collect(),
            totals: totals.into_iter().map(AtomicU32::new).collect(),
            last: AtomicU64::new(last.0),
        }
    }

    /// Copies the cells of a claim from the session, whose lock the caller holds.
    pub(super) fn update(&self, state: &SessionState, claim: &Claim, last: Sequence) {
        self.last.store(last.0, Ordering::Release);
        let total = &self.totals[usize::from(claim.pool.0)];
        for slot in claim.slot.0..claim.slot.0 + u16::from(claim.count) {
            let free = u32::from(state.free(SlotIndex(slot), claim.pool));
            let cell = self.cell(slot, claim.pool.0);
            let before = cell.load(Ordering::Relaxed) & !OPEN;
            cell.store(OPEN | free, Ordering::Release);
            let sum = total.load(Ordering::Relaxed) + free - before;
            total.store(sum, Ordering::Release);
        }
    }

    /// Whether no place that the wish may have is free. False where the board cannot tell: then the
    /// engine looks closer, under the lock.
    pub(super) fn is_sold_out(
        &self,
        wish: &ClaimRequest,
        channel: BookingChannel,
        class: PatientClass,
    ) -> bool {
        let mut admitted = self.admitted(channel, class).peekable();
        if admitted.peek().is_none() || self.slots < u16::from(wish.count) {
            return false;
        }
        match &wish.slots {
            SlotChoice::Any => {
                admitted.all(|pool| self.totals[usize::from(pool)].load(Ordering::Acquire) == 0)
            }
            SlotChoice::Ranked(slots) => admitted.all(|pool| {
                slots.iter().all(|slot| {
                    slot.0 + u16::from(wish.count) <= self.slots
                        && self.cell(slot.0, pool).load(Ordering::Acquire) == OPEN
                })
            }),
        }
    }

    /// The free places for a channel and class, and the record that they rest on.
    pub(super) fn read(
        &self,
        channel: BookingChannel,
        class: PatientClass,
    ) -> (Availability, Sequence) {
        let mut free = arrayvec::ArrayVec::new();
        for slot in 0..self.slots {
            let places = self
                .admitted(channel, class)
                .map(|pool| self.cell(slot, pool).load(Ordering::Acquire) & !OPEN);
            free.push(u16::try_from(places.sum::<u32>()).unwrap_or(u16::MAX));
        }
        let last = Sequence(self.last.load(Ordering::Acquire));
        (Availability { start: self.start, slot_millis: self.slot_millis, free }, last)
    }

    /// Free places over all slots and pools.
    pub(super) fn free(&self) -> u64 {
        self.totals.iter().map(|total| u64::from(total.load(Ordering::Relaxed))).sum()
    }

    fn admitted(&self, channel: BookingChannel, class: PatientClass) -> impl Iterator<Item = u8> {
        (0_u8..).zip(&self.pools).filter_map(move |(index, (channels, classes))| {
            (channels.contains(channel) && classes.contains(class)).then_some(index)
        })
    }

    fn cell(&self, slot: u16, pool: u8) -> &AtomicU32 {
        &self.cells[usize::from(slot) * self.pools.len() + usize::from(pool)]
    }

    #[cfg(test)]
    pub(super) fn agrees_with(&self, state: &SessionState) -> bool {
        let totals: u64 =
            state.cells().map(|(slot, pool, _)| u64::from(state.free(slot, pool))).sum();
        totals == self.free()
            && state.cells().all(|(slot, pool, _)| {
                let free = OPEN | u32::from(state.free(slot, pool));
                self.cell(slot.0, pool.0).load(Ordering::Acquire) == free
            })
    }
}
