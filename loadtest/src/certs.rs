//! Certificates: made for a node of our own, or read from a folder for one that runs.
//!
//! ```text
//! folder: authority.pem  node.pem node.key  gateway.pem gateway.key  admin.pem admin.key
//! ```

use std::net::SocketAddr;
use std::path::Path;

use haoyuan::client::Dialer;
use haoyuan::model::{Actor, Role};
use haoyuan::ops::cert::{Authority, Validity};
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::ALPN;

use crate::{Failure, clock};

/// The name in a node's certificate, unless an address is given.
pub(crate) const SERVER_NAME: &str = "localhost";

/// Makes an authority, a certificate for a node on loopback, and one for each role that we play.
pub(crate) fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let validity = Validity { now: clock::wall(), days: 2 };
    let authority = Authority::new(validity)?;
    authority.pair().write(folder, "authority")?;
    authority.server(&[SERVER_NAME.to_owned()], validity)?.write(folder, "node")?;
    for role in [Role::Gateway, Role::Admin] {
        let pair = authority.client("loadtest", &Actor::unbounded(role), validity)?;
        pair.write(folder, role.name())?;
    }
    Ok(())
}

/// The node's side of the certificates in a folder.
pub(crate) fn identity(folder: &Path, name: &str) -> Result<Identity, Failure> {
    let file = |name: &str, kind: &str| folder.join(format!("{name}.{kind}"));
    Ok(Identity::load(&file(name, "pem"), &file(name, "key"), &file("authority", "pem"))?)
}

/// A socket that connects in a role. Must be called in a runtime.
pub(crate) fn dialer(folder: &Path, servers: &[SocketAddr], role: Role) -> Result<Dialer, Failure> {
    let tls = identity(folder, role.name())?.client(ALPN)?;
    Ok(Dialer::new(servers, SERVER_NAME, tls)?)
}
