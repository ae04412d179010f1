//! Rules for a history: read, put in force before its first row, and what they came to.
//!
//! **Architecture invariant:** what is counted is what the service decided or kept, so that a run that
//! continues counts the same.

use std::path::Path;

use serde::Serialize;

use super::drive::another_history;
use super::plan::Plan;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    Actor, ApplyRules, Command, Outcome, PatientId, RequestId, Role, RuleMode, Rules, Timestamp,
};
use crate::ops::document::{DocumentDefaults, DocumentFormat};
use crate::ops::rules;
use crate::service::Service;

/// What rules came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Conduct {
    /// Bookings that were asked for while the patient was restricted.
    restricted_bookings: u64,
    /// Patients who were restricted at any time.
    patients_restricted: u64,
    restrictions: u64,
}

impl Conduct {
    pub(super) fn print(self, output: &mut Output) -> Result<(), Failure> {
        for (name, value) in [
            ("restricted bookings", self.restricted_bookings),
            ("patients restricted", self.patients_restricted),
            ("restrictions", self.restrictions),
        ] {
            output.line(format_args!("{name:<24}{value:>16}"))?;
        }
        Ok(())
    }
}

/// The rules of a document, in force from the first row on.
pub(super) fn read(
    path: Option<&Path>,
    in_shadow: bool,
    plan: &Plan,
) -> Result<Option<Rules>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let name = path.display().to_string();
    let format = DocumentFormat::of(&name).ok_or_else(|| {
        Failure::usage(format!("{name} is neither TOML nor JSON"), "name a .toml or .json file")
    })?;
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read {name}: {error}"), "name a document with --policy")
    })?;
    let document = rules::read(&name, &text, format, &DocumentDefaults::default())
        .map_err(|error| Failure::usage(error.to_string(), "docs/policies.md has the keys"))?;
    let first = plan.steps.first().map(|step| step.time).unwrap_or_default();
    let rules = document.rules(first);
    Ok(Some(if in_shadow { rules.in_shadow() } else { rules }))
}

/// Puts rules in force. A folder that holds a part of the history has the same ones already.
pub(super) fn apply(service: &Service, rules: Option<&Rules>) -> Result<(), Failure> {
    let Some(rules) = rules else {
        let known = service.inventory().all_rules();
        return if known.is_empty() { Ok(()) } else { Err(another_history(Outcome::IdReused)) };
    };
    let now = rules.from.minus_millis(RULES_LEAD_MILLIS);
    let request = RequestId::from_parts(now, POLICY);
    let command = Command::ApplyRules(Box::new(ApplyRules { request, rules: rules.clone() }));
    let answer = service.call(now, &Actor::unbounded(Role::Admin), &command);
    answer.result.map(|_| ()).map_err(|refusal| another_history(refusal.outcome))
}

/// Whether rules that are only counted would have kept a patient from booking.
pub(super) fn would_refuse(service: &Service, patient: PatientId, now: Timestamp) -> bool {
    let active = service.inventory().restrictions(patient, now);
    active.iter().any(|made| made.mode == RuleMode::Shadow && made.consequence.refuses())
}

/// Counts what was kept.
pub(super) fn count(service: &Service, restricted_bookings: u64) -> Conduct {
    let (mut patients_restricted, mut restrictions) = (0, 0);
    service.inventory().each_record(|record| {
        let made = record
            .restrictions
            .iter()
            .filter(|made| made.restriction.consequence.refuses())
            .count();
        patients_restricted += u64::from(made != 0);
        restrictions += made as u64;
    });
    Conduct { restricted_bookings, patients_restricted, restrictions }
}

/// Makes the id of the request that puts the rules of a history in force.
const POLICY: u128 = 0x0090_11c7;
