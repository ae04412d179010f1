//! A session shard: sessions, and how many places of each slot and pool are free.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::agenda::Agenda;
use super::offers::Candidate;
use super::places::Places;
use super::returns::Returns;
use super::waitlist::Waitlist;
use crate::model::{
    Claim, Fact, PoolIndex, Reclaimed, Returned, Returning, Sequence, Session, SessionId,
    SlotIndex, Timestamp, WaitState,
};

/// The sessions of this shard.
#[derive(Debug)]
pub struct SessionShard {
    sessions: HashMap<SessionId, SessionState, FixedState>,
    /// Which of them time will change, and when: derived.
    due: Agenda,
}

/// A session and its places.
#[derive(Debug)]
pub struct SessionState {
    /// Apart: a hold does not look at it, and the table stays small.
    spec: Box<Session>,
    /// Invariant: what is free in a cell is never above its quota. Shared with readers that hold no
    /// lock, who never write.
    places: Arc<Places>,
    /// What few sessions have, and no hold looks at. `None` where it would be empty.
    aside: Option<Box<Aside>>,
}

/// What lies beside the places of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Aside {
    returns: Returns,
    waitlist: Option<Waitlist>,
}

impl Aside {
    /// When places come back, are to be offered, or somebody is to be told.
    fn next_due(&self, spec: &Session) -> Option<Timestamp> {
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

impl SessionShard {
    /// An empty shard. `seed` makes its table hard to attack; it changes no answer.
    pub fn new(seed: u64) -> Self {
        let sessions = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { sessions, due: Agenda::default() }
    }

    /// Writes what a fact did to a session by itself, by record `last`.
    ///
    /// # Panics
    ///
    /// Panics if the fact is impossible in this state.
    pub fn evolve(&mut self, fact: &Fact, last: Sequence) {
        match fact {
            Fact::SessionOpened(opened) => self.open(opened.session.clone(), last),
            Fact::QuotasSet(set) => {
                self.change(set.session, last, |state| state.share_out(&set.quotas));
            }
            Fact::Reclaimed(fact) => self.change(fact.session, last, |state| state.reclaim(fact)),
            Fact::Returned(fact) => {
                self.change(fact.session, last, |state| state.give_back_returned(fact));
            }
            Fact::WaitDrawn(fact) => {
                self.change(fact.session, last, |state| state.list_mut().draw(fact));
            }
            Fact::WaitJoined(_)
            | Fact::Offered(_)
            | Fact::WaitLeft(_)
            | Fact::Held(_)
            | Fact::Booked(_)
            | Fact::Ended(_)
            | Fact::Freed(_)
            | Fact::Progressed(_)
            | Fact::Settled(_)
            | Fact::Declined(_)
            | Fact::Forgotten(_)
            | Fact::Rescheduled(_) => {}
        }
    }

    /// Changes a session, and looks when it is due next.
    fn change(&mut self, id: SessionId, last: Sequence, change: impl FnOnce(&mut SessionState)) {
        let state = self
            .sessions
            .get_mut(&id)
            .unwrap_or_else(|| panic!("an impossible fact: there is no session {}", id.0));
        let before = state.next_due();
        state.places.note(last);
        change(state);
        state.wake();
        let after = state.next_due();
        self.due.move_to(id, before, after);
    }

    /// When a session is due next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| due)
    }

    /// The session that is due, the earliest first.
    pub fn next_due(&self, now: Timestamp) -> Option<&SessionState> {
        let (due, id) = self.due.first()?;
        if now < due { None } else { self.session(id) }
    }

    /// Says to readers without a lock that a record which gives back places of a session and takes
    /// others of it begins to be written, or is written.
    pub fn announce(&self, session: SessionId, begins: bool) {
        if let Some(state) = self.sessions.get(&session) {
            state.places.set_moving(begins);
        }
    }

    /// Writes what a fact did to the waitlist of one of its targets, by record `last`.
    ///
    /// # Panics
    ///
    /// Panics if the fact is impossible in this state.
    pub fn tend(&mut self, fact: &Fact, target: SessionId, last: Sequence) {
        self.change(target, last, |state| {
            if let Fact::WaitJoined(joined) = fact {
                let mut targets = joined.entry.targets.iter();
                let target = targets.find(|other| other.session == target);
                let target = target.expect("a fact names its targets twice, and alike");
                state.list_mut().join(&joined.entry, target);
            } else if let Fact::Offered(offered) = fact {
                state.list_mut().offer(offered);
                let here = offered.held.claims.iter().filter(|claim| claim.session == target);
                here.for_each(|claim| state.reserve(claim, offered.back));
            } else if let Fact::WaitLeft(left) = fact {
                state.list_mut().leave(left);
            }
        });
    }

    /// Leaves a candidate out of account until an instant: it is not eligible now.
    pub fn skip(&mut self, candidate: Candidate, until: Timestamp) {
        self.look_again(candidate.session, |list| list.skip(candidate.entry, until));
    }

    /// Does not look at a session before an instant, unless something changes.
    pub fn postpone(&mut self, session: SessionId, until: Timestamp) {
        self.look_again(session, |list| list.not_before = until);
    }

    /// Changes when a session is looked at again, which no fact says.
    fn look_again(&mut self, id: SessionId, change: impl FnOnce(&mut Waitlist)) {
        let Some(state) = self.sessions.get_mut(&id) else { return };
        let before = state.next_due();
        if let Some(list) = state.aside.as_mut().and_then(|aside| aside.waitlist.as_mut()) {
            list.not_before = Timestamp::default();
            change(list);
        }
        let after = state.next_due();
        self.due.move_to(id, before, after);
    }

    /// Opens a session, by record `last`.
    ///
    /// # Panics
    ///
    /// Panics if there is one with this id, or if it is malformed.
    pub fn open(&mut self, spec: Session, last: Sequence) {
        if let Err(fault) = spec.check() {
            panic!("an impossible fact: session {} is opened, but {fault}", spec.id.0);
        }
        let places = Arc::new(Places::new(&spec));
        places.note(last);
        self.restore(SessionState { spec: Box::new(spec), places, aside: None });
    }

    /// Puts a session in as a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if there is one with this id, or if its counts do not fit.
    pub fn restore(&mut self, state: SessionState) {
        let id = state.spec.id;
        self.due.move_to(id, None, state.next_due());
        let earlier = self.sessions.insert(id, state);
        assert!(earlier.is_none(), "an impossible fact: session {} is opened twice", id.0);
    }

    /// Takes the places of a claim, by record `last`.
    ///
    /// # Panics
    ///
    /// Panics if one is not there or not free: a place would be sold twice.
    pub fn take(&mut self, claim: &Claim, last: Sequence) {
        let state = self.state(claim);
        assert!(
            claim.count != 0
                && usize::from(claim.slot.0).saturating_add(claim.count.into())
                    <= usize::from(state.places.slots()),
            "an impossible fact: {claim:?} is not in its session"
        );
        state.places.note(last);
        for slot in run(claim) {
            state.places.take(slot, claim.pool).unwrap_or_else(|| {
                panic!("an impossible fact: {claim:?} oversells slot {}", slot.0)
            });
        }
    }

    /// Gives the places of a claim back to their pool, by record `last`.
    ///
    /// # Panics
    ///
    /// Panics if one was not taken.
    pub fn give_back(&mut self, claim: &Claim, last: Sequence) {
        let state = self.state(claim);
        state.places.note(last);
        for slot in run(claim) {
            state.places.give_back(slot, claim.pool).unwrap_or_else(|| {
                panic!("an impossible fact: {claim:?} frees slot {} twice", slot.0)
            });
        }
    }

    /// Frees the places of a claim, by record `last`: at once where `back` is zero; otherwise they
    /// stay taken, and are on their way back until then.
    ///
    /// # Panics
    ///
    /// Panics if one was not taken.
    pub fn free(&mut self, claim: &Claim, back: Timestamp, last: Sequence) {
        if back == Timestamp::default() {
            return self.give_back(claim, last);
        }
        self.change(claim.session, last, |state| state.set_out(claim, back));
    }

    /// The session with that id.
    pub fn session(&self, id: SessionId) -> Option<&SessionState> {
        self.sessions.get(&id)
    }

    /// Every session, by id.
    pub fn sessions(&self) -> Vec<&SessionState> {
        let mut all: Vec<_> = self.sessions.values().collect();
        all.sort_unstable_by_key(|state| state.spec.id);
        all
    }

    fn state(&self, claim: &Claim) -> &SessionState {
        self.sessions
            .get(&claim.session)
            .unwrap_or_else(|| panic!("an impossible fact: {claim:?} is in no session"))
    }
}

impl SessionState {
    /// A session with counts as a snapshot kept them, if they fit its quotas.
    pub fn from_parts(spec: Session, taken: &[u16]) -> Option<Self> {
        spec.check().ok()?;
        let places = Places::new(&spec);
        let pools = spec.pools.len();
        if taken.len() != spec.slot_count().checked_mul(pools)? {
            return None;
        }
        for (slot, row) in (0..).map(SlotIndex).zip(taken.chunks(pools.max(1))) {
            for (pool, count) in (0..).map(PoolIndex).zip(row) {
                for _ in 0..*count {
                    places.take(slot, pool)?;
                }
            }
        }
        Some(Self { spec: Box::new(spec), places: Arc::new(places), aside: None })
    }

    /// The same with places on their way back, if they are among those that are taken.
    #[must_use]
    pub fn with_returning(mut self, returning: &[Returning]) -> Option<Self> {
        returning.iter().for_each(|places| self.aside().returns.add(*places));
        let places = &self.places;
        let taken = |slot, pool| places.quota(slot, pool).saturating_sub(places.free(slot, pool));
        let fits = self.aside.as_ref().is_none_or(|aside| aside.returns.are_within(taken));
        fits.then_some(self)
    }

    /// The same with a waitlist as a snapshot kept it.
    #[must_use]
    pub fn with_waitlist(mut self, state: WaitState) -> Self {
        self.aside().waitlist = Some(Waitlist::of(state));
        self
    }

    /// Who waits for a place, where anybody ever did.
    pub fn waitlist(&self) -> Option<&WaitState> {
        self.list().map(|list| &list.state)
    }

    pub(super) fn list(&self) -> Option<&Waitlist> {
        self.aside.as_ref()?.waitlist.as_ref()
    }

    fn list_mut(&mut self) -> &mut Waitlist {
        self.aside().waitlist.get_or_insert_default()
    }

    /// Something changed: who waits is looked at again.
    fn wake(&mut self) {
        if let Some(list) = self.aside.as_mut().and_then(|aside| aside.waitlist.as_mut()) {
            list.not_before = Timestamp::default();
        }
    }

    /// Takes a place that was on its way back: it stays taken.
    fn reserve(&mut self, claim: &Claim, until: Timestamp) {
        let place = Returning { until, slot: claim.slot, pool: claim.pool, count: 1 };
        let known = self.aside().returns.remove(&place);
        known.unwrap_or_else(|| panic!("an impossible fact: {claim:?} is offered twice"));
    }

    /// Places that are on their way back, the earliest first. They count as taken.
    pub fn returning(&self) -> &[Returning] {
        self.aside.as_ref().map_or(&[], |aside| aside.returns.places())
    }

    /// The session as it was opened.
    pub fn spec(&self) -> &Session {
        &self.spec
    }

    /// Its places, to share with who reads them without a lock.
    pub const fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Taken places, slot by slot, pool by pool.
    pub fn taken(&self) -> Vec<u16> {
        self.cells().map(|(_, _, taken)| taken).collect()
    }

    /// When time changes it next: unused places go to another pool, or freed ones come back.
    pub fn next_due(&self) -> Option<Timestamp> {
        let reclaims = self.spec.pools.iter().filter_map(|pool| pool.terms.reclaim);
        let aside = self.aside.as_ref().and_then(|aside| aside.next_due(&self.spec));
        reclaims.map(|reclaim| reclaim.at).chain(aside).min()
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Puts what was taken by a claim on its way back.
    fn set_out(&mut self, claim: &Claim, until: Timestamp) {
        for slot in run(claim) {
            let (places, pool) = (&self.places, claim.pool);
            let taken = places.quota(slot, pool).saturating_sub(places.free(slot, pool));
            let returns = &mut self.aside.get_or_insert_default().returns;
            assert!(
                returns.of_cell(slot, pool) < u32::from(taken),
                "an impossible fact: {claim:?} frees what was not taken"
            );
            returns.add(Returning { until, slot, pool, count: 1 });
        }
    }

    /// Gives back what was on its way.
    fn give_back_returned(&mut self, fact: &Returned) {
        for places in &fact.places {
            let known = self.aside().returns.remove(places);
            let given = known.and_then(|()| {
                (0..places.count).try_for_each(|_| self.places.give_back(places.slot, places.pool))
            });
            given.unwrap_or_else(|| panic!("an impossible fact: {places:?} come back twice"));
        }
        if self.aside.as_deref() == Some(&Aside::default()) {
            self.aside = None;
        }
    }

    /// The positions of its slots.
    pub fn slots(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        (0..self.places.slots()).map(SlotIndex)
    }

    /// Gives every pool new quotas.
    fn share_out(&mut self, quotas: &[Vec<u16>]) {
        assert!(quotas.len() == self.spec.pools.len(), "an impossible fact: other pools");
        let Self { spec, places, .. } = self;
        places.move_places(|| {
            for (index, (pool, quotas)) in (0..).zip(spec.pools.iter_mut().zip(quotas)) {
                assert!(quotas.len() == pool.quotas.len(), "an impossible fact: other slots");
                for (slot, new) in (0..).zip(quotas) {
                    places.resize(SlotIndex(slot), PoolIndex(index), *new).unwrap_or_else(|| {
                        panic!("an impossible fact: a quota of {new} is less than is taken")
                    });
                }
                pool.quotas.clone_from(quotas);
            }
        });
    }

    /// Moves the unused places of a pool to another one, once.
    fn reclaim(&mut self, fact: &Reclaimed) {
        let mut quotas: Vec<Vec<u16>> =
            self.spec.pools.iter().map(|pool| pool.quotas.clone()).collect();
        for (slot, places) in fact.places.iter().enumerate() {
            let quota = |pool: PoolIndex| (usize::from(pool.0), slot);
            for (pool, change) in [(fact.from, None), (fact.to, Some(()))] {
                let (pool, slot) = quota(pool);
                let quota = quotas.get_mut(pool).and_then(|quotas| quotas.get_mut(slot));
                let changed = quota.as_ref().and_then(|quota| match change {
                    None => quota.checked_sub(*places),
                    Some(()) => quota.checked_add(*places),
                });
                match (quota, changed) {
                    (Some(quota), Some(changed)) => *quota = changed,
                    _ => panic!("an impossible fact: {fact:?}"),
                }
            }
        }
        self.share_out(&quotas);
        if let Some(pool) = self.spec.pools.get_mut(usize::from(fact.from.0)) {
            pool.terms.reclaim = None;
        }
    }

    /// Free places of a pool in a slot.
    pub fn free(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        self.places.free(slot, pool)
    }

    /// Every slot and pool with its taken places.
    ///
    /// # Panics
    ///
    /// Never: the number of pools was checked when the session was opened.
    pub fn cells(&self) -> impl Iterator<Item = (SlotIndex, PoolIndex, u16)> + '_ {
        let pools = u8::try_from(self.spec.pools.len()).expect("a session has at most 8 pools");
        let cells = (0..self.places.slots())
            .flat_map(move |slot| (0..pools).map(move |pool| (SlotIndex(slot), PoolIndex(pool))));
        cells.map(|(slot, pool)| {
            let places = &self.places;
            (slot, pool, places.quota(slot, pool).saturating_sub(places.free(slot, pool)))
        })
    }
}

impl Clone for SessionState {
    /// A copy with places of its own.
    fn clone(&self) -> Self {
        let copy = Self::from_parts(Session::clone(&self.spec), &self.taken())
            .expect("what is taken fits the quotas");
        Self { aside: self.aside.clone(), ..copy }
    }
}

impl PartialEq for SessionState {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.taken() == other.taken() && self.aside == other.aside
    }
}

impl Eq for SessionState {}

/// The slots of a claim.
pub(super) fn run(claim: &Claim) -> impl Iterator<Item = SlotIndex> + use<> {
    let first = claim.slot.0;
    (first..first.saturating_add(u16::from(claim.count))).map(SlotIndex)
}
