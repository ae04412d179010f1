//! Which of two sets of rules is stricter, and where (更严): what patients are told of before it holds.
//!
//! ```text
//! before   region: 3 missed, 30 days      department: 6 missed
//! after    region: 3 missed, 60 days                                 stricter: longer; a looser one went
//! ```
//!
//! Layers are compared with the layer of the same scope and condition. Where it cannot be told, it is
//! stricter: notice that was not needed harms nobody.
//!
//! **Architecture invariant:** by rules that are not stricter nothing harder or longer follows from the
//! same strikes, wherever they are.

use super::super::appointment::PatientClass;
use super::no_show::{Consequence, NoShowRule, Term, Tier, Window};
use super::violations::ViolationRule;
use super::{RuleCondition, RuleKey, RuleLayer, RuleMode, RuleScope, Rules};

/// Where rules are stricter than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stricter {
    /// What about.
    pub key: RuleKey,
    /// The layer of the stricter rules; that of the others where they lost a looser one.
    pub layer: u8,
    /// Whether it is a layer that is missing.
    pub is_gone: bool,
}

impl Rules {
    /// Every layer and key by which these rules are stricter than others.
    pub fn stricter_than(&self, before: &Self) -> Vec<Stricter> {
        let mut found = Vec::new();
        if self.notice_days < before.notice_days {
            found.push(Stricter { key: RuleKey::Notice, layer: 0, is_gone: false });
        }
        let (was, is) = (index(before), index(self));
        for key in RuleKey::ALL {
            let moved = is_reordered(&was, &is, key);
            for (layer, now) in says(&is, key) {
                let known = says(&was, key).find(|(_, old)| is_same_place(old, now));
                let is_stricter = match known {
                    None => harms(now, key),
                    Some((_, old)) => moved || is_stricter(old, now, key),
                };
                if is_stricter {
                    found.push(Stricter { key, layer, is_gone: false });
                }
            }
            for (layer, old) in says(&was, key) {
                let is_kept = says(&is, key).any(|(_, now)| is_same_place(old, now));
                let takes_over =
                    |now: &RuleLayer| now.scope.spans(old.scope) && is_stricter(old, now, key);
                if !is_kept && says(&is, key).any(|(_, now)| takes_over(now)) {
                    found.push(Stricter { key, layer, is_gone: true });
                }
            }
        }
        found
    }
}

impl RuleScope {
    /// Whether what lies in the other scope may lie in this one.
    fn spans(self, other: Self) -> bool {
        let same = self.organization().is_none_or(|own| other.organization() == Some(own));
        // A department and a resource of it cannot be told apart from here.
        self == other || same && self.kind() < other.kind()
    }
}

impl RuleLayer {
    /// What it says about one key alone.
    fn only(&self, key: RuleKey) -> Self {
        let others = RuleKey::ALL.into_iter().filter(|other| *other != key);
        others.fold(self.clone(), Self::without)
    }

    /// Whether it says anything about a key.
    pub fn says(&self, key: RuleKey) -> bool {
        self.clone().without(key) != *self
    }
}

type Indexed<'a> = Vec<(u8, &'a RuleLayer)>;

fn index(rules: &Rules) -> Indexed<'_> {
    (0..).zip(&rules.layers).collect()
}

/// The layers that say a key: of those of one scope and condition the last.
fn says<'a>(all: &'a Indexed<'a>, key: RuleKey) -> impl Iterator<Item = (u8, &'a RuleLayer)> {
    let saying = all.iter().filter(move |(_, layer)| layer.says(key));
    saying.copied().filter(move |(index, layer)| {
        let mut later = all.iter().filter(|(other, _)| index < other);
        !later.any(|(_, other)| other.says(key) && is_same_place(other, layer))
    })
}

/// Whether layers of one scope stand in another order: then others of them decide.
fn is_reordered(was: &Indexed<'_>, is: &Indexed<'_>, key: RuleKey) -> bool {
    let common = |from: &Indexed<'_>, to: &Indexed<'_>| -> Vec<(RuleScope, RuleCondition)> {
        let shared = says(from, key)
            .filter(|(_, one)| says(to, key).any(|(_, other)| is_same_place(one, other)));
        shared.map(|(_, layer)| (layer.scope, layer.when)).collect()
    };
    let (was, is) = (common(was, is), common(is, was));
    let of = |all: &[(RuleScope, RuleCondition)], scope: RuleScope| -> Vec<RuleCondition> {
        all.iter().filter(|(other, _)| *other == scope).map(|(_, when)| *when).collect()
    };
    was.iter().any(|(scope, _)| of(&was, *scope) != of(&is, *scope))
}

fn is_same_place(one: &RuleLayer, other: &RuleLayer) -> bool {
    (one.scope, one.when) == (other.scope, other.when)
}

/// Whether what a layer says about a key can go against anybody.
fn harms(layer: &RuleLayer, key: RuleKey) -> bool {
    match (key, &layer.no_show, &layer.persons, &layer.probing) {
        (RuleKey::NoShow, Some(rule), ..) => rule.harms(),
        (RuleKey::Persons, _, Some(rule), _) => rule.harms(),
        (RuleKey::Probing, .., Some(rule)) => rule.harms(),
        (RuleKey::Violations, ..) => layer.violations.iter().any(ViolationRule::harms),
        _ => layer.says(key),
    }
}

fn is_stricter(old: &RuleLayer, new: &RuleLayer, key: RuleKey) -> bool {
    if let (RuleKey::NoShow, Some(old), Some(new)) = (key, &old.no_show, &new.no_show) {
        return new.is_stricter_than(old);
    }
    if key == RuleKey::Violations {
        return are_stricter(&old.violations, &new.violations);
    }
    if let (RuleKey::Persons, Some(old), Some(new)) = (key, &old.persons, &new.persons) {
        return new.is_stricter_than(old);
    }
    if let (RuleKey::Probing, Some(old), Some(new)) = (key, old.probing, new.probing) {
        return new.is_stricter_than(old);
    }
    // Of keys whose numbers are not compared, every change may be.
    let place = RuleLayer { scope: old.scope, when: old.when, ..new.only(key) };
    old.only(key) != place
}

/// Whether rules about violations are stricter than others. One of several may keep another from what
/// would follow: those are not told apart.
fn are_stricter(old: &[ViolationRule], new: &[ViolationRule]) -> bool {
    match (old, new) {
        _ if old == new || !new.iter().any(ViolationRule::harms) => false,
        ([old], [new]) if (old.counts, old.of) == (new.counts, new.of) => {
            new.rule.is_stricter_than(&old.rule)
        }
        _ => true,
    }
}

impl ViolationRule {
    fn harms(&self) -> bool {
        self.rule.harms()
    }
}

impl NoShowRule {
    fn harms(&self) -> bool {
        let harms = |tier: &Tier| tier.consequence != Consequence::Warn;
        self.mode == RuleMode::Enforce && self.tiers.iter().any(harms)
    }

    fn is_stricter_than(&self, old: &Self) -> bool {
        if !self.harms() {
            return false;
        }
        let counts_less =
            (self.window, self.within, self.is_used_up) != (old.window, old.within, old.is_used_up);
        let counts = self.tiers.iter().chain(&old.tiers).map(|tier| tier.count);
        !old.harms()
            || !old.window.reaches(self.window)
            || self.within < old.within
            || self.begins != old.begins
            || old.is_used_up && !self.is_used_up
            || old.is_once != self.is_once
            || counts_less && !self.rises()
            || counts
                .into_iter()
                .any(|count| self.at(count).is_some_and(|tier| tier.is_harder_than(old.at(count))))
    }

    /// Whether no tier is harder than a later one: then who has fewer strikes fares no worse. Where a tier
    /// acts once only, who has one more fares better.
    fn rises(&self) -> bool {
        if self.is_once {
            return false;
        }
        let later = |index: usize| self.tiers.iter().skip(index.saturating_add(1));
        let mut tiers = self.tiers.iter().enumerate();
        tiers.all(|(index, tier)| !later(index).any(|later| tier.is_harder_than(Some(later))))
    }

    /// What follows after so many.
    fn at(&self, count: u16) -> Option<&Tier> {
        self.reached(count).map(|(_, tier)| tier)
    }
}

impl Tier {
    fn is_harder_than(&self, old: Option<&Self>) -> bool {
        let harm = |tier: &Self| match tier.consequence {
            Consequence::Warn => (0, 0),
            Consequence::Lower(by) => (1, by),
            Consequence::Fewer(most) => (2, u8::MAX.saturating_sub(most)),
            Consequence::Refuse { .. } | Consequence::RefuseBut { .. } => (3, 0),
        };
        let Some(old) = old else { return harm(self).0 != 0 };
        // Through a channel as a patient of a class, which passed before.
        let loses_channels = old.consequence.refuses()
            && PatientClass::ALL.into_iter().any(|class| {
                let passes = |tier: &Self| tier.consequence.passes(class).0;
                passes(old) & !passes(self) != 0
            });
        // Who had fewer appointments was as high on waitlists as ever; who was refused could pass somewhere
        // with as many as ever.
        let is_other = match (old.consequence, self.consequence) {
            (Consequence::Fewer(_), Consequence::Lower(_)) => true,
            (before, Consequence::Fewer(_)) if before.refuses() => {
                PatientClass::ALL.into_iter().any(|class| before.passes(class).0 != 0)
            }
            _ => false,
        };
        let is_longer = old.term.days().0 < self.term.days().1;
        let lasts = self.term != old.term && is_longer;
        harm(old) < harm(self) || is_other || loses_channels || harm(self).0 != 0 && lasts
    }
}

impl Term {
    /// The fewest and the most days that it lasts.
    fn days(self) -> (u32, u32) {
        match self {
            Self::Days(days) => (days.into(), days.into()),
            Self::Months(months) => {
                (u32::from(months).saturating_mul(28), u32::from(months).saturating_mul(31))
            }
            Self::DayEnd => (0, 1),
            Self::MonthEnd => (0, 31),
            Self::QuarterEnd => (0, 92),
            Self::YearEnd => (0, 366),
        }
    }
}

impl Window {
    /// Whether whatever counts together in the other window does so in this one.
    fn reaches(self, other: Self) -> bool {
        match (self, other) {
            (Self::Days(own), Self::Days(other)) => other <= own,
            (Self::Months(own), Self::Months(other)) => other <= own,
            (Self::Ever | Self::Year, Self::Year | Self::Quarter | Self::Month)
            | (Self::Ever, _)
            | (Self::Quarter, Self::Quarter | Self::Month)
            | (Self::Month, Self::Month)
            | (Self::InARow, Self::InARow) => true,
            _ => false,
        }
    }
}
