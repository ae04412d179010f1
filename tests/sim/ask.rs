//! What clients ask and what they are told.

use std::fmt;

use haoyuan::model::{
    Action, Actor, AppointmentId, CallOrderOf, Command, Hold, Outcome, Query, Reading, Receipt,
    Refusal, RequestId, Sequence, Timestamp,
};
use haoyuan::service::{Imported, Service};

/// A request with everything that is needed to send it again.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) number: usize,
    pub(crate) client: usize,
    pub(crate) actor: Actor,
    pub(crate) body: Body,
    pub(crate) tries: u32,
    pub(crate) is_answered: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Command(Command),
    Query(Query),
    /// A row of history that is read in.
    Import(Hold),
    /// The end of the day for an appointment.
    Settle(AppointmentId, bool),
}

/// What a node says of a request that it carried out.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few hundred of them")]
pub(crate) enum Said {
    Receipt(Receipt),
    Reading(Reading),
    Declined(Outcome),
}

/// An answer, and the record that must be durable before it leaves.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) after: Sequence,
    pub(crate) result: Result<Said, Refusal>,
}

impl Ask {
    /// Has a service carry it out.
    pub(crate) fn put(&self, service: &Service, now: Timestamp) -> Reply {
        match &self.body {
            Body::Command(command) => {
                let answer = service.call(now, &self.actor, command);
                Reply { after: answer.after, result: answer.result.map(Said::Receipt) }
            }
            Body::Query(query) => {
                let answer = service.read(now, &self.actor, query);
                Reply { after: answer.after, result: answer.result.map(Said::Reading) }
            }
            Body::Import(hold) => {
                let answer = service.import(now, hold);
                let said = |imported| match imported {
                    Imported::Booked(receipt) => Said::Receipt(receipt),
                    Imported::Declined(outcome) => Said::Declined(outcome),
                };
                Reply { after: answer.after, result: answer.result.map(said) }
            }
            Body::Settle(appointment, came) => {
                let answer = service.settle(now, *appointment, *came);
                Reply { after: answer.after, result: answer.result.map(Said::Receipt) }
            }
        }
    }

    /// The id that makes a retry safe, and the hash of what is asked under it.
    pub(crate) fn identity(&self) -> Option<(RequestId, u64)> {
        match &self.body {
            Body::Command(Command::Hold(hold)) | Body::Import(hold) => {
                Some((hold.appointment.request(), hold.fingerprint()))
            }
            Body::Command(Command::Change(change)) => Some((change.request, change.fingerprint())),
            Body::Command(Command::OpenSession(open)) => Some((open.request, open.fingerprint())),
            Body::Command(Command::SetQuotas(set)) => Some((set.request, set.fingerprint())),
            Body::Command(Command::Reschedule(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::BlockSession(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::Substitute(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::AddPlace(add)) => {
                Some((add.appointment.request(), add.fingerprint()))
            }
            Body::Command(Command::RevealDraw(reveal)) => {
                Some((reveal.request, reveal.fingerprint()))
            }
            Body::Command(Command::JoinWaitlist(join)) => Some((join.request, join.fingerprint())),
            Body::Command(Command::LeaveWaitlist(leave)) => {
                Some((leave.request, leave.fingerprint()))
            }
            Body::Command(Command::CallNext(call)) => Some((call.request, call.fingerprint())),
            Body::Command(Command::ApplyRules(apply)) => Some((apply.request, apply.fingerprint())),
            Body::Command(Command::Order(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::Pay(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::Refund(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::NamePatient(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::Restrict(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::Amend(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::Appeal(ask)) => Some((ask.request, ask.fingerprint())),
            Body::Command(Command::MergePatients(ask)) => Some((ask.request, ask.fingerprint())),
            // Its id follows from the time of the call.
            Body::Settle(..) | Body::Query(_) => None,
        }
    }

    /// The appointment that it is about.
    pub(crate) fn appointment(&self) -> Option<AppointmentId> {
        match &self.body {
            Body::Command(Command::Hold(hold)) | Body::Import(hold) => Some(hold.appointment),
            Body::Command(Command::Change(change)) => Some(change.appointment),
            Body::Command(Command::Reschedule(ask)) => Some(ask.appointment),
            Body::Command(Command::AddPlace(add)) => Some(add.appointment),
            Body::Command(Command::Order(ask)) => Some(ask.appointment),
            Body::Command(Command::Pay(ask)) => Some(ask.appointment),
            Body::Command(Command::Refund(ask)) => Some(ask.appointment),
            Body::Command(Command::NamePatient(ask)) => Some(ask.appointment),
            Body::Settle(appointment, _)
            | Body::Query(
                Query::Get { appointment, .. }
                | Query::Draw { appointment: Some(appointment), .. }
                | Query::CallOrder { of: CallOrderOf::One { appointment, .. }, .. },
            ) => Some(*appointment),
            _ => None,
        }
    }

    /// The name of what it asks.
    pub(crate) fn name(&self) -> &'static str {
        match &self.body {
            Body::Command(command) => command.operation().name(),
            Body::Query(query) => query.operation().name(),
            Body::Import(_) => "import",
            Body::Settle(..) => "settle",
        }
    }
}

impl Reply {
    /// The outcome by its number.
    pub(crate) const fn outcome(&self) -> Outcome {
        match &self.result {
            Ok(Said::Receipt(receipt)) if receipt.retried => Outcome::AlreadyDone,
            Ok(_) => Outcome::Done,
            Err(refusal) => refusal.outcome,
        }
    }

    /// The receipt of a change that was made.
    pub(crate) const fn receipt(&self) -> Option<&Receipt> {
        match &self.result {
            Ok(Said::Receipt(receipt)) => Some(receipt),
            _ => None,
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{} {} by {}", self.number, self.name(), self.actor.role.name())?;
        match &self.body {
            Body::Command(Command::Hold(hold)) | Body::Import(hold) => {
                let patient = hold.patient.map_or(0, |patient| patient.0);
                write!(out, " {:x} patient {patient}", hold.appointment.0)?;
                for wish in &hold.claims {
                    write!(out, " {}:{:?}x{}", wish.session.0, wish.slots, wish.count)?;
                }
                write!(out, " ttl {} book {}", hold.ttl.as_millis(), hold.book.is_some())
            }
            Body::Command(Command::Change(change)) => {
                let settle = matches!(change.action, Action::Settle);
                write!(out, " {:x} of {:x} {settle}", change.request.0, change.appointment.0)
            }
            Body::Command(Command::OpenSession(open)) => {
                write!(out, " {:x} session {}", open.request.0, open.session.id.0)
            }
            Body::Command(Command::SetQuotas(set)) => {
                write!(out, " {:x} session {} {:?}", set.request.0, set.session.0, set.quotas)
            }
            Body::Command(Command::Reschedule(ask)) => {
                write!(out, " {:x} of {:x} {:?}", ask.request.0, ask.appointment.0, ask.claims)
            }
            Body::Command(
                command @ (Command::BlockSession(_)
                | Command::Substitute(_)
                | Command::AddPlace(_)
                | Command::Order(_)
                | Command::Pay(_)
                | Command::Refund(_)
                | Command::NamePatient(_)
                | Command::Restrict(_)
                | Command::Amend(_)
                | Command::Appeal(_)
                | Command::MergePatients(_)),
            ) => write!(out, " {command:?}"),
            Body::Command(Command::RevealDraw(reveal)) => write!(out, " {}", reveal.draw),
            Body::Command(Command::JoinWaitlist(join)) => write!(
                out,
                " {:x} patient {} sessions {:?}",
                join.request.0, join.patient.0, join.targets
            ),
            Body::Command(Command::LeaveWaitlist(leave)) => {
                write!(out, " {:x} entry {:x}", leave.request.0, leave.entry.0)
            }
            Body::Command(Command::CallNext(call)) => {
                write!(out, " {:x} session {}", call.request.0, call.session.0)
            }
            Body::Command(Command::ApplyRules(apply)) => {
                write!(out, " {:x} {:?}", apply.request.0, apply.rules)
            }
            Body::Query(query) => write!(out, " {query:?}"),
            Body::Settle(appointment, came) => write!(out, " {:x} came {came}", appointment.0),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} after {}", self.outcome().name(), self.after.0)?;
        match &self.result {
            Ok(Said::Receipt(receipt)) => {
                let until = receipt.until.as_millis();
                write!(out, " {:?} until {until}", receipt.status)?;
                receipt.claims.iter().try_for_each(|claim| {
                    let (session, slot) = (claim.session.0, claim.slot.0);
                    write!(out, " {session}:{slot}x{}p{}", claim.count, claim.pool.0)
                })
            }
            Ok(Said::Reading(Reading::Availability(places))) => write!(out, " {:?}", places.free),
            Ok(Said::Reading(Reading::Appointment(found))) => write!(out, " {:?}", found.status),
            Ok(Said::Reading(Reading::Appointments(found))) => write!(out, " {}", found.len()),
            Ok(Said::Reading(Reading::Clock(clock))) => write!(out, " {clock:?}"),
            Ok(Said::Reading(Reading::CallOrder(order))) => {
                write!(out, " {} wait, {} lines", order.waiting, order.lines.len())
            }
            Ok(Said::Reading(Reading::Session(found))) => write!(out, " {:?}", found.taken),
            Ok(Said::Reading(Reading::Alternatives(found))) => write!(out, " {}", found.len()),
            Ok(Said::Reading(Reading::Displaced(page))) => {
                write!(out, " {}", page.appointments.len())
            }
            Ok(Said::Reading(Reading::Draw(found))) => write!(out, " {}", found.waiting),
            Ok(Said::Reading(Reading::Waitlist(found))) => write!(out, " {found:?}"),
            Ok(Said::Reading(Reading::Rules(found))) => {
                write!(out, " version {}", found.rules.version.0)
            }
            Ok(Said::Reading(Reading::Record(found))) => {
                write!(out, " {} strikes {:?}", found.strikes.len(), found.restrictions)
            }
            Ok(Said::Reading(Reading::Explanation(found))) => write!(out, " {:?}", found.about),
            Ok(Said::Reading(Reading::Bills(page))) => write!(out, " {} bills", page.bills.len()),
            Ok(Said::Reading(Reading::Standing(found))) => write!(out, " {:?}", found.restrictions),
            Ok(Said::Declined(outcome)) => write!(out, " declined {}", outcome.name()),
            Err(refusal) => write!(out, " {:?}", refusal.status),
        }
    }
}
