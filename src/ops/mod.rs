//! What a person who runs a node deals with: clock, configuration, metrics, logs, documents.
//!
//! ```text
//! flags + TOML --> config          clock --> now of every request
//! session document --> model::Session     service statistics --> metrics --> HTTP
//! ```
//!
//! **Architecture invariant:** this module imports `model` and nothing else of the crate. What it
//! shows of the service and the journal is handed to it as plain numbers.

pub mod calendar;
#[cfg(feature = "node")]
pub mod cert;
pub mod civil;
#[cfg(feature = "node")]
pub mod clock;
pub mod config;
pub(crate) mod document;
#[cfg(feature = "node")]
pub mod draw_key;
#[cfg(feature = "node")]
pub mod http;
#[cfg(feature = "node")]
pub mod metrics;
#[cfg(feature = "node")]
pub mod overlay;
#[cfg(feature = "node")]
pub mod renew;
#[cfg(feature = "node")]
pub mod revoked;
pub mod rules;
pub mod schedule;
pub mod sessions;
#[cfg(feature = "node")]
pub mod tls;
#[cfg(feature = "node")]
pub mod trace;
pub mod words;
