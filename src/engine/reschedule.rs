//! Decides a move: an appointment takes new places and frees its old ones, or nothing.
//!
//! ```text
//! appointment   id, status, deadline, payment stay
//!   from  S1 slot 3  --back-->  free, when the session lets it; free at once for this request
//!   to    S2 slot 7  <--take--  free      every rule of a hold holds
//! ```

use super::cancelling::leave;
use super::change::refuse_stranger;
use super::conduct::{Restrained, refuse_one_more};
use super::cooldown::refuse_cooling;
use super::hold::{Grant, Granted, Wanted, grant, refusal_of};
use super::limits::{Asking, refuse_beyond_limits};
use super::returns::back_of;
use super::view::{Context, Decision, View};
use crate::model::{
    Appointment, AppointmentStatus, Attributes, Cause, Claims, Ended, Fact, Facts, LeftLate,
    Outcome, Place, Receipt, Refusal, Reschedule, Rescheduled, Role, SessionId, Timestamp,
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
    if view.knows(ask.request) {
        return Err(Outcome::IdReused.into());
    }
    let Some(appointment) = known else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    refuse_stranger((view, context), &appointment, ask.patient, ask.channel, true)?;
    let leaving = Leaving::of(view, context.now, &appointment);
    if ask.sessions(&leaving.freed).is_none() {
        return Err(Outcome::ClaimsInvalid.into());
    }
    let offer = leaving.offer.as_ref().map(|offer| offer.id);
    let but = [appointment.id, offer.unwrap_or(appointment.id)];
    let wanted = Wanted {
        claims: &ask.claims,
        patient: appointment.patient,
        channel: ask.channel,
        class: appointment.class,
        freed: &leaving.freed,
        but: &but,
        may_enter: false,
    };
    let granted = grant(view, context, &wanted).and_then(Grant::places);
    let late = leave(view, context, &appointment, ask.channel);
    let leaving_late = || late.as_ref().err().copied();
    let refused = refuse_leaving(view, context, &appointment).or_else(leaving_late);
    let granted = match (granted, refused) {
        (Ok(granted), None) => granted,
        (Err(refusal), None) | (Ok(_), Some(refusal)) => return Err(refusal),
        (Err(one), Some(other)) => {
            return Err(if one.outcome <= other.outcome { one } else { other });
        }
    };

    let asking = Asking {
        patient: appointment.patient,
        class: appointment.class,
        attributes: Attributes::default(),
        but: &but,
    };
    let beyond = || refuse_beyond_limits(view, context, &asking, &granted.claims);
    let entering = || refuse_entering(view, context, ask, &appointment);
    let more = refuse_more(view, context, &asking, (ask, &appointment));
    if let Some(refusal) = more.or_else(beyond).or_else(entering) {
        return Err(refusal);
    }
    let late = late.ok().flatten();
    Ok(moved(view, (context, ask), &appointment, (leaving, late), granted))
}

/// What an appointment gives back when it moves.
#[derive(Clone, Debug, Default)]
pub struct Leaving {
    /// The places: its own, or those of the offer that it had instead. Who may not move gives back
    /// nothing.
    pub freed: Claims,
    /// The hold that was offered to it.
    offer: Option<Appointment>,
}

impl Leaving {
    /// What an appointment gives back, as far as a view shows it: an offer lies in a home of its own.
    pub fn of(view: &View<'_>, now: Timestamp, appointment: &Appointment) -> Self {
        if !may_move(appointment) {
            return Self::default();
        }
        let offer = appointment.offer_id().and_then(|id| view.appointment(id));
        let offer = offer.filter(|offer| {
            offer.is_offer() && offer.patient == appointment.patient && now < offer.until
        });
        let from = offer.as_ref().unwrap_or(appointment);
        Self { freed: Claims::from_slice(from.places()), offer }
    }
}

fn may_move(appointment: &Appointment) -> bool {
    let is_ahead =
        matches!(appointment.status, AppointmentStatus::Pending | AppointmentStatus::Booked);
    is_ahead && !appointment.is_offer()
}

/// Who may have fewer appointments somewhere for now does not come to more by a move. What was displaced
/// may always move.
fn refuse_more(
    view: &View<'_>,
    context: &Context<'_>,
    asking: &Asking<'_>,
    (ask, appointment): (&Reschedule, &Appointment),
) -> Option<Refusal> {
    let who = [asking.patient];
    if appointment.is_displaced() || view.restrictions(asking.patient).is_empty() {
        return None;
    }
    let places = |sessions: &mut dyn Iterator<Item = SessionId>| -> Vec<Place> {
        sessions.filter_map(|id| view.stay(context, id)).map(|stay| stay.place).collect()
    };
    let from = places(&mut appointment.places().iter().map(|claim| claim.session));
    let to = places(&mut ask.claims.iter().map(|wish| wish.session));
    let restrained = Restrained { who: &who, but: asking.but };
    refuse_one_more(view, context, restrained, &from, (&to, asking.class))
}

/// Who waits before the next place somewhere takes none there by a move either. What was displaced may
/// always move.
fn refuse_entering(
    view: &View<'_>,
    context: &Context<'_>,
    ask: &Reschedule,
    appointment: &Appointment,
) -> Option<Refusal> {
    if appointment.is_displaced() {
        return None;
    }
    let left = appointment.places().iter().filter_map(|claim| view.stay(context, claim.session));
    let from: Vec<Place> = left.map(|stay| stay.place).collect();
    let sessions = ask.claims.iter().map(|wish| wish.session);
    let who = view.subjects(appointment);
    refuse_cooling(view, context, &who, &from, &sessions)
}

/// Why an appointment stays where it is, whatever is wanted. What was displaced may always move.
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
    if !may_move(appointment) || view.offered(appointment.patient, appointment.id).is_some() {
        refusals[1] = Some(Outcome::WrongStatus);
    }
    let left = || {
        let claims = appointment.places().iter().filter(|_| may_move(appointment));
        claims.filter_map(|claim| Some((claim, view.session(claim.session)?)))
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
    (context, ask): (&Context<'_>, &Reschedule),
    appointment: &Appointment,
    (leaving, late): (Leaving, Option<LeftLate>),
    granted: Granted,
) -> Decision {
    let now = context.now;
    let is_displaced = appointment.is_displaced();
    let receipt = Receipt {
        status: Some(appointment.status),
        until: if is_displaced { now } else { appointment.until },
        claims: Claims::from_slice(&granted.claims),
        retried: false,
        appointment: None,
    };
    let mut facts = Facts::new();
    facts.extend(leaving.offer.map(|offer| {
        let Appointment { id, patient, claims, .. } = offer;
        let cause = Cause::Released;
        Fact::Ended(Ended { request: None, appointment: id, patient, cause, claims })
    }));
    // It is not the patient's wish where the places were lost.
    let changes = view.changes(appointment.id).saturating_add(u8::from(!is_displaced));
    facts.push(Fact::Rescheduled(Box::new(Rescheduled {
        request: ask.request,
        fingerprint: ask.fingerprint(),
        appointment: appointment.id,
        patient: appointment.patient,
        organization: granted.organization,
        sharing: granted.sharing,
        changes,
        back: back_of(view, context, appointment.places(), &granted.claims),
        from: Claims::from_slice(appointment.places()),
        to: granted.claims,
    })));
    facts.extend(late.map(|left| Fact::LeftLate(Box::new(left))));
    Decision { facts, receipt, refused: None }
}
