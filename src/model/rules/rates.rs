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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        CivilTime, ClassSet, OrganizationId, RuleCondition, RuleLayer, RuleScope, Rules, RulesFault,
    };

    fn rate() -> RateRule {
        RateRule {
            per: RateKey::Address,
            rate: 100,
            every_seconds: 60,
            burst: 100,
            block_minutes: 60,
            channels: ChannelSet::ALL,
            mode: RuleMode::Enforce,
        }
    }

    fn layer(rates: Vec<RateRule>) -> RuleLayer {
        let admission = Some(AdmissionRule { rates, shares: Vec::new() });
        RuleLayer { admission, ..RuleLayer::default() }
    }

    #[test]
    fn rates_are_said_for_the_region_and_within_their_ranges() {
        let shared = |channels, weight| {
            let shares = vec![ChannelShare { channels: ChannelSet(channels), weight }];
            let admission = Some(AdmissionRule { rates: vec![], shares });
            RuleLayer { admission, ..RuleLayer::default() }
        };
        let of = |change: fn(&mut RateRule)| {
            let mut rate = rate();
            change(&mut rate);
            layer(vec![rate])
        };
        let few = RuleCondition { classes: ClassSet(1), ..RuleCondition::default() };
        let near = RuleScope::Organization(OrganizationId(1));
        for (layer, is_sound) in [
            (layer(vec![rate()]), true),
            (layer(vec![rate(); RATES_MAX]), true),
            (layer(vec![rate(); RATES_MAX + 1]), false),
            (RuleLayer { scope: near, ..layer(vec![rate()]) }, false),
            (RuleLayer { when: few, ..layer(vec![rate()]) }, false),
            (of(|rate| rate.rate = 0), false),
            (of(|rate| rate.rate = RATE_MAX), true),
            (of(|rate| rate.rate = RATE_MAX + 1), false),
            (of(|rate| rate.burst = 0), false),
            (of(|rate| rate.burst = RATE_MAX + 1), false),
            (of(|rate| rate.every_seconds = 0), false),
            (of(|rate| rate.every_seconds = RATE_EVERY_SECONDS_MAX + 1), false),
            (of(|rate| rate.block_minutes = BLOCK_MINUTES_MAX + 1), false),
            (of(|rate| rate.per = RateKey::Connection), false),
            (of(|rate| (rate.per, rate.block_minutes) = (RateKey::Channel, 0)), true),
            (of(|rate| rate.channels = ChannelSet(0)), false),
            (shared(1, 1), true),
            (shared(1, SHARE_WEIGHT_MAX + 1), false),
            (shared(1, 0), false),
            (shared(0, 1), false),
        ] {
            let civil = CivilTime::default();
            let rules = Rules { civil, layers: vec![layer.clone()], ..Rules::none() };
            let expected = if is_sound { Ok(()) } else { Err(RulesFault::Rates) };
            assert_eq!(rules.check(), expected, "{layer:?}");
        }
    }

    #[test]
    fn a_channel_has_the_weight_of_the_last_share_that_names_it_and_one_without() {
        let share = |channels, weight| ChannelShare { channels: ChannelSet(channels), weight };
        let shares = vec![share(0b110, 5), share(0b010, 2)];
        let weights = AdmissionRule { rates: vec![], shares }.weights();
        assert_eq!(weights[..4], [1, 2, 5, 1]);
    }

    #[test]
    fn the_last_layer_of_the_region_that_says_something_counts() {
        let other = RateRule { rate: 7, ..rate() };
        let layers = vec![layer(vec![rate()]), layer(vec![other]), RuleLayer::default()];
        let rules = Rules { layers, ..Rules::none() };
        assert_eq!(rules.admission().map(|rule| rule.rates.clone()), Some(vec![other]));
        let shadow = rules.in_shadow();
        let modes = shadow.layers.iter().filter_map(|layer| layer.admission.as_ref());
        assert!(modes.flat_map(|rule| &rule.rates).all(|rate| rate.mode == RuleMode::Shadow));
    }

    #[test]
    fn whatever_a_rate_says_makes_another_one() {
        let other = RateRule { per: RateKey::Device, ..rate() };
        let mut all = std::collections::BTreeSet::from([rate().identity(), other.identity()]);
        for change in [
            |rate: &mut RateRule| rate.rate = 1,
            |rate: &mut RateRule| rate.burst = 1,
            |rate: &mut RateRule| rate.every_seconds = 1,
            |rate: &mut RateRule| rate.block_minutes = 1,
            |rate: &mut RateRule| rate.channels = ChannelSet(1),
            |rate: &mut RateRule| rate.mode = RuleMode::Shadow,
        ] {
            let mut rate = rate();
            change(&mut rate);
            assert!(all.insert(rate.identity()), "{rate:?}");
        }
    }
}
