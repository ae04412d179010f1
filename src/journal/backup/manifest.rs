//! What a backup consists of, as text: one line for each thing, and a hash over all of them.
//!
//! ```text
//! haoyuan backup 1
//! release 0.1.0
//! first 1
//! sequence 48231
//! time_ms 1792402389123
//! file 1041 5f0c…  archive/0000000000000001-0000000000000e10.arc
//! checksum 8ad1…
//! ```
//!
//! **Architecture invariant:** the last line is the hash of all before it, so a manifest is whole
//! or it is none.

use std::fmt::Write as _;
use std::path::Path;

use super::{BackupError, MANIFEST};
use crate::journal::{Sequence, Timestamp};

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The release that made it.
    pub release: String,
    /// The first record in it.
    pub first: Sequence,
    /// The last record in it.
    pub sequence: Sequence,
    /// The time of the last record.
    pub time: Timestamp,
    /// Its files.
    pub files: Vec<ManifestFile>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path in the backup, with slashes.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its BLAKE3 hash.
    pub hash: [u8; 32],
}

impl Manifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The files of one folder of the backup, in the order of their names.
    pub(super) fn files_in(&self, folder: &str) -> Vec<&ManifestFile> {
        let is_in = |file: &&ManifestFile| {
            file.name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        let mut files: Vec<_> = self.files.iter().filter(is_in).collect();
        files.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        files
    }

    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "{HEAD}{FORMAT}\nrelease {}\nfirst {}\nsequence {}\ntime_ms {}\n",
            self.release,
            self.first.0,
            self.sequence.0,
            self.time.as_millis()
        );
        for file in &self.files {
            let hash = blake3::Hash::from_bytes(file.hash).to_hex();
            let _written = writeln!(text, "file {} {hash} {}", file.bytes, file.name);
        }
        let checksum = blake3::hash(text.as_bytes()).to_hex();
        let _written = writeln!(text, "checksum {checksum}");
        text
    }

    /// Reads the manifest of the backup at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, BackupError> {
        let file = path.join(MANIFEST);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = format!("{MANIFEST} cannot be read ({error})");
                return Err(BackupError::NoBackup { path: path.to_owned(), why });
            }
        };
        let text = str::from_utf8(&bytes)
            .map_err(|_| BackupError::damaged(format!("{MANIFEST} is no text")))?;
        let rest = text.strip_prefix(HEAD).ok_or_else(|| BackupError::NoBackup {
            path: path.to_owned(),
            why: format!("{MANIFEST} does not begin with \"{}\"", HEAD.trim_end()),
        })?;
        let body = checked(text)?;
        let format = rest.lines().next().and_then(|line| line.parse::<u32>().ok());
        match format {
            Some(FORMAT) => {}
            Some(found) if FORMAT < found => {
                return Err(BackupError::NewerFormat { path: file, found, known: FORMAT });
            }
            _ => return Err(BackupError::damaged(format!("{MANIFEST} names no format"))),
        }
        let parsed: Option<Self> = parse(body);
        parsed.ok_or_else(|| BackupError::damaged(format!("{MANIFEST} has a line of another kind")))
    }
}

/// The text before the checksum, which must hold.
fn checked(text: &str) -> Result<&str, BackupError> {
    let cut = || BackupError::damaged(format!("{MANIFEST} is cut: it has no checksum"));
    let (body, last) =
        text.strip_suffix('\n').and_then(|it| it.rsplit_once('\n')).ok_or_else(cut)?;
    let checksum = last.strip_prefix("checksum ").ok_or_else(cut)?;
    let (body, _) = text.split_at(body.len() + 1);
    let hash = blake3::hash(body.as_bytes());
    if blake3::Hash::from_hex(checksum).is_ok_and(|written| written == hash) {
        Ok(body)
    } else {
        Err(BackupError::damaged(format!("the checksum of {MANIFEST} is wrong")))
    }
}

fn parse(body: &str) -> Option<Manifest> {
    let mut manifest = Manifest::default();
    for line in body.lines().skip(1) {
        let (key, value) = line.split_once(' ')?;
        match key {
            "release" => value.clone_into(&mut manifest.release),
            "first" => manifest.first = Sequence(value.parse().ok()?),
            "sequence" => manifest.sequence = Sequence(value.parse().ok()?),
            "time_ms" => manifest.time = Timestamp::from_millis(value.parse().ok()?),
            "file" => manifest.files.push(parse_file(value)?),
            _ => return None,
        }
    }
    Some(manifest)
}

fn parse_file(value: &str) -> Option<ManifestFile> {
    let (bytes, rest) = value.split_once(' ')?;
    let (hash, name) = rest.split_once(' ')?;
    let is_inside = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_inside.then_some(())?;
    let hash = *blake3::Hash::from_hex(hash).ok()?.as_bytes();
    Some(ManifestFile { name: name.to_owned(), bytes: bytes.parse().ok()?, hash })
}

const HEAD: &str = "haoyuan backup ";
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            release: "0.1.0".to_owned(),
            first: Sequence(1),
            sequence: Sequence(9),
            time: Timestamp::from_millis(77),
            files: vec![ManifestFile { name: "log/a.arc".to_owned(), bytes: 5, hash: [7; 32] }],
        }
    }

    #[expect(clippy::unwrap_in_result, reason = "a test that cannot write ends")]
    fn read(text: &str) -> Result<Manifest, BackupError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        Manifest::read(folder.path())
    }

    /// With a checksum that holds.
    fn sealed(body: &str) -> String {
        format!("{body}checksum {}\n", blake3::hash(body.as_bytes()).to_hex())
    }

    #[test]
    fn a_manifest_reads_back_and_no_changed_byte_passes() {
        let text = manifest().render();
        assert_eq!(read(&text).unwrap(), manifest());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(text.split_at(at).0).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_its_number() {
        let text = sealed("haoyuan backup 2\nrelease 9.0.0\nshards 4\n");
        let told = read(&text).unwrap_err().to_string();
        assert!(told.contains("format 2") && told.contains("up to 1"), "{told}");
    }

    #[test]
    fn a_path_that_leads_out_of_the_backup_is_refused() {
        for name in ["../mark", "/etc/passwd", "log/../../x", "log//x", ""] {
            let hash = blake3::Hash::from_bytes([0; 32]).to_hex();
            let text = sealed(&format!("haoyuan backup 1\nfile 5 {hash} {name}\n"));
            assert!(matches!(read(&text), Err(BackupError::Damaged { .. })), "{name}");
        }
    }
}
