//! `haoyuan serve`: the node.
//!
//! ```text
//! flags, file -> Config -> metrics served -> folder opened -> clock checked -> bound -> "ready"
//! signal -> no new requests -> answers durable and sent -> upkeep ends -> journal closed -> 0
//! ```
//!
//! **Architecture invariant:** it wires and waits. What a request comes to is decided in `service`.

mod engine;
mod offset;
mod renewal;
mod state;
mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::engine::Node;
use self::offset::OffsetClock;
use self::state::{NodeState, Timepiece};
use self::upkeep::Upkeep;
use super::certs;
use super::failure::{self, Failure};
use super::output::Output;
use crate::client::ids::new_request_id;
use crate::journal::{self, Durability, Retention};
use crate::ops::clock::{self, Clock, StartFault, SystemClock};
use crate::ops::config::{self, Config, ConfigError};
use crate::ops::draw_key;
use crate::ops::http::HttpServer;
use crate::ops::renew::{CertificateFiles, RenewalStats, Renewer};
use crate::ops::trace;
use crate::protocol::ALPN;
use crate::server::{Server, ServerConfig};
use crate::service::{Limits, OpenOptions, RecoveryReport, Service};

/// Runs a node
///
/// Opens the data folder, reads the journal, and serves clients over QUIC until SIGTERM or SIGINT.
/// When it takes requests it prints one line: `ready listen=ADDR metrics=ADDR data=DIR`. Flags
/// override the configuration file. SIGUSR1 confirms the clock after a jump; SIGHUP reads the
/// certificate files at once, which are read by themselves seconds after they change.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArguments {
    /// The configuration (TOML); --print-config shows every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of journal and snapshots
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where clients connect (UDP); port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where /metrics, /healthz and /readyz are served (HTTP); nowhere if absent
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Make certificates in the data folder, and listen on loopback only
    #[arg(long)]
    dev: bool,
    /// Print the configuration in effect, every key commented, and end
    #[arg(long)]
    print_config: bool,
    /// Print the ready line as one JSON object
    #[arg(long)]
    json: bool,
    /// For tests: a file of milliseconds that are added to the machine's wall clock at each look
    #[arg(long, value_name = "FILE", hide = true, requires = "dev")]
    wall_offset: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  haoyuan serve --dev
  haoyuan serve --dev --listen 127.0.0.1:0 --metrics 127.0.0.1:9100 --data-dir /tmp/node
  haoyuan serve --config /etc/haoyuan/node.toml";

/// Runs the command.
pub(super) fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let config = configure(arguments)?;
    if arguments.print_config {
        let mut output = Output::new();
        output.line(config.render().trim_end())?;
        return output.flush();
    }
    let files = certificate_files(arguments, &config)?;
    trace::start(config.log.format, &config.log.level)
        .map_err(|error| Failure::usage(error.to_string(), "correct log.level"))?;
    trace::abort_on_panic(journal::is_opening_store);

    let clock = arguments.wall_offset.as_ref().map_or_else(Clock::start, |file| {
        Clock::on(OffsetClock::new(SystemClock::start(), file.clone()))
    });
    let state = Arc::new(NodeState::new(clock));
    let certificates = identify(files, &state.clock, &state.renewal)?;
    let runtime = build_runtime(&config)?;
    let (stop, stopped) = watch::channel(false);
    let pages = runtime.block_on(serve_pages(&config, &state, stopped))?;
    let service = open(&config, &state.clock)?;
    give_draw_key(&config, &service)?;
    service.set_timekeeper(Timepiece(Arc::clone(&state.clock)));
    state.begin(&service);
    let metrics = pages.as_ref().map(|(address, _)| *address);
    runtime.block_on(serve(arguments, &config, certificates, (&state, &service), metrics))?;
    stop.send_replace(true);
    if let Some((_, pages)) = pages
        && runtime.block_on(pages).is_err()
    {
        tracing::error!("the metrics server ended early");
    }
    // What is left are tasks of clients that did not go; their answers were sent.
    runtime.shutdown_timeout(Duration::from_millis(200));
    service.close().map_err(|error| {
        Failure::failed(error.to_string(), "look at the disk, then start again")
    })?;
    tracing::info!(durable = service.durable().0, "stopped");
    Ok(())
}

fn configure(arguments: &ServeArguments) -> Result<Config, Failure> {
    let mut config = match &arguments.config {
        Some(path) => Config::read(path).map_err(|error| of_config(&error))?,
        None => Config::default(),
    };
    if let Some(data_dir) = &arguments.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.metrics = arguments.metrics.or(config.metrics);
    config.check().map_err(|error| of_config(&error))?;
    if arguments.dev && !config.listen.ip().is_loopback() {
        return Err(Failure::usage(
            format!("--dev does not listen on {}: its keys are for one machine", config.listen),
            "listen on 127.0.0.1 or ::1, or make certificates with `haoyuan cert`",
        ));
    }
    Ok(config)
}

pub(super) fn of_config(error: &ConfigError) -> Failure {
    Failure::usage(error.to_string(), "`haoyuan serve --print-config` prints every key")
}

fn certificate_files(
    arguments: &ServeArguments,
    config: &Config,
) -> Result<CertificateFiles, Failure> {
    let paths = config.certificates.clone();
    if arguments.dev {
        let folder = certs::prepare_dev(&config.data_dir)?;
        return Ok(certs::files(&folder, certs::SERVER));
    }
    let (Some(authority), Some(certificate), Some(key)) = (paths.ca, paths.cert, paths.key) else {
        return Err(Failure::usage(
            "the node has no certificate",
            "set ca, cert and key under [certificates], or use --dev on a laptop",
        ));
    };
    Ok(CertificateFiles { certificate, key, authority, revoked: paths.revoked })
}

fn identify(
    files: CertificateFiles,
    clock: &Clock,
    stats: &Arc<RenewalStats>,
) -> Result<Renewer, Failure> {
    Renewer::start(files, ALPN, clock.now(), stats).map_err(|error| certs::of_tls(&error))
}

/// Opens the folder, and waits for a clock that is a little behind it.
fn open(config: &Config, clock: &Clock) -> Result<Arc<Service>, Failure> {
    let started = clock::monotonic_now();
    let options = open_options(config, clock);
    let (service, report) =
        Service::open(&config.data_dir, &options, Arc::new(failure::end_process))
            .map_err(|error| failure::of_open(&config.data_dir, &error))?;
    tell(&report, started.elapsed());
    loop {
        clock.catch_up();
        match clock::check_start(clock.now(), report.last_time) {
            Ok(()) => return Ok(service),
            Err(StartFault::Wait(behind)) => {
                tracing::warn!(?behind, "the clock is behind the journal; waiting for it");
                clock::pause(behind);
            }
            Err(fault @ StartFault::Behind { .. }) => {
                return Err(Failure::failed(fault.to_string(), "nothing was changed"));
            }
        }
    }
}

/// Reads the key of draws, or makes it, and looks whether it is the one that open draws need.
fn give_draw_key(config: &Config, service: &Service) -> Result<(), Failure> {
    let default = || config.data_dir.join(journal::KEYS).join(draw_key::DRAW_KEY);
    let path = config.draw_key.clone().unwrap_or_else(default);
    let (key, is_new) = draw_key::obtain(&path).map_err(|error| {
        Failure::failed(error.to_string(), "put the key of the backup back, with mode 600")
    })?;
    if is_new {
        tracing::info!(path = %path.display(), "made a key for draws; keep a copy of it");
    }
    service.set_draw_key(key);
    for draw in service.unbound_draws() {
        tracing::error!(
            %draw,
            "this draw was announced with another key and cannot be made; stop the node, put that \
             key back, and start it again"
        );
    }
    Ok(())
}

fn open_options(config: &Config, clock: &Clock) -> OpenOptions {
    let defaults = OpenOptions::default();
    let wide_seed = new_request_id(clock.now()).0;
    OpenOptions {
        limits: Limits {
            retention_millis: config.engine.retention_hours * 3_600_000,
            appointments_max: config.engine.appointments_max,
            delay_max_millis: config.limits.delay_max_ms,
            refusals_kept: config.engine.refusals_kept,
        },
        durability: match config.journal.durability {
            config::Durability::Commit => Durability::Commit,
            config::Durability::None => Durability::None,
        },
        retention: match usize::try_from(config.journal.archive_files) {
            Ok(0) | Err(_) => Retention::Keep,
            Ok(files) => Retention::Newest(files),
        },
        blocks_per_tree: config.journal.tree_blocks,
        queue_bytes: config.journal.queue_bytes,
        commit_delay: Duration::from_micros(config.journal.commit_delay_us),
        commit_delay_block: defaults.commit_delay_block,
        seed: u64::try_from(wide_seed & u128::from(u64::MAX)).unwrap_or(defaults.seed),
    }
}

fn tell(report: &RecoveryReport, took: Duration) {
    report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let snapshot = report.snapshot.as_ref().map(|path| path.display().to_string());
    tracing::info!(snapshot, replayed = report.replayed, last = report.last.0, ?took, "recovered");
}

fn build_runtime(config: &Config) -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if config.worker_threads != 0 {
        builder.worker_threads(config.worker_threads);
    }
    builder.enable_all().thread_name("network").build().map_err(|error| {
        Failure::failed(format!("no threads can be started: {error}"), "look at ulimit -u")
    })
}

/// Serves metrics and health, from before the journal is read until the node has stopped.
async fn serve_pages(
    config: &Config,
    state: &Arc<NodeState>,
    mut stopped: watch::Receiver<bool>,
) -> Result<Option<(SocketAddr, JoinHandle<()>)>, Failure> {
    let Some(address) = config.metrics else { return Ok(None) };
    let http = HttpServer::bind(address).await.map_err(|error| {
        Failure::failed(
            format!("cannot serve metrics on {address}: {error}"),
            "name another address with --metrics",
        )
    })?;
    let address = http.address()?;
    let state = Arc::clone(state);
    let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
    Ok(Some((address, tokio::spawn(http.run(state, until)))))
}

async fn serve(
    arguments: &ServeArguments,
    config: &Config,
    certificates: Renewer,
    (state, service): (&Arc<NodeState>, &Arc<Service>),
    metrics: Option<SocketAddr>,
) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let clock = Arc::clone(&state.clock);
    let told = Arc::clone(&clock);
    let server = Server::bind(
        server_config(config, &certificates),
        Arc::new(Node(Arc::clone(service))),
        Arc::new(move || told.now()),
        Arc::clone(&state.server),
    )
    .map_err(|error| Failure::failed(error.to_string(), "name another address with --listen"))?;
    let upkeep = Upkeep::start(state, service, &config.journal).map_err(|error| {
        Failure::failed(format!("no threads can be started: {error}"), "look at ulimit -u")
    })?;
    let renewal = renewal::start(certificates, &clock)?;
    announce(arguments, config, server.local_addr()?, metrics)?;

    let stopping = Arc::clone(service);
    server
        .run(async move {
            signals.wait(&clock).await;
            tracing::info!("stopping: no new requests are taken");
            stopping.stop_serving();
        })
        .await;
    renewal.abort();
    tokio::task::block_in_place(|| upkeep.stop());
    Ok(())
}

fn server_config(config: &Config, certificates: &Renewer) -> ServerConfig {
    let in_force = certificates.in_force();
    let tls = in_force.borrow().tls.clone();
    let defaults = ServerConfig::new(config.listen, tls);
    let count = |value, default| usize::try_from(value).unwrap_or(default);
    let limits = &config.limits;
    ServerConfig {
        mtu_max: limits.mtu_max,
        connections_max: count(limits.connections_max, defaults.connections_max),
        connections_per_certificate: count(
            limits.connections_per_certificate,
            defaults.connections_per_certificate,
        ),
        renewals: Some(in_force),
        ..defaults
    }
}

fn announce(
    arguments: &ServeArguments,
    config: &Config,
    listen: SocketAddr,
    metrics: Option<SocketAddr>,
) -> Result<(), Failure> {
    let data = config.data_dir.display().to_string();
    let mut output = Output::new();
    if arguments.json {
        output
            .json(&json!({ "ready": true, "listen": listen, "metrics": metrics, "data": data }))?;
    } else {
        let metrics = metrics.map_or_else(|| "none".to_owned(), |address| address.to_string());
        output.line(format_args!("ready listen={listen} metrics={metrics} data={data}"))?;
    }
    output.flush()
}

/// What an operator tells a running node.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    confirm: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            confirm: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the end, and confirms the clock meanwhile.
    async fn wait(mut self, clock: &Clock) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.confirm.recv() => {
                    state::confirm(clock);
                }
            }
        }
    }
}
