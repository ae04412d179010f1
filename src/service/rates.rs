//! Requests that are counted: who asks too often is refused before anything else is looked at.
//!
//! ```text
//! rulebook --at each change--> admission::Rates <--a few loads-- requests from outside
//!                         `--> admission::Gate      the weights of channels
//! ```
//!
//! **Architecture invariant:** the rulebook is read when rules change, never for a request.

use super::Service;
use crate::admission::{Limited, Meter, RateCounts, admit_query, channel_of};
use crate::model::{Actor, Answer, Command, Outcome, Query, Reading, Receipt, Timestamp};

impl Service {
    /// Carries out a command that came over a stream, or refuses it: as [`call`](Self::call), or as
    /// [`call_late`](Self::call_late), but no more often than the rates in force allow.
    pub fn call_metered(
        &self,
        arrival: (Timestamp, bool),
        actor: &Actor,
        meter: &mut Meter,
        command: &Command,
    ) -> Answer<Receipt> {
        self.carry_out(arrival, actor, Some(meter), command)
    }

    /// Answers a query that came over a stream, no more often than the rates in force allow.
    pub fn read_metered(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &mut Meter,
        query: &Query,
    ) -> Answer<Reading> {
        let answer = match admit_query(actor, query) {
            Err(outcome) => Answer::refused(outcome),
            Ok(()) => match self.meter(now, actor, meter, query) {
                Err(limited) => Answer::refused(limited),
                Ok(()) => self.look_up(now, actor, query),
            },
        };
        let outcome = answer.result.as_ref().map_or_else(|why| why.outcome, |_| Outcome::Done);
        self.counters.count(query.operation(), outcome);
        answer
    }

    /// What rates refused, and how many buckets are in use.
    pub fn rate_counts(&self, now: Timestamp) -> RateCounts {
        self.rates.counts(now)
    }

    fn meter(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &mut Meter,
        query: &Query,
    ) -> Result<(), Limited> {
        if self.rates.is_due(now) {
            self.follow_rules(now);
        }
        self.rates.admit(now, actor, meter, (channel_of(query), None))
    }

    pub(super) fn meter_command(
        &self,
        now: Timestamp,
        actor: &Actor,
        meter: &mut Meter,
        command: &Command,
    ) -> Result<(), Limited> {
        if self.rates.is_due(now) {
            self.follow_rules(now);
        }
        self.rates.admit(now, actor, meter, (command.channel(), Some(command)))
    }

    /// Looks which rules are in force, and until when.
    #[cold]
    pub(super) fn follow_rules(&self, now: Timestamp) {
        let (rule, until) = self.inventory.admission_rule(now);
        let weights = self.rates.follow(rule.as_ref(), until);
        self.gate.weigh(&weights);
    }
}
