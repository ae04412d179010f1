//! The audit of waitlists: who waits, in which order, and that nobody has two offers.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary.

use super::{Account, AuditReport};
use crate::model::{PlaceOffered, RequestId, Sequence, SessionId, WaitDrawn, WaitJoined, WaitLeft};

impl Account {
    /// An entry waits in each of its targets, once for each patient.
    pub(super) fn join(&mut self, report: &mut AuditReport, at: Sequence, fact: &WaitJoined) {
        let entry = &fact.entry;
        for target in &entry.targets {
            self.expect_session(report, at, target.session);
            let waitlist = self.waitlists.entry(target.session).or_default();
            if waitlist.waiters.iter().any(|waiter| waiter.patient == entry.patient) {
                report.fault(at, "a patient waits twice for a session");
            }
            entry.join(target, waitlist);
        }
        let key = (entry.patient, entry.entry);
        if self.waits.insert(key, (entry.clone(), None)).is_some() {
            report.fault(at, "an entry joins twice");
        }
    }

    pub(super) fn draw(&mut self, report: &mut AuditReport, at: Sequence, fact: &WaitDrawn) {
        self.expect_session(report, at, fact.session);
        let waitlist = self.waitlists.entry(fact.session).or_default();
        if waitlist.seed.replace(fact.seed).is_some() {
            report.fault(at, "a waitlist is drawn twice");
        }
    }

    /// An offer is of a place on its way back, to the first whom it suits, who has no other. The hold
    /// that follows takes the place again.
    pub(super) fn offer_place(
        &mut self,
        report: &mut AuditReport,
        at: Sequence,
        fact: &PlaceOffered,
    ) {
        match self.waits.get_mut(&(fact.held.patient, fact.entry)) {
            Some((entry, offer @ None))
                if fact.is_one_place() && entry.sessions() == fact.targets =>
            {
                *offer = Some(fact.held.appointment);
            }
            _ => report.fault(at, "an offer is to nobody who waits, or to one who has an offer"),
        }
        self.mark(fact.entry);
        for claim in &fact.held.claims {
            let cell = (claim.session, claim.slot.0, claim.pool.0);
            let key = (cell.0, cell.1, cell.2, fact.back);
            let left = self.returning.get(&key).and_then(|known| known.checked_sub(1));
            let Some(left) = left else {
                report.fault(at, "a place is offered that was not on its way back");
                continue;
            };
            self.returning.insert(key, left);
            self.returning.retain(|_, count| *count != 0);
            let taken = self.taken.entry(cell).or_default();
            *taken = taken.saturating_sub(1);
        }
    }

    fn mark(&mut self, entry: RequestId) {
        for waiter in self.waitlists.values_mut().flat_map(|list| &mut list.waiters) {
            waiter.is_offered |= waiter.entry == entry;
        }
    }

    pub(super) fn leave_waitlist(
        &mut self,
        report: &mut AuditReport,
        at: Sequence,
        fact: &WaitLeft,
    ) {
        for session in &fact.targets {
            if let Some(waitlist) = self.waitlists.get_mut(session) {
                waitlist.waiters.retain(|waiter| waiter.entry != fact.entry);
            }
        }
        let key = (fact.patient, fact.entry);
        let Some((entry, _)) = self.waits.get_mut(&key) else {
            return report.fault(at, "somebody leaves who did not wait");
        };
        let before = entry.targets.len();
        entry.targets.retain(|target| !fact.targets.contains(&target.session));
        let is_over = entry.targets.is_empty();
        if entry.targets.len() + fact.targets.len() != before {
            report.fault(at, "somebody leaves a waitlist that they were not in");
        }
        if is_over {
            self.waits.remove(&key);
        }
    }

    fn expect_session(&self, report: &mut AuditReport, at: Sequence, session: SessionId) {
        if !self.sessions.contains_key(&session) {
            report.fault(at, "a waitlist is of no session");
        }
    }
}
