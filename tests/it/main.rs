//! Tests of the whole from outside: only what the library offers.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

mod backup;
mod cards;
mod cli;
mod clock;
mod damage;
mod disk;
mod disruption;
mod docs;
mod draw;
mod explain;
mod golden_folder;
mod history;
mod hostile;
mod newer;
mod panics;
mod power;
mod privacy;
mod quic;
mod restrictions;
mod rules;
mod schedule;
mod supply;
mod tidy;
mod world;
