//! What time does: holds expire, and what ended long ago is forgotten. Both are facts.

use super::Inventory;
use super::group::Group;
use super::shards::SHARD_COUNT;
use crate::engine::{Context, Step, decide_expiry, next_step};
use crate::model::{Actor, Fact, Facts, Role, Sequence, Timestamp};
use crate::sync::atomic::Ordering;

impl Inventory {
    /// The homes in which a deadline has passed.
    pub fn due_homes(&self, now: Timestamp) -> impl Iterator<Item = usize> + '_ {
        let due = move |home: &usize| self.due[*home].load(Ordering::Relaxed) <= now.as_millis();
        (0..SHARD_COUNT).filter(due)
    }

    /// The earliest deadline of all.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let all = self.due.iter().chain(&self.sessions_due).chain(&self.draws_due);
        let earliest = all.map(|due| due.load(Ordering::Relaxed)).min()?;
        (earliest != u64::MAX).then_some(Timestamp::from_millis(earliest))
    }

    /// Ends one hold of a home whose deadline has passed, with a random number for its places. `None`:
    /// there is none (any more).
    /// The answer is the record and how late it was, in milliseconds.
    ///
    /// # Panics
    ///
    /// Panics if a deadline is that of no appointment: the home shard is wrong.
    #[expect(clippy::unwrap_in_result, reason = "the home gave the id under the same lock")]
    pub fn expire_one(
        &self,
        home: usize,
        now: Timestamp,
        chance: u64,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<(Sequence, u64)> {
        let mut group = Group::of_home(&self.homes, home);
        let Some(id) = group.home_mut(home).state.next_due(now) else {
            self.note_deadlines(&group);
            return None;
        };
        let hold = group.view(|view| view.appointment(id)).expect("what is due exists");
        group.lock_ledger(&self.ledgers, hold.patient);
        let sessions = super::waitlist::sessions_of(&group, &hold);
        group.lock_sessions(&self.sessions, sessions.into_iter());

        let actor = Actor::unbounded(Role::Admin);
        let context = Context { chance, ..Context::new(now, &actor) };
        let facts = group.view(|view| decide_expiry(view, &context, id))?;
        let late = now.as_millis().saturating_sub(hold.until.as_millis());
        Some((self.carry_out(&mut group, now, &facts, append), late))
    }

    /// When the next draw is due.
    pub fn next_draw_deadline(&self) -> Option<Timestamp> {
        let earliest = self.draws_due.iter().map(|due| due.load(Ordering::Relaxed)).min()?;
        (earliest != u64::MAX).then_some(Timestamp::from_millis(earliest))
    }

    /// The shards of sessions in which something is due.
    pub fn due_sessions(&self, now: Timestamp) -> impl Iterator<Item = usize> + '_ {
        let is_due = move |index: &usize| {
            self.sessions_due[*index].load(Ordering::Relaxed) <= now.as_millis()
        };
        (0..SHARD_COUNT).filter(is_due)
    }

    /// Does one step of what is due in a shard of sessions, with a random number for it. `None`: there
    /// is nothing (any more). A step may come to nothing but to look again later.
    pub fn step_session(
        &self,
        shard: usize,
        now: Timestamp,
        chance: u64,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        let mut group = Group::of_session(&self.sessions, shard);
        let Some(session) = group.session_shard(shard).next_due(now) else {
            self.note_deadlines(&group);
            return None;
        };
        let (id, step) = (session.spec().id, next_step(session, now, chance));
        match step {
            Step::Happen(facts) => Some(self.carry_out(&mut group, now, &facts, append)),
            Step::Wait(until) => {
                let until = until.max(now.plus_millis(1));
                group.session_mut(id).state.postpone(id, until);
                self.note_deadlines(&group);
                Some(group.last())
            }
            Step::Offer(candidate) => {
                drop(group);
                Some(self.offer_place(candidate, now, append))
            }
            Step::Clear(candidate) => {
                drop(group);
                Some(self.clear(candidate, now, append))
            }
        }
    }

    /// Forgets appointments of a home that ended before the retention window. `None`: there are
    /// none.
    pub fn forget_some(
        &self,
        home: usize,
        now: Timestamp,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        let mut group = Group::of_home(&self.homes, home);
        let forgotten = group.home_mut(home).state.next_forgettable(now)?;
        let facts: Facts = std::iter::once(Fact::Forgotten(Box::new(forgotten))).collect();
        Some(self.carry_out(&mut group, now, &facts, append))
    }

    /// Tells the ticker the next deadline of each home and of each shard of sessions. Most often it is the one that it knows: then
    /// nothing is written, because a written line leaves the caches of the other cores.
    pub(super) fn note_deadlines(&self, group: &Group<'_>) {
        for (index, home) in group.homes() {
            let next = home.next_deadline().map_or(u64::MAX, Timestamp::as_millis);
            let due = &self.due[index];
            if due.load(Ordering::Relaxed) != next {
                due.store(next, Ordering::Relaxed);
            }
        }
        for (index, shard) in group.sessions() {
            let next = shard.next_deadline().map_or(u64::MAX, Timestamp::as_millis);
            let due = &self.sessions_due[index];
            if due.load(Ordering::Relaxed) != next {
                due.store(next, Ordering::Relaxed);
            }
            let next = shard.next_draw_deadline().map_or(u64::MAX, Timestamp::as_millis);
            let due = &self.draws_due[index];
            if due.load(Ordering::Relaxed) != next {
                due.store(next, Ordering::Relaxed);
            }
        }
    }
}
