//! How much somebody may wait for: rows of who asks for what, and what is answered.
//!
//! ```text
//! session   1  2  3  4  5        all are full
//! hospital  1  1  1  2  2        department 1, but 3 in department 2; 1 and 2 are one practitioner's
//! resource  7  7  8  7  9
//! ```

use super::build::{self, MINUTE, MORNING};
use super::world::World;
use crate::model::{
    Action, Actor, ApplyRules, Attributes, CivilTime, Command, Delay, DepartmentId, JoinWaitlist,
    LeaveWaitlist, OrganizationId, Outcome, PatientClass, PatientId, PaymentRef, Refusal,
    ResourceId, ReturnRule, Role, RuleCondition, RuleKey, RuleLayer, RuleMode, RuleScope, Rules,
    ScopeKind, Session, SessionId, SessionTerms, Timestamp, WaitCounts, WaitKey, WaitLimit,
    WaitlistRule,
};

const AT: [(u32, u32, u64); 5] = [(1, 1, 7), (1, 1, 7), (1, 2, 8), (2, 1, 7), (2, 1, 9)];

fn world(layers: Vec<RuleLayer>) -> World {
    let mut world = World::new(MORNING);
    let (from, civil) = (MORNING.plus_millis(MINUTE), CivilTime::default());
    let rules = Rules { from, civil, layers, ..Rules::default() };
    let apply = ApplyRules { request: build::request(99), rules };
    run(&mut world, &Command::ApplyRules(apply.into())).unwrap();
    for (id, (organization, department, resource)) in (1..).zip(AT) {
        let rule = WaitlistRule {
            entries_max: 9,
            priority: build::EQUAL,
            draw_millis: 0,
            offer_millis: 30 * 60_000,
            near_offer_millis: 30 * 60_000,
            near_millis: 0,
            hours: None,
            closes_at: MORNING.plus_millis(50 * MINUTE),
        };
        let delay = Delay { min_millis: 60_000, max_millis: 60_000 };
        let session = Session {
            organization: OrganizationId(organization),
            department: DepartmentId(department),
            resource: ResourceId(resource),
            terms: SessionTerms {
                returns: ReturnRule::WaitlistFirst(delay),
                waitlist: Some(Box::new(rule)),
                ..SessionTerms::default()
            },
            ..build::session(id, &[1])
        };
        run(&mut world, &Command::OpenSession(build::open(session).into())).unwrap();
        let hold = build::hold(id.into(), 100 + u128::from(id), [build::any(id)]);
        run(&mut world, &Command::Hold(hold)).unwrap();
        let book = Action::Book { payment: PaymentRef(1) };
        run(&mut world, &Command::Change(build::change(50 + u128::from(id), id.into(), book)))
            .unwrap();
    }
    world.now = MORNING.plus_millis(MINUTE);
    world
}

fn run(world: &mut World, command: &Command) -> Result<(), Refusal> {
    world.run(&Actor::unbounded(Role::Admin), command).map(|_| ())
}

fn join(number: u128, sessions: &[u64]) -> JoinWaitlist {
    JoinWaitlist {
        request: build::request(number),
        patient: PatientId(1),
        account: None,
        channel: build::channel(0),
        class: PatientClass::Outpatient,
        attributes: Attributes::default(),
        earliest: Timestamp::default(),
        latest: Timestamp::MAX,
        targets: sessions.iter().map(|id| SessionId(*id)).collect(),
    }
}

fn most(most: u16, within: ScopeKind, counts: WaitCounts) -> WaitLimit {
    WaitLimit { key: WaitKey { within, counts }, most, mode: RuleMode::Enforce }
}

fn layer(scope: RuleScope, limits: &[WaitLimit]) -> RuleLayer {
    RuleLayer { scope, waitlist: limits.into(), ..RuleLayer::default() }
}

/// Sessions that are asked for, and whether they may be waited for.
type Joins = &'static [(&'static [u64], bool)];

#[test]
fn limits_of_waiting_count_sessions_or_resources_as_far_as_they_say() {
    use ScopeKind::{Department, Organization, Region};
    use WaitCounts::{Resources, Sessions};
    let everywhere = |limits: &[WaitLimit]| vec![layer(RuleScope::Region, limits)];
    let second = RuleScope::Organization(OrganizationId(2));
    let free = most(WaitLimit::NO_LIMIT, Region, Sessions);
    let shadow = WaitLimit { mode: RuleMode::Shadow, ..most(1, Region, Sessions) };
    let cases: &[(&str, Vec<RuleLayer>, Joins)] = &[
        ("no limit", Vec::new(), &[(&[1, 2, 3], true), (&[4, 5], true)]),
        ("one session", everywhere(&[most(1, Region, Sessions)]), &[(&[1], true), (&[4], false)]),
        ("two at once", everywhere(&[most(1, Region, Sessions)]), &[(&[1, 2], false)]),
        (
            "one in each hospital",
            everywhere(&[most(1, Organization, Sessions)]),
            &[(&[1], true), (&[3], false), (&[4], true), (&[5], false)],
        ),
        (
            "one in each department",
            everywhere(&[most(1, Department, Sessions)]),
            &[(&[1, 3], true), (&[2], false), (&[4], true)],
        ),
        (
            "one practitioner: the same number in another hospital is somebody else",
            everywhere(&[most(1, Region, Resources)]),
            &[(&[1], true), (&[2], true), (&[3], false), (&[4], false)],
        ),
        (
            "one practitioner in each hospital",
            everywhere(&[most(1, Organization, Resources)]),
            &[(&[1, 2], true), (&[4], true), (&[5], false)],
        ),
        ("nobody waits", everywhere(&[most(0, Region, Sessions)]), &[(&[1], false)]),
        ("only counted", everywhere(&[shadow]), &[(&[1], true), (&[2], true)]),
        (
            "a nearer layer lifts it there, and what is there still counts",
            vec![layer(RuleScope::Region, &[most(1, Region, Sessions)]), layer(second, &[free])],
            &[(&[4], true), (&[5], true), (&[1], false)],
        ),
        (
            "what says something else holds besides",
            vec![
                layer(RuleScope::Region, &[most(2, Region, Sessions)]),
                layer(second, &[most(1, Organization, Sessions)]),
            ],
            &[(&[4], true), (&[5], false), (&[1], true), (&[2], false)],
        ),
    ];
    for (name, layers, joins) in cases {
        let mut world = world(layers.clone());
        for (number, (sessions, expected)) in (1_000..).zip(*joins) {
            let command = Command::JoinWaitlist(join(number, sessions).into());
            let outcome = run(&mut world, &command).err().map(|refusal| refusal.outcome);
            let refused = (!expected).then_some(Outcome::WaitLimit);
            assert_eq!(outcome, refused, "{name}: {sessions:?}");
        }
    }
}

#[test]
fn a_refusal_says_what_was_counted_and_ends_when_somebody_leaves() {
    let limits = [most(2, ScopeKind::Organization, WaitCounts::Sessions)];
    let mut world = world(vec![RuleLayer::default(), layer(RuleScope::Region, &limits)]);
    run(&mut world, &Command::JoinWaitlist(join(1_000, &[1]).into())).unwrap();
    run(&mut world, &Command::JoinWaitlist(join(1_001, &[3]).into())).unwrap();
    let refusal = run(&mut world, &Command::JoinWaitlist(join(1_002, &[2]).into())).unwrap_err();
    let why = refusal.why.unwrap();
    assert_eq!((refusal.outcome, why.key), (Outcome::WaitLimit, RuleKey::Waitlist));
    assert_eq!((why.count, why.limit, why.rule.layer), (2, 2, 1));
    assert_eq!((why.within, why.until), (ScopeKind::Organization, Timestamp::default()));
    // The same request again, and one for what is waited for already.
    run(&mut world, &Command::JoinWaitlist(join(1_000, &[1]).into())).unwrap();
    let again = run(&mut world, &Command::JoinWaitlist(join(1_003, &[1]).into()));
    assert_eq!(again.unwrap_err().outcome, Outcome::AlreadyWaiting);

    let leave = LeaveWaitlist {
        request: build::request(2_000),
        entry: build::request(1_001),
        patient: PatientId(1),
        channel: build::channel(0),
    };
    run(&mut world, &Command::LeaveWaitlist(leave)).unwrap();
    run(&mut world, &Command::JoinWaitlist(join(1_002, &[2]).into())).unwrap();
}

#[test]
fn a_wait_keeps_what_was_attested_and_limits_see_it_when_a_place_is_offered() {
    let key = crate::model::LimitKey::default();
    let limits = vec![crate::model::BookingLimit { key, most: 0, mode: RuleMode::Enforce }];
    let when = RuleCondition { ages: (0, 13), ..RuleCondition::default() };
    let children = RuleLayer { when, limits, ..RuleLayer::default() };
    for (age, is_offered) in [(9, false), (14, true)] {
        let mut world = world(vec![children.clone()]);
        let child = JoinWaitlist { attributes: Attributes(age), ..join(1_000, &[1]) };
        run(&mut world, &Command::JoinWaitlist(child.into())).unwrap();
        run(&mut world, &Command::Change(build::change(60, 1, Action::Cancel))).unwrap();
        world.step_sessions();
        assert_eq!(world.live(PatientId(1)).len(), usize::from(is_offered), "{age}");
    }
}
