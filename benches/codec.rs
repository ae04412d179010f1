//! What a request, an answer, a record and a frame cost to write and to read: nanoseconds each, one
//! thread. `cargo bench --bench codec -- [NAME]`.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod clinic;

use std::time::Instant;

const TURNS: usize = 1_000_000;
const RUNS: usize = 5;

fn main() {
    for (name, mut step) in clinic::steps::codec() {
        if !clinic::is_wanted(name) {
            continue;
        }
        let mut runs: Vec<u128> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                (0..TURNS).for_each(&mut step);
                start.elapsed().as_nanos() * 10 / TURNS as u128
            })
            .collect();
        runs.sort_unstable();
        let median = runs[RUNS / 2];
        println!("{name:24} {:5}.{} ns", median / 10, median % 10);
    }
}
