//! How a client reaches a node, and how it behaves when the node is behind.
//!
//! **Architecture invariant:** plain values; the defaults are those of a gateway.

use std::net::SocketAddr;
use std::time::Duration;

/// How a client reaches a node.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where nodes listen. The next is tried where one does not answer.
    pub addresses: Vec<SocketAddr>,
    /// The name in the node's certificate.
    pub server_name: String,
    /// Our certificate and the authority that signs nodes', from `ops::tls`.
    pub tls: rustls::ClientConfig,
    /// What the node's logs call us, at most 64 bytes.
    pub name: String,
    /// Connections, from 1. One is enough below some hundred thousand requests a second.
    pub connections: usize,
    /// Calls that wait on one connection; more wait for their turn.
    pub in_flight_max: usize,
    /// How long a call may take, with all its attempts.
    pub deadline: Duration,
    /// While calls of a connection have waited for longer than this, its holds are refused here and
    /// not sent ([`Behind`](super::CallError::Behind)). Everything else is.
    pub hold_patience: Duration,
    /// While the node turns away more than this share of the holds of a channel (`Overloaded`), in
    /// percent, patients ask it by turns, and the rest are refused here and not sent
    /// ([`OutOfTurn`](super::CallError::OutOfTurn)). 100 sends every hold.
    pub turned_away_percent: u8,
}

impl ClientConfig {
    /// One connection, 1,024 calls in flight, ten seconds for a call, one of patience, and half
    /// of the holds turned away by the node while it sheds.
    pub fn new(addresses: Vec<SocketAddr>, server_name: &str, tls: rustls::ClientConfig) -> Self {
        Self {
            addresses,
            server_name: server_name.to_owned(),
            tls,
            name: "haoyuan client".to_owned(),
            connections: 1,
            in_flight_max: 1_024,
            deadline: Duration::from_secs(10),
            hold_patience: Duration::from_secs(1),
            turned_away_percent: 50,
        }
    }
}
