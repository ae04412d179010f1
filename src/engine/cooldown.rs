//! Decides who waits after giving a place up, and keeps for whom that is not over.
//!
//! ```text
//! cancel, release, expiry -> the nearest layer about each place -> its entries -> Cooled, until when
//! a place there, for the patient, the account or the telephone -> until > now -> CoolingDown
//! ```
//!
//! **Architecture invariant:** what is over is dropped by the times of facts alone, and nobody can tell
//! whether it was: decisions and digests leave out what is over.

use std::collections::{BTreeMap, BTreeSet};

use arrayvec::ArrayVec;

use super::view::{Context, View};
use super::visits::is_own_doing;
use crate::model::limits::{MERGE_BYTES_MAX, RECORD_FACTS_MAX};
use crate::model::{
    Appointment, Attributes, Bound, Cooldown, Cooled, Ending, Fact, Facts, Outcome, PatientId,
    PatientsMerged, Place, Refusal, Role, RuleCondition, RuleKey, RuleRef, RuleScope, SessionId,
    Subjects, Timestamp,
};

/// Who waits after an end, each by the key of a ledger: of whom no rule asks has nothing.
type Waiting = ArrayVec<(PatientId, Vec<Cooldown>), 3>;

/// What follows from giving an appointment's places up, in the record of `end`: nothing where nothing
/// does. What a hospital does is not the patient's doing.
pub(super) fn cooled(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    (ending, end): (Ending, &Facts),
) -> Waiting {
    let rules = context.rules;
    let mut waiting = Waiting::new();
    let by_patient = matches!(context.actor.role, Role::Gateway | Role::Counter);
    let is_own = by_patient || ending == Ending::Expired;
    if !rules.says(RuleKey::Cooldown) || !is_own || !is_own_doing(view, appointment) {
        return waiting;
    }
    let is_about = |when: &RuleCondition| when.holds(appointment.class, Attributes::default());
    let who = view.subjects(appointment);
    let end = end.iter().find(|fact| fact.ended().is_some());
    for (index, claim) in appointment.places().iter().enumerate() {
        let back = end.map_or(context.now, |fact| fact.back(index));
        let Some(stay) = view.stay(context, claim.session) else { continue };
        let said = rules.nearest(&stay.place, is_about, |layer| {
            Some(&layer.cooldown).filter(|said| !said.is_empty())
        });
        let Some((layer, said)) = said else { continue };
        for (tier, rule) in (0_u8..).zip(said).filter(|(_, rule)| rule.after.contains(ending)) {
            let Some(key) = who.key(rule.of).map(|key| view.person(key)) else { continue };
            let Some(until) = rule.length.end(&rules.civil, context.now, back) else { continue };
            let cooldown = Cooldown {
                appointment: appointment.id,
                within: RuleScope::around(rule.within, &stay.place),
                since: context.now,
                until,
                rule: RuleRef { version: rules.version, layer, tier },
                of: rule.of,
                mode: rule.mode,
            };
            match waiting.iter_mut().find(|(known, _)| *known == key) {
                Some((_, cooldowns)) => cooldown.join(cooldowns),
                None => waiting.push((key, vec![cooldown])),
            }
        }
    }
    waiting
}

/// The facts of who waits.
pub(super) fn facts_of(waiting: Waiting) -> impl Iterator<Item = Fact> {
    let fact = |(patient, cooldowns)| Fact::Cooled(Box::new(Cooled { patient, cooldowns }));
    waiting.into_iter().map(fact)
}

/// Why somebody may not have a place in one of some sessions yet: by what ends last. A move within a scope takes no more there than is had already: `from` is where it leaves.
pub(super) fn refuse_cooling(
    view: &View<'_>,
    context: &Context<'_>,
    who: &Subjects,
    from: &[Place],
    sessions: &(impl Iterator<Item = SessionId> + Clone),
) -> Option<Refusal> {
    let mut last: Option<&Cooldown> = None;
    for (of, key) in who.asked(context.rules.asked()) {
        let waits = view.cooldowns(key);
        if waits.is_empty() {
            continue;
        }
        let places = sessions.clone().filter_map(|session| view.session(session));
        for place in places.map(|session| Place::of(session.spec())) {
            let refusing = waits.iter().filter(|it| it.of == of);
            let refusing = refusing.filter(|it| it.refuses(context, from, &place));
            // Of two that end alike that of the patient is told of.
            let later = refusing.filter(|it| last.is_none_or(|last| last.order() < it.order()));
            last = later.max_by_key(|it| it.order()).or(last);
        }
    }
    Some(Refusal::by_rule(Outcome::CoolingDown, context.now, last?.why()))
}

/// What the older of two merged keys waits for goes over to the other one: in the record of the merge,
/// unless it is more than that carries beside `bound`.
pub(super) fn hand_over(
    view: &View<'_>,
    now: Timestamp,
    fact: &PatientsMerged,
    bound: &[Bound],
) -> Option<Vec<Fact>> {
    let waits = view.cooldowns(fact.from).iter().filter(|cooldown| now < cooldown.until);
    let cooldowns: Vec<Cooldown> = waits.copied().collect();
    let more = Cooldown::WEIGHT.saturating_mul(cooldowns.len());
    let more = more.saturating_add(bound.iter().map(Bound::weight).sum());
    // Beside these stand the merge, what is waited for, and the rules that it was decided under.
    let is_too_long = RECORD_FACTS_MAX.saturating_sub(3) < bound.len();
    if is_too_long || MERGE_BYTES_MAX < fact.estate.weight().saturating_add(more) {
        return None;
    }
    let patient = fact.into;
    let told = (!cooldowns.is_empty()).then_some(Cooled { patient, cooldowns });
    Some(told.map(|cooled| Fact::Cooled(Box::new(cooled))).into_iter().collect())
}

impl Cooldown {
    fn refuses(&self, context: &Context<'_>, from: &[Place], place: &Place) -> bool {
        context.applies(RuleKey::Cooldown, self.mode)
            && context.now < self.until
            && self.within.contains(place)
            && !from.iter().any(|left| self.within.contains(left))
    }
}

/// For what the patients of a shard wait. Few do, and not for long.
#[derive(Debug, Default)]
pub(super) struct Cooldowns {
    patients: BTreeMap<PatientId, Vec<Cooldown>>,
    /// When what somebody waits for ends, with some that was replaced since: derived.
    ends: BTreeSet<(Timestamp, PatientId)>,
    /// The time of the last fact of it. What ended by then is dropped.
    latest: Timestamp,
}

impl Cooldowns {
    /// Writes a fact down, and drops what is over.
    pub(super) fn evolve(&mut self, time: Timestamp, fact: &Cooled) {
        self.insert(fact.patient, &fact.cooldowns);
        self.latest = self.latest.max(time);
        while let Some((until, patient)) = self.ends.first().copied()
            && until <= self.latest
        {
            self.ends.pop_first();
            self.drop_over(patient);
        }
    }

    fn drop_over(&mut self, patient: PatientId) {
        let Some(kept) = self.patients.get_mut(&patient) else { return };
        kept.retain(|cooldown| self.latest < cooldown.until);
        if kept.is_empty() {
            self.patients.remove(&patient);
        }
    }

    fn insert(&mut self, patient: PatientId, cooldowns: &[Cooldown]) {
        if cooldowns.is_empty() {
            return;
        }
        let kept = self.patients.entry(patient).or_default();
        for cooldown in cooldowns {
            cooldown.join(kept);
            self.ends.insert((cooldown.until, patient));
        }
    }

    pub(super) fn of(&self, patient: PatientId) -> &[Cooldown] {
        self.patients.get(&patient).map_or(&[], Vec::as_slice)
    }

    /// Every patient's, by patient.
    pub(super) fn all(&self) -> impl Iterator<Item = (PatientId, &[Cooldown])> {
        self.patients.iter().map(|(patient, kept)| (*patient, kept.as_slice()))
    }

    pub(super) const fn latest(&self) -> Timestamp {
        self.latest
    }

    pub(super) fn remove(&mut self, patient: PatientId) {
        self.patients.remove(&patient);
    }

    /// Puts in what a snapshot brings.
    pub(super) fn restore(&mut self, latest: Timestamp, all: &[(PatientId, Vec<Cooldown>)]) {
        self.latest = latest;
        for (patient, kept) in all {
            self.insert(*patient, kept);
        }
    }
}
