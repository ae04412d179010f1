//! Decides what a practitioner's absence does: blocks, substitutes, places added for one patient, and
//! what becomes of the appointments that a block reaches.
//!
//! **Architecture invariant:** a displaced appointment stays live until it is moved or cancelled.
//! Nothing here ends what was booked.

use super::pick::{Wisher, find};
use super::session::SessionState;
use super::subjects::phoned;
use super::view::{Context, Decision, View};
use super::waitlist::with_entry;
use crate::model::limits::ADDED_PLACES_MAX;
use crate::model::{
    AddPlace, Appointment, AppointmentId, AppointmentStatus, BlockSession, Cause, Claim,
    ClaimRequest, Claims, Displaced, Ended, Fact, Facts, Held, Offered, Outcome, PlaceAdded,
    Receipt, Refusal, Repeat, SessionBlocked, Substitute, Substituted, Ttl,
};

/// Decides a block of slots, or that they open again (停诊).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_block(
    view: &View<'_>,
    context: &Context<'_>,
    block: &BlockSession,
) -> Result<Decision, Refusal> {
    let fingerprint = block.fingerprint();
    let (request, id) = (block.request, block.session);
    if let Some(retry) = view.repeated(context.now, request, fingerprint)? {
        return Ok(retry);
    }
    let session = view.permitted(context, id)?;
    let end = usize::from(block.first.0).saturating_add(block.count.into());
    if block.count == 0 || session.spec().slot_count() < end {
        return Err(Outcome::SlotNotFound.into());
    }
    let fact = SessionBlocked { fingerprint, block: *block };
    Ok(Decision::done(context.now, Fact::SessionBlocked(Box::new(fact))))
}

/// Decides that another resource takes over a session (替诊).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_substitute(
    view: &View<'_>,
    context: &Context<'_>,
    substitute: &Substitute,
) -> Result<Decision, Refusal> {
    let fingerprint = substitute.fingerprint();
    if let Some(retry) = view.repeated(context.now, substitute.request, fingerprint)? {
        return Ok(retry);
    }
    let from = view.permitted(context, substitute.session)?.spec().resource;
    let fact = Substituted { fingerprint, from, substitute: *substitute };
    Ok(Decision::done(context.now, Fact::Substituted(Box::new(fact))))
}

/// Decides a place that is added for one patient (加号).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_add(
    view: &View<'_>,
    context: &Context<'_>,
    add: &AddPlace,
) -> Result<Decision, Refusal> {
    let fingerprint = add.fingerprint();
    match view.appointment(add.appointment) {
        Some(known)
            if view.is_same(known.fingerprint, add.patient, |key| add.fingerprint_as(key)) =>
        {
            return Ok(Decision::retry(&known));
        }
        None if !view.knows(add.appointment.request()) => {}
        Some(_) | None => return Err(Outcome::IdReused.into()),
    }
    let session = view.permitted(context, add.session)?;
    let spec = session.spec();
    if spec.slot_count() <= usize::from(add.slot.0) {
        return Err(Outcome::SlotNotFound.into());
    }
    if spec.slot_end(add.slot) <= context.now {
        return Err(Outcome::SlotInPast.into());
    }
    if session.is_blocked(add.slot) {
        return Err(Outcome::SessionBlocked.into());
    }
    let once = spec.repeat == Repeat::OnePerPatient;
    if once && view.has_live_but(add.patient, add.session, &[]) {
        return Err(Outcome::AlreadyHasAppointment.into());
    }
    if session.alterations().is_some_and(|all| ADDED_PLACES_MAX <= all.added_sum()) {
        return Err(Outcome::TooManyAdded.into());
    }

    let claims: Claims = std::iter::once(add.claim()).collect();
    let receipt = Receipt {
        status: Some(AppointmentStatus::Booked),
        until: context.now,
        claims: claims.clone(),
        retried: false,
        appointment: None,
    };
    let fact = PlaceAdded {
        appointment: add.appointment,
        patient: view.person(add.patient),
        organization: spec.organization,
        channel: add.channel,
        class: add.class,
        sharing: spec.sharing,
        fingerprint,
        rules: context.rules.version,
        payment: add.payment,
        reason: add.reason,
        by: add.by,
        claims,
    };
    let facts = std::iter::once(Fact::PlaceAdded(Box::new(fact))).collect();
    Ok(Decision { facts, receipt, refused: None })
}

/// Decides what a block does to an appointment: what is held ends, what is booked is displaced.
/// `None` where it has no place that is blocked.
pub fn decide_displace(view: &View<'_>, id: AppointmentId) -> Option<Facts> {
    let appointment = view.appointment(id).filter(|appointment| appointment.status.is_live())?;
    let blocked = appointment.places().iter().find_map(|claim| {
        let session = view.session(claim.session)?;
        Some((claim.session, session.reason_of_block(claim)?))
    });
    let (session, reason) = blocked?;
    let Appointment { status, patient, claims, .. } = appointment;
    let fact = if status == AppointmentStatus::Pending {
        let cause = Cause::Displaced;
        Fact::Ended(Ended { request: None, appointment: id, patient, cause, claims })
    } else {
        Fact::Displaced(Box::new(Displaced { appointment: id, patient, session, reason, claims }))
    };
    Some(with_entry(view, patient, fact))
}

/// Decides an offer of a place to a displaced appointment. `None` where its session makes none, one
/// was made before, or the place is none that it can have.
pub fn decide_offer(
    view: &View<'_>,
    context: &Context<'_>,
    id: AppointmentId,
    wish: &ClaimRequest,
) -> Option<Facts> {
    let displaced = view.appointment(id)?;
    let offer = displaced.offer_id()?;
    let [lost] = displaced.claims.as_slice() else { return None };
    let ttl = offers(view.session(lost.session)?, lost)?;
    if view.knows(offer.request()) {
        return None;
    }
    let session = view.session(wish.session)?;
    let Context { now, openings, .. } = *context;
    let Appointment { patient, channel, class, .. } = displaced;
    let wisher = Wisher { now, openings, channel, class };
    // The hours of service bind who asks, and nobody asked.
    let claim = find(session.places(), wish, wisher, &[]).ok()?;
    let spec = session.spec();
    let once = spec.repeat == Repeat::OnePerPatient;
    if once && view.has_live_but(patient, wish.session, &[id]) {
        return None;
    }
    let until = now.after(ttl).min(spec.slot_start(claim.slot));
    let held = Held {
        appointment: offer,
        patient,
        account: displaced.account,
        organization: spec.organization,
        channel,
        class,
        sharing: spec.sharing,
        until,
        fingerprint: displaced.fingerprint,
        rules: context.rules.version,
        claims: std::iter::once(claim).collect(),
    };
    let fact = Fact::Offered(Box::new(Offered { displaced: id, held }));
    let phoned = phoned(context, offer, view.phone(id));
    (now < until).then(|| std::iter::once(fact).chain(phoned).collect())
}

/// How long a place stands that is offered instead of one of a session; `None` where none is.
pub fn offers(session: &SessionState, lost: &Claim) -> Option<Ttl> {
    session.spec().terms.displaced_offer.filter(|_| session.spec().id == lost.session)
}
