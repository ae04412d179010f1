//! The demonstration's own account: what the node acknowledged, compared with its journal.
//!
//! **Architecture invariant:** the account is made of answers only. It knows nothing of the node's
//! state, so that their agreement means something.

use hashbrown::HashMap;

use crate::model::{
    AppointmentId, AppointmentStatus, Cause, Claims, Ended, Fact, Facts, PoolIndex, SessionId,
    SlotIndex,
};

/// What was acknowledged of an appointment last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// It is held. What becomes of it, its deadline decides.
    Held,
    /// It is booked.
    Booked,
    /// Its hold was given up.
    Released,
    /// It was cancelled.
    Cancelled,
}

/// Every appointment that the node acknowledged.
#[derive(Debug, Default)]
pub(super) struct Account {
    appointments: HashMap<AppointmentId, Acknowledged, foldhash::fast::FixedState>,
    /// Requests that nobody answered: they may have been carried out or not.
    pub(super) unanswered: u64,
}

/// What a journal says, as far as the account can be compared with it.
#[derive(Debug, Default)]
pub(super) struct Story {
    states: HashMap<AppointmentId, (AppointmentStatus, Cause), foldhash::fast::FixedState>,
    quotas: HashMap<(SessionId, SlotIndex, PoolIndex), u64, foldhash::fast::FixedState>,
    held: HashMap<(SessionId, SlotIndex, PoolIndex), u64, foldhash::fast::FixedState>,
}

impl Account {
    /// Notes an answer.
    pub(super) fn note(&mut self, id: AppointmentId, what: Acknowledged) {
        self.appointments.insert(id, what);
    }

    /// How many appointments were acknowledged last as that.
    pub(super) fn count(&self, what: Acknowledged) -> u64 {
        self.appointments.values().filter(|found| **found == what).count() as u64
    }

    /// Where account and journal disagree, the first of it in a sentence.
    pub(super) fn disagreement(&self, story: &Story) -> Option<String> {
        let differs = self.appointments.iter().find_map(|(id, what)| {
            let found = story.states.get(id).copied();
            let agrees = match (what, found) {
                (Acknowledged::Held, Some((status, cause))) => {
                    status == AppointmentStatus::Pending || cause == Cause::Expired
                }
                (Acknowledged::Booked, Some((status, _))) => status == AppointmentStatus::Booked,
                (Acknowledged::Released, Some((_, cause))) => cause == Cause::Released,
                (Acknowledged::Cancelled, Some((_, cause))) => cause == Cause::Cancelled,
                (_, None) => false,
            };
            let id = crate::cli::ids::uuid(id.0);
            (!agrees)
                .then(|| format!("{id} was acknowledged as {what:?}, the journal says {found:?}"))
        });
        if differs.is_some() || self.unanswered != 0 {
            return differs;
        }
        let (acknowledged, journaled) = (self.appointments.len(), story.states.len());
        (acknowledged != journaled).then(|| {
            format!("{acknowledged} appointments were acknowledged, the journal has {journaled}")
        })
    }
}

impl Story {
    /// Adds a record.
    pub(super) fn add(&mut self, facts: &Facts) {
        for fact in facts {
            match fact {
                Fact::SessionOpened(opened) => {
                    for (pool, number) in opened.session.pools.iter().zip(0..) {
                        for (quota, slot) in pool.quotas.iter().zip(0..) {
                            let cell = (opened.session.id, SlotIndex(slot), PoolIndex(number));
                            self.quotas.insert(cell, u64::from(*quota));
                        }
                    }
                }
                Fact::Held(held) => {
                    self.states.insert(held.appointment, (AppointmentStatus::Pending, Cause::None));
                    self.take(&held.claims);
                }
                Fact::Offered(offered) => {
                    let held = &offered.held;
                    self.states.insert(held.appointment, (AppointmentStatus::Pending, Cause::None));
                    self.take(&held.claims);
                }
                Fact::Booked(booked) => {
                    let state = (AppointmentStatus::Booked, Cause::None);
                    self.states.insert(booked.appointment, state);
                }
                Fact::Ended(ended) => self.end(ended),
                Fact::Freed(freed) => self.end(&freed.ended),
                _ => {}
            }
        }
    }

    /// Places that were taken, came back, and were taken again.
    pub(super) fn resold(&self) -> u64 {
        let again = |(cell, held): (_, &u64)| {
            held.saturating_sub(self.quotas.get(cell).copied().unwrap_or(0))
        };
        self.held.iter().map(again).sum()
    }

    fn end(&mut self, ended: &Ended) {
        let state = (AppointmentStatus::Cancelled, ended.cause);
        self.states.insert(ended.appointment, state);
    }

    fn take(&mut self, claims: &Claims) {
        for claim in claims {
            for slot in (claim.slot.0..).take(claim.count.into()) {
                let cell = (claim.session, SlotIndex(slot), claim.pool);
                *self.held.entry(cell).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Booked, PatientId, PaymentRef, RequestId};

    const ID: AppointmentId = AppointmentId(7);

    fn story(facts: &[Fact]) -> Story {
        let mut story = Story::default();
        for fact in facts {
            story.add(&std::iter::once(fact.clone()).collect());
        }
        story
    }

    fn booked() -> Fact {
        let payment = PaymentRef(1);
        Fact::Booked(Booked { request: RequestId(1), fingerprint: 0, appointment: ID, payment })
    }

    fn ended(cause: Cause) -> Fact {
        Fact::Ended(Ended {
            request: None,
            appointment: ID,
            patient: PatientId(1),
            cause,
            claims: Claims::new(),
        })
    }

    #[test]
    fn an_answer_that_the_journal_does_not_know_is_a_disagreement() {
        for (what, facts, agrees) in [
            (Acknowledged::Booked, vec![booked()], true),
            (Acknowledged::Booked, vec![], false),
            (Acknowledged::Booked, vec![booked(), ended(Cause::Cancelled)], false),
            (Acknowledged::Cancelled, vec![booked(), ended(Cause::Cancelled)], true),
            (Acknowledged::Held, vec![ended(Cause::Expired)], true),
            (Acknowledged::Held, vec![ended(Cause::Released)], false),
            (Acknowledged::Released, vec![ended(Cause::Expired)], false),
        ] {
            let mut account = Account::default();
            account.note(ID, what);
            let found = account.disagreement(&story(&facts));
            assert_eq!(found.is_none(), agrees, "{what:?}: {found:?}");
        }
    }

    #[test]
    fn an_appointment_that_nobody_was_told_of_is_a_disagreement_if_all_was_answered() {
        let mut account = Account::default();
        assert!(account.disagreement(&story(&[booked()])).is_some());
        account.unanswered = 1;
        assert_eq!(account.disagreement(&story(&[booked()])), None);
    }
}
