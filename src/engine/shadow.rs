//! Tells which rules in shadow would have refused what is granted (试运行).
//!
//! ```text
//! under the rules in force          granted, for the first time
//! with what is in shadow as well    refused?  ->  with each key of it alone: refused?  ->  that key
//! ```
//!
//! **Architecture invariant:** what is decided here comes to nothing: it is in no fact, and no answer
//! depends on it. Where no rule is in shadow nothing is decided twice.

use super::indexed::RuleKeys;
use super::view::{Context, Decision};
use crate::model::Refusal;

/// The keys of rules in shadow that would have refused what was decided, each by itself. What is refused
/// anyhow, and what was done before, they would not have.
pub fn shadowed<'a>(
    context: &Context<'a>,
    decided: &Result<Decision, Refusal>,
    decide: impl Fn(&Context<'a>) -> Result<Decision, Refusal>,
) -> RuleKeys {
    let in_shadow = context.rules.in_shadow();
    if in_shadow.is_empty() || !grants(decided) {
        return RuleKeys::NONE;
    }
    let refuses = |trying| !grants(&decide(&Context { trying, ..*context }));
    if !refuses(in_shadow) {
        return RuleKeys::NONE;
    }
    in_shadow.iter().filter(|key| refuses(RuleKeys::only(*key))).collect()
}

/// Whether what was asked for happens now.
fn grants(decided: &Result<Decision, Refusal>) -> bool {
    let happens = |it: &Decision| !it.facts.is_empty() && it.refused.is_none();
    decided.as_ref().is_ok_and(happens)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::engine::IndexedRules;
    use crate::model::{
        Actor, CancelRule, ChannelSet, Deadline, Fact, LateCancel, Outcome, Role, RuleKey,
        RuleLayer, RuleMode, Rules, RulesVersion, Timestamp,
    };

    #[test]
    fn what_is_granted_is_decided_again_only_where_a_rule_is_in_shadow() {
        let rules = |mode| {
            let cancel = CancelRule {
                until: Deadline::Minutes(60),
                later: ChannelSet(0),
                late: LateCancel::Refuse,
                mode,
            };
            let layer = RuleLayer { cancel: Some(cancel), ..RuleLayer::default() };
            IndexedRules::from(Rules { layers: vec![layer], ..Rules::default() })
        };
        let (enforced, tried) = (rules(RuleMode::Enforce), rules(RuleMode::Shadow));
        let none = IndexedRules::none();
        let (now, actor) = (Timestamp::from_millis(5), Actor::unbounded(Role::Gateway));
        let granted = || Decision::done(now, Fact::DecidedUnder(RulesVersion(1)));
        let retried = || {
            let mut decision = granted();
            decision.facts.clear();
            decision
        };
        let owed = || Decision { refused: Some(Outcome::PaymentRefundable.into()), ..granted() };
        let refused = || Err(Outcome::CancelTooLate.into());
        let cancel = RuleKeys::only(RuleKey::Cancel);
        for (what, rules, decided, again, asked, told) in [
            ("no rules", &none, Ok(granted()), refused(), 0, RuleKeys::NONE),
            ("all enforced", &enforced, Ok(granted()), refused(), 0, RuleKeys::NONE),
            ("granted both ways", &tried, Ok(granted()), Ok(granted()), 1, RuleKeys::NONE),
            ("refused if enforced", &tried, Ok(granted()), refused(), 2, cancel),
            ("owed back if enforced", &tried, Ok(granted()), Ok(owed()), 2, cancel),
            ("refused anyhow", &tried, refused(), refused(), 0, RuleKeys::NONE),
            ("owed back anyhow", &tried, Ok(owed()), refused(), 0, RuleKeys::NONE),
            ("done before", &tried, Ok(retried()), refused(), 0, RuleKeys::NONE),
        ] {
            let context = Context { rules, ..Context::new(now, &actor) };
            let times = Cell::new(0);
            let found = shadowed(&context, &decided, |context| {
                times.set(times.get() + 1);
                assert_eq!(context.trying, cancel, "{what}");
                again.clone()
            });
            assert_eq!((found, times.get()), (told, asked), "{what}");
        }
    }
}
