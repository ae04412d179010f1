//! The waitlist of a session: its state, what facts do to it, and when it is looked at again.
//!
//! **Architecture invariant:** who is skipped and until when a session is left alone is derived: no
//! fact says it, and no answer depends on it.

use super::{SessionShard, SessionState};
use crate::engine::offers::Candidate;
use crate::engine::waitlist::Waitlist;
use crate::model::{Claim, Fact, Returning, Sequence, SessionId, Timestamp, WaitState};

impl SessionShard {
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
            } else if let Fact::PlaceOffered(offered) = fact {
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
}

impl SessionState {
    /// The same with a waitlist as a snapshot kept it.
    #[must_use]
    pub fn with_waitlist(mut self, state: WaitState) -> Self {
        self.aside.get_or_insert_default().waitlist = Some(Waitlist::of(state));
        self
    }

    /// Who waits for a place, where anybody ever did.
    pub fn waitlist(&self) -> Option<&WaitState> {
        self.list().map(|list| &list.state)
    }

    pub(in crate::engine) fn list(&self) -> Option<&Waitlist> {
        self.aside.as_ref()?.waitlist.as_ref()
    }

    pub(super) fn list_mut(&mut self) -> &mut Waitlist {
        self.aside.get_or_insert_default().waitlist.get_or_insert_default()
    }

    /// Something changed: who waits is looked at again.
    pub(super) fn wake(&mut self) {
        if let Some(list) = self.aside.as_mut().and_then(|aside| aside.waitlist.as_mut()) {
            list.not_before = Timestamp::default();
        }
    }

    /// Takes a place that was on its way back: it stays taken.
    fn reserve(&mut self, claim: &Claim, until: Timestamp) {
        let place = Returning { until, slot: claim.slot, pool: claim.pool, count: 1 };
        let was_known = self.aside.get_or_insert_default().returns.remove(&place).is_some();
        assert!(was_known, "an impossible fact: {claim:?} is offered twice");
    }
}
