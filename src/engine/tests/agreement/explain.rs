//! Every rule refusal's explanation holds: the rule that it names refuses alone, in the same way; and
//! without that rule the answer is another.
//!
//! ```text
//! refused, why = version 3, layer 1, no_show
//!   alone     no other layer says anything, nothing else came of rules      -> the same refusal
//!   without   that layer does not say it, nothing came of it                -> another answer
//! ```
//!
//! Both are worlds of the same facts but those. It asks nothing about keys but how one is taken out
//! of a layer ([`RuleLayer::without`]), so that it holds for every key.

use proptest::test_runner::TestCaseError;

use super::same;
use crate::engine::tests::world::World;
use crate::model::{
    Actor, BookingLimit, Command, Fact, Facts, Outcome, Refusal, RuleKey, RuleLayer, RuleRef,
    RuleWhy, RulesVersion, Timestamp,
};

/// Checks what a refusal of the last command rests on, if a rule refused it.
pub(super) fn check(
    world: &World,
    actor: &Actor,
    command: &Command,
    refusal: &Refusal,
) -> Result<(), TestCaseError> {
    // That rules come too soon rests on all of two versions, not on what one layer says.
    let is_ours = |why: &RuleWhy| {
        why.rule.version != RulesVersion(0) && refusal.outcome != Outcome::RulesNeedNotice
    };
    let Some(why) = refusal.why.filter(is_ours) else { return Ok(()) };
    // With the numbers of layers as they are: a layer that says nothing more is still there.
    let alone = imagine(world, |layer, rule| is_of(rule, layer, &why), &why, true);
    same(&alone.answer(actor, command), &Err(*refusal), &format!("{why:?} alone: {command:?}"))?;
    let without = imagine(world, |layer, rule| !is_of(rule, layer, &why), &why, false);
    let answer = without.answer(actor, command);
    if answer == Err(*refusal) {
        return Err(TestCaseError::fail(format!("{why:?} is taken out, and still: {command:?}")));
    }
    Ok(())
}

fn is_of(version: RulesVersion, layer: usize, why: &RuleWhy) -> bool {
    (version, layer) == (why.rule.version, usize::from(why.rule.layer))
}

/// The same world, of which only some layers say a key and had consequences.
fn imagine(
    world: &World,
    stays: impl Fn(usize, RulesVersion) -> bool,
    why: &RuleWhy,
    is_alone: bool,
) -> World {
    let stays_of = |rule: RuleRef| stays(rule.layer.into(), rule.version);
    let layer = |version, (index, layer): (usize, &RuleLayer)| {
        let keys = RuleKey::ALL.into_iter().filter(|key| {
            let is_kept = *key == why.key && stays(index, version);
            let is_other = *key != why.key && !is_alone;
            !is_kept && !is_other
        });
        let mut left = keys.fold(layer.clone(), RuleLayer::without);
        // Of several limits of the layer the named one alone: a nearer layer may replace another.
        if is_alone && why.key == RuleKey::Limits {
            let tier = usize::from(why.rule.tier);
            let others = left.limits.iter_mut().enumerate().filter(|(index, _)| *index != tier);
            others.for_each(|(_, limit)| limit.most = BookingLimit::NO_LIMIT);
        }
        left
    };
    let edited = |mut fact: Fact| {
        if let Fact::RulesApplied(applied) = &mut fact {
            let version = applied.rules.version;
            let layers = applied.rules.layers.iter().enumerate().map(|it| layer(version, it));
            applied.rules.layers = layers.collect();
        }
        // Facts that carry what came of a rule; further ones belong here.
        if let Fact::Struck(struck) = &mut fact {
            struck.restriction = struck.restriction.filter(|made| stays_of(made.rule));
        }
        fact
    };
    let records: Vec<(Timestamp, Facts)> = world.records.clone();
    let records =
        records.into_iter().map(|(time, facts)| (time, facts.into_iter().map(edited).collect()));
    let mut imagined = World::replayed(records);
    (imagined.now, imagined.chance) = (world.now, world.chance);
    imagined
}
