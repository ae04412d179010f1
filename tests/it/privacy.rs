//! Nobody's identity is in a log, a metric, a health page, an error or a panic; and no name or
//! number of a person is in a data folder, where only keys are that were made outside.
//!
//! ```text
//! planted keys  --ctl, client--> node at log level trace --> log, metrics, health, errors: nowhere
//!                                                        `-> journal: there, on purpose (control)
//! planted names --ctl, replay--> hashed at the edge      --> data folder, backup: nowhere
//! ```

#![expect(clippy::string_slice, reason = "hex digits are ASCII")]
#![expect(clippy::big_endian_bytes, reason = "both orders are looked for")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Output;

use haoyuan::client::{CallError, Client, ClientConfig, ids};
use haoyuan::codec::encode_facts;
use haoyuan::model::*;
use haoyuan::ops::clock::Clock;
use haoyuan::ops::tls::Identity;
use haoyuan::protocol::ALPN;

use super::cli::{haoyuan, json, text};
use super::golden_folder::unpack;
use super::world::{Serving, append, hex as hex_of, hold};

const PATIENT: u128 = 0x5eed_cafe_1dea_b0d1_e5c0_ffee_d00d_f00d;
const OTHER: u128 = 0x0bad_cafe_2222_3333_4444_5555_6666_7777;
const ACCOUNT: u128 = 0xacc0_0a1b_2c3d_4e5f_6071_8293_a4b5_c6d7;
const PAYMENT: u128 = 0x0fee_d1ce_9988_7766_5544_3322_1100_aabb;
const PHONE: u128 = 0x13f0_4e5e_0d0d_0e0e_0f0f_1a1a_1b1b_1c1c;
const DEVICE: u128 = 0xdeb1_ce00_5a5a_4b4b_3c3c_2d2d_1e1e_0f0f;
const KEYS: [(&str, u128); 6] = [
    ("patient", PATIENT),
    ("other patient", OTHER),
    ("account", ACCOUNT),
    ("payment", PAYMENT),
    ("phone", PHONE),
    ("device", DEVICE),
];

/// What must never reach a node: names, telephones, identity documents.
const NAMES: [&str; 4] = ["李雷", "Han Meimei", "13912345678", "11010519491231002X"];

/// Every way in which a key could be written down.
fn forms(key: u128) -> Vec<(&'static str, Vec<u8>)> {
    let hex = format!("{key:032x}");
    let uuid =
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    let (big, little) = (key.to_be_bytes(), key.to_le_bytes());
    let list = |bytes: [u8; 16]| {
        let inner: Vec<_> = bytes[..8].iter().map(u8::to_string).collect();
        inner.join(", ")
    };
    let escaped = |bytes: [u8; 16]| {
        bytes[..8].iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\x{byte:02x}").unwrap();
            text
        })
    };
    let swapped: String = hex_of(&little);
    let mut forms = vec![
        ("hex", hex.clone()),
        ("hex without zeros", format!("{key:x}")),
        ("hex in capitals", hex.to_uppercase()),
        ("hex of the bytes", swapped),
        ("UUID", uuid.clone()),
        ("UUID in capitals", uuid.to_uppercase()),
        ("decimal", key.to_string()),
        ("upper half", (key >> 64).to_string()),
        ("lower half", (key & u128::from(u64::MAX)).to_string()),
        ("upper half in hex", hex[..16].to_owned()),
        ("lower half in hex", hex[16..].to_owned()),
        ("list of bytes", list(big)),
        ("list of bytes, little-endian", list(little)),
        ("escaped bytes", escaped(big)),
        ("escaped bytes, little-endian", escaped(little)),
        // 15 bytes are 20 digits without padding: the rest differs by alphabet only.
        ("base64", base64(&big[..15], *b"+/")),
        ("base64, little-endian", base64(&little[..15], *b"+/")),
        ("base64 for URLs", base64(&big[..15], *b"-_")),
        ("base64 for URLs, little-endian", base64(&little[..15], *b"-_")),
    ]
    .into_iter()
    .map(|(form, text)| (form, text.into_bytes()))
    .collect::<Vec<_>>();
    forms.push(("raw bytes", big.to_vec()));
    forms.push(("raw bytes, little-endian", little.to_vec()));
    forms
}

fn base64(bytes: &[u8], last: [u8; 2]) -> String {
    let alphabet: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last).collect();
    bytes
        .chunks_exact(3)
        .map(|it| u32::from_be_bytes([0, it[0], it[1], it[2]]))
        .flat_map(|bits| [18, 12, 6, 0].map(|shift| bits >> shift & 63))
        .map(|digit| char::from(alphabet[digit as usize]))
        .collect()
}

/// The forms in which a name or a number of a person could be stored.
fn name_forms(name: &str) -> Vec<(&'static str, Vec<u8>)> {
    let wide = |order: fn(u16) -> [u8; 2]| name.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let mut forms = vec![
        ("text", name.as_bytes().to_vec()),
        ("UTF-16", wide(u16::to_le_bytes)),
        ("UTF-16, big-endian", wide(u16::to_be_bytes)),
        ("hex of the text", hex_of(name.as_bytes()).into()),
    ];
    if let Ok(number) = name.parse::<u64>() {
        forms.push(("number", number.to_le_bytes().to_vec()));
        forms.push(("number, big-endian", number.to_be_bytes().to_vec()));
        forms.push(("number in hex", format!("{number:x}").into_bytes()));
    }
    forms
}

/// Bytes as characters of the same numbers: the search for a text is fast also without optimization.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    latin(text).contains(&latin(part))
}

#[track_caller]
fn names_no_key(place: &str, text: &[u8]) {
    let text = latin(text);
    for (whose, key) in KEYS {
        for (form, bytes) in forms(key) {
            assert!(!text.contains(&latin(&bytes)), "{place} has the {whose} as {form}");
        }
    }
}

#[track_caller]
fn names_nobody(place: &str, text: &[u8]) {
    let text = latin(text);
    for name in NAMES {
        for (form, bytes) in name_forms(name) {
            assert!(!text.contains(&latin(&bytes)), "{place} has {name} as {form}");
        }
    }
}

/// Every file under a folder, with its content.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn client(node: &Serving, role: &str) -> Client {
    let certs = node.certs();
    let file = |end: &str| certs.join(format!("{role}.{end}"));
    let identity = Identity::load(&file("pem"), &file("key"), &certs.join("ca.pem")).unwrap();
    let address = node.server.parse().unwrap();
    let config = ClientConfig::new(vec![address], "localhost", identity.client(ALPN).unwrap());
    Client::new(&config).unwrap()
}

/// Success, refusals and errors of every kind, each with planted keys. Collects what clients were
/// told.
async fn visit(node: &Serving) -> String {
    let (gateway, counter) = (client(node, "gateway"), client(node, "counter"));
    let clock = Clock::start();
    let keys = ClientKeys {
        account: Some(AccountId(ACCOUNT)),
        phone: Some(ClientKey(PHONE)),
        device: Some(ClientKey(DEVICE)),
        address: Some(ClientKey(DEVICE)),
    };
    let planted = |session| {
        let id = ids::new_appointment_id(clock.now());
        Hold { keys, book: None, ..hold(id, PATIENT, &[session]) }
    };
    let mut told = String::new();
    let mut tell = |error: CallError| writeln!(told, "{error} {error:?}").unwrap();
    let first = planted(1);
    gateway.hold(first.clone()).await.unwrap();
    let action = Action::Book { payment: PaymentRef(PAYMENT) };
    let change = |appointment, patient| Change {
        request: ids::new_request_id(clock.now()),
        appointment,
        patient,
        channel: BookingChannel::default(),
        action,
    };
    let mine = change(first.appointment, Some(PatientId(PATIENT)));
    tell(gateway.change(change(first.appointment, Some(PatientId(OTHER)))).await.unwrap_err());
    gateway.change(mine).await.unwrap();
    // The same id with another content, another session, another patient; what is not there.
    tell(
        gateway.hold(Hold { patient: Some(PatientId(OTHER)), ..first.clone() }).await.unwrap_err(),
    );
    tell(gateway.hold(planted(77)).await.unwrap_err());
    let again = Hold { patient: Some(PatientId(PATIENT)), ..planted(1) };
    tell(gateway.hold(again).await.unwrap_err());
    let unknown = AppointmentId(ids::new_request_id(clock.now()).0);
    tell(gateway.change(change(unknown, Some(PatientId(PATIENT)))).await.unwrap_err());
    let listed = counter.list(PatientId(PATIENT), BookingChannel::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    let someone = Some(PatientId(OTHER));
    let channel = BookingChannel::default();
    tell(gateway.get(first.appointment, someone, channel).await.unwrap_err());
    let observer = client(node, "observer");
    tell(observer.hold(planted(1)).await.unwrap_err());
    tell(observer.change(mine).await.unwrap_err());
    told
}

/// The same by hand.
fn by_hand(node: &Serving) -> Vec<Output> {
    let hex = format!("{PATIENT:032x}");
    let payment = format!("{PAYMENT:032x}");
    [
        vec!["hold", "1", "--patient", &hex],
        vec!["hold", "99", "--patient", &hex],
        vec!["hold", "1", "--patient", &hex, "--role", "observer"],
        vec!["get", "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f", "--patient", &hex],
        vec!["book", "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f", "--payment", &payment],
    ]
    .iter()
    .map(|arguments| node.ctl(arguments))
    .collect()
}

#[test]
fn logs_metrics_and_errors_name_no_key_of_a_person() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let (data, config) = (folder.path().join("data"), folder.path().join("node.toml"));
        let log = format!("[log]\nlevel = \"trace\"\nformat = \"{format}\"\n");
        fs::write(&config, log).unwrap();
        let node = Serving::start(&data, &["--config", text(&config)]);
        node.open(1, 4, 2);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(visit(&node));
        assert!(8 <= told.lines().count(), "{told}");
        names_no_key("what clients are told", told.as_bytes());
        for output in by_hand(&node) {
            assert_eq!(output.status.code(), Some(1));
            names_no_key("an error of ctl", &output.stderr);
            names_no_key("an answer of ctl", &output.stdout);
        }
        for page in ["/metrics", "/healthz", "/readyz", "/nothing"] {
            names_no_key(page, node.page(page).as_bytes());
        }
        let log_so_far = node.log();
        assert!(log_so_far.contains("TRACE"), "the log is at its loudest");
        assert_eq!(format == "json", log_so_far.lines().next().unwrap().starts_with('{'));
        let log = data.with_extension("log");
        assert_eq!(node.stop(), Some(0));
        names_no_key("the log", &fs::read(log).unwrap());

        // The control: the journal has the keys, so a search for them finds them.
        let store = fs::read(data.join("store/db")).unwrap();
        for (whose, key) in [("patient", PATIENT), ("account", ACCOUNT), ("payment", PAYMENT)] {
            assert!(contains(&store, &key.to_le_bytes()), "the journal has the {whose}");
        }
        // What the engine has no use for is not even there.
        for (whose, key) in [("phone", PHONE), ("device", DEVICE), ("other patient", OTHER)] {
            assert!(!contains(&store, &key.to_le_bytes()), "the journal has the {whose}");
        }
    }
}

/// Facts that cannot be, about planted people: what a start panics on.
fn impossible() -> [(&'static str, Fact); 4] {
    let request = RequestId::from_parts(Timestamp::from_millis(1_700_000_000_000), 5);
    let appointment = AppointmentId(request.0);
    let claim =
        Claim { session: SessionId(424_242), slot: SlotIndex(0), count: 1, pool: PoolIndex(0) };
    let claims: Claims = std::iter::once(claim).collect();
    let (patient, fingerprint) = (PatientId(PATIENT), 1);
    [
        (
            "a hold in no session",
            Fact::Held(Held {
                appointment,
                patient,
                account: Some(AccountId(ACCOUNT)),
                organization: OrganizationId(1),
                channel: BookingChannel::default(),
                class: PatientClass::Outpatient,
                sharing: Sharing::Cancel,
                until: Timestamp::from_millis(1_800_000_000_000),
                fingerprint,
                rules: RulesVersion(0),
                claims: claims.clone(),
            }),
        ),
        (
            "a payment for nothing",
            Fact::Booked(Booked {
                request,
                fingerprint,
                appointment,
                payment: PaymentRef(PAYMENT),
            }),
        ),
        (
            "the end of nothing",
            Fact::Ended(Ended {
                request: None,
                appointment,
                patient,
                cause: Cause::Expired,
                claims,
            }),
        ),
        (
            "a visit that was not booked",
            Fact::Settled(Settled {
                request,
                fingerprint,
                appointment,
                patient,
                status: AppointmentStatus::Fulfilled,
            }),
        ),
    ]
}

#[test]
fn a_panic_and_an_audit_of_impossible_facts_name_no_key_of_a_person() {
    for (what, fact) in impossible() {
        let folder = tempfile::tempdir().unwrap();
        let data = unpack(env!("CARGO_PKG_VERSION"), folder.path());
        let facts: Facts = std::iter::once(fact).collect();
        append(&data, |buffer| encode_facts(&facts, buffer));

        let start = ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", text(&data)];
        let started = haoyuan(&start);
        let errors = String::from_utf8_lossy(&started.stderr);
        assert!(errors.contains("an impossible fact"), "{what}: {errors}");
        assert_ne!(started.status.code(), Some(0), "{what}");
        let audited = haoyuan(&["audit", "--data-dir", text(&data)]);
        assert_eq!(audited.status.code(), Some(1), "{what}");
        for told in [&started.stderr, &started.stdout, &audited.stderr, &audited.stdout] {
            names_no_key(what, told);
        }
    }
}

#[test]
fn a_person_named_by_text_is_hashed_before_anything_is_sent_or_stored() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Serving::start(&data, &[]);
    node.open(1, 4, 4);
    for name in NAMES {
        let held = node.told(&["hold", "1", "--patient-text", name, "--book", "1"]);
        let id = held["appointment"].as_str().unwrap();
        node.told(&["list", "--patient-text", name]);
        node.told(&["get", id, "--patient-text", name]);
        let again = node.ctl(&["hold", "99", "--patient-text", name]);
        names_nobody("an error of ctl", &again.stderr);
        names_nobody("an answer of ctl", &again.stdout);
        names_nobody("an answer of ctl", held.to_string().as_bytes());
    }
    names_nobody("the metrics", node.page("/metrics").as_bytes());
    names_nobody("the log", node.log().as_bytes());
    assert_eq!(node.stop(), Some(0));
    let backup = folder.path().join("backup");
    json(&["backup", "--data-dir", text(&data), "--to", text(&backup), "--json"]);
    let journal = haoyuan(&["journal", "--data-dir", text(&data), "--json"]);
    names_nobody("the journal's lines", &journal.stdout);
    let mut searched = 0;
    for (name, content) in files(&data).into_iter().chain(files(&backup)) {
        names_nobody(&name, &content);
        searched += 1;
    }
    assert!(8 < searched, "{searched} files");
}

#[test]
fn a_table_of_history_leaves_no_name_in_the_folder_and_none_in_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (data, table) = (folder.path().join("data"), folder.path().join("history.csv"));
    let header = "PatientId,AppointmentID,Gender,ScheduledDay,AppointmentDay,Neighbourhood,No-show";
    let mut rows = format!("{header}\n");
    for (name, number) in NAMES.iter().zip(1..) {
        let day = "2016-04-28T09:00:00Z,2016-04-29";
        writeln!(rows, "{name},{number},F,{day},CENTRO,No").unwrap();
        // Malformed in another column, too late, and twice.
        writeln!(rows, "{name},none,F,{day},CENTRO,No").unwrap();
        writeln!(rows, "{name},{number}0,F,yesterday,2016-04-29,CENTRO,No").unwrap();
        writeln!(rows, "{name},{number}1,F,2016-05-01T00:00:00Z,2016-04-30,CENTRO,No").unwrap();
        writeln!(rows, "{name},{number},F,{day},CENTRO,No").unwrap();
    }
    fs::write(&table, rows).unwrap();
    let replayed =
        haoyuan(&["replay", "--appointments", text(&table), "--data-dir", text(&data), "--json"]);
    assert!(replayed.status.success());
    assert!(!replayed.stderr.is_empty(), "malformed lines are named");
    names_nobody("the errors of a replay", &replayed.stderr);
    names_nobody("the counts of a replay", &replayed.stdout);
    let journal = haoyuan(&["journal", "--data-dir", text(&data), "--json"]);
    assert!(!journal.stdout.is_empty());
    names_nobody("the journal's lines", &journal.stdout);
    for (name, content) in files(&data) {
        names_nobody(&name, &content);
    }
}

#[test]
fn a_search_finds_every_form_of_a_key_and_of_a_name() {
    for (form, bytes) in forms(PATIENT) {
        let text = [b"before ".as_slice(), &bytes, b" after"].concat();
        let found =
            forms(PATIENT).iter().any(|(other, part)| *other == form && contains(&text, part));
        assert!(found, "{form}");
    }
    assert_eq!(base64(b"haoyuan privacy", *b"+/"), "aGFveXVhbiBwcml2YWN5");
    assert!(contains(format!("{:?}", PATIENT.to_le_bytes()).as_bytes(), &forms(PATIENT)[12].1));
    assert!(!contains(b"nobody", "李雷".as_bytes()));
}
