//! Decides a hold: all claims or none.

use super::cooldown::refuse_cooling;
use super::drawing::{decide_entry, pending};
use super::limits::{Asking, refuse_beyond_limits};
use super::naming::{Person, refuse_personal, refuse_unnamed};
use super::payment::{bill_at_once, with_bill};
use super::persons::{Asker, Sought, bind};
use super::pick::{Freed, Picked, Wisher, pick};
use super::places::Terms;
use super::session::SessionState;
use super::subjects::phoned;
use super::view::{Context, Decision, View};
use super::violations::{Made, follow_booking};
use crate::model::{
    AppointmentId, AppointmentStatus, Booked, BookingChannel, Claim, ClaimRequest, Claims,
    Declined, Fact, Facts, Held, Hold, HoldFault, OrganizationId, Outcome, PatientClass, PatientId,
    PaymentRef, PoolIndex, Receipt, Refusal, Repeat, RuleKey, Sharing, SlotIndex, Timestamp, Ttl,
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
    let named = hold.check().map_err(refusal_of)?;
    let (patient, fingerprint) = (view.person(named), hold.fingerprint());
    let repeated = retry(view, hold, named);
    if let Ok(Some(retry)) = repeated {
        return Ok(retry);
    }
    let unnamed = match hold.patient {
        Some(_) => None,
        None => refuse_unnamed(view, context, hold, patient)?,
    };
    repeated?;
    let wanted = Wanted {
        claims: &hold.claims,
        patient,
        channel: hold.channel,
        class: hold.class,
        freed: &[],
        but: &[],
        // An entry of a draw is a person's.
        may_enter: hold.patient.is_some(),
    };
    let granted = grant(view, context, &wanted);
    let subjects = hold.keys.subjects(patient);
    let who = subjects.ledgers(context.rules.asked());
    let person = Person { who, channel: hold.channel, class: hold.class, but: &[] };
    let sessions = || hold.claims.iter().map(|wish| wish.session);
    let asking = Asking { patient, class: hold.class, attributes: hold.attributes, but: &[] };
    // Limits are a patient's.
    let grant = granted.as_ref().ok().filter(|_| hold.patient.is_some());
    let bound = granted.as_ref().map(|grant| bind_holder(view, context, (hold, patient), grant));
    let bound = bound.unwrap_or_else(|_| Ok(Vec::new()));
    let personal = [
        refuse_personal(view, context, &person, sessions()),
        grant.and_then(|grant| refuse_grant_beyond_limits(view, context, &asking, grant)),
        bound.as_ref().err().copied(),
        refuse_cooling(view, context, &subjects, &[], &sessions()),
        unnamed,
    ];
    let personal = personal.into_iter().flatten().min_by_key(|refusal| refusal.outcome);
    let granted = lowest(granted, personal)?;
    let bound = bound?;
    let granted = match granted {
        Grant::Places(granted) => granted,
        Grant::Entry(session, pool) => {
            let mut decision = decide_entry(session, context, hold, (patient, pool))?;
            decision.facts.extend(phoned(context, hold.appointment, hold.keys.phone));
            decision.facts.extend(bound);
            return Ok(decision);
        }
    };

    let kind = bill_at_once(view, context, hold, &granted.claims)?;
    let made = granted.decision(context, hold, patient, fingerprint);
    let mut decision = with_bill(made, context, kind);
    decision.facts.extend(phoned(context, hold.appointment, hold.keys.phone));
    if hold.book.is_some() {
        let Decision { facts, receipt, .. } = &mut decision;
        let (appointment, class, claims) = (hold.appointment, hold.class, &receipt.claims);
        let who = hold.keys.subjects(patient);
        let made = Made { appointment, who, class, claims, but: None };
        follow_booking(view, context, &made, facts);
    }
    decision.facts.extend(bound);
    Ok(decision)
}

/// Whom a hold binds. Where no rule asks, nothing is looked up.
fn bind_holder(
    view: &View<'_>,
    context: &Context<'_>,
    (hold, patient): (&Hold, PatientId),
    grant: &Grant<'_>,
) -> Result<Vec<Fact>, Refusal> {
    if !context.rules.says(RuleKey::Persons) {
        return Ok(Vec::new());
    }
    let asker = Asker {
        patient: hold.patient.map(|_| patient),
        account: hold.keys.account,
        phone: hold.keys.phone,
        class: hold.class,
        attributes: hold.attributes,
    };
    let sought = match grant {
        Grant::Places(granted) => Sought::of_claims(view, &granted.claims),
        Grant::Entry(session, pool) => std::iter::once(Sought::of(session, *pool)).collect(),
    };
    bind(view, context, &asker, sought.into_iter())
}

/// One more appointment may be more than the patient may have. An entry in a draw is one: it counts on
/// the day on which its session begins.
fn refuse_grant_beyond_limits(
    view: &View<'_>,
    context: &Context<'_>,
    asking: &Asking<'_>,
    grant: &Grant<'_>,
) -> Option<Refusal> {
    match grant {
        Grant::Places(granted) => refuse_beyond_limits(view, context, asking, &granted.claims),
        Grant::Entry(session, pool) => {
            let (session, slot) = (session.spec().id, SlotIndex::default());
            let claim = Claim { session, slot, count: 1, pool: *pool };
            refuse_beyond_limits(view, context, asking, &[claim])
        }
    }
}

/// A personal limit counts among the other reasons against a hold.
fn lowest<T>(granted: Result<T, Refusal>, other: Option<Refusal>) -> Result<T, Refusal> {
    match (granted, other) {
        (Err(refusal), Some(other)) if other.outcome < refusal.outcome => Err(other),
        (Ok(_), Some(other)) => Err(other),
        (granted, _) => granted,
    }
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
        let known = is_same(view, hold, patient, print);
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
fn retry(view: &View<'_>, hold: &Hold, patient: PatientId) -> Result<Option<Decision>, Refusal> {
    match view.appointment(hold.appointment) {
        Some(known) if is_same(view, hold, patient, known.fingerprint) => {
            Ok(Some(Decision::retry(&known)))
        }
        None if !view.knows(hold.appointment.request()) => Ok(None),
        Some(_) | None => Err(Outcome::IdReused.into()),
    }
}

/// Whether a hold is the one with that fingerprint, whichever key of the patient it named.
fn is_same(view: &View<'_>, hold: &Hold, patient: PatientId, print: u64) -> bool {
    let named = hold.patient.is_some();
    view.is_same(print, patient, |key| hold.fingerprint_as(named.then_some(key)))
}

/// What is wanted, for whom.
pub(super) struct Wanted<'a> {
    pub(super) claims: &'a [ClaimRequest],
    pub(super) patient: PatientId,
    pub(super) channel: BookingChannel,
    pub(super) class: PatientClass,
    /// Places that come back with the same record.
    pub(super) freed: Freed<'a>,
    /// Appointments that do not count against one for each patient: they leave.
    pub(super) but: &'a [AppointmentId],
    /// Whether a place in a draw is one too: otherwise the draw is waited for.
    pub(super) may_enter: bool,
}

/// What a hold gets.
pub(super) enum Grant<'a> {
    /// Places.
    Places(Granted),
    /// A place in a draw.
    Entry(&'a SessionState, PoolIndex),
}

impl Grant<'_> {
    /// The places, where a place in a draw is none.
    pub(super) fn places(self) -> Result<Granted, Refusal> {
        match self {
            Self::Places(granted) => Ok(granted),
            Self::Entry(..) => Err(Outcome::DrawPending.into()),
        }
    }
}

/// The places that a hold gets, and what its sessions say about it.
pub(super) struct Granted {
    pub(super) claims: Claims,
    pub(super) organization: OrganizationId,
    pub(super) sharing: Sharing,
    ttl_max: Ttl,
}

/// Finds places for every claim. Of several reasons against it, the one with the lowest code counts.
pub(super) fn grant<'a>(
    view: &View<'a>,
    context: &Context<'_>,
    wanted: &Wanted<'_>,
) -> Result<Grant<'a>, Refusal> {
    let Context { now, openings, .. } = *context;
    let Wanted { patient, channel, class, freed, but, .. } = *wanted;
    let wisher = Wisher { now, openings, channel, class };
    let mut refusal: Option<Refusal> = None;
    let mut granted: Option<Granted> = None;
    let mut entry: Option<(&SessionState, PoolIndex)> = None;
    for wish in wanted.claims {
        let found = view
            .session(wish.session)
            .ok_or_else(|| Refusal::from(Outcome::SessionNotFound))
            .and_then(|session| {
                let terms = session.places().terms();
                if !context.actor.may_touch(terms.organization) {
                    return Err(Outcome::OrganizationNotPermitted.into());
                }
                let picked = pick(session, wish, wisher, freed)?;
                let once = terms.repeat == Repeat::OnePerPatient;
                if once && view.has_live_but(patient, wish.session, but) {
                    return Err(Outcome::AlreadyHasAppointment.into());
                }
                Ok((session, terms, picked))
            });
        let found = found.and_then(|(session, terms, picked)| match picked {
            Picked::Place(claim) => Ok(Some((terms, claim))),
            Picked::Entry(pool) if !wanted.may_enter => Err(session
                .draw(pool)
                .map_or_else(|| Outcome::DrawPending.into(), |state| pending(state, context))),
            Picked::Entry(_) if wanted.claims.len() != 1 => Err(Outcome::EntryInvalid.into()),
            Picked::Entry(pool) => {
                entry = Some((session, pool));
                Ok(None)
            }
            Picked::Pending => Err(first_pending(session, context)),
        });
        match found {
            Ok(Some((terms, claim))) => {
                granted.get_or_insert_with(|| Granted::of(terms)).add(terms, claim);
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
    fn of(first: &Terms) -> Self {
        Self {
            claims: Claims::new(),
            organization: first.organization,
            sharing: Sharing::Cancel,
            ttl_max: first.ttl_max,
        }
    }

    fn add(&mut self, terms: &Terms, claim: Claim) {
        self.claims.push(claim);
        self.sharing = self.sharing.min(terms.sharing);
        self.ttl_max = self.ttl_max.min(terms.ttl_max);
    }

    pub(super) fn decision(
        self,
        context: &Context<'_>,
        hold: &Hold,
        patient: PatientId,
        fingerprint: u64,
    ) -> Decision {
        let until = context.now.after(self.ttl_max.min(hold.ttl));
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
            rules: context.rules.version,
            claims: self.claims,
        }));
        if let Some(payment) = hold.book {
            let (request, appointment) = (hold.appointment.request(), hold.appointment);
            facts.push(Fact::Booked(Booked { request, fingerprint, appointment, payment }));
        }
        Decision { facts, receipt, refused: None }
    }
}

fn receipt(now: Timestamp, until: Timestamp, book: Option<PaymentRef>, claims: Claims) -> Receipt {
    let (status, until) = match book {
        Some(_) => (AppointmentStatus::Booked, now),
        None => (AppointmentStatus::Pending, until),
    };
    Receipt { status: Some(status), until, claims, retried: false, appointment: None }
}

pub(super) fn refusal_of(fault: HoldFault) -> Refusal {
    match fault {
        HoldFault::Claims => Outcome::ClaimsInvalid.into(),
        HoldFault::Overlap => Outcome::ClaimsOverlap.into(),
        HoldFault::Patient => Outcome::PatientMissing.into(),
    }
}
