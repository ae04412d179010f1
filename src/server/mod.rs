//! The QUIC side of a node: accepts connections, knows who they are, and carries their streams.
//!
//! ```text
//! Server::run --door--> connection --accept_bi--> stream (one task) --> Engine
//!                       certificate -> Actor      frames in, frames out
//!      '-- new certificates: for new handshakes, and a review of the guests
//! ```
//!
//! A stop ends politely: no new connection or request is taken, what was decided becomes durable
//! and is answered, and then connections close with a code that says so.
//!
//! **Architecture invariant:** a shell. It decides nothing about reservations, and what a client
//! can make it hold is bounded in [`limits`].

mod connection;
mod desk;
mod door;
mod engine;
mod guests;
mod horizon;
pub mod limits;
mod metrics;
mod node;
mod outbox;
mod patience;
mod peer;
mod push;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, Incoming, VarInt};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

pub use engine::{Engine, SnapshotSource};
pub use metrics::{AnswerClass, ServerMetrics};

use self::door::Door;
use self::guests::Guests;
use self::limits::Patience;
use crate::model::Timestamp;
use crate::ops::tls::Credentials;
use crate::protocol::CloseCode;

/// The node's clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a node listens.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where.
    pub listen: SocketAddr,
    /// With which certificates, from `ops::tls`.
    pub tls: rustls::ServerConfig,
    /// The longest packet to try, in bytes; by default what suits the address.
    pub mtu_max: Option<u16>,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time of one certificate.
    pub connections_per_certificate: usize,
    /// How long the node waits for its peers.
    pub patience: Patience,
    /// Where `tls` is replaced while the node runs: new handshakes have what is there, and clients
    /// that it does not believe are cut off.
    pub renewals: Option<watch::Receiver<Arc<Credentials>>>,
    /// How long a stop waits for answers to become durable and arrive.
    pub drain: Duration,
}

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be bound.
    #[error(
        "cannot listen on {address}: {source}. Is another node running, or the address not of this machine?"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TLS configuration is not one for QUIC.
    #[error("the TLS configuration cannot be used for QUIC: {0}")]
    Tls(String),
}

/// A node that listens.
pub struct Server {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    config: ServerConfig,
    quic: quinn::ServerConfig,
    door: Arc<Door>,
}

/// What every stream of the node uses.
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<ServerMetrics>,
    guests: Arc<Guests>,
    patience: Patience,
    renewals: Option<watch::Receiver<Arc<Credentials>>>,
    /// Refusals logged in a second: the second, and how many.
    logged: AtomicU64,
}

impl ServerConfig {
    /// Listens with the limits that suit the address.
    pub const fn new(listen: SocketAddr, tls: rustls::ServerConfig) -> Self {
        Self {
            listen,
            tls,
            mtu_max: None,
            connections_max: limits::CONNECTIONS_MAX,
            connections_per_certificate: limits::CONNECTIONS_PER_CERTIFICATE_MAX,
            patience: Patience {
                handshake: limits::HANDSHAKE_TIME_MAX,
                peer: limits::PEER_TIME_MAX,
            },
            renewals: None,
            drain: Duration::from_secs(5),
        }
    }

    fn mtu(&self) -> u16 {
        self.mtu_max.unwrap_or_else(|| limits::mtu_for(self.listen))
    }
}

impl Server {
    /// Binds the socket. Nothing is accepted before [`Server::run`]; must be called in a runtime.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub fn bind(
        config: ServerConfig,
        engine: Arc<dyn Engine>,
        clock: Clock,
        metrics: Arc<ServerMetrics>,
    ) -> Result<Self, ServerError> {
        let quic = limits::server(handshakes(&config.tls)?, config.mtu());
        let bind = |source| ServerError::Bind { address: config.listen, source };
        let socket = limits::socket(config.listen).map_err(bind)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let limits = limits::endpoint(config.mtu());
        let endpoint = Endpoint::new(limits, Some(quic.clone()), socket, runtime).map_err(bind)?;
        let shared = Arc::new(Shared {
            engine,
            clock,
            metrics,
            guests: Arc::new(Guests::new(config.connections_per_certificate)),
            patience: config.patience,
            renewals: config.renewals.clone(),
            logged: AtomicU64::new(0),
        });
        Ok(Self { endpoint, shared, config, quic, door: Arc::default() })
    }

    /// The address that is listened on, with the port that the system chose for port 0.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Serves until `shutdown` comes, then stops politely.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut renewals = self.config.renewals.clone();
        let mut look = std::pin::pin!(self.shared.pause(limits::CERTIFICATES_LOOK));
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                Some(incoming) = self.endpoint.accept() => {
                    self.admit(incoming, &mut connections, &stopped);
                }
                credentials = renewed(&mut renewals) => self.renew(credentials),
                () = &mut look => {
                    self.review(None);
                    look.set(self.shared.pause(limits::CERTIFICATES_LOOK));
                }
                else => break,
            }
        }
        self.endpoint.set_server_config(None);
        stop.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.config.drain, all).await.is_err() {
            tracing::warn!("some clients did not take their answers in time");
        }
        self.endpoint.close(VarInt::from_u32(CloseCode::Stopping.code()), b"stopping");
        // What is lost of the farewell is found out by the idle timeout.
        drop(tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await);
    }

    fn admit(
        &self,
        incoming: Incoming,
        connections: &mut JoinSet<()>,
        stopped: &watch::Receiver<bool>,
    ) {
        let metrics = &self.shared.metrics;
        if self.config.connections_max <= connections.len() {
            metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
            return incoming.refuse();
        }
        if !incoming.remote_address_validated() && incoming.may_retry() {
            metrics.handshakes_retried.fetch_add(1, Ordering::Relaxed);
            if incoming.retry().is_err() {
                tracing::debug!("a client that may not be asked again was asked again");
            }
            return;
        }
        let Some(place) = self.door.knock(incoming.remote_address().ip()) else {
            metrics.handshakes_dropped.fetch_add(1, Ordering::Relaxed);
            return incoming.ignore();
        };
        let shared = Arc::clone(&self.shared);
        connections.spawn(connection::serve(incoming, place, shared, stopped.clone()));
    }

    /// Puts new certificates in force: for handshakes from now on, and for those who are here.
    fn renew(&self, credentials: Arc<Credentials>) {
        let mut quic = self.quic.clone();
        match handshakes(&credentials.tls) {
            Ok(crypto) => quic.crypto = crypto,
            Err(error) => return tracing::error!(%error, "new certificates cannot be used"),
        }
        self.endpoint.set_server_config(Some(quic));
        self.review(Some(credentials));
    }

    /// Cuts off whose certificate is not good any more, on a thread that moves no packets.
    fn review(&self, credentials: Option<Arc<Credentials>>) {
        let shared = Arc::clone(&self.shared);
        drop(spawn_blocking(move || {
            let now = (shared.clock)();
            shared.guests.review(credentials.as_deref(), now, &shared.metrics);
        }));
    }
}

/// The handshakes of a TLS configuration.
fn handshakes(tls: &rustls::ServerConfig) -> Result<Arc<QuicServerConfig>, ServerError> {
    let crypto = QuicServerConfig::try_from(tls.clone());
    crypto.map(Arc::new).map_err(|error| ServerError::Tls(error.to_string()))
}

/// Waits for the next certificates; for ever where there will be none.
async fn renewed(renewals: &mut Option<watch::Receiver<Arc<Credentials>>>) -> Arc<Credentials> {
    if let Some(renewals) = renewals
        && renewals.changed().await.is_ok()
    {
        return Arc::clone(&renewals.borrow_and_update());
    }
    std::future::pending().await
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Shared {
    /// Waits. For signs of life, not for anything to happen.
    pub(crate) async fn pause(&self, duration: Duration) {
        #![expect(clippy::disallowed_methods, reason = "a heartbeat is due by the clock")]
        tokio::time::sleep(duration).await;
    }

    /// The certificates in force, where they can change.
    fn credentials(&self) -> Option<Arc<Credentials>> {
        self.renewals.as_ref().map(|renewals| Arc::clone(&renewals.borrow()))
    }

    /// Whether one more refusal may be logged in this second.
    fn may_log(&self) -> bool {
        let second = (self.clock)().as_millis() / 1_000;
        let count = |logged: u64| {
            let (then, count) = (logged >> 32, logged & u64::from(u32::MAX));
            let count = if then == second & u64::from(u32::MAX) { count } else { 0 };
            let fits = count < u64::from(limits::REFUSALS_LOGGED_PER_SECOND);
            fits.then_some((second & u64::from(u32::MAX)) << 32 | (count + 1))
        };
        self.logged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }
}

/// Binds and serves: [`Server::bind`] and [`Server::run`].
///
/// # Errors
///
/// [`ServerError`].
pub async fn run(
    config: ServerConfig,
    engine: Arc<dyn Engine>,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    Server::bind(config, engine, clock, Arc::default())?.run(shutdown).await;
    Ok(())
}
