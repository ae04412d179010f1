//! How channels share what the node can do: each its own part of the ring, by weight and demand.
//!
//! ```text
//! holds in their turn / width of the turn = demand of a channel    (who is out of turn counts nothing)
//!
//! demand   app ##########################   counter ##    kiosk #####
//! level    ------------------------------------------------------------ x weight, so that all that is
//! let in   app #####                        counter ##    kiosk #####     let in is what fits
//! ```
//!
//! What the node can do is told as the share of all demand that fits ([`Control`](super::control)).
//! It is filled in like water: a channel that wants less than its weight's part has all of it, and what
//! it leaves the others share. So a flood in one channel narrows the turn of that channel's patients, and
//! those of another come in as before.
//!
//! **Architecture invariant:** pure: it is told cumulative counts, and is the same for the same story.

use super::turns::Turn;
use crate::model::limits::CHANNELS_MAX;

/// Channels that can be told apart.
pub(super) const CHANNELS: usize = CHANNELS_MAX as usize;

/// What has been learned of the channels.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    channels: [Channel; CHANNELS],
    /// What a weight of one was worth lately; 0 while all fits.
    usual: u64,
}

/// What has been learned of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    weight: u64,
    /// Holds that would come in one look were it everybody's turn, in [`UNIT`]ths.
    demand: u64,
    /// Holds in their turn, when it was looked last.
    seen: u64,
    pub(super) turn: Turn,
    pub(super) pace: u32,
}

impl Default for Channel {
    fn default() -> Self {
        Self { weight: 1, demand: 0, seen: 0, turn: Turn::ALL, pace: u32::MAX }
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self { channels: [Channel::default(); CHANNELS], usual: 0 }
    }
}

impl Shares {
    /// Gives the channels their weights.
    pub(super) fn weigh(&mut self, weights: &[u16; CHANNELS]) {
        for (channel, weight) in self.channels.iter_mut().zip(weights) {
            channel.weight = u64::from(*weight).max(1);
        }
    }

    /// The channels, by number.
    pub(super) const fn channels(&self) -> &[Channel; CHANNELS] {
        &self.channels
    }

    /// Looks at how many holds have come in their turn, by channel, and gives every channel its part:
    /// of all demand `width` in 2^32 fits. In a new epoch turns move on.
    pub(super) fn steer(&mut self, in_turn: &[u64; CHANNELS], width: u32, is_new_epoch: bool) {
        for (channel, count) in self.channels.iter_mut().zip(in_turn) {
            channel.learn(*count);
        }
        let level = (width != u32::MAX).then(|| self.flood_level(width));
        for channel in &mut self.channels {
            channel.turn.width = match level {
                Some(level) if channel.wants_over(self.usual) => channel.width(level, width),
                _ => u32::MAX,
            };
            if is_new_epoch {
                channel.turn = channel.turn.next();
                channel.pace = channel.pace / 4 * 3 + channel.turn.width / 4;
            }
        }
        if level.is_none() {
            self.usual = 0;
        }
    }

    /// What a weight of one is worth to the channels that want more than they usually can have: what
    /// the others leave of what fits now.
    fn flood_level(&mut self, width: u32) -> u64 {
        let fits = scaled(self.channels.iter().map(|channel| channel.demand).sum(), width);
        let level = self.level(fits);
        // What fits goes up and down with the bookings of those who came in. Who wants little does
        // not feel it.
        self.usual = if self.usual == 0 { level } else { (self.usual * 15 + level) / 16 };
        self.usual = self.usual.max(level);
        let given: u64 = self.channels.iter().map(|channel| channel.given(self.usual)).sum();
        let weights: u64 = self.wanting(self.usual).map(|channel| channel.weight).sum();
        fits.saturating_sub(given) / weights.max(1)
    }

    /// What a weight of one is worth: with it, all that comes in is as much as fits.
    fn level(&self, fits: u64) -> u64 {
        let mut weights: u64 = self.wanting(0).map(|channel| channel.weight).sum();
        let mut level = fits / weights.max(1);
        // Each time somebody has enough, the level rises; after as many times as there are channels
        // nobody is left.
        for _ in 0..CHANNELS {
            let above = self.wanting(level).map(|channel| channel.weight).sum();
            if above == 0 || above == weights {
                break;
            }
            weights = above;
            let given: u64 = self.channels.iter().map(|channel| channel.given(level)).sum();
            level = level.max(fits.saturating_sub(given) / weights);
        }
        level
    }

    fn wanting(&self, level: u64) -> impl Iterator<Item = &Channel> {
        self.channels.iter().filter(move |channel| channel.wants_over(level))
    }
}

impl Channel {
    /// What it wants, where that is no more than its part.
    const fn given(&self, level: u64) -> u64 {
        if self.wants_over(level) { 0 } else { self.demand }
    }

    const fn wants_over(&self, level: u64) -> bool {
        level.saturating_mul(self.weight) < self.demand
    }

    /// Learns from how many came in their turn what would come were it everybody's. It rises fast,
    /// since a flood comes at once, and falls slowly, since few come in a narrow turn by chance.
    fn learn(&mut self, in_turn: u64) {
        let came = in_turn.saturating_sub(self.seen).saturating_mul(UNIT);
        self.seen = in_turn;
        let width = u64::from(self.turn.width.max(1));
        let whole = u64::from(u32::MAX);
        let told = u128::from(came) * u128::from(whole) / u128::from(width);
        let told = u64::try_from(told).unwrap_or(u64::MAX).min(DEMAND_MAX);
        self.demand = if self.demand.saturating_mul(2) < told {
            u64::midpoint(self.demand, told)
        } else {
            (self.demand * 7 + told) / 8
        };
    }

    /// How wide its turn is at a level.
    fn width(&self, level: u64, most_narrow: u32) -> u32 {
        let part = u128::from(level.saturating_mul(self.weight)) * u128::from(u32::MAX);
        let width = u32::try_from(part / u128::from(self.demand.max(1))).unwrap_or(u32::MAX);
        // Narrower would only take longer to widen.
        width.clamp((most_narrow / NARROWER).max(WIDTH_MIN), u32::MAX - 1)
    }
}

/// A part of a number, in 2^32.
fn scaled(number: u64, part: u32) -> u64 {
    let scaled = u128::from(number) * u128::from(part) / u128::from(u32::MAX);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Parts of a hold in which demand is counted.
const UNIT: u64 = 1 << 10;

/// More than any node is asked in a look, times the narrowest turn; sums stay in 64 bits.
const DEMAND_MAX: u64 = 1 << 50;

/// How much narrower than the node's turn a channel's may be: a flood a hundred times what fits.
const NARROWER: u32 = 128;

/// The narrowest turn.
const WIDTH_MIN: u32 = u32::MAX >> 16;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: u64 = 1_000_000;

    /// Looks until it has settled, with so many patients of each of three channels a look; says how
    /// many of them are in their turn.
    fn settled(weights: [u16; 3], asking: [u64; 3], width: u32) -> [u64; 3] {
        let mut shares = Shares::default();
        let mut all = [1; CHANNELS];
        all[..3].copy_from_slice(&weights);
        shares.weigh(&all);
        let mut in_turn = [0; CHANNELS];
        let part = |shares: &Shares, number: usize| {
            scaled(asking[number], shares.channels[number].turn.width)
        };
        for look in 0..200 {
            for (number, count) in in_turn.iter_mut().enumerate().take(3) {
                *count += part(&shares, number);
            }
            shares.steer(&in_turn, width, look % 10 == 0);
        }
        std::array::from_fn(|number| part(&shares, number))
    }

    #[test]
    fn what_fits_is_shared_by_weight_and_what_one_leaves_goes_to_the_others() {
        let half = u32::MAX / 2;
        for (weights, asking, width, expected) in [
            // Everybody alike.
            ([1, 1, 1], [MILLION; 3], half, [500_000; 3]),
            // A flood in one channel does not touch the others.
            ([1, 1, 1], [8 * MILLION, MILLION, MILLION], half, [3 * MILLION, MILLION, MILLION]),
            // By weight where all want more.
            ([3, 1, 1], [4 * MILLION; 3], half, [3_600_000, 1_200_000, 1_200_000]),
            // Who wants less than its weight's part leaves the rest.
            ([8, 1, 1], [MILLION, 4 * MILLION, 3 * MILLION], half, [MILLION, 1_500_000, 1_500_000]),
            // One channel alone has all that fits.
            ([1, 9, 9], [MILLION, 0, 0], half, [500_000, 0, 0]),
            // All fits.
            ([1, 9, 9], [9 * MILLION, 1, 2], u32::MAX, [9 * MILLION, 1, 2]),
        ] {
            let found = settled(weights, asking, width);
            for (found, expected) in found.iter().zip(expected) {
                let off = found.abs_diff(expected);
                assert!(off <= expected / 100 + 1, "{weights:?} {asking:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn who_asks_out_of_turn_changes_nothing() {
        let mut shares = Shares::default();
        let mut in_turn = [0; CHANNELS];
        let mut widths = Vec::new();
        for _ in 0..100 {
            // A tenth of a thousand patients is in turn, and asks; the others ask in vain.
            in_turn[4] += scaled(1_000, shares.channels[4].turn.width);
            shares.steer(&in_turn, u32::MAX / 10, false);
            widths.push(shares.channels[4].turn.width);
        }
        let last = widths[99];
        assert!(last.abs_diff(u32::MAX / 10) < u32::MAX / 500, "{last}");
    }

    #[test]
    fn a_turn_goes_round_at_the_pace_of_its_own_width() {
        let mut shares = Shares::default();
        let mut in_turn = [0; CHANNELS];
        for look in 0..1_000 {
            for (number, asking) in [(0, 100_000), (1, 10)] {
                in_turn[number] += scaled(asking, shares.channels[number].turn.width);
            }
            let before = shares.channels[0].turn;
            shares.steer(&in_turn, u32::MAX / 100, look % 10 == 0);
            let after = shares.channels[0].turn;
            let moved = after.start.wrapping_sub(before.start);
            assert_eq!(moved, if look % 10 == 0 { after.width / 2 } else { 0 });
        }
        assert!(shares.channels[1].turn.is_for_all());
    }
}
