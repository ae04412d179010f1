//! One run: a heap of events under virtual time, and everybody who causes them.
//!
//! ```text
//! clients --Arrive--> node --outbox, Release--> network --Reply--> clients
//!    ^-- Think, Timeout        ^-- Write, Sync, Tick, CopyStep      Mischief -> crash, stop, jump ...
//! ```
//!
//! **Architecture invariant:** one thread, one source of chance, one order of events. Nothing here
//! reads a clock, waits, or looks at the order of a hash map.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use haoyuan::journal::MemoryImage;
use haoyuan::model::{Outcome, Timestamp};
use haoyuan::ops::clock::Reading;

use crate::ask::{Ask, Body, Reply};
use crate::history::History;
use crate::invariants::{self, Invariant, Sight};
use crate::node::{Node, Snapshot};
use crate::plan::Plan;
use crate::random::Random;
use crate::trace::{Counts, Trace};
use crate::traffic::Traffic;

/// What happens at an instant. An epoch is the life of one node: what was meant for it dies with it.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few hundred of them")]
pub(crate) enum Event {
    Think(usize),
    Arrive(usize),
    Reply(usize, Reply),
    Timeout(usize),
    Write(u64),
    Sync(u64),
    Release(u64),
    Tick(u64),
    CopyStep(u64),
    Confirm(u64),
    Die(u64),
    Start,
    Mischief,
}

/// Why a run stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// A run.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
    pub(crate) history: History,
    invariants: Vec<Box<dyn Invariant>>,
    /// Virtual time since the beginning.
    pub(crate) micros: u64,
    /// What the machine's wall clock is wrong by.
    pub(crate) wall_error: i64,
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
    pub(crate) node: Option<Node>,
    pub(crate) epoch: u64,
    pub(crate) is_writing: bool,
    pub(crate) is_syncing: bool,
    pub(crate) is_confirming: bool,
    pub(crate) slow_until: u64,
    /// What lies on the disk while no node runs.
    pub(crate) image: MemoryImage,
    pub(crate) snapshots: Vec<Arc<Snapshot>>,
    pub(crate) is_pruned: bool,
    pub(crate) asks: Vec<Ask>,
    traffic: Traffic,
    /// How long a client thinks, at most.
    pub(crate) tempo: u64,
    pub(crate) is_healing: bool,
    /// What clients take for the time.
    pub(crate) known_time: Timestamp,
}

pub(crate) const SECOND: u64 = 1_000_000;
/// When a run begins: an instant of 2027.
const START_MICROS: u64 = 1_800_000_000 * SECOND;
/// How often a request is sent, before the faults are over.
const TRIES_MAX: u32 = 5;
const TEMPOS: [u64; 5] = [SECOND / 50, SECOND / 5, 2 * SECOND, 30 * SECOND, 300 * SECOND];

impl World {
    /// A run of a seed, watched by one invariant or by all.
    pub(crate) fn new(seed: u64, only: Option<&str>, is_printed: bool) -> Self {
        let plan = Plan::new(seed);
        let mut random = Random::new(seed.wrapping_mul(0x1_0001));
        let traffic = Traffic::new(&plan, &mut random);
        let mut invariants = invariants::all(plan.retention_millis);
        invariants.retain(|invariant| only.is_none_or(|only| invariant.name() == only));
        let mut world = Self {
            invariants,
            trace: Trace::new(is_printed),
            counts: Counts::default(),
            history: History::default(),
            micros: 0,
            wall_error: 0,
            events: BTreeMap::new(),
            serial: 0,
            node: None,
            epoch: 0,
            is_writing: false,
            is_syncing: false,
            is_confirming: false,
            slow_until: 0,
            image: MemoryImage::default(),
            snapshots: Vec::new(),
            is_pruned: false,
            asks: Vec::new(),
            traffic,
            tempo: SECOND,
            is_healing: false,
            known_time: Timestamp::from_millis(START_MICROS / 1_000),
            plan,
            random,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = format!("{:?}", self.plan);
        self.note(format_args!("{plan}"));
        self.after(0, Event::Start);
        self.after(self.plan.mischief_micros, Event::Mischief);
        for client in 0..self.traffic.clients() {
            self.after(SECOND, Event::Think(client));
        }
        // Something to book from the first second on.
        for _ in 0..3 {
            let now = self.known_time;
            let body = self.traffic.opening(&mut self.random, now);
            self.ask(0, body);
        }
    }

    /// Runs to the end, or until something does not hold.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        for _ in 0..self.plan.events {
            self.step()?;
        }
        self.heal()?;
        self.counts.add_many("run", "records", self.history.last().0);
        self.counts.add_many("run", "virtual minutes", self.micros / (60 * SECOND));
        Ok(())
    }

    /// Lets the next event happen.
    fn step(&mut self) -> Result<(), Failure> {
        let Some(((micros, _), event)) = self.events.pop_first() else { return Ok(()) };
        self.micros = micros;
        self.happen(event)
    }

    /// Lets everything happen up to an instant.
    pub(crate) fn run_for(&mut self, micros: u64) -> Result<(), Failure> {
        let end = self.micros + micros;
        while self.events.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step()?;
        }
        self.micros = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Failure> {
        let is_mine = |epoch| epoch == self.epoch && self.node.is_some();
        match event {
            Event::Think(client) => self.think(client),
            Event::Arrive(ask) => self.arrive(ask),
            Event::Reply(ask, reply) => {
                self.receive(ask, &reply);
                Ok(())
            }
            Event::Timeout(ask) => {
                self.time_out(ask);
                Ok(())
            }
            Event::Start => self.start(),
            Event::Mischief => self.mischief(),
            Event::Write(epoch) if is_mine(epoch) => self.write(),
            Event::Sync(epoch) if is_mine(epoch) => self.sync(),
            Event::Release(epoch) if is_mine(epoch) => self.release(),
            Event::Tick(epoch) if is_mine(epoch) => self.tick(),
            Event::CopyStep(epoch) if is_mine(epoch) => self.copy_step(),
            Event::Die(epoch) if is_mine(epoch) => self.crash("after a failed commit"),
            Event::Confirm(epoch) if is_mine(epoch) => {
                self.confirm();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Has an event happen that much later.
    pub(crate) fn after(&mut self, micros: u64, event: Event) {
        self.serial += 1;
        let _none = self.events.insert((self.micros + micros, self.serial), event);
    }

    /// What the machine's clocks show.
    pub(crate) fn clock(&self) -> Reading {
        let wall = (START_MICROS + self.micros).saturating_add_signed(self.wall_error);
        Reading { monotonic: self.micros, wall }
    }

    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.add(self.micros, what);
    }

    /// A fault that is counted and traced.
    pub(crate) fn fault(&mut self, name: &'static str) {
        self.counts.add("fault", name);
        self.note(format_args!("fault: {name}"));
    }

    /// Shows something to every invariant.
    pub(crate) fn show(&mut self, sight: impl FnOnce(&Node) -> Sight<'_>) -> Result<(), Failure> {
        let node = self.node.as_ref().expect("a node runs");
        show(&mut self.invariants, &self.history, &sight(node))
    }

    /// The same, where it is not about the running node.
    pub(crate) fn show_plain(&mut self, sight: &Sight<'_>) -> Result<(), Failure> {
        show(&mut self.invariants, &self.history, sight)
    }

    fn think(&mut self, client: usize) -> Result<(), Failure> {
        if self.is_healing {
            return Ok(());
        }
        if self.random.chance(10) {
            self.tempo = self.random.pick(&TEMPOS);
        }
        let slower = self.traffic.slowness(client);
        let pause = slower * self.random.between(self.tempo / 10, self.tempo);
        self.after(pause, Event::Think(client));
        let now = self.known_time;
        let mine = self.some_ask_of(client);
        match (self.random.below(100), mine) {
            (0..8, Some(old)) => {
                self.counts.add("client", "the same request again");
                self.send(old);
            }
            (8..12, Some(old)) => {
                if let Some((id, _)) = self.asks[old].identity() {
                    self.counts.add("client", "another request under an old id");
                    let body = self.traffic.wrong_reuse(&mut self.random, client, id, now);
                    self.ask(client, body);
                }
            }
            (12..15, _) => {
                if let Some(body) = self.traffic.settlement(&mut self.random, now) {
                    let number = self.new_ask(0, body);
                    return self.arrive(number);
                }
            }
            _ => {
                let body = self.traffic.wish(&mut self.random, client, now);
                self.ask(client, body);
            }
        }
        Ok(())
    }

    /// One of the last requests of a client that has an id. History is not read in twice.
    fn some_ask_of(&mut self, client: usize) -> Option<usize> {
        let mine = self.asks.iter().rev().filter(|ask| {
            ask.client == client && ask.identity().is_some() && !matches!(ask.body, Body::Import(_))
        });
        let mine: Vec<usize> = mine.take(20).map(|ask| ask.number).collect();
        (!mine.is_empty()).then(|| self.random.pick(&mine))
    }

    fn new_ask(&mut self, client: usize, body: Body) -> usize {
        let (number, actor) = (self.asks.len(), self.traffic.actor(client));
        let ask = Ask { number, client, actor, body, tries: 0, is_answered: false };
        self.asks.push(ask);
        number
    }

    fn ask(&mut self, client: usize, body: Body) {
        let number = self.new_ask(client, body);
        self.send(number);
        let patience = self.random.between(SECOND, 10 * SECOND);
        self.after(patience, Event::Timeout(number));
    }

    fn time_out(&mut self, number: usize) {
        let ask = &mut self.asks[number];
        if ask.is_answered || TRIES_MAX <= ask.tries || self.is_healing {
            return;
        }
        ask.tries += 1;
        self.counts.add("client", "sent again for want of an answer");
        self.send(number);
        let patience = self.random.between(SECOND, 30 * SECOND);
        self.after(patience, Event::Timeout(number));
    }

    pub(crate) fn send(&mut self, number: usize) {
        self.transmit("request", &Event::Arrive(number));
    }

    /// The network: what is sent arrives, later, twice, or never.
    fn transmit(&mut self, what: &'static str, event: &Event) {
        let plan = &self.plan;
        let (lost, duplicated, delayed) = (plan.lost, plan.duplicated, plan.delayed);
        let is_request = what == "request";
        if !self.is_healing && self.random.chance(lost) {
            self.fault(if is_request { "request lost" } else { "answer lost" });
            return;
        }
        let twice = !self.is_healing && self.random.chance(duplicated);
        if twice {
            self.fault(if is_request { "request duplicated" } else { "answer duplicated" });
        }
        for _ in 0..=u32::from(twice) {
            let mut micros = self.random.between(100, 5_000);
            if !self.is_healing && self.random.chance(delayed) {
                self.fault(if is_request { "request delayed" } else { "answer delayed" });
                micros += self.random.below(40 * SECOND);
            }
            self.after(micros, event.clone());
        }
    }

    fn receive(&mut self, number: usize, reply: &Reply) {
        self.note(format_args!("#{number} hears {reply}"));
        let ask = &mut self.asks[number];
        let comes_back = matches!(reply.outcome(), Outcome::Overloaded | Outcome::NotReady);
        ask.is_answered = !comes_back || TRIES_MAX <= ask.tries;
        self.traffic.learn(ask, reply);
    }

    /// A request reaches the node.
    fn arrive(&mut self, number: usize) -> Result<(), Failure> {
        let clock = self.clock();
        let ask = &self.asks[number];
        let Some(node) = &mut self.node else {
            self.fault("request to a node that is down");
            return Ok(());
        };
        let now = node.now(clock);
        self.known_time = now;
        let before = node.service.journal().appended();
        let reply = ask.put(&node.service, now);
        let records = node.service.journal().appended().0 - before.0;
        self.counts.add("command", ask.name());
        self.counts.add("outcome", reply.outcome().name());
        self.trace.add(self.micros, format_args!("{} {ask}: {reply}", now.as_millis()));
        let sight = Sight::Decided { ask, reply: &reply, records };
        show(&mut self.invariants, &self.history, &sight)?;
        node.outbox.push((number, reply));
        self.release()?;
        self.ring();
        Ok(())
    }

    /// Lets go what rests on durable records.
    pub(crate) fn release(&mut self) -> Result<(), Failure> {
        let Some(node) = &mut self.node else { return Ok(()) };
        let durable = node.service.durable();
        let outbox = std::mem::take(&mut node.outbox);
        let (ready, waiting): (Vec<_>, Vec<_>) =
            outbox.into_iter().partition(|(_, reply)| reply.after <= durable);
        node.outbox = waiting;
        for (number, reply) in ready {
            let sight = Sight::Told { ask: &self.asks[number], reply: &reply };
            show(&mut self.invariants, &self.history, &sight)?;
            self.transmit("answer", &Event::Reply(number, reply));
        }
        Ok(())
    }

    /// A run that an invariant breaks, where only the run itself can see it.
    pub(crate) fn fail<T>(invariant: &'static str, what: impl Into<String>) -> Result<T, Failure> {
        Err(Failure { invariant, what: what.into() })
    }
}

/// Shows something to every invariant.
fn show(
    invariants: &mut [Box<dyn Invariant>],
    history: &History,
    sight: &Sight<'_>,
) -> Result<(), Failure> {
    for invariant in invariants {
        invariant
            .see(sight, history)
            .map_err(|what| Failure { invariant: invariant.name(), what })?;
    }
    Ok(())
}
