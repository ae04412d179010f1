//! Who reads the journal while it runs gets the durable records, in order, without a gap, and no
//! other.

use super::{History, Invariant, Sight, ensure};

pub(super) struct FeedAgrees;

/// Bytes of a page: about a block.
const PAGE_BYTES: usize = 4_000;

impl Invariant for FeedAgrees {
    fn name(&self) -> &'static str {
        "feed_agrees"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Calm { service } = sight else { return Ok(()) };
        let journal = service.journal();
        let mut next = journal.oldest();
        while next <= history.last() {
            let page = journal.read(next, PAGE_BYTES).map_err(|error| error.to_string())?;
            for (sequence, time, bytes) in page.records() {
                let index = usize::try_from(sequence.0 - 1).expect("few records");
                let is_same = sequence == next
                    && history.records.get(index).is_some_and(|record| {
                        record.time == time && record.bytes.as_slice() == bytes
                    });
                ensure(is_same, || format!("record {} is not the durable one", sequence.0))?;
                next = next.next();
            }
            ensure(!page.is_empty(), || format!("record {} is not there", next.0))?;
        }
        let beyond = journal.read(history.last().next(), PAGE_BYTES);
        ensure(beyond.is_ok_and(|page| page.records().next().is_none()), || {
            format!("there is a record after {}", history.last().0)
        })
    }
}
