//! A start finds every record that was ever durable, byte for byte.

use super::{History, Invariant, Sight, ensure};

pub(super) struct DurableIsKept;

impl Invariant for DurableIsKept {
    fn name(&self) -> &'static str {
        "durable_is_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Started { service, kept } = sight else { return Ok(()) };
        let last = history.last();
        ensure(service.durable() == last, || {
            format!("the node starts at {}, the disk had {}", service.durable().0, last.0)
        })?;
        let first = kept.first().map_or(last.0, |record| record.sequence.0 - 1);
        let first = usize::try_from(first).expect("few records");
        let expected = history.records.iter().skip(first);
        let is_same = expected.clone().count() == kept.len()
            && expected.zip(*kept).all(|(was, is)| was.bytes == is.bytes && was.time == is.time);
        ensure(is_same, || format!("the log from {first} on is not what was synced"))
    }
}
