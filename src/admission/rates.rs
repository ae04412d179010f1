//! How often may who ask: the rates in force, and who has asked.
//!
//! ```text
//! rules change -> RateSet, a new generation          one load a request tells whether it is the same
//! request      -> connection, channel                 leases of the stream: on every path
//!              -> account, patient, device, address   the table: where the engine would be asked
//! ```
//!
//! A request takes a token of each rate that is about it, in the order of the document; the first that
//! has none refuses it, and what it took before stays taken. Administrators are not counted: who can
//! put rules in force can always take them back.
//!
//! **Architecture invariant:** volatile, and told the time. No lock is taken on the way of a request
//! but that of one set of the table, and nothing is allocated but when rules change.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrayvec::ArrayVec;
use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

use super::bucket::Limit;
use super::meter::Meter;
use super::table::{SETS, Table, Verdict};
use super::turns::mix;
use crate::model::limits::{CHANNELS_MAX, RATES_MAX};
use crate::model::{
    Actor, AdmissionRule, BookingChannel, ChannelSet, Command, Outcome, RateKey, RateRule, Refusal,
    Role, RuleMode, Timestamp,
};

/// The rates of a node.
#[derive(Debug)]
pub struct Rates {
    published: CachePadded<Published>,
    current: Mutex<Arc<RateSet>>,
    table: OnceLock<Table>,
    /// `SipHash` with keys from the system: nobody can aim at a cell, also who learns who is limited.
    hasher: RandomState,
    /// Spreads the times at which clients are told to come back.
    seed: u64,
    limited: Box<[CachePadded<Stripe>]>,
    uncounted: AtomicU64,
}

/// What a request looks at.
#[derive(Debug)]
struct Published {
    generation: AtomicU64,
    /// When other rules come into force, in milliseconds.
    changes_at: AtomicU64,
}

/// By kind of key, then by mode.
type Stripe = [[AtomicU64; 2]; RateKey::ALL.len()];

/// Rates as they are in force.
#[derive(Debug)]
pub struct RateSet {
    pub(super) generation: u64,
    pub(super) connections: Vec<Rate>,
    pub(super) channels: Vec<(Rate, ChannelLevels)>,
    keyed: Vec<Rate>,
    weights: [u16; CHANNELS_MAX as usize],
}

/// The levels of one rate of channels, for each channel on a line of its own.
pub(super) type ChannelLevels = Arc<[CachePadded<AtomicU64>]>;

/// A rate, compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    key: RateKey,
    limit: Limit,
    channels: ChannelSet,
    mode: RuleMode,
    /// What has the same is the same rate: its buckets outlive a change of the rules.
    identity: u64,
}

/// A request that came too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Whose bucket was empty.
    pub key: RateKey,
    /// When to come back: when a token is there or the block ends, and a little later, for each
    /// request or key another, so that not all come at once.
    pub retry_after_millis: u32,
}

/// Requests that were limited since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateCounts {
    /// By kind of key, then by mode: refused, and those that a rule in shadow would have refused.
    pub limited: [[u64; 2]; RateKey::ALL.len()],
    /// Requests that found no bucket to be counted in.
    pub uncounted: u64,
    /// About how many buckets of persons and machines are not full now.
    pub used: u64,
}

/// Who asks and how, as far as rates go.
struct Asking<'a> {
    now: Timestamp,
    channel: Option<BookingChannel>,
    command: Option<&'a Command>,
}

impl From<Limited> for Refusal {
    fn from(limited: Limited) -> Self {
        Self::for_now(Outcome::RateLimited, limited.retry_after_millis)
    }
}

impl Default for RateSet {
    fn default() -> Self {
        let weights = AdmissionRule::default().weights();
        Self { generation: 0, connections: vec![], channels: vec![], keyed: vec![], weights }
    }
}

impl Default for Rates {
    /// No rates, until somebody looks at the rules.
    fn default() -> Self {
        let (generation, changes_at) = (AtomicU64::new(0), AtomicU64::new(0));
        let hasher = RandomState::new();
        Self {
            seed: hasher.hash_one(0_u64),
            published: CachePadded::new(Published { generation, changes_at }),
            current: Mutex::default(),
            table: OnceLock::new(),
            hasher,
            limited: (0..STRIPES).map(|_| CachePadded::new(Stripe::default())).collect(),
            uncounted: AtomicU64::new(0),
        }
    }
}

impl Rates {
    /// Whether other rules have come into force since somebody looked at them.
    #[inline]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.published.changes_at.load(Ordering::Relaxed) <= now.as_millis()
    }

    /// Follows the rules: what is in force now, and until when. Says the weights of channels.
    pub fn follow(
        &self,
        rule: Option<&AdmissionRule>,
        until: Option<Timestamp>,
    ) -> [u16; CHANNELS_MAX as usize] {
        let mut current = self.current.lock();
        let none = AdmissionRule::default();
        if let Some(set) = current.changed(rule.unwrap_or(&none)) {
            if !set.keyed.is_empty() {
                self.table.get_or_init(|| Table::new(SETS));
            }
            *current = Arc::new(set);
        }
        let until = until.map_or(u64::MAX, Timestamp::as_millis);
        self.published.changes_at.store(until, Ordering::Relaxed);
        self.published.generation.store(current.generation, Ordering::Release);
        current.weights
    }

    /// Takes the tokens of connection and channel that a request needs, on whatever path it is.
    ///
    /// # Errors
    ///
    /// [`Limited`]: one of them was not there.
    #[inline]
    pub fn admit(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &mut Meter,
        (channel, command): (Option<BookingChannel>, Option<&Command>),
    ) -> Result<(), Limited> {
        if self.published.generation.load(Ordering::Acquire) != meter.set.generation {
            meter.follow(Arc::clone(&self.current.lock()));
        }
        if meter.set.counts_ways() && actor.role != Role::Admin {
            return self.admit_way(meter, &Asking { now, channel, command });
        }
        Ok(())
    }

    fn admit_way(&self, meter: &mut Meter, asking: &Asking<'_>) -> Result<(), Limited> {
        let Meter { set, leases } = meter;
        let rates = set.connections.iter().zip(leases.of_connection.iter_mut());
        for ((rate, lease), level) in rates.zip(&leases.connection.levels) {
            if rate.is_about(asking.channel)
                && let Err(wait) = lease.take(asking.now, level, &rate.limit)
            {
                self.refuse(rate, wait, asking.number(&mut leases.asked))?;
            }
        }
        let Some(channel) = asking.channel else { return Ok(()) };
        for ((rate, levels), leases_of) in set.channels.iter().zip(&mut leases.of_channels) {
            if rate.channels.contains(channel)
                && let Some(level) = levels.get(usize::from(channel.number()))
                && let Err(wait) = leases_of.of(channel).take(asking.now, level, &rate.limit)
            {
                self.refuse(rate, wait, asking.number(&mut leases.asked))?;
            }
        }
        Ok(())
    }

    /// Takes the tokens of persons and machines that a command needs before the engine is asked.
    ///
    /// # Errors
    ///
    /// [`Limited`]: one of them was not there.
    #[inline]
    pub fn admit_keys(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &Meter,
        command: &Command,
    ) -> Result<(), Limited> {
        if meter.set.keyed.is_empty() || actor.role == Role::Admin {
            return Ok(());
        }
        let Some(table) = self.table.get() else { return Ok(()) };
        let channel = command.channel();
        let keyed = meter.set.keyed.iter().filter_map(|rate| {
            let key = key_of(command, rate.key).filter(|_| rate.is_about(channel))?;
            let hash = self.hasher.hash_one((rate.identity, key));
            // Their lines of memory come together: taking a lock would wait for one after the other.
            table.touch(hash);
            Some((rate, hash))
        });
        let keyed: ArrayVec<(&Rate, u64), RATES_MAX> = keyed.collect();
        for (rate, hash) in keyed {
            match table.take(hash, now, &rate.limit) {
                Verdict::Passed => {}
                Verdict::Uncounted => {
                    self.uncounted.fetch_add(1, Ordering::Relaxed);
                }
                Verdict::Limited(wait) => self.refuse(rate, wait, hash)?,
            }
        }
        Ok(())
    }

    /// What was counted since the start.
    pub fn counts(&self, now: Timestamp) -> RateCounts {
        let sum = |key: usize, mode: usize| {
            self.limited.iter().map(|stripe| stripe[key][mode].load(Ordering::Relaxed)).sum()
        };
        RateCounts {
            limited: std::array::from_fn(|key| std::array::from_fn(|mode| sum(key, mode))),
            uncounted: self.uncounted.load(Ordering::Relaxed),
            used: self.table.get().map_or(0, |table| table.used(now)),
        }
    }

    #[inline(never)]
    fn refuse(&self, rate: &Rate, wait_millis: u64, number: u64) -> Result<(), Limited> {
        let key = rate.key;
        let stripe = STRIPE.with(|stripe| self.limited.get(*stripe));
        if let Some(stripe) = stripe {
            stripe[key as usize - 1][rate.mode as usize].fetch_add(1, Ordering::Relaxed);
        }
        if rate.mode == RuleMode::Shadow {
            return Ok(());
        }
        let spread = if key.is_personal() { SPREAD_MILLIS_MIN } else { SPREAD_MILLIS };
        let spread = wait_millis / SPREAD_PARTS + spread;
        let later = mix(self.seed ^ number) % spread;
        let retry_after_millis = u32::try_from(wait_millis + later).unwrap_or(u32::MAX);
        Err(Limited { key, retry_after_millis })
    }
}

impl RateSet {
    /// The set that follows this one by a rule, unless it says the same.
    fn changed(&self, rule: &AdmissionRule) -> Option<Self> {
        let mut next = Self { generation: self.generation + 1, ..Self::default() };
        next.weights = rule.weights();
        for said in &rule.rates {
            let rate = Rate::from(said);
            if next.has(rate.identity) {
                continue;
            }
            match rate.key {
                RateKey::Connection => next.connections.push(rate),
                RateKey::Channel => next.channels.push((rate, self.levels_of(&rate))),
                _ => next.keyed.push(rate),
            }
        }
        let same = self.identities().eq(next.identities()) && self.weights == next.weights;
        (!same).then_some(next)
    }

    fn identities(&self) -> impl Iterator<Item = u64> {
        let channels = self.channels.iter().map(|(rate, _)| rate);
        let all = self.connections.iter().chain(channels).chain(&self.keyed);
        all.map(|rate| rate.identity)
    }

    fn has(&self, identity: u64) -> bool {
        self.identities().any(|known| known == identity)
    }

    /// The levels of the same rate, or full ones.
    fn levels_of(&self, rate: &Rate) -> ChannelLevels {
        let known = self.channels.iter().find(|(known, _)| known.identity == rate.identity);
        known.map_or_else(
            || (0..CHANNELS_MAX).map(|_| CachePadded::new(AtomicU64::new(0))).collect(),
            |(_, levels)| Arc::clone(levels),
        )
    }

    const fn counts_ways(&self) -> bool {
        !(self.connections.is_empty() && self.channels.is_empty())
    }
}

impl From<&RateRule> for Rate {
    fn from(rule: &RateRule) -> Self {
        let (key, limit, identity) = (rule.per, Limit::from(rule), rule.identity());
        Self { key, limit, channels: rule.channels, mode: rule.mode, identity }
    }
}

impl Rate {
    /// Whether it is about requests of a channel. One that names all is also about those of none.
    fn is_about(&self, channel: Option<BookingChannel>) -> bool {
        self.channels == ChannelSet::ALL
            || channel.is_some_and(|channel| self.channels.contains(channel))
    }
}

impl Asking<'_> {
    /// A number of the request: the same when it comes again.
    #[expect(clippy::cast_possible_truncation, reason = "the low half of an id is its chance")]
    fn number(&self, asked: &mut u64) -> u64 {
        *asked = asked.wrapping_add(1);
        self.command.map_or(*asked, |command| command.request().0 as u64)
    }
}

/// The key of a kind that a command carries.
fn key_of(command: &Command, key: RateKey) -> Option<u128> {
    match (key, command) {
        (RateKey::Patient, _) => command.patient().map(|patient| patient.0),
        (RateKey::Account, Command::Hold(hold)) => hold.keys.account.map(|account| account.0),
        (RateKey::Account, Command::JoinWaitlist(join)) => join.account.map(|account| account.0),
        (RateKey::Device, Command::Hold(hold)) => hold.keys.device.map(|device| device.0),
        (RateKey::Address, Command::Hold(hold)) => hold.keys.address.map(|address| address.0),
        _ => None,
    }
}

/// Stripes of counters: more than the threads that serve on the machines this runs on.
const STRIPES: usize = 16;

thread_local! {
    /// The stripe of this thread.
    static STRIPE: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES
    };
}

/// By which part of the wait clients are told to come back later than that, and a little more: many
/// wait for the tokens of a connection or a channel, and one for those of its own.
const SPREAD_PARTS: u64 = 8;
const SPREAD_MILLIS: u64 = 1_000;
const SPREAD_MILLIS_MIN: u64 = 20;
