//! Restrictions under locks: a request's home, then the patient's ledger.

use super::Inventory;
use super::group::Group;
use crate::engine::{
    Context, Decision, Live, View, decide_amend, decide_appeal, decide_merge, decide_restrict,
};
use crate::model::{
    Actor, Amend, Answer, Appeal, Facts, KeptRestriction, MergePatients, PatientId, Reading,
    Receipt, Refusal, RequestId, Restrict, STANDING_MAX, Sequence, StandingReading, Timestamp,
};

impl Inventory {
    /// Restricts a patient by hand, or refuses.
    pub fn restrict(
        &self,
        context: &Context<'_>,
        ask: &Restrict,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.about(context, (ask.request, ask.patient), append, |view, context| {
            decide_restrict(view, context, ask)
        })
    }

    /// Does something about a restriction, or refuses.
    pub fn amend(
        &self,
        context: &Context<'_>,
        ask: &Amend,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.about(context, (ask.request, ask.patient), append, |view, context| {
            decide_amend(view, context, ask)
        })
    }

    /// Takes an appeal against a restriction, or refuses.
    pub fn appeal(
        &self,
        context: &Context<'_>,
        ask: &Appeal,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.about(context, (ask.request, ask.patient), append, |view, context| {
            decide_appeal(view, context, ask)
        })
    }

    /// Says that two keys are of one person, or refuses.
    pub fn merge(
        &self,
        context: &Context<'_>,
        ask: &MergePatients,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = Group::of_homes(&self.homes, &[ask.request]);
            group.lock_ledgers(&self.ledgers, &[ask.from, ask.into]);
            let decided = group.view(|view| decide_merge(view, context, ask));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// The key under which a person is kept now.
    pub fn person(&self, key: PatientId) -> PatientId {
        self.ledgers.person(key)
    }

    /// Decides what is about a patient and no appointment.
    fn about(
        &self,
        context: &Context<'_>,
        (request, patient): (RequestId, PatientId),
        append: impl FnOnce(&Facts) -> Sequence,
        decide: impl FnOnce(&View<'_>, &Context<'_>) -> Result<Decision, Refusal>,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = Group::of_homes(&self.homes, &[request]);
            group.lock_ledger(&self.ledgers, patient);
            let decided = group.view(|view| decide(view, context));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Where a patient's restrictions stand, as far as an actor may see it.
    pub fn read_standing(
        &self,
        actor: &Actor,
        now: Timestamp,
        patient: PatientId,
    ) -> Answer<Reading> {
        let (ledger, patient) = self.ledgers.lock_person(patient);
        let may_see = |kept: &&KeptRestriction| {
            let organization = kept.restriction.within.organization();
            organization.is_none_or(|organization| actor.may_touch(organization))
        };
        let seen: Vec<_> = ledger.state.restrictions(patient).iter().filter(may_see).collect();
        let newest = seen.iter().skip(seen.len().saturating_sub(STANDING_MAX));
        let restrictions = newest.map(|kept| (kept.state(now), (*kept).clone())).collect();
        let keys = ledger.state.other_keys(patient).to_vec();
        let mut sessions: Vec<_> = ledger.state.lines(patient).map(Live::session).collect();
        sessions.sort_unstable();
        let doubled = sessions.chunk_by(|left, right| left == right);
        let doubled = doubled.filter(|session| 1 < session.len()).count();
        let doubled = u16::try_from(doubled).unwrap_or(u16::MAX);
        let reading = StandingReading { patient, keys, doubled, restrictions };
        Answer { after: ledger.last, result: Ok(Reading::Standing(Box::new(reading))) }
    }
}
