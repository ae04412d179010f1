//! Whatever a client is told rests on records that the disk has, successes and refusals alike.

use haoyuan::model::{
    AppointmentStatus, ClaimRequest, Command, ExplainOf, Explained, ExplainedAppointment,
    KeptRestriction, Outcome, PatientId, Query, Reading, Refusal, RestrictionCause,
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
                let id = chosen.or_else(|| ask.appointment());
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
            Ok(Said::Reading(Reading::Appointment(found))) => history.was(found),
            Ok(Said::Reading(Reading::Appointments(found))) => {
                found.iter().all(|found| history.was(found))
            }
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
                let struck = || history.struck.get(&history.person(*patient)).into_iter().flatten();
                let barred = || history.barred.get(&history.person(*patient)).into_iter().flatten();
                let mut strikes = found.strikes.iter();
                let mut made = found.restrictions.iter();
                strikes.all(|strike| struck().any(|it| it.strike == *strike))
                    && made.all(|made| {
                        made.cause == RestrictionCause::Staff
                            || struck().any(|it| it.restriction == Some(*made))
                            || barred().any(|it| it.restriction == *made)
                    })
            }
            Ok(Said::Reading(Reading::Standing(found))) => {
                found.restrictions.iter().all(|(_, kept)| was_amended(kept, history))
            }
            Ok(Said::Reading(Reading::Explanation(found))) => {
                explained_is_durable(ask, &found.about, history)
            }
            Ok(Said::Reading(Reading::Bills(page))) => {
                page.bills.iter().all(|bill| history.lives.contains_key(&bill.appointment))
            }
            // The clock rests on nothing in the journal.
            Ok(Said::Reading(Reading::Clock(_))) => true,
            Err(refusal) => refusal_is_durable(ask, *refusal, history),
        };
        ensure(is_durable, || format!("{ask} was told {reply}"))
    }
}

/// Whether a restriction was made, and what it says was done about it.
fn was_amended(kept: &KeptRestriction, history: &History) -> bool {
    let steps = history.amended.get(&kept.id);
    steps.is_some_and(|steps| steps.starts_with(&kept.steps))
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
            let struck = || history.struck.get(&history.person(*who)).into_iter().flatten();
            let mut strikes = patient.strikes.iter();
            strikes.all(|counted| struck().any(|it| it.strike == counted.strike))
                && patient.restrictions.iter().all(|(_, kept)| was_amended(kept, history))
        }
    }
}

/// Whether the patient ever had a place in one of the sessions.
fn is_in_one_of(wishes: &[ClaimRequest], patient: PatientId, history: &History) -> bool {
    let patient = history.person(patient);
    let theirs = history.lives.values().filter(|life| life.is_of(patient));
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
        // The id of a settlement follows from its time: two of one millisecond have the same.
        Outcome::IdReused if matches!(ask.body, Body::Settle(..)) => {
            life.is_some_and(|life| !life.status().is_live())
        }
        Outcome::IdReused => ask.identity().is_some_and(|(id, _)| history.requests.contains(&id)),
        Outcome::AlreadyHasAppointment => match &ask.body {
            Body::Command(Command::Hold(hold)) => {
                let holder = hold.keys.account.map(haoyuan::model::AccountId::holder);
                let whose = hold.patient.or(holder).unwrap_or(PatientId(0));
                is_in_one_of(&hold.claims, whose, history)
            }
            Body::Command(Command::AddPlace(add)) => {
                let patient = history.person(add.patient);
                let theirs = history.lives.values().filter(|it| it.is_of(patient));
                theirs.flat_map(|it| it.places.iter().flatten()).any(|it| it.session == add.session)
            }
            Body::Command(Command::JoinWaitlist(join)) => {
                let had = |life: &Life| {
                    let mut claims = life.places.iter().flatten();
                    life.is_of(history.person(join.patient))
                        && claims.any(|claim| join.targets.contains(&claim.session))
                };
                history.lives.values().any(had)
            }
            Body::Command(Command::Reschedule(ask)) => life.is_some_and(|life| {
                let patients = [Some(life.held.patient), life.named];
                let mut patients = patients.into_iter().flatten();
                patients.any(|patient| is_in_one_of(&ask.claims, patient, history))
            }),
            Body::Command(Command::NamePatient(name)) => life.is_some_and(|life| {
                let mut theirs =
                    history.lives.values().filter(|it| it.is_of(history.person(name.patient)));
                theirs.any(|other| {
                    let mut places = other.places.iter().flatten();
                    places.any(|it| life.held.claims.iter().any(|at| at.session == it.session))
                })
            }),
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
