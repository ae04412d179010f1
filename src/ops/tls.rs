//! TLS for both sides: version 1.3 only, certificates on both sides, the cheapest good cipher first.
//!
//! **Architecture invariant:** there is no way to build a configuration here that accepts a peer
//! without a certificate of the named authority.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, version};

use super::cert::Pair;

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
    authorities: RootCertStore,
}

impl Identity {
    /// Loads a certificate chain, its key, and the certificates of the authority of the peers.
    ///
    /// # Errors
    ///
    /// [`TlsError::File`] that names the file and what it should hold.
    pub fn load(certificate: &Path, key: &Path, authority: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate, "the certificate")?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
            path: key.to_owned(),
            problem: error.to_string(),
            wanted: "the private key",
        })?;
        let mut authorities = RootCertStore::empty();
        for der in certificates(authority, "the certificate of the authority")? {
            authorities.add(der).map_err(|error| TlsError::File {
                path: authority.to_owned(),
                problem: error.to_string(),
                wanted: "the certificate of the authority",
            })?;
        }
        Ok(Self { chain, key: private, authorities })
    }

    /// The same from PEM text in memory.
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`].
    pub fn from_pems(pair: &Pair, authority: &str) -> Result<Self, TlsError> {
        let problem = |error: &dyn std::fmt::Display| TlsError::Config(error.to_string());
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
        let mut authorities = RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            let der = der.map_err(|error| problem(&error))?;
            authorities.add(der).map_err(|error| problem(&error))?;
        }
        Ok(Self {
            chain: chain.map_err(|error| problem(&error))?,
            key: key.map_err(|error| problem(&error))?,
            authorities,
        })
    }

    /// The node's side: every client must show a certificate of the authority.
    ///
    /// # Errors
    ///
    /// [`TlsError::Config`].
    pub fn server(self, alpn: &[u8]) -> Result<rustls::ServerConfig, TlsError> {
        let provider = provider();
        let roots = Arc::new(self.authorities);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| TlsError::Config(error.to_string()))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| TlsError::Config(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain, self.key)
            .map_err(|error| TlsError::Config(error.to_string()))?;
        config.alpn_protocols = vec![alpn.to_vec()];
        // Our order, whatever the client prefers.
        config.ignore_client_order = true;
        // A command that arrives twice is safe, but early data says nothing of who sends it.
        config.max_early_data_size = 0;
        Ok(config)
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
            .with_root_certificates(self.authorities)
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

fn certificates(
    path: &Path,
    wanted: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |problem: String| TlsError::File { path: path.to_owned(), problem, wanted };
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| fault(error.to_string()))?;
    if list.is_empty() { Err(fault("it holds no certificate".to_owned())) } else { Ok(list) }
}

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
