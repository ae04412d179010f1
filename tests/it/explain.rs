//! Why something is as it is: a patient is refused, asks why, and is told in words.

use std::path::Path;

use haoyuan::client::ids::new_request_id;
use haoyuan::model::Timestamp;
use haoyuan::ops::clock::Clock;
use serde_json::Value;

use super::cli::{haoyuan, text};
use super::world::Serving;

fn instant(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap();
    jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
}

fn fresh_id() -> String {
    format!("{:032x}", new_request_id(Clock::start().now()).0)
}

/// What `ctl` printed, whether it was granted or not.
fn said(node: &Serving, arguments: &[&str]) -> Value {
    let output = node.ctl(arguments);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = printed.lines().next_back().unwrap_or("null");
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(line).unwrap_or_else(|_| panic!("{arguments:?}: {printed}{errors}"))
}

/// The same in words.
fn words(node: &Serving, arguments: &[&str]) -> String {
    let certs = node.certs();
    let to = ["ctl", "--server", &node.server, "--certs", text(&certs)];
    let output = haoyuan(&[&to, arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Opens a session of five places that began a minute ago.
fn open_begun(node: &Serving, folder: &Path) {
    let start = instant(Clock::start().now().minus_millis(60_000));
    let file = folder.join("begun.toml");
    let document = format!(
        "[[sessions]]\nid = 1\norganization = 1\nsite = 1\ndepartment = 12\nresource = 1\n\
         start = \"{start}\"\nslot_minutes = 60\nslots = 1\nplaces = 5\n"
    );
    std::fs::write(&file, document).unwrap();
    node.told(&["open", text(&file)]);
}

/// Puts a rule in force that strikes at the first missed visit.
fn apply(node: &Serving, folder: &Path) {
    let file = folder.join("rules.toml");
    let document = "zone = \"Asia/Shanghai\"\n[[rules]]\nscope = { organization = 1 }\n\
         [rules.no_show]\nwithin = \"organization\"\nwindow = { days = 365 }\nbegins = \"at-once\"\n\
         tiers = [{ count = 1, for = { days = 180 }, but = [5] }]\n";
    std::fs::write(&file, document).unwrap();
    let from = Clock::start().now().plus_millis(2_500);
    node.told(&["rules", "apply", text(&file), "--from", &instant(from)]);
    while Clock::start().now() < from {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

const LI: [&str; 2] = ["--patient-text", "Li Lei"];

#[test]
fn a_refused_patient_learns_which_rule_until_when_and_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(&folder.path().join("data"), &[]);
    open_begun(&node, folder.path());
    node.open(2, 1, 5);
    let [text, li] = LI;
    let held = node.told(&["hold", "1", text, li, "--book", "7"]);
    let visit = held["appointment"].as_str().unwrap();
    let before = said(&node, &["explain", text, li]);
    assert_eq!(before["words"][0], "Nothing keeps you from booking.");
    let stands = words(&node, &["explain", visit]);
    assert!(stands.contains("Your appointment is booked."), "{stands}");
    assert!(stands.contains("You can cancel it"), "{stands}");

    apply(&node, folder.path());
    node.told(&["no-show", visit]);
    let id = fresh_id();
    let now = Clock::start().now().as_millis();
    let refused = said(&node, &["hold", "2", text, li, "--id", &id]);
    assert_eq!(refused["outcome"], "Restricted");
    assert_eq!((&refused["why"]["key"], &refused["why"]["count"]), (&"no_show".into(), &1.into()));

    let told = said(&node, &["explain", &id]);
    let why = &told["refused"]["why"];
    assert_eq!(
        (&told["kind"], &told["refused"]["outcome"]),
        (&"request".into(), &"Restricted".into())
    );
    let named = (&why["rules"], &why["layer"], &why["limit"], &why["within"]);
    assert_eq!(named, (&1.into(), &0.into(), &1.into(), &"organization".into()));
    assert_eq!(why["through"], serde_json::json!([5]));
    let days = (why["until_ms"].as_u64().unwrap() - now) / 86_400_000;
    assert!((179..=180).contains(&days), "{told}: more than a hint can say");
    assert_eq!(why, &refused["why"], "the refusal said the same");

    let english = words(&node, &["explain", &id]);
    for sentence in [
        "You cannot book here for a time. You can still cancel appointments that you have.",
        "You missed 1 visit since ",
        "This holds in this hospital.",
        "Until then you can book through: 5.",
        "[no_show: version 1 of the rules, layer 0, tier 0]",
    ] {
        assert!(english.contains(sentence), "{sentence}: {english}");
    }
    let chinese = words(&node, &["explain", &id, "--lang", "zh"]);
    for sentence in ["已爽约1次", "适用于这家医院。", "已有的预约仍然可以取消。"]
    {
        assert!(chinese.contains(sentence), "{sentence}: {chinese}");
    }

    let patient = said(&node, &["explain", text, li, "--lang", "zh"]);
    assert_eq!(patient["kind"], "patient");
    assert_eq!(patient["restrictions"][0]["count"], 1);
    assert_eq!(
        (&patient["strikes"][0]["counts"], &patient["counters"][0]["count"]),
        (&true.into(), &1.into())
    );
    assert!(patient["words"][0].as_str().unwrap().contains("不能预约"), "{patient}");
    let earlier = instant(Timestamp::from_millis(now - 86_400_000));
    let then = said(&node, &["explain", text, li, "--at", &earlier]);
    assert_eq!(then["words"][0], "Nothing keeps you from booking.", "{then}");

    let unknown = said(&node, &["explain", &fresh_id()]);
    assert_eq!((&unknown["known"], &unknown["kept"]), (&false.into(), &(1 << 20).into()));
    assert!(unknown["words"][0].as_str().unwrap().contains("last 1048576"), "{unknown}");
}

#[test]
fn a_node_keeps_as_many_refusals_as_its_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("node.toml");
    std::fs::write(&config, "[engine]\nrefusals_kept = 0\n").unwrap();
    let data = folder.path().join("data");
    let node = Serving::start(&data, &["--config", text(&config)]);
    let id = fresh_id();
    assert_eq!(
        said(&node, &["hold", "9", "--patient-text", "x", "--id", &id])["outcome"],
        "SessionNotFound"
    );
    let unknown = said(&node, &["explain", &id]);
    assert_eq!((&unknown["known"], &unknown["kept"]), (&false.into(), &0.into()));
}
