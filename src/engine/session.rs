//! A session shard: sessions, and how many places of each slot and pool are taken.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::{Claim, PoolIndex, Session, SessionId, SlotIndex};

/// The sessions of this shard.
#[derive(Debug)]
pub struct SessionShard {
    sessions: HashMap<SessionId, SessionState, FixedState>,
}

/// A session and its taken places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    spec: Session,
    /// Slot by slot, pool by pool. Invariant: never above the quota of the same cell.
    taken: Vec<u16>,
}

impl SessionShard {
    /// An empty shard. `seed` makes its table hard to attack; it changes no answer.
    pub fn new(seed: u64) -> Self {
        Self { sessions: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    /// Opens a session.
    ///
    /// # Panics
    ///
    /// Panics if there is one with this id.
    pub fn open(&mut self, spec: Session) {
        let cells = spec.slot_count().saturating_mul(spec.pools.len());
        self.restore(SessionState { spec, taken: vec![0; cells] });
    }

    /// Puts a session in as a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if there is one with this id, or if its counts do not fit.
    pub fn restore(&mut self, state: SessionState) {
        let id = state.spec.id;
        let earlier = self.sessions.insert(id, state);
        assert!(earlier.is_none(), "an impossible fact: session {} is opened twice", id.0);
    }

    /// Takes the places of a claim.
    ///
    /// # Panics
    ///
    /// Panics if one is not there: a place would be sold twice.
    pub fn take(&mut self, claim: &Claim) {
        let state = self.state_mut(claim);
        for slot in run(claim) {
            let quota = state.spec.quota(slot, claim.pool);
            let taken = state.cell_mut(slot, claim.pool);
            assert!(*taken < quota, "an impossible fact: {claim:?} oversells slot {}", slot.0);
            *taken = taken.saturating_add(1);
        }
    }

    /// Gives the places of a claim back to their pool.
    ///
    /// # Panics
    ///
    /// Panics if one was not taken.
    pub fn give_back(&mut self, claim: &Claim) {
        let state = self.state_mut(claim);
        for slot in run(claim) {
            let taken = state.cell_mut(slot, claim.pool);
            *taken = taken.checked_sub(1).unwrap_or_else(|| {
                panic!("an impossible fact: {claim:?} frees slot {} twice", slot.0)
            });
        }
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

    fn state_mut(&mut self, claim: &Claim) -> &mut SessionState {
        self.sessions
            .get_mut(&claim.session)
            .unwrap_or_else(|| panic!("an impossible fact: {claim:?} is in no session"))
    }
}

impl SessionState {
    /// A session with counts as a snapshot kept them, if they fit its quotas.
    pub fn from_parts(spec: Session, taken: Vec<u16>) -> Option<Self> {
        let state = Self { spec, taken };
        let cells = state.spec.slot_count().checked_mul(state.spec.pools.len())?;
        let sound = state.taken.len() == cells
            && state.cells().all(|(slot, pool, taken)| taken <= state.spec.quota(slot, pool));
        sound.then_some(state)
    }

    /// The session as it was opened.
    pub const fn spec(&self) -> &Session {
        &self.spec
    }

    /// Taken places, slot by slot, pool by pool.
    pub fn taken(&self) -> &[u16] {
        &self.taken
    }

    /// Free places of a pool in a slot.
    pub fn free(&self, slot: SlotIndex, pool: PoolIndex) -> u16 {
        let taken = self.cell(slot, pool).and_then(|cell| self.taken.get(cell));
        self.spec.quota(slot, pool).saturating_sub(taken.copied().unwrap_or(u16::MAX))
    }

    /// Every slot and pool with its taken places.
    pub fn cells(&self) -> impl Iterator<Item = (SlotIndex, PoolIndex, u16)> + '_ {
        let pools = self.spec.pools.len().max(1);
        self.taken.iter().enumerate().map(move |(cell, taken)| {
            let slot = cell.checked_div(pools).unwrap_or(0);
            let pool = cell.checked_rem(pools).unwrap_or(0);
            let slot = SlotIndex(u16::try_from(slot).expect("a session has at most 288 slots"));
            (slot, PoolIndex(u8::try_from(pool).expect("a session has at most 8 pools")), *taken)
        })
    }

    fn cell(&self, slot: SlotIndex, pool: PoolIndex) -> Option<usize> {
        let pools = self.spec.pools.len();
        let pool = usize::from(pool.0);
        (pool < pools).then(|| usize::from(slot.0).saturating_mul(pools).saturating_add(pool))
    }

    fn cell_mut(&mut self, slot: SlotIndex, pool: PoolIndex) -> &mut u16 {
        let cell = self.cell(slot, pool);
        cell.and_then(|cell| self.taken.get_mut(cell))
            .unwrap_or_else(|| panic!("an impossible fact: there is no slot {} there", slot.0))
    }
}

/// The slots of a claim.
pub(super) fn run(claim: &Claim) -> impl Iterator<Item = SlotIndex> + use<> {
    let first = claim.slot.0;
    (first..first.saturating_add(u16::from(claim.count))).map(SlotIndex)
}
