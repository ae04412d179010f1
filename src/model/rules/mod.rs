//! Rules as data (规则): what a region, an organization, a department, a schedule or a service item says
//! about who may book.
//!
//! ```text
//! Rules  version, from when, local time
//!   `-- RuleLayer   scope: region > organization > department > schedule > service item
//!                   when: which patients        what it says: each key, or nothing
//! ```
//!
//! The nearest layer that says something about a key decides that key; of two layers of one scope the
//! later one.
//!
//! **Architecture invariant:** rules are checked when they are made, and results when they are applied:
//! a fact carries what came of a rule and the version, never the rule.

mod cancel;
mod cooldown;
mod fault;
mod holder;
mod limit;
mod no_show;
mod payment;
mod persons;
mod print;
mod probing;
mod rates;
mod restrict;
mod strict;
mod unheard;
mod violations;
mod waits;
mod why;
pub use cancel::{CancelRule, Deadline, LateCancel, LeftLate};
pub use cooldown::{Cooldown, CooldownLength, CooldownRule, Cooled, EndingSet};
pub use fault::RulesFault;
pub use holder::{Holder, HolderRule};
pub use limit::{BookingLimit, Counts, DayOf, LimitKey, LimitScope, Period};
pub use no_show::{
    Begins, Consequence, NoShowRule, Restriction, RestrictionCause, RuleRef, Strike, Struck, Term,
    Tier, Window,
};
pub use payment::{LatePayment, OrderRule, PaymentMode, PaymentRule};
pub use persons::{Bound, Changes, NewPatients, PersonsRule, Tie, TieRule};
pub use probing::{Probed, ProbingRule};
pub use rates::{AdmissionRule, ChannelShare, RateKey, RateRule};
pub use restrict::{
    Amend, Amended, Amendment, Appeal, AppealRule, AppealTerm, Ground, KeptRestriction, Restrict,
    Restricted, RestrictionState, RestrictionStep, StepKind, Undecided,
};
pub use strict::Stricter;
pub use unheard::{NeverHeard, Unheard};
pub use violations::{Barred, CountedOf, Violation, ViolationRule, ViolationSet};
pub use waits::{WaitCounts, WaitKey, WaitLimit};
pub use why::{RuleKey, RuleWhy};

use super::appointment::PatientClass;
use super::civil::CivilTime;
use super::command::Attributes;
use super::id::{DepartmentId, OrganizationId, RequestId, ResourceId, RulesVersion, ServiceId};
use super::limits::{NOTICE_DAYS_MAX, RULE_LAYERS_MAX, RULES_BYTES_MAX};
use super::session::{ClassSet, Session};
use super::time::Timestamp;

/// The rules of a platform, as they are in force from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Counted by the node, from 1. 0 before there are rules, and in a request to apply some.
    pub version: RulesVersion,
    /// Since when they are in force.
    pub from: Timestamp,
    /// What a day is.
    pub civil: CivilTime,
    /// How many days before they are in force stricter rules than these are told of, 0 to
    /// [`NOTICE_DAYS_MAX`].
    pub notice_days: u16,
    /// Who says what, 0 to [`RULE_LAYERS_MAX`].
    pub layers: Vec<RuleLayer>,
}

/// What one part of the platform says, for some patients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleLayer {
    /// Where it holds.
    pub scope: RuleScope,
    /// For whom it holds.
    pub when: RuleCondition,
    /// What becomes of who does not come (爽约规则).
    pub no_show: Option<NoShowRule>,
    /// What else counts against somebody (违规), 0 to
    /// [`LAYER_VIOLATIONS_MAX`](super::limits::LAYER_VIOLATIONS_MAX).
    pub violations: Vec<ViolationRule>,
    /// How many appointments somebody may have (限约), 0 to [`LAYER_LIMITS_MAX`](super::limits::LAYER_LIMITS_MAX).
    pub limits: Vec<BookingLimit>,
    /// Who may ask how often, and how channels share the node (限流). Only for the region and everybody.
    pub admission: Option<AdmissionRule>,
    /// Until when a visit can be cancelled (退号截止).
    pub cancel: Option<CancelRule>,
    /// How a visit is paid for (支付方式).
    pub payment: Option<PaymentRule>,
    /// Whose a hold may be (选择就诊人).
    pub holder: Option<HolderRule>,
    /// How a restriction is appealed against (申诉). Where nothing is said it cannot be.
    pub appeal: Option<AppealRule>,
    /// How much somebody may wait for at a time (候补限制). No two have one key.
    pub waitlist: Box<[WaitLimit]>,
    /// How long one waits after a place was given up (冷却期), 0 to
    /// [`LAYER_COOLDOWNS_MAX`](super::limits::LAYER_COOLDOWNS_MAX).
    pub cooldown: Vec<CooldownRule>,
    /// Of how many others somebody is (就诊人与账号).
    pub persons: Option<Box<PersonsRule>>,
    /// Who asks too often for what is not to be had (刷号).
    pub probing: Option<ProbingRule>,
}

/// A part of the platform. The later ones are nearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleScope {
    /// All of it.
    #[default]
    Region,
    /// A hospital.
    Organization(OrganizationId),
    /// A department of a hospital.
    Department(OrganizationId, DepartmentId),
    /// What one resource of a hospital offers.
    Schedule(OrganizationId, ResourceId),
    /// A service item of a hospital.
    Service(OrganizationId, ServiceId),
}

/// Kinds of scopes, without saying which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ScopeKind {
    /// All of the platform.
    #[default]
    Region = 0,
    /// The hospital.
    Organization = 1,
    /// The department.
    Department = 2,
    /// The resource.
    Schedule = 3,
    /// The service item.
    Service = 4,
}

/// Where something takes place, as far as rules ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Whose it is.
    pub organization: OrganizationId,
    /// The department.
    pub department: DepartmentId,
    /// The resource.
    pub resource: ResourceId,
    /// The service item, 0 where none is said.
    pub service: ServiceId,
}

/// Which patients a layer is about: all that fit every part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleCondition {
    /// As what they come.
    pub classes: ClassSet,
    /// The youngest and the oldest in years. Who says no age fits only 0 to 255.
    pub ages: (u8, u8),
    /// Whether they are on file at the site (建档).
    pub on_file: Option<bool>,
    /// Whether it is their first visit.
    pub first_visit: Option<bool>,
    /// Which kinds of identity document, one bit each.
    pub id_kinds: u16,
}

/// Whether a rule is applied, or only counted and reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleMode {
    /// It refuses.
    #[default]
    Enforce = 0,
    /// It is counted, and nobody is refused (试运行).
    Shadow = 1,
}

/// Puts rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyRules {
    /// The id of the request.
    pub request: RequestId,
    /// The rules. Their version is 0: the node counts it.
    pub rules: Rules,
}

/// See [`super::Fact::RulesApplied`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesApplied {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// The rules, with their version.
    pub rules: Rules,
}

impl Default for Rules {
    fn default() -> Self {
        Self::none()
    }
}

impl Default for RuleCondition {
    /// Everybody.
    fn default() -> Self {
        Self {
            classes: ClassSet::ALL,
            ages: (0, u8::MAX),
            on_file: None,
            first_visit: None,
            id_kinds: u16::MAX,
        }
    }
}

impl Attributes {
    /// The age in years, if it was said.
    pub const fn age(self) -> Option<u8> {
        match self.0 & 0xff {
            0xff => None,
            #[expect(clippy::cast_possible_truncation, reason = "eight bits")]
            age => Some(age as u8),
        }
    }

    /// Whether the patient is on file at the site (建档).
    pub const fn is_on_file(self) -> bool {
        self.0 >> 8 & 1 == 1
    }

    /// Whether it is the first visit.
    pub const fn is_first_visit(self) -> bool {
        self.0 >> 9 & 1 == 1
    }

    /// The kind of identity document, 0 to 15.
    pub const fn id_kind(self) -> u32 {
        self.0 >> 10 & 0xf
    }
}

impl RuleCondition {
    /// Whether a patient is one of those.
    pub fn holds(self, class: PatientClass, attributes: Attributes) -> bool {
        let (youngest, oldest) = self.ages;
        let is_any_age = (youngest, oldest) == (0, u8::MAX);
        self.classes.contains(class)
            && attributes.age().map_or(is_any_age, |age| (youngest..=oldest).contains(&age))
            && self.on_file.is_none_or(|on_file| on_file == attributes.is_on_file())
            && self.first_visit.is_none_or(|first| first == attributes.is_first_visit())
            && self.id_kinds >> attributes.id_kind() & 1 == 1
    }

    const fn is_sound(self) -> bool {
        self.ages.0 <= self.ages.1 && self.classes.0 != 0 && self.id_kinds != 0
    }
}

impl RuleMode {
    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

impl ScopeKind {
    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Organization => "organization",
            Self::Department => "department",
            Self::Schedule => "resource",
            Self::Service => "service",
        }
    }
}

impl Place {
    /// Where a session is.
    pub const fn of(session: &Session) -> Self {
        Self {
            organization: session.organization,
            department: session.department,
            resource: session.resource,
            service: session.terms.service,
        }
    }
}

impl RuleScope {
    /// Whether a place lies in it.
    pub fn contains(self, place: &Place) -> bool {
        match self {
            Self::Region => true,
            Self::Organization(organization) => organization == place.organization,
            Self::Department(organization, department) => {
                (organization, department) == (place.organization, place.department)
            }
            Self::Schedule(organization, resource) => {
                (organization, resource) == (place.organization, place.resource)
            }
            Self::Service(organization, service) => {
                (organization, service) == (place.organization, place.service)
            }
        }
    }

    /// The scope of a kind in which a place lies.
    pub const fn around(kind: ScopeKind, place: &Place) -> Self {
        let organization = place.organization;
        match kind {
            ScopeKind::Region => Self::Region,
            ScopeKind::Organization => Self::Organization(organization),
            ScopeKind::Department => Self::Department(organization, place.department),
            ScopeKind::Schedule => Self::Schedule(organization, place.resource),
            ScopeKind::Service => Self::Service(organization, place.service),
        }
    }

    /// The hospital that it is of, or is part of; `None` for the region.
    pub const fn organization(self) -> Option<OrganizationId> {
        match self {
            Self::Region => None,
            Self::Organization(organization)
            | Self::Department(organization, _)
            | Self::Schedule(organization, _)
            | Self::Service(organization, _) => Some(organization),
        }
    }

    /// Its kind; a larger one is nearer.
    pub const fn kind(self) -> ScopeKind {
        match self {
            Self::Region => ScopeKind::Region,
            Self::Organization(_) => ScopeKind::Organization,
            Self::Department(..) => ScopeKind::Department,
            Self::Schedule(..) => ScopeKind::Schedule,
            Self::Service(..) => ScopeKind::Service,
        }
    }

    const fn words(self) -> [u64; 3] {
        let kind = self.kind() as u64;
        match self {
            Self::Region => [kind, 0, 0],
            Self::Organization(organization) => [kind, organization.0 as u64, 0],
            Self::Department(organization, department) => {
                [kind, organization.0 as u64, department.0 as u64]
            }
            Self::Schedule(organization, resource) => [kind, organization.0 as u64, resource.0],
            Self::Service(organization, service) => [kind, organization.0 as u64, service.0 as u64],
        }
    }
}

impl RuleLayer {
    /// Whether it has no key.
    pub fn says_nothing(&self) -> bool {
        let Self { scope, when, .. } = *self;
        *self == Self { scope, when, ..Self::default() }
    }

    /// The layer without what it says about a key.
    #[must_use]
    pub fn without(mut self, key: RuleKey) -> Self {
        match key {
            RuleKey::NoShow => self.no_show = None,
            RuleKey::Limits => self.limits.clear(),
            RuleKey::Violations => self.violations.clear(),
            RuleKey::Rates => self.admission = None,
            RuleKey::Cancel => self.cancel = None,
            RuleKey::Payment => self.payment = None,
            RuleKey::Holder => self.holder = None,
            RuleKey::Appeal => self.appeal = None,
            RuleKey::Waitlist => self.waitlist = Box::default(),
            RuleKey::Cooldown => self.cooldown.clear(),
            RuleKey::Persons => self.persons = None,
            RuleKey::Probing => self.probing = None,
            _ => {}
        }
        self
    }

    /// How many bytes it takes at most: its scope and condition, and each key that it says.
    fn weight(&self) -> usize {
        let limits = self.limits.len().saturating_mul(BookingLimit::WEIGHT);
        let cooldown = self.cooldown.len().saturating_mul(CooldownRule::WEIGHT);
        40 + self.no_show.as_ref().map_or(0, NoShowRule::weight)
            + violations::weight(&self.violations)
            + self.admission.as_ref().map_or(0, AdmissionRule::weight)
            + self.cancel.as_ref().map_or(0, CancelRule::weight)
            + self.payment.map_or(0, PaymentRule::weight)
            + self.holder.map_or(0, |_| HolderRule::WEIGHT)
            + self.appeal.map_or(0, |_| AppealRule::weight())
            + self.persons.as_ref().map_or(0, |rule| rule.weight())
            + self.probing.map_or(0, |_| ProbingRule::WEIGHT)
            + limits
            + self.waitlist.len().saturating_mul(WaitLimit::WEIGHT)
            + cooldown
    }

    /// Whether what it says of admission is sound, and said where it can hold: a request is of no
    /// hospital yet where it is counted, and nobody has looked at its patient.
    fn admits_soundly(&self) -> bool {
        let is_general = self.scope == RuleScope::Region && self.when == RuleCondition::default();
        self.admission.as_ref().is_none_or(|rule| is_general && rule.is_sound())
    }
}

impl Rules {
    /// Rules that say nothing.
    pub const fn none() -> Self {
        let civil = CivilTime(Vec::new());
        Self {
            version: RulesVersion(0),
            from: Timestamp::from_millis(0),
            civil,
            notice_days: 0,
            layers: Vec::new(),
        }
    }

    /// Checks ranges.
    ///
    /// # Errors
    ///
    /// The first [`RulesFault`] in the order of that enum.
    pub fn check(&self) -> Result<(), RulesFault> {
        // Where a notice is said, it stands in the list of layers.
        let notice = usize::from(self.notice_days != 0);
        if RULE_LAYERS_MAX < self.layers.len().saturating_add(notice) {
            return Err(RulesFault::Layers);
        }
        if RULES_BYTES_MAX < self.weight() {
            return Err(RulesFault::Bytes);
        }
        if !self.civil.is_sound() {
            return Err(RulesFault::Civil);
        }
        if !self.layers.iter().all(|layer| layer.when.is_sound()) {
            return Err(RulesFault::Condition);
        }
        if NOTICE_DAYS_MAX < self.notice_days {
            return Err(RulesFault::Notice);
        }
        let mut no_shows = self.layers.iter().filter_map(|layer| layer.no_show.as_ref());
        if !no_shows.all(NoShowRule::is_sound) {
            return Err(RulesFault::NoShow);
        }
        if !self.layers.iter().all(|layer| limit::are_sound(&layer.limits)) {
            return Err(RulesFault::Limits);
        }
        if !self.layers.iter().all(|layer| violations::are_sound(&layer.violations)) {
            return Err(RulesFault::Violations);
        }
        if !self.layers.iter().all(RuleLayer::admits_soundly) {
            return Err(RulesFault::Rates);
        }
        let mut cancels = self.layers.iter().filter_map(|layer| layer.cancel.as_ref());
        if !cancels.all(CancelRule::is_sound) {
            return Err(RulesFault::Cancel);
        }
        if !self.layers.iter().filter_map(|layer| layer.payment).all(PaymentRule::is_sound) {
            return Err(RulesFault::Payment);
        }
        if !self.layers.iter().filter_map(|layer| layer.holder).all(HolderRule::is_sound) {
            return Err(RulesFault::Holder);
        }
        let mut appeals = self.layers.iter().filter_map(|layer| layer.appeal);
        if !appeals.all(AppealRule::is_sound) {
            return Err(RulesFault::Appeal);
        }
        if !self.layers.iter().all(|layer| waits::are_sound(&layer.waitlist)) {
            return Err(RulesFault::Waitlist);
        }
        if !self.layers.iter().all(|layer| cooldown::are_sound(&layer.cooldown)) {
            return Err(RulesFault::Cooldown);
        }
        let mut persons = self.layers.iter().filter_map(|layer| layer.persons.as_ref());
        if !persons.all(|rule| rule.is_sound()) {
            return Err(RulesFault::Persons);
        }
        if !self.layers.iter().filter_map(|layer| layer.probing).all(ProbingRule::is_sound) {
            return Err(RulesFault::Probing);
        }
        Ok(())
    }

    /// How many bytes the layers take at most.
    pub fn weight(&self) -> usize {
        self.layers.iter().map(RuleLayer::weight).sum()
    }

    /// What the nearest layer says about one key, with the number of the layer.
    pub fn nearest<'a, T>(
        &'a self,
        place: &Place,
        is_about: impl Fn(&RuleCondition) -> bool,
        key: impl Fn(&'a RuleLayer) -> Option<&'a T>,
    ) -> Option<(u8, &'a T)> {
        let said = (0_u8..).zip(&self.layers).filter_map(|(index, layer)| {
            let holds = layer.scope.contains(place) && is_about(&layer.when);
            key(layer).filter(|_| holds).map(|value| (layer.scope.kind(), index, value))
        });
        said.max_by_key(|(kind, index, _)| (*kind, *index)).map(|(_, index, value)| (index, value))
    }

    /// What is said of admission: of the layers that say something, the last.
    pub fn admission(&self) -> Option<&AdmissionRule> {
        self.layers.iter().rev().find_map(|layer| layer.admission.as_ref())
    }

    /// Rules of which everything is only counted.
    #[must_use]
    pub fn in_shadow(mut self) -> Self {
        for layer in &mut self.layers {
            if let Some(rule) = &mut layer.no_show {
                rule.mode = RuleMode::Shadow;
            }
            layer.limits.iter_mut().for_each(|limit| limit.mode = RuleMode::Shadow);
            layer.waitlist.iter_mut().for_each(|limit| limit.mode = RuleMode::Shadow);
            layer.cooldown.iter_mut().for_each(|rule| rule.mode = RuleMode::Shadow);
            violations::in_shadow(&mut layer.violations);
            if let Some(rule) = &mut layer.admission {
                rule.in_shadow();
            }
            if let Some(rule) = &mut layer.cancel {
                rule.mode = RuleMode::Shadow;
            }
            if let Some(rule) = &mut layer.payment {
                rule.mode = RuleMode::Shadow;
            }
            if let Some(rule) = &mut layer.persons {
                rule.mode = RuleMode::Shadow;
            }
            if let Some(rule) = &mut layer.probing {
                rule.mode = RuleMode::Shadow;
            }
        }
        self
    }
}
