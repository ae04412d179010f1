//! Who was told a success, and asks the same again under the same id, is told of the same places, as
//! long as requests are remembered.

use std::collections::BTreeMap;

use haoyuan::model::{AppointmentStatus, Outcome, Receipt, RequestId};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Said;

#[derive(Default)]
pub(super) struct RetrySameAnswer {
    /// The first receipt, and of which request it was.
    told: BTreeMap<(RequestId, u64), (Receipt, usize)>,
    declined: BTreeMap<(RequestId, u64), Outcome>,
}

impl Invariant for RetrySameAnswer {
    fn name(&self) -> &'static str {
        "retry_same_answer"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Told { ask, reply } = sight else { return Ok(()) };
        let Some(identity) = ask.identity() else { return Ok(()) };
        if let Ok(Said::Declined(outcome)) = reply.result {
            let first = *self.declined.entry(identity).or_insert(outcome);
            return ensure(first == outcome, || format!("{ask}: {first:?}, then {reply}"));
        }
        let Some(receipt) = reply.receipt() else {
            let for_now = [Outcome::IdTooOld, Outcome::Overloaded, Outcome::NotReady];
            // The same content through a channel that is not the client's is another request.
            let was_done = self.told.get(&identity).is_some_and(|(_, told)| *told == ask.number);
            let may = !was_done || for_now.contains(&reply.outcome());
            return ensure(may, || format!("{ask} was done, and then told {reply}"));
        };
        let Some((first, _)) = self.told.get_mut(&identity) else {
            let _none = self.told.insert(identity, (receipt.clone(), ask.number));
            return Ok(());
        };
        ensure(first.retried || receipt.retried, || format!("{ask} was done twice"))?;
        // The retry may have been told first.
        first.retried &= receipt.retried;
        // What was moved since has other places than the first answer said.
        let id = receipt.appointment.or_else(|| ask.appointment());
        let life = id.and_then(|id| history.lives.get(&id));
        let is_moved = life.is_some_and(|life| {
            [&first.claims, &receipt.claims].iter().all(|claims| life.places.contains(claims))
        });
        // A payment order moves the deadline.
        if life.is_some_and(|life| life.is_ordered) {
            first.until = receipt.until;
        }
        ensure(is_moved || is_same(first, receipt), || format!("{ask}: {first:?}, then {reply}"))
    }
}

fn is_same(first: &Receipt, again: &Receipt) -> bool {
    let pending = Some(AppointmentStatus::Pending);
    let both_pending = first.status == pending && again.status == pending;
    // Who was called may have left since; nobody else is told instead.
    let called = [first, again].map(|receipt| receipt.appointment);
    let same_called = called[0] == called[1] || called.contains(&None);
    same_called && first.claims == again.claims && (!both_pending || first.until == again.until)
}
