//! Which slot and pool a wish gets.
//!
//! ```text
//! ranked  the first of its slots with a free run       any, earliest  the first slot with one
//! pool    the first that admits channel and class      any, even      the slot with the largest
//!         and has a place in every slot of the run                    free share, first of equals
//! ```

use super::places::Places;
use super::session::SessionState;
use crate::model::{
    ALTERNATIVES_MAX, BookingChannel, Claim, ClaimRequest, Outcome, PatientClass, Pick, PoolIndex,
    Refusal, SessionId, SlotChoice, SlotIndex, Timestamp,
};

/// Who wants a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wisher {
    pub(super) now: Timestamp,
    pub(super) openings: Timestamp,
    pub(super) channel: BookingChannel,
    pub(super) class: PatientClass,
}

/// Places that come back with the same record, and are free for this wish alone. Most often none.
pub(super) type Freed<'a> = &'a [Claim];

/// What a wish comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Picked {
    /// A place.
    Place(Claim),
    /// A place in the draw of a pool.
    Entry(PoolIndex),
    /// Nothing before a draw is made.
    Pending,
}

/// Finds places for a wish, or says why there are none, in the precedence of [`Outcome`].
pub(super) fn pick(
    session: &SessionState,
    wish: &ClaimRequest,
    wisher: Wisher,
    freed: Freed<'_>,
) -> Result<Picked, Refusal> {
    let places = session.places();
    let found = match find(places, wish, wisher, freed) {
        Err(outcome) if outcome != Outcome::DrawPending => {
            return Err(explain(places, outcome, wisher));
        }
        found => found,
    };
    let conditions = places.conditions();
    if let Some(refusal) = conditions.and_then(|it| it.refuse_hour(wisher.now, wisher.channel)) {
        return Err(refusal);
    }
    match found {
        Ok(claim) => Ok(Picked::Place(claim)),
        Err(_) => Ok(match collecting(session, wish, wisher) {
            Some(pool) => Picked::Entry(pool),
            None => Picked::Pending,
        }),
    }
}

/// The draw that takes the wish as an entry: the first that has such a place.
fn collecting(session: &SessionState, wish: &ClaimRequest, wisher: Wisher) -> Option<PoolIndex> {
    let places: &Places = session.places();
    let search = Search { places, wish, wisher, freed: &[] };
    let is_collecting = |pool| {
        places.has_opened(pool, wisher.openings)
            && session.draw(pool).is_some_and(|state| state.is_collecting(wisher.openings))
    };
    let collects = |slot| search.pool_with_room(slot, is_collecting);
    match &wish.slots {
        SlotChoice::Any => session.slots().find_map(collects),
        SlotChoice::Ranked(slots) => slots.iter().copied().find_map(collects),
    }
}

/// Adds until when a refusal holds, where that is known.
fn explain(places: &Places, outcome: Outcome, wisher: Wisher) -> Refusal {
    let Wisher { openings, channel, class, .. } = wisher;
    if outcome != Outcome::NotOpenYet {
        return outcome.into();
    }
    let opens = places.next_opening(channel, class, openings).unwrap_or(openings);
    Refusal::until(outcome, openings, opens)
}

pub(super) fn find(
    places: &Places,
    wish: &ClaimRequest,
    wisher: Wisher,
    freed: Freed<'_>,
) -> Result<Claim, Outcome> {
    let Some(last) = places.slots().checked_sub(u16::from(wish.count)) else {
        return Err(Outcome::SlotNotFound);
    };
    if let SlotChoice::Ranked(slots) = &wish.slots
        && slots.iter().any(|slot| last < slot.0)
    {
        return Err(Outcome::SlotNotFound);
    }
    if places.admitted(wisher.channel, wisher.class).next().is_none() {
        return Err(Outcome::PoolNotFound);
    }

    // What is blocked is no slot to look at; where all is, that is the reason.
    let is_blocked = |slot: SlotIndex| places.is_run_blocked(slot, wish.count);
    if places.was_blocked() {
        let all_blocked = match &wish.slots {
            SlotChoice::Any => (0..=last).map(SlotIndex).all(is_blocked),
            SlotChoice::Ranked(slots) => slots.iter().copied().all(is_blocked),
        };
        if all_blocked {
            return Err(Outcome::SessionBlocked);
        }
    }
    let search = Search { places, wish, wisher, freed };
    match (&wish.slots, places.terms().pick) {
        (SlotChoice::Ranked(slots), _) => search.first(slots.iter().copied()),
        (SlotChoice::Any, Pick::Earliest) => search.first((0..=last).map(SlotIndex)),
        (SlotChoice::Any, Pick::Even) => search.evenest((0..=last).map(SlotIndex)),
    }
}

/// Who looks for a place instead of another one.
#[derive(Clone, Copy, Debug)]
pub struct Seeker {
    /// The node's time.
    pub now: Timestamp,
    /// The time that openings go by.
    pub openings: Timestamp,
    /// Through which channel the place would be booked.
    pub channel: BookingChannel,
    /// For which class of patient.
    pub class: PatientClass,
    /// Whether the hours of service bind.
    pub heeds_hours: bool,
}

/// Runs of a session that would be given now, the nearest to an instant first, with the distance and
/// the beginning of each. Read without a lock.
pub fn places_near(
    places: &Places,
    (session, count): (SessionId, u8),
    around: Timestamp,
    seeker: Seeker,
) -> Vec<(u64, Timestamp, Claim)> {
    let Seeker { now, openings, channel, class, heeds_hours } = seeker;
    let hours = places.conditions().filter(|_| heeds_hours);
    let Some(last) = places.slots().checked_sub(count.max(1).into()) else { return Vec::new() };
    if hours.is_some_and(|conditions| conditions.refuse_hour(now, channel).is_some()) {
        return Vec::new();
    }
    let wish = ClaimRequest { session, count: count.max(1), slots: SlotChoice::Any };
    let wisher = Wisher { now, openings, channel, class };
    let search = Search { places, wish: &wish, wisher, freed: &[] };
    let found = (0..=last).map(SlotIndex).filter_map(|slot| {
        let pool = search.pool_of(slot).ok()?;
        let start = places.terms().slot_start(slot);
        let distance = start.as_millis().abs_diff(around.as_millis());
        Some((distance, start, search.claim(slot, pool)))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable_by_key(|(distance, start, _)| (*distance, *start));
    found.truncate(ALTERNATIVES_MAX);
    found
}

struct Search<'a> {
    places: &'a Places,
    wish: &'a ClaimRequest,
    wisher: Wisher,
    freed: Freed<'a>,
}

impl Search<'_> {
    fn first(&self, slots: impl Iterator<Item = SlotIndex>) -> Result<Claim, Outcome> {
        let mut refusal = Outcome::SoldOut;
        for slot in slots {
            match self.pool_of(slot) {
                Ok(pool) => return Ok(self.claim(slot, pool)),
                Err(outcome) => refusal = refusal.max(outcome),
            }
        }
        Err(refusal)
    }

    fn evenest(&self, slots: impl Iterator<Item = SlotIndex>) -> Result<Claim, Outcome> {
        let mut refusal = Outcome::SoldOut;
        let mut best: Option<(Share, Claim)> = None;
        for slot in slots {
            let pool = match self.pool_of(slot) {
                Ok(pool) => pool,
                Err(outcome) => {
                    refusal = refusal.max(outcome);
                    continue;
                }
            };
            let share = self.share(slot);
            if best.as_ref().is_none_or(|(most, _)| most.is_less_than(share)) {
                best = Some((share, self.claim(slot, pool)));
            }
        }
        best.map(|(_, claim)| claim).ok_or(refusal)
    }

    /// The pool that gives a run from this slot on, or why none does. Of several slots the reason
    /// counts that is nearest to a place: the highest of these outcomes.
    fn pool_of(&self, slot: SlotIndex) -> Result<PoolIndex, Outcome> {
        self.pool_with_room(slot, |_| true).ok_or(Outcome::SoldOut)?;
        if self.is_past(slot) {
            return Err(Outcome::SlotInPast);
        }
        if !self.is_bookable(slot) {
            return Err(Outcome::BookingClosed);
        }
        let has_opened = |pool| self.places.has_opened(pool, self.wisher.openings);
        if !self.places.has_undrawn() {
            return self.pool_with_room(slot, has_opened).ok_or(Outcome::NotOpenYet);
        }
        let may_give = |pool| has_opened(pool) && !self.places.is_undrawn(pool);
        let given = self.pool_with_room(slot, may_give);
        let drawn = || self.pool_with_room(slot, has_opened);
        given.ok_or_else(|| drawn().map_or(Outcome::NotOpenYet, |_| Outcome::DrawPending))
    }

    fn pool_with_room(
        &self,
        slot: SlotIndex,
        may_give: impl Fn(PoolIndex) -> bool,
    ) -> Option<PoolIndex> {
        let slots = slot.0..slot.0.saturating_add(u16::from(self.wish.count));
        if !self.freed.is_empty() && self.places.is_run_blocked(slot, self.wish.count) {
            return None;
        }
        let has_room = |pool| slots.clone().all(|slot| 0 < self.free(SlotIndex(slot), pool));
        self.admitted().find(|pool| may_give(*pool) && has_room(*pool))
    }

    /// Whether booking of a slot has not ended before the slot.
    fn is_bookable(&self, slot: SlotIndex) -> bool {
        let Some(conditions) = self.places.conditions() else { return true };
        conditions.is_bookable(self.places.terms().slot_start(slot), self.wisher.now)
    }

    /// Free places of the slot against all, over the pools that the wisher may use.
    fn share(&self, slot: SlotIndex) -> Share {
        self.admitted().fold(Share { free: 0, all: 0 }, |share, pool| Share {
            free: share.free.saturating_add(u32::from(self.free(slot, pool))),
            all: share.all.saturating_add(u32::from(self.places.quota(slot, pool))),
        })
    }

    /// Free places of a cell, with those that come back now.
    fn free(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        let free = self.places.free(slot, pool);
        if self.freed.is_empty() {
            return free;
        }
        let is_here = |claim: &&Claim| {
            let slots = claim.slot.0..claim.slot.0.saturating_add(claim.count.into());
            (claim.session, claim.pool) == (self.wish.session, pool) && slots.contains(&slot.0)
        };
        let back = u16::try_from(self.freed.iter().filter(is_here).count()).unwrap_or_default();
        free.saturating_add(back)
    }

    fn admitted(&self) -> impl Iterator<Item = PoolIndex> + '_ {
        self.places.admitted(self.wisher.channel, self.wisher.class)
    }

    /// A slot can be booked until it ends.
    fn is_past(&self, slot: SlotIndex) -> bool {
        self.places.terms().slot_end(slot) <= self.wisher.now
    }

    fn claim(&self, slot: SlotIndex, pool: PoolIndex) -> Claim {
        Claim { session: self.wish.session, slot, count: self.wish.count, pool }
    }
}

/// A fraction, compared without dividing.
#[derive(Clone, Copy)]
struct Share {
    free: u32,
    all: u32,
}

impl Share {
    fn is_less_than(self, other: Self) -> bool {
        let left = u64::from(self.free).saturating_mul(u64::from(other.all));
        left < u64::from(other.free).saturating_mul(u64::from(self.all))
    }
}
