//! Draws in time: what is due is ranked without a lock, then done entry by entry.
//!
//! ```text
//! tick: due? -> plan (ranks 100,000 entries) -> reveal -> winners at once, losers a few in each tick
//! ```
//!
//! **Architecture invariant:** a plan is a thought and no state. A node that is started again makes it
//! again from the entries that still wait.

use std::collections::BTreeMap;

use super::Service;
use crate::draw::NodeKey;
use crate::engine::{DrawInput, DrawPlan};
use crate::journal::Lane;
use crate::model::{DrawId, Timestamp};

/// The draws that are being made. Only the ticker looks at them.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    plans: BTreeMap<DrawId, DrawPlan>,
    /// Draws that are bound to another key, said once each.
    unbound: Vec<DrawId>,
}

impl Service {
    /// Gives the node its key for draws. Without one no session with a draw can be opened.
    pub fn set_draw_key(&self, key: NodeKey) {
        // A node has one key; a second would change nothing.
        let _set = self.draw_key.set(key);
    }

    /// The draws that wait and are bound to another key than the node's.
    pub fn unbound_draws(&self) -> Vec<DrawId> {
        self.inventory.unbound_draws(self.draw_key.get())
    }

    /// Does what is due in draws, for about a tick's time, and says how many entries it decided.
    pub(super) fn step_draws(&self, now: Timestamp) -> u64 {
        if self.inventory.next_draw_deadline().is_none_or(|due| now < due) {
            return 0;
        }
        let mut drawing = self.drawing.lock();
        self.plan(&mut drawing, now);
        let mut steps = 0;
        for plan in drawing.plans.values_mut() {
            if !plan.is_revealed() && !self.reveal(plan, now) {
                continue;
            }
            plan.note_revealed();
            steps += self.decide_entries(plan, now);
        }
        drawing.plans.retain(|_, plan| plan.is_revealed() && plan.next_step().is_some());
        steps
    }

    /// Makes the plans that are missing.
    fn plan(&self, drawing: &mut Drawing, now: Timestamp) {
        for input in self.inventory.due_draws(now) {
            let draw = input.draw();
            if drawing.plans.contains_key(&draw) || drawing.unbound.contains(&draw) {
                continue;
            }
            if let Some(plan) = self.plan_of(input) {
                drawing.plans.insert(draw, plan);
                continue;
            }
            drawing.unbound.push(draw);
            #[cfg(feature = "node")]
            tracing::error!(
                %draw,
                "the draw cannot be made: the node's draw key is not the one that its commitment \
                 was published for; put that key back and start the node again"
            );
        }
    }

    fn plan_of(&self, input: DrawInput) -> Option<DrawPlan> {
        DrawPlan::of(input, self.draw_key.get()?).ok()
    }

    fn reveal(&self, plan: &DrawPlan, now: Timestamp) -> bool {
        let Some(permit) = self.journal.reserve(Lane::Upkeep) else { return false };
        let append = self.append(permit, now);
        self.inventory.reveal_draw(plan, now, append).is_some()
    }

    /// Decides entries in the order of the draw: all until the last winner, then a few in each tick.
    fn decide_entries(&self, plan: &mut DrawPlan, now: Timestamp) -> u64 {
        let mut steps = 0;
        while plan.next_step().is_some() {
            let most = if plan.has_winners() { WINNER_STEPS } else { LOSER_STEPS };
            if most <= steps {
                break;
            }
            let Some(permit) = self.journal.reserve(Lane::Upkeep) else { break };
            let append = self.append(permit, now);
            let _done = self.inventory.step_draw(plan, now, append);
            plan.note_done();
            steps += 1;
        }
        steps
    }
}

/// Entries that one tick decides while there are winners among the next: a few milliseconds.
const WINNER_STEPS: u64 = 1_000;

/// Entries that one tick decides when nobody waits for the answer: a tick is every 5 ms, so that
/// 100,000 of them take a few seconds, and a core is left to everybody else.
const LOSER_STEPS: u64 = 200;
