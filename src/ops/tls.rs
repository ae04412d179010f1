//! TLS for both sides: version 1.3 only, certificates on both sides, the cheapest good cipher first.
//!
//! ```text
//! Identity  certificate, key, authorities, revoked --server--> rustls::ServerConfig
//!                                         `--credentials--> that, and the verifier for later
//! ```
//!
//! **Architecture invariant:** there is no way to build a configuration here that accepts a peer
//! without a certificate of the named authority, and none that resumes a session: every handshake
//! shows its certificate, and has it checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, version};

use super::cert::Pair;
use super::revoked;
use crate::model::Timestamp;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("{}: {problem}. Give a PEM file with {wanted}; `haoyuan cert` makes one", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The certificate and key do not go together, or the authority is none.
    #[error("certificate, key and authority do not make a TLS configuration: {0}")]
    Config(String),
}

/// Who we are and whom we trust.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// What a node shows, whom it believes, and until when.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// For handshakes.
    pub tls: rustls::ServerConfig,
    /// When the node's own certificate ends.
    pub ends: Timestamp,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Identity {
    /// Loads a certificate chain, its key, and the certificates of the authority of the peers.
    ///
    /// # Errors
    ///
    /// [`TlsError::File`] that names the file and what it should hold.
    pub fn load(certificate: &Path, key: &Path, authority: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path, wanted| {
            std::fs::read(path).map_err(|error| file_fault(path, wanted)(&error))
        };
        let chain = certificates(&read(certificate, CERTIFICATE)?)
            .map_err(|problem| file_fault(certificate, CERTIFICATE)(&problem))?;
        let private = PrivateKeyDer::from_pem_slice(&read(key, KEY)?)
            .map_err(|error| file_fault(key, KEY)(&error))?;
        let authorities = certificates(&read(authority, AUTHORITY)?)
            .map_err(|problem| file_fault(authority, AUTHORITY)(&problem))?;
        Ok(Self { chain, key: private, authorities, revoked: Vec::new() })
    }

    /// The same from PEM text in memory.
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`].
    pub fn from_pems(pair: &Pair, authority: &str) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
        Ok(Self {
            chain: certificates(pair.certificate.as_bytes()).map_err(TlsError::Config)?,
            key: key.map_err(|error| TlsError::Config(error.to_string()))?,
            authorities: certificates(authority.as_bytes()).map_err(TlsError::Config)?,
            revoked: Vec::new(),
        })
    }

    /// Refuses from now on whom these lists name (PEM, one or several).
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`] where there is no list, or one that none of the authorities signed:
    /// believed, it would shut out everybody.
    pub fn with_revoked(mut self, lists: &[u8]) -> Result<Self, TlsError> {
        self.revoked = revoked::lists(lists, &self.authorities).map_err(TlsError::Config)?;
        Ok(self)
    }

    /// The node's side: every client must show a certificate of the authority.
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`].
    pub fn server(self, alpn: &[u8]) -> Result<rustls::ServerConfig, TlsError> {
        Ok(self.credentials(alpn)?.tls)
    }

    /// The same, and what else a node wants to know of it.
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`].
    pub fn credentials(self, alpn: &[u8]) -> Result<Credentials, TlsError> {
        let problem = |error: &dyn std::fmt::Display| TlsError::Config(error.to_string());
        let ends = self.chain.first().and_then(not_after);
        let ends = ends.ok_or_else(|| problem(&"the certificate does not say when it ends"))?;
        let roots = Arc::new(roots(&self.authorities)?);
        let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        if !self.revoked.is_empty() {
            // A list says who is out. Authorities without one, and lists that are late, shut out
            // nobody: that would close a hospital for a forgotten file.
            verifier = verifier
                .with_crls(self.revoked)
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status();
        }
        let verifier = verifier.build().map_err(|error| problem(&error))?;
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| problem(&error))?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(self.chain, self.key)
            .map_err(|error| problem(&error))?;
        tls.alpn_protocols = vec![alpn.to_vec()];
        // Our order, whatever the client prefers.
        tls.ignore_client_order = true;
        // A command that arrives twice is safe, but early data says nothing of who sends it.
        tls.max_early_data_size = 0;
        // A resumed session would show the certificate of then, which may be revoked by now.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        Ok(Credentials { tls, ends, verifier })
    }

    /// The client's side.
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`].
    pub fn client(self, alpn: &[u8]) -> Result<rustls::ClientConfig, TlsError> {
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| TlsError::Config(error.to_string()))?
            .with_root_certificates(roots(&self.authorities)?)
            .with_client_auth_cert(self.chain, self.key)
            .map_err(|error| TlsError::Config(error.to_string()))?;
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(config)
    }
}

/// ring, with AES-128-GCM before AES-256-GCM: on these processors a third less work per packet.
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}

impl Credentials {
    /// Whether a client that shows this chain would be let in now.
    pub fn believe(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((leaf, between)) = chain.split_first() else { return false };
        self.verifier.verify_client_cert(leaf, between, UnixTime::now()).is_ok()
    }
}

/// When a certificate ends.
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    // webpki shows no dates, but says of a certificate that is over since when.
    match fault_at(certificate, END_OF_TIME)? {
        webpki::Error::CertExpired { not_after, .. } => Some(timestamp(not_after)),
        _ => None,
    }
}

/// From when a certificate is good.
pub fn not_before(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    match fault_at(certificate, 0)? {
        webpki::Error::CertNotValidYet { not_before, .. } => Some(timestamp(not_before)),
        _ => None,
    }
}

/// The serial number of a certificate, in hex.
pub fn serial_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let leaf = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(revoked::hex(leaf.serial()))
}

/// The certificates of a PEM text.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match list {
        Ok(list) if list.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(list) => Ok(list),
        Err(error) => Err(error.to_string()),
    }
}

fn fault_at(certificate: &CertificateDer<'_>, seconds: u64) -> Option<webpki::Error> {
    let leaf = webpki::EndEntityCert::try_from(certificate).ok()?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = webpki::KeyUsage::client_auth();
    // The dates are looked at first; that nobody is believed comes after.
    leaf.verify_for_usage(&[], &[], &[], time, usage, None, None).err()
}

const fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(time.as_secs().saturating_mul(1_000))
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for der in authorities {
        roots.add(der.clone()).map_err(|error| TlsError::Config(error.to_string()))?;
    }
    Ok(roots)
}

fn file_fault(
    path: &Path,
    wanted: &'static str,
) -> impl FnOnce(&dyn std::fmt::Display) -> TlsError {
    let path = path.to_owned();
    move |problem| TlsError::File { path, problem: problem.to_string(), wanted }
}

const CERTIFICATE: &str = "the certificate";
const KEY: &str = "the private key";
const AUTHORITY: &str = "the certificate of the authority";

/// In seconds: what X.509 calls "no end" is the last second of the year 9999.
const END_OF_TIME: u64 = 253_402_300_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_or_is_something_else_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.pem");
        let text = folder.path().join("text.pem");
        std::fs::write(&text, "hello").unwrap();
        for path in [missing, text] {
            let said = Identity::load(&path, &path, &path).unwrap_err().to_string();
            assert!(
                said.contains(&*path.to_string_lossy()) && said.contains("haoyuan cert"),
                "{said}"
            );
        }
    }
}
