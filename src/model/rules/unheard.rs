//! Rules that never decide anything: what `ctl rules check` tells of beside faults.
//!
//! ```text
//! rules[0].no_show  for all        never: rules[2] says it for the same, and stands later
//! rules[1].no_show  ages 0 to 13   never: of a missed visit the class is known, and no age
//! rules[2].no_show  for all
//! ```
//!
//! **Architecture invariant:** it refuses nothing: rules that are never heard may be applied.

use super::{RuleCondition, RuleKey, RuleLayer, Rules};
use crate::model::appointment::PatientClass;
use crate::model::command::Attributes;

/// What a layer says of a key, and nobody ever hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// The position of the layer.
    pub layer: usize,
    /// The key.
    pub key: RuleKey,
    /// What keeps it from deciding.
    pub why: NeverHeard,
}

/// Why a rule never decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeverHeard {
    /// The layer of this position says the key for the same scope and patients, and stands later.
    Later(usize),
    /// It is about patients of whom something is attested, and nothing is where this key decides.
    Attested,
}

/// Keys of which the nearest layer that says them decides alone.
const NEAREST: [RuleKey; 9] = [
    RuleKey::NoShow,
    RuleKey::Violations,
    RuleKey::Cooldown,
    RuleKey::Cancel,
    RuleKey::Payment,
    RuleKey::Holder,
    RuleKey::Appeal,
    RuleKey::Persons,
    RuleKey::Probing,
];

/// Keys that decide where the class of a patient is known, and nothing that was attested of them.
const BY_CLASS: [RuleKey; 6] = [
    RuleKey::NoShow,
    RuleKey::Violations,
    RuleKey::Cooldown,
    RuleKey::Cancel,
    RuleKey::Payment,
    RuleKey::Probing,
];

impl Rules {
    /// What never decides anything, layer by layer.
    pub fn unheard(&self) -> Vec<Unheard> {
        let layers = self.layers.iter().enumerate();
        let silent = layers.flat_map(|(layer, said)| {
            let keys = NEAREST.into_iter().filter(|key| said.says(*key));
            keys.filter_map(move |key| {
                let why = self.keeps_silent(layer, said, key)?;
                Some(Unheard { layer, key, why })
            })
        });
        silent.collect()
    }

    fn keeps_silent(&self, layer: usize, said: &RuleLayer, key: RuleKey) -> Option<NeverHeard> {
        if BY_CLASS.contains(&key) && said.when.needs_attesting() {
            return Some(NeverHeard::Attested);
        }
        let is_same = |other: &RuleLayer| {
            (other.scope, other.when) == (said.scope, said.when) && other.says(key)
        };
        let mut behind = self.layers.iter().enumerate().skip(layer.saturating_add(1));
        behind.find(|(_, other)| is_same(other)).map(|(index, _)| NeverHeard::Later(index))
    }
}

impl RuleCondition {
    /// Whether it holds for nobody of whom nothing is attested.
    fn needs_attesting(self) -> bool {
        let holds = |class| self.holds(class, Attributes::default());
        !PatientClass::ALL.into_iter().any(holds)
    }
}
