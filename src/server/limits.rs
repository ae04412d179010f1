//! Every limit of the transport, in one place, each with its reason.
//!
//! What a connection can make the node hold, at worst:
//!
//! ```text
//! received and not read     RECEIVE_WINDOW                                  1 MiB
//! sent and not acknowledged SEND_WINDOW                                     1 MiB
//! each stream               read and not decoded   frame + one reading      0.3 MiB
//!                           answered and not sent  OUTBOX_BYTES_MAX         0.5 MiB
//!                           being written          OUTBOX_BYTES_MAX         0.5 MiB
//! x STREAMS_MAX             16 streams                                     21 MiB
//! sum                                                                      23 MiB
//! ```
//!
//! A usual one holds about 100 KiB. [`CONNECTIONS_MAX`] × 23 MiB is not reachable by honest use:
//! clients are few, known, and hold a certificate each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig};
use quinn::{VarInt, udp};

use crate::protocol::{FRAME_BYTES_MAX, REPLY_BYTES_MAX};

/// Connections at a time: gateways and counters of a region, with several each.
pub const CONNECTIONS_MAX: usize = 4_096;

/// Bidirectional streams of a connection. One is enough for any rate; a few more keep reads, changes
/// and a subscription apart. (quinn would allow 100.)
pub const STREAMS_MAX: u32 = 16;

/// Bytes of a connection that the node takes before it has read them. (quinn: unlimited.)
pub const RECEIVE_WINDOW: u32 = 1 << 20;

/// The same for one stream: three thousand holds.
pub const STREAM_RECEIVE_WINDOW: u32 = 256 << 10;

/// Bytes of a connection that are sent and not acknowledged.
pub const SEND_WINDOW: u64 = 1 << 20;

/// What is answered, or waits for the journal, and is not sent. The stream is not read beyond.
pub const OUTBOX_BYTES_MAX: usize = 512 << 10;

/// Without any packet for so long, the peer is gone.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Packets that ask for an acknowledgement before one is sent. At 10 half the time of `sendmsg` is
/// saved; beyond, loss is noticed late.
pub const ACK_THRESHOLD: u32 = 10;

/// The longest packet tried where packets may be long. More than this times ten segments is over
/// what one `sendmsg` takes, and throughput collapses without a word.
pub const MTU_JUMBO: u16 = 6_500;

/// The longest packet tried elsewhere: Ethernet without IPv6 and UDP headers.
pub const MTU_ETHERNET: u16 = 1_452;

/// What may be sent before the first acknowledgement. Clients are in the same data centre.
pub const INITIAL_WINDOW: u64 = 128 << 10;

/// TLS messages that are held out of order: a chain of certificates, and no more.
pub const CRYPTO_BUFFER: usize = 16 << 10;

/// Handshakes under way from which on a new client must show that its address is its own.
pub const HANDSHAKES_BEFORE_RETRY: usize = 64;

/// Connection attempts that wait to be looked at.
pub const INCOMING_MAX: usize = 1_024;

/// The socket's buffers: 10 ms at a gigabit per second and more. The system may give less.
pub const SOCKET_BUFFER: usize = 4 << 20;

const _: () = assert!(FRAME_BYTES_MAX <= STREAM_RECEIVE_WINDOW as usize);
const _: () = assert!(8 * REPLY_BYTES_MAX <= OUTBOX_BYTES_MAX);
const _: () = assert!(10 * (MTU_JUMBO as usize) < 65_500);

/// The longest packet for a listen address, unless the configuration says otherwise.
pub const fn mtu_for(address: SocketAddr) -> u16 {
    if address.ip().is_loopback() { MTU_JUMBO } else { MTU_ETHERNET }
}

/// The transport of the node's side.
///
/// # Panics
///
/// Never: the constants above are within what QUIC can say.
pub fn transport(mtu_max: u16) -> Arc<TransportConfig> {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu_max.min(MTU_JUMBO));
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD));
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW);
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).expect("30 s are within a QUIC integer");
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(Some(idle))
        // The client keeps the connection alive: it knows whether it still wants it.
        .keep_alive_interval(None)
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(congestion))
        .crypto_buffer_size(CRYPTO_BUFFER)
        .enable_segmentation_offload(true);
    Arc::new(transport)
}

/// The endpoint: which packets it takes at all.
///
/// # Panics
///
/// Never: the length is clamped to what QUIC allows.
pub fn endpoint(mtu_max: u16) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    let payload = mtu_max.clamp(MTU_ETHERNET, MTU_JUMBO).saturating_add(28);
    config.max_udp_payload_size(payload).expect("over the 1,200 bytes that QUIC asks for");
    config
}

/// A bound socket with room for a burst. Less room than asked for is no error.
pub fn socket(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    let state = udp::UdpSocketState::new((&socket).into())?;
    for result in [
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER),
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "the socket keeps the buffer that it has");
        }
    }
    Ok(socket)
}
