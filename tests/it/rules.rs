//! Rules from a document to a node, and what becomes of who does not come.

use std::path::Path;

use haoyuan::model::Timestamp;
use haoyuan::ops::rules;
use haoyuan::ops::sessions::{DocumentDefaults, DocumentFormat};
use serde_json::Value;

use super::cli::{haoyuan, text};
use super::world::Serving;

/// What a command printed as JSON, and its exit code.
fn asked(node: &Serving, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = node.ctl(arguments);
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = printed.lines().next_back().unwrap_or("null");
    let value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{printed}{errors}"));
    (value, output.status.code())
}

fn presets() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Schedules have a folder of their own.
    files.retain(|file| file.is_file());
    files.sort();
    files
}

#[test]
fn every_preset_reads_and_says_where_its_rules_come_from() {
    let files = presets();
    assert!(5 <= files.len());
    for file in files {
        let document = std::fs::read_to_string(&file).unwrap();
        let (name, defaults) = (text(&file), DocumentDefaults::default());
        let read = rules::read(name, &document, DocumentFormat::Toml, &defaults);
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        assert!(!read.rules(Timestamp::default()).layers.is_empty());
        let first = document.lines().next().unwrap();
        let is_sourced = document
            .lines()
            .take(2)
            .any(|line| line.contains(".c") || line.contains(".uk") || line.contains("replay"));
        assert!(first.starts_with("# ") && is_sourced, "{name}: {first}");
        let checked = haoyuan(&["ctl", "rules", "check", name]);
        assert_eq!(checked.status.code(), Some(0), "{name}");
    }
}

#[test]
fn every_rule_of_the_presets_and_of_the_example_is_heard_and_what_is_not_is_told_of() {
    let mut files = presets();
    files.push("docs/examples/rules.toml".into());
    for file in files {
        let checked = haoyuan(&["ctl", "rules", "check", text(&file)]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(said.contains("nothing wrong") && !said.contains("note"), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    let missed = "no_show = { window = \"ever\", tiers = [{ count = 3, for = \"year-end\" }] }";
    let document = format!("[[rules]]\n{missed}\n[[rules]]\n{missed}\n");
    std::fs::write(&file, document).unwrap();
    let checked = haoyuan(&["ctl", "rules", "check", text(&file)]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(0));
    assert!(said.contains("note: rules[0].no_show never decides: rules[1] says it"), "{said}");
}

#[test]
fn rules_are_checked_compared_applied_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(folder.path(), &[]);
    let file = "docs/policies/beijing-114-calendar-year.toml";
    let (shown, code) = asked(&node, &["rules", "show", "--json"]);
    assert_eq!((&shown["version"], code), (&0.into(), Some(0)));
    let (differs, _) = asked(&node, &["rules", "diff", file, "--json"]);
    assert_eq!(differs["new"].as_array().unwrap().len(), 6, "{differs}");

    let soon = haoyuan::ops::clock::Clock::start().now().plus_millis(3_600_000).as_millis();
    let from = jiff::Timestamp::from_millisecond(i64::try_from(soon).unwrap()).unwrap().to_string();
    let (applied, code) = asked(&node, &["rules", "apply", file, "--from", &from, "--json"]);
    assert_eq!((&applied["from_ms"], code), (&soon.into(), Some(0)));
    let (shown, _) = asked(&node, &["rules", "show", "--json"]);
    assert_eq!((&shown["version"], &shown["next"]["version"]), (&0.into(), &1.into()));
    let (shown, _) = asked(&node, &["rules", "show", "--at", &from, "--json"]);
    assert_eq!(shown["version"], 1);
    assert_eq!(shown["rules"][0]["no_show"]["window"], "year");
    let (differs, _) = asked(&node, &["rules", "diff", file, "--json"]);
    assert_eq!((&differs["new"], &differs["gone"]), (&Value::Array(vec![]), &Value::Array(vec![])));

    let (record, code) = asked(&node, &["record", "--patient-text", "Li Lei", "--json"]);
    assert_eq!((record["strikes"].as_array().unwrap().len(), code), (0, Some(0)));
    for (arguments, expected) in [
        (vec!["rules", "apply", file, "--from", "2020-01-01T00:00:00Z"], "RulesTooSoon"),
        (vec!["rules", "apply", "absent.toml"], "cannot read absent.toml"),
        (vec!["rules", "check", "docs/examples/sessions.toml"], "rules: is missing"),
    ] {
        let output = node.ctl(&arguments);
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_ne!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn stricter_rules_wait_for_their_notice_and_the_tool_says_what_is_stricter() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(&folder.path().join("data"), &[]);
    let write = |name: &str, count: u16| {
        let file = folder.path().join(name);
        let document = format!(
            "notice = {{ days = 7 }}\n[[rules]]\n[rules.no_show]\nwindow = \"ever\"\n\
             tiers = [{{ count = {count}, for = {{ days = 30 }} }}]\n"
        );
        std::fs::write(&file, document).unwrap();
        file
    };
    let (mild, strict) = (write("mild.toml", 5), write("strict.toml", 3));
    let from = haoyuan::ops::clock::Clock::start().now().plus_millis(2_500);
    let instant = |time: Timestamp| {
        let millis = i64::try_from(time.as_millis()).unwrap();
        jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
    };
    let (_, code) = asked(&node, &["rules", "apply", text(&mild), "--from", &instant(from)]);
    assert_eq!(code, Some(0));
    while haoyuan::ops::clock::Clock::start().now() < from {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    let (differs, _) = asked(&node, &["rules", "diff", text(&strict)]);
    assert_eq!(
        (&differs["stricter"][0], &differs["notice_days"]),
        (&"rules[0].no_show".into(), &7.into())
    );
    let output = node.ctl(&["rules", "apply", text(&strict)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    for words in ["layer 0 is stricter (no_show)", "7 days of notice", "--from"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    let later = instant(from.plus_millis(7 * 86_400_000 + 60_000));
    let (_, code) = asked(&node, &["rules", "apply", text(&strict), "--from", &later]);
    assert_eq!(code, Some(0));
}

/// A session in two days, of a department.
fn session_of(id: u64, department: u32, start_ms: u64) -> String {
    let start = jiff::Timestamp::from_millisecond(i64::try_from(start_ms).unwrap()).unwrap();
    format!(
        "[[sessions]]\nid = {id}\norganization = 1\nsite = 1\ndepartment = {department}\n\
         resource = {id}\nstart = \"{start}\"\nslot_minutes = 10\nslots = 4\nplaces = 4\n"
    )
}

const PAYMENT_RULES: &str = r#"
[[rules]]
payment = { by = "self-pay-or-insurance", order = { minutes = 30 } }
holder = { by = "account" }

[[rules]]
scope = { organization = 1, department = 13 }
cancel = { until = { minutes = 86400 } }
"#;

#[test]
fn a_place_is_held_by_an_account_named_ordered_paid_cancelled_and_refunded() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(folder.path(), &[]);
    let now = haoyuan::ops::clock::Clock::start().now();
    let start = now.plus_millis(48 * 3_600_000).as_millis();
    let sessions = folder.path().join("sessions.toml");
    std::fs::write(&sessions, session_of(7, 12, start) + &session_of(8, 13, start)).unwrap();
    assert_eq!(node.ctl(&["open", text(&sessions)]).status.code(), Some(0));
    let rules = folder.path().join("payment.toml");
    std::fs::write(&rules, PAYMENT_RULES).unwrap();
    assert_eq!(asked(&node, &["rules", "apply", text(&rules), "--json"]).1, Some(0));
    while asked(&node, &["rules", "show", "--json"]).0["version"] != 1 {}

    let account = ["--account-text", "13800000000", "--json"];
    let ask = |arguments: &[&str]| asked(&node, &[arguments, &account].concat());
    let (held, code) = ask(&["hold", "7"]);
    assert_eq!((&held["status"], code), (&"pending".into(), Some(0)), "{held}");
    let id = held["appointment"].as_str().unwrap().to_owned();
    let (second, _) = ask(&["hold", "8"]);
    assert_eq!(second["outcome"], "AccountLimit");
    let said = |arguments: &[&str]| asked(&node, &[arguments, &["--json"]].concat()).0;
    let early = said(&["pay", &id, "--payment", "42"]);
    assert_eq!(early["outcome"], "PatientNotNamed", "{early}");
    let (named, _) = ask(&["name-patient", &id, "--patient-text", "Li Lei"]);
    assert_eq!(named["status"], "pending", "{named}");
    assert_eq!(
        ask(&["name-patient", &id, "--patient-text", "Han Mei"]).0["outcome"],
        "PatientNamed"
    );
    let ordered = said(&["order", &id, "--minutes", "20"]);
    assert!(held["until_ms"].as_u64() < ordered["until_ms"].as_u64(), "{ordered}");
    assert_eq!(said(&["order", &id, "--minutes", "25"])["outcome"], "OrderRefused");
    assert_eq!(said(&["book", &id, "--payment", "0"])["outcome"], "PaymentMissing");
    let kind = ["--payment", "42", "--kind", "pre-authorization"];
    assert_eq!(said(&[&["pay", &id][..], &kind].concat())["outcome"], "PaymentKindRefused");
    let kind = ["--payment", "42", "--kind", "insurance"];
    assert_eq!(said(&[&["pay", &id][..], &kind].concat())["status"], "booked");
    assert_eq!(said(&["refunds"]), Value::Null);
    assert_eq!(said(&["cancel", &id])["status"], "cancelled");
    let owed = said(&["refunds"]);
    assert_eq!((&owed["refund"], &owed["kind"]), (&"due".into(), &"insurance".into()), "{owed}");
    let refund = ["refund", &id, "--payment", "42", "--reference", "4711"];
    assert_eq!(said(&refund)["retried"], false);
    assert_eq!(said(&refund)["retried"], true);
    assert_eq!(said(&["refunds"]), Value::Null);
    assert_eq!(said(&["refunds", &id])["refund"], "refunded");

    // What was given up is not booked by a payment that comes after.
    let held = said(&["hold", "7", "--patient-text", "Li Lei"]);
    let id = held["appointment"].as_str().unwrap().to_owned();
    assert_eq!(said(&["release", &id])["status"], "cancelled");
    let late = said(&["pay", &id, "--payment", "43"]);
    assert_eq!((&late["outcome"], &late["code"]), (&"PaymentRefundable".into(), &613.into()));
    assert_eq!(said(&["refunds"])["payment"], format!("{:032x}", 43));

    // The deadline of this department lies sixty days before.
    let booked = said(&["hold", "8", "--patient-text", "Li Lei", "--book", "44"]);
    let id = booked["appointment"].as_str().unwrap().to_owned();
    let refused = said(&["cancel", &id]);
    assert_eq!(refused["outcome"], "CancelTooLate");
    let ago = 58 * 24 * 3_600_000_u64;
    let hint = refused["retry_after_ms"].as_u64().unwrap();
    assert!(ago.min(u64::from(u32::MAX)) <= hint, "{refused}");
}

const PERSONS_RULES: &str = r#"
zone = "Asia/Shanghai"

[[rules]]
[rules.persons]
account = { patients = 2 }
phone = { patients = 1, accounts = 1 }
"#;

#[test]
fn a_telephone_of_one_patient_books_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(folder.path(), &[]);
    let now = haoyuan::ops::clock::Clock::start().now();
    let start = now.plus_millis(48 * 3_600_000).as_millis();
    let sessions = folder.path().join("sessions.toml");
    std::fs::write(&sessions, session_of(7, 12, start)).unwrap();
    assert_eq!(node.ctl(&["open", text(&sessions)]).status.code(), Some(0));
    let rules = folder.path().join("persons.toml");
    std::fs::write(&rules, PERSONS_RULES).unwrap();
    assert_eq!(asked(&node, &["rules", "apply", text(&rules), "--json"]).1, Some(0));
    while asked(&node, &["rules", "show", "--json"]).0["version"] != 1 {}

    let hold = |patient: &str, account: &str, phone: &str| {
        let who = ["--patient-text", patient, "--account-text", account, "--phone-text", phone];
        asked(&node, &[&["hold", "7", "--json"][..], &who].concat()).0
    };
    // A text is another key as an account, as a telephone and as a patient.
    assert_eq!(hold("138", "138", "138")["status"], "pending");
    let refused = hold("Han Mei", "138", "138");
    assert_eq!((&refused["outcome"], &refused["code"]), (&"PersonLimit".into(), &512.into()));
    let why = &refused["why"];
    assert_eq!((&why["key"], &why["limit"]), (&"persons".into(), &1.into()), "{refused}");
    assert_eq!(hold("Han Mei", "139", "138")["outcome"], "PersonLimit");
    assert_eq!(hold("Han Mei", "139", "139")["status"], "pending");
}
