//! The same agreement under rules that change: patients who miss visits, are restricted, and ask again.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{Case, request_id, restrictions, rotation, same, violations, waitlist};
use crate::engine::PatientRecord;
use crate::engine::tests::build::{self, DAY, MORNING};
use crate::engine::tests::naive::Naive;
use crate::engine::tests::pairs::Pairs;
use crate::engine::tests::world::State;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    AccountId, Action, Actor, ApplyRules, Appointment, AppointmentId, AppointmentStatus, Begins,
    BookingLimit, Change, ChannelSet, CivilTime, Claim, ClassSet, ClientKey, ClientKeys, Command,
    Consequence, CooldownLength, CooldownRule, CountedOf, Counts, DayOf, DepartmentId, EndingSet,
    Hold, LimitKey, LimitScope, NoShowRule, OrganizationId, PatientClass, PaymentRef, Period,
    ProbingRule, Reschedule, ResourceId, Role, RuleCondition, RuleLayer, RuleMode, RuleScope,
    Rules, RulesVersion, ScopeKind, ServiceId, Session, SessionTerms, Term, Tier, Timestamp, Visit,
    Window,
};

/// Plays worlds of sessions on many days, in which half of the visits are missed.
pub(super) fn play(cases: u32, pairs: &RefCell<Pairs>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = vec(proptest::array::uniform4(ANY), 1..70);
    TestRunner::new(config).run(&steps, |steps| play_one(&steps, &mut pairs.borrow_mut())).unwrap();
}

impl Case {
    /// In some worlds two patients missed a visit this morning, and a rule strikes at once.
    pub(super) fn under_rules(mut self, kinds: [u8; 4]) -> Self {
        if !kinds[2].is_multiple_of(4) {
            return self;
        }
        let consequence = match kinds[0] % 4 {
            0 => Consequence::Lower(1),
            1 => Consequence::Refuse { but: ChannelSet(1) },
            2 => Consequence::Fewer(1 + kinds[0] / 4 % 2),
            _ => Consequence::Refuse { but: ChannelSet(0) },
        };
        let rule = NoShowRule {
            within: ScopeKind::Region,
            window: Window::Ever,
            begins: Begins::AtOnce,
            is_used_up: false,
            is_once: false,
            mode: RuleMode::Enforce,
            tiers: std::iter::once(Tier { count: 1, consequence, term: Term::Days(1) }).collect(),
        };
        let limit = |most, within, period| BookingLimit {
            key: LimitKey { within, period, by: DayOf::Visit, counts: Counts::Live },
            most,
            mode: RuleMode::Enforce,
        };
        let limits = match kinds[1] % 4 {
            0 => vec![limit(1, LimitScope::Region, Period::Any)],
            1 => vec![
                limit(2, LimitScope::Organization, Period::Day),
                limit(1, LimitScope::Schedule, Period::HalfDay),
            ],
            2 => {
                let all = limit(2, LimitScope::Region, Period::Week);
                vec![BookingLimit { key: LimitKey { counts: Counts::All, ..all.key }, ..all }]
            }
            _ => Vec::new(),
        };
        let waitlist = waitlist::limits([kinds[1], kinds[3], kinds[0]]);
        let cooldown = match kinds[1] / 64 {
            0 => cooldowns(kinds[3] / 4, kinds[0]),
            // Long, as who waits for a place or moves to one has to give another one up first; a move
            // enters a scope only from outside.
            _ => vec![CooldownRule {
                after: EndingSet::ALL,
                within: if kinds[1] & 0x18 == 0x18 {
                    ScopeKind::Schedule
                } else {
                    ScopeKind::Region
                },
                length: CooldownLength::Hours(1),
                of: if kinds[1] & 0x24 == 0x24 { CountedOf::Account } else { CountedOf::Patient },
                mode: RuleMode::Enforce,
            }],
        };
        let violations = violations::soon(kinds[3] / 16, &rule);
        let no_show = Some(rule);
        let of = CountedOf::Patient;
        let probing = violations::probing(kinds[0], 255).map(|rule| ProbingRule { of, ..rule });
        let layer = RuleLayer {
            no_show,
            violations,
            limits,
            waitlist,
            cooldown,
            probing,
            ..RuleLayer::default()
        };
        // Nearer, and for those of an age: a wait keeps what was attested of it.
        let nearer = RuleLayer {
            scope: scope(kinds[3], kinds[1]),
            when: if kinds[1] & 32 == 0 {
                RuleCondition::default()
            } else {
                RuleCondition { ages: (0, 99), ..RuleCondition::default() }
            },
            waitlist: waitlist::limits([kinds[3], kinds[0], kinds[1]]),
            ..RuleLayer::default()
        };
        let nearer = Some(nearer).filter(|layer| !layer.says_nothing());
        let now = self.engine.now;
        let rules = Rules {
            version: RulesVersion(0),
            from: now.plus_millis(RULES_LEAD_MILLIS),
            civil: CivilTime::default(),
            notice_days: 0,
            layers: std::iter::once(layer).chain(nearer).collect(),
        };
        let apply = ApplyRules { request: build::request(20_000), rules };
        self.both(Role::Admin, &Command::ApplyRules(apply.into()));
        let start = now.minus_millis(build::MINUTE);
        let missed = Session { start, ..build::session(77, &[2]) };
        self.both(Role::Admin, &Command::OpenSession(build::open(missed).into()));
        self.later(build::MINUTE);
        for patient in 0..2 {
            let id = 20_001 + patient;
            let hold = build::hold(id, patient, [build::at(77, 0)]);
            let hold = Hold { book: Some(PaymentRef(1)), ..hold };
            self.both(Role::Practitioner, &Command::Hold(hold));
            let missed = build::change(20_010 + patient, id, Action::NoShow);
            self.both(Role::Practitioner, &Command::Change(missed));
        }
        self
    }

    fn both(&mut self, role: Role, command: &Command) {
        let actor = Actor::unbounded(role);
        let answers = (self.engine.run(&actor, command), self.naive.run(&actor, command));
        assert_eq!(answers.0, answers.1, "{command:?}");
    }
}

/// What is kept of patients is what the naive model counts.
pub(super) fn compare(state: &State, naive: &Naive) -> Result<(), TestCaseError> {
    let (mut strikes, mut restrictions) = (Vec::new(), Vec::new());
    for (patient, PatientRecord { strikes: kept, restrictions: made }) in &state.records {
        strikes.extend(
            kept.iter()
                .map(|it| (*patient, it.strike.day, it.strike.place, it.is_used, it.is_over)),
        );
        restrictions.extend(made.iter().map(|kept| (*patient, kept.clone())));
    }
    let mut expected = naive.conduct.strikes.clone();
    // The merge of two keys does not keep the order of time.
    expected.sort_unstable();
    strikes.sort_unstable();
    same(&strikes, &expected, "strikes")?;
    let known = naive.conduct.restrictions.iter();
    let mut expected: Vec<_> = known.map(|known| (known.patient, known.kept.clone())).collect();
    expected.sort_by_key(|(patient, kept)| (*patient, kept.id));
    restrictions.sort_by_key(|(patient, kept)| (*patient, kept.id));
    same(&restrictions, &expected, "restrictions")?;
    let past = state.past.iter().flat_map(|(patient, past)| {
        past.iter().map(move |it| (*patient, it.ending, it.booked, it.ended, it.visit))
    });
    let mut expected: Vec<_> = Vec::new();
    for it in &naive.history.ended {
        let line = |visit: &Visit| (it.patient, it.ending, it.booked, it.ended, *visit);
        expected.extend(it.visits.iter().map(line));
    }
    // Of one instant in no order.
    expected.sort_unstable();
    let mut past: Vec<_> = past.collect();
    past.sort_unstable();
    same(&past, &expected, "what is kept of what is over")
}

fn play_one(steps: &[[u8; 4]], pairs: &mut Pairs) -> Result<(), TestCaseError> {
    let sessions: Vec<Session> = (1..=SESSIONS).map(session).collect();
    let mut case = Case::of(&sessions);
    for step in steps {
        take(&mut case, *step, pairs)?;
    }
    case.count_barred(pairs);
    case.compare_state(&case.engine.state())?;
    case.replay()
}

/// Each of another day, hospital, department, resource or service.
fn session(id: u64) -> Session {
    let number = u32::try_from(id).unwrap();
    Session {
        organization: OrganizationId(1 + number % 2),
        department: DepartmentId(number % 3),
        resource: ResourceId(id % 4),
        start: MORNING.plus_millis(build::MINUTE + (id - 1) / 2 * DAY / 2),
        terms: SessionTerms { service: ServiceId(number % 2), ..SessionTerms::default() },
        ..build::session(id, &[4])
    }
}

fn take(
    case: &mut Case,
    [verb, id, who, what]: [u8; 4],
    pairs: &mut Pairs,
) -> Result<(), TestCaseError> {
    let patient = u128::from(who % 3);
    let appointment = u128::from(id % 64);
    let action = match verb % 24 {
        0 => {
            case.later(u64::from(what) * DAY / 256);
            return if id % 2 == 0 { case.expire(pairs) } else { Ok(()) };
        }
        10 if id < 96 => {
            // What is left of a place soon after it was taken.
            case.later(u64::from(what) * build::MINUTE / 8);
            return case.expire(pairs);
        }
        1..=6 => {
            let wish = build::at(upcoming(case, id), 0);
            let book = (what < 200).then_some(PaymentRef(1));
            let channel = build::channel(what % 3);
            let hold = build::hold(appointment, patient, [wish]);
            let class =
                if id & 64 == 0 { PatientClass::Outpatient } else { PatientClass::Emergency };
            let keys = ClientKeys {
                account: (id % 8 < 6).then(|| AccountId(u128::from(who / 3 % 2))),
                phone: (id % 8 < 5).then(|| ClientKey(u128::from(who / 6 % 2))),
                ..ClientKeys::default()
            };
            let hold = Hold { keys, channel, class, book, ..hold };
            if verb % 16 == 6 || id % 8 == 3 {
                return case.import(&Hold { book: Some(PaymentRef(1)), ..hold }, pairs);
            }
            let actor = Actor::unbounded(Role::Practitioner);
            return case.run(&actor, Command::Hold(hold), "hold", pairs);
        }
        15 if what % 2 == 0 => {
            let ask = Reschedule {
                request: request_id(what, 10_000 + appointment),
                appointment: live(case, patient).unwrap_or_else(|| build::appointment(appointment)),
                patient: None,
                channel: build::channel(what % 3),
                claims: std::iter::once(build::at(upcoming(case, id), 0)).collect(),
            };
            let actor = Actor::unbounded(Role::Practitioner);
            return case.run(&actor, Command::Reschedule(ask.into()), "reschedule", pairs);
        }
        8 if id < 64 => {
            let last = case.done.iter().rev().find(|(name, _)| *name == "apply_rules").cloned();
            let Some((name, command)) = last else { return Ok(()) };
            let actor = Actor::unbounded(Role::Admin);
            return case.run(&actor, command, name, pairs);
        }
        7 | 8 => {
            let apply = ApplyRules {
                request: request_id(what, 9_000 + u128::from(id % 8)),
                rules: rules(case, [id, who, what]),
            };
            let actor = Actor::unbounded(Role::Admin);
            return case.run(&actor, Command::ApplyRules(apply.into()), "apply_rules", pairs);
        }
        9..=13 => ("no_show", Action::NoShow),
        23 if id < 24 => return rotation::take(case, [id, who, what], pairs),
        16..=22 => return restrictions::take(case, [verb, id, who, what], pairs),
        14 => ("settle", Action::Settle),
        _ if what % 3 == 0 => ("release", Action::Release),
        _ => ("cancel", Action::Cancel),
    };
    let is_release = matches!(action.1, Action::Release);
    let found = if is_release { held(case) } else { begun(case) };
    let appointment = found.filter(|_| what < 240).unwrap_or(appointment);
    let own = u128::from(verb % 24) * 64 + appointment;
    let change =
        Change { request: request_id(what, own), ..build::change(0, appointment, action.1) };
    // Who works there cancels without anything to follow.
    let by_patient = matches!(action.1, Action::Cancel | Action::Release) && who & 32 == 0;
    let role = if by_patient { Role::Gateway } else { Role::Practitioner };
    case.run(&Actor::unbounded(role), Command::Change(change), action.0, pairs)
}

/// A session that has not begun, mostly.
fn upcoming(case: &Case, id: u8) -> u64 {
    let halves = case.engine.now.as_millis().saturating_sub(MORNING.as_millis()) / (DAY / 2);
    (2 + 2 * halves + u64::from(id % 6)).min(SESSIONS)
}

/// The newest appointment that a patient has.
fn live(case: &Case, patient: u128) -> Option<AppointmentId> {
    let mut all = case.naive.appointments.iter().rev();
    let booked = |it: &&Appointment| it.status == AppointmentStatus::Booked;
    all.find(|it| booked(it) && it.patient.0 == patient).map(|it| it.id)
}

/// A hold that is neither booked nor over.
fn held(case: &Case) -> Option<u128> {
    let mut all = case.naive.appointments.iter();
    let hold = all.find(|it| it.status == AppointmentStatus::Pending && case.engine.now < it.until);
    hold.map(|it| it.id.0 & 0xffff)
}

/// An appointment whose visit should have begun.
fn begun(case: &Case) -> Option<u128> {
    let has_begun = |claim: &Claim| {
        let session = case.naive.sessions.iter().find(|it| it.id == claim.session);
        session.is_some_and(|it| it.slot_start(claim.slot) <= case.engine.now)
    };
    let booked = |it: &&Appointment| it.status == AppointmentStatus::Booked;
    let mut all = case.naive.appointments.iter().filter(booked);
    all.find(|it| it.claims.iter().any(has_begun)).map(|it| it.id.0 & 0xffff)
}

/// One to three layers of rules that soon strike, sometimes wrong ones.
fn rules(case: &Case, [id, who, what]: [u8; 3]) -> Rules {
    let lead = if what < 16 { 0 } else { RULES_LEAD_MILLIS + u64::from(who) * 60_000 };
    let offsets = [0, 480, -300][usize::from(who % 3)];
    let layers = (0..=id % 3).map(|layer| RuleLayer {
        scope: scope(what.rotate_left(layer.into()), id),
        when: RuleCondition {
            classes: if what % 16 == 15 { ClassSet(2) } else { ClassSet::ALL },
            ..RuleCondition::default()
        },
        no_show: (what % 4 != 3)
            .then(|| no_show(id.wrapping_add(layer * 37), who, what.rotate_left(layer.into()))),
        limits: limits(id.wrapping_mul(layer + 3), who, what.rotate_left(layer.into())),
        violations: violations::rules(id.wrapping_add(layer * 11), who ^ 0x55, what),
        appeal: restrictions::appeal_rule(id.wrapping_mul(29) ^ what ^ layer),
        waitlist: waitlist::limits([id, who ^ layer, what.wrapping_mul(7)]),
        cooldown: if what & 4 == 0 { cooldowns(id ^ layer, who) } else { Vec::new() },
        probing: violations::probing(id ^ what, who.wrapping_add(layer * 4)),
        ..RuleLayer::default()
    });
    Rules {
        version: RulesVersion(u32::from(what % 64 == 63)),
        from: case.engine.now.plus_millis(lead),
        civil: CivilTime(vec![(Timestamp::default(), offsets)]),
        notice_days: u16::from(what % 16 == 6),
        layers: layers.collect(),
    }
}

/// None, one or two limits of how many appointments somebody may have, sometimes wrong ones.
fn limits(id: u8, who: u8, what: u8) -> Vec<BookingLimit> {
    let scopes = [
        LimitScope::Region,
        LimitScope::Organization,
        LimitScope::Department,
        LimitScope::Schedule,
        LimitScope::Service,
        LimitScope::Session,
        LimitScope::AppointmentType,
        LimitScope::Region,
    ];
    let periods = [
        Period::Any,
        Period::HalfDay,
        Period::Day,
        Period::Days(1 + u16::from(who % 5)),
        Period::Months(1),
        Period::Week,
        Period::Month,
        Period::Quarter,
        Period::Year,
        Period::Days(3),
        Period::Days(u16::from(what % 8)),
    ];
    let counts = [
        Counts::Live,
        Counts::All,
        Counts::Departments,
        Counts::Resources,
        Counts::Operations,
        Counts::All,
    ];
    let limit = |more: u8| {
        let (id, who) = (id.wrapping_add(more * 29), who.wrapping_add(more * 5));
        let by = if who & 4 == 0 { DayOf::Visit } else { DayOf::Booking };
        let (within, period) = (scopes[usize::from(id >> 3) % 8], periods[usize::from(what) % 11]);
        let (most, counts) = (u16::from(id % 4), counts[usize::from(who) % 6]);
        let mode = if who & 0x70 == 0x70 { RuleMode::Shadow } else { RuleMode::Enforce };
        let most = if what == 77 { BookingLimit::NO_LIMIT } else { most };
        BookingLimit { key: LimitKey { within, period, by, counts }, most, mode }
    };
    (0..(what >> 4) % 3).map(limit).collect()
}

/// None, one or two cool-downs, sometimes wrong ones.
pub(super) fn cooldowns(id: u8, who: u8) -> Vec<CooldownRule> {
    let kinds = [
        ScopeKind::Region,
        ScopeKind::Organization,
        ScopeKind::Department,
        ScopeKind::Schedule,
        ScopeKind::Service,
        ScopeKind::Schedule,
    ];
    let rule = |more: u8| {
        let (id, who) = (id.wrapping_add(more * 53), who.wrapping_add(more * 7));
        CooldownRule {
            after: EndingSet([7, 1, 2, 4, 7, 3, 5, 7][usize::from(who) % 8]),
            within: kinds[usize::from(id) % kinds.len()],
            length: match who / 8 % 8 {
                0..=2 => CooldownLength::Minutes(1 + u16::from(id % 16)),
                3 | 4 => CooldownLength::Hours(u16::from(who / 64) * 4 + u16::from(id != 77)),
                5 => CooldownLength::Days(1 + u16::from(id % 3)),
                6 => CooldownLength::Returned(u16::from(id % 3) * 5),
                _ => CooldownLength::Minutes(60),
            },
            of: match (id / 4 + who / 2) % 8 {
                0 => CountedOf::Account,
                1 => CountedOf::Phone,
                _ => CountedOf::Patient,
            },
            mode: if id & 0x38 == 0x38 { RuleMode::Shadow } else { RuleMode::Enforce },
        }
    };
    (0..id / 8 % 3).map(rule).collect()
}

pub(super) fn scope(what: u8, id: u8) -> RuleScope {
    let organization = OrganizationId(1 + u32::from(id % 2));
    match what % 8 {
        0..=3 => RuleScope::Region,
        4 => RuleScope::Organization(organization),
        5 => RuleScope::Department(organization, DepartmentId(u32::from(id % 3))),
        6 => RuleScope::Schedule(organization, ResourceId(u64::from(id % 4))),
        _ => RuleScope::Service(organization, ServiceId(u32::from(id % 2))),
    }
}

pub(super) fn no_show(id: u8, who: u8, what: u8) -> NoShowRule {
    let windows = [
        Window::Days(1 + u16::from(who % 8)),
        Window::Months(1),
        Window::Month,
        Window::Quarter,
        Window::Year,
        Window::InARow,
        Window::Ever,
        Window::Days(u16::from(what % 4)),
    ];
    let kinds = [
        ScopeKind::Region,
        ScopeKind::Region,
        ScopeKind::Organization,
        ScopeKind::Department,
        ScopeKind::Schedule,
        ScopeKind::Service,
    ];
    let consequences = [
        Consequence::Refuse { but: ChannelSet(0) },
        Consequence::Refuse { but: ChannelSet(1) },
        Consequence::Refuse { but: ChannelSet(0) },
        Consequence::Warn,
        Consequence::Lower(2),
        Consequence::Fewer(1),
        Consequence::Fewer(2),
    ];
    let terms = [
        Term::Days(1),
        Term::Days(3),
        Term::Months(1),
        Term::MonthEnd,
        Term::DayEnd,
        Term::QuarterEnd,
        Term::YearEnd,
        Term::Days(1),
    ];
    let tier = |more: u8| Tier {
        count: u16::from(1 + id % 2 + more),
        consequence: consequences[usize::from(id.wrapping_add(more)) % consequences.len()],
        term: terms[usize::from(what.wrapping_add(more) >> 1) % terms.len()],
    };
    NoShowRule {
        within: kinds[usize::from(what) % kinds.len()],
        window: windows[usize::from(id) % windows.len()],
        begins: [Begins::NextDay, Begins::AtOnce, Begins::FirstStrike][usize::from(who) % 3],
        is_used_up: who & 8 != 0,
        is_once: what & 0x60 == 0x40,
        mode: if who & 0x30 == 0x30 { RuleMode::Shadow } else { RuleMode::Enforce },
        tiers: (0..=what % 2).map(tier).collect(),
    }
}

/// Two on each half of a day, for a week.
const SESSIONS: u64 = 28;
