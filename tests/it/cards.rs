//! The incident cards of docs/operations.md, tried: the symptom is as it says, and what it says to
//! do helps. And every command on the page is one that the binary understands.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use haoyuan::codec::encode_facts;
use haoyuan::model::*;
use serde_json::Value;

use super::cli::{haoyuan, json, text};
use super::golden_folder::unpack;
use super::world::{Serving, append, document};

const PAGE: &str = include_str!("../../docs/operations.md");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The cards, by their headings.
fn cards() -> Vec<(&'static str, &'static str)> {
    let (_, cards) = PAGE.split_once("\n## Incident cards\n").unwrap();
    let cards = cards.split("\n## ").next().unwrap();
    cards.split("\n### ").skip(1).map(|card| card.split_once('\n').unwrap()).collect()
}

/// Every command of ours on the page: lines of blocks, and spans within lines.
fn commands() -> Vec<&'static str> {
    let is_ours = |it: &&str| it.starts_with("haoyuan ");
    let mut found = Vec::new();
    let mut is_block = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if is_block {
            found.extend(Some(line.trim()).filter(is_ours));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).filter(is_ours));
        }
    }
    found
}

/// The words after `haoyuan`, up to what the shell does with them; names that stand for something
/// are replaced by such a thing.
fn words(command: &'static str) -> Vec<&'static str> {
    let command = command.split(['|', '#']).next().unwrap();
    let stands_for = |word| match word {
        "ID" => "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f",
        "N" | "SEQ" => "7",
        other => other,
    };
    command.split_whitespace().skip(1).map(stands_for).collect()
}

#[test]
fn every_command_on_the_page_is_understood() {
    let commands = commands();
    assert!(40 < commands.len(), "{commands:?}");
    for command in commands {
        // What is unknown or malformed is refused before help is given.
        let words = words(command);
        let help: &[&str] = if words[0] == "help" { &[] } else { &["--help"] };
        let understood = haoyuan(&[&words, help].concat());
        let errors = String::from_utf8_lossy(&understood.stderr);
        assert!(understood.status.success(), "`{command}`: {errors}");
    }
    for unknown in ["haoyuan audit --data DIR", "haoyuan ctl watch --from x", "haoyuan back"] {
        let refused = haoyuan(&[&words(unknown)[..], &["--help"]].concat());
        assert_eq!(refused.status.code(), Some(2), "{unknown}");
    }
}

#[test]
fn every_card_says_what_is_seen_done_and_why() {
    let cards = cards();
    assert!(20 < cards.len(), "{} cards", cards.len());
    for (title, card) in cards {
        let at = |word: &str| {
            card.find(&format!("\n* **{word}"))
                .unwrap_or_else(|| panic!("\"{title}\" has no {word}"))
        };
        assert!(at("Symptom") < at("Act") && at("Act") < at("Why"), "{title}");
    }
}

#[test]
fn what_a_message_quotes_of_the_page_is_there() {
    for title in [
        "The node does not start: the folder is damaged",
        "The node does not start: the format is newer",
        "Upgrade and downgrade",
    ] {
        assert!(cards().iter().any(|(other, _)| *other == title), "{title}");
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = haoyuan(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    for word in words {
        assert!(errors.contains(word), "{word}: {arguments:?}: {errors}");
    }
}

fn lines(arguments: &[&str]) -> Vec<Value> {
    let output = haoyuan(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["outcome"].as_str().unwrap().to_owned()
}

fn backup(data: &Path, to: &Path) -> Value {
    json(&["backup", "--data-dir", text(data), "--to", text(to), "--json"])
}

fn restore(from: &Path, to: &Path) -> Value {
    json(&["restore", "--from", text(from), "--data-dir", text(to), "--json"])
}

/// A folder with a session, and a node that has booked so many of its places.
fn booked(data: &Path, names: &[&str]) -> Vec<String> {
    let node = Serving::start(data, &[]);
    let ids = names.iter().map(|name| {
        let held = node.told(&["hold", "1001", "--patient-text", name, "--book", "42"]);
        held["appointment"].as_str().unwrap().to_owned()
    });
    let ids = ids.collect();
    assert_eq!(node.stop(), Some(0));
    ids
}

fn opened(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let node = Serving::start(&data, &[]);
    node.open(1001, 10, 1);
    assert_eq!(node.stop(), Some(0));
    data
}

#[test]
fn card_a_log_that_is_shorter_than_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = opened(folder.path());
    let to = folder.path().join("monday");
    let made = backup(&data, &to);
    let old = folder.path().join("old store");
    copy(&data.join("store"), &old);
    booked(&data, &["one", "two"]);
    // Somebody puts an older copy of the store under the newer mark.
    fs::rename(data.join("store"), folder.path().join("right store")).unwrap();
    copy(&old, &data.join("store"));
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)];
    fails(&serve, 1, &["the log ends at record 1, but record 3 was acknowledged"]);
    fails(&["journal", "--data-dir", text(&data)], 1, &["the log ends at record 1"]);
    let salvage = ["journal", "--data-dir", text(&data), "--salvage", "--json"];
    assert_eq!(lines(&salvage).len(), 1);
    let restored = folder.path().join("new");
    assert_eq!(restore(&to, &restored)["last_seq"], made["last_seq"]);
    Serving::start(&restored, &[]).stop();
    // Without a mark it does not start either.
    fs::rename(data.join("mark"), folder.path().join("mark")).unwrap();
    fails(&serve, 1, &["no mark"]);
    fs::rename(folder.path().join("mark"), data.join("mark")).unwrap();
    // Put back together as a whole, it does.
    fs::remove_dir_all(data.join("store")).unwrap();
    fs::rename(folder.path().join("right store"), data.join("store")).unwrap();
    assert_eq!(Serving::start(&data, &[]).stop(), Some(0));
}

#[test]
fn card_a_folder_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let (to, restored) = (folder.path().join("monday"), folder.path().join("new"));
    let last = backup(&data, &to)["last_seq"].as_u64().unwrap();
    // Acknowledged after the backup, then a block of the log changes.
    for number in 0..4_u128 {
        append(&data, |buffer| encode_facts(&held(3, number, 9), buffer));
    }
    let db = sled::open(data.join("store")).unwrap();
    let mut names: Vec<_> =
        db.tree_names().into_iter().filter(|name| name.starts_with(b"log-")).collect();
    names.sort();
    let tree = db.open_tree(names.last().unwrap()).unwrap();
    let (key, block) = tree.iter().rev().nth(1).unwrap().unwrap();
    let mut block = block.to_vec();
    *block.last_mut().unwrap() ^= 1;
    tree.insert(key, block).unwrap();
    db.flush().unwrap();
    drop((tree, db));

    let broken = format!("the checksum chain breaks at record {}", last + 3);
    let advice = [broken.as_str(), "keep a copy", "The node does not start"];
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)];
    fails(&serve, 1, &advice);
    fails(&["audit", "--data-dir", text(&data)], 1, &advice);
    let salvaged = lines(&["journal", "--data-dir", text(&data), "--salvage", "--json"]);
    let later: Vec<u64> = salvaged
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .filter(|seq| last < *seq)
        .collect();
    assert_eq!(later, [last + 1, last + 2], "what can still be read of what came after the backup");
    assert_eq!(restore(&to, &restored)["last_seq"], last);
    assert_eq!(Serving::start(&restored, &[]).stop(), Some(0));
}

/// A hold of the first slot of a session, as only a broken node would write it.
fn held(session: u64, number: u128, slot: u16) -> Facts {
    let claim =
        Claim { session: SessionId(session), slot: SlotIndex(slot), count: 1, pool: PoolIndex(0) };
    let made = Timestamp::from_millis(1_700_259_300_000);
    let fact = Fact::Held(Held {
        appointment: AppointmentId(RequestId::from_parts(made, 1 << 60 | number).0),
        patient: PatientId(0xeeee + number),
        account: None,
        organization: OrganizationId(1),
        channel: BookingChannel::default(),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        until: made.plus_millis(900_000),
        fingerprint: 1,
        rules: RulesVersion(0),
        claims: std::iter::once(claim).collect(),
    });
    std::iter::once(fact).collect()
}

#[test]
fn card_a_folder_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Serving::start(&data, &[]);
    for command in [
        vec!["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)],
        vec!["audit", "--data-dir", text(&data)],
        vec!["journal", "--data-dir", text(&data)],
    ] {
        fails(&command, 2, &["is in use by another process"]);
    }
    node.kill();
    // Nothing is left to clean up.
    assert_eq!(Serving::start(&data, &[]).stop(), Some(0));
}

/// The value of a counter or gauge.
fn metric(node: &Serving, name: &str) -> u64 {
    let page = node.page("/metrics");
    let line =
        page.lines().find(|line| line.strip_prefix(name).is_some_and(|it| it.starts_with(' ')));
    let value = line.and_then(|line| line.split(' ').nth(1)).unwrap_or_else(|| panic!("{page}"));
    value.parse().unwrap()
}

#[test]
fn card_memory_is_full_of_appointments() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("node.toml"));
    fs::write(&config, "[engine]\nappointments_max = 3\n").unwrap();
    let node = Serving::start(&data, &["--config", text(&config)]);
    node.open(1001, 100, 100);
    // The bound is looked at once a second, so some more get in.
    let mut ids = Vec::new();
    let outcome = loop {
        let patient = format!("{:032x}", ids.len() + 1);
        let asked = node.ctl(&["hold", "1001", "--patient", &patient]);
        if !asked.status.success() {
            break refusal(&asked);
        }
        let told: Value = serde_json::from_slice(&asked.stdout).unwrap();
        ids.push(told["appointment"].as_str().unwrap().to_owned());
        assert!(ids.len() < 5_000, "the memory has no bound");
    };
    assert_eq!(outcome, "Overloaded");
    assert!(3 <= metric(&node, "haoyuan_appointments"));
    assert!(3 <= metric(&node, "haoyuan_holds_live"));
    // Bookings, cancellations and reads go on.
    node.told(&["book", &ids[0], "--payment", "1"]);
    node.told(&["cancel", &ids[0]]);
    node.told(&["availability", "1001"]);
    assert_eq!(node.stop(), Some(0));
    fs::write(&config, "[engine]\nappointments_max = 100000\n").unwrap();
    let node = Serving::start(&data, &["--config", text(&config)]);
    node.told(&["hold", "1001", "--patient-text", "another"]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn card_retries_come_like_a_storm() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Serving::start(&data, &[]);
    node.open(1001, 10, 1);
    let first = node.told(&["hold", "1001", "--patient-text", "one"]);
    let id = first["appointment"].as_str().unwrap();
    let before = metric(&node, "haoyuan_appended_sequence");
    for _ in 0..20 {
        let again = node.told(&["hold", "1001", "--patient-text", "one", "--id", id]);
        assert_eq!((&again["claims"], &again["retried"]), (&first["claims"], &true.into()));
    }
    let counted = "haoyuan_requests_total{operation=\"hold\",outcome=\"AlreadyDone\"}";
    assert_eq!(metric(&node, counted), 20);
    assert_eq!(metric(&node, "haoyuan_appended_sequence"), before, "a retry writes nothing");
    assert_eq!(metric(&node, "haoyuan_appointments"), 1);
}

#[test]
fn card_a_subscriber_fell_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let all = lines(&["journal", "--data-dir", text(&data), "--json"]);
    let node = Serving::start(&data, &[]);
    let gone = node.ctl(&["watch", "--from", "1", "--no-follow"]);
    let errors = String::from_utf8_lossy(&gone.stderr);
    assert_eq!(gone.status.code(), Some(1), "{errors}");
    assert!(errors.contains("pruned") && errors.contains("snapshot"), "{errors}");
    // The archive has it, by way of a backup beside the node.
    let (to, look) = (folder.path().join("new"), folder.path().join("look"));
    let certs = node.certs();
    let made = node.backup(&to);
    assert!(made.to_string().contains("archive/"), "{made}");
    restore(&to, &look);
    // The node has gone on: holds of long ago have expired.
    let read = lines(&["journal", "--data-dir", text(&look), "--from", "1", "--json"]);
    assert!(all.len() < read.len() && read.starts_with(&all), "history changed");
    let next = made["last_seq"].as_u64().unwrap().to_string();
    let rest = node.ctl(&["watch", "--from", &next, "--no-follow"]);
    assert!(rest.status.success() && !rest.stdout.is_empty());

    // Where the archive was moved away beside the running node, no backup is made that has a hole.
    fs::rename(data.join("archive"), folder.path().join("moved")).unwrap();
    let hole = folder.path().join("hole");
    let arguments = [
        "backup",
        "--data-dir",
        text(&data),
        "--to",
        text(&hole),
        "--server",
        &node.server,
        "--certs",
        text(&certs),
    ];
    fails(&arguments, 1, &["neither in the archive nor in the log", "once the node is stopped"]);
    assert!(!hole.exists() && !folder.path().join("hole.partial").exists());
    assert_eq!(node.stop(), Some(0));
    backup(&data, &hole);
}

#[test]
fn card_a_backup_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Serving::start(&data, &[]);
    node.open(1001, 10, 1);
    let (certs, to) = (node.certs(), folder.path().join("new"));
    let with = |more: &[&'static str]| {
        let base =
            ["backup", "--data-dir", text(&data), "--to", text(&to), "--server", &node.server];
        haoyuan(&[&base[..], &["--certs", text(&certs)], more].concat())
    };
    let refused = with(&["--role", "gateway"]);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(errors.contains("--role"), "{errors}");
    assert!(!to.exists() && !folder.path().join("new.partial").exists());
    assert!(with(&["--role", "admin"]).status.success());
}

#[test]
fn card_the_metrics_endpoint_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ready.contains("metrics=none"), "{ready}");
    let node = Serving::start(&data, &[]);
    assert!(node.page("/healthz").ends_with("ok\n"));
    node.open(1001, 1, 1);
    assert_eq!(node.told(&["availability", "1001"])["free"], serde_json::json!([1]));
}

#[test]
fn card_nobody_has_the_administrators_certificate_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pki = path("pki");
    let run = |arguments: &[&str]| {
        let output = haoyuan(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["cert", "ca", "--out", text(&pki)]);
    run(&["cert", "server", "--ca", text(&pki), "--out", text(&pki), "--name", "localhost"]);
    run(&["cert", "client", "--ca", text(&pki), "--out", text(&pki), "--role", "admin"]);
    let config = |pki: &Path| {
        let file = path("node.toml");
        let line = |key: &str, name: &str| format!("{key} = \"{}\"\n", pki.join(name).display());
        let lines = [line("ca", "ca.pem"), line("cert", "server.pem"), line("key", "server.key")];
        fs::write(&file, format!("[certificates]\n{}", lines.concat())).unwrap();
        file
    };
    let data = path("data");
    let open = |server: &str, certs: &Path, id: u64| {
        let file = path("sessions.toml");
        fs::write(&file, document(id, 2, 2)).unwrap();
        haoyuan(&["ctl", "--server", server, "--certs", text(certs), "open", text(&file)])
    };
    let first = config(&pki);
    let node = Serving::start_with(&data, &["--config", text(&first)]);
    assert!(open(&node.server, &pki, 1).status.success());
    // The key is gone; the authority signs another, and the node is not touched.
    fs::remove_file(pki.join("admin.key")).unwrap();
    assert_eq!(open(&node.server, &pki, 2).status.code(), Some(2));
    let new = path("pki-new");
    run(&[
        "cert",
        "client",
        "--ca",
        text(&pki),
        "--out",
        text(&new),
        "--role",
        "admin",
        "--days",
        "90",
    ]);
    fs::copy(pki.join("ca.pem"), new.join("ca.pem")).unwrap();
    let opened = open(&node.server, &new, 2);
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert_eq!(node.stop(), Some(0));
    // The authority is gone too.
    let pki2 = path("pki2");
    run(&["cert", "ca", "--out", text(&pki2)]);
    run(&["cert", "server", "--ca", text(&pki2), "--out", text(&pki2), "--name", "localhost"]);
    run(&["cert", "client", "--ca", text(&pki2), "--out", text(&pki2), "--role", "admin"]);
    let second = config(&pki2);
    let node = Serving::start_with(&data, &["--config", text(&second)]);
    assert!(open(&node.server, &pki2, 3).status.success());
    assert!(!open(&node.server, &new, 4).status.success(), "the old authority is believed");
}

#[test]
fn card_a_wrong_session_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Serving::start(&data, &[]);
    node.open(1001, 10, 3);
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let held = node.told(&["hold", "1001", "--patient-text", name, "--book", "42"]);
        ids.push(held["appointment"].as_str().unwrap().to_owned());
    }
    // The same number cannot mean another session.
    let file = folder.path().join("other.toml");
    fs::write(&file, document(1001, 5, 1)).unwrap();
    assert_eq!(refusal(&node.ctl(&["open", text(&file)])), "SessionExists");
    node.open(1002, 5, 1);
    let watched = node.ctl(&["watch", "--from", "1", "--no-follow"]).stdout;
    let booked: Vec<String> = String::from_utf8(watched)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["session"] == 1001 && line["fact"] == "Booked")
        .map(|line| line["appointment"].as_str().unwrap().to_owned())
        .collect();
    let plain = |id: &String| id.replace('-', "");
    assert_eq!(booked, ids.iter().map(plain).collect::<Vec<_>>());
    for (id, name) in ids.iter().zip(["one", "two"]) {
        node.told(&["hold", "1002", "--patient-text", name, "--book", "42"]);
        assert_eq!(node.told(&["cancel", id])["status"], "cancelled");
    }
    assert_eq!(node.told(&["availability", "1001"])["free"], Value::from(vec![3; 10]));
    assert_eq!(node.stop(), Some(0));
    json(&["audit", "--data-dir", text(&data), "--json"]);
}

#[test]
fn card_an_audit_says_oversold() {
    let folder = tempfile::tempdir().unwrap();
    let data = opened(folder.path());
    let to = folder.path().join("monday");
    booked(&data, &["one"]);
    let made = backup(&data, &to);
    // One place in slot 0, and it is taken; a broken node writes another hold of it.
    append(&data, |buffer| encode_facts(&held(1001, 1, 0), buffer));
    let audited = haoyuan(&["audit", "--data-dir", text(&data), "--json"]);
    assert_eq!(audited.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&audited.stdout).unwrap();
    assert_eq!((&report["oversold"], &report["clean"]), (&1.into(), &false.into()));
    let last = report["last_seq"].as_u64().unwrap().to_string();
    let around = lines(&["journal", "--data-dir", text(&data), "--from", &last, "--json"]);
    assert_eq!((&around[0]["fact"], &around[0]["slot"]), (&"Held".into(), &0.into()));
    let start = haoyuan(&["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)]);
    assert!(start.stdout.is_empty(), "it serves");
    let errors = String::from_utf8_lossy(&start.stderr);
    assert!(errors.contains("an impossible fact") && errors.contains("oversells"), "{errors}");

    let restored = folder.path().join("new");
    assert_eq!(restore(&to, &restored)["last_seq"], made["last_seq"]);
    // A backup of the broken folder is what its node wrote; a restore finds it out.
    let bad = folder.path().join("bad");
    backup(&data, &bad);
    let nowhere = folder.path().join("nowhere");
    let restore = ["restore", "--from", text(&bad), "--data-dir", text(&nowhere)];
    fails(&restore, 1, &["disagrees", "restore an earlier one"]);
    assert!(!nowhere.exists());
}

#[test]
fn card_a_node_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let data = opened(folder.path());
    let kept = booked(&data, &["before the backup"]);
    let to = folder.path().join("monday");
    let made = backup(&data, &to);
    let lost = booked(&data, &["after the backup"]);
    fs::remove_dir_all(&data).unwrap();

    let verified = json(&["backup", "verify", text(&to), "--json"]);
    assert_eq!(verified["last_seq"], made["last_seq"]);
    restore(&to, &data);
    let node = Serving::start(&data, &[]);
    assert_eq!(node.told(&["get", &kept[0]])["status"], "booked");
    assert_eq!(refusal(&node.ctl(&["get", &lost[0]])), "AppointmentNotFound");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn card_upgrade_and_downgrade() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpack(VERSION, folder.path());
    let (before, tried) = (folder.path().join("before-upgrade"), folder.path().join("try"));
    backup(&data, &before);
    let digest = restore(&before, &tried)["digest"].clone();
    assert_eq!(json(&["audit", "--data-dir", text(&tried), "--json"])["digest"], digest);
    assert_eq!(Serving::start(&data, &[]).stop(), Some(0));
    // The newer release wrote something new; the old one refuses, and goes back by the backup.
    append(&data, |buffer| buffer.extend_from_slice(&[1, 99]));
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)];
    fails(&serve, 2, &["fact format 2", "the format is newer"]);
    let down = folder.path().join("down");
    assert_eq!(restore(&before, &down)["digest"], digest);
    assert_eq!(Serving::start(&down, &[]).stop(), Some(0));
}
