//! Tests of the whole from outside: only what the library offers.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

mod cli;
mod docs;
mod history;
mod hostile;
mod quic;
mod tidy;
