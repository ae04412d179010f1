//! A deterministic simulation of clients, a node and its disk, under virtual time.
//!
//! ```text
//! cargo test --test sim                                      200 seeds, with the other tests
//! cargo test --release --test sim -- --seed 17 --trace       one seed, every line of it
//! cargo test --release --test sim -- --seeds 10000 --from 1  many, and a table of what happened
//!
//! --only never_oversold     with --seed or --seeds: looks at this one invariant and no other
//! ```
//!
//! A failure prints the seed, the invariant and the last lines of the trace.
//!
//! **Architecture invariant:** the engine, the inventory, the service, the journal and the rule of the
//! clock are the shipped ones. What is made up are the clients, the network, the disk and the time.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]
#![expect(clippy::unwrap_in_result, reason = "a bug of the simulation is no finding")]
#![expect(clippy::print_stdout, reason = "a program of its own")]

mod args;
mod ask;
mod billing;
mod disk;
mod history;
mod invariants;
mod machine;
mod node;
mod plan;
mod random;
mod rules;
mod runs;
mod sessions;
mod trace;
mod traffic;
mod world;

use std::process::ExitCode;

use self::args::{Args, Mode};

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(what) => {
            println!("{what}");
            return ExitCode::from(2);
        }
    };
    let is_ok = match args.mode {
        Mode::Tests => runs::tests(&args),
        Mode::List => {
            runs::list(&args);
            true
        }
        Mode::Seed { seed, is_printed } => runs::seed(seed, args.only.as_deref(), is_printed),
        Mode::Seeds { from, count } => runs::seeds(from, count, args.only.as_deref()),
    };
    if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
