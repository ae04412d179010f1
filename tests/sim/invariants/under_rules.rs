//! Every record names the rules that were in force when it was decided, once.

use haoyuan::model::{Fact, Rules, RulesVersion, Timestamp};

use super::{History, Invariant, Sight, ensure};

/// The versions, those that others came before left out.
#[derive(Default)]
pub(super) struct UnderRules {
    versions: Vec<Rules>,
}

impl Invariant for UnderRules {
    fn name(&self) -> &'static str {
        "under_rules"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        let in_force = self.in_force(record.time);
        let named: Vec<RulesVersion> = record.facts.iter().filter_map(Fact::under).collect();
        // What names none was decided while there were none.
        let is_named = named.first().is_some_and(|version| *version == in_force);
        let holds = is_named || named.is_empty() && in_force == RulesVersion(0);
        ensure(holds && named.len() <= 1, || {
            format!("record {} names {named:?} under {in_force:?}", record.sequence.0)
        })?;
        for fact in &record.facts {
            if let Fact::RulesApplied(applied) = fact {
                self.versions.retain(|other| other.from < applied.rules.from);
                self.versions.push(applied.rules.clone());
            }
        }
        Ok(())
    }
}

impl UnderRules {
    fn in_force(&self, at: Timestamp) -> RulesVersion {
        let known = self.versions.iter().rev().find(|rules| rules.from <= at);
        known.map_or(RulesVersion(0), |rules| rules.version)
    }
}
