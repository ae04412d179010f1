//! Restrictions by hand, and what is done about restrictions: tables of days.
//!
//! ```text
//! "restrict 2..9 | suspend until 5 on day 3"    ->   refused on 2, 5, 6, 7, 8
//! ```

use super::build::{self, DAY, MORNING};
use super::world::World;
use crate::model::{
    Actor, Amend, Amendment, Appeal, AppealRule, ApplyRules, BookingChannel, ChannelSet, CivilTime,
    ClassSet, Command, Consequence, DepartmentId, EvidenceRef, Hold, OrganizationId, Organizations,
    Outcome, PatientClass, PatientId, PaymentRef, Receipt, Refusal, Restrict, RestrictionId, Role,
    RuleLayer, RuleScope, Rules, RulesVersion, Session, Term, Timestamp, Undecided,
};

const REFUSE: Consequence = Consequence::Refuse { but: ChannelSet(0) };
const WHO: PatientId = PatientId(1);

/// A desk, a patient, and the days.
struct Desk {
    world: World,
    number: u128,
}

fn day(number: u64) -> Timestamp {
    MORNING.plus_millis(number * DAY)
}

fn rule(undecided: Undecided, is_suspending: bool) -> AppealRule {
    AppealRule { term: Term::Days(3), is_suspending, per_restriction: 1, undecided }
}

impl Desk {
    fn new(appeal: Option<AppealRule>) -> Self {
        let mut desk = Self { world: World::new(day(0)), number: 1_000 };
        let layers = vec![RuleLayer { appeal, ..RuleLayer::default() }];
        let from = day(0).plus_millis(build::MINUTE);
        let (version, civil) = (RulesVersion(0), CivilTime::default());
        let rules = Rules { version, from, civil, notice_days: 0, layers };
        let apply = ApplyRules { request: build::request(1), rules };
        desk.ask(Role::Admin, &Command::ApplyRules(apply.into())).unwrap();
        desk.world.now = from;
        desk
    }

    fn ask(&mut self, role: Role, command: &Command) -> Result<Receipt, Refusal> {
        self.world.run(&Actor::unbounded(role), command)
    }

    fn next(&mut self) -> u128 {
        self.number += 1;
        self.number
    }

    /// Restricts from one day until another.
    fn restrict(&mut self, from: u64, until: u64, consequence: Consequence) -> Restrict {
        let ask = Restrict {
            request: build::request(self.next()),
            patient: WHO,
            within: RuleScope::Region,
            consequence,
            from: day(from),
            until: day(until),
            evidence: EvidenceRef(77),
            reason: 4,
        };
        self.ask(Role::Admin, &Command::Restrict(ask.clone().into())).unwrap();
        ask
    }

    fn amend(&mut self, id: RestrictionId, amendment: Amendment) -> Result<(), Outcome> {
        let request = build::request(self.next());
        let evidence = EvidenceRef(0);
        let amend =
            Amend { request, patient: WHO, restriction: id, amendment, evidence, reason: 9 };
        let answer = self.ask(Role::Admin, &Command::Amend(amend.into()));
        answer.map(|_| ()).map_err(|refusal| refusal.outcome)
    }

    fn appeal(&mut self, id: RestrictionId) -> Result<Timestamp, Outcome> {
        let request = build::request(self.next());
        let (evidence, channel) = (EvidenceRef(5), build::channel(0));
        let appeal = Appeal { request, patient: WHO, restriction: id, evidence, channel };
        let answer = self.ask(Role::Gateway, &Command::Appeal(appeal.into()));
        answer.map(|receipt| receipt.until).map_err(|refusal| refusal.outcome)
    }

    /// Books in a session of its own, and cancels again.
    fn is_refused(&mut self, channel: BookingChannel, class: PatientClass) -> bool {
        let id = self.next();
        let wish = build::at(id.try_into().unwrap(), 0);
        let start = self.world.now.plus_millis(build::MINUTE);
        let session = Session { id: wish.session, start, ..build::session(0, &[1]) };
        self.ask(Role::Admin, &Command::OpenSession(build::open(session).into())).unwrap();
        let hold = build::hold(id, WHO.0, [wish]);
        let hold = Hold { channel, class, book: Some(PaymentRef(1)), ..hold };
        match self.ask(Role::Counter, &Command::Hold(hold)) {
            Ok(_) => false,
            Err(refusal) => {
                assert_eq!(refusal.outcome, Outcome::Restricted);
                true
            }
        }
    }

    /// The days up to the tenth on which nothing can be booked, from the day on that it is.
    fn refused(&mut self) -> Vec<u64> {
        let first = (self.world.now.as_millis() - MORNING.as_millis()).div_ceil(DAY);
        let mut refused = Vec::new();
        for number in first..=10 {
            self.world.now = self.world.now.max(day(number));
            if self.is_refused(build::channel(0), PatientClass::Outpatient) {
                refused.push(number);
            }
        }
        refused
    }
}

const fn id(ask: &Restrict) -> RestrictionId {
    RestrictionId(ask.request.0)
}

#[test]
fn a_restriction_by_hand_holds_from_its_beginning_to_its_end() {
    let mut desk = Desk::new(None);
    desk.restrict(2, 5, REFUSE);
    assert_eq!(desk.refused(), [2, 3, 4]);
}

#[test]
fn a_restriction_that_should_have_begun_begins_now() {
    let mut desk = Desk::new(None);
    desk.world.now = day(3);
    let ask = desk.restrict(0, 5, REFUSE);
    let state = desk.world.state();
    let kept = &state.records[0].1.restrictions[0];
    assert_eq!((kept.restriction.from, kept.id), (day(3), id(&ask)));
    assert_eq!(kept.ground.map(|ground| (ground.by, ground.reason)), Some((Role::Admin, 4)));
}

#[test]
fn lifted_suspended_and_resumed_restrictions_hold_on_the_days_that_are_left() {
    let until = day(6);
    for (steps, expected) in [
        (vec![(3, Amendment::Lift)], vec![]),
        (vec![(3, Amendment::Suspend { until })], vec![6, 7]),
        // Its term goes on while it is suspended.
        (vec![(3, Amendment::Suspend { until: day(20) })], vec![]),
        (vec![(3, Amendment::Suspend { until }), (4, Amendment::Resume)], vec![4, 5, 6, 7]),
        (vec![(3, Amendment::Suspend { until }), (4, Amendment::Lift)], vec![]),
        (
            vec![(3, Amendment::Suspend { until: day(4) }), (4, Amendment::Suspend { until })],
            vec![6, 7],
        ),
        (
            vec![(3, Amendment::Suspend { until }), (4, Amendment::Suspend { until: day(5) })],
            vec![6, 7],
        ),
    ] {
        let mut desk = Desk::new(None);
        let made = desk.restrict(2, 8, REFUSE);
        for (number, amendment) in &steps {
            desk.world.now = day(*number);
            desk.amend(id(&made), *amendment).unwrap();
        }
        assert_eq!(desk.refused(), expected, "{steps:?}");
    }
}

#[test]
fn what_was_refused_before_a_lift_stays_refused_until_it_is_asked_anew() {
    let mut desk = Desk::new(None);
    let made = desk.restrict(0, 8, REFUSE);
    assert!(desk.is_refused(build::channel(0), PatientClass::Outpatient));
    let before = desk.world.records.len();
    desk.amend(id(&made), Amendment::Lift).unwrap();
    assert_eq!(desk.world.records.len(), before + 1, "nothing but the lift happens");
    assert!(!desk.is_refused(build::channel(0), PatientClass::Outpatient));
}

#[test]
fn an_amendment_that_fits_nothing_is_refused() {
    use Amendment as A;
    let suspend = |number| A::Suspend { until: day(number) };
    for (number, amendment, expected) in [
        (3, A::Resume, Err(Outcome::AmendmentInvalid)),
        (3, A::Uphold, Err(Outcome::AmendmentInvalid)),
        (3, A::Grant, Err(Outcome::AmendmentInvalid)),
        (3, suspend(3), Err(Outcome::AmendmentInvalid)),
        (3, suspend(4), Ok(())),
        (7, suspend(9), Ok(())),
        (8, A::Lift, Err(Outcome::RestrictionOver)),
        // Before it begins too.
        (1, A::Lift, Ok(())),
    ] {
        let mut desk = Desk::new(None);
        let made = desk.restrict(2, 8, REFUSE);
        desk.world.now = day(number);
        assert_eq!(desk.amend(id(&made), amendment), expected, "{amendment:?} on {number}");
        let other = RestrictionId(3);
        assert_eq!(desk.amend(other, amendment), Err(Outcome::RestrictionNotFound));
    }
    let mut desk = Desk::new(None);
    let made = desk.restrict(0, 8, REFUSE);
    desk.amend(id(&made), A::Lift).unwrap();
    assert_eq!(desk.amend(id(&made), A::Lift), Err(Outcome::RestrictionOver));
}

#[test]
fn a_restriction_is_suspended_a_bounded_number_of_times_and_can_be_lifted_after() {
    let mut desk = Desk::new(None);
    let made = desk.restrict(0, 8, REFUSE);
    for _ in 0..12 {
        desk.amend(id(&made), Amendment::Suspend { until: day(5) }).unwrap();
    }
    let more = Amendment::Suspend { until: day(6) };
    assert_eq!(desk.amend(id(&made), more), Err(Outcome::AmendmentInvalid));
    desk.amend(id(&made), Amendment::Resume).unwrap();
    desk.amend(id(&made), Amendment::Lift).unwrap();
}

#[test]
fn an_appeal_is_decided_in_time_or_as_its_rule_says() {
    // Restricted from 2 until 9; appealed against on day 3, so decided by day 6.
    for (undecided, suspends, decision, expected) in [
        (Undecided::Stands, false, None, vec![3, 4, 5, 6, 7, 8]),
        (Undecided::Stands, true, None, vec![6, 7, 8]),
        (Undecided::Lifted, false, None, vec![3, 4, 5]),
        (Undecided::Lifted, true, None, vec![]),
        (Undecided::Stands, true, Some((4, Amendment::Uphold)), vec![4, 5, 6, 7, 8]),
        (Undecided::Lifted, true, Some((4, Amendment::Uphold)), vec![4, 5, 6, 7, 8]),
        (Undecided::Stands, false, Some((4, Amendment::Grant)), vec![]),
    ] {
        let mut desk = Desk::new(Some(rule(undecided, suspends)));
        let made = desk.restrict(2, 9, REFUSE);
        desk.world.now = day(3);
        assert_eq!(desk.appeal(id(&made)), Ok(day(6)));
        let label = format!("{undecided:?} {suspends} {decision:?}");
        let mut refused = Vec::new();
        if let Some((number, amendment)) = decision {
            desk.world.now = day(number);
            desk.amend(id(&made), amendment).unwrap();
        }
        refused.extend(desk.refused());
        assert_eq!(refused, expected, "{label}");
    }
}

#[test]
fn an_appeal_cannot_be_decided_after_its_term() {
    for (undecided, expected) in [
        (Undecided::Stands, Outcome::AmendmentInvalid),
        (Undecided::Lifted, Outcome::RestrictionOver),
    ] {
        let mut desk = Desk::new(Some(rule(undecided, false)));
        let made = desk.restrict(2, 9, REFUSE);
        desk.world.now = day(3);
        desk.appeal(id(&made)).unwrap();
        desk.world.now = day(6);
        assert_eq!(desk.amend(id(&made), Amendment::Grant), Err(expected));
    }
}

#[test]
fn an_appeal_is_taken_as_often_as_the_rule_says_and_by_nobody_where_there_is_none() {
    let mut desk = Desk::new(None);
    let made = desk.restrict(0, 9, REFUSE);
    assert_eq!(desk.appeal(id(&made)), Err(Outcome::NoAppeal));
    let twice = AppealRule { per_restriction: 2, ..rule(Undecided::Stands, false) };
    let mut desk = Desk::new(Some(twice));
    let made = desk.restrict(0, 9, REFUSE);
    assert_eq!(desk.appeal(RestrictionId(7)), Err(Outcome::RestrictionNotFound));
    desk.appeal(id(&made)).unwrap();
    assert_eq!(desk.appeal(id(&made)), Err(Outcome::AppealedAlready), "one is open");
    desk.amend(id(&made), Amendment::Uphold).unwrap();
    desk.appeal(id(&made)).unwrap();
    desk.amend(id(&made), Amendment::Uphold).unwrap();
    assert_eq!(desk.appeal(id(&made)), Err(Outcome::AppealedAlready), "two were decided");
    desk.world.now = day(9);
    assert_eq!(desk.appeal(id(&made)), Err(Outcome::RestrictionOver));
}

#[test]
fn the_nearest_rule_about_all_of_a_restriction_decides_its_appeal() {
    let of = |scope, days| RuleLayer {
        scope,
        appeal: Some(AppealRule { term: Term::Days(days), ..rule(Undecided::Stands, false) }),
        ..RuleLayer::default()
    };
    let department = RuleScope::Department(OrganizationId(1), DepartmentId(2));
    let rules = Rules {
        layers: vec![
            of(RuleScope::Region, 1),
            of(RuleScope::Organization(OrganizationId(1)), 2),
            of(department, 3),
        ],
        ..Rules::none()
    };
    for (within, days) in [
        (RuleScope::Region, 1),
        (RuleScope::Organization(OrganizationId(1)), 2),
        (RuleScope::Organization(OrganizationId(9)), 1),
        (department, 3),
        (RuleScope::Department(OrganizationId(1), DepartmentId(7)), 2),
    ] {
        assert_eq!(rules.appeals(within).unwrap().term, Term::Days(days), "{within:?}");
    }
}

#[test]
fn a_retry_is_answered_as_a_retry_and_another_request_under_its_id_is_refused() {
    let mut desk = Desk::new(Some(rule(Undecided::Stands, false)));
    let made = desk.restrict(0, 9, REFUSE);
    let again = desk.ask(Role::Admin, &Command::Restrict(made.clone().into())).unwrap();
    assert!(again.retried);
    let other = Restrict { reason: 5, ..made };
    let refusal = desk.ask(Role::Admin, &Command::Restrict(other.into())).unwrap_err();
    assert_eq!(refusal.outcome, Outcome::IdReused);

    let (evidence, channel) = (EvidenceRef(5), build::channel(0));
    let request = build::request(5);
    let appeal = Appeal { request, patient: WHO, restriction: id(&made), evidence, channel };
    let first = desk.ask(Role::Gateway, &Command::Appeal(appeal.into())).unwrap();
    desk.world.now = day(2);
    let again = desk.ask(Role::Gateway, &Command::Appeal(appeal.into())).unwrap();
    assert_eq!((again.retried, again.until), (true, first.until), "with the term it had");
    let lift = Amend {
        request,
        patient: WHO,
        restriction: id(&made),
        amendment: Amendment::Lift,
        evidence,
        reason: 0,
    };
    let refusal = desk.ask(Role::Admin, &Command::Amend(lift.into())).unwrap_err();
    assert_eq!(refusal.outcome, Outcome::IdReused);
}

#[test]
fn only_who_may_touch_the_place_restricts_and_amends_there() {
    let local = Actor {
        organizations: Organizations::Only(std::iter::once(OrganizationId(1)).collect()),
        ..Actor::unbounded(Role::Practitioner)
    };
    let hospital = |number| RuleScope::Organization(OrganizationId(number));
    for (within, expected) in [
        (hospital(1), None),
        (RuleScope::Department(OrganizationId(1), DepartmentId(3)), None),
        (hospital(2), Some(Outcome::OrganizationNotPermitted)),
        (RuleScope::Region, Some(Outcome::OrganizationNotPermitted)),
    ] {
        let mut desk = Desk::new(None);
        let ask = |number| Restrict {
            request: build::request(number),
            patient: WHO,
            within,
            consequence: REFUSE,
            from: day(0),
            until: day(9),
            evidence: EvidenceRef(0),
            reason: 1,
        };
        let answer = desk.world.run(&local, &Command::Restrict(ask(50).into()));
        assert_eq!(answer.err().map(|refusal| refusal.outcome), expected);
        desk.ask(Role::Admin, &Command::Restrict(ask(51).into())).unwrap();
        let lift = Amend {
            request: build::request(52),
            patient: WHO,
            restriction: RestrictionId(build::request(51).0),
            amendment: Amendment::Lift,
            evidence: EvidenceRef(0),
            reason: 1,
        };
        let answer = desk.world.run(&local, &Command::Amend(lift.into()));
        assert_eq!(answer.err().map(|refusal| refusal.outcome), expected);
    }
}

#[test]
fn a_restriction_without_time_or_effect_is_refused() {
    for (from, until, consequence, expected) in [
        (1, 1, REFUSE, Some(Outcome::RestrictionInvalid)),
        (2, 1, REFUSE, Some(Outcome::RestrictionInvalid)),
        (0, 0, REFUSE, Some(Outcome::RestrictionInvalid)),
        (0, 1, Consequence::Lower(0), Some(Outcome::RestrictionInvalid)),
        (0, 1, Consequence::Lower(1), None),
    ] {
        let mut desk = Desk::new(None);
        let ask = Restrict {
            request: build::request(50),
            patient: WHO,
            within: RuleScope::Region,
            consequence,
            from: day(from),
            until: day(until),
            evidence: EvidenceRef(0),
            reason: 1,
        };
        let answer = desk.ask(Role::Admin, &Command::Restrict(ask.into()));
        assert_eq!(answer.err().map(|refusal| refusal.outcome), expected);
    }
}

#[test]
fn pools_that_are_named_by_channel_and_class_let_a_restricted_patient_pass() {
    let emergency = ClassSet(1 << PatientClass::Emergency as u8);
    let named = Consequence::RefuseBut { channels: ChannelSet(1 << 3), classes: emergency };
    let classes = Consequence::RefuseBut { channels: ChannelSet::ALL, classes: emergency };
    for (consequence, channel, class, is_refused) in [
        (named, 3, PatientClass::Emergency, false),
        (named, 3, PatientClass::Outpatient, true),
        (named, 2, PatientClass::Emergency, true),
        (classes, 2, PatientClass::Emergency, false),
        (classes, 2, PatientClass::Outpatient, true),
    ] {
        let mut desk = Desk::new(None);
        desk.restrict(0, 9, consequence);
        let refused = desk.is_refused(build::channel(channel), class);
        assert_eq!(refused, is_refused, "{consequence:?} {channel} {class:?}");
    }
}

#[test]
fn a_restricted_patient_may_still_cancel() {
    let mut desk = Desk::new(None);
    let wish = build::at(7, 0);
    desk.ask(Role::Admin, &Command::OpenSession(build::open(build::session(7, &[1])).into()))
        .unwrap();
    let hold = Hold { book: Some(PaymentRef(1)), ..build::hold(30, WHO.0, [wish]) };
    desk.ask(Role::Counter, &Command::Hold(hold)).unwrap();
    desk.restrict(0, 9, REFUSE);
    let cancel = build::change(31, 30, crate::model::Action::Cancel);
    desk.ask(Role::Gateway, &Command::Change(cancel)).unwrap();
}

#[test]
fn what_the_facts_say_makes_the_same_restrictions_again() {
    let mut desk = Desk::new(Some(rule(Undecided::Lifted, true)));
    let made = desk.restrict(0, 9, REFUSE);
    desk.restrict(1, 4, Consequence::Lower(2));
    desk.appeal(id(&made)).unwrap();
    desk.amend(id(&made), Amendment::Suspend { until: day(2) }).unwrap();
    desk.amend(id(&made), Amendment::Uphold).unwrap();
    desk.amend(id(&made), Amendment::Lift).unwrap();
    let replayed = World::replayed(desk.world.records.iter().cloned());
    assert_eq!(replayed.state(), desk.world.state());
}
