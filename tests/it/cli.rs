//! The binary from outside: what it prints, what it leaves, how it ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub(super) fn haoyuan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_haoyuan"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command that must succeed, and reads its last line as JSON.
pub(super) fn json(arguments: &[&str]) -> Value {
    let output = haoyuan(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap()
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn bad_use_ends_with_code_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let unknown_key = file("unknown.toml", "lissen = 1");
    let out_of_range = file("range.toml", "[engine]\nretention_hours = 9000");
    let no_table = file("none.csv", "a,b\n1,2\n");
    let cut = file("cut.csv.gz", "\u{1f}");
    std::fs::write(&cut, [0x1f, 0x8b, 8, 0, 0]).unwrap();
    let no_document = file("sessions.yaml", "");
    let absent = folder.path().join("absent");
    for (arguments, expected) in [
        (vec!["serve", "--no-such-flag"], "unexpected argument"),
        (vec!["sell"], "unrecognized subcommand"),
        (vec!["serve", "--config", text(&unknown_key)], "unknown field `lissen`"),
        (vec!["serve", "--config", text(&out_of_range)], "engine.retention_hours = 9000 is out of"),
        (vec!["serve", "--dev", "--listen", "0.0.0.0:0"], "--dev does not listen on 0.0.0.0:0"),
        (vec!["serve"], "the node has no certificate"),
        (vec!["audit", "--data-dir", text(&absent)], "is not a data folder"),
        (vec!["journal", "--data-dir", text(&absent)], "is not a data folder"),
        (vec!["replay", "--appointments", text(&absent)], "cannot open"),
        (vec!["replay", "--appointments", text(&no_table)], "has no column \"PatientId\""),
        (vec!["replay", "--appointments", text(&cut)], "cannot read it"),
        (vec!["ctl", "open", text(&no_document)], "is neither .toml nor .json"),
        (vec!["ctl", "get", "12"], "an id is 32 hex digits or a UUID"),
        (vec!["ctl", "hold", "5"], "no patient is named"),
        (vec!["cert", "client", "--ca", "x", "--out", "y", "--role", "king"], "a role is one of"),
    ] {
        let output = haoyuan(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(2 <= errors.trim().lines().count(), "no advice: {errors}");
    }
}

#[test]
fn the_printed_configuration_is_taken_and_flags_override_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.toml");
    let printed = haoyuan(&["serve", "--print-config"]);
    std::fs::write(&path, &printed.stdout).unwrap();
    let flags = ["serve", "--print-config", "--listen", "[::1]:7", "--config", text(&path)];
    let again = String::from_utf8(haoyuan(&flags).stdout).unwrap();
    assert!(again.contains("listen = \"[::1]:7\""), "{again}");
    let listen = |line: &&str| line.starts_with("listen");
    let rest = |text: &str| {
        text.lines().filter(|line| !listen(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rest(&again), rest(&String::from_utf8(printed.stdout).unwrap()));
}

const HEADER: &str =
    "PatientId,AppointmentID,Gender,ScheduledDay,AppointmentDay,Neighbourhood,No-show";

/// Ten lines: six booked, one too late, three malformed.
const HISTORY: &str = "\
298,1,F,2016-04-29T18:38:08Z,2016-04-29T00:00:00Z,CENTRO,No
53761528476E-5,2,M,2016-04-27T08:00:00Z,2016-04-29T00:00:00Z,CENTRO,Yes
298,3,F,2016-04-28T09:00:00Z,2016-04-29T00:00:00Z,CENTRO,No
301,4,F,2016-04-30T00:00:00Z,2016-04-30T00:00:00Z,CENTRO,No
302,5,F,2016-05-01T00:00:00Z,2016-04-30T00:00:00Z,CENTRO,No
303,6,F,2016-04-28T09:00:00Z,2016-05-02T00:00:00Z,PRAIA,Yes
303,six,F,2016-04-28T09:00:00Z,2016-05-02T00:00:00Z,PRAIA,Yes
303,6,F,2016-04-28T09:00:00Z,2016-05-02T00:00:00Z,PRAIA,Yes
304,7,F,2016-04-28,2016-05-02T00:00:00Z
305,8,F,2016-05-02T23:59:59Z,2016-05-02T00:00:00Z,PRAIA,No
";

fn table(folder: &Path, lines: &str) -> PathBuf {
    let path = folder.join("history.csv");
    std::fs::write(&path, format!("{HEADER}\n{lines}")).unwrap();
    path
}

#[test]
fn a_replay_counts_every_line_and_names_the_malformed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (table, data) = (table(folder.path(), HISTORY), folder.path().join("data"));
    let arguments =
        ["replay", "--appointments", text(&table), "--data-dir", text(&data), "--json", "--acks"];
    let output = haoyuan(&arguments);
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let (acks, counts) = printed.trim_end().rsplit_once('\n').unwrap();
    let counts: Value = serde_json::from_str(counts).unwrap();
    for (key, expected) in [
        ("rows", 10),
        ("booked", 6),
        ("refused_in_past", 1),
        ("rejected_rows", 3),
        ("fulfilled", 4),
        ("no_show", 2),
    ] {
        assert_eq!(counts[key], expected, "{key} in {counts}");
    }
    // In the order in which they happened: line 2 is the first after the header.
    assert_eq!(acks.lines().collect::<Vec<_>>(), ["3", "4", "7", "2", "5", "6", "11"]);
    for line in ["line 8: AppointmentID", "line 9: its AppointmentID", "line 10: it has 5 fields"] {
        assert!(errors.contains(line), "{line} is not in {errors}");
    }

    let audit = json(&["audit", "--data-dir", text(&data), "--json"]);
    assert_eq!((&audit["oversold"], &audit["taken"]), (&0.into(), &6.into()));
    assert_eq!(audit["digest"], counts["digest"]);
    assert_eq!(audit["declined"], 1);

    let again = json(&arguments);
    for key in ["digest", "rows", "booked", "refused_in_past", "fulfilled", "no_show", "records"] {
        assert_eq!(again[key], counts[key], "{key} of a run that has nothing left to do");
    }
}

/// Enough rows that a run can be killed in the middle.
fn long_history() -> String {
    let row = |number: u32| {
        let (day, hour) = (1 + number / 400 % 20, number % 24);
        let came = if number.is_multiple_of(5) { "Yes" } else { "No" };
        let visit = day + number % 3;
        format!(
            "{},{number},F,2016-05-{day:02}T{hour:02}:00:00Z,2016-05-{visit:02},N{},{came}\n",
            number % 900,
            number % 7
        )
    };
    (1..4_000).map(row).collect()
}

#[test]
fn a_killed_replay_is_continued_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &long_history());
    let whole = folder.path().join("whole");
    let run = |data: &Path| {
        json(&["replay", "--appointments", text(&table), "--data-dir", text(data), "--json"])
    };
    let whole = run(&whole);
    let broken = folder.path().join("broken");
    for acks in [1, 900, 2_500] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
            .args(["replay", "--acks", "--appointments", text(&table), "--data-dir"])
            .arg(&broken)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acked = lines.take(acks).map(Result::unwrap).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acked, acks);
        let audit = json(&["audit", "--data-dir", text(&broken), "--json"]);
        let appointments = audit["appointments"].as_u64().unwrap();
        let declined = audit["declined"].as_u64().unwrap();
        assert!(acks as u64 <= appointments + declined, "{acks} acked, but {audit}");
    }
    let continued = run(&broken);
    for key in ["digest", "rows", "booked", "refused_in_past", "fulfilled", "no_show", "records"] {
        assert_eq!(continued[key], whole[key], "{key}");
    }
}

#[test]
fn a_script_that_reads_only_the_journal_recounts_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let (table, data) = (table(folder.path(), HISTORY), folder.path().join("data"));
    json(&["replay", "--appointments", text(&table), "--data-dir", text(&data), "--json"]);
    let (mut capacity, mut taken) = (BTreeMap::new(), BTreeMap::new());
    let mut statuses: BTreeMap<String, String> = BTreeMap::new();
    let journal = haoyuan(&["journal", "--data-dir", text(&data), "--json"]);
    for line in String::from_utf8(journal.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let fact = line["fact"].as_str().unwrap();
        if let (Some(appointment), Some(status)) =
            (line["appointment"].as_str(), line["status"].as_str())
        {
            statuses.insert(appointment.to_owned(), status.to_owned());
        }
        let (Some(slot), Some(count)) = (line["slot"].as_u64(), line["count"].as_u64()) else {
            assert!(matches!(fact, "Declined" | "Recorded"), "{line}");
            continue;
        };
        for slot in slot..slot + count {
            let cell = (line["session"].as_u64(), slot, line["pool"].as_u64());
            match fact {
                "SessionOpened" => drop(capacity.insert(cell, line["places"].as_i64().unwrap())),
                "Held" => *taken.entry(cell).or_insert(0) += 1,
                "Released" | "Expired" | "Cancelled" => *taken.entry(cell).or_insert(0) -= 1,
                _ => {}
            }
            assert!(taken.get(&cell).copied().unwrap_or(0) <= capacity[&cell], "{line}");
        }
    }
    let audit = json(&["audit", "--data-dir", text(&data), "--json"]);
    assert_eq!(audit["places"], capacity.values().sum::<i64>());
    assert_eq!(audit["taken"], taken.values().sum::<i64>());
    let noshow = statuses.values().filter(|status| *status == "noshow").count();
    assert_eq!(audit["statuses"]["noshow"], noshow);
}

#[test]
fn a_node_does_not_start_on_a_clock_behind_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let future = "1,1,F,2099-01-01T08:00:00Z,2099-01-02,CENTRO,No\n";
    let table = table(folder.path(), future);
    json(&["replay", "--appointments", text(&table), "--data-dir", text(&data), "--json"]);
    let digest = json(&["audit", "--data-dir", text(&data), "--json"])["digest"].clone();
    let output = haoyuan(&["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("set the machine's clock"), "{errors}");
    assert!(output.stdout.is_empty(), "it said that it was ready");
    assert_eq!(json(&["audit", "--data-dir", text(&data), "--json"])["digest"], digest);
}

#[test]
fn a_damaged_folder_is_refused_by_everybody_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let table = table(folder.path(), &long_history());
    json(&["replay", "--appointments", text(&table), "--data-dir", text(&data), "--json"]);
    let log = data.join("store/db");
    let whole = std::fs::metadata(&log).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(whole / 2).unwrap();
    for arguments in [
        vec!["audit", "--data-dir", text(&data)],
        vec!["journal", "--data-dir", text(&data)],
        vec!["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)],
        vec!["replay", "--appointments", text(&table), "--data-dir", text(&data)],
    ] {
        let output = haoyuan(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("keep a copy of the folder"), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}

/// A node that is gone when the test is.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const SESSIONS: &str = r#"
    [[sessions]]
    id = 1001
    organization = 1
    site = 1
    department = 12
    resource = 4711
    start = "2099-03-01T08:00:00+08:00"
    slot_minutes = 10
    slots = 2
    places = 1
"#;

#[test]
fn a_node_is_started_asked_watched_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut child = Command::new(env!("CARGO_BIN_EXE_haoyuan"))
        .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0"])
        .args(["--metrics", "127.0.0.1:0", "--data-dir", text(&data)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let mut node = Node(child);
    let ready: Value = serde_json::from_str(&ready).unwrap();

    let document = folder.path().join("sessions.toml");
    std::fs::write(&document, SESSIONS).unwrap();
    let certs = data.join("dev-certs");
    let server = ready["listen"].as_str().unwrap();
    let ask = |arguments: &[&str]| {
        let to = ["ctl", "--json", "--server", server, "--certs", text(&certs)];
        haoyuan(&[&to, arguments].concat())
    };
    let told = |arguments: &[&str]| -> Value {
        let output = ask(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    told(&["open", text(&document)]);
    let held = told(&["hold", "1001", "--slot", "1", "--patient-text", "Li Lei"]);
    let id = held["appointment"].as_str().unwrap();
    assert_eq!((&held["status"], &held["claims"][0]["slot"]), (&"pending".into(), &1.into()));
    assert_eq!(told(&["availability", "1001"])["free"], serde_json::json!([1, 0]));
    assert_eq!(told(&["book", id, "--payment", "42"])["status"], "booked");
    assert_eq!(told(&["get", id])["status"], "booked");
    assert_eq!(told(&["list", "--patient-text", "Li Lei"])["appointment"], id);
    let again = ask(&["hold", "1001", "--patient-text", "Li Lei"]);
    assert_eq!(again.status.code(), Some(1));
    let refusal: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(refusal["outcome"], "AlreadyHasAppointment");
    assert_eq!(told(&["check-in", id])["status"], "checked-in");
    let nobody = ask(&["call-next", "1001"]);
    let refusal: Value = serde_json::from_slice(&nobody.stdout).unwrap();
    assert_eq!(refusal["outcome"], "NobodyWaiting", "the document says nothing of attendance");
    assert_eq!(told(&["queue", "1001"])["waiting"], 0);
    assert_eq!(told(&["fulfil", id])["status"], "fulfilled");
    let observer = ask(&["get", id, "--role", "observer"]);
    assert_eq!(observer.status.code(), Some(1));

    let page = |path: &str| {
        let address = ready["metrics"].as_str().unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").unwrap();
        std::io::read_to_string(stream).unwrap()
    };
    let metrics = page("/metrics");
    let counted = "haoyuan_requests_total{operation=\"hold\",outcome=\"Done\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(page("/healthz").ends_with("ok\n") && page("/readyz").ends_with("ok\n"));

    let locked = haoyuan(&["audit", "--data-dir", text(&data)]);
    assert_eq!(locked.status.code(), Some(2), "the folder of a running node is not audited");
    let pid = rustix::process::Pid::from_child(&node.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(node.0.wait().unwrap().code(), Some(0));
    let audit = json(&["audit", "--data-dir", text(&data), "--json"]);
    assert_eq!((&audit["statuses"]["fulfilled"], &audit["records"]), (&1.into(), &5.into()));
}

#[test]
fn the_demonstration_agrees_with_its_own_audit() {
    let shown = json(&["demo", "--seconds", "1", "--json"]);
    assert_eq!((&shown["oversold"], &shown["account_agrees"]), (&0.into(), &true.into()));
    assert_eq!(shown["digest"], shown["digest_after_recovery"]);
    for key in ["sold", "expired", "cancelled", "resold"] {
        assert!(0 < shown[key].as_u64().unwrap(), "nothing was {key}: {shown}");
    }
    the_draw_adds_up(&shown["draw"]);
    the_waitlist_adds_up(&shown["waitlist"]);
    the_ring_adds_up(&shown["ring"]);
}

fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no {key} in {object}"))
}

fn the_draw_adds_up(draw: &Value) {
    let groups = draw["groups"].as_array().unwrap();
    let sum = |key: &str| groups.iter().map(|group| number(group, key)).sum::<u64>();
    let names: Vec<_> = groups.iter().map(|group| group["group"].as_str().unwrap()).collect();
    assert_eq!(names, ["scripts", "early", "late"]);
    assert_eq!(number(draw, "places"), 12);
    for key in ["winners", "booked"] {
        assert_eq!(number(draw, key), 12, "{key}: {draw}");
    }
    assert_eq!((sum("places"), sum("entries")), (12, number(draw, "entries")));
    assert_eq!(sum("tries"), number(draw, "tries"));
    let refused = ["refused_too_early", "refused_second_entries", "refused_too_late"];
    let refused = refused.iter().map(|key| number(draw, key)).sum::<u64>();
    assert_eq!(number(draw, "tries"), number(draw, "entries") + refused, "{draw}");
    assert!(0 < number(draw, "refused_second_entries"), "{draw}");
    let mut means = 0.0;
    for group in groups {
        assert!(number(group, "entries") <= number(group, "people"), "{group}");
        for (part, whole) in [("entries", &draw["entries"]), ("places", &draw["winners"])] {
            let share = group[format!("{part}_percent")].as_f64().unwrap();
            let expected = group[part].as_f64().unwrap() / whole.as_f64().unwrap() * 100.0;
            assert!((share - expected).abs() < 0.06, "{part}: {group}");
        }
        means += group["places_with_other_seeds"].as_f64().unwrap();
    }
    assert!((means - 12.0).abs() < 0.001, "{draw}");
    assert!(number(draw, "commitment_read_ms") < number(draw, "opens_ms"));
    assert!(number(draw, "opens_ms") < number(draw, "closes_ms"));
    for key in ["commitment", "seed", "receipt"] {
        assert_eq!(draw[key].as_str().map(str::len), Some(64), "{key}: {draw}");
    }
    assert!((1..=number(draw, "entries")).contains(&number(draw, "receipt_rank")), "{draw}");
    for key in ["file_agrees", "forgery_found", "same_after_the_kill", "holds"] {
        assert_eq!(draw[key], true, "{key}: {draw}");
    }
}

fn the_waitlist_adds_up(list: &Value) {
    let of = |key: &str| number(list, key);
    let offers = list["offers"].as_array().unwrap();
    let answered = |how: &str| offers.iter().filter(|offer| offer["answer"] == how).count() as u64;
    for how in ["accepted", "declined", "lapsed"] {
        assert_eq!(answered(how), of(how), "{how}: {list}");
    }
    assert_eq!((of("cancelled"), of("accepted"), of("given_back")), (4, 4, 0), "{list}");
    assert!(0 < of("lapsed"), "nobody let an offer lapse: {list}");
    assert_eq!(offers.len() as u64, of("cancelled") + of("declined") + of("lapsed"), "{list}");
    let positions: Vec<_> = offers.iter().map(|offer| number(offer, "position")).collect();
    assert_eq!(positions, (1..=offers.len() as u64).collect::<Vec<_>>(), "{list}");
    let slowest = offers.iter().map(|offer| number(offer, "after_ms")).max();
    assert_eq!(slowest, Some(of("longest_until_offer_ms")));
    assert_eq!(of("joined"), offers.len() as u64 + of("still_waiting"), "{list}");
    assert_eq!((of("booked_first"), of("taken")), (of("places"), of("places")), "{list}");
    assert_eq!((of("script_got"), of("overtaken")), (0, 0), "{list}");
    assert_eq!(of("script_tries"), of("script_refused"));
    assert!(0 < of("script_refused") && list["holds"] == true, "{list}");
}

/// How much the ring gets is a figure of the machine, which may have much to do: it is not judged here.
fn the_ring_adds_up(ring: &Value) {
    let share = |object: &Value, key: &str| object[key].as_f64().unwrap();
    let (people, papers, clinics) =
        (number(ring, "people"), number(ring, "ring_people"), number(ring, "clinics"));
    #[expect(clippy::cast_precision_loss, reason = "some hundred people")]
    let expected = papers as f64 / (people + papers) as f64;
    assert!((share(ring, "identity_share") - expected).abs() < 1e-9, "{ring}");
    for part in ["first_come", "by_lot"] {
        let of = |key: &str| number(&ring[part], key);
        assert!(0 < of("ring_requests") && of("ring_requests") < of("requests"), "{ring}");
        assert_eq!(of("places"), of("booked") + of("left_empty"), "{ring}");
        assert!(of("ring_places") <= of("booked") && 0 < of("booked"), "{ring}");
        assert!(of("handovers") <= of("handovers_tried"), "{ring}");
        #[expect(clippy::cast_precision_loss, reason = "some dozen places")]
        let expected = of("ring_places") as f64 / of("booked") as f64;
        assert!((share(&ring[part], "ring_share") - expected).abs() < 1e-9, "{ring}");
    }
    let lots = &ring["by_lot"];
    assert!(number(lots, "entries") <= (people + papers) * clinics, "{ring}");
    assert!(number(lots, "ring_entries") <= papers * clinics, "{ring}");
    assert!(0.0 < share(lots, "ring_expected"), "{ring}");
    assert!(ring["first_come"]["entries"].is_null() && ring["holds"] == true, "{ring}");
}

#[test]
fn the_demonstration_tells_a_manager_what_it_shows() {
    let output = haoyuan(&["demo", "--seconds", "1"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "1. AN OPENING BY FAIR DRAW",
        "winners who booked 12",
        "gives the same lots and winners yes",
        "the receipt is found in the list",
        "=> Being fast bought nothing",
        "2. A WAITLIST",
        "a patient cancelled",
        "=> Each freed place went to the first who waited",
        "got 0 places",
        "3. A RING OF SCALPERS",
        "a customer's script caught it",
        "=> Where whoever is first has the place, 2.4 % of the people got",
        "one for each of its people and clinics",
        "4. AN OPENING FOR WHOEVER COMES FIRST",
        "places sold twice (oversold) 0",
        "every answer is in the journal yes",
    ] {
        assert!(words.contains(sentence), "{sentence:?} is missing in:\n{told}");
    }
}
