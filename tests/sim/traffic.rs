//! What clients want next: mostly what apps do, now and then what they should not.

use std::collections::BTreeMap;

use haoyuan::model::{
    AccountId, Action, Actor, AddPlace, Amend, Appeal, ApplyRules, Appointment, AppointmentId,
    AppointmentStatus, Attributes, BlockSession, BookingChannel, CallNext, CallOrderOf, Change,
    ChannelSet, Claim, ClaimRequest, ClientKeys, Command, DrawId, EvidenceRef, ExplainOf, Hold,
    JoinWaitlist, LeaveWaitlist, MergePatients, OpenSession, Operation, OrganizationId,
    Organizations, Outcome, PatientClass, PatientId, PaymentRef, PoolIndex, Query, Reading,
    Receipt, RequestId, Reschedule, ResourceId, RestrictionId, RevealDraw, Role, Session,
    SessionId, SetQuotas, SlotChoice, SlotIndex, Substitute, Timestamp, Ttl, permits,
};

use crate::ask::{Ask, Body, Reply, Said};
use crate::billing::by_account;
use crate::plan::Plan;
use crate::random::Random;
use crate::rules::{amendment, restrict, rules};
use crate::sessions::{MINUTE, RESOURCES, session};

/// The clients, and what they know.
pub(crate) struct Traffic {
    actors: Vec<Actor>,
    pub(crate) patients: u64,
    /// Sessions that were asked for, opened or not.
    sessions: u64,
    /// As they were asked for first.
    asked: BTreeMap<u64, Session>,
    pub(crate) known: Vec<Known>,
    by_id: BTreeMap<AppointmentId, usize>,
    /// Who was to wait.
    entries: Vec<(RequestId, PatientId)>,
    /// Sessions in which somebody found no place.
    full: Vec<SessionId>,
    /// Whether this run is about payments, and holds that name nobody yet.
    is_billing: bool,
    /// Whether it is about restrictions by hand, and keys that are merged.
    is_desk: bool,
    /// Restrictions that were asked for by hand.
    restrictions: Vec<(PatientId, RestrictionId)>,
    /// Keys that others were to be merged into.
    keys: Vec<PatientId>,
}

/// An appointment that some client was told of.
pub(crate) struct Known {
    pub(crate) id: AppointmentId,
    pub(crate) patient: PatientId,
    /// Who asked for it.
    pub(crate) account: Option<AccountId>,
    pub(crate) channel: BookingChannel,
    pub(crate) status: AppointmentStatus,
    /// The sessions of its places.
    sessions: Vec<SessionId>,
}

impl Traffic {
    pub(crate) fn new(plan: &Plan, random: &mut Random) -> Self {
        let mut actors = vec![Actor::unbounded(Role::Admin)];
        for index in 1..plan.clients {
            let role = match index % 5 {
                3 => Role::Counter,
                4 => Role::Practitioner,
                _ => Role::Gateway,
            };
            let mut actor = Actor::unbounded(role);
            if random.chance(300) {
                actor.channels = ChannelSet(0b11 << random.below(3));
            }
            if random.chance(200) {
                actor.organizations =
                    Organizations::Only(std::iter::once(OrganizationId(1)).collect());
            }
            actors.push(actor);
        }
        actors.push(Actor::unbounded(Role::Auditor));
        let (known, by_id) = (Vec::new(), BTreeMap::new());
        let (asked, entries, full) = (BTreeMap::new(), Vec::new(), Vec::new());
        let (patients, sessions, about) = (plan.patients, 0, random.below(1_000));
        let (is_billing, is_desk) = (about < 220, (220..460).contains(&about));
        let (restrictions, keys) = (Vec::new(), Vec::new());
        Self {
            actors,
            patients,
            sessions,
            asked,
            known,
            by_id,
            entries,
            full,
            is_billing,
            is_desk,
            restrictions,
            keys,
        }
    }

    pub(crate) fn clients(&self) -> usize {
        self.actors.len()
    }

    pub(crate) fn actor(&self, client: usize) -> Actor {
        self.actors[client].clone()
    }

    /// How much longer than a patient a client thinks.
    pub(crate) fn slowness(&self, client: usize) -> u64 {
        match self.actors[client].role {
            Role::Admin => 8,
            Role::Auditor => 4,
            _ => 1,
        }
    }

    /// The next wish of a client whose clock shows `now`.
    pub(crate) fn wish(&mut self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let now = skewed(random, now);
        match self.actors[client].role {
            Role::Admin => self.admin_wish(random, client, now),
            Role::Auditor => Body::Query(self.query(random)),
            _ => self.patient_wish(random, client, now),
        }
    }

    /// Another request under the id of an earlier one, which it must not use.
    pub(crate) fn wrong_reuse(
        &mut self,
        random: &mut Random,
        client: usize,
        id: RequestId,
        now: Timestamp,
    ) -> Body {
        let mut body = self.wish(random, client, now);
        match &mut body {
            Body::Command(Command::Hold(hold)) | Body::Import(hold) => {
                hold.appointment = AppointmentId(id.0);
            }
            Body::Command(Command::Change(change)) => change.request = id,
            Body::Command(Command::OpenSession(open)) => open.request = id,
            Body::Command(Command::SetQuotas(set)) => set.request = id,
            Body::Command(Command::Reschedule(ask)) => ask.request = id,
            Body::Command(Command::BlockSession(block)) => block.request = id,
            Body::Command(Command::Substitute(ask)) => ask.request = id,
            Body::Command(Command::AddPlace(add)) => add.appointment = AppointmentId(id.0),
            Body::Command(Command::RevealDraw(reveal)) => reveal.request = id,
            Body::Command(Command::JoinWaitlist(join)) => join.request = id,
            Body::Command(Command::LeaveWaitlist(leave)) => leave.request = id,
            Body::Command(Command::CallNext(call)) => call.request = id,
            Body::Command(Command::ApplyRules(apply)) => apply.request = id,
            Body::Command(Command::Order(ask)) => ask.request = id,
            Body::Command(Command::Pay(ask)) => ask.request = id,
            Body::Command(Command::Refund(ask)) => ask.request = id,
            Body::Command(Command::NamePatient(ask)) => ask.request = id,
            Body::Command(Command::Restrict(ask)) => ask.request = id,
            Body::Command(Command::Amend(ask)) => ask.request = id,
            Body::Command(Command::Appeal(ask)) => ask.request = id,
            Body::Command(Command::MergePatients(ask)) => ask.request = id,
            Body::Query(_) | Body::Settle(..) => {}
        }
        body
    }

    /// The end of the day for some appointment.
    pub(crate) fn settlement(&self, random: &mut Random, now: Timestamp) -> Option<Body> {
        let has_begun = |id: &SessionId| {
            self.asked.get(&id.0).is_some_and(|session| is_half_over(session, now))
        };
        let is_due = |it: &&Known| {
            it.status == AppointmentStatus::Booked && it.sessions.iter().any(has_begun)
        };
        let booked: Vec<&Known> = self.known.iter().filter(is_due).collect();
        let known = match booked.len() {
            0 => self.some_known(random)?,
            count => booked[random.index(count)],
        };
        Some(Body::Settle(known.id, random.chance(350)))
    }

    /// A client reads an answer.
    pub(crate) fn learn(&mut self, ask: &Ask, reply: &Reply) {
        match &reply.result {
            Ok(Said::Receipt(receipt)) => {
                let pays = matches!(&ask.body, Body::Command(Command::Pay(_) | Command::Change(_)));
                if let (Some(id), true) = (receipt.appointment, pays) {
                    self.note_rebooked(ask, id, receipt);
                } else if let (Some(id), Some(status)) = (ask.appointment(), receipt.status) {
                    self.note(ask, id, status, &receipt.claims);
                }
            }
            Ok(Said::Reading(Reading::Appointment(found))) => self.note_found(found),
            Ok(Said::Reading(Reading::Appointments(found))) => {
                for found in found {
                    self.note_found(found);
                }
            }
            Err(refusal) if refusal.outcome == Outcome::SoldOut => {
                if let Body::Command(Command::Hold(hold)) = &ask.body {
                    self.full.extend(hold.claims.iter().map(|claim| claim.session));
                }
            }
            _ => {}
        }
    }

    fn note_found(&mut self, found: &Appointment) {
        if let Some(index) = self.by_id.get(&found.id) {
            self.known[*index].status = found.status;
            return;
        }
        // Somebody who waited finds an offer.
        let _none = self.by_id.insert(found.id, self.known.len());
        let Appointment { id, patient, account, channel, status, .. } = *found;
        let sessions = found.claims.iter().map(|claim| claim.session).collect();
        self.known.push(Known { id, patient, account, channel, status, sessions });
    }

    /// A payment that came too late booked the same place anew.
    fn note_rebooked(&mut self, ask: &Ask, id: AppointmentId, receipt: &Receipt) {
        let old = ask.appointment().and_then(|id| self.by_id.get(&id)).copied();
        let (Some(old), Some(status)) = (old, receipt.status) else { return };
        if self.by_id.contains_key(&id) {
            return;
        }
        self.known[old].status = AppointmentStatus::Cancelled;
        let _none = self.by_id.insert(id, self.known.len());
        let Known { patient, account, channel, .. } = self.known[old];
        let sessions = receipt.claims.iter().map(|claim| claim.session).collect();
        self.known.push(Known { id, patient, account, channel, status, sessions });
    }

    fn note(&mut self, ask: &Ask, id: AppointmentId, status: AppointmentStatus, claims: &[Claim]) {
        if let Some(index) = self.by_id.get(&id) {
            self.known[*index].status = status;
            if let Body::Command(Command::NamePatient(name)) = &ask.body {
                self.known[*index].patient = name.patient;
            }
        } else if let Body::Command(Command::AddPlace(add)) = &ask.body {
            let _none = self.by_id.insert(id, self.known.len());
            let (patient, channel, sessions) = (add.patient, add.channel, vec![add.session]);
            let account = None;
            self.known.push(Known { id, patient, account, channel, status, sessions });
        } else if let Body::Command(Command::Hold(hold)) | Body::Import(hold) = &ask.body {
            let _none = self.by_id.insert(id, self.known.len());
            let account = hold.keys.account;
            let holder = account.map(AccountId::holder);
            let patient = hold.patient.or(holder).unwrap_or_default();
            let channel = hold.channel;
            let sessions = claims.iter().map(|claim| claim.session).collect();
            self.known.push(Known { id, patient, account, channel, status, sessions });
        }
    }

    /// Mostly one of the latest, and mostly one that can still change.
    pub(crate) fn some_known(&self, random: &mut Random) -> Option<&Known> {
        let found = self.one_known(random)?;
        if found.status.is_live() || random.chance(200) {
            return Some(found);
        }
        let lives = |_| self.one_known(random).filter(|known| known.status.is_live());
        (0..6).find_map(lives).or(Some(found))
    }

    fn one_known(&self, random: &mut Random) -> Option<&Known> {
        let window = if random.chance(800) { 16 } else { self.known.len() };
        let back = random.index(window.min(self.known.len()).max(1));
        self.known.get(self.known.len().checked_sub(back + 1)?)
    }

    fn admin_wish(&mut self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let [restricts, amends, merges] = if self.is_desk { [4, 8, 2] } else { [0; 3] };
        let applies = if self.is_billing { 8 } else { 5 };
        match random.weighted(&[4, 2, 2, 1, 2, 6, 1, 3, applies, restricts, amends, merges]) {
            11 => self.merge(random, now),
            9 => self.restrict(random, now),
            10 => self.amend(random, now),
            8 => {
                let apply = ApplyRules {
                    request: new_id(random, now),
                    rules: rules(random, now, (self.is_billing, self.is_desk)),
                };
                Body::Command(Command::ApplyRules(apply.into()))
            }
            0 => self.opening(random, now),
            5 => Body::Command(Command::BlockSession(self.block(random, now))),
            6 => self.substitute(random, now),
            7 => self.reveal(random, now),
            4 => self.quotas(random, now).unwrap_or_else(|| self.opening(random, now)),
            1 => Body::Query(self.query(random)),
            2 => self.change(random, client, now),
            _ => {
                let hold = self.hold(random, client, now);
                Body::Import(Hold { book: Some(PaymentRef(7)), ..hold })
            }
        }
    }

    fn patient_wish(&mut self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let calls = permits(self.actors[client].role, Operation::CallNext);
        if calls && random.chance(150) {
            let (request, session) = (new_id(random, now), self.busy_session(random));
            return Body::Command(Command::CallNext(CallNext { request, session }));
        }
        let adds = u64::from(self.actors[client].role == Role::Practitioner);
        let (bills, appeals) = (if self.is_billing { 14 } else { 1 }, 3 * u64::from(self.is_desk));
        match random.weighted(&[14, 8, 2, 1, 2, 2 * adds, adds, 5, 1, bills, appeals]) {
            10 => self.appeal(random, client, now),
            9 => self.billing_wish(random, client, now),
            7 => self.join(random, client, now),
            8 if !self.entries.is_empty() => self.leave(random, client, now),
            0 => {
                let hold = self.hold(random, client, now);
                Body::Command(Command::Hold(by_account(random, hold, self.is_billing)))
            }
            5 => self.add_place(random, client, now),
            6 => Body::Command(Command::BlockSession(self.block(random, now))),
            1 => self.change(random, client, now),
            2 => Body::Query(self.query(random)),
            4 => self.reschedule(random, client, now),
            _ => {
                let hold = self.hold(random, client, now);
                malformed(random, hold)
            }
        }
    }

    pub(crate) fn opening(&mut self, random: &mut Random, now: Timestamp) -> Body {
        let again = 0 < self.sessions && random.chance(150);
        let number = if again { random.between(1, self.sessions) } else { self.sessions + 1 };
        self.sessions = self.sessions.max(number);
        let session = session(random, number, now);
        self.asked.entry(number).or_insert_with(|| session.clone());
        let request = new_id(random, now);
        Body::Command(Command::OpenSession(Box::new(OpenSession { request, session })))
    }

    /// Mostly one where somebody waits.
    fn busy_session(&self, random: &mut Random) -> SessionId {
        let keeps_queue = |id: &SessionId| {
            self.asked.get(&id.0).is_some_and(|session| session.terms.attendance.is_some())
        };
        let checked_in = |known: &&Known| known.status == AppointmentStatus::CheckedIn;
        let waiting = self.known.iter().filter(checked_in).flat_map(|known| &known.sessions);
        let busy: Vec<SessionId> = waiting.copied().filter(keeps_queue).collect();
        if busy.is_empty() || random.chance(200) {
            return self.late_session(random);
        }
        busy[random.index(busy.len())]
    }

    /// The value of the beacon of a late session, where one is awaited or not.
    fn reveal(&self, random: &mut Random, now: Timestamp) -> Body {
        let drawn = |session: &&Session| session.pools[0].terms.draw.is_some();
        let late: Vec<SessionId> =
            self.asked.values().rev().filter(drawn).take(3).map(|session| session.id).collect();
        let session = match late.len() {
            0 => self.late_session(random),
            count => late[random.index(count)],
        };
        let pool = PoolIndex(u8::from(random.chance(50)));
        let beacon = random.pick(&["block 7", "7", "7", "8"]).to_owned();
        let draw = DrawId { session, pool };
        let request = new_id(random, now);
        Body::Command(Command::RevealDraw(Box::new(RevealDraw { request, draw, beacon })))
    }

    /// Some places of a late session to another pool.
    fn quotas(&self, random: &mut Random, now: Timestamp) -> Option<Body> {
        let number = random.between(self.sessions.saturating_sub(5).max(1), self.sessions);
        let session = self.asked.get(&number)?;
        let mut quotas: Vec<_> = session.pools.iter().map(|pool| pool.quotas.clone()).collect();
        for slot in 0..session.slot_count() {
            let (from, to) = (random.index(quotas.len()), random.index(quotas.len()));
            let moved = quotas[from][slot].min(u16::try_from(random.below(3)).unwrap());
            quotas[from][slot] -= moved;
            quotas[to][slot] += moved + u16::from(random.chance(40));
        }
        let request = new_id(random, now);
        let set = SetQuotas { request, session: session.id, quotas };
        Some(Body::Command(Command::SetQuotas(Box::new(set))))
    }

    fn hold(&self, random: &mut Random, client: usize, now: Timestamp) -> Hold {
        let mut claims = smallvec::SmallVec::<[ClaimRequest; 1]>::new();
        for _ in 0..random.pick(&[1, 1, 1, 1, 2, 3]) {
            let unknown = u64::from(random.chance(50));
            let oldest = self.sessions.saturating_sub(5).max(1);
            let session = SessionId(random.between(oldest, self.sessions + unknown));
            if claims.iter().any(|claim| claim.session == session) && random.chance(900) {
                continue;
            }
            let slots = match random.below(3) {
                0 => SlotChoice::Any,
                1 => SlotChoice::at(SlotIndex(u16::try_from(random.below(3)).unwrap())),
                _ => SlotChoice::Ranked(
                    (0..random.between(1, 3))
                        .map(|_| SlotIndex(u16::try_from(random.below(4)).unwrap()))
                        .collect(),
                ),
            };
            let count = random.pick(&[1, 1, 1, 1, 1, 1, 2, 3]);
            claims.push(ClaimRequest { session, count, slots });
        }
        let class =
            if random.chance(850) { PatientClass::Outpatient } else { PatientClass::Referral };
        Hold {
            appointment: AppointmentId(new_id(random, now).0),
            patient: Some(self.patient(random)),
            keys: ClientKeys::default(),
            channel: self.own_channel(random, client),
            class,
            attributes: Attributes::default(),
            ttl: Ttl::from_millis(random.pick(&[1_000, 10_000, 60_000, 900_000])).unwrap(),
            book: random.chance(100).then_some(PaymentRef(1)),
            claims,
        }
    }

    /// Other places for an appointment that is known.
    fn reschedule(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let Hold { channel, claims, .. } = self.hold(random, client, now);
        let unknown = AppointmentId(new_id(random, now).0);
        let known = self.some_known(random).filter(|_| random.chance(980));
        Body::Command(Command::Reschedule(Box::new(Reschedule {
            request: new_id(random, now),
            appointment: known.map_or(unknown, |known| known.id),
            patient: known.filter(|_| random.chance(700)).map(|known| known.patient),
            channel: known.filter(|_| random.chance(700)).map_or(channel, |known| known.channel),
            claims,
        })))
    }

    /// Mostly for sessions of late that were full.
    fn join(&mut self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let oldest = self.sessions.saturating_sub(5).max(1);
        let targets = (0..random.pick(&[1, 1, 2, 3]))
            .map(|_| {
                let unknown = u64::from(random.chance(20));
                let late = self.full.len().min(8);
                if 0 < late && random.chance(800) {
                    return self.full[self.full.len() - 1 - random.index(late)];
                }
                SessionId(random.between(oldest, self.sessions + unknown))
            })
            .collect();
        let join = JoinWaitlist {
            request: new_id(random, now),
            patient: self.patient(random),
            account: None,
            channel: self.own_channel(random, client),
            class: if random.chance(850) {
                PatientClass::Outpatient
            } else {
                PatientClass::Referral
            },
            attributes: random.pick(&[Attributes::default(), Attributes(40), Attributes(8)]),
            earliest: if random.chance(100) {
                now.plus_millis(30 * MINUTE)
            } else {
                Timestamp::default()
            },
            latest: Timestamp::MAX,
            targets,
        };
        self.entries.push((join.request, join.patient));
        Body::Command(Command::JoinWaitlist(Box::new(join)))
    }

    fn leave(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let (entry, patient) = self.entries[random.index(self.entries.len())];
        let channel = self.own_channel(random, client);
        let request = new_id(random, now);
        Body::Command(Command::LeaveWaitlist(LeaveWaitlist { request, entry, patient, channel }))
    }

    /// One of the sessions that are asked for most.
    fn late_session(&self, random: &mut Random) -> SessionId {
        let oldest = self.sessions.saturating_sub(5).max(1);
        let unknown = u64::from(random.chance(20));
        SessionId(random.between(oldest, self.sessions + unknown))
    }

    /// Some slots of a session are closed, and as often open again.
    fn block(&self, random: &mut Random, now: Timestamp) -> BlockSession {
        BlockSession {
            request: new_id(random, now),
            session: self.late_session(random),
            first: SlotIndex(random.pick(&[0, 0, 0, 1, 2])),
            count: random.pick(&[1, 1, 1, 1, 1, 1, 2, 0]),
            is_blocked: random.chance(450),
            reason: random.pick(&[1, 2]),
            by: None,
        }
    }

    /// Somebody, by one of their keys.
    pub(crate) fn patient(&self, random: &mut Random) -> PatientId {
        if !self.keys.is_empty() && random.chance(120) {
            return self.keys[random.index(self.keys.len())];
        }
        PatientId(u128::from(random.between(1, self.patients)))
    }

    /// Mostly a new key of somebody; now and then two people are taken for one.
    fn merge(&mut self, random: &mut Random, now: Timestamp) -> Body {
        let from = self.patient(random);
        let into =
            if random.chance(850) { PatientId(from.0 + (1 << 64)) } else { self.patient(random) };
        self.keys.push(into);
        let request = new_id(random, now);
        Body::Command(Command::MergePatients(MergePatients { request, from, into }))
    }

    fn restrict(&mut self, random: &mut Random, now: Timestamp) -> Body {
        let patient = self.patient(random);
        let id = new_id(random, now);
        let ask = restrict(random, id, patient, now);
        self.restrictions.push((patient, RestrictionId(ask.request.0)));
        Body::Command(Command::Restrict(Box::new(ask)))
    }

    /// One of the late restrictions, or one that a missed visit may have led to.
    fn some_restriction(&self, random: &mut Random) -> (PatientId, RestrictionId) {
        let missed = |known: &&Known| known.status == AppointmentStatus::NoShow;
        let struck =
            self.known.iter().filter(missed).map(|it| (it.patient, RestrictionId(it.id.0)));
        let struck: Vec<_> = struck.collect();
        let all = if random.chance(750) { &self.restrictions } else { &struck };
        let window = all.len().min(6);
        let back = random.index(window.max(1));
        let found = all.len().checked_sub(back + 1).and_then(|index| all.get(index));
        found.copied().unwrap_or((PatientId(1), RestrictionId(1)))
    }

    fn amend(&self, random: &mut Random, now: Timestamp) -> Body {
        let (patient, restriction) = self.some_restriction(random);
        Body::Command(Command::Amend(Box::new(Amend {
            request: new_id(random, now),
            patient,
            restriction,
            amendment: amendment(random, now),
            evidence: EvidenceRef(0),
            reason: 1,
        })))
    }

    fn appeal(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let (patient, restriction) = self.some_restriction(random);
        Body::Command(Command::Appeal(Box::new(Appeal {
            request: new_id(random, now),
            patient,
            restriction,
            evidence: EvidenceRef(1),
            channel: self.own_channel(random, client),
        })))
    }

    fn substitute(&self, random: &mut Random, now: Timestamp) -> Body {
        Body::Command(Command::Substitute(Substitute {
            request: new_id(random, now),
            session: self.late_session(random),
            resource: ResourceId(random.below(RESOURCES)),
            reason: 1,
            by: None,
        }))
    }

    fn add_place(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        Body::Command(Command::AddPlace(AddPlace {
            appointment: AppointmentId(new_id(random, now).0),
            patient: self.patient(random),
            session: self.late_session(random),
            slot: SlotIndex(u16::try_from(random.below(4)).unwrap()),
            channel: self.own_channel(random, client),
            class: PatientClass::Outpatient,
            payment: None,
            reason: 1,
            by: None,
        }))
    }

    fn change(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let payment = PaymentRef(u128::from(random.below(3)));
        let known = self.some_known(random);
        let next = |random: &mut Random| match known.map(|known| known.status) {
            Some(AppointmentStatus::Pending) => {
                random.pick(&[Action::Book { payment }, Action::Book { payment }, Action::Release])
            }
            Some(AppointmentStatus::Waitlist) => Action::Release,
            Some(AppointmentStatus::Booked) => random.pick(&[
                Action::Cancel,
                Action::Arrive,
                Action::CheckIn,
                Action::CheckIn,
                Action::CheckIn,
                Action::NoShow,
            ]),
            _ => random.pick(&[Action::CheckIn, Action::Fulfil, Action::NoShow, Action::Cancel]),
        };
        let any = [
            Action::Book { payment },
            Action::Release,
            Action::Cancel,
            Action::Arrive,
            Action::CheckIn,
            Action::Fulfil,
            Action::NoShow,
        ];
        let role = self.actors[client].role;
        let wanted = |_| {
            let action = if random.chance(850) { next(random) } else { random.pick(&any) };
            permits(role, action.operation()).then_some(action)
        };
        let action = (0..6).find_map(wanted).unwrap_or(Action::Cancel);
        let unknown = AppointmentId(new_id(random, now).0);
        let stranger = self.patient(random);
        let patient = match random.below(20) {
            0 => Some(stranger),
            1..=9 => None,
            _ => known.map(|known| known.patient),
        };
        let channel = known.filter(|_| random.chance(700)).map(|known| known.channel);
        Body::Command(Command::Change(Change {
            request: new_id(random, now),
            appointment: known.filter(|_| random.chance(980)).map_or(unknown, |known| known.id),
            patient,
            channel: channel.unwrap_or_else(|| self.own_channel(random, client)),
            action,
        }))
    }

    /// Mostly one that the client's certificate names.
    pub(crate) fn own_channel(&self, random: &mut Random, client: usize) -> BookingChannel {
        let first = some_channel(random);
        if self.actors[client].channels.contains(first) || random.chance(30) {
            return first;
        }
        let mut own = (0..4).filter_map(BookingChannel::new);
        own.find(|channel| self.actors[client].channels.contains(*channel)).unwrap_or(first)
    }

    fn query(&self, random: &mut Random) -> Query {
        let channel = some_channel(random);
        match (random.below(10), self.some_known(random)) {
            (9, _) => self.bills(random),
            (8, Some(known)) if random.chance(500) => {
                let request = known.id.request();
                let of = match random.below(4) {
                    0 => ExplainOf::Request { request, patient: None },
                    1 => ExplainOf::Appointment { appointment: known.id, patient: None },
                    2 => ExplainOf::Patient(known.patient),
                    _ if self.is_desk => {
                        return Query::ReadStanding { patient: known.patient, channel };
                    }
                    _ => return Query::ReadRecord { patient: known.patient, channel },
                };
                Query::Explain { of, channel, at: None }
            }
            (8, _) => Query::ReadRules { at: None },
            (7, known) => Query::Draw {
                draw: DrawId { session: self.late_session(random), pool: PoolIndex(0) },
                appointment: known.filter(|_| random.chance(500)).map(|known| known.id),
                patient: None,
                channel,
            },
            (6, Some(known)) if random.chance(500) => {
                let patient = random.chance(700).then_some(known.patient);
                let of = CallOrderOf::One { appointment: known.id, patient, channel };
                Query::CallOrder { session: self.late_session(random), of }
            }
            (6, _) => {
                let of = CallOrderOf::All { from: u16::try_from(random.below(3)).unwrap() };
                Query::CallOrder { session: self.late_session(random), of }
            }
            (3, Some(known)) => Query::Alternatives {
                appointment: Some(known.id),
                session: SessionId(0),
                slot: SlotIndex(0),
                count: 1,
                patient: Some(known.patient),
                channel: known.channel,
                class: PatientClass::Outpatient,
            },
            (4, _) => {
                let session = random.chance(500).then(|| self.late_session(random));
                Query::Displaced { session, department: None, after: AppointmentId(0) }
            }
            (5, _) => Query::Waitlist {
                session: SessionId(random.between(1, self.sessions + 1)),
                patient: random.chance(500).then(|| self.patient(random)),
                channel,
            },
            (0, Some(known)) => {
                let patient = random.chance(700).then_some(known.patient);
                Query::Get { appointment: known.id, patient, channel }
            }
            (1, _) => {
                let patient = self.patient(random);
                Query::List { patient, channel }
            }
            _ => {
                let session = SessionId(random.between(1, self.sessions + 1));
                Query::Availability { session, channel, class: PatientClass::Outpatient }
            }
        }
    }
}

/// A new id.
pub(crate) fn new_id(random: &mut Random, now: Timestamp) -> RequestId {
    let (high, low) = (random.next(), random.next());
    RequestId::from_parts(now, u128::from(high) << 64 | u128::from(low))
}

/// Clients' clocks are a little wrong, and a few are wrong by minutes.
fn skewed(random: &mut Random, now: Timestamp) -> Timestamp {
    match random.below(100) {
        0 => now.plus_millis(random.below(5 * MINUTE)),
        1 => now.minus_millis(random.below(15 * MINUTE)),
        _ => now.plus_millis(1_000).minus_millis(random.below(2_000)),
    }
}

fn some_channel(random: &mut Random) -> BookingChannel {
    BookingChannel::new(u8::try_from(random.below(4)).unwrap()).unwrap()
}

fn malformed(random: &mut Random, mut hold: Hold) -> Body {
    match random.below(4) {
        0 => hold.appointment = AppointmentId(random.next().into()),
        1 => hold.patient = None,
        2 => hold.claims.clear(),
        _ => hold.claims.extend(hold.claims.first().cloned()),
    }
    Body::Command(Command::Hold(hold))
}

/// Whether half of the visits of a session should have begun.
fn is_half_over(session: &Session, now: Timestamp) -> bool {
    let half = u16::try_from(session.slot_count() / 2).unwrap_or_default();
    session.slot_start(SlotIndex(half)) <= now
}
