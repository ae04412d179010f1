//! Damage: bytes flipped, cut, lost or of another day, anywhere in the folder. Either the node says
//! where and what to do, or it comes to the same state.
//!
//! ```text
//! folder with a past --copy--> one thing damaged --> judge (a process of its own) --> verdict
//! ```
//!
//! **Architecture invariant:** what is judged is what a node does: the same start, the same history.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use haoyuan::journal::{JournalError, is_opening_store};
use haoyuan::model::Sequence;
use haoyuan::ops::trace::hide_panics;
use haoyuan::service::Service;
use haoyuan::service::audit::history;
use serde::{Deserialize, Serialize};

use crate::power::random::{Random, told_seed};
use crate::power::{data, folder_with_a_past, options};

/// What a start made of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Verdict {
    /// The state, or why there is none.
    state: Result<String, String>,
    /// A hash over all records, archived ones too, or why they cannot be read.
    history: Result<String, String>,
}

/// One thing that happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    FlipBit,
    OtherByte,
    ZeroSector,
    NoiseSector,
    SwapSectors,
    Cut,
    Grow,
    Delete,
    /// The file is as it was at an earlier stop.
    Old,
}

const HARMS: [Harm; 9] = [
    Harm::FlipBit,
    Harm::OtherByte,
    Harm::ZeroSector,
    Harm::NoiseSector,
    Harm::SwapSectors,
    Harm::Cut,
    Harm::Grow,
    Harm::Delete,
    Harm::Old,
];

/// Files, and how many of a hundred trials each kind gets.
const KINDS: [(&str, u64); 7] = [
    ("store/db", 40),
    ("store/snap.", 10),
    ("store/conf", 3),
    ("snapshots/", 18),
    ("mark", 12),
    ("archive/", 14),
    ("FORMAT", 3),
];

/// What the messages of a refusal may tell to do.
const INSTRUCTIONS: [&str; 4] =
    ["restore it from a backup", "use a newer release", "look at the disk", "check the path"];

/// A process that starts on folders, one after the other. A damaged folder may kill it.
struct Judge {
    child: Child,
    folders: ChildStdin,
    verdicts: Receiver<Verdict>,
}

impl Judge {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["damage::judges", "--exact", "--ignored", "--nocapture"])
            .env("HAOYUAN_JUDGE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (told, verdicts) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(verdict) = serde_json::from_str(&line)
                    && told.send(verdict).is_err()
                {
                    return;
                }
            }
        });
        Self { folders: child.stdin.take().unwrap(), child, verdicts }
    }

    /// What it says of a folder; an error, if it died of it or never ended.
    fn verdict(&mut self, folder: &Path) -> Result<Verdict, String> {
        writeln!(self.folders, "{}", folder.display()).map_err(|error| error.to_string())?;
        self.verdicts.recv_timeout(TIME_MAX).map_err(|_| {
            drop(self.child.kill());
            let mut errors = String::new();
            let stderr = self.child.stderr.take().unwrap();
            drop(BufReader::new(stderr).read_line(&mut errors));
            let status = self.child.wait().unwrap();
            format!("the start ended with {status}: {errors}")
        })
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A start takes milliseconds.
const TIME_MAX: Duration = Duration::from_mins(1);

fn judge(root: &Path) -> Verdict {
    let fatal = |error: &JournalError| panic!("{error}");
    let state = Service::open(&data(root), &options(1), Arc::new(fatal))
        .map_err(|error| error.to_string())
        .and_then(|(service, _)| {
            let digest = hex(&service.digest());
            service.close().map_err(|error| error.to_string())?;
            Ok(digest)
        });
    let mut hasher = blake3::Hasher::new();
    let history = history(&data(root), Sequence(1), |sequence, time, facts| {
        hasher.update(format!("{sequence:?} {time:?} {facts:?}").as_bytes());
    });
    let history = history.map_err(|error| error.to_string());
    Verdict { state, history: history.map(|()| hasher.finalize().to_hex().to_string()) }
}

fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from(*bytes).to_hex().to_string()
}

#[test]
#[ignore = "the child process of other tests"]
fn judges() {
    if std::env::var_os("HAOYUAN_JUDGE").is_none() {
        return;
    }
    hide_panics(is_opening_store);
    for folder in std::io::stdin().lock().lines() {
        println!("{}", serde_json::to_string(&judge(Path::new(&folder.unwrap()))).unwrap());
    }
}

/// A folder that was stopped in order, twice, and what it holds.
struct Past {
    folder: tempfile::TempDir,
    sound: Verdict,
    files: Vec<String>,
}

impl Past {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (now, old) = (folder.path().join("now"), folder.path().join("old"));
        fs::create_dir(&now).unwrap();
        folder_with_a_past(&now, seed, 300);
        let earlier = judge(&now);
        copy(&now, &old);
        folder_with_a_past(&now, seed + 1, 300);
        let sound = judge(&now);
        assert!(sound.state.is_ok() && sound.history.is_ok() && sound != earlier, "{sound:?}");
        let mut files = Vec::new();
        list(&data(&now), "", &mut files);
        for (kind, _) in KINDS {
            assert!(files.iter().any(|file| file.starts_with(kind)), "no {kind} in {files:?}");
        }
        Self { folder, sound, files }
    }

    /// Copies the folder, and harms one file in it. Says which, and how.
    fn harmed(&self, target: &Path, random: &mut Random) -> (String, Harm) {
        let kind = {
            let mut draw = random.next() % 100;
            let chosen = KINDS.iter().find(|(_, share)| match draw.checked_sub(*share) {
                Some(left) => {
                    draw = left;
                    false
                }
                None => true,
            });
            chosen.unwrap().0
        };
        let of_kind: Vec<_> = self.files.iter().filter(|file| file.starts_with(kind)).collect();
        let file = of_kind[random.below(of_kind.len())].clone();
        let harm = HARMS[random.below(HARMS.len())];
        copy(&self.folder.path().join("now"), target);
        let path = data(target).join(&file);
        let bytes = fs::read(&path).unwrap();
        match harm {
            Harm::Delete => fs::remove_file(&path).unwrap(),
            Harm::Old => match fs::read(data(&self.folder.path().join("old")).join(&file)) {
                Ok(old) => fs::write(&path, old).unwrap(),
                Err(_) => fs::remove_file(&path).unwrap(),
            },
            _ => fs::write(&path, harm.apply(bytes, random)).unwrap(),
        }
        (file, harm)
    }
}

impl Harm {
    fn apply(self, mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
        // Most of a store's file is used; its end is zeros, where harm is no harm.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = random.below(used);
        let sector = at / SECTOR * SECTOR..(at / SECTOR * SECTOR + SECTOR).min(bytes.len());
        match self {
            Self::FlipBit => bytes[at] ^= 1 << random.below(8),
            Self::OtherByte => bytes[at] = bytes[at].wrapping_add(1 + random.byte() % 255),
            Self::ZeroSector => bytes[sector].fill(0),
            Self::NoiseSector => {
                bytes[sector].fill_with(|| random.byte());
            }
            Self::SwapSectors => {
                let other = random.below(used) / SECTOR * SECTOR;
                for index in 0..sector.len().min(bytes.len() - other) {
                    bytes.swap(sector.start + index, other + index);
                }
            }
            Self::Cut => bytes.truncate(at),
            Self::Grow => {
                bytes.extend(std::iter::repeat_with(|| random.byte()).take(1 + at % 2_000));
            }
            Self::Delete | Self::Old => {}
        }
        bytes
    }
}

const SECTOR: usize = 512;

/// How often what came of it.
#[derive(Debug, Default)]
struct Counts {
    refused: BTreeMap<(String, Harm), usize>,
    harmless: BTreeMap<(String, Harm), usize>,
    /// The state was there, and only the archive refused.
    archive_refused: usize,
}

/// Damages a folder so many times. Gives back what was wrong: nothing, one hopes.
fn damage(seed: u64, trials: usize) -> (Counts, Vec<String>) {
    let past = Past::new(seed);
    let mut judge = Judge::start();
    let (mut counts, mut wrong) = (Counts::default(), Vec::new());
    for trial in 0..trials {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(trial as u64));
        let copy = tempfile::tempdir().unwrap();
        let target = copy.path().join("root");
        let (file, harm) = past.harmed(&target, &mut random);
        let verdict = judge.verdict(&target).unwrap_or_else(|died| {
            judge = Judge::start();
            Verdict { state: Err(died.clone()), history: Err(died) }
        });
        if let Some(fault) = fault(&verdict, &past.sound) {
            let kept = copy.keep();
            wrong.push(format!("trial {trial}: {file} {harm:?}: {fault}; {}", kept.display()));
        }
        let kind = KINDS.iter().find(|(kind, _)| file.starts_with(kind)).unwrap().0.to_owned();
        counts.archive_refused += usize::from(verdict.state.is_ok() && verdict.history.is_err());
        let by = if verdict.state.is_ok() { &mut counts.harmless } else { &mut counts.refused };
        *by.entry((kind, harm)).or_default() += 1;
    }
    (counts, wrong)
}

/// What a verdict should not have been.
fn fault(verdict: &Verdict, sound: &Verdict) -> Option<String> {
    for (found, expected) in [(&verdict.state, &sound.state), (&verdict.history, &sound.history)] {
        match found {
            Ok(_) if found != expected => return Some("SILENTLY DIFFERENT".to_owned()),
            Ok(_) => {}
            Err(message) if INSTRUCTIONS.iter().any(|it| message.contains(it)) => {}
            // Older records are gone, and the message says what is there.
            Err(message) if message.contains("were pruned") => {}
            Err(message) => return Some(format!("does not say what to do: {message}")),
        }
    }
    None
}

fn list(directory: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push(name);
        }
    }
    files.sort_unstable();
}

fn copy(source: &Path, target: &Path) {
    fs::create_dir_all(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to: PathBuf = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn damage_is_refused_with_what_to_do_or_changes_nothing() {
    let (counts, wrong) = damage(11, 90);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!counts.refused.is_empty() && !counts.harmless.is_empty(), "{counts:?}");
}

/// A test of the test: what must not be is noticed.
#[test]
fn another_state_and_a_message_without_advice_are_faults() {
    let verdict = |state: Result<&str, &str>| Verdict {
        state: state.map(str::to_owned).map_err(str::to_owned),
        history: Ok("h".to_owned()),
    };
    let sound = verdict(Ok("a"));
    for (found, is_fault) in [
        (verdict(Ok("a")), false),
        (verdict(Ok("b")), true),
        (verdict(Err("record 7 is missing; restore it from a backup")), false),
        (verdict(Err("something is wrong")), true),
        (Verdict { history: Ok("g".to_owned()), ..sound.clone() }, true),
    ] {
        assert_eq!(fault(&found, &sound).is_some(), is_fault, "{found:?}");
    }
}

#[test]
#[ignore = "thousands of trials: minutes"]
fn two_thousand_damages_are_refused_or_change_nothing() {
    let seed = told_seed();
    let mut all = (0, 0, 0);
    let mut wrong = Vec::new();
    for part in 0..4 {
        let (counts, faults) = damage(seed + 10 * part, 600);
        all.0 += counts.refused.values().sum::<usize>();
        all.1 += counts.harmless.values().sum::<usize>();
        all.2 += counts.archive_refused;
        println!("{counts:#?}");
        wrong.extend(faults);
    }
    println!("refused {}, harmless {} (of which {} refuse the archive only)", all.0, all.1, all.2);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.0 + all.1, wrong.join("\n"));
}
