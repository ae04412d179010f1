//! What the people and the ring sent, and how they were refused.

use std::collections::{BTreeMap, BTreeSet};

use haoyuan::model::Outcome;

use super::wire::What;

/// Counts of one part.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) ring_requests: u64,
    /// Of people and of the ring, requests for a place in the first minute of life of an opening.
    pub(crate) first_minute: [u64; 2],
    /// Refusals by outcome, of people and of the ring.
    pub(crate) refusals: [BTreeMap<&'static str, u64>; 2],
    /// Requests that the node had no room for.
    pub(crate) shed: u64,
    /// People whom a rule against scalpers refused something at least once.
    pub(crate) hindered: BTreeSet<u32>,
    pub(crate) hindered_by: BTreeMap<&'static str, u64>,
    pub(crate) joined: u64,
    /// Places that people learned of by a message: won, or offered.
    pub(crate) told_places: u64,
    pub(crate) handovers_tried: u64,
    pub(crate) asked_again: u64,
    /// How late first requests were sent, in µs.
    pub(crate) lag: Vec<u32>,
}

/// Whether a refusal comes from a rule against scalpers.
pub(crate) const fn is_limit(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::RateLimited
            | Outcome::Restricted
            | Outcome::LimitReached
            | Outcome::PersonLimit
            | Outcome::CoolingDown
            | Outcome::WaitLimit
            | Outcome::AccountLimit
    )
}

impl Tally {
    pub(crate) fn count_request(&mut self, is_ring: bool, what: What, is_first_minute: bool) {
        self.requests += 1;
        self.ring_requests += u64::from(is_ring);
        let is_ask = what == What::Hold && is_first_minute;
        self.first_minute[usize::from(is_ring)] += u64::from(is_ask);
    }

    pub(crate) fn count_refusal(&mut self, person: u32, is_ring: bool, outcome: Outcome) {
        *self.refusals[usize::from(is_ring)].entry(outcome.name()).or_default() += 1;
        self.shed += u64::from(outcome == Outcome::Overloaded);
        if is_limit(outcome) && !is_ring {
            self.hindered.insert(person);
            *self.hindered_by.entry(outcome.name()).or_default() += 1;
        }
    }

    /// How late a request was sent that is later than so many of 100, in ms.
    pub(crate) fn lag_millis(&mut self, percent: usize) -> f64 {
        self.lag.sort_unstable();
        let at = self.lag.len() * percent / 100;
        self.lag
            .get(at.min(self.lag.len().saturating_sub(1)))
            .map_or(0.0, |lag| f64::from(*lag) / 1e3)
    }
}
