//! How fair it was: shares, what chance would give, and whether who came early won more often.
//!
//! **Architecture invariant:** pure; every measure is a number that somebody can work out again from the
//! journal.

use super::crowd::Crowd;
use super::ledger::Ledger;
use crate::report::float;

/// Shares of winners against shares of entries, over all draws.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lots {
    pub(crate) entries: u64,
    pub(crate) ring_entries: u64,
    pub(crate) winners: u64,
    pub(crate) ring_winners: u64,
    /// What the ring would win of even lots on average, and how that varies.
    pub(crate) expected: f64,
    pub(crate) variance: f64,
}

impl Lots {
    /// Adds a draw: so many of so many were the ring's, of entries and of winners.
    pub(crate) fn add(&mut self, entries: [u64; 2], winners: [u64; 2]) {
        let ([all, ring], [drawn, ring_drawn]) = (entries, winners);
        self.entries += all;
        self.ring_entries += ring;
        self.winners += drawn;
        self.ring_winners += ring_drawn;
        if all == 0 {
            return;
        }
        // Drawn without putting back: hypergeometric.
        let (all, share, drawn) = (float(all), share(ring, all), float(drawn));
        self.expected += drawn * share;
        if 1.0 < all {
            self.variance += drawn * share * (1.0 - share) * (all - drawn) / (all - 1.0);
        }
    }

    /// Adds the draw of an opening.
    pub(crate) fn add_ledger(&mut self, ledger: &Ledger, crowd: &Crowd) {
        let both = |ring: usize, all: usize| [all as u64, ring as u64];
        let ring_of = |people: &mut dyn Iterator<Item = u32>| {
            people.filter(|person| crowd.is_ring(*person)).count()
        };
        let entered = ring_of(&mut ledger.entries.iter().copied());
        let drawn = ring_of(&mut ledger.drawn.iter().copied());
        self.add(both(entered, ledger.entries.len()), both(drawn, ledger.drawn.len()));
    }

    /// What even lots would give the ring of what was drawn.
    pub(crate) fn expected_share(&self) -> f64 {
        self.expected / float(self.winners.max(1))
    }

    /// By how many standard deviations the ring won more than even lots give.
    pub(crate) fn sigmas(&self) -> Option<f64> {
        let deviation = self.variance.sqrt();
        (0.0 < deviation).then(|| (float(self.ring_winners) - self.expected) / deviation)
    }
}

/// A part of a whole; 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// The chance that of a winner and a loser the winner came first, over pairs within one opening: 0.5 where
/// coming early is no advantage, 1 where only the first win.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Auc {
    pairs: f64,
    first: f64,
    /// Of the pairs that the winner came first in, were winning left to chance.
    variance: f64,
}

impl Auc {
    /// Adds an opening: who came, in order of arrival, and whether they won.
    pub(crate) fn add(&mut self, won: impl IntoIterator<Item = bool>) {
        let (mut winners, mut losers, mut first) = (0_u64, 0_u64, 0_u64);
        for won in won {
            if won {
                winners += 1;
            } else {
                losers += 1;
                first += winners;
            }
        }
        let pairs = float(winners * losers);
        self.pairs += pairs;
        self.first += float(first);
        // Mann and Whitney's.
        self.variance += pairs * float(winners + losers + 1) / 12.0;
    }

    /// How far chance alone brings it from 0.5: one standard deviation.
    pub(crate) fn deviation(&self) -> Option<f64> {
        (0.0 < self.pairs).then(|| self.variance.sqrt() / self.pairs)
    }

    pub(crate) fn value(&self) -> Option<f64> {
        (0.0 < self.pairs).then(|| self.first / self.pairs)
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_is_one_where_the_first_win_and_a_half_where_it_makes_no_difference() {
        for (won, expected) in [
            (vec![true, true, false, false], Some(1.0)),
            (vec![false, false, true, true], Some(0.0)),
            (vec![true, false, false, true], Some(0.5)),
            (vec![true, true], None),
            (vec![], None),
        ] {
            let mut auc = Auc::default();
            auc.add(won.clone());
            assert_eq!(auc.value(), expected, "{won:?}");
        }
    }

    #[test]
    fn chance_brings_the_auc_of_many_draws_less_far_from_a_half() {
        let mut auc = Auc::default();
        let won = |place: u32| place.is_multiple_of(103);
        (0..200).for_each(|_| auc.add((0..2_050).map(won)));
        let deviation = auc.deviation().unwrap();
        assert!((deviation - 0.0046).abs() < 0.000_1, "{deviation}");
        assert_eq!(Auc::default().deviation(), None);
    }

    #[test]
    fn lots_vary_as_without_putting_back() {
        let mut lots = Lots::default();
        // 20 of 2,050 are drawn; 50 are the ring's.
        (0..200).for_each(|_| lots.add([2_050, 50], [20, 1]));
        assert!((lots.expected - 97.56).abs() < 0.01, "{}", lots.expected);
        assert!((lots.variance.sqrt() - 9.71).abs() < 0.01, "{}", lots.variance.sqrt());
        assert!(lots.sigmas().is_some_and(|sigmas| 10.0 < sigmas));
        let mut all = Lots::default();
        all.add([20, 5], [20, 5]);
        assert_eq!(all.sigmas(), None);
    }

    #[test]
    fn a_median_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
