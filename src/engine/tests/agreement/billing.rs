//! The same agreement about deadlines of cancels, payments, orders, refunds and accounts that hold
//! places, under rules that change.

use std::cell::RefCell;

use arrayvec::ArrayVec;
use proptest::array::{uniform4, uniform6};
use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{Case, persons, request_id, restrictions, rotation, same};
use crate::engine::tests::build::{self, MINUTE, MORNING};
use crate::engine::tests::naive::Naive;
use crate::engine::tests::pairs::Pairs;
use crate::engine::tests::world::State;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    AccountId, Action, Actor, ApplyRules, Appointment, AppointmentId, AppointmentStatus,
    Attributes, Bill, BookingLimit, CancelRule, Cause, Change, ChannelSet, CivilTime, ClassSet,
    ClientKeys, Command, Counts, Day, DayOf, Deadline, Delay, Hold, Holder, HolderRule, LateCancel,
    LatePayment, LimitKey, LimitScope, NamePatient, Order, OrderRule, OrganizationId,
    Organizations, PatientClass, PatientId, Pay, PaymentKind, PaymentMode, PaymentRef, PaymentRule,
    Period, Pool, Refund, Reschedule, ReturnRule, Role, RuleCondition, RuleLayer, RuleMode,
    RuleScope, Rules, RulesVersion, Session, Sharing, Timestamp, Ttl,
};

/// Plays worlds of few places, short holds and many payments.
pub(super) fn play(cases: u32, pairs: &RefCell<Pairs>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = (uniform4(ANY), vec(uniform6(ANY), 1..80));
    TestRunner::new(config)
        .run(&steps, |(opened, steps)| play_one(opened, &steps, &mut pairs.borrow_mut()))
        .unwrap();
}

/// What lies beside appointments is what the naive model wrote down.
pub(super) fn compare(state: &State, naive: &Naive) -> Result<(), TestCaseError> {
    let bills: Vec<Bill> = state.billing.bills().copied().collect();
    let mut expected = naive.billing.bills.clone();
    expected.sort_by_key(|bill| bill.appointment);
    same(&bills, &expected, "payments")?;
    same(&state.billing.ordered().collect(), &naive.ordered(), "orders")?;
    let mut late = naive.billing.late.clone();
    late.sort_unstable();
    late.dedup();
    same(&state.billing.late().collect(), &late, "late cancels")?;
    persons::compare(state, naive)
}

fn play_one(opened: [u8; 4], steps: &[[u8; 6]], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let sessions: Vec<Session> = (11..=16).map(|id| session(id, opened)).collect();
    let mut case = Case::of(&sessions).under_rules([2, 0, opened[2], 0]);
    apply(&mut case, [1, opened[0], opened[1], opened[3]], pairs)?;
    case.later(RULES_LEAD_MILLIS);
    for step in steps {
        Step(*step).take(&mut case, pairs)?;
    }
    case.compare_state(&case.engine.state())?;
    case.replay()
}

/// Half an hour apart; in some freed places come back later, some are for outpatients only.
fn session(id: u64, opened: [u8; 4]) -> Session {
    let number = u32::try_from(id).unwrap();
    let mut session = Session {
        organization: OrganizationId(1 + number % 2),
        start: MORNING.plus_millis(u64::from(number - 10) * 30 * MINUTE),
        sharing: if id == 12 { Sharing::Own } else { Sharing::Cancel },
        ..build::session(id, &[1 + u16::from(opened[0] % 2), 1])
    };
    if id.is_multiple_of(3) {
        let delay = Delay { min_millis: 60_000, max_millis: 600_000 };
        session.terms.returns = ReturnRule::Delayed(delay);
    }
    if id.is_multiple_of(2) {
        let inpatient = ClassSet(2);
        session.pools.push(Pool { classes: inpatient, ..session.pools[0].clone() });
        session.pools[0].classes = ClassSet(!2 & ClassSet::ALL.0);
    }
    session
}

/// What is asked, about which appointment, of whom, and three bytes more.
#[derive(Clone, Copy)]
struct Step([u8; 6]);

impl Step {
    fn take(self, case: &mut Case, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        let [verb, id, who, what, extra, _] = self.0;
        let actor = self.actor();
        match verb % 24 {
            0 | 1 => {
                case.later(u64::from(1 + what % 12) * MINUTE / 2);
                Ok(())
            }
            2 => {
                case.engine.step_sessions();
                case.naive.step_sessions();
                let mut engine = case.engine.expire();
                let mut naive = case.naive.expire();
                engine.sort_unstable();
                naive.sort_unstable();
                same(&engine, &naive, "expire")
            }
            3..=7 => case.run(&actor, Command::Hold(self.hold()), "hold", pairs),
            8 | 9 => {
                let change = self.change(Action::Book { payment: self.payment() });
                let appointment = self.hold_of(case);
                case.run(&actor, change.of(appointment), "book", pairs)
            }
            10..=12 => {
                let pay = self.pay(self.hold_of(case));
                case.run(&actor, Command::Pay(pay), "pay", pairs)
            }
            13 | 14 => {
                let order = Order {
                    request: self.request(1),
                    appointment: self.pending(case),
                    patient: self.patient_of(case),
                    channel: self.channel(),
                    until: case.engine.now.plus_millis(u64::from(extra % 32) * MINUTE),
                };
                case.run(&actor, Command::Order(order), "order", pairs)
            }
            15 | 16 => {
                let name = self.name(self.unnamed(case));
                case.run(&actor, Command::NamePatient(name.into()), "name_patient", pairs)
            }
            17 => {
                let booked = self.find(case, |it| it.status == AppointmentStatus::Booked);
                let change = self.change(Action::Cancel);
                case.run(&actor, change.of(booked), "cancel", pairs)
            }
            18 => {
                let booked = self.find(case, |it| it.status == AppointmentStatus::Booked);
                let ask = Reschedule {
                    request: self.request(2),
                    appointment: booked,
                    patient: None,
                    channel: self.channel(),
                    claims: std::iter::once(build::any(11 + u64::from(what % 6))).collect(),
                };
                case.run(&actor, Command::Reschedule(ask.into()), "reschedule", pairs)
            }
            19 => {
                let bill = case.naive.billing.bills.iter().rev().nth(usize::from(what % 3));
                let refund = Refund {
                    request: self.request(3),
                    appointment: bill
                        .map_or_else(|| build::appointment(200), |bill| bill.appointment),
                    payment: bill.map_or_else(|| self.payment(), |bill| bill.payment),
                    reference: PaymentRef(u128::from(1 + extra % 2)),
                };
                case.run(&actor, Command::Refund(refund), "refund", pairs)
            }
            20 => apply(case, [id, who, what, extra], pairs),
            21 if what < 64 => self.pay_again_and_again(case, pairs),
            21 => {
                let pending = self.pending(case);
                case.run(&actor, self.change(Action::Release).of(pending), "release", pairs)
            }
            22 if what < 20 => rotation::take(case, [id, who, what], pairs),
            22 if what < 40 => restrictions::take(case, [16, id, who, extra], pairs),
            _ => match case.done.iter().rev().nth(usize::from(id % 8)).cloned() {
                Some((name, command)) => case.run(&actor, command, name, pairs),
                None => Ok(()),
            },
        }
    }

    fn actor(self) -> Actor {
        let only = |organization| {
            Organizations::Only([OrganizationId(organization)].into_iter().collect())
        };
        let (role, organizations) = match self.0[5] {
            0..=199 => (Role::Gateway, Organizations::All),
            200..=215 => (Role::Gateway, only(1)),
            216..=230 => (Role::Gateway, only(2)),
            _ => (Role::Practitioner, Organizations::All),
        };
        Actor { organizations, ..Actor::unbounded(role) }
    }

    fn channel(self) -> crate::model::BookingChannel {
        build::channel(u8::from(self.0[2] % 8 == 7))
    }

    fn payment(self) -> PaymentRef {
        PaymentRef(u128::from(self.0[4] % 4))
    }

    fn request(self, kind: u128) -> crate::model::RequestId {
        let [verb, id, _, what, extra, _] = self.0;
        let own = u128::from(verb) << 16 | u128::from(id) << 8 | u128::from(what);
        match extra {
            0..=239 => build::request(kind << 32 | 1 << 31 | own),
            choice => request_id(choice, own),
        }
    }

    fn find(self, case: &Case, is_it: impl Fn(&&Appointment) -> bool) -> AppointmentId {
        let [_, id, ..] = self.0;
        let found: Vec<_> = case.naive.appointments.iter().filter(is_it).collect();
        match found.len() {
            0 => build::appointment(u128::from(id % 32)),
            _ if 240 <= id => build::appointment(u128::from(id)),
            count => found[usize::from(id) % count].id,
        }
    }

    fn pending(self, case: &Case) -> AppointmentId {
        let wants_over = self.0[3] % 8 == 7;
        self.find(case, |it| wants_over || it.status == AppointmentStatus::Pending)
    }

    /// A hold, or what was one.
    fn hold_of(self, case: &Case) -> AppointmentId {
        let is_over = |it: &Appointment| {
            it.status == AppointmentStatus::Cancelled && it.cause != Cause::Cancelled
                || it.status == AppointmentStatus::Pending && it.until <= case.engine.now
        };
        match self.0[3] % 8 {
            0..=2 => self.find(case, |it| is_over(it)),
            3 => self.find(case, |it| !is_over(it)),
            _ => self.find(case, |it| it.status == AppointmentStatus::Pending),
        }
    }

    fn unnamed(self, case: &Case) -> AppointmentId {
        match self.0[3] % 8 {
            0 => self.pending(case),
            1 => self.find(case, |it| it.account.is_some()),
            _ => self.find(case, |it| it.is_unnamed() && it.status == AppointmentStatus::Pending),
        }
    }

    fn patient_of(self, case: &Case) -> Option<PatientId> {
        let hold = self.pending(case);
        let known = case.naive.appointments.iter().find(|it| it.id == hold);
        match self.0[2] % 16 {
            0 => Some(PatientId(3)),
            1 => known.map(|it| it.patient),
            _ => None,
        }
    }

    fn keys(self) -> ClientKeys {
        let account = (self.0[2] % 16 != 15).then_some(AccountId(u128::from(self.0[2] % 2)));
        ClientKeys { account, ..ClientKeys::default() }
    }

    fn hold(self) -> Hold {
        let [_, id, who, what, extra, _] = self.0;
        let session = 11 + u64::from(what % 6);
        let wish = match extra % 8 {
            0..=5 => build::any(session),
            6 => build::at(session, 1),
            _ => build::at(session, 0),
        };
        let is_named = who < 90;
        let patient = u128::from(who % 4);
        Hold {
            patient: is_named.then_some(PatientId(patient)),
            keys: self.keys(),
            channel: self.channel(),
            class: if extra < 24 { PatientClass::Inpatient } else { PatientClass::Outpatient },
            ttl: Ttl::from_millis(60_000 * u32::from(1 + extra % 6)).unwrap(),
            book: (is_named && extra % 4 == 0).then_some(PaymentRef(u128::from(extra / 4 % 2))),
            ..build::hold(u128::from(id % 32), patient, [wish])
        }
    }

    fn change(self, action: Action) -> Changing {
        let change = build::change(0, 0, action);
        Changing(Change { request: self.request(4), channel: self.channel(), ..change })
    }

    fn pay(self, appointment: AppointmentId) -> Pay {
        let [_, _, who, _, extra, _] = self.0;
        Pay {
            request: self.request(5),
            appointment,
            patient: (who % 32 == 31).then_some(PatientId(3)),
            channel: self.channel(),
            kind: PaymentKind::ALL[[0, 0, 0, 0, 1, 2][usize::from(extra / 4 % 6)]],
            payment: PaymentRef(1 + u128::from(extra % 3)),
        }
    }

    fn name(self, appointment: AppointmentId) -> NamePatient {
        let [_, _, who, what, extra, _] = self.0;
        let keys = self.keys();
        let holder = keys.account.map(AccountId::holder).filter(|_| extra < 8);
        let patient = PatientId(u128::from(what / 8 % 5));
        NamePatient {
            request: self.request(6),
            appointment,
            patient: holder.unwrap_or(patient),
            keys,
            channel: self.channel(),
            class: if who < 32 { PatientClass::Inpatient } else { PatientClass::Outpatient },
            attributes: Attributes::default(),
        }
    }

    /// More payments than are written down.
    fn pay_again_and_again(self, case: &mut Case, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        let over = self.find(case, |it| {
            it.status == AppointmentStatus::Cancelled && it.cause == Cause::Released
        });
        for number in 0..10_u8 {
            let [verb, id, who, _, extra, actor] = self.0;
            let step = Self([verb, id, who, 64 + number, extra % 4, actor]);
            let payment = PaymentRef(u128::from(number) + 10);
            let (name, command) = if extra < 128 {
                ("pay", Command::Pay(Pay { payment, ..step.pay(over) }))
            } else {
                ("book", step.change(Action::Book { payment }).of(over))
            };
            case.run(&self.actor(), command, name, pairs)?;
        }
        Ok(())
    }
}

/// A change that is yet to say of which appointment.
struct Changing(Change);

impl Changing {
    fn of(self, appointment: AppointmentId) -> Command {
        Command::Change(Change { appointment, ..self.0 })
    }
}

/// One to three layers, each about a part of what this plays.
fn apply(case: &mut Case, bytes: [u8; 4], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let [id, who, what, extra] = bytes;
    let layer = |layer: u8| {
        let [who, what, extra] = [who, what, extra].map(|it| it.rotate_left(layer.into()));
        RuleLayer {
            scope: match who % 4 {
                0..=2 => RuleScope::Region,
                _ => RuleScope::Organization(OrganizationId(1 + u32::from(extra % 2))),
            },
            when: RuleCondition {
                classes: if extra % 8 == 7 { ClassSet(2) } else { ClassSet::ALL },
                ..RuleCondition::default()
            },
            limits: (extra % 8 == 1).then(few).into_iter().collect(),
            cancel: (who % 8 != 7).then(|| cancel(what, extra)),
            payment: (what % 4 != 3).then(|| payment(what, extra)),
            holder: (extra % 8 != 6).then_some(HolderRule {
                by: if extra % 16 == 5 { Holder::Patient } else { Holder::Account },
                limit: 1 + what % 2,
            }),
            cooldown: if what & 2 == 0 {
                super::rules::cooldowns(extra.rotate_left(3) ^ what, who)
            } else {
                Vec::new()
            },
            ..RuleLayer::default()
        }
    };
    let rules = Rules {
        version: RulesVersion(0),
        from: case.engine.now.plus_millis(RULES_LEAD_MILLIS),
        civil: CivilTime(vec![(Timestamp::default(), [0, 480, -300][usize::from(who % 3)])]),
        layers: (0..=id % 3).map(layer).collect(),
        ..Rules::default()
    };
    let request = build::request(1 << 40 | u128::from(u32::from_le_bytes(bytes)));
    let apply = Command::ApplyRules(ApplyRules { request, rules }.into());
    case.run(&Actor::unbounded(Role::Admin), apply, "apply_rules", pairs)
}

/// One visit on a day.
const fn few() -> BookingLimit {
    let key = LimitKey {
        within: LimitScope::Region,
        period: Period::Day,
        by: DayOf::Visit,
        counts: Counts::Live,
    };
    BookingLimit { key, most: 1, mode: RuleMode::Enforce }
}

const fn mode(extra: u8) -> RuleMode {
    if extra % 16 == 15 { RuleMode::Shadow } else { RuleMode::Enforce }
}

fn cancel(what: u8, extra: u8) -> CancelRule {
    let days = extra % 3;
    let minute = u16::from(what) * 5;
    // Sunday and Monday before the Friday on which all this is.
    let friday = CivilTime::default().day_of(MORNING);
    let except: ArrayVec<Day, 32> = [friday.minus(5), friday.minus(4)].into_iter().collect();
    CancelRule {
        until: match what % 8 {
            0..=4 => Deadline::Minutes(u32::from(extra % 128)),
            5 => Deadline::Days { days, minute },
            6 => Deadline::Workdays { days: days + what / 64, minute, except },
            _ => Deadline::HalfDays(1 + days),
        },
        later: ChannelSet(if extra.is_multiple_of(4) { 2 } else { 0 }),
        late: if extra.is_multiple_of(2) { LateCancel::Refuse } else { LateCancel::Mark },
        mode: mode(extra),
    }
}

fn payment(what: u8, extra: u8) -> PaymentRule {
    use PaymentMode as M;
    let modes = [
        M::SelfPay,
        M::SelfPayOrInsurance,
        M::AtPickUp,
        M::SelfPayOnly,
        M::SelfPayOrInsurance,
        M::PreAuthorization,
        M::SelfPay,
        M::AfterVisit,
    ];
    PaymentRule {
        by: modes[usize::from(what / 4 % 8)],
        channels: if extra % 8 == 3 { ChannelSet(2) } else { ChannelSet::ALL },
        late: if extra % 4 == 1 { LatePayment::Refund } else { LatePayment::Rebook },
        order: (extra % 4 != 2)
            .then_some(OrderRule { minutes: 1 + u16::from(what % 32), times: 1 + extra % 2 }),
        mode: mode(extra.rotate_left(2)),
    }
}
