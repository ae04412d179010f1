//! What rules in shadow are said to have refused, enforced rules would have refused.
//!
//! ```text
//! granted    the same world, of which the rules of one key were enforced, and what came of them
//!   key told       -> refused there
//!   key not told   -> granted there too
//! ```
//!
//! It edits rules and facts, and asks nothing about how a rule in shadow is tried.

use proptest::test_runner::TestCaseError;

use crate::engine::LedgerShard;
use crate::engine::tests::world::World;
use crate::model::{
    Actor, Command, Fact, Restriction, RestrictionCause, RuleKey, RuleLayer, RuleMode,
};

/// Checks what is told of a command that comes next.
pub(super) fn check(world: &World, actor: &Actor, command: &Command) -> Result<(), TestCaseError> {
    let in_shadow = world.in_shadow();
    if in_shadow.is_empty() || !world.grants(actor, command) {
        return Ok(());
    }
    let told = world.shadowed(actor, command);
    for key in in_shadow.iter() {
        let is_refused = !enforced(world, key).grants(actor, command);
        if is_refused != told.contains(key) {
            let (name, not) = (key.name(), if is_refused { "" } else { "not " });
            let why = format!("{name} would {not}have refused it: {command:?}");
            return Err(TestCaseError::fail(why));
        }
    }
    Ok(())
}

/// The same world with what is in shadow of a key enforced.
fn enforced(world: &World, key: RuleKey) -> World {
    let mode = |made: &mut Restriction| {
        let by_visits = made.cause == RestrictionCause::NoShow;
        let is_its = if by_visits { key == RuleKey::NoShow } else { key == RuleKey::Violations };
        if is_its {
            made.mode = RuleMode::Enforce;
        }
    };
    let edited = |ledger: &LedgerShard, mut fact: Fact| {
        if let Fact::RulesApplied(applied) = &mut fact {
            applied.rules.layers.iter_mut().for_each(|layer| enforce(layer, key));
        }
        if let Fact::Struck(struck) = &mut fact {
            struck.restriction.iter_mut().for_each(mode);
        }
        if let Fact::Barred(barred) = &mut fact {
            mode(&mut barred.restriction);
        }
        if let Fact::Cooled(cooled) = &mut fact
            && key == RuleKey::Cooldown
        {
            cooled.cooldowns.iter_mut().for_each(|it| it.mode = RuleMode::Enforce);
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

fn enforce(layer: &mut RuleLayer, key: RuleKey) {
    let mode = RuleMode::Enforce;
    match key {
        RuleKey::NoShow => layer.no_show.iter_mut().for_each(|rule| rule.mode = mode),
        RuleKey::Limits => layer.limits.iter_mut().for_each(|limit| limit.mode = mode),
        RuleKey::Violations => layer.violations.iter_mut().for_each(|it| it.rule.mode = mode),
        RuleKey::Cooldown => layer.cooldown.iter_mut().for_each(|rule| rule.mode = mode),
        RuleKey::Cancel => layer.cancel.iter_mut().for_each(|rule| rule.mode = mode),
        RuleKey::Payment => layer.payment.iter_mut().for_each(|rule| rule.mode = mode),
        RuleKey::Persons => layer.persons.iter_mut().for_each(|rule| rule.mode = mode),
        RuleKey::Waitlist => layer.waitlist.iter_mut().for_each(|limit| limit.mode = mode),
        RuleKey::Probing
        | RuleKey::Appeal
        | RuleKey::Notice
        | RuleKey::Staff
        | RuleKey::Rates
        | RuleKey::Holder => {}
    }
}
