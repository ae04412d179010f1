//! Draws, step by step: what is due, the reveal, and each entry under locks of its own.
//!
//! ```text
//! due_draws   lock a session -> share its entries -> unlock         then rank, without a lock
//! reveal      lock a session -> the same entries still? -> one fact
//! step        lock home < ledger < session -> one entry, won or lost
//! ```

use super::Inventory;
use super::group::Group;
use super::shards::{SHARD_COUNT, route};
use crate::draw::NodeKey;
use crate::engine::{
    Context, DrawInput, DrawPlan, View, decide_beacon, decide_draw_step, decide_reveal, read_draw,
};
use crate::model::{
    Actor, Answer, AppointmentId, DrawId, Facts, Outcome, Reading, Receipt, RevealDraw, Sequence,
    Timestamp,
};

use super::routing::session_route;

impl Inventory {
    /// What the draws that are due are made from.
    pub fn due_draws(&self, now: Timestamp) -> Vec<DrawInput> {
        let mut inputs = Vec::new();
        for index in self.draws_due.due(now) {
            let mut group = Group::of_session(&self.sessions, index);
            let due = group.session_shard(index).due_draws(now);
            inputs.extend(due.map(|(session, state)| DrawInput::of(session, state)));
        }
        inputs
    }

    /// The draws that are not made yet and are bound to another key.
    pub fn unbound_draws(&self, key: Option<&NodeKey>) -> Vec<DrawId> {
        let mut unbound = Vec::new();
        for index in 0..SHARD_COUNT {
            let mut group = Group::of_session(&self.sessions, index);
            for (_, state) in group.session_shard(index).due_draws(Timestamp::MAX) {
                let bound = key.map(|key| key.commitment(state.id()));
                if state.revealed().is_none() && bound != state.terms().commitment {
                    unbound.push(state.id());
                }
            }
        }
        unbound
    }

    /// Reveals the seed of a draw. `None` where another plan has to be made.
    pub fn reveal_draw(
        &self,
        plan: &DrawPlan,
        now: Timestamp,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        self.unasked(now, |context| {
            let draw = plan.draw();
            let mut group = Group::of_session(&self.sessions, session_route(draw.session));
            let facts = group.view(|view| decide_reveal(view.session(draw.session)?, now, plan))?;
            Some(self.carry_out(&mut group, context, facts, append))
        })
    }

    /// Does the next step of a draw that is revealed. `None`: it was done before.
    pub fn step_draw(
        &self,
        plan: &DrawPlan,
        now: Timestamp,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        self.unasked(now, |context| {
            let (draw, step) = (plan.draw(), plan.next_step()?);
            let mut group = Group::of_home(&self.homes, route(step.appointment.0));
            let patient = group.view(|view| view.appointment(step.appointment))?.patient;
            // A winner's ledger stays as it is, unless a block has taken what was won.
            group.lock_ledger(&self.ledgers, patient);
            group.lock_sessions(&self.sessions, std::iter::once(draw.session));
            let facts = group.view(|view| decide_draw_step(view, context, draw, step))?;
            Some(self.carry_out(&mut group, context, facts, append))
        })
    }

    /// Takes the value of a draw's beacon, or refuses.
    pub fn give_beacon(
        &self,
        context: &Context<'_>,
        reveal: &RevealDraw,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let decide = |view: &View<'_>, context: &Context<'_>| decide_beacon(view, context, reveal);
        self.alter(context, (reveal.request, reveal.draw.session), decide, append)
    }

    /// Where a draw stands, with the receipt of an entrant.
    pub fn read_draw(
        &self,
        actor: &Actor,
        draw: DrawId,
        entrant: Option<AppointmentId>,
    ) -> Answer<Reading> {
        let shard = self.sessions.lock(session_route(draw.session));
        let after = shard.last;
        let refused = |outcome: Outcome| Answer { after, result: Err(outcome.into()) };
        let Some(session) = shard.state.session(draw.session) else {
            return refused(Outcome::SessionNotFound);
        };
        if !actor.may_touch(session.spec().organization) {
            return Answer::refused(Outcome::OrganizationNotPermitted);
        }
        match read_draw(session, draw, entrant) {
            Some(reading) => Answer { after, result: Ok(Reading::Draw(Box::new(reading))) },
            None => refused(Outcome::DrawNotFound),
        }
    }
}
