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
  { count = 7, consequence = "fewer", most = 2, for = { days = 12 } },
]

[[rules]]
scope = { organization = 1, department = 12 }
when = { ages = [0, 13], classes = ["outpatient", "referral"], on_file = true, id_kinds = [0, 2] }
[rules.no_show]
window = "in-a-row"
within = "department"
begins = "first-strike"
used_up = true
once = true
mode = "shadow"
tiers = [{ count = 2, for = "quarter-end" }, { count = 6, for = { days = 30 }, but_classes = ["emergency", "referral"] }]

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
waitlist = [
  { most = 1, within = "department", counts = "resources" },
  { most = "no-limit", mode = "shadow" },
]
[rules.appeal]
term = { days = 9 }
suspends = true
per_restriction = 2
undecided = "lifted"

[[rules]]
cooldown = [
  { within = "resource", for = { minutes = 30 } },
  { after = ["cancel", "expiry"], for = { hours = 36 }, mode = "shadow" },
  { after = ["release"], within = "department", for = { days = 2 } },
  { of = "phone", within = "resource", for = { returned = 0 } },
]
"#;

fn reads(text: &str) -> Result<RuleDocument, String> {
    read("rules.toml", text, DocumentFormat::Toml, &DocumentDefaults::default())
        .map_err(|error| error.to_string())
}

#[test]
fn a_document_reads_back_as_it_was_rendered() {
    let document = reads(TEXT).unwrap();
    let rules = document.rules(Timestamp::from_millis(1_800_000_000_000));
    assert_eq!(rules.layers.len(), 5);
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
        ("by = 2", "most = 2", "rules[0].no_show.tiers[2]: has most"),
        ("most = 2, ", "", "rules[0].no_show.tiers[3]: needs most"),
        ("most = 2", "by = 2", "rules[0].no_show.tiers[3]: has but"),
        ("most = 2", "most = 9", "rules[0].no_show.tiers[3].most"),
        ("most = 2", "most = 0", "rules[0].no_show.tiers[3].most"),
        ("most = 2", "most = 2, by = 1", "rules[0].no_show.tiers[3]: has most"),
        ("most = 2", "most = 2, but = [1]", "rules[0].no_show.tiers[3]: has most"),
        ("zone = \"Asia/Shanghai\"", "zone = \"Asia/Peking\"", "zone"),
        ("\"lifted\"", "\"granted\"", "rules[3].appeal.undecided: is \"granted\""),
        ("per_restriction = 2", "per_restriction = 0", "rules[3].appeal.per_restriction: is 0"),
        ("days = 9 }", "years = 9 }", "rules[3].appeal.term"),
        ("minutes = 30", "minutes = 0", "rules[4].cooldown[0].for.minutes: is 0"),
        ("hours = 36", "hours = 1441", "rules[4].cooldown[1].for.hours: is 1441"),
        ("{ hours = 36 }", "{ hours = 36, days = 1 }", "rules[4].cooldown[1].for: needs minutes,"),
        (
            "\"expiry\"]",
            "\"no-show\"]",
            "rules[4].cooldown[1].after[1]: is \"no-show\"; use cancel",
        ),
        ("[\"release\"]", "[]", "rules[4].cooldown[2].after: is empty"),
        ("returned = 0", "returned = 1441", "rules[4].cooldown[3].for.returned: is 1441"),
        ("\"phone\"", "\"device\"", "rules[4].cooldown[3].of: is \"device\"; use patient"),
        (
            "within = \"resource\", for",
            "within = \"session\", for",
            "rules[4].cooldown[0].within: is",
        ),
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
        (
            "within = \"department\", counts",
            "within = \"resource\", counts",
            "rules[3].waitlist[0].within: is",
        ),
        (
            "counts = \"resources\" },\n  { most",
            "counts = \"places\" },\n  { most",
            "rules[3].waitlist[0].counts: is",
        ),
        (
            "most = 1, within = \"department\", counts",
            "most = 129, counts",
            "rules[3].waitlist[0].most: is 129",
        ),
        (
            "within = \"department\", counts = \"resources\"",
            "mode = \"enforce\"",
            "rules[3].waitlist: has two",
        ),
        ("used_up = true", "used = true", "rules[1].no_show.used: is no key"),
        ("once = true", "once = 1", "rules[1].no_show.once: is 1; it takes true or false"),
        (
            "\"quarter-end\"",
            "\"forever\"",
            "rules[1].no_show.tiers[0].for: is \"forever\"; use { days }, { months }, day-end, month-end",
        ),
    ] {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT, "{from}");
        let error = reads(&text).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
    assert!(reads("rules = [{}]").unwrap_err().contains("rules[0]: says nothing"));
}

#[test]
fn a_rule_that_never_decides_is_told_of() {
    const MISSED: &str =
        "no_show = { window = \"ever\", tiers = [{ count = 3, for = \"year-end\" }] }";
    const HOLDER: &str = "holder = { by = \"account\" }";
    for (layers, expected) in [
        (vec![("", MISSED), ("", HOLDER)], ""),
        (vec![("", MISSED), ("scope = { organization = 1 }", MISSED)], ""),
        (vec![("", MISSED), ("when = { classes = [\"referral\"] }", MISSED)], ""),
        (vec![("", MISSED), ("", HOLDER), ("", MISSED)], "0 no_show Later(2)"),
        (vec![("when = { ages = [0, 13] }", MISSED)], "0 no_show Attested"),
        (vec![("when = { on_file = false }", MISSED)], ""),
        (
            vec![("when = { on_file = true }", HOLDER), ("when = { first_visit = true }", MISSED)],
            "1 no_show Attested",
        ),
        (vec![("when = { ages = [0, 13] }", "limits = [{ most = 0 }]")], ""),
    ] {
        let entries = layers.iter().map(|(whose, said)| format!("[[rules]]\n{whose}\n{said}\n"));
        let rules = reads(&entries.collect::<String>()).unwrap().rules(Timestamp::default());
        let told = rules.unheard();
        let told: Vec<String> =
            told.iter().map(|it| format!("{} {} {:?}", it.layer, it.key.name(), it.why)).collect();
        assert_eq!(told.join(", "), expected, "{layers:?}");
    }
}

const PERSONS: &str = r#"
[[rules]]
[rules.persons]
account = { patients = 3, changes = { most = 2, period = { days = 365 } } }
phone = { patients = 2, accounts = 4, changes = { most = 1, period = "month" } }
patient = { accounts = 1 }
new_patients = { most = 0, within_minutes = 10 }
mode = "shadow"

[[rules]]
scope = { organization = 1 }
[rules.persons]
phone = { accounts = 5 }
"#;

#[test]
fn rules_about_persons_read_back_as_they_were_rendered() {
    let document = reads(PERSONS).unwrap();
    let rules = document.rules(Timestamp::from_millis(1_800_000_000_000));
    let text = render(&rules).to_string();
    let again = read("r.json", &text, DocumentFormat::Json, &DocumentDefaults::default()).unwrap();
    assert_eq!(again.layers, document.layers);
}

#[test]
fn what_is_wrong_with_persons_is_refused_with_its_place() {
    for (from, to, expected) in [
        ("patients = 3", "patients = 17", "rules[0].persons.account.patients: is 17"),
        ("patients = 3", "patients = 0", "rules[0].persons.account.patients: is 0"),
        ("patients = 3,", "", "rules[0].persons.account: says no number; say patients"),
        ("patients = 3", "accounts = 3", "rules[0].persons.account: says no number"),
        ("patients = 3", "patients = 3, accounts = 3", "rules[0].persons.account.accounts: is no"),
        ("most = 2", "most = 65", "rules[0].persons.account.changes.most: is 65"),
        ("{ days = 365 }", "{ days = 367 }", "rules[0].persons.account.changes.period: is longer"),
        ("\"month\"", "\"half-day\"", "rules[0].persons.phone.changes.period: is a half-day"),
        (", period = \"month\"", "", "rules[0].persons.phone.changes.period: is missing"),
        ("within_minutes = 10", "within_minutes = 1441", "persons.new_patients.within_minutes: is"),
        ("account = {", "acount = {", "rules[0].persons: has new_patients, which needs account"),
        ("\"shadow\"", "\"off\"", "rules[0].persons.mode: is \"off\""),
        ("phone = { accounts = 5 }", "", "rules[1].persons: says nothing"),
    ] {
        let text = PERSONS.replacen(from, to, 1);
        assert_ne!(text, PERSONS, "{from}");
        let error = reads(&text).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
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

const COUNTED: &str = r#"
[[rules]]
[[rules.violations]]
counts = ["unpaid", "release"]
window = { days = 30 }
used_up = true
tiers = [{ count = 5, consequence = "warn", for = { days = 7 } }]
[[rules.violations]]
counts = "same-day-cancel"
of = "phone"
within = "organization"
window = "quarter"
begins = "first-strike"
mode = "shadow"
tiers = [{ count = 3, for = "year-end" }, { count = 4, for = { months = 1 }, but = [2] }]
[[rules.violations]]
counts = "probing"
of = "account"
window = { days = 1 }
tiers = [{ count = 3, for = { days = 1 } }]
[[rules.violations]]
counts = ["late", "missed"]
window = { months = 3 }
tiers = [{ count = 3, for = { months = 3 } }]
[rules.probing]
refusals = 60
minutes = 5
of = "account"

[[rules]]
scope = { organization = 1 }
probing = { refusals = 30, minutes = 1440, mode = "shadow" }
"#;

#[test]
fn violations_read_back_as_they_were_rendered() {
    let document = reads(COUNTED).unwrap();
    let rules = document.rules(Timestamp::from_millis(1_800_000_000_000));
    assert_eq!(rules.layers[0].violations.len(), 4);
    let text = render(&rules).to_string();
    let again = read("r.json", &text, DocumentFormat::Json, &DocumentDefaults::default()).unwrap();
    assert_eq!(again.layers, document.layers);
}

#[test]
fn what_is_wrong_with_violations_is_refused_with_its_place() {
    for (from, to, expected) in [
        ("\"release\"]", "\"gone\"]", "rules[0].violations[0].counts[1]: is \"gone\"; use unpaid,"),
        ("[\"unpaid\", \"release\"]", "[]", "rules[0].violations[0].counts: is empty"),
        (
            "{ count = 3, for",
            "{ count = 3, consequence = \"fewer\", most = 1, for",
            "rules[0].violations[1]: has a tier with fewer, which is of patients alone",
        ),
        ("\"same-day-cancel\"", "3", "rules[0].violations[1].counts: is 3"),
        ("\"phone\"", "\"device\"", "rules[0].violations[1].of: is \"device\""),
        ("\"quarter\"", "\"ever\"", "rules[0].violations[1]: has a window that has no end"),
        ("mode = \"shadow\"", "used_up = true", "rules[0].violations[1]: is used up and begins"),
        ("days = 30", "days = 367", "at most 366 days or 12 months"),
        ("count = 4", "count = 3", "rules[0].violations[1].tiers: are out of order"),
        ("used_up", "used", "rules[0].violations[0].used: is no key"),
        ("refusals = 60", "refusals = 1", "rules[0].probing.refusals: is 1"),
        ("refusals = 60", "", "rules[0].probing.refusals: is missing"),
        ("minutes = 5", "minutes = 1441", "rules[0].probing.minutes: is 1441"),
        ("minutes = 1440", "minutes = 0", "rules[1].probing.minutes: is 0"),
        ("mode = \"shadow\" }", "often = true }", "rules[1].probing.often: is no key"),
    ] {
        let text = COUNTED.replacen(from, to, 1);
        assert_ne!(text, COUNTED, "{from}");
        let error = reads(&text).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
}
