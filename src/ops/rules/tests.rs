//! Documents of rules: what they may say, and what is refused.

use super::*;

const TEXT: &str = r#"
zone = "Asia/Shanghai"
notice = { days = 7 }

[[rules]]
[rules.no_show]
window = { months = 3 }
tiers = [
  { count = 1, consequence = "warn", for = { days = 30 } },
  { count = 3, for = { months = 3 }, but = [0, 7] },
  { count = 6, consequence = "lower", by = 2, for = "month-end" },
]

[[rules]]
scope = { organization = 1, department = 12 }
when = { ages = [0, 13], classes = ["outpatient", "referral"], on_file = true, id_kinds = [0, 2] }
[rules.no_show]
window = "in-a-row"
within = "department"
begins = "first-strike"
used_up = true
mode = "shadow"
tiers = [{ count = 6, for = { days = 30 }, but_classes = ["emergency", "referral"] }]

[[rules]]
limits = [
  { most = 1, within = "department", period = "day" },
  { most = "no-limit", within = "appointment-type", counts = "live" },
  { most = 15, period = { days = 90 }, by = "booking", counts = "operations", mode = "shadow" },
]
rates = [
  { per = "address", rate = 100, every = { minutes = 1 }, block = { hours = 12 } },
  { per = "patient", rate = 30, every = { seconds = 90 }, burst = 5, mode = "shadow" },
  { per = "channel", rate = 5000, every = { seconds = 1 }, burst = 20000, channels = [2, 7] },
]
shares = [{ channels = [0], weight = 3 }, { channels = "all", weight = 2 }]

[[rules]]
[rules.appeal]
term = { days = 9 }
suspends = true
per_restriction = 2
undecided = "lifted"
"#;

fn reads(text: &str) -> Result<RuleDocument, String> {
    read("rules.toml", text, DocumentFormat::Toml, &DocumentDefaults::default())
        .map_err(|error| error.to_string())
}

#[test]
fn a_document_reads_back_as_it_was_rendered() {
    let document = reads(TEXT).unwrap();
    let rules = document.rules(Timestamp::from_millis(1_800_000_000_000));
    assert_eq!(rules.layers.len(), 4);
    assert_eq!(rules.layers[2].limits.len(), 3);
    let text = render(&rules).to_string();
    let again = read("r.json", &text, DocumentFormat::Json, &DocumentDefaults::default()).unwrap();
    assert_eq!((&again.layers, again.notice_days), (&document.layers, 7));
    assert_eq!(rules.civil.0, [(Timestamp::default(), 480)]);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (from, to, expected) in [
        ("count = 3", "count = 1", "rules[0].no_show.tiers: are out of order"),
        ("months = 3 }\ntiers", "months = 0 }\ntiers", "rules[0].no_show.window.months: is 0"),
        ("\"in-a-row\"", "\"always\"", "rules[1].no_show.window: is \"always\""),
        ("\"shadow\"", "\"off\"", "rules[1].no_show.mode: is \"off\"; use enforce or shadow"),
        ("ages = [0, 13]", "ages = [13, 0]", "rules[1].when.ages: are the wrong way round"),
        ("on_file = true", "on_file = 1", "rules[1].when.on_file: is 1"),
        ("department = 12", "ward = 12", "rules[1].scope.ward: is no key"),
        ("by = 2", "but = [1]", "rules[0].no_show.tiers[2]: has but"),
        ("zone = \"Asia/Shanghai\"", "zone = \"Asia/Peking\"", "zone"),
        ("\"lifted\"", "\"granted\"", "rules[3].appeal.undecided: is \"granted\""),
        ("per_restriction = 2", "per_restriction = 0", "rules[3].appeal.per_restriction: is 0"),
        ("days = 9 }", "years = 9 }", "rules[3].appeal.term"),
        ("most = 15", "most = 201", "rules[2].limits[2].most: is 201"),
        ("most = 15", "most = \"all\"", "or \"no-limit\""),
        ("days = 90", "days = 367", "rules[2].limits[2].period: is longer than a year"),
        ("period = \"day\"", "period = \"always\"", "rules[2].limits[0].period: is \"always\""),
        ("{ days = 90 }", "\"half-day\"", "rules[2].limits[2]: counts half-days of booking"),
        ("counts = \"live\"", "counts = \"all\"", "rules[2].limits[1]: counts what is over"),
        (
            "\"no-limit\", within = \"appointment-type\"",
            "3, within = \"department\", period = \"day\"",
            "rules[2].limits: has two",
        ),
        ("per = \"address\"", "per = \"ip\"", "rules[2].rates[0].per: is \"ip\"; use connection,"),
        ("minutes = 1 }", "hours = 1 }", "rules[2].rates[0].every"),
        ("seconds = 90", "seconds = 86401", "rules[2].rates[1].every.seconds: is 86401"),
        ("rate = 30", "rate = 0", "rules[2].rates[1].rate: is 0"),
        ("burst = 5,", "burst = 1000001,", "rules[2].rates[1].burst: is 1000001"),
        ("burst = 20000", "block = { minutes = 1 }", "rules[2].rates[2].block: shuts out all who"),
        ("channels = [2, 7]", "channels = []", "rules[2].rates[2].channels: is empty"),
        ("weight = 3", "weight = 0", "rules[2].shares[0].weight: is 0"),
        (
            "rates = [",
            "scope = { organization = 1 }\nrates = [",
            "rules[2].rates: is said for a part",
        ),
        ("rates = [", "when = { ages = [0, 9] }\nrates = [", "rules[2].rates: has a condition"),
        ("{ days = 7 }", "{ days = 400 }", "notice.days: is 400"),
        ("{ days = 7 }", "7", "notice: "),
        ("used_up = true", "used = true", "rules[1].no_show.used: is no key"),
    ] {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT, "{from}");
        let error = reads(&text).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
    assert!(reads("rules = [{}]").unwrap_err().contains("rules[0]: says nothing"));
}

const PAID: &str = r#"
[[rules]]
cancel = { until = { minutes = 30 }, later = [3], late = "mark", mode = "shadow" }
payment = { by = "self-pay-only", channels = [1], late = "refund", order = { minutes = 30, times = 2 } }
holder = { by = "account", limit = 2 }

[[rules]]
scope = { organization = 1 }
cancel = { until = { days = 1, at = "15:00" } }
payment = { by = "pre-authorization", mode = "shadow" }
holder = { by = "patient" }

[[rules]]
scope = { organization = 2 }
cancel = { until = { workdays = 1, at = "24:00", except = ["2027-02-20", "2027-02-08"] } }

[[rules]]
scope = { organization = 3 }
cancel = { until = { half_days = 1 } }
"#;

#[test]
fn deadlines_payments_and_holders_read_back_as_they_were_rendered() {
    let document = reads(PAID).unwrap();
    let rules = document.rules(Timestamp::from_millis(1_800_000_000_000));
    let text = render(&rules).to_string();
    let again = read("r.json", &text, DocumentFormat::Json, &DocumentDefaults::default()).unwrap();
    assert_eq!(again.layers, document.layers);
}

#[test]
fn what_is_wrong_with_deadlines_payments_and_holders_is_refused_with_its_place() {
    for (from, to, expected) in [
        (
            "minutes = 30 }, later",
            "minutes = 90000 }, later",
            "rules[0].cancel.until.minutes: is 90000",
        ),
        ("minutes = 30 }, later", "hours = 3 }, later", "rules[0].cancel.until: needs one of"),
        ("days = 1, at = \"15:00\"", "days = 1", "rules[1].cancel.until: needs one of"),
        ("days = 1, at = \"15:00\"", "days = 1, at = \"25:00\"", "rules[1].cancel.until.at: is"),
        ("\"2027-02-08\"", "\"2027-02-30\"", "rules[2].cancel.until.except[1]: is"),
        ("half_days = 1", "half_days = 0", "rules[3].cancel.until.half_days: is 0"),
        (
            "late = \"mark\"",
            "late = \"warn\"",
            "rules[0].cancel.late: is \"warn\"; use refuse or mark",
        ),
        ("\"self-pay-only\"", "\"cash\"", "rules[0].payment.by: is \"cash\"; use at-pick-up or"),
        ("minutes = 30, times", "minutes = 0, times", "rules[0].payment.order.minutes: is 0"),
        ("limit = 2", "limit = 9", "rules[0].holder.limit: is 9"),
        ("by = \"patient\" }", "by = \"phone\" }", "rules[1].holder.by: is \"phone\""),
        ("limit = 2", "most = 2", "rules[0].holder.most: is no key"),
    ] {
        let text = PAID.replacen(from, to, 1);
        assert_ne!(text, PAID, "{from}");
        let error = reads(&text).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
}
