//! haoyuan beside what one would otherwise use, on one machine, in turns.
//!
//! ```text
//! run 1:  haoyuan | redis always | redis everysec | ... | postgres off
//! run 2:  haoyuan | redis always | ...                                    medians of each column
//! ```
//!
//! **Architecture invariant:** runs of all systems take turns, so that a slow minute of the machine is
//! slow for all of them.

mod contest;
mod drive;
mod measure;
mod outcome;
mod page;
mod postgres;
mod prove;
mod redis;
mod server;

use std::path::PathBuf;

use clap::Args;

use self::contest::{Round, System, rounds};
use self::measure::{Figures, Peers};
use self::outcome::{Conditions, NOTES, Ratios, Report, Summary};
use crate::progress::Progress;
use crate::{Failure, report, usage};

/// How systems are compared.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Runs of each system, in turns; the medians count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// How long each is measured
    #[arg(long, default_value_t = 3.0, value_name = "S")]
    seconds: f64,
    /// How long before that
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    warmup: f64,
    /// These systems alone; may be given several times
    #[arg(long, value_enum, value_name = "SYSTEM")]
    only: Vec<System>,
    /// What the ratios need, and no more
    #[arg(long)]
    quick: bool,
    /// Where all of them keep their data; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the random numbers start
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A page with pictures, and the JSON in it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let report = compare(options)?;
    if let Some(path) = &options.report {
        report::write(path, &page::page(&report)?)?;
    }
    show(&report, options.json)?;
    Ok(true)
}

fn compare(options: &Options) -> Result<Report, Failure> {
    let all = [System::Haoyuan, System::Redis, System::RedisLean, System::Postgres];
    let mut systems: Vec<System> = all.into();
    systems.retain(|system| options.only.is_empty() || options.only.contains(system));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let base = options.data_dir.as_deref();
    let (peers, versions, skipped) = runtime.block_on(Peers::find(&mut systems, base))?;
    for line in &skipped {
        say(line);
    }
    let rounds = rounds(&systems, options.quick);
    let runs = in_turns(options, &peers, &rounds)?;
    let summary = |(round, runs): (&Round, &Vec<Figures>)| Summary::new(*round, runs);
    let runs: Vec<_> = rounds.iter().zip(&runs).map(summary).collect::<Result<_, _>>()?;
    let folder = base.map_or_else(std::env::temp_dir, PathBuf::from);
    Ok(Report {
        ratios: Ratios::new(&runs),
        runs,
        notes: NOTES.to_vec(),
        skipped,
        versions: versions.into_iter().map(|(system, version)| (system.name(), version)).collect(),
        conditions: Conditions {
            runs: options.runs,
            seconds: options.seconds,
            warmup: options.warmup,
            seed: options.seed,
            processors: usage::processors(),
            file_system: usage::file_system(&folder),
        },
    })
}

/// Measures all rounds again and again. The figures of each round.
fn in_turns(
    options: &Options,
    peers: &Peers,
    rounds: &[Round],
) -> Result<Vec<Vec<Figures>>, Failure> {
    let progress = Progress::new(u64::from(options.runs) * rounds.len() as u64);
    let mut figures: Vec<Vec<Figures>> = rounds.iter().map(|_| Vec::new()).collect();
    let mut done = 0;
    for run in 1..=options.runs {
        for (round, figures) in rounds.iter().zip(&mut figures) {
            let tls = if round.tls { ", TLS" } else { "" };
            let name = format!(
                "{} {}{tls}, {} x {}",
                round.system.name(),
                round.durability.name(),
                round.workload.name(),
                round.in_flight()
            );
            progress.at(done, format!("run {run} of {}: {name}", options.runs));
            let measured = peers
                .measure(options, *round)
                .map_err(|failure| format!("{name}: {}", told(&*failure)))?;
            let rate = measured.ops_per_second;
            done += 1;
            progress.say(&format!("run {run} of {}: {name:<44} {rate:>9.0}/s", options.runs));
            figures.push(measured);
        }
    }
    Ok(figures)
}

/// An error with what caused it: a client library says the rest there.
fn told(failure: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(failure), |failure| failure.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[expect(clippy::print_stderr, reason = "progress, while it runs")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
fn show(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(())
}
