//! How many appointments somebody may have: stories of a patient, in days from the first of January 2027.
//!
//! ```text
//! "1 a day"      3 3       ->   ok no            two visits on day 3
//! "2 in 7 days"  1 5 7 8   ->   ok ok no ok      7 would be the third from 1 to 7; from 2 to 8 it is two
//! ```
//!
//! A visit is at nine; `p` puts it at two. `d2` is in department 2, `r2` with resource 2, `o2` in hospital
//! 2, `t2` of appointment type 2. `~` is held and not booked, `-3` cancels what was booked for day 3 (or
//! gives up what is held), `+4` lets four days pass, `v3` is the visit of day 3, `m3` is missed. `k2` asks
//! by the patient's second key from then on, and `>2` merges the key that was asked by last into it.

use std::collections::BTreeMap;

use super::build::{self, DAY};
use super::world::World;
use crate::model::{
    Action, Actor, ApplyRules, BookingLimit, CivilTime, Command, Counts, Day, DayOf, DepartmentId,
    Hold, LimitKey, LimitScope, MergePatients, OrganizationId, PatientId, PaymentRef, Period,
    Refusal, ResourceId, Role, RuleCondition, RuleLayer, RuleMode, RuleScope, Rules, RulesVersion,
    Session, Timestamp,
};

/// 2027-01-01, a Friday.
const FIRST: Day = Day(20_819);
const HOUR: u64 = 60 * build::MINUTE;

fn day(number: u64) -> Timestamp {
    Timestamp::from_millis((u64::from(FIRST.0) + number) * DAY)
}

fn limit(most: u16, within: LimitScope, period: Period) -> BookingLimit {
    let key = LimitKey { within, period, ..LimitKey::default() };
    BookingLimit { key, most, mode: RuleMode::Enforce }
}

fn by(by: DayOf, limit: BookingLimit) -> BookingLimit {
    BookingLimit { key: LimitKey { by, ..limit.key }, ..limit }
}

fn counting(counts: Counts, limit: BookingLimit) -> BookingLimit {
    BookingLimit { key: LimitKey { counts, ..limit.key }, ..limit }
}

fn layer(scope: RuleScope, limits: &[BookingLimit]) -> RuleLayer {
    RuleLayer { scope, limits: limits.to_vec(), ..RuleLayer::default() }
}

struct Patient {
    world: World,
    number: u128,
    /// By which key is asked.
    key: u128,
    /// What was made for each day.
    made: BTreeMap<String, u128>,
}

impl Patient {
    fn under(layers: Vec<RuleLayer>) -> Self {
        let now = day(0).minus_millis(DAY);
        let mut patient =
            Self { world: World::new(now), number: 100, key: 1, made: BTreeMap::new() };
        let from = now.plus_millis(build::MINUTE);
        let civil = CivilTime::default();
        let rules = Rules { version: RulesVersion(0), from, civil, notice_days: 0, layers };
        let apply = ApplyRules { request: build::request(99), rules };
        patient.ask(&Command::ApplyRules(apply.into())).unwrap();
        patient.world.now = day(0);
        patient
    }

    fn ask(&mut self, command: &Command) -> Result<(), Refusal> {
        self.world.run(&Actor::unbounded(Role::Practitioner), command).map(|_| ())
    }

    /// One word of a story; what is answered, where something is asked.
    fn act(&mut self, word: &str) -> Option<Result<(), Refusal>> {
        self.number += 1;
        let (verb, rest) = word.split_at(1);
        if verb == "+" {
            let days: u64 = rest.parse().unwrap();
            self.world.now = self.world.now.plus_millis(days * DAY);
            self.world.expire();
            return None;
        }
        if let "k" | ">" = verb {
            let key = rest.parse().unwrap();
            let (from, into) = (PatientId(self.key), PatientId(key));
            self.key = key;
            if verb == ">" {
                let merge = MergePatients { request: build::request(self.number), from, into };
                let admin = Actor::unbounded(Role::Admin);
                self.world.run(&admin, &Command::MergePatients(merge)).unwrap();
            }
            return None;
        }
        if let ("-" | "v" | "m", Some(id)) = (verb, self.made.get(rest)) {
            let state = self.world.state();
            let held = state.appointments.iter().find(|one| one.id == build::appointment(*id));
            let is_booked = held.is_some_and(|held| held.payment.is_some());
            let action = match verb {
                "v" => Action::Settle,
                "m" => Action::NoShow,
                _ if is_booked => Action::Cancel,
                _ => Action::Release,
            };
            let change = build::change(self.number, *id, action);
            self.ask(&Command::Change(change)).unwrap();
            return None;
        }
        Some(self.hold(word))
    }

    #[expect(clippy::unwrap_in_result, reason = "what is not refused must be there")]
    fn hold(&mut self, word: &str) -> Result<(), Refusal> {
        let number: String = word.chars().skip_while(|c| *c == '~').collect();
        let after = |letter: char| digits(number.split_once(letter)?.1).parse().ok();
        let on: u64 = digits(&number).parse().unwrap();
        let hour = if number.contains('p') { 14 } else { 9 };
        let wish = build::at(self.number.try_into().unwrap(), 0);
        let place = |letter| u32::try_from(after(letter).unwrap_or(1)).unwrap();
        let session = Session {
            id: wish.session,
            start: day(on).plus_millis(hour * HOUR),
            organization: OrganizationId(place('o')),
            department: DepartmentId(place('d')),
            resource: ResourceId(after('r').unwrap_or(1)),
            appointment_type: u8::try_from(place('t')).unwrap(),
            ..build::session(0, &[1])
        };
        self.ask(&Command::OpenSession(build::open(session).into())).unwrap();
        let book = (!word.starts_with('~')).then_some(PaymentRef(1));
        let hold = Hold { book, ..build::hold(self.number, self.key, [wish]) };
        self.ask(&Command::Hold(hold))?;
        self.made.insert(digits(&number), self.number);
        Ok(())
    }

    fn tell(&mut self, story: &str) -> String {
        let answers = story.split_whitespace().filter_map(|word| self.act(word));
        let words = answers.map(|answer| match answer {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => {
                let why = refusal.why.unwrap();
                let until = why.until.as_millis();
                match until.checked_sub(day(0).as_millis()) {
                    Some(until) => format!("no:{}", until / DAY),
                    None => "no".to_owned(),
                }
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The digits at the front.
fn digits(text: &str) -> String {
    text.chars().take_while(char::is_ascii_digit).collect()
}

#[track_caller]
fn check(limits: &[BookingLimit], story: &str, expected: &str) {
    let mut patient = Patient::under(vec![layer(RuleScope::Region, limits)]);
    assert_eq!(patient.tell(story), expected, "{story}");
}

#[test]
fn a_limit_holds_in_its_place_and_nowhere_else() {
    for (within, story, expected) in [
        (LimitScope::Region, "3 3o2", "ok no"),
        (LimitScope::Organization, "3 3d2 3o2", "ok no ok"),
        (LimitScope::Department, "3 3r2 3d2 3o2", "ok no ok ok"),
        (LimitScope::Schedule, "3 3r2 3d2", "ok ok no"),
        (LimitScope::AppointmentType, "3 3t2 3d2 3o2", "ok ok no ok"),
        (LimitScope::Session, "3 3 3p 3r2 4", "ok no ok ok ok"),
    ] {
        check(&[limit(1, within, Period::Day)], story, expected);
    }
}

#[test]
fn a_limit_counts_days_weeks_months_and_what_rolls() {
    let region = |most, period| limit(most, LimitScope::Region, period);
    for (limit, story, expected) in [
        (region(2, Period::Any), "3 40 99", "ok ok no"),
        (region(1, Period::HalfDay), "3 3p 3 4", "ok ok no ok"),
        (region(1, Period::Day), "3 3p 4", "ok no ok"),
        // The week of Monday, 4 January.
        (region(1, Period::Week), "2 3 9 10", "ok ok no ok"),
        (region(1, Period::Month), "30 31 58 59", "ok ok no ok"),
        (region(1, Period::Quarter), "89 90 180 181", "ok ok no ok"),
        (region(1, Period::Year), "364 365", "ok ok"),
        (region(1, Period::Year), "1 364", "ok no"),
        (region(2, Period::Days(7)), "1 5 7 8 11", "ok ok no ok no"),
        (region(2, Period::Days(7)), "1 5 12 6", "ok ok ok no"),
        // From the day after the same day of the month before to that day.
        (region(1, Period::Months(1)), "13 43 44", "ok no ok"),
        (region(1, Period::Months(3)), "100 11 10 190", "ok no ok no"),
    ] {
        check(&[limit], story, expected);
    }
}

#[test]
fn by_the_day_of_booking_a_refusal_says_when_it_is_over() {
    let booked = |most, period| by(DayOf::Booking, limit(most, LimitScope::Region, period));
    for (limit, story, expected) in [
        (booked(2, Period::Day), "9 20 30 +1 30", "ok ok no:1 ok"),
        (booked(1, Period::Week), "9 20 +2 20 +1 20", "ok no:3 no:3 ok"),
        (booked(2, Period::Days(5)), "9 +2 20 30 +3 30 40", "ok ok no:5 ok no:7"),
        (booked(1, Period::Month), "99 +30 99 +1 99", "ok no:31 ok"),
        (booked(0, Period::Day), "9", "no"),
    ] {
        check(&[limit], story, expected);
    }
}

#[test]
fn what_is_over_counts_where_the_limit_says_so() {
    let year = limit(2, LimitScope::Region, Period::Year);
    let counted = |counts| counting(counts, year);
    for (limit, story, expected) in [
        (counted(Counts::Live), "3 4 5 -3 5", "ok ok no ok"),
        (counted(Counts::Live), "3 4 +6 v3 m4 9 10 11", "ok ok ok ok no"),
        (counted(Counts::All), "3 4 -3 5", "ok ok no"),
        (counted(Counts::All), "3 4 +6 v3 m4 9", "ok ok no"),
        // A hold that was given up, or ran out, was no appointment.
        (counted(Counts::All), "~3 -3 ~4 +1 5 6 7", "ok ok ok ok no"),
        (counted(Counts::Departments), "3 4 5d2 6d3 7d2", "ok ok ok no ok"),
        (counted(Counts::Departments), "3 4d2 -4 5d3", "ok ok no"),
        (counted(Counts::Resources), "3 4r2 5r3 6r2", "ok ok no ok"),
        // A hold is one operation, and giving it up another.
        (counted(Counts::Operations), "~3 -3 4", "ok no"),
        (counted(Counts::Operations), "~3 +1 4 5", "ok ok no"),
    ] {
        check(&[limit], story, expected);
    }
}

#[test]
fn all_limits_hold_together_and_a_nearer_one_replaces_the_same_of_a_farther() {
    let one = limit(1, LimitScope::Organization, Period::Day);
    let more = |most| BookingLimit { most, ..one };
    let other = limit(2, LimitScope::Region, Period::Week);
    let here = RuleScope::Department(OrganizationId(1), DepartmentId(1));
    let house = RuleScope::Organization(OrganizationId(1));
    let shadow = BookingLimit { mode: RuleMode::Shadow, ..one };
    for (layers, story, expected) in [
        (vec![layer(RuleScope::Region, &[one, other])], "4 4 5 6", "ok no ok no"),
        (vec![layer(house, &[more(2)]), layer(RuleScope::Region, &[one])], "4 4 4", "ok ok no"),
        (vec![layer(here, &[more(2)]), layer(house, &[one])], "4 4 4d2 5d2 5d2", "ok ok no ok no"),
        (
            vec![layer(house, &[more(u16::MAX)]), layer(RuleScope::Region, &[one])],
            "4 4 4",
            "ok ok ok",
        ),
        // Of two layers of one scope the later one counts.
        (vec![layer(house, &[one]), layer(house, &[more(2)])], "4 4 4", "ok ok no"),
        (vec![layer(RuleScope::Region, &[shadow])], "4 4", "ok ok"),
    ] {
        assert_eq!(Patient::under(layers).tell(story), expected, "{story}");
    }
}

#[test]
fn a_limit_of_none_keeps_those_away_whom_it_is_about() {
    let when = RuleCondition { classes: crate::model::ClassSet(2), ..RuleCondition::default() };
    let none = limit(0, LimitScope::Region, Period::Any);
    let for_others = RuleLayer { when, limits: vec![none], ..RuleLayer::default() };
    assert_eq!(Patient::under(vec![for_others]).tell("4"), "ok");
    check(&[none], "4", "no");
}

#[test]
fn a_history_is_kept_for_a_year_and_what_is_older_goes() {
    let all = counting(Counts::All, limit(1, LimitScope::Region, Period::Days(366)));
    check(&[all], "3 +4 v3 368 369", "ok no ok");
    let mut patient = Patient::under(Vec::new());
    for visit in ["3", "103", "403", "404"] {
        patient.tell(visit);
        patient.world.now = day(visit.parse::<u64>().unwrap() + 1);
        patient.tell(&format!("v{visit}"));
    }
    let state = patient.world.state();
    let days: Vec<u32> = state.past[0].1.iter().map(|it| it.visit.day.0 - FIRST.0).collect();
    assert_eq!(days, [103, 403, 404], "400 days before the 405th");
}

#[test]
fn what_is_over_counts_once_after_a_merge_and_under_either_key() {
    let all = |most| [counting(Counts::All, limit(most, LimitScope::Region, Period::Days(30)))];
    // What the older key had is not lost, however often keys are merged.
    check(&all(2), "3 -3 >2 4 5", "ok ok no");
    check(&all(2), "3 -3 >2 >3 4 5", "ok ok no");
    check(&all(2), "3 -3 >2 k1 4 k2 5", "ok ok no");
    check(&all(2), "3 -3 k2 4 -4 >1 5", "ok ok no");
    check(&all(2), "3 -3 k2 4 -4 k3 5 k2 >3 6", "ok ok ok no");
    // Nor is it there twice.
    check(&all(3), "3 -3 >2 >3 4 k1 5", "ok ok ok");
    check(&all(4), "3 -3 k2 4 -4 >1 5 6 7", "ok ok ok ok no");
    // What was live when the keys were merged is kept when it is over, once.
    check(&all(3), "3 4 >2 -3 +4 v4 9 k1 10", "ok ok ok no");
}

#[test]
fn a_place_was_booked_on_the_same_day_after_a_merge() {
    let daily = [by(DayOf::Booking, limit(1, LimitScope::Region, Period::Day))];
    check(&daily, "3 +1 >2 4 5", "ok ok no:2");
    check(&daily, "3 >2 4 +1 4", "ok no:1 ok");
}

#[test]
fn two_histories_are_one_in_the_order_in_which_visits_ended() {
    let mut patient = Patient::under(Vec::new());
    patient.tell("3 -3 +1 k2 4 -4 +1 k1 5 -5 +1 k2 6 -6 7 k1 8 >2 +1 -7");
    let state = patient.world.state();
    let [(whose, past)] = state.past.as_slice() else { panic!("{:?}", state.past) };
    assert_eq!(*whose, PatientId(2));
    let days: Vec<_> = past.iter().map(|it| (it.visit.day.0, it.ended.0)).collect();
    let of = |(visit, ended): (u32, u32)| (FIRST.0 + visit, FIRST.0 + ended);
    assert_eq!(days, [(3, 0), (4, 1), (5, 2), (6, 3), (7, 4)].map(of));
    assert_eq!(patient.world.live(PatientId(1)).len(), 1);
    let again = World::replayed(patient.world.records.iter().cloned());
    assert_eq!(again.state(), state);
}
