//! Overload: patients who come by the clock, more of them than the node can serve.
//!
//! ```text
//! sweep to the capacity -> 90 % of it: the reference -> overload -> 50 %: how soon is it over?
//! ```
//!
//! A patient comes, holds, thinks, books. Goodput is who booked within the hold's time to live.
//!
//! **Architecture invariant:** figures are compared within one run: the machine is the same for all
//! of them, and so is what else it does. The generator says when it could not keep up itself.

mod cohort;
mod generator;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use haoyuan::client::Lane;
use haoyuan::model::Role;

use self::cohort::Cohort;
use self::generator::{Plan, Shared};
use self::report::Report;
use crate::node::{Keep, Stats, child::Node};
use crate::supply::Supply;
use crate::{Failure, certs, clock, usage};

/// How overload is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Slows the node's commits to about so many changes a second; its own speed if not given
    #[arg(long, value_name = "C")]
    capacity: Option<u64>,
    /// Patients offered a second; 10 times the capacity if --capacity is given, twice it otherwise
    #[arg(long, value_name = "R")]
    rate: Option<u64>,
    /// Seconds of the reference, and of the overload
    #[arg(long, default_value_t = 20.0, value_name = "S")]
    seconds: f64,
    /// Connections
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// Threads of the generator
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Threads of the node that move packets
    #[arg(long, default_value_t = 2)]
    node_threads: usize,
    /// What `limits.delay_max_ms` of the node is; 0 turns early shedding off, to compare
    #[arg(long, default_value_t = 250)]
    delay_max_ms: u64,
    /// While answers are awaited for longer, patients are told to come back without asking the node,
    /// as `hold_patience` of the client does; 0 asks always, to compare
    #[arg(long, default_value_t = 200, value_name = "MS")]
    patience_ms: u64,
    /// While the node turns away more than this share of the holds, patients ask it by turns, as
    /// `turned_away_percent` of the client has it; 100 sends all, to compare
    #[arg(long, default_value_t = 50, value_name = "PERCENT")]
    turned_away: u8,
    /// Exit with 1 where a bound is broken
    #[arg(long)]
    check: bool,
    /// Where the node keeps its store; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Sessions, slots and places: more than any run takes.
const SESSIONS: u32 = 2_000;
const SLOTS: u32 = 40;
const QUOTA: u16 = 1_000;

/// Bytes of the records of a hold and of its booking, on average, as the journal keeps them.
const RECORD_BYTES: u64 = 84;

/// Bytes that `--commit-delay-block-us` is for.
const BLOCK_BYTES: u64 = 7_000;

/// Patients think for so long before they book, in µs, evenly.
const THINK_MICROS: (u64, u64) = (200_000, 800_000);

/// After so long everybody of a stretch has thought, booked, and been answered.
const SETTLE: Duration = Duration::from_millis(1_500);

/// A step of the sweep: not counted at first, then counted.
const STEP_WARM: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_secs(2);

/// The sweep ends where less than this share of who comes is served.
const SERVED_PERCENT: u64 = 93;

/// Recovery is looked at in stretches of 100 ms, for so long.
const SLOT: Duration = Duration::from_millis(100);
const RECOVERY_SLOTS: u32 = 80;

/// The regulars come when the overload is known for one.
const ONSET: Duration = Duration::from_secs(2);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What leads a run.
struct Leader<'a> {
    shared: &'a Shared,
    process: u32,
    rss_max: u64,
}

/// What the stretches of a run came to.
pub(super) struct Measured {
    capacity: u64,
    rate: u64,
    steps: Vec<(u64, u64)>,
    reference: Cohort,
    /// Who came in the first two seconds of the overload, and who came in all of it.
    onset: Cohort,
    overload: Cohort,
    recovery: Vec<Cohort>,
    rss: Rss,
    waits: [Vec<u64>; 2],
    node: Stats,
    /// Processors kept busy in the overload, by the node and by us.
    cpu: [Option<f64>; 2],
    seconds: f64,
}

/// Resident bytes of the node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rss {
    before: u64,
    most: u64,
    after: u64,
}

/// Runs the subcommand. `false` where a bound is broken and that was asked for.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let mut flags = vec!["--delay-max-ms".to_owned(), options.delay_max_ms.to_string()];
    if let Some(capacity) = options.capacity {
        let delay = 1_000_000 * BLOCK_BYTES / (RECORD_BYTES * capacity.max(1));
        flags.extend(["--commit-delay-block-us".to_owned(), delay.to_string()]);
    }
    let base = options.data_dir.as_deref();
    let mut node = Node::start_with(base, Keep::Commit, options.node_threads, &flags)?;
    let supply = Supply::new(SESSIONS, SLOTS, QUOTA);
    open(&node, &supply)?;
    let plan = Arc::new(Plan {
        server: node.ready.address,
        certs: node.certs(),
        supply,
        connections: options.connections.max(1),
        threads: options.threads.clamp(1, options.connections.max(1)),
        think_micros: THINK_MICROS,
        patience_micros: match options.patience_ms {
            0 => u64::MAX,
            millis => millis.saturating_mul(1_000),
        },
        turned_away_percent: options.turned_away,
    });
    let measured = drive(options, &plan, &mut node)?;
    node.stop()?;
    let report = Report::new(options, &measured);
    let broken = report.print(options.json)?;
    Ok(!(broken && options.check))
}

fn open(node: &Node, supply: &Supply) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let dialer = certs::dialer(&node.certs(), &[node.ready.address], Role::Admin)?;
        let mut lane = Lane::open(&dialer.connect().await?, "loadtest admin").await?;
        supply.open(&mut lane).await?;
        drop((lane, dialer));
        clock::linger().await;
        Ok(())
    })
}

fn drive(options: &Options, plan: &Arc<Plan>, node: &mut Node) -> Result<Measured, Failure> {
    let shared = Arc::new(Shared::new(plan.threads));
    std::thread::scope(|scope| {
        let spawn = |thread| {
            let (plan, shared) = (plan, &shared);
            scope.spawn(move || generator::run_thread(plan, shared, thread))
        };
        let threads: Vec<_> = (0..plan.threads).map(spawn).collect();
        shared.connected.wait();
        let leader = Leader { shared: &shared, process: node.process(), rss_max: 0 };
        let measured = leader.lead(options, node);
        shared.rate.store(0, Ordering::Relaxed);
        shared.ending.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread of the generator panicked")??;
        }
        measured
    })
}

impl Leader<'_> {
    fn lead(mut self, options: &Options, node: &mut Node) -> Result<Measured, Failure> {
        let time = Duration::from_secs_f64(options.seconds);
        let first = options.capacity.map_or(8_000, |capacity| capacity / 5).max(100);
        let (capacity, steps) = self.sweep(first);
        self.stretch(capacity / 2, SETTLE);
        let factor = if options.capacity.is_some() { 20 } else { 2 };
        let rate = options.rate.unwrap_or(capacity * factor);

        let mut rss = Rss::default();
        self.stretch(capacity * 9 / 10, SETTLE);
        let reference = self.stretch(capacity * 9 / 10, time);
        self.stretch(capacity * 9 / 10, SETTLE);

        rss.before = self.rss();
        self.rss_max = 0;
        let cpu = self.cpu();
        let onset = self.stretch(rate, ONSET);
        self.shared.regulars.store(true, Ordering::Relaxed);
        let rest = self.stretch(rate, time.saturating_sub(ONSET));
        let spent =
            |before: Option<f64>, after: Option<f64>| Some((after? - before?) / time.as_secs_f64());
        let [node_cpu, our_cpu] = self.cpu();
        let cpu = [spent(cpu[0], node_cpu), spent(cpu[1], our_cpu)];
        let node = node.stats()?;
        rss.most = self.rss_max;
        let waits = self.shared.waits.lock().clone();

        let slots: Vec<u32> =
            (0..RECOVERY_SLOTS).map(|_| self.stretch(capacity / 2, SLOT)).collect();
        self.stretch(capacity / 2, SETTLE);
        rss.after = self.rss();
        self.shared.rate.store(0, Ordering::Relaxed);
        self.settle();
        let cohort = |index: u32| self.shared.cohorts.lock()[index as usize].clone();
        Ok(Measured {
            capacity,
            rate,
            steps,
            reference: cohort(reference),
            onset: cohort(onset),
            overload: cohort(onset).plus(&cohort(rest))?,
            recovery: slots.into_iter().map(cohort).collect(),
            rss,
            waits,
            node,
            cpu,
            seconds: time.as_secs_f64(),
        })
    }

    /// Offers more and more, until less than most of it is served. The most that was.
    fn sweep(&mut self, first: u64) -> (u64, Vec<(u64, u64)>) {
        let (mut rate, mut failures, mut steps) = (first, 0, Vec::new());
        loop {
            self.stretch(rate, STEP_WARM);
            let index = self.stretch(rate, STEP);
            self.stretch(rate, SETTLE);
            let booked = self.shared.cohorts.lock()[index as usize].booked;
            let served = booked * 1_000 / u64::try_from(STEP.as_millis()).unwrap_or(1);
            steps.push((rate, served));
            if rate * SERVED_PERCENT <= served * 100 {
                (rate, failures) = (rate * 5 / 4, 0);
            } else if failures == 0 {
                // Once may be the machine: it is tried again.
                failures = 1;
            } else {
                break;
            }
        }
        (steps.iter().map(|step| step.1).max().unwrap_or(0).max(1), steps)
    }

    /// Lets patients come at a rate for so long. Their cohort.
    fn stretch(&mut self, rate: u64, time: Duration) -> u32 {
        let index = {
            let mut cohorts = self.shared.cohorts.lock();
            cohorts.push(Cohort::default());
            u32::try_from(cohorts.len() - 1).unwrap_or(0)
        };
        self.shared.cohort.store(index, Ordering::Relaxed);
        self.shared.rate.store(rate, Ordering::Relaxed);
        let until = clock::now() + time;
        while clock::now() < until {
            self.rss_max = self.rss_max.max(self.rss());
            clock::pause(LOOK.min(until.saturating_duration_since(clock::now())));
        }
        index
    }

    /// Waits until everybody is answered, or a minute.
    fn settle(&self) {
        let until = clock::now() + Duration::from_mins(1);
        let open = || self.shared.cohorts.lock().iter().map(Cohort::open).sum::<u64>();
        while 0 < open() && clock::now() < until {
            clock::pause(LOOK);
        }
    }

    fn cpu(&self) -> [Option<f64>; 2] {
        [self.process, std::process::id()].map(usage::cpu_seconds)
    }

    fn rss(&self) -> u64 {
        usage::resident_bytes(self.process).unwrap_or(0)
    }
}
