//! `haoyuan ctl waitlist`: joins, leaves, shows.

use clap::{Args, Subcommand};
use serde_json::json;

use super::super::failure::Failure;
use super::super::ids::{self, uuid};
use super::super::output::Output;
use super::attested::Attested;
use super::payment::AccountName;
use super::{CtlArguments, Origin, PatientName, fresh_id, show, told};
use crate::model::limits::CLAIMS_MAX;
use crate::model::{
    JoinWaitlist, LeaveWaitlist, RequestId, Role, SessionId, Targets, Timestamp, WaitlistReading,
};

#[derive(Debug, Subcommand)]
pub(super) enum WaitlistTask {
    /// Wait for a place in one of some sessions, all of which are full
    Join(JoinTask),
    /// Wait no more
    Leave(LeaveTask),
    /// Show how many wait for a session, and where a patient stands
    Show {
        /// The session
        #[arg(value_parser = ids::session)]
        session: SessionId,
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
}

#[derive(Debug, Args)]
pub(super) struct JoinTask {
    /// The sessions, 1 to 8; a place in one of them
    #[arg(value_parser = ids::session, required = true)]
    sessions: Vec<SessionId>,
    /// The earliest begin of a slot that will do, as in 2027-03-01T08:00:00+08:00
    #[arg(long, value_name = "TIME", value_parser = instant)]
    earliest: Option<Timestamp>,
    /// The latest
    #[arg(long, value_name = "TIME", value_parser = instant)]
    latest: Option<Timestamp>,
    /// The id of the request and of the entry; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
    #[command(flatten)]
    patient: PatientName,
    #[command(flatten)]
    account: AccountName,
    #[command(flatten)]
    attested: Attested,
    #[command(flatten)]
    origin: Origin,
}

#[derive(Debug, Args)]
pub(super) struct LeaveTask {
    /// The entry, as joining told it
    #[arg(value_parser = ids::request)]
    entry: RequestId,
    /// The id of the request; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
    #[command(flatten)]
    patient: PatientName,
    #[command(flatten)]
    origin: Origin,
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    let millis = u64::try_from(time.as_millisecond()).map_err(|_| "is before 1970".to_owned())?;
    Ok(Timestamp::from_millis(millis))
}

pub(super) fn run(arguments: &CtlArguments, task: &WaitlistTask) -> Result<(), Failure> {
    let json = arguments.json;
    match task {
        WaitlistTask::Join(task) => {
            let join = task.join()?;
            arguments.connection.run(Role::Counter, async |client| {
                let receipt = told(client.join_waitlist(join.clone()).await, json)?;
                entry(join.request, "waits since", receipt.until, json)
            })
        }
        WaitlistTask::Leave(task) => {
            let leave = LeaveWaitlist {
                request: task.id.unwrap_or_else(fresh_id),
                entry: task.entry,
                patient: task.patient.needed()?,
                channel: task.origin.channel,
            };
            arguments.connection.run(Role::Counter, async |client| {
                let receipt = told(client.leave_waitlist(leave).await, json)?;
                entry(leave.entry, "left", receipt.until, json)
            })
        }
        WaitlistTask::Show { session, patient, origin } => {
            arguments.connection.run(Role::Counter, async |client| {
                let asked = client.waitlist(*session, patient.id(), origin.channel).await;
                reading(&told(asked, json)?, json)
            })
        }
    }
}

impl JoinTask {
    fn join(&self) -> Result<JoinWaitlist, Failure> {
        if CLAIMS_MAX < self.sessions.len() {
            return Err(Failure::usage("too many sessions", "one waits for up to 8 at a time"));
        }
        Ok(JoinWaitlist {
            request: self.id.unwrap_or_else(fresh_id),
            patient: self.patient.needed()?,
            account: self.account.id(),
            channel: self.origin.channel,
            class: self.origin.class,
            attributes: self.attested.attributes(),
            earliest: self.earliest.unwrap_or_default(),
            latest: self.latest.unwrap_or(Timestamp::MAX),
            targets: self.sessions.iter().copied().collect::<Targets>(),
        })
    }
}

/// Prints what became of an entry.
fn entry(id: RequestId, what: &str, since: Timestamp, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        output.json(&json!({ "entry": uuid(id.0), "since_ms": since.as_millis() }))?;
    } else {
        output.line(format_args!("{} {what} {}", uuid(id.0), show::time(since)))?;
    }
    output.flush()
}

/// Prints a waitlist as a patient may see it.
fn reading(found: &WaitlistReading, json: bool) -> Result<(), Failure> {
    let WaitlistReading { waiting, closes_at, entry, position, offer, likelihood } = *found;
    let mut output = Output::new();
    if json {
        output.json(&json!({
            "waiting": waiting,
            "closes_at_ms": closes_at.as_millis(),
            "entry": entry.map(|id| uuid(id.0)),
            "position": position,
            "offer": offer.map(|id| uuid(id.0)),
            "likelihood_permille": likelihood,
        }))?;
        return output.flush();
    }
    output.line(format_args!("{waiting} wait, until {}", show::time(closes_at)))?;
    if let Some(entry) = entry {
        let position =
            position.map_or_else(|| "not known yet".to_owned(), |place| place.to_string());
        match offer {
            Some(offer) => output.line(format_args!(
                "entry {} is offered appointment {}: book or release it",
                uuid(entry.0),
                uuid(offer.0)
            ))?,
            None => output.line(format_args!("entry {} position {position}", uuid(entry.0)))?,
        }
    }
    if let Some(permille) = likelihood {
        output.line(format_args!("so far {permille} of 1000 were offered a place"))?;
    }
    output.flush()
}
