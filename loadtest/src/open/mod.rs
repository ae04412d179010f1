//! An open loop: how a node answers when people come by their own clock.
//!
//! ```text
//! offered:  due by the schedule      achieved: sent in time      answered, of them accepted
//! valid:    the generator was in time, and sent and heard what it should
//! ```
//!
//! **Architecture invariant:** a run in which the generator fell behind is not valid, and says so with
//! its exit code: its latencies would be of the generator.

mod generator;
mod page;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;

use self::generator::{Counted, Offer, Shared, run_thread};
use self::report::{Report, Used};
use crate::arrivals::Arrivals;
use crate::load::{Mix, PATIENTS, Plan};
use crate::node::Keep;
use crate::node::child::Node;
use crate::supply::Supply;
use crate::throughput::{Admin, account_of};
use crate::{Failure, clock, usage};

/// How people come.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The most requests in a second
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    rate: u32,
    /// steady, poisson, spike, or a file of lines `seconds,rate` that is followed
    #[arg(long, default_value = "poisson", value_name = "ARRIVALS")]
    arrivals: Arrivals,
    /// How long they come
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    seconds: f64,
    /// What they send; not `life`, which waits for answers
    #[arg(long, default_value = "sold-out", value_parser = mix)]
    mix: Mix,
    /// Connections, one stream each
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// Threads of the generator
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Threads of our node that move packets
    #[arg(long, default_value_t = 2)]
    node_threads: usize,
    /// Requests under way at the most; what comes beyond is counted, not sent
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    in_flight_max: u64,
    /// What an acknowledged change survives
    #[arg(long, value_enum, default_value_t)]
    durability: Keep,
    /// Where the node keeps its store; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the random numbers start: the same seed, the same instants and wishes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A page with pictures, and the JSON in it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Sessions, slots and places as `throughput` opens them.
const SESSIONS: u32 = 12_500;
const SLOTS: u32 = 40;
const QUOTA: u16 = 20;

/// How often the progress is told.
const TELL: Duration = Duration::from_secs(1);

fn mix(text: &str) -> Result<Mix, String> {
    match <Mix as clap::ValueEnum>::from_str(text, false)? {
        Mix::Life => Err("it waits for answers; take hold, sold-out, read or opening".to_owned()),
        mix => Ok(mix),
    }
}

/// Runs the subcommand. `false` where the run is not valid, or places were sold twice.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let mut node =
        Node::start(options.data_dir.as_deref(), options.durability, options.node_threads)?;
    let offer = Arc::new(offer(options, &node));
    let admin = Admin::new(&offer.plan)?;
    admin.open(&offer.plan.supply)?;
    let before = admin.free(&offer.plan.supply)?;
    let (counted, used) = drive(&offer, &node)?;
    let account = account_of(&before, &admin.free(&offer.plan.supply)?, &counted.tally.taken);
    let report = Report::new(&offer, &counted, used, account)?;
    drop(admin);
    node.stop()?;
    if let Some(path) = &options.report {
        crate::report::write(path, &page::page(&report, &counted.tally)?)?;
    }
    report.show(options.json)?;
    Ok(report.valid && report.oversold == 0)
}

fn offer(options: &Options, node: &Node) -> Offer {
    let quota = if options.mix == Mix::SoldOut { 0 } else { QUOTA };
    let threads = options.threads.min(options.connections);
    Offer {
        plan: Plan {
            servers: vec![node.ready.address],
            certs: node.certs(),
            mix: options.mix,
            supply: Supply::new(SESSIONS, SLOTS, quota),
            hot: false,
            patients: PATIENTS,
            connections: options.connections,
            window: 0,
            batch: 1,
            threads,
            seed: options.seed,
        },
        arrivals: options.arrivals.clone(),
        rate: f64::from(options.rate),
        seconds: options.seconds,
        in_flight_max: options.in_flight_max,
    }
}

/// Leads a run from its first request to the last answer.
fn drive(offer: &Arc<Offer>, node: &Node) -> Result<(Counted, Used), Failure> {
    let shared = Arc::new(Shared::new(offer.plan.threads));
    std::thread::scope(|scope| {
        let spawn = |thread| {
            let shared = &shared;
            scope.spawn(move || run_thread(offer, shared, thread))
        };
        let threads: Vec<_> = (0..offer.plan.threads).map(spawn).collect();
        let start = shared.begin();
        let cpu = || (usage::cpu_seconds(node.process()), usage::cpu_seconds(std::process::id()));
        let first = cpu();
        let until = start + Duration::from_secs_f64(offer.seconds);
        let mut told = (0, 0);
        while clock::now() < until {
            clock::pause(TELL.min(until.saturating_duration_since(clock::now())));
            let now = [&shared.offered, &shared.answered].map(|it| it.load(Ordering::Relaxed));
            say(start.elapsed().as_secs_f64(), offer.seconds, now[0] - told.0, now[1] - told.1);
            told = (now[0], now[1]);
        }
        let (last, seconds) = (cpu(), start.elapsed().as_secs_f64());
        let mut all = Counted::new(offer.plan.supply.slot_count())?;
        for thread in threads {
            all.add(&thread.join().map_err(|_| "a thread of the generator panicked")??)?;
        }
        let rate = |from: Option<f64>, to: Option<f64>| Some((to? - from?) / seconds);
        let used = Used {
            server_cpu: rate(first.0, last.0),
            client_cpu: rate(first.1, last.1),
            rss_bytes: usage::resident_bytes(node.process()),
        };
        Ok((all, used))
    })
}

#[expect(clippy::print_stderr, reason = "progress, while it runs")]
fn say(seconds: f64, of: f64, offered: u64, answered: u64) {
    eprintln!("{seconds:>5.1} of {of} s: {offered:>9} offered, {answered:>9} answered");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_that_waits_for_answers_is_refused() {
        assert_eq!(mix("read"), Ok(Mix::Read));
        assert!(mix("life").unwrap_err().contains("waits"));
        assert!(mix("nothing").is_err());
    }
}
