//! Whatever a client is told rests on records that the disk has, successes and refusals alike.

use haoyuan::model::{
    AppointmentStatus, ClaimRequest, Command, ExplainOf, Explained, ExplainedAppointment, Outcome,
    PatientId, Query, Reading, Refusal,
};

use super::{Ask, History, Invariant, Sight, ensure};
use crate::ask::{Body, Said};
use crate::history::Life;

pub(super) struct ReplyImpliesDurable;

impl Invariant for ReplyImpliesDurable {
    fn name(&self) -> &'static str {
        "reply_implies_durable"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Told { ask, reply } = sight else { return Ok(()) };
        let is_durable = match &reply.result {
            Ok(Said::Receipt(receipt)) => {
                let did = ask.identity().is_none_or(|(id, _)| history.requests.contains(&id));
                let chosen = receipt.appointment;
                let id = ask.appointment().or(chosen);
                let life = id.and_then(|id| history.lives.get(&id));
                let stood = receipt.status.is_none_or(|status| {
                    life.is_some_and(|life| {
                        let same_places = life.places.contains(&receipt.claims);
                        life.stood(status) && (same_places || chosen.is_some())
                    })
                });
                did && stood
            }
            Ok(Said::Declined(outcome)) => {
                ask.appointment().and_then(|id| history.declined.get(&id)) == Some(outcome)
            }
            Ok(Said::Reading(Reading::Appointment(found))) => {
                history.lives.get(&found.id).is_some_and(|life| life.was(found))
            }
            Ok(Said::Reading(Reading::Appointments(found))) => found
                .iter()
                .all(|found| history.lives.get(&found.id).is_some_and(|life| life.was(found))),
            Ok(Said::Reading(Reading::Availability(_))) => match &ask.body {
                Body::Query(Query::Availability { session, .. }) => {
                    history.sessions.contains_key(session)
                }
                _ => false,
            },
            Ok(Said::Reading(Reading::Session(found))) => {
                history.sessions.contains_key(&found.session.id)
            }
            Ok(Said::Reading(Reading::Alternatives(found))) => {
                found.iter().all(|found| history.sessions.contains_key(&found.claim.session))
            }
            Ok(Said::Reading(Reading::Displaced(page))) => {
                page.appointments.iter().all(|found| history.lives.contains_key(&found.id))
            }
            Ok(Said::Reading(Reading::Draw(found))) => {
                history.sessions.contains_key(&found.draw.session)
            }
            Ok(Said::Reading(Reading::Waitlist(found))) => {
                found.entry.is_none_or(|entry| history.requests.contains(&entry))
                    && found.offer.is_none_or(|offer| history.lives.contains_key(&offer))
            }
            Ok(Said::Reading(Reading::CallOrder(order))) => order.lines.iter().all(|line| {
                let life = history.lives.get(&line.appointment);
                life.is_some_and(|life| life.stood(AppointmentStatus::CheckedIn))
            }),
            Ok(Said::Reading(Reading::Rules(found))) => {
                found.rules.version.0 == 0 || history.rules.contains(&found.rules)
            }
            Ok(Said::Reading(Reading::Record(found))) => {
                let Body::Query(Query::ReadRecord { patient, .. }) = &ask.body else {
                    return Err(format!("{ask} was told {reply}"));
                };
                let struck = || history.struck.get(patient).into_iter().flatten();
                let mut strikes = found.strikes.iter();
                let mut made = found.restrictions.iter();
                strikes.all(|strike| struck().any(|it| it.strike == *strike))
                    && made.all(|made| struck().any(|it| it.restriction == Some(*made)))
            }
            Ok(Said::Reading(Reading::Explanation(found))) => {
                explained_is_durable(ask, &found.about, history)
            }
            // The clock rests on nothing in the journal.
            Ok(Said::Reading(Reading::Clock(_))) => true,
            Err(refusal) => refusal_is_durable(ask, *refusal, history),
        };
        ensure(is_durable, || format!("{ask} was told {reply}"))
    }
}

/// Whether what was explained is in the journal.
fn explained_is_durable(ask: &Ask, told: &Explained, history: &History) -> bool {
    let has_been = |found: &ExplainedAppointment| {
        let life = history.lives.get(&found.appointment.id);
        life.is_some_and(|life| life.stood(found.appointment.status))
    };
    match told {
        Explained::Request(request) => request.made.as_ref().is_none_or(has_been),
        Explained::Appointment(appointment) => has_been(appointment),
        Explained::Patient(patient) => {
            let Body::Query(Query::Explain { of: ExplainOf::Patient(who), .. }) = &ask.body else {
                return false;
            };
            let struck = || history.struck.get(who).into_iter().flatten();
            let mut strikes = patient.strikes.iter();
            let mut made = patient.restrictions.iter();
            strikes.all(|counted| struck().any(|it| it.strike == counted.strike))
                && made.all(|made| struck().any(|it| it.restriction == Some(*made)))
        }
    }
}

/// Whether the patient ever had a place in one of the sessions.
fn is_in_one_of(wishes: &[ClaimRequest], patient: PatientId, history: &History) -> bool {
    let theirs = history.lives.values().filter(|life| life.held.patient == patient);
    let mut places = theirs.flat_map(|life| life.places.iter().flatten());
    places.any(|claim| wishes.iter().any(|wish| wish.session == claim.session))
}

fn refusal_is_durable(ask: &Ask, refusal: Refusal, history: &History) -> bool {
    let life = ask.appointment().and_then(|id| history.lives.get(&id));
    match refusal.outcome {
        Outcome::WrongStatus
        | Outcome::HoldExpired
        | Outcome::TooEarly
        | Outcome::TooLate
        | Outcome::TooManyChanges => {
            refusal.status.is_some_and(|status| life.is_some_and(|life| life.stood(status)))
        }
        Outcome::ChannelNotShared => life.is_some(),
        Outcome::AppointmentDisplaced => life.is_some_and(|life| life.knows_blocks),
        Outcome::IdReused => ask.identity().is_some_and(|(id, _)| history.requests.contains(&id)),
        Outcome::AlreadyHasAppointment => match &ask.body {
            Body::Command(Command::Hold(hold)) => {
                is_in_one_of(&hold.claims, hold.patient.unwrap_or(PatientId(0)), history)
            }
            Body::Command(Command::AddPlace(add)) => {
                let theirs = history.lives.values().filter(|it| it.held.patient == add.patient);
                theirs.flat_map(|it| it.places.iter().flatten()).any(|it| it.session == add.session)
            }
            Body::Command(Command::JoinWaitlist(join)) => {
                let had = |life: &Life| {
                    let mut claims = life.places.iter().flatten();
                    life.held.patient == join.patient
                        && claims.any(|claim| join.targets.contains(&claim.session))
                };
                history.lives.values().any(had)
            }
            Body::Command(Command::Reschedule(ask)) => {
                life.is_some_and(|life| is_in_one_of(&ask.claims, life.held.patient, history))
            }
            _ => false,
        },
        Outcome::SessionExists => match &ask.body {
            Body::Command(Command::OpenSession(open)) => {
                history.sessions.contains_key(&open.session.id)
            }
            _ => false,
        },
        _ => true,
    }
}
