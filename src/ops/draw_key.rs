//! The key file of a node's draws: 32 random bytes, made at the first start, for its owner only.
//!
//! **Architecture invariant:** a key that is there is never replaced: draws that were announced are
//! bound to it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::draw::NodeKey;

/// The name of the file in the folder of keys.
pub const DRAW_KEY: &str = "draw.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum DrawKeyError {
    /// The file system refuses.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it says.
        source: std::io::Error,
    },
    /// The file is no key.
    #[error("{} is no key of {} bytes", path.display(), NodeKey::BYTES)]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("{} may be read by others than its owner", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads the key, or makes it where there is none. Says whether it is new.
///
/// # Errors
///
/// [`DrawKeyError`].
pub fn obtain(path: &Path) -> Result<(NodeKey, bool), DrawKeyError> {
    match File::open(path) {
        Ok(file) => read(path, file).map(|key| (key, false)),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).map(|key| (key, true)),
        Err(source) => Err(DrawKeyError::Io { what: "open", path: path.to_owned(), source }),
    }
}

fn read(path: &Path, mut file: File) -> Result<NodeKey, DrawKeyError> {
    let failed = |source| DrawKeyError::Io { what: "read", path: path.to_owned(), source };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(DrawKeyError::Exposed { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let malformed = |_| DrawKeyError::Malformed { path: path.to_owned() };
    bytes.try_into().map(NodeKey::new).map_err(malformed)
}

/// Makes a key under another name first, so that half of one is never there.
fn make(path: &Path) -> Result<NodeKey, DrawKeyError> {
    let failed = |what| move |source| DrawKeyError::Io { what, path: path.to_owned(), source };
    let mut bytes = [0; NodeKey::BYTES];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.map_err(failed("draw random bytes for"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
    let temporary = path.with_extension("new");
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
    let written = file.and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(failed("write"))?;
    Ok(NodeKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DrawId, PoolIndex, SessionId};

    #[test]
    fn a_key_is_made_once_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys").join(DRAW_KEY);
        let draw = DrawId { session: SessionId(1), pool: PoolIndex(0) };
        let (made, is_new) = obtain(&path).unwrap();
        assert!(is_new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (read, is_new) = obtain(&path).unwrap();
        assert!(!is_new);
        assert_eq!(made.commitment(draw), read.commitment(draw));
        let other = obtain(&folder.path().join("other")).unwrap().0;
        assert_ne!(made.commitment(draw), other.commitment(draw));
    }

    #[test]
    fn a_key_that_is_short_or_readable_for_others_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DRAW_KEY);
        obtain(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(obtain(&path), Err(DrawKeyError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(obtain(&path), Err(DrawKeyError::Malformed { .. })));
        assert_eq!(fs::read(&path).unwrap(), [1; 31]);
    }
}
