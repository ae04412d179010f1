//! The lines of telephones, and of who is bound to whom.

use serde::Serialize;

use super::{Enricher, Line, hex};
use crate::model::{Bound, Fact, Tie};

/// The keys of a line that only these facts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in super::super) struct BoundKeys {
    /// The telephone, as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// The account, as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Who gives way.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<String>,
    /// Whether a rule that is only counted would have refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond: Option<bool>,
}

impl Enricher {
    pub(super) fn add_persons(&mut self, lines: &mut Vec<Line>, line: Line, fact: &Fact) {
        match fact {
            Fact::Phoned(fact) => {
                let phone = Some(hex(fact.phone.0));
                let bound = BoundKeys { phone, ..BoundKeys::default() };
                self.add_known(lines, Line { bound, ..line }, fact.appointment);
            }
            Fact::Bound(fact) => lines.push(of_tie(line, fact)),
            _ => {}
        }
    }
}

fn of_tie(line: Line, fact: &Bound) -> Line {
    let (holder, other) = (Some(hex(fact.holder)), Some(hex(fact.other)));
    let (account, phone, patient) = match fact.tie {
        Tie::AccountPatient => (holder, None, other),
        Tie::PhonePatient => (None, holder, other),
        Tie::PhoneAccount => (other, holder, None),
        Tie::PatientAccount => (other, None, holder),
    };
    let instead_of = fact.instead_of.map(hex);
    let bound = BoundKeys { phone, account, instead_of, beyond: fact.is_beyond.then_some(true) };
    Line { patient, bound, cause: Some(fact.tie.name()), ..line }
}
