//! The demonstration's own account: what the node acknowledged, compared with its journal.
//!
//! **Architecture invariant:** the account is made of answers only. It knows nothing of the node's
//! state, so that their agreement means something.

use hashbrown::HashMap;

use crate::model::{
    AppointmentId, AppointmentStatus, Cause, Claim, Ended, Fact, Facts, Held, PoolIndex, SessionId,
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
    /// It is an entry of a draw.
    Entered,
    /// It was an entry of a draw, and won nothing.
    NotDrawn,
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
    states: HashMap<AppointmentId, State, foldhash::fast::FixedState>,
    quotas: HashMap<(SessionId, SlotIndex, PoolIndex), u64, foldhash::fast::FixedState>,
    held: HashMap<(SessionId, SlotIndex, PoolIndex), u64, foldhash::fast::FixedState>,
}

/// What became of an appointment, and in which session it began.
#[derive(Clone, Copy, Debug)]
struct State {
    status: AppointmentStatus,
    cause: Cause,
    session: Option<SessionId>,
    /// Whether the node made it by itself, for somebody who waits.
    is_offer: bool,
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

    /// Takes over what was acknowledged to others.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.appointments.extend(&other.appointments);
        self.unanswered += other.unanswered;
    }

    /// Where account and journal disagree, the first of it in a sentence.
    pub(super) fn disagreement(&self, story: &Story) -> Option<String> {
        let differs = self.appointments.iter().find_map(|(id, what)| {
            let found = story.states.get(id).map(|state| (state.status, state.cause));
            let agrees = match (what, found) {
                (Acknowledged::Held, Some((status, cause))) => {
                    status == AppointmentStatus::Pending || cause == Cause::Expired
                }
                (Acknowledged::Booked, Some((status, _))) => status == AppointmentStatus::Booked,
                (Acknowledged::Released, Some((_, cause))) => cause == Cause::Released,
                (Acknowledged::Cancelled, Some((_, cause))) => cause == Cause::Cancelled,
                (Acknowledged::Entered, Some((status, _))) => status == AppointmentStatus::Waitlist,
                (Acknowledged::NotDrawn, Some((_, cause))) => cause == Cause::NotDrawn,
                (_, None) => false,
            };
            let id = crate::cli::ids::uuid(id.0);
            (!agrees)
                .then(|| format!("{id} was acknowledged as {what:?}, the journal says {found:?}"))
        });
        if differs.is_some() || self.unanswered != 0 {
            return differs;
        }
        // Who does not look in time never hears of an offer.
        let is_known = |(id, state): &(&AppointmentId, &State)| {
            let is_lapsed_offer = state.is_offer && state.cause == Cause::Expired;
            !is_lapsed_offer || self.appointments.contains_key(*id)
        };
        let journaled = story.states.iter().filter(is_known).count();
        let acknowledged = self.appointments.len();
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
                Fact::Held(held) => self.hold(held, false),
                Fact::Offered(offered) => self.hold(&offered.held, false),
                Fact::PlaceOffered(offered) => self.hold(&offered.held, true),
                Fact::Entered(entered) => {
                    let session = Some(entered.draw.session);
                    let (status, cause) = (AppointmentStatus::Waitlist, Cause::None);
                    let state = State { status, cause, session, is_offer: false };
                    self.states.insert(entered.appointment, state);
                }
                Fact::DrawWon(won) => {
                    self.turn(won.appointment, AppointmentStatus::Pending, Cause::None);
                    self.take(std::slice::from_ref(&won.claim));
                }
                Fact::EntryEnded(ended) => {
                    self.turn(ended.appointment, AppointmentStatus::Cancelled, ended.cause);
                }
                Fact::Booked(booked) => {
                    self.turn(booked.appointment, AppointmentStatus::Booked, Cause::None);
                }
                Fact::Ended(ended) => self.end(ended),
                Fact::Freed(freed) => self.end(&freed.ended),
                _ => {}
            }
        }
    }

    /// Appointments of some sessions that ended for a cause.
    pub(super) fn ended(&self, why: Cause, is_of: impl Fn(SessionId) -> bool) -> u64 {
        let states = self.states.values().filter(|state| state.cause == why);
        states.filter(|state| state.session.is_some_and(&is_of)).count() as u64
    }

    /// Places of some sessions.
    pub(super) fn places(&self, is_of: impl Fn(SessionId) -> bool) -> u64 {
        let quotas = self.quotas.iter().filter(|((session, ..), _)| is_of(*session));
        quotas.map(|(_, quota)| quota).sum()
    }

    /// Places of some sessions that were taken, came back, and were taken again.
    pub(super) fn resold(&self, is_of: impl Fn(SessionId) -> bool) -> u64 {
        let held = self.held.iter().filter(|((session, ..), _)| is_of(*session));
        let again = |(cell, held): (_, &u64)| {
            held.saturating_sub(self.quotas.get(cell).copied().unwrap_or(0))
        };
        held.map(again).sum()
    }

    fn hold(&mut self, held: &Held, is_offer: bool) {
        let session = held.claims.first().map(|claim| claim.session);
        let (status, cause) = (AppointmentStatus::Pending, Cause::None);
        self.states.insert(held.appointment, State { status, cause, session, is_offer });
        self.take(&held.claims);
    }

    fn end(&mut self, ended: &Ended) {
        self.turn(ended.appointment, AppointmentStatus::Cancelled, ended.cause);
    }

    fn turn(&mut self, id: AppointmentId, status: AppointmentStatus, cause: Cause) {
        let state = State { status, cause, session: None, is_offer: false };
        let known = self.states.entry(id).or_insert(state);
        (known.status, known.cause) = (status, cause);
    }

    fn take(&mut self, claims: &[Claim]) {
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
    use crate::model::{Booked, Claims, DrawId, EntryEnded, PatientId, PaymentRef, RequestId};

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

    fn not_drawn() -> Fact {
        Fact::EntryEnded(EntryEnded {
            request: None,
            draw: DrawId { session: SessionId(1), pool: PoolIndex(0) },
            appointment: ID,
            patient: PatientId(1),
            cause: Cause::NotDrawn,
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
            (Acknowledged::NotDrawn, vec![not_drawn()], true),
            (Acknowledged::NotDrawn, vec![booked()], false),
            (Acknowledged::Held, vec![not_drawn()], false),
            (Acknowledged::Entered, vec![not_drawn()], false),
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
