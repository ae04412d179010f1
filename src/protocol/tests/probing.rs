//! Samples of probing.

use super::*;

const RULE: ProbingRule =
    ProbingRule { refusals: 60, minutes: 5, of: CountedOf::Account, mode: RuleMode::Enforce };

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let rules = Rules {
        from: NOW.plus_millis(10_000),
        civil: CivilTime(vec![(Timestamp::default(), 480)]),
        layers: vec![RuleLayer { probing: Some(RULE), ..RuleLayer::default() }],
        ..Rules::default()
    };
    let apply = ApplyRules { request: RequestId::from_parts(NOW, 5), rules };
    vec![("apply_rules_probing", Request::Command(Command::ApplyRules(Box::new(apply))))]
}

pub(super) fn facts() -> Vec<(&'static str, Fact)> {
    let place = Place {
        organization: OrganizationId(1),
        department: DepartmentId(2),
        resource: ResourceId(4_711),
        service: ServiceId(0),
    };
    let visit = Visit { place, appointment_type: 3, day: Day(19_675), half: HalfDay::Morning };
    let probed = Probed {
        appointment: id(1),
        patient: AccountId(0x22).holder(),
        of: RULE.of,
        class: PatientClass::Outpatient,
        session: SessionId(7),
        visit,
        count: RULE.refusals,
        since: NOW.minus_millis(120_000),
        rule: RuleRef { version: RulesVersion(3), layer: 1, tier: 0 },
        mode: RULE.mode,
    };
    vec![("probed", Fact::Probed(Box::new(probed)))]
}
