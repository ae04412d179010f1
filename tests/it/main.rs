//! Tests of the whole from outside: only what the library offers.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

mod cli;
mod damage;
mod disk;
mod docs;
mod history;
mod power;
mod quic;
mod tidy;
