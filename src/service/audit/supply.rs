//! The audit of what happens to sessions by themselves: their places shared out anew.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary.

use super::{Account, AuditReport};
use crate::model::{Claim, QuotasSet, Reclaimed, Returned, Sequence, SessionId, Timestamp};

impl Account {
    /// A freed place stays taken until it comes back.
    pub(super) fn set_out(&mut self, claim: &Claim, slot: u16, until: Timestamp) {
        let key = (claim.session, slot, claim.pool.0, until);
        *self.returning.entry(key).or_default() += 1;
    }

    /// Places come back once, and not before their time.
    pub(super) fn come_back(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        fact: &Returned,
    ) {
        if !self.sessions.contains_key(&fact.session) {
            report.fault(sequence, "places come back to no session");
        }
        for places in &fact.places {
            let cell = (fact.session, places.slot.0, places.pool.0);
            let key = (cell.0, cell.1, cell.2, places.until);
            let left = self.returning.get(&key).and_then(|known| known.checked_sub(places.count));
            let Some(left) = left else {
                report.fault(sequence, "places come back that were not on their way");
                continue;
            };
            self.returning.insert(key, left);
            self.returning.retain(|_, count| *count != 0);
            let taken = self.taken.entry(cell).or_default();
            *taken = taken.saturating_sub(u32::from(places.count));
        }
    }

    /// New quotas: the same sum in every slot, and in every cell not less than is taken.
    pub(super) fn share_out(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        set: &QuotasSet,
    ) {
        let Some(session) = self.sessions.get_mut(&set.session) else {
            return report.fault(sequence, "quotas are set of no session");
        };
        let slots = session.slot_count();
        let shape = set.quotas.len() == session.pools.len()
            && set.quotas.iter().all(|quotas| quotas.len() == slots);
        if !shape {
            return report.fault(sequence, "quotas are set of other pools or slots");
        }
        for slot in 0..slots {
            let sum = |quotas: &mut dyn Iterator<Item = u16>| quotas.map(u64::from).sum::<u64>();
            let before = sum(&mut session.pools.iter().map(|pool| pool.quotas[slot]));
            if before != sum(&mut set.quotas.iter().map(|quotas| quotas[slot])) {
                report.fault(sequence, "the quotas of a slot have another sum than before");
            }
        }
        for (pool, quotas) in session.pools.iter_mut().zip(&set.quotas) {
            pool.quotas.clone_from(quotas);
        }
        self.recount(report, sequence, set.session);
    }

    /// Unused places go to another pool, at the time that the session says.
    pub(super) fn reclaim(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        fact: &Reclaimed,
    ) {
        let Some(session) = self.sessions.get_mut(&fact.session) else {
            return report.fault(sequence, "places go back in no session");
        };
        let giver = session.pools.get(usize::from(fact.from.0));
        if giver.and_then(|pool| pool.terms.reclaim).is_none_or(|it| it.to != fact.to) {
            return report
                .fault(sequence, "places go back that their session leaves where they are");
        }
        if session.slot_count() < fact.places.len() {
            report.fault(sequence, "places go back in a slot that is not there");
        }
        for (pool, gets) in [(fact.from, false), (fact.to, true)] {
            let Some(pool) = session.pools.get_mut(usize::from(pool.0)) else { continue };
            for (quota, places) in pool.quotas.iter_mut().zip(&fact.places) {
                let changed =
                    if gets { quota.checked_add(*places) } else { quota.checked_sub(*places) };
                match changed {
                    Some(changed) => *quota = changed,
                    None => report.fault(sequence, "more places go back than there are"),
                }
            }
            if !gets {
                pool.terms.reclaim = None;
            }
        }
        self.recount(report, sequence, fact.session);
    }

    /// Looks whether a session whose quotas changed has room for what is taken.
    fn recount(&self, report: &mut AuditReport, sequence: Sequence, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        for (pool, index) in session.pools.iter().zip(0_u8..) {
            for (quota, slot) in pool.quotas.iter().zip(0_u16..) {
                let taken = self.taken.get(&(id, slot, index)).copied().unwrap_or_default();
                if u32::from(*quota) < taken {
                    report.oversold += 1;
                    report.fault(sequence, "a pool has fewer places than are taken from it");
                }
            }
        }
    }
}
