//! Who is at the other end: what the client's certificate says.

use quinn::Connection;
use rustls::pki_types::CertificateDer;

use crate::model::Actor;
use crate::ops::cert;

/// Reads role, organizations and channels from the certificate that the handshake has verified.
///
/// # Errors
///
/// What is wrong with it, for the reason of the close.
pub(super) fn actor_of(connection: &Connection) -> Result<Actor, &'static str> {
    let chain = connection.peer_identity().ok_or("no client certificate")?;
    let chain = chain.downcast::<Vec<CertificateDer<'static>>>();
    let chain = chain.map_err(|_| "the client's identity is no certificate")?;
    let leaf = chain.first().ok_or("no client certificate")?;
    let leaf = webpki::EndEntityCert::try_from(leaf).map_err(|_| "not an X.509 certificate")?;
    let scheme = |uri: &&str| uri.starts_with(cert::ROLE_SCHEME);
    let mut uris = leaf.valid_uri_names().filter(scheme);
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err("the certificate must have exactly one URI haoyuan://<role>/?...");
    };
    cert::actor_of_uri(uri)
        .ok_or("the URI is not haoyuan://<role>/?organizations=<all|1,2>&channels=<all|0,1>")
}
