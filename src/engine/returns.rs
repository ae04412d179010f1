//! Decides when freed places come back, and keeps those that are on their way.
//!
//! ```text
//! Ended   a session says nothing of it: back at once, as ever
//! Freed   back at an instant that was drawn, or never         Returned   the instant has come
//! ```

use std::collections::BTreeMap;

use super::view::{Context, View};
use crate::model::{
    Claim, Ended, Fact, Freed, PoolIndex, ReturnRule, Returning, SlotIndex, Timestamp,
};

/// What an end comes to: its places come back by the rules of their sessions.
pub(super) fn end(view: &View<'_>, context: &Context<'_>, ended: Ended) -> Fact {
    match back_of(view, context, &ended.claims, &[]) {
        back if back.is_empty() => Fact::Ended(ended),
        back => Fact::Freed(Box::new(Freed { ended, back })),
    }
}

/// When freed claims come back, by the rules of their sessions; nothing, where all do at once. What is
/// taken again by the same record is free for it at once.
pub(super) fn back_of(
    view: &View<'_>,
    context: &Context<'_>,
    freed: &[Claim],
    taken: &[Claim],
) -> Vec<Timestamp> {
    // An added place is gone with its appointment: it is on the way to nobody.
    let rule = |claim: &Claim| match view.session(claim.session) {
        Some(_) if taken.iter().any(|other| overlaps(claim, other)) => ReturnRule::AtOnce,
        Some(session) if claim.pool != PoolIndex::ADDED => session.spec().terms.returns,
        _ => ReturnRule::AtOnce,
    };
    if freed.iter().all(|claim| rule(claim) == ReturnRule::AtOnce) {
        return Vec::new();
    }
    let chances = (0..).map(|claim: u32| context.chance.rotate_left(claim.saturating_mul(8)));
    let back = freed.iter().zip(chances);
    back.map(|(claim, chance)| rule(claim).back(context.now, chance)).collect()
}

/// Whether two claims have a place in common.
fn overlaps(one: &Claim, other: &Claim) -> bool {
    let end = |claim: &Claim| claim.slot.0.saturating_add(claim.count.into());
    (one.session, one.pool) == (other.session, other.pool)
        && one.slot.0 < end(other)
        && other.slot.0 < end(one)
}

/// The places of a session that are on their way back, the earliest first, equal ones together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Returns {
    places: Vec<Returning>,
}

impl Returns {
    pub(super) fn places(&self) -> &[Returning] {
        &self.places
    }

    /// When the first comes back, if any does.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let first = self.places.first().map(|places| places.until);
        first.filter(|until| *until != Timestamp::MAX)
    }

    /// Adds places.
    pub(super) fn add(&mut self, places: Returning) {
        let key = |places: &Returning| (places.until, places.slot, places.pool);
        match self.places.binary_search_by_key(&key(&places), key) {
            Ok(index) => {
                if let Some(known) = self.places.get_mut(index) {
                    known.count = known.count.saturating_add(places.count);
                }
            }
            Err(index) => self.places.insert(index, places),
        }
    }

    /// Takes places out; `None` where they are not there.
    pub(super) fn remove(&mut self, places: &Returning) -> Option<()> {
        let key = |places: &Returning| (places.until, places.slot, places.pool);
        let index = self.places.binary_search_by_key(&key(places), key).ok()?;
        let known = self.places.get_mut(index)?;
        known.count = known.count.checked_sub(places.count)?;
        if known.count == 0 {
            self.places.remove(index);
        }
        Some(())
    }

    /// How many places of a pool in a slot are on their way.
    pub(super) fn of_cell(&self, slot: SlotIndex, pool: PoolIndex) -> u32 {
        let here = |places: &&Returning| (places.slot, places.pool) == (slot, pool);
        self.places.iter().filter(here).map(|places| u32::from(places.count)).sum()
    }

    /// Whether every place counts among those that are taken, as `taken` says.
    pub(super) fn are_within(&self, taken: impl Fn(SlotIndex, PoolIndex) -> u16) -> bool {
        let mut cells = BTreeMap::<_, u32>::new();
        for places in &self.places {
            let all = cells.entry((places.slot, places.pool)).or_default();
            *all = all.saturating_add(places.count.into());
        }
        let fits = |((slot, pool), all): (&(SlotIndex, PoolIndex), &u32)| {
            (1..=u32::from(taken(*slot, *pool))).contains(all)
        };
        cells.iter().all(fits)
    }
}
