//! What few sessions have beside their places: blocks, added places, places on their way back, draws.

use super::{SessionState, run};
use crate::engine::alterations::Alterations;
use crate::engine::draws::DrawState;
use crate::engine::returns::Returns;
use crate::engine::waitlist::Waitlist;
use crate::model::{
    BlockSession, Claim, DrawId, PoolIndex, Returned, Returning, Session, SlotIndex, Timestamp,
};

/// What lies beside the places of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) returns: Returns,
    pub(super) waitlist: Option<Waitlist>,
}

impl Aside {
    /// When places come back, are to be offered, or somebody is to be told.
    pub(super) fn next_due(&self, spec: &Session) -> Option<Timestamp> {
        let back = self.returns.next_due();
        let Some(list) = &self.waitlist else { return back };
        let draw = list.awaits_draw().then_some(list.state.drawn_at);
        if list.waiters().next().is_none() {
            return back.into_iter().chain(draw).min();
        }
        let closes = spec.terms.waitlist.as_ref().map(|rule| rule.closes_at);
        let offer = (!self.returns.places().is_empty()).then_some(list.not_before);
        [draw, closes, offer].into_iter().flatten().min()
    }
}

impl SessionState {
    /// The same with places on their way back, if they are among those that are taken.
    #[must_use]
    pub fn with_returning(mut self, returning: &[Returning]) -> Option<Self> {
        for places in returning {
            self.aside().returns.add(*places);
        }
        let places = &self.places;
        let taken = |slot, pool| places.quota(slot, pool).saturating_sub(places.unused(slot, pool));
        let fits = self.aside.as_ref().is_none_or(|aside| aside.returns.are_within(taken));
        fits.then_some(self)
    }

    /// Places that are on their way back, the earliest first. They count as taken.
    pub fn returning(&self) -> &[Returning] {
        self.aside.as_ref().map_or(&[], |aside| aside.returns.places())
    }

    /// The same with what was changed about it, if that fits.
    #[must_use]
    pub fn with_alterations(mut self, altered: Alterations) -> Option<Self> {
        let slots = self.places.slots();
        let mut known = altered.blocked.keys().chain(altered.added.keys());
        if !known.all(|slot| slot.0 < slots) || altered.added.values().any(|added| *added == 0) {
            return None;
        }
        for slot in altered.blocked.keys() {
            self.places.close(*slot);
        }
        self.altered = Some(Box::new(altered));
        self.tidy();
        Some(self)
    }

    /// What was changed about it, if anything was.
    pub fn alterations(&self) -> Option<&Alterations> {
        self.altered.as_deref()
    }

    /// Whether nothing in a slot can be held.
    pub fn is_blocked(&self, slot: SlotIndex) -> bool {
        self.alterations().is_some_and(|altered| altered.blocked.contains_key(&slot))
    }

    /// Why a claim's slots are blocked, if one is.
    pub fn reason_of_block(&self, claim: &Claim) -> Option<u16> {
        let altered = self.alterations()?;
        run(claim).find_map(|slot| altered.blocked.get(&slot).copied())
    }

    /// Whether a block may not have reached every appointment yet.
    pub fn is_sweeping(&self) -> bool {
        self.alterations().is_some_and(|altered| altered.is_sweeping)
    }

    /// Closes slots, or opens them again.
    pub(super) fn block(&mut self, block: &BlockSession) {
        let altered = self.altered.get_or_insert_default();
        altered.is_sweeping |= block.is_blocked;
        for slot in block.slots() {
            assert!(slot.0 < self.places.slots(), "an impossible fact: {block:?}");
            if block.is_blocked {
                altered.blocked.insert(slot, block.reason);
                self.places.close(slot);
            } else if altered.blocked.remove(&slot).is_some() {
                self.places.reopen(slot);
            }
        }
        self.tidy();
    }

    pub(super) fn end_sweep(&mut self) {
        if let Some(altered) = &mut self.altered {
            altered.is_sweeping = false;
        }
        self.tidy();
    }

    pub(super) fn tidy(&mut self) {
        self.altered = self.altered.take().filter(|altered| !altered.is_empty());
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Puts what was taken by a claim on its way back.
    pub(super) fn set_out(&mut self, claim: &Claim, until: Timestamp) {
        for slot in run(claim) {
            let (places, pool) = (&self.places, claim.pool);
            let taken = places.quota(slot, pool).saturating_sub(places.unused(slot, pool));
            let returns = &mut self.aside.get_or_insert_default().returns;
            assert!(
                returns.of_cell(slot, pool) < u32::from(taken),
                "an impossible fact: {claim:?} frees what was not taken"
            );
            returns.add(Returning { until, slot, pool, count: 1 });
        }
    }

    /// Gives back what was on its way.
    pub(super) fn give_back_returned(&mut self, fact: &Returned) {
        for places in &fact.places {
            let was_known = self.aside().returns.remove(places).is_some();
            let is_given = (0..places.count)
                .all(|_| self.places.give_back(places.slot, places.pool).is_some());
            assert!(was_known && is_given, "an impossible fact: {places:?} come back twice");
        }
        if self.aside.as_deref() == Some(&Aside::default()) {
            self.aside = None;
        }
    }

    /// When a draw of it is due next.
    pub fn next_draw_due(&self) -> Option<Timestamp> {
        self.draws.iter().filter_map(DrawState::next_due).min()
    }

    /// Its draws, by pool.
    pub fn draws(&self) -> &[DrawState] {
        &self.draws
    }

    /// Its draws, to fill from a snapshot.
    pub fn draws_mut(&mut self) -> &mut [DrawState] {
        &mut self.draws
    }

    /// The draw of a pool.
    pub fn draw(&self, pool: PoolIndex) -> Option<&DrawState> {
        self.draws.iter().find(|state| state.id().pool == pool)
    }

    /// Whether a pool's places wait for a draw: nobody can book them.
    pub fn is_undrawn(&self, pool: PoolIndex) -> bool {
        self.draw(pool).is_some_and(|state| !state.is_over())
    }

    /// Tells who reads the places without the lock which draws are over.
    pub(super) fn note_drawn(&self) {
        for draw in self.draws.iter().filter(|draw| draw.is_over()) {
            self.places.note_drawn(draw.id().pool);
        }
    }
}

/// The draws of a session, none of them made.
pub(super) fn draws_of(spec: &Session) -> Box<[DrawState]> {
    let state = |(pool, draw)| DrawState::new(DrawId { session: spec.id, pool }, draw);
    let terms = spec.pools.iter().map(|pool| pool.terms.draw);
    let drawn = (0..).map(PoolIndex).zip(terms).filter_map(|(pool, draw)| Some((pool, draw?)));
    drawn.map(state).collect()
}
