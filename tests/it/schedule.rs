//! Schedules from a document to a node, and what the documents' schemas say.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use haoyuan::ops::calendar::Calendar;
use haoyuan::ops::rules;
use haoyuan::ops::schedule::Schedules;
use haoyuan::ops::sessions::{self, DocumentDefaults, DocumentFormat};
use serde_json::{Map, Value};

use super::cli::{haoyuan, text};
use super::world::Serving;

const SCHEDULE: &str = r#"
[[schedules]]
id = "cardiology"
organization = 1
site = 1
department = 12
resource = 4711
fee = 5000
zone = "Asia/Shanghai"
days = ["monday", "thursday"]
booking_ends = { days_before = 1, at = "15:00" }
hours = { from = "06:30", to = "24:00", channels = [3] }
periods = [
  { name = "morning", start = "08:00", end = "12:00", slot_minutes = 30, places = 4 },
  { name = "evening", start = "18:00", slots = 4, slot_minutes = 15, places = 2 },
]
[[schedules.pools]]
name = "app"
share = 3
waves = [
  { share = 1, opens = { days_before = 7, at = "07:00" } },
  { share = 1, opens = { days_before = 2, at = "12:00" } },
]
[[schedules.pools]]
name = "counter"
channels = [0]
share = 1
"#;

/// What a command printed, line by line, and its exit code.
fn lines(output: &Output) -> (Vec<Value>, Option<i32>) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}{errors}"));
    (text.lines().map(line).collect(), output.status.code())
}

fn schedule(node: &Serving, task: &str, file: &Path, more: &[&str]) -> (Vec<Value>, Option<i32>) {
    // Far ahead: the node's clock is the machine's. 3 August 2099 is a Monday.
    let dates = ["--from", "2099-08-03", "--days", "14"];
    lines(&node.ctl(&[&["schedule", task, text(file)], &dates[..], more].concat()))
}

#[test]
fn applying_a_schedule_twice_opens_its_sessions_once() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(&folder.path().join("data"), &[]);
    let file = folder.path().join("schedule.toml");
    std::fs::write(&file, SCHEDULE).unwrap();

    let (found, code) = schedule(&node, "diff", &file, &[]);
    assert_eq!((found.last().unwrap()["missing"].as_u64(), code), (Some(8), Some(1)));
    let (found, code) = schedule(&node, "apply", &file, &[]);
    let tally = found.last().unwrap();
    assert_eq!(
        (tally["opened"].as_u64(), tally["same"].as_u64(), code),
        (Some(8), Some(0), Some(0))
    );
    let (found, code) = schedule(&node, "apply", &file, &[]);
    let tally = found.last().unwrap();
    assert_eq!(
        (tally["opened"].as_u64(), tally["same"].as_u64(), code),
        (Some(0), Some(8), Some(0))
    );
    let (found, code) = schedule(&node, "diff", &file, &[]);
    assert_eq!((found.last().unwrap()["same"].as_u64(), code), (Some(8), Some(0)));

    // The evening of Thursday is given up, and the fee is raised: nothing on the node changes.
    let changed = SCHEDULE
        .replace("5000", "6000")
        .replace("name = \"evening\",", "name = \"evening\", days = [\"monday\"],");
    std::fs::write(&file, changed).unwrap();
    for task in ["diff", "apply"] {
        let (found, code) = schedule(&node, task, &file, &[]);
        let tally = found.last().unwrap();
        assert_eq!((tally["different"].as_u64(), code), (Some(8), Some(1)), "{task}");
        assert_eq!(tally["opened"], 0, "{task}");
        let first = &found[0];
        assert_eq!((&first["found"], &first["date"]), (&"different".into(), &"2099-08-03".into()));
        let expected = serde_json::json!([{ "key": "fee", "document": 6000, "node": 5000 }]);
        assert_eq!(first["differences"], expected);
        let gone = found.iter().filter(|line| line["found"] == "not in the document");
        let gone: Vec<_> =
            gone.map(|line| (line["date"].as_str(), line["period"].as_str())).collect();
        let evening = Some("evening");
        assert_eq!(gone, [(Some("2099-08-06"), evening), (Some("2099-08-13"), evening)]);
    }

    std::fs::write(&file, SCHEDULE).unwrap();
    let (shown, code) = schedule(&node, "show", &file, &[]);
    assert_eq!((shown.len(), code), (8, Some(0)));
    let morning = &shown[0];
    assert_eq!((&morning["places"], &morning["taken"]), (&32.into(), &0.into()));
    let opens: Vec<&Value> =
        morning["session"]["pools"].as_array().unwrap().iter().map(|pool| &pool["opens"]).collect();
    let (first, second) = ("2099-07-27T07:00:00+08:00", "2099-08-01T12:00:00+08:00");
    assert_eq!(opens, [&Value::from(first), &second.into(), &Value::Null]);

    // A hold through the counter, which is open from the start; the app has to wait.
    let id = morning["id"].as_u64().unwrap().to_string();
    let hold = |channel| {
        let patient = ["--patient-text", "Li Lei", "--channel", channel];
        node.ctl(&[&["hold", id.as_str(), "--slot", "1"], &patient[..]].concat())
    };
    let (refused, code) = lines(&hold("3"));
    let outcome = refused[0]["outcome"].as_str().unwrap();
    assert_eq!(code, Some(1));
    assert!(["NotOpenYet", "OutsideServiceHours"].contains(&outcome), "{outcome}");
    assert_eq!(lines(&hold("0")).1, Some(0));
    let shown = node.told(&["session", "show", &id, "--zone", "Asia/Shanghai"]);
    assert_eq!(shown["session"]["booking_ends"], "2099-08-02T15:00:00+08:00");
    assert_eq!(shown["taken"][2][1], 1, "{shown}");

    // What is printed is a document, and describes the same session.
    let printed = serde_json::json!({ "sessions": [shown["session"]] }).to_string();
    let read = sessions::parse("-", DocumentFormat::Json, &printed, &DocumentDefaults::default());
    assert_eq!(read.unwrap()[0].id.0.to_string(), id);
    assert_eq!(node.stop(), Some(0));
}

/// Two pools, of which the first is drawn, and a waitlist.
const QUEUES: &str = r#"
[[schedules]]
id = "specialist"
organization = 1
site = 1
department = 12
resource = 4712
zone = "Asia/Shanghai"
days = ["wednesday"]
periods = [{ name = "morning", start = "08:00", end = "10:00", slot_minutes = 30, places = 2 }]
[schedules.waitlist]
entries = 20
priority = { referral = 1 }
[[schedules.pools]]
share = 1
[schedules.pools.draw]
opens = { days_before = 9, at = "08:00" }
window_minutes = 1440
beacon = "drand {closes}"
beacon_minutes = 60
[[schedules.pools]]
channels = [0]
share = 1
"#;

#[test]
fn draws_and_waitlists_of_a_schedule_are_opened_once_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let node = Serving::start(&folder.path().join("data"), &[]);
    let file = folder.path().join("queues.toml");
    std::fs::write(&file, QUEUES).unwrap();

    for (opened, same) in [(2, 0), (0, 2)] {
        let (found, code) = schedule(&node, "apply", &file, &[]);
        let tally = found.last().unwrap();
        let expected = (Some(opened), Some(same), Some(0));
        assert_eq!((tally["opened"].as_u64(), tally["same"].as_u64(), code), expected, "{tally}");
    }

    // The node is bound to its draw, and says to what.
    let (shown, _) = schedule(&node, "show", &file, &[]);
    let session = &shown[0]["session"];
    let draw = &session["pools"][0]["draw"];
    assert_eq!(draw["commitment"].as_str().map(str::len), Some(64), "{draw}");
    assert_eq!(draw["opens"], "2099-07-27T08:00:00+08:00");
    assert_eq!(draw["closes"], "2099-07-28T08:00:00+08:00");
    assert_eq!(draw["beacon_until"], "2099-07-28T09:00:00+08:00");
    assert_eq!(session["waitlist"]["closes"], "2099-08-04T23:00:00+08:00");
    let id = shown[0]["id"].as_u64().unwrap().to_string();
    let told = node.told(&["session", "show", &id, "--zone", "Asia/Shanghai"]);
    assert_eq!(told["session"], *session);
    let read = serde_json::json!({ "sessions": [session] }).to_string();
    let read = sessions::parse("-", DocumentFormat::Json, &read, &DocumentDefaults::default());
    assert_eq!(read.unwrap()[0].id.0.to_string(), id, "what is printed is a document");

    // What differs is named, and not changed.
    for (from, to, key) in [
        ("entries = 20", "entries = 30", "waitlist.entries"),
        ("referral = 1", "referral = 2", "waitlist.priority.referral"),
        ("beacon_minutes = 60", "beacon_minutes = 90", "pools[0].draw.beacon_until"),
        ("drand {closes}", "drand on {date}", "pools[0].draw.beacon_sha256"),
        (
            "window_minutes = 1440",
            "window_minutes = 1440\npreferences = 1",
            "pools[0].draw.preferences",
        ),
    ] {
        std::fs::write(&file, QUEUES.replace(from, to)).unwrap();
        let (found, code) = schedule(&node, "apply", &file, &[]);
        let tally = found.last().unwrap();
        assert_eq!((tally["different"].as_u64(), code), (Some(2), Some(1)), "{to}");
        let differences = found[0]["differences"].as_array().unwrap();
        let keys: Vec<_> = differences.iter().map(|it| it["key"].as_str().unwrap()).collect();
        assert_eq!(keys, [key], "{to}");
    }

    // A draw that has opened cannot be announced any more; what has no draw is opened.
    let late = QUEUES.replace("\"specialist\"", "\"late\"").replace("4712", "4713").replace(
        "opens = { days_before = 9, at = \"08:00\" }\nwindow_minutes = 1440",
        "opens = \"2026-01-01T00:00:00Z\"\ncloses = { days_before = 1, at = \"08:00\" }",
    );
    std::fs::write(&file, late).unwrap();
    for task in ["diff", "apply"] {
        let (found, code) = schedule(&node, task, &file, &[]);
        assert_eq!((&found[0]["found"], code), (&"too late".into(), Some(1)), "{task}");
        assert_eq!(found.last().unwrap()["late"], 2, "{task}");
    }

    // A commitment is the node's: a document that has one is for reading.
    let bound = folder.path().join("bound.json");
    let mut again = session.clone();
    again["id"] = 77.into();
    std::fs::write(&bound, serde_json::json!({ "sessions": [again] }).to_string()).unwrap();
    let output = node.ctl(&["open", text(&bound)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("session 77 has the commitment of a draw"), "{errors}");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn draws_and_waitlists_are_printed_for_people() {
    for (example, expected) in [
        (
            "docs/examples/schedule-draw.toml",
            &[
                "opens 19 by draw 2026-10-05 08:00 to 2026-10-06 08:00, 5 at 2026-10-07 08:00; \
                 booking ends 2026-10-13 15:00\n",
                "      beacon of pool 0: drand quicknet, first round at or after 2026-10-06T00:00:00Z\n",
                "pool 0: 19 places, channels 1 2 3, drawn among entries from 2026-10-05 08:00 to \
                 2026-10-06 08:00, up to 3 slots ranked, winners have 12 hours, beacon awaited \
                 until 2026-10-06 09:00, unused to pool 1 at 2026-10-12 12:00\n",
            ][..],
        ),
        (
            "docs/examples/schedule-waitlist.toml",
            &[
                "  waitlist of 60, drawn among who joins within 10 minutes of the first; emergency \
                 before referral before outpatient and inpatient and check-up\n",
                "  offers last 12 hours, 30 minutes where the visit is within 48 hours, made \
                 07:00-22:00\n",
                "opens 72 at 2026-09-29 07:00; waitlist closes 2026-10-12 20:00\n",
                "  waitlist of 100, drawn among who joins within 10 minutes of the first\n",
                "booking ends 2026-10-13 15:00; waitlist closes 2026-10-13 15:00\n",
                "a freed place goes to the waitlist; if nobody waits, back after 5 minutes to 30 \
                 minutes\n",
            ],
        ),
    ] {
        let dates = ["--from", "2026-10-12", "--days", "14"];
        let output = haoyuan(&[&["ctl", "schedule", "check", example], &dates[..]].concat());
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        for expected in expected {
            assert!(printed.contains(expected), "{expected} is not in\n{printed}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.toml");
    for (from, to, expected) in [
        ("entries = 20", "entries = 0", "schedules[0].waitlist.entries: is 0; it takes a number"),
        ("zone =", "returns = \"at-once\"\nzone =", "schedules[0].returns: keeps freed places"),
        (
            "window_minutes = 1440",
            "",
            "schedules[0].pools[0].draw: needs closes, or window_minutes",
        ),
        ("{closes}", "{round}", "schedules[0].pools[0].draw.beacon: is \"drand {round}\"; what is"),
    ] {
        std::fs::write(&wrong, QUEUES.replace(from, to)).unwrap();
        let output = haoyuan(&["ctl", "schedule", "check", text(&wrong), "--from", "2099-08-03"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{to}: {errors}");
        assert!(errors.contains(expected), "{to}: {errors}");
    }
}

#[test]
fn a_schedule_is_printed_for_people_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let calendar = "docs/examples/calendar-china-2026.toml";
    let dates = ["--from", "2026-09-28", "--days", "14"];
    let check = ["ctl", "schedule", "check", "docs/examples/schedule.toml", "--calendar", calendar];
    let output = haoyuan(&[&check[..], &dates[..]].concat());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        "cardiology-4711\n  times of Asia/Shanghai\n",
        "2026-10-08 Thu thursday-afternoon: 2026-10-08 14:00-16:00, 6 slots of 20 minutes, 22 places",
        "opens 4 at once, 5 at 2026-09-24 07:00, 9 at 2026-10-01 07:00, 4 at 2026-10-06 12:00",
        "booking ends 2026-10-07 15:00",
        "picked up by 15 minutes before the start; check-in from 45 minutes before the start, on \
         time for 10 minutes after it, late for 90 minutes: one called after 3 on time\n",
        "2 schedules, 10 sessions from 2026-09-28 to 2026-10-10",
    ] {
        assert!(printed.contains(expected), "{expected} is not in\n{printed}");
    }
    assert!(!printed.contains("2026-10-01 Thu"), "a holiday\n{printed}");

    let wrong = folder.path().join("wrong.toml");
    std::fs::write(&wrong, SCHEDULE.replace("share = 3", "share = 0")).unwrap();
    let file = folder.path().join("schedule.toml");
    std::fs::write(&file, SCHEDULE).unwrap();
    for (arguments, expected) in [
        (vec!["check", text(&wrong)], "schedules[0].pools[0].share: is 0; it takes a number"),
        (vec!["check", "docs/examples/schedule.toml"], "need a calendar (--calendar)"),
        (vec!["check", text(&file), "--calendar", text(&file)], "name: is missing"),
        (vec!["check", text(&file), "--from", "1 May"], "a date is written as"),
        (vec!["check", text(&file), "--days", "367"], "367 is not in 1..=366"),
        (vec!["apply", "absent.toml"], "cannot read absent.toml"),
    ] {
        let output = haoyuan(&[&["ctl", "schedule"], &arguments[..]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(2 <= errors.trim().lines().count(), "no advice: {errors}");
    }
}

/// Reads a document; gives the place and the reason of its fault.
type Reader = fn(&Value) -> Result<(), (String, String)>;

/// A schedule of docs/policies/schedules, and what its plan has to say.
const PUBLISHED: &[(&str, &[&str])] = &[
    ("beijing-114", &["opens 48 at 2026-06-26 07:00; booking ends 2026-09-23 15:00"]),
    ("beijing-childrens", &["opens 96 at 2026-09-17 07:00", "opens 24 at once"]),
    ("beijing-reserve", &["pool 0: 24 places, every channel, for referral", "never below 24"]),
    ("hangzhou-waitlist", &["opens 48 at 2026-09-17 07:00; waitlist closes 2026-09-23 23:00"]),
    ("nhs-e-referral", &["opens 12 at 2026-09-10 08:00, 12 at 2026-09-10 18:00"]),
    ("zhejiang-hospital-a", &["opens 42 at 2026-09-10 06:30; booking ends 2026-09-24 00:00"]),
    ("zhejiang-hospital-b", &["opens 30 at 2026-08-27 06:00"]),
];

#[test]
fn every_published_schedule_plans_its_openings_as_its_source_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies/schedules");
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, PUBLISHED.len(), "each has its row");
    for (name, said) in PUBLISHED {
        let file = folder.join(format!("{name}.toml"));
        let document = std::fs::read_to_string(&file).unwrap();
        let mut first = document.lines().take(2);
        assert!(
            first.any(|line| line.contains(".com") || line.contains(".uk") || line.contains(".cn")),
            "{name}"
        );
        let calendar = ["--calendar", "docs/examples/calendar-china-2026.toml"];
        let dates = ["--from", "2026-09-24", "--days", "1"];
        let asked = [&["ctl", "schedule", "check", text(&file)], &calendar[..], &dates[..]];
        let output = haoyuan(&asked.concat());
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {printed}");
        for line in *said {
            assert!(printed.contains(line), "{name}: {line}\n{printed}");
        }
    }
    // Nobody books on a holiday: 25 September 2026 is one.
    let file = folder.join("beijing-114.toml");
    let output = haoyuan(&[
        "ctl",
        "schedule",
        "check",
        text(&file),
        "--calendar",
        "docs/examples/calendar-china-2026.toml",
        "--from",
        "2026-09-25",
        "--days",
        "3",
    ]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("no session on these dates"), "{printed}");
}

fn read_schedule(value: &Value) -> Result<(), (String, String)> {
    let text = value.to_string();
    let read = Schedules::parse("-", DocumentFormat::Json, &text, &DocumentDefaults::default());
    read.map(drop).map_err(|error| (error.place, error.reason))
}

fn read_calendar(value: &Value) -> Result<(), (String, String)> {
    let read = Calendar::parse("-", DocumentFormat::Json, &value.to_string());
    read.map(drop).map_err(|error| (error.place, error.reason))
}

fn read_sessions(value: &Value) -> Result<(), (String, String)> {
    let text = value.to_string();
    let read = sessions::parse("-", DocumentFormat::Json, &text, &DocumentDefaults::default());
    read.map(drop).map_err(|error| (error.place, error.reason))
}

fn read_rules(value: &Value) -> Result<(), (String, String)> {
    let text = value.to_string();
    let read = rules::read("-", &text, DocumentFormat::Json, &DocumentDefaults::default());
    read.map(drop).map_err(|error| (error.place, error.reason))
}

/// Walks a document and its schema together, and asks the reader which keys each table has.
struct Walk<'a> {
    schema: &'a Value,
    document: Value,
    read: Reader,
    /// Pointers into the schema of the tables that the document has.
    seen: BTreeSet<String>,
    errors: Vec<String>,
}

impl Walk<'_> {
    /// The schema of a value: behind references, the one of the alternatives that is of its type.
    fn resolve(&self, pointer: &str, value: &Value) -> Option<String> {
        let node = self.schema.pointer(pointer)?;
        if let Some(to) = node["$ref"].as_str() {
            return self.resolve(to.strip_prefix('#')?, value);
        }
        if let Some(choices) = node["oneOf"].as_array() {
            let mut choices = (0..choices.len()).map(|index| format!("{pointer}/oneOf/{index}"));
            return choices.find_map(|choice| self.resolve(&choice, value));
        }
        let fits = match value {
            Value::Object(_) => node["type"] == "object",
            Value::Array(_) => node["type"] == "array",
            Value::String(text) => {
                let words = node["enum"].as_array();
                node["type"] == "string"
                    || node["const"] == *text
                    || words.is_some_and(|words| words.contains(value))
            }
            Value::Number(_) => node["type"] == "integer",
            Value::Bool(_) => node["type"] == "boolean",
            Value::Null => false,
        };
        fits.then(|| pointer.to_owned())
    }

    fn visit(&mut self, at: &str, pointer: &str) {
        let value = self.document.pointer(at).unwrap().clone();
        let Some(pointer) = self.resolve(pointer, &value) else {
            return self.errors.push(format!("{at}: {value} is not what {pointer} says"));
        };
        match value {
            Value::Object(table) => {
                self.seen.insert(pointer.clone());
                self.compare(at, &pointer, &table);
                for key in table.keys() {
                    self.visit(&format!("{at}/{key}"), &format!("{pointer}/properties/{key}"));
                }
            }
            Value::Array(list) => {
                for index in 0..list.len() {
                    self.visit(&format!("{at}/{index}"), &format!("{pointer}/items"));
                }
            }
            _ => {}
        }
    }

    /// The keys of a table in the schema are those that the reader asks for, and none that is
    /// required can be left away.
    fn compare(&mut self, at: &str, pointer: &str, table: &Map<String, Value>) {
        let node = self.schema.pointer(pointer).unwrap();
        let known: BTreeSet<&str> =
            node["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut with = self.document.clone();
        with.pointer_mut(at).unwrap()["no such key"] = true.into();
        let (_, reason) = (self.read)(&with).expect_err("a key that is not known");
        let asked = reason.strip_prefix("is no key; the keys are ").unwrap_or_else(|| {
            panic!("{at}: {reason}");
        });
        let asked: BTreeSet<&str> = asked.split(", ").collect();
        if known != asked {
            self.errors.push(format!("{at}: the schema has {known:?}, the reader {asked:?}"));
        }
        for key in node["required"].as_array().unwrap() {
            let mut without = self.document.clone();
            let key = key.as_str().unwrap();
            assert!(table.contains_key(key), "{at}: the example has no {key}");
            without.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(key);
            if (self.read)(&without).is_ok() {
                self.errors.push(format!("{at}: {key} is required in the schema alone"));
            }
        }
    }
}

/// The tables of a schema: pointers to all that have properties.
fn tables(at: &str, node: &Value, found: &mut BTreeSet<String>) {
    if node.get("properties").is_some_and(|_| node["type"] == "object") {
        found.insert(at.to_owned());
    }
    match node {
        Value::Object(map) => {
            map.iter().for_each(|(key, node)| tables(&format!("{at}/{key}"), node, found));
        }
        Value::Array(list) => {
            let nodes = list.iter().enumerate();
            nodes.for_each(|(index, node)| tables(&format!("{at}/{index}"), node, found));
        }
        _ => {}
    }
}

#[test]
fn the_schemas_have_the_keys_that_are_read_and_no_others() {
    for (schema, examples, read) in [
        (
            include_str!("../../docs/schedule.schema.json"),
            &[
                include_str!("../../docs/examples/schedule.toml"),
                include_str!("../../docs/examples/schedule-draw.toml"),
                include_str!("../../docs/examples/schedule-waitlist.toml"),
            ][..],
            read_schedule as Reader,
        ),
        (
            include_str!("../../docs/calendar.schema.json"),
            &[include_str!("../../docs/examples/calendar-china-2026.toml")],
            read_calendar,
        ),
        (
            include_str!("../../docs/sessions.schema.json"),
            &[include_str!("../../docs/examples/sessions.toml")],
            read_sessions,
        ),
        (
            include_str!("../../docs/rules.schema.json"),
            &[include_str!("../../docs/examples/rules.toml")],
            read_rules,
        ),
    ] {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let mut seen = BTreeSet::new();
        for example in examples {
            let document: Value = toml::from_str(example).unwrap();
            assert_eq!(read(&document), Ok(()));
            let mut walk = Walk { schema: &schema, document, read, seen, errors: Vec::new() };
            walk.visit("", "");
            assert!(walk.errors.is_empty(), "{}", walk.errors.join("\n"));
            seen = walk.seen;
        }
        let mut all = BTreeSet::new();
        tables("", &schema, &mut all);
        // The schedule's hours go by its zone, so no example gives their offsets.
        let unseen: Vec<&String> =
            all.difference(&seen).filter(|at| !at.ends_with("offsets/items")).collect();
        assert!(unseen.is_empty(), "no example has {unseen:?}");
    }
}
