//! `haoyuan audit`: is the story in a data folder a possible one?

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::failure::{Failure, of_open};
use super::output::{Output, hex};
use crate::journal;
use crate::model::{AppointmentStatus, Cause, Sequence};
use crate::ops::trace;
use crate::service::audit::{self, AuditReport};

/// Checks the data folder of a stopped node
///
/// Reads every record, archived ones too: the chain of checksums must be whole, every change of
/// status legal, and no place sold twice. The places are recounted without the engine, and the
/// recovery of a node must come to the same state. Ends with code 1 if anything is wrong.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  haoyuan audit --data-dir /var/lib/haoyuan --json")]
pub(super) struct AuditArguments {
    /// The folder of the stopped node
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Look at the story up to this record only, as if nothing had happened since
    #[arg(long, value_name = "SEQ")]
    through: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &AuditArguments) -> Result<(), Failure> {
    trace::hide_panics(journal::is_opening_store);
    let folder = arguments.data_dir.display();
    let report = match arguments.through {
        Some(through) => audit::audit_through(&arguments.data_dir, Sequence(through)),
        None => audit::audit(&arguments.data_dir),
    };
    let report = report.map_err(|error| of_open(&arguments.data_dir, &error))?;
    let mut output = Output::new();
    if arguments.json {
        output.json(&as_json(&report))?;
    } else {
        print(&mut output, &report)?;
    }
    output.flush()?;
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::failed(
        format!("the audit of {folder} disagrees: {}", first_fault(&report)),
        "keep a copy of the folder; the faults above name the records, and `haoyuan journal` shows them",
    ))
}

/// What the report says, as other programs read it.
pub(super) fn as_json(report: &AuditReport) -> Value {
    let status = |status: &AppointmentStatus| {
        (status.code().to_owned(), json!(report.statuses.get(status).copied().unwrap_or(0)))
    };
    let statuses: Map<String, Value> = AppointmentStatus::ALL.iter().map(status).collect();
    let cause = |cause: Cause| {
        (cause.name().to_owned(), json!(report.causes.get(&cause).copied().unwrap_or(0)))
    };
    let causes: Map<String, Value> =
        [Cause::Released, Cause::Expired, Cause::Cancelled, Cause::Displaced, Cause::NotDrawn]
            .into_iter()
            .map(cause)
            .collect();
    json!({
        "clean": report.is_clean(),
        "oversold": report.oversold,
        "digest": hex(&report.digest),
        "records": report.records,
        "facts": report.facts,
        "sessions": report.sessions,
        "places": report.places,
        "taken": report.taken,
        "appointments": report.statuses.values().sum::<u64>(),
        "statuses": statuses,
        "causes": causes,
        "declined": report.declined,
        "last_seq": report.last.0,
        "last_time_ms": report.last_time.as_millis(),
        "faults": report.faults,
        "warnings": report.warnings,
    })
}

fn print(output: &mut Output, report: &AuditReport) -> Result<(), Failure> {
    let mut row = |name: &str, value: u64| output.line(format_args!("{name:<24}{value:>16}"));
    row("records", report.records)?;
    row("facts", report.facts)?;
    row("sessions", report.sessions)?;
    row("places", report.places)?;
    row("  taken", report.taken)?;
    row("appointments", report.statuses.values().sum())?;
    for (status, count) in &report.statuses {
        row(&format!("  {}", status.code()), *count)?;
    }
    for (cause, count) in &report.causes {
        row(&format!("    {}", cause.name()), *count)?;
    }
    row("declined", report.declined)?;
    row("oversold", report.oversold)?;
    output.line(format_args!("digest  {}", hex(&report.digest)))?;
    report
        .warnings
        .iter()
        .try_for_each(|warning| output.line(format_args!("warning: {warning}")))?;
    report.faults.iter().try_for_each(|fault| output.line(format_args!("fault: {fault}")))?;
    if report.is_clean() {
        output.line("all is well: the chain is whole, every status legal, every place counted")?;
    }
    Ok(())
}

fn first_fault(report: &AuditReport) -> &str {
    report.faults.first().map_or("places were sold twice", String::as_str)
}
