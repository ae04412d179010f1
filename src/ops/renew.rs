//! Certificates that are replaced while the node runs: files are looked at, and taken or refused
//! as a whole.
//!
//! ```text
//! files --read--> the same as before? --no--> the same twice? --> Identity --> Credentials --> watch
//!                                      a half-written set ends here '-- refused: old ones stay
//! ```
//!
//! **Architecture invariant:** what is in force is always one set that was good as a whole. A bad
//! file never takes effect, not even by half.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::cert::Pair;
use super::tls::{self, Credentials, Identity, TlsError};
use crate::model::Timestamp;

/// How often the files are looked at. A set is taken when it was the same at two looks, so a
/// revoked client is cut off within two to three seconds of the file's change.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest file: a list of 50,000 revoked certificates has less.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Days before the end of the node's certificate from which on the log says so, once a day.
pub const WARN_DAYS: i64 = 30;

/// Where the node's certificates are.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The node's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of the clients.
    pub authority: PathBuf,
    /// Lists of revoked certificates, if there are any.
    pub revoked: Option<PathBuf>,
}

/// How renewal goes, for the metrics.
#[derive(Debug, Default)]
pub struct RenewalStats {
    /// Sets that were taken since the start.
    pub taken: AtomicU64,
    /// Sets that were refused since the start.
    pub refused: AtomicU64,
    /// 1 while the files are not what is in force.
    pub is_behind: AtomicU64,
    /// Days that the node's certificate in force is still good for; negative once it has ended.
    pub days_left: AtomicI64,
}

/// What a look found.
#[derive(Debug)]
pub enum Look {
    /// What was there before, or something that is not settled yet.
    Nothing,
    /// New ones, which are in force from now on.
    Taken,
    /// New ones that cannot be used; the old ones stay.
    Refused(TlsError),
}

/// Looks at the files, and hands on what is good.
#[derive(Debug)]
pub struct Renewer {
    files: CertificateFiles,
    alpn: Vec<u8>,
    stats: Arc<RenewalStats>,
    in_force: watch::Sender<Arc<Credentials>>,
    /// What was read last, and whether it was judged.
    last: (Option<blake3::Hash>, bool),
    warned_days: i64,
}

/// The contents of all files.
struct Contents {
    pair: Pair,
    authority: String,
    revoked: Option<String>,
    hash: blake3::Hash,
}

impl Renewer {
    /// Reads the files for the first time.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where they cannot be used: there is nothing older to stay with.
    pub fn start(
        files: CertificateFiles,
        alpn: &[u8],
        now: Timestamp,
        stats: &Arc<RenewalStats>,
    ) -> Result<Self, TlsError> {
        // For its messages, which name the file and what it should hold.
        Identity::load(&files.certificate, &files.key, &files.authority)?;
        let contents = files.read()?;
        let credentials = contents.credentials(alpn, now)?;
        let mut renewer = Self {
            files,
            alpn: alpn.to_vec(),
            stats: Arc::clone(stats),
            in_force: watch::Sender::new(Arc::new(credentials)),
            last: (Some(contents.hash), true),
            warned_days: i64::MAX,
        };
        renewer.count_days(now);
        Ok(renewer)
    }

    /// What is in force, now and later.
    pub fn in_force(&self) -> watch::Receiver<Arc<Credentials>> {
        self.in_force.subscribe()
    }

    /// Looks once. `at_once` judges what is there even where it was judged before, or may be half
    /// written: somebody asked for it.
    pub fn look(&mut self, now: Timestamp, at_once: bool) -> Look {
        self.count_days(now);
        let read = self.files.read();
        let hash = read.as_ref().ok().map(|contents| contents.hash);
        let (last, judged) = std::mem::replace(&mut self.last, (hash, false));
        if !at_once && (judged || last != hash) {
            // The same as before and judged, or just changed: somebody may still be writing.
            self.last.1 = judged && last == hash;
            return Look::Nothing;
        }
        self.last.1 = true;
        match read.and_then(|contents| contents.credentials(&self.alpn, now)) {
            Ok(credentials) => self.take(credentials, now),
            Err(error) => {
                self.stats.refused.fetch_add(1, Ordering::Relaxed);
                self.stats.is_behind.store(1, Ordering::Relaxed);
                tracing::error!(%error, "the new certificates are refused; the old ones stay");
                Look::Refused(error)
            }
        }
    }

    fn take(&mut self, credentials: Credentials, now: Timestamp) -> Look {
        self.in_force.send_replace(Arc::new(credentials));
        self.stats.taken.fetch_add(1, Ordering::Relaxed);
        self.stats.is_behind.store(0, Ordering::Relaxed);
        self.warned_days = i64::MAX;
        self.count_days(now);
        let days_left = self.stats.days_left.load(Ordering::Relaxed);
        tracing::info!(days_left, "new certificates are in force");
        Look::Taken
    }

    fn count_days(&mut self, now: Timestamp) {
        let ends = self.in_force.borrow().ends;
        let days = days_between(now, ends);
        self.stats.days_left.store(days, Ordering::Relaxed);
        if days <= WARN_DAYS && days < self.warned_days {
            self.warned_days = days;
            tracing::warn!(
                days_left = days,
                "the node's certificate ends soon: put a new one in place, no restart is needed"
            );
        }
    }
}

impl CertificateFiles {
    fn read(&self) -> Result<Contents, TlsError> {
        let certificate = read(&self.certificate, "the node's certificate")?;
        let key = read(&self.key, "its private key")?;
        let authority = read(&self.authority, "the certificate of the authority")?;
        let revoked = self.revoked.as_ref().map(|path| read(path, REVOKED)).transpose()?;
        let mut hasher = blake3::Hasher::new();
        for text in [&certificate, &key, &authority, revoked.as_ref().unwrap_or(&String::new())] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        let (pair, hash) = (Pair { certificate, key }, hasher.finalize());
        Ok(Contents { pair, authority, revoked, hash })
    }
}

impl Contents {
    fn credentials(&self, alpn: &[u8], now: Timestamp) -> Result<Credentials, TlsError> {
        let mut identity = Identity::from_pems(&self.pair, &self.authority)?;
        if let Some(lists) = &self.revoked {
            identity = identity.with_revoked(lists.as_bytes())?;
        }
        self.check_dates(now)?;
        identity.credentials(alpn)
    }

    /// A certificate that no client would believe is not taken in place of one that is believed.
    fn check_dates(&self, now: Timestamp) -> Result<(), TlsError> {
        let fault = |text: &str| TlsError::Config(format!("the node's certificate {text}"));
        let chain =
            tls::certificates(self.pair.certificate.as_bytes()).map_err(TlsError::Config)?;
        let leaf = chain.first().ok_or_else(|| fault("is missing"))?;
        if tls::not_after(leaf).is_none_or(|ends| ends < now) {
            return Err(fault("has ended; sign a new one with `haoyuan cert server`"));
        }
        if tls::not_before(leaf).is_none_or(|begins| now < begins) {
            return Err(fault("is not valid yet; look at its dates and at the clock"));
        }
        Ok(())
    }
}

fn read(path: &std::path::Path, wanted: &'static str) -> Result<String, TlsError> {
    let fault = |problem: String| TlsError::File { path: path.to_owned(), problem, wanted };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(fault(format!("it is over {FILE_BYTES_MAX} bytes long")));
    }
    Ok(text)
}

fn days_between(now: Timestamp, ends: Timestamp) -> i64 {
    let millis = |time: Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    (millis(ends) - millis(now)).div_euclid(MILLIS_PER_DAY)
}

const MILLIS_PER_DAY: i64 = 24 * 3_600_000;

const REVOKED: &str = "the list of revoked certificates";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ops::cert::{Authority, Validity};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const DAY: u64 = 24 * 3_600_000;

    fn validity(days: u32) -> Validity {
        Validity { now: NOW, days }
    }

    struct Setup {
        folder: tempfile::TempDir,
        authority: Authority,
        files: CertificateFiles,
        stats: Arc<RenewalStats>,
    }

    fn write_server(folder: &Path, authority: &Authority, validity: Validity) {
        let pair = authority.server(&["localhost".to_owned()], validity).unwrap();
        pair.write(folder, "server").unwrap();
    }

    fn setup(days: u32) -> Setup {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(validity(100)).unwrap();
        authority.pair().write(folder.path(), "ca").unwrap();
        write_server(folder.path(), &authority, validity(days));
        let list = authority.revocation_list(&[], validity(10)).unwrap();
        std::fs::write(folder.path().join("revoked.pem"), list).unwrap();
        let file = |name: &str| folder.path().join(name);
        let files = CertificateFiles {
            certificate: file("server.pem"),
            key: file("server.key"),
            authority: file("ca.pem"),
            revoked: Some(file("revoked.pem")),
        };
        Setup { folder, authority, files, stats: Arc::default() }
    }

    fn start(setup: &Setup) -> Result<Renewer, TlsError> {
        Renewer::start(setup.files.clone(), b"x", NOW, &setup.stats)
    }

    #[test]
    fn a_new_certificate_is_taken_once_it_has_settled() {
        let setup = setup(40);
        let mut renewer = start(&setup).unwrap();
        let in_force = renewer.in_force();
        let first = in_force.borrow().ends;
        assert!(matches!(renewer.look(NOW, false), Look::Nothing));
        write_server(setup.folder.path(), &setup.authority, validity(80));
        assert!(matches!(renewer.look(NOW, false), Look::Nothing), "it may be half written");
        assert!(matches!(renewer.look(NOW, false), Look::Taken));
        assert!(matches!(renewer.look(NOW, false), Look::Nothing));
        assert_eq!(in_force.borrow().ends, first.plus_millis(40 * DAY));
        assert_eq!(setup.stats.taken.load(Ordering::Relaxed), 1);
        assert!(matches!(renewer.look(NOW, true), Look::Taken), "SIGHUP takes what is there");
    }

    #[test]
    fn a_broken_file_is_refused_once_and_the_old_ones_stay_in_force() {
        let setup = setup(40);
        let mut renewer = start(&setup).unwrap();
        let in_force = renewer.in_force();
        let ends = in_force.borrow().ends;
        let stranger = Authority::new(validity(100)).unwrap();
        let path = setup.folder.path();
        let good: Vec<(PathBuf, Vec<u8>)> = ["server.pem", "server.key", "ca.pem", "revoked.pem"]
            .map(|name| (path.join(name), std::fs::read(path.join(name)).unwrap()))
            .to_vec();
        let other = stranger.server(&["localhost".to_owned()], validity(9)).unwrap();
        let ended = setup
            .authority
            .server(
                &["x".to_owned()],
                Validity { now: Timestamp::from_millis(NOW.as_millis() - 30 * DAY), days: 29 },
            )
            .unwrap();
        let foreign_list = stranger.revocation_list(&[], validity(1)).unwrap();
        let mut refused = 0;
        for (name, content, why) in [
            ("server.pem", None, "No such file"),
            ("server.pem", Some(other.certificate), "KeyMismatch"),
            ("server.pem", Some("hello".to_owned()), "no certificate"),
            ("server.pem", Some(ended.certificate), "has ended"),
            ("server.key", Some(String::new()), ""),
            (
                "ca.pem",
                Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
                "",
            ),
            ("revoked.pem", Some("garbage".to_owned()), "no list"),
            ("revoked.pem", Some(foreign_list), "signed by none"),
            ("revoked.pem", None, "No such file"),
            ("revoked.pem", Some("x".repeat(5 << 20)), "bytes long"),
        ] {
            match content {
                Some(content) => std::fs::write(path.join(name), content).unwrap(),
                None => std::fs::remove_file(path.join(name)).unwrap(),
            }
            assert!(matches!(renewer.look(NOW, false), Look::Nothing), "{name} {why}");
            let looked = renewer.look(NOW, false);
            let Look::Refused(error) = looked else { panic!("{name} {why}: {looked:?}") };
            assert!(error.to_string().contains(why), "{name} {why}: {error}");
            refused += 1;
            assert!(matches!(renewer.look(NOW, false), Look::Nothing), "said once");
            assert_eq!(setup.stats.refused.load(Ordering::Relaxed), refused);
            assert_eq!(setup.stats.is_behind.load(Ordering::Relaxed), 1);
            assert_eq!(in_force.borrow().ends, ends, "the old one stays");
            for (path, content) in &good {
                std::fs::write(path, content).unwrap();
            }
            renewer.look(NOW, false);
            assert!(matches!(renewer.look(NOW, false), Look::Taken), "repaired");
            assert_eq!(setup.stats.is_behind.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_node_does_not_start_with_a_certificate_that_nobody_would_believe() {
        let setup = setup(1);
        let at = |time: u64| {
            let now = Timestamp::from_millis(time);
            Renewer::start(setup.files.clone(), b"x", now, &setup.stats).map(drop)
        };
        let said = |result: Result<(), TlsError>| result.unwrap_err().to_string();
        assert!(at(NOW.as_millis()).is_ok());
        assert!(said(at(NOW.as_millis() + 2 * DAY)).contains("has ended"));
        assert!(said(at(NOW.as_millis() - DAY)).contains("not valid yet"));
    }

    #[test]
    fn the_days_that_are_left_are_counted_down() {
        let setup = setup(40);
        let mut renewer = start(&setup).unwrap();
        for (after, left) in [(0, 40), (DAY - 1, 39), (DAY, 39), (39 * DAY + 1, 0), (41 * DAY, -1)]
        {
            renewer.look(NOW.plus_millis(after), false);
            assert_eq!(setup.stats.days_left.load(Ordering::Relaxed), left, "after {after}");
        }
    }
}
