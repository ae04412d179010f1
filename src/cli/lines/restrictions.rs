//! The lines of restrictions by hand, of what is done about restrictions, and of merged keys.

use super::{Line, hex};
use crate::model::{Amended, Ground, PatientsMerged, Restricted, StepKind, Timestamp};

pub(super) fn restricted(line: Line, fact: &Restricted) -> Line {
    let made = &fact.restriction;
    Line {
        patient: Some(hex(fact.patient.0)),
        request: Some(hex(fact.request.0)),
        restriction: Some(hex(fact.request.0)),
        organization: made.within.organization().map(|organization| organization.0),
        rules: Some(made.rule.version.0),
        from_ms: Some(made.from.as_millis()),
        until_ms: Some(made.until.as_millis()),
        cause: Some(made.consequence.name()),
        mode: Some(made.mode.name()),
        ..of_ground(line, &fact.ground)
    }
}

pub(super) fn amended(line: Line, fact: &Amended) -> Line {
    let until = match fact.step.what {
        StepKind::Suspended(until) => Some(until),
        StepKind::Appealed(term) => Some(term.due),
        StepKind::Lifted | StepKind::Resumed | StepKind::Upheld | StepKind::Granted => None,
    };
    Line {
        patient: Some(hex(fact.patient.0)),
        request: Some(hex(fact.step.request.0)),
        restriction: Some(hex(fact.restriction.0)),
        until_ms: until.map(Timestamp::as_millis),
        ..of_ground(line, &fact.step.ground)
    }
}

pub(super) fn merged(line: Line, fact: &PatientsMerged) -> Line {
    Line {
        patient: Some(hex(fact.from.0)),
        into: Some(hex(fact.into.0)),
        request: Some(hex(fact.request.0)),
        ..line
    }
}

fn of_ground(line: Line, ground: &Ground) -> Line {
    let (role, evidence) = (Some(ground.by.name()), Some(hex(ground.evidence.0)));
    Line { role, evidence, reason: Some(ground.reason), ..line }
}
