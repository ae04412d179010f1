//! After a failed commit nothing is carried out or acknowledged any more, until the next start.

use haoyuan::model::Sequence;

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct FailedSyncIsFinal {
    /// What the disk had when the commit failed.
    failed_at: Option<Sequence>,
}

impl Invariant for FailedSyncIsFinal {
    fn name(&self) -> &'static str {
        "failed_sync_is_final"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        match (sight, self.failed_at) {
            (Sight::Failed { durable }, _) => self.failed_at = Some(*durable),
            (Sight::Stopped, _) => self.failed_at = None,
            (Sight::Told { ask, reply }, Some(durable)) => {
                return ensure(reply.after <= durable, || {
                    format!("{ask} was told {reply}, but the disk has {}", durable.0)
                });
            }
            (Sight::Decided { ask, reply, records, .. }, Some(_)) if reply.receipt().is_some() => {
                return ensure(*records == 0, || format!("{ask} came to {reply}"));
            }
            (Sight::Durable(record), Some(durable)) => {
                return ensure(record.sequence <= durable, || {
                    format!("record {} after the failure", record.sequence.0)
                });
            }
            _ => {}
        }
        Ok(())
    }
}
