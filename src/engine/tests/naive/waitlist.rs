//! The waitlist of the naive model: entries in one list, and order by looking at all of them.

use super::{Naive, told_of_nothing};
use crate::model::{
    Actor, Appointment, AppointmentId, AppointmentStatus, Attributes, Cause, Claim, ClientKeys,
    JoinWaitlist, LeaveWaitlist, Outcome, PoolIndex, Receipt, Refusal, Repeat, RequestId, Session,
    SessionId, SlotChoice, SlotIndex, Timestamp, WaitOrder, WaitState, Waiter, WaitlistRule,
};

/// Who joined, and in which sessions they still wait.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry {
    pub(in super::super) join: JoinWaitlist,
    joined: Timestamp,
    /// Session, how many had joined before, when it is drawn; zero for who an opening's draw brought, if
    /// `is_brought`.
    pub(in super::super) places: Vec<(SessionId, u32, Timestamp)>,
    pub(in super::super) offer: Option<AppointmentId>,
    is_brought: bool,
    /// By how much its class is lower in each session.
    lowered: Vec<(SessionId, u8)>,
    /// Until when a session leaves it out of account.
    skipped: Vec<(SessionId, Timestamp)>,
}

/// What a session knows of its waitlist: how many ever joined, when it is drawn, what was drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct List {
    joined: u32,
    brought: u32,
    drawn_at: Timestamp,
    seed: Option<u64>,
}

impl Naive {
    pub(in super::super) fn join(
        &mut self,
        actor: &Actor,
        join: &JoinWaitlist,
    ) -> Result<Receipt, Refusal> {
        if join.targets.is_empty() || join.latest < join.earliest {
            return Err(Outcome::ClaimsInvalid.into());
        }
        let mut targets = join.targets.to_vec();
        targets.sort_unstable();
        targets.dedup();
        if targets.len() != join.targets.len() {
            return Err(Outcome::ClaimsOverlap.into());
        }
        // What is attested may differ where the same is asked again.
        let same = |other: &JoinWaitlist| {
            JoinWaitlist { attributes: join.attributes, ..other.clone() } == *join
        };
        if self.joins.iter().any(same) {
            return Ok(told_of_nothing(self.now, true));
        }
        if self.is_used(join.request) {
            return Err(Outcome::IdReused.into());
        }
        let refusals = join.targets.iter().filter_map(|id| self.why_not(actor, join, *id));
        let as_whom = (join.patient, join.class, join.attributes);
        let refusals = refusals.chain(self.beyond_waits(as_whom, &join.targets));
        let binds = self.persons_of_join(join);
        let refusals = refusals.chain(binds.as_ref().err().copied());
        if let Some(refusal) = refusals.min_by_key(|refusal| refusal.outcome) {
            return Err(refusal);
        }
        self.bind(binds?);
        let mut places = Vec::new();
        for id in &join.targets {
            let rule = self.session(*id).unwrap().terms.waitlist.clone().unwrap();
            let list = self.lists.entry(*id).or_default();
            if list.joined == list.brought && rule.draw_millis != 0 {
                list.drawn_at = self.now.plus_millis(rule.draw_millis.into());
            }
            let in_draw = self.now < list.drawn_at;
            let drawn_at = if in_draw { list.drawn_at } else { Timestamp::default() };
            places.push((*id, list.joined, drawn_at));
            list.joined += 1;
        }
        let (join, joined) = (join.clone(), self.now);
        self.joins.push(join.clone());
        let (offer, skipped) = (None, Vec::new());
        let sessions = join.targets.iter().map(|id| self.session(*id).unwrap());
        let lowered = sessions.map(|it| (it.id, self.lowered_by(join.patient, it))).collect();
        self.entries.push(Entry {
            join,
            joined,
            places,
            offer,
            is_brought: false,
            lowered,
            skipped,
        });
        Ok(told_of_nothing(self.now, false))
    }

    /// Who had no place in the draw of an opening waits on, where there is a waitlist with room.
    pub(super) fn bring(&mut self, session: &Session, index: usize) {
        let Appointment { id, patient, account, channel, class, .. } = self.appointments[index];
        let Some(rule) = &session.terms.waitlist else { return };
        let wish = self.holds[index].as_ref().unwrap().claims[0].clone();
        let own = self.entries.iter().filter(|entry| entry.join.patient == patient);
        let here = |entry: &&Entry| entry.places.iter().any(|place| place.0 == session.id);
        let waits = own.clone().any(|entry| here(&entry));
        let is_full = usize::from(rule.entries_max) <= self.entries.iter().filter(here).count()
            || 16 <= own.count();
        if rule.closes_at <= self.now || waits || is_full || wish.count != 1 {
            return;
        }
        let as_whom = (patient, class, Attributes::default());
        if self.beyond_waits(as_whom, &[session.id]).is_some() {
            return;
        }
        let wished: Vec<Timestamp> = match &wish.slots {
            SlotChoice::Any => Vec::new(),
            SlotChoice::Ranked(slots) => slots.iter().map(|it| session.slot_start(*it)).collect(),
        };
        let join = JoinWaitlist {
            request: id.request(),
            patient,
            account,
            channel,
            class,
            attributes: Attributes::default(),
            earliest: wished.iter().min().copied().unwrap_or_default(),
            latest: wished.iter().max().copied().unwrap_or(Timestamp::MAX),
            targets: std::iter::once(session.id).collect(),
        };
        let list = self.lists.entry(session.id).or_default();
        let places = vec![(session.id, list.joined, Timestamp::default())];
        (list.joined, list.brought) = (list.joined + 1, list.brought + 1);
        let (joined, offer, skipped) = (self.now, None, Vec::new());
        let lowered = vec![(session.id, self.lowered_by(patient, session))];
        self.entries.push(Entry {
            join,
            joined,
            places,
            offer,
            is_brought: true,
            lowered,
            skipped,
        });
    }

    fn why_not(&self, actor: &Actor, join: &JoinWaitlist, id: SessionId) -> Option<Refusal> {
        let Some(session) = self.session(id) else { return Some(Outcome::SessionNotFound.into()) };
        let mut refusals = Vec::new();
        if !actor.may_touch(session.organization) {
            refusals.push(Outcome::OrganizationNotPermitted.into());
        }
        let slots = 0..u16::try_from(session.slot_count()).unwrap();
        let suits = |slot: &u16| {
            let start = session.slot_start(SlotIndex(*slot));
            join.earliest <= start && start <= join.latest
        };
        if !slots.clone().any(|slot| suits(&slot)) {
            refusals.push(Outcome::SlotNotFound.into());
        }
        let pools: Vec<u8> = (0..)
            .zip(&session.pools)
            .filter(|(_, pool)| pool.admits(join.channel, join.class))
            .map(|(index, _)| index)
            .collect();
        if pools.is_empty() {
            refusals.push(Outcome::PoolNotFound.into());
        }
        let live = |line: &(crate::model::PatientId, AppointmentId, SessionId)| {
            (line.0, line.2) == (join.patient, id)
        };
        if session.repeat == Repeat::OnePerPatient && self.ledger().iter().any(live) {
            refusals.push(Outcome::AlreadyHasAppointment.into());
        }
        let keys = ClientKeys { account: join.account, ..ClientKeys::default() };
        let who = self.refused_as(join.patient, &keys);
        refusals.extend(self.restricted(&who, session, (join.channel, join.class), &[]));
        refusals.extend(self.cooling((join.patient, &keys), &[], &[id]));
        let is_free = |slot: u16| {
            let quota = |pool: u8| session.pools[usize::from(pool)].quotas[usize::from(slot)];
            self.is_ahead(session, slot)
                && !self.is_blocked(id, slot)
                && pools.iter().any(|pool| self.taken(id, slot, *pool) < quota(*pool))
        };
        if slots.filter(suits).any(is_free) {
            refusals.push(Outcome::NotFull.into());
        }
        let own = |entry: &&Entry| entry.join.patient == join.patient;
        let here = |entry: &&Entry| entry.places.iter().any(|place| place.0 == id);
        if self.entries.iter().filter(own).any(|entry| here(&entry)) {
            refusals.push(Outcome::AlreadyWaiting.into());
        }
        match session.terms.waitlist.as_deref().filter(|rule| self.now < rule.closes_at) {
            None => refusals.push(Outcome::WaitlistClosed.into()),
            Some(rule)
                if usize::from(rule.entries_max) <= self.entries.iter().filter(here).count() =>
            {
                refusals.push(Outcome::WaitlistFull.into());
            }
            Some(_) => {}
        }
        refusals.into_iter().min_by_key(|refusal| refusal.outcome)
    }

    fn is_ahead(&self, session: &Session, slot: u16) -> bool {
        self.now < session.slot_end(SlotIndex(slot)) && self.is_bookable(session, slot)
    }

    pub(in super::super) fn leave(
        &mut self,
        actor: &Actor,
        leave: &LeaveWaitlist,
    ) -> Result<Receipt, Refusal> {
        let same = |other: &&LeaveWaitlist| {
            (other.request, other.entry, other.patient)
                == (leave.request, leave.entry, leave.patient)
        };
        if self.leaves.iter().any(|other| same(&other)) {
            return Ok(told_of_nothing(self.now, true));
        }
        if self.is_used(leave.request) {
            return Err(Outcome::IdReused.into());
        }
        let own = |entry: &Entry| {
            (entry.join.request, entry.join.patient) == (leave.entry, leave.patient)
        };
        let Some(index) = self.entries.iter().position(own) else {
            return Err(Outcome::NotWaiting.into());
        };
        let permitted = |place: &(SessionId, u32, Timestamp)| {
            actor.may_touch(self.session(place.0).unwrap().organization)
        };
        if !self.entries[index].places.iter().all(permitted) {
            return Err(Outcome::OrganizationNotPermitted.into());
        }
        if self.entries[index].offer.is_some() {
            return Err(Outcome::NotWaiting.into());
        }
        self.entries.remove(index);
        self.leaves.push(*leave);
        Ok(told_of_nothing(self.now, false))
    }

    /// The end of an offer is the end of its entry.
    pub(in super::super) fn end_offer(&mut self, id: AppointmentId) {
        self.entries.retain(|entry| entry.offer != Some(id));
    }

    /// Does what is due, until nothing is.
    pub(in super::super) fn step_waitlists(&mut self) {
        let mut ids: Vec<_> = self.sessions.iter().map(|session| session.id).collect();
        ids.sort_unstable();
        while ids.iter().map(|id| self.tend(*id)).fold(false, |any, done| any | done) {}
    }

    /// Whether anything was done.
    fn tend(&mut self, id: SessionId) -> bool {
        let mut any = false;
        let list = self.lists.get(&id).copied().unwrap_or_default();
        let awaits = list.drawn_at != Timestamp::default() && list.seed.is_none();
        if awaits && list.drawn_at <= self.now {
            self.lists.get_mut(&id).unwrap().seed = Some(self.chance);
            any = true;
        }
        let rule = self.session(id).unwrap().terms.waitlist.clone();
        if let Some(rule) = &rule {
            if rule.closes_at <= self.now {
                for entry in self.entries.iter_mut().filter(|entry| entry.offer.is_none()) {
                    let before = entry.places.len();
                    entry.places.retain(|place| place.0 != id);
                    any |= entry.places.len() < before;
                }
                self.entries.retain(|entry| !entry.places.is_empty());
            }
            while self.offer_one(id, rule) {
                any = true;
            }
        }
        let now = self.now;
        let open = self.line(id);
        let due = self.returning.iter().copied().filter(|place| {
            let is_wanted = open.iter().any(|index| {
                rule.as_ref().is_some_and(|rule| now < rule.closes_at)
                    && self.suits(&self.entries[*index], id, place)
            });
            place.0 == id && place.3 <= now && !is_wanted
        });
        let due: Vec<_> = due.collect();
        any |= !due.is_empty();
        for place in due {
            let index = self.returning.iter().position(|other| *other == place).unwrap();
            self.returning.remove(index);
        }
        any
    }

    /// Who waits for a session, has no offer and is not left out, in their order.
    fn line(&self, id: SessionId) -> Vec<usize> {
        let list = self.lists.get(&id).copied().unwrap_or_default();
        let mut open: Vec<usize> = (0..self.entries.len())
            .filter(|index| {
                let entry = &self.entries[*index];
                let skipped = entry.skipped.iter().any(|it| it.0 == id && self.now < it.1);
                entry.offer.is_none() && !skipped && entry.places.iter().any(|it| it.0 == id)
            })
            .collect();
        open.sort_by_key(|index| self.waiter(&self.entries[*index], id).key(list.seed));
        open
    }

    fn suits(&self, entry: &Entry, id: SessionId, place: &(SessionId, u16, u8, Timestamp)) -> bool {
        let session = self.session(id).unwrap();
        let start = session.slot_start(SlotIndex(place.1));
        place.0 == id
            && session.pools[usize::from(place.2)].admits(entry.join.channel, entry.join.class)
            && entry.join.earliest <= start
            && start <= entry.join.latest
            && self.is_ahead(session, place.1)
            && !self.is_blocked(id, place.1)
    }

    /// Offers a place to the first whom one suits and who may have it; passes over who may not.
    fn offer_one(&mut self, id: SessionId, rule: &WaitlistRule) -> bool {
        let list = self.lists.get(&id).copied().unwrap_or_default();
        let awaits = list.drawn_at != Timestamp::default() && list.seed.is_none();
        let quiet = rule
            .hours
            .as_ref()
            .and_then(|hours| hours.closed_for(self.now, crate::model::BookingChannel::default()));
        if awaits || quiet.is_some() || rule.closes_at <= self.now {
            return false;
        }
        for index in self.line(id) {
            let entry = self.entries[index].clone();
            let places = self.returning.iter().filter(|place| self.suits(&entry, id, place));
            let Some(place) = places.min_by_key(|it| (it.1, it.3, it.2)).copied() else { continue };
            let once = self.session(id).unwrap().repeat == Repeat::OnePerPatient;
            let live = self.ledger().iter().any(|it| (it.0, it.2) == (entry.join.patient, id));
            let session = self.session(id).unwrap();
            let as_whom = (entry.join.channel, entry.join.class);
            let is_barred = self.restricted(&[entry.join.patient], session, as_whom, &[]).is_some();
            let is_cooling =
                self.cooling((entry.join.patient, &ClientKeys::default()), &[], &[id]).is_some();
            let claim =
                Claim { session: id, slot: SlotIndex(place.1), count: 1, pool: PoolIndex(place.2) };
            let wanted = super::limits::Wanted {
                patient: entry.join.patient,
                class: entry.join.class,
                attributes: entry.join.attributes,
                but: &[],
            };
            let is_too_much = self.beyond_limits(&wanted, &[claim]).is_some();
            if once && live || is_barred || is_cooling || is_too_much {
                self.entries[index].skipped.retain(|it| it.0 != id);
                self.entries[index].skipped.push((id, self.now.plus_millis(10_000)));
                continue;
            }
            self.give(index, place, rule);
            return true;
        }
        false
    }

    fn give(&mut self, index: usize, place: (SessionId, u16, u8, Timestamp), rule: &WaitlistRule) {
        let session = self.session(place.0).unwrap().clone();
        let join = self.entries[index].join.clone();
        let start = session.slot_start(SlotIndex(place.1));
        let is_near = start <= self.now.plus_millis(rule.near_millis.into());
        let ttl = if is_near { rule.near_offer_millis } else { rule.offer_millis };
        let id = crate::engine::offer_id(join.request, self.now);
        let (slot, pool) = (SlotIndex(place.1), PoolIndex(place.2));
        let claim = Claim { session: place.0, slot, count: 1, pool };
        let appointment = Appointment {
            id,
            patient: join.patient,
            account: join.account,
            organization: session.organization,
            channel: join.channel,
            class: join.class,
            sharing: session.sharing,
            status: AppointmentStatus::Pending,
            cause: Cause::None,
            until: self.now.plus_millis(ttl.into()).min(rule.closes_at),
            fingerprint: crate::engine::offer_fingerprint(join.request),
            payment: None,
            rules: self.rules().0,
            claims: std::iter::once(claim).collect(),
        };
        let gone = self.returning.iter().position(|other| *other == place).unwrap();
        self.returning.remove(gone);
        self.take_offer(appointment);
        self.entries[index].offer = Some(id);
    }

    fn waiter(&self, entry: &Entry, id: SessionId) -> Waiter {
        let rule = self.session(id).unwrap().terms.waitlist.clone().unwrap();
        let place = entry.places.iter().find(|place| place.0 == id).unwrap();
        let lowered = entry.lowered.iter().find(|lowered| lowered.0 == id).unwrap().1;
        Waiter {
            entry: entry.join.request,
            patient: entry.join.patient,
            channel: entry.join.channel,
            class: entry.join.class,
            earliest: entry.join.earliest,
            latest: entry.join.latest,
            priority: rule.priority[entry.join.class as usize].saturating_add(lowered),
            number: place.1,
            order: match place.2 {
                _ if entry.is_brought => WaitOrder::Opening,
                drawn_at if drawn_at != Timestamp::default() => WaitOrder::Draw,
                _ => WaitOrder::Time,
            },
            is_offered: entry.offer.is_some(),
        }
    }

    /// The waitlist of a session as the engine should have it.
    pub(in super::super) fn waitlist(&self, id: SessionId) -> Option<WaitState> {
        let list = self.lists.get(&id)?;
        let here = |entry: &&Entry| entry.places.iter().any(|place| place.0 == id);
        let waiters = self.entries.iter().filter(here).map(|entry| self.waiter(entry, id));
        let List { joined, brought, drawn_at, seed } = *list;
        Some(WaitState { drawn_at, seed, joined, brought, waiters: waiters.collect() })
    }

    /// Every entry with its sessions and offer, by patient.
    pub(in super::super) fn waits(
        &self,
    ) -> Vec<(RequestId, Timestamp, Vec<SessionId>, Option<AppointmentId>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|entry| entry.join.patient);
        let line = |entry: &Entry| {
            let sessions = entry.places.iter().map(|place| place.0).collect();
            (entry.join.request, entry.joined, sessions, entry.offer)
        };
        all.into_iter().map(line).collect()
    }
}
