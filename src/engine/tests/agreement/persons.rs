//! The same agreement about how many patients accounts and telephones have, under rules that change.

use std::cell::RefCell;

use proptest::array::{uniform4, uniform6};
use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::waitlist::waitlist;
use super::{Case, rotation, same};
use crate::engine::tests::build::{self, DAY, MINUTE, MORNING};
use crate::engine::tests::naive::Naive;
use crate::engine::tests::pairs::Pairs;
use crate::engine::tests::world::State;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    AccountId, Action, Actor, ApplyRules, Appointment, AppointmentStatus, Attributes, Changes,
    CivilTime, ClassSet, ClientKey, ClientKeys, Command, Delay, Fact, Hold, Holder, HolderRule,
    JoinWaitlist, NamePatient, NewPatients, OrganizationId, Outcome, PatientClass, PatientId,
    PaymentRef, Period, PersonsRule, Repeat, ReturnRule, Role, RuleCondition, RuleLayer, RuleMode,
    RuleScope, Rules, RulesVersion, Session, SessionId, TieRule, Timestamp, Ttl, WaitlistRule,
};

/// Plays worlds of few accounts and telephones, and many patients.
pub(super) fn play(cases: u32, pairs: &RefCell<Pairs>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = (uniform4(ANY), vec(uniform6(ANY), 1..60));
    TestRunner::new(config)
        .run(&steps, |(opened, steps)| play_one(opened, &steps, &mut pairs.borrow_mut()))
        .unwrap();
}

/// Who is bound to whom, and which telephones are known, is what the naive model wrote down.
pub(super) fn compare(state: &State, naive: &Naive) -> Result<(), TestCaseError> {
    let mut phones = naive.ties.phones.clone();
    phones.sort_unstable();
    same(&state.phones.all().collect(), &phones, "telephones")?;
    same(&state.ties, &naive.all_ties(), "who is bound")
}

fn play_one(opened: [u8; 4], steps: &[[u8; 6]], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let sessions: Vec<Session> = (21..=24).map(session).collect();
    let mut case = Case::of(&sessions);
    apply(&mut case, opened, pairs)?;
    case.later(RULES_LEAD_MILLIS);
    // A session calls who waits for it by the key of the request: keys are merged where nobody waits.
    let merges = opened[3].is_multiple_of(2);
    for step in steps {
        Step(*step).take(&mut case, merges, pairs)?;
    }
    for fact in case.engine.records.iter().flat_map(|(_, facts)| facts) {
        if let Fact::Bound(bound) = fact {
            pairs.count("bound", Outcome::Done);
            let gives_way = bound.instead_of.is_some() && !bound.changed.is_empty();
            let names = [("gives_way", gives_way), ("beyond", bound.is_beyond)];
            for (name, _) in names.into_iter().filter(|(_, happens)| *happens) {
                pairs.count(name, Outcome::Done);
            }
        }
        if let Fact::Phoned(_) = fact {
            pairs.count("phoned", Outcome::Done);
        }
    }
    case.compare_state(&case.engine.state())?;
    case.replay()
}

/// Two months ahead: one of many places, one that opens in waves, one of one place with a waitlist, and
/// one of another hospital.
fn session(id: u64) -> Session {
    let start = MORNING.plus_millis(60 * DAY + id * DAY);
    let mut session = Session {
        organization: OrganizationId(if id == 24 { 2 } else { 1 }),
        start,
        repeat: Repeat::Unlimited,
        ..build::session(id, &[if id == 23 { 1 } else { 40 }])
    };
    if id == 22 {
        let mut later = session.pools[0].clone();
        session.pools[0].quotas = vec![2];
        session.pools[0].terms.opens = MORNING.plus_millis(MINUTE);
        later.terms.opens = MORNING.plus_millis(2 * DAY);
        session.pools.push(later);
    }
    if id == 23 {
        let delay = Delay { min_millis: 60_000, max_millis: 600_000 };
        session.terms.returns = ReturnRule::WaitlistFirst(delay);
        let rule = WaitlistRule { closes_at: start, hours: None, ..waitlist(0) };
        session.terms.waitlist = Some(Box::new(rule));
    }
    session
}

/// What is asked, about which appointment, of whom, and three bytes more.
#[derive(Clone, Copy)]
struct Step([u8; 6]);

impl Step {
    fn take(self, case: &mut Case, merges: bool, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        let [verb, id, who, what, extra, _] = self.0;
        let actor = Actor::unbounded(Role::Gateway);
        match verb % 32 {
            0 | 1 => {
                let days = if what < 64 { DAY * u64::from(what % 12) } else { 0 };
                case.later(days + u64::from(1 + id % 8) * MINUTE / 2);
                Ok(())
            }
            2 | 3 => {
                case.engine.step_sessions();
                case.naive.step_sessions();
                let mut engine = case.engine.expire();
                let mut naive = case.naive.expire();
                engine.sort_unstable();
                naive.sort_unstable();
                same(&engine, &naive, "expire")
            }
            4..=16 => case.run(&actor, Command::Hold(self.hold()), "hold", pairs),
            17 => {
                let hold = self.hold();
                let other = PatientId(u128::from(what % 5));
                let patient = Some(hold.patient.unwrap_or(other));
                case.import(&Hold { patient, book: Some(PaymentRef(1)), ..hold }, pairs)
            }
            18..=20 => {
                let name = self.name(case);
                case.run(&actor, Command::NamePatient(name.into()), "name_patient", pairs)
            }
            21..=23 => {
                let (name, action, status) = if what % 2 == 0 {
                    ("release", Action::Release, AppointmentStatus::Pending)
                } else {
                    ("cancel", Action::Cancel, AppointmentStatus::Booked)
                };
                let mut change = build::change(3 << 16 | u128::from(id) << 8, 0, action);
                change.appointment = self.find(case, |it| it.status == status);
                case.run(&actor, Command::Change(change), name, pairs)
            }
            24 | 25 if !merges => {
                case.run(&actor, Command::JoinWaitlist(self.join().into()), "join_waitlist", pairs)
            }
            26 => apply(case, [id, who, what, extra], pairs),
            27 if merges => rotation::take(case, [id, who, what], pairs),
            _ => match case.done.iter().rev().nth(usize::from(id % 8)).cloned() {
                Some((name, command)) => case.run(&actor, command, name, pairs),
                None => Ok(()),
            },
        }
    }

    fn find(
        self,
        case: &Case,
        is_it: impl Fn(&&Appointment) -> bool,
    ) -> crate::model::AppointmentId {
        let found: Vec<_> = case.naive.appointments.iter().filter(is_it).collect();
        let at = usize::from(self.0[1]) % found.len().max(1);
        found.get(at).map_or_else(|| build::appointment(200), |found| found.id)
    }

    /// Two accounts and two telephones, or none. No key is 0: a fingerprint tells that from none no more
    /// than it tells two hashes apart that are equal.
    fn keys(self) -> ClientKeys {
        let [_, _, who, _, extra, _] = self.0;
        let key = |choice: u8| (choice != 3).then_some(u128::from(1 + choice % 2));
        ClientKeys {
            account: key(who % 4).map(AccountId),
            phone: key(extra % 4).map(ClientKey),
            ..ClientKeys::default()
        }
    }

    fn class(self) -> PatientClass {
        if self.0[5] < 24 { PatientClass::Inpatient } else { PatientClass::Outpatient }
    }

    fn hold(self) -> Hold {
        let [_, id, who, what, extra, more] = self.0;
        let wishes = match what % 16 {
            0..=4 => vec![21],
            5..=10 => vec![22],
            11 => vec![23],
            12 | 13 => vec![24],
            14 => vec![21, 24],
            _ => vec![24, 22],
        };
        let is_named = 48 <= more || self.keys().account.is_none();
        let patient = u128::from(who / 4 % 5);
        Hold {
            patient: is_named.then_some(PatientId(patient)),
            keys: self.keys(),
            class: self.class(),
            ttl: Ttl::from_millis(60_000 * u32::from(1 + extra / 4 % 8)).unwrap(),
            book: (is_named && extra / 4 % 3 == 0).then_some(PaymentRef(1)),
            ..build::hold(u128::from(id), patient, wishes.into_iter().map(build::any))
        }
    }

    fn name(self, case: &Case) -> NamePatient {
        let [verb, id, who, what, ..] = self.0;
        let appointment = self.find(case, |it| it.is_unnamed());
        let known = case.naive.appointments.iter().find(|it| it.id == appointment);
        let own = u128::from(verb) << 16 | u128::from(id) << 8 | u128::from(what);
        let asked = self.keys().account;
        let account = known.and_then(|it| it.account).or(asked);
        NamePatient {
            request: build::request(4 << 32 | own),
            appointment,
            patient: PatientId(u128::from(who / 4 % 5)),
            keys: ClientKeys { account, ..self.keys() },
            channel: build::channel(0),
            class: self.class(),
            attributes: Attributes::default(),
        }
    }

    fn join(self) -> JoinWaitlist {
        let [_, id, who, what, ..] = self.0;
        JoinWaitlist {
            request: build::request(5 << 32 | u128::from(id) << 8 | u128::from(what % 4)),
            patient: PatientId(u128::from(who / 4 % 5)),
            account: self.keys().account,
            channel: build::channel(0),
            class: self.class(),
            attributes: Attributes::default(),
            earliest: Timestamp::default(),
            latest: Timestamp::MAX,
            targets: std::iter::once(SessionId(23)).collect(),
        }
    }
}

/// One or two layers, each about a part of what this plays.
fn apply(case: &mut Case, bytes: [u8; 4], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let [id, who, what, extra] = bytes;
    let layer = |layer: u8| {
        let [who, what, extra] = [who, what, extra].map(|it| it.rotate_left(3 * u32::from(layer)));
        let scope = match who % 4 {
            0..=2 => RuleScope::Region,
            _ => RuleScope::Organization(OrganizationId(1 + u32::from(extra % 2))),
        };
        let classes = if extra % 8 == 7 { ClassSet(2) } else { ClassSet::ALL };
        RuleLayer {
            scope,
            when: RuleCondition { classes, ..RuleCondition::default() },
            holder: Some(HolderRule { by: Holder::Account, limit: 4 }),
            persons: (who % 16 != 15).then(|| Box::new(persons(who, what, extra))),
            ..RuleLayer::default()
        }
    };
    let rules = Rules {
        version: RulesVersion(0),
        from: case.engine.now.plus_millis(RULES_LEAD_MILLIS),
        civil: CivilTime(vec![(Timestamp::default(), [0, 480, -300][usize::from(who % 3)])]),
        layers: (0..=id % 2).map(layer).collect(),
        ..Rules::default()
    };
    let request = build::request(1 << 40 | u128::from(u32::from_le_bytes(bytes)));
    let apply = Command::ApplyRules(ApplyRules { request, rules }.into());
    case.run(&Actor::unbounded(Role::Admin), apply, "apply_rules", pairs)
}

fn persons(who: u8, what: u8, extra: u8) -> PersonsRule {
    let periods = [Period::Days(5), Period::Day, Period::Months(1), Period::Week, Period::Any];
    let changes = |choice: u8| {
        (!choice.is_multiple_of(3)).then(|| Changes {
            most: 1 + choice / 3 % 2,
            period: periods[usize::from(choice / 6) % periods.len()],
        })
    };
    let ties = |choice: u8, patients: u8, accounts: u8| {
        let said = TieRule { patients, accounts, changes: changes(choice) };
        (choice % 5 != 4).then_some(said)
    };
    let account = ties(who, 1 + who / 8 % 3, 0);
    let own = if account.is_none() { ties(0, 0, 1) } else { ties(extra, 0, 1) };
    let of_phone = what / 8 % 3;
    let accounts = if of_phone == 0 { 1 } else { what / 32 % 2 };
    let new = NewPatients { most: extra / 8 % 2, minutes: 3 + u16::from(extra % 4) };
    PersonsRule {
        account,
        phone: ties(what, of_phone, accounts),
        patient: own,
        new_patients: Some(new).filter(|_| account.is_some() && extra % 4 == 1),
        mode: if extra % 8 == 6 { RuleMode::Shadow } else { RuleMode::Enforce },
    }
}
