//! Commands that are asked for by people, decided and counted where a rule in shadow would have refused.
//!
//! **Architecture invariant:** counts begin at zero with the node: they are in no record and no snapshot.

use super::Inventory;
use super::group::Group;
use crate::engine::{Context, Decision, RuleKeys, View, shadowed};
use crate::model::{Refusal, RuleKey};
use crate::sync::atomic::{AtomicU64, Ordering};

/// What rules in shadow would have refused, in the order of [`RuleKey::ALL`].
#[derive(Debug)]
pub(super) struct ShadowCounts([AtomicU64; RuleKey::ALL.len()]);

impl Default for ShadowCounts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl ShadowCounts {
    fn count(&self, keys: RuleKeys) {
        if keys.is_empty() {
            return;
        }
        for (key, count) in RuleKey::ALL.into_iter().zip(&self.0) {
            count.fetch_add(u64::from(keys.contains(key)), Ordering::Relaxed);
        }
    }
}

impl Inventory {
    /// Decides something under locks, and counts what rules in shadow would have refused.
    pub(super) fn decided(
        &self,
        group: &Group<'_>,
        context: &Context<'_>,
        decide: impl Fn(&View<'_>, &Context<'_>) -> Result<Decision, Refusal>,
    ) -> Result<Decision, Refusal> {
        group.view(|view| {
            let decided = decide(view, context);
            self.shadow.count(shadowed(context, &decided, |context| decide(view, context)));
            decided
        })
    }

    /// How many commands were granted that a rule in shadow would have refused, since the start, by key.
    pub fn shadow_refusals(&self) -> [u64; RuleKey::ALL.len()] {
        std::array::from_fn(|index| self.shadow.0[index].load(Ordering::Relaxed))
    }
}
