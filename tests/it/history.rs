//! Real history through the real binary: known counts, an outside recount, and kills.
//!
//! The table is not part of the project. Where it is absent the tests say so in one line and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::cli::{haoyuan, json, text};

/// Medical appointments of Vitória, Brazil, 2016.
const HISTORY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/noshow-until-2016-05-15.csv.gz");

fn is_absent(test: &str) -> bool {
    let absent = !Path::new(HISTORY).exists();
    if absent {
        // Straight to the terminal: the harness swallows what a passing test prints.
        let mut terminal = stderr();
        writeln!(terminal, "skipped {test}: {HISTORY} is absent").unwrap();
    }
    absent
}

/// An account kept from the JSON lines of `haoyuan journal` and nothing else.
#[derive(Default)]
struct Recount {
    capacity: BTreeMap<Cell, i64>,
    taken: BTreeMap<Cell, i64>,
    statuses: BTreeMap<String, String>,
    declined: BTreeSet<String>,
    oversold: i64,
}

/// Session, slot, pool.
type Cell = (u64, u64, u64);

impl Recount {
    fn of(data: &Path) -> Self {
        let journal = haoyuan(&["journal", "--data-dir", text(data), "--json"]);
        assert!(journal.status.success(), "{}", String::from_utf8_lossy(&journal.stderr));
        let mut recount = Self::default();
        let lines = String::from_utf8(journal.stdout).unwrap();
        lines.lines().for_each(|line| recount.add(&serde_json::from_str(line).unwrap()));
        recount
    }

    fn add(&mut self, line: &Value) {
        let word = |key: &str| line[key].as_str().map(str::to_owned);
        let fact = word("fact").unwrap();
        if fact == "Declined" {
            self.declined.insert(word("appointment").unwrap());
            return;
        }
        if let (Some(appointment), Some(status)) = (word("appointment"), word("status")) {
            self.statuses.insert(appointment, status);
        }
        // Rules and strikes are about no place.
        if line["slot"].is_null() {
            return;
        }
        let number = |key: &str| line[key].as_u64().unwrap();
        for slot in number("slot")..number("slot") + number("count") {
            let cell = (number("session"), slot, number("pool"));
            let taken = self.taken.entry(cell).or_default();
            match fact.as_str() {
                "SessionOpened" => {
                    let places = line["places"].as_i64().unwrap();
                    assert_eq!(self.capacity.insert(cell, places), None, "opened twice: {line}");
                }
                "Held" => *taken += 1,
                "Released" | "Expired" | "Cancelled" => *taken -= 1,
                _ => {}
            }
            self.oversold += i64::from(self.capacity[&cell] < *taken);
        }
    }

    fn count(&self, status: &str) -> usize {
        self.statuses.values().filter(|other| *other == status).count()
    }

    /// The numbers that the table gave to the appointments which were decided: the last 62 bits of
    /// their ids.
    fn numbers(&self) -> BTreeSet<u64> {
        let ids = self.statuses.keys().chain(&self.declined);
        ids.map(|id| u64::from_str_radix(id.split_at(16).1, 16).unwrap() << 2 >> 2).collect()
    }
}

/// The number of each appointment by its line in the table. The header is line 1.
fn numbers_by_line() -> BTreeMap<u64, u64> {
    let mut table = String::new();
    GzDecoder::new(File::open(HISTORY).unwrap()).read_to_string(&mut table).unwrap();
    let number = |line: &str| line.split(',').nth(1).unwrap().parse().unwrap();
    (1..).zip(table.lines()).skip(1).map(|(line, row)| (line, number(row))).collect()
}

fn replay(data: &Path, more: &[&str]) -> Value {
    let common = ["replay", "--appointments", HISTORY, "--data-dir", text(data), "--json"];
    json(&[&common, more].concat())
}

#[test]
fn real_history_comes_to_the_known_counts_and_recounts_from_outside() {
    if is_absent("real history") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let counts = replay(folder.path(), &[]);
    for (key, expected) in [
        ("rows", 45_909),
        ("booked", 45_905),
        ("refused_in_past", 4),
        ("rejected_rows", 0),
        ("fulfilled", 36_362),
        ("no_show", 9_543),
    ] {
        assert_eq!(counts[key], expected, "{key} in {counts}");
    }
    let audit = json(&["audit", "--data-dir", text(folder.path()), "--json"]);
    assert_eq!((&audit["oversold"], &audit["digest"]), (&0.into(), &counts["digest"]));

    let recount = Recount::of(folder.path());
    assert_eq!(recount.oversold, 0);
    assert_eq!(recount.declined.len(), 4);
    assert_eq!((recount.count("fulfilled"), recount.count("noshow")), (36_362, 9_543));
    assert_eq!(recount.statuses.len(), 45_905);
    assert_eq!(audit["places"], recount.capacity.values().sum::<i64>());
    assert_eq!(audit["taken"], recount.taken.values().sum::<i64>());
}

/// Kills a run with SIGKILL after so many acks. Says which lines were acknowledged: those that were
/// on their way when it died, too.
fn killed_after(acks: usize, data: &Path, more: &[&str]) -> Vec<u64> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
        .args(["replay", "--acks", "--appointments", HISTORY, "--data-dir", text(data)])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    for _ in 0..acks {
        assert_ne!(pipe.read_line(&mut printed).unwrap(), 0, "it ended before {acks} acks");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    pipe.read_to_string(&mut printed).unwrap();
    // A line without its end was cut by the kill; a run that was through prints counts behind it.
    let whole = printed.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.map_while(|line| line.parse().ok()).collect()
}

fn kills(rounds: u64, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let whole = replay(&folder.path().join("whole"), more);
    let numbers = numbers_by_line();
    for round in 1..=rounds {
        let data = folder.path().join(format!("round-{round}"));
        let acks = usize::try_from(scrambled(round) % 45_000).unwrap();
        let acked = killed_after(acks, &data, more);
        assert!(acks <= acked.len());
        let decided = Recount::of(&data).numbers();
        for line in &acked {
            assert!(decided.contains(&numbers[line]), "line {line} was acked; kill after {acks}");
        }
        let continued = replay(&data, more);
        for key in ["digest", "records"].into_iter().chain(COUNTS) {
            assert_eq!(continued[key], whole[key], "{key}; kill after {acks} acks");
        }
        std::fs::remove_dir_all(&data).unwrap();
    }
}

/// `SplitMix64`: the same numbers in every run, so that a failure can be tried again.
fn scrambled(round: u64) -> u64 {
    let mut word = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[test]
fn what_was_acked_before_a_kill_is_in_the_journal_and_the_end_is_the_same() {
    if !is_absent("three kills") {
        kills(3, &[]);
    }
}

/// What a run comes to; the last three only under rules.
const COUNTS: [&str; 8] = [
    "rows",
    "booked",
    "refused_in_past",
    "fulfilled",
    "no_show",
    "restricted_bookings",
    "patients_restricted",
    "restrictions",
];

#[test]
fn rules_on_real_history_come_to_the_known_counts() {
    if is_absent("rules on real history") {
        return;
    }
    let (three, four, two) = (
        "docs/policies/three-in-a-year.toml",
        "docs/policies/four-ever.toml",
        "docs/policies/two-in-five-days.toml",
    );
    for (more, expected) in [
        (vec![three, "--shadow"], [45_909, 45_905, 4, 36_362, 9_543, 72, 185, 185]),
        (vec![three], [45_909, 45_833, 4, 36_329, 9_504, 72, 185, 185]),
        (vec![four], [45_909, 45_872, 4, 36_352, 9_520, 33, 51, 51]),
        (vec![two], [45_909, 45_809, 4, 36_289, 9_520, 96, 691, 726]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let counts = replay(folder.path(), &[&["--policy"], &more[..]].concat());
        for (key, expected) in COUNTS.into_iter().zip(expected) {
            assert_eq!(counts[key], expected, "{key} under {more:?}");
        }
        let audit = json(&["audit", "--data-dir", text(folder.path()), "--json"]);
        assert_eq!(audit["digest"], counts["digest"], "{more:?}");
    }
}

#[test]
fn a_history_under_rules_continues_after_a_kill_and_only_under_the_same_rules() {
    if is_absent("a kill under rules") {
        return;
    }
    let two = ["--policy", "docs/policies/two-in-five-days.toml"];
    kills(1, &two);
    kills(1, &[&two[..], &["--shadow"]].concat());
    let folder = tempfile::tempdir().unwrap();
    killed_after(2_000, folder.path(), &two);
    for more in [&[][..], &["--policy", "docs/policies/four-ever.toml"]] {
        let common = ["replay", "--appointments", HISTORY, "--data-dir", text(folder.path())];
        let output = haoyuan(&[&common, more].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {errors}");
        assert!(errors.contains("another history"), "{more:?}: {errors}");
    }
}

#[test]
#[ignore = "six minutes: cargo test --test it -- --ignored fifty_kills"]
fn fifty_kills() {
    if !is_absent("fifty kills") {
        kills(50, &[]);
    }
}
