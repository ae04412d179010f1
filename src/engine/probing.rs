//! Decides what is written down of who asks again and again for what is not to be had (刷号).
//!
//! ```text
//! refused hold -> the nearest layer that says `probing`, where its first session is: of whom, how many
//!   counted elsewhere, and full -> the same rule still? -> Probed, and what the rules about violations say
//! ```
//!
//! **Architecture invariant:** it counts no refusals: it is told how many there were, and since when.

use super::indexed::IndexedRules;
use super::view::{Context, View};
use super::violations::follow_probed;
use crate::model::{
    Attributes, CountedOf, Fact, Facts, Hold, PatientId, Place, Probed, ProbingRule, RuleKey,
    RuleRef, Stay, Timestamp, Visit,
};

/// By which rule a refusal counts as one of many, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prober {
    /// Who asks, by the key of a ledger.
    pub who: PatientId,
    /// What the rule says.
    pub rule: ProbingRule,
    /// Where it stands.
    pub by: RuleRef,
}

/// How often somebody was refused by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who asked, by the key of a ledger.
    pub who: PatientId,
    /// The rule.
    pub by: RuleRef,
    /// How many refusals were counted.
    pub count: u16,
    /// Since when; none of them was before.
    pub since: Timestamp,
}

/// Who is counted for a hold that was refused, if rules ask and somebody is named. Their key may be one
/// that was merged into another.
pub fn prober(rules: &IndexedRules, place: &Place, hold: &Hold) -> Option<Prober> {
    if !rules.says(RuleKey::Probing) {
        return None;
    }
    let (layer, rule) = rules.nearest(
        place,
        |when| when.holds(hold.class, Attributes::default()),
        |layer| layer.probing.as_ref(),
    )?;
    let who = match rule.of {
        CountedOf::Patient => hold.patient,
        CountedOf::Account => hold.keys.account.map(crate::model::AccountId::holder),
        CountedOf::Phone => hold.keys.phone.map(crate::model::ClientKey::phone_holder),
    };
    let by = RuleRef { version: rules.version, layer, tier: 0 };
    Some(Prober { who: who?, rule: *rule, by })
}

/// Decides what comes of so many refusals, of which a hold's was the last. Nothing where another rule is
/// about it meanwhile. Where the session is locked, its place is that of this instant.
pub fn decide_probed(
    view: &View<'_>,
    context: &Context<'_>,
    hold: &Hold,
    refused: &Refused,
) -> Option<Facts> {
    let session = hold.claims.first()?.session;
    let Stay { place, appointment_type, .. } = view.stay(context, session)?;
    let Prober { rule, by, .. } = prober(context.rules, &place, hold)?;
    // Of one rule it is the same one who asked.
    if by != refused.by || refused.count < rule.refusals {
        return None;
    }
    let (day, half) = context.rules.civil.half_of(context.now);
    let probed = Probed {
        appointment: hold.appointment,
        patient: view.person(refused.who),
        of: rule.of,
        class: hold.class,
        session,
        visit: Visit { place, appointment_type, day, half },
        count: refused.count,
        since: refused.since,
        rule: by,
        mode: rule.mode,
    };
    let mut facts: Facts = std::iter::once(Fact::Probed(Box::new(probed.clone()))).collect();
    if context.rules.says(RuleKey::Violations) {
        follow_probed(view, context, &probed, &mut facts);
    }
    Some(facts)
}
