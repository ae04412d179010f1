//! A service in this process, without the network: for figures that are not about the wire.
//!
//! ```text
//! fill: hold, hold, hold ... -> wait until durable       load: a batch, wait, a batch, wait ...
//! ```
//!
//! **Architecture invariant:** a hold counts when its record is durable, as over the wire.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use haoyuan::model::{
    AccountId, Actor, AppointmentId, ClaimRequest, ClientKeys, Command, Hold, OpenSession, Outcome,
    PatientId, RequestId, Role, Sequence, SessionId, SlotChoice, SlotIndex, Timestamp, Ttl,
};
use haoyuan::service::{OpenOptions, RecoveryReport, Service};
use hdrhistogram::Histogram;
use tempfile::TempDir;

use crate::random::{Random, mix};
use crate::supply::Supply;
use crate::{Failure, clock, node};

/// Where a measurement keeps its files.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Place {
    /// Where the store is made and removed again; the folder for temporary files if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<std::path::PathBuf>,
}

/// Holds that wait for the disk together in [`Booker::load`]: what 8 connections × 64 have.
const BATCH: u32 = 512;

/// Places of a slot, and slots of a session.
const QUOTA: u16 = 20;
const SLOTS: u32 = 40;

/// Places beyond those that are to be taken, in percent: slots fill unevenly.
const SPARE_PERCENT: u64 = 60;

/// The longest latency that is told apart, in µs.
const MICROS_MAX: u64 = 60_000_000;

impl Place {
    /// A new folder that goes when it is dropped.
    pub(crate) fn folder(&self) -> Result<TempDir, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("haoyuan-loadtest-");
        Ok(match &self.data_dir {
            Some(base) => builder.tempdir_in(base)?,
            None => builder.tempdir()?,
        })
    }
}

/// Opens the store of a folder as a node would.
pub(crate) fn open(folder: &Path) -> Result<(Arc<Service>, RecoveryReport), Failure> {
    Ok(Service::open(folder, &OpenOptions::default(), node::on_fatal())?)
}

/// Enough sessions to take so many holds.
pub(crate) fn supply_for(holds: u64) -> Result<Supply, Failure> {
    let places = holds + holds * SPARE_PERCENT / 100;
    let sessions = u32::try_from(places / (u64::from(SLOTS) * u64::from(QUOTA)) + 1)?;
    if 65_536 < sessions {
        return Err("that is more than 65,536 sessions can hold; ask for fewer".into());
    }
    Ok(Supply::new(sessions, SLOTS, QUOTA))
}

/// Somebody who books.
#[derive(Debug)]
pub(crate) struct Booker {
    service: Arc<Service>,
    supply: Supply,
    random: Random,
    actor: Actor,
    /// Patients so far, and the first of them: bookers do not share any.
    drawn: u64,
    first: u64,
}

impl Booker {
    /// One of several, with patients of its own.
    pub(crate) fn new(service: &Arc<Service>, supply: &Supply, number: u64) -> Self {
        Self {
            service: Arc::clone(service),
            supply: supply.clone(),
            random: Random::new(number),
            actor: Actor::unbounded(Role::Gateway),
            drawn: 0,
            first: number << 40,
        }
    }

    /// Opens the sessions.
    pub(crate) fn open_sessions(&self) -> Result<(), Failure> {
        let (now, actor) = (clock::wall(), Actor::unbounded(Role::Admin));
        for index in 0..self.supply.sessions {
            let session = self.supply.session(index, now);
            let request = RequestId::from_parts(now, u128::from(mix(session.id.0)));
            let command = Command::OpenSession(Box::new(OpenSession { request, session }));
            while let Err(refusal) = self.service.call(now, &actor, &command).result {
                self.make_room(refusal.outcome)?;
            }
        }
        Ok(self.service.wait_durable(self.service.journal().appended())?)
    }

    /// Takes `count` holds that last as long as `ttl` says, and waits until they are durable.
    pub(crate) fn fill(
        &mut self,
        count: u64,
        mut ttl: impl FnMut(Timestamp, &mut Random) -> Ttl,
    ) -> Result<(), Failure> {
        for _ in 0..count {
            let now = clock::wall();
            let ttl = ttl(now, &mut self.random);
            self.hold(now, ttl)?;
        }
        Ok(self.service.wait_durable(self.service.journal().appended())?)
    }

    /// Holds, a batch at a time, each batch durable before the next, until told to stop. Says how
    /// long they took, in µs.
    pub(crate) fn load(&mut self, stop: &AtomicBool) -> Result<Histogram<u64>, Failure> {
        let mut latency = Histogram::new_with_bounds(1, MICROS_MAX, 3)?;
        while !stop.load(Ordering::Relaxed) {
            let start = clock::now();
            let mut last = Sequence(0);
            for _ in 0..BATCH {
                last = last.max(self.hold(clock::wall(), Ttl::DEFAULT)?);
            }
            self.service.wait_durable(last)?;
            latency.saturating_record_n(clock::micros(start.elapsed()), u64::from(BATCH));
        }
        Ok(latency)
    }

    /// One hold, of another slot where one is full.
    fn hold(&mut self, now: Timestamp, ttl: Ttl) -> Result<Sequence, Failure> {
        loop {
            let command = Command::Hold(self.next_hold(now, ttl));
            loop {
                let answer = self.service.call(now, &self.actor, &command);
                match answer.result {
                    Ok(_) => return Ok(answer.after),
                    Err(refusal) if refusal.outcome == Outcome::SoldOut => break,
                    Err(refusal) => self.make_room(refusal.outcome)?,
                }
            }
        }
    }

    /// Waits for the disk where the node has no room; anything else is a mistake of ours.
    fn make_room(&self, outcome: Outcome) -> Result<(), Failure> {
        if outcome == Outcome::Overloaded {
            Ok(self.service.wait_durable(self.service.journal().appended())?)
        } else {
            Err(format!("a request was refused: {}", outcome.name()).into())
        }
    }

    fn next_hold(&mut self, now: Timestamp, ttl: Ttl) -> Hold {
        self.drawn += 1;
        let patient = u128::from(mix(self.first + self.drawn)) << 64 | u128::from(self.drawn);
        let session = self.supply.first + u64::from(self.random.below(self.supply.sessions));
        let slot = u16::try_from(self.random.below(self.supply.slots)).unwrap_or(0);
        let random = u128::from(self.random.next()) << 32 | u128::from(self.random.next());
        let slots = SlotChoice::at(SlotIndex(slot));
        let claim = ClaimRequest { session: SessionId(session), count: 1, slots };
        Hold {
            keys: ClientKeys { account: Some(AccountId(!patient)), ..ClientKeys::default() },
            ttl,
            ..Hold::of(
                AppointmentId(RequestId::from_parts(now, random).0),
                PatientId(patient),
                [claim],
            )
        }
    }
}

/// Runs a load beside `work` and says how long its holds took, in µs.
pub(crate) fn beside<T>(
    booker: &mut Booker,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<(Histogram<u64>, T), Failure> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| booker.load(&stop));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let latency = load.join().map_err(|_| "the load panicked")??;
        Ok((latency, done?))
    })
}

/// What was measured in the middle by the mean of before and after.
#[expect(clippy::cast_precision_loss, reason = "microseconds of seconds")]
pub(crate) fn against_rest([before, meanwhile, after]: [u64; 3]) -> f64 {
    2.0 * meanwhile as f64 / (before + after).max(1) as f64
}
