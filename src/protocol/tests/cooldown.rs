//! Samples of cool-downs.

use super::*;

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let of = CountedOf::Patient;
    let rule = |after, within, length, mode| CooldownRule { after, within, length, of, mode };
    let layer = RuleLayer {
        cooldown: vec![
            rule(
                EndingSet::ALL,
                ScopeKind::Schedule,
                CooldownLength::Minutes(30),
                RuleMode::Enforce,
            ),
            rule(EndingSet(1), ScopeKind::Region, CooldownLength::Days(1), RuleMode::Shadow),
        ],
        ..RuleLayer::default()
    };
    let rules = Rules {
        from: NOW.plus_millis(10_000),
        civil: CivilTime(vec![(Timestamp::default(), 480)]),
        layers: vec![layer],
        ..Rules::default()
    };
    let returned = |of| {
        let (after, within) = (EndingSet::ALL, ScopeKind::Schedule);
        let (length, mode) = (CooldownLength::Returned(5), RuleMode::Enforce);
        CooldownRule { after, within, length, of, mode }
    };
    let both = vec![returned(CountedOf::Account), returned(CountedOf::Phone)];
    let layers = vec![RuleLayer { cooldown: both, ..RuleLayer::default() }];
    let apply = |rules| {
        let apply = ApplyRules { request: RequestId::from_parts(NOW, 5), rules };
        Request::Command(Command::ApplyRules(Box::new(apply)))
    };
    vec![
        ("apply_rules_cooldown", apply(rules.clone())),
        ("apply_rules_cooldown_returned", apply(Rules { layers, ..rules })),
    ]
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let (organization, resource) = (OrganizationId(1), ResourceId(4_711));
    let cooldown = Cooldown {
        appointment: id(1),
        within: RuleScope::Schedule(organization, resource),
        since: NOW,
        until: NOW.plus_millis(1_800_000),
        rule: RuleRef { version: RulesVersion(3), layer: 1, tier: 0 },
        of: CountedOf::Patient,
        mode: RuleMode::Enforce,
    };
    let cooled = Cooled { patient: PatientId(0x11), cooldowns: vec![cooldown] };
    vec![("cooled", Fact::Cooled(Box::new(cooled)))]
}
