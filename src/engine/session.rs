//! A session shard: sessions, and how many places of each slot and pool are free.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::agenda::Agenda;
use super::alterations::Alterations;
use super::places::Places;
use super::queue::Queue;
use super::returns::Returns;
use crate::model::{
    AppointmentId, BlockSession, Claim, Fact, PoolIndex, Reclaimed, Returned, Returning, Sequence,
    Session, SessionId, SlotIndex, Timestamp,
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
    /// Blocked slots and added places, where there are some.
    altered: Option<Box<Alterations>>,
    /// What few sessions have, and no hold looks at. `None` where it would be empty.
    aside: Option<Box<Aside>>,
    /// Who checked in and has not left, if anybody ever did.
    pub(super) queue: Option<Box<Queue>>,
}

/// What lies beside the places of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Aside {
    returns: Returns,
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
            Fact::Queued(fact) => {
                self.change(fact.session, last, |state| state.queue_mut().enqueue(fact));
            }
            Fact::Left(fact) => {
                self.change(fact.session, last, |state| state.queue_mut().leave(fact));
            }
            Fact::Called(fact) => {
                self.change(fact.session, last, |state| state.queue_mut().call(fact));
            }
            Fact::Returned(fact) => {
                self.change(fact.session, last, |state| state.give_back_returned(fact));
            }
            Fact::SessionBlocked(fact) => {
                self.change(fact.block.session, last, |state| state.block(&fact.block));
            }
            Fact::Swept(session) => self.change(*session, last, SessionState::end_sweep),
            Fact::Substituted(fact) => self.change(fact.substitute.session, last, |state| {
                state.spec.resource = fact.substitute.resource;
            }),
            Fact::Displaced(_)
            | Fact::PlaceAdded(_)
            | Fact::Offered(_)
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
        let after = state.next_due();
        self.due.move_to(id, before, after);
    }

    /// Lets who lost their places leave the queue, if they are in it: they are not checked in any more.
    pub fn drop_queued(&mut self, session: SessionId, appointment: AppointmentId) {
        let state = self.sessions.get_mut(&session);
        if let Some(queue) = state.and_then(|state| state.queue.as_deref_mut()) {
            queue.drop_out(appointment);
        }
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
        self.restore(SessionState {
            spec: Box::new(spec),
            places,
            aside: None,
            queue: None,
            altered: None,
        });
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
        if claim.pool == PoolIndex::ADDED {
            return self.alter(claim, Alterations::add);
        }
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
        // An added place is gone with its appointment.
        if claim.pool == PoolIndex::ADDED {
            return self.alter(claim, Alterations::take_away);
        }
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

    /// Adds a place to a session, or takes one away.
    fn alter(&mut self, claim: &Claim, alter: impl Fn(&mut Alterations, SlotIndex) -> Option<()>) {
        let state = self.sessions.get_mut(&claim.session);
        let changed = state.and_then(|state| {
            let altered = state.altered.get_or_insert_default();
            run(claim).try_for_each(|slot| alter(altered, slot))?;
            state.tidy();
            Some(())
        });
        changed.unwrap_or_else(|| panic!("an impossible fact: {claim:?} is no added place"));
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
        Some(Self {
            spec: Box::new(spec),
            places: Arc::new(places),
            aside: None,
            queue: None,
            altered: None,
        })
    }

    /// The same with places on their way back, if they are among those that are taken.
    #[must_use]
    pub fn with_returning(mut self, returning: &[Returning]) -> Option<Self> {
        returning.iter().for_each(|places| self.aside().returns.add(*places));
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
    fn block(&mut self, block: &BlockSession) {
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

    fn end_sweep(&mut self) {
        if let Some(altered) = &mut self.altered {
            altered.is_sweeping = false;
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.altered = self.altered.take().filter(|altered| !altered.is_empty());
    }

    /// The same session with a queue, as a snapshot kept it.
    #[must_use]
    pub fn with_queue(self, queue: Queue) -> Self {
        Self { queue: Some(Box::new(queue)), ..self }
    }

    fn queue_mut(&mut self) -> &mut Queue {
        let rules = self.spec.terms.attendance;
        assert!(rules.is_some(), "an impossible fact: session {} keeps no queue", self.spec.id.0);
        self.queue.get_or_insert_default()
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
        let returns = self.aside.as_ref().and_then(|aside| aside.returns.next_due());
        reclaims.map(|reclaim| reclaim.at).chain(returns).min()
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Puts what was taken by a claim on its way back.
    fn set_out(&mut self, claim: &Claim, until: Timestamp) {
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
            (slot, pool, places.quota(slot, pool).saturating_sub(places.unused(slot, pool)))
        })
    }
}

impl Clone for SessionState {
    /// A copy with places of its own.
    fn clone(&self) -> Self {
        let copy = Self::from_parts(Session::clone(&self.spec), &self.taken())
            .expect("what is taken fits the quotas");
        let copy = Self { aside: self.aside.clone(), queue: self.queue.clone(), ..copy };
        match self.alterations() {
            Some(altered) => {
                copy.with_alterations(altered.clone()).expect("what was changed fits the session")
            }
            None => copy,
        }
    }
}

impl PartialEq for SessionState {
    fn eq(&self, other: &Self) -> bool {
        (&self.spec, &self.altered, &self.aside) == (&other.spec, &other.altered, &other.aside)
            && self.taken() == other.taken()
            && self.queue == other.queue
    }
}

impl Eq for SessionState {}

/// The slots of a claim.
pub(super) fn run(claim: &Claim) -> impl Iterator<Item = SlotIndex> + use<> {
    let first = claim.slot.0;
    (first..first.saturating_add(u16::from(claim.count))).map(SlotIndex)
}
