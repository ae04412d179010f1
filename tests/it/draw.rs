//! A fair draw from the document to the published file, over the wire and beside it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::cli::{haoyuan, text};
use super::world::Serving;

/// A session whose four places are drawn, from one instant to another.
fn document(opens: u64, closes: u64) -> String {
    let time = |millis: u64| {
        jiff::Timestamp::from_millisecond(millis.try_into().unwrap()).unwrap().to_string()
    };
    format!(
        "[[sessions]]\nid = 1001\norganization = 1\nsite = 1\ndepartment = 12\nresource = 1\n\
         start = \"2099-03-01T08:00:00+08:00\"\nslot_minutes = 10\nslots = 2\n\
         pools = [{{ places = 2, draw = {{ opens = \"{}\", closes = \"{}\", preferences = 2 }} }}]\n",
        time(opens),
        time(closes)
    )
}

/// Every byte below a folder.
fn bytes_of(path: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes_of(&path, into);
        } else {
            into.extend(std::fs::read(path).unwrap());
        }
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().map(|it| u8::try_from(it.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Asks again until the answer is there.
fn until(ask: impl Fn() -> Option<Value>) -> Value {
    for _ in 0..600 {
        if let Some(found) = ask() {
            return found;
        }
        #[expect(clippy::disallowed_methods, reason = "the node goes by the machine's clock")]
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it did not come")
}

fn ok(output: &Output) -> Option<Value> {
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

fn verify(file: &Path, commitment: &str, receipt: &str) -> (bool, String) {
    let arguments = ["draw", "verify", text(file), "--commitment", commitment];
    let output = haoyuan(&[&arguments[..], &["--receipt", receipt]].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_draw_is_entered_made_published_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("node");
    let node = Serving::start(&data, &[]);
    let now = node.told(&["clock"])["time_ms"].as_u64().unwrap();
    let path = folder.path().join("sessions.toml");
    std::fs::write(&path, document(now + 2_000, now + 6_000)).unwrap();
    node.told(&["open", text(&path)]);

    let shown = node.told(&["draw", "show", "1001.0"]);
    let commitment = shown["commitment"].as_str().unwrap().to_owned();
    assert_eq!((&shown["seed"], shown["waiting"].as_u64()), (&Value::Null, Some(0)));
    let mut receipts = Vec::new();
    for patient in 0..7 {
        let name = format!("patient {patient}");
        let hold = ["hold", "1001", "--slot", "1,0", "--patient-text", &name];
        let entered = until(|| ok(&node.ctl(&hold)));
        assert_eq!(entered["status"], "waitlist");
        let id = entered["appointment"].as_str().unwrap();
        let shown = node.told(&["draw", "show", "1001.0", "--appointment", id]);
        receipts.push(shown["receipt"].as_str().unwrap().to_owned());
    }
    // All that can be had of the node while the seed is secret.
    let backup = folder.path().join("backup");
    node.backup(&backup);
    let mut secret = node.page("/metrics").into_bytes();
    secret.extend(node.log().into_bytes());
    bytes_of(&backup, &mut secret);
    bytes_of(&data, &mut secret);
    let kept = [&backup, &data].map(|folder| std::fs::read(folder.join("keys/draw.key")).unwrap());
    assert_eq!(kept[0], kept[1], "a backup has the key");

    let shown = until(|| {
        let shown = node.told(&["draw", "show", "1001.0"]);
        (!shown["seed"].is_null() && shown["waiting"] == 0).then_some(shown)
    });
    assert_eq!((shown["entries"].as_u64(), shown["winners"].as_u64()), (Some(7), Some(4)));
    let seed = shown["seed"].as_str().unwrap();
    assert!(!contains(&secret, &unhex(seed)) && !contains(&secret, seed.as_bytes()));
    let mut open = Vec::new();
    bytes_of(&data, &mut open);
    assert!(contains(&open, &unhex(seed)), "the look finds it once it is there");

    let file = folder.path().join("1001.0.draw");
    let output = node.ctl(&["draw", "export", "1001.0", "--out", text(&file)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for receipt in &receipts {
        let (is_true, said) = verify(&file, &commitment, receipt);
        assert!(is_true && said.contains("your entry is in the list"), "{said}");
    }
    assert_eq!(node.stop(), Some(0));
    let again = folder.path().join("again.draw");
    let arguments = ["draw", "export", "--data-dir", text(&data), "--draw", "1001.0", "--out"];
    assert!(haoyuan(&[&arguments[..], &[text(&again)]].concat()).status.success());
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&file).unwrap());
    let audit = haoyuan(&["audit", "--data-dir", text(&data)]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    alterations_are_found(&file, &commitment, &receipts[0]);
}

fn alterations_are_found(file: &Path, commitment: &str, receipt: &str) {
    let truth = std::fs::read_to_string(file).unwrap();
    let altered = file.with_extension("altered");
    let swapped = "0".repeat(64);
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    let at = |word: &str| truth.find(word).unwrap() + word.len();
    let winner = truth.lines().find(|line| line.starts_with("entry") && line.ends_with(" 1"));
    let winner = winner.unwrap();
    let mut loser = winner.trim_end_matches('1').to_owned();
    write!(loser, "-").unwrap();
    for (what, text, commitment) in [
        ("a seed", flip(&truth, at("\nseed ")), commitment),
        ("an entry", flip(&truth, at("\nentry ") + 31), commitment),
        ("a preference", truth.replacen(" 1>0 ", " 0>1 ", 1), commitment),
        ("a winner", truth.replacen(winner, &loser, 1), commitment),
        ("the commitment", truth.clone(), &swapped),
    ] {
        std::fs::write(&altered, &text).unwrap();
        let (is_true, said) = verify(&altered, commitment, receipt);
        assert!(!is_true, "{what} was altered, and that was not found: {said}");
    }
}
