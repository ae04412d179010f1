//! Who was told a success, and asks the same again under the same id, is told of the same places, as
//! long as requests are remembered.

use std::collections::BTreeMap;

use haoyuan::model::{AppointmentStatus, Outcome, Receipt, RequestId};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Said;

#[derive(Default)]
pub(super) struct RetrySameAnswer {
    told: BTreeMap<(RequestId, u64), Receipt>,
    declined: BTreeMap<(RequestId, u64), Outcome>,
}

impl Invariant for RetrySameAnswer {
    fn name(&self) -> &'static str {
        "retry_same_answer"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Told { ask, reply } = sight else { return Ok(()) };
        let Some(identity) = ask.identity() else { return Ok(()) };
        if let Ok(Said::Declined(outcome)) = reply.result {
            let first = *self.declined.entry(identity).or_insert(outcome);
            return ensure(first == outcome, || format!("{ask}: {first:?}, then {reply}"));
        }
        match (self.told.get(&identity), reply.receipt()) {
            (None, None) => Ok(()),
            (None, Some(receipt)) => {
                let _none = self.told.insert(identity, receipt.clone());
                Ok(())
            }
            (Some(first), Some(again)) => {
                let once = first.retried || again.retried;
                // Told in another order than it was decided, the first may be the retry.
                self.told.get_mut(&identity).into_iter().for_each(|told| {
                    told.retried &= again.retried;
                });
                let first = &self.told[&identity];
                ensure(once, || format!("{ask} was done twice"))?;
                ensure(is_same(first, again), || format!("{ask}: {first:?}, then {reply}"))
            }
            (Some(_), None) => {
                let for_now = [Outcome::IdTooOld, Outcome::Overloaded, Outcome::NotReady];
                ensure(for_now.contains(&reply.outcome()), || {
                    format!("{ask} was done, and then told {reply}")
                })
            }
        }
    }
}

fn is_same(first: &Receipt, again: &Receipt) -> bool {
    let pending = Some(AppointmentStatus::Pending);
    let both_pending = first.status == pending && again.status == pending;
    first.claims == again.claims && (!both_pending || first.until == again.until)
}
