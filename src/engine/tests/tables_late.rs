//! What follows from visits that somebody came late for or missed: tables of days, counted from the
//! first of January 2027.
//!
//! ```text
//! "late or missed, 3 in 3 months: 3 months"   l0 m10 l40   ->   Late 40..130
//! ```

use super::build::{self, MINUTE};
use super::tables_violations::{Patient, check, day, keys, rule, rules_of, tier};
use crate::model::Violation::{Booking, Cancel, Late, Missed};
use crate::model::{
    Action, ApplyRules, Begins, Command, CountedOf, Ending, Fact, MergePatients, NoShowRule,
    PatientId, RuleLayer, Rules, Term, ViolationRule, Window,
};

/// Of three months.
fn in_months(counts: &[crate::model::Violation], count: u16) -> ViolationRule {
    let mut rule = rule(counts, &[tier(count, Term::Months(3))]);
    rule.rule.window = Window::Months(3);
    rule
}

#[test]
fn three_visits_late_or_missed_in_three_months_end_booking_for_three() {
    let rules = [in_months(&[Late, Missed], 3)];
    for (events, expected) in [
        ("l0 l10", ""),
        ("l0 l10 l20", "Late 20..110"),
        ("m0 m10 m20", "Missed 20..110"),
        ("l0 m10 l40", "Late 40..129"),
        ("m0 l10 m40", "Missed 40..129"),
        // In time until a quarter past nine; who cancels is not late.
        ("t0 t1 t2 t3", ""),
        ("c0 s1 s2 u3 r4", ""),
        // Three, but not within three months.
        ("l0 l10 l95", ""),
        // Who checks in late and is gone when called missed the visit, and is not late besides.
        ("g0 g10", ""),
        ("g0 l1 g10", "Missed 10..100"),
    ] {
        check(&rules, events, expected);
    }
}

#[test]
fn a_rule_counts_what_it_names_and_nothing_else() {
    for (rules, events, expected) in [
        (vec![in_months(&[Late], 2)], "l0 m1 m2 g3", ""),
        (vec![in_months(&[Late], 2)], "l0 m1 l2", "Late 2..92"),
        (vec![in_months(&[Missed], 2)], "l0 l1 m2", ""),
        (vec![in_months(&[Missed], 2)], "m0 l1 g2", "Missed 2..92"),
        (vec![in_months(&[Cancel, Missed], 3)], "c0 m1 c2", "Cancel 2..92"),
        // Five were booked a day before the first; each counts again on its own day as late.
        (vec![in_months(&[Late, Booking], 7)], "l0 t1 t2 t3 l4", "Late 4..94"),
        // A rule about lateness and one about what is missed, each for itself.
        (vec![in_months(&[Late], 2), in_months(&[Missed], 2)], "l0 m1 l2", "Late 2..92"),
    ] {
        check(&rules, events, expected);
    }
}

#[test]
fn a_visit_that_is_missed_restricts_once_whoever_counts_it() {
    let both = |begins| {
        let mut rules = rules_of(vec![in_months(&[Late, Missed], 2)]);
        let rule = rules.layers[0].violations[0].rule.clone();
        rules.layers[0].no_show = Some(NoShowRule { begins, ..rule });
        rules
    };
    for (begins, events, expected) in [
        // Missed twice: a strike does it, and there is nothing to add.
        (Begins::AtOnce, "m0 m1", "NoShow 1..91"),
        // Late and missed is one of each: only the rule about both has two.
        (Begins::AtOnce, "l0 m1", "Missed 1..91"),
        (Begins::AtOnce, "m0 l1", "Late 1..91"),
        // A strike that restricts from tomorrow on leaves today to the other.
        (Begins::NextDay, "m0 m1", "NoShow 2..92, Missed 1..91"),
    ] {
        let patient = Patient::under_rules(both(begins)).script(events);
        let mut made: Vec<_> = patient.restrictions().split(", ").map(str::to_owned).collect();
        let mut expected: Vec<_> = expected.split(", ").map(str::to_owned).collect();
        made.sort();
        expected.sort();
        assert_eq!(made, expected, "{events}");
    }
}

#[test]
fn an_account_and_a_telephone_are_counted_whoever_came_late() {
    for of in [CountedOf::Account, CountedOf::Phone] {
        let mut patient =
            Patient::under(vec![ViolationRule { of, ..in_months(&[Late, Missed], 3) }]);
        patient.keys = keys(5, 6);
        patient = patient.script("l0");
        patient.whom = 2;
        patient = patient.script("m1 t2");
        assert_eq!(patient.restrictions(), "", "{of:?}");
        patient.whom = 3;
        patient = patient.script("l3");
        assert_eq!(patient.restrictions(), "Late 3..93", "{of:?}");
        patient.whom = 4;
        assert_eq!(patient.script("b4").refused, ["b4"], "{of:?}");
    }
}

#[test]
fn lateness_before_the_rule_counts_and_leads_to_nothing_by_itself() {
    let mut patient = Patient::under(Vec::new()).script("l0 l1");
    let rules = Rules {
        from: patient.world.now.plus_millis(MINUTE),
        ..rules_of(vec![in_months(&[Late], 3)])
    };
    let apply = ApplyRules { request: build::request(98), rules };
    patient.ask(&Command::ApplyRules(apply.into())).unwrap();
    patient = patient.script("t2");
    assert_eq!(patient.restrictions(), "");
    assert_eq!(patient.script("l3").restrictions(), "Late 3..93");
}

#[test]
fn what_two_keys_of_one_person_came_late_for_counts_together() {
    let mut patient = Patient::under(vec![in_months(&[Late, Missed], 3)]).script("l0");
    patient.whom = 2;
    patient = patient.script("l1");
    let (from, into) = (PatientId(2), PatientId(1));
    let merge = MergePatients { request: build::request(97), from, into };
    patient.ask(&Command::MergePatients(merge)).unwrap();
    assert_eq!(patient.restrictions(), "");
    assert_eq!(patient.script("l2").restrictions(), "Late 2..92");
}

#[test]
fn who_is_late_is_kept_so_under_no_rules_too() {
    let layers = vec![RuleLayer::default()];
    let patient = Patient::under_rules(Rules { layers, ..rules_of(Vec::new()) });
    let patient = patient.script("t0 l1 g2 m3");
    let state = patient.world.state();
    let endings = state.past.iter().flat_map(|(_, all)| all.iter().map(|past| past.ending));
    let expected = [Ending::Fulfilled, Ending::Late, Ending::Missed, Ending::Missed];
    assert_eq!(endings.collect::<Vec<_>>(), expected);
    // On the day on which the visit was over.
    let days = state.past.iter().flat_map(|(_, all)| all.iter().map(|past| past.ended.0));
    assert_eq!(days.collect::<Vec<_>>(), [0, 1, 2, 3].map(|at| 20_819 + at));
}

#[test]
fn an_arrival_without_a_check_in_is_not_late() {
    let mut patient = Patient::under(vec![in_months(&[Late], 1)]);
    for (number, action) in [(1, Action::Fulfil), (2, Action::Settle)] {
        let id = patient.book(number);
        patient.world.now = day(number).plus_millis((9 * 60 + 20) * MINUTE);
        patient.change(id, Action::Arrive);
        patient.change(id, action);
    }
    assert_eq!(patient.restrictions(), "");
    let id = patient.book(3);
    patient.world.now = day(3).plus_millis((9 * 60 + 20) * MINUTE);
    patient.change(id, Action::CheckIn);
    // The end of the day counts who is in the queue as seen, late as they came.
    patient.world.now = day(4).plus_millis(2 * 60 * MINUTE);
    patient.change(id, Action::Settle);
    assert_eq!(patient.restrictions(), "Late 4..94");
    let (_, facts) = patient.world.records.last().unwrap();
    let names: Vec<_> = facts.iter().map(Fact::name).collect();
    assert_eq!(names, ["Fulfilled", "Recorded", "Barred"]);
}
