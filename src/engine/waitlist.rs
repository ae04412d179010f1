//! Decides who joins and leaves the waitlists of sessions, and keeps a session's references to them.
//!
//! ```text
//! join    every target full for the patient, none waited for, none closed     else nothing
//!         or an opening's draw had no place for them, and there is room
//! leave   all targets of the entry, unless it has an offer
//! ```

use std::collections::BTreeMap;

use super::conduct::{Restrained, lowered_by, refuse_restricted};
use super::cooldown::refuse_cooling;
use super::persons::{Asker, Sought, bind};
use super::session::SessionState;
use super::view::{Context, Decision, View};
use super::wait_limits::{Joining, refuse_beyond_waits};
use crate::model::limits::PATIENT_ENTRIES_MAX;
use crate::model::{
    Appointment, Attributes, Cause, ClientKeys, DrawChoice, Ended, Fact, Facts, JoinWaitlist,
    LeaveWaitlist, Outcome, PatientId, Place, PlaceOffered, PoolIndex, Refusal, Repeat, RequestId,
    SessionId, SlotIndex, Timestamp, WaitDrawn, WaitEnd, WaitEntry, WaitJoined, WaitLeft,
    WaitOrder, WaitState, WaitTarget, Waiter, WaitlistRule,
};

/// Decides whether a patient joins waitlists (加入候补).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply, over all targets. Nothing happens then.
pub fn decide_join(
    view: &View<'_>,
    context: &Context<'_>,
    join: &JoinWaitlist,
) -> Result<Decision, Refusal> {
    join.check()?;
    let fingerprint = join.fingerprint();
    let is_same = |print| view.is_same(print, join.patient, |key| join.fingerprint_as(key));
    if let Some(retry) = view.repeated_by(context.now, join.request, is_same)? {
        return Ok(retry);
    }
    let mut refusal: Option<Refusal> = None;
    let mut targets = arrayvec::ArrayVec::new();
    for session in &join.targets {
        match target(view, context, join, *session) {
            Ok(target) => targets.push(target),
            Err(next) => {
                let is_lower = |known: &Refusal| known.outcome <= next.outcome;
                refusal = refusal.filter(is_lower).or(Some(next));
            }
        }
    }
    let JoinWaitlist { class, attributes, .. } = *join;
    let joining = Joining { patient: join.patient, class, attributes };
    if let Some(limited) = refuse_beyond_waits(view, context, &joining, &join.targets) {
        refusal = refusal.filter(|known| known.outcome <= limited.outcome).or(Some(limited));
    }
    if PATIENT_ENTRIES_MAX <= view.waits(join.patient).len() {
        refusal = refusal.or_else(|| Some(Outcome::WaitlistFull.into()));
    }
    let (patient, account) = (Some(view.person(join.patient)), join.account);
    let asker = Asker { patient, account, phone: None, class, attributes };
    let sessions = join.targets.iter().filter_map(|id| view.session(*id));
    let sought = sessions
        .map(|session| Sought { place: Place::of(session.spec()), opens: Timestamp::default() });
    let bound = bind(view, context, &asker, sought);
    let beyond = bound.as_ref().err().copied();
    let refusals = refusal.into_iter().chain(beyond);
    if let Some(refusal) = refusals.min_by_key(|refusal| refusal.outcome) {
        return Err(refusal);
    }

    let JoinWaitlist { request, account, channel, earliest, latest, .. } = *join;
    let patient = view.person(join.patient);
    let joined = context.now;
    let entry = WaitEntry {
        entry: request,
        patient,
        account,
        channel,
        class,
        attributes,
        joined,
        earliest,
        latest,
        targets,
    };
    let targets = entry.sessions();
    let fingerprint = Some(fingerprint);
    let fact = WaitJoined { fingerprint, entry, targets };
    let mut decision = Decision::done(context.now, Fact::WaitJoined(Box::new(fact)));
    decision.facts.extend(bound?);
    Ok(decision)
}

/// Decides whether an entry leaves its waitlists (退出候补).
///
/// # Errors
///
/// As [`decide_join`].
pub fn decide_leave(
    view: &View<'_>,
    context: &Context<'_>,
    leave: &LeaveWaitlist,
) -> Result<Decision, Refusal> {
    let fingerprint = leave.fingerprint();
    let is_same = |print| view.is_same(print, leave.patient, |key| leave.fingerprint_as(key));
    if let Some(retry) = view.repeated_by(context.now, leave.request, is_same)? {
        return Ok(retry);
    }
    let LeaveWaitlist { request, entry, .. } = *leave;
    let patient = view.person(leave.patient);
    let Some(waits) = view.wait(patient, entry) else { return Err(Outcome::NotWaiting.into()) };
    let targets = waits.entry.sessions();
    let may = |id: &SessionId| {
        let session = view.session(*id);
        session.is_none_or(|session| context.actor.may_touch(session.spec().organization))
    };
    if !targets.iter().all(may) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    if waits.offer.is_some() {
        return Err(Outcome::NotWaiting.into());
    }
    let (request, why) = (Some((request, fingerprint)), WaitEnd::Left);
    let left = WaitLeft { request, entry, patient, targets, why };
    Ok(Decision::done(context.now, Fact::WaitLeft(Box::new(left))))
}

/// Adds to the booking or the end of a hold what it does to an entry, where the hold was an offer: the
/// end of an offer is the end of its entry.
pub(super) fn with_entry(view: &View<'_>, patient: PatientId, fact: Fact) -> Facts {
    let why = match fact.ended() {
        Some(Ended { request: Some(_), .. }) => WaitEnd::Declined,
        Some(Ended { cause: Cause::Displaced, .. }) => WaitEnd::Blocked,
        Some(_) => WaitEnd::Lapsed,
        None => WaitEnd::Accepted,
    };
    let left = fact.appointment().and_then(|id| view.offered(patient, id)).map(|waits| WaitLeft {
        request: None,
        entry: waits.entry.entry,
        patient: waits.entry.patient,
        targets: waits.entry.sessions(),
        why,
    });
    std::iter::once(fact).chain(left.map(|left| Fact::WaitLeft(Box::new(left)))).collect()
}

/// What the entry is in one of its targets, or why it cannot be.
fn target(
    view: &View<'_>,
    context: &Context<'_>,
    join: &JoinWaitlist,
    id: SessionId,
) -> Result<WaitTarget, Refusal> {
    let session = view.session(id).ok_or(Outcome::SessionNotFound)?;
    let spec = session.spec();
    if !context.actor.may_touch(spec.organization) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    let will_do =
        |slot: &SlotIndex| (join.earliest..=join.latest).contains(&spec.slot_start(*slot));
    if !session.slots().any(|slot| will_do(&slot)) {
        return Err(Outcome::SlotNotFound.into());
    }
    if session.places().admitted(join.channel, join.class).next().is_none() {
        return Err(Outcome::PoolNotFound.into());
    }
    if spec.repeat == Repeat::OnePerPatient && view.has_live_but(join.patient, id, &[]) {
        return Err(Outcome::AlreadyHasAppointment.into());
    }
    let place = Place::of(spec);
    let as_whom = (join.channel, join.class);
    let keys = ClientKeys { account: join.account, ..ClientKeys::default() };
    let subjects = keys.subjects(join.patient);
    let who = subjects.ledgers(context.rules.asked());
    let asking = Restrained { who: &who, but: &[] };
    if let Some(refusal) = refuse_restricted(view, context, asking, &place, as_whom) {
        return Err(refusal);
    }
    let here = std::iter::once(id);
    if let Some(refusal) = refuse_cooling(view, context, &subjects, &[], &here) {
        return Err(refusal);
    }
    let is_free = |slot: SlotIndex| {
        session.can_be_booked(slot, context.now)
            && session
                .places()
                .admitted(join.channel, join.class)
                .any(|pool| 0 < session.free(slot, pool))
    };
    if session.slots().filter(will_do).any(is_free) {
        return Err(Outcome::NotFull.into());
    }
    if view.waits(join.patient).iter().any(|waits| waits.waits_for(id)) {
        return Err(Outcome::AlreadyWaiting.into());
    }
    let Some(rule) = spec.terms.waitlist.as_deref().filter(|rule| context.now < rule.closes_at)
    else {
        return Err(Outcome::WaitlistClosed.into());
    };
    let (state, unheard) = (session.waitlist(), WaitState::default());
    let state = state.unwrap_or(&unheard);
    if usize::from(rule.entries_max) <= state.waiters.len() {
        return Err(Outcome::WaitlistFull.into());
    }
    let drawn_at = draw_of(rule, state, context.now);
    let is_drawn = drawn_at != Timestamp::default();
    let order = if is_drawn { WaitOrder::Draw } else { WaitOrder::Time };
    let priority = rule.priority_of(join.class).saturating_add(lowered_by(
        view,
        context.now,
        join.patient,
        &place,
    ));
    Ok(WaitTarget { session: id, priority, order, drawn_at })
}

/// What becomes of who had no place in the draw of an opening: the waitlist, where the session keeps one
/// that is open and has room. Entries come here in drawn order, and wait in it.
pub(super) fn join_undrawn(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    choice: &DrawChoice,
) -> Option<Fact> {
    let now = context.now;
    let session = view.session(appointment.claims.first()?.session)?;
    let spec = session.spec();
    let rule = spec.terms.waitlist.as_deref().filter(|rule| now < rule.closes_at)?;
    let waits = view.waits(appointment.patient);
    let waiting = session.waitlist().map_or(0, |state| state.waiters.len());
    let has_room = waits.len() < PATIENT_ENTRIES_MAX && waiting < usize::from(rule.entries_max);
    // A waitlist offers single places.
    if !has_room || choice.count != 1 || waits.iter().any(|waits| waits.waits_for(spec.id)) {
        return None;
    }
    // An appointment does not keep what was attested with it.
    let (patient, class, attributes) =
        (appointment.patient, appointment.class, Attributes::default());
    let joining = Joining { patient, class, attributes };
    if refuse_beyond_waits(view, context, &joining, &[spec.id]).is_some() {
        return None;
    }
    let lowered = lowered_by(view, now, appointment.patient, &Place::of(spec));
    let wished = || choice.slots.iter().map(|slot| spec.slot_start(*slot));
    let target = WaitTarget {
        session: spec.id,
        priority: rule.priority_of(appointment.class).saturating_add(lowered),
        order: WaitOrder::Opening,
        drawn_at: Timestamp::default(),
    };
    let entry = WaitEntry {
        entry: appointment.id.request(),
        patient,
        account: appointment.account,
        channel: appointment.channel,
        class,
        attributes,
        joined: now,
        earliest: wished().min().unwrap_or_default(),
        latest: wished().max().unwrap_or(Timestamp::MAX),
        targets: std::iter::once(target).collect(),
    };
    let targets = entry.sessions();
    Some(Fact::WaitJoined(Box::new(WaitJoined { fingerprint: None, entry, targets })))
}

/// When the draw takes place that orders who joins now; zero where none does.
fn draw_of(rule: &WaitlistRule, state: &WaitState, now: Timestamp) -> Timestamp {
    if state.joined == state.brought && rule.draw_millis != 0 {
        return now.plus_millis(rule.draw_millis.into());
    }
    if now < state.drawn_at { state.drawn_at } else { Timestamp::default() }
}

/// The waitlist of a session: what snapshots keep, and when to look again, which is derived.
#[derive(Clone, Debug, Default)]
pub(super) struct Waitlist {
    pub(super) state: WaitState,
    /// Who was found not to be eligible, and when they are looked at again.
    skipped: BTreeMap<RequestId, Timestamp>,
    /// Before this there is nothing to offer, unless something changes.
    pub(super) not_before: Timestamp,
}

impl PartialEq for Waitlist {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Eq for Waitlist {}

impl Waitlist {
    pub(super) fn of(state: WaitState) -> Self {
        Self { state, ..Self::default() }
    }

    pub(super) fn join(&mut self, entry: &WaitEntry, target: &WaitTarget) {
        let again = self.state.waiters.iter().any(|waiter| waiter.patient == entry.patient);
        assert!(!again, "an impossible fact: a patient joins a waitlist twice");
        entry.join(target, &mut self.state);
    }

    pub(super) fn offer(&mut self, offered: &PlaceOffered) {
        let mut waiters = self.state.waiters.iter_mut();
        let waiter = waiters.find(|waiter| waiter.entry == offered.entry);
        let waiter = waiter.filter(|waiter| !waiter.is_offered);
        waiter.expect("an impossible fact: who has an offer waits, and had none").is_offered = true;
    }

    pub(super) fn leave(&mut self, left: &WaitLeft) {
        let before = self.state.waiters.len();
        self.state.waiters.retain(|waiter| waiter.entry != left.entry);
        assert!(self.state.waiters.len() < before, "an impossible fact: who leaves did not wait");
        self.skipped.remove(&left.entry);
    }

    pub(super) fn draw(&mut self, drawn: &WaitDrawn) {
        let earlier = self.state.seed.replace(drawn.seed);
        assert!(earlier.is_none(), "an impossible fact: a waitlist is drawn twice");
    }

    /// Leaves somebody out of account until an instant.
    pub(super) fn skip(&mut self, entry: RequestId, until: Timestamp) {
        self.skipped.insert(entry, until);
    }

    /// Whether some of those who joined wait for the draw.
    pub(super) fn awaits_draw(&self) -> bool {
        self.state.drawn_at != Timestamp::default() && self.state.seed.is_none()
    }

    /// Who waits and has no offer, in their order.
    pub(super) fn open(&self) -> Vec<&Waiter> {
        let mut open: Vec<_> = self.waiters().collect();
        open.sort_by_cached_key(|waiter| waiter.key(self.state.seed));
        open
    }

    /// Who waits and has no offer, in no order.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.state.waiters.iter().filter(|waiter| !waiter.is_offered)
    }

    /// Until when somebody is left out of account.
    pub(super) fn skipped_until(&self, entry: RequestId) -> Timestamp {
        self.skipped.get(&entry).copied().unwrap_or_default()
    }
}

impl SessionState {
    /// Whether a slot is not over and its booking has not ended.
    pub(super) fn can_be_booked(&self, slot: SlotIndex, now: Timestamp) -> bool {
        let start = self.spec().slot_start(slot);
        let places = self.places();
        now < self.spec().slot_end(slot)
            && places.conditions().is_none_or(|conditions| conditions.is_bookable(start, now))
    }

    /// Whether a place would do for somebody who waits.
    pub(super) fn suits(
        &self,
        (slot, pool): (SlotIndex, PoolIndex),
        waiter: &Waiter,
        now: Timestamp,
    ) -> bool {
        let spec = self.spec();
        let admits = spec
            .pools
            .get(usize::from(pool.0))
            .is_some_and(|pool| pool.admits(waiter.channel, waiter.class));
        admits
            && !self.is_blocked(slot)
            && (waiter.earliest..=waiter.latest).contains(&spec.slot_start(slot))
            && self.can_be_booked(slot, now)
    }
}
