//! Decides whether a patient would wait for more than a rule lets them.
//!
//! ```text
//! sessions that are waited for + those that are asked for
//!   -> around each of these, as far as a limit counts -> sessions or resources -> more than it names?
//! ```
//!
//! **Architecture invariant:** reads and counts, nothing else. What is counted is the patient's, and no
//! other patient's shard is looked at.

use smallvec::SmallVec;

use super::view::{Context, View};
use crate::model::{
    Attributes, OrganizationId, Outcome, PatientClass, PatientId, Place, Refusal, ResourceId,
    RuleKey, RuleRef, RuleScope, RuleWhy, SessionId, WaitCounts, WaitKey, WaitLimit,
};

/// Who would wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) patient: PatientId,
    pub(super) class: PatientClass,
    pub(super) attributes: Attributes,
}

/// A session that is waited for, and where it is.
type Waited = (SessionId, Place);

/// The refusal of a limit that waiting for some sessions too would break: that of the first layer.
pub(super) fn refuse_beyond_waits(
    view: &View<'_>,
    context: &Context<'_>,
    joining: &Joining,
    sessions: &[SessionId],
) -> Option<Refusal> {
    if !context.rules.says(RuleKey::Waitlist) {
        return None;
    }
    let waited = |id: SessionId| Some((id, view.stay(context, id)?.place));
    let new: SmallVec<[Waited; 8]> = sessions.iter().filter_map(|id| waited(*id)).collect();
    let targets = view.waits(joining.patient).iter().flat_map(|waits| &waits.entry.targets);
    let known: SmallVec<[Waited; 8]> =
        targets.filter_map(|target| waited(target.session)).collect();
    let broken = new.iter().flat_map(|(_, place)| {
        limits_of(context, joining, place)
            .into_iter()
            .filter_map(|limit| broken(limit, place, &known, &new))
    });
    let first = broken.min_by_key(|why| (why.rule.layer, why.rule.tier))?;
    Some(Refusal::by_rule(Outcome::WaitLimit, context.now, first))
}

/// The limits that hold around a place, those that refuse, with where they stand.
fn limits_of(
    context: &Context<'_>,
    joining: &Joining,
    place: &Place,
) -> SmallVec<[(WaitLimit, RuleRef); 6]> {
    let rules = context.rules;
    let layers = rules.at(place);
    let layers = layers.filter(|(_, layer)| layer.when.holds(joining.class, joining.attributes));
    let mut found: SmallVec<[(WaitLimit, RuleRef); 6]> = SmallVec::new();
    for (layer, rule) in layers {
        for (tier, limit) in (0_u8..).zip(&rule.waitlist) {
            if found.iter().all(|(other, _)| other.key != limit.key) {
                found.push((*limit, RuleRef { version: rules.version, layer, tier }));
            }
        }
    }
    found.retain(|(limit, _)| {
        context.applies(RuleKey::Waitlist, limit.mode) && limit.most != WaitLimit::NO_LIMIT
    });
    found
}

/// Why a limit is broken around a place; `None` where it is not.
fn broken(
    (limit, rule): (WaitLimit, RuleRef),
    place: &Place,
    known: &[Waited],
    new: &[Waited],
) -> Option<RuleWhy> {
    let WaitLimit { key, most, .. } = limit;
    if count(key, place, known.iter().chain(new)) <= usize::from(most) {
        return None;
    }
    let has = count(key, place, known.iter());
    Some(RuleWhy {
        within: key.within,
        count: u16::try_from(has).unwrap_or(u16::MAX),
        limit: most,
        ..RuleWhy::of(RuleKey::Waitlist, rule)
    })
}

/// How much a limit counts around a place.
fn count<'a>(key: WaitKey, place: &Place, waited: impl Iterator<Item = &'a Waited>) -> usize {
    let scope = RuleScope::around(key.within, place);
    let here = waited.filter(|(_, other)| scope.contains(other));
    let named = here.map(|(session, other)| match key.counts {
        WaitCounts::Sessions => (OrganizationId::default(), session.0),
        WaitCounts::Resources => {
            let ResourceId(resource) = other.resource;
            (other.organization, resource)
        }
    });
    let mut named: SmallVec<[(OrganizationId, u64); 16]> = named.collect();
    named.sort_unstable();
    named.dedup();
    named.len()
}
