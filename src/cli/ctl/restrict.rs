//! `haoyuan ctl restrict`, `lift`, `suspend`, `resume`, `appeal`, `decide`: who may not book, and what is
//! done about it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::ids::{self, uuid};
use super::super::output::Output;
use super::{CtlArguments, Origin, PatientName, fresh_id, show, told};
use crate::model::{
    Amend, Amendment, Appeal, BookingChannel, ChannelSet, ClassSet, Command, Consequence,
    DepartmentId, EvidenceRef, Ground, KeptRestriction, MergePatients, OrganizationId,
    PatientClass, PatientId, Receipt, RequestId, ResourceId, Restrict, RestrictionId,
    RestrictionState, Role, RuleScope, ServiceId, StepKind, Timestamp,
};
use crate::ops::clock::Clock;

#[derive(Debug, Subcommand)]
pub(super) enum RestrictionTask {
    /// Restrict a patient by hand: nothing can be booked, but what --but and --but-class let pass
    #[command(after_help = "Examples:
  haoyuan ctl restrict --patient-text 'Li Lei' --days 30 --reason 4 --evidence 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f
  haoyuan ctl restrict --patient-text 'Li Lei' --organization 1 --days 7 --but-class emergency --reason 4")]
    Restrict(RestrictTask),
    /// End a restriction now; what it refused stays refused
    #[command(after_help = "Example:
  haoyuan ctl lift 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --patient-text 'Li Lei' --reason 2")]
    Lift(AmendTask),
    /// Let a restriction not hold until an instant; its term goes on
    #[command(after_help = "Example:
  haoyuan ctl suspend 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --until 2027-03-01T00:00:00+08:00 --patient-text 'Li Lei'")]
    Suspend {
        #[command(flatten)]
        task: AmendTask,
        /// Until when
        #[arg(long, value_name = "TIME", value_parser = super::waitlist::instant)]
        until: Timestamp,
    },
    /// Let a suspended restriction hold again
    Resume(AmendTask),
    /// Appeal against a restriction; says until when it is decided
    #[command(after_help = "Example:
  haoyuan ctl appeal 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --patient-text 'Li Lei' --evidence 77")]
    Appeal {
        #[command(flatten)]
        target: Target,
        /// What it rests on: a reference made outside, 32 hex digits or a number; no names
        #[arg(long, value_parser = evidence, default_value = "0")]
        evidence: EvidenceRef,
        #[command(flatten)]
        origin: Origin,
    },
    /// Decide the appeal that is open: --grant ends the restriction, --uphold lets it stand
    #[command(after_help = "Example:
  haoyuan ctl decide 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --grant --patient-text 'Li Lei' --reason 2")]
    Decide {
        #[command(flatten)]
        task: AmendTask,
        /// It is granted
        #[arg(long, conflicts_with = "uphold", required_unless_present = "uphold")]
        grant: bool,
        /// It is refused
        #[arg(long)]
        uphold: bool,
    },
}

/// Says that two keys are of one person: what the older one had belongs to the other, and both are
/// accepted from then on
#[derive(Debug, Args)]
#[command(after_help = "Example:
  haoyuan ctl merge 0192f0c17a2b7c3d8e4f5a6b7c8d9e0f 8f3a0192f0c17a2b7c3d8e4f5a6b7c8d")]
pub(super) struct MergeTask {
    /// The older key: 32 hex digits
    #[arg(value_parser = ids::patient)]
    from: PatientId,
    /// The newer key, under which everything is kept from then on
    #[arg(value_parser = ids::patient)]
    into: PatientId,
    /// The id of the request; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
}

/// Merges, and shows what came of it.
pub(super) fn merge(arguments: &CtlArguments, task: &MergeTask) -> Result<(), Failure> {
    let (json, into) = (arguments.json, task.into);
    let request = task.id.unwrap_or_else(fresh_id);
    let merge = MergePatients { request, from: task.from, into };
    arguments.connection.run(Role::Admin, async |client| {
        told(client.restrict(Command::MergePatients(merge)).await, json)?;
        let standing = told(client.standing(into, BookingChannel::default()).await, json)?;
        let hex = |key: PatientId| format!("{:032x}", key.0);
        let keys: Vec<String> = standing.keys.iter().map(|key| hex(*key)).collect();
        let mut output = Output::new();
        if json {
            output.json(&json!({
                "request": uuid(request.0),
                "patient": hex(standing.patient),
                "keys": keys,
                "doubled": standing.doubled,
            }))?;
        } else {
            let patient = hex(standing.patient);
            output.line(format_args!("{patient} is also {}", keys.join(", ")))?;
            if standing.doubled != 0 {
                output.line(format_args!(
                    "{} sessions with more than one live appointment",
                    standing.doubled
                ))?;
            }
        }
        output.flush()
    })
}

#[derive(Debug, Args)]
pub(super) struct RestrictTask {
    /// Since when, as in 2027-03-01T00:00:00+08:00; now if absent
    #[arg(long, value_name = "TIME", value_parser = super::waitlist::instant)]
    from: Option<Timestamp>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = super::waitlist::instant, required_unless_present = "days")]
    until: Option<Timestamp>,
    /// For so many days
    #[arg(long, conflicts_with = "until", value_parser = clap::value_parser!(u16).range(1..=3_660))]
    days: Option<u16>,
    #[command(flatten)]
    scope: Scope,
    /// Only tell the patient; or put them behind others on waitlists, by so many classes
    #[arg(long, conflicts_with = "lower")]
    warn: bool,
    /// Later on waitlists, by so many classes
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    lower: Option<u8>,
    /// At most so many appointments at a time; they can be cancelled for others
    #[arg(long, conflicts_with_all = ["warn", "lower", "but", "but_class"], value_parser = clap::value_parser!(u8).range(1..=8))]
    most: Option<u8>,
    /// Channels through which booking goes on
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(0..64))]
    but: Vec<u8>,
    /// Classes of patient as which booking goes on
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = super::class)]
    but_class: Vec<PatientClass>,
    #[command(flatten)]
    why: Why,
    /// The id of the request and of the restriction; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
    #[command(flatten)]
    patient: PatientName,
}

/// Where a restriction holds: everywhere, if nothing is said.
#[derive(Debug, Args)]
struct Scope {
    /// In this organization
    #[arg(long)]
    organization: Option<u32>,
    /// In this department of the organization
    #[arg(long, requires = "organization", conflicts_with_all = ["resource", "service"])]
    department: Option<u32>,
    /// With this resource of the organization
    #[arg(long, requires = "organization", conflicts_with = "service")]
    resource: Option<u64>,
    /// For this service item of the organization
    #[arg(long, requires = "organization")]
    service: Option<u32>,
}

#[derive(Debug, Args)]
struct Why {
    /// Why, a code of the hospital
    #[arg(long)]
    reason: u16,
    /// What it rests on: a reference made outside, 32 hex digits or a number; no names
    #[arg(long, value_parser = evidence, default_value = "0")]
    evidence: EvidenceRef,
}

#[derive(Debug, Args)]
pub(super) struct Target {
    /// Which restriction: `haoyuan ctl record` shows its id
    #[arg(value_parser = restriction)]
    restriction: RestrictionId,
    /// The id of the request; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
    #[command(flatten)]
    patient: PatientName,
}

#[derive(Debug, Args)]
pub(super) struct AmendTask {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    why: Why,
}

fn restriction(text: &str) -> Result<RestrictionId, String> {
    ids::wide(text).map(RestrictionId)
}

fn evidence(text: &str) -> Result<EvidenceRef, String> {
    ids::payment(text).map(|number| EvidenceRef(number.0))
}

pub(super) fn run(arguments: &CtlArguments, task: &RestrictionTask) -> Result<(), Failure> {
    match task {
        RestrictionTask::Restrict(task) => {
            let ask = task.ask()?;
            send(
                arguments,
                RestrictionId(ask.request.0),
                Role::Admin,
                &Command::Restrict(ask.into()),
            )
        }
        RestrictionTask::Lift(task) => amend(arguments, task, Amendment::Lift),
        RestrictionTask::Suspend { task, until } => {
            amend(arguments, task, Amendment::Suspend { until: *until })
        }
        RestrictionTask::Resume(task) => amend(arguments, task, Amendment::Resume),
        RestrictionTask::Decide { task, grant, .. } => {
            amend(arguments, task, if *grant { Amendment::Grant } else { Amendment::Uphold })
        }
        RestrictionTask::Appeal { target, evidence, origin } => {
            let appeal = Appeal {
                request: target.id.unwrap_or_else(fresh_id),
                patient: target.patient.needed()?,
                restriction: target.restriction,
                evidence: *evidence,
                channel: origin.channel,
            };
            send(arguments, target.restriction, Role::Counter, &Command::Appeal(appeal.into()))
        }
    }
}

fn amend(arguments: &CtlArguments, task: &AmendTask, amendment: Amendment) -> Result<(), Failure> {
    let ask = Amend {
        request: task.target.id.unwrap_or_else(fresh_id),
        patient: task.target.patient.needed()?,
        restriction: task.target.restriction,
        amendment,
        evidence: task.why.evidence,
        reason: task.why.reason,
    };
    send(arguments, task.target.restriction, Role::Admin, &Command::Amend(ask.into()))
}

fn send(
    arguments: &CtlArguments,
    restriction: RestrictionId,
    role: Role,
    command: &Command,
) -> Result<(), Failure> {
    let json = arguments.json;
    arguments.connection.run(role, async |client| {
        let receipt: Receipt = told(client.restrict(command.clone()).await, json)?;
        let mut output = Output::new();
        if json {
            output.json(&json!({
                "request": uuid(command.request().0),
                "restriction": uuid(restriction.0),
                "until_ms": receipt.until.as_millis(),
                "retried": receipt.retried,
            }))?;
        } else if matches!(command, Command::Appeal(_)) {
            output.line(format_args!("decided by {}", show::time(receipt.until)))?;
        } else {
            output.line(format_args!("restriction {}", uuid(restriction.0)))?;
        }
        output.flush()
    })
}

impl RestrictTask {
    fn ask(&self) -> Result<Restrict, Failure> {
        let now = Clock::start().now();
        let from = self.from.unwrap_or_default();
        let days = |days: u16| from.max(now).plus_millis(u64::from(days) * DAY_MILLIS);
        Ok(Restrict {
            request: self.id.unwrap_or_else(fresh_id),
            patient: self.patient.needed()?,
            within: self.scope.scope(),
            consequence: self.consequence(),
            from,
            until: self.until.or_else(|| self.days.map(days)).unwrap_or_default(),
            evidence: self.why.evidence,
            reason: self.why.reason,
        })
    }

    fn consequence(&self) -> Consequence {
        let channels = self.but.iter().fold(ChannelSet(0), |set, bit| ChannelSet(set.0 | 1 << bit));
        let classes = self.but_class.iter().fold(0, |set, class| set | 1 << *class as u8);
        if let Some(most) = self.most {
            return Consequence::Fewer(most);
        }
        match (self.warn, self.lower) {
            (true, _) => Consequence::Warn,
            (false, Some(by)) => Consequence::Lower(by),
            (false, None) if classes == 0 => Consequence::Refuse { but: channels },
            (false, None) => {
                let channels = if self.but.is_empty() { ChannelSet::ALL } else { channels };
                Consequence::RefuseBut { channels, classes: ClassSet(classes) }
            }
        }
    }
}

impl Scope {
    fn scope(&self) -> RuleScope {
        let Some(organization) = self.organization.map(OrganizationId) else {
            return RuleScope::Region;
        };
        match (self.department, self.resource, self.service) {
            (Some(department), ..) => RuleScope::Department(organization, DepartmentId(department)),
            (None, Some(resource), _) => RuleScope::Schedule(organization, ResourceId(resource)),
            (None, None, Some(service)) => RuleScope::Service(organization, ServiceId(service)),
            (None, None, None) => RuleScope::Organization(organization),
        }
    }
}

/// A restriction in words, each of its steps on a line of its own.
pub(super) fn describe(state: RestrictionState, kept: &KeptRestriction) -> Vec<String> {
    let made = &kept.restriction;
    let why = match &kept.ground {
        None => format!(
            "{} missed since {}, by version {} of the rules",
            made.count,
            made.since.date(),
            made.rule.version.0
        ),
        Some(ground) => format!("by hand, {}", of_ground(ground)),
    };
    let what = match made.consequence {
        Consequence::Warn => "warned",
        Consequence::Lower(_) => "later on waitlists",
        Consequence::Refuse { .. } | Consequence::RefuseBut { .. } => "may not book",
        Consequence::Fewer(most) => &format!("at most {most} at a time"),
    };
    let shadow = if made.mode == crate::model::RuleMode::Shadow { " (only counted)" } else { "" };
    let (from, until) = (show::time(made.from), show::time(made.until));
    let first = format!(
        "{} {}: {what}{shadow} from {from} until {until}: {why}",
        uuid(kept.id.0),
        state.name()
    );
    let step = |step: &crate::model::RestrictionStep| {
        let until = match step.what {
            StepKind::Suspended(until) => format!(" until {}", show::time(until)),
            StepKind::Appealed(term) => {
                let (due, undecided) = (show::time(term.due), term.undecided.name());
                format!(" to be decided by {due}, otherwise {undecided}")
            }
            StepKind::Lifted | StepKind::Resumed | StepKind::Upheld | StepKind::Granted => {
                String::new()
            }
        };
        let what = step.what.name().to_lowercase();
        format!("  {} {what}{until}: {}", show::time(step.at), of_ground(&step.ground))
    };
    std::iter::once(first).chain(kept.steps.iter().map(step)).collect()
}

fn of_ground(ground: &Ground) -> String {
    let evidence = match ground.evidence.0 {
        0 => String::new(),
        reference => format!(", evidence {reference:032x}"),
    };
    format!("{}, reason {}{evidence}", ground.by.name(), ground.reason)
}

/// What is done about restrictions, as JSON.
pub(super) fn standing_of(state: RestrictionState, kept: &KeptRestriction) -> Value {
    let ground = |ground: &Ground| {
        json!({
            "role": ground.by.name(),
            "reason": ground.reason,
            "evidence": format!("{:032x}", ground.evidence.0),
        })
    };
    let steps: Vec<Value> = kept
        .steps
        .iter()
        .map(|step| {
            let until = match step.what {
                StepKind::Suspended(until) => Some(until),
                StepKind::Appealed(term) => Some(term.due),
                StepKind::Lifted | StepKind::Resumed | StepKind::Upheld | StepKind::Granted => None,
            };
            json!({
                "what": step.what.name(),
                "request": uuid(step.request.0),
                "at_ms": step.at.as_millis(),
                "until_ms": until.map(Timestamp::as_millis),
                "ground": ground(&step.ground),
            })
        })
        .collect();
    let mut value = super::rules::restriction_of(&kept.restriction);
    value["id"] = json!(uuid(kept.id.0));
    value["state"] = json!(state.name());
    value["ground"] = json!(kept.ground.as_ref().map(ground));
    value["steps"] = Value::Array(steps);
    value
}

const DAY_MILLIS: u64 = 24 * 3_600_000;
