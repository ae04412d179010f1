//! Makes the certificates of a node and its clients, for those who have no authority of their own.
//!
//! ```text
//! authority --signs--> server certificate   SAN: names and addresses
//!           `-signs--> client certificate   SAN: haoyuan://<role>/?organizations=..&channels=..
//! ```
//!
//! **Architecture invariant:** a key is written once, to a file that only its owner can read.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevocationReason, RevokedCertParams, SanType, SerialNumber,
};

use super::revoked::{self, Revoked};
use super::tls;
use crate::model::{Actor, BookingChannel, ChannelSet, Organizations, Role, Timestamp, limits};

/// A time as certificates write it. (Its type has no name outside of rcgen.)
macro_rules! date {
    ($time:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis($time.as_millis())
    };
}

/// The scheme of the address in a client certificate that says what the client may do.
pub const ROLE_SCHEME: &str = "haoyuan";

/// A certificate and its key, as PEM text.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key (PKCS #8).
    pub key: String,
}

/// From when and for how long a certificate is good.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The present; a certificate is good from an hour before, for clocks that differ.
    pub now: Timestamp,
    /// For how many days.
    pub days: u32,
}

/// Why a certificate was not made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// A name, an address or a key cannot be used.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// What should be an authority's certificate is none.
    #[error("the authority's certificate cannot be read: {0}")]
    Read(String),
    /// A file cannot be written.
    #[error("cannot write {}: {source}. Is there such a folder, and may this user write there?", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A certificate authority: signs server and client certificates.
pub struct Authority {
    certificate: String,
    key: KeyPair,
    /// Its common name: what certificates and lists that it signs call it.
    name: String,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    ///
    /// [`CertError::Make`].
    pub fn new(validity: Validity) -> Result<Self, CertError> {
        let key = KeyPair::generate()?;
        // Each has a name of its own: where two are believed, it says whose list is whose.
        let mark = blake3::hash(&key.subject_public_key_info()).to_hex();
        let name = format!("haoyuan certificate authority {}", mark.get(..8).unwrap_or_default());
        let params = validity.applied_to(authority_params(&name));
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key, name })
    }

    /// The authority that [`Authority::pair`] described.
    ///
    /// # Errors
    ///
    /// [`CertError::Make`] where the key is no PEM key, [`CertError::Read`] where the certificate is
    /// none of ours.
    pub fn from_pair(pair: &Pair) -> Result<Self, CertError> {
        let key = KeyPair::from_pem(&pair.key)?;
        let own = tls::certificates(pair.certificate.as_bytes()).map_err(CertError::Read)?;
        let name = own.first().and_then(revoked::common_name);
        let name = name.ok_or_else(|| CertError::Read("it has no common name".to_owned()))?;
        Ok(Self { certificate: pair.certificate.clone(), key, name })
    }

    /// Its certificate and key.
    pub fn pair(&self) -> Pair {
        Pair { certificate: self.certificate.clone(), key: self.key.serialize_pem() }
    }

    /// A server certificate for names and addresses under which clients reach the node.
    ///
    /// # Errors
    ///
    /// [`CertError::Make`] where a name is not ASCII.
    pub fn server(&self, names: &[String], validity: Validity) -> Result<Pair, CertError> {
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "haoyuan node");
        self.sign(validity.applied_to(params))
    }

    /// A client certificate. `name` is for people; what the client may do is the actor's.
    ///
    /// # Errors
    ///
    /// [`CertError::Make`].
    pub fn client(&self, name: &str, actor: &Actor, validity: Validity) -> Result<Pair, CertError> {
        self.client_with_uri(name, &role_uri(actor), validity)
    }

    /// A client certificate with any address in it; a node takes only those of [`role_uri`].
    ///
    /// # Errors
    ///
    /// [`CertError::Make`] where the address is not ASCII.
    pub fn client_with_uri(
        &self,
        name: &str,
        uri: &str,
        validity: Validity,
    ) -> Result<Pair, CertError> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(validity.applied_to(params))
    }

    /// A list of revoked certificates, as PEM text. It replaces every earlier one.
    ///
    /// # Errors
    ///
    /// [`CertError::Make`].
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        validity: Validity,
    ) -> Result<String, CertError> {
        let entry = |revoked: &Revoked| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&revoked.serial),
            revocation_time: date!(revoked.since),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date!(validity.now),
            next_update: date!(validity.now) + Duration::from_hours(24) * validity.days,
            // Greater each time, as the standard asks.
            crl_number: SerialNumber::from(validity.now.as_millis()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::new(authority_params(&self.name), &self.key);
        Ok(params.signed_by(&issuer)?.pem()?)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Pair, CertError> {
        let key = KeyPair::generate()?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let issuer = Issuer::new(authority_params(&self.name), &self.key);
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// Writes `<name>.pem` and `<name>.key` into a folder. The key is readable for its owner only.
    ///
    /// # Errors
    ///
    /// [`CertError::Write`].
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf), CertError> {
        let certificate = folder.join(format!("{name}.pem"));
        let key = folder.join(format!("{name}.key"));
        write_file(&key, &self.key, 0o600)?;
        write_file(&certificate, &self.certificate, 0o644)?;
        Ok((certificate, key))
    }
}

impl Validity {
    fn applied_to(self, mut params: CertificateParams) -> CertificateParams {
        let hour = Duration::from_hours(1);
        params.not_before = date!(self.now) - hour;
        params.not_after = date!(self.now) + 24 * hour * self.days;
        params
    }
}

/// What a client certificate says of its holder: `haoyuan://<role>/?organizations=1,2&channels=all`.
pub fn role_uri(actor: &Actor) -> String {
    let organizations = match &actor.organizations {
        Organizations::All => "all".to_owned(),
        Organizations::Only(list) => joined(list.iter().map(|id| id.0)),
    };
    let channels = if actor.channels == ChannelSet::ALL {
        "all".to_owned()
    } else {
        let named = (0..limits::CHANNELS_MAX).filter(|number| {
            BookingChannel::new(*number).is_some_and(|channel| actor.channels.contains(channel))
        });
        joined(named.map(u32::from))
    };
    let role = actor.role.name();
    format!("{ROLE_SCHEME}://{role}/?organizations={organizations}&channels={channels}")
}

/// Reads what [`role_uri`] writes. `None` where it is anything else.
pub fn actor_of_uri(uri: &str) -> Option<Actor> {
    let rest = uri.strip_prefix(ROLE_SCHEME)?.strip_prefix("://")?;
    let (role, rest) = rest.split_once("/?organizations=")?;
    let (organizations, channels) = rest.split_once("&channels=")?;
    let numbers = |list: &str| list.split(',').map(|number| number.parse::<u32>().ok()).collect();
    let organizations = match organizations {
        "all" => Organizations::All,
        list => {
            let ids: Option<Vec<u32>> = numbers(list);
            let mut only = arrayvec::ArrayVec::new();
            for id in ids? {
                only.try_push(crate::model::OrganizationId(id)).ok()?;
            }
            Organizations::Only(only)
        }
    };
    let channels = match channels {
        "all" => ChannelSet::ALL,
        "" => ChannelSet(0),
        list => {
            let numbers: Option<Vec<u32>> = numbers(list);
            numbers?.into_iter().try_fold(ChannelSet(0), |set, number| {
                Some(set.with(BookingChannel::new(u8::try_from(number).ok()?)?))
            })?
        }
    };
    Some(Actor { role: Role::from_name(role)?, organizations, channels })
}

fn joined(numbers: impl Iterator<Item = u32>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

/// The same for every authority of ours but its name, which is read from its certificate.
fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Replaces a file as a whole: whoever reads it finds the old one or the new one.
///
/// # Errors
///
/// [`CertError::Write`].
pub fn replace_file(path: &Path, text: &str) -> Result<(), CertError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    write_file(&new, text, 0o644)?;
    let renamed = std::fs::File::open(&new)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path));
    renamed.map_err(|source| CertError::Write { path: path.to_owned(), source })
}

fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), CertError> {
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(mode).open(path)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|source| CertError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrganizationId;

    #[test]
    fn what_a_certificate_says_is_read_as_it_was_written() {
        let some = [OrganizationId(1), OrganizationId(42)].into_iter().collect();
        for (actor, uri) in [
            (Actor::unbounded(Role::Gateway), "haoyuan://gateway/?organizations=all&channels=all"),
            (
                Actor {
                    role: Role::Admin,
                    organizations: Organizations::Only(some),
                    channels: ChannelSet(0b10_0001),
                },
                "haoyuan://admin/?organizations=1,42&channels=0,5",
            ),
        ] {
            assert_eq!(role_uri(&actor), uri);
            assert_eq!(actor_of_uri(uri), Some(actor));
        }
    }

    #[test]
    fn anything_else_in_a_certificate_is_no_role() {
        for uri in [
            "",
            "https://gateway/?organizations=all&channels=all",
            "haoyuan://king/?organizations=all&channels=all",
            "haoyuan://gateway/?organizations=all",
            "haoyuan://gateway/?channels=all&organizations=all",
            "haoyuan://gateway/?organizations=one&channels=all",
            "haoyuan://gateway/?organizations=&channels=all",
            "haoyuan://gateway/?organizations=all&channels=64",
            "haoyuan://gateway/?organizations=all&channels=all&x=1",
        ] {
            assert_eq!(actor_of_uri(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_key_file_is_readable_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair { certificate: "c".to_owned(), key: "k".to_owned() };
        std::fs::write(folder.path().join("node.key"), "old").unwrap();
        let (certificate, key) = pair.write(folder.path(), "node").unwrap();
        assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(certificate).unwrap(), "c");
        let error = pair.write(&folder.path().join("none"), "node").unwrap_err();
        assert!(error.to_string().contains("none/node.key"), "{error}");
    }
}
