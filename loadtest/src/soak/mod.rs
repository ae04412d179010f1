//! Hours of the same: whether memory, disk and latency stay where they are.
//!
//! ```text
//! `haoyuan serve` <- lives that end (`lives`) for hours
//!        '- every minute: memory, disk, latency -> first quarter beside last -> drift
//! ```
//!
//! **Architecture invariant:** drift is reckoned from the time on at which the node forgets as much as it
//! learns; before it growth is no fault, and a run that is shorter says that it cannot tell.

mod lives;
mod report;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use haoyuan::client::{CallError, Dialer, Lane};
use haoyuan::model::Role;
use haoyuan::protocol::{ALPN, FrameKind};
use haoyuan::service::audit;
use tokio::task::{JoinSet, LocalSet};

use self::lives::{LANES, Lives};
use self::report::{Report, Sample};
use crate::crash::node::{Node, program};
use crate::load::{Clocked, run_by_clock};
use crate::progress::Progress;
use crate::supply::Supply;
use crate::{Failure, clock, usage};

/// What is measured, and how long.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Memory is flat after about two and a quarter hours: what has ended is remembered for two."
)]
pub(crate) struct Options {
    /// Hours that people come
    #[arg(long, default_value_t = 6.0, value_name = "H", value_parser = hours)]
    hours: f64,
    /// People that come in a second; each asks two times, on average
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds from one sample to the next
    #[arg(long, default_value_t = 60, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// End with 1 where something drifts more than README.md says
    #[arg(long)]
    check: bool,
    /// Where the store is kept; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The node; by default the `haoyuan` beside this binary
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the random numbers start
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write a page with pictures into this file, too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What has ended is forgotten as soon as a node may be told to, the log is pruned, and of the archive a few
/// files are kept, so that nothing has a reason to grow.
const CONFIG: &str = "[engine]
retention_hours = 1
[journal]
snapshot_every_minutes = 5
archive_files = 4
[log]
level = \"warn\"
";

/// What has ended stays for twice the retention, and a hold lasts a quarter of an hour.
const WARM_SECONDS: f64 = (2.0 * 60.0 + 15.0) * 60.0;

/// Visits lie a day ahead.
const HOURS_MAX: f64 = 20.0;

fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.005..=HOURS_MAX).contains(&hours) {
        Ok(hours)
    } else {
        Err(format!("between 0.005 and {HOURS_MAX} hours"))
    }
}

/// One connection of the people who come.
struct Counter {
    lives: Rc<RefCell<Lives>>,
    number: usize,
    /// When people stop coming, in µs from the start.
    end: u64,
}

/// Runs the subcommand. `false` where something was sold twice, or drifts and that is checked.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let binary = program(options.binary.as_deref())?;
    let base = options.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("haoyuan-soak-").tempdir_in(base)?;
    let data = folder.path().join("data");
    let mut node = Node::start_with(CONFIG, &binary, &data, true, None)?;
    let address = node.ready();
    let soaked = match address {
        Some(address) => soak(options, &node, address, &data),
        None => Err("the node does not start".into()),
    };
    let told = node.kill();
    let (lives, samples) =
        soaked.map_err(|failure| format!("{failure}; the node said:\n{}", told.last.join("\n")))?;
    let oversold = audit::audit(&data)?.oversold;
    let report = Report::new(options, &lives, samples, oversold);
    if let Some(path) = &options.report {
        crate::report::write(path, &report.page()?)?;
    }
    report.show(options.json)?;
    Ok(report.oversold == 0 && !(options.check && report.drifts()))
}

/// Lets people come, and looks at the node now and then.
fn soak(
    options: &Options,
    node: &Node,
    address: SocketAddr,
    data: &Path,
) -> Result<(Lives, Vec<Sample>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let dialer = |role: Role| -> Result<Dialer, Failure> {
            let tls = node.identity(role)?.client(ALPN)?;
            Ok(Dialer::new(&[address], "localhost", tls)?)
        };
        let supply = Supply::new(SESSIONS, SLOTS, QUOTA);
        let admin = dialer(Role::Admin)?.connect().await?;
        supply.open(&mut Lane::open(&admin, "loadtest soak").await?).await?;
        drop(admin);
        let lives = Rc::new(RefCell::new(Lives::new(supply, options.rate, options.seed)?));
        let gateway = dialer(Role::Gateway)?;
        let end = clock::micros(Duration::from_secs_f64(options.hours * 3_600.0));
        let mut running = JoinSet::new();
        for number in 0..LANES {
            let connection = gateway.connect().await?;
            let lane = Lane::open(&connection, "loadtest soak").await?;
            let counter = Counter { lives: Rc::clone(&lives), number, end };
            running.spawn_local(async move { run_by_clock(lane, counter).await.map(drop) });
        }
        let mut samples = Vec::new();
        let sampling = sample(options, node.process(), data, &lives, &mut samples);
        let ended = async {
            while let Some(ended) = running.join_next().await {
                ended??;
            }
            Ok::<(), Failure>(())
        };
        // Whoever ends first ends it: the people are done, or a connection failed.
        tokio::select! {
            ended = ended => ended?,
            failed = sampling => failed?,
        }
        drop(running);
        let lives = Rc::into_inner(lives).ok_or("a connection is still open")?.into_inner();
        Ok((lives, samples))
    })
}

impl Clocked for Counter {
    fn micros(&self) -> u64 {
        self.lives.borrow().micros()
    }

    fn settle(&mut self, kind: FrameKind, unit: &[u8], now: u64) -> Result<(), CallError> {
        self.lives.borrow_mut().answer(kind, unit, now)
    }

    /// People stop coming, and all is answered.
    fn is_done(&self, now: u64) -> bool {
        let is_answered = self.lives.borrow().under_way() == 0;
        self.end <= now && (is_answered || self.end + PATIENCE_MICROS < now)
    }

    fn frames(&mut self, now: u64) -> Vec<u8> {
        let mut lives = self.lives.borrow_mut();
        if now < self.end {
            lives.send_due(now, false);
        }
        lives.frames(self.number)
    }
}

/// Looks at the node every so often. Never ends by itself.
async fn sample(
    options: &Options,
    process: u32,
    data: &Path,
    lives: &Rc<RefCell<Lives>>,
    samples: &mut Vec<Sample>,
) -> Result<(), Failure> {
    let progress = Progress::new(seconds_of(options.hours));
    let mut ticks = clock::every(Duration::from_secs(options.every));
    ticks.tick().await;
    let mut before = (0, 0);
    loop {
        ticks.tick().await;
        let (now, answered, latencies) = {
            let mut lives = lives.borrow_mut();
            let answered = lives.counted.sent - lives.under_way();
            (lives.micros(), answered, lives.take_latencies()?)
        };
        let sample = Sample::new(
            (before.0, now),
            answered - before.1,
            &latencies,
            usage::resident_bytes(process),
            usage::folder_bytes(data),
        );
        before = (now, answered);
        progress.at(now / 1_000_000, sample.to_string());
        progress.say(&sample.to_string());
        samples.push(sample);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 72,000")]
fn seconds_of(hours: f64) -> u64 {
    (hours * 3_600.0) as u64
}

/// As `throughput` opens them.
const SESSIONS: u32 = 12_500;
const SLOTS: u32 = 40;
const QUOTA: u16 = 20;

/// Answers that are still to come at the end.
const PATIENCE_MICROS: u64 = 20_000_000;
