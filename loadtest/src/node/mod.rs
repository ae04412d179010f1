//! The node that a measurement starts for itself: this binary once more, in a process of its own.
//!
//! ```text
//! parent --stdin: "stats" | "snapshot" | "stop"--> node
//!        <-stdout: one line of JSON for each------'        no more stdin: stop
//! ```
//!
//! **Architecture invariant:** it does what a real node does: metrics on, a ticker that expires, a
//! store on disk. Nothing is left out to look faster.

pub(crate) mod child;

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use haoyuan::journal::{Durability, OnFatal};
use haoyuan::protocol::ALPN;
use haoyuan::server::{AnswerClass, Engine, Server, ServerConfig, ServerMetrics};
use haoyuan::service::{LATENESS_BUCKETS, Limits, OpenOptions, Service};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{Failure, certs, clock};

/// What an acknowledged change survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keep {
    /// A loss of power: every answer after its own fsync
    #[default]
    Commit,
    /// Nothing: to see what durability costs
    None,
}

/// How the hidden node is started.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder of the store
    #[arg(long)]
    data_dir: PathBuf,
    /// The folder of the certificates
    #[arg(long)]
    certs: PathBuf,
    /// What an acknowledged change survives
    #[arg(long, value_enum, default_value_t)]
    durability: Keep,
    /// Threads that move packets
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How long a new hold may wait for the disk; 0 sheds only when the queue is full
    #[arg(long, default_value_t = 0)]
    delay_max_ms: u64,
    /// Microseconds added to every commit
    #[arg(long, default_value_t = 0)]
    commit_delay_us: u64,
    /// Microseconds added to every commit for each 7,000 bytes of it
    #[arg(long, default_value_t = 0)]
    commit_delay_block_us: u64,
}

/// The first line of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Counters of a node since its start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// Commits of the journal.
    pub(crate) commits: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// Their bytes, block headers included.
    pub(crate) bytes: u64,
    /// Holds that a deadline ended.
    pub(crate) expired: u64,
    /// How late, in powers of two of milliseconds.
    pub(crate) lateness: [u64; LATENESS_BUCKETS],
    /// Appointments in memory.
    pub(crate) appointments: u64,
    /// Free places of all sessions.
    pub(crate) places_free: u64,
    /// Readings of streams: how many requests a reading brings is what batching is worth.
    pub(crate) batches: u64,
    /// p99 from reading to release of answers that waited for the journal, in µs.
    pub(crate) durable_p99_us: u64,
    /// p99 of the commits, in µs, rounded up to a power of two.
    pub(crate) commit_p99_us: u64,
    /// Requests shed: out of turn, for delay, queue, memory.
    pub(crate) shed: [u64; 4],
    /// Of a thousand patients, those let in at present.
    pub(crate) admitted_permille: u64,
    /// Records that may wait when a hold comes.
    pub(crate) limit: u64,
    /// The time from arrival to durable that is aimed at, in µs.
    pub(crate) target_us: u64,
    /// Records per second, as the node sees itself.
    pub(crate) rate: u64,
}

/// How long a snapshot took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotTook {
    /// Seconds.
    pub(crate) seconds: f64,
}

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(10);

/// How many ticks are between two looks for what may be forgotten: a minute.
const TICKS_PER_FORGETTING: u32 = 6_000;

impl From<Keep> for Durability {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Commit => Self::Commit,
            Keep::None => Self::None,
        }
    }
}

/// Runs a node until its parent says stop.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let limits = Limits { delay_max_millis: options.delay_max_ms, ..Limits::default() };
    let open = OpenOptions {
        limits,
        durability: options.durability.into(),
        commit_delay: Duration::from_micros(options.commit_delay_us),
        commit_delay_block: Duration::from_micros(options.commit_delay_block_us),
        seed: clock::wall().as_millis(),
        ..OpenOptions::default()
    };
    let (service, _) = Service::open(&options.data_dir, &open, on_fatal())?;
    let tls = certs::identity(&options.certs, "node")?.server(ALPN)?;
    let config = ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), tls);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    let metrics = Arc::new(ServerMetrics::default());
    start_ticker(&service);
    let (asked, counted) = (Arc::clone(&service), Arc::clone(&metrics));
    runtime.block_on(async {
        let engine = Arc::clone(&service) as Arc<dyn Engine>;
        let server = Server::bind(config, engine, Arc::new(clock::wall), metrics)?;
        say(&Ready { address: server.local_addr()? })?;
        std::thread::spawn(move || {
            obey(&asked, &counted);
            // An error says that the node has ended already.
            if stop.send(()).is_err() {
                // The node has ended already.
            }
        });
        server.run(async { drop(stopped.await) }).await;
        Ok::<(), Failure>(())
    })?;
    Ok(service.close()?)
}

/// Ends the process when the journal fails.
pub(crate) fn on_fatal() -> OnFatal {
    Arc::new(end_without_journal)
}

#[expect(clippy::print_stderr, clippy::exit, reason = "a node without journal must end")]
fn end_without_journal(error: &haoyuan::journal::JournalError) {
    eprintln!("loadtest: the journal failed: {error}");
    std::process::exit(1);
}

/// Expires and forgets as long as anybody else has the service.
pub(crate) fn start_ticker(service: &Arc<Service>) {
    let service = Arc::downgrade(service);
    std::thread::spawn(move || {
        let mut ticks = 0_u32;
        while let Some(service) = service.upgrade() {
            service.tick(clock::wall());
            ticks = ticks.wrapping_add(1);
            if ticks.is_multiple_of(TICKS_PER_FORGETTING) {
                service.forget(clock::wall());
            }
            drop(service);
            clock::pause(TICK);
        }
    });
}

/// Answers the parent's commands until it says stop or is gone.
fn obey(service: &Service, metrics: &ServerMetrics) {
    for line in std::io::stdin().lock().lines() {
        let answered = match line.as_deref() {
            Ok("stats") => say(&stats(service, metrics)),
            Ok("snapshot") => take_snapshot(service),
            _ => return,
        };
        if answered.is_err() {
            return;
        }
    }
}

fn take_snapshot(service: &Service) -> Result<(), Failure> {
    let start = clock::now();
    service.take_snapshot()?;
    say(&SnapshotTook { seconds: start.elapsed().as_secs_f64() })
}

fn stats(service: &Service, metrics: &ServerMetrics) -> Stats {
    let (stats, regime) = (service.stats(), service.regime());
    Stats {
        commits: stats.journal.commits,
        records: stats.journal.records,
        bytes: stats.journal.bytes,
        expired: stats.expired,
        lateness: stats.lateness,
        appointments: stats.appointments,
        places_free: stats.places_free,
        batches: metrics.batches.load(std::sync::atomic::Ordering::Relaxed),
        durable_p99_us: metrics.latency(AnswerClass::Durable).value_at_quantile(0.99),
        commit_p99_us: stats.journal.commit_micros_at(0.99),
        shed: stats.shed,
        admitted_permille: u64::from(regime.turn.width) * 1_000 / u64::from(u32::MAX),
        limit: regime.limit,
        target_us: regime.target_micros,
        rate: regime.rate,
    }
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn say(what: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}
