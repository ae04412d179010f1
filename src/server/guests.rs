//! Connections that are open, by certificate: how many, and whether it is still good.
//!
//! ```text
//! handshake --> admit --> Seat (until the connection ends)
//! new list of revoked certificates --> review --> close with a code
//! every CERTIFICATES_LOOK          --> review --^
//! ```
//!
//! **Architecture invariant:** whoever is admitted is in the list before the certificates in force
//! are read, and a review reads the list after they were changed: nobody slips through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use quinn::{Connection, VarInt};

use super::metrics::ServerMetrics;
use super::peer;
use crate::model::Timestamp;
use crate::ops::tls::Credentials;
use crate::protocol::CloseCode;

/// A certificate: the hash of it.
pub(super) type CertificateHash = [u8; 32];

#[derive(Debug)]
pub(super) struct Guests {
    per_certificate_max: usize,
    next: AtomicU64,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    connections: HashMap<u64, Guest, RandomState>,
    per_certificate: HashMap<CertificateHash, usize, RandomState>,
}

#[derive(Clone, Debug)]
struct Guest {
    connection: Connection,
    ends: Timestamp,
}

/// A connection's place in the list.
#[derive(Debug)]
pub(super) struct Seat {
    guests: Arc<Guests>,
    number: u64,
    certificate: CertificateHash,
}

impl Guests {
    pub(super) fn new(per_certificate_max: usize) -> Self {
        Self { per_certificate_max, next: AtomicU64::new(0), seats: Mutex::default() }
    }

    /// A seat, unless the certificate has too many already.
    pub(super) fn admit(
        self: &Arc<Self>,
        connection: &Connection,
        certificate: CertificateHash,
        ends: Timestamp,
    ) -> Option<Seat> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut seats = self.seats.lock();
        let taken = seats.per_certificate.entry(certificate).or_default();
        if self.per_certificate_max <= *taken {
            return None;
        }
        *taken += 1;
        seats.connections.insert(number, Guest { connection: connection.clone(), ends });
        drop(seats);
        Some(Seat { guests: Arc::clone(self), number, certificate })
    }

    /// Closes every connection whose certificate has ended, or that `credentials` do not believe.
    /// Takes a tenth of a millisecond for each with credentials: not for the threads of packets.
    pub(super) fn review(
        &self,
        credentials: Option<&Credentials>,
        now: Timestamp,
        metrics: &ServerMetrics,
    ) {
        let guests: Vec<Guest> = self.seats.lock().connections.values().cloned().collect();
        for guest in guests {
            let ended = guest.ends < now;
            if ended || credentials.is_some_and(|them| !peer::is_believed(&guest.connection, them))
            {
                dismiss(&guest.connection, metrics);
            }
        }
    }
}

/// Closes a connection whose certificate is not good any more.
pub(super) fn dismiss(connection: &Connection, metrics: &ServerMetrics) {
    metrics.connections_cut.fetch_add(1, Ordering::Relaxed);
    tracing::warn!(
        remote = %connection.remote_address(),
        certificate = %peer::serial_of(connection),
        "a client was cut off: its certificate was revoked, has ended, or is of another authority"
    );
    let code = VarInt::from_u32(CloseCode::CertificateNotValid.code());
    connection.close(code, b"the certificate is not valid any more");
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.guests.seats.lock();
        let guest = seats.connections.remove(&self.number);
        if let Some(taken) = seats.per_certificate.get_mut(&self.certificate) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                seats.per_certificate.remove(&self.certificate);
            }
        }
        // The last handle of a connection may close it, which takes a lock of its own.
        drop(seats);
        drop(guest);
    }
}
