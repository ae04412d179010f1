//! Reaching a node: one socket, several addresses, the next where one fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    AckFrequencyConfig, Connection, Endpoint, IdleTimeout, MtuDiscoveryConfig, TransportConfig,
    VarInt,
};

use super::error::CallError;
use crate::protocol::CloseCode;
use crate::server::limits;

/// A signal of life when nothing else is sent: well below the idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(8);

/// How long one address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects to any of several addresses.
#[derive(Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    addresses: Vec<SocketAddr>,
    server_name: String,
    /// Where the next connection begins to try, so that a pool spreads.
    next: AtomicUsize,
}

impl Dialer {
    /// Binds a socket of its own. Must be called in a runtime.
    ///
    /// # Errors
    ///
    /// [`CallError::Protocol`] where the TLS configuration is not one for QUIC or no address is
    /// given, [`CallError::Unavailable`] where no socket can be bound.
    pub fn new(
        addresses: &[SocketAddr],
        server_name: &str,
        tls: rustls::ClientConfig,
    ) -> Result<Self, CallError> {
        let first = addresses.first().ok_or_else(|| protocol(&"no address of a node is given"))?;
        let local = SocketAddr::new(
            if first.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() },
            0,
        );
        let mtu = limits::mtu_for(*first);
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| protocol(&error))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport(mtu));
        let socket = limits::socket(local).map_err(|error| unavailable(&error))?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let mut endpoint = Endpoint::new(limits::endpoint(mtu), None, socket, runtime)
            .map_err(|error| unavailable(&error))?;
        endpoint.set_default_client_config(config);
        Ok(Self {
            endpoint,
            addresses: addresses.to_vec(),
            server_name: server_name.to_owned(),
            next: AtomicUsize::new(0),
        })
    }

    /// A connection to the first address that answers, beginning with another one each time.
    ///
    /// # Errors
    ///
    /// What the last address said, if none answers.
    pub async fn connect(&self) -> Result<Connection, CallError> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut last = unavailable(&"no address of a node is given");
        for offset in 0..self.addresses.len() {
            let address = self.addresses[first.wrapping_add(offset) % self.addresses.len()];
            match self.connect_to(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<Connection, CallError> {
        let connecting = self
            .endpoint
            .connect(address, &self.server_name)
            .map_err(|error| unavailable(&error))?;
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(unavailable(&format_args!("{address} does not answer"))),
        }
    }
}

/// Closes a connection when it is dropped: before its streams.
///
/// Streams that are dropped first queue frames of their own, and with those pending quinn keeps the
/// close back for as long as the congestion window is full. Probes of the path fill it in the first
/// milliseconds of a connection, and whoever ends then would leave the node waiting.
#[derive(Debug)]
pub(super) struct Farewell(pub(super) Connection);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.close(VarInt::from_u32(CloseCode::Finished.code()), &[]);
    }
}

fn transport(mtu: u16) -> Arc<TransportConfig> {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(limits::ACK_THRESHOLD));
    let idle = IdleTimeout::try_from(limits::IDLE_TIMEOUT).expect("30 s are within a QUIC integer");
    let mut transport = TransportConfig::default();
    transport
        // A node opens no streams.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(4 * limits::RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(limits::RECEIVE_WINDOW))
        .send_window(limits::SEND_WINDOW)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acks));
    Arc::new(transport)
}

fn protocol(problem: &dyn std::fmt::Display) -> CallError {
    CallError::Protocol(problem.to_string())
}

fn unavailable(problem: &dyn std::fmt::Display) -> CallError {
    CallError::Unavailable(problem.to_string())
}
