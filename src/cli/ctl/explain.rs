//! `haoyuan ctl explain`: why something is as it is, in words for a patient and in JSON.
//!
//! What is asked about is told from its id: requests and appointments have ids of version 7, with a
//! time in them; patients have keys without one.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::ids::{self, uuid};
use super::super::output::Output;
use super::restrict::standing_of;
use super::{Connection, Origin, defaults, rules, show, told};
use crate::client::Client;
use crate::model::{
    AppointmentId, CivilTime, CountedStrike, Counter, ExplainOf, Explained, ExplainedAppointment,
    ExplainedPatient, ExplainedRequest, Explanation, NextStep, PatientId, RefusedRequest,
    RequestId, RestrictionCause, Role, RuleKey, RuleRef, RuleWhy, Timestamp,
};
use crate::ops::words::{Language, Words};

/// Says why: of a request, an appointment or a patient, in words for a patient
///
/// An id of a request or an appointment is told from a patient's key by its form. Where both are
/// possible, say which.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainTask {
    /// The id of a request or an appointment, or a patient's key: 32 hex digits or a UUID
    #[arg(value_name = "ID", value_parser = ids::wide, required_unless_present = "patient_text")]
    id: Option<u128>,
    /// The id is a patient's key
    #[arg(long, group = "kind")]
    patient: bool,
    /// The id is an appointment's
    #[arg(long, group = "kind")]
    appointment: bool,
    /// The id is a request's
    #[arg(long, group = "kind")]
    request: bool,
    /// The patient, by any text, which is hashed here
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["id", "kind"])]
    patient_text: Option<String>,
    /// In which language: en, zh
    #[arg(long, default_value = "en", value_parser = language)]
    lang: Language,
    /// A patient's record as it was at an instant; now if absent
    #[arg(long, value_name = "TIME", value_parser = super::waitlist::instant)]
    at: Option<Timestamp>,
    /// The node's configuration: names of channels
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    origin: Origin,
}

const EXAMPLES: &str = "Examples:
  haoyuan ctl explain 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f
  haoyuan ctl explain --patient-text 'Li Lei' --lang zh
  haoyuan ctl explain --patient 5d41402abc4b2a76b9719d911017c592 --at 2027-03-01T08:00:00+08:00 --json";

fn language(text: &str) -> Result<Language, String> {
    Language::of_code(text).ok_or_else(|| "a language is en or zh".to_owned())
}

pub(super) fn run(connection: &Connection, task: &ExplainTask, json: bool) -> Result<(), Failure> {
    let names = defaults(task.config.as_deref())?.channels;
    let name = |number: u8| {
        let known = names.iter().find(|(_, channel)| channel.number() == number);
        known.map_or_else(|| number.to_string(), |(name, _)| name.clone())
    };
    connection.run(Role::Counter, async |client| {
        let explanation = task.ask(&client, json).await?;
        let words =
            Words { language: task.lang, civil: &civil_of(&explanation.civil), channel: &name };
        print(&explanation, &words, json)
    })
}

/// Local time; UTC where no rules say what it is.
fn civil_of(civil: &CivilTime) -> CivilTime {
    if civil.0.is_empty() { CivilTime::default() } else { civil.clone() }
}

impl ExplainTask {
    async fn ask(&self, client: &Client, json: bool) -> Result<Explanation, Failure> {
        let ask = async |of| told(client.explain(of, self.origin.channel, self.at).await, json);
        if let Some(text) = &self.patient_text {
            return ask(ExplainOf::Patient(ids::patient_named(text))).await;
        }
        let id = self.id.unwrap_or_default();
        let request = ExplainOf::Request { request: RequestId(id), patient: None };
        let patient = ExplainOf::Patient(PatientId(id));
        if self.appointment {
            let appointment = AppointmentId(id);
            return ask(ExplainOf::Appointment { appointment, patient: None }).await;
        }
        if self.request {
            return ask(request).await;
        }
        if self.patient || !has_a_time(id) {
            return ask(patient).await;
        }
        let of_request = ask(request).await?;
        let of_patient = ask(patient).await?;
        match (is_known(&of_request), is_known(&of_patient)) {
            (true, true) => Err(Failure::usage(
                "the id is a request's and a patient's",
                "say which with --request, --appointment or --patient",
            )),
            (false, true) => Ok(of_patient),
            (true | false, false) => Ok(of_request),
        }
    }
}

/// Whether an id has the form of a request's: version 7 with a time.
const fn has_a_time(id: u128) -> bool {
    id >> 76 & 0xf == 7 && id >> 62 & 0b11 == 0b10
}

fn is_known(explanation: &Explanation) -> bool {
    match &explanation.about {
        Explained::Request(request) => !request.is_unknown(),
        Explained::Appointment(_) => true,
        Explained::Patient(patient) => !patient.is_empty(),
    }
}

fn print(explanation: &Explanation, words: &Words<'_>, json: bool) -> Result<(), Failure> {
    let lines = words.explained(&explanation.about);
    let mut output = Output::new();
    if json {
        let mut value = match &explanation.about {
            Explained::Request(request) => request_of(request),
            Explained::Appointment(appointment) => appointment_of(appointment),
            Explained::Patient(patient) => patient_of(patient),
        };
        value["words"] = json!(lines);
        output.json(&value)?;
        return output.flush();
    }
    lines.iter().try_for_each(|line| output.line(line))?;
    for rule in rules_of(&explanation.about) {
        output.line(rule)?;
    }
    output.flush()
}

/// For who works there: which rules the words rest on.
fn rules_of(about: &Explained) -> Vec<String> {
    let rule = |version: u32, layer: u8, tier: u8, key: &str| {
        format!("[{key}: version {version} of the rules, layer {layer}, tier {tier}]")
    };
    match about {
        Explained::Request(request) => {
            let why = request.refused.and_then(|refused| refused.why);
            let told = why.map(|it| match it.key {
                RuleKey::Staff => "[restriction: by staff]".to_owned(),
                key => rule(it.rule.version.0, it.rule.layer, it.rule.tier, key.name()),
            });
            told.into_iter().collect()
        }
        Explained::Appointment(_) => Vec::new(),
        Explained::Patient(patient) => {
            let made = patient.restrictions.iter().map(|(_, kept)| &kept.restriction);
            let told = made.map(|made| {
                if made.cause == RestrictionCause::Staff {
                    return "[restriction: by staff]".to_owned();
                }
                let RuleRef { version, layer, tier } = made.rule;
                rule(version.0, layer, tier, "restriction")
            });
            told.collect()
        }
    }
}

fn request_of(request: &ExplainedRequest) -> Value {
    json!({
        "kind": "request",
        "known": !request.is_unknown(),
        "refused": request.refused.as_ref().map(refused_of),
        "declined": request.declined.map(crate::model::Outcome::name),
        "made": request.made.as_ref().map(appointment_of),
        "done": request.is_done,
        "kept": request.kept,
    })
}

fn refused_of(refused: &RefusedRequest) -> Value {
    json!({
        "at_ms": refused.at.as_millis(),
        "operation": refused.operation.name(),
        "outcome": refused.outcome.name(),
        "code": refused.outcome.code(),
        "retry_after_ms": refused.retry_after_millis,
        "why": refused.why.as_ref().map(why_of),
        "patient": refused.patient.map(|patient| format!("{:032x}", patient.0)),
        "appointment": refused.appointment.map(|appointment| uuid(appointment.0)),
        "session": refused.session.map(|session| session.0),
        "channel": refused.channel.number(),
    })
}

pub(super) fn why_of(why: &RuleWhy) -> Value {
    let instant = |at: Timestamp| Some(at.as_millis()).filter(|millis| *millis != 0);
    json!({
        "key": why.key.name(),
        "rules": why.rule.version.0,
        "layer": why.rule.layer,
        "tier": why.rule.tier,
        "within": why.within.name(),
        "count": why.count,
        "limit": Some(why.limit).filter(|limit| *limit != 0),
        "since_ms": instant(why.since),
        "until_ms": instant(why.until),
        "through": (0..64_u8).filter(|number| why.through.0 >> number & 1 == 1).collect::<Vec<_>>(),
    })
}

fn appointment_of(told: &ExplainedAppointment) -> Value {
    let mut value = show::as_json(&told.appointment);
    value["kind"] = json!("appointment");
    value["rules"] = json!(told.appointment.rules.0);
    value["start_ms"] = json!(told.start.as_millis());
    value["next"] = json!(told.steps.iter().map(step_of).collect::<Vec<_>>());
    value
}

fn step_of(step: &NextStep) -> Value {
    let instant = |at: Timestamp| Some(at.as_millis()).filter(|millis| *millis != 0);
    json!({
        "what": step.what.name(),
        "by": step.by.name(),
        "from_ms": instant(step.from),
        "until_ms": instant(step.until),
    })
}

fn patient_of(patient: &ExplainedPatient) -> Value {
    json!({
        "kind": "patient",
        "at_ms": patient.at.as_millis(),
        "restrictions": patient.restrictions.iter().map(|(state, kept)| standing_of(*state, kept)).collect::<Vec<_>>(),
        "strikes": patient.strikes.iter().map(strike_of).collect::<Vec<_>>(),
        "counters": patient.counters.iter().map(counter_of).collect::<Vec<_>>(),
    })
}

fn strike_of(counted: &CountedStrike) -> Value {
    let mut value = rules::strike_of(&counted.strike);
    value["counts"] = json!(counted.counts);
    value["until_ms"] = json!(Some(counted.until.as_millis()).filter(|millis| *millis != 0));
    value
}

fn counter_of(counter: &Counter) -> Value {
    let mut value = why_of(&counter.why);
    value["organization"] = json!(counter.scope.organization().map(|organization| organization.0));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_time_is_told_from_a_key() {
        assert!(has_a_time(0x0192_f0c1_7a2b_7c3d_8e4f_5a6b_7c8d_9e0f));
        assert!(!has_a_time(0x0192_f0c1_7a2b_4c3d_8e4f_5a6b_7c8d_9e0f));
        assert!(!has_a_time(0x0192_f0c1_7a2b_7c3d_4e4f_5a6b_7c8d_9e0f));
        assert!(!has_a_time(ids::patient_named("Li Lei").0));
    }
}
