//! Commands about places that are given already: moving an appointment.

use super::Inventory;
use super::group::Group;
use crate::engine::{Context, decide_reschedule, leaves};
use crate::model::{Answer, Facts, Receipt, Reschedule, Sequence};

impl Inventory {
    /// Moves an appointment to other places, or refuses.
    pub fn reschedule(
        &self,
        context: &Context<'_>,
        ask: &Reschedule,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let mut group = Group::of_homes(&self.homes, &[ask.request, ask.appointment.request()]);
        // As in a change: what the home says stays true while the other locks are taken.
        if let Some(appointment) = group.view(|view| view.appointment(ask.appointment)) {
            group.lock_ledger(&self.ledgers, appointment.patient);
            // Too many sessions are refused without a look at any.
            if let Some(sessions) = ask.sessions(leaves(&appointment)) {
                group.lock_sessions(&self.sessions, sessions.into_iter());
            }
        }
        let decided = group.view(|view| decide_reschedule(view, context, ask));
        self.conclude(&mut group, context.now, decided, append)
    }
}
