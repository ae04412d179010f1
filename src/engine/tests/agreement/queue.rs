//! The same agreement where every session keeps a queue: many who come, are called, and leave.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::sessions::{attendance, windows};
use super::{Case, request_id};
use crate::engine::tests::build::{self, MORNING};
use crate::engine::tests::pairs::Pairs;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    Action, Actor, ApplyRules, Begins, CallNext, Change, ChannelSet, CivilTime, Command,
    Consequence, CountedOf, Hold, NoShowRule, OrganizationId, Organizations, PaymentRef, Role,
    RuleLayer, RuleMode, RuleScope, Rules, RulesVersion, ScopeKind, Session, SessionId,
    SessionTerms, Term, Tier, Violation, ViolationRule, Window,
};

/// Plays worlds of two sessions that keep queues.
pub(super) fn play(cases: u32, pairs: &RefCell<Pairs>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = vec(proptest::array::uniform4(ANY), 1..80);
    TestRunner::new(config)
        .run(&(ANY, steps), |(kind, steps)| play_one(kind, &steps, &mut pairs.borrow_mut()))
        .unwrap();
}

fn play_one(kind: u8, steps: &[[u8; 4]], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let sessions = [session(1, kind), session(2, kind.wrapping_mul(7))];
    let mut case = Case::of(&sessions);
    // Where something is counted, and only the second time, some come again.
    let comes_again = kind % 4 == 2;
    if kind % 4 != 3 {
        let apply = ApplyRules { request: build::request(99_999), rules: rules(&case, kind) };
        let admin = Actor::unbounded(Role::Admin);
        case.run(&admin, Command::ApplyRules(apply.into()), "apply_rules", pairs)?;
        case.later(RULES_LEAD_MILLIS);
    }
    for step in steps {
        take(&mut case, *step, comes_again, pairs)?;
        case.compare_state(&case.engine.state())?;
    }
    case.count_barred(pairs);
    case.replay()
}

/// Who is late or missed counts at once or the second time, now and then beside a rule about missed
/// visits alone, which does the same.
fn rules(case: &Case, kind: u8) -> Rules {
    let tier = Tier {
        count: 1 + u16::from(kind / 2 % 2),
        consequence: Consequence::Refuse { but: ChannelSet(0) },
        term: Term::Days(1),
    };
    let rule = NoShowRule {
        within: ScopeKind::Region,
        window: [Window::Month, Window::Days(2)][usize::from(kind / 4 % 2)],
        begins: [Begins::AtOnce, Begins::NextDay][usize::from(kind / 8 % 4 / 3)],
        is_used_up: kind / 32 % 2 == 1,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: std::iter::once(tier).collect(),
    };
    let counts = match kind / 64 {
        0 => vec![Violation::Late],
        1 => vec![Violation::Missed, Violation::Booking],
        _ => vec![Violation::Late, Violation::Missed],
    };
    let no_show = (kind & 16 != 0).then(|| rule.clone());
    let counts = counts.into_iter().collect();
    let violations = vec![ViolationRule { counts, of: CountedOf::Patient, rule }];
    let scope = RuleScope::Region;
    Rules {
        version: RulesVersion(0),
        from: case.engine.now.plus_millis(RULES_LEAD_MILLIS),
        civil: CivilTime::default(),
        notice_days: 0,
        layers: vec![RuleLayer { scope, no_show, violations, ..RuleLayer::default() }],
    }
}

/// Slots of ten minutes; the first begins in five minutes.
fn session(id: u64, kind: u8) -> Session {
    let terms = SessionTerms {
        attendance: Some(attendance(kind.into())),
        pick_up_windows: windows(kind.into()),
        ..SessionTerms::default()
    };
    let start = MORNING.plus_millis(5 * build::MINUTE);
    Session { start, terms, ..build::session(id, &[3, 3, 3]) }
}

fn take(
    case: &mut Case,
    [verb, id, request, who]: [u8; 4],
    comes_again: bool,
    pairs: &mut Pairs,
) -> Result<(), TestCaseError> {
    let only =
        |organization| Organizations::Only([OrganizationId(organization)].into_iter().collect());
    let organizations = if who < 16 { only(2) } else { Organizations::All };
    let actor = Actor { organizations, ..Actor::unbounded(Role::Practitioner) };
    let (number, id) = (id % 12, u128::from(id % 12));
    let action = match verb % 16 {
        0 | 1 => {
            case.later(1 + u64::from(request % 64) * 5_000);
            return Ok(());
        }
        2..=5 => {
            let session = 1 + u64::from(number % 2);
            let wish = build::at(session, u16::from(who) % 3);
            let book = Some(PaymentRef(1));
            let patient = if comes_again { 1 + id % 5 } else { id };
            let hold = Hold { book, ..build::hold(id, patient, [wish]) };
            return case.run(&actor, Command::Hold(hold), "hold", pairs);
        }
        6..=8 => ("check_in", Action::CheckIn),
        9 => ("arrive", Action::Arrive),
        10 | 11 => ("fulfil", Action::Fulfil),
        12 if who < 128 => ("no_show", Action::NoShow),
        12 => ("settle", Action::Settle),
        _ => {
            let session = SessionId(if who > 240 { 9 } else { 1 + u64::from(who % 2) });
            let own = 4_000 + u128::from(request % 12) * 4 + u128::from(session.0);
            let call = CallNext { request: request_id(request, own), session };
            return case.run(&actor, Command::CallNext(call), "call_next", pairs);
        }
    };
    let own = u128::from(verb % 16) * 16 + id;
    let change = Change { request: request_id(request, own), ..build::change(0, id, action.1) };
    case.run(&actor, Command::Change(change), action.0, pairs)
}
