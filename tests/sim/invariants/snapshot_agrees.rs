//! A snapshot and the records after it make the same state as all records.

use haoyuan::inventory::Inventory;
use haoyuan::service::digest::of_inventory;

use super::{History, Invariant, Sight, ensure};

pub(super) struct SnapshotAgrees {
    replayed: Inventory,
    retention_millis: u64,
}

impl SnapshotAgrees {
    pub(super) fn new(retention_millis: u64) -> Self {
        Self { replayed: Inventory::new(0xca5e, retention_millis), retention_millis }
    }
}

impl Invariant for SnapshotAgrees {
    fn name(&self) -> &'static str {
        "snapshot_agrees"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                self.replayed.replay(record.sequence, record.time, &record.facts);
                Ok(())
            }
            Sight::Copied(snapshot) => {
                ensure(snapshot.highest <= history.last(), || {
                    format!("it knows {}, the disk {}", snapshot.highest.0, history.last().0)
                })?;
                let mut inventory = Inventory::new(1, self.retention_millis);
                snapshot.restore(&mut inventory)?;
                for record in &history.records {
                    if snapshot.lowest < record.sequence {
                        inventory.replay(record.sequence, record.time, &record.facts);
                    }
                }
                let same = of_inventory(&inventory) == of_inventory(&self.replayed);
                ensure(same, || format!("from {} to {}", snapshot.lowest.0, snapshot.highest.0))
            }
            _ => Ok(()),
        }
    }
}
