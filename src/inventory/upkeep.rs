//! What time does to homes and sessions: holds expire, places change pools, come back or are offered,
//! and what ended long ago is forgotten. Each is a record of its own.

use super::Inventory;
use super::deadlines::Deadlines;
use super::group::Group;
use crate::engine::{Context, Step, decide_expiry, next_step};
use crate::model::{Actor, Fact, Facts, Role, Sequence, Timestamp};

impl Inventory {
    /// The homes in which a deadline has passed.
    pub fn due_homes(&self, now: Timestamp) -> impl Iterator<Item = usize> + '_ {
        self.due.due(now)
    }

    /// The earliest deadline of all.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let all = [&self.due, &self.sessions_due, &self.draws_due];
        all.into_iter().filter_map(Deadlines::earliest).min()
    }

    /// Ends one hold of a home whose deadline has passed, with a random number for its places. `None`:
    /// there is none (any more). The answer is the record and how late it was, in milliseconds.
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
        let book = self.rules.read();
        let mut group = Group::of_home(&self.homes, home);
        let Some(id) = group.home_mut(home).state.next_due(now) else {
            self.note_deadlines(&group);
            return None;
        };
        let hold = group.view(|view| view.appointment(id)).expect("what is due exists");
        let actor = Actor::unbounded(Role::Admin);
        let context = Context { chance, ..Context::new(now, &actor) };
        let context = self.by_the_book(&book.state, &context);
        self.lock_who(&mut group, &context, &hold);
        let sessions = super::waitlist::sessions_of(&group, &hold);
        group.lock_sessions(&self.sessions, sessions.into_iter());

        let facts = group.view(|view| decide_expiry(view, &context, id))?;
        let late = now.as_millis().saturating_sub(hold.until.as_millis());
        Some((self.carry_out(&mut group, &context, facts, append), late))
    }

    /// When the next draw is due.
    pub fn next_draw_deadline(&self) -> Option<Timestamp> {
        self.draws_due.earliest()
    }

    /// The shards of sessions in which something is due.
    pub fn due_sessions(&self, now: Timestamp) -> impl Iterator<Item = usize> + '_ {
        self.sessions_due.due(now)
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
        let (actor, book) = (Actor::unbounded(Role::Admin), self.rules.read());
        let mut group = Group::of_session(&self.sessions, shard);
        let Some(session) = group.session_shard(shard).next_due(now) else {
            self.note_deadlines(&group);
            return None;
        };
        let (id, step) = (session.spec().id, next_step(session, now, chance));
        match step {
            Step::Happen(facts) => {
                let context = self.by_the_book(&book.state, &Context::new(now, &actor));
                Some(self.carry_out(&mut group, &context, facts, append))
            }
            Step::Wait(until) => {
                let until = until.max(now.plus_millis(1));
                group.session_mut(id).state.postpone(id, until);
                self.note_deadlines(&group);
                Some(group.last())
            }
            Step::Offer(candidate) => {
                drop((group, book));
                Some(self.offer_place(candidate, now, append))
            }
            Step::Clear(candidate) => {
                drop((group, book));
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
        self.unasked(now, |context| {
            let mut group = Group::of_home(&self.homes, home);
            let forgotten = group.home_mut(home).state.next_forgettable(now)?;
            let facts: Facts = std::iter::once(Fact::Forgotten(Box::new(forgotten))).collect();
            Some(self.carry_out(&mut group, context, facts, append))
        })
    }

    /// Tells the ticker the next deadlines of the shards of a group.
    pub(super) fn note_deadlines(&self, group: &Group<'_>) {
        for (index, home) in group.homes() {
            self.due.note(index, home.next_deadline());
        }
        for (index, shard) in group.sessions() {
            self.sessions_due.note(index, shard.next_deadline());
            self.draws_due.note(index, shard.next_draw_deadline());
        }
    }
}
