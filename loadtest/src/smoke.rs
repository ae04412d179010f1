//! Every mix for a second or two, small: does it sell, and never what is not there? And a few kills.
//!
//! **Architecture invariant:** it judges the account, not the speed, so that a busy machine does
//! not fail it.

use clap::Args;

use crate::load::Mix;
use crate::throughput::{self, Report};
use crate::{Failure, crash};

/// How the smoke test runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Seconds that each of six runs is measured
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    seconds: f64,
}

/// Runs the subcommand. `false` where a run sold nothing, or what was not there.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let runs = [
        (Mix::Hold, false),
        (Mix::Hold, true),
        (Mix::SoldOut, false),
        (Mix::Life, false),
        (Mix::Read, false),
        (Mix::Opening, false),
    ];
    let mut sound = true;
    for (mix, hot) in runs {
        let options = throughput::Options::small(mix, hot, options.seconds);
        let report = throughput::measure(&options)?;
        let problem = problem(&report);
        sound &= problem.is_none();
        say(mix, hot, &report, problem);
    }
    let crashes = crash::measure(&crash::Options::small())?;
    crate::print(&crashes, true)?;
    Ok(sound && crashes.violations.is_empty())
}

fn problem(report: &Report) -> Option<&'static str> {
    if 0 < report.oversold || report.audit_oversold.is_some_and(|places| 0 < places) {
        Some("OVERSOLD")
    } else if 0 < report.slots_that_differ {
        Some("the node's free places are not what its answers say")
    } else if report.ops_per_second <= 0.0 {
        Some("nothing was done")
    } else {
        None
    }
}

#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
fn say(mix: Mix, hot: bool, report: &Report, problem: Option<&str>) {
    println!(
        "{:<8} {:<4} {:>9.0}/s  p99 {:>6} us  oversold {}  {}",
        mix.name(),
        if hot { "hot" } else { "" },
        report.ops_per_second,
        report.p99_us,
        report.oversold,
        problem.unwrap_or("ok"),
    );
}
