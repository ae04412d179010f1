//! Decides what time does to a session that keeps places for those who wait.
//!
//! ```text
//! 1 reclaim   unused places of a pool to another one, when it says
//! 2 draw      the order of those who joined soon after the first
//! 3 clear     who waits and has no offer, when the waitlist closes: one in a step
//! 4 offer     a returning place to the first whom it suits, in the hours for it: one in a step
//! 5 return    places whose time has come and that suit nobody who waits
//! ```
//!
//! An offer and a clearing need the ledger of the patient, which is locked before the session: a step
//! names the candidate, and is decided again under all the locks.

use super::conduct::{Restrained, refuse_restricted};
use super::cooldown::refuse_cooling;
use super::limits::{Asking, refuse_beyond_limits};
use super::quotas::decide_reclaim;
use super::session::SessionState;
use super::view::{Context, View};
use super::waitlist::Waitlist;
use crate::model::limits::RETURNED_MAX;
use crate::model::{
    AppointmentId, Claim, ClientKeys, Fact, Facts, Held, PatientId, Place, PlaceOffered, Repeat,
    RequestId, Returned, Returning, SessionId, Targets, Timestamp, WaitDrawn, WaitEnd, WaitLeft,
    Waiter, WaitlistRule,
};

/// What is due in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It can happen under the lock of the session alone.
    Happen(Facts),
    /// A place is to be offered to this candidate, if the ledger allows it.
    Offer(Candidate),
    /// This candidate is to be told that the waitlist is closed.
    Clear(Candidate),
    /// There is nothing to do before this, unless something changes.
    Wait(Timestamp),
}

/// Somebody who waits for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The session.
    pub session: SessionId,
    /// The entry.
    pub entry: RequestId,
    /// Whose it is.
    pub patient: PatientId,
}

/// How long somebody who was not eligible is left out of account, in milliseconds.
pub const SKIP_MILLIS: u64 = 10_000;

/// Says what is due in a session.
pub fn next_step(session: &SessionState, now: Timestamp, chance: u64) -> Step {
    let alone = decide_reclaim(session, now).or_else(|| draw(session, now, chance));
    if let Some(facts) = alone {
        return Step::Happen(facts);
    }
    match session.list().zip(session.spec().terms.waitlist.as_deref()) {
        Some((list, rule)) if list.waiters().next().is_some() => tend(session, list, rule, now),
        _ => release(session, now, |_| false),
    }
}

/// Decides an offer to a candidate: `None` where it is not eligible now, and is skipped.
pub fn decide_place_offer(
    view: &View<'_>,
    context: &Context<'_>,
    candidate: Candidate,
    appointment: AppointmentId,
) -> Option<Facts> {
    let Context { now, rules, .. } = *context;
    let session = view.session(candidate.session)?;
    let (list, spec) = (session.list()?, session.spec());
    let rule = spec.terms.waitlist.as_deref().filter(|rule| now < rule.closes_at)?;
    let waits = view.wait(candidate.patient, candidate.entry)?;
    let waiter = list.waiters().find(|waiter| waiter.entry == candidate.entry)?;
    let is_live = spec.repeat == Repeat::OnePerPatient
        && view.has_live_but(candidate.patient, candidate.session, &[]);
    let is_used = view.knows(appointment.request());
    let is_restricted = refuse_restricted(
        view,
        context,
        Restrained { who: &[candidate.patient], but: &[] },
        &Place::of(spec),
        (waiter.channel, waiter.class),
    )
    .is_some();
    let here = std::iter::once(candidate.session);
    let who = ClientKeys::default().subjects(candidate.patient);
    let is_cooling = refuse_cooling(view, context, &who, &[], &here).is_some();
    let is_kept_from = is_restricted || is_cooling;
    if waits.offer.is_some() || is_live || is_used || is_kept_from || list.awaits_draw() {
        return None;
    }
    let place = place_for(session, waiter, now)?;
    let claim = Claim { session: spec.id, slot: place.slot, count: 1, pool: place.pool };
    let (patient, class, attributes) = (candidate.patient, waiter.class, waits.entry.attributes);
    let asking = Asking { patient, class, attributes, but: &[] };
    if refuse_beyond_limits(view, context, &asking, &[claim]).is_some() {
        return None;
    }
    let held = Held {
        appointment,
        patient: waits.entry.patient,
        account: waits.entry.account,
        organization: spec.organization,
        channel: waiter.channel,
        class: waiter.class,
        sharing: spec.sharing,
        until: rule.offer_until(now, spec.slot_start(place.slot)),
        fingerprint: offer_fingerprint(candidate.entry),
        rules: rules.version,
        claims: std::iter::once(claim).collect(),
    };
    let targets = waits.entry.sessions();
    let (entry, back) = (candidate.entry, place.until);
    let offered = PlaceOffered { entry, targets, back, held };
    Some(std::iter::once(Fact::PlaceOffered(Box::new(offered))).collect())
}

/// The id of the appointment that is offered to an entry now. Nobody chooses it but the engine.
pub fn offer_id(entry: RequestId, now: Timestamp) -> AppointmentId {
    AppointmentId(RequestId::from_parts(now, entry.0 ^ u128::from(OFFER)).0)
}

/// The fingerprint of an offer to an entry: no client asked for it.
#[expect(clippy::cast_possible_truncation, reason = "the low half is random enough")]
pub const fn offer_fingerprint(entry: RequestId) -> u64 {
    entry.0 as u64 ^ OFFER
}

/// Decides that a waitlist which has closed lets somebody go: `None` where an offer is pending.
pub fn decide_clear(view: &View<'_>, context: &Context<'_>, candidate: Candidate) -> Option<Facts> {
    let Candidate { session, entry, patient } = candidate;
    let rule = view.session(session)?.spec().terms.waitlist.as_deref()?;
    let waits = view.wait(patient, entry).filter(|waits| waits.offer.is_none())?;
    if context.now < rule.closes_at || !waits.waits_for(session) {
        return None;
    }
    let targets: Targets = std::iter::once(session).collect();
    let patient = waits.entry.patient;
    let left = WaitLeft { request: None, entry, patient, targets, why: WaitEnd::Cleared };
    Some(std::iter::once(Fact::WaitLeft(Box::new(left))).collect())
}

/// The draw, when nobody can join it any more.
fn draw(session: &SessionState, now: Timestamp, seed: u64) -> Option<Facts> {
    let list = session.list()?;
    let is_due = list.awaits_draw() && list.state.drawn_at <= now;
    let drawn = WaitDrawn { session: session.spec().id, seed };
    is_due.then(|| std::iter::once(Fact::WaitDrawn(drawn)).collect())
}

/// What is due where somebody waits.
fn tend(session: &SessionState, list: &Waitlist, rule: &WaitlistRule, now: Timestamp) -> Step {
    let candidate = |waiter: &Waiter| {
        let (entry, patient) = (waiter.entry, waiter.patient);
        Candidate { session: session.spec().id, entry, patient }
    };
    if rule.closes_at <= now
        && let Some(waiter) = list.waiters().next()
    {
        return Step::Clear(candidate(waiter));
    }
    let mut open = list.open();
    let skipped = open.iter().map(|waiter| list.skipped_until(waiter.entry));
    let eligible_again = skipped.filter(|until| now < *until).min();
    open.retain(|waiter| list.skipped_until(waiter.entry) <= now);
    let quiet = if list.awaits_draw() {
        Some(list.state.drawn_at)
    } else {
        rule.quiet_for(now).map(|millis| now.plus_millis(millis))
    };
    if quiet.is_none()
        && let Some(first) = open.iter().find(|waiter| place_for(session, waiter, now).is_some())
    {
        return Step::Offer(candidate(first));
    }
    let suits = |place: &Returning| {
        open.iter().any(|waiter| session.suits((place.slot, place.pool), waiter, now))
    };
    match release(session, now, suits) {
        Step::Wait(until) => {
            let others = [quiet, eligible_again].into_iter().flatten();
            Step::Wait(others.chain([until, rule.closes_at]).min().unwrap_or(until))
        }
        step @ (Step::Happen(_) | Step::Offer(_) | Step::Clear(_)) => step,
    }
}

/// Gives back the places whose time has come, but those that are kept.
fn release(session: &SessionState, now: Timestamp, keep: impl Fn(&Returning) -> bool) -> Step {
    let due = session.returning().iter().take_while(|place| place.until <= now);
    let places: Vec<_> = due.filter(|place| !keep(place)).take(RETURNED_MAX).copied().collect();
    if places.is_empty() {
        let mut later = session.returning().iter().map(|place| place.until);
        return Step::Wait(later.find(|until| now < *until).unwrap_or(Timestamp::MAX));
    }
    let returned = Returned { session: session.spec().id, places };
    Step::Happen(std::iter::once(Fact::Returned(Box::new(returned))).collect())
}

/// The place that somebody who waits would get: the earliest slot that suits, and of its places the
/// one that would be free first.
fn place_for(session: &SessionState, waiter: &Waiter, now: Timestamp) -> Option<Returning> {
    let suits = |place: &&Returning| session.suits((place.slot, place.pool), waiter, now);
    let places = session.returning().iter().filter(suits);
    places.min_by_key(|place| (place.slot, place.until, place.pool)).copied()
}

/// Makes the id and the fingerprint of an offer out of the id of its entry.
const OFFER: u64 = 0x0ffe_70ff_e70f_fe70;
