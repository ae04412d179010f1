//! Waitlists under locks: joining, leaving, and the steps that the ticker takes for them.
//!
//! ```text
//! step    lock the session -> who is next? -> unlock
//!         lock home of the offer < ledger < all sessions of the entry -> decide again -> one record
//! ```
//!
//! **Architecture invariant:** between the two locks of a step nothing is kept but a name. What a crash
//! interrupts is found again in the state.

use arrayvec::ArrayVec;
use dashmap::DashMap;
use foldhash::fast::FixedState;

use super::Inventory;
use super::group::Group;
use super::{lock_with_leavers, with};
use crate::engine::{
    Asker, Candidate, Context, SKIP_MILLIS, View, decide_clear, decide_join, decide_leave,
    decide_place_offer, offer_id,
};
use crate::model::limits::CLAIMS_MAX;
use crate::model::{
    Actor, Answer, Appointment, Attributes, ClientKeys, DepartmentId, Facts, JoinWaitlist,
    LeaveWaitlist, OrganizationId, Outcome, PatientId, Reading, Receipt, Refusal, RequestId,
    RuleKey, Sequence, SessionId, Targets, Timestamp, WaitEnd, WaitLeft, WaitState,
    WaitlistReading,
};

/// How waiting ended, by department: entries that were offered a place, and all that ended but by
/// leaving. Since the node began.
pub(super) type History = DashMap<(OrganizationId, DepartmentId), (u32, u32), FixedState>;

/// Ends that it takes to tell a likelihood.
const ENDS_MIN: u32 = 20;

/// The sessions that a change of an appointment touches: its claims', and where it is an offer those
/// of the entry.
pub(super) fn sessions_of(
    group: &Group<'_>,
    appointment: &Appointment,
) -> ArrayVec<SessionId, CLAIMS_MAX> {
    let mut sessions: ArrayVec<_, CLAIMS_MAX> =
        appointment.claims.iter().map(|claim| claim.session).collect();
    let offered = group.ledgers().find_map(|all| all.offered(appointment.patient, appointment.id));
    for target in offered.into_iter().flat_map(|waits| &waits.entry.targets) {
        // An offer has one claim, and that is in one of the targets.
        if !sessions.contains(&target.session) {
            sessions.push(target.session);
        }
    }
    sessions
}

impl Inventory {
    /// Joins waitlists, or refuses.
    pub fn join_waitlist(
        &self,
        context: &Context<'_>,
        join: &JoinWaitlist,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let keys = ClientKeys { account: join.account, ..ClientKeys::default() };
            let who = keys.subjects(join.patient).ledgers(context.rules.asked());
            let mut group = lock_with_leavers(context, |also| {
                let mut group = Group::of_homes(&self.homes, &[join.request]);
                group.lock_ledgers(&self.ledgers, &with(&who, also));
                let asker = || Asker {
                    patient: Some(group.view(|view| view.person(join.patient))),
                    account: join.account,
                    phone: None,
                    class: join.class,
                    attributes: Attributes::default(),
                };
                let asker = context.rules.says(RuleKey::Persons).then(asker);
                (group, asker)
            });
            group.lock_sessions(&self.sessions, join.targets.iter().copied());
            let decided = self.decided(&group, context, |view, it| decide_join(view, it, join));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Leaves waitlists, or refuses.
    pub fn leave_waitlist(
        &self,
        context: &Context<'_>,
        leave: &LeaveWaitlist,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = Group::of_homes(&self.homes, &[leave.request]);
            self.lock_entry(&mut group, leave.patient, leave.entry);
            let decided = group.view(|view| decide_leave(view, context, leave));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// How many wait for a session, and where a patient stands.
    pub fn waitlist(
        &self,
        actor: &Actor,
        session: SessionId,
        patient: Option<PatientId>,
    ) -> Answer<Reading> {
        let mut group = Group::of_nothing();
        if let Some(patient) = patient {
            group.lock_ledger(&self.ledgers, patient);
        }
        group.lock_sessions(&self.sessions, std::iter::once(session));
        let result = group.view(|view| self.read_waitlist(view, actor, session, patient));
        let after = group.last();
        Answer { after, result: result.map(Reading::Waitlist).map_err(Refusal::from) }
    }

    fn read_waitlist(
        &self,
        view: &View<'_>,
        actor: &Actor,
        id: SessionId,
        patient: Option<PatientId>,
    ) -> Result<WaitlistReading, Outcome> {
        let session = view.session(id).ok_or(Outcome::SessionNotFound)?;
        let spec = session.spec();
        if !actor.may_touch(spec.organization) {
            return Err(Outcome::OrganizationNotPermitted);
        }
        let rule = spec.terms.waitlist.as_ref().ok_or(Outcome::WaitlistClosed)?;
        let unheard = WaitState::default();
        let state = session.waitlist().unwrap_or(&unheard);
        let mut reading = WaitlistReading {
            waiting: u16::try_from(state.waiters.len()).unwrap_or(u16::MAX),
            closes_at: rule.closes_at,
            likelihood: self.likelihood(spec.organization, spec.department),
            ..WaitlistReading::default()
        };
        let Some(patient) = patient else { return Ok(reading) };
        let waits = view
            .waits(patient)
            .iter()
            .find(|waits| waits.waits_for(id))
            .ok_or(Outcome::NotWaiting)?;
        reading.entry = Some(waits.entry.entry);
        reading.offer = waits.offer;
        reading.position = position(state, waits.entry.entry);
        Ok(reading)
    }

    /// Offers a place to a candidate, or leaves the candidate out of account for a while.
    pub(super) fn offer_place(
        &self,
        candidate: Candidate,
        now: Timestamp,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Sequence {
        self.unasked(now, |context| {
            let appointment = offer_id(candidate.entry, now);
            let mut group = Group::of_homes(&self.homes, &[appointment.request()]);
            self.lock_candidate(&mut group, candidate);
            let decide =
                |view: &View<'_>| decide_place_offer(view, context, candidate, appointment);
            let decided = group.view(decide);
            self.step(&mut group, candidate, context, decided, append)
        })
    }

    /// Tells a candidate that the waitlist is closed.
    pub(super) fn clear(
        &self,
        candidate: Candidate,
        now: Timestamp,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Sequence {
        self.unasked(now, |context| {
            let mut group = Group::of_nothing();
            self.lock_candidate(&mut group, candidate);
            let decided = group.view(|view| decide_clear(view, context, candidate));
            self.step(&mut group, candidate, context, decided, append)
        })
    }

    fn step(
        &self,
        group: &mut Group<'_>,
        candidate: Candidate,
        context: &Context<'_>,
        decided: Option<Facts>,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Sequence {
        if let Some(facts) = decided {
            return self.carry_out(group, context, facts, append);
        }
        let until = context.now.plus_millis(SKIP_MILLIS);
        group.session_mut(candidate.session).state.skip(candidate, until);
        self.note_deadlines(group);
        group.last()
    }

    /// Locks the ledger of a candidate, the sessions of the entry, and the one that asks.
    fn lock_candidate<'a>(&'a self, group: &mut Group<'a>, candidate: Candidate) {
        group.lock_ledger(&self.ledgers, candidate.patient);
        let mut sessions = targets(group, candidate.patient, candidate.entry);
        if !sessions.contains(&candidate.session) && !sessions.is_full() {
            sessions.push(candidate.session);
        }
        group.lock_sessions(&self.sessions, sessions.into_iter());
    }

    fn lock_entry<'a>(&'a self, group: &mut Group<'a>, patient: PatientId, entry: RequestId) {
        group.lock_ledger(&self.ledgers, patient);
        let sessions = targets(group, patient, entry);
        group.lock_sessions(&self.sessions, sessions.into_iter());
    }

    /// Counts how waiting ended.
    pub(super) fn count_left(&self, group: &mut Group<'_>, left: &WaitLeft) {
        let Some(session) = left.targets.first() else { return };
        let was_offered = match left.why {
            WaitEnd::Accepted | WaitEnd::Declined | WaitEnd::Lapsed | WaitEnd::Blocked => 1,
            WaitEnd::Cleared => 0,
            WaitEnd::Left => return,
        };
        let shard = &group.session_mut(*session).state;
        let Some(state) = shard.session(*session) else { return };
        let of = (state.spec().organization, state.spec().department);
        let mut counts = self.waited.entry(of).or_default();
        counts.0 = counts.0.saturating_add(was_offered);
        counts.1 = counts.1.saturating_add(1);
    }

    fn likelihood(&self, organization: OrganizationId, department: DepartmentId) -> Option<u16> {
        let counts = *self.waited.get(&(organization, department))?;
        let permille = u64::from(counts.0) * 1_000 / u64::from(counts.1.max(1));
        if counts.1 < ENDS_MIN { None } else { u16::try_from(permille).ok() }
    }
}

/// The sessions of an entry, as the locked ledger has it.
fn targets(group: &Group<'_>, patient: PatientId, entry: RequestId) -> Targets {
    let found = group.ledgers().find_map(|ledger| ledger.wait(patient, entry));
    found.map(|waits| waits.entry.sessions()).unwrap_or_default()
}

/// Where a patient stands among those who wait, from 1, once that is known.
fn position(state: &WaitState, entry: RequestId) -> Option<u16> {
    let open = || state.waiters.iter().filter(|waiter| !waiter.is_offered);
    let own = open().find(|waiter| waiter.entry == entry)?;
    if state.drawn_at != Timestamp::default() && state.seed.is_none() {
        return None;
    }
    let before = open().filter(|waiter| waiter.key(state.seed) < own.key(state.seed)).count();
    u16::try_from(before.saturating_add(1)).ok()
}
