//! Restrictions from the command line to a node and back: made, suspended, appealed against, lifted.

use haoyuan::model::Timestamp;
use haoyuan::ops::clock::Clock;

use super::world::{DAY, MINUTE, Serving};

fn text_of(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap();
    jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
}

/// Why something is refused.
fn refused(node: &Serving, arguments: &[&str]) -> String {
    let output = node.ctl(arguments);
    assert!(!output.status.success(), "{arguments:?} was granted");
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

const WHO: [&str; 2] = ["--patient-text", "Li Lei"];

/// Opens a session of tomorrow, and puts a rule about appeals in force.
fn serving(folder: &std::path::Path) -> Serving {
    let node = Serving::start(folder, &[]);
    let now = Clock::start().now();
    let document = folder.join("sessions.json");
    let session = serde_json::json!({ "sessions": [{
        "id": 7, "organization": 1, "site": 1, "department": 1, "resource": 1,
        "start": text_of(now.plus_millis(DAY)), "slot_minutes": 10, "slots": 4, "places": 2,
    }]});
    std::fs::write(&document, session.to_string()).unwrap();
    assert!(node.ctl(&["open", document.to_str().unwrap()]).status.success());
    let rules = folder.join("rules.toml");
    std::fs::write(&rules, "[[rules]]\n[rules.appeal]\nterm = { days = 2 }\nsuspends = true\n")
        .unwrap();
    let from = now.plus_millis(3_000);
    node.told(&["rules", "apply", rules.to_str().unwrap(), "--from", &text_of(from)]);
    while Clock::start().now() < from {
        std::thread::yield_now();
    }
    node
}

#[test]
fn a_patient_is_restricted_suspended_heard_and_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let node = serving(folder.path());
    let ask = |verb: &[&str], more: &[&str]| node.told(&[verb, &WHO, more].concat());
    let hold = [&["hold", "7"], &WHO[..]].concat();

    let made = ask(&["restrict"], &["--days", "9", "--reason", "4", "--evidence", "77"]);
    let id = made["restriction"].as_str().unwrap().to_owned();
    assert!(refused(&node, &hold).contains("Restricted"));
    let soon = text_of(Clock::start().now().plus_millis(60 * MINUTE));
    ask(&["suspend", &id], &["--until", &soon, "--reason", "2"]);
    let taken = node.told(&hold);
    let taken = taken["appointment"].as_str().unwrap();
    node.told(&["release", taken]);
    ask(&["resume", &id], &["--reason", "2"]);
    assert!(refused(&node, &hold).contains("Restricted"));

    let appeal = ask(&["appeal", &id], &["--evidence", "78"]);
    assert!(appeal["until_ms"].as_u64().unwrap() > Clock::start().now().as_millis() + DAY);
    node.told(&hold);
    let again = [&["appeal", &id], &WHO[..]].concat();
    assert!(refused(&node, &again).contains("AppealedAlready"));
    ask(&["decide", &id], &["--grant", "--reason", "3"]);
    let late = [&["lift", &id], &WHO[..], &["--reason", "3"]].concat();
    assert!(refused(&node, &late).contains("RestrictionOver"));

    let record = ask(&["record"], &[]);
    let kept = &record["restrictions"][0];
    assert_eq!((&kept["state"], &kept["id"]), (&"lifted".into(), &id.as_str().into()));
    assert_eq!(kept["ground"]["reason"], 4);
    let steps: Vec<&str> = kept["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["what"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["Suspended", "Resumed", "Appealed", "Granted"]);
}

#[test]
fn two_keys_are_merged_and_act_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let node = serving(folder.path());
    let (old, new) = ("00000000000000000000000000000a11", "00000000000000000000000000000b22");
    let held = node.told(&["hold", "7", "--patient", old]);
    let held = held["appointment"].as_str().unwrap().to_owned();
    let merged = node.told(&["merge", old, new]);
    assert_eq!((&merged["patient"], &merged["doubled"]), (&new.into(), &0.into()));
    assert_eq!(merged["keys"], serde_json::json!([old]));
    for key in [old, new] {
        let listed = node.told(&["list", "--patient", key]);
        assert!(listed.to_string().contains(&held), "{listed}");
        assert!(refused(&node, &["hold", "7", "--patient", key]).contains("AlreadyHasAppointment"));
    }
    assert!(refused(&node, &["merge", new, old]).contains("AlreadyMerged"));
    node.told(&["release", &held]);
}
