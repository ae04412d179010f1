//! What requests say, and what is told of appointments.

use crate::model::{
    AccountId, Action, Actor, Appointment, AppointmentEvent, AppointmentStatus, BookingChannel,
    Change, ClaimRequest, Claims, Hold, Outcome, PatientId, Receipt, Refusal, Role, Sharing,
    SlotChoice, Timestamp,
};

pub(super) fn is_live(appointment: &Appointment) -> bool {
    use AppointmentStatus as S;
    matches!(appointment.status, S::Pending | S::Booked | S::Arrived | S::CheckedIn | S::Waitlist)
}

/// Why the actor may not touch the appointment.
pub(super) fn strange(actor: &Actor, change: &Change, appointment: &Appointment) -> Vec<Outcome> {
    let mut refusals = Vec::new();
    if !actor.may_touch(appointment.organization) {
        refusals.push(Outcome::OrganizationNotPermitted);
    }
    if change.patient.is_some_and(|patient| patient != appointment.patient) {
        refusals.push(Outcome::AppointmentNotFound);
    }
    let is_of_patients = actor.role == Role::Gateway || actor.role == Role::Counter;
    let is_about_places =
        matches!(change.action, Action::Book { .. } | Action::Release | Action::Cancel);
    let is_foreign = change.channel != appointment.channel;
    if is_of_patients && is_about_places && is_foreign && appointment.sharing != Sharing::Cancel {
        refusals.push(Outcome::ChannelNotShared);
    }
    refusals
}

pub(super) const fn event_of(action: Action) -> AppointmentEvent {
    match action {
        Action::Book { .. } => AppointmentEvent::Book,
        Action::Release => AppointmentEvent::Release,
        Action::Cancel => AppointmentEvent::Cancel,
        Action::Arrive => AppointmentEvent::Arrive,
        Action::CheckIn => AppointmentEvent::CheckIn,
        Action::Fulfil => AppointmentEvent::Fulfil,
        Action::NoShow => AppointmentEvent::NoShow,
        Action::Settle => AppointmentEvent::Settle,
    }
}

pub(super) fn shape(hold: &Hold) -> Result<(), Refusal> {
    let mut refusals = shape_of(&hold.claims);
    let holder = hold.keys.account.map(AccountId::holder);
    let is_missing = match hold.patient {
        Some(patient) => holder == Some(patient),
        None => holder.is_none() || hold.book.is_some(),
    };
    if is_missing {
        refusals.push(Outcome::PatientMissing);
    }
    lowest(&refusals)
}

pub(super) fn shape_of(claims: &[ClaimRequest]) -> Vec<Outcome> {
    let mut refusals = Vec::new();
    let is_unsound = |wish: &ClaimRequest| {
        wish.count == 0
            || 96 < wish.count
            || wish.slots == SlotChoice::Ranked([].into_iter().collect())
    };
    if claims.is_empty() || claims.iter().any(is_unsound) {
        refusals.push(Outcome::ClaimsInvalid);
    }
    let mut sessions: Vec<_> = claims.iter().map(|wish| wish.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    if sessions.len() != claims.len() {
        refusals.push(Outcome::ClaimsOverlap);
    }
    refusals
}

pub(super) fn lowest(refusals: &[Outcome]) -> Result<(), Refusal> {
    refusals.iter().min().map_or(Ok(()), |outcome| Err((*outcome).into()))
}

/// What is told of a request about no appointment.
pub(super) fn told_of_nothing(now: Timestamp, retried: bool) -> Receipt {
    Receipt { status: None, until: now, claims: Claims::new(), retried, appointment: None }
}

pub(super) fn told(appointment: &Appointment, retried: bool) -> Receipt {
    Receipt {
        status: Some(appointment.status),
        until: appointment.until,
        claims: appointment.claims.clone(),
        retried,
        appointment: None,
    }
}

/// Who may not touch an appointment, asking through a channel.
pub(super) fn strangers(
    actor: &Actor,
    patient: Option<PatientId>,
    channel: BookingChannel,
    appointment: &Appointment,
) -> Vec<Outcome> {
    let mut refusals = Vec::new();
    if !actor.may_touch(appointment.organization) {
        refusals.push(Outcome::OrganizationNotPermitted);
    }
    if patient.is_some_and(|patient| patient != appointment.patient) {
        refusals.push(Outcome::AppointmentNotFound);
    }
    let for_patients = matches!(actor.role, Role::Gateway | Role::Counter);
    let is_foreign = channel != appointment.channel && appointment.sharing != Sharing::Cancel;
    refusals.extend((for_patients && is_foreign).then_some(Outcome::ChannelNotShared));
    refusals
}

/// A refusal without why, where the naive model does not say it.
pub(in super::super) fn unexplained(refusal: Refusal) -> Refusal {
    let is_unsaid = [
        Outcome::PatientMissing,
        Outcome::AccountLimit,
        Outcome::CancelTooLate,
        Outcome::PaymentMissing,
        Outcome::PaymentKindRefused,
        Outcome::OrderRefused,
        Outcome::PersonLimit,
    ];
    if is_unsaid.contains(&refusal.outcome) { Refusal { why: None, ..refusal } } else { refusal }
}
