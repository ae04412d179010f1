//! The lines of facts about how patients behave.

use super::{Line, hex};
use crate::model::{Recorded, Struck};

/// The strike, and the restriction that followed from it.
pub(super) fn add_strike(lines: &mut Vec<Line>, line: Line, fact: &Struck) {
    let line = Line {
        appointment: Some(hex(fact.appointment.0)),
        patient: Some(hex(fact.patient.0)),
        ..line
    };
    let restriction = fact.restriction.map(|made| Line {
        fact: "Restricted",
        restriction: line.appointment.clone(),
        rules: Some(made.rule.version.0),
        from_ms: Some(made.from.as_millis()),
        until_ms: Some(made.until.as_millis()),
        cause: Some(made.consequence.name()),
        mode: Some(made.mode.name()),
        places: Some(made.count),
        ..line.clone()
    });
    lines.push(Line { day: Some(fact.strike.day.date().to_string()), ..line });
    lines.extend(restriction);
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
