//! haoyuan (号源): the engine a hospital booking platform turns to at the minute its slots open.
//!
//! ```text
//! QUIC --> protocol --> admission --> inventory { engine } --> journal ----------> reply
//! bytes     request     pass/refuse   locks       facts        group commit        when durable
//! ```
//!
//! The modules, in the order in which a request meets them:
//!
//! * [`model`]: the vocabulary. Sessions, appointments, commands, facts, outcomes.
//! * [`codec`]: values to bytes and back. The one place that knows the layout.
//! * [`draw`]: the mathematics of a fair draw, for the engine and for who verifies one.
//! * [`protocol`]: frames, requests and replies of the wire.
//! * [`journal`]: records to disk, in groups, and how far they are durable.
//! * `ops`, `cli`: what a person who runs a node sees (feature `node`).

#![cfg_attr(
    all(fuzzing, not(feature = "node")),
    expect(
        dead_code,
        reason = "what the fuzz targets reach is used by the node, which is left out"
    )
)]

pub mod admission;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod client;
pub mod codec;
pub mod draw;
pub mod engine;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod inventory;
pub mod journal;
pub mod model;
#[cfg(any(feature = "node", fuzzing))]
pub mod ops;
pub mod protocol;
#[cfg(feature = "node")]
pub mod server;
pub mod service;
mod sync;
