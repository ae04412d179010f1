//! Restrictions by hand, and what is done about restrictions: flags that are set as things happen.

use super::{Naive, lowest};
use crate::model::{
    Actor, Amend, Amendment, Appeal, AppealTerm, Consequence, Day, Ground, KeptRestriction,
    Organizations, Outcome, PatientId, Receipt, Refusal, RequestId, Restrict, Restriction,
    RestrictionCause, RestrictionId, RestrictionStep, RuleMode, RuleRef, RuleScope, StepKind, Term,
    Timestamp, Undecided,
};

/// A restriction, and where it stands.
pub(in super::super) struct NaiveRestriction {
    pub(in super::super) patient: PatientId,
    pub(in super::super) kept: KeptRestriction,
    is_ended: bool,
    suspended: Timestamp,
    /// The last appeal, unless it was decided.
    appeal: Option<AppealTerm>,
    appeals: usize,
}

impl NaiveRestriction {
    pub(super) const fn new(
        patient: PatientId,
        id: RestrictionId,
        restriction: Restriction,
        ground: Option<Ground>,
    ) -> Self {
        let kept = KeptRestriction { id, restriction, ground, steps: Vec::new() };
        let suspended = Timestamp::from_millis(0);
        Self { patient, kept, is_ended: false, suspended, appeal: None, appeals: 0 }
    }

    /// Whether it was ended, or an appeal that nobody decided did.
    pub(super) fn is_lifted(&self, now: Timestamp) -> bool {
        let lapsed = self.appeal.filter(|term| term.due <= now);
        self.is_ended || lapsed.is_some_and(|term| term.undecided == Undecided::Lifted)
    }

    fn open(&self, now: Timestamp) -> Option<AppealTerm> {
        self.appeal.filter(|term| now < term.due)
    }

    pub(super) fn is_in_effect(&self, now: Timestamp) -> bool {
        let Restriction { from, until, .. } = self.kept.restriction;
        let is_waiting = self.open(now).is_some_and(|term| term.is_suspending);
        from <= now && now < until && !self.is_lifted(now) && !is_waiting && self.suspended <= now
    }

    /// When it ends at the latest.
    pub(super) fn ends(&self) -> Timestamp {
        match self.appeal {
            Some(term) if term.undecided == Undecided::Lifted => {
                self.kept.restriction.until.min(term.due)
            }
            _ => self.kept.restriction.until,
        }
    }
}

impl Naive {
    pub(super) fn is_used_for_restrictions(&self, id: RequestId) -> bool {
        let conduct = &self.conduct;
        conduct.restricts.iter().any(|ask| ask.request == id)
            || conduct.amends.iter().any(|ask| ask.request == id)
            || conduct.appeals.iter().any(|(ask, _)| ask.request == id)
    }

    pub(super) fn restrict(&mut self, actor: &Actor, ask: &Restrict) -> Result<Receipt, Refusal> {
        if self.conduct.restricts.contains(ask) {
            return Ok(self.receipt(true));
        }
        let mut refusals = Vec::new();
        if self.is_used(ask.request) {
            refusals.push(Outcome::IdReused);
        }
        if !is_staff_there(actor, ask.within) {
            refusals.push(Outcome::OrganizationNotPermitted);
        }
        let from = ask.from.max(self.now);
        let is_none = ask.consequence == Consequence::Lower(0);
        let is_none = is_none || matches!(ask.consequence, Consequence::Fewer(0 | 9..));
        if ask.until <= from || is_none {
            refusals.push(Outcome::RestrictionInvalid);
        }
        lowest(&refusals)?;
        let made = Restriction {
            within: ask.within,
            cause: RestrictionCause::Staff,
            consequence: ask.consequence,
            mode: RuleMode::Enforce,
            from,
            until: ask.until,
            rule: RuleRef { version: self.rules().0, ..RuleRef::default() },
            count: 0,
            since: Day(0),
        };
        let ground = Ground { by: actor.role, reason: ask.reason, evidence: ask.evidence };
        let id = RestrictionId(ask.request.0);
        let known = NaiveRestriction::new(ask.patient, id, made, Some(ground));
        self.conduct.restrictions.push(known);
        self.conduct.restricts.push(ask.clone());
        Ok(self.receipt(false))
    }

    pub(super) fn amend(&mut self, actor: &Actor, ask: &Amend) -> Result<Receipt, Refusal> {
        if self.conduct.amends.contains(ask) {
            return Ok(self.receipt(true));
        }
        let now = self.now;
        let (is_used, receipt) = (self.is_used(ask.request), self.receipt(false));
        let known = self.named(ask.patient, ask.restriction);
        let mut refusals = Vec::new();
        if is_used {
            refusals.push(Outcome::IdReused);
        }
        let Some(known) = known else {
            refusals.push(Outcome::RestrictionNotFound);
            return lowest(&refusals).map(|()| receipt);
        };
        if !is_staff_there(actor, known.kept.restriction.within) {
            refusals.push(Outcome::OrganizationNotPermitted);
        }
        if known.is_lifted(now) || known.kept.restriction.until <= now {
            refusals.push(Outcome::RestrictionOver);
        }
        let is_fitting = match ask.amendment {
            Amendment::Lift => true,
            Amendment::Suspend { until } => now < until && known.kept.steps.len() < 12,
            Amendment::Resume => now < known.suspended,
            Amendment::Uphold | Amendment::Grant => known.open(now).is_some(),
        };
        if !is_fitting {
            refusals.push(Outcome::AmendmentInvalid);
        }
        lowest(&refusals)?;
        let what = match ask.amendment {
            Amendment::Lift => {
                known.is_ended = true;
                StepKind::Lifted
            }
            Amendment::Suspend { until } => {
                known.suspended = known.suspended.max(until);
                StepKind::Suspended(until)
            }
            Amendment::Resume => {
                known.suspended = now;
                StepKind::Resumed
            }
            Amendment::Uphold => {
                known.appeal = None;
                StepKind::Upheld
            }
            Amendment::Grant => {
                known.is_ended = true;
                StepKind::Granted
            }
        };
        let ground = Ground { by: actor.role, reason: ask.reason, evidence: ask.evidence };
        known.kept.steps.push(RestrictionStep { request: ask.request, at: now, ground, what });
        self.conduct.amends.push(*ask);
        Ok(receipt)
    }

    pub(super) fn appeal(&mut self, actor: &Actor, ask: &Appeal) -> Result<Receipt, Refusal> {
        let mut earlier = self.conduct.appeals.iter();
        let is_same = |other: &Appeal| Appeal { channel: ask.channel, ..*other } == *ask;
        if let Some((_, due)) = earlier.find(|(other, _)| is_same(other)) {
            return Ok(Receipt { until: *due, ..self.receipt(true) });
        }
        let (now, receipt) = (self.now, self.receipt(false));
        let is_used = self.is_used(ask.request);
        let (version, rules) = self.rules();
        let rules = rules.cloned();
        let known = self.named(ask.patient, ask.restriction);
        let mut refusals = Vec::new();
        if is_used {
            refusals.push(Outcome::IdReused);
        }
        let Some(known) = known else {
            refusals.push(Outcome::RestrictionNotFound);
            return lowest(&refusals).map(|()| receipt);
        };
        let within = known.kept.restriction.within;
        if within.organization().is_some_and(|organization| !actor.may_touch(organization)) {
            refusals.push(Outcome::OrganizationNotPermitted);
        }
        if known.is_lifted(now) || known.kept.restriction.until <= now {
            refusals.push(Outcome::RestrictionOver);
        }
        // From the nearest kind of scope to the widest.
        let layers = rules.iter().flat_map(|rules| &rules.layers).rev();
        let said = layers.filter(|layer| {
            let is_around = match layer.scope {
                RuleScope::Region => true,
                RuleScope::Organization(it) => within.organization() == Some(it),
                nearer @ (RuleScope::Department(..)
                | RuleScope::Schedule(..)
                | RuleScope::Service(..)) => nearer == within,
            };
            is_around && layer.when.classes.0 & 1 == 1 && layer.when.ages == (0, u8::MAX)
        });
        let mut nearest = None;
        for kind in [4, 3, 2, 1, 0] {
            let of_kind = |layer: &&crate::model::RuleLayer| {
                layer.scope.kind() as u8 == kind && layer.appeal.is_some()
            };
            nearest = nearest.or_else(|| said.clone().find(of_kind));
        }
        let Some(rule) = nearest.and_then(|layer| layer.appeal) else {
            refusals.push(Outcome::NoAppeal);
            return lowest(&refusals).map(|()| receipt);
        };
        let is_full = usize::from(rule.per_restriction) <= known.appeals
            || 12 <= known.kept.steps.len()
            || known.open(now).is_some();
        if is_full {
            refusals.push(Outcome::AppealedAlready);
        }
        lowest(&refusals)?;
        let civil = rules.unwrap().civil;
        let due = match rule.term {
            Term::Days(days) => civil.plus_days(now, days.into()),
            Term::Months(months) => civil.plus_months(now, months.into()),
            Term::DayEnd => civil.start_of(civil.day_of(now).plus(1)),
            Term::MonthEnd => civil.start_of(civil.day_of(now).month_start().plus_months(1)),
            Term::QuarterEnd => civil.start_of(civil.day_of(now).quarter_start().plus_months(3)),
            Term::YearEnd => civil.start_of(civil.day_of(now).year_start().plus_months(12)),
        };
        let (is_suspending, undecided) = (rule.is_suspending, rule.undecided);
        let term = AppealTerm { due, is_suspending, undecided, rules: version };
        known.appeal = Some(term);
        known.appeals += 1;
        let ground = Ground { by: actor.role, reason: 0, evidence: ask.evidence };
        let what = StepKind::Appealed(term);
        known.kept.steps.push(RestrictionStep { request: ask.request, at: now, ground, what });
        self.conduct.appeals.push((*ask, due));
        Ok(Receipt { until: due, ..receipt })
    }

    fn named(&mut self, patient: PatientId, id: RestrictionId) -> Option<&mut NaiveRestriction> {
        let mut all = self.conduct.restrictions.iter_mut();
        all.find(|known| known.patient == patient && known.kept.id == id)
    }
}

fn is_staff_there(actor: &Actor, within: RuleScope) -> bool {
    match within.organization() {
        Some(organization) => actor.may_touch(organization),
        None => actor.organizations == Organizations::All,
    }
}
