//! Backups: made beside a loaded node, verified, restored, refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use haoyuan::client::{Client, ClientConfig, ids};
use haoyuan::model::*;
use haoyuan::ops::clock::Clock;
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::ALPN;
use serde_json::Value;

use super::cli::{haoyuan, json, text};
use super::golden_folder::unpack;
use super::world::{Serving, hold};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Clients that hold and book, and now and then release, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(node: &Serving, sessions: u64) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let certs = node.certs();
        let pem = |end: &str| certs.join(end);
        let identity =
            Identity::load(&pem("gateway.pem"), &pem("gateway.key"), &pem("ca.pem")).unwrap();
        let address = node.server.parse().unwrap();
        let config = ClientConfig::new(vec![address], "localhost", identity.client(ALPN).unwrap());
        let (told, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let client = Client::new(&config).unwrap();
                let mut tasks = Vec::new();
                for task in 0..TASKS {
                    let (told, count) = (Arc::clone(&told), Arc::clone(&count));
                    tasks.push(visit(client.clone(), task, sessions, told, count));
                }
                let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        });
        Self { stop, answered, thread: Some(thread) }
    }

    /// Waits until so many more changes were answered.
    fn wait_for(&self, more: u64) {
        let until = self.answered.load(Ordering::SeqCst) + more;
        while self.answered.load(Ordering::SeqCst) < until {
            assert!(!self.thread.as_ref().unwrap().is_finished(), "the load has ended");
            std::thread::yield_now();
        }
    }

    /// Says how much was answered.
    fn end(&mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        self.answered.load(Ordering::SeqCst)
    }
}

const TASKS: u128 = 8;

async fn visit(
    client: Client,
    task: u128,
    sessions: u64,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) {
    let clock = Clock::start();
    for number in 0_u128.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let id = ids::new_appointment_id(clock.now());
        let session = u64::try_from(number).unwrap() % sessions + 1;
        let patient = task << 64 | number;
        // The client is gone when the node is: the load then ends by itself.
        if client.hold(hold(id, patient, &[session])).await.is_err() {
            return;
        }
        let change = Change {
            request: ids::new_request_id(clock.now()),
            appointment: id,
            patient: Some(PatientId(patient)),
            channel: BookingChannel::default(),
            action: match number % 3 {
                0 => Action::Release,
                _ => Action::Book { payment: PaymentRef(number) },
            },
        };
        let changed = client.change(change).await;
        if changed.is_err() {
            return;
        }
        answered.fetch_add(2, Ordering::SeqCst);
    }
}

fn journal(data: &Path) -> Vec<String> {
    let output = haoyuan(&["journal", "--data-dir", text(data), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_backup_beside_a_loaded_node_restores_to_the_digest_of_its_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("node.toml"));
    // A snapshot whenever it may be: the backup meets one that is being made.
    fs::write(&config, "[journal]\nsnapshot_every_records = 1000\n").unwrap();
    let node = Serving::start(&data, &["--config", text(&config)]);
    for id in 1..=4 {
        node.open(id, 250, 200);
    }
    let mut load = Load::start(&node, 4);
    let mut backups: Vec<(PathBuf, Value)> = Vec::new();
    for name in ["first", "second", "third"] {
        load.wait_for(1_500);
        let before = load.answered.load(Ordering::SeqCst);
        let to = folder.path().join(name);
        let made = node.backup(&to);
        assert!(load.thread.as_ref().is_some_and(|it| !it.is_finished()), "there was no load");
        assert!(before + 4 <= number(&made, "last_seq"), "{before} answered before {made}");
        backups.push((to, made));
    }
    let answered = load.end();
    node.kill();

    let whole = journal(&data);
    let with_snapshot = backups.iter().filter(|(_, made)| made.to_string().contains("snapshots/"));
    assert!(0 < with_snapshot.count(), "no backup has a snapshot");
    for (path, made) in &backups {
        let last = number(made, "last_seq");
        assert!(last < answered, "nothing happened after the backup: {last} of {answered}");
        let verified = json(&["backup", "verify", text(path), "--json"]);
        assert_eq!(&verified, made);
        let restored = path.with_extension("restored");
        let told =
            json(&["restore", "--from", text(path), "--data-dir", text(&restored), "--json"]);
        assert_eq!((number(&told, "last_seq"), &told["audited"]), (last, &true.into()));
        let then = ["audit", "--data-dir", text(&data), "--json", "--through", &last.to_string()];
        let then = json(&then);
        let audit = json(&["audit", "--data-dir", text(&restored), "--json"]);
        assert_eq!(told["digest"], then["digest"]);
        assert_eq!(audit, then, "the audits of the restored folder and of the node then");
        let expected: Vec<_> = whole.iter().take_while(|line| seq(line) <= last).cloned().collect();
        assert_eq!(journal(&restored), expected);
    }

    let restored = backups[0].0.with_extension("restored");
    let node = Serving::start(&restored, &[]);
    node.told(&["hold", "1", "--patient-text", "Han Meimei", "--book", "42"]);
    assert_eq!(node.stop(), Some(0));
    let audit = json(&["audit", "--data-dir", text(&restored), "--json"]);
    assert_eq!(number(&audit, "last_seq"), number(&backups[0].1, "last_seq") + 1);
}

fn seq(line: &str) -> u64 {
    number(&serde_json::from_str(line).unwrap(), "seq")
}

/// A golden folder, with archive and snapshots, and a backup of it.
fn backed_up(folder: &Path) -> (PathBuf, PathBuf, Value) {
    let (data, to) = (unpack(VERSION, folder), folder.join("backup"));
    let made = json(&["backup", "--data-dir", text(&data), "--to", text(&to), "--json"]);
    (data, to, made)
}

#[test]
fn a_stopped_folder_with_an_archive_is_backed_up_restored_and_backed_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, made) = backed_up(folder.path());
    let digest = json(&["audit", "--data-dir", text(&data), "--json"])["digest"].clone();
    let lines = journal(&data);
    let mut from = backup;
    for round in ["one", "two"] {
        let restored = folder.path().join(round);
        // An empty folder that is there already is filled.
        fs::create_dir(&restored).unwrap();
        let told =
            json(&["restore", "--from", text(&from), "--data-dir", text(&restored), "--json"]);
        assert_eq!((&told["digest"], &told["last_seq"]), (&digest, &made["last_seq"]), "{round}");
        assert_eq!(journal(&restored), lines, "{round}");
        from = folder.path().join(format!("backup of {round}"));
        let again = ["backup", "--data-dir", text(&restored), "--to", text(&from), "--json"];
        assert_eq!(json(&again)["files"].as_array(), made["files"].as_array(), "{round}");
    }
    let names = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    let unfinished = |name: &String| name.ends_with(".partial") || name.ends_with(".restoring");
    let left: Vec<_> = names.map(|it| it.into_string().unwrap()).filter(unfinished).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn an_archive_that_was_moved_elsewhere_leaves_a_backup_that_a_node_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let digest = json(&["audit", "--data-dir", text(&data), "--json"])["digest"].clone();
    let files = || -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(data.join("archive")).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        files
    };
    // The oldest first, then all of it.
    while let Some(oldest) = files().first() {
        fs::remove_file(oldest).unwrap();
        let left = files().len();
        let (to, new) =
            (folder.path().join(format!("b{left}")), folder.path().join(format!("r{left}")));
        let made = json(&["backup", "--data-dir", text(&data), "--to", text(&to), "--json"]);
        assert!(1 < number(&made, "first_seq"), "{made}");
        let told = json(&["restore", "--from", text(&to), "--data-dir", text(&new), "--json"]);
        assert_eq!((&told["digest"], &told["audited"]), (&digest, &false.into()));
        assert_eq!(Serving::start(&new, &[]).stop(), Some(0), "a node starts from it");
    }
}

#[test]
fn a_damaged_backup_is_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (_, backup, made) = backed_up(folder.path());
    let mut names: Vec<String> = made["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap().to_owned())
        .collect();
    names.push("MANIFEST".to_owned());
    assert!(
        ["archive/", "log/", "snapshots/"]
            .iter()
            .all(|kind| { names.iter().any(|name| name.starts_with(kind)) })
    );
    let target = folder.path().join("restored");
    let mut trials = 0;
    for name in &names {
        let path = backup.join(name);
        let whole = fs::read(&path).unwrap();
        let flip = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            Some(bytes)
        };
        let mut damages: Vec<Option<Vec<u8>>> =
            (0..6).map(|part| flip((whole.len() - 1) * part / 5)).collect();
        damages.push(Some(whole[..whole.len() / 2].to_vec()));
        damages.push(Some([whole.as_slice(), b"\n"].concat()));
        damages.push(None);
        for damage in damages {
            match damage {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            for command in [
                vec!["backup", "verify", text(&backup)],
                vec!["restore", "--from", text(&backup), "--data-dir", text(&target)],
            ] {
                let output = haoyuan(&command);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {errors}");
                assert!(errors.contains(name.as_str()), "{name}: {errors}");
                assert!(!target.exists(), "{name}: something was restored");
            }
            trials += 1;
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(trials, names.len() * 9);
    json(&["backup", "verify", text(&backup), "--json"]);
}

#[test]
fn whole_files_of_another_backup_are_found_by_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (_, backup, made) = backed_up(folder.path());
    let named = |kind: &str| -> String {
        let files = made["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["name"].as_str().unwrap().starts_with(kind));
        file.unwrap()["name"].as_str().unwrap().to_owned()
    };
    // A manifest that leaves a file out, sealed as if that were all.
    for (kind, expected) in [
        ("archive/", "its manifest says"),
        ("log/", "its manifest says"),
        ("snapshots/", "no snapshot in it reaches"),
    ] {
        let path = backup.join("MANIFEST");
        let whole = fs::read_to_string(&path).unwrap();
        let (body, _) = whole.split_once("checksum ").unwrap();
        let name = named(kind);
        let kept: Vec<&str> = body.lines().filter(|line| !line.ends_with(&name)).collect();
        let kept = kept.join("\n") + "\n";
        let sealed = format!("{kept}checksum {}\n", blake3::hash(kept.as_bytes()).to_hex());
        fs::write(&path, sealed).unwrap();
        let output = haoyuan(&["backup", "verify", text(&backup)]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{kind}: {errors}");
        assert!(errors.contains(expected), "{kind}: {errors}");
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn bad_use_of_backup_and_restore_ends_with_code_2_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, _) = backed_up(folder.path());
    let new = folder.path().join("new");
    let absent = folder.path().join("absent");
    for (arguments, expected) in [
        (vec!["backup"], "--data-dir"),
        (vec!["backup", "--data-dir", text(&data)], "--to"),
        (vec!["backup", "--data-dir", text(&absent), "--to", text(&new)], "is not a data folder"),
        (vec!["backup", "--data-dir", text(&data), "--to", text(&backup)], "is there already"),
        (vec!["backup", "verify", text(&data)], "is no backup"),
        (vec!["backup", "verify", text(&absent)], "is no backup"),
        (vec!["restore", "--from", text(&backup)], "--data-dir"),
        (vec!["restore", "--from", text(&data), "--data-dir", text(&new)], "is no backup"),
        (vec!["restore", "--from", text(&backup), "--data-dir", text(&data)], "is there already"),
    ] {
        let output = haoyuan(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(!new.exists(), "{arguments:?}");
    }
    for help in
        [vec!["backup", "--help"], vec!["restore", "--help"], vec!["backup", "verify", "--help"]]
    {
        let told = String::from_utf8(haoyuan(&help).stdout).unwrap();
        assert!(told.contains("Example"), "{help:?}: {told}");
    }
}

#[test]
fn what_an_interrupted_backup_left_is_neither_a_backup_nor_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, made) = backed_up(folder.path());
    let partial = folder.path().join("next.partial");
    fs::rename(&backup, &partial).unwrap();
    fs::remove_file(partial.join("MANIFEST")).unwrap();
    let verified = haoyuan(&["backup", "verify", text(&partial)]);
    assert_eq!(verified.status.code(), Some(2));
    let to = folder.path().join("next");
    let again = json(&["backup", "--data-dir", text(&data), "--to", text(&to), "--json"]);
    assert_eq!(again["files"], made["files"]);
    assert!(!partial.exists());
}

#[test]
fn a_backup_of_a_damaged_folder_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let archive = fs::read_dir(data.join("archive")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&archive).unwrap();
    bytes[200] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let to = folder.path().join("backup");
    let output = haoyuan(&["backup", "--data-dir", text(&data), "--to", text(&to)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(archive.file_name().unwrap().to_str().unwrap()), "{errors}");
    assert!(!to.exists() && !folder.path().join("backup.partial").exists());
}

/// Files in a folder and below it; none where it is not there.
fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

#[test]
fn a_backup_or_a_restore_that_is_killed_leaves_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, made) = backed_up(folder.path());
    let mut interrupted = 0;
    for files in 0..8 {
        let (copy, new) =
            (folder.path().join(format!("b{files}")), folder.path().join(format!("r{files}")));
        for (arguments, target, staging) in [
            (["backup", "--data-dir", text(&data), "--to", text(&copy)], &copy, "partial"),
            (["restore", "--from", text(&backup), "--data-dir", text(&new)], &new, "restoring"),
        ] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let staging = target.with_extension(staging);
            // Somewhere in the middle: as soon as so many files are there.
            while child.try_wait().unwrap().is_none() && count(&staging) <= files {
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            interrupted += usize::from(!target.exists());
            // The next attempt is not hindered, whatever the killed one left.
            if !target.exists() {
                assert!(haoyuan(&arguments).status.success(), "after {files} files");
            }
            assert!(!staging.exists());
        }
        assert_eq!(json(&["backup", "verify", text(&copy), "--json"])["files"], made["files"]);
        let audit = json(&["audit", "--data-dir", text(&new), "--json"]);
        assert_eq!(audit["last_seq"], made["last_seq"]);
    }
    assert!(4 <= interrupted, "{interrupted} of 16 were killed before their end");
}
