//! `haoyuan demo`: the main job in one command, with a check at the end.
//!
//! ```text
//! start a node -> fair draw -> waitlist -> scalpers -> opening minute -> kill -9 -> audit -> start again -> same?
//!                       `----------`----------`--- own account of answers ---> agrees?
//! ```
//!
//! **Architecture invariant:** the check at the end reads the journal, not what the node says of itself.

mod account;
mod desk;
mod draw;
mod drawn;
mod node;
mod patients;
mod ring;
mod table;
mod verdict;
mod waited;
mod waitlist;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use self::account::{Account, Story};
use self::desk::Desk;
use self::node::NodeProcess;
use self::patients::World;
use self::verdict::Verdict;
use super::failure::{Failure, of_open};
use super::output::Output;
use crate::client::Client;
use crate::draw::{Collector, DrawFile};
use crate::model::{Role, Sequence, SessionId, Timestamp, Ttl};
use crate::ops::clock::{Clock, monotonic_now};
use crate::service::audit::{self, AuditReport};

/// Plays a fair draw, a waitlist, a ring of scalpers and an opening minute on a node of its own, kills it, and checks that nothing was lost or sold twice
///
/// Starts a node on loopback with a store in a temporary folder. An expert's places are drawn by lot
/// while scripts try to be first; a full session gives what is cancelled to those who wait; a ring of
/// scalpers comes to the same clinics twice, first to an open door and then to a draw under rules; and
/// honest patients look, hold, think, book, forget and cancel, all over real QUIC. Then the node is killed and
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

/// What was played, and what those who took part know of it.
struct Played {
    desk: Arc<Desk>,
    draw: draw::Played,
    waitlist: waitlist::Played,
    ring: ring::Played,
    world: Arc<World>,
    /// How long patients of the opening minute lived.
    elapsed: Duration,
}

/// What the journal says after the kill.
struct Journal {
    story: Story,
    /// The draw of the scene as it can be published, if it was made.
    draw: Option<DrawFile>,
    waitlist: waited::Seen,
    ring: ring::Seen,
}

/// Runs the command.
pub(super) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path().join("node");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let node = NodeProcess::start(&folder)?;
    let played = runtime.block_on(play(&node, &folder, arguments.seconds))?;
    node.kill()?;

    let before = audited(&folder)?;
    let journal = journal_of(&folder, ring::Seen::new(&played.ring))?;
    let restarted = monotonic_now();
    let node = NodeProcess::start(&folder)?;
    let recovery = restarted.elapsed();
    node.stop()?;
    let after = audited(&folder)?;

    let verdict = Verdict::new(arguments, &played, (&before, &after), &journal, recovery);
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
    Err(Failure::failed(verdict.fault(), "this is a defect: please report what is printed above"))
}

/// Plays the scenes, and then the opening minute.
async fn play(node: &NodeProcess, folder: &Path, seconds: u64) -> Result<Played, Failure> {
    let admin = node.client(folder, Role::Admin, 1)?;
    // Over one connection what is asked first is read first.
    let desk = Arc::new(Desk::new(node.client(folder, Role::Gateway, 1)?));
    let draw = draw::play(&desk, &admin).await?;
    let waitlist = waitlist::play(&desk, &admin).await?;
    let ring = ring::play(&desk, &admin).await?;
    let (world, elapsed) = play_minute(node, folder, &admin, seconds).await?;
    Ok(Played { desk, draw, waitlist, ring, world, elapsed })
}

/// Opens the hospital and lets the patients live. Returns when every hold has come to its end.
async fn play_minute(
    node: &NodeProcess,
    folder: &Path,
    admin: &Client,
    seconds: u64,
) -> Result<(Arc<World>, Duration), Failure> {
    let clock = Clock::start();
    let sessions = open_hospital(admin, clock.now(), seconds * SESSIONS_PER_SECOND).await?;
    let ttl = Ttl::from_millis(TTL_MILLIS).unwrap_or(Ttl::DEFAULT);
    let world = Arc::new(World {
        client: node.client(folder, Role::Gateway, CONNECTIONS)?,
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
    let ttl = Ttl::from_millis(TTL_MILLIS).unwrap_or(Ttl::DEFAULT);
    let ids: Vec<_> = (1..=count).map(SessionId).collect();
    for id in &ids {
        desk::open(admin, now, desk::clinic(*id, now, ttl, vec![2; 24])).await?;
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

fn journal_of(folder: &Path, mut ring: ring::Seen) -> Result<Journal, Failure> {
    let (mut story, mut waitlist) = (Story::default(), waited::Seen::default());
    let mut collector = Collector::new(draw::DRAW);
    audit::history(folder, Sequence(1), |_, time, facts| {
        story.add(facts);
        for fact in facts {
            collector.add(fact);
            waitlist.add(time, fact);
            ring.add(time, fact);
        }
    })
    .map_err(|error| of_open(folder, &error))?;
    Ok(Journal { story, draw: collector.finish().ok(), waitlist, ring })
}

/// Connections of the opening minute, as a gateway has; more would not make two cores faster.
const CONNECTIONS: usize = 4;

/// Patients that arrive in a second, on average: twice as many as there are places.
const PATIENTS_PER_SECOND: u64 = 2_000;

/// Sessions for each second of the demonstration, 48 places each.
const SESSIONS_PER_SECOND: u64 = 20;

/// A hold lasts for a moment only, so that some expire while one watches.
const TTL_MILLIS: u32 = 2_000;

/// Longer than expiry may lag.
const SETTLE_MILLIS: u64 = 1_000;
