//! The lines of facts about how patients behave.

use super::{Line, hex};
use crate::model::{Barred, Cooled, Probed, Recorded, Restriction, RuleScope, Struck};

/// The strike, and the restriction that followed from it.
pub(super) fn add_strike(lines: &mut Vec<Line>, line: Line, fact: &Struck) {
    let line = Line {
        appointment: Some(hex(fact.appointment.0)),
        patient: Some(hex(fact.patient.0)),
        ..line
    };
    let restriction = fact.restriction.map(|made| {
        let restriction = line.appointment.clone();
        restricted(Line { fact: "Restricted", restriction, ..line.clone() }, &made)
    });
    lines.push(Line { day: Some(fact.strike.day.date().to_string()), ..line });
    lines.extend(restriction);
}

/// Who asked again and again for what was not to be had: how often and since when, of whom in `cause`.
pub(super) fn probed(line: Line, fact: &Probed) -> Line {
    let place = fact.visit.place;
    Line {
        appointment: Some(hex(fact.appointment.0)),
        patient: Some(hex(fact.patient.0)),
        organization: Some(place.organization.0),
        resource: Some(place.resource.0),
        session: Some(fact.session.0),
        rules: Some(fact.rule.version.0),
        from_ms: Some(fact.since.as_millis()),
        cause: Some(fact.of.name()),
        mode: Some(fact.mode.name()),
        places: Some(fact.count),
        day: Some(fact.visit.day.date().to_string()),
        ..line
    }
}

/// What followed from an end, a booking or probing.
pub(super) fn barred(line: Line, fact: &Barred) -> Line {
    let line = Line {
        appointment: Some(hex(fact.appointment.0)),
        patient: Some(hex(fact.patient.0)),
        restriction: Some(hex(fact.id.0)),
        ..line
    };
    restricted(line, &fact.restriction)
}

/// The line with a restriction in it.
fn restricted(line: Line, made: &Restriction) -> Line {
    Line {
        rules: Some(made.rule.version.0),
        from_ms: Some(made.from.as_millis()),
        until_ms: Some(made.until.as_millis()),
        cause: Some(made.consequence.name()),
        mode: Some(made.mode.name()),
        places: Some(made.count),
        ..line
    }
}

/// What is kept of an appointment that is over: the day on which it ended, and how.
pub(super) fn recorded(line: Line, fact: &Recorded) -> Line {
    Line {
        patient: Some(hex(fact.patient.0)),
        cause: Some(fact.ending.name()),
        day: Some(fact.ended.date().to_string()),
        ..line
    }
}

/// For what somebody waits who gave a place up: how far around in `cause`.
pub(super) fn cooled(line: &Line, fact: &Cooled) -> impl Iterator<Item = Line> {
    fact.cooldowns.iter().map(|cooldown| Line {
        appointment: Some(hex(cooldown.appointment.0)),
        patient: Some(hex(fact.patient.0)),
        organization: cooldown.within.organization().map(|organization| organization.0),
        resource: match cooldown.within {
            RuleScope::Schedule(_, resource) => Some(resource.0),
            RuleScope::Region
            | RuleScope::Organization(_)
            | RuleScope::Department(..)
            | RuleScope::Service(..) => None,
        },
        rules: Some(cooldown.rule.version.0),
        from_ms: Some(cooldown.since.as_millis()),
        until_ms: Some(cooldown.until.as_millis()),
        cause: Some(cooldown.within.kind().name()),
        mode: Some(cooldown.mode.name()),
        ..line.clone()
    })
}
