//! Slow peers: gathered, kept at their number, and sent home.
//!
//! ```text
//! Peer: dial -> hello -> idle | a byte each second | ask and do not read -> cut off -> dial ...
//! ```
//!
//! **Architecture invariant:** they are real QUIC clients with certificates of their own, and
//! share one socket and one thread, so that they cost the machine as little as they can.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use haoyuan::client::Lane;
use haoyuan::model::{Actor, BookingChannel, PatientClass, Query, Role, SessionId};
use haoyuan::ops::cert::{Authority, Pair, Validity};
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::{ALPN, ClientHello, FrameKind, Hello, Packer, Request, write_request};
use haoyuan::server::limits;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, TransportConfig, VarInt};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::node::child::Node;
use crate::supply::Supply;
use crate::{Failure, certs, clock};

/// What a slow peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says hello, and nothing more.
    Idle,
    /// Sends a frame byte by byte.
    Trickling,
    /// Asks, and does not read the answers.
    Unread,
    /// Everything on every stream: half a frame, and answers that are not read.
    Worst,
}

/// Certificates that the slow peers share: none of them is over its number of connections.
const CERTIFICATES: usize = 8;

/// Handshakes of ours under way: fewer than an address may have.
const DIALS: usize = limits::HANDSHAKES_PER_ADDRESS_MAX / 2;

/// Bytes of answers for which an unread stream of ours has room: hardly any.
const UNREAD_WINDOW: u32 = 4_096;

/// Questions of a peer that does not read: 300 KB of answers about a session of 288 slots.
const QUESTIONS: u32 = 500;

/// A frame that is never ended, and what of it comes at once: nearly the longest there is.
const FRAME: u16 = 0xf000;
const BEGUN: usize = 61_000;

/// Slow peers that are there until they are told to leave.
pub(super) struct Crowd {
    runtime: Runtime,
    endpoint: Endpoint,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    open: AtomicU64,
    opened: AtomicU64,
    wanted: u64,
}

impl Crowd {
    /// Lets so many in, of these kinds by turns, who begin to be slow within `spread`.
    pub(super) fn gather(
        node: &Node,
        count: u32,
        kinds: &[Kind],
        spread: Duration,
    ) -> Result<Self, Failure> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let configs = configs(&node.certs())?;
        let session = runtime.block_on(open_session(node))?;
        let endpoint = {
            let _in_runtime = runtime.enter();
            Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?
        };
        let state = Arc::new(State { wanted: u64::from(count), ..State::default() });
        let dials = Arc::new(Semaphore::new(DIALS));
        for number in 0..count as usize {
            let peer = Peer {
                endpoint: endpoint.clone(),
                address: node.ready.address,
                config: configs[number % configs.len()].clone(),
                kind: kinds[number % kinds.len()],
                session,
                dials: Arc::clone(&dials),
                state: Arc::clone(&state),
                // Spread, so that they are not all cut off in one second.
                delay: spread * u32::try_from(number)? / count,
            };
            runtime.spawn(peer.live());
        }
        let patience = clock::now() + Duration::from_mins(2);
        while state.opened.load(Ordering::Relaxed) < state.wanted {
            if patience < clock::now() {
                return Err(format!(
                    "only {} slow peers came in",
                    state.opened.load(Ordering::Relaxed)
                )
                .into());
            }
            clock::pause(Duration::from_millis(20));
        }
        Ok(Self { runtime, endpoint, state })
    }

    pub(super) fn open(&self) -> u64 {
        self.state.open.load(Ordering::Relaxed)
    }

    pub(super) fn came_back(&self) -> u64 {
        self.state.opened.load(Ordering::Relaxed).saturating_sub(self.state.wanted)
    }

    pub(super) fn leave(self) {
        self.endpoint.close(VarInt::from_u32(0), b"enough");
        self.runtime.block_on(async {
            drop(tokio::time::timeout(Duration::from_secs(3), self.endpoint.wait_idle()).await);
        });
        self.runtime.shutdown_background();
    }
}

/// Opens a session whose availability is long to tell.
async fn open_session(node: &Node) -> Result<SessionId, Failure> {
    let supply = Supply::new(1, 288, 1);
    let dialer = certs::dialer(&node.certs(), &[node.ready.address], Role::Admin)?;
    let mut lane = Lane::open(&dialer.connect().await?, "loadtest admin").await?;
    supply.open(&mut lane).await?;
    drop((lane, dialer));
    clock::linger().await;
    Ok(SessionId(supply.first))
}

struct Peer {
    endpoint: Endpoint,
    address: SocketAddr,
    config: quinn::ClientConfig,
    kind: Kind,
    session: SessionId,
    dials: Arc<Semaphore>,
    state: Arc<State>,
    delay: Duration,
}

impl Peer {
    /// Connects, is slow, is cut off, and comes back.
    async fn live(self) {
        let mut delay = self.delay;
        loop {
            let Some(connection) = self.connect().await else { return };
            self.state.open.fetch_add(1, Ordering::Relaxed);
            self.state.opened.fetch_add(1, Ordering::Relaxed);
            // Whatever goes wrong is the end of the connection.
            drop(self.be_slow(&connection, delay).await);
            connection.closed().await;
            self.state.open.fetch_sub(1, Ordering::Relaxed);
            delay = Duration::ZERO;
        }
    }

    /// `None` once nobody wants us any more.
    async fn connect(&self) -> Option<Connection> {
        let _dial = self.dials.acquire().await.ok()?;
        loop {
            let config = self.config.clone();
            let connecting = self.endpoint.connect_with(config, self.address, "localhost").ok()?;
            if let Ok(connection) = connecting.await {
                return Some(connection);
            }
        }
    }

    async fn be_slow(&self, connection: &Connection, delay: Duration) -> Result<(), Failure> {
        let hello = packed(|packer| {
            packer.frame(FrameKind::Hello, |buffer| ClientHello::new("slow").write(buffer));
        });
        if self.kind == Kind::Worst {
            return worst(connection, &hello, self.session).await;
        }
        let (mut send, recv) = connection.open_bi().await?;
        send.write_all(&hello).await?;
        match self.kind {
            Kind::Idle => {}
            Kind::Trickling => {
                pause(delay).await;
                send.write_all(&u32::from(FRAME).to_le_bytes()).await?;
                send.write_all(&vec![FrameKind::Requests as u8; BEGUN]).await?;
                loop {
                    pause(Duration::from_secs(1)).await;
                    send.write_all(&[0]).await?;
                }
            }
            Kind::Unread | Kind::Worst => {
                pause(delay).await;
                send.write_all(&questions(self.session, QUESTIONS)).await?;
            }
        }
        // Neither side of the stream ends before the connection.
        connection.closed().await;
        drop((send, recv));
        Ok(())
    }
}

/// Fills every stream as far as it goes: answers that are not read, then requests that are not.
async fn worst(connection: &Connection, hello: &[u8], session: SessionId) -> Result<(), Failure> {
    let questions: Arc<[u8]> = questions(session, QUESTIONS).into();
    for _ in 0..limits::STREAMS_MAX {
        let (mut send, recv) = connection.open_bi().await?;
        send.write_all(hello).await?;
        let (questions, connection) = (Arc::clone(&questions), connection.clone());
        tokio::spawn(async move {
            // As long as the node reads.
            while send.write_all(&questions).await.is_ok() {}
            connection.closed().await;
            drop((send, recv));
        });
    }
    connection.closed().await;
    Ok(())
}

/// Short questions with long answers.
fn questions(session: SessionId, count: u32) -> Vec<u8> {
    let question = Request::from(Query::Availability {
        session,
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
    });
    packed(|packer| {
        for number in 0..count {
            packer.item(FrameKind::Requests, |buffer| write_request(number, &question, buffer));
        }
    })
}

fn packed(fill: impl FnOnce(&mut Packer)) -> Vec<u8> {
    let mut packer = Packer::default();
    fill(&mut packer);
    packer.take()
}

/// The TLS and transport of the slow: certificates of their own, and hardly any room for answers.
fn configs(certs: &Path) -> Result<Vec<quinn::ClientConfig>, Failure> {
    let read = |name: &str| std::fs::read_to_string(certs.join(name));
    let pair = Pair { certificate: read("authority.pem")?, key: read("authority.key")? };
    let (authority, validity) =
        (Authority::from_pair(&pair)?, Validity { now: clock::wall(), days: 2 });
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(UNREAD_WINDOW))
        .receive_window(VarInt::from_u32(UNREAD_WINDOW * limits::STREAMS_MAX))
        .keep_alive_interval(Some(Duration::from_secs(10)));
    let transport = Arc::new(transport);
    let config = |_| {
        let own = authority.client("slow", &Actor::unbounded(Role::Gateway), validity)?;
        let tls = Identity::from_pems(&own, &pair.certificate)?.client(ALPN)?;
        let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(Arc::clone(&transport));
        Ok(config)
    };
    (0..CERTIFICATES).map(config).collect()
}

#[expect(clippy::disallowed_methods, reason = "slowness is what is measured")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
