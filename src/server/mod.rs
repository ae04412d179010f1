//! The QUIC side of a node: accepts connections, knows who they are, and carries their streams.
//!
//! ```text
//! Server::run --accept--> connection --accept_bi--> stream (one task) --> Engine
//!                         certificate -> Actor      frames in, frames out
//! ```
//!
//! A stop ends politely: no new connection or request is taken, what was decided becomes durable
//! and is answered, and then connections close with a code that says so.
//!
//! **Architecture invariant:** a shell. It decides nothing about reservations, and what a client
//! can make it hold is bounded in [`limits`].

mod desk;
mod engine;
mod horizon;
pub mod limits;
mod metrics;
mod node;
mod outbox;
mod peer;
mod push;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming, VarInt};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use engine::{Engine, SnapshotSource};
pub use metrics::{AnswerClass, ServerMetrics};

use crate::model::Timestamp;
use crate::protocol::CloseCode;
use metrics::Counted;
use stream::Fault;

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
}

/// What every stream of the node uses.
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<ServerMetrics>,
    handshakes: AtomicUsize,
}

impl ServerConfig {
    /// Listens with the limits that suit the address.
    pub const fn new(listen: SocketAddr, tls: rustls::ServerConfig) -> Self {
        let (connections_max, drain) = (limits::CONNECTIONS_MAX, Duration::from_secs(5));
        Self { listen, tls, mtu_max: None, connections_max, drain }
    }

    fn quic(&self) -> Result<quinn::ServerConfig, ServerError> {
        let crypto = QuicServerConfig::try_from(self.tls.clone())
            .map_err(|error| ServerError::Tls(error.to_string()))?;
        let mut quic = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        quic.transport_config(limits::transport(self.mtu()));
        quic.max_incoming(limits::INCOMING_MAX);
        Ok(quic)
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
        let quic = config.quic()?;
        let bind = |source| ServerError::Bind { address: config.listen, source };
        let socket = limits::socket(config.listen).map_err(bind)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(limits::endpoint(config.mtu()), Some(quic), socket, runtime)
            .map_err(bind)?;
        let shared = Shared { engine, clock, metrics, handshakes: AtomicUsize::new(0) };
        Ok(Self { endpoint, shared: Arc::new(shared), config })
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
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                Some(incoming) = self.endpoint.accept() => {
                    self.admit(incoming, &mut connections, &stopped);
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
        close(|code, reason| self.endpoint.close(code, reason), CloseCode::Stopping, "stopping");
        // What is lost of the farewell is found out by the idle timeout.
        drop(tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await);
    }

    fn admit(
        &self,
        incoming: Incoming,
        connections: &mut JoinSet<()>,
        stopped: &watch::Receiver<bool>,
    ) {
        let handshakes = self.shared.handshakes.load(Ordering::Relaxed);
        if self.config.connections_max <= connections.len() {
            self.shared.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
        } else if limits::HANDSHAKES_BEFORE_RETRY <= handshakes
            && !incoming.remote_address_validated()
            && incoming.may_retry()
        {
            if incoming.retry().is_err() {
                tracing::debug!("a client that may not be asked again was asked again");
            }
        } else {
            self.shared.handshakes.fetch_add(1, Ordering::Relaxed);
            connections.spawn(connection(incoming, Arc::clone(&self.shared), stopped.clone()));
        }
    }
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

/// Carries a connection from its handshake to its end.
async fn connection(incoming: Incoming, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let remote = incoming.remote_address();
    let accepted = incoming.await;
    shared.handshakes.fetch_sub(1, Ordering::Relaxed);
    let refused = || shared.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
    let connection = match accepted {
        Ok(connection) => connection,
        Err(error) => {
            refused();
            tracing::info!(%remote, %error, "a handshake failed");
            return;
        }
    };
    match peer::actor_of(&connection) {
        Ok(actor) => {
            let _open = Counted::new(&shared.metrics.connections);
            shared.metrics.connections_opened.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%remote, role = actor.role.name(), "connected");
            let (code, reason) = streams(&connection, Arc::new(actor), &shared, stopped).await;
            close(|code, reason| connection.close(code, reason), code, &reason);
        }
        Err(reason) => {
            refused();
            tracing::info!(%remote, reason, "a certificate is not understood");
            let code = CloseCode::CertificateNotUnderstood;
            close(|code, reason| connection.close(code, reason), code, reason);
        }
    }
}

/// Carries the streams of a connection. Says why it is over.
async fn streams(
    connection: &Connection,
    actor: Arc<crate::model::Actor>,
    shared: &Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> (CloseCode, String) {
    let mut streams: JoinSet<Result<(), Fault>> = JoinSet::new();
    let mut stopping = *stopped.borrow();
    loop {
        tokio::select! {
            biased;
            Some(ended) = streams.join_next(), if !streams.is_empty() => match ended {
                Ok(Err(Fault::Close(code, reason))) => return (code, reason),
                Ok(Ok(()) | Err(Fault::Gone)) => {}
                // A panic was in the engine: nothing of it can be trusted (I-9).
                Err(_) => return (CloseCode::NodeFailed, "the node failed".to_owned()),
            },
            stream = connection.accept_bi(), if !stopping => match stream {
                Ok(stream) => {
                    let (actor, shared) = (Arc::clone(&actor), Arc::clone(shared));
                    streams.spawn(stream::serve(stream, actor, shared, stopped.clone()));
                }
                Err(_) => return (CloseCode::Finished, String::new()),
            },
            _ = stopped.changed(), if !stopping => stopping = true,
            else => return (CloseCode::Stopping, "the node stops".to_owned()),
        }
    }
}

fn close(close: impl FnOnce(VarInt, &[u8]), code: CloseCode, reason: &str) {
    close(VarInt::from_u32(code.code()), reason.as_bytes());
}
