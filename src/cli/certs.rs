//! Certificate files, by the names that `cert` and `--dev` give them.
//!
//! ```text
//! ca.pem ca.key   server.pem server.key   <role>.pem <role>.key
//! ```

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::model::{Actor, Role};
use crate::ops::cert::{Authority, CertError, Pair, Validity};
use crate::ops::clock::Clock;
use crate::ops::renew::CertificateFiles;
use crate::ops::tls::{Identity, TlsError};

/// The name of the authority's files.
pub(super) const AUTHORITY: &str = "ca";
/// The name of the node's files.
pub(super) const SERVER: &str = "server";

/// The folder of the certificates that `serve --dev` makes.
pub(super) fn dev_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("dev-certs")
}

/// Makes an authority, a server's certificate for loopback, and a client's for each role; or leaves
/// them as they are where they were made before.
pub(super) fn prepare_dev(data_dir: &Path) -> Result<PathBuf, Failure> {
    let folder = dev_folder(data_dir);
    let names = [AUTHORITY, SERVER].into_iter().chain(Role::ALL.map(Role::name));
    if names.clone().all(|name| pem(&folder, name).is_file() && key(&folder, name).is_file()) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::usage(
            format!("cannot make {}: {error}", folder.display()),
            "name a folder that you may write to with --data-dir",
        )
    })?;
    let made = || -> Result<(), CertError> {
        let validity = Validity { now: Clock::start().now(), days: DEV_DAYS };
        let authority = Authority::new(validity)?;
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        authority.server(&hosts, validity)?.write(&folder, SERVER)?;
        for role in Role::ALL {
            let actor = Actor::unbounded(role);
            authority.client(role.name(), &actor, validity)?.write(&folder, role.name())?;
        }
        // Last: a folder with an authority is complete.
        authority.pair().write(&folder, AUTHORITY)?;
        Ok(())
    };
    made().map_err(|error| of_cert(&error))?;
    Ok(folder)
}

/// What the holder of a name shows, and whom it believes.
pub(super) fn identity(folder: &Path, name: &str) -> Result<Identity, Failure> {
    Identity::load(&pem(folder, name), &key(folder, name), &pem(folder, AUTHORITY))
        .map_err(|error| of_tls(&error))
}

/// The files of a node's name in a folder, and the list of revoked certificates where there is one.
pub(super) fn files(folder: &Path, name: &str) -> CertificateFiles {
    CertificateFiles {
        certificate: pem(folder, name),
        key: key(folder, name),
        authority: pem(folder, AUTHORITY),
        revoked: Some(revoked(folder)).filter(|path| path.is_file()),
    }
}

/// The list of revoked certificates that `cert revoke` makes.
pub(super) fn revoked(folder: &Path) -> PathBuf {
    folder.join("revoked.pem")
}

/// The authority whose files are in a folder.
pub(super) fn authority(folder: &Path) -> Result<Authority, Failure> {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(
                format!("cannot read {}: {error}", path.display()),
                "make an authority with `haoyuan cert ca --out DIR`, and name it with --ca DIR",
            )
        })
    };
    let (certificate, key) = (read(pem(folder, AUTHORITY))?, read(key(folder, AUTHORITY))?);
    Authority::from_pair(&Pair { certificate, key }).map_err(|error| of_cert(&error))
}

/// A certificate's file.
pub(super) fn pem(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.pem"))
}

/// A key's file.
pub(super) fn key(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key"))
}

/// A certificate that cannot be made.
pub(super) fn of_cert(error: &CertError) -> Failure {
    Failure::usage(error.to_string(), "`haoyuan cert help` shows how certificates are made")
}

/// Certificates that cannot be used.
pub(super) fn of_tls(error: &TlsError) -> Failure {
    Failure::usage(error.to_string(), "`haoyuan cert help` shows how certificates are made")
}

/// Ten years: nobody should renew the certificates of a laptop.
const DEV_DAYS: u32 = 3_650;
