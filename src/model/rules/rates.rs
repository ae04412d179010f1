//! How often may who ask, and how channels share a node that cannot do all (限流).
//!
//! ```text
//! rate 100 every minute, burst 100        |####......|  a bucket of 100 tokens, one each request,
//!                                                       100 flow in every minute
//!                        empty: RateLimited until the next token, or blocked for a term
//! ```
//!
//! Source of the form: the platform P8 of `docs/policies/`.
//!
//! **Architecture invariant:** rates are forgettable. Only what the rules say of them is journaled;
//! what was counted is not, so no decision that must be exact or lasting may rest on it.

use super::RuleMode;
use crate::model::actor::{BookingChannel, ChannelSet};
use crate::model::fingerprint::Fingerprint;
use crate::model::limits::{
    BLOCK_MINUTES_MAX, CHANNELS_MAX, RATE_EVERY_SECONDS_MAX, RATE_MAX, RATES_MAX, SHARE_WEIGHT_MAX,
    SHARES_MAX,
};

/// What rules say of admission: who may ask how often, and who has which share of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmissionRule {
    /// How often may be asked, 0 to [`RATES_MAX`]. A request needs a token of each that is about it.
    pub rates: Vec<RateRule>,
    /// How channels share what the node can do, 0 to [`SHARES_MAX`].
    pub shares: Vec<ChannelShare>,
}

/// A bucket of tokens for each key of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRule {
    /// Who has a bucket.
    pub per: RateKey,
    /// Tokens that flow in [every so often](Self::every_seconds), 1 to [`RATE_MAX`].
    pub rate: u32,
    /// In how many seconds they do, 1 to [`RATE_EVERY_SECONDS_MAX`].
    pub every_seconds: u32,
    /// Tokens that fit, 1 to [`RATE_MAX`]: requests that may come at once.
    pub burst: u32,
    /// For how many minutes somebody is blocked who asks with an empty bucket; 0, and always for
    /// connections and channels: not at all. At most [`BLOCK_MINUTES_MAX`].
    pub block_minutes: u16,
    /// Of which channels requests are counted.
    pub channels: ChannelSet,
    /// Whether it refuses.
    pub mode: RuleMode,
}

/// What has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RateKey {
    /// A connection of a gateway.
    Connection = 1,
    /// A booking channel.
    Channel = 2,
    /// An account that is logged in.
    Account = 3,
    /// A patient.
    Patient = 4,
    /// A device.
    Device = 5,
    /// A network address.
    Address = 6,
}

/// The weight of some channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelShare {
    /// Which; a channel that stands in two has the weight of the later.
    pub channels: ChannelSet,
    /// How much of what the node can do each of them has, beside the others that want more than their
    /// share: 1 to [`SHARE_WEIGHT_MAX`]. Who stands in no share has 1.
    pub weight: u16,
}

impl RateKey {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Connection,
        Self::Channel,
        Self::Account,
        Self::Patient,
        Self::Device,
        Self::Address,
    ];

    /// The name in documents and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Channel => "channel",
            Self::Account => "account",
            Self::Patient => "patient",
            Self::Device => "device",
            Self::Address => "address",
        }
    }

    /// Whether it stands for one person or machine, rather than for all who come the same way.
    pub const fn is_personal(self) -> bool {
        !matches!(self, Self::Connection | Self::Channel)
    }
}

impl RateRule {
    const BYTES: usize = 1 + 4 + 4 + 4 + 2 + 8 + 1;

    fn is_sound(&self) -> bool {
        let counts = (1..=RATE_MAX).contains(&self.rate) && (1..=RATE_MAX).contains(&self.burst);
        let blocks = self.block_minutes <= BLOCK_MINUTES_MAX
            && (self.block_minutes == 0 || self.per.is_personal());
        let lasts = (1..=RATE_EVERY_SECONDS_MAX).contains(&self.every_seconds);
        counts && lasts && blocks && self.channels.0 != 0
    }

    fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(u64::from(self.rate) | u64::from(self.burst) << 32);
        print.add(u64::from(self.every_seconds) | u64::from(self.block_minutes) << 32);
        print.add(self.channels.0).add(self.per as u64 | (self.mode as u64) << 8);
    }

    /// A hash of all that it says: what has the same is the same rate.
    pub fn identity(&self) -> u64 {
        let mut print = Fingerprint::new(0);
        self.fingerprint(&mut print);
        print.finish()
    }
}

impl AdmissionRule {
    /// How many bytes it takes at most.
    pub(super) fn weight(&self) -> usize {
        let rates = self.rates.len().saturating_mul(RateRule::BYTES);
        rates.saturating_add(self.shares.len().saturating_mul(10)).saturating_add(3)
    }

    pub(super) fn is_sound(&self) -> bool {
        let fit = self.rates.len() <= RATES_MAX && self.shares.len() <= SHARES_MAX;
        let weighs = |share: &ChannelShare| {
            share.channels.0 != 0 && (1..=SHARE_WEIGHT_MAX).contains(&share.weight)
        };
        fit && self.rates.iter().all(RateRule::is_sound) && self.shares.iter().all(weighs)
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(self.rates.len() as u64 | (self.shares.len() as u64) << 32);
        self.rates.iter().for_each(|rate| rate.fingerprint(print));
        for share in &self.shares {
            print.add(share.channels.0).add(u64::from(share.weight));
        }
    }

    pub(super) fn in_shadow(&mut self) {
        self.rates.iter_mut().for_each(|rate| rate.mode = RuleMode::Shadow);
    }

    /// The weight of every channel.
    pub fn weights(&self) -> [u16; CHANNELS_MAX as usize] {
        let of = |number| {
            let channel = u8::try_from(number).ok().and_then(BookingChannel::new);
            let named = |share: &&ChannelShare| {
                channel.is_some_and(|channel| share.channels.contains(channel))
            };
            self.shares.iter().rev().find(named).map_or(1, |share| share.weight)
        };
        std::array::from_fn(of)
    }
}
