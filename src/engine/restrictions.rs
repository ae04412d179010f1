//! Decides what staff and patients do about restrictions, and whether one holds.
//!
//! ```text
//! restrict -> Restricted         amend, appeal -> is it theirs to touch? does it stand? -> Amended
//!
//! holds at t  =  from <= t < until, not lifted by t, not suspended at t
//! lifted      =  lifted | appeal granted | appeal not decided by its term, where the rule says so
//! ```
//!
//! **Architecture invariant:** whether a restriction holds is a function of its steps and the time that
//! is asked about: no clock takes a step, and so none is late.

use super::conduct::key_of;
use super::view::{Context, Decision, View};
use crate::model::limits::RESTRICTION_STEPS_MAX;
use crate::model::{
    Actor, Amend, Amended, Amendment, Appeal, AppealTerm, BookingChannel, Consequence, Day, Fact,
    Ground, KeptRestriction, Organizations, Outcome, PatientClass, PatientId, Receipt, Refusal,
    RequestId, Restrict, Restricted, Restriction, RestrictionCause, RestrictionId,
    RestrictionState, RestrictionStep, RuleMode, RuleRef, RuleScope, StepKind, Timestamp,
    Undecided,
};

/// Decides whether a patient is restricted by hand (限制预约).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_restrict(
    view: &View<'_>,
    context: &Context<'_>,
    ask: &Restrict,
) -> Result<Decision, Refusal> {
    let fingerprint = ask.fingerprint();
    let is_same = |print| view.is_same(print, ask.patient, |key| ask.fingerprint_as(key));
    if let Some(retry) = view.repeated_by(context.now, ask.request, is_same)? {
        return Ok(retry);
    }
    if !may_restrict(context.actor, ask.within) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    let from = ask.from.max(context.now);
    let is_sound = ask.consequence.is_sound() && ask.consequence != Consequence::Lower(0);
    if ask.until <= from || !is_sound {
        return Err(Outcome::RestrictionInvalid.into());
    }
    let restriction = Restriction {
        within: ask.within,
        cause: RestrictionCause::Staff,
        consequence: ask.consequence,
        mode: RuleMode::Enforce,
        from,
        until: ask.until,
        rule: RuleRef { version: context.rules.version, layer: 0, tier: 0 },
        count: 0,
        since: Day(0),
    };
    let (patient, request) = (view.person(ask.patient), ask.request);
    let Restrict { evidence, reason, .. } = *ask;
    let ground = Ground { by: context.actor.role, reason, evidence };
    let fact = Restricted { request, fingerprint, patient, restriction, ground };
    Ok(Decision::done(context.now, Fact::Restricted(Box::new(fact))))
}

/// Decides what becomes of a restriction (解除, 暂停, 裁定).
///
/// # Errors
///
/// As [`decide_restrict`].
pub fn decide_amend(
    view: &View<'_>,
    context: &Context<'_>,
    ask: &Amend,
) -> Result<Decision, Refusal> {
    let (now, fingerprint) = (context.now, ask.fingerprint());
    let is_same = |print| view.is_same(print, ask.patient, |key| ask.fingerprint_as(key));
    if let Some(retry) = view.repeated_by(now, ask.request, is_same)? {
        return Ok(retry);
    }
    let kept = find(view, ask.patient, ask.restriction)?;
    if !may_restrict(context.actor, kept.restriction.within) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    if !kept.stands(now) {
        return Err(Outcome::RestrictionOver.into());
    }
    let what = next_step(kept, now, ask.amendment).ok_or(Outcome::AmendmentInvalid)?;
    let ground = Ground { by: context.actor.role, reason: ask.reason, evidence: ask.evidence };
    let step = RestrictionStep { request: ask.request, at: now, ground, what };
    Ok(done(now, fingerprint, view.person(ask.patient), kept.id, step))
}

/// Decides whether an appeal is open (申诉). Its receipt says until when it is decided.
///
/// # Errors
///
/// As [`decide_restrict`].
pub fn decide_appeal(
    view: &View<'_>,
    context: &Context<'_>,
    ask: &Appeal,
) -> Result<Decision, Refusal> {
    let (now, fingerprint) = (context.now, ask.fingerprint());
    let is_same = |print| view.is_same(print, ask.patient, |key| ask.fingerprint_as(key));
    if let Some(retry) = view.repeated_by(now, ask.request, is_same)? {
        let kept = find(view, ask.patient, ask.restriction).ok();
        let due = kept.and_then(|kept| kept.due_of(ask.request)).unwrap_or(now);
        return Ok(until(retry, due));
    }
    let kept = find(view, ask.patient, ask.restriction)?;
    let organization = kept.restriction.within.organization();
    if !organization.is_none_or(|organization| context.actor.may_touch(organization)) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    if !kept.stands(now) {
        return Err(Outcome::RestrictionOver.into());
    }
    let Some(rule) = context.rules.appeals(kept.restriction.within) else {
        return Err(Outcome::NoAppeal.into());
    };
    let is_full = RESTRICTION_STEPS_MAX <= kept.steps.len();
    let is_used = usize::from(rule.per_restriction) <= kept.appeals().count();
    if is_full || is_used || kept.open_appeal(now).is_some() {
        return Err(Outcome::AppealedAlready.into());
    }
    let civil = &context.rules.civil;
    let due = rule.term.end(civil, now, civil.day_of(now));
    let term = AppealTerm {
        due,
        is_suspending: rule.is_suspending,
        undecided: rule.undecided,
        rules: context.rules.version,
    };
    let ground = Ground { by: context.actor.role, reason: 0, evidence: ask.evidence };
    let step =
        RestrictionStep { request: ask.request, at: now, ground, what: StepKind::Appealed(term) };
    Ok(until(done(now, fingerprint, view.person(ask.patient), kept.id, step), due))
}

/// Whether an actor may restrict patients there: everywhere only who may touch every organization.
fn may_restrict(actor: &Actor, within: RuleScope) -> bool {
    match within.organization() {
        Some(organization) => actor.may_touch(organization),
        None => actor.organizations == Organizations::All,
    }
}

fn find<'a>(
    view: &View<'a>,
    patient: PatientId,
    id: RestrictionId,
) -> Result<&'a KeptRestriction, Outcome> {
    let mut all = view.restrictions(patient).iter();
    all.find(|kept| kept.id == id).ok_or(Outcome::RestrictionNotFound)
}

fn done(
    now: Timestamp,
    fingerprint: u64,
    patient: PatientId,
    restriction: RestrictionId,
    step: RestrictionStep,
) -> Decision {
    let fact = Amended { fingerprint, patient, restriction, step };
    Decision::done(now, Fact::Amended(Box::new(fact)))
}

fn until(decision: Decision, until: Timestamp) -> Decision {
    Decision { receipt: Receipt { until, ..decision.receipt }, ..decision }
}

/// What an amendment does to a restriction that stands; `None` where it supposes something else.
fn next_step(kept: &KeptRestriction, now: Timestamp, amendment: Amendment) -> Option<StepKind> {
    match amendment {
        Amendment::Lift => Some(StepKind::Lifted),
        Amendment::Suspend { until } => {
            let has_room = kept.steps.len() < RESTRICTION_STEPS_MAX;
            (has_room && now < until).then_some(StepKind::Suspended(until))
        }
        Amendment::Resume => (now < kept.suspended_until()).then_some(StepKind::Resumed),
        Amendment::Uphold => kept.open_appeal(now).map(|_| StepKind::Upheld),
        Amendment::Grant => kept.open_appeal(now).map(|_| StepKind::Granted),
    }
}

impl KeptRestriction {
    /// Whether it keeps a patient of a class from booking through a channel now.
    pub(super) fn refuses(
        &self,
        context: &Context<'_>,
        channel: BookingChannel,
        class: PatientClass,
    ) -> bool {
        self.restriction.consequence.bars(channel, class) && self.is_applied(context)
    }

    /// Whether it holds now, and is more than counted.
    pub(super) fn is_applied(&self, context: &Context<'_>) -> bool {
        let made = &self.restriction;
        context.applies(key_of(made.cause), made.mode) && self.holds(context.now)
    }

    /// Whether it holds at an instant that no step lies after.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.state(now) == RestrictionState::Holds
    }

    /// The same with what was done about it by an instant.
    #[must_use]
    pub fn as_of(&self, at: Timestamp) -> Self {
        let mut kept = self.clone();
        kept.steps.retain(|step| step.at <= at);
        kept
    }

    /// Where it stands at an instant that no step lies after.
    pub fn state(&self, now: Timestamp) -> RestrictionState {
        if self.lifted_at(now).is_some() {
            return RestrictionState::Lifted;
        }
        if self.restriction.until <= now {
            return RestrictionState::Over;
        }
        if now < self.restriction.from {
            return RestrictionState::Ahead;
        }
        let is_appealed = self.open_appeal(now).is_some_and(|term| term.is_suspending);
        if is_appealed || now < self.suspended_until() {
            return RestrictionState::Suspended;
        }
        RestrictionState::Holds
    }

    /// Whether something may still be done about it: it is not over, and was not lifted.
    pub(super) fn stands(&self, now: Timestamp) -> bool {
        !matches!(self.state(now), RestrictionState::Lifted | RestrictionState::Over)
    }

    /// Whether it would hold at an instant, earlier or later, as far as is known now. That it is
    /// suspended does not count: it is there.
    pub(super) fn would_hold(&self, now: Timestamp, at: Timestamp) -> bool {
        self.lifted_at(now).is_none() && self.restriction.is_active(at)
    }

    /// Until when it holds at the latest.
    pub(super) fn ends(&self, now: Timestamp) -> Timestamp {
        let lifted = self.open_appeal(now).filter(|term| term.undecided == Undecided::Lifted);
        lifted.map_or(self.restriction.until, |term| term.due.min(self.restriction.until))
    }

    /// When it was ended before its time, by now.
    fn lifted_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ended = |step: &RestrictionStep| match step.what {
            StepKind::Lifted | StepKind::Granted => Some(step.at),
            StepKind::Suspended(_) | StepKind::Resumed | StepKind::Upheld => None,
            StepKind::Appealed(term) => {
                let is_lifted = term.undecided == Undecided::Lifted && term.due <= now;
                (is_lifted && !self.is_decided(step)).then_some(term.due)
            }
        };
        self.steps.iter().filter_map(ended).min()
    }

    /// Whether an appeal was decided: the next decision after it is about it.
    fn is_decided(&self, appeal: &RestrictionStep) -> bool {
        let after = self.steps.iter().skip_while(|step| step.request != appeal.request);
        after.skip(1).any(|step| matches!(step.what, StepKind::Upheld | StepKind::Granted))
    }

    /// Until when it was suspended by hand: the latest instant since it was resumed last.
    pub fn suspended_until(&self) -> Timestamp {
        let since = self.steps.iter().rev().take_while(|step| step.what != StepKind::Resumed);
        let until = since.filter_map(|step| match step.what {
            StepKind::Suspended(until) => Some(until),
            StepKind::Lifted
            | StepKind::Resumed
            | StepKind::Appealed(_)
            | StepKind::Upheld
            | StepKind::Granted => None,
        });
        until.max().unwrap_or_default()
    }

    fn appeals(&self) -> impl Iterator<Item = (&RestrictionStep, AppealTerm)> {
        self.steps.iter().filter_map(|step| match step.what {
            StepKind::Appealed(term) => Some((step, term)),
            StepKind::Lifted
            | StepKind::Suspended(_)
            | StepKind::Resumed
            | StepKind::Upheld
            | StepKind::Granted => None,
        })
    }

    /// The appeal that can be decided now.
    pub fn open_appeal(&self, now: Timestamp) -> Option<AppealTerm> {
        let open = |(step, term): &(&RestrictionStep, AppealTerm)| {
            now < term.due && !self.is_decided(step)
        };
        self.appeals().find(open).map(|(_, term)| term)
    }

    /// Until when the appeal of a request is or was to be decided.
    fn due_of(&self, request: RequestId) -> Option<Timestamp> {
        self.appeals().find(|(step, _)| step.request == request).map(|(_, term)| term.due)
    }
}

/// What is known of a restriction of which only that it was made was kept.
pub fn only_made(id: u128, restriction: Restriction) -> KeptRestriction {
    KeptRestriction { id: RestrictionId(id), restriction, ground: None, steps: Vec::new() }
}
