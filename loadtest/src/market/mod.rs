//! Openings with a ring of scalpers: who gets the places, first come, first served, and by lot.
//!
//! ```text
//! scenario -> crowd, tactics -> for each part: node -> play over QUIC -> journal -> shares
//!                                                        '--- account of every answer ---' violations
//! ```
//!
//! **Architecture invariant:** who has the places is counted from the journal of a killed node, and every run
//! says how often a place was oversold, lost, given twice, leaked or given early; any of it fails the run.

mod account;
mod crowd;
mod ledger;
mod limits;
mod manner;
mod measures;
mod minds;
mod openings;
mod page;
mod play;
mod recount;
mod report;
mod scenario;
mod stage;
mod table;
mod tactics;
mod tally;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::report::{Conditions, ORDER, PartReport, Report};
use self::scenario::{Part, Scenario};
use crate::crash::node::program;
use crate::progress::Progress;
use crate::report::float;
use crate::{Failure, usage};

/// What is played.
#[derive(Clone, Debug, Args)]
#[command(after_help = "A part takes about a minute. README.md says how scenarios are written.")]
pub(crate) struct Options {
    /// The same seed gives the same people and the same arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times faster than a person scripts are
    #[arg(long, value_name = "X", value_parser = speed)]
    speed: Option<f64>,
    /// Identities of the ring
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    identities: Option<u32>,
    /// Openings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    openings: Option<u32>,
    /// What is other than in the built-in scenario
    #[arg(long, value_name = "FILE", value_parser = Scenario::read)]
    scenario: Option<Scenario>,
    /// Only this part; may be given several times
    #[arg(long, value_enum)]
    part: Vec<PartName>,
    /// End with 1 where a figure is beyond what README.md says of it, too
    #[arg(long)]
    check: bool,
    /// Kill the node in the middle of each part, start it again, and go on
    #[arg(long)]
    crash: bool,
    /// Microseconds added to every commit of the node, as a slow disk would
    #[arg(long, default_value_t = 0, value_name = "N")]
    commit_delay_us: u64,
    /// Write a page with pictures into this file, too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The node; by default the `haoyuan` beside this binary
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// The parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PartName {
    /// First come, first served, without defences
    Control,
    /// By lot; everybody enters everything
    Draw,
    /// By lot; people want a few
    Sparse,
    /// First come, first served, under the default rules
    Rules,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.1..=100_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("scripts are 0.1 to 100,000 times as fast as a person".to_owned())
    }
}

/// Runs the subcommand. `false` where anything was oversold, lost, double, leaked or early.
#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let report = measure(options)?;
    if let Some(path) = &options.report {
        crate::report::write(path, &page::page(&report)?)?;
    }
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", table::table(&report));
    }
    let beyond = if options.check { limits::beyond(&report) } else { Vec::new() };
    for what in &beyond {
        complain(what);
    }
    Ok(report.is_sound() && beyond.is_empty())
}

/// Plays the parts that are wanted, one after the other.
fn measure(options: &Options) -> Result<Report, Failure> {
    let scenario = scenario_of(options)?;
    let binary = program(options.binary.as_deref())?;
    let progress = Progress::new(stage::STEPS);
    let mut parts = BTreeMap::new();
    for (name, part) in ORDER.into_iter().zip(parts_of(&scenario)) {
        let is_wanted = |wanted: &PartName| {
            wanted.to_possible_value().is_some_and(|value| value.get_name() == name)
        };
        if !options.part.is_empty() && !options.part.iter().any(is_wanted) {
            continue;
        }
        progress.say(&format!("{name}: about a minute"));
        let setup = stage::Setup {
            name,
            scenario: &scenario,
            part,
            seed: options.seed,
            binary: binary.clone(),
            is_killed: options.crash,
            commit_delay_micros: options.commit_delay_us,
            progress: &progress,
        };
        parts.insert(name, PartReport::new(stage::perform(&setup)?));
    }
    let conditions = Conditions {
        seed: options.seed,
        speed: scenario.ring.speed,
        reaction_seconds: float(scenario.time.race(scenario.honest.reaction_seconds)) / 1e6,
        identities: scenario.ring.identities,
        honest: scenario.honest.count,
        openings: scenario.openings.count,
        places: scenario.openings.places,
        tactics: scenario.ring.tactics,
        processors: usage::processors(),
    };
    Ok(Report { parts, conditions })
}

fn scenario_of(options: &Options) -> Result<Scenario, Failure> {
    let mut scenario = match &options.scenario {
        Some(scenario) => scenario.clone(),
        None => Scenario::built_in()?,
    };
    scenario.ring.speed = options.speed.unwrap_or(scenario.ring.speed);
    scenario.ring.identities = options.identities.unwrap_or(scenario.ring.identities);
    scenario.openings.count = options.openings.unwrap_or(scenario.openings.count);
    scenario.check()?;
    Ok(scenario)
}

/// The parts of a scenario, in the order of [`ORDER`].
fn parts_of(scenario: &Scenario) -> [Part; 4] {
    let parts = &scenario.parts;
    [parts.control, parts.draw, parts.sparse, parts.rules]
}

#[expect(clippy::print_stderr, reason = "stdout is for figures")]
fn complain(what: &str) {
    eprintln!("{what}");
}
