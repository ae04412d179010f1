//! What follows from holds left unpaid or given up, from cancels and bookings: tables of days, counted
//! from the first of January 2027.
//!
//! ```text
//! "3 cancels in a month: the rest of that month"   c0 c5 c10   ->   Cancel 10..31
//! ```

use super::build::{self, DAY, MINUTE};
use super::world::World;
use crate::model::{
    AccountId, Action, Actor, ApplyRules, Attendance, Begins, ChannelSet, CivilTime, ClientKey,
    ClientKeys, Command, Consequence, CountedOf, Day, DepartmentId, Hold, Holder, HolderRule,
    LateRule, MergePatients, NoShowRule, Outcome, PatientId, PaymentRef, Refusal, Role, RuleKey,
    RuleLayer, RuleMode, RuleScope, Rules, RulesVersion, ScopeKind, Session, SessionTerms, Term,
    Tier, Timestamp, Violation, ViolationRule, Window,
};

/// 2027-01-01.
const FIRST: Day = Day(20_819);

/// Late after a quarter of an hour, too late after half an hour.
const QUEUE: Attendance = Attendance {
    check_in_from: 3_600_000,
    pick_up_until: None,
    grace: 900_000,
    late_until: 1_800_000,
    late: LateRule::EndOfSegment,
};

const REFUSE: Consequence = Consequence::Refuse { but: ChannelSet(0) };

pub(super) fn day(number: u32) -> Timestamp {
    Timestamp::from_millis(u64::from(FIRST.0 + number) * DAY)
}

pub(super) fn tier(count: u16, term: Term) -> Tier {
    Tier { count, consequence: REFUSE, term }
}

/// In a month, at once.
pub(super) fn rule(counts: &[Violation], tiers: &[Tier]) -> ViolationRule {
    let rule = NoShowRule {
        within: ScopeKind::Region,
        window: Window::Month,
        begins: Begins::AtOnce,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: tiers.iter().copied().collect(),
    };
    ViolationRule { counts: counts.iter().copied().collect(), of: CountedOf::Patient, rule }
}

pub(super) fn rules_of(violations: Vec<ViolationRule>) -> Rules {
    let layers = vec![RuleLayer { violations, ..RuleLayer::default() }];
    let from = day(0).minus_millis(2 * DAY);
    Rules { from, civil: CivilTime::default(), version: RulesVersion(0), notice_days: 0, layers }
}

pub(super) struct Patient {
    pub(super) world: World,
    number: u128,
    /// For whom, and with what, holds are made.
    pub(super) whom: u128,
    pub(super) keys: ClientKeys,
    /// What was not to be had, as in the script.
    pub(super) refused: Vec<String>,
}

impl Patient {
    pub(super) fn under(violations: Vec<ViolationRule>) -> Self {
        Self::under_rules(rules_of(violations))
    }

    pub(super) fn under_rules(rules: Rules) -> Self {
        let now = day(0).minus_millis(3 * DAY);
        let mut patient = Self {
            world: World::new(now),
            number: 100,
            whom: 1,
            keys: ClientKeys::default(),
            refused: Vec::new(),
        };
        let apply = ApplyRules { request: build::request(99), rules };
        patient.ask(&Command::ApplyRules(apply.into())).unwrap();
        patient.world.now = day(0).minus_millis(DAY);
        patient
    }

    pub(super) fn ask(&mut self, command: &Command) -> Result<(), Refusal> {
        self.world.run(&Actor::unbounded(Role::Practitioner), command).map(|_| ())
    }

    /// Holds or books a visit at nine of a day. Who checks in after a quarter past is late, who comes
    /// after half past too late.
    #[expect(clippy::unwrap_in_result, reason = "what is not refused must be there")]
    fn take(&mut self, visit: u32, department: u32, book: bool) -> Result<u128, Refusal> {
        self.number += 1;
        let id = self.number;
        let wish = build::at(id.try_into().unwrap(), 0);
        let session = Session {
            start: day(visit).plus_millis(9 * 60 * MINUTE),
            department: DepartmentId(department),
            terms: SessionTerms { attendance: Some(QUEUE), ..SessionTerms::default() },
            ..build::session(wish.session.0, &[1])
        };
        self.ask(&Command::OpenSession(build::open(session).into())).unwrap();
        let mut hold = Hold { keys: self.keys, ..build::hold(id, self.whom, [wish]) };
        hold.book = book.then_some(PaymentRef(1));
        self.ask(&Command::Hold(hold)).map(|()| id)
    }

    /// Books a visit at nine of a day.
    pub(super) fn book(&mut self, visit: u32) -> u128 {
        self.take(visit, 1, true).unwrap()
    }

    pub(super) fn change(&mut self, id: u128, action: Action) {
        self.number += 1;
        let change = build::change(10_000 + self.number, id, action);
        self.ask(&Command::Change(change)).unwrap();
    }

    /// What becomes of what was booked before: it is cancelled, or somebody comes or does not.
    fn come(&mut self, what: char, at: u32, id: u128) {
        let minute = match what {
            't' => 15,
            'l' | 'g' => 16,
            'm' => 31,
            _ => return self.change(id, Action::Cancel),
        };
        self.world.now = day(at).plus_millis((9 * 60 + minute) * MINUTE);
        if what != 'm' {
            self.change(id, Action::CheckIn);
        }
        let is_seen = matches!(what, 't' | 'l');
        self.change(id, if is_seen { Action::Fulfil } else { Action::NoShow });
    }

    /// At seven of a day: c cancels and s cancels on the day of the visit what was booked long before,
    /// d cancels at another department; r holds and gives up, u holds and leaves it, b books. Of visits
    /// that were booked before, t is in time, l late, m missed, and g checked in late and then gone.
    pub(super) fn script(mut self, events: &str) -> Self {
        let events: Vec<(char, u32)> = events
            .split_whitespace()
            .map(|word| (word.chars().next().unwrap(), word.split_at(1).1.parse().unwrap()))
            .collect();
        let mut booked = Vec::new();
        for (what, at) in &events {
            booked.push(match what {
                'c' => self.take(at + 40, 1, true).ok(),
                'd' => self.take(at + 40, 2, true).ok(),
                's' | 't' | 'l' | 'm' | 'g' => self.take(*at, 1, true).ok(),
                _ => None,
            });
        }
        for ((what, at), id) in events.into_iter().zip(booked) {
            self.world.now = self.world.now.max(day(at).plus_millis(7 * 60 * MINUTE));
            if let Some(id) = id {
                self.come(what, at, id);
                continue;
            }
            match (what, self.take(at + 40, 1, what == 'b')) {
                ('r', Ok(id)) => self.change(id, Action::Release),
                ('u', Ok(_)) => {
                    self.world.now = self.world.now.plus_millis(16 * MINUTE);
                    assert_eq!(self.world.expire().len(), 1);
                }
                (_, Ok(_)) => {}
                (_, Err(refusal)) => {
                    assert_eq!(refusal.outcome, Outcome::Restricted);
                    self.refused.push(format!("{what}{at}"));
                }
            }
        }
        self
    }

    /// Every restriction, as `Cause from..until` in days.
    pub(super) fn restrictions(&self) -> String {
        let state = self.world.state();
        let made = state.records.iter().flat_map(|(_, record)| &record.restrictions);
        let words = made.map(|kept| {
            let made = &kept.restriction;
            let of = |time: Timestamp| (time.as_millis() - day(0).as_millis()) / DAY;
            let what = match made.consequence {
                Consequence::Warn => "warned ",
                Consequence::Lower(_)
                | Consequence::Refuse { .. }
                | Consequence::RefuseBut { .. }
                | Consequence::Fewer(_) => "",
            };
            format!("{what}{:?} {}..{}", made.cause, of(made.from), of(made.until))
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

#[track_caller]
pub(super) fn check<'a>(
    rules: impl IntoIterator<Item = &'a ViolationRule>,
    events: &str,
    expected: &str,
) {
    let patient = Patient::under(rules.into_iter().cloned().collect()).script(events);
    assert_eq!(patient.restrictions(), expected, "{events}");
}

use Violation::{Booking, Cancel, Release, SameDayCancel, Unpaid};

#[test]
fn three_cancels_in_a_month_end_booking_for_the_rest_of_it() {
    let rules = [rule(&[Cancel], &[tier(3, Term::MonthEnd)])];
    for (events, expected) in [
        ("c0 c5", ""),
        ("c0 c5 c10", "Cancel 10..31"),
        ("c0 c5 c10 c20 c30", "Cancel 10..31"),
        ("c0 c5 c31 c32", ""),
        ("c0 c5 c31 c32 c40", "Cancel 40..59"),
        ("s0 c1 s2", "Cancel 2..31"),
        ("r0 r1 r2 u3", ""),
    ] {
        check(&rules, events, expected);
    }
    let next_day = NoShowRule { begins: Begins::NextDay, ..rules[0].rule.clone() };
    let next_day = [ViolationRule { rule: next_day, ..rules[0].clone() }];
    check(&next_day, "c0 c5 c10", "Cancel 11..31");
    // It would be over before it begins.
    check(&next_day, "c0 c5 c30", "");
}

#[test]
fn same_day_cancels_are_cancels_too_and_one_restriction_is_made() {
    let month = tier(3, Term::Months(1));
    let rules = [rule(&[Cancel], &[month]), rule(&[SameDayCancel], &[month])];
    for (events, expected) in
        [("s0 s1 s2", "Cancel 2..33"), ("s0 s1 c2", "Cancel 2..33"), ("c0 c1", "")]
    {
        check(&rules, events, expected);
    }
    check(&rules[1..], "s0 c1 s2 c3", "");
    check(&rules[1..], "s0 c1 s2 c3 s4", "SameDayCancel 4..35");
}

#[test]
fn holds_that_are_left_are_counted_together_where_a_rule_says_so() {
    let both = [rule(&[Unpaid, Release], &[tier(3, Term::Days(7))])];
    for (events, expected) in
        [("u0 r1 u2", "Unpaid 2..9"), ("u0 u1 r2", "Release 2..9"), ("u0 b1 r2 c3", "")]
    {
        check(&both, events, expected);
    }
}

#[test]
fn more_than_fifteen_bookings_in_three_months_are_too_many() {
    let mut many = rule(&[Booking], &[tier(16, Term::Months(120))]);
    many.rule.window = Window::Months(3);
    let days = |count: u32| {
        let days: Vec<_> = (0..count).map(|it| format!("b{} ", 4 * it)).collect();
        days.concat()
    };
    check([&many], &days(15), "");
    // What was cancelled was booked.
    check([&many], &format!("{}c57 b58", days(14)), "Booking 58..3711");
    let patient = Patient::under(vec![many]).script(&format!("{}b64", days(16)));
    assert_eq!(patient.refused, ["b64"]);
}

#[test]
fn a_warning_comes_first_where_a_rule_says_so() {
    let warn = Tier { consequence: Consequence::Warn, ..tier(2, Term::MonthEnd) };
    let rules = [rule(&[Cancel], &[warn, tier(3, Term::Days(1)), tier(5, Term::Days(9))])];
    check(&rules, "c0 c1", "warned Cancel 1..31");
    check(&rules, "c0 c1 c2 c2 c4", "warned Cancel 1..31, Cancel 2..3, Cancel 4..13");
}

#[test]
fn what_led_to_a_restriction_is_used_up_where_a_rule_says_so() {
    let kept = rule(&[Cancel], &[tier(2, Term::Days(1))]);
    check([&kept], "c0 c1 c3 c4 c6", "Cancel 1..2, Cancel 3..4, Cancel 4..5, Cancel 6..7");
    let mut used = kept;
    used.rule.is_used_up = true;
    check([&used], "c0 c1 c3 c4 c6", "Cancel 1..2, Cancel 4..5");
    used.rule.begins = Begins::NextDay;
    check([&used], "c0 c1 c1 c3 c4", "Cancel 2..3, Cancel 5..6");
}

#[test]
fn a_tier_acts_once_where_a_rule_says_so_and_may_last_until_midnight() {
    let mut rule = rule(&[Cancel], &[tier(2, Term::DayEnd), tier(4, Term::YearEnd)]);
    check([&rule], "c0 c1 c2 c3", "Cancel 1..2, Cancel 2..3, Cancel 3..365");
    rule.rule.is_once = true;
    check([&rule], "c0 c1 c2 c3", "Cancel 1..2, Cancel 3..365");
}

#[test]
fn a_department_counts_for_itself() {
    let mut rule = rule(&[Cancel], &[tier(2, Term::Days(1))]);
    rule.rule.within = ScopeKind::Department;
    check([&rule], "c0 d1", "");
    check([&rule], "c0 d1 c2 d3", "Cancel 2..3, Cancel 3..4");
}

#[test]
fn a_refusal_says_what_was_counted_and_cancelling_goes_on() {
    let first = rule(&[Unpaid], &[tier(9, Term::Days(1)), tier(10, Term::Days(2))]);
    let rules = vec![first, rule(&[Cancel], &[tier(3, Term::MonthEnd)])];
    let patient = Patient::under(rules).script("c0 c5 c10 b11 c12");
    assert_eq!(patient.refused, ["b11"]);
    let mut patient = patient;
    let why = patient.take(60, 1, true).unwrap_err().why.unwrap();
    assert_eq!((why.key, why.count, why.limit), (RuleKey::Violations, 3, 3));
    assert_eq!((why.since, why.until), (day(0), day(31)));
    // Behind the two of the first rule.
    assert_eq!((why.rule.layer, why.rule.tier), (0, 2));
}

#[test]
fn in_shadow_it_is_counted_and_nobody_is_refused() {
    let mut rule = rule(&[Cancel], &[tier(1, Term::Days(9))]);
    rule.rule.mode = RuleMode::Shadow;
    let patient = Patient::under(vec![rule]).script("c0 b1 b2");
    assert_eq!((patient.restrictions().as_str(), patient.refused.len()), ("Cancel 0..9", 0));
}

#[test]
fn what_happened_under_two_keys_of_one_person_counts_together() {
    let mut patient = Patient::under(vec![rule(&[Cancel], &[tier(3, Term::Days(1))])]);
    patient = patient.script("c0 c1");
    let merge =
        MergePatients { request: build::request(9_999), from: PatientId(1), into: PatientId(7) };
    let admin = Actor::unbounded(Role::Admin);
    patient.world.run(&admin, &Command::MergePatients(merge)).unwrap();
    assert_eq!(patient.script("c2").restrictions(), "Cancel 2..3");
}

#[test]
fn the_nearest_layer_decides_and_rules_are_refused_whole() {
    let good = rule(&[Cancel], &[tier(3, Term::Days(1))]);
    let change = |change: &dyn Fn(&mut ViolationRule)| {
        let mut rule = good.clone();
        change(&mut rule);
        rule
    };
    let nine: Vec<_> =
        (1..=9_u16).map(|days| change(&|it| it.rule.window = Window::Days(days))).collect();
    for (violations, is_sound) in [
        (vec![good.clone()], true),
        (nine[..8].to_vec(), true),
        (nine.clone(), false),
        (vec![good.clone(), change(&|it| it.rule.tiers[0].count = 5)], false),
        (vec![change(&|it| it.counts.0 = 0)], false),
        (vec![change(&|it| it.counts.0 = 255)], true),
        (vec![change(&|it| it.rule.window = Window::InARow)], false),
        (vec![change(&|it| it.rule.window = Window::Ever)], false),
        (vec![change(&|it| it.rule.window = Window::Days(366))], true),
        (vec![change(&|it| it.rule.window = Window::Days(367))], false),
        (vec![change(&|it| it.rule.window = Window::Months(13))], false),
        (vec![change(&|it| it.rule.begins = Begins::FirstStrike)], true),
        (
            vec![change(&|it| {
                (it.rule.begins, it.rule.is_used_up) = (Begins::FirstStrike, true);
            })],
            false,
        ),
        (vec![change(&|it| it.rule.tiers.clear())], false),
    ] {
        assert_eq!(rules_of(violations.clone()).check().is_ok(), is_sound, "{violations:?}");
    }
    let department = crate::model::OrganizationId(1);
    let scope = RuleScope::Department(department, DepartmentId(2));
    let near = RuleLayer { scope, violations: nine[..1].to_vec(), ..RuleLayer::default() };
    let mut patient = Patient::under(vec![rule(&[Cancel], &[tier(2, Term::Days(1))])]);
    let rules = Rules { from: patient.world.now.plus_millis(MINUTE), ..rules_of(Vec::new()) };
    let far = RuleLayer {
        violations: vec![rule(&[Cancel], &[tier(2, Term::Days(1))])],
        ..RuleLayer::default()
    };
    let rules = Rules { layers: vec![far, near], ..rules };
    let apply = ApplyRules { request: build::request(98), rules };
    patient.ask(&Command::ApplyRules(apply.into())).unwrap();
    patient.world.now = patient.world.now.plus_millis(2 * MINUTE);
    assert_eq!(patient.script("d0 d1 c2").restrictions(), "Cancel 2..3");
}

/// With that account and telephone.
pub(super) const fn keys(account: u128, phone: u128) -> ClientKeys {
    ClientKeys {
        account: Some(AccountId(account)),
        phone: Some(ClientKey(phone)),
        device: None,
        address: None,
    }
}

#[test]
fn an_account_and_a_telephone_are_counted_and_refused_whoever_the_patient_is() {
    for of in [CountedOf::Account, CountedOf::Phone] {
        let rules =
            vec![ViolationRule { of, ..rule(&[Cancel, Unpaid], &[tier(3, Term::MonthEnd)]) }];
        let mut patient = Patient::under(rules);
        patient.keys = keys(5, 6);
        patient = patient.script("c0 u1");
        patient.whom = 2;
        patient = patient.script("c2");
        assert_eq!(patient.restrictions(), "Cancel 2..31", "{of:?}");
        patient.whom = 3;
        patient = patient.script("b3 r3");
        assert_eq!(patient.refused, ["b3", "r3"], "{of:?}");
        // With others of both, or none, the same patients book.
        for other in [keys(7, 8), ClientKeys::default()] {
            patient.keys = other;
            patient.whom += 1;
            patient = patient.script("b4");
        }
        let other = if of == CountedOf::Account { keys(5, 9) } else { keys(9, 6) };
        patient.keys = other;
        patient = patient.script("b5");
        assert_eq!(patient.refused, ["b3", "r3", "b5"], "{of:?}");
    }
}

#[test]
fn bookings_with_one_telephone_are_counted_while_they_are_live_and_after() {
    let mut many = rule(&[Booking], &[tier(5, Term::Days(9))]);
    (many.of, many.rule.window) = (CountedOf::Phone, Window::Months(3));
    let mut patient = Patient::under(vec![many]);
    patient.keys = keys(1, 2);
    patient = patient.script("b0 b1 b2");
    patient.whom = 2;
    // One that is cancelled was booked all the same, once; a hold that is given up was not.
    patient = patient.script("c10 r11");
    assert_eq!(patient.restrictions(), "");
    patient.whom = 3;
    assert_eq!(patient.script("b12").restrictions(), "Booking 12..21");
}

#[test]
fn a_hold_that_names_nobody_counts_for_the_account_alone() {
    let of_account =
        ViolationRule { of: CountedOf::Account, ..rule(&[Unpaid], &[tier(2, Term::Days(5))]) };
    let of_patient = rule(&[Unpaid], &[tier(1, Term::Days(5))]);
    let mut patient = Patient::under(vec![of_account.clone(), of_patient.clone()]);
    let holder = Some(HolderRule { by: Holder::Account, limit: 8 });
    let violations = vec![of_account, of_patient];
    let layers = vec![RuleLayer { violations, holder, ..RuleLayer::default() }];
    let from = patient.world.now.plus_millis(MINUTE);
    let rules = Rules { from, layers, ..rules_of(Vec::new()) };
    let apply = ApplyRules { request: build::request(97), rules };
    patient.ask(&Command::ApplyRules(apply.into())).unwrap();
    for at in 0..2 {
        patient.world.now = day(at);
        let session = Session { start: day(at + 40), ..build::session(900 + u64::from(at), &[1]) };
        patient.ask(&Command::OpenSession(build::open(session).into())).unwrap();
        let hold = Hold {
            patient: None,
            keys: keys(5, 6),
            ..build::hold(900 + u128::from(at), 0, [build::at(900 + u64::from(at), 0)])
        };
        patient.ask(&Command::Hold(hold)).unwrap();
        patient.world.now = patient.world.now.plus_millis(16 * MINUTE);
        assert_eq!(patient.world.expire().len(), 1);
    }
    assert_eq!(patient.restrictions(), "Unpaid 1..6");
    patient.keys = keys(5, 6);
    assert_eq!(patient.script("b2").refused, ["b2"]);
}

#[test]
fn a_restriction_of_an_account_holds_under_later_rules_that_ask_of_none() {
    let of_account =
        ViolationRule { of: CountedOf::Account, ..rule(&[Cancel], &[tier(1, Term::Days(5))]) };
    let mut patient = Patient::under(vec![of_account]);
    patient.keys = keys(5, 6);
    patient = patient.script("c0");
    let from = patient.world.now.plus_millis(MINUTE);
    let rules = Rules { from, ..rules_of(Vec::new()) };
    let apply = ApplyRules { request: build::request(97), rules };
    patient.ask(&Command::ApplyRules(apply.into())).unwrap();
    patient.whom = 2;
    assert_eq!(patient.script("b1 b4 b6").refused, ["b1", "b4"]);
}
