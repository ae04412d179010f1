//! A session shard: sessions, and how many places of each slot and pool are free.
//!
//! **Architecture invariant:** a session changes by facts alone, and each change says by which record.

mod aside;
mod tending;

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use self::aside::{Aside, draws_of};
use super::agenda::Agenda;
use super::alterations::Alterations;
use super::draws::DrawState;
use super::places::Places;
use super::queue::Queue;
use super::quotas::keeps_sums;
use super::view::Catalog;
use crate::model::{
    AppointmentId, Claim, DrawId, Fact, PoolIndex, Reclaimed, Sequence, Session, SessionId,
    SlotIndex, Stay, Timestamp,
};

/// The sessions of this shard.
#[derive(Debug)]
pub struct SessionShard {
    sessions: HashMap<SessionId, SessionState, FixedState>,
    /// Which of them time will change, and when: derived.
    due: Agenda,
    /// The same for their draws, which take other locks.
    draws_due: Agenda,
}

/// A session and its places.
#[derive(Debug)]
pub struct SessionState {
    /// Apart: a hold does not look at it, and the table stays small.
    spec: Box<Session>,
    /// Invariant: what is free in a cell is never above its quota. Shared with readers that hold no
    /// lock, who never write.
    places: Arc<Places>,
    /// Its draws, by pool: most sessions have none.
    draws: Box<[DrawState]>,
    /// Blocked slots and added places, where there are some.
    altered: Option<Box<Alterations>>,
    /// What few sessions have, and no hold looks at. `None` where it would be empty.
    aside: Option<Box<Aside>>,
    /// Who checked in and has not left, if anybody ever did.
    pub(super) queue: Option<Box<Queue>>,
}

impl Catalog for SessionShard {
    fn stay(&self, session: SessionId) -> Option<Stay> {
        self.session(session).map(|state| Stay::of(state.spec()))
    }
}

impl SessionShard {
    /// An empty shard. `seed` makes its table hard to attack; it changes no answer.
    pub fn new(seed: u64) -> Self {
        let sessions = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { sessions, due: Agenda::default(), draws_due: Agenda::default() }
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
            Fact::Entered(fact) => {
                self.change_draw(fact.draw, last, |state| state.enter(fact));
            }
            Fact::BeaconGiven(fact) => {
                self.change_draw(fact.draw, last, |state| state.give_beacon(&fact.beacon));
            }
            Fact::DrawRevealed(fact) => {
                self.change_draw(fact.draw, last, |state| state.reveal(fact));
            }
            Fact::DrawWon(fact) => self
                .change_draw(fact.draw(), last, |state| state.win(fact.appointment, &fact.claim)),
            Fact::EntryEnded(fact) => {
                self.change_draw(fact.draw, last, |state| state.end(fact));
            }
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
            Fact::WaitDrawn(fact) => {
                self.change(fact.session, last, |state| state.list_mut().draw(fact));
            }
            Fact::DecidedUnder(_)
            | Fact::LeftLate(_)
            | Fact::Billed(_)
            | Fact::Ordered(_)
            | Fact::PatientNamed(_)
            | Fact::Phoned(_)
            | Fact::Cooled(_)
            | Fact::Bound(_)
            | Fact::Displaced(_)
            | Fact::PlaceAdded(_)
            | Fact::Offered(_)
            | Fact::WaitJoined(_)
            | Fact::PlaceOffered(_)
            | Fact::WaitLeft(_)
            | Fact::Held(_)
            | Fact::Booked(_)
            | Fact::Ended(_)
            | Fact::Freed(_)
            | Fact::Progressed(_)
            | Fact::Settled(_)
            | Fact::Declined(_)
            | Fact::Forgotten(_)
            | Fact::RulesApplied(_)
            | Fact::Struck(_)
            | Fact::Barred(_)
            | Fact::Probed(_)
            | Fact::Recorded(_)
            | Fact::Restricted(_)
            | Fact::Amended(_)
            | Fact::PatientsMerged(_)
            | Fact::Rescheduled(_) => {}
        }
    }

    /// Changes a session, and looks when it is due next.
    fn change(&mut self, id: SessionId, last: Sequence, change: impl FnOnce(&mut SessionState)) {
        let state = self
            .sessions
            .get_mut(&id)
            .unwrap_or_else(|| panic!("an impossible fact: there is no session {}", id.0));
        let before = (state.next_due(), state.next_draw_due());
        state.places.note(last);
        change(state);
        state.wake();
        let after = (state.next_due(), state.next_draw_due());
        self.due.move_to(id, before.0, after.0);
        self.draws_due.move_to(id, before.1, after.1);
    }

    /// Changes a draw of a session.
    fn change_draw(&mut self, draw: DrawId, last: Sequence, change: impl FnOnce(&mut DrawState)) {
        self.change(draw.session, last, |state| {
            let found = state.draws.iter_mut().find(|state| state.id() == draw);
            change(found.unwrap_or_else(|| panic!("an impossible fact: there is no draw {draw}")));
            state.note_drawn();
        });
    }

    /// When a draw is due next.
    pub fn next_draw_deadline(&self) -> Option<Timestamp> {
        self.draws_due.first().map(|(due, _)| due)
    }

    /// The draws that are due.
    pub fn due_draws(&self, now: Timestamp) -> impl Iterator<Item = (&SessionState, &DrawState)> {
        let due = self.draws_due.until(now).filter_map(|id| self.session(id));
        let is_due = move |state: &&DrawState| state.next_due().is_some_and(|due| due <= now);
        due.flat_map(move |session| {
            session.draws().iter().filter(is_due).map(move |state| (session, state))
        })
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
        let (places, draws) = (Arc::new(Places::new(&spec)), draws_of(&spec));
        places.note(last);
        self.restore(SessionState {
            spec: Box::new(spec),
            places,
            draws,
            altered: None,
            aside: None,
            queue: None,
        });
    }

    /// Puts a session in as a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if there is one with this id, or if its counts do not fit.
    pub fn restore(&mut self, state: SessionState) {
        let id = state.spec.id;
        state.note_drawn();
        self.due.move_to(id, None, state.next_due());
        self.draws_due.move_to(id, None, state.next_draw_due());
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
        let is_altered = self.sessions.get_mut(&claim.session).is_some_and(|state| {
            let altered = state.altered.get_or_insert_default();
            let is_added = run(claim).all(|slot| alter(altered, slot).is_some());
            state.tidy();
            is_added
        });
        assert!(is_altered, "an impossible fact: {claim:?} is no added place");
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
        let draws = draws_of(&spec);
        let (spec, places) = (Box::new(spec), Arc::new(places));
        Some(Self { spec, places, draws, altered: None, aside: None, queue: None })
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
        let pools = (0..).map(PoolIndex).zip(&self.spec.pools);
        let drawn = pools.filter(|(index, _)| !self.is_undrawn(*index));
        let reclaims = drawn.filter_map(|(_, pool)| pool.terms.reclaim);
        let aside = self.aside.as_ref().and_then(|aside| aside.next_due(&self.spec));
        reclaims.map(|reclaim| reclaim.at).chain(aside).min()
    }

    /// The positions of its slots.
    pub fn slots(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        (0..self.places.slots()).map(SlotIndex)
    }

    /// Gives every pool new quotas.
    fn share_out(&mut self, quotas: &[Vec<u16>]) {
        assert!(quotas.len() == self.spec.pools.len(), "an impossible fact: other pools");
        assert!(keeps_sums(&self.spec, quotas), "an impossible fact: other sums of quotas");
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
        let giver = self.spec.pools.get(usize::from(fact.from.0));
        let is_due = giver.and_then(|pool| pool.terms.reclaim).is_some_and(|it| it.to == fact.to);
        assert!(is_due, "an impossible fact: {fact:?} is of no pool that gives them back");
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
        let (aside, draws, queue) = (self.aside.clone(), self.draws.clone(), self.queue.clone());
        let copy = Self { draws, aside, queue, ..copy };
        copy.note_drawn();
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
        (&self.spec, &self.altered, &self.aside, &self.draws)
            == (&other.spec, &other.altered, &other.aside, &other.draws)
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
