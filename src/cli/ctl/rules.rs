//! `haoyuan ctl rules` and `haoyuan ctl record`: what is in force, and what it came to.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::ids::{self, uuid};
use super::super::output::Output;
use super::restrict::{describe, standing_of};
use super::{Connection, Document, Origin, PatientName, defaults, fresh_id, show, told};
use crate::client::CallError;
use crate::model::{
    ApplyRules, NeverHeard, Outcome, RecordReading, Refusal, RequestId, Restriction, Role, RuleKey,
    Rules, RulesReading, StandingReading, Stricter, Strike, Timestamp, Unheard,
};
use crate::ops::clock::Clock;
use crate::ops::rules::{self, RuleDocument};

/// Checks rules, compares them with a node's, puts them in force, shows them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RulesArguments {
    #[command(subcommand)]
    task: RulesTask,
}

const EXAMPLES: &str = "Examples:
  haoyuan ctl rules check docs/policies/beijing-114.toml
  haoyuan ctl rules diff docs/policies/beijing-114.toml
  haoyuan ctl rules apply docs/policies/beijing-114.toml --from 2027-03-01T00:00:00+08:00
  haoyuan ctl rules show --at 2027-03-01T08:00:00+08:00 --json";

#[derive(Debug, Subcommand)]
enum RulesTask {
    /// Read a document (TOML, JSON, or - for JSON on standard input) and say what is wrong with it
    Check(DocumentTask),
    /// Show what a document would change
    Diff(DocumentTask),
    /// Put the rules of a document in force, whole or not at all
    Apply {
        #[command(flatten)]
        document: DocumentTask,
        /// From when on, as in 2027-03-01T00:00:00+08:00; what the document says, or in five seconds
        #[arg(long, value_name = "TIME", value_parser = super::waitlist::instant)]
        from: Option<Timestamp>,
        /// The id of the request; a new one if absent. Give it again to ask again
        #[arg(long, value_parser = ids::request)]
        id: Option<RequestId>,
    },
    /// Show the rules in force, and what comes after them
    Show {
        /// When; now if absent
        #[arg(long, value_name = "TIME", value_parser = super::waitlist::instant)]
        at: Option<Timestamp>,
    },
}

#[derive(Debug, Args)]
struct DocumentTask {
    /// The document
    file: PathBuf,
    /// The node's configuration: names of channels
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Shows what is kept of how a patient behaved: missed visits, and what followed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  haoyuan ctl record --patient-text 'Li Lei'")]
pub(super) struct RecordTask {
    #[command(flatten)]
    patient: PatientName,
    #[command(flatten)]
    origin: Origin,
}

impl DocumentTask {
    fn read(&self) -> Result<RuleDocument, Failure> {
        let document = Document::read(&self.file)?;
        let defaults = defaults(self.config.as_deref())?;
        rules::read(&document.name, &document.text, document.format, &defaults)
            .map_err(|error| Failure::usage(error.to_string(), "docs/policies.md has the keys"))
    }
}

pub(super) fn run(
    connection: &Connection,
    arguments: &RulesArguments,
    json: bool,
) -> Result<(), Failure> {
    match &arguments.task {
        RulesTask::Check(task) => {
            let document = task.read()?;
            checked(&document.rules(Timestamp::default()), &task.file)
        }
        RulesTask::Diff(task) => {
            let document = task.read()?;
            connection.run(Role::Admin, async |client| {
                let reading = told(client.rules(Some(Timestamp::MAX)).await, json)?;
                diff(&reading, &document, json)
            })
        }
        RulesTask::Apply { document, from, id } => {
            let document = document.read()?;
            let soon = Clock::start().now().plus_millis(SOON_MILLIS);
            let from = from.or(document.from).unwrap_or(soon);
            let rules = document.rules(from);
            let apply = ApplyRules { request: id.unwrap_or_else(fresh_id), rules };
            connection.run(Role::Admin, async |client| {
                let asked = client.apply_rules(apply.clone()).await;
                if let Err(CallError::Refused(refusal)) = &asked
                    && let Some(wanted) = notice_wanted(refusal)
                {
                    if json {
                        show::refusal(*refusal)?;
                    }
                    return Err(wanted);
                }
                told(asked, json)?;
                applied(&apply, json)
            })
        }
        RulesTask::Show { at } => connection.run(Role::Admin, async |client| {
            show_rules(&told(client.rules(*at).await, json)?, json)
        }),
    }
}

/// Rules that can be applied, and what of them never decides anything.
fn checked(rules: &Rules, file: &Path) -> Result<(), Failure> {
    let mut output = Output::new();
    let count = rules.layers.len();
    let word = if count == 1 { "rule" } else { "rules" };
    output.line(format_args!("{}: {count} {word}, nothing wrong", file.display()))?;
    for Unheard { layer, key, why } in rules.unheard() {
        let key = key.name();
        let why = match why {
            NeverHeard::Later(later) => format!(
                "rules[{later}] says it for the same scope and patients, and stands later; put both into one entry"
            ),
            NeverHeard::Attested => {
                "its when asks for an age, a file, a first visit or a document, and where \
                 this key decides only the class is known; take that out of when, or use limits"
                    .to_owned()
            }
        };
        output.line(format_args!("note: rules[{layer}].{key} never decides: {why}"))?;
    }
    output.flush()
}

pub(super) fn record(
    connection: &Connection,
    task: &RecordTask,
    json: bool,
) -> Result<(), Failure> {
    let patient = task.patient.needed()?;
    connection.run(Role::Counter, async |client| {
        let channel = task.origin.channel;
        let record = told(client.record(patient, channel).await, json)?;
        show_record(&record, &told(client.standing(patient, channel).await, json)?, json)
    })
}

/// What to do about rules that need notice: which is stricter, and from when on they can be in force.
fn notice_wanted(refusal: &Refusal) -> Option<Failure> {
    let why = refusal.why.filter(|_| refusal.outcome == Outcome::RulesNeedNotice)?;
    let (days, until) = (why.limit, show::time(why.until));
    let what = match why.key {
        RuleKey::Notice => "the notice is shorter".to_owned(),
        key => format!("layer {} is stricter ({})", why.rule.layer, key.name()),
    };
    Some(Failure::failed(
        format!(
            "RulesNeedNotice (850): {what} than in version {}, and {days} days of notice are needed",
            why.rule.version.0
        ),
        format!(
            "put them in force from {until} on: --from; `ctl rules diff` shows all that is stricter"
        ),
    ))
}

fn applied(apply: &ApplyRules, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        output.json(&json!({
            "request": uuid(apply.request.0),
            "from_ms": apply.rules.from.as_millis(),
        }))?;
    } else {
        output.line(format_args!("in force from {}", show::time(apply.rules.from)))?;
    }
    output.flush()
}

/// Says each line that is in one of two documents only.
fn diff(known: &RulesReading, document: &RuleDocument, json: bool) -> Result<(), Failure> {
    let wanted = document.rules(known.rules.from);
    let (before, after) =
        (lines_of(&rules::render(&known.rules)), lines_of(&rules::render(&wanted)));
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    let stricter: Vec<String> =
        wanted.stricter_than(&known.rules).into_iter().map(stricter).collect();
    let mut output = Output::new();
    if json {
        output.json(&json!({
            "version": known.rules.version.0,
            "gone": gone,
            "new": new,
            "stricter": stricter,
            "notice_days": known.rules.notice_days,
        }))?;
        return output.flush();
    }
    if gone.is_empty() && new.is_empty() {
        output.line(format_args!("nothing would change in version {}", known.rules.version.0))?;
    }
    gone.iter().try_for_each(|line| output.line(format_args!("- {line}")))?;
    new.iter().try_for_each(|line| output.line(format_args!("+ {line}")))?;
    for line in &stricter {
        output.line(format_args!("stricter: {line}"))?;
    }
    if !stricter.is_empty() && known.rules.notice_days != 0 {
        let days = known.rules.notice_days;
        output
            .line(format_args!("in force {days} days after they are applied, at the earliest"))?;
    }
    output.flush()
}

/// Where rules are stricter, as a document has it.
fn stricter(found: Stricter) -> String {
    match (found.key, found.is_gone) {
        (RuleKey::Notice, _) => "notice".to_owned(),
        (key, false) => format!("rules[{}].{}", found.layer, key.name()),
        (key, true) => format!("without rules[{}].{} of before", found.layer, key.name()),
    }
}

/// Every value of a document with its path, as `rules[0].no_show.window.days = 365`.
fn lines_of(value: &Value) -> Vec<String> {
    fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                let dot = if path.is_empty() { "" } else { "." };
                walk(&format!("{path}{dot}{key}"), value, lines);
            }),
            Value::Array(values) if values.iter().any(Value::is_object) => {
                for (index, value) in values.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), value, lines);
                }
            }
            plain => lines.push(format!("{path} = {plain}")),
        }
    }
    let mut lines = Vec::new();
    walk("", value, &mut lines);
    lines
}

fn show_rules(reading: &RulesReading, json: bool) -> Result<(), Failure> {
    let RulesReading { rules, next } = reading;
    let mut document = rules::render(rules);
    let mut output = Output::new();
    if json {
        document["version"] = json!(rules.version.0);
        document["from_ms"] = json!(rules.from.as_millis());
        document["next"] = json!(next.map(|(version, from)| json!({
            "version": version.0,
            "from_ms": from.as_millis(),
        })));
        output.json(&document)?;
        return output.flush();
    }
    if rules.version.0 == 0 {
        output.line("no rules are in force")?;
    } else {
        let (version, from) = (rules.version.0, show::time(rules.from));
        output.line(format_args!("version {version}, in force from {from}"))?;
    }
    lines_of(&document).iter().try_for_each(|line| output.line(line))?;
    if let Some((version, from)) = next {
        output.line(format_args!(
            "version {} comes into force {}",
            version.0,
            show::time(*from)
        ))?;
    }
    output.flush()
}

fn show_record(
    record: &RecordReading,
    standing: &StandingReading,
    json: bool,
) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        let strikes: Vec<Value> = record.strikes.iter().map(strike_of).collect();
        let restrictions = standing.restrictions.iter();
        let restrictions: Vec<Value> =
            restrictions.map(|(state, kept)| standing_of(*state, kept)).collect();
        output.json(&json!({ "strikes": strikes, "restrictions": restrictions }))?;
        return output.flush();
    }
    if record.strikes.is_empty() && standing.restrictions.is_empty() {
        output.line("nothing is kept of this patient")?;
    }
    for strike in &record.strikes {
        let (day, organization) = (strike.day.date(), strike.place.organization.0);
        let department = strike.place.department.0;
        output.line(format_args!(
            "{day} missed a visit: organization {organization}, department {department}"
        ))?;
    }
    for (state, kept) in &standing.restrictions {
        describe(*state, kept).iter().try_for_each(|line| output.line(line))?;
    }
    output.flush()
}

pub(super) fn strike_of(strike: &Strike) -> Value {
    json!({
        "day": strike.day.date().to_string(),
        "organization": strike.place.organization.0,
        "department": strike.place.department.0,
        "resource": strike.place.resource.0,
        "service": strike.place.service.0,
    })
}

pub(super) fn restriction_of(made: &Restriction) -> Value {
    json!({
        "consequence": made.consequence.name(),
        "mode": made.mode.name(),
        "from_ms": made.from.as_millis(),
        "until_ms": made.until.as_millis(),
        "count": made.count,
        "since": made.since.date().to_string(),
        "rules": made.rule.version.0,
        "layer": made.rule.layer,
        "tier": made.rule.tier,
    })
}

/// When rules come into force for which nobody says when: long enough for them to be durable.
const SOON_MILLIS: u64 = 5_000;
