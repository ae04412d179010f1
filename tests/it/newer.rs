//! A folder that a newer release wrote is refused, and the message says which format is needed.

use std::fs;
use std::path::{Path, PathBuf};

use haoyuan::codec::FACT_FORMAT;

use super::cli::{haoyuan, text};
use super::golden_folder::unpack;
use super::world::append;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of a folder, oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files
}

/// Changes the magic of a file that ends in the hash of the rest.
fn newer_file(path: &Path, magic: [u8; 8]) {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(bytes.len() - 32);
    bytes[..8].copy_from_slice(&magic);
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    fs::write(path, bytes).unwrap();
}

fn newer_folder(data: &Path) {
    fs::write(data.join("FORMAT"), "haoyuan data folder 7\n").unwrap();
}

fn newer_mark(data: &Path) {
    let path = data.join("mark");
    let mut bytes = fs::read(&path).unwrap();
    for slot in [0, 4_096] {
        bytes[slot..slot + 8].copy_from_slice(b"haoym007");
        let hash = blake3::hash(&bytes[slot..slot + 48]);
        bytes[slot + 48..slot + 64].copy_from_slice(&hash.as_bytes()[..16]);
    }
    fs::write(path, bytes).unwrap();
}

fn newer_snapshot(data: &Path) {
    newer_file(files(&data.join("snapshots")).last().unwrap(), *b"haoys007");
}

fn newer_archive(data: &Path) {
    newer_file(&files(&data.join("archive"))[0], *b"haoya007");
}

/// Turns the last block of the log into one of format 7 that follows the one before it.
fn newer_block(data: &Path) {
    let db = sled::open(data.join("store")).unwrap();
    let mut names: Vec<_> =
        db.tree_names().into_iter().filter(|name| name.starts_with(b"log-")).collect();
    names.sort();
    let tree = db.open_tree(names.last().unwrap()).unwrap();
    let (key, block) = tree.last().unwrap().unwrap();
    let (_, before) = tree.get_lt(&key).unwrap().unwrap();
    let mut block = block.to_vec();
    block[0] = 7;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before[20..36]).update(&block[..20]).update(&block[36..]);
    let chain = hasher.finalize();
    block[20..36].copy_from_slice(&chain.as_bytes()[..16]);
    tree.insert(key, block).unwrap();
    db.flush().unwrap();
}

/// Appends a record with a fact of a kind that nobody knows yet.
fn newer_fact(data: &Path) {
    append(data, |buffer| buffer.extend_from_slice(&[1, 99, 5, 5]));
}

#[test]
fn a_folder_of_a_newer_format_is_refused_with_the_format_that_is_needed() {
    let newer = FACT_FORMAT + 1;
    for (what, change, expected) in [
        ("FORMAT", newer_folder as fn(&Path), "folder format 7".to_owned()),
        ("mark", newer_mark, "mark format 7".to_owned()),
        ("snapshot", newer_snapshot, "snapshot format 7".to_owned()),
        ("archive", newer_archive, "archive format 7".to_owned()),
        ("block", newer_block, "block format 7".to_owned()),
        ("fact", newer_fact, format!("fact format {newer}")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = unpack(VERSION, folder.path());
        change(&data);
        let commands = [
            (
                vec!["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)],
                "archive",
            ),
            (vec!["audit", "--data-dir", text(&data)], "snapshot"),
            (vec!["journal", "--data-dir", text(&data)], "snapshot"),
        ];
        for (arguments, elsewhere) in commands {
            // A start reads no archive; the facts alone need no snapshot, and an audit takes it last.
            if what == elsewhere {
                continue;
            }
            let output = haoyuan(&arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            let context = format!("{what}: {arguments:?}: {errors}");
            assert_eq!(output.status.code(), Some(2), "{context}");
            for words in [expected.as_str(), VERSION, "newer release", "nothing was changed"] {
                assert!(errors.contains(words), "{words}: {context}");
            }
            assert!(!errors.contains("damaged the") && !errors.contains("restore it"), "{context}");
        }
    }
}

#[test]
fn a_newer_format_in_a_backup_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let backup = folder.path().join("backup");
    let made = haoyuan(&["backup", "--data-dir", text(&data), "--to", text(&backup)]);
    assert!(made.status.success());
    let manifest = fs::read_to_string(backup.join("MANIFEST")).unwrap();
    let (body, _) = manifest.split_once("checksum ").unwrap();
    let body = body.replace("haoyuan backup 1", "haoyuan backup 7");
    let sealed = format!("{body}checksum {}\n", blake3::hash(body.as_bytes()).to_hex());
    fs::write(backup.join("MANIFEST"), sealed).unwrap();
    let target = folder.path().join("restored");
    let restored = haoyuan(&["restore", "--from", text(&backup), "--data-dir", text(&target)]);
    let errors = String::from_utf8_lossy(&restored.stderr);
    assert_eq!(restored.status.code(), Some(2), "{errors}");
    assert!(errors.contains("backup format 7") && errors.contains("up to 1"), "{errors}");
    assert!(!target.exists());
}

#[test]
fn a_block_that_only_looks_newer_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let path = files(&data.join("archive"))[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    // The format of the first block, 32 + 8 bytes into the file; its chain does not follow.
    assert_eq!(bytes[40..42], [1, b'H']);
    bytes[40] = 2;
    bytes.truncate(bytes.len() - 32);
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    fs::write(&path, bytes).unwrap();
    let output = haoyuan(&["audit", "--data-dir", text(&data)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("cannot be read") && errors.contains("restore it"), "{errors}");
}
