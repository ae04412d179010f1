//! What a person who runs a node deals with: clock, configuration, metrics, logs, documents.
//!
//! ```text
//! flags + TOML --> config          clock --> now of every request
//! session document --> model::Session     service statistics --> metrics --> HTTP
//! ```
//!
//! **Architecture invariant:** this module imports `model` and nothing else of the crate. What it
//! shows of the service and the journal is handed to it as plain numbers.

pub mod cert;
pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod renew;
pub mod revoked;
pub mod sessions;
pub mod tls;
pub mod trace;
