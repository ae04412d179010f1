//! The same agreement where few patients book, cancel and move among two hospitals, under rules that answer at once.
//!
//! The other worlds ask for more kinds of things; here the same few meet a rule all the time.

use std::cell::RefCell;

use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::Case;
use crate::engine::tests::build::{self, DAY, MINUTE, MORNING};
use crate::engine::tests::pairs::Pairs;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    AccountId, Action, Actor, ApplyRules, AppointmentStatus, Begins, ChannelSet, CivilTime,
    ClientKeys, Command, Consequence, CooldownLength, CooldownRule, CountedOf, EndingSet, Hold,
    NoShowRule, OrganizationId, PatientId, PaymentRef, Reschedule, Role, RuleLayer, RuleMode,
    RuleScope, Rules, RulesVersion, ScopeKind, Session, Term, Tier, Violation, ViolationRule,
    ViolationSet, Window,
};

const SESSIONS: u64 = 6;

/// Plays worlds of two hospitals with a session on each of three days.
pub(super) fn play(cases: u32, pairs: &RefCell<Pairs>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = (uniform4(ANY), vec(uniform4(ANY), 1..60));
    TestRunner::new(config)
        .run(&steps, |(kinds, steps)| play_one(kinds, &steps, &mut pairs.borrow_mut()))
        .unwrap();
}

fn play_one(kinds: [u8; 4], steps: &[[u8; 4]], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let sessions: Vec<Session> = (0..SESSIONS).map(session).collect();
    let mut case = Case::of(&sessions);
    let apply = ApplyRules { request: build::request(99_999), rules: rules(&case, kinds) };
    let admin = Actor::unbounded(Role::Admin);
    case.run(&admin, Command::ApplyRules(apply.into()), "apply_rules", pairs)?;
    case.later(RULES_LEAD_MILLIS);
    for (number, step) in (1..).zip(steps) {
        take(&mut case, number, *step, pairs)?;
    }
    case.count_barred(pairs);
    case.compare_state(&case.engine.state())?;
    case.replay()
}

fn session(id: u64) -> Session {
    Session {
        organization: OrganizationId(1 + u32::try_from(id % 2).unwrap()),
        start: MORNING.plus_millis(12 * 60 * MINUTE + id / 2 * DAY),
        ..build::session(id, &[40])
    }
}

/// What is done the first or the second time leaves one or two appointments, or none; or whoever gave one
/// up waits for an hour.
fn rules(case: &Case, [kind, what, many, at]: [u8; 4]) -> Rules {
    let scopes = [ScopeKind::Organization, ScopeKind::Organization, ScopeKind::Region];
    let within = scopes[usize::from(at) % scopes.len()];
    let consequence = match many % 8 {
        0..=4 => Consequence::Fewer(1),
        5 => Consequence::Fewer(2),
        _ => Consequence::Refuse { but: ChannelSet(0) },
    };
    let tier = Tier { count: 1 + u16::from(many / 8 % 2), consequence, term: Term::Days(1) };
    let rule = NoShowRule {
        within,
        window: Window::Days(2),
        begins: Begins::AtOnce,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: std::iter::once(tier).collect(),
    };
    let counts = [Violation::SameDayCancel, Violation::Cancel, Violation::Booking];
    let counts = ViolationSet::only(counts[usize::from(what) % counts.len()]);
    let of = if what < 32 { CountedOf::Account } else { CountedOf::Patient };
    let cooldown = CooldownRule {
        after: EndingSet::ALL,
        within,
        length: CooldownLength::Hours(1),
        of,
        mode: RuleMode::Enforce,
    };
    let violation = ViolationRule { counts, of: CountedOf::Patient, rule };
    let violations = if kind % 4 == 0 { Vec::new() } else { vec![violation] };
    let cooldown = if kind % 4 <= 1 { vec![cooldown] } else { Vec::new() };
    Rules {
        version: RulesVersion(0),
        from: case.engine.now.plus_millis(RULES_LEAD_MILLIS),
        civil: CivilTime::default(),
        notice_days: 0,
        layers: vec![RuleLayer {
            scope: RuleScope::Region,
            violations,
            cooldown,
            ..RuleLayer::default()
        }],
    }
}

fn take(
    case: &mut Case,
    number: u128,
    [verb, who, what, at]: [u8; 4],
    pairs: &mut Pairs,
) -> Result<(), TestCaseError> {
    let actor = Actor::unbounded(Role::Counter);
    let patient = u128::from(who % 2);
    let wish = build::any(u64::from(what) % SESSIONS);
    let account = (who < 128).then_some(AccountId(1));
    let hold = Hold {
        book: Some(PaymentRef(1)),
        keys: ClientKeys { account, ..ClientKeys::default() },
        ..build::hold(number, patient, [wish])
    };
    // One of those that the patient has.
    let all = case.naive.appointments.iter();
    let own = all.filter(|it| it.patient == PatientId(patient));
    let live: Vec<_> = own.filter(|it| it.status == AppointmentStatus::Booked).collect();
    let Some(one) = live.get(usize::from(at) % live.len().max(1)).map(|it| it.id) else {
        return case.run(&actor, Command::Hold(hold), "hold", pairs);
    };
    match verb % 16 {
        0 => {
            case.later(u64::from(at % 8) * 20 * MINUTE);
            Ok(())
        }
        1..=5 => case.run(&actor, Command::Hold(hold), "hold", pairs),
        6 | 7 => case.import(&hold, pairs),
        8..=10 => {
            let change = build::change(number, 0, Action::Cancel);
            let change = crate::model::Change { appointment: one, ..change };
            case.run(&actor, Command::Change(change), "cancel", pairs)
        }
        _ => {
            let ask = Reschedule {
                request: build::request(number),
                appointment: one,
                patient: None,
                channel: hold.channel,
                claims: hold.claims,
            };
            case.run(&actor, Command::Reschedule(ask.into()), "reschedule", pairs)
        }
    }
}
