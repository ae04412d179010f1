//! A client that believes it may do more than the node allows, and does it.
//!
//! quinn keeps to what the other side says in its transport parameters. So this one reads others
//! than were sent: more streams, longer windows, datagrams.

use std::any::Any;
use std::sync::Arc;

use haoyuan::model::{Actor, Role};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::crypto::{
    ClientConfig, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn::{ConnectError, Connection, ConnectionError, Endpoint, Side};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, TransportError};

use super::{loopback, still_serves};
use crate::quic::fake::{Fake, Node};

struct Liar(Arc<QuicClientConfig>);

struct Lying(Box<dyn Session>);

impl ClientConfig for Liar {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let session = Arc::clone(&self.0).start_session(version, server_name, params)?;
        Ok(Box::new(Lying(session)))
    }
}

/// RFC 9000, section 18.2, and RFC 9221: windows, streams, datagrams.
const RAISED: [u64; 7] = [0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x20];

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let length = 1_usize << (bytes[0] >> 6);
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    number[1..].iter().fold(u64::from(number[0] & 0x3f), |sum, byte| sum << 8 | u64::from(*byte))
}

fn write_varint(number: u64, bytes: &mut Vec<u8>) {
    bytes.extend((number | 0b11 << 62).to_le_bytes().iter().rev());
}

/// The same parameters, but with room for everything.
fn raised(params: &TransportParameters) -> TransportParameters {
    let (mut sent, mut lie) = (Vec::new(), Vec::new());
    params.write(&mut sent);
    let mut rest = sent.as_slice();
    while !rest.is_empty() {
        let id = read_varint(&mut rest);
        let length = usize::try_from(read_varint(&mut rest)).unwrap();
        let (value, behind) = rest.split_at(length);
        rest = behind;
        if !RAISED.contains(&id) {
            write_varint(id, &mut lie);
            write_varint(length as u64, &mut lie);
            lie.extend_from_slice(value);
        }
    }
    for id in RAISED {
        write_varint(id, &mut lie);
        write_varint(8, &mut lie);
        write_varint(if id == 0x20 { 65_535 } else { 1 << 30 }, &mut lie);
    }
    TransportParameters::read(Side::Client, &mut lie.as_slice()).unwrap()
}

impl Session for Lying {
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        Ok(self.0.transport_parameters()?.as_ref().map(raised))
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.0.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.0.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.0.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.0.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.0.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.0.read_handshake(buf)
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.0.write_handshake(buf)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.0.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.0.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.0.export_keying_material(output, label, context)
    }
}

async fn connect(node: &Node) -> (Endpoint, Connection) {
    let tls = node.tls(&Actor::unbounded(Role::Gateway));
    let crypto = Liar(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut endpoint = Endpoint::client(loopback()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    let connection = endpoint.connect(node.address, "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

/// The transport error that a connection ended with: RFC 9000, section 20.1.
async fn error_of(connection: &Connection) -> u64 {
    match connection.closed().await {
        ConnectionError::ConnectionClosed(close) => close.error_code.into(),
        other => panic!("{other:?}"),
    }
}

const FLOW_CONTROL: u64 = 3;
const STREAM_LIMIT: u64 = 4;
const PROTOCOL_VIOLATION: u64 = 10;

#[tokio::test]
async fn more_streams_than_allowed_close_the_connection() {
    let node = Node::start(&Fake::eager());
    let (_endpoint, connection) = connect(&node).await;
    let mut streams = Vec::new();
    for _ in 0..=haoyuan::server::limits::STREAMS_MAX {
        let mut stream = connection.open_bi().await.unwrap();
        drop(stream.0.write_all(&[0]).await);
        streams.push(stream);
    }
    assert_eq!(error_of(&connection).await, STREAM_LIMIT);
    assert_eq!(streams.len(), 17, "they were all open at a time");
    still_serves(&node).await;
}

#[tokio::test]
async fn a_unidirectional_stream_closes_the_connection() {
    let node = Node::start(&Fake::eager());
    let (_endpoint, connection) = connect(&node).await;
    let mut stream = connection.open_uni().await.unwrap();
    drop(stream.write_all(b"hello?").await);
    assert_eq!(error_of(&connection).await, STREAM_LIMIT);
    still_serves(&node).await;
}

#[tokio::test]
async fn a_datagram_closes_the_connection() {
    let node = Node::start(&Fake::eager());
    let (_endpoint, connection) = connect(&node).await;
    connection.send_datagram(vec![7; 100].into()).unwrap();
    assert_eq!(error_of(&connection).await, PROTOCOL_VIOLATION);
    still_serves(&node).await;
}

#[tokio::test]
async fn more_bytes_than_the_window_close_the_connection() {
    let node = Node::start(&Fake::new());
    let (_endpoint, connection) = connect(&node).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    // The node reads nothing while 8,192 holds wait for its disk, which never moves.
    let mut holds = haoyuan::protocol::Packer::default();
    for number in 0..30_000 {
        holds.item(haoyuan::protocol::FrameKind::Requests, |buffer| {
            let hold = crate::quic::fake::hold(u128::from(number)).into();
            haoyuan::protocol::write_request(number, &hold, buffer);
        });
    }
    drop(send.write_all(&super::hello_and(&holds.take())).await);
    assert_eq!(error_of(&connection).await, FLOW_CONTROL);
    node.engine.advance(node.engine.decided());
}
