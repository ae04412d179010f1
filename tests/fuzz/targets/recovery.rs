//! Recovery: records to a state, as a start does it, against the account of the audit.
//!
//! ```text
//! bytes -> records -> account: possible?  <== must agree ==>  replay: an impossible fact?
//!                        digest           <== must agree ==>  digest
//!                                         <== must agree ==>  snapshot after any record, then replay
//! ```
//!
//! The first byte says whether the rest is encoded facts, or is read as facts that may fit.

#![no_main]

use haoyuan::codec::{decode_facts, encode_facts};
use haoyuan::fuzzing;
use haoyuan::inventory::Inventory;
use haoyuan::model::{Fact, Facts, Sequence, Timestamp};
use haoyuan::service::digest::of_inventory;
use haoyuan::service::probe::{account, read_image, write_image};
use haoyuan_fuzz::{Bytes, FactSource, MORNING, possible};

type Records = Vec<(Sequence, Timestamp, Facts)>;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (mode, middle) = (bytes.byte(), bytes.byte());
    let records = if mode % 8 == 0 { encoded(&mut bytes) } else { made(&mut bytes) };
    if !records.is_empty() {
        check(&records, usize::from(middle) % (records.len() + 1));
    }
});

/// Records as they stand in a journal, each with its length in front. What is no record is refused
/// by a start, so it ends here.
fn encoded(bytes: &mut Bytes<'_>) -> Records {
    let mut records = Records::new();
    while !bytes.is_empty() && records.len() < 64 {
        let length = usize::from(bytes.short());
        let Ok(facts) = decode_facts(bytes.take(length)) else { break };
        records.push((Sequence(records.len() as u64 + 1), MORNING, facts));
    }
    records
}

fn made(bytes: &mut Bytes<'_>) -> Records {
    let mut source = FactSource::default();
    let mut records = Records::new();
    while !bytes.is_empty() && records.len() < 64 {
        let count = if bytes.once_in(8) { 2 } else { 1 };
        let time = FactSource::time(bytes);
        let facts: Facts = (0..count).map(|_| source.fact(bytes)).collect();
        let mut written = Vec::new();
        encode_facts(&facts, &mut written);
        assert_eq!(decode_facts(&written).as_ref(), Ok(&facts));
        records.push((Sequence(records.len() as u64 + 1), time, facts));
    }
    records
}

fn replay(mut inventory: Inventory, records: &Records) -> Option<Inventory> {
    possible(|| {
        for (sequence, time, facts) in records {
            inventory.replay(*sequence, *time, facts);
        }
        inventory.rebuild();
        inventory
    })
}

fn check(records: &Records, middle: usize) {
    let said = account(records);
    let replayed = replay(Inventory::new(1, u64::MAX / 4), records);
    let Some(inventory) = replayed else {
        // The audit does not know how long requests are remembered, so it does not judge their ids.
        let judged = !said.is_clean() || has_id_twice(records);
        assert!(judged, "recovery meets an impossible fact that the audit does not see");
        // What an operator does next is to look at it.
        fuzzing::lines(records);
        return;
    };
    // What came of rules is in the facts: a recovery does not work it out again, an audit does.
    let by_rules = |fault: &String| fault.contains("by the rules: ");
    let goes_on = said.oversold == 0 && said.faults.iter().all(by_rules);
    assert!(goes_on, "recovery goes on silently, but {:?}", said.faults);
    assert_eq!(of_inventory(&inventory), said.digest, "another state than the facts say");

    let half = records[..middle].to_vec();
    let base = Sequence(middle as u64);
    let at_base = replay(Inventory::new(2, u64::MAX / 4), &half).expect("it was possible");
    let mut restored = Inventory::new(3, u64::MAX / 4);
    for (kind, index) in Inventory::parts() {
        let image = write_image(&at_base, kind, index);
        read_image(&mut restored, kind, index, base, &image).expect("it was just written");
    }
    let restored = replay(restored, records).expect("it was possible");
    assert_eq!(of_inventory(&restored), said.digest, "a snapshot leads to another state");
    assert_eq!(restored.counts(), inventory.counts());
    assert_eq!(restored.free_places(), inventory.free_places());
    // Deadlines of what was a hold once stay until they come up, but not in a snapshot.
    let earliest =
        |inventory: &Inventory| inventory.next_deadline().map_or(u64::MAX, |at| at.as_millis());
    assert!(earliest(&inventory) <= earliest(&restored));
}

/// Whether two facts name the same request.
fn has_id_twice(records: &Records) -> bool {
    let of = |fact: &Fact| match fact {
        Fact::Held(held) => Some(held.appointment.request()),
        _ => fact.request().map(|(request, _)| request),
    };
    let facts = records.iter().flat_map(|(_, _, facts)| facts);
    let mut ids: Vec<_> = facts.filter_map(of).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ids.len() < count
}
