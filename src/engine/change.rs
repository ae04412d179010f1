//! Decides what happens to an appointment that exists.

use super::attendance::Post;
use super::cancelling::leave;
use super::conduct::strike;
use super::cooldown::{cooled, facts_of};
use super::drawing::refuse_withdrawal;
use super::payment::{Booking, decide_booking, owe, paid_with, repeated, rule_of};
use super::returns::end;
use super::view::{Context, Decision, View};
use super::violations::{Made, follow_booking, follow_end};
use super::visits::{ending_of, recorded};
use super::waitlist::with_entry;
use crate::model::{
    Action, Appointment, AppointmentId, AppointmentStatus, Booked, BookingChannel, Cause, Change,
    Claims, Ended, Ending, EntryEnded, Fact, Facts, Outcome, PatientId, Progressed, Receipt,
    Refusal, Role, Settled, Sharing,
};

/// Decides a change of an appointment.
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_change(
    view: &View<'_>,
    context: &Context<'_>,
    change: &Change,
) -> Result<Decision, Refusal> {
    let fingerprint = change.fingerprint();
    let known = view.appointment(change.appointment);
    if let Action::Book { payment } = change.action {
        let asked = (change.request, fingerprint, payment);
        if let Some(retry) = repeated(view, asked, known.as_ref())? {
            return Ok(retry);
        }
    }
    let earlier = view.request(change.request);
    if let (Some(print), Some(appointment)) = (earlier, &known)
        && print == fingerprint
    {
        return Ok(Decision::retry(appointment));
    }
    if view.knows(change.request) {
        return Err(Outcome::IdReused.into());
    }
    let Some(appointment) = known else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    let about_places =
        matches!(change.action, Action::Book { .. } | Action::Release | Action::Cancel);
    refuse_stranger((view, context), &appointment, change.patient, change.channel, about_places)?;
    if let Action::Book { payment } = change.action
        && appointment.draw().is_none()
        && let Some(rule) = rule_of(view, context, &appointment.claims, appointment.class)
    {
        let (request, channel) = (change.request, change.channel);
        let booking = Booking { request, fingerprint, channel, paid: paid_with(payment) };
        return decide_booking(view, context, &appointment, Some(rule), booking);
    }
    let post = Post::of(view, &appointment);
    let status = next_status(view, context, change, &appointment, post.as_ref())?;
    let late = match change.action {
        Action::Cancel => leave(view, context, &appointment, change.channel)?,
        Action::Book { .. }
        | Action::Release
        | Action::Arrive
        | Action::CheckIn
        | Action::Fulfil
        | Action::NoShow
        | Action::Settle => None,
    };
    let is_late = post.as_ref().is_some_and(|post| post.is_late(appointment.id));
    let queued =
        post.and_then(|post| post.fact(context.now, change, &appointment, status, fingerprint));

    let receipt = Receipt {
        status: Some(status),
        until: context.now,
        claims: appointment.claims.clone(),
        retried: false,
        appointment: None,
    };
    let was_pending = appointment.status == AppointmentStatus::Pending;
    let mut fact = queued.unwrap_or_else(|| fact_of(change, &appointment, status, fingerprint));
    if let Fact::Ended(ended) = fact {
        fact = end(view, context, ended);
    }
    let mut facts = if was_pending {
        with_entry(view, appointment.patient, fact)
    } else {
        Facts::from_iter([fact])
    };
    let ending = ending_of(change.action, status, is_late);
    facts.extend(ending.and_then(|ending| recorded(view, context, &appointment, ending)));
    if let Some(ending) = ending {
        let waiting = cooled(view, context, &appointment, (ending, &facts));
        facts.extend(facts_of(waiting));
    }
    if status == AppointmentStatus::NoShow {
        let struck = strike(view, context, &appointment);
        facts.extend(struck.map(|struck| Fact::Struck(Box::new(struck))));
    }
    facts.extend(late.map(|left| Fact::LeftLate(Box::new(left))));
    match change.action {
        Action::Cancel => {
            facts.extend(owe(view, context, appointment.id));
            follow_end(view, context, &appointment, &mut facts);
        }
        Action::Release | Action::Fulfil | Action::NoShow | Action::Settle => {
            follow_end(view, context, &appointment, &mut facts);
        }
        Action::Book { .. } => {
            follow_booking(view, context, &Made::of(view, &appointment), &mut facts);
        }
        Action::Arrive | Action::CheckIn => {}
    }
    Ok(Decision { facts, receipt, refused: None })
}

/// Decides what a deadline does: nothing, if the hold was booked, released or is not due.
pub fn decide_expiry(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: AppointmentId,
) -> Option<Facts> {
    let hold = view.appointment(appointment)?;
    let due = hold.status == AppointmentStatus::Pending && hold.until <= context.now;
    due.then(|| {
        let kept = recorded(view, context, &hold, Ending::Expired);
        let (patient, claims) = (hold.patient, hold.claims.clone());
        let ended = Ended { request: None, appointment, patient, cause: Cause::Expired, claims };
        let mut facts = with_entry(view, patient, end(view, context, ended));
        let waiting = cooled(view, context, &hold, (Ending::Expired, &facts));
        facts.extend(kept.into_iter().chain(facts_of(waiting)));
        follow_end(view, context, &hold, &mut facts);
        facts
    })
}

/// Whoever may not touch the appointment: another organization's staff, another patient, another
/// channel where the session does not share.
pub(super) fn refuse_stranger(
    (view, context): (&View<'_>, &Context<'_>),
    appointment: &Appointment,
    patient: Option<PatientId>,
    channel: BookingChannel,
    about_places: bool,
) -> Result<(), Refusal> {
    if !context.actor.may_touch(appointment.organization) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    if patient.is_some_and(|patient| view.person(patient) != appointment.patient) {
        return Err(Outcome::AppointmentNotFound.into());
    }
    let by_patient = matches!(context.actor.role, Role::Gateway | Role::Counter);
    let shared = channel == appointment.channel || appointment.sharing == Sharing::Cancel;
    if by_patient && about_places && !shared {
        return Err(Outcome::ChannelNotShared.into());
    }
    Ok(())
}

fn next_status(
    view: &View<'_>,
    context: &Context<'_>,
    change: &Change,
    appointment: &Appointment,
    post: Option<&Post<'_>>,
) -> Result<AppointmentStatus, Refusal> {
    let status = appointment.status;
    let void = status == AppointmentStatus::Pending && appointment.until <= context.now;
    if void && matches!(change.action, Action::Book { .. } | Action::Release) {
        return Err(Refusal::of_status(Outcome::HoldExpired, status));
    }
    let Some(next) = status.after(change.action.event()) else {
        return Err(Refusal::of_status(Outcome::WrongStatus, status));
    };
    if let Some(draw) = appointment.draw() {
        refuse_withdrawal(view, context, draw)?;
    }
    if let Some(post) = post {
        post.check(context.now, change.action, status)?;
    } else if matches!(change.action, Action::NoShow) {
        let begun = appointment.claims.iter().any(|claim| {
            let session = view.session(claim.session);
            session.is_some_and(|session| session.spec().slot_start(claim.slot) <= context.now)
        });
        if !begun {
            return Err(Refusal::of_status(Outcome::TooEarly, status));
        }
    }
    let books = matches!(change.action, Action::Book { .. });
    if books && appointment.is_unnamed() {
        return Err(Refusal::of_status(Outcome::PatientNotNamed, status));
    }
    let is_offer = appointment.is_offer() && books;
    let is_displaced = appointment.is_displaced() && !matches!(change.action, Action::Cancel);
    if is_offer || is_displaced {
        return Err(Refusal::of_status(Outcome::AppointmentDisplaced, status));
    }
    Ok(next)
}

fn fact_of(
    change: &Change,
    appointment: &Appointment,
    status: AppointmentStatus,
    fingerprint: u64,
) -> Fact {
    let Change { request, appointment: id, .. } = *change;
    let patient = appointment.patient;
    if let Some(draw) = appointment.draw() {
        let (request, cause) = (Some((request, fingerprint)), Cause::Released);
        return Fact::EntryEnded(EntryEnded { request, draw, appointment: id, patient, cause });
    }
    // A displaced appointment has nothing left to give back.
    let claims = Claims::from_slice(appointment.places());
    let ended = |cause| {
        let request = Some((request, fingerprint));
        Fact::Ended(Ended { request, appointment: id, patient, cause, claims })
    };
    match change.action {
        Action::Book { payment } => {
            Fact::Booked(Booked { request, fingerprint, appointment: id, payment })
        }
        Action::Release => ended(Cause::Released),
        Action::Cancel => ended(Cause::Cancelled),
        Action::Arrive | Action::CheckIn => {
            Fact::Progressed(Progressed { request, fingerprint, appointment: id, status })
        }
        Action::Fulfil | Action::NoShow | Action::Settle => {
            Fact::Settled(Settled { request, fingerprint, appointment: id, patient, status })
        }
    }
}
