//! Who asks too often for what is not to be had: looked up without the locks of shards, and written down
//! under that of one ledger.
//!
//! **Architecture invariant:** what is counted in between is not known here, and may be forgotten.

use super::Inventory;
use super::group::Group;
use crate::engine::{Prober, Refused, decide_probed, prober};
use crate::model::{Facts, Hold, RuleKey, Sequence, Timestamp};
#[cfg(test)]
use crate::model::{Past, PatientId};

impl Inventory {
    /// Tells whether the rules in force count who probes, and when others come into force. No rules are
    /// put in force while it is told.
    pub fn tell_probing(&self, now: Timestamp, tell: impl FnOnce(bool, Option<Timestamp>)) {
        let book = self.rules.read();
        let later = book.state.versions().find(|other| now < other.from);
        tell(book.state.in_force(now).says(RuleKey::Probing), later.map(|other| other.from));
    }

    /// By which rule the refusal of a hold is counted, and of whom.
    pub fn prober(&self, now: Timestamp, hold: &Hold) -> Option<Prober> {
        let place = self.directory.stay(hold.claims.first()?.session)?.place;
        let found = prober(self.rules.read().state.in_force(now), &place, hold)?;
        Some(Prober { who: self.person(found.who), ..found })
    }

    /// What is kept of somebody that is over, newest first.
    #[cfg(test)]
    pub fn past_of(&self, key: PatientId) -> Vec<Past> {
        let (ledger, person) = self.ledgers.lock_person(key);
        ledger.state.past(person).collect()
    }

    /// Writes down that somebody was refused so often, a hold being the last, and what follows.
    pub fn note_probed(
        &self,
        now: Timestamp,
        hold: &Hold,
        refused: &Refused,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Option<Sequence> {
        self.unasked(now, |context| {
            let mut group = Group::of_nothing();
            group.lock_ledger(&self.ledgers, refused.who);
            group.lock_sessions(&self.sessions, hold.claims.iter().take(1).map(|it| it.session));
            let facts = group.view(|view| decide_probed(view, context, hold, refused))?;
            Some(self.carry_out(&mut group, context, facts, append))
        })
    }
}
