//! The rules of a platform, version by version, and which of them are in force.
//!
//! ```text
//! applied   v1 ........ from |=== v1 ===|                    a later version, in force from later on
//!                  v2 ............ from |=== v2 ===
//! ```
//!
//! **Architecture invariant:** which version is in force depends on the time that is asked about, and
//! on nothing else.

use std::sync::Arc;

use super::indexed::IndexedRules;
use super::view::{Context, Decision, NO_RULES, View};
use crate::model::limits::{RULES_KEPT_MAX, RULES_LEAD_MILLIS};
use crate::model::{
    ApplyRules, Asked, Fact, Outcome, Refusal, RuleRef, RuleWhy, Rules, RulesApplied, RulesVersion,
    Stricter, Timestamp,
};

/// Every version that may still be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rulebook {
    /// Oldest first; the first says nothing and is in force from the beginning.
    versions: Vec<Arc<IndexedRules>>,
}

impl Default for Rulebook {
    fn default() -> Self {
        Self { versions: vec![Arc::default()] }
    }
}

impl Rulebook {
    /// The rules that are in force at an instant.
    pub fn in_force(&self, now: Timestamp) -> &IndexedRules {
        let known = self.versions.iter().rev().find(|rules| rules.from <= now);
        known.or_else(|| self.versions.first()).map_or(&NO_RULES, |rules| rules)
    }

    /// Every version, oldest first. The first says nothing.
    pub fn versions(&self) -> impl Iterator<Item = &Rules> {
        self.versions.iter().map(|rules| &***rules)
    }

    /// One version, if it is still kept.
    pub fn version(&self, version: RulesVersion) -> Option<&Rules> {
        self.versions().find(|rules| rules.version == version)
    }

    /// The newest version.
    pub fn newest(&self) -> RulesVersion {
        self.versions.last().map_or_else(RulesVersion::default, |rules| rules.version)
    }

    /// Writes what a fact did to the rules.
    pub fn evolve(&mut self, fact: &Fact) {
        if let Fact::RulesApplied(applied) = fact {
            self.insert(applied.rules.clone());
        }
    }

    /// Puts a version in, as a fact or a snapshot brings it. One that was to come later than it, and
    /// is not in force yet, never will be.
    ///
    /// # Panics
    ///
    /// Panics if it is not the next version: the fact is impossible.
    pub fn insert(&mut self, rules: Rules) {
        let newest = self.newest();
        assert!(newest < rules.version, "an impossible fact: rules {} come twice", rules.version.0);
        let is_first = |other: &IndexedRules| other.version == RulesVersion::default();
        self.versions.retain(|other| is_first(other) || other.from < rules.from);
        // Restrictions outlive the rules that made them, and hold wherever those looked.
        let asked = self.versions.iter().fold(Asked::default(), |all, it| all.or(it.asked()));
        self.versions.push(Arc::new(IndexedRules::from(rules).asking(asked)));
        if RULES_KEPT_MAX < self.versions.len() {
            self.versions.remove(1);
        }
    }
}

/// Decides whether rules come into force (规则生效).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_rules(
    view: &View<'_>,
    context: &Context<'_>,
    book: &Rulebook,
    apply: &ApplyRules,
) -> Result<Decision, Refusal> {
    let fingerprint = apply.fingerprint();
    if let Some(retry) = view.repeated(context.now, apply.request, fingerprint)? {
        return Ok(retry);
    }
    if apply.rules.check().is_err() || apply.rules.version != RulesVersion::default() {
        return Err(Outcome::RulesInvalid.into());
    }
    if apply.rules.from < context.now.plus_millis(RULES_LEAD_MILLIS) {
        return Err(Outcome::RulesTooSoon.into());
    }
    if let Some(refusal) = refuse_unannounced(context.now, book, &apply.rules) {
        return Err(refusal);
    }
    let version = RulesVersion(book.newest().0.saturating_add(1));
    let rules = Rules { version, ..apply.rules.clone() };
    let fact = RulesApplied { request: apply.request, fingerprint, rules };
    Ok(Decision::done(context.now, Fact::RulesApplied(Box::new(fact))))
}

/// Stricter rules come into force when the notice is over that the rules of now ask for.
fn refuse_unannounced(now: Timestamp, book: &Rulebook, rules: &Rules) -> Option<Refusal> {
    let today = book.in_force(now);
    let notice = u32::from(today.notice_days);
    let earliest = today.civil.plus_days(now, notice);
    if notice == 0 || earliest <= rules.from {
        return None;
    }
    let before = book.in_force(rules.from);
    let Stricter { key, layer, .. } = *rules.stricter_than(before).first()?;
    let rule = RuleRef { version: before.version, layer, tier: 0 };
    let why = RuleWhy { until: earliest, limit: today.notice_days, ..RuleWhy::of(key, rule) };
    Some(Refusal::by_rule(Outcome::RulesNeedNotice, now, why))
}
