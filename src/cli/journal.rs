//! `haoyuan journal`: the facts of a stopped node, as lines.

use std::path::PathBuf;

use clap::Args;

use super::failure::{Failure, of_open, warn};
use super::lines::Enricher;
use super::output::Output;
use crate::journal::{self as store, ReadError};
use crate::model::{Facts, Sequence, Timestamp};
use crate::ops::trace;
use crate::service::OpenError;
use crate::service::audit::{history, salvaged_history};

/// Prints what happened, from the journal of a stopped node
///
/// One line for each fact and claim, oldest first, archived records included. Every line about an
/// appointment says whose it is and which places it takes, so that a script that reads nothing else
/// can recount every place: see below.
#[derive(Debug, Args)]
#[command(after_help = RECOUNT)]
pub(super) struct JournalArguments {
    /// The folder of the stopped node
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The first record to print; earlier ones are read for what they say of later ones
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    /// Of a damaged folder: print what can be read up to the damage, although more was acknowledged
    #[arg(long)]
    salvage: bool,
    /// Print JSON lines with every key (without it: a short text line for people)
    #[arg(long)]
    json: bool,
}

const RECOUNT: &str =
    "To recount every place, keep a capacity and a number taken for each (session, slot, pool),
and for each slot from `slot` to `slot + count - 1` of a line, in the order of the lines:
  SessionOpened                 capacity = places, taken = 0
  Held                          taken + 1
  Released, Expired, Cancelled  taken - 1
  any other fact                nothing: who came, and who did not, keeps the place
Nothing was oversold if taken never was over capacity.

Example:
  haoyuan journal --data-dir /var/lib/haoyuan --json | jq 'select(.fact == \"Expired\")'";

/// Runs the command.
pub(super) fn run(arguments: &JournalArguments) -> Result<(), Failure> {
    trace::hide_panics(store::is_opening_store);
    match print(arguments, Sequence(1)) {
        Err(Stop::Unreadable(OpenError::Read(ReadError::Gone { oldest }))) => {
            print(arguments, oldest)
        }
        printed => printed,
    }
    .map_err(|stop| match stop {
        Stop::Unreadable(error) => of_open(&arguments.data_dir, &error),
        Stop::Failed(failure) => failure,
    })
}

enum Stop {
    Unreadable(OpenError),
    Failed(Failure),
}

fn print(arguments: &JournalArguments, first: Sequence) -> Result<(), Stop> {
    let mut output = Output::new();
    let mut enricher = Enricher::default();
    let mut stopped = None;
    let visit = |sequence: Sequence, time: Timestamp, facts: &Facts| {
        let lines = enricher.lines(sequence, time, facts);
        if sequence.0 < arguments.from || stopped.is_some() {
            return;
        }
        let written = lines.iter().try_for_each(|line| {
            if arguments.json { output.json(line) } else { output.line(line.for_people()) }
        });
        stopped = written.err();
    };
    if arguments.salvage {
        let read = salvaged_history(&arguments.data_dir, first, visit);
        let last = read.map_err(Stop::Unreadable)?;
        warn(&format!("the log can be read up to record {}, and no further", last.0));
    } else {
        history(&arguments.data_dir, first, visit).map_err(Stop::Unreadable)?;
    }
    match stopped {
        Some(failure) => Err(Stop::Failed(failure)),
        None => output.flush().map_err(Stop::Failed),
    }
}
