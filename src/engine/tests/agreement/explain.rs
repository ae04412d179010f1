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

use std::collections::BTreeSet;

use proptest::test_runner::TestCaseError;

use super::same;
use crate::engine::LedgerShard;
use crate::engine::tests::world::World;
use crate::model::{
    Actor, BookingLimit, Command, Fact, Outcome, Receipt, Refusal, RestrictionId, RuleKey,
    RuleLayer, RuleRef, RuleWhy, RulesVersion, WaitLimit,
};

/// Checks what a refusal of the last command rests on, if a rule refused it.
pub(super) fn check(
    world: &World,
    actor: &Actor,
    command: &Command,
    answer: &Result<Receipt, Refusal>,
) -> Result<(), TestCaseError> {
    let Err(refusal) = answer else { return Ok(()) };
    // That rules come too soon rests on all of two versions, not on what one layer says.
    let is_ours = |why: &RuleWhy| {
        let is_said = why.rule.version != RulesVersion(0) || why.key == RuleKey::Staff;
        is_said && refusal.outcome != Outcome::RulesNeedNotice
    };
    let Some(why) = refusal.why.filter(is_ours) else { return Ok(()) };
    // With the numbers of layers as they are: a layer that says nothing more is still there.
    let alone = imagine(world, |layer, rule| is_of(rule, layer, &why), &why, true);
    let answer = alone.answer(actor, command);
    // Where several sessions are asked for, the layer of one lets no account hold in the others.
    let is_elsewhere = why.key == RuleKey::Holder && answer.is_err();
    if !is_elsewhere {
        let (answer, refusal) = (answer.map_err(uncounted), uncounted(*refusal));
        same(&answer, &Err(refusal), &format!("{why:?} alone: {command:?}"))?;
    }
    let without = imagine(world, |layer, rule| !is_of(rule, layer, &why), &why, false);
    let answer = without.answer(actor, command);
    if answer == Err(*refusal) {
        return Err(TestCaseError::fail(format!("{why:?} is taken out, and still: {command:?}")));
    }
    Ok(())
}

/// A refusal to wait without what was counted: of several sessions that are asked for, a nearer layer may
/// let wait for one, which counts among the others where that layer is taken out.
fn uncounted(refusal: Refusal) -> Refusal {
    let is_of_waits = |why: &RuleWhy| why.key == RuleKey::Waitlist;
    let count = |why: RuleWhy| if is_of_waits(&why) { RuleWhy { count: 0, ..why } } else { why };
    let why = refusal.why.map(count);
    Refusal { why, ..refusal }
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
    let layer = |version, (index, layer): (usize, &RuleLayer)| {
        let keys = RuleKey::ALL.into_iter().filter(|key| {
            let is_kept = *key == why.key && stays(index, version);
            // What lets an account hold at all is no reason against it.
            let is_other = *key != why.key && (!is_alone || *key == RuleKey::Holder);
            !is_kept && !is_other
        });
        let mut left = keys.fold(layer.clone(), RuleLayer::without);
        // Of several limits of the layer the named one alone: a nearer layer may replace another.
        if is_alone && why.key == RuleKey::Limits {
            let tier = usize::from(why.rule.tier);
            let others = left.limits.iter_mut().enumerate().filter(|(index, _)| *index != tier);
            others.for_each(|(_, limit)| limit.most = BookingLimit::NO_LIMIT);
        }
        if is_alone && why.key == RuleKey::Waitlist {
            let tier = usize::from(why.rule.tier);
            let others = left.waitlist.iter_mut().enumerate().filter(|(index, _)| *index != tier);
            others.for_each(|(_, limit)| limit.most = WaitLimit::NO_LIMIT);
        }
        left
    };
    let by_staff = why.key == RuleKey::Staff;
    let stays_made =
        |rule: RuleRef| if by_staff { !is_alone } else { stays(rule.layer.into(), rule.version) };
    let mut gone = BTreeSet::new();
    let edited = |ledger: &LedgerShard, mut fact: Fact| {
        if let Fact::RulesApplied(applied) = &mut fact {
            let version = applied.rules.version;
            let layers = applied.rules.layers.iter().enumerate().map(|it| layer(version, it));
            applied.rules.layers = layers.collect();
        }
        // Facts that carry what came of a rule; further ones belong here.
        if let Fact::Struck(struck) = &mut fact {
            let was_made = struck.restriction.is_some();
            struck.restriction = struck.restriction.filter(|made| stays_made(made.rule));
            if was_made && struck.restriction.is_none() {
                gone.insert(RestrictionId(struck.appointment.0));
            }
        }
        if let Fact::Cooled(cooled) = &mut fact {
            cooled.cooldowns.retain(|it| stays(it.rule.layer.into(), it.rule.version));
            if cooled.cooldowns.is_empty() {
                return None;
            }
        }
        if let Fact::Barred(barred) = &fact
            && !stays_made(barred.restriction.rule)
        {
            gone.insert(barred.id);
            return None;
        }
        if let Fact::Restricted(made) = &fact
            && by_staff != is_alone
        {
            gone.insert(RestrictionId(made.request.0));
            return None;
        }
        if let Fact::Amended(amended) = &fact
            && gone.contains(&amended.restriction)
        {
            return None;
        }
        if let Fact::PatientsMerged(merged) = &mut fact {
            merged.estate = ledger.estate(merged.from);
        }
        Some(fact)
    };
    let mut imagined = World::retold(world.records.iter().cloned(), edited);
    (imagined.now, imagined.chance) = (world.now, world.chance);
    imagined
}
