//! What became of the patients who were to come in one stretch of time.
//!
//! **Architecture invariant:** a patient counts where its coming was intended, whenever it was sent
//! and answered: a slow answer does not hide those that would have come meanwhile.

use hdrhistogram::Histogram;

use crate::Failure;

/// Groups of patients between which admission is compared.
pub(crate) const GROUPS: usize = 100;

/// The longest latency that is told apart: a minute.
const MICROS_MAX: u64 = 60_000_000;

/// The patients of one stretch.
#[derive(Clone, Debug)]
pub(crate) struct Cohort {
    /// Who was to come.
    pub(crate) offered: u64,
    /// Who got a hold.
    pub(crate) held: u64,
    /// Who was told to come back.
    pub(crate) shed: u64,
    /// Who was refused otherwise.
    pub(crate) refused: u64,
    /// Who booked within the time to live of the hold.
    pub(crate) booked: u64,
    /// Who held, and could not book.
    pub(crate) lost: u64,
    /// Bookings that were told to come back.
    pub(crate) bookings_shed: u64,
    /// From the intended coming to the acknowledged hold, in µs.
    pub(crate) latency: Histogram<u64>,
    /// From the intended coming to the refusal as overloaded, in µs.
    pub(crate) shed_latency: Histogram<u64>,
    /// From the intended booking to its acknowledgement, in µs.
    pub(crate) booking_latency: Histogram<u64>,
    /// How late the generator sent, in µs.
    pub(crate) lag: Histogram<u64>,
    /// Who was to come, and who got a hold, by group.
    pub(crate) groups: Vec<(u64, u64)>,
    /// The time to come back that was named, summed up, in ms.
    pub(crate) hints_ms: u64,
}

impl Default for Cohort {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, MICROS_MAX, 2)
                .expect("the bounds are constants that a histogram takes")
        };
        Self {
            offered: 0,
            held: 0,
            shed: 0,
            refused: 0,
            booked: 0,
            lost: 0,
            bookings_shed: 0,
            latency: histogram(),
            shed_latency: histogram(),
            booking_latency: histogram(),
            lag: histogram(),
            groups: vec![(0, 0); GROUPS],
            hints_ms: 0,
        }
    }
}

impl Cohort {
    /// Patients whose hold was not answered yet, or whose booking is not settled.
    pub(crate) fn open(&self) -> u64 {
        let unanswered = self.offered - self.held - self.shed - self.refused;
        unanswered + self.held - self.booked - self.lost
    }

    /// Both together.
    pub(crate) fn plus(mut self, other: &Self) -> Result<Self, Failure> {
        for (sum, part) in [
            (&mut self.offered, other.offered),
            (&mut self.held, other.held),
            (&mut self.shed, other.shed),
            (&mut self.refused, other.refused),
            (&mut self.booked, other.booked),
            (&mut self.lost, other.lost),
            (&mut self.bookings_shed, other.bookings_shed),
            (&mut self.hints_ms, other.hints_ms),
        ] {
            *sum += part;
        }
        self.latency.add(&other.latency)?;
        self.shed_latency.add(&other.shed_latency)?;
        self.booking_latency.add(&other.booking_latency)?;
        self.lag.add(&other.lag)?;
        for (sum, part) in self.groups.iter_mut().zip(&other.groups) {
            *sum = (sum.0 + part.0, sum.1 + part.1);
        }
        Ok(self)
    }

    /// How unlike the groups were treated: Pearson's chi-square over [`GROUPS`] groups. Even chance
    /// gives about as much as there are groups; over 160 is one in ten thousand.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn chi_square(&self) -> f64 {
        let (offered, held) =
            self.groups.iter().fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        let share = held as f64 / (offered as f64).max(1.0);
        let term = |(offered, held): &(u64, u64)| {
            let expected = *offered as f64 * share;
            let variance = expected * (1.0 - share);
            if variance <= 0.0 { 0.0 } else { (*held as f64 - expected).powi(2) / variance }
        };
        self.groups.iter().map(term).sum()
    }

    /// The least and the greatest share of a group that was let in, over the mean share.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn extremes(&self) -> (f64, f64) {
        let (offered, held) =
            self.groups.iter().fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        let mean = (held as f64 / (offered as f64).max(1.0)).max(f64::MIN_POSITIVE);
        let shares = self.groups.iter().filter(|group| 0 < group.0);
        let shares = shares.map(|(offered, held)| *held as f64 / *offered as f64 / mean);
        shares.fold((f64::MAX, 0.0), |(least, most), share| (least.min(share), most.max(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_groups_have_a_small_chi_square_and_a_favoured_one_a_large() {
        let mut cohort = Cohort::default();
        cohort.groups.fill((1_000, 100));
        assert!(cohort.chi_square() < 1e-9);
        cohort.groups[7].1 = 300;
        assert!(160.0 < cohort.chi_square(), "{}", cohort.chi_square());
        let (least, most) = cohort.extremes();
        assert!((0.9..1.0).contains(&least) && (2.9..3.0).contains(&most), "{least} {most}");
    }
}
