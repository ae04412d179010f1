//! Rules about persons, telephones, and who is bound to whom.

use super::*;

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let period = Period::Days(365);
    let account = TieRule { patients: 3, accounts: 0, changes: Some(Changes { most: 2, period }) };
    let rule = PersonsRule {
        account: Some(account),
        phone: Some(TieRule { patients: 2, accounts: 3, changes: None }),
        patient: Some(TieRule { patients: 0, accounts: 1, changes: None }),
        new_patients: Some(NewPatients { most: 1, minutes: 10 }),
        mode: RuleMode::Shadow,
    };
    let layer = RuleLayer { persons: Some(Box::new(rule)), ..RuleLayer::default() };
    let rules = Rules {
        from: NOW.plus_millis(86_400_000),
        civil: CivilTime::default(),
        layers: vec![layer],
        ..Rules::default()
    };
    let apply = ApplyRules { request: RequestId::from_parts(NOW, 5), rules };
    vec![("apply_rules_persons", Request::Command(Command::ApplyRules(Box::new(apply))))]
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let rule = RuleRef { version: RulesVersion(3), layer: 1, tier: 0 };
    let bound = Bound {
        tie: Tie::AccountPatient,
        holder: 0x22,
        other: 0x11,
        instead_of: Some(0x12),
        changed: vec![Day(20_000)],
        is_beyond: false,
        rule,
    };
    vec![("bound", Fact::Bound(Box::new(bound)))]
}
