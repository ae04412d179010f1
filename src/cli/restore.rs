//! `haoyuan restore`: a data folder from a backup.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::backup::{of_backup, time_of};
use super::failure::{Failure, of_open};
use super::output::{Output, hex};
use crate::journal;
use crate::journal::backup::Restoration;
use crate::model::Sequence;
use crate::ops::trace;
use crate::service::audit;

/// Makes a data folder from a backup
///
/// Verifies every byte of the backup first, makes the folder under another name, brings it to its
/// state as a node would and audits it, and only then gives it its name. Says up to which record
/// and time the folder goes: what was answered later is not in it, and whoever was told so must be
/// told again. Nothing is overwritten.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  haoyuan restore --from /backup/monday --data-dir /var/lib/haoyuan-new
  haoyuan audit --data-dir /var/lib/haoyuan-new
  haoyuan serve --config node.toml --data-dir /var/lib/haoyuan-new

Exit codes: 0 done; 1 the backup is damaged, or the disk refuses; 2 bad use.")]
pub(super) struct RestoreArguments {
    /// The backup
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// The data folder: not there yet, or empty
    #[arg(long, value_name = "NEW")]
    data_dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &RestoreArguments) -> Result<(), Failure> {
    trace::hide_panics(journal::is_opening_store);
    let RestoreArguments { from, data_dir, json } = arguments;
    let restoration =
        Restoration::prepare(from, data_dir).map_err(|error| of_backup(from, &error))?;
    let (digest, is_audited) = look_at(restoration.path(), restoration.manifest().first)?;
    let manifest = restoration.keep().map_err(|error| of_backup(from, &error))?;

    let mut output = Output::new();
    if *json {
        output.json(&json!({
            "data": data_dir.display().to_string(),
            "release": manifest.release,
            "first_seq": manifest.first.0,
            "last_seq": manifest.sequence.0,
            "last_time_ms": manifest.time.as_millis(),
            "digest": hex(&digest),
            "audited": is_audited,
        }))?;
        return output.flush();
    }
    output.line(format_args!(
        "restored {} to record {} of {}",
        data_dir.display(),
        manifest.sequence.0,
        time_of(&manifest)
    ))?;
    output.line(format_args!("digest  {}", hex(&digest)))?;
    if !is_audited {
        output.line(format_args!(
            "records before {} were not kept, so it could not be audited",
            manifest.first.0
        ))?;
    }
    output
        .line("what was answered later is not in it: compare with the gateways before serving")?;
    output.flush()
}

/// Audits the folder; where its first records are gone, sees that a node would start.
fn look_at(path: &Path, first: Sequence) -> Result<([u8; 32], bool), Failure> {
    if Sequence(1) < first {
        let digest = audit::recovered_digest(path).map_err(|error| of_open(path, &error))?;
        return Ok((digest, false));
    }
    let report = audit::audit(path).map_err(|error| of_open(path, &error))?;
    if report.is_clean() {
        return Ok((report.digest, true));
    }
    let first = report.faults.first().map_or("places were sold twice", String::as_str);
    Err(Failure::failed(
        format!("the audit of what is in the backup disagrees: {first}"),
        "the backup is what was written, so its node had the fault too; restore an earlier one",
    ))
}
