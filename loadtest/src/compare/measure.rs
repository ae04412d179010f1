//! One round: a fresh server, the same wishes, and an account that must agree.
//!
//! ```text
//! haoyuan:  throughput::measure, as the subcommand does it
//! a peer:   start -> read back its durability -> prove -> open sessions -> drive -> count -> stop
//! ```
//!
//! **Architecture invariant:** a round whose durability is not what was asked for, or whose places do
//! not add up, is a failure and never a figure.

use std::path::Path;

use haoyuan::model::Outcome;
use hdrhistogram::Histogram;

use super::Options;
use super::contest::{CONNECTIONS, Durability, Round, System, Workload};
use super::drive::{Account, Client, Driven, Load, drive};
use super::postgres::{self, Installation};
use super::prove::prove;
use super::redis::{self, Redis};
use super::server::{self, Server, Used};
use crate::load::{Kind, Mix};
use crate::node::Keep;
use crate::series::Series;
use crate::supply::Supply;
use crate::{Failure, throughput};

/// The figures of one run of a round.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) ops_per_second: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) server_cpu: Option<f64>,
    pub(super) client_cpu: Option<f64>,
    pub(super) rss_mb: Option<f64>,
    /// What the server says that an answer survives.
    pub(super) read_back: String,
    pub(super) series: Series,
    pub(super) latency: Histogram<u64>,
}

/// What is installed.
#[derive(Debug)]
pub(super) struct Peers {
    postgres: Option<Installation>,
}

/// Sessions, slots and places as `throughput` opens them.
const SESSIONS: u32 = 12_500;
const SLOTS: u32 = 40;
const QUOTA: u16 = 20;

/// Live appointments that a patient may have: a limit that is looked at and never reached.
const LIMIT: u16 = 20;

impl Peers {
    /// Looks what is installed. Says who is there with its version, and why another is left out.
    pub(super) async fn find(
        systems: &mut Vec<System>,
        base: Option<&Path>,
    ) -> Result<(Self, Vec<(System, String)>, Vec<String>), Failure> {
        let (mut versions, mut skipped) = (Vec::new(), Vec::new());
        let redis = server::version(Path::new(redis::PROGRAM));
        let programs = server::postgres_programs();
        let postgres = programs.as_ref().and_then(|path| server::version(&path.join("postgres")));
        let mut installation = None;
        systems.retain(|system| {
            let version = match system {
                System::Haoyuan => Some(format!("haoyuan {}", env!("CARGO_PKG_VERSION"))),
                System::Redis | System::RedisLean => redis.clone(),
                System::Postgres => postgres.clone(),
            };
            let name = system.name();
            match version {
                Some(version) => versions.push((*system, version)),
                None => skipped.push(format!("{name} is skipped: {}", missing(*system))),
            }
            versions.last().is_some_and(|(last, _)| last == system)
        });
        if let Some(programs) = programs
            && systems.contains(&System::Postgres)
        {
            installation = Some(Installation::new(programs, base).await?);
        }
        Ok((Self { postgres: installation }, versions, skipped))
    }

    /// Measures a round once. Blocks: a node is measured on threads of its own.
    pub(super) fn measure(&self, options: &Options, round: Round) -> Result<Figures, Failure> {
        if round.system == System::Haoyuan {
            return own(options, round);
        }
        // One thread, as the generator against a node has.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.peer(options, round))
    }

    async fn peer(&self, options: &Options, round: Round) -> Result<Figures, Failure> {
        let load = Load::of(options, round);
        if round.system == System::Postgres {
            let installation = self.postgres.as_ref().ok_or("PostgreSQL is not installed")?;
            let server = installation.start(round.durability).await?;
            let mut clients = Vec::new();
            for _ in 0..=CONNECTIONS {
                clients.push(server.connect().await?);
            }
            prepare(&mut clients, &load, false, &postgres::expected(round.durability)).await?;
            server.settle().await?;
            return run(clients, &load, &server.server, round.workload).await;
        }
        let folder = server::folder(options.data_dir.as_deref())?;
        let server = Redis::start(folder.path(), round.system, round.durability, round.tls).await?;
        let mut clients = Vec::new();
        for _ in 0..=CONNECTIONS {
            clients.push(server.connect().await?);
        }
        let is_lean = round.system == System::RedisLean;
        prepare(&mut clients, &load, is_lean, redis::expected(round.durability)).await?;
        run(clients, &load, &server.server, round.workload).await
    }
}

const fn missing(system: System) -> &'static str {
    match system {
        System::Haoyuan => "",
        System::Redis | System::RedisLean => {
            "redis-server is not installed (apt install redis-server)"
        }
        System::Postgres => "no /usr/lib/postgresql/*/bin/postgres (apt install postgresql)",
    }
}

impl Load {
    fn of(options: &Options, round: Round) -> Self {
        // The numbers of a peer's sessions are small: a script's numbers have 53 bits.
        let supply = Supply { first: 1, ..Supply::new(SESSIONS, SLOTS, quota(round.workload)) };
        Self {
            supply,
            window: round.window,
            warmup: options.warmup,
            seconds: options.seconds,
            seed: options.seed,
            most: LIMIT,
        }
    }
}

const fn quota(workload: Workload) -> u16 {
    match workload {
        Workload::HoldCommit => QUOTA,
        Workload::SoldOut => 0,
    }
}

/// A node: what `throughput` measures, with the peers' limit as a rule.
fn own(options: &Options, round: Round) -> Result<Figures, Failure> {
    let mix = match round.workload {
        Workload::HoldCommit => Mix::Hold,
        Workload::SoldOut => Mix::SoldOut,
    };
    let durability = if round.durability == Durability::Commit { Keep::Commit } else { Keep::None };
    let report = throughput::measure(&throughput::Options {
        connections: CONNECTIONS,
        window: round.window,
        warmup: options.warmup,
        durability,
        sessions: SESSIONS,
        slots: SLOTS,
        quota: quota(round.workload),
        limit: Some(LIMIT),
        data_dir: options.data_dir.clone(),
        audit: false,
        seed: options.seed,
        ..throughput::Options::small(mix, false, options.seconds)
    })?;
    if report.oversold != 0 || report.slots_that_differ != 0 {
        return Err("haoyuan's places do not add up".into());
    }
    let commits = report.commits_per_second.unwrap_or_default();
    Ok(Figures {
        ops_per_second: report.ops_per_second,
        p50_us: report.p50_us,
        p99_us: report.p99_us,
        server_cpu: report.server_cpu,
        client_cpu: report.client_cpu,
        rss_mb: report.rss_mb,
        read_back: format!("durability {}, {commits:.0} commits/s", round.durability.name()),
        series: report.series,
        latency: report.latency,
    })
}

/// Checks what the server promises, and opens the sessions.
async fn prepare<C: Client>(
    clients: &mut [C],
    load: &Load,
    is_lean: bool,
    expected: &str,
) -> Result<(), Failure> {
    let client = clients.first_mut().ok_or("no connection")?;
    let found = client.durability().await?;
    if found != expected {
        return Err(format!("the server says {found:?}, not {expected:?}").into());
    }
    prove(client, is_lean).await?;
    client.open(&load.supply).await
}

/// Drives a peer, and holds its account against our own.
async fn run<C: Client>(
    clients: Vec<C>,
    load: &Load,
    server: &Server,
    workload: Workload,
) -> Result<Figures, Failure> {
    let mut auditor = clients.first().ok_or("no connection")?.clone();
    let driven = drive(clients, load, || server.used()).await?;
    let rss_bytes = server.resident_bytes();
    let account = auditor.account(&load.supply).await?;
    let taken = driven.taken;
    let expected = Account { free: load.supply.places() - taken, live: taken };
    if account != expected {
        return Err(format!("places do not add up: {account:?}, not {expected:?}").into());
    }
    let read_back = auditor.durability().await?;
    figures(&driven, workload, rss_bytes, read_back)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn figures(
    driven: &Driven<Used>,
    workload: Workload,
    rss_bytes: Option<u64>,
    read_back: String,
) -> Result<Figures, Failure> {
    let wanted = match workload {
        Workload::HoldCommit => Outcome::Done,
        Workload::SoldOut => Outcome::SoldOut,
    };
    let latency = driven.tally.all_latencies()?;
    let answers = driven.tally.answers(Kind::Hold, wanted);
    if latency.len() != answers {
        return Err(format!("{} answers of another kind", latency.len() - answers).into());
    }
    let (first, last) = driven.samples;
    let rate = |from: Option<f64>, to: Option<f64>| Some((to? - from?) / driven.seconds);
    Ok(Figures {
        ops_per_second: answers as f64 / driven.seconds,
        p50_us: latency.value_at_quantile(0.5),
        p99_us: latency.value_at_quantile(0.99),
        server_cpu: rate(first.server_cpu, last.server_cpu),
        client_cpu: rate(first.client_cpu, last.client_cpu),
        rss_mb: rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        read_back,
        series: driven.tally.series.clone(),
        latency,
    })
}
