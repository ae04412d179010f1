//! Stricter rules need notice: tables of what is stricter, and random rules that agree with counting.

use arrayvec::ArrayVec;
use proptest::collection::vec;
use proptest::prelude::*;

use super::build;
use super::world::World;
use crate::engine::IndexedRules;
use crate::model::{
    Actor, ApplyRules, Attributes, Begins, ChannelSet, CivilTime, ClassSet, Command, Consequence,
    CountedOf, Day, DepartmentId, NoShowRule, OrganizationId, Outcome, PatientClass, Place,
    ResourceId, Role, RuleCondition, RuleKey, RuleLayer, RuleMode, RuleScope, Rules, ScopeKind,
    ServiceId, Term, Tier, Violation, ViolationRule, Window,
};

const DAY: u64 = build::DAY;

fn tier(count: u16, term: Term) -> Tier {
    Tier { count, consequence: Consequence::Refuse { but: ChannelSet(2) }, term }
}

fn rule() -> NoShowRule {
    NoShowRule {
        within: ScopeKind::Organization,
        window: Window::Days(90),
        begins: Begins::NextDay,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: std::iter::once(tier(3, Term::Days(30))).collect(),
    }
}

fn layer(scope: RuleScope, no_show: NoShowRule) -> RuleLayer {
    RuleLayer { scope, no_show: Some(no_show), ..RuleLayer::default() }
}

fn rules(layers: Vec<RuleLayer>) -> Rules {
    Rules { layers, civil: CivilTime::default(), ..Rules::none() }
}

fn region(rule: NoShowRule) -> Rules {
    rules(vec![layer(RuleScope::Region, rule)])
}

const HERE: RuleScope = RuleScope::Organization(OrganizationId(1));

#[test]
fn what_counts_more_sooner_longer_or_wider_is_stricter_and_the_rest_is_not() {
    let tiers = |tiers: &[Tier]| NoShowRule { tiers: tiers.iter().copied().collect(), ..rule() };
    let warn = Tier { consequence: Consequence::Warn, ..tier(1, Term::Days(30)) };
    let lower = Tier { consequence: Consequence::Lower(1), ..tier(3, Term::Days(30)) };
    let no_channel =
        Tier { consequence: Consequence::Refuse { but: ChannelSet(0) }, ..tier(3, Term::Days(30)) };
    let fewer = |most| Tier { consequence: Consequence::Fewer(most), ..tier(3, Term::Days(30)) };
    let shadow = NoShowRule { mode: RuleMode::Shadow, ..tiers(&[tier(1, Term::Days(300))]) };
    let children = RuleLayer {
        when: RuleCondition { ages: (0, 13), ..RuleCondition::default() },
        ..layer(RuleScope::Region, tiers(&[tier(9, Term::Days(1))]))
    };
    let both = |one: RuleLayer, other: RuleLayer| rules(vec![one, other]);
    let base = || layer(RuleScope::Region, rule());
    let mild = || layer(HERE, tiers(&[tier(9, Term::Days(30))]));
    for (what, after, before, expected) in [
        ("the same", region(rule()), region(rule()), ""),
        ("fewer", region(tiers(&[tier(2, Term::Days(30))])), region(rule()), "0"),
        ("one at a time for two", region(tiers(&[fewer(1)])), region(tiers(&[fewer(2)])), "0"),
        ("two at a time for one", region(tiers(&[fewer(2)])), region(tiers(&[fewer(1)])), ""),
        ("some at a time for all", region(tiers(&[fewer(8)])), region(tiers(&[lower])), "0"),
        ("later for some", region(tiers(&[lower])), region(tiers(&[fewer(1)])), "0"),
        ("some at a time for none", region(tiers(&[fewer(1)])), region(tiers(&[no_channel])), ""),
        ("some everywhere for a channel", region(tiers(&[fewer(1)])), region(rule()), "0"),
        ("none for some", region(tiers(&[no_channel])), region(tiers(&[fewer(1)])), "0"),
        ("more", region(tiers(&[tier(4, Term::Days(30))])), region(rule()), ""),
        ("longer", region(tiers(&[tier(3, Term::Days(31))])), region(rule()), "0"),
        ("shorter", region(tiers(&[tier(3, Term::Days(7))])), region(rule()), ""),
        ("a month for 30 days", region(tiers(&[tier(3, Term::Months(1))])), region(rule()), "0"),
        (
            "27 days for a month",
            region(tiers(&[tier(3, Term::Days(27))])),
            region(tiers(&[tier(3, Term::Months(1))])),
            "",
        ),
        ("a warning more", region(tiers(&[warn, tier(3, Term::Days(30))])), region(rule()), ""),
        (
            "a second tier",
            region(tiers(&[tier(3, Term::Days(30)), tier(6, Term::Days(90))])),
            region(rule()),
            "0",
        ),
        ("refused where lowered", region(rule()), region(tiers(&[lower])), "0"),
        ("lowered where refused", region(tiers(&[lower])), region(rule()), ""),
        ("a channel less", region(tiers(&[no_channel])), region(rule()), "0"),
        (
            "a longer window",
            region(NoShowRule { window: Window::Days(91), ..rule() }),
            region(rule()),
            "0",
        ),
        (
            "another window",
            region(NoShowRule { window: Window::Month, ..rule() }),
            region(rule()),
            "0",
        ),
        (
            "a shorter window",
            region(NoShowRule { window: Window::Days(30), ..rule() }),
            region(rule()),
            "",
        ),
        ("wider", region(NoShowRule { within: ScopeKind::Region, ..rule() }), region(rule()), "0"),
        (
            "narrower",
            region(NoShowRule { within: ScopeKind::Schedule, ..rule() }),
            region(rule()),
            "",
        ),
        ("kept", region(rule()), region(NoShowRule { is_used_up: true, ..rule() }), "0"),
        ("once", region(rule()), region(NoShowRule { is_once: true, ..rule() }), "0"),
        ("not once", region(NoShowRule { is_once: true, ..rule() }), region(rule()), "0"),
        ("at once", region(NoShowRule { begins: Begins::AtOnce, ..rule() }), region(rule()), "0"),
        ("in shadow", region(shadow.clone()), region(rule()), ""),
        ("out of shadow", region(rule()), region(shadow), "0"),
        ("the first rule", region(rule()), rules(vec![]), "0"),
        ("no rule", rules(vec![]), region(rule()), ""),
        ("a nearer rule", both(base(), mild()), rules(vec![base()]), "1"),
        ("without the milder", rules(vec![base()]), both(base(), mild()), "1 gone"),
        ("without the stricter", rules(vec![mild()]), both(mild(), base()), ""),
        ("for children", both(base(), children.clone()), rules(vec![base()]), "1"),
        ("not for children", rules(vec![base()]), both(base(), children.clone()), "1 gone"),
        ("the other way round", both(children.clone(), base()), both(base(), children), "0 1"),
    ] {
        let found = after.stricter_than(&before);
        let words: Vec<String> = found
            .iter()
            .map(|it| format!("{}{}", it.layer, if it.is_gone { " gone" } else { "" }))
            .collect();
        assert_eq!(words.join(" "), expected, "{what}");
        assert!(found.iter().all(|it| it.key == RuleKey::NoShow), "{what}");
    }
}

#[test]
fn rules_about_violations_are_compared_one_with_one() {
    let tiers = |count| NoShowRule {
        tiers: std::iter::once(tier(count, Term::Days(30))).collect(),
        ..rule()
    };
    let counted = |kinds: &[Violation], rule: &NoShowRule| ViolationRule {
        counts: kinds.iter().copied().collect(),
        of: CountedOf::Patient,
        rule: rule.clone(),
    };
    let of = |violations: Vec<ViolationRule>| {
        rules(vec![RuleLayer { violations, ..RuleLayer::default() }])
    };
    let (three, four) = (tiers(3), tiers(4));
    let shadow = NoShowRule { mode: RuleMode::Shadow, ..tiers(1) };
    let cancel = &[Violation::Cancel][..];
    let both = &[Violation::Cancel, Violation::Release][..];
    let one = |kinds: &[Violation], rule| of(vec![counted(kinds, rule)]);
    let two = || of(vec![counted(cancel, &three), counted(both, &four)]);
    for (what, after, before, is_stricter) in [
        ("the same", two(), two(), false),
        ("the first", one(cancel, &three), rules(vec![]), true),
        ("none", rules(vec![]), two(), false),
        ("fewer", one(cancel, &three), one(cancel, &four), true),
        ("more", one(cancel, &four), one(cancel, &three), false),
        ("more kinds", one(both, &four), one(cancel, &three), true),
        ("one of two", one(both, &four), two(), true),
        ("in shadow", one(both, &shadow), two(), false),
    ] {
        let found = after.stricter_than(&before);
        assert_eq!(!found.is_empty(), is_stricter, "{what}");
        assert!(found.iter().all(|it| it.key == RuleKey::Violations), "{what}");
    }
}

#[test]
fn stricter_rules_come_into_force_after_the_notice_and_looser_ones_soon() {
    let mut world = World::new(build::MORNING);
    let mut number = 0;
    let mut apply = |world: &mut World, rules: Rules, from: u64| {
        number += 1;
        let from = world.now.plus_millis(from);
        let apply = ApplyRules { request: build::request(number), rules: Rules { from, ..rules } };
        world.run(&Actor::unbounded(Role::Admin), &Command::ApplyRules(apply.into())).map(|_| ())
    };
    let announced = |count| Rules {
        notice_days: 7,
        ..region(NoShowRule {
            tiers: std::iter::once(tier(count, Term::Days(30))).collect(),
            ..rule()
        })
    };
    // The first rules are announced as their makers like: nothing asks for notice yet.
    apply(&mut world, announced(5), build::MINUTE).unwrap();
    world.now = world.now.plus_millis(build::MINUTE);
    let refusal = apply(&mut world, announced(4), 7 * DAY - 1).unwrap_err();
    assert_eq!(refusal.outcome, Outcome::RulesNeedNotice);
    let why = refusal.why.unwrap();
    assert_eq!((why.key, why.rule.layer, why.limit), (RuleKey::NoShow, 0, 7));
    assert_eq!(why.until, world.now.plus_millis(7 * DAY));
    apply(&mut world, announced(6), build::MINUTE).unwrap();
    // Version 3 is stricter than what holds until then, and told of in time.
    world.now = world.now.plus_millis(build::MINUTE);
    apply(&mut world, announced(4), 7 * DAY).unwrap();
    // Against rules that were told of nothing is stricter; before them it would be.
    apply(&mut world, announced(4), 7 * DAY).unwrap();
    let early = apply(&mut world, announced(4), 7 * DAY - 1).unwrap_err();
    assert_eq!(early.outcome, Outcome::RulesNeedNotice);
    // Who could shorten the notice at once would need none.
    let silent = Rules { notice_days: 0, ..announced(9) };
    let refusal = apply(&mut world, silent.clone(), build::MINUTE).unwrap_err();
    assert_eq!(refusal.why.unwrap().key, RuleKey::Notice);
    apply(&mut world, silent, 7 * DAY).unwrap();
}

/// What follows from a visit that is missed somewhere: how hard, until when, and for which channels.
fn follows(
    rules: &Rules,
    strikes: &[(Day, Place)],
    new: (Day, Place),
    age: u8,
) -> (u8, u8, u64, u64) {
    const NOTHING: (u8, u8, u64, u64) = (0, 0, 0, 0);
    let attributes = Attributes(age.into());
    let is_about = |when: &RuleCondition| when.holds(PatientClass::Outpatient, attributes);
    let said = rules.nearest(&new.1, is_about, |layer| layer.no_show.as_ref());
    let Some((_, rule)) = said.filter(|(_, rule)| rule.mode == RuleMode::Enforce) else {
        return NOTHING;
    };
    let scope = RuleScope::around(rule.within, &new.1);
    let first = rule.window.first_day(new.0);
    let counted = strikes.iter().filter(|(day, at)| first <= *day && scope.contains(at)).count();
    let count = u16::try_from(counted + 1).unwrap();
    let reached = rule.tiers.iter().rev().find(|tier| tier.count <= count);
    let Some(tier) = reached.filter(|tier| !rule.is_once || tier.count == count) else {
        return NOTHING;
    };
    let civil = CivilTime::default();
    let from = civil.start_of(new.0.plus(1));
    let until = match tier.term {
        Term::Days(days) => civil.plus_days(from, days.into()),
        Term::Months(months) => civil.plus_months(from, months.into()),
        Term::DayEnd => civil.start_of(new.0.plus(1)),
        Term::MonthEnd => civil.start_of(new.0.month_start().plus_months(1)),
        Term::QuarterEnd => civil.start_of(new.0.quarter_start().plus_months(3)),
        Term::YearEnd => civil.start_of(new.0.year_start().plus_months(12)),
    };
    let until = until.max(from).as_millis();
    match tier.consequence {
        Consequence::Warn => NOTHING,
        Consequence::Lower(by) => (1, by, until, 0),
        Consequence::Fewer(most) => (2, u8::MAX - most, until, 0),
        refuses @ (Consequence::Refuse { .. } | Consequence::RefuseBut { .. }) => {
            (3, 0, until, !refuses.passes(PatientClass::Outpatient).0)
        }
    }
}

fn some_rule() -> impl Strategy<Value = NoShowRule> {
    let windows = [
        Window::Days(10),
        Window::Days(40),
        Window::Months(1),
        Window::Month,
        Window::Year,
        Window::Ever,
    ];
    let kinds = [ScopeKind::Region, ScopeKind::Organization, ScopeKind::Department];
    let consequences = [
        Consequence::Refuse { but: ChannelSet(1) },
        Consequence::Refuse { but: ChannelSet(3) },
        Consequence::Lower(1),
        Consequence::Warn,
        Consequence::RefuseBut { channels: ChannelSet(7), classes: ClassSet(1) },
        Consequence::RefuseBut { channels: ChannelSet(3), classes: ClassSet(2) },
        Consequence::Refuse { but: ChannelSet(0) },
        Consequence::Fewer(1),
        Consequence::Fewer(2),
    ];
    let terms = [
        Term::Days(3),
        Term::Days(30),
        Term::Months(1),
        Term::MonthEnd,
        Term::QuarterEnd,
        Term::YearEnd,
    ];
    let tier = move |(more, consequence, term): (u16, usize, usize)| Tier {
        count: more,
        consequence: consequences[consequence],
        term: terms[term],
    };
    let tiers = vec((1_u16..3, 0_usize..9, 0_usize..6).prop_map(tier), 1..3);
    (0..windows.len(), 0..kinds.len(), any::<u8>(), tiers).prop_map(
        move |(window, within, flags, tiers)| {
            let mut all: ArrayVec<Tier, 4> = tiers.into_iter().collect();
            if let [first, second] = &mut all[..] {
                second.count += first.count;
            }
            NoShowRule {
                within: kinds[within],
                window: windows[window],
                begins: Begins::NextDay,
                is_used_up: false,
                is_once: flags & 0x70 == 0,
                mode: if flags % 4 == 0 { RuleMode::Shadow } else { RuleMode::Enforce },
                tiers: all,
            }
        },
    )
}

fn some_rules() -> impl Strategy<Value = Rules> {
    let (one, resource) = (OrganizationId(1), ResourceId(1));
    let scopes = [
        RuleScope::Region,
        RuleScope::Region,
        RuleScope::Organization(one),
        RuleScope::Department(one, DepartmentId(1)),
        RuleScope::Schedule(one, resource),
        RuleScope::Service(OrganizationId(2), ServiceId(1)),
    ];
    let layer =
        (0..scopes.len(), any::<bool>(), some_rule()).prop_map(move |(scope, is_child, rule)| {
            let ages = if is_child { (0, 13) } else { (0, u8::MAX) };
            let when = RuleCondition { ages, classes: ClassSet::ALL, ..RuleCondition::default() };
            RuleLayer { scope: scopes[scope], when, no_show: Some(rule), ..RuleLayer::default() }
        });
    vec(layer, 0..4).prop_map(rules)
}

/// The second rules are the first with one layer changed, moved or taken out, or others altogether.
fn a_change() -> impl Strategy<Value = (Rules, Rules)> {
    (some_rules(), some_rules(), some_rule(), any::<[u8; 3]>()).prop_map(
        |(before, other, rule, [what, at, to])| {
            let mut after = before.clone();
            let count = after.layers.len();
            match what % 5 {
                0 => after = other,
                _ if count == 0 => after = other,
                1 => drop(after.layers.remove(usize::from(at) % count)),
                2 => after.layers.swap(usize::from(at) % count, usize::from(to) % count),
                3 => after.layers[usize::from(at) % count].no_show = Some(rule),
                _ => {
                    let known = after.layers[usize::from(at) % count].no_show.as_mut().unwrap();
                    match to % 4 {
                        0 => known.tiers = rule.tiers,
                        1 => known.window = rule.window,
                        2 => known.within = rule.within,
                        _ => known.mode = rule.mode,
                    }
                }
            }
            (before, after)
        },
    )
}

fn place(index: usize) -> Place {
    Place {
        organization: OrganizationId([1, 1, 1, 2, 2][index]),
        department: DepartmentId([1, 1, 2, 1, 2][index]),
        resource: ResourceId([1, 2, 1, 1, 2][index]),
        service: ServiceId([0, 1, 0, 1, 0][index]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn indexed_rules_answer_as_a_look_at_every_layer_does(
        rules in some_rules(),
        where_to in 0_usize..5,
        age in prop_oneof![Just(10_u8), Just(50), Just(255)],
    ) {
        let attributes = Attributes(age.into());
        let is_about = |when: &RuleCondition| when.holds(PatientClass::Outpatient, attributes);
        let indexed = IndexedRules::from(rules.clone());
        let place = place(where_to);
        let found = indexed.nearest(&place, is_about, |layer| layer.no_show.as_ref());
        prop_assert_eq!(found, rules.nearest(&place, is_about, |layer| layer.no_show.as_ref()));
        prop_assert_eq!(indexed.says(RuleKey::NoShow), !rules.layers.is_empty());
        let all = rules.layers.iter().filter(|layer| layer.scope.contains(&place)).count();
        prop_assert_eq!(indexed.at(&place).count(), all);
    }

    #[test]
    fn by_rules_that_are_not_stricter_nothing_harder_follows(
        (before, after) in a_change(),
        strikes in vec((20_800_u32..20_860, 0_usize..5), 0..5),
        new in (20_840_u32..20_870, 0_usize..5),
        age in prop_oneof![Just(10_u8), Just(50), Just(255)],
    ) {
        let of = |(day, at): (u32, usize)| (Day(day), place(at));
        let mut strikes: Vec<_> = strikes.into_iter().map(of).collect();
        let new = of(new);
        strikes.retain(|(day, _)| *day <= new.0);
        if after.stricter_than(&before).is_empty() {
            let (old, new) = (follows(&before, &strikes, new, age), follows(&after, &strikes, new, age));
            let harder = (old.0, old.1) < (new.0, new.1)
                || new.0 != 0 && old.2 < new.2
                || new.3 & !old.3 != 0 && old.0 == 3
                || old.0 == 2 && new.0 == 1
                || old.0 == 3 && old.3 != u64::MAX && new.0 == 2;
            prop_assert!(!harder, "{old:?} {new:?}\n{before:?}\n{after:?}");
        }
    }
}
