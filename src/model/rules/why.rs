//! Why a rule refuses: which rule, what was counted, until when, and what would be taken instead.
//!
//! ```text
//! version 3, layer 1, tier 0 of `no_show`: 3 counted since 2027-01-04, the rule names 3;
//! in the organization, until 2027-02-01, but through channels 2 and 5
//! ```
//!
//! **Architecture invariant:** it is a few words that are copied, never text and never allocated: a
//! refusal costs the same with it and without.

use super::{RuleRef, ScopeKind};
use crate::model::actor::ChannelSet;
use crate::model::time::Timestamp;

/// What a rule says about: a key of a layer, by its number in layouts; or what refuses beside rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleKey {
    /// Missed visits (爽约).
    NoShow = 1,
    /// How much somebody may have (限约).
    Limits = 2,
    /// What else counts against somebody (违规).
    Violations = 3,
    /// How long one waits after a place was given up (冷却期).
    Cooldown = 4,
    /// How often somebody may ask.
    Rates = 5,
    /// Until when something may be cancelled (退号时限).
    Cancel = 6,
    /// How a place is paid for.
    Payment = 7,
    /// Who may hold a place for whom.
    Holder = 8,
    /// How a restriction is objected to (申诉).
    Appeal = 9,
    /// How long before they are in force stricter rules are told of.
    Notice = 10,
    /// What staff did by hand: no layer says it (人工限制).
    Staff = 11,
    /// Of how many others somebody is (就诊人).
    Persons = 12,
    /// How much somebody may wait for (候补限制).
    Waitlist = 13,
    /// Who asks too often for what is not to be had (刷号).
    Probing = 14,
}

/// Why a rule refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleWhy {
    /// The rule: its version, and where it stands in it.
    pub rule: RuleRef,
    /// What the rule is about.
    pub key: RuleKey,
    /// How far around it counts and holds.
    pub within: ScopeKind,
    /// What was counted.
    pub count: u16,
    /// The number in the rule that the count has reached; 0 where the version is no longer kept, or
    /// the rule names none.
    pub limit: u16,
    /// Since when it was counted; 0 where the rule counts nothing, or all.
    pub since: Timestamp,
    /// Until when the rule refuses; 0 where that depends on what else happens.
    pub until: Timestamp,
    /// Through which channels it would not have refused.
    pub through: ChannelSet,
}

impl RuleKey {
    /// Every key, by number.
    pub const ALL: [Self; 14] = [
        Self::NoShow,
        Self::Limits,
        Self::Violations,
        Self::Cooldown,
        Self::Rates,
        Self::Cancel,
        Self::Payment,
        Self::Holder,
        Self::Appeal,
        Self::Notice,
        Self::Staff,
        Self::Persons,
        Self::Waitlist,
        Self::Probing,
    ];

    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoShow => "no_show",
            Self::Limits => "limits",
            Self::Violations => "violations",
            Self::Cooldown => "cooldown",
            Self::Rates => "rates",
            Self::Cancel => "cancel",
            Self::Payment => "payment",
            Self::Holder => "holder",
            Self::Appeal => "appeal",
            Self::Notice => "notice",
            Self::Staff => "staff",
            Self::Waitlist => "waitlist",
            Self::Persons => "persons",
            Self::Probing => "probing",
        }
    }
}

impl RuleWhy {
    /// How many appointments somebody may have at a time for now, where it is a restriction to fewer that
    /// refuses: it lets nobody pass through any channel, and counts what is there, not since when.
    pub fn fewer(&self) -> Option<u16> {
        let is_restriction =
            matches!(self.key, RuleKey::NoShow | RuleKey::Violations | RuleKey::Staff);
        let is_fewer = self.through == ChannelSet::ALL && self.since == Timestamp::default();
        (is_restriction && is_fewer && 0 < self.limit).then_some(self.limit)
    }

    /// A rule that counts nothing and holds until something else happens.
    pub fn of(key: RuleKey, rule: RuleRef) -> Self {
        Self {
            rule,
            key,
            within: ScopeKind::Region,
            count: 0,
            limit: 0,
            since: Timestamp::default(),
            until: Timestamp::default(),
            through: ChannelSet(0),
        }
    }
}
