//! Decides a move: an appointment takes new places and frees its old ones, or nothing.
//!
//! ```text
//! appointment   id, status, deadline, payment stay
//!   from  S1 slot 3  --back-->  free      the old places count as free for this request
//!   to    S2 slot 7  <--take--  free      every rule of a hold holds
//! ```

use super::change::refuse_stranger;
use super::hold::{Granted, Wanted, grant, refusal_of};
use super::view::{Context, Decision, View};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Claim, Claims, Fact, Outcome, Receipt, Refusal,
    Reschedule, Rescheduled, Role,
};

/// Decides a move of an appointment (改约).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply, after those of a stranger. Nothing happens
/// then.
pub fn decide_reschedule(
    view: &View<'_>,
    context: &Context<'_>,
    ask: &Reschedule,
) -> Result<Decision, Refusal> {
    ask.check().map_err(refusal_of)?;
    let fingerprint = ask.fingerprint();
    let known = view.appointment(ask.appointment);
    let earlier = view.request(ask.request);
    if let (Some(print), Some(appointment)) = (earlier, &known)
        && print == fingerprint
    {
        return Ok(Decision::retry(appointment));
    }
    if earlier.is_some() || view.appointment(AppointmentId(ask.request.0)).is_some() {
        return Err(Outcome::IdReused.into());
    }
    let Some(appointment) = known else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    refuse_stranger(context, &appointment, ask.patient, ask.channel, true)?;
    let from = leaves(&appointment);
    if ask.sessions(from).is_none() {
        return Err(Outcome::ClaimsInvalid.into());
    }
    let wanted = Wanted {
        claims: &ask.claims,
        patient: appointment.patient,
        channel: ask.channel,
        class: appointment.class,
        freed: from,
        but: &[appointment.id],
    };
    let granted = grant(view, context, &wanted);
    let granted = match (granted, refuse_leaving(view, context, &appointment)) {
        (Ok(granted), None) => granted,
        (Err(refusal), None) | (Ok(_), Some(refusal)) => return Err(refusal),
        (Err(one), Some(other)) => {
            return Err(if one.outcome <= other.outcome { one } else { other });
        }
    };

    Ok(moved(view, ask, &appointment, granted, fingerprint))
}

/// The places that an appointment gives back when it moves. Who may not move gives back nothing.
pub fn leaves(appointment: &Appointment) -> &[Claim] {
    if may_move(appointment.status) { &appointment.claims } else { &[] }
}

const fn may_move(status: AppointmentStatus) -> bool {
    matches!(status, AppointmentStatus::Pending | AppointmentStatus::Booked)
}

/// Why an appointment stays where it is, whatever is wanted.
fn refuse_leaving(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
) -> Option<Refusal> {
    let status = appointment.status;
    let mut refusals: [Option<Outcome>; 4] = [None; 4];
    if status == AppointmentStatus::Pending && appointment.until <= context.now {
        refusals[0] = Some(Outcome::HoldExpired);
    }
    // An offer of a waitlist is taken or left as it is: its end is the end of the entry.
    if !may_move(status) || view.offered(appointment.id).is_some() {
        refusals[1] = Some(Outcome::WrongStatus);
    }
    let left = || {
        leaves(appointment).iter().filter_map(|claim| Some((claim, view.session(claim.session)?)))
    };
    // Who missed a visit cannot make it one that lies ahead.
    if left().any(|(claim, session)| session.spec().slot_start(claim.slot) <= context.now) {
        refusals[2] = Some(Outcome::BookingClosed);
    }
    let by_patient = matches!(context.actor.role, Role::Gateway | Role::Counter);
    let most = left().filter_map(|(_, session)| session.spec().terms.changes_max).min();
    if by_patient && most.is_some_and(|most| most <= view.changes(appointment.id)) {
        refusals[3] = Some(Outcome::TooManyChanges);
    }
    let lowest = refusals.into_iter().flatten().min()?;
    let about_status = Outcome::AppointmentNotFound < lowest;
    Some(if about_status { Refusal::of_status(lowest, status) } else { lowest.into() })
}

fn moved(
    view: &View<'_>,
    ask: &Reschedule,
    appointment: &Appointment,
    granted: Granted,
    fingerprint: u64,
) -> Decision {
    let receipt = Receipt {
        status: Some(appointment.status),
        until: appointment.until,
        claims: Claims::from_slice(&granted.claims),
        retried: false,
    };
    let fact = Rescheduled {
        request: ask.request,
        fingerprint,
        appointment: appointment.id,
        patient: appointment.patient,
        organization: granted.organization,
        sharing: granted.sharing,
        changes: view.changes(appointment.id).saturating_add(1),
        from: Claims::from_slice(leaves(appointment)),
        to: granted.claims,
    };
    let facts = std::iter::once(Fact::Rescheduled(Box::new(fact))).collect();
    Decision { facts, receipt }
}
