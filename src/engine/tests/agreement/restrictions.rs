//! Restrictions by hand in the worlds of rules: made, lifted, suspended, appealed against.

use proptest::test_runner::TestCaseError;

use super::rules::scope;
use super::{Case, request_id};
use crate::engine::tests::build::{self, DAY};
use crate::engine::tests::pairs::Pairs;
use crate::model::{
    Actor, Amend, Amendment, Appeal, AppealRule, ChannelSet, ClassSet, Command, Consequence,
    EvidenceRef, OrganizationId, Organizations, PatientId, Restrict, RestrictionId, Role, Term,
    Undecided,
};

pub(super) fn take(
    case: &mut Case,
    [verb, id, who, what]: [u8; 4],
    pairs: &mut Pairs,
) -> Result<(), TestCaseError> {
    let bytes = [id, who, what];
    let (command, name) = match verb % 24 {
        16 | 17 => (restrict(case, bytes), "restrict"),
        18..=20 => (amend(case, bytes), "amend"),
        21 if id < 192 => {
            let own = |(name, _): &&(&str, Command)| match *name {
                "appeal" => true,
                name => id < 128 && matches!(name, "restrict" | "amend"),
            };
            let mut earlier = case.done.iter().rev().filter(own);
            let Some((name, command)) = earlier.nth(usize::from(who % 4)).cloned() else {
                return Ok(());
            };
            (command, name)
        }
        _ => (appeal(case, bytes), "appeal"),
    };
    let mut actor = Actor::unbounded(if what % 2 == 0 { Role::Admin } else { Role::Practitioner });
    if who % 5 == 4 {
        actor.organizations = Organizations::Only(std::iter::once(OrganizationId(1)).collect());
    }
    case.run(&actor, command, name, pairs)
}

/// A rule about appeals, where there is one.
pub(super) fn appeal_rule(byte: u8) -> Option<AppealRule> {
    let terms = [Term::Days(1), Term::DayEnd, Term::YearEnd, Term::Months(1)];
    (byte % 4 != 3).then(|| AppealRule {
        term: terms[usize::from(byte >> 6)],
        is_suspending: byte & 4 != 0,
        per_restriction: 1 + (byte >> 3 & 1),
        undecided: if byte & 16 == 0 { Undecided::Stands } else { Undecided::Lifted },
    })
}

fn restrict(case: &Case, [id, who, what]: [u8; 3]) -> Command {
    let consequences = [
        Consequence::Refuse { but: ChannelSet(0) },
        Consequence::Refuse { but: ChannelSet(1) },
        Consequence::RefuseBut { channels: ChannelSet(2), classes: ClassSet(0b1000) },
        Consequence::RefuseBut { channels: ChannelSet::ALL, classes: ClassSet(0b1000) },
        Consequence::Warn,
        Consequence::Lower(what % 2),
        Consequence::Fewer(1 + what % 2),
        Consequence::Fewer(1),
        Consequence::Fewer(who % 4 * 3),
    ];
    let now = case.engine.now;
    let from = if id % 4 == 0 { now.plus_millis(DAY / 2) } else { now.minus_millis(DAY) };
    let until = now.plus_millis(u64::from(what % 8) * DAY / 2);
    Command::Restrict(Box::new(Restrict {
        request: request_id(what, 11_000 + u128::from(id % 32)),
        patient: PatientId(u128::from(who % 3)),
        within: scope(what.rotate_left(2), id),
        consequence: consequences[usize::from(id) % consequences.len()],
        from,
        until,
        evidence: EvidenceRef(u128::from(what)),
        reason: u16::from(who),
    }))
}

/// One of the restrictions, mostly a late one.
fn some(case: &Case, [id, who, what]: [u8; 3]) -> (PatientId, RestrictionId) {
    let mut late = case.naive.conduct.restrictions.iter().rev();
    match late.nth(usize::from(who % 4)) {
        Some(known) if what < 240 => (known.patient, known.kept.id),
        _ => (PatientId(u128::from(who % 3)), RestrictionId(build::request(id.into()).0)),
    }
}

fn amend(case: &Case, [id, who, what]: [u8; 3]) -> Command {
    let (patient, restriction) = some(case, [id, who, what]);
    let until = case.engine.now.plus_millis(u64::from(what % 4) * DAY / 3);
    let amendment = match id % 8 {
        0 => Amendment::Lift,
        1..=3 => Amendment::Suspend { until },
        4 => Amendment::Resume,
        5 | 6 => Amendment::Uphold,
        _ => Amendment::Grant,
    };
    let own = 12_000 + u128::from(id) * 8 + case.done.len() as u128 % 8;
    Command::Amend(Box::new(Amend {
        request: request_id(what, own),
        patient,
        restriction,
        amendment,
        evidence: EvidenceRef(0),
        reason: u16::from(who % 2),
    }))
}

fn appeal(case: &Case, [id, who, what]: [u8; 3]) -> Command {
    let (patient, restriction) = some(case, [id, who, what]);
    let own = 15_000 + u128::from(id) * 8 + case.done.len() as u128 % 8;
    Command::Appeal(Box::new(Appeal {
        request: request_id(what, own),
        patient,
        restriction,
        evidence: EvidenceRef(u128::from(who % 2)),
        channel: build::channel(who % 2),
    }))
}
