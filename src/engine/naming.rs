//! Decides whose a hold is: an account's at first, where a rule lets it be, then a patient's.
//!
//! ```text
//! hold without a patient   a rule says "account" everywhere, and it has fewer than the limit
//!                          ledger line of the account's holder
//! name_patient             every personal limit of a hold      line of the patient instead
//! ```
//!
//! **Architecture invariant:** a place that is held for nobody in particular is booked by nobody: its
//! patient is named first, under the same limits as for a hold.

use std::cmp::Reverse;

use arrayvec::ArrayVec;

use super::change::refuse_stranger;
use super::conduct::{Restrained, refuse_restricted};
use super::cooldown::refuse_cooling;
use super::limits::{Asking, refuse_beyond_limits};
use super::persons::{Asker, Sought, bind};
use super::subjects::phoned;
use super::view::{Context, Decision, View};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, BookingChannel, Claim, Claims, ClientKeys, Fact,
    Hold, Holder, NamePatient, Outcome, PatientClass, PatientId, PatientNamed, Place, Receipt,
    Refusal, Repeat, RuleKey, RuleWhy, SessionId,
};

/// Somebody for whom places are held, as far as rules ask.
pub(super) struct Person<'a> {
    /// The ledgers of the patient, the account and the telephone, as far as rules ask for them.
    pub(super) who: ArrayVec<PatientId, 3>,
    pub(super) channel: BookingChannel,
    pub(super) class: PatientClass,
    /// Appointments that are given up for it.
    pub(super) but: &'a [AppointmentId],
}

/// Why a person may have no place in sessions, whatever is free there: the reason with the lowest
/// code. Holds, bookings of late payments and namings ask the same.
pub(super) fn refuse_personal(
    view: &View<'_>,
    context: &Context<'_>,
    person: &Person<'_>,
    sessions: impl Iterator<Item = SessionId>,
) -> Option<Refusal> {
    if person.who.iter().all(|key| view.restrictions(*key).is_empty()) {
        return None;
    }
    let places = sessions.filter_map(|session| view.session(session));
    let refused = places.filter_map(|session| {
        let place = Place::of(session.spec());
        let asking = Restrained { who: &person.who, but: person.but };
        refuse_restricted(view, context, asking, &place, (person.channel, person.class))
    });
    let order = |why: RuleWhy| (Reverse(why.fewer()), why.until);
    refused.max_by_key(|refusal| refusal.why.map(order))
}

/// Why an account may not have a hold without naming the patient.
///
/// # Errors
///
/// [`Outcome::PatientMissing`] where a session's rule does not let it, and [`Outcome::AccountLimit`].
pub(super) fn refuse_unnamed(
    view: &View<'_>,
    context: &Context<'_>,
    hold: &Hold,
    holder: PatientId,
) -> Result<Option<Refusal>, Refusal> {
    let mut least: Option<(u8, u8)> = None;
    for wish in &hold.claims {
        let Some(session) = view.session(wish.session) else { continue };
        let said = context.rules.nearest(
            &Place::of(session.spec()),
            |when| when.holds(hold.class, hold.attributes),
            |layer| layer.holder.as_ref(),
        );
        let Some((layer, rule)) = said else { return Err(Outcome::PatientMissing.into()) };
        if rule.by != Holder::Account {
            let why = context.why(RuleKey::Holder, layer);
            return Err(Refusal::by_rule(Outcome::PatientMissing, context.now, why));
        }
        if least.is_none_or(|(limit, _)| rule.limit < limit) {
            least = Some((rule.limit, layer));
        }
    }
    let holds = view.ledger(holder).map_or(0, |ledger| ledger.live(holder).len());
    let full = least.filter(|(limit, _)| usize::from(*limit) <= holds);
    Ok(full.map(|(limit, layer)| {
        let count = u16::try_from(holds).unwrap_or(u16::MAX);
        let why = context.why(RuleKey::Holder, layer);
        let why = RuleWhy { count, limit: limit.into(), ..why };
        Refusal::by_rule(Outcome::AccountLimit, context.now, why)
    }))
}

/// Decides whose an account's hold is from now on (选择就诊人).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply, after those of a stranger. Nothing happens
/// then.
pub fn decide_name(
    view: &View<'_>,
    context: &Context<'_>,
    name: &NamePatient,
) -> Result<Decision, Refusal> {
    let fingerprint = name.fingerprint();
    let known = view.appointment(name.appointment);
    let earlier = view.request(name.request);
    if let (Some(print), Some(appointment)) = (earlier, &known)
        && view.is_same(print, name.patient, |key| name.fingerprint_as(key))
    {
        return Ok(Decision::retry(appointment));
    }
    if view.knows(name.request) {
        return Err(Outcome::IdReused.into());
    }
    let Some(appointment) = known else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    refuse_stranger((view, context), &appointment, None, name.channel, true)?;
    let Some(account) = name.keys.account.filter(|account| appointment.account == Some(*account))
    else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    let patient = view.person(name.patient);
    if account.holder() == patient {
        return Err(Outcome::PatientMissing.into());
    }
    let known = view.phone(appointment.id);
    let asker = Asker {
        patient: Some(patient),
        account: Some(account),
        phone: name.keys.phone.or(known),
        class: name.class,
        attributes: name.attributes,
    };
    let sought = Sought::of_claims(view, &appointment.claims);
    let bound = bind(view, context, &asker, sought.into_iter());
    let beyond = bound.as_ref().err().copied();
    refuse_naming(view, context, (name, patient, beyond), &appointment)?;

    let receipt = Receipt {
        status: Some(appointment.status),
        until: appointment.until,
        claims: Claims::from_slice(&appointment.claims),
        retried: false,
        appointment: None,
    };
    let fact = Fact::PatientNamed(Box::new(PatientNamed {
        request: name.request,
        fingerprint,
        appointment: appointment.id,
        account,
        patient,
        class: name.class,
        claims: appointment.claims,
    }));
    let phone = name.keys.phone.filter(|_| known.is_none());
    let phoned = phoned(context, appointment.id, phone);
    let facts = std::iter::once(fact).chain(phoned).chain(bound?).collect();
    Ok(Decision { facts, receipt, refused: None })
}

/// The refusal with the lowest code of those that apply to the patient and to the hold.
fn refuse_naming(
    view: &View<'_>,
    context: &Context<'_>,
    (name, patient, beyond): (&NamePatient, PatientId, Option<Refusal>),
    appointment: &Appointment,
) -> Result<(), Refusal> {
    let status = appointment.status;
    let claims = appointment.claims.as_slice();
    let admits = claims.iter().all(|claim| admits(view, claim, appointment.channel, name.class));
    let has_live = claims.iter().any(|claim| {
        let once = view.session(claim.session);
        let once = once.is_some_and(|it| it.spec().repeat == Repeat::OnePerPatient);
        once && view.has_live_but(patient, claim.session, &[])
    });
    // Through the channel that took the place, as if its patient had been named then.
    let phone = name.keys.phone.or_else(|| view.phone(appointment.id));
    let keys = ClientKeys { phone, ..name.keys };
    let subjects = keys.subjects(patient);
    let who = subjects.ledgers(context.rules.asked());
    let person = Person { who, channel: appointment.channel, class: name.class, but: &[] };
    let sessions = || claims.iter().map(|claim| claim.session);
    let personal = refuse_personal(view, context, &person, sessions());
    let asking = Asking { patient, class: name.class, attributes: name.attributes, but: &[] };
    let is_over = appointment.until <= context.now;
    let of_status = |outcome, applies: bool| applies.then(|| Refusal::of_status(outcome, status));
    let is_pending = status == AppointmentStatus::Pending;
    let reasons = [
        (!admits).then(|| Outcome::PoolNotFound.into()),
        has_live.then(|| Outcome::AlreadyHasAppointment.into()),
        personal,
        refuse_beyond_limits(view, context, &asking, claims),
        refuse_cooling(view, context, &subjects, &[], &sessions()),
        beyond,
        of_status(Outcome::HoldExpired, is_pending && is_over),
        of_status(Outcome::WrongStatus, !is_pending),
        of_status(Outcome::PatientNamed, !appointment.is_unnamed()),
    ];
    let lowest = reasons.into_iter().flatten().min_by_key(|refusal| refusal.outcome);
    lowest.map_or(Ok(()), Err)
}

/// Whether the pool of a claim is for such a patient.
fn admits(view: &View<'_>, claim: &Claim, channel: BookingChannel, class: PatientClass) -> bool {
    let pool = |spec: &crate::model::Session| {
        spec.pools.get(usize::from(claim.pool.0)).is_none_or(|pool| pool.admits(channel, class))
    };
    view.session(claim.session).is_none_or(|session| pool(session.spec()))
}
