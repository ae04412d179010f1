//! How fast a start lets a journal's records happen again, without the disk: one thread, and two as a
//! node does it. `cargo bench --bench recovery -- [DIVISOR]`; `loadtest recovery` measures it with one.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod clinic;

use std::convert::Infallible;
use std::time::Instant;

use haoyuan::codec::{decode_facts, encode_facts};
use haoyuan::inventory::{Batch, Inventory};
use haoyuan::model::{Facts, PatientId, Sequence, SessionId};

use self::clinic::{BOOK, Clinic, NOW};

const SESSIONS: u64 = 12_500;
const BATCH: usize = 1_024;

fn main() {
    let divisor = clinic::divisor();
    let clinic = Clinic::new(SESSIONS, 40).keeping();
    let mut random = 1;
    for number in 0..1_000_000 / divisor {
        if let Some(hold) = clinic.hold(&mut random, None).filter(|_| number % 2 == 0) {
            clinic.act(&hold, 1, BOOK);
        }
    }
    let facts = clinic.kept();
    let records: Vec<Vec<u8>> = facts.iter().map(encoded).collect();
    let read = |record: &Vec<u8>| decode_facts(record).expect("it was written");
    let count = records.len();

    report("decode", count, || {
        for record in &records {
            std::hint::black_box(read(record));
        }
    });
    let mut one = Clinic::new(SESSIONS, 40).inventory;
    report("happen again, one thread", count, || {
        for (facts, number) in facts.iter().zip(SESSIONS + 1..) {
            one.replay(Sequence(number), NOW, facts);
        }
    });
    let mut two = Clinic::new(SESSIONS, 40).inventory;
    report("decode and happen, as a start", count, || start(&mut two, &records));
    let mut three = two;
    report("boards and deadlines", count, || three.rebuild());
    for inventory in [&one, &three] {
        assert_eq!(spec_and_live(inventory), spec_and_live(&clinic.inventory), "the same state");
    }
}

fn encoded(facts: &Facts) -> Vec<u8> {
    let mut buffer = Vec::new();
    encode_facts(facts, &mut buffer);
    buffer
}

fn start(inventory: &mut Inventory, records: &[Vec<u8>]) {
    let numbered: Vec<_> = records.iter().zip(SESSIONS + 1..).collect();
    let read = |pass: &mut dyn FnMut(Batch)| -> Result<(), Infallible> {
        for chunk in numbered.chunks(BATCH) {
            let record = |(record, number): &(&Vec<u8>, u64)| {
                (Sequence(*number), NOW, decode_facts(record).expect("it was written"))
            };
            pass(chunk.iter().map(record).collect());
        }
        Ok(())
    };
    let Ok(()) = inventory.replay_all(read);
}

fn report(name: &str, records: usize, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = records as f64 / seconds;
    println!("{name:32} {rate:>12.0} records/s");
}

fn spec_and_live(inventory: &Inventory) -> (Option<String>, Vec<usize>) {
    let spec = inventory.spec(SessionId(7)).map(|session| format!("{session:?}"));
    let live = |number: u128| inventory.live(PatientId(number << 64 | 0xabc)).0.len();
    (spec, (0..2_000).map(live).collect())
}
