//! The command line: one binary for the node, its tools, and the history that is replayed.
//!
//! ```text
//! node:       serve, cert                 tools of a stopped node:  audit, journal
//! client:     ctl                         the whole way at once:    demo, replay
//! of either:  backup, draw export         from a backup:            restore
//! of nobody:  draw verify
//! ```
//!
//! Exit codes: 0 done; 1 the thing itself failed, or an audit disagrees; 2 bad use or bad input.
//!
//! **Architecture invariant:** a shell. What a command computes is in modules that print nothing;
//! here it is wired to flags and to the terminal.

mod audit;
mod backup;
mod cert;
mod cert_revoke;
mod certs;
mod ctl;
mod demo;
mod draw;
mod failure;
mod ids;
mod journal;
mod lines;
mod output;
mod replay;
mod restore;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;

/// haoyuan (号源): the reservation engine for the minute when a region's hospital slots open.
///
/// Everything that was answered is in the journal; nothing is sold twice; a node that was killed
/// starts again where it was.
#[derive(Debug, Parser)]
#[command(name = "haoyuan", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

const EXAMPLES: &str = "First steps:
  haoyuan demo                        an opening minute, played and checked
  haoyuan serve --dev                 a node on this machine, with certificates made on the spot
  haoyuan ctl open sessions.toml      open sessions on it
  haoyuan audit --data-dir DIR        check the folder of a stopped node
  haoyuan backup --data-dir DIR --to NEW   copy a folder, beside its running node or without one

Exit codes: 0 done; 1 the thing itself failed, or an audit disagrees; 2 bad use or bad input.";

#[derive(Debug, Subcommand)]
enum Task {
    Demo(demo::DemoArguments),
    Serve(serve::ServeArguments),
    Cert(cert::CertArguments),
    Ctl(Box<ctl::CtlArguments>),
    Replay(replay::ReplayArguments),
    Audit(audit::AuditArguments),
    Journal(journal::JournalArguments),
    Backup(backup::BackupArguments),
    Restore(restore::RestoreArguments),
    Draw(draw::DrawArguments),
}

/// Runs the command that the arguments of the process name.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors of exit code 0 for clap.
            let _printed = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(task: Task) -> Result<(), Failure> {
    match task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Serve(arguments) => serve::run(&arguments),
        Task::Cert(arguments) => cert::run(&arguments),
        Task::Ctl(arguments) => ctl::run(&arguments),
        Task::Replay(arguments) => replay::run(&arguments),
        Task::Audit(arguments) => audit::run(&arguments),
        Task::Journal(arguments) => journal::run(&arguments),
        Task::Backup(arguments) => backup::run(&arguments),
        Task::Restore(arguments) => restore::run(&arguments),
        Task::Draw(arguments) => draw::run(&arguments),
    }
}
