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
//! Measured figures stand in `docs/operations.md`. [`CONNECTIONS_MAX`] × 23 MiB is not reachable by
//! honest use: clients are few, known, and hold a certificate each. Who has a certificate and is
//! hostile gets [`CONNECTIONS_PER_CERTIFICATE_MAX`], and whoever makes the node wait is cut after
//! [`PEER_TIME_MAX`]. Who has none gets no further than a handshake:
//!
//! ```text
//! first packet --> Retry: nothing is kept, and a tenth of what came is sent
//! its answer   --HANDSHAKES_PER_ADDRESS_MAX, HANDSHAKES_MAX?--> dropped without a word
//!              --HANDSHAKE_TIME_MAX--> forgotten
//! ```
//!
//! Every new client is asked by a Retry to show that its address is its own, not only under a flood:
//! without it, quinn sends up to 3 times the bytes that it got *and one packet more* to an address
//! that may be forged (measured: 3,738 for 1,200). Connections live for days, so the round trip is
//! nothing.
//!
//! Every setter of quinn's configurations is called here, also where its default is right: a new
//! version of quinn changes nothing behind our back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig};
use quinn::{ValidationTokenConfig, VarInt, udp};

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

/// Connections of one certificate: a gateway has a handful. A certificate that was stolen cannot
/// shut out the others.
pub const CONNECTIONS_PER_CERTIFICATE_MAX: usize = 1_024;

/// Handshakes under way at all. A handshake is half a millisecond of work, so honest ones do not
/// gather; beyond, first packets are dropped, and an honest client sends its own again in a second.
pub const HANDSHAKES_MAX: usize = 512;

/// Handshakes under way of one address: somebody with a few addresses cannot take all of
/// [`HANDSHAKES_MAX`]. An address is the /64 of an IPv6 one.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 64;

/// A handshake takes two round trips; after so long it is not going on.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a stream waits for its peer without any progress: for the rest of a hello or a frame,
/// or for room to write. As long as [`IDLE_TIMEOUT`]: who is silent for so long is gone, too.
pub const PEER_TIME_MAX: Duration = IDLE_TIMEOUT;

/// Looks at a stream within that time. A stall is cut at most one part later.
pub const PEER_LOOKS: u32 = 6;

/// How often connections are searched for certificates that have ended.
pub const CERTIFICATES_LOOK: Duration = Duration::from_secs(30);

/// Log lines in a second about peers that were turned away: a flood must not fill the disk.
pub const REFUSALS_LOGGED_PER_SECOND: u32 = 10;

/// Connection attempts that wait to be looked at: one packet each, and looking takes microseconds.
/// (quinn: 65,536.)
pub const INCOMING_MAX: usize = 1_024;

/// Further packets of an attempt that waits: a `ClientHello` has room in the first one. (quinn: 10 MiB.)
pub const INCOMING_BYTES_MAX: u64 = 16 << 10;

/// The same for all attempts together. (quinn: 100 MiB.)
pub const INCOMING_BYTES_TOTAL: u64 = 4 << 20;

/// How long an answer to a Retry is believed: an honest client answers in one round trip.
pub const RETRY_TOKEN_LIFETIME: Duration = Duration::from_secs(10);

/// Pause between two answers to packets of unknown connections, each shorter than what it answers.
pub const RESET_INTERVAL: Duration = Duration::from_millis(20);

/// QUIC version 1. (quinn would take six drafts besides.)
pub const QUIC_VERSION: u32 = 1;

/// What every path carries (RFC 9000, section 14). More is found out by discovery.
pub const MTU_LEAST: u16 = 1_200;

/// The round trip before one was measured (RFC 9002, section 6.2.2): a lost packet of a handshake is
/// sent again after thrice this.
pub const INITIAL_RTT: Duration = Duration::from_millis(333);

/// Packets and round trips after which one that was overtaken is lost (RFC 9002, section 6.1).
pub const PACKET_THRESHOLD: u32 = 3;
/// See [`PACKET_THRESHOLD`].
pub const TIME_THRESHOLD: f32 = 9.0 / 8.0;

/// Timeouts in a row after which a path counts as congested for good (RFC 9002, section 7.6).
pub const PERSISTENT_CONGESTION: u32 = 3;

/// The socket's buffers: 10 ms at a gigabit per second and more. The system may give less.
pub const SOCKET_BUFFER: usize = 4 << 20;

const _: () = assert!(FRAME_BYTES_MAX <= STREAM_RECEIVE_WINDOW as usize);
const _: () = assert!(8 * REPLY_BYTES_MAX <= OUTBOX_BYTES_MAX);
const _: () = assert!(10 * (MTU_JUMBO as usize) < 65_500);
const _: () = assert!(4 * HANDSHAKES_PER_ADDRESS_MAX <= HANDSHAKES_MAX);
const _: () = assert!(HANDSHAKES_MAX < CONNECTIONS_MAX);
const _: () = assert!(CONNECTIONS_PER_CERTIFICATE_MAX < CONNECTIONS_MAX);
const _: () = assert!(INCOMING_BYTES_MAX < INCOMING_BYTES_TOTAL);

/// How long the node waits for others. [`Patience::default`] is [`HANDSHAKE_TIME_MAX`] and
/// [`PEER_TIME_MAX`]; a test has less.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the end of a handshake.
    pub handshake: Duration,
    /// For progress of a stream that waits for its peer.
    pub peer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { handshake: HANDSHAKE_TIME_MAX, peer: PEER_TIME_MAX }
    }
}

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
    // Looked for every 10 minutes, to 20 bytes; a path that swallows long packets is left alone
    // for a minute: quinn's own, and nothing that a peer can turn against us.
    discovery.upper_bound(mtu_max.min(MTU_JUMBO));
    let mut acks = AckFrequencyConfig::default();
    // The delay stays the peer's own, and what arrives out of order is acknowledged as ever.
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
        // Streams of a connection take turns: a subscription does not hold up answers.
        .send_fairness(true)
        .max_idle_timeout(Some(idle))
        // The client keeps the connection alive: it knows whether it still wants it.
        .keep_alive_interval(None)
        // The protocol has no datagrams: none is taken, and none is kept to be sent.
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0)
        .initial_mtu(MTU_LEAST)
        .min_mtu(MTU_LEAST)
        .mtu_discovery_config(Some(discovery))
        // Who counts packets learns how much is booked, which is no secret; padding would double it.
        .pad_to_mtu(false)
        .ack_frequency_config(Some(acks))
        .initial_rtt(INITIAL_RTT)
        .packet_threshold(PACKET_THRESHOLD)
        .time_threshold(TIME_THRESHOLD)
        .persistent_congestion_threshold(PERSISTENT_CONGESTION)
        .congestion_controller_factory(Arc::new(congestion))
        .crypto_buffer_size(CRYPTO_BUFFER)
        // Round trips are in our own metrics; nobody on the path needs them.
        .allow_spin(false)
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
    config
        .max_udp_payload_size(payload)
        .expect("over the 1,200 bytes that QUIC asks for")
        .supported_versions(vec![QUIC_VERSION])
        // A packet without the fixed bit is garbage, and dropped at its first byte.
        .grease_quic_bit(false)
        .min_reset_interval(RESET_INTERVAL)
        // From the system: numbers that nobody can guess are what resets and paths rest on. For
        // the same reason `reset_key` and `cid_generator` are left alone: new ones at each start.
        .rng_seed(None);
    config
}

/// The listening side: attempts, tokens, addresses. With the handshakes of `crypto`.
pub fn server(crypto: Arc<dyn quinn::crypto::ServerConfig>, mtu_max: u16) -> quinn::ServerConfig {
    let mut tokens = ValidationTokenConfig::default();
    // A client that comes back proves its address again: a round trip, and no token to be stolen.
    // So `lifetime` and `log` of such tokens mean nothing.
    tokens.sent(0);
    let mut config = quinn::ServerConfig::with_crypto(crypto);
    config
        .transport_config(transport(mtu_max))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL)
        .retry_token_lifetime(RETRY_TOKEN_LIFETIME)
        .validation_token_config(tokens)
        // Clients are machines at fixed addresses: a packet from elsewhere is not theirs.
        .migration(false)
        .preferred_address_v4(None)
        .preferred_address_v6(None);
    // `token_key` is new at each start, `time_source` the system's clock: Retry tokens live seconds.
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
