//! Kills: `haoyuan serve` under load, SIGKILL at bad moments, and again on the same folder.
//!
//! ```text
//! start (sometimes killed in it) -> verify all that was ever told -> load -> SIGKILL -> audit a copy
//!   ^------------------------------------------------------------------------------------'
//! ```
//!
//! **Architecture invariant:** a kill falls where chance or the node's own log puts it, never where
//! the checks would like it.

mod account;
pub(crate) mod node;
mod stage;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use haoyuan::client::{Client, ClientConfig, ids};
use haoyuan::model::{
    BookingChannel, ChannelSet, ClassSet, DepartmentId, OpenSession, OrganizationId, PatientClass,
    Pick, Pool, PoolTerms, Repeat, ResourceId, Role, Session, SessionId, SessionTerms, Sharing,
    SiteId, Ttl,
};
use haoyuan::protocol::ALPN;
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::watch;

use self::account::{Counts, DEADLINE, Round, Teller};
use self::node::{Node, Step, Trap};
use self::stage::{Cast, Stage};
use crate::random::{Random, mix};
use crate::{Failure, clock};

/// How a node is killed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Rounds: each starts the node, verifies it, and kills it
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// The same seed plans the same rounds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The node; by default the `haoyuan` beside this binary
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    rounds: u32,
    seed: u64,
    kills: u64,
    /// Kills by what the node was at; a kill may be in two.
    kills_in: BTreeMap<Step, u64>,
    /// Kills while nothing but requests was under way.
    kills_in_load: u64,
    answered: u64,
    refused: u64,
    in_doubt: u64,
    in_doubt_done: u64,
    appointments_checked: u64,
    retries_compared: u64,
    /// Commands of draws, waitlists, blocks and queues that were acknowledged, and asked again.
    steps_retried: u64,
    folders: u64,
    audits: u64,
    seconds: u64,
    /// What was wrong, a sentence each.
    pub(crate) violations: Vec<String>,
}

impl Options {
    /// A few rounds, for the smoke test.
    pub(crate) const fn small() -> Self {
        Self { rounds: 5, seed: 7, binary: None, json: false }
    }
}

/// Runs the subcommand. `false` where something was lost, oversold, or answered otherwise.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let report = measure(options)?;
    crate::print(&report, options.json)?;
    Ok(report.violations.is_empty())
}

/// Plays all rounds, up to the first violation.
pub(crate) fn measure(options: &Options) -> Result<Report, Failure> {
    let begun = clock::now();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let binary = node::program(options.binary.as_deref())?;
    let mut play = Play {
        report: Report { rounds: options.rounds, seed: options.seed, ..Report::default() },
        random: Random::new(options.seed),
        era: Era::new(options.seed)?,
        binary,
    };
    play.report.folders = 1;
    for number in 0..options.rounds {
        play.round(&runtime, number)?;
        if !play.report.violations.is_empty() {
            break;
        }
    }
    play.end(&runtime)?;
    play.report.seconds = begun.elapsed().as_secs();
    Ok(play.report)
}

/// A data folder and all that was asked of it.
struct Era {
    folder: TempDir,
    sessions: Vec<SessionId>,
    tellers: Vec<Teller>,
    stage: Stage,
    is_first: bool,
}

struct Play {
    report: Report,
    random: Random,
    era: Era,
    binary: PathBuf,
}

impl Era {
    fn new(seed: u64) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("haoyuan-crash-").tempdir()?;
        let tellers = (0..TELLERS).map(|number| Teller::new(mix(seed ^ number << 32))).collect();
        let stage = Stage::new(Random::new(mix(seed ^ 0x57a6e)));
        Ok(Self { folder, sessions: Vec::new(), tellers, stage, is_first: true })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Play {
    /// One round: what to kill in is drawn; every second kill waits for a step of the node.
    fn round(&mut self, runtime: &tokio::runtime::Runtime, number: u32) -> Result<(), Failure> {
        match number % 10 {
            // A new folder, whose first start is killed up to three times.
            3 => {
                self.renew()?;
                for _ in 0..=self.random.below(3) {
                    self.kill_start()?;
                }
            }
            1 | 6 | 8 => self.kill_start()?,
            _ => {}
        }
        let Some((mut node, address)) = self.start()? else { return Ok(()) };
        let trap = match number % 5 {
            0 => Some((Step::Snapshot, 60)),
            2 => Some((Step::Roll, 8)),
            4 => Some((Step::Prune, 12)),
            _ => None,
        };
        let trap = trap.map(|(step, millis)| Trap { step, delay: self.within(millis) });
        let verified = runtime.block_on(self.verify_and_load(&node, address, trap));
        self.died(&mut node);
        if let Err(fault) = verified {
            self.violation(fault);
        }
        self.audit_copy()
    }

    fn within(&mut self, millis: u32) -> Duration {
        Duration::from_micros(u64::from(self.random.below(millis * 1_000)))
    }

    /// Starts over in an empty folder.
    fn renew(&mut self) -> Result<(), Failure> {
        self.count();
        self.era = Era::new(self.random.next())?;
        self.report.folders += 1;
        Ok(())
    }

    /// Kills a node while it starts.
    fn kill_start(&mut self) -> Result<(), Failure> {
        let (is_first, delay) = (self.era.is_first, self.within(60));
        // A first start makes certificates before it opens the folder: any moment will do.
        let trap = (!is_first).then_some(Trap { step: Step::Recovery, delay });
        let mut node = Node::start(&self.binary, &self.era.data(), is_first, trap)?;
        if is_first {
            clock::pause(self.within(250));
        } else {
            // To the trap's end of it.
            let _address = node.ready();
        }
        self.died(&mut node);
        Ok(())
    }

    /// Starts a node that must become ready.
    fn start(&mut self) -> Result<Option<(Node, SocketAddr)>, Failure> {
        let data = self.era.data();
        let mut node = Node::start(&self.binary, &data, self.era.is_first, None)?;
        if let Some(address) = node.ready() {
            self.era.is_first = false;
            return Ok(Some((node, address)));
        }
        let told = node.kill();
        self.violation(format!("THE NODE DOES NOT START: {}", told.last.join("\n")));
        Ok(None)
    }

    fn died(&mut self, node: &mut Node) {
        let told = node.kill();
        self.report.kills += 1;
        self.report.kills_in_load += u64::from(told.steps.is_empty());
        for step in told.steps {
            *self.report.kills_in.entry(step).or_default() += 1;
        }
        if told.last.iter().any(|line| line.contains("ERROR") || line.contains("panicked")) {
            self.violation(format!("THE NODE COMPLAINS: {}", told.last.join("\n")));
        }
    }

    async fn verify_and_load(
        &mut self,
        node: &Node,
        address: SocketAddr,
        trap: Option<Trap>,
    ) -> Result<(), String> {
        let client = |role| client(node, address, role).map_err(|error| error.to_string());
        let cast = Cast {
            admin: client(Role::Admin)?,
            gateway: client(Role::Gateway)?,
            practitioner: client(Role::Practitioner)?,
        };
        let gateway = client(Role::Gateway)?;
        self.verify(&gateway, &cast).await?;
        self.open_sessions(&cast.admin).await?;

        let acks_max = u64::from(20 + self.random.below(900));
        let (acks, mut acked) = watch::channel(0);
        let (die, dead) = watch::channel(false);
        if let Some(trap) = trap {
            node.set(trap);
        }
        let staged = self.era.stage.play(&cast, dead.clone());
        let sessions = &self.era.sessions;
        let tellers = self.era.tellers.iter_mut().map(|teller| {
            let dead = dead.clone();
            teller.ask(Round { client: &gateway, sessions, dead, acks: &acks })
        });
        let tellers = join_all(tellers.collect());
        let killer = async {
            let enough = acked.wait_for(|acks| trap.is_none() && acks_max <= *acks);
            // What the trap waits for may not come.
            drop(tokio::time::timeout(PATIENCE, alive(node, enough)).await);
            die.send_replace(true);
        };
        let (results, (), ()) = tokio::join!(tellers, staged, killer);
        results.into_iter().collect()
    }

    /// Compares the node with every account, and its free places with all of them together.
    async fn verify(&mut self, gateway: &Client, cast: &Cast) -> Result<(), String> {
        self.era.stage.verify(cast).await?;
        let verifying = self.era.tellers.iter_mut().map(|teller| teller.verify(gateway));
        join_all(verifying.collect()).await.into_iter().collect::<Result<(), _>>()?;
        let mut taken = BTreeMap::new();
        self.era.tellers.iter().for_each(|teller| teller.add_taken(&mut taken));
        let (channel, class) = (BookingChannel::default(), PatientClass::Outpatient);
        for session in &self.era.sessions {
            let read = gateway.availability(*session, channel, class).await;
            let read =
                read.map_err(|error| format!("LOST: {session:?} cannot be read: {error}"))?;
            for (slot, free) in (0..).zip(&read.free) {
                let taken = taken.get(&(*session, slot)).copied().unwrap_or(0);
                if u64::from(QUOTA) < taken + u64::from(*free) {
                    return Err(format!(
                        "OVERSOLD: {session:?} slot {slot}: {taken} and {free} free"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Opens sessions; the first are opened again, which must do nothing.
    async fn open_sessions(&mut self, admin: &Client) -> Result<(), String> {
        for _ in 0..SESSIONS_PER_ROUND {
            let id = SessionId(self.random.next());
            let request = ids::new_request_id(clock::wall());
            let open = OpenSession { request, session: session(id) };
            for is_again in [false, true] {
                let receipt = admin.open_session(open.clone()).await;
                if receipt.as_ref().map(|receipt| receipt.retried) != Ok(is_again) {
                    return Err(format!("{id:?} is opened with {receipt:?}"));
                }
            }
            self.era.sessions.push(id);
        }
        Ok(())
    }

    /// Audits what the kill left, in a copy: the next start gets it as it is.
    fn audit_copy(&mut self) -> Result<(), Failure> {
        let copy = tempfile::tempdir()?;
        let target = copy.path().join("data");
        copy_folder(&self.era.data(), &target)?;
        self.audit(&target)
    }

    fn audit(&mut self, data: &Path) -> Result<(), Failure> {
        let output = Command::new(&self.binary)
            .args(["audit", "--json", "--data-dir"])
            .arg(data)
            .output()?;
        self.report.audits += 1;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            self.violation(format!("THE AUDIT DISAGREES: {text}{errors}"));
        }
        Ok(())
    }

    /// The last word: everything once more, and the folder itself.
    fn end(&mut self, runtime: &tokio::runtime::Runtime) -> Result<(), Failure> {
        if self.report.violations.is_empty()
            && let Some((mut node, address)) = self.start()?
        {
            let (gateway, cast) = {
                let _inside = runtime.enter();
                let client = |role| client(&node, address, role);
                let (admin, practitioner) = (client(Role::Admin)?, client(Role::Practitioner)?);
                let cast = Cast { admin, gateway: client(Role::Gateway)?, practitioner };
                (client(Role::Gateway)?, cast)
            };
            let verified = runtime.block_on(self.verify(&gateway, &cast));
            self.died(&mut node);
            verified.unwrap_or_else(|fault| self.violation(fault));
            self.audit(&self.era.data())?;
        }
        self.count();
        Ok(())
    }

    fn count(&mut self) {
        self.report.steps_retried += self.era.stage.retried;
        for Counts { answered, refused, in_doubt, in_doubt_done, checked, retried } in
            self.era.tellers.iter().map(|teller| teller.counts)
        {
            self.report.answered += answered;
            self.report.refused += refused;
            self.report.in_doubt += in_doubt;
            self.report.in_doubt_done += in_doubt_done;
            self.report.appointments_checked += checked;
            self.report.retries_compared += retried;
        }
    }

    /// Notes a violation, and keeps the folder as it was found.
    fn violation(&mut self, what: String) {
        let kept = tempfile::Builder::new().prefix("haoyuan-crash-kept-").tempdir();
        let place = kept.ok().map(|kept| {
            let kept = kept.keep();
            let copied = copy_folder(&self.era.data(), &kept.join("data"));
            format!("; kept in {}{}", kept.display(), if copied.is_ok() { "" } else { ", in part" })
        });
        self.report.violations.push(what + &place.unwrap_or_default());
    }
}

fn client(node: &Node, address: SocketAddr, role: Role) -> Result<Client, Failure> {
    let tls = node.identity(role)?.client(ALPN)?;
    let config = ClientConfig::new(vec![address], "localhost", tls);
    Ok(Client::new(&ClientConfig { deadline: DEADLINE, connections: 2, ..config })?)
}

fn session(id: SessionId) -> Session {
    Session {
        id,
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(id.0),
        appointment_type: 1,
        start: clock::wall().plus_millis(12 * 3_600_000),
        slot_millis: 600_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::from_millis(haoyuan::model::limits::TTL_MILLIS_MAX).unwrap_or(Ttl::DEFAULT),
        terms: SessionTerms::default(),
        pools: vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: vec![QUOTA; SLOTS],
            terms: PoolTerms::default(),
        }],
    }
}

/// Waits for something, or for the end of the node.
async fn alive<T>(node: &Node, what: impl Future<Output = T>) {
    let death = async {
        while !node.is_dead() {
            clock::linger().await;
        }
    };
    tokio::select! {
        _ = what => {}
        () = death => {}
    }
}

/// Runs futures side by side on this task.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *output = Some(value);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

fn copy_folder(source: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Clients that ask at the same time.
const TELLERS: u64 = 24;
const SESSIONS_PER_ROUND: u32 = 3;
const SLOTS: usize = 20;
const QUOTA: u16 = 4;
/// How long a kill waits for its moment.
const PATIENCE: Duration = Duration::from_secs(4);
