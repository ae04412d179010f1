//! The places of a session, as atomics: written under its lock, read without one.
//!
//! ```text
//! cells   slot 0: pool 0, pool 1 | slot 1: pool 0, pool 1 | ...     open bit, quota, free places
//! pools   pool 0, pool 1                                            free places of all open slots
//! last    the record that the newest value rests on
//! ```
//!
//! **Architecture invariant:** only evolve writes here, under the lock of the session's shard, and
//! `last` is stored before the cells: who reads a cell and then `last` knows a record that is not
//! older than what was read. A place is *given* under the lock only; without it, all that is told is
//! that there is none.

use super::conditions::Conditions;
use crate::model::limits::QUOTA_MAX;
use crate::model::{
    Availability, BookingChannel, ChannelSet, ClaimRequest, ClassSet, OrganizationId, Outcome,
    PatientClass, Pick, Pool, PoolIndex, Refusal, Repeat, Sequence, Session, Sharing, SlotChoice,
    SlotIndex, Timestamp, Ttl,
};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The free places of a session, and what it takes to tell whether a request may have one.
///
/// A session with one pool fills one line of memory: the second is for the record and other pools.
/// A request that meets a session after ten thousand others waits for each line of it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Places {
    cells: Box<[AtomicU32]>,
    terms: Terms,
    first: PoolPlaces,
    last: AtomicU64,
    /// Odd while one record moves places from pool to pool.
    moves: AtomicU32,
    others: Box<[PoolPlaces]>,
    /// When they can be booked, where the session says so. Never changes.
    conditions: Option<Box<Conditions>>,
}

/// What a hold needs to know of a session besides its places. Never changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    start: Timestamp,
    slot_millis: u32,
    slots: u16,
    pools: u8,
    /// Whose session it is.
    pub(super) organization: OrganizationId,
    /// The longest hold.
    pub(super) ttl_max: Ttl,
    /// Which slot a request for any slot gets.
    pub(super) pick: Pick,
    /// How many live appointments a patient may have here.
    pub(super) repeat: Repeat,
    /// What another channel than the booking one may do.
    pub(super) sharing: Sharing,
}

/// Who may take from a pool, and its free places over all slots.
#[derive(Debug)]
struct PoolPlaces {
    channels: ChannelSet,
    classes: ClassSet,
    /// Whether a slot of the session was ever blocked. Only that of the first pool counts: it lies on
    /// the line that every request looks at.
    was_blocked: AtomicBool,
    free: AtomicU32,
}

/// Set in a cell while its slot is not blocked. A cell without it is never called sold out, and what
/// is free in it is free for later.
const OPEN: u32 = 1 << 31;
/// Where a cell keeps its quota: 15 bits.
const QUOTA_SHIFT: u32 = 16;
/// The free places of a cell.
const FREE: u32 = (1 << QUOTA_SHIFT) - 1;

const _: () = assert!(QUOTA_MAX < 1 << 15, "a quota fits beside the open bit");

impl Places {
    /// The places of a session, none of them taken.
    ///
    /// # Panics
    ///
    /// Panics if the session is not well formed: it was checked before it was opened.
    pub(super) fn new(spec: &Session) -> Self {
        let slots = spec.slot_count();
        let quota = |slot| spec.pools.iter().map(move |pool| pool.quotas.get(slot));
        let quotas = (0..slots).flat_map(quota).map(|quota| quota.copied().unwrap_or_default());
        let mut pools = spec.pools.iter().map(PoolPlaces::new);
        Self {
            cells: quotas.map(|quota| AtomicU32::new(cell_of(quota, quota))).collect(),
            terms: Terms {
                start: spec.start,
                slot_millis: spec.slot_millis,
                slots: u16::try_from(slots).expect("a session has at most 288 slots"),
                pools: u8::try_from(spec.pools.len()).expect("a session has at most 8 pools"),
                organization: spec.organization,
                ttl_max: spec.ttl_max,
                pick: spec.pick,
                repeat: spec.repeat,
                sharing: spec.sharing,
            },
            first: pools.next().expect("a session has at least one pool"),
            last: AtomicU64::new(0),
            moves: AtomicU32::new(0),
            others: pools.collect(),
            conditions: spec.has_terms().then(|| Box::new(Conditions::of(spec))),
        }
    }

    /// When they can be booked; `None` where that is always, until each slot ends.
    pub(super) fn conditions(&self) -> Option<&Conditions> {
        self.conditions.as_deref()
    }

    /// Whether a pool has opened by an instant.
    pub(super) fn has_opened(&self, pool: PoolIndex, openings: Timestamp) -> bool {
        self.conditions().is_none_or(|conditions| conditions.opens(pool) <= openings)
    }

    /// Whether the places of some pool wait for a draw.
    pub(super) fn has_undrawn(&self) -> bool {
        self.conditions().is_some_and(Conditions::has_undrawn)
    }

    /// Whether the places of a pool wait for a draw.
    pub(super) fn is_undrawn(&self, pool: PoolIndex) -> bool {
        self.conditions().is_some_and(|conditions| conditions.is_undrawn(pool))
    }

    /// Says that the draw of a pool is over. Under the lock.
    pub(super) fn note_drawn(&self, pool: PoolIndex) {
        if let Some(conditions) = self.conditions() {
            conditions.note_drawn(pool);
        }
    }

    /// When the next of the admitted pools opens that have a place.
    pub(super) fn next_opening(
        &self,
        channel: BookingChannel,
        class: PatientClass,
        openings: Timestamp,
    ) -> Option<Timestamp> {
        let conditions = self.conditions()?;
        let waits = |pool: &PoolIndex| {
            self.pool(*pool).is_some_and(|places| 0 < places.free.load(Ordering::Acquire))
        };
        let opens = self.admitted(channel, class).filter(waits).map(|pool| conditions.opens(pool));
        opens.filter(|opens| openings < *opens).min()
    }

    /// Why nobody gets what a request wishes, as far as that can be told without the lock: no place
    /// is free, or none in a pool that has opened. `None` where the engine has to look closer.
    pub fn refuse(
        &self,
        wish: &ClaimRequest,
        channel: BookingChannel,
        class: PatientClass,
        (now, openings): (Timestamp, Timestamp),
    ) -> Option<Refusal> {
        let is_sold_out = self.is_sold_out(wish, channel, class);
        // The mark is set before the first place goes, and stays: who does not see it now has seen no
        // place that went by a block.
        if self.was_blocked() {
            return self.refuse_blocked(wish, channel, class);
        }
        if is_sold_out {
            return Some(Outcome::SoldOut.into());
        }
        let conditions = self.conditions()?;
        // Otherwise another refusal may come before this one.
        let is_ahead = now < self.terms.slot_end(SlotIndex(0));
        if wish.count != 1 || !is_ahead || !conditions.is_bookable(self.terms.start, now) {
            return None;
        }
        let slots = match &wish.slots {
            SlotChoice::Any => &[],
            SlotChoice::Ranked(slots) => slots.as_slice(),
        };
        let waits = |pool| match slots {
            [] => self.pool(pool).is_some_and(|places| 0 < places.free.load(Ordering::Acquire)),
            slots => slots.iter().any(|slot| 0 < self.free(*slot, pool)),
        };
        let is_in = |slot: &SlotIndex| slot.0 < self.slots();
        if !slots.iter().all(is_in) || !self.admitted(channel, class).any(waits) {
            return None;
        }
        let moves = self.moves.load(Ordering::Acquire);
        let is_open = |pool: &PoolIndex| conditions.opens(*pool) <= openings;
        let is_shut = || self.admitted(channel, class).filter(is_open).all(|pool| !waits(pool));
        let opens = self.next_opening(channel, class, openings).filter(|_| is_shut())?;
        self.is_steady(moves, is_shut).then(|| Refusal::until(Outcome::NotOpenYet, openings, opens))
    }

    /// Whether all slots that a wish may have are blocked, as far as that can be told without the lock.
    /// A record only closes or only opens slots, so what is seen within one was true before it or
    /// after it.
    fn refuse_blocked(
        &self,
        wish: &ClaimRequest,
        channel: BookingChannel,
        class: PatientClass,
    ) -> Option<Refusal> {
        self.admitted(channel, class).next()?;
        let before = self.last.load(Ordering::Acquire);
        let is_blocked = self.is_blocked(wish)?;
        let stays = is_blocked && self.last.load(Ordering::Acquire) == before;
        stays.then(|| Outcome::SessionBlocked.into())
    }

    /// Whether a slot of the session was ever blocked.
    pub(super) fn was_blocked(&self) -> bool {
        self.first.was_blocked.load(Ordering::Acquire)
    }

    /// Whether every run that a wish may have has a blocked slot; `None` where it wants slots that are
    /// not there.
    fn is_blocked(&self, wish: &ClaimRequest) -> Option<bool> {
        let last = self.slots().checked_sub(u16::from(wish.count))?;
        let is_blocked = |slot: u16| self.is_run_blocked(SlotIndex(slot), wish.count);
        match &wish.slots {
            SlotChoice::Any => Some((0..=last).all(is_blocked)),
            SlotChoice::Ranked(slots) if slots.iter().any(|slot| last < slot.0) => None,
            SlotChoice::Ranked(slots) => Some(slots.iter().all(|slot| is_blocked(slot.0))),
        }
    }

    /// Whether a run has a blocked slot.
    pub(super) fn is_run_blocked(&self, slot: SlotIndex, count: u8) -> bool {
        let mut slots = slot.0..slot.0.saturating_add(count.into());
        slots.any(|slot| {
            let cell = self.load(SlotIndex(slot), PoolIndex(0));
            cell.is_some_and(|cell| cell & OPEN == 0)
        })
    }

    /// What a hold needs to know besides the places.
    pub(super) const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whose session it is.
    pub const fn organization(&self) -> OrganizationId {
        self.terms.organization
    }

    /// Whether a patient may have one live appointment here.
    pub fn allows_one_each(&self) -> bool {
        self.terms.repeat == Repeat::OnePerPatient
    }

    /// The record that what was read before this rests on.
    pub fn last(&self) -> Sequence {
        Sequence(self.last.load(Ordering::Acquire))
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
        let last = self.slots().checked_sub(u16::from(wish.count));
        let slots = match (&wish.slots, last) {
            (_, None) => return false,
            (SlotChoice::Ranked(slots), Some(last)) if slots.iter().any(|slot| last < slot.0) => {
                return false;
            }
            (SlotChoice::Ranked(slots), Some(_)) => slots.as_slice(),
            (SlotChoice::Any, Some(_)) => &[],
        };
        let moves = self.moves.load(Ordering::Acquire);
        match self.look(slots, channel, class) {
            (false, _) | (true, 0) => false,
            (true, 1) => true,
            (true, _) => self.is_steady(moves, || self.look(slots, channel, class).0),
        }
    }

    /// Whether what two looks saw was true at one instant; `again` is the second.
    ///
    /// A place may have moved from one atomic to another between two looks: look again while no
    /// record comes. A record that only takes or only gives shows what was true before it or after
    /// it; one that moves places from pool to pool says so while it does, and then nobody can tell.
    fn is_steady(&self, moves: u32, again: impl FnOnce() -> bool) -> bool {
        let before = self.last.load(Ordering::Acquire);
        moves & 1 == 0
            && again()
            && self.last.load(Ordering::Acquire) == before
            && self.moves.load(Ordering::Acquire) == moves
    }

    /// Lets `change` move places from pool to pool. Under the lock.
    pub(super) fn move_places(&self, change: impl FnOnce()) {
        self.set_moving(true);
        change();
        self.set_moving(false);
    }

    /// Says that one record begins to move places of the session, or has moved them. Under the lock.
    pub(super) fn set_moving(&self, begins: bool) {
        let moves = self.moves.load(Ordering::Relaxed);
        // What is seen of the move is seen after its announcement, and its end after all of it.
        let order = if begins { Ordering::Relaxed } else { Ordering::Release };
        self.moves.store(moves.wrapping_add(1), order);
    }

    /// Whether all places are gone, in some of the slots or in all, and at how many atomics it had
    /// to look for that: none if no pool admits.
    fn look(
        &self,
        slots: &[SlotIndex],
        channel: BookingChannel,
        class: PatientClass,
    ) -> (bool, usize) {
        let mut looks = 0_usize;
        let is_gone = self.admitted(channel, class).all(|pool| {
            // Most often the whole pool is gone, and its sum lies on a line that is here already.
            if self.pool(pool).is_some_and(|places| places.free.load(Ordering::Acquire) == 0) {
                looks = looks.saturating_add(1);
                return true;
            }
            looks = looks.saturating_add(slots.len());
            !slots.is_empty() && slots.iter().all(|slot| self.is_gone(*slot, pool))
        });
        (is_gone, looks)
    }

    /// The places that a channel and class could take, and the record that they rest on. What has
    /// not opened yet, or can no longer be booked, is not free.
    pub fn read(
        &self,
        channel: BookingChannel,
        class: PatientClass,
        (now, openings): (Timestamp, Timestamp),
    ) -> (Availability, Sequence) {
        let mut free = arrayvec::ArrayVec::new();
        for slot in (0..self.slots()).map(SlotIndex) {
            let is_bookable =
                self.conditions().is_none_or(|it| it.is_bookable(self.terms.slot_start(slot), now));
            let pools = self
                .admitted(channel, class)
                .filter(|pool| is_bookable && self.has_opened(*pool, openings));
            let places = pools.map(|pool| u32::from(self.free(slot, pool)));
            free.push(u16::try_from(places.sum::<u32>()).unwrap_or(u16::MAX));
        }
        let last = Sequence(self.last.load(Ordering::Acquire));
        let Terms { start, slot_millis, .. } = self.terms;
        (Availability { start, slot_millis, free }, last)
    }

    /// Free places over all slots and pools.
    pub fn all_free(&self) -> u64 {
        self.pools().map(|pool| u64::from(pool.free.load(Ordering::Relaxed))).sum()
    }

    /// Free places of a pool in a slot; 0 where there is no such slot or pool.
    ///
    /// # Panics
    ///
    /// Never: what is free is at most a quota.
    pub fn free(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        match self.load(slot, pool).unwrap_or_default() {
            cell if cell & OPEN == 0 => 0,
            cell => u16::try_from(cell & FREE).expect("16 bits"),
        }
    }

    /// Places of a pool in a slot that nobody has, blocked or not; 0 where there is no such slot or
    /// pool.
    ///
    /// # Panics
    ///
    /// Never: what is free is at most a quota.
    pub(super) fn unused(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        let unused = self.load(slot, pool).unwrap_or_default() & FREE;
        u16::try_from(unused).expect("16 bits")
    }

    /// The places of a pool in a slot, taken or not; 0 where there is no such slot or pool.
    ///
    /// # Panics
    ///
    /// Never: a quota has 15 bits.
    pub fn quota(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        let quota = (self.load(slot, pool).unwrap_or_default() & !OPEN) >> QUOTA_SHIFT;
        u16::try_from(quota).expect("15 bits")
    }

    /// The pools that a request may take from, in their order.
    pub fn admitted(
        &self,
        channel: BookingChannel,
        class: PatientClass,
    ) -> impl Iterator<Item = PoolIndex> + '_ {
        (0_u8..).zip(self.pools()).filter_map(move |(index, pool)| {
            let admits = pool.channels.contains(channel) && pool.classes.contains(class);
            admits.then_some(PoolIndex(index))
        })
    }

    /// Slots of the session.
    pub(super) const fn slots(&self) -> u16 {
        self.terms.slots
    }

    /// Takes a place, if there is one. Under the lock.
    pub(super) fn take(&self, slot: SlotIndex, pool: PoolIndex) -> Option<()> {
        let free = self.free(slot, pool).checked_sub(1)?;
        self.store(slot, pool, free, |total| total.checked_sub(1))
    }

    /// Gives a place back, unless that makes more than the quota. Under the lock.
    pub(super) fn give_back(&self, slot: SlotIndex, pool: PoolIndex) -> Option<()> {
        let quota = self.quota(slot, pool);
        let free = self.unused(slot, pool).checked_add(1).filter(|free| *free <= quota)?;
        self.store(slot, pool, free, |total| total.checked_add(1))
    }

    /// Gives a pool another quota in a slot, unless more is taken. Under the lock.
    pub(super) fn resize(&self, slot: SlotIndex, pool: PoolIndex, quota: u16) -> Option<()> {
        let (old, free) = (self.quota(slot, pool), self.unused(slot, pool));
        let free_after = quota.checked_sub(old.checked_sub(free)?)?;
        let total = &self.pool(pool)?.free;
        let cell = self.cells.get(self.cell(slot, pool)?)?;
        let open = cell.load(Ordering::Relaxed) & OPEN;
        let sum = match open {
            0 => total.load(Ordering::Relaxed),
            _ => total
                .load(Ordering::Relaxed)
                .checked_sub(u32::from(free))?
                .checked_add(u32::from(free_after))?,
        };
        cell.store(cell_of(quota, free_after) & !OPEN | open, Ordering::Release);
        total.store(sum, Ordering::Release);
        Some(())
    }

    /// Blocks a slot: what is free in it is not to be had. Under the lock.
    pub(super) fn close(&self, slot: SlotIndex) {
        self.first.was_blocked.store(true, Ordering::Release);
        self.open_or_close(slot, 0);
    }

    /// Opens a blocked slot again. Under the lock.
    pub(super) fn reopen(&self, slot: SlotIndex) {
        self.open_or_close(slot, OPEN);
    }

    fn open_or_close(&self, slot: SlotIndex, open: u32) {
        for (index, pool) in (0_u8..).zip(self.pools()) {
            let cell = self.cell(slot, PoolIndex(index)).and_then(|cell| self.cells.get(cell));
            let Some(cell) = cell else { return };
            let old = cell.load(Ordering::Relaxed);
            if old & OPEN == open {
                continue;
            }
            cell.store(old & !OPEN | open, Ordering::Release);
            let sum = pool.free.load(Ordering::Relaxed);
            let sum = match open {
                0 => sum.saturating_sub(old & FREE),
                _ => sum.saturating_add(old & FREE),
            };
            pool.free.store(sum, Ordering::Release);
        }
    }

    fn store(
        &self,
        slot: SlotIndex,
        pool: PoolIndex,
        free: u16,
        count: impl FnOnce(u32) -> Option<u32>,
    ) -> Option<()> {
        let total = &self.pool(pool)?.free;
        let cell = self.cells.get(self.cell(slot, pool)?)?;
        let old = cell.load(Ordering::Relaxed);
        cell.store(old & !FREE | u32::from(free), Ordering::Release);
        if old & OPEN != 0 {
            total.store(count(total.load(Ordering::Relaxed))?, Ordering::Release);
        }
        Some(())
    }

    /// Whether a slot is open and has no free place in a pool.
    fn is_gone(&self, slot: SlotIndex, pool: PoolIndex) -> bool {
        self.load(slot, pool).is_some_and(|cell| cell & (OPEN | FREE) == OPEN)
    }

    fn load(&self, slot: SlotIndex, pool: PoolIndex) -> Option<u32> {
        let cell = self.cells.get(self.cell(slot, pool)?)?;
        Some(cell.load(Ordering::Acquire))
    }

    fn cell(&self, slot: SlotIndex, pool: PoolIndex) -> Option<usize> {
        let (pools, pool) = (usize::from(self.terms.pools), usize::from(pool.0));
        (pool < pools).then(|| usize::from(slot.0).saturating_mul(pools).saturating_add(pool))
    }

    fn pool(&self, PoolIndex(index): PoolIndex) -> Option<&PoolPlaces> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.others.get(usize::from(index)),
        }
    }

    fn pools(&self) -> impl Iterator<Item = &PoolPlaces> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Terms {
    /// When a slot begins.
    pub(super) const fn slot_start(&self, slot: SlotIndex) -> Timestamp {
        self.start.plus_millis((self.slot_millis as u64).saturating_mul(slot.0 as u64))
    }

    /// When a slot ends. It can be booked until then.
    pub(super) const fn slot_end(&self, slot: SlotIndex) -> Timestamp {
        let slots = (slot.0 as u64).saturating_add(1);
        self.start.plus_millis((self.slot_millis as u64).saturating_mul(slots))
    }
}

impl PoolPlaces {
    fn new(pool: &Pool) -> Self {
        let places = pool.quotas.iter().map(|quota| u32::from(*quota)).sum();
        let (channels, classes) = (pool.channels, pool.classes);
        let was_blocked = AtomicBool::new(false);
        Self { channels, classes, was_blocked, free: AtomicU32::new(places) }
    }
}

fn cell_of(quota: u16, free: u16) -> u32 {
    OPEN | u32::from(quota) << QUOTA_SHIFT | u32::from(free)
}

#[cfg(all(test, haoyuan_loom))]
#[path = "places_loom.rs"]
mod loom;
