//! What an open loop says, and whether it may be believed.
//!
//! **Architecture invariant:** fields are added, never renamed: other tools read them.

use std::collections::BTreeMap;

use haoyuan::model::Outcome;
use serde::Serialize;

use super::generator::{Counted, Offer};
use crate::load::Kind;
use crate::series::Slice;
use crate::throughput::Account;
use crate::{Failure, usage};

/// Over this lag at p99 the generator fell behind, in µs.
const LAG_MAX_MICROS: u64 = 10_000;

/// Processor time and memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) server_cpu: Option<f64>,
    pub(super) client_cpu: Option<f64>,
    pub(super) rss_bytes: Option<u64>,
}

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) arrivals: &'static str,
    pub(super) mix: &'static str,
    /// The most in a second that was asked for.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    /// Requests that were due, in a second.
    pub(super) offered_per_second: f64,
    /// Of them, those that were sent.
    pub(super) achieved_per_second: f64,
    /// Of them, those that were answered.
    pub(super) answered_per_second: f64,
    /// Of them, those that were carried out.
    pub(super) accepted_per_second: f64,
    pub(super) offered: u64,
    /// Not sent, because too many were under way.
    pub(super) unsent: u64,
    pub(super) unanswered: u64,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    /// From the intended instant to the answer.
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) p999_us: u64,
    pub(super) max_us: u64,
    /// How late the generator was.
    pub(super) lag_p50_us: u64,
    pub(super) lag_p99_us: u64,
    pub(super) lag_max_us: u64,
    pub(super) generator_fell_behind: bool,
    pub(super) valid: bool,
    /// Why it is not.
    pub(super) why: Vec<String>,
    pub(super) server_cpu: Option<f64>,
    pub(super) client_cpu: Option<f64>,
    pub(super) rss_mb: Option<f64>,
    pub(super) oversold: u64,
    pub(super) slots_that_differ: u64,
    pub(super) connections: u32,
    pub(super) threads: u32,
    pub(super) processors: usize,
    pub(super) seed: u64,
    pub(super) series: Vec<Slice>,
}

impl Report {
    /// Works out the figures.
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub(super) fn new(
        offer: &Offer,
        counted: &Counted,
        used: Used,
        account: Account,
    ) -> Result<Self, Failure> {
        let all = counted.tally.all_latencies()?;
        let lag = |share| counted.lag.value_at_quantile(share);
        let per_second = |count: u64| count as f64 / offer.seconds;
        let outcomes = outcomes(counted);
        let why = doubts(counted);
        Ok(Self {
            arrivals: offer.arrivals.name(),
            mix: offer.plan.mix.name(),
            rate: offer.rate,
            seconds: offer.seconds,
            offered_per_second: per_second(counted.offered),
            achieved_per_second: per_second(counted.offered - counted.unsent),
            answered_per_second: per_second(all.len()),
            accepted_per_second: per_second(
                outcomes.get(Outcome::Done.name()).copied().unwrap_or_default(),
            ),
            offered: counted.offered,
            unsent: counted.unsent,
            unanswered: counted.unanswered,
            outcomes,
            p50_us: all.value_at_quantile(0.5),
            p99_us: all.value_at_quantile(0.99),
            p999_us: all.value_at_quantile(0.999),
            max_us: all.max(),
            lag_p50_us: lag(0.5),
            lag_p99_us: lag(0.99),
            lag_max_us: counted.lag.max(),
            generator_fell_behind: LAG_MAX_MICROS < lag(0.99),
            valid: why.is_empty(),
            why,
            server_cpu: used.server_cpu,
            client_cpu: used.client_cpu,
            rss_mb: used.rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
            oversold: account.oversold,
            slots_that_differ: account.slots_that_differ,
            connections: offer.plan.connections,
            threads: offer.plan.threads,
            processors: usage::processors(),
            seed: offer.plan.seed,
            series: counted.tally.series.slices(),
        })
    }

    /// One JSON object, or some lines for people.
    #[expect(clippy::print_stdout, reason = "this is what the tool is for")]
    pub(super) fn show(&self, json: bool) -> Result<(), Failure> {
        if json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            println!("{}", self.table());
        }
        Ok(())
    }

    fn table(&self) -> String {
        let maybe =
            |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |it| format!("{it:.2}"));
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let verdict = if self.valid {
            "valid        yes".to_owned()
        } else {
            format!("NOT VALID    {}", self.why.join("; "))
        };
        [
            format!("{}, {}, up to {:.0}/s for {} s", self.arrivals, self.mix, self.rate, self.seconds),
            format!(
                "offered      {:.0}/s, achieved {:.0}/s, answered {:.0}/s, accepted {:.0}/s",
                self.offered_per_second,
                self.achieved_per_second,
                self.answered_per_second,
                self.accepted_per_second
            ),
            format!(
                "latency      p50 {} us, p99 {} us, p99.9 {} us, longest {} us, from the intended instant",
                self.p50_us, self.p99_us, self.p999_us, self.max_us
            ),
            format!(
                "generator    late by {} us at p50, {} us at p99, {} us at most",
                self.lag_p50_us, self.lag_p99_us, self.lag_max_us
            ),
            format!("outcomes     {}", outcomes.join(", ")),
            format!("lost         {} not sent, {} not answered", self.unsent, self.unanswered),
            format!(
                "processors   node {}, generator {}, of {}",
                maybe(self.server_cpu),
                maybe(self.client_cpu),
                self.processors
            ),
            format!("account      oversold {}, {} slots differ", self.oversold, self.slots_that_differ),
            verdict,
        ]
        .join("\n")
    }
}

fn outcomes(counted: &Counted) -> BTreeMap<&'static str, u64> {
    let count = |outcome: &Outcome| {
        Kind::ALL.iter().map(|kind| counted.tally.answers(*kind, *outcome)).sum::<u64>()
    };
    let named = Outcome::ALL.iter().map(|outcome| (outcome.name(), count(outcome)));
    named.filter(|(_, count)| 0 < *count).collect()
}

/// Why a run must not be believed.
fn doubts(counted: &Counted) -> Vec<String> {
    let mut doubts = Vec::new();
    let lag = counted.lag.value_at_quantile(0.99);
    if LAG_MAX_MICROS < lag {
        doubts.push(format!(
            "the generator fell behind: a hundredth of the requests went out over {} ms late; ask for less, or give it more threads",
            lag / 1_000
        ));
    }
    if 0 < counted.unsent {
        doubts.push(format!(
            "{} requests were not sent, because too many were under way: the node takes less",
            counted.unsent
        ));
    }
    if 0 < counted.unanswered {
        doubts.push(format!("{} requests were not answered in time", counted.unanswered));
    }
    if counted.offered == 0 {
        doubts.push("nobody came".to_owned());
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_doubted_for_each_thing_that_went_wrong() {
        let sound = || {
            let mut counted = Counted::new(1).unwrap();
            counted.offered = 1_000;
            counted.lag.record_n(500, 1_000).unwrap();
            counted
        };
        assert_eq!(doubts(&sound()), Vec::<String>::new());
        for (unsent, unanswered, late, why) in
            [(1, 0, 0, "not sent"), (0, 1, 0, "not answered"), (0, 0, 20, "fell behind")]
        {
            let mut counted = sound();
            (counted.unsent, counted.unanswered) = (unsent, unanswered);
            counted.lag.record_n(50_000, late).unwrap();
            assert!(doubts(&counted)[0].contains(why), "{why}");
        }
        assert!(doubts(&Counted::new(1).unwrap())[0].contains("nobody"));
    }
}
