//! Tests of the whole from outside: only what the library offers.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

mod backup;
mod cli;
mod disk;
mod docs;
mod golden_folder;
mod history;
mod newer;
mod panics;
mod power;
mod quic;
mod supply;
mod tidy;
mod world;
