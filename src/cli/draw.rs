//! `haoyuan draw`: publishes a draw as a file, and verifies such a file alone.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::{Failure, of_open};
use super::output::Output;
use crate::draw::{Collector, DrawFile, Unpublished, verify};
use crate::journal as store;
use crate::model::{DrawHash, DrawId, Sequence};
use crate::ops::trace;
use crate::service::audit::history;

/// Publishes a draw that was made, and verifies a published one
#[derive(Debug, Args)]
pub(super) struct DrawArguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the file of a draw from the folder of a stopped node (of a running one: `haoyuan ctl
    /// draw export`)
    #[command(
        after_help = "Example:\n  haoyuan draw export --data-dir /var/lib/haoyuan --draw 1001.0 --out 1001.0.draw"
    )]
    Export {
        /// The folder of the stopped node
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// The draw: its session and its pool, as 1001.0
        #[arg(long, value_name = "DRAW")]
        draw: DrawId,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Recompute a published draw: seed, entries, ranks, winners. It needs nothing but the file
    #[command(after_help = "Example:
  haoyuan draw verify 1001.0.draw --commitment 3f0c… --receipt 9a71…

Exit codes: 0 the file is what it says; 1 it is not; 2 bad use.")]
    Verify {
        /// The published file
        file: PathBuf,
        /// The commitment that was published before entries began: 64 hex digits
        #[arg(long, value_name = "HEX")]
        commitment: DrawHash,
        /// The receipt of an entrant: 64 hex digits
        #[arg(long, value_name = "HEX")]
        receipt: Option<DrawHash>,
    },
}

/// Runs the command.
pub(super) fn run(arguments: &DrawArguments) -> Result<(), Failure> {
    match &arguments.task {
        Task::Export { data_dir, draw, out } => export(data_dir, *draw, out),
        Task::Verify { file, commitment, receipt } => check(file, *commitment, *receipt),
    }
}

fn export(data_dir: &Path, draw: DrawId, out: &Path) -> Result<(), Failure> {
    trace::hide_panics(store::is_opening_store);
    let mut collector = Collector::new(draw);
    let read = history(data_dir, Sequence(1), |_, _, facts| {
        facts.iter().for_each(|fact| collector.add(fact));
    });
    read.map_err(|error| of_open(data_dir, &error))?;
    publish(collector.finish(), draw, out)
}

/// Writes the file of a draw.
pub(super) fn publish(
    collected: Result<DrawFile, Unpublished>,
    draw: DrawId,
    out: &Path,
) -> Result<(), Failure> {
    let file = collected.map_err(|error| {
        Failure::failed(
            format!("draw {draw} cannot be published: {error}"),
            "name a draw that was made; `haoyuan ctl draw show` tells where it stands",
        )
    })?;
    std::fs::write(out, file.render()).map_err(|error| {
        Failure::failed(format!("cannot write {}: {error}", out.display()), "name another file")
    })?;
    let mut output = Output::new();
    output.line(format_args!(
        "published draw {draw}: {} entries, commitment {}",
        file.entries.len(),
        file.commitment
    ))?;
    output.flush()
}

fn check(file: &Path, published: DrawHash, receipt: Option<DrawHash>) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", file.display()), "name a published draw")
    })?;
    let checked = verify(&text, published, receipt).map_err(|fault| {
        Failure::failed(
            fault.to_string(),
            "the file, the commitment or the receipt is not what was published",
        )
    })?;
    let mut output = Output::new();
    for sentence in checked {
        output.line(sentence)?;
    }
    output.flush()
}
