//! `haoyuan replay`: real history through the real pipeline, under a virtual clock.
//!
//! ```text
//! CSV -> rows (and rejections) -> plan (order) -> drive (service) -> counts, digest
//! ```
//!
//! **Architecture invariant:** time comes from the rows, and every outcome from the service.

mod drive;
mod plan;
mod policy;
mod rows;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use self::drive::{Pace, Tally};
use self::rows::{Rejection, TableError};
use super::failure::{self, Failure};
use super::output::{Output, hex};
use crate::journal;
use crate::ops::{clock, trace};
use crate::service::{Limits, OpenOptions, Service};

/// Runs a table of real appointments through the real pipeline
///
/// Columns used: `PatientId` (any text), `AppointmentID` (a number), `ScheduledDay`, `AppointmentDay`,
/// Neighbourhood, No-show (Yes or No). A neighbourhood and a day make a session: one slot of 24 hours
/// (UTC) with as many places as the table has rows for it. Rows are held and booked in order of
/// (`ScheduledDay`, line); at 00:00 after a day its appointments are settled as fulfilled or no-show.
/// A row that was scheduled on a later day than its `AppointmentDay` is refused as in the past.
///
/// Run it again on a folder that holds a part of the history, and it continues: what was decided is
/// read, not decided again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArguments {
    /// The table: CSV, packed with gzip or not
    #[arg(long, value_name = "FILE")]
    appointments: PathBuf,
    /// Where the journal goes; a temporary folder if absent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Rules about no-shows, as a document in TOML or JSON
    ///
    /// A visit that was missed is a strike of its day, counted when the day is settled. Bookings that a
    /// restricted patient asks for are refused.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Count what the rules would refuse, and refuse nothing
    #[arg(long, requires = "policy")]
    shadow: bool,
    /// Rows per second at most
    #[arg(long, value_name = "ROWS_PER_S", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Print each row's line number once it is durable (the header is line 1, the first row line 2)
    #[arg(long)]
    acks: bool,
    /// Print the counts as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str =
    "A malformed row is told on standard error with its line and the reason, and the rest goes on.

Examples:
  haoyuan replay --appointments noshow.csv.gz --json
  haoyuan replay --appointments noshow.csv.gz --data-dir history --acks --rate 5000
  haoyuan replay --appointments noshow.csv.gz --policy docs/policies/three-in-a-year.toml --shadow";

/// What a run came to.
#[derive(Debug, Serialize)]
struct Counts {
    rows: u64,
    booked: u64,
    refused_in_past: u64,
    rejected_rows: u64,
    fulfilled: u64,
    no_show: u64,
    sessions: u64,
    records: u64,
    bytes: u64,
    seconds: f64,
    digest: String,
    #[serde(flatten)]
    conduct: Option<policy::Conduct>,
}

/// Runs the command.
pub(super) fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let started = clock::monotonic_now();
    let table = read(&arguments.appointments)?;
    table.rejected.iter().for_each(tell);
    let rejected = table.rejected.len();
    let plan = plan::plan(table.rows).map_err(|error| {
        Failure::usage(error.to_string(), "split the neighbourhood's rows into two names")
    })?;

    trace::abort_on_panic(journal::is_opening_store);
    let temporary;
    let folder = if let Some(folder) = &arguments.data_dir {
        folder.as_path()
    } else {
        temporary = tempfile::tempdir().map_err(Failure::from)?;
        temporary.path()
    };
    let rules = policy::read(arguments.policy.as_deref(), arguments.shadow, &plan)?;
    let service = open(folder)?;
    policy::apply(&service, rules.as_ref())?;
    let mut output = Output::new();
    let pace = Pace { rate: arguments.rate, acks: arguments.acks };
    let tally = drive::drive(&service, &plan, pace, &mut output)?;

    let digest = hex(&service.digest());
    service.close().map_err(|error| closed(&error))?;
    let counts = Counts {
        rows: (plan.rows.len() + rejected) as u64,
        rejected_rows: rejected as u64,
        sessions: plan.sessions.len() as u64,
        records: service.durable().0,
        bytes: size_of(&service)?,
        seconds: started.elapsed().as_secs_f64(),
        digest,
        conduct: rules.as_ref().map(|_| policy::count(&service, tally.restricted_bookings)),
        ..Counts::from(tally)
    };
    if arguments.json {
        output.json(&counts)?;
    } else {
        counts.print(&mut output)?;
    }
    output.flush()
}

impl From<Tally> for Counts {
    fn from(tally: Tally) -> Self {
        Self {
            booked: tally.booked,
            refused_in_past: tally.refused_in_past,
            fulfilled: tally.fulfilled,
            no_show: tally.no_show,
            rows: 0,
            rejected_rows: 0,
            sessions: 0,
            records: 0,
            bytes: 0,
            seconds: 0.0,
            digest: String::new(),
            conduct: None,
        }
    }
}

impl Counts {
    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        for (name, value) in [
            ("rows", self.rows),
            ("booked", self.booked),
            ("  fulfilled", self.fulfilled),
            ("  no-show", self.no_show),
            ("refused in the past", self.refused_in_past),
            ("rejected rows", self.rejected_rows),
            ("sessions", self.sessions),
            ("records", self.records),
            ("bytes", self.bytes),
        ] {
            output.line(format_args!("{name:<24}{value:>16}"))?;
        }
        if let Some(conduct) = self.conduct {
            conduct.print(output)?;
        }
        output.line(format_args!("{:<24}{:>16.2}", "seconds", self.seconds))?;
        output.line(format_args!("digest  {}", self.digest))
    }
}

fn read(path: &Path) -> Result<rows::Table, Failure> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        Failure::usage(
            format!("cannot open {name}: {error}"),
            "name a CSV file with --appointments",
        )
    })?;
    rows::read(file).map_err(|error| match error {
        TableError::Unreadable(_) => Failure::usage(
            format!("{name}: {error}"),
            "check that the file is whole: `gzip -t` tests a packed one",
        ),
        TableError::NoColumn(_) => Failure::usage(
            format!("{name}: {error}"),
            "give a table with the columns that `haoyuan replay --help` names",
        ),
    })
}

fn open(folder: &Path) -> Result<Arc<Service>, Failure> {
    let limits = Limits { retention_millis: RETENTION_MILLIS, ..Limits::default() };
    let options = OpenOptions { limits, ..OpenOptions::default() };
    let (service, report) = Service::open(folder, &options, Arc::new(failure::end_process))
        .map_err(|error| failure::of_open(folder, &error))?;
    report.warnings.iter().for_each(|warning| failure::warn(warning));
    Ok(service)
}

fn size_of(service: &Service) -> Result<u64, Failure> {
    let size = service.folder().map_or(Ok(0), journal::DataFolder::size_bytes);
    size.map_err(|error| closed(&error))
}

fn closed(error: &journal::JournalError) -> Failure {
    Failure::failed(error.to_string(), "run the same command again: it continues where it stood")
}

fn tell(rejection: &Rejection) {
    failure::warn(&format!("line {}: {}; row rejected", rejection.line, rejection.reason));
}

/// A century: history is asked for again however old it is, and nothing of it is forgotten.
const RETENTION_MILLIS: u64 = 36_525 * rows::DAY_MILLIS;
