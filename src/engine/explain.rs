//! Tells where an appointment stands and how near a patient is to a limit.
//!
//! ```text
//! strikes   --x-----x--------x---|now        counter: 2 of 3, less again on the day the first leaves
//!           counts no more  [ window )
//! ```
//!
//! **Architecture invariant:** it reads what decisions read, and decides nothing.

use super::record::PatientRecord;
use crate::model::{
    Appointment, AppointmentStatus, Attributes, ChannelSet, Cooldown, CountedStrike, Counter, Day,
    NextStep, NoShowRule, PatientClass, Place, RuleKey, RuleMode, RuleRef, RuleScope, RuleWhy,
    Rules, Session, Step, StepBy, Timestamp, Window,
};

/// What may happen to an appointment next, by what is known of the session of its first claim.
pub fn steps(appointment: &Appointment, session: Option<&Session>, changes: u8) -> Vec<NextStep> {
    use AppointmentStatus as S;
    let claim = appointment.claims.first();
    let start = session.zip(claim).map(|(session, claim)| session.slot_start(claim.slot));
    let until = start.unwrap_or_default();
    let terms = session.map(|session| &session.terms);
    let attendance = terms.and_then(|terms| terms.attendance).zip(start);
    let windows = terms.map_or(&[][..], |terms| &terms.pick_up_windows);
    let opens = windows.first().map_or(NONE, |window| window.from);
    let pick_up_ends = attendance.and_then(|(rules, start)| rules.pick_up_ends(start));
    let closes = windows.last().map(|window| window.until);
    let arrives = pick_up_ends.into_iter().chain(closes).min();
    let checks_in = attendance.map_or((NONE, NONE), |(rules, start)| {
        (start.minus_millis(rules.check_in_from.into()), start.plus_millis(rules.late_until.into()))
    });
    // Who checks in without an arrival before picks up with it.
    let picks_up_until = arrives.map_or(checks_in.1, |arrives| arrives.min(checks_in.1));
    let missed =
        attendance.map_or(NONE, |(rules, start)| start.plus_millis(rules.late_until.into()));
    let of = |what, by, from, until| NextStep { what, by, from, until };
    let none = NONE;
    let moves = terms.and_then(|terms| terms.changes_max).is_none_or(|most| changes < most);
    let may_move = of(Step::Move, StepBy::Patient, none, until);
    let mut steps = match appointment.status {
        S::Waitlist => {
            vec![
                of(Step::Draw, StepBy::Node, none, none),
                of(Step::Release, StepBy::Patient, none, none),
            ]
        }
        S::Pending => vec![
            of(Step::Book, StepBy::Patient, none, appointment.until),
            of(Step::Release, StepBy::Patient, none, appointment.until),
            of(Step::Expire, StepBy::Node, appointment.until, none),
        ],
        S::Booked => vec![
            of(Step::Cancel, StepBy::Patient, none, none),
            of(Step::Arrive, StepBy::Patient, opens, arrives.unwrap_or_default()),
            of(Step::CheckIn, StepBy::Patient, checks_in.0.max(opens), picks_up_until),
            of(Step::NoShow, StepBy::Staff, missed, none),
        ],
        S::Arrived => vec![
            of(Step::Cancel, StepBy::Patient, none, none),
            of(Step::CheckIn, StepBy::Patient, checks_in.0, checks_in.1),
            of(Step::Fulfil, StepBy::Staff, none, none),
            of(Step::NoShow, StepBy::Staff, missed, none),
        ],
        S::CheckedIn => vec![
            of(Step::Fulfil, StepBy::Staff, none, none),
            of(Step::NoShow, StepBy::Staff, start.unwrap_or_default(), none),
        ],
        S::Fulfilled | S::Cancelled | S::NoShow => Vec::new(),
    };
    if matches!(appointment.status, S::Booked | S::Arrived) && moves {
        steps.push(may_move);
    }
    steps
}

/// The strikes of a record that a reader may see, and until when each of them counts.
pub fn counted_strikes(
    rules: &Rules,
    record: &PatientRecord,
    now: Timestamp,
) -> Vec<CountedStrike> {
    let today = rules.civil.day_of(now);
    let known = record.strikes.iter().filter(|kept| kept.strike.day <= today);
    let told = known.map(|kept| {
        let strike = kept.strike;
        let rule = rule_at(rules, &strike.place).map(|(_, rule)| rule);
        let is_void = |rule: &NoShowRule| {
            rule.is_used_up && kept.is_used || rule.window == Window::InARow && kept.is_over
        };
        let is_in = |rule: &NoShowRule| rule.window.first_day(today) <= strike.day;
        let counts = rule.is_some_and(|rule| is_in(rule) && !is_void(rule));
        let ends = rule.and_then(|rule| ends(rule.window, strike.day));
        let until = ends.filter(|_| counts).map(|day| rules.civil.start_of(day));
        CountedStrike { strike, counts, until: until.unwrap_or_default() }
    });
    told.collect()
}

/// What the rules count of a patient now, where they count anything: how much of the number that is
/// reached next.
pub fn counters(rules: &Rules, strikes: &[CountedStrike], now: Timestamp) -> Vec<Counter> {
    let mut counters: Vec<Counter> = Vec::new();
    for counted in strikes.iter().filter(|counted| counted.counts) {
        let place = &counted.strike.place;
        let Some((layer, rule)) = rule_at(rules, place) else { continue };
        let scope = RuleScope::around(rule.within, place);
        let is_known = |it: &Counter| (it.scope, it.why.rule.layer) == (scope, layer);
        if rule.mode == RuleMode::Enforce && !counters.iter().any(is_known) {
            let own = strikes.iter().filter(|it| it.counts && scope.contains(&it.strike.place));
            counters.extend(counter(rules, (layer, rule), scope, own.copied(), now));
        }
    }
    counters
}

fn counter(
    rules: &Rules,
    (layer, rule): (u8, &NoShowRule),
    scope: RuleScope,
    counted: impl Iterator<Item = CountedStrike> + Clone,
    now: Timestamp,
) -> Option<Counter> {
    let count = u16::try_from(counted.clone().count()).unwrap_or(u16::MAX);
    let tiers = (0_u8..).zip(&rule.tiers);
    let ahead = tiers.clone().find(|(_, tier)| count < tier.count);
    // Beyond the last tier that acts once nothing follows.
    if rule.is_once && ahead.is_none() {
        return None;
    }
    let next = ahead.or_else(|| tiers.last());
    let since = counted.clone().map(|it| it.strike.day).min().unwrap_or_default();
    let until = counted.map(|it| it.until).filter(|until| now < *until).min();
    let (tier, limit) = next.map_or((0, 0), |(position, tier)| (position, tier.count));
    let why = RuleWhy {
        rule: RuleRef { version: rules.version, layer, tier },
        key: RuleKey::NoShow,
        within: rule.within,
        count,
        limit,
        since: rules.civil.start_of(since),
        until: until.unwrap_or_default(),
        through: ChannelSet::ALL,
    };
    Some(Counter { scope, why })
}

/// For what a patient waits at an instant, after giving a place up.
pub fn waits_for(cooldowns: &[Cooldown], now: Timestamp) -> Vec<Counter> {
    let holds = |it: &&Cooldown| it.mode == RuleMode::Enforce && it.since <= now && now < it.until;
    let told = cooldowns.iter().filter(holds);
    told.map(|it| Counter { scope: it.within, why: it.why() }).collect()
}

/// What would count a visit that is missed somewhere, of who says nothing about themselves.
fn rule_at<'a>(rules: &'a Rules, place: &Place) -> Option<(u8, &'a NoShowRule)> {
    let is_about = |when: &crate::model::RuleCondition| {
        when.holds(PatientClass::Outpatient, Attributes::default())
    };
    rules.nearest(place, is_about, |layer| layer.no_show.as_ref())
}

/// No instant: now, or nothing that ends it.
const NONE: Timestamp = Timestamp::from_millis(0);

/// The first day on which a strike counts together with no new one; `None` where there is none.
fn ends(window: Window, day: Day) -> Option<Day> {
    let at_the_earliest = match window {
        Window::Days(days) => day.plus(days.into()),
        // Months end on other days: the very one is at most three days later.
        Window::Months(months) => day.plus_months(months.into()),
        Window::Month => day.month_start().plus_months(1),
        Window::Quarter => day.quarter_start().plus_months(3),
        Window::Year => day.year_start().plus_months(12),
        Window::InARow | Window::Ever => return None,
    };
    (0..=3).map(|more| at_the_earliest.plus(more)).find(|newest| day < window.first_day(*newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strike_counts_until_the_day_on_which_its_window_has_passed_it() {
        let windows = [
            Window::Days(1),
            Window::Days(365),
            Window::Months(1),
            Window::Months(6),
            Window::Month,
            Window::Quarter,
            Window::Year,
        ];
        for window in windows {
            for day in (20_000..20_800).map(Day) {
                let end = ends(window, day).unwrap();
                let counts = |newest: Day| window.first_day(newest) <= day;
                assert!(counts(end.minus(1)) && !counts(end), "{window:?} {day:?} {end:?}");
            }
        }
        assert_eq!(ends(Window::Ever, Day(1)), None);
        assert_eq!(ends(Window::InARow, Day(1)), None);
    }
}
