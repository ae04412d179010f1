//! The account of restrictions: who was restricted by hand, and what was done about restrictions.
//!
//! **Architecture invariant:** whether one is in effect is worked out here by going through its steps in
//! order, as one would with a pencil.

use super::{Account, AuditReport};
use crate::model::{
    Amended, AppealTerm, KeptRestriction, Restricted, RestrictionCause, RestrictionId, RuleMode,
    Sequence, StepKind, Timestamp, Undecided,
};

/// What the steps of a restriction come to at an instant.
#[derive(Debug, Default)]
struct Tally {
    is_lifted: bool,
    suspended: Timestamp,
    appeal: Option<AppealTerm>,
}

impl Tally {
    fn of(kept: &KeptRestriction, time: Timestamp) -> Self {
        let mut tally = Self::default();
        for step in &kept.steps {
            tally.lapse(step.at);
            match step.what {
                StepKind::Lifted | StepKind::Granted => tally.is_lifted = true,
                StepKind::Suspended(until) => tally.suspended = tally.suspended.max(until),
                StepKind::Resumed => tally.suspended = Timestamp::default(),
                StepKind::Appealed(term) => tally.appeal = Some(term),
                StepKind::Upheld => tally.appeal = None,
            }
        }
        tally.lapse(time);
        tally
    }

    /// The term of an appeal is over.
    fn lapse(&mut self, time: Timestamp) {
        if let Some(term) = self.appeal.take_if(|term| term.due <= time) {
            self.is_lifted |= term.undecided == Undecided::Lifted;
        }
    }
}

/// Whether a restriction was ended before its time.
pub(super) fn is_lifted(kept: &KeptRestriction, time: Timestamp) -> bool {
    Tally::of(kept, time).is_lifted
}

/// Whether a restriction is in effect.
pub(super) fn is_in_effect(kept: &KeptRestriction, time: Timestamp) -> bool {
    let tally = Tally::of(kept, time);
    let is_appealed = tally.appeal.is_some_and(|term| term.is_suspending);
    kept.restriction.from <= time
        && time < kept.restriction.until
        && !(tally.is_lifted || is_appealed || time < tally.suspended)
}

impl Account {
    pub(super) fn restrict(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Restricted,
    ) {
        let made = &fact.restriction;
        let is_sound = time <= made.from
            && made.from < made.until
            && made.cause == RestrictionCause::Staff
            && made.mode == RuleMode::Enforce;
        if !is_sound {
            report.fault(sequence, "by the rules: somebody is restricted for no time, or earlier");
        }
        let known = self.conduct.restrictions.entry(fact.patient).or_default();
        known.push(KeptRestriction {
            id: RestrictionId(fact.request.0),
            restriction: *made,
            ground: Some(fact.ground),
            steps: Vec::new(),
        });
    }

    pub(super) fn amend(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Amended,
    ) {
        let known = self.conduct.restrictions.get_mut(&fact.patient).into_iter().flatten();
        let found = known.into_iter().find(|kept| kept.id == fact.restriction);
        let Some(kept) = found else {
            return report.fault(sequence, "a restriction is amended that nobody made");
        };
        let tally = Tally::of(kept, time);
        let is_possible = match fact.step.what {
            StepKind::Lifted => true,
            StepKind::Suspended(until) => time < until,
            StepKind::Resumed => time < tally.suspended,
            StepKind::Appealed(term) => time < term.due && tally.appeal.is_none(),
            StepKind::Upheld | StepKind::Granted => tally.appeal.is_some(),
        };
        let is_over = tally.is_lifted || kept.restriction.until <= time;
        if is_over || !is_possible || fact.step.at != time {
            report.fault(sequence, "by the rules: a restriction is amended as it cannot be");
        }
        kept.steps.push(fact.step);
    }
}
