//! `haoyuan ctl schedule`: from a schedule document to sessions on a node.
//!
//! ```text
//! check   document --> sessions, printed                no node
//! diff    sessions <-> node: missing, different, not in the document
//! apply   the same, and what is missing is opened
//! show    what has become of them
//! ```
//!
//! **Architecture invariant:** nothing that is open is changed. What differs is told, and the exit
//! code is 1.

mod compare;
mod print;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;

use self::compare::Tally;
use super::connect::Connection;
use super::document::{Document, defaults};
use crate::cli::failure::Failure;
use crate::client::Client;
use crate::model::{Role, Timestamp};
use crate::ops::calendar::Calendar;
use crate::ops::clock::Clock;
use crate::ops::schedule::{PlanSpan, Planned, Schedules, Unplanned};

/// Makes sessions from a schedule: recurring periods, pools, openings in waves
#[derive(Debug, Args)]
pub(super) struct ScheduleArguments {
    #[command(subcommand)]
    task: ScheduleTask,
}

const EXAMPLE: &str = "Example of a document:
  [[schedules]]
  id = \"cardiology-4711\"
  organization = 1
  site = 1
  department = 12
  resource = 4711
  zone = \"Asia/Shanghai\"
  days = [\"monday\", \"thursday\"]            # or workdays, weekends, holidays (with --calendar)
  horizon_days = 14
  opens = { days_before = 7, at = \"07:00\" }
  booking_ends = { days_before = 1, at = \"15:00\" }
  periods = [{ name = \"morning\", start = \"08:00\", end = \"12:00\", slot_minutes = 10, places = 4 }]
  waitlist = {}                           # who finds it full may wait for a place

Places may be drawn instead of first come, first served: docs/examples/schedule-draw.toml.
docs/policies.md explains the rules; docs/schedule.schema.json lists the keys.";

#[derive(Debug, Subcommand)]
enum ScheduleTask {
    /// Read a document and print the sessions that it describes; needs no node
    #[command(after_help = EXAMPLE)]
    Check(Plan),
    /// Open the sessions that are missing; say what differs, and change nothing of it
    Apply(Plan),
    /// Say what `apply` would open, and what differs
    Diff(Plan),
    /// Show what has become of the sessions: open or not, and what is taken
    Show(Plan),
}

/// Which document, and which of its dates.
#[derive(Debug, Args)]
struct Plan {
    /// The schedule document (TOML, JSON, or - for JSON on standard input)
    file: PathBuf,
    /// The calendar of workdays and holidays (TOML or JSON)
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// The first date; today in the schedule's time zone if absent
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<Date>,
    /// How many days; the schedule's own horizon if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=366))]
    days: Option<u16>,
    /// The node's configuration: names of channels, and how long holds last
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What a document comes to.
struct Described {
    planned: Vec<Planned>,
    unplanned: Vec<Unplanned>,
    now: Timestamp,
}

fn date(text: &str) -> Result<Date, String> {
    let date = text.parse().ok().filter(|date: &Date| date.to_string() == text);
    date.ok_or_else(|| "a date is written as 2026-09-01".to_owned())
}

pub(super) fn run(
    connection: &Connection,
    arguments: &ScheduleArguments,
    json: bool,
) -> Result<(), Failure> {
    let (ScheduleTask::Check(plan)
    | ScheduleTask::Apply(plan)
    | ScheduleTask::Diff(plan)
    | ScheduleTask::Show(plan)) = &arguments.task;
    let described = plan.read()?;
    match &arguments.task {
        ScheduleTask::Check(_) => print::check(&described.planned, json),
        ScheduleTask::Apply(_) => connection.run(Role::Admin, async |client| {
            let tally = compare::run(&client, &described, json, true).await?;
            tally.conclude("open the rest under other ids, or put the document right")
        }),
        ScheduleTask::Diff(_) => connection.run(Role::Admin, async |client| {
            let tally = compare::run(&client, &described, json, false).await?;
            tally.conclude_difference()
        }),
        ScheduleTask::Show(_) => {
            connection.run(Role::Admin, async |client| show(&client, &described, json).await)
        }
    }
}

async fn show(client: &Client, described: &Described, json: bool) -> Result<(), Failure> {
    let mut printer = print::Printer::new(json);
    for some in described.planned.chunks(compare::AT_A_TIME) {
        let ids = some.iter().map(|planned| planned.session.id);
        for (planned, found) in some.iter().zip(compare::read(client, ids, json).await?) {
            printer.standing(planned, found.as_ref())?;
        }
    }
    printer.finish()
}

impl Plan {
    fn read(&self) -> Result<Described, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::usage(
                error.to_string(),
                "correct it; `haoyuan ctl schedule check --help` shows a document",
            )
        };
        let document = Document::read(&self.file)?;
        let defaults = defaults(self.config.as_deref())?;
        let schedules =
            Schedules::parse(&document.name, document.format, &document.text, &defaults)
                .map_err(|error| wrong(&error))?;
        let calendar = self.calendar.as_deref().map(|file| {
            let document = Document::read(file)?;
            Calendar::parse(&document.name, document.format, &document.text).map_err(|error| {
                Failure::usage(
                    error.to_string(),
                    "correct it; docs/examples/ has a calendar, docs/calendar.schema.json its keys",
                )
            })
        });
        let calendar = calendar.transpose()?;
        let now = Clock::start().now();
        let span = PlanSpan { from: self.from, days: self.days, now };
        let planned = schedules.plan(calendar.as_ref(), &span).map_err(|error| wrong(&error))?;
        let unplanned = schedules.unplanned(&planned, &span);
        Ok(Described { planned, unplanned, now })
    }
}

impl Tally {
    fn conclude(&self, advice: &str) -> Result<(), Failure> {
        match (self.different, self.late) {
            (0, 0) => Ok(()),
            (0, late) => Err(late_failure(late)),
            (count, _) => Err(Failure::failed(
                format!("{count} of the sessions on the node are not as the document says"),
                format!("they were left as they are; {advice}"),
            )),
        }
    }

    fn conclude_difference(&self) -> Result<(), Failure> {
        match (self.different, self.missing) {
            (0, 0) if self.late == 0 => Ok(()),
            (0, 0) => Err(late_failure(self.late)),
            (different, missing) => Err(Failure::failed(
                format!("{missing} sessions are missing, {different} are not as the document says"),
                "`haoyuan ctl schedule apply` opens the missing ones; it changes nothing that is open",
            )),
        }
    }
}

fn late_failure(late: usize) -> Failure {
    Failure::failed(
        format!("{late} sessions are not open, and entries to their draws would have begun"),
        "apply earlier: the node binds itself to a draw before it opens; these need a draw that \
         opens later, or none",
    )
}
