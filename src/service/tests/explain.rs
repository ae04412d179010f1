//! What is explained, and to whom.

use super::{Node, refused};
use crate::engine::tests::build::{self, MINUTE};
use crate::model::{
    Actor, Answer, AppointmentStatus, BookingChannel, ExplainOf, Explained, ExplainedRequest,
    OrganizationId, Organizations, Outcome, PatientId, Query, Reading, Role, Session, Step, StepBy,
};

fn ask(node: &Node, actor: &Actor, of: ExplainOf) -> Answer<Reading> {
    let query = Query::Explain { of, channel: BookingChannel::default(), at: None };
    node.service.read(node.now, actor, &query)
}

fn request(node: &Node, actor: &Actor, id: u128, patient: Option<u128>) -> ExplainedRequest {
    let of = ExplainOf::Request { request: build::request(id), patient: patient.map(PatientId) };
    match ask(node, actor, of).result.unwrap() {
        Reading::Explanation(told) => match told.about {
            Explained::Request(request) => request,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn of(organization: u32, role: Role) -> Actor {
    let own = std::iter::once(OrganizationId(organization)).collect();
    Actor { organizations: Organizations::Only(own), ..Actor::unbounded(role) }
}

/// Session 1 of hospital 1, with one live appointment of patient 1, who was refused another.
fn refused_once() -> Node {
    let node = Node::new();
    node.open(Session { organization: OrganizationId(1), ..build::session(1, &[9, 9]) });
    node.hold_any(1, 1).result.unwrap();
    let second = node.hold(&build::hold(2, 1, [build::at(1, 1)]));
    assert_eq!(refused(&second), Outcome::AlreadyHasAppointment);
    node
}

#[test]
fn a_refused_request_is_told_to_its_hospital_and_its_patient_and_to_nobody_else() {
    let node = refused_once();
    for (actor, patient, is_told) in [
        (Actor::unbounded(Role::Counter), None, true),
        (of(1, Role::Counter), None, true),
        (of(2, Role::Counter), None, false),
        (of(1, Role::Gateway), Some(1), true),
        (of(1, Role::Gateway), Some(7), false),
    ] {
        let told = request(&node, &actor, 2, patient);
        assert_eq!(told.is_unknown(), !is_told, "{actor:?} {patient:?}");
        let outcome = told.refused.map(|refused| refused.outcome);
        assert_eq!(outcome, is_told.then_some(Outcome::AlreadyHasAppointment), "{actor:?}");
    }
    for role in [Role::Observer, Role::Replica] {
        let of = ExplainOf::Patient(PatientId(1));
        let answer = ask(&node, &Actor::unbounded(role), of);
        assert_eq!(answer.result.unwrap_err().outcome, Outcome::RoleNotPermitted);
    }
}

#[test]
fn what_was_refused_and_asked_again_is_told_with_what_it_made() {
    let node = refused_once();
    node.release(1).result.unwrap();
    node.hold(&build::hold(2, 1, [build::at(1, 1)])).result.unwrap();
    let told = request(&node, &Actor::unbounded(Role::Counter), 2, None);
    assert_eq!(told.refused.unwrap().outcome, Outcome::AlreadyHasAppointment);
    let made = told.made.unwrap();
    assert_eq!(made.appointment.status, AppointmentStatus::Pending);
    let steps: Vec<_> = made.steps.iter().map(|step| (step.what, step.by)).collect();
    let patient = StepBy::Patient;
    assert_eq!(
        steps,
        [(Step::Book, patient), (Step::Release, patient), (Step::Expire, StepBy::Node)]
    );
    assert_eq!(made.steps[0].until, made.appointment.until);
    // The release is a request too; of it no more is known than that it was carried out.
    let released = request(&node, &Actor::unbounded(Role::Counter), 2 << 40 | 1, None);
    assert!(released.is_done && released.made.is_none(), "{released:?}");
}

#[test]
fn sold_out_at_once_is_not_kept_and_what_was_looked_at_is() {
    let node = Node::new();
    node.open(build::session(1, &[1]));
    node.hold_any(1, 1).result.unwrap();
    assert_eq!(refused(&node.hold_any(2, 1)), Outcome::SoldOut);
    let counter = Actor::unbounded(Role::Counter);
    assert!(request(&node, &counter, 2, None).is_unknown());
    assert_eq!(refused(&node.hold_any(3, 77)), Outcome::SessionNotFound);
    let told = request(&node, &counter, 3, None).refused.unwrap();
    assert_eq!((told.patient, told.session.map(|id| id.0)), (Some(PatientId(3)), Some(77)));
}

#[test]
fn an_explanation_of_a_refusal_waits_for_what_it_may_rest_on() {
    let mut node = Node::new();
    node.open(build::session(1, &[9, 9]));
    node.commit();
    node.medium.hold();
    let held = node.hold_any(1, 1).after;
    refused(&node.hold(&build::hold(2, 1, [build::at(1, 1)])));
    node.later(MINUTE);
    let of = ExplainOf::Request { request: build::request(2), patient: None };
    let answer = ask(&node, &Actor::unbounded(Role::Counter), of);
    assert!(held <= answer.after && node.service.durable() < answer.after);
    node.medium.resume();
}
