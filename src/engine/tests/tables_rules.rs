//! What follows from missed visits: tables of days, counted from the first of January 2027.
//!
//! ```text
//! "3 missed in 365 days: 30 days"   0 100 200   ->   201..231
//! ```

use super::build::{self, DAY};
use super::world::World;
use crate::model::{
    Action, Actor, ApplyRules, Begins, ChannelSet, CivilTime, Command, Consequence, Day,
    DepartmentId, Hold, NoShowRule, OrganizationId, Outcome, PatientId, PaymentRef, Refusal,
    RuleKey, RuleLayer, RuleMode, RuleRef, RuleScope, RuleWhy, Rules, RulesVersion, ScopeKind,
    Session, Term, Tier, Timestamp, Window,
};

/// 2027-01-01.
const FIRST: Day = Day(20_819);
/// Nine o'clock, when every visit begins.
const NINE: u64 = 9 * 60 * build::MINUTE;

const REFUSE: Consequence = Consequence::Refuse { but: ChannelSet(0) };

fn day(number: u32) -> Timestamp {
    Timestamp::from_millis(u64::from(FIRST.0 + number) * DAY)
}

fn rule(window: Window, count: u16, term: Term) -> NoShowRule {
    NoShowRule {
        within: ScopeKind::Region,
        window,
        begins: Begins::NextDay,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: [Tier { count, consequence: REFUSE, term }].into_iter().collect(),
    }
}

fn layer(scope: RuleScope, rule: NoShowRule) -> RuleLayer {
    RuleLayer { scope, no_show: Some(rule), ..RuleLayer::default() }
}

/// A patient under rules, on the first day.
struct Patient {
    world: World,
    number: u128,
}

impl Patient {
    fn under(layers: Vec<RuleLayer>) -> Self {
        let mut patient = Self { world: World::new(day(0).minus_millis(DAY)), number: 100 };
        patient.apply(layers);
        patient
    }

    fn apply(&mut self, layers: Vec<RuleLayer>) {
        self.number += 1;
        let from = self.world.now.plus_millis(build::MINUTE);
        let civil = CivilTime::default();
        let rules = Rules { version: RulesVersion(0), from, civil, notice_days: 0, layers };
        let apply = ApplyRules { request: build::request(self.number), rules };
        self.ask(&Command::ApplyRules(apply.into())).unwrap();
    }

    fn ask(&mut self, command: &Command) -> Result<(), Refusal> {
        let actor = Actor::unbounded(crate::model::Role::Practitioner);
        self.world.run(&actor, command).map(|_| ())
    }

    /// Books a visit at nine of a day, somewhere.
    #[expect(clippy::unwrap_in_result, reason = "what is not refused must be there")]
    fn book_at(&mut self, number: u32, session: Session, channel: u8) -> Result<u128, Refusal> {
        self.number += 1;
        let id = self.number;
        let wish = build::at(id.try_into().unwrap(), 0);
        let opened = Session { id: wish.session, start: day(number).plus_millis(NINE), ..session };
        self.ask(&Command::OpenSession(build::open(opened).into())).unwrap();
        let channel = build::channel(channel);
        let hold = Hold { channel, book: Some(PaymentRef(1)), ..build::hold(id, 1, [wish]) };
        self.ask(&Command::Hold(hold)).map(|()| id)
    }

    fn book(&mut self, number: u32) -> Result<u128, Refusal> {
        self.book_at(number, build::session(0, &[1]), 0)
    }

    /// The day after a visit it is settled: the patient came, or did not.
    fn settle(&mut self, number: u32, id: u128, came: bool) {
        self.world.now = self.world.now.max(day(number + 1));
        self.number += 1;
        let action = if came { Action::Settle } else { Action::NoShow };
        self.ask(&Command::Change(build::change(self.number, id, action))).unwrap();
    }

    /// Misses visits that were booked long before.
    fn miss(&mut self, days: &str) {
        let visits: Vec<(u32, bool)> = days
            .split_whitespace()
            .map(|word| (word.trim_start_matches('v').parse().unwrap(), word.starts_with('v')))
            .collect();
        let ids: Vec<u128> = visits.iter().map(|(number, _)| self.book(*number).unwrap()).collect();
        for ((number, came), id) in visits.into_iter().zip(ids) {
            self.settle(number, id, came);
        }
    }

    /// Every restriction, as `from..until` in days; `w` for a warning, `l` for a lower class.
    fn restrictions(&self) -> String {
        let state = self.world.state();
        let record = state.records.iter().find(|(patient, _)| *patient == PatientId(1));
        let made = record.into_iter().flat_map(|(_, record)| &record.restrictions);
        let words: Vec<String> = made
            .map(|kept| {
                let made = &kept.restriction;
                let of = |time: Timestamp| (time.as_millis() - day(0).as_millis()) / DAY;
                let what = match made.consequence {
                    Consequence::Warn => "w",
                    Consequence::Lower(_) => "l",
                    Consequence::Refuse { .. } | Consequence::RefuseBut { .. } => "",
                    Consequence::Fewer(_) => "f",
                };
                format!("{what}{}..{}", of(made.from), of(made.until))
            })
            .collect();
        words.join(" ")
    }
}

#[track_caller]
fn check(rule: &NoShowRule, days: &str, expected: &str) {
    let mut patient = Patient::under(vec![layer(RuleScope::Region, rule.clone())]);
    // Booked before the rules are in force a minute later.
    patient.world.now = patient.world.now.plus_millis(2 * build::MINUTE);
    patient.miss(days);
    assert_eq!(patient.restrictions(), expected, "{days}");
}

#[test]
fn missed_visits_in_a_window_restrict_from_the_next_day_on() {
    let three = rule(Window::Days(365), 3, Term::Days(30));
    for (days, expected) in [
        ("0 100", ""),
        ("0 100 200", "201..231"),
        ("0 363 364", "365..395"),
        ("0 364 365", ""),
        ("0 0 0", "1..31"),
        // Restricted when the fourth is counted; free again when the fifth is.
        ("0 1 2 3", "3..33"),
        ("0 1 2 40", "3..33 41..71"),
    ] {
        check(&three, days, expected);
    }
}

#[test]
fn windows_are_days_months_calendar_periods_or_all_time() {
    for (window, days, expected) in [
        (Window::Days(5), "0 4", "5..8"),
        (Window::Days(5), "0 5", ""),
        (Window::Days(1), "7 7", "8..11"),
        // 31 January and 1 February; 1 and 31 January.
        (Window::Month, "30 31", ""),
        (Window::Month, "0 30", "31..34"),
        // 28 February 2027 and 31 March: day 58 and day 89.
        (Window::Quarter, "58 89", "90..93"),
        (Window::Quarter, "89 90", ""),
        (Window::Year, "0 364", "365..368"),
        (Window::Year, "364 365", ""),
        // Until 31 January three months back is since 1 November.
        (Window::Months(3), "0 89", "90..93"),
        (Window::Months(3), "0 90", ""),
        (Window::Ever, "0 2000", "2001..2004"),
    ] {
        check(&rule(window, 2, Term::Days(3)), days, expected);
    }
}

#[test]
fn a_visit_that_took_place_ends_a_row() {
    let in_a_row = rule(Window::InARow, 2, Term::Days(3));
    for (days, expected) in [("0 1", "2..5"), ("0 v1 2", ""), ("0 v1 2 3", "4..7")] {
        check(&in_a_row, days, expected);
    }
}

#[test]
fn strikes_are_kept_or_used_up() {
    let kept = rule(Window::Ever, 2, Term::Days(3));
    let used = NoShowRule { is_used_up: true, ..kept.clone() };
    check(&kept, "0 1 10", "2..5 11..14");
    check(&used, "0 1 10", "2..5");
    check(&used, "0 1 10 20", "2..5 21..24");
}

#[test]
fn a_restriction_begins_the_next_day_at_once_or_with_the_first_strike() {
    let base = rule(Window::Ever, 2, Term::Days(30));
    // The second is settled on day 6.
    for (begins, expected) in
        [(Begins::NextDay, "6..36"), (Begins::AtOnce, "6..36"), (Begins::FirstStrike, "0..30")]
    {
        check(&NoShowRule { begins, ..base.clone() }, "0 5", expected);
    }
}

#[test]
fn a_term_is_days_months_or_the_rest_of_the_month_and_never_nothing() {
    for (term, days, expected) in [
        (Term::Days(1), "5", "6..7"),
        (Term::Months(1), "5", "6..37"),
        // From 31 January until 28 February.
        (Term::Months(1), "29", "30..58"),
        (Term::MonthEnd, "5", "6..31"),
        (Term::MonthEnd, "30", ""),
        (Term::QuarterEnd, "5", "6..90"),
        (Term::QuarterEnd, "89", ""),
        (Term::YearEnd, "5", "6..365"),
        (Term::YearEnd, "364", ""),
        // It ends before it begins.
        (Term::DayEnd, "5", ""),
    ] {
        check(&rule(Window::Ever, 1, term), days, expected);
    }
}

#[test]
fn the_highest_tier_that_is_reached_counts() {
    let tier = |count, consequence, days| Tier { count, consequence, term: Term::Days(days) };
    let tiers =
        [tier(1, Consequence::Warn, 90), tier(2, Consequence::Lower(1), 10), tier(3, REFUSE, 30)];
    let tiered =
        NoShowRule { tiers: tiers.into_iter().collect(), ..rule(Window::Ever, 1, Term::Days(1)) };
    check(&tiered, "0", "w1..91");
    check(&tiered, "0 2 4", "w1..91 l3..13 5..35");
}

#[test]
fn a_tier_acts_again_beyond_its_count_or_once() {
    let tier = |count, days| Tier { count, consequence: REFUSE, term: Term::Days(days) };
    let again = NoShowRule {
        tiers: [tier(2, 3), tier(4, 9)].into_iter().collect(),
        ..rule(Window::Days(100), 1, Term::Days(1))
    };
    let once = NoShowRule { is_once: true, ..again.clone() };
    for (days, of_again, of_once) in [
        ("0 10 20", "11..14 21..24", "11..14"),
        ("0 10 20 30 40", "11..14 21..24 31..40 41..50", "11..14 31..40"),
        // Restricted when the fourth is counted: again, it waits for the fifth; once, it is another tier.
        ("0 10 20 21 50 60", "11..14 21..24 51..60 61..70", "11..14 22..31"),
        // The first has left the window, so two are reached again.
        ("0 10 105 108", "11..14 106..109 109..112", "11..14 106..109"),
    ] {
        check(&again, days, of_again);
        check(&once, days, of_once);
    }
}

#[test]
fn what_begins_at_once_may_end_with_its_day() {
    let today = rule(Window::Ever, 1, Term::DayEnd);
    // Settled on day 6, where the visit was on day 5: over before it begins.
    check(&NoShowRule { begins: Begins::AtOnce, ..today.clone() }, "5", "");
    check(&NoShowRule { begins: Begins::FirstStrike, ..today }, "5", "5..6");
}

#[test]
fn a_nearer_layer_decides_and_of_two_the_later() {
    let region = layer(RuleScope::Region, rule(Window::Ever, 1, Term::Days(1)));
    let days = |days| rule(Window::Ever, 1, Term::Days(days));
    let hospital = |days_of| layer(RuleScope::Organization(OrganizationId(1)), days(days_of));
    let ward = layer(RuleScope::Department(OrganizationId(1), DepartmentId(9)), days(9));
    for (layers, expected) in [
        (vec![region.clone()], "1..2"),
        (vec![hospital(2), region.clone()], "1..3"),
        (vec![region.clone(), hospital(2), hospital(3)], "1..4"),
        (vec![ward, region], "1..2"),
    ] {
        let mut patient = Patient::under(layers);
        patient.world.now = patient.world.now.plus_millis(2 * build::MINUTE);
        patient.miss("0");
        assert_eq!(patient.restrictions(), expected);
    }
}

#[test]
fn who_is_restricted_books_again_when_the_time_is_over() {
    let mut patient =
        Patient::under(vec![layer(RuleScope::Region, rule(Window::Ever, 1, Term::Days(30)))]);
    patient.miss("0");
    for (now, is_refused) in [(day(1), true), (day(31).minus_millis(1), true), (day(31), false)] {
        patient.world.now = now;
        let answer = patient.book(60);
        let refused = answer.is_err_and(|refusal| refusal.outcome == Outcome::Restricted);
        assert_eq!(refused, is_refused, "{now:?}");
    }
}

#[test]
fn a_refusal_says_until_when() {
    let mut patient =
        Patient::under(vec![layer(RuleScope::Region, rule(Window::Ever, 1, Term::Days(2)))]);
    patient.miss("0");
    let refusal = patient.book(60).unwrap_err();
    assert_eq!(u64::from(refusal.retry_after_millis), 2 * DAY);
}

#[test]
fn a_refusal_names_the_rule_and_what_was_counted() {
    let months = rule(Window::Ever, 2, Term::Months(6));
    let mut patient = Patient::under(vec![
        layer(RuleScope::Region, rule(Window::Ever, 9, Term::Days(2))),
        layer(RuleScope::Organization(build::session(0, &[1]).organization), months),
    ]);
    patient.miss("3 4");
    // Another version, under which the restriction goes on as it was made.
    patient.apply(vec![]);
    patient.world.now = patient.world.now.plus_millis(2 * build::MINUTE);
    let refusal = patient.book(60).unwrap_err();
    assert_eq!(refusal.retry_after_millis, u32::MAX, "half a year is more than a hint can say");
    let why = RuleWhy {
        rule: RuleRef { version: RulesVersion(1), layer: 1, tier: 0 },
        key: RuleKey::NoShow,
        within: ScopeKind::Region,
        count: 2,
        limit: 2,
        since: day(3),
        until: day(5 + 181),
        through: ChannelSet(0),
    };
    assert_eq!(refusal.why, Some(why));
}

#[test]
fn a_restriction_holds_where_its_rule_says_and_lets_named_channels_pass() {
    let but = Tier {
        count: 1,
        consequence: Consequence::Refuse { but: ChannelSet(1 << 3) },
        term: Term::Days(30),
    };
    let local = NoShowRule {
        within: ScopeKind::Department,
        tiers: [but].into_iter().collect(),
        ..rule(Window::Ever, 1, Term::Days(1))
    };
    let mut patient = Patient::under(vec![layer(RuleScope::Region, local)]);
    patient.miss("0");
    let here = build::session(0, &[1]);
    let elsewhere = Session { department: DepartmentId(99), ..here.clone() };
    for (session, channel, is_refused) in
        [(here.clone(), 0, true), (here, 3, false), (elsewhere, 0, false)]
    {
        let answer = patient.book_at(60, session, channel);
        let refused = answer.is_err_and(|refusal| refusal.outcome == Outcome::Restricted);
        assert_eq!(refused, is_refused, "channel {channel}");
    }
}

#[test]
fn a_rule_in_shadow_is_counted_and_refuses_nobody() {
    let shadow = NoShowRule { mode: RuleMode::Shadow, ..rule(Window::Ever, 1, Term::Days(30)) };
    let mut patient = Patient::under(vec![layer(RuleScope::Region, shadow)]);
    patient.miss("0");
    assert_eq!(patient.restrictions(), "1..31");
    patient.book(60).unwrap();
}

#[test]
fn stricter_rules_count_from_the_instant_they_are_in_force() {
    let mild = layer(RuleScope::Region, rule(Window::Ever, 3, Term::Days(30)));
    let strict = layer(RuleScope::Region, rule(Window::Ever, 2, Term::Days(60)));
    let mut patient = Patient::under(vec![mild]);
    patient.miss("0 1");
    assert_eq!(patient.restrictions(), "");
    patient.apply(vec![strict]);
    assert_eq!(patient.restrictions(), "", "what was missed before leads to nothing by itself");
    patient.miss("5");
    assert_eq!(patient.restrictions(), "6..66");
}

#[test]
fn rules_are_refused_whole() {
    let good = layer(RuleScope::Region, rule(Window::Ever, 1, Term::Days(30)));
    let none = layer(RuleScope::Region, rule(Window::Ever, 1, Term::Days(0)));
    let silent = good.clone().without(RuleKey::NoShow);
    for (layers, lead, version, expected) in [
        (vec![good.clone()], build::MINUTE, 0, None),
        (vec![good.clone()], 1_999, 0, Some(Outcome::RulesTooSoon)),
        (vec![good.clone(), none], build::MINUTE, 0, Some(Outcome::RulesInvalid)),
        (vec![good.clone()], build::MINUTE, 7, Some(Outcome::RulesInvalid)),
        (vec![silent.clone(); 64], build::MINUTE, 0, None),
        (vec![silent; 65], build::MINUTE, 0, Some(Outcome::RulesInvalid)),
        // Each takes 40 bytes, 12 for its rule, and 16 for the tier: 54 of them are 3,672.
        (vec![good.clone(); 54], build::MINUTE, 0, None),
        (vec![good; 55], build::MINUTE, 0, Some(Outcome::RulesInvalid)),
    ] {
        let mut world = World::new(day(0));
        let rules = Rules {
            version: RulesVersion(version),
            from: day(0).plus_millis(lead),
            civil: CivilTime::default(),
            notice_days: 0,
            layers,
        };
        let mut apply = ApplyRules { request: build::request(1), rules };
        let actor = Actor::unbounded(crate::model::Role::Admin);
        let answer = world.run(&actor, &Command::ApplyRules(apply.clone().into()));
        assert_eq!(answer.err().map(|refusal| refusal.outcome), expected);
        // The same but for a version is no repetition.
        apply.rules.version = RulesVersion(9);
        let again = world.run(&actor, &Command::ApplyRules(apply.into()));
        let expected = expected.map_or(Outcome::IdReused, |_| Outcome::RulesInvalid);
        assert_eq!(again.err().map(|refusal| refusal.outcome), Some(expected));
    }
}
