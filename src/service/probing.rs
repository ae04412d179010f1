//! Refusals that are counted, because nothing was to be had: who asks too often is written down.
//!
//! ```text
//! refused: sold out, or not open yet --rules ask?--> counted --as many as the rule says--> Probed
//! ```
//!
//! **Architecture invariant:** the refusal is decided before, without a lock where it can be, and told as
//! it is. Where no rule in force asks, one word is read. A count that finds no room in the journal is
//! lost: probing is what a node has too much of.

use super::Service;
use crate::engine::{Prober, Refused};
use crate::journal::Lane;
use crate::model::{Hold, Outcome, Timestamp};

impl Service {
    /// Counts the refusal of a hold, if rules ask.
    #[inline]
    pub(super) fn count_refusal(&self, now: Timestamp, hold: &Hold, outcome: Outcome) {
        if outcome.says_nothing_is_there() && self.probes.is_asked(now) != Some(false) {
            self.count_probe(now, hold);
        }
    }

    #[cold]
    fn count_probe(&self, now: Timestamp, hold: &Hold) {
        if self.probes.is_asked(now).is_none() {
            self.inventory.tell_probing(now, |is_asked, until| self.probes.follow(is_asked, until));
        }
        if self.probes.is_asked(now) != Some(true) {
            return;
        }
        let Some(Prober { who, rule, by }) = self.inventory.prober(now, hold) else { return };
        let request = hold.appointment.request();
        let told = self.probes.count(now, (who, by), request, rule);
        let Some((count, since)) = told.filter(|_| self.is_serving()) else { return };
        let Some(permit) = self.journal.reserve(Lane::Upkeep) else { return };
        let refused = Refused { who, by, count, since };
        // Nothing is told of it: the refusal rests on no record.
        let _noted = self.inventory.note_probed(now, hold, &refused, self.append(permit, now));
    }
}
