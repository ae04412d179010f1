//! One hot path, again and again, for who counts its instructions: see `instructions.sh` beside this.
//! `instructions --list`, or `instructions NAME`.
#![expect(clippy::print_stdout, reason = "it tells its names")]

mod clinic;

use self::clinic::steps::{Step, codec, engine};

const TURNS: usize = 2_000;

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let steps = || codec().into_iter().chain(engine(TURNS));
    if argument == "--list" {
        println!("turns {TURNS}");
        steps().for_each(|(name, _)| println!("{name}"));
        return;
    }
    // `cargo bench` passes a flag, and measures nothing here.
    for (_, mut step) in steps().filter(|(name, _): &Step| *name == argument) {
        counted(&mut *step);
    }
}

/// What is counted, all of it and nothing else.
#[inline(never)]
fn counted(step: &mut dyn FnMut(usize)) {
    for turn in 0..TURNS {
        step(turn);
    }
}
