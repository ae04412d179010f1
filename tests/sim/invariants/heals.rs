//! When the faults are over, every hold has ended, nothing waits, and another start comes to the same
//! state.

use haoyuan::inventory::Inventory;

use super::{History, Invariant, Sight, ensure};

pub(super) struct Heals;

impl Invariant for Heals {
    fn name(&self) -> &'static str {
        "heals"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Healed { service, digest } = sight else { return Ok(()) };
        ensure(service.is_serving(), || "it does not serve".to_owned())?;
        let inventory: &Inventory = service.inventory();
        let pending = inventory.counts().0;
        ensure(pending == 0, || format!("{pending} holds are pending"))?;
        let (durable, appended) = (service.durable(), service.journal().appended());
        ensure(durable == appended && durable == history.last(), || {
            format!("{} of {} are durable", durable.0, appended.0)
        })?;
        let stats = service.stats().journal;
        let waiting = stats.request_bytes + stats.upkeep_bytes;
        ensure(waiting == 0, || format!("{waiting} bytes of permits were never given back"))?;
        ensure(service.digest() == *digest, || "another start comes to another state".to_owned())
    }
}
