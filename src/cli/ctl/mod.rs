//! `haoyuan ctl`: asks a running node, one thing at a time.
//!
//! **Architecture invariant:** a client like any other: it knows the node by its protocol alone.

mod attested;
mod connect;
mod describe;
mod document;
mod draw;
mod explain;
mod payment;
mod queue;
mod quotas;
mod restrict;
mod rules;
mod schedule;
mod session;
mod show;
mod supply;
mod waitlist;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use self::attested::Attested;
pub(super) use self::connect::{Connection, of_call};
use self::document::{Document, defaults};
use super::failure::Failure;
use super::lines::Enricher;
use super::output::Output;
use super::{cert, ids};
use crate::client::ids::new_request_id;
use crate::client::{CallError, Client, Event};
use crate::codec::decode_facts;
use crate::model::limits::CLAIMS_MAX;
use crate::model::{
    Action, AppointmentId, BookingChannel, Change, ClaimRequest, ClaimRequests, Hold, OpenSession,
    PatientClass, PatientId, PaymentRef, Receipt, RequestId, Role, Sequence, Session, SessionId,
    SlotChoice, SlotIndex, Ttl,
};
use crate::ops::clock::Clock;
use crate::ops::sessions;

/// Asks a running node: opens sessions, holds, books, cancels, looks
///
/// Without further flags it talks to `haoyuan serve --dev` in the same folder. Appointments are named
/// by UUID; patients by 32 hex digits, or by any text with --patient-text, which is hashed here. (A
/// real platform hashes identities outside, under its own secret key.)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CtlArguments {
    #[command(flatten)]
    connection: Connection,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "Example, beside `haoyuan serve --dev`:
  haoyuan ctl open sessions.toml
  haoyuan ctl availability 1001
  haoyuan ctl hold 1001 --slot 3 --patient-text 'Li Lei'
  haoyuan ctl book 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --payment 42
  haoyuan ctl watch --json";

#[derive(Debug, Subcommand)]
enum Task {
    /// Open the sessions of a document (TOML, JSON, or - for JSON on standard input)
    #[command(after_help = "Example of a document:
  [[sessions]]
  id = 1001
  organization = 1
  site = 1
  department = 12
  resource = 4711
  start = \"2027-03-01T08:00:00+08:00\"
  slot_minutes = 10
  slots = 24
  places = 4                # or: pools = [{ channels = [3], classes = [\"referral\"], places = 1 }]
  pick = \"even\"             # or earliest
  repeat = \"one-per-patient\" # or unlimited
  sharing = \"cancel\"        # or own, read: what other channels may do
  hold_minutes = 15")]
    Open {
        /// The document
        file: PathBuf,
        /// The node's configuration: names of channels, and how long holds last
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    Schedule(schedule::ScheduleArguments),
    Session(session::SessionArguments),
    /// Show the free places of a session, slot by slot
    #[command(after_help = "Example:\n  haoyuan ctl availability 1001 --channel 3")]
    Availability {
        /// The session
        #[arg(value_parser = ids::session)]
        session: SessionId,
        #[command(flatten)]
        origin: Origin,
    },
    Quotas(quotas::QuotasTask),
    Rules(rules::RulesArguments),
    Record(rules::RecordTask),
    Explain(explain::ExplainTask),
    #[command(flatten)]
    Restriction(restrict::RestrictionTask),
    Merge(restrict::MergeTask),
    CallNext(queue::CallTask),
    Queue(queue::QueueTask),
    /// Hold places until a deadline, or book them at once with --book
    #[command(after_help = "Examples:
  haoyuan ctl hold 1001 --patient-text 'Li Lei'              any slot
  haoyuan ctl hold 1001 --slot 3,4 --patient-text 'Li Lei'   slot 3, or 4 if 3 is taken
  haoyuan ctl hold 1001 2001 --slot 3 --count 2 --patient-text 'Li Lei'   two sessions, all or none")]
    Hold(HoldTask),
    /// Confirm a hold with a payment
    #[command(
        after_help = "Example:\n  haoyuan ctl book 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --payment 42"
    )]
    Book {
        #[command(flatten)]
        target: ChangeTask,
        /// The payment's reference: a number or 32 hex digits
        #[arg(long, value_parser = ids::payment)]
        payment: PaymentRef,
    },
    /// Give up a hold
    Release(ChangeTask),
    /// Cancel a booked appointment
    Cancel(ChangeTask),
    /// Record that the patient has come
    Arrive(ChangeTask),
    /// Record the check-in
    CheckIn(ChangeTask),
    /// Record that the visit took place
    Fulfil(ChangeTask),
    /// Record that the patient did not come
    NoShow(ChangeTask),
    #[command(flatten)]
    Payment(payment::PaymentTask),
    #[command(flatten)]
    Supply(supply::SupplyTask),
    /// Show one appointment
    Get {
        /// Which
        #[arg(value_parser = ids::appointment)]
        appointment: AppointmentId,
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
    /// List the live appointments of a patient
    List {
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
    /// Wait for places in sessions that are full, wait no more, or see where a patient stands
    #[command(
        subcommand,
        after_help = "Examples:
  haoyuan ctl waitlist join 1001 1002 --patient-text 'Li Lei'
  haoyuan ctl waitlist show 1001 --patient-text 'Li Lei'
  haoyuan ctl waitlist leave 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --patient-text 'Li Lei'"
    )]
    Waitlist(waitlist::WaitlistTask),
    /// Show the node's clock, or confirm it after the machine's clock jumped
    #[command(after_help = "Examples:\n  haoyuan ctl clock\n  haoyuan ctl clock confirm")]
    Clock {
        #[command(subcommand)]
        task: Option<ClockTask>,
    },
    /// Look at a draw, give its beacon, or publish it
    Draw {
        #[command(subcommand)]
        task: draw::DrawTask,
    },
    /// Print facts as they become durable: the lines of `haoyuan journal`
    #[command(after_help = "Example:\n  haoyuan ctl watch --from 1 --json")]
    Watch {
        /// The first record
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
        /// End where there is nothing new, instead of waiting
        #[arg(long)]
        no_follow: bool,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum ClockTask {
    /// Say that the machine's clock is right: put it right first
    Confirm,
}

/// Which places are wanted.
#[derive(Debug, Args)]
struct HoldClaims {
    /// The sessions, 1 to 8; places in all of them, or in none
    #[arg(value_parser = ids::session, required = true)]
    sessions: Vec<SessionId>,
    /// The slot in each session, or up to 8, best first; any if absent
    #[arg(long, value_delimiter = ',')]
    slot: Vec<u16>,
    /// Consecutive slots
    #[arg(long, default_value_t = 1)]
    count: u8,
}

#[derive(Debug, Args)]
struct HoldTask {
    #[command(flatten)]
    claims: HoldClaims,
    /// Minutes to hold; the session may allow less
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Book at once, with this payment
    #[arg(long, value_name = "PAYMENT", value_parser = ids::payment)]
    book: Option<PaymentRef>,
    /// The id of the new appointment; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::appointment)]
    id: Option<AppointmentId>,
    #[command(flatten)]
    patient: PatientName,
    #[command(flatten)]
    account: payment::KeyNames,
    #[command(flatten)]
    attested: Attested,
    #[command(flatten)]
    origin: Origin,
}

#[derive(Debug, Args)]
struct ChangeTask {
    /// Which appointment
    #[arg(value_parser = ids::appointment)]
    appointment: AppointmentId,
    /// The id of the request; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
    #[command(flatten)]
    patient: PatientName,
    #[command(flatten)]
    origin: Origin,
}

#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
struct PatientName {
    /// The patient: 32 hex digits
    #[arg(long, value_name = "HEX", value_parser = ids::patient)]
    patient: Option<PatientId>,
    /// The patient, by any text, which is hashed here
    #[arg(long, value_name = "TEXT")]
    patient_text: Option<String>,
}

#[derive(Clone, Copy, Debug, Args)]
struct Origin {
    /// The channel, 0 to 63
    #[arg(long, default_value = "0", value_parser = cert::channel)]
    channel: BookingChannel,
    /// The class of patient: outpatient, inpatient, check-up, emergency, referral
    #[arg(long, default_value = "outpatient", value_parser = class)]
    class: PatientClass,
}

fn class(text: &str) -> Result<PatientClass, String> {
    let known = sessions::CLASSES.map(|(name, _)| name).join(", ");
    sessions::class_named(text).ok_or_else(|| format!("a class is one of {known}"))
}

/// Runs the command.
pub(super) fn run(arguments: &CtlArguments) -> Result<(), Failure> {
    let CtlArguments { connection, json, task } = arguments;
    let json = *json;
    match task {
        Task::Open { file, config } => {
            let sessions = read_document(file, config.as_deref())?;
            connection.run(Role::Admin, |client| open(client, sessions, json))
        }
        Task::Schedule(task) => schedule::run(connection, task, json),
        Task::Session(task) => session::run(connection, task, json),
        Task::Availability { session, origin } => connection.run(Role::Counter, async |client| {
            let asked = client.availability(*session, origin.channel, origin.class).await;
            show::availability(&told(asked, json)?, json)
        }),
        Task::CallNext(task) => queue::call(connection, task, json),
        Task::Queue(task) => queue::run(connection, task, json),
        Task::Quotas(task) => quotas::run(connection, task, json),
        Task::Rules(task) => rules::run(connection, task, json),
        Task::Record(task) => rules::record(connection, task, json),
        Task::Explain(task) => explain::run(connection, task, json),
        Task::Restriction(task) => restrict::run(arguments, task),
        Task::Merge(task) => restrict::merge(arguments, task),
        Task::Hold(task) => {
            let hold = task.hold()?;
            connection.run(Role::Counter, async |client| {
                let id = hold.appointment;
                show::receipt(id, &told(client.hold(hold).await, json)?, json)
            })
        }
        Task::Book { target, payment } => {
            change(arguments, Role::Counter, target, Action::Book { payment: *payment })
        }
        Task::Waitlist(task) => waitlist::run(arguments, task),
        Task::Release(target) => change(arguments, Role::Counter, target, Action::Release),
        Task::Cancel(target) => change(arguments, Role::Counter, target, Action::Cancel),
        Task::Arrive(target) => change(arguments, Role::Counter, target, Action::Arrive),
        Task::CheckIn(target) => change(arguments, Role::Counter, target, Action::CheckIn),
        Task::Fulfil(target) => change(arguments, Role::Practitioner, target, Action::Fulfil),
        Task::NoShow(target) => change(arguments, Role::Counter, target, Action::NoShow),
        Task::Draw { task } => draw::run(connection, task, json),
        Task::Get { appointment, patient, origin } => {
            connection.run(Role::Counter, async |client| {
                let asked = client.get(*appointment, patient.id(), origin.channel).await;
                show::appointments(&[told(asked, json)?], json)
            })
        }
        Task::List { patient, origin } => {
            let patient = patient.needed()?;
            connection.run(Role::Counter, async |client| {
                let asked = client.list(patient, origin.channel).await;
                show::appointments(&told(asked, json)?, json)
            })
        }
        Task::Payment(task) => payment::run(arguments, task),
        Task::Supply(task) => supply::run(arguments, task),
        Task::Clock { task } => connection.run(Role::Admin, async |client| {
            let confirm = matches!(task, Some(ClockTask::Confirm));
            show::clock(told(client.clock(confirm).await, json)?, json)
        }),
        Task::Watch { from, no_follow } => {
            let from = Sequence(*from);
            connection
                .run(Role::Auditor, async |client| watch(client, from, *no_follow, json).await)
        }
    }
}

impl PatientName {
    fn id(&self) -> Option<PatientId> {
        self.patient.or_else(|| self.patient_text.as_deref().map(ids::patient_named))
    }

    fn needed(&self) -> Result<PatientId, Failure> {
        self.id().ok_or_else(|| {
            Failure::usage("no patient is named", "give --patient HEX or --patient-text TEXT")
        })
    }
}

impl HoldClaims {
    fn claims(&self) -> Result<ClaimRequests, Failure> {
        let many = || Failure::usage("too many sessions or slots", "a hold takes up to 8 of each");
        let slots = match self.slot.as_slice() {
            [] => SlotChoice::Any,
            slots => SlotChoice::Ranked({
                let mut ranked = arrayvec::ArrayVec::new();
                for slot in slots {
                    ranked.try_push(SlotIndex(*slot)).map_err(|_| many())?;
                }
                ranked
            }),
        };
        if CLAIMS_MAX < self.sessions.len() {
            return Err(many());
        }
        let claim = |session: &SessionId| {
            let (session, count) = (*session, self.count);
            ClaimRequest { session, count, slots: slots.clone() }
        };
        Ok(self.sessions.iter().map(claim).collect())
    }
}

impl HoldTask {
    fn hold(&self) -> Result<Hold, Failure> {
        let keys = self.account.keys();
        Ok(Hold {
            appointment: self.id.unwrap_or_else(|| AppointmentId(fresh_id().0)),
            // An account may name the patient later, where a rule lets it.
            patient: match keys.account {
                Some(_) => self.patient.id(),
                None => Some(self.patient.needed()?),
            },
            keys,
            channel: self.origin.channel,
            class: self.origin.class,
            attributes: self.attested.attributes(),
            ttl: Ttl::from_millis(self.minutes * 60_000).unwrap_or(Ttl::DEFAULT),
            book: self.book,
            claims: self.claims.claims()?,
        })
    }
}

fn change(
    arguments: &CtlArguments,
    role: Role,
    target: &ChangeTask,
    action: Action,
) -> Result<(), Failure> {
    let change = Change {
        request: target.id.unwrap_or_else(fresh_id),
        appointment: target.appointment,
        patient: target.patient.id(),
        channel: target.origin.channel,
        action,
    };
    arguments.connection.run(role, async |client| {
        let receipt: Receipt = told(client.change(change).await, arguments.json)?;
        show::receipt(change.appointment, &receipt, arguments.json)
    })
}

fn read_document(file: &Path, config: Option<&Path>) -> Result<Vec<Session>, Failure> {
    let Document { name, format, text } = Document::read(file)?;
    let defaults = defaults(config)?;
    let sessions = sessions::parse(&name, format, &text, &defaults).map_err(|error| {
        Failure::usage(error.to_string(), "correct it; `haoyuan ctl open --help` shows a document")
    })?;
    let is_bound = |session: &&Session| {
        let mut draws = session.pools.iter().filter_map(|pool| pool.terms.draw);
        draws.any(|draw| draw.commitment.is_some())
    };
    match sessions.iter().find(is_bound) {
        None => Ok(sessions),
        Some(bound) => Err(Failure::usage(
            format!("{name}: session {} has the commitment of a draw", bound.id.0),
            "take it out: the node that opens the session makes its own",
        )),
    }
}

async fn open(client: Client, sessions: Vec<Session>, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    for session in sessions {
        let id = session.id.0;
        let asked = client.open_session(OpenSession { request: fresh_id(), session }).await;
        let receipt = told(asked, json)?;
        if json {
            output.json(&serde_json::json!({ "session": id, "retried": receipt.retried }))?;
        } else {
            output.line(format_args!("opened session {id}"))?;
        }
        output.flush()?;
    }
    Ok(())
}

async fn watch(client: Client, from: Sequence, no_follow: bool, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    let mut enricher = Enricher::default();
    let mut watch = client.watch(from);
    loop {
        match watch.next().await.map_err(|error| of_call(&error))? {
            Event::Heartbeat(heartbeat) if no_follow && heartbeat.durable < watch.position() => {
                return output.flush();
            }
            Event::Heartbeat(_) => output.flush()?,
            Event::Record(record) => {
                let facts = decode_facts(&record.facts).map_err(|error| {
                    Failure::failed(
                        format!("record {} cannot be read: {error}", record.sequence.0),
                        "use the release that the node is",
                    )
                })?;
                for line in enricher.lines(record.sequence, record.time, &facts) {
                    if json { output.json(&line)? } else { output.line(line.for_people())? }
                }
                output.flush()?;
            }
        }
    }
}

/// What was answered, or why not; a program gets the refusal as JSON too.
fn told<T>(asked: Result<T, CallError>, json: bool) -> Result<T, Failure> {
    if let (Err(CallError::Refused(refusal)), true) = (&asked, json) {
        show::refusal(*refusal)?;
    }
    asked.map_err(|error| of_call(&error))
}

fn fresh_id() -> RequestId {
    new_request_id(Clock::start().now())
}
