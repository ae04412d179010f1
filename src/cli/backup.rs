//! `haoyuan backup`: a copy to start from, made while the node serves.
//!
//! **Architecture invariant:** the node is asked by its protocol alone, and only for its feed; what
//! is written is decided in `journal::backup`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ctl::{Connection, of_call};
use super::failure::{Failure, NEWER_ADVICE, warn};
use super::output::{Output, hex};
use crate::client::{CallError, Client, Event};
use crate::journal::backup::{self, BackupError, BackupWriter, Manifest};
use crate::journal::{self, JournalError};
use crate::model::{Role, Sequence};
use crate::ops::trace;

/// Copies a data folder, beside its running node or without one
///
/// The backup is a new folder: archive, newest snapshot, and every record behind the archive, up to
/// the last one that was acknowledged when the command began. It bears its name only when it is
/// complete and on the disk. While a node serves the folder, archive and snapshot are read from the
/// folder and the records from the node, over its feed (role auditor or admin, all organizations).
/// Where no node runs, everything is read from the folder.
///
/// Not in it: configuration and certificates. Keep those elsewhere.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(super) struct BackupArguments {
    #[command(subcommand)]
    task: Option<Task>,
    /// The folder of the node
    #[arg(long, value_name = "DIR", required = true)]
    data_dir: Option<PathBuf>,
    /// Where the backup goes: a folder that is not there yet
    #[arg(long, value_name = "NEW", required = true)]
    to: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  haoyuan backup --data-dir haoyuan-data --to /backup/monday       beside `haoyuan serve --dev`
  haoyuan backup --data-dir /var/lib/haoyuan --to /backup/monday --certs pki --server node1:7433 \\
      --server-name node1.example.org
  haoyuan backup verify /backup/monday
  haoyuan restore --from /backup/monday --data-dir /var/lib/haoyuan-new

Exit codes: 0 done; 1 the folder or the backup is damaged, or the disk refuses; 2 bad use.";

#[derive(Debug, Subcommand)]
enum Task {
    /// Check every byte of a backup: hashes, the chain of its records, its snapshot
    #[command(after_help = "Example:\n  haoyuan backup verify /backup/monday --json")]
    Verify {
        /// The backup
        #[arg(value_name = "BACKUP")]
        path: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(arguments: &BackupArguments) -> Result<(), Failure> {
    trace::hide_panics(journal::is_opening_store);
    let (path, told, manifest) = match (&arguments.task, &arguments.data_dir, &arguments.to) {
        (Some(Task::Verify { path }), _, _) => {
            let manifest = backup::verify(path).map_err(|error| of_backup(path, &error))?;
            (path, "verified", manifest)
        }
        (None, Some(data_dir), Some(to)) => {
            let (manifest, warnings) = back_up(arguments, data_dir, to)?;
            for warning in &warnings {
                warn(warning);
            }
            (to, "backed up", manifest)
        }
        (None, _, _) => {
            return Err(Failure::usage("nothing to back up", "give --data-dir DIR and --to NEW"));
        }
    };
    let mut output = Output::new();
    if arguments.json {
        output.json(&as_json(path, &manifest))?;
    } else {
        output.line(format_args!(
            "{told} records {} to {} of {}: {} files, {} bytes in {}",
            manifest.first.0,
            manifest.sequence.0,
            time_of(&manifest),
            manifest.files.len(),
            manifest.bytes(),
            path.display(),
        ))?;
    }
    output.flush()
}

fn back_up(
    arguments: &BackupArguments,
    data_dir: &Path,
    to: &Path,
) -> Result<(Manifest, Vec<String>), Failure> {
    match backup::back_up_stopped(data_dir, to) {
        Err(BackupError::Journal(JournalError::Locked { .. })) => {
            // Its certificates are not in the way of anything: without a node nobody asks for them.
            arguments.connection.run_beside(data_dir, Role::Auditor, |client| {
                beside_node(client, data_dir.to_owned(), to.to_owned())
            })
        }
        done => done.map_err(|error| of_backup(to, &error)),
    }
}

/// Copies a folder whose node serves. Where the node prunes what was to be read next, it is in the
/// archive now: begin again.
async fn beside_node(
    client: Client,
    data_dir: PathBuf,
    to: PathBuf,
) -> Result<(Manifest, Vec<String>), Failure> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let outcome = match BackupWriter::begin(&data_dir, &to, None) {
            Ok(mut writer) => match fill(&client, &mut writer).await? {
                None => writer.finish(),
                Some(oldest) => Err(BackupError::Gap { from: writer.next(), oldest }),
            },
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if attempts < ATTEMPTS && may_have_moved(&error) => {}
            done => return done.map_err(|error| of_backup(&to, &error)),
        }
    }
}

/// Pushes what the node has. Says where its log begins, if that is behind what is wanted.
async fn fill(client: &Client, writer: &mut BackupWriter) -> Result<Option<Sequence>, Failure> {
    let mut watch = client.watch(writer.next());
    while !writer.is_complete() {
        let Ok(event) = tokio::time::timeout(SILENCE_MAX, watch.next()).await else {
            return Err(Failure::failed(
                "the node uses the folder, but does not answer",
                "is it ready? Name its address with --server, and a certificate with --certs",
            ));
        };
        match event {
            Ok(Event::Record(record)) => {
                let pushed = writer.push(record.sequence, record.time, &record.facts);
                pushed.map_err(|error| of_backup(Path::new("the backup"), &error))?;
            }
            Ok(Event::Heartbeat(_)) => {}
            Err(CallError::Gone { oldest, .. }) => return Ok(Some(oldest)),
            Err(error) => return Err(of_call(&error)),
        }
    }
    Ok(None)
}

/// Whether a running node may have changed the folder between two looks.
fn may_have_moved(error: &BackupError) -> bool {
    matches!(error, BackupError::Gap { .. } | BackupError::Journal(JournalError::Io { .. }))
}

/// What is wrong with a backup, and what to do.
pub(super) fn of_backup(path: &Path, error: &BackupError) -> Failure {
    let wrong = error.to_string();
    match error {
        BackupError::Exists { .. } => {
            Failure::usage(wrong, "name a folder that is not there yet; nothing is overwritten")
        }
        BackupError::NoBackup { .. } => {
            Failure::usage(wrong, "name a folder that `haoyuan backup --to` made")
        }
        BackupError::NewerFormat { .. }
        | BackupError::Journal(JournalError::NewerFormat { .. }) => {
            Failure::usage(wrong, NEWER_ADVICE)
        }
        BackupError::Journal(JournalError::NoFolder { .. }) => {
            Failure::usage(wrong, "name the data folder of a node with --data-dir")
        }
        BackupError::Damaged { .. } => Failure::failed(
            format!("{}: {wrong}", path.display()),
            "do not restore it; take the backup before it, and check that with \
             `haoyuan backup verify`",
        ),
        BackupError::Gap { .. } => Failure::failed(
            wrong,
            "put the archive's newest files back, or back up once the node is stopped",
        ),
        _ => Failure::failed(wrong, "no backup was made; docs/operations.md says more"),
    }
}

/// What is in a backup, as other programs read it.
pub(super) fn as_json(path: &Path, manifest: &Manifest) -> Value {
    let files: Vec<Value> = manifest
        .files
        .iter()
        .map(|file| json!({ "name": file.name, "bytes": file.bytes, "blake3": hex(&file.hash) }))
        .collect();
    json!({
        "path": path.display().to_string(),
        "release": manifest.release,
        "first_seq": manifest.first.0,
        "last_seq": manifest.sequence.0,
        "last_time_ms": manifest.time.as_millis(),
        "bytes": manifest.bytes(),
        "files": files,
    })
}

/// The time of the last record, for people.
pub(super) fn time_of(manifest: &Manifest) -> String {
    let millis = i64::try_from(manifest.time.as_millis()).ok();
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.unwrap_or_default().to_string()
}

/// Beginnings, while a node prunes: each takes as long as a copy, and pruning is rare.
const ATTEMPTS: u32 = 5;

/// A node that lives says so every 5 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);
