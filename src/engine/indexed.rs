//! Rules as they are asked: by the place that something is about.
//!
//! ```text
//! rules    layers as they were written              0 region  1 org 7  2 org 7  3 org 7, dep 2
//! indexed  scope -> layers, the last first          region [0]   org 7 [2 1]   org 7, dep 2 [3]
//! asked    service, resource, department, organization, region: each that is there is looked up
//! ```
//!
//! Made when rules are applied, and again when they are read from the journal or a snapshot.
//!
//! **Architecture invariant:** it answers as [`Rules::nearest`] does, which looks at every layer.

use std::ops::Deref;

use crate::model::{
    Asked, Place, RuleCondition, RuleKey, RuleLayer, RuleMode, RuleScope, Rules, ScopeKind,
};

/// Rules with an index of their layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedRules {
    rules: Rules,
    /// Scopes that have layers, in order, with the numbers of those, the last first.
    scopes: Vec<(RuleScope, Vec<u8>)>,
    /// One bit for each kind of scope that occurs.
    kinds: u8,
    /// What layers say something about.
    keys: RuleKeys,
    /// What layers say something about in shadow.
    shadow: RuleKeys,
    /// The smallest number that a limit names which refuses.
    fewest: u16,
    /// Of whom any layer counts besides patients, or one of an earlier version.
    asked: Asked,
}

impl IndexedRules {
    /// Rules that say nothing.
    pub const fn none() -> Self {
        let asked = Asked { account: false, phone: false };
        let (kinds, keys, fewest) = (0, RuleKeys::NONE, u16::MAX);
        let shadow = RuleKeys::NONE;
        Self { rules: Rules::none(), scopes: Vec::new(), kinds, keys, shadow, fewest, asked }
    }

    /// Whether any layer says anything about a key.
    pub const fn says(&self, key: RuleKey) -> bool {
        self.keys.contains(key)
    }

    /// The keys about which a layer says something that is only counted.
    pub const fn in_shadow(&self) -> RuleKeys {
        self.shadow
    }

    /// The same, which ask of those too.
    pub(super) fn asking(self, asked: Asked) -> Self {
        Self { asked: self.asked.or(asked), ..self }
    }

    /// Of whom any layer counts besides patients, or counted before: whose ledgers a command locks.
    pub const fn asked(&self) -> Asked {
        self.asked
    }

    /// Whether no limit refuses somebody who has no more than so much, wherever it is.
    pub fn allows(&self, count: u32) -> bool {
        count <= u32::from(self.fewest)
    }

    /// The layers that hold at a place, with their numbers, the nearest first.
    pub fn at(&self, place: &Place) -> impl Iterator<Item = (u8, &RuleLayer)> {
        let kinds = NEAREST_FIRST.into_iter().filter(|kind| self.kinds >> *kind as u8 & 1 == 1);
        let place = *place;
        let here = kinds.filter_map(move |kind| self.of(RuleScope::around(kind, &place)));
        here.flatten().filter_map(|index| {
            self.rules.layers.get(usize::from(*index)).map(|layer| (*index, layer))
        })
    }

    /// See [`Rules::nearest`].
    pub fn nearest<'a, T>(
        &'a self,
        place: &Place,
        is_about: impl Fn(&RuleCondition) -> bool,
        key: impl Fn(&'a RuleLayer) -> Option<&'a T>,
    ) -> Option<(u8, &'a T)> {
        if self.kinds == 0 {
            return None;
        }
        let mut here = self.at(place).filter(|(_, layer)| is_about(&layer.when));
        here.find_map(|(index, layer)| key(layer).map(|said| (index, said)))
    }

    fn of(&self, scope: RuleScope) -> Option<&Vec<u8>> {
        let found = self.scopes.binary_search_by_key(&scope, |(known, _)| *known).ok()?;
        self.scopes.get(found).map(|(_, layers)| layers)
    }
}

impl From<Rules> for IndexedRules {
    fn from(rules: Rules) -> Self {
        let mut scopes: Vec<(RuleScope, Vec<u8>)> = Vec::new();
        let mut kinds = 0;
        for (index, layer) in (0_u8..).zip(&rules.layers) {
            match scopes.iter_mut().find(|(scope, _)| *scope == layer.scope) {
                Some((_, layers)) => layers.insert(0, index),
                None => scopes.push((layer.scope, vec![index])),
            }
            kinds |= 1_u8 << layer.scope.kind() as u8;
        }
        scopes.sort_unstable_by_key(|(scope, _)| *scope);
        let of_any = |has: fn(&RuleLayer, RuleKey) -> bool| -> RuleKeys {
            let is_in = |key: &RuleKey| rules.layers.iter().any(|layer| has(layer, *key));
            RuleKey::ALL.into_iter().filter(is_in).collect()
        };
        let (keys, shadow) = (of_any(RuleLayer::says), of_any(has_in_shadow));
        let limits = rules.layers.iter().flat_map(|layer| &layer.limits);
        let refusing = limits.filter(|limit| limit.mode == RuleMode::Enforce);
        let fewest = refusing.map(|limit| limit.most).min().unwrap_or(u16::MAX);
        let asks = rules.layers.iter().map(RuleLayer::asks);
        let asked = asks.fold(Asked::default(), Asked::or);
        Self { rules, scopes, kinds, keys, shadow, fewest, asked }
    }
}

impl Default for IndexedRules {
    fn default() -> Self {
        Self::none()
    }
}

impl Deref for IndexedRules {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.rules
    }
}

/// Whether a layer says anything about a key that would refuse somebody if it were not in shadow. Rates
/// are counted where they are taken, before anything is decided.
fn has_in_shadow(layer: &RuleLayer, key: RuleKey) -> bool {
    let is_shadow = |mode: RuleMode| mode == RuleMode::Shadow;
    match key {
        RuleKey::NoShow => layer.no_show.as_ref().is_some_and(|rule| is_shadow(rule.mode)),
        RuleKey::Limits => layer.limits.iter().any(|limit| is_shadow(limit.mode)),
        RuleKey::Violations => layer.violations.iter().any(|rule| is_shadow(rule.rule.mode)),
        RuleKey::Cooldown => layer.cooldown.iter().any(|rule| is_shadow(rule.mode)),
        RuleKey::Cancel => layer.cancel.as_ref().is_some_and(|rule| is_shadow(rule.mode)),
        RuleKey::Payment => layer.payment.as_ref().is_some_and(|rule| is_shadow(rule.mode)),
        RuleKey::Persons => layer.persons.as_ref().is_some_and(|rule| is_shadow(rule.mode)),
        RuleKey::Waitlist => layer.waitlist.iter().any(|limit| is_shadow(limit.mode)),
        // Nobody is refused by these themselves.
        RuleKey::Probing
        | RuleKey::Appeal
        | RuleKey::Notice
        | RuleKey::Staff
        | RuleKey::Rates
        | RuleKey::Holder => false,
    }
}

/// Keys of rules, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleKeys(u16);

impl RuleKeys {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// One alone.
    pub const fn only(key: RuleKey) -> Self {
        Self(1 << key as u8)
    }

    /// Whether a key is one of them.
    pub const fn contains(self, key: RuleKey) -> bool {
        self.0 >> key as u8 & 1 == 1
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, by number.
    pub fn iter(self) -> impl Iterator<Item = RuleKey> {
        RuleKey::ALL.into_iter().filter(move |key| self.contains(*key))
    }
}

impl FromIterator<RuleKey> for RuleKeys {
    fn from_iter<T: IntoIterator<Item = RuleKey>>(keys: T) -> Self {
        keys.into_iter().fold(Self::NONE, |all, key| Self(all.0 | Self::only(key).0))
    }
}

const NEAREST_FIRST: [ScopeKind; 5] = [
    ScopeKind::Service,
    ScopeKind::Schedule,
    ScopeKind::Department,
    ScopeKind::Organization,
    ScopeKind::Region,
];
