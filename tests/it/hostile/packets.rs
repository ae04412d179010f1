//! Packets of peers that never finish a handshake, or forge their address.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use haoyuan::client::Lane;
use haoyuan::model::{Actor, Role};
use haoyuan::server::limits::HANDSHAKES_PER_ADDRESS_MAX;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;

use super::{connect, impatient, loopback, still_serves, until};
use crate::quic::fake::{Fake, Node};

/// First packets as quinn sends them, each of another connection, caught on a socket that nobody
/// answers from.
fn first_packets(node: &Node, count: usize) -> Vec<Vec<u8>> {
    let sink = UdpSocket::bind(loopback()).unwrap();
    let tls = node.tls(&Actor::unbounded(Role::Gateway));
    let crypto = Arc::new(QuicClientConfig::try_from(tls).unwrap());
    let mut endpoint = Endpoint::client(loopback()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(crypto));
    let address = sink.local_addr().unwrap();
    sink.set_nonblocking(true).unwrap();
    let sink = tokio::net::UdpSocket::from_std(sink).unwrap();
    let catch = async {
        let mut packets = Vec::new();
        for _ in 0..count {
            let connecting = endpoint.connect(address, "localhost").unwrap();
            let mut buffer = vec![0; 2_000];
            let (bytes, _) = sink.recv_from(&mut buffer).await.unwrap();
            buffer.truncate(bytes);
            assert!(1_200 <= bytes, "a first packet is padded");
            packets.push(buffer);
            drop(connecting);
            // The farewell of what was given up.
            while sink.try_recv(&mut [0; 2_000]).is_ok() {}
        }
        packets
    };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(catch))
}

fn socket(node: &Node) -> UdpSocket {
    let socket = UdpSocket::bind(loopback()).unwrap();
    socket.connect(node.address).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Bytes that have come back so far.
fn answered(socket: &UdpSocket) -> usize {
    let mut buffer = vec![0; 65_536];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).sum()
}

fn retried(node: &Node) -> u64 {
    node.metrics.handshakes_retried.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_answers_gets_a_fraction_of_what_it_sent_and_nothing_is_kept() {
    let node = impatient(&Fake::eager());
    let packets = first_packets(&node, 200);
    let mut sent = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        let socket = socket(&node);
        // Some say it again and again, as somebody would who wants much in return.
        let times = 1 + number % 4;
        for _ in 0..times {
            socket.send(packet).unwrap();
        }
        sent.push((socket, packet.len() * times));
        // Each is seen: the node's socket takes only so many at a time.
        until(|| sent.len() as u64 <= retried(&node)).await;
        if number % 20 == 0 {
            // Meanwhile an honest client comes through.
            let before = retried(&node);
            still_serves(&node).await;
            assert!(before < retried(&node), "by way of a Retry itself");
            sent.push((self::socket(&node), 1_200));
        }
    }
    let opened = node.metrics.connections_opened.load(Ordering::Relaxed);
    assert_eq!(opened, 10, "the honest ones");
    assert_eq!(node.metrics.handshakes.load(Ordering::Relaxed), 0, "nothing else was begun");
    let (mut bytes_in, mut bytes_out) = (0, 0);
    for (socket, sent) in &sent {
        let answered = answered(socket);
        assert!(answered * 4 <= *sent, "{answered} bytes for {sent}");
        (bytes_in, bytes_out) = (bytes_in + sent, bytes_out + answered);
    }
    assert!(0 < bytes_out && bytes_out * 4 < bytes_in, "{bytes_out} bytes for {bytes_in}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_gets_less_than_it_brings_and_disturbs_nobody() {
    let node = Node::start(&Fake::eager());
    let connection = connect(&node, Role::Gateway).await;
    let mut lane = Lane::open(&connection, "honest").await.unwrap();
    let first = first_packets(&node, 1).remove(0);
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.to_le_bytes()[7]
    };
    let socket = socket(&node);
    let mut sent = 0;
    for round in 0..4_000 {
        let mut packet: Vec<u8> = match round % 4 {
            // Noise of any length, with any first byte; cut, changed, and of another version.
            0 => (0..=usize::from(next()) * 6).map(|_| next()).collect(),
            1 => first[..=usize::from(next()) * 4].to_vec(),
            _ => first.clone(),
        };
        let at = usize::from(next()) * 4 % packet.len();
        match round % 4 {
            2 => packet[at] ^= next() | 1,
            3 => packet[1..5].copy_from_slice(&[0x1a, next(), 0x3a, 0x4a]),
            _ => {}
        }
        // The node's socket takes only so much at a time, and what is dropped tests nothing.
        if socket.send(&packet).is_ok() {
            sent += packet.len();
        }
        if round % 100 == 0 {
            lane.sender.queue(round, &crate::quic::fake::hold(u128::from(round)).into());
            lane.sender.flush().await.unwrap();
            let mut answers = 0;
            while answers == 0 {
                assert!(lane.receiver.receive(|_, _| answers += 1).await.unwrap());
            }
        }
    }
    still_serves(&node).await;
    let answered = answered(&socket);
    assert!(0 < answered && answered < sent, "{answered} bytes for {sent}");
}

/// An address that a client has shown to be its own is worth no more than its share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_with_many_unfinished_handshakes_is_not_answered_any_more() {
    let node = impatient(&Fake::eager());
    // These answer the Retry, and never hear more: half-open for as long as the node waits.
    let tls = node.tls(&Actor::unbounded(Role::Gateway));
    let crypto = Arc::new(QuicClientConfig::try_from(tls).unwrap());
    let relay = Relay::start(node.address);
    let mut endpoint = Endpoint::client(loopback()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(crypto));
    let mut attempts = Vec::new();
    let dropped = || node.metrics.handshakes_dropped.load(Ordering::Relaxed);
    for _ in 0..HANDSHAKES_PER_ADDRESS_MAX + 10 {
        attempts.push(endpoint.connect(relay.address, "localhost").unwrap());
    }
    until(|| 0 < dropped()).await;
    drop(attempts);
    endpoint.close(0_u32.into(), b"");
    // They are forgotten after a while; until then an honest client of the address waits.
    still_serves(&node).await;
    let refused = || node.metrics.connections_refused.load(Ordering::Relaxed);
    until(|| HANDSHAKES_PER_ADDRESS_MAX as u64 <= refused()).await;
}

/// Passes first packets on, and of the answers only what asks for the address: nobody behind it
/// gets further than that.
struct Relay {
    address: SocketAddr,
    _task: tokio::task::JoinHandle<()>,
}

impl Relay {
    fn start(node: SocketAddr) -> Self {
        let bind = || {
            let socket = UdpSocket::bind(loopback()).unwrap();
            socket.set_nonblocking(true).unwrap();
            tokio::net::UdpSocket::from_std(socket).unwrap()
        };
        let (inside, outside) = (bind(), bind());
        let address = inside.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut client = None;
            let (mut one, mut other) = ([0; 2_000], [0; 2_000]);
            loop {
                tokio::select! {
                    Ok((bytes, from)) = inside.recv_from(&mut one) => {
                        client = Some(from);
                        drop(outside.send_to(&one[..bytes], node).await);
                    }
                    Ok((bytes, _)) = outside.recv_from(&mut other) => {
                        // A Retry: long header of type 3 (RFC 9000, section 17.2.5).
                        if let Some(client) = client.filter(|_| other[0] & 0xf0 == 0xf0) {
                            drop(inside.send_to(&other[..bytes], client).await);
                        }
                    }
                }
            }
        });
        Self { address, _task: task }
    }
}
