//! What a node needs around its work: certificates, TLS, and their files.
//!
//! **Architecture invariant:** nothing here knows of reservations beyond `model`.

pub mod cert;
pub mod tls;
