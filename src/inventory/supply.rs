//! Commands about places that are given already, and what can be had instead of them.

use super::Inventory;
use super::group::Group;
use super::routing::session_route;
use crate::engine::{
    Context, Decision, Leaving, Live, Seeker, View, decide_add, decide_block, decide_reschedule,
    decide_substitute, places_near,
};
use crate::model::{
    ALTERNATIVES_MAX, Actor, AddPlace, Alternative, Answer, AppointmentId, BlockSession, Claim,
    DepartmentId, DisplacedPage, Facts, LISTED_MAX, OrganizationId, Outcome, PatientId, Reading,
    Receipt, Refusal, RequestId, Reschedule, Sequence, SessionId, Substitute,
};

/// Displaced appointments that one page looks at: where they are of other departments, the page is
/// short and says that there is more.
const DISPLACED_LOOKS_MAX: usize = 1_024;

impl Inventory {
    /// Moves an appointment to other places, or refuses.
    pub fn reschedule(
        &self,
        context: &Context<'_>,
        ask: &Reschedule,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = self.lock_for_move(ask);
            // As in a change: what the homes say stays true while the other locks are taken.
            if let Some(appointment) = group.view(|view| view.appointment(ask.appointment)) {
                let leaving = group.view(|view| Leaving::of(view, context.now, &appointment));
                self.lock_who(&mut group, context, &appointment);
                // Too many sessions are refused without a look at any.
                if let Some(sessions) = ask.sessions(&leaving.freed) {
                    group.lock_sessions(&self.sessions, sessions.into_iter());
                }
            }
            let decide = |view: &View<'_>, it: &Context<'_>| decide_reschedule(view, it, ask);
            let decided = self.decided(&group, context, decide);
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// The homes of the request, of the appointment, and of the offer that it has instead of what it
    /// lost. Which that is, its home says: so the homes are locked anew until they are all of them.
    fn lock_for_move(&self, ask: &Reschedule) -> Group<'_> {
        let own = [ask.request, ask.appointment.request()];
        let offer_in = |group: &Group<'_>| {
            let appointment = group.view(|view| view.appointment(ask.appointment));
            appointment.and_then(|appointment| appointment.offer_id())
        };
        let mut group = Group::of_homes(&self.homes, &own);
        let mut locked = None;
        loop {
            let offer = offer_in(&group);
            if offer.is_none() || offer == locked {
                return group;
            }
            locked = offer;
            let ids = own.into_iter().chain(offer.map(AppointmentId::request));
            let ids: arrayvec::ArrayVec<RequestId, 3> = ids.collect();
            drop(group);
            group = Group::of_homes(&self.homes, &ids);
        }
    }

    /// Closes slots of a session or opens them again, or refuses.
    pub fn block(
        &self,
        context: &Context<'_>,
        block: &BlockSession,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let decide = |view: &View<'_>, context: &Context<'_>| decide_block(view, context, block);
        self.alter(context, (block.request, block.session), decide, append)
    }

    /// Puts another resource into a session, or refuses.
    pub fn substitute(
        &self,
        context: &Context<'_>,
        substitute: &Substitute,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let decide =
            |view: &View<'_>, context: &Context<'_>| decide_substitute(view, context, substitute);
        self.alter(context, (substitute.request, substitute.session), decide, append)
    }

    /// Carries out what concerns one session and no appointment, or refuses.
    pub(super) fn alter(
        &self,
        context: &Context<'_>,
        (request, session): (RequestId, SessionId),
        decide: impl FnOnce(&View<'_>, &Context<'_>) -> Result<Decision, Refusal>,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = Group::of_homes(&self.homes, &[request]);
            group.lock_sessions(&self.sessions, std::iter::once(session));
            let decided = group.view(|view| decide(view, context));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Adds a place for one patient, or refuses.
    pub fn add_place(
        &self,
        context: &Context<'_>,
        add: &AddPlace,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = Group::of_homes(&self.homes, &[add.appointment.request()]);
            group.lock_ledger(&self.ledgers, add.patient);
            group.lock_sessions(&self.sessions, std::iter::once(add.session));
            let decided = group.view(|view| decide_add(view, context, add));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// The nearest places that could be had instead of a claim. Locks are taken one after the other.
    pub fn alternatives(
        &self,
        actor: &Actor,
        claim: &Claim,
        seeker: Seeker,
        patient: Option<PatientId>,
        own: &[AppointmentId],
    ) -> Answer<Reading> {
        match self.find_like(actor, claim, seeker, patient, own) {
            Ok((after, found)) => Answer { after, result: Ok(Reading::Alternatives(found)) },
            Err(refusal) => Answer { after: Sequence(0), result: Err(refusal) },
        }
    }

    /// See [`alternatives`](Self::alternatives). Also says on which record the answer rests.
    pub(super) fn find_like(
        &self,
        actor: &Actor,
        claim: &Claim,
        seeker: Seeker,
        patient: Option<PatientId>,
        own: &[AppointmentId],
    ) -> Result<(Sequence, Vec<Alternative>), Refusal> {
        let (spec, mut after) = {
            let shard = self.sessions.lock(session_route(claim.session));
            let session = shard.state.session(claim.session).ok_or(Outcome::SessionNotFound)?;
            (session.spec().clone(), shard.last)
        };
        if !actor.may_touch(spec.organization) {
            return Err(Outcome::OrganizationNotPermitted.into());
        }
        let around = spec.slot_start(claim.slot);
        let taken = patient.map_or_else(Vec::new, |patient| self.sessions_of(patient, own));
        let mut found = Vec::new();
        for candidate in self.directory.near(&spec, around, seeker.now) {
            let board = self.boards.get(&candidate.session).map(|board| board.clone());
            let Some(board) = board else { continue };
            if board.allows_one_each() && taken.contains(&candidate.session) {
                continue;
            }
            after = after.max(board.last());
            let places = places_near(&board, (candidate.session, claim.count), around, seeker);
            found.extend(places.into_iter().filter_map(|(distance, start, place)| {
                let is_other = (place.session, place.slot) != (claim.session, claim.slot);
                let resource = candidate.resource;
                let order = (!candidate.is_same, distance, start, place);
                is_other.then_some((order, Alternative { claim: place, resource, start }))
            }));
        }
        found.sort_unstable_by_key(|(order, _)| *order);
        found.truncate(ALTERNATIVES_MAX);
        Ok((after, found.into_iter().map(|(_, alternative)| alternative).collect()))
    }

    /// The sessions in which a patient has another live appointment.
    fn sessions_of(&self, patient: PatientId, own: &[AppointmentId]) -> Vec<SessionId> {
        let (ledger, patient) = self.ledgers.lock_person(patient);
        let lines = ledger.state.lines(patient);
        lines.filter(|live| !own.contains(&live.appointment())).map(Live::session).collect()
    }

    /// A page of displaced appointments that have no other places yet. Home by home, so that the page
    /// is of no single instant; whoever was displaced before it was asked for and still is, is in it.
    pub fn displaced(
        &self,
        actor: &Actor,
        session: Option<SessionId>,
        department: Option<(OrganizationId, DepartmentId)>,
        after: AppointmentId,
    ) -> Answer<Reading> {
        let (mut found, mut rests_on) = (Vec::new(), Sequence(0));
        for home in 0..super::SHARD_COUNT {
            let home = self.homes.lock(home);
            rests_on = rests_on.max(home.last);
            found.extend(home.state.displaced(after).take(DISPLACED_LOOKS_MAX));
        }
        found.sort_unstable_by_key(|appointment| appointment.id);
        let mut page = DisplacedPage::default();
        let mut last = after;
        let is_cut = DISPLACED_LOOKS_MAX < found.len();
        for appointment in found.into_iter().take(DISPLACED_LOOKS_MAX) {
            if page.appointments.len() == LISTED_MAX {
                page.next = Some(last);
                break;
            }
            last = appointment.id;
            let mut claims = appointment.claims.iter();
            let is_asked = session.is_none_or(|id| claims.clone().any(|claim| claim.session == id))
                && department.is_none_or(|it| claims.any(|claim| self.is_of(claim.session, it)))
                && actor.may_touch(appointment.organization);
            page.appointments.extend(is_asked.then_some(appointment));
        }
        page.next = page.next.or_else(|| is_cut.then_some(last));
        Answer { after: rests_on, result: Ok(Reading::Displaced(page)) }
    }

    fn is_of(&self, session: SessionId, department: (OrganizationId, DepartmentId)) -> bool {
        let shard = self.sessions.lock(session_route(session));
        let spec = shard.state.session(session).map(crate::engine::SessionState::spec);
        spec.is_some_and(|spec| (spec.organization, spec.department) == department)
    }
}
