//! A practitioner falls ill: what the desk types, and what becomes of the patients.
//!
//! **Architecture invariant:** nothing waits for a time. What the node does by itself is looked for
//! until it is there.

use std::fs;

use serde_json::Value;

use super::cli::{json, text};
use super::world::{Serving, document};

/// A session whose displaced patients are offered another place.
fn open(node: &Serving, id: u64, start: &str) {
    let path = node.data.with_extension(format!("{id}.toml"));
    let more = "displaced_offer_minutes = 60\nchanges_max = 1\n";
    let text_of = document(id, 3, 2)
        .replace(&format!("resource = {id}"), "resource = 4711")
        .replace("2099-03-01", start);
    fs::write(&path, text_of + more).unwrap();
    node.told(&["open", text(&path)]);
}

/// The lines that a command prints.
fn lines(node: &Serving, arguments: &[&str]) -> Vec<Value> {
    let output = node.ctl(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn outcome(node: &Serving, arguments: &[&str]) -> String {
    let output = node.ctl(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["outcome"].as_str().unwrap().to_owned()
}

/// Asks until something is there.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    // Each look is a process of its own, so this is minutes.
    (0..10_000).find_map(|_| look()).expect("it never came")
}

fn booked(node: &Serving, session: &str, slot: &str, patient: &str) -> String {
    let hold = ["hold", session, "--slot", slot, "--book", "1", "--patient-text", patient];
    node.told(&hold)["appointment"].as_str().unwrap().to_owned()
}

fn place(node: &Serving, appointment: &str) -> (u64, u64) {
    let claim = &node.told(&["get", appointment])["claims"][0];
    (claim["session"].as_u64().unwrap(), claim["slot"].as_u64().unwrap())
}

#[test]
fn who_loses_a_place_to_a_block_is_listed_until_there_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(&folder.path().join("data"), &[]);
    open(&node, 1, "2099-03-01");
    open(&node, 2, "2099-03-02");
    let lost = booked(&node, "1", "1", "Li Lei");
    // The slot that is not blocked is full.
    let kept = booked(&node, "1", "2", "Han Meimei");
    booked(&node, "1", "2", "Jim Green");

    node.told(&["block", "1", "--first", "0", "--count", "2", "--reason", "3"]);
    let hold = ["hold", "1", "--slot", "0", "--patient-text", "Lucy"];
    assert_eq!(outcome(&node, &hold), "SessionBlocked");
    let displaced = until(|| lines(&node, &["displaced", "--session", "1"]).pop());
    assert_eq!(
        (&displaced["appointment"], &displaced["status"]),
        (&lost.clone().into(), &"booked".into())
    );
    assert_eq!(place(&node, &kept), (1, 2), "the other slot was not blocked");
    assert!(lines(&node, &["displaced", "--session", "2"]).is_empty());
    let department = ["displaced", "--organization", "1", "--department", "12"];
    assert_eq!(lines(&node, &department).len(), 1);

    // The offer is a hold of the patient's, in the session of the same resource.
    let asks = ["list", "--patient-text", "Li Lei"];
    let offer = until(|| {
        let mut live = lines(&node, &asks).into_iter();
        live.find(|one| one["appointment"] != lost)
    });
    assert_eq!(offer["status"], "pending");
    let slot = offer["claims"][0]["slot"].to_string();
    assert_eq!(offer["claims"][0]["session"], 2);
    let alternatives = lines(&node, &["alternatives", &lost]);
    assert_eq!(
        (&alternatives[0]["session"], &alternatives[0]["resource"]),
        (&2.into(), &4711.into())
    );

    node.told(&["reschedule", &lost, "2", "--slot", &slot]);
    assert!(lines(&node, &["displaced"]).is_empty());
    assert_eq!(place(&node, &lost), (2, slot.parse().unwrap()));
    assert_eq!(lines(&node, &asks).len(), 1, "the offer ended");
    // That was no move by wish; this is the one that the session allows.
    node.told(&["unblock", "1", "--count", "2"]);
    node.told(&["reschedule", &lost, "1", "--slot", "0"]);
    assert_eq!(outcome(&node, &["reschedule", &lost, "2", "--slot", "0"]), "TooManyChanges");
    audited(node);
}

#[test]
fn a_substitute_moves_nobody_and_an_added_place_is_one_patients_alone() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(&folder.path().join("data"), &[]);
    open(&node, 1, "2099-03-01");
    let stays = booked(&node, "1", "0", "Li Lei");
    node.told(&["substitute", "1", "4712", "--reason", "3"]);
    let shown = node.told(&["session", "show", "1"]);
    assert_eq!(shown["session"]["resource"], 4712);
    assert_eq!(place(&node, &stays), (1, 0));

    booked(&node, "1", "0", "Han Meimei");
    let hold = ["hold", "1", "--slot", "0", "--patient-text", "Lucy"];
    assert_eq!(outcome(&node, &hold), "SoldOut");
    let add = ["add", "1", "--slot", "0", "--patient-text", "Lucy", "--payment", "7"];
    let id = ["--id", "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"];
    assert_eq!(outcome(&node, &[&add[..], &id].concat()), "IdTooOld");
    let added = node.told(&add);
    let added = added["appointment"].as_str().unwrap();
    let read = node.told(&["get", added]);
    assert_eq!((&read["status"], &read["claims"][0]["pool"]), (&"booked".into(), &255.into()));
    node.told(&["cancel", added]);
    assert_eq!(outcome(&node, &hold), "SoldOut", "the place went with its appointment");
    audited(node);
}

/// The journal that is left holds together.
fn audited(node: Serving) {
    let data = node.data.clone();
    assert_eq!(node.stop(), Some(0));
    let report = json(&["audit", "--json", "--data-dir", text(&data)]);
    assert_eq!((&report["clean"], &report["oversold"]), (&true.into(), &0.into()), "{report}");
}
