//! One connection: its handshake, who it is, its streams, and how it ends.
//!
//! ```text
//! Place --handshake, HANDSHAKE_TIME_MAX--> Peer --> Seat --> streams --> close with a code
//! ```
//!
//! **Architecture invariant:** nothing of a client is read before its certificate is understood.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Connection, Incoming, VarInt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::door::Place;
use super::guests::{self, Seat};
use super::limits::PEER_LOOKS;
use super::metrics::Counted;
use super::patience::{Pulse, Watch};
use super::peer::{self, Peer};
use super::stream::{self, Fault};
use crate::model::Actor;
use crate::ops::tls::Credentials;
use crate::protocol::CloseCode;
use crate::service::{ConnectionLevels, Meter};

/// Carries a connection from its handshake to its end.
pub(super) async fn serve(
    incoming: Incoming,
    place: Place,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let remote = incoming.remote_address();
    let before = shared.credentials();
    let accepted = {
        let _under_way = Counted::new(&shared.metrics.handshakes);
        tokio::select! {
            accepted = tokio::time::timeout(shared.patience.handshake, incoming) => accepted,
            // Who has not arrived yet has nothing to lose, and goes to another node.
            _ = stopped.changed() => return,
        }
    };
    drop(place);
    let refused = || shared.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
    let connection = match accepted {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            refused();
            if shared.may_log() {
                tracing::info!(%remote, %error, "a handshake failed");
            }
            return;
        }
        Err(_) => {
            refused();
            if shared.may_log() {
                tracing::info!(%remote, "a handshake did not go on, and is forgotten");
            }
            return;
        }
    };
    let (code, reason) = match admit(&connection, before.as_ref(), &shared) {
        Ok((peer, seat)) => {
            let _open = Counted::new(&shared.metrics.connections);
            shared.metrics.connections_opened.fetch_add(1, Ordering::Relaxed);
            let (role, certificate) = (peer.actor.role.name(), peer::serial_of(&connection));
            tracing::debug!(%remote, role, certificate, "connected");
            let ended = streams(&connection, Arc::new(peer.actor), &shared, stopped).await;
            drop(seat);
            ended
        }
        Err((code, reason)) => {
            refused();
            if shared.may_log() {
                let certificate = peer::serial_of(&connection);
                tracing::info!(%remote, certificate, reason, "a client is turned away");
            }
            (code, reason.to_owned())
        }
    };
    connection.close(VarInt::from_u32(code.code()), reason.as_bytes());
}

/// Reads the certificate of a handshake that has succeeded, and finds the client a seat.
fn admit(
    connection: &Connection,
    before: Option<&Arc<Credentials>>,
    shared: &Shared,
) -> Result<(Peer, Seat), (CloseCode, &'static str)> {
    let peer = peer::peer_of(connection);
    let peer = peer.map_err(|reason| (CloseCode::CertificateNotUnderstood, reason))?;
    let seat = shared.guests.admit(connection, peer.certificate, peer.ends).ok_or((
        CloseCode::TooManyConnections,
        "too many connections are open with this certificate",
    ))?;
    // It is in the list now, and will be found by whoever changes the certificates from here on.
    // What was changed during the handshake is looked at here.
    let now = shared.credentials();
    let same = before.map(Arc::as_ptr) == now.as_ref().map(Arc::as_ptr);
    if let Some(credentials) = now.filter(|_| !same)
        && !peer::is_believed(connection, &credentials)
    {
        guests::dismiss(connection, &shared.metrics);
        return Err((CloseCode::CertificateNotValid, "the certificate is not valid any more"));
    }
    Ok((peer, seat))
}

/// Carries the streams of a connection. Says why it is over.
async fn streams(
    connection: &Connection,
    actor: Arc<Actor>,
    shared: &Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> (CloseCode, String) {
    let mut streams: JoinSet<Result<(), Fault>> = JoinSet::new();
    let mut watches: Vec<Watch> = Vec::new();
    let levels = Arc::new(ConnectionLevels::default());
    let between = shared.patience.peer / PEER_LOOKS;
    let mut look = std::pin::pin!(shared.pause(between));
    let mut stopping = *stopped.borrow();
    loop {
        // Before the select: a look that is still due would put off the end until then.
        if stopping && streams.is_empty() {
            return (CloseCode::Stopping, "the node stops".to_owned());
        }
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
                    let pulse = Arc::new(Pulse::default());
                    if watches.is_empty() {
                        look.set(shared.pause(between));
                    }
                    watches.retain(Watch::is_needed);
                    watches.push(Watch::new(&pulse));
                    let who = (Arc::clone(&actor), Meter::new(Arc::clone(&levels)));
                    let shared = Arc::clone(shared);
                    streams.spawn(stream::serve(stream, who, shared, pulse, stopped.clone()));
                }
                Err(_) => return (CloseCode::Finished, String::new()),
            },
            () = &mut look, if !watches.is_empty() => {
                if watches.iter_mut().any(Watch::look) {
                    return too_slow(connection, shared);
                }
                watches.retain(Watch::is_needed);
                look.set(shared.pause(between));
            }
            _ = stopped.changed(), if !stopping => stopping = true,
        }
    }
}

fn too_slow(connection: &Connection, shared: &Shared) -> (CloseCode, String) {
    shared.metrics.connections_cut.fetch_add(1, Ordering::Relaxed);
    if shared.may_log() {
        let (remote, certificate) = (connection.remote_address(), peer::serial_of(connection));
        tracing::info!(%remote, certificate, "a client made the node wait for too long");
    }
    let seconds = Duration::as_secs(&shared.patience.peer);
    (CloseCode::TooSlow, format!("the node waited for {seconds} s"))
}
