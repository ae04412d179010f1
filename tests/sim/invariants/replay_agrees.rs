//! The state of the node is what its durable records make of an empty one.

use haoyuan::inventory::Inventory;
use haoyuan::service::digest::of_inventory;

use super::{History, Invariant, Sight, ensure};

pub(super) struct ReplayAgrees {
    replayed: Inventory,
}

impl ReplayAgrees {
    pub(super) fn new(retention_millis: u64) -> Self {
        Self { replayed: Inventory::new(0x5eed, retention_millis) }
    }
}

impl Invariant for ReplayAgrees {
    fn name(&self) -> &'static str {
        "replay_agrees"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                self.replayed.replay(record.sequence, record.time, &record.facts);
                Ok(())
            }
            Sight::Started { service, .. } | Sight::Calm { service } => {
                let digests = (service.digest(), of_inventory(&self.replayed));
                ensure(digests.0 == digests.1, || {
                    format!("the digest is {:02x?}, that of a replay {:02x?}", digests.0, digests.1)
                })
            }
            _ => Ok(()),
        }
    }
}
