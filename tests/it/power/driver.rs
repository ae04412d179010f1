//! The process under the layer: a service that does what a node does, and writes down what was
//! acknowledged.
//!
//! ```text
//! one thread decides, without waiting --> another waits for the journal --> mark into the trace
//! a third takes snapshots, and so prunes
//! ```
//!
//! **Architecture invariant:** a mark is written after the service said that the record is durable,
//! as an answer is given to a client.

#![expect(clippy::print_stderr, clippy::exit, reason = "a process that is to die says why")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;

use haoyuan::client::ids::{new_appointment_id, new_request_id};
use haoyuan::journal::JournalError;
use haoyuan::model::{
    Action, Actor, Appointment, AppointmentEvent, AppointmentId, AppointmentStatus, BookingChannel,
    Change, ChannelSet, ClaimRequest, ClassSet, Command, DepartmentId, Hold, OpenSession,
    OrganizationId, PatientId, PaymentRef, Pick, Pool, PoolTerms, Query, Reading, Repeat,
    ResourceId, Role, Sequence, Session, SessionId, SessionTerms, Sharing, SiteId, SlotChoice,
    Timestamp, Ttl,
};
use haoyuan::service::audit::audit;
use haoyuan::service::{OpenOptions, Service};

use super::random::{Random, told};
use super::shim::Shim;
use super::trace;

/// What a driver is told.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    /// The folder of the data folder; all that is under it is traced.
    pub(crate) root: PathBuf,
    /// Where it puts its marks: the trace.
    pub(crate) marks: PathBuf,
    /// Of its draws.
    pub(crate) seed: u64,
    /// How many requests it makes.
    pub(crate) requests: usize,
}

/// What was acknowledged: appointments and the last status that was told.
pub(crate) type Acks = BTreeMap<u128, AppointmentStatus>;

/// How a driver ended, and its last words.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) told: String,
}

/// Small trees, so that every run rolls and prunes.
pub(crate) fn options(seed: u64) -> OpenOptions {
    OpenOptions { blocks_per_tree: 4, seed, ..OpenOptions::default() }
}

/// Where the data folder is.
pub(crate) fn data(root: &Path) -> PathBuf {
    root.join("data")
}

impl Driver {
    /// Runs it to its end, in a process of its own under the layer.
    pub(crate) fn run(&self, shim: &Shim) -> Ended {
        let mut command = Process::new(std::env::current_exe().unwrap());
        command
            .args(["power::driver::drives", "--exact", "--ignored", "--nocapture"])
            .env("HAOYUAN_DRIVER_ROOT", &self.root)
            .env("HAOYUAN_DRIVER_MARKS", &self.marks)
            .env("HAOYUAN_DRIVER_SEED", self.seed.to_string())
            .env("HAOYUAN_DRIVER_REQUESTS", self.requests.to_string())
            .stdin(Stdio::null());
        shim.under(&mut command, &self.root);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { status: output.status, told }
    }

    fn from_parent() -> Option<Self> {
        Some(Self {
            root: told("HAOYUAN_DRIVER_ROOT")?.into(),
            marks: told("HAOYUAN_DRIVER_MARKS")?.into(),
            seed: told("HAOYUAN_DRIVER_SEED")?.parse().ok()?,
            requests: told("HAOYUAN_DRIVER_REQUESTS")?.parse().ok()?,
        })
    }

    #[expect(clippy::unwrap_in_result, reason = "a driver that cannot work may panic")]
    fn drive(&self) -> Result<(), String> {
        let fatal = |error: &JournalError| {
            eprintln!("fatal: {error}");
            std::process::abort();
        };
        let opened = Service::open(&data(&self.root), &options(self.seed), Arc::new(fatal));
        let (service, _) = opened.map_err(|error| format!("refused: {error}"))?;
        let marks = File::options().append(true).create(true).open(&self.marks).unwrap();
        let (told, waiting) = channel::<(Sequence, Vec<u8>)>();
        let mut random = Random::new(self.seed);
        std::thread::scope(|scope| {
            let told_to = &service;
            let acks = scope.spawn(move || acknowledge(told_to, &waiting, marks));
            let (due, dues) = channel::<()>();
            let snapshots = scope.spawn(move || take_snapshots(told_to, &dues));
            let mut world = World::default();
            for number in 1..=self.requests {
                // Seven in a run.
                if number % (self.requests / 8).max(1) == 0 {
                    assert!(due.send(()).is_ok(), "the thread of snapshots is there");
                }
                let (after, mark) = world.request(&service, &mut random);
                if random.percent(10) && service.wait_durable(after).is_err() {
                    break;
                }
                drop(told.send((after, mark)));
            }
            drop((told, due));
            acks.join().unwrap();
            snapshots.join().unwrap();
        });
        // Half of the runs end as a node does that is stopped.
        if random.percent(50) {
            service.close().map_err(|error| format!("not closed: {error}"))?;
        }
        std::process::exit(0);
    }
}

fn acknowledge(
    service: &Service,
    waiting: &std::sync::mpsc::Receiver<(Sequence, Vec<u8>)>,
    mut marks: File,
) {
    for (after, mark) in waiting {
        if service.wait_durable(after).is_err() {
            return;
        }
        if !mark.is_empty() {
            marks.write_all(&trace::mark(&mark)).unwrap();
        }
    }
}

fn take_snapshots(service: &Service, dues: &std::sync::mpsc::Receiver<()>) {
    for () in dues {
        if let Err(error) = service.take_snapshot() {
            eprintln!("no snapshot: {error}");
        }
        service.journal().wait_pruned();
    }
}

/// What the driver knows of its own requests.
#[derive(Default)]
struct World {
    sessions: Vec<SessionId>,
    live: Vec<(AppointmentId, AppointmentStatus)>,
}

impl World {
    /// Makes a request. Says on which record its answer rests, and the mark for it.
    fn request(&mut self, service: &Service, random: &mut Random) -> (Sequence, Vec<u8>) {
        if self.sessions.is_empty() || random.percent(2) {
            return (self.open(service, random), Vec::new());
        }
        if self.live.is_empty() || random.percent(50) {
            return self.hold(service, random);
        }
        let index = random.below(self.live.len());
        let (appointment, status) = self.live[index];
        let action = match status {
            AppointmentStatus::Pending if random.percent(70) => {
                Action::Book { payment: PaymentRef(u128::from(random.next())) }
            }
            AppointmentStatus::Pending => Action::Release,
            _ => Action::Cancel,
        };
        let request = new_request_id(now());
        let channel = BookingChannel::default();
        let patient = None;
        let change = Change { request, appointment, patient, channel, action };
        let answer = service.call(now(), &gateway(), &Command::Change(change));
        let Some(status) = answer.result.ok().and_then(|receipt| receipt.status) else {
            return (answer.after, Vec::new());
        };
        if status == AppointmentStatus::Cancelled {
            self.live.swap_remove(index);
        } else {
            self.live[index].1 = status;
        }
        (answer.after, mark(appointment, status))
    }

    fn open(&mut self, service: &Service, random: &mut Random) -> Sequence {
        let session = session(SessionId(random.next()));
        self.sessions.push(session.id);
        let open = OpenSession { request: new_request_id(now()), session };
        service.call(now(), &admin(), &Command::OpenSession(open.into())).after
    }

    fn hold(&mut self, service: &Service, random: &mut Random) -> (Sequence, Vec<u8>) {
        let hold = Hold {
            ttl: Ttl::from_millis(24 * 3_600_000).unwrap(),
            ..Hold::of(
                new_appointment_id(now()),
                PatientId(u128::from(random.next())),
                [ClaimRequest {
                    session: self.sessions[random.below(self.sessions.len())],
                    count: 1,
                    slots: SlotChoice::Any,
                }],
            )
        };
        let appointment = hold.appointment;
        let answer = service.call(now(), &gateway(), &Command::Hold(hold));
        if answer.result.is_err() {
            return (answer.after, Vec::new());
        }
        self.live.push((appointment, AppointmentStatus::Pending));
        (answer.after, mark(appointment, AppointmentStatus::Pending))
    }
}

/// Sixteen places, so that some are sold out.
fn session(id: SessionId) -> Session {
    Session {
        id,
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(1),
        appointment_type: 1,
        start: now().plus_millis(24 * 3_600_000),
        slot_millis: 600_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::from_millis(24 * 3_600_000).unwrap(),
        terms: SessionTerms::default(),
        pools: vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: vec![2; 8],
            terms: PoolTerms::default(),
        }],
    }
}

fn gateway() -> Actor {
    Actor::unbounded(Role::Gateway)
}

fn admin() -> Actor {
    Actor::unbounded(Role::Admin)
}

/// Ids carry the time at which they were made.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

fn mark(appointment: AppointmentId, status: AppointmentStatus) -> Vec<u8> {
    let mut bytes = appointment.0.to_le_bytes().to_vec();
    bytes.push(status as u8);
    bytes
}

/// Adds what a mark says.
pub(crate) fn add_ack(acks: &mut Acks, mark: &[u8]) {
    let (id, status) = mark.split_first_chunk().unwrap();
    let told = AppointmentStatus::ALL.into_iter().find(|it| [*it as u8] == *status).unwrap();
    acks.insert(u128::from_le_bytes(*id), told);
}

/// Opens the folder as a node would, and compares it with what was acknowledged. Says what the
/// start warned of.
pub(crate) fn judge(root: &Path, acks: &Acks) -> Result<Vec<String>, String> {
    let data = data(root);
    let fatal = |error: &JournalError| panic!("{error}");
    let (service, report) = Service::open(&data, &options(1), Arc::new(fatal))
        .map_err(|error| format!("does not start: {error}"))?;
    for (id, told) in acks {
        let found = find(&service, AppointmentId(*id));
        let Some(found) = found else {
            return Err(format!("{id:032x} was told {told:?} and is not there"));
        };
        if !is_reachable(*told, found.status) {
            return Err(format!("{id:032x} was told {told:?} and is {:?}", found.status));
        }
    }
    let digest = service.digest();
    service.close().map_err(|error| format!("does not close: {error}"))?;
    drop(service);
    let audited = audit(&data).map_err(|error| format!("cannot be audited: {error}"))?;
    if !audited.is_clean() {
        return Err(format!("the audit finds {:?}", audited.faults));
    }
    if audited.digest != digest {
        return Err("the audit comes to another state".to_owned());
    }
    Ok(report.warnings)
}

fn find(service: &Service, appointment: AppointmentId) -> Option<Appointment> {
    let channel = BookingChannel::default();
    let query = Query::Get { appointment, patient: None, channel };
    match service.read(now(), &admin(), &query).result {
        Ok(Reading::Appointment(found)) => Some(*found),
        _ => None,
    }
}

/// Whether events lead from one status to another.
fn is_reachable(from: AppointmentStatus, to: AppointmentStatus) -> bool {
    let steps = AppointmentEvent::ALL.into_iter().filter_map(|event| from.after(event));
    from == to || steps.filter(|next| *next != from).any(|next| is_reachable(next, to))
}

#[test]
#[ignore = "the child process of other tests"]
fn drives() {
    if let Some(driver) = Driver::from_parent()
        && let Err(why) = driver.drive()
    {
        eprintln!("{why}");
        std::process::exit(1);
    }
}
