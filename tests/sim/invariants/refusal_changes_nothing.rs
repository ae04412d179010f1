//! What is refused, read or done before makes no record; what is done makes one. One refusal is a
//! record: that money is owed back. Of many holds that find nothing one may be: that somebody probes.

use super::{History, Invariant, Sight, ensure};
use crate::ask::{Body, Said};
use haoyuan::model::{Command, Outcome};

pub(super) struct RefusalChangesNothing;

impl Invariant for RefusalChangesNothing {
    fn name(&self) -> &'static str {
        "refusal_changes_nothing"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Decided { ask, reply, records, .. } = sight else { return Ok(()) };
        let is_expected = match &reply.result {
            // Money that came too late is written down as owed back, once.
            Err(refusal) if refusal.outcome == Outcome::PaymentRefundable => *records <= 1,
            Err(refusal) if refusal.outcome.says_nothing_is_there() => {
                let is_hold = matches!(ask.body, Body::Command(Command::Hold(_)));
                *records <= u64::from(is_hold)
            }
            Err(_) | Ok(Said::Reading(_)) => *records == 0,
            Ok(Said::Receipt(receipt)) => *records == u64::from(!receipt.retried),
            Ok(Said::Declined(_)) => matches!(ask.body, Body::Import(_)) && *records <= 1,
        };
        ensure(is_expected, || format!("{ask}: {reply}, and {records} records"))
    }
}
