//! Nobody has more patients or accounts than the rule that a record names, but where one gave way; and a
//! telephone is of an appointment that there is.

use std::collections::{BTreeMap, BTreeSet};

use haoyuan::model::{AppointmentId, Bound, Fact, PatientId, RuleMode, Rules, Tie};

use super::{History, Invariant, Sight, ensure};

/// Who has whom, in keys as they were bound.
#[derive(Default)]
pub(super) struct PersonsKept {
    bound: BTreeMap<(Tie, u128), Vec<u128>>,
    persons: BTreeMap<u128, u128>,
    rules: Vec<Rules>,
    held: BTreeSet<AppointmentId>,
    phones: BTreeSet<AppointmentId>,
}

impl Invariant for PersonsKept {
    fn name(&self) -> &'static str {
        "persons_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            self.see_fact(fact)?;
        }
        Ok(())
    }
}

impl PersonsKept {
    fn see_fact(&mut self, fact: &Fact) -> Result<(), String> {
        if let Some(held) = fact.held() {
            self.held.insert(held.appointment);
        }
        match fact {
            Fact::Entered(entered) => _ = self.held.insert(entered.appointment),
            Fact::RulesApplied(applied) => self.rules.push(applied.rules.clone()),
            Fact::PatientsMerged(merged) => {
                self.merge(merged.from, merged.into);
            }
            Fact::Phoned(phoned) => {
                let is_new = self.phones.insert(phoned.appointment);
                let is_held = self.held.contains(&phoned.appointment);
                return ensure(is_new && is_held, || format!("{phoned:?}"));
            }
            Fact::Bound(bound) => return self.bind(bound),
            _ => {}
        }
        Ok(())
    }

    fn merge(&mut self, from: PatientId, into: PatientId) {
        for person in self.persons.values_mut().filter(|person| **person == from.0) {
            *person = into.0;
        }
        self.persons.insert(from.0, into.0);
        self.bound.remove(&(Tie::PatientAccount, from.0));
    }

    fn bind(&mut self, fact: &Bound) -> Result<(), String> {
        let own = self.bound.entry((fact.tie, fact.holder)).or_default();
        ensure(!own.contains(&fact.other), || format!("{fact:?} again"))?;
        if let Some(leaver) = fact.instead_of {
            let before = own.len();
            own.retain(|key| *key != leaver);
            ensure(own.len() < before, || format!("{fact:?}: it was not there"))?;
        }
        own.push(fact.other);
        let persons: BTreeSet<u128> = own
            .iter()
            .map(|key| {
                let person = self.persons.get(key).filter(|_| fact.tie.is_of_patients());
                *person.unwrap_or(key)
            })
            .collect();
        let rules = self.rules.iter().find(|rules| rules.version == fact.rule.version);
        let layer = rules.and_then(|rules| rules.layers.get(usize::from(fact.rule.layer)));
        let rule = layer.and_then(|layer| layer.persons.as_deref());
        let rule = rule.filter(|rule| rule.mode == RuleMode::Enforce && fact.instead_of.is_none());
        let limit = rule.and_then(|rule| rule.limit(fact.tie)).map(usize::from);
        let fits = fact.is_beyond || limit.is_none_or(|limit| persons.len() <= limit);
        ensure(fits, || format!("{fact:?} beyond {limit:?}: {persons:?}"))
    }
}
