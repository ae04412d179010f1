//! Throughput: a closed loop against a node, and an account that must agree with the node's.
//!
//! ```text
//! node up -> sessions open, counted -> warm-up -> measured -> end, all answered -> counted again
//!                        '------------- free before - our holds = free after? ---------'
//! ```
//!
//! **Architecture invariant:** `oversold` comes from places that were free before and holds that
//! were acknowledged; the node's own opinion is not asked for it.

mod known;
mod options;
mod report;
mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use haoyuan::client::Lane;
use haoyuan::model::{Outcome, Role, Rules};

pub(crate) use self::options::Options;
pub(crate) use self::report::{Report, show};
use crate::load::{self, ENDING, MEASURED, Mix, Plan, Shared, Tally};
use crate::node::Stats;
use crate::node::child::Node;
use crate::supply::Supply;
use crate::{Failure, certs, clock, usage};

/// The sessions of a run that has one hot at a time.
const HOT_SESSIONS: u32 = 5;

/// Slots and places of a hot session: the most that a session may have.
const HOT_SLOTS: u32 = 288;
const HOT_QUOTA: u16 = 10_000;

/// A run ends early when this share of all places is taken: beyond, slots are sold out by chance,
/// and it would measure something else.
const TAKEN_PERCENT: u64 = 60;

/// The same where one hot session follows on another.
const HOT_TAKEN_PERCENT: u64 = 90;

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What was used and counted up to a moment.
#[derive(Debug)]
struct Sample {
    at: Instant,
    server_cpu: Option<f64>,
    client_cpu: Option<f64>,
    stats: Option<Stats>,
}

/// What a measured run brought.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Counts and latencies.
    pub(crate) tally: Tally,
    first: Sample,
    last: Sample,
    rss_bytes: Option<u64>,
    /// How long a snapshot took that was taken meanwhile.
    snapshot_seconds: Option<f64>,
}

/// What our account and the node's say of the places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Acknowledged holds that live.
    pub(crate) live: u64,
    /// Of them, those beyond what was free in their slot.
    pub(crate) oversold: u64,
    /// Slots that have more or fewer free places than our holds leave.
    pub(crate) slots_that_differ: u64,
}

/// Runs the subcommand. `false` where something was sold that was not there.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let report = measure(options)?;
    show(&report, options.json)?;
    Ok(report.oversold == 0)
}

/// Measures as the options say.
pub(crate) fn measure(options: &Options) -> Result<Report, Failure> {
    let mut node = if options.server.is_empty() {
        let base = options.data_dir.as_deref();
        Some(Node::start(base, options.durability, options.node_threads)?)
    } else {
        None
    };
    let plan = Arc::new(plan(options, node.as_ref())?);
    let admin = Admin::new(&plan)?;
    let rules = rules::asked_for(options)?;
    admin.open(&plan.supply)?;
    if options.known {
        admin.put_in_force(rules.as_ref().map(rules::of_persons))?;
        admin.with_lane_as(Role::Gateway, async |lane| known::name_all(lane, &plan).await)?;
    }
    admin.put_in_force(rules)?;
    let before = admin.free(&plan.supply)?;
    let measured = drive(options, &plan, node.as_mut())?;
    let account = account_of(&before, &admin.free(&plan.supply)?, &measured.tally.taken);
    let mut report = Report::new(options, &plan, node.as_ref(), &measured, account)?;
    drop(admin);
    if let Some(node) = &mut node {
        let data = node.stop()?;
        if options.audit {
            report.audit_oversold = Some(haoyuan::service::audit::audit(&data)?.oversold);
        }
    }
    Ok(report)
}

fn plan(options: &Options, node: Option<&Node>) -> Result<Plan, Failure> {
    let (servers, certs): (Vec<SocketAddr>, PathBuf) = match (node, &options.certs) {
        (Some(node), _) => (vec![node.ready.address], node.certs()),
        (None, Some(certs)) => (options.server.clone(), certs.clone()),
        (None, None) => {
            return Err("--server needs --certs, the folder with our certificates".into());
        }
    };
    let quota = |quota| if options.mix == Mix::SoldOut { 0 } else { quota };
    let supply = if options.hot {
        Supply::new(HOT_SESSIONS, HOT_SLOTS, quota(HOT_QUOTA))
    } else {
        Supply::new(options.sessions, options.slots, quota(options.quota))
    };
    Ok(Plan {
        servers,
        certs,
        mix: options.mix,
        supply,
        hot: options.hot,
        patients: options.patients,
        connections: options.connections,
        window: options.window,
        batch: options.batch,
        threads: options.threads.clamp(1, options.connections.max(1)),
        seed: options.seed,
    })
}

/// Leads a run from its warm-up to the last answer.
fn drive(
    options: &Options,
    plan: &Arc<Plan>,
    mut node: Option<&mut Node>,
) -> Result<Measured, Failure> {
    let shared = Arc::new(Shared::new(plan.threads));
    std::thread::scope(|scope| {
        let spawn = |thread| {
            let (plan, shared) = (plan, &shared);
            scope.spawn(move || load::run_thread(plan, shared, thread))
        };
        let threads: Vec<_> = (0..plan.threads).map(spawn).collect();
        shared.connected.wait();
        wait(plan, &shared, Duration::from_secs_f64(options.warmup));
        let first = sample(node.as_deref_mut())?;
        shared.phase.store(MEASURED, Ordering::Relaxed);
        if options.snapshot
            && let Some(node) = node.as_deref_mut()
        {
            node.tell("snapshot")?;
        }
        wait(plan, &shared, Duration::from_secs_f64(options.seconds));
        shared.phase.store(ENDING, Ordering::Relaxed);
        let took = match node.as_deref_mut() {
            Some(node) if options.snapshot => Some(node.hear::<crate::node::SnapshotTook>()?),
            _ => None,
        };
        let last = sample(node.as_deref_mut())?;
        let rss_bytes = node.as_ref().and_then(|node| usage::resident_bytes(node.process()));
        let mut tally = Tally::new(plan.supply.slot_count());
        for thread in threads {
            let part = thread.join().map_err(|_| "a thread of the generator panicked")??;
            tally.add(&part)?;
        }
        let snapshot_seconds = took.map(|took| took.seconds);
        Ok(Measured { tally, first, last, rss_bytes, snapshot_seconds })
    })
}

/// Lets a run go on for so long, or until too many places are taken.
fn wait(plan: &Plan, shared: &Shared, time: Duration) {
    let percent = if plan.hot { HOT_TAKEN_PERCENT } else { TAKEN_PERCENT };
    let limit = if plan.mix.uses_up() { plan.supply.places() * percent / 100 } else { u64::MAX };
    let until = clock::now() + time;
    while clock::now() < until && shared.taken.load(Ordering::Relaxed) < limit {
        clock::pause(LOOK.min(until.saturating_duration_since(clock::now())));
    }
}

fn sample(node: Option<&mut Node>) -> Result<Sample, Failure> {
    let server_cpu = node.as_ref().and_then(|node| usage::cpu_seconds(node.process()));
    let client_cpu = usage::cpu_seconds(std::process::id());
    let at = clock::now();
    Ok(Sample { at, server_cpu, client_cpu, stats: node.map(Node::stats).transpose()? })
}

/// Compares what was free, what is, and what we were told that we have.
pub(crate) fn account_of(before: &[u16], after: &[u16], taken: &[i32]) -> Account {
    let mut account = Account::default();
    for ((before, after), taken) in before.iter().zip(after).zip(taken) {
        let (before, after) = (i32::from(*before), i32::from(*after));
        account.live += u64::try_from(*taken).unwrap_or(0);
        account.oversold += u64::try_from(taken - before).unwrap_or(0);
        account.slots_that_differ += u64::from(before - taken != after);
    }
    account
}

/// A connection in the role of an admin, with a runtime of its own.
#[derive(Debug)]
pub(crate) struct Admin {
    runtime: tokio::runtime::Runtime,
    servers: Vec<SocketAddr>,
    certs: PathBuf,
}

impl Admin {
    /// For the node of a plan.
    pub(crate) fn new(plan: &Plan) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, servers: plan.servers.clone(), certs: plan.certs.clone() })
    }

    /// Opens sessions.
    pub(crate) fn open(&self, supply: &Supply) -> Result<(), Failure> {
        self.with_lane(async |lane| supply.open(lane).await)
    }

    /// Free places, slot by slot.
    pub(crate) fn free(&self, supply: &Supply) -> Result<Vec<u16>, Failure> {
        self.with_lane(async |lane| supply.free(lane).await)
    }

    /// Applies rules, if there are any, and waits until they are in force.
    fn put_in_force(&self, rules: Option<Rules>) -> Result<(), Failure> {
        let Some(rules) = rules.map(rules::soon) else { return Ok(()) };
        self.with_lane(async |lane| rules::apply(lane, &rules).await)?;
        clock::pause_until(rules.from);
        Ok(())
    }

    /// A new connection each time: between two uses nobody keeps it alive.
    fn with_lane<T>(
        &self,
        work: impl AsyncFnOnce(&mut Lane) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_lane_as(Role::Admin, work)
    }

    /// The same in another role.
    fn with_lane_as<T>(
        &self,
        role: Role,
        work: impl AsyncFnOnce(&mut Lane) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(async {
            let dialer = certs::dialer(&self.certs, &self.servers, role)?;
            let mut lane = Lane::open(&dialer.connect().await?, "loadtest admin").await?;
            let done = work(&mut lane).await;
            drop((lane, dialer));
            clock::linger().await;
            done
        })
    }
}

/// What counts as an operation of a mix.
fn wanted(mix: Mix) -> Outcome {
    if mix == Mix::SoldOut { Outcome::SoldOut } else { Outcome::Done }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_finds_what_was_sold_twice_and_what_is_missing() {
        let as_it_should_be = account_of(&[5, 5], &[2, 5], &[3, 0]);
        assert_eq!(as_it_should_be, Account { live: 3, oversold: 0, slots_that_differ: 0 });
        let sold_twice = account_of(&[5, 5], &[0, 5], &[7, 0]);
        assert_eq!(sold_twice, Account { live: 7, oversold: 2, slots_that_differ: 1 });
        let leaked = account_of(&[5, 5], &[2, 4], &[3, 0]);
        assert_eq!(leaked, Account { live: 3, oversold: 0, slots_that_differ: 1 });
    }
}
