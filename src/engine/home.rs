//! A home shard: the appointments and requests whose ids are at home here, and their deadlines.

use std::collections::{BTreeSet, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::BuildHasher;

use super::billing::Billing;
use super::chunks::Position;
use super::deadlines::Deadlines;
use super::index::Index;
use super::slab::Slab;
use super::subjects::Phones;
use crate::model::limits::FORGOTTEN_MAX;
use crate::model::{
    Appointment, AppointmentEvent, AppointmentId, AppointmentStatus, Bill, Cause, Claims, DrawWon,
    Ended, Entered, Fact, Forgotten, Held, Ordered, Outcome, PatientNamed, RequestId, Rescheduled,
    SessionId, Timestamp,
};

/// The appointments and requests whose ids are at home here.
///
/// Derived parts (index, deadlines, the queue of what may be forgotten) follow from the facts and
/// are in no snapshot and no digest.
///
/// Fields in the order in which a hold comes across them: the first three lines of memory are all that
/// it touches.
#[derive(Debug)]
#[repr(C)]
pub struct HomeShard {
    /// Where an id lies: in `slab`, or with [`REQUEST`] in `requests`. One look tells both.
    index: Index,
    hasher: FixedState,
    slab: Slab,
    /// Holds that are pending now.
    pending: usize,
    /// Deadlines of holds. One that was booked or released stays until it comes up.
    deadlines: Deadlines,
    retention_millis: u64,
    /// Requests that were no holds, oldest first as far as time runs forward.
    requests: VecDeque<Remembered>,
    /// How many of them were dropped: the position of the first.
    dropped: Position,
    /// Refusals that are remembered.
    declined: HashMap<AppointmentId, (u64, Outcome), FixedState>,
    /// How often appointments were moved by wish: those that were.
    changes: HashMap<AppointmentId, u8, FixedState>,
    /// Appointments that lost their places and have no others: derived.
    displaced: BTreeSet<AppointmentId>,
    /// When an appointment ended, oldest first as far as time runs forward.
    ended: VecDeque<(Timestamp, Position)>,
    /// Payments, orders and marks.
    billing: Billing,
    /// The telephones that appointments were asked for with.
    phones: Phones,
}

/// A request that was no hold.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    time: Timestamp,
    request: RequestId,
    fingerprint: u64,
}

/// Marks a position in `requests`. Positions run round below it.
const REQUEST: Position = 1 << 31;

impl HomeShard {
    /// An empty shard. `seed` makes its tables hard to attack; it changes no answer.
    /// `retention_millis` is how long requests and ended appointments are remembered.
    pub fn new(seed: u64, retention_millis: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            slab: Slab::default(),
            index: Index::default(),
            hasher: hasher.clone(),
            deadlines: Deadlines::default(),
            pending: 0,
            ended: VecDeque::new(),
            requests: VecDeque::new(),
            dropped: 0,
            declined: HashMap::with_hasher(hasher.clone()),
            changes: HashMap::with_hasher(hasher),
            displaced: BTreeSet::new(),
            retention_millis,
            billing: Billing::default(),
            phones: Phones::default(),
        }
    }

    /// Writes what a fact did to an appointment that is at home here.
    ///
    /// # Panics
    ///
    /// Panics if the fact is impossible in this state: the journal or the engine is wrong, and
    /// going on would be worse.
    pub fn evolve(&mut self, time: Timestamp, fact: &Fact) {
        match fact {
            Fact::Held(held) => self.insert(&appointment_of(held)),
            Fact::PlaceOffered(offered) => self.insert(&appointment_of(&offered.held)),
            Fact::Booked(booked) => {
                let position = self.position(booked.appointment);
                self.step(position, Some(AppointmentEvent::Book), Cause::None, time);
                self.slab.entry_mut(position).set_payment(booked.payment);
            }
            Fact::Ended(ended) => self.end(ended, time),
            Fact::Freed(freed) => self.end(&freed.ended, time),
            Fact::Progressed(fact) => {
                let position = self.position(fact.appointment);
                self.step(position, fact.event(), Cause::None, time);
            }
            Fact::Settled(fact) => {
                let position = self.position(fact.appointment);
                self.step(position, fact.event(), Cause::None, time);
            }
            Fact::Queued(fact) => {
                let position = self.position(fact.appointment);
                self.step(position, Some(AppointmentEvent::CheckIn), Cause::None, time);
            }
            Fact::Left(fact) => {
                let position = self.position(fact.appointment);
                self.step(position, fact.event(), Cause::None, time);
            }
            Fact::Declined(fact) => {
                self.insert_declined(fact.appointment, fact.fingerprint, fact.outcome);
            }
            Fact::Forgotten(forgotten) => self.forget(forgotten),
            Fact::Entered(entered) => self.insert(&entrant_of(entered)),
            Fact::DrawWon(won) => self.win(won),
            Fact::EntryEnded(ended) => {
                let position = self.position(ended.appointment);
                let event = match ended.cause {
                    Cause::Released => Some(AppointmentEvent::Release),
                    Cause::NotDrawn => Some(AppointmentEvent::Lose),
                    Cause::None | Cause::Expired | Cause::Cancelled | Cause::Displaced => None,
                };
                self.step(position, event, ended.cause, time);
            }
            Fact::Rescheduled(fact) => self.reschedule(time, fact),
            Fact::Displaced(fact) => {
                let position = self.position(fact.appointment);
                assert!(
                    self.slab.get(position).takes(&fact.claims),
                    "an impossible fact: other places come back than {:032x} took",
                    fact.appointment.0
                );
                self.step(position, Some(AppointmentEvent::Displace), Cause::Displaced, time);
                self.displaced.insert(fact.appointment);
            }
            Fact::PlaceAdded(fact) => self.insert(&fact.appointment(time)),
            Fact::Offered(fact) => {
                let hold = appointment_of(&fact.held);
                self.insert(&Appointment { cause: Cause::Displaced, ..hold });
            }
            Fact::LeftLate(fact) => {
                // Of an appointment that there is.
                self.position(fact.appointment);
                self.billing.mark_late(fact.appointment);
            }
            Fact::Billed(fact) => self.bill(&fact.bill),
            Fact::Ordered(fact) => self.order(fact),
            Fact::PatientNamed(fact) => self.name(fact),
            Fact::Phoned(fact) => {
                // Of an appointment that there is.
                self.position(fact.appointment);
                self.phones.note(fact);
            }
            Fact::SessionOpened(_)
            | Fact::QuotasSet(_)
            | Fact::Reclaimed(_)
            | Fact::Called(_)
            | Fact::Returned(_)
            | Fact::Swept(_)
            | Fact::SessionBlocked(_)
            | Fact::Substituted(_)
            | Fact::BeaconGiven(_)
            | Fact::DrawRevealed(_)
            | Fact::WaitJoined(_)
            | Fact::WaitLeft(_)
            | Fact::RulesApplied(_)
            | Fact::Struck(_)
            | Fact::DecidedUnder(_)
            | Fact::Barred(_)
            | Fact::Probed(_)
            | Fact::Recorded(_)
            | Fact::Bound(_)
            | Fact::Restricted(_)
            | Fact::Amended(_)
            | Fact::PatientsMerged(_)
            | Fact::Cooled(_)
            | Fact::WaitDrawn(_) => {}
        }
    }

    /// Writes a payment down. Of an appointment that left memory only what is owed back is kept.
    fn bill(&mut self, bill: &Bill) {
        let known = self.billing.bill(bill.appointment, bill.payment);
        let is_kept = self.find_appointment(bill.appointment).is_some();
        assert!(
            (is_kept || known.is_some()) && bill.may_follow(known),
            "an impossible fact: a payment of {:032x} becomes what it cannot be",
            bill.appointment.0
        );
        self.billing.put(*bill);
        if !is_kept {
            self.billing.forget(bill.appointment);
        }
    }

    /// Writes down whose an account's hold is.
    fn name(&mut self, named: &PatientNamed) {
        let position = self.position(named.appointment);
        let hold = self.slab.get(position).unpack();
        let is_it = hold.is_unnamed()
            && hold.account == Some(named.account)
            && hold.claims == named.claims
            && hold.status == AppointmentStatus::Pending;
        assert!(
            is_it,
            "an impossible fact: {:032x} is no hold whose patient can be named so",
            named.appointment.0
        );
        self.slab.entry_mut(position).set_patient(named.patient, named.class);
    }

    /// Moves the deadline of a hold. The old one is dropped when it comes up.
    fn order(&mut self, ordered: &Ordered) {
        let position = self.position(ordered.appointment);
        let entry = self.slab.entry_mut(position);
        assert!(
            entry.status() == AppointmentStatus::Pending,
            "an impossible fact: {:032x} is ordered and no hold",
            ordered.appointment.0
        );
        entry.set_deadline(ordered.until);
        self.deadlines.push(ordered.until, position);
        self.billing.put_orders(ordered.appointment, ordered.orders);
    }

    /// What lies beside the appointments.
    pub const fn billing(&self) -> &Billing {
        &self.billing
    }

    /// The same, for a snapshot to fill.
    pub const fn billing_mut(&mut self) -> &mut Billing {
        &mut self.billing
    }

    /// The telephones that appointments were asked for with.
    pub const fn phones(&self) -> &Phones {
        &self.phones
    }

    /// The same, for a snapshot to fill.
    pub const fn phones_mut(&mut self) -> &mut Phones {
        &mut self.phones
    }

    /// Ends an appointment that took just these places.
    fn end(&mut self, ended: &Ended, time: Timestamp) {
        let position = self.position(ended.appointment);
        assert!(
            self.slab.get(position).takes(&ended.claims),
            "an impossible fact: other places come back than {:032x} took",
            ended.appointment.0
        );
        self.step(position, ended.event(), ended.cause, time);
    }

    /// Remembers a request that was no hold, and drops those that nobody may repeat any more.
    ///
    /// # Panics
    ///
    /// Panics if its id is known: the fact is impossible.
    pub fn remember(&mut self, time: Timestamp, request: RequestId, fingerprint: u64) {
        let hash = self.hash(request.0);
        assert!(
            self.find(request.0).is_none(),
            "an impossible fact: request {:032x} is answered twice",
            request.0
        );
        let count =
            u32::try_from(self.requests.len()).expect("a shard has less than 2^31 requests");
        self.index.insert(hash, REQUEST | self.dropped.wrapping_add(count) & !REQUEST);
        self.requests.push_back(Remembered { time, request, fingerprint });
        // Two out for one in: the queue shrinks to the retention window and no call is long.
        for _ in 0..2 {
            let Some(first) = self.requests.front() else { return };
            if time <= first.time.plus_millis(self.retention_millis.saturating_mul(2)) {
                return;
            }
            let hash = self.hash(first.request.0);
            self.index.remove(hash, REQUEST | self.dropped);
            self.requests.pop_front();
            self.dropped = self.dropped.wrapping_add(1) & !REQUEST;
        }
    }

    /// Puts an appointment in, as a hold or a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if there is one with this id.
    pub fn insert(&mut self, appointment: &Appointment) {
        let id = appointment.id.0;
        assert!(self.find(id).is_none(), "an impossible fact: appointment {id:032x} is held twice");
        let hash = self.hash(id);
        let position = self.slab.insert(appointment);
        self.index.insert(hash, position);
        if appointment.status == AppointmentStatus::Pending {
            self.deadlines.push(appointment.until, position);
            self.pending = self.pending.saturating_add(1);
        } else if !appointment.status.is_live() {
            self.ended.push_back((appointment.until, position));
        } else if appointment.is_displaced() {
            self.displaced.insert(appointment.id);
        }
    }

    /// Puts what ended in the order of time, once a snapshot has brought all of it.
    pub fn order_ended(&mut self) {
        self.ended.make_contiguous().sort_unstable();
    }

    /// Remembers a refusal, as a snapshot brings it.
    pub fn insert_declined(&mut self, id: AppointmentId, fingerprint: u64, outcome: Outcome) {
        self.declined.insert(id, (fingerprint, outcome));
    }

    /// The appointment with that id.
    pub fn appointment(&self, id: AppointmentId) -> Option<Appointment> {
        self.find_appointment(id).map(|position| self.slab.get(position).unpack())
    }

    /// The fingerprint of an earlier request with that id that was no hold.
    pub fn request(&self, id: RequestId) -> Option<u64> {
        let position = self.find(id.0).filter(|position| position & REQUEST != 0);
        position.map(|position| self.remembered(position).fingerprint)
    }

    /// The refusal that is remembered under that id, with the fingerprint of its request.
    pub fn declined(&self, id: AppointmentId) -> Option<(u64, Outcome)> {
        self.declined.get(&id).copied()
    }

    /// How often an appointment was moved by wish.
    pub fn changes(&self, id: AppointmentId) -> u8 {
        self.changes.get(&id).copied().unwrap_or_default()
    }

    /// Remembers how often an appointment was moved, as a snapshot brings it.
    pub fn insert_changes(&mut self, id: AppointmentId, changes: u8) {
        self.changes.insert(id, changes);
    }

    /// Every appointment that was moved by wish, and how often, by id.
    pub fn moved(&self) -> Vec<(AppointmentId, u8)> {
        let mut all: Vec<_> = self.changes.iter().map(|(id, changes)| (*id, *changes)).collect();
        all.sort_unstable();
        all
    }

    /// Appointments that lost their places and have no others yet, above an id, by id.
    pub fn displaced(&self, after: AppointmentId) -> impl Iterator<Item = Appointment> + '_ {
        let above = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.displaced.range(above).filter_map(|id| self.appointment(*id))
    }

    /// Live appointments that have, or had, a place in one of the sessions, which are in order.
    pub fn live_in(&self, sessions: &[SessionId]) -> Vec<AppointmentId> {
        self.slab.live_in(sessions).collect()
    }

    /// The earliest deadline, of a hold or of one that was.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(until, _)| until)
    }

    /// A hold whose deadline has passed, the earliest first. Deadlines of what is no hold any more
    /// are dropped on the way.
    pub fn next_due(&mut self, now: Timestamp) -> Option<AppointmentId> {
        while let Some((until, position)) = self.deadlines.first() {
            if now < until {
                return None;
            }
            let entry = self.slab.get(position);
            if entry.is_pending_until(until) {
                return Some(entry.id());
            }
            self.deadlines.drop_first();
        }
        None
    }

    /// Appointments that ended longer ago than anybody may repeat their requests.
    pub fn next_forgettable(&self, now: Timestamp) -> Option<Forgotten> {
        let horizon = now.minus_millis(self.retention_millis.saturating_mul(2));
        let old = self.ended.iter().take_while(|(ended, _)| *ended < horizon);
        let old = old.filter(|line| self.is_ended(line));
        let ids = old.map(|(_, position)| self.slab.get(*position).id());
        let appointments: arrayvec::ArrayVec<_, FORGOTTEN_MAX> = ids.take(FORGOTTEN_MAX).collect();
        (!appointments.is_empty()).then_some(Forgotten { appointments })
    }

    /// Whether the id was used, for an appointment, another request, or a refusal that is remembered.
    pub fn knows(&self, id: RequestId) -> bool {
        self.find(id.0).is_some() || self.declined.contains_key(&AppointmentId(id.0))
    }

    /// Holds that are pending.
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Appointments in memory.
    pub fn len(&self) -> usize {
        self.index.len().saturating_sub(self.requests.len())
    }

    /// Whether no appointment is at home here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every appointment, in no order that means anything.
    pub fn appointments(&self) -> impl Iterator<Item = Appointment> + '_ {
        self.slab.iter()
    }

    /// Every remembered request with its time and fingerprint, oldest first.
    pub fn requests(&self) -> impl Iterator<Item = (Timestamp, RequestId, u64)> + '_ {
        self.requests.iter().map(|line| (line.time, line.request, line.fingerprint))
    }

    /// Every remembered refusal, by id.
    pub fn refusals(&self) -> Vec<(AppointmentId, u64, Outcome)> {
        let declined = self.declined.iter();
        let mut all: Vec<_> = declined.map(|(id, (print, why))| (*id, *print, *why)).collect();
        all.sort_unstable();
        all
    }

    /// Moves an appointment on by the one table of transitions.
    fn step(
        &mut self,
        position: Position,
        event: Option<AppointmentEvent>,
        cause: Cause,
        time: Timestamp,
    ) {
        let entry = self.slab.entry_mut(position);
        let from = entry.status();
        if entry.is_displaced() {
            self.displaced.remove(&entry.id());
        }
        let status = event.and_then(|event| from.after(event)).unwrap_or_else(|| {
            panic!("an impossible fact: {event:?} of an appointment that is {from:?}")
        });
        entry.set_status(status, cause, time);
        if from == AppointmentStatus::Pending {
            self.pending = self.pending.saturating_sub(1);
            if !self.billing.is_empty() {
                let id = self.slab.get(position).id();
                self.billing.end_orders(id);
            }
        }
        if !status.is_live() {
            self.ended.push_back((time, position));
        }
    }

    /// Gives an appointment other places.
    fn reschedule(&mut self, time: Timestamp, fact: &Rescheduled) {
        let position = self.position(fact.appointment);
        let entry = self.slab.entry_mut(position);
        assert!(
            entry.takes(&fact.from),
            "an impossible fact: other places come back than {:032x} took",
            fact.appointment.0
        );
        if entry.is_displaced() {
            entry.set_status(AppointmentStatus::Booked, Cause::None, time);
            self.displaced.remove(&fact.appointment);
        }
        entry.set_claims(&fact.to);
        entry.set_sharing(fact.organization, fact.sharing);
        if 0 < fact.changes {
            self.changes.insert(fact.appointment, fact.changes);
        }
    }

    /// Makes an entry of a draw a hold.
    fn win(&mut self, won: &DrawWon) {
        let position = self.position(won.appointment);
        self.step(position, Some(AppointmentEvent::Win), Cause::None, won.until);
        self.slab.entry_mut(position).set_claims(&[won.claim]);
        self.deadlines.push(won.until, position);
        self.pending = self.pending.saturating_add(1);
    }

    fn forget(&mut self, forgotten: &Forgotten) {
        for id in &forgotten.appointments {
            let position = self.position(*id);
            assert!(
                !self.slab.get(position).status().is_live(),
                "an impossible fact: {:032x} is forgotten while it is live",
                id.0
            );
            let was_there = self.index.remove(self.hash(id.0), position);
            assert!(was_there, "a position is in the index");
            self.slab.remove(position);
            self.changes.remove(id);
            self.billing.forget(*id);
            self.phones.forget(*id);
        }
        while self.ended.front().is_some_and(|line| !self.is_ended(line)) {
            self.ended.pop_front();
        }
    }

    /// Whether a line of the queue still speaks of an appointment that ended then. Its position may
    /// have been given to another one: a shard from a snapshot forgets in another order.
    fn is_ended(&self, (ended, position): &(Timestamp, Position)) -> bool {
        let entry = self.slab.get(*position);
        entry.is_occupied() && !entry.status().is_live() && entry.until() == *ended
    }

    fn position(&self, id: AppointmentId) -> Position {
        self.find_appointment(id)
            .unwrap_or_else(|| panic!("an impossible fact: there is no appointment {:032x}", id.0))
    }

    fn find_appointment(&self, id: AppointmentId) -> Option<Position> {
        self.find(id.0).filter(|position| position & REQUEST == 0)
    }

    /// Where an id lies, an appointment's or a request's.
    fn find(&self, id: u128) -> Option<Position> {
        self.index.find(self.hash(id), |position| match position & REQUEST {
            0 => self.slab.get(position).id().0 == id,
            _ => self.remembered(position).request.0 == id,
        })
    }

    fn remembered(&self, position: Position) -> &Remembered {
        let index = position.wrapping_sub(self.dropped) & !REQUEST;
        self.requests.get(index as usize).expect("the index knows what is remembered")
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are kept")]
    fn hash(&self, id: u128) -> u32 {
        (self.hasher.hash_one(id) >> 16) as u32
    }
}

/// The appointment of an entry. Its claim is what it wishes most; it takes no place.
fn entrant_of(entered: &Entered) -> Appointment {
    Appointment {
        id: entered.appointment,
        patient: entered.patient,
        account: entered.account,
        organization: entered.organization,
        channel: entered.channel,
        class: entered.entry.choice.class,
        sharing: entered.sharing,
        status: AppointmentStatus::Waitlist,
        cause: Cause::None,
        until: entered.until,
        fingerprint: entered.fingerprint,
        payment: None,
        rules: entered.rules,
        claims: std::iter::once(entered.entry.choice.claim(entered.draw)).collect(),
    }
}

fn appointment_of(held: &Held) -> Appointment {
    Appointment {
        id: held.appointment,
        patient: held.patient,
        account: held.account,
        organization: held.organization,
        channel: held.channel,
        class: held.class,
        sharing: held.sharing,
        status: AppointmentStatus::Pending,
        cause: Cause::None,
        until: held.until,
        fingerprint: held.fingerprint,
        payment: None,
        rules: held.rules,
        claims: Claims::from_slice(&held.claims),
    }
}
