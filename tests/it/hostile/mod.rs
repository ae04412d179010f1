//! Peers that are broken or hostile, over real QUIC. After each the node serves an honest client.

mod certificates;
mod frames;
mod liar;
mod packets;
mod reload;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use haoyuan::model::Role;
use haoyuan::ops::cert::Authority;
use haoyuan::protocol::{ClientHello, FrameKind, Hello, Packer};
use haoyuan::server::limits::Patience;
use quinn::Connection;

use crate::quic::fake::{Fake, Node, hold, validity};

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A node that waits for its peers a second at most: tests have no minutes.
fn impatient(engine: &Arc<Fake>) -> Node {
    let authority = Authority::new(validity()).unwrap();
    Node::start_with(loopback(), engine, authority, |config| {
        config.patience = Patience { handshake: HASTE, peer: HASTE };
    })
}

const HASTE: Duration = Duration::from_secs(1);

/// A hold of somebody honest, over a connection of its own.
async fn still_serves(node: &Node) {
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000_000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let receipt = node.client(Role::Gateway).hold(hold(u128::from(number))).await.unwrap();
    assert!(!receipt.retried);
}

async fn connect(node: &Node, role: Role) -> Connection {
    node.dialer(role).connect().await.unwrap()
}

/// A hello, with what follows it.
fn hello_and(rest: &[u8]) -> Vec<u8> {
    let mut packer = Packer::default();
    packer.frame(FrameKind::Hello, |buffer| ClientHello::new("hostile").write(buffer));
    [packer.take(), rest.to_vec()].concat()
}

/// Waits until something is so that the node does by itself.
async fn until(mut it_is: impl FnMut() -> bool) {
    while !it_is() {
        tokio::task::yield_now().await;
    }
}
