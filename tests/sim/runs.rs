//! The tests, and the runs that a person asks for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use haoyuan::ops::clock::monotonic_now;

use crate::args::Args;
use crate::trace::Counts;
use crate::world::{Failure, World};

/// What became of a seed.
struct Run {
    hash: String,
    counts: Counts,
    /// What did not hold, with the last lines of the trace.
    fault: Option<String>,
}

type Test = (&'static str, fn() -> Result<(), String>);

const TESTS: [Test; 3] = [
    ("the_same_seed_makes_the_same_trace", the_same_seed_makes_the_same_trace),
    ("every_seed_keeps_every_invariant", every_seed_keeps_every_invariant),
    ("arguments_are_read_as_cargo_gives_them", arguments_are_read_as_cargo_gives_them),
];

/// Seeds that CI runs.
const SEEDS: u64 = 240;

/// What must have happened in these seeds, at least as often as that: a simulation without faults
/// shows nothing.
const MUST_HAPPEN: &[(&str, &str, u64)] = &[
    ("fault", "crash", 200),
    ("fault", "crash during recovery", 10),
    ("fault", "commit failed", 100),
    ("fault", "orderly stop", 50),
    ("fault", "slow disk", 50),
    ("fault", "request lost", 500),
    ("fault", "request duplicated", 500),
    ("fault", "request delayed", 500),
    ("fault", "answer lost", 500),
    ("fault", "answer duplicated", 500),
    ("fault", "answer delayed", 500),
    ("fault", "wall clock jumps", 50),
    ("fault", "clock suspended", 20),
    ("fault", "start refused: the clock is behind", 5),
    ("fault", "a bit flips in the log", 20),
    ("damage", "a block is torn", 10),
    ("damage", "an unsynced block is garbled", 10),
    ("damage", "an unsynced block is missing", 10),
    ("damage", "the unsynced tail is lost", 50),
    ("start", "from a snapshot", 50),
    ("start", "with a damaged tail cut", 10),
    ("start", "unacknowledged records kept", 50),
    ("upkeep", "snapshots", 50),
    ("upkeep", "prunings", 10),
    ("upkeep", "expired", 500),
    ("upkeep", "records of forgetting", 50),
    ("fact", "SessionBlocked", 100),
    ("fact", "SessionUnblocked", 50),
    ("fact", "Displaced", 20),
    ("fact", "Offered", 3),
    ("fact", "Swept", 80),
    ("fact", "Substituted", 30),
    ("fact", "PlaceAdded", 80),
    ("fact", "Rescheduled", 50),
    ("fact", "RulesApplied", 100),
    ("fact", "Struck", 5),
    ("fact", "Barred", 20),
    ("fact", "Probed", 20),
    ("outcome", "Restricted", 20),
    ("fact", "Recorded", 300),
    ("fact", "DecidedUnder", 300),
    ("fact", "Cooled", 30),
    ("fact", "Restricted", 20),
    ("fact", "Suspended", 2),
    ("fact", "Appealed", 8),
    ("fact", "PatientsMerged", 6),
    ("fact", "WaitJoined", 80),
    ("fact", "PlaceOffered", 20),
    ("fact", "WaitLeft", 40),
    ("fact", "WaitDrawn", 12),
    ("fact", "Entered", 80),
    ("fact", "DrawRevealed", 100),
    ("fact", "DrawWon", 25),
    ("fact", "NotDrawn", 5),
    ("fact", "Withdrawn", 40),
    ("fact", "Paid", 40),
    ("fact", "Rebooked", 15),
    ("fact", "RefundDue", 30),
    ("fact", "Refunded", 3),
    ("fact", "Ordered", 2),
    ("fact", "PatientNamed", 4),
    ("fact", "Bound", 30),
    ("fact", "Phoned", 30),
    ("outcome", "PersonLimit", 10),
    ("outcome", "PaymentRefundable", 30),
    ("outcome", "PatientNotNamed", 4),
    ("outcome", "NoAppeal", 50),
    ("outcome", "RestrictionOver", 5),
    ("outcome", "NotFull", 200),
    ("outcome", "AlreadyWaiting", 10),
    ("outcome", "WaitLimit", 10),
    ("outcome", "SessionBlocked", 200),
    ("outcome", "AppointmentDisplaced", 8),
    ("outcome", "Done", 10_000),
    ("outcome", "AlreadyDone", 500),
    ("outcome", "IdReused", 200),
    ("outcome", "Overloaded", 200),
    ("outcome", "NotReady", 1),
    ("outcome", "SoldOut", 500),
    ("outcome", "NotOpenYet", 100),
    ("outcome", "BookingClosed", 50),
    ("outcome", "OutsideServiceHours", 50),
    ("outcome", "QuotasInvalid", 20),
    ("outcome", "TooLate", 10),
    ("outcome", "NobodyWaiting", 100),
    ("outcome", "HoldExpired", 20),
    ("outcome", "AlreadyHasAppointment", 100),
    ("outcome", "LimitReached", 20),
    ("outcome", "CoolingDown", 20),
    ("outcome", "WrongStatus", 100),
    ("outcome", "IdTooOld", 50),
];

/// Runs the tests that are asked for, and says so as other test binaries do.
pub(crate) fn tests(args: &Args) -> bool {
    let started = monotonic_now();
    let wanted: Vec<&Test> = TESTS.iter().filter(|(name, _)| args.wants(name)).collect();
    println!("\nrunning {} tests", wanted.len());
    let mut failed = 0;
    for (name, test) in &wanted {
        match test() {
            Ok(()) => println!("test {name} ... ok"),
            Err(what) => {
                failed += 1;
                println!("test {name} ... FAILED\n{what}");
            }
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered \
         out; finished in {:.2}s\n",
        wanted.len() - failed,
        TESTS.len() - wanted.len(),
        started.elapsed().as_secs_f64()
    );
    failed == 0
}

/// Names the tests.
pub(crate) fn list(args: &Args) {
    for (name, _) in TESTS.iter().filter(|(name, _)| args.wants(name)) {
        println!("{name}: test");
    }
}

/// Runs one seed, with every line of it if asked.
pub(crate) fn seed(seed: u64, only: Option<&str>, is_printed: bool) -> bool {
    let run = run(seed, only, is_printed);
    run.counts.print();
    println!("seed {seed}: trace {}", run.hash);
    if let Some(fault) = &run.fault {
        println!("{fault}");
    }
    run.fault.is_none()
}

/// Runs many seeds and prints what happened in them.
pub(crate) fn seeds(from: u64, count: u64, only: Option<&str>) -> bool {
    let started = monotonic_now();
    let (counts, faults) = run_many(from, count, only);
    counts.print();
    faults.iter().take(5).for_each(|fault| println!("{fault}"));
    println!(
        "{count} seeds from {from} on, {} failed, in {:.0} s",
        faults.len(),
        started.elapsed().as_secs_f64()
    );
    faults.is_empty()
}

/// Each seed is one thread's; the seeds are spread over the cores.
fn run_many(from: u64, count: u64, only: Option<&str>) -> (Counts, Vec<String>) {
    let next = AtomicU64::new(from);
    let all = Mutex::new((Counts::default(), Vec::new()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if from + count <= seed {
                        return;
                    }
                    let run = run(seed, only, false);
                    let mut all = all.lock().unwrap();
                    all.0.join(&run.counts);
                    all.1.extend(run.fault);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn run(seed: u64, only: Option<&str>, is_printed: bool) -> Run {
    let mut world = World::new(seed, only, is_printed);
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
        let what = message.unwrap_or_default();
        Err(Failure { invariant: "the engine panicked", what })
    });
    let fault = result.err().map(|failure| {
        world.counts.add("broken", failure.invariant);
        format!(
            "{}\nseed {seed} breaks {}: {}\nagain: cargo test --release --test sim -- --seed {seed} \
             --trace",
            world.trace.last_lines(),
            failure.invariant,
            failure.what
        )
    });
    Run { hash: world.trace.hash(), counts: world.counts, fault }
}

fn the_same_seed_makes_the_same_trace() -> Result<(), String> {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 1..=5 {
        let (first, second) = (run(seed, None, false), run(seed, None, false));
        if first.hash != second.hash || first.counts != second.counts {
            return Err(format!("seed {seed} made two traces"));
        }
        if !hashes.insert(first.hash) {
            return Err(format!("seed {seed} made the trace of another seed"));
        }
    }
    Ok(())
}

fn every_seed_keeps_every_invariant() -> Result<(), String> {
    let (counts, faults) = run_many(1, SEEDS, None);
    if let Some(fault) = faults.first() {
        return Err(format!("{fault}\n{} of {SEEDS} seeds failed", faults.len()));
    }
    for (kind, name, at_least) in MUST_HAPPEN {
        let found = counts.of(kind, name);
        if found < *at_least {
            return Err(format!("{kind}, {name}: {found} times, and should be {at_least}"));
        }
    }
    Ok(())
}

fn arguments_are_read_as_cargo_gives_them() -> Result<(), String> {
    use crate::args::Mode;
    let some = |line: &str| Args::read(line.split_whitespace().map(str::to_owned));
    let test = "every_seed_keeps_every_invariant";
    for (line, mode, wants) in [
        ("", Mode::Tests, true),
        ("--nocapture --test-threads 1 -q", Mode::Tests, true),
        ("--format terse --list", Mode::List, true),
        ("quic::", Mode::Tests, false),
        ("every_seed", Mode::Tests, true),
        ("--exact every_seed", Mode::Tests, false),
        ("--skip every_seed", Mode::Tests, false),
        ("--ignored", Mode::Tests, false),
        ("--seed 17 --trace", Mode::Seed { seed: 17, is_printed: true }, true),
        ("--seeds 9 --from 4", Mode::Seeds { from: 4, count: 9 }, true),
    ] {
        let args = some(line)?;
        if args.mode != mode || args.wants(test) != wants {
            return Err(format!("{line:?} was read as {args:?}"));
        }
    }
    match some("--seed x") {
        Ok(args) => Err(format!("{args:?}")),
        Err(_) => Ok(()),
    }
}
