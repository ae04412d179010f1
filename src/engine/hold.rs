//! Decides a hold: all claims or none.

use super::drawing::{decide_entry, pending};
use super::pick::{Picked, Wisher, pick};
use super::places::Terms;
use super::session::SessionState;
use super::view::{Context, Decision, View};
use crate::model::{
    AppointmentStatus, Booked, Claim, Claims, Declined, Fact, Facts, Held, Hold, HoldFault,
    OrganizationId, Outcome, PatientId, PaymentRef, PoolIndex, Receipt, Refusal, Repeat, Sharing,
    Timestamp, Ttl,
};

/// Decides a hold, or a hold that is booked at once.
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_hold(
    view: &View<'_>,
    context: &Context<'_>,
    hold: &Hold,
) -> Result<Decision, Refusal> {
    let patient = hold.check().map_err(refusal_of)?;
    let fingerprint = hold.fingerprint();
    if let Some(retry) = retry(view, hold, fingerprint)? {
        return Ok(retry);
    }
    let granted = match grant(view, context, hold, patient)? {
        Grant::Places(granted) => granted,
        Grant::Entry(session, pool) => {
            return decide_entry(session, context, hold, (patient, pool));
        }
    };

    Ok(granted.decision(context, hold, patient, fingerprint))
}

/// Decides a row of history: a hold that is booked at once, whose refusal is remembered too.
///
/// # Errors
///
/// Only those that say nothing about the row: it was malformed, or its id means something else.
pub fn decide_import(
    view: &View<'_>,
    context: &Context<'_>,
    hold: &Hold,
) -> Result<Result<Decision, (Facts, Outcome)>, Refusal> {
    let patient = hold.check().map_err(refusal_of)?;
    let fingerprint = hold.fingerprint();
    if let Some((print, outcome)) = view.declined(hold.appointment) {
        let known = print == fingerprint;
        return if known {
            Ok(Err((Facts::new(), outcome)))
        } else {
            Err(Outcome::IdReused.into())
        };
    }
    match decide_hold(view, context, hold) {
        Ok(decision) => Ok(Ok(decision)),
        Err(refusal) if refusal.outcome < Outcome::SessionNotFound => Err(refusal),
        Err(Refusal { outcome, .. }) => {
            let appointment = hold.appointment;
            let declined = Declined { appointment, patient, fingerprint, outcome };
            Ok(Err((std::iter::once(Fact::Declined(declined)).collect(), outcome)))
        }
    }
}

/// An id that was seen before: the same request again, or another one that must not use it.
fn retry(view: &View<'_>, hold: &Hold, fingerprint: u64) -> Result<Option<Decision>, Refusal> {
    let taken = view.request(hold.appointment.request()).is_some()
        || view.declined(hold.appointment).is_some();
    match view.appointment(hold.appointment) {
        Some(known) if known.fingerprint == fingerprint => Ok(Some(Decision::retry(&known))),
        Some(_) => Err(Outcome::IdReused.into()),
        None if taken => Err(Outcome::IdReused.into()),
        None => Ok(None),
    }
}

/// What a hold gets.
enum Grant<'a> {
    /// Places.
    Places(Granted),
    /// A place in a draw.
    Entry(&'a SessionState, PoolIndex),
}

/// The places that a hold gets, and what its sessions say about it.
struct Granted {
    claims: Claims,
    organization: OrganizationId,
    sharing: Sharing,
    ttl: Ttl,
}

/// Finds places for every claim. Of several reasons against it, the one with the lowest code counts.
fn grant<'a>(
    view: &View<'a>,
    context: &Context<'_>,
    hold: &Hold,
    patient: PatientId,
) -> Result<Grant<'a>, Refusal> {
    let Context { now, openings, .. } = *context;
    let wisher = Wisher { now, openings, channel: hold.channel, class: hold.class };
    let mut refusal: Option<Refusal> = None;
    let mut granted: Option<Granted> = None;
    let mut entry: Option<(&SessionState, PoolIndex)> = None;
    for wish in &hold.claims {
        let found = view
            .session(wish.session)
            .ok_or_else(|| Refusal::from(Outcome::SessionNotFound))
            .and_then(|session| {
                let terms = session.places().terms();
                if !context.actor.may_touch(terms.organization) {
                    return Err(Outcome::OrganizationNotPermitted.into());
                }
                let picked = pick(session, wish, wisher)?;
                let once = terms.repeat == Repeat::OnePerPatient;
                if once && view.has_live(patient, wish.session) {
                    return Err(Outcome::AlreadyHasAppointment.into());
                }
                Ok((session, terms, picked))
            });
        let found = found.and_then(|(session, terms, picked)| match picked {
            Picked::Place(claim) => Ok(Some((terms, claim))),
            Picked::Entry(_) if hold.claims.len() != 1 => Err(Outcome::EntryInvalid.into()),
            Picked::Entry(pool) => {
                entry = Some((session, pool));
                Ok(None)
            }
            Picked::Pending => Err(first_pending(session, context)),
        });
        match found {
            Ok(Some((terms, claim))) => {
                granted.get_or_insert_with(|| Granted::of(terms, hold.ttl)).add(terms, claim);
            }
            Ok(None) => {}
            Err(next) => {
                let earlier = refusal.filter(|other| other.outcome <= next.outcome);
                refusal = earlier.or(Some(next));
            }
        }
    }
    match (refusal, granted, entry) {
        (None, Some(granted), _) => Ok(Grant::Places(granted)),
        (None, None, Some((session, pool))) => Ok(Grant::Entry(session, pool)),
        (refusal, ..) => Err(refusal.unwrap_or_else(|| Outcome::ClaimsInvalid.into())),
    }
}

/// Until when the draw of a session is pending that comes first.
fn first_pending(session: &SessionState, context: &Context<'_>) -> Refusal {
    let states = session.draws().iter().filter(|state| !state.is_over());
    let next = states.filter(|state| !state.is_collecting(context.openings));
    let first = next.min_by_key(|state| state.next_due());
    first.map_or_else(|| Outcome::DrawPending.into(), |state| pending(state, context))
}

impl Granted {
    fn of(first: &Terms, ttl: Ttl) -> Self {
        let organization = first.organization;
        Self { claims: Claims::new(), organization, sharing: Sharing::Cancel, ttl }
    }

    fn add(&mut self, terms: &Terms, claim: Claim) {
        self.claims.push(claim);
        self.sharing = self.sharing.min(terms.sharing);
        self.ttl = self.ttl.min(terms.ttl_max);
    }

    fn decision(
        self,
        context: &Context<'_>,
        hold: &Hold,
        patient: PatientId,
        fingerprint: u64,
    ) -> Decision {
        let until = context.now.after(self.ttl);
        let claims = Claims::from_slice(&self.claims);
        let receipt = receipt(context.now, until, hold.book, claims);
        let mut facts = Facts::new();
        facts.push(Fact::Held(Held {
            appointment: hold.appointment,
            patient,
            account: hold.keys.account,
            organization: self.organization,
            channel: hold.channel,
            class: hold.class,
            sharing: self.sharing,
            until,
            fingerprint,
            rules: context.rules,
            claims: self.claims,
        }));
        if let Some(payment) = hold.book {
            let (request, appointment) = (hold.appointment.request(), hold.appointment);
            facts.push(Fact::Booked(Booked { request, fingerprint, appointment, payment }));
        }
        Decision { facts, receipt }
    }
}

fn receipt(now: Timestamp, until: Timestamp, book: Option<PaymentRef>, claims: Claims) -> Receipt {
    let (status, until) = match book {
        Some(_) => (AppointmentStatus::Booked, now),
        None => (AppointmentStatus::Pending, until),
    };
    Receipt { status: Some(status), until, claims, retried: false }
}

fn refusal_of(fault: HoldFault) -> Refusal {
    match fault {
        HoldFault::Claims => Outcome::ClaimsInvalid.into(),
        HoldFault::Overlap => Outcome::ClaimsOverlap.into(),
        HoldFault::Patient => Outcome::PatientMissing.into(),
    }
}
