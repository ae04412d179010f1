//! Who is at the other end: what the client's certificate says.

use quinn::Connection;
use rustls::pki_types::CertificateDer;

use super::guests::CertificateHash;
use crate::model::{Actor, Timestamp};
use crate::ops::cert;
use crate::ops::tls::{self, Credentials};

/// What a client's certificate says.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) actor: Actor,
    pub(super) certificate: CertificateHash,
    /// When the certificate ends.
    pub(super) ends: Timestamp,
}

type Chain = Vec<CertificateDer<'static>>;

/// Reads role, organizations and channels from the certificate that the handshake has verified.
///
/// # Errors
///
/// What is wrong with it, for the reason of the close.
pub(super) fn peer_of(connection: &Connection) -> Result<Peer, &'static str> {
    let chain = chain_of(connection).ok_or("no client certificate")?;
    let der = chain.first().ok_or("no client certificate")?;
    let leaf = webpki::EndEntityCert::try_from(der).map_err(|_| "not an X.509 certificate")?;
    let scheme = |uri: &&str| uri.starts_with(cert::ROLE_SCHEME);
    let mut uris = leaf.valid_uri_names().filter(scheme);
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err("the certificate must have exactly one URI haoyuan://<role>/?...");
    };
    let actor = cert::actor_of_uri(uri)
        .ok_or("the URI is not haoyuan://<role>/?organizations=<all|1,2>&channels=<all|0,1>")?;
    let ends = tls::not_after(der).ok_or("the certificate does not say when it ends")?;
    Ok(Peer { actor, certificate: *blake3::hash(der).as_bytes(), ends })
}

/// Whether a connection's certificate would be believed in a handshake now.
pub(super) fn is_believed(connection: &Connection, credentials: &Credentials) -> bool {
    chain_of(connection).is_some_and(|chain| credentials.believe(&chain))
}

/// The serial number of a connection's certificate, as `haoyuan cert revoke --serial` takes it.
pub(super) fn serial_of(connection: &Connection) -> String {
    let chain = chain_of(connection).unwrap_or_default();
    chain.first().and_then(tls::serial_of).unwrap_or_default()
}

fn chain_of(connection: &Connection) -> Option<Box<Chain>> {
    connection.peer_identity()?.downcast::<Chain>().ok()
}
