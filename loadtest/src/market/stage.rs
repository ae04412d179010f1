//! A part from the start of its node to the end of it: `haoyuan serve` as a child, over QUIC.
//!
//! ```text
//! serve --dev -> rules, sessions -> doors and feed -> play [-> SIGKILL -> serve again] -> compared
//!     -> SIGKILL -> `haoyuan journal --json` -> counted
//! ```
//!
//! **Architecture invariant:** the node is killed and not stopped at the end: whatever was acknowledged must
//! be in the journal anyway.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use haoyuan::client::{CallError, Client, ClientConfig, Dialer, Event, Lane, Watch, read_reply};
use haoyuan::codec::decode_facts;
use haoyuan::journal::DataFolder;
use haoyuan::model::{AppointmentId, BookingChannel, Outcome, Query, Reading, Role, Sequence};
use haoyuan::protocol::{ALPN, FrameKind, Reply, Request};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::account::{Kind as Fault, Told, Violations};
use super::minds::Minds;
use super::openings::{self, Timetable, of_session, session_id};
use super::play::{LEAD_MICROS, Play};
use super::recount::{Recount, recount};
use super::scenario::{Part, Scenario};
use crate::crash::node::Node;
use crate::load::{Clocked, run_by_clock};
use crate::pipeline::pipeline;
use crate::progress::Progress;
use crate::random::mix;
use crate::{Failure, clock};

/// Places that are for whoever is first are gone by then, but for what comes back.
const FIRST_COME_BUSY_MICROS: u64 = 400_000;

/// Answers that are still to come when a part ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest that the node may take to open all sessions, or to tell where everything stands.
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

/// From now until the rules of a part are in force and its sessions are open.
const NOTICE_MILLIS: u64 = 3_000;

/// Steps of the bar that is shown of a part.
pub(crate) const STEPS: u64 = 1_000;

/// What a part is played with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) name: &'static str,
    pub(crate) scenario: &'a Scenario,
    pub(crate) part: Part,
    pub(crate) seed: u64,
    pub(crate) binary: PathBuf,
    pub(crate) is_killed: bool,
    /// Added to every commit of the node, as a slow disk would.
    pub(crate) commit_delay_micros: u64,
    pub(crate) progress: &'a Progress,
}

/// What was played, and what the journal says of it.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) play: Play,
    pub(crate) recount: Recount,
    pub(crate) cap: Option<u16>,
    /// Milliseconds from the kill in mid-run to the node that takes requests again.
    pub(crate) recovery_millis: Option<u64>,
    pub(crate) seconds: f64,
}

/// One gateway: what is due goes out, and answers come in.
struct Door {
    play: Rc<RefCell<Play>>,
    number: usize,
    stopped: watch::Receiver<bool>,
}

/// Everything that has to do with the node of a part.
struct House<'a> {
    setup: &'a Setup<'a>,
    folder: TempDir,
    node: Node,
    address: SocketAddr,
}

/// Plays a part.
pub(crate) fn perform(setup: &Setup<'_>) -> Result<Played, Failure> {
    let begun = clock::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let mut house = House::open(setup)?;
    let played = local.block_on(&runtime, house.play());
    let told = house.node.kill();
    let (mut play, cap, recovery_millis) = played.map_err(|failure| {
        let said = if told.complaints.is_empty() { &told.last } else { &told.complaints };
        format!("{}: {failure}; the node said:\n{}", setup.name, said.join("\n"))
    })?;
    setup.progress.say(&format!("{}: counting the journal", setup.name));
    let data = house.folder.path().join("data");
    let recount = recount(&setup.binary, &data, &play)?;
    merge(&mut play.violations, &recount.violations);
    Ok(Played { play, recount, cap, recovery_millis, seconds: begun.elapsed().as_secs_f64() })
}

fn merge(all: &mut Violations, more: &Violations) {
    all.oversold += more.oversold;
    all.lost += more.lost;
    all.double += more.double;
    all.leaked += more.leaked;
    all.early += more.early;
    all.first.extend(more.first.iter().cloned());
}

impl<'a> House<'a> {
    fn open(setup: &'a Setup<'a>) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("haoyuan-market-").tempdir()?;
        let data = folder.path().join("data");
        let (node, address) = start(setup, &data, true)?;
        Ok(Self { setup, folder, node, address })
    }

    /// Opens everything, plays, and compares.
    async fn play(&mut self) -> Result<(Play, Option<u16>, Option<u64>), Failure> {
        let setup = self.setup;
        let begins = clock::wall().plus_millis(NOTICE_MILLIS + LEAD_MICROS / 1_000);
        let zero = clock::now() + Duration::from_millis(NOTICE_MILLIS);
        let times = Timetable::new(setup.scenario, setup.part, begins);
        let cap = in_time(self.prepare(&times)).await?;
        let minds = Minds::new(setup.scenario.clone(), setup.part, setup.seed)?;
        let play = Rc::new(RefCell::new(Play::new(minds, times, setup.seed, zero)));
        if zero < clock::now() {
            return Err("the sessions were not open in time: this machine is too busy".into());
        }
        let recovery = self.perform(&play).await?;
        let unanswered = play.borrow().under_way();
        if 0 < unanswered {
            play.borrow_mut().violations.note(Fault::Lost, || {
                format!("{unanswered} requests were not answered within {PATIENCE:?} of the end")
            });
        }
        in_time(self.compare(&play)).await?;
        let play = Rc::into_inner(play).ok_or("a door is still open")?.into_inner();
        Ok((play, cap, recovery))
    }

    /// Puts the rules in force and opens the sessions.
    async fn prepare(&self, times: &Timetable) -> Result<Option<u16>, Failure> {
        let setup = self.setup;
        let connection = self.dialer(Role::Admin)?.connect().await?;
        let mut lane = Lane::open(&connection, "loadtest market").await?;
        let now = clock::wall();
        let from = now.plus_millis(haoyuan::model::limits::RULES_LEAD_MILLIS + 300);
        let rules = setup.scenario.rules(from).filter(|_| setup.part.rules);
        let cap = rules.as_ref().and_then(|rules| openings::cap(rules, setup.part));
        if let Some(rules) = rules {
            let command: Request = openings::apply(rules, now).into();
            pipeline(&mut lane, 1, |_| command.clone(), |_, reply| succeeded(&reply)).await?;
        }
        let open = |opening| openings::open(setup.scenario, setup.part, times, opening, now).into();
        let count = setup.scenario.openings.count;
        pipeline(&mut lane, count, open, |_, reply| succeeded(&reply)).await?;
        drop((lane, connection));
        Ok(cap)
    }

    /// Plays to the end, and through a kill in mid-run where one is wanted.
    async fn perform(&mut self, play: &Rc<RefCell<Play>>) -> Result<Option<u64>, Failure> {
        let mut watch = self.client(Role::Admin)?.watch(Sequence(1));
        // In the busiest time of a row: while people enter, or while places are taken.
        let kill_at = self.setup.is_killed.then(|| {
            let times = &play.borrow().times;
            let row = times.opens.get(times.opens.len() / 2).copied().unwrap_or(0);
            let busy = if times.window == 0 { FIRST_COME_BUSY_MICROS } else { times.window };
            LEAD_MICROS + row + mix(self.setup.seed ^ 0x0061_1d1e) % busy
        });
        let mut recovery = None;
        let killed = self.act(play, &mut watch, kill_at).await?;
        if let Some(killed) = killed {
            self.setup.progress.say(&format!("{}: killed in mid-run", self.setup.name));
            let data = self.folder.path().join("data");
            let told = play.borrow().account.told.clone();
            let acknowledged = DataFolder::acknowledged(&data)?.0;
            play.borrow_mut().kills.push((told, acknowledged));
            (self.node, self.address) = start(self.setup, &data, false)?;
            recovery = Some(clock::micros(killed.elapsed()) / 1_000);
            let position = watch.position();
            let mut watch = self.client(Role::Admin)?.watch(position);
            play.borrow_mut().ask_again();
            self.act(play, &mut watch, None).await?;
        }
        Ok(recovery)
    }

    /// Doors and feed, until the part is over, or the time has come at which the node is killed. Says when
    /// that was.
    async fn act(
        &mut self,
        play: &Rc<RefCell<Play>>,
        feed: &mut Watch,
        until: Option<u64>,
    ) -> Result<Option<Instant>, Failure> {
        let (stop, stopped) = watch::channel(false);
        let dialer = self.dialer(Role::Gateway)?;
        let doors = self.setup.scenario.channels().len();
        let mut running = tokio::task::JoinSet::new();
        for number in 0..doors {
            let connection = dialer.connect().await?;
            let lane = Lane::open(&connection, "loadtest market").await?;
            let door = Door { play: Rc::clone(play), number, stopped: stopped.clone() };
            running.spawn_local(async move {
                let ended = run_by_clock(lane, door).await.map(drop);
                drop(connection);
                ended
            });
        }
        let setup = self.setup;
        let end = async {
            let mut ticks = clock::every(Duration::from_millis(20));
            let mut given_up = None;
            loop {
                ticks.tick().await;
                let play = play.borrow();
                let now = play.micros();
                show(setup, &play, now);
                if until.is_some_and(|until| until <= now) {
                    return;
                }
                if play.is_over(now) {
                    let patience = *given_up.get_or_insert_with(|| clock::now() + PATIENCE);
                    if play.under_way() == 0 || patience < clock::now() {
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = end => {}
            failed = listen(play, feed) => failed?,
            Some(ended) = running.join_next() => {
                ended??;
                return Err("a door closed before the end".into());
            }
        }
        // Nothing runs between the last look and the kill: it falls into the load.
        let killed = until.map(|_| {
            let killed = clock::now();
            drop(self.node.kill());
            killed
        });
        stop.send_replace(true);
        if killed.is_none() {
            while let Some(ended) = running.join_next().await {
                ended??;
            }
            hear_the_rest(play, feed).await?;
        }
        running.abort_all();
        while running.join_next().await.is_some() {}
        Ok(killed)
    }

    /// Reads every appointment that somebody was told of, and every session.
    async fn compare(&self, play: &Rc<RefCell<Play>>) -> Result<(), Failure> {
        self.setup.progress.say(&format!("{}: comparing with the node", self.setup.name));
        let told: Vec<(u128, Told)> =
            play.borrow().account.told.iter().map(|(id, told)| (*id, *told)).collect();
        let connection = self.dialer(Role::Gateway)?.connect().await?;
        let mut lane = Lane::open(&connection, "loadtest market").await?;
        let make = |index: u32| {
            Request::from(Query::Get {
                appointment: AppointmentId(told[index as usize].0),
                patient: None,
                channel: BookingChannel::default(),
            })
        };
        let take = |index: u32, reply| {
            let found = match reply {
                Reply::Reading(Reading::Appointment(found)) => Some(*found),
                Reply::Refused(refusal) if refusal.outcome == Outcome::AppointmentNotFound => None,
                other => return Err(format!("an appointment cannot be read: {other:?}").into()),
            };
            let (id, told) = told[index as usize];
            let now = clock::wall().as_millis();
            if let Err((kind, what)) = told.compare(found.as_ref(), now) {
                let mut play = play.borrow_mut();
                play.violations.note(kind, || format!("{id:032x}: {what}"));
            }
            Ok(())
        };
        pipeline(&mut lane, u32::try_from(told.len())?, make, take).await?;
        self.compare_sessions(play).await
    }

    /// The places that the node says are taken are kept for the comparison with the journal.
    async fn compare_sessions(&self, play: &Rc<RefCell<Play>>) -> Result<(), Failure> {
        play.borrow_mut().read_at[0] = clock::wall();
        let connection = self.dialer(Role::Admin)?.connect().await?;
        let mut lane = Lane::open(&connection, "loadtest market").await?;
        let make = |opening| Query::ReadSession { session: session_id(opening) }.into();
        let take = |opening: u32, reply| {
            let Reply::Reading(Reading::Session(reading)) = reply else {
                return Err(format!("opening {opening} cannot be read: {reply:?}").into());
            };
            let is_it = of_session(reading.session.id.0) == Some(opening);
            let returning: u64 =
                reading.returning.iter().map(|places| u64::from(places.count)).sum();
            let taken: u64 = reading.taken.iter().map(|taken| u64::from(*taken)).sum();
            let places: u64 = reading
                .session
                .pools
                .iter()
                .flat_map(|pool| &pool.quotas)
                .map(|quota| u64::from(*quota))
                .sum();
            let mut play = play.borrow_mut();
            if places < taken || !is_it {
                play.violations.note(Fault::Oversold, || {
                    format!("opening {opening}: {taken} places are taken of {places}")
                });
            }
            play.taken.insert(opening, taken.saturating_sub(returning));
            Ok(())
        };
        pipeline(&mut lane, self.setup.scenario.openings.count, make, take).await?;
        play.borrow_mut().read_at[1] = clock::wall();
        Ok(())
    }

    fn dialer(&self, role: Role) -> Result<Dialer, Failure> {
        let tls = self.node.identity(role)?.client(ALPN)?;
        Ok(Dialer::new(&[self.address], "localhost", tls)?)
    }

    fn client(&self, role: Role) -> Result<Client, Failure> {
        let tls = self.node.identity(role)?.client(ALPN)?;
        Ok(Client::new(&ClientConfig::new(vec![self.address], "localhost", tls))?)
    }
}

fn start(
    setup: &Setup<'_>,
    data: &std::path::Path,
    is_first: bool,
) -> Result<(Node, SocketAddr), Failure> {
    // It says what it would say to an operator, and keeps its own limits.
    let delay = setup.commit_delay_micros;
    let config = format!("[log]\nlevel = \"warn\"\n[journal]\ncommit_delay_us = {delay}\n");
    let mut node = Node::start_with(&config, &setup.binary, data, is_first, None)?;
    match node.ready() {
        Some(address) => Ok((node, address)),
        None => Err(format!("the node does not start: {}", node.kill().last.join("\n")).into()),
    }
}

/// How far a part is.
fn show(setup: &Setup<'_>, play: &Play, now: u64) {
    let step = now * STEPS / (LEAD_MICROS + play.times.ends());
    let what = format!(
        "{}: {} requests, {} answers",
        setup.name, play.tally.requests, play.account.answers
    );
    setup.progress.at(step.min(STEPS), what);
}

fn succeeded(reply: &Reply) -> Result<(), Failure> {
    match reply {
        Reply::Receipt(_) => Ok(()),
        other => Err(format!("the node does not take what the part needs: {other:?}").into()),
    }
}

/// A node that does not answer is as bad as one that is dead.
async fn in_time<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWERS_WITHIN, asking).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("the node did not answer within {ANSWERS_WITHIN:?}").into()),
    }
}

impl Clocked for Door {
    fn micros(&self) -> u64 {
        self.play.borrow().micros()
    }

    fn settle(&mut self, kind: FrameKind, unit: &[u8], now: u64) -> Result<(), CallError> {
        let (correlation, reply) = read_reply(kind, unit)?;
        self.play.borrow_mut().answer(correlation, reply, now);
        Ok(())
    }

    fn is_done(&self, _now: u64) -> bool {
        *self.stopped.borrow()
    }

    fn frames(&mut self, now: u64) -> Vec<u8> {
        let mut play = self.play.borrow_mut();
        play.send_due(now);
        play.frames(self.number)
    }
}

/// What the platform sends its users: what the feed says of them.
async fn listen(play: &Rc<RefCell<Play>>, feed: &mut Watch) -> Result<(), Failure> {
    loop {
        if let Event::Record(record) = feed.next().await? {
            hear(play, &record.facts)?;
        }
    }
}

fn hear(play: &Rc<RefCell<Play>>, facts: &[u8]) -> Result<(), Failure> {
    let facts = decode_facts(facts)?;
    let mut play = play.borrow_mut();
    let now = play.micros();
    facts.iter().for_each(|fact| play.hear(fact, now));
    Ok(())
}

/// What happened before the end is told.
async fn hear_the_rest(play: &Rc<RefCell<Play>>, feed: &mut Watch) -> Result<(), Failure> {
    let end = clock::now() + Duration::from_secs(5);
    while clock::now() < end {
        let event = tokio::time::timeout(Duration::from_secs(2), feed.next()).await;
        match event {
            Ok(Ok(Event::Record(record))) => hear(play, &record.facts)?,
            Ok(Ok(Event::Heartbeat(_))) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}
