//! `haoyuan demo`: the main job in one command, with a check at the end.
//!
//! ```text
//! start a node -> open a hospital -> patients over QUIC -> kill -9 -> audit -> start again -> same?
//!                                        `--- own account of answers ---------> agrees?
//! ```
//!
//! **Architecture invariant:** the check at the end reads the journal, not what the node says of itself.

mod account;
mod node;
mod patients;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinSet;

use self::account::{Account, Acknowledged, Story};
use self::node::NodeProcess;
use self::patients::World;
use super::failure::{Failure, of_open};
use super::output::{Output, hex};
use crate::client::Client;
use crate::client::ids::new_request_id;
use crate::model::{
    Cause, ChannelSet, ClassSet, DepartmentId, OpenSession, OrganizationId, Pick, Pool, PoolTerms,
    Repeat, ResourceId, Role, Sequence, Session, SessionId, SessionTerms, Sharing, SiteId,
    Timestamp, Ttl,
};
use crate::ops::clock::{Clock, monotonic_now};
use crate::service::audit::{self, AuditReport};

/// Plays an opening minute on a node of its own, kills it, and checks that nothing was lost or sold twice
///
/// Starts a node on loopback with a store in a temporary folder, opens a hospital, and lets honest
/// patients look, hold, think, book, forget and cancel over real QUIC. Then the node is killed and
/// started again: its state must be the same, and what it acknowledged must be in its journal. Ends
/// with code 0 only if all of that holds.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  haoyuan demo --seconds 20")]
pub(super) struct DemoArguments {
    /// How long patients keep coming
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What the demonstration showed.
#[derive(Debug, Serialize)]
struct Verdict {
    seconds: f64,
    patients: u64,
    requests: u64,
    requests_per_second: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    places: u64,
    sold: u64,
    oversold: u64,
    expired: u64,
    released: u64,
    cancelled: u64,
    resold: u64,
    sold_out: u64,
    told_to_wait: u64,
    records: u64,
    recovery_ms: u64,
    digest: String,
    digest_after_recovery: String,
    same_after_recovery: bool,
    account_agrees: bool,
    faults: Vec<String>,
}

/// Runs the command.
pub(super) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path().join("node");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let node = NodeProcess::start(&folder)?;
    let (world, elapsed) = runtime.block_on(play(&node, &folder, arguments.seconds))?;
    node.kill()?;

    let before = audited(&folder)?;
    let story = story_of(&folder)?;
    let restarted = monotonic_now();
    let node = NodeProcess::start(&folder)?;
    let recovery = restarted.elapsed();
    node.stop()?;
    let after = audited(&folder)?;

    let verdict = Verdict::new(arguments, &world, elapsed, (&before, &after), &story, recovery);
    let mut output = Output::new();
    if arguments.json {
        output.json(&verdict)?;
    } else {
        verdict.print(&mut output)?;
    }
    output.flush()?;
    if verdict.is_good() {
        return Ok(());
    }
    Err(Failure::failed(
        verdict.faults.first().map_or("the demonstration failed", String::as_str),
        "this is a defect: please report what is printed above",
    ))
}

/// Opens the hospital and lets the patients live. Returns when every hold has come to its end.
async fn play(
    node: &NodeProcess,
    folder: &Path,
    seconds: u64,
) -> Result<(Arc<World>, Duration), Failure> {
    let clock = Clock::start();
    let admin = node.client(folder, Role::Admin)?;
    let sessions = open_hospital(&admin, clock.now(), seconds * SESSIONS_PER_SECOND).await?;
    let ttl = Ttl::from_millis(TTL_MILLIS).unwrap_or(Ttl::DEFAULT);
    let world = Arc::new(World {
        client: node.client(folder, Role::Gateway)?,
        clock,
        sessions,
        start: monotonic_now(),
        arrivals: Duration::from_secs(seconds),
        ttl,
        account: Mutex::new(Account::default()),
        latency: Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|error| {
            Failure::failed(error.to_string(), "this is a defect: please report it")
        })?),
        requests: AtomicU64::new(0),
        booked: AtomicU64::new(0),
        sold_out: AtomicU64::new(0),
        told_to_wait: AtomicU64::new(0),
        surprises: Mutex::new(Vec::new()),
    });

    let mut patients = JoinSet::new();
    for number in 0..seconds * PATIENTS_PER_SECOND {
        patients.spawn(patients::live(Arc::clone(&world), number));
    }
    let bar = progress(&world);
    let mut lived = 0;
    while patients.join_next().await.is_some() {
        lived += 1;
        if lived % 64 == 0 {
            show(&bar, &world);
        }
    }
    let elapsed = world.start.elapsed();
    bar.set_message("waiting for the last deadlines");
    wait(Duration::from_millis(u64::from(TTL_MILLIS) + SETTLE_MILLIS)).await;
    bar.finish_and_clear();
    Ok((world, elapsed))
}

/// Sessions of tomorrow morning: 24 slots of ten minutes with two places each.
async fn open_hospital(
    admin: &Client,
    now: Timestamp,
    count: u64,
) -> Result<Vec<SessionId>, Failure> {
    let mut ids = Vec::new();
    for number in 1..=count {
        let id = SessionId(number);
        let session = Session {
            id,
            organization: OrganizationId(1),
            site: SiteId(1),
            department: DepartmentId(1),
            resource: ResourceId(number),
            appointment_type: 0,
            start: now.plus_millis(24 * 3_600_000),
            slot_millis: 10 * 60_000,
            pick: Pick::Earliest,
            repeat: Repeat::OnePerPatient,
            sharing: Sharing::Cancel,
            ttl_max: Ttl::from_millis(TTL_MILLIS).unwrap_or(Ttl::DEFAULT),
            terms: SessionTerms::default(),
            pools: vec![Pool {
                channels: ChannelSet::ALL,
                classes: ClassSet::ALL,
                quotas: vec![2; 24],
                terms: PoolTerms::default(),
            }],
        };
        let open = OpenSession { request: new_request_id(now), session };
        admin.open_session(open).await.map_err(|error| {
            Failure::failed(format!("the hospital cannot be opened: {error}"), "see above")
        })?;
        ids.push(id);
    }
    Ok(ids)
}

fn progress(world: &World) -> ProgressBar {
    let length = u64::try_from(world.arrivals.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, world: &World) {
    let elapsed = world.start.elapsed();
    let requests = world.requests.load(Ordering::Relaxed);
    bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    bar.set_message(format!(
        "{requests} requests, {} booked, {} times sold out",
        world.booked.load(Ordering::Relaxed),
        world.sold_out.load(Ordering::Relaxed),
    ));
}

async fn wait(duration: Duration) {
    #![expect(clippy::disallowed_methods, reason = "deadlines are waited for in real time")]
    tokio::time::sleep(duration).await;
}

fn audited(folder: &Path) -> Result<AuditReport, Failure> {
    audit::audit(folder).map_err(|error| of_open(folder, &error))
}

fn story_of(folder: &Path) -> Result<Story, Failure> {
    let mut story = Story::default();
    audit::history(folder, Sequence(1), |_, _, facts| story.add(facts))
        .map_err(|error| of_open(folder, &error))?;
    Ok(story)
}

impl Verdict {
    fn new(
        arguments: &DemoArguments,
        world: &World,
        elapsed: Duration,
        (before, after): (&AuditReport, &AuditReport),
        story: &Story,
        recovery: Duration,
    ) -> Self {
        let latency = world.latency.lock();
        let account = world.account.lock();
        let requests = world.requests.load(Ordering::Relaxed);
        let mut faults = before.faults.clone();
        faults.extend(after.faults.iter().cloned());
        let disagreement = account.disagreement(story);
        let account_agrees = disagreement.is_none();
        faults.extend(disagreement);
        faults.extend(world.surprises.lock().iter().map(|what| format!("a patient got: {what}")));
        if before.digest != after.digest {
            faults.push("the state after the restart is not the one before the kill".to_owned());
        }
        let cause = |cause| before.causes.get(&cause).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "requests of minutes are below 2^52")]
        let requests_per_second = requests as f64 / elapsed.as_secs_f64();
        Self {
            seconds: elapsed.as_secs_f64(),
            patients: arguments.seconds * PATIENTS_PER_SECOND,
            requests,
            requests_per_second,
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            p999_us: latency.value_at_quantile(0.999),
            places: before.places,
            sold: account.count(Acknowledged::Booked),
            oversold: before.oversold + after.oversold,
            expired: cause(Cause::Expired),
            released: cause(Cause::Released),
            cancelled: cause(Cause::Cancelled),
            resold: story.resold(),
            sold_out: world.sold_out.load(Ordering::Relaxed),
            told_to_wait: world.told_to_wait.load(Ordering::Relaxed),
            records: before.records,
            recovery_ms: u64::try_from(recovery.as_millis()).unwrap_or(u64::MAX),
            digest: hex(&before.digest),
            digest_after_recovery: hex(&after.digest),
            same_after_recovery: before.digest == after.digest,
            account_agrees,
            faults,
        }
    }

    fn is_good(&self) -> bool {
        self.oversold == 0
            && self.same_after_recovery
            && self.account_agrees
            && self.faults.is_empty()
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let mut row =
            |name: &str, value: String| output.line(format_args!("{name:<34}{value:>14}"));
        row("patients", self.patients.to_string())?;
        row("requests", self.requests.to_string())?;
        row("requests per second", format!("{:.0}", self.requests_per_second))?;
        row("latency p50, ms", millis(self.p50_us))?;
        row("latency p99, ms", millis(self.p99_us))?;
        row("latency p99.9, ms", millis(self.p999_us))?;
        row("places", self.places.to_string())?;
        row("places sold", self.sold.to_string())?;
        row("places sold twice (oversold)", self.oversold.to_string())?;
        row("holds expired", self.expired.to_string())?;
        row("holds released", self.released.to_string())?;
        row("appointments cancelled", self.cancelled.to_string())?;
        row("places that came back and resold", self.resold.to_string())?;
        row("refused as sold out", self.sold_out.to_string())?;
        row("told to come back", self.told_to_wait.to_string())?;
        row("records in the journal", self.records.to_string())?;
        row("killed, and ready again after, ms", self.recovery_ms.to_string())?;
        let yes = |truth: bool| if truth { "yes" } else { "NO" }.to_owned();
        row("state the same after the kill", yes(self.same_after_recovery))?;
        row("every answer is in the journal", yes(self.account_agrees))?;
        self.faults.iter().try_for_each(|fault| output.line(format_args!("fault: {fault}")))
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

/// Patients that arrive in a second, on average: twice as many as there are places.
const PATIENTS_PER_SECOND: u64 = 2_000;

/// Sessions for each second of the demonstration, 48 places each.
const SESSIONS_PER_SECOND: u64 = 20;

/// A hold lasts for a moment only, so that some expire while one watches.
const TTL_MILLIS: u32 = 2_000;

/// Longer than expiry may lag.
const SETTLE_MILLIS: u64 = 1_000;
