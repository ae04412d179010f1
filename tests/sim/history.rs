//! The durable records, as the disk has them, and what they say, kept as simply as can be.
//!
//! **Architecture invariant:** it reads what the disk synced, not what the journal says is durable,
//! and it shares no code with the engine but the types.

use std::collections::{BTreeMap, BTreeSet};

use haoyuan::codec::decode_facts;
use haoyuan::journal::Block;
use haoyuan::model::{
    Appointment, AppointmentId, AppointmentStatus, Barred, Cause, Claim, Claims, DrawId, Entered,
    Fact, Facts, Held, Outcome, PatientId, PlaceAdded, RequestId, RestrictionId, RestrictionStep,
    Rules, Sequence, Session, SessionId, Struck, Timestamp,
};

/// A durable record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    pub(crate) facts: Facts,
    pub(crate) bytes: Vec<u8>,
}

/// An appointment from its hold on. It is never forgotten here.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) held: Held,
    /// Where it stood, one after the other.
    pub(crate) statuses: Vec<AppointmentStatus>,
    pub(crate) is_forgotten: bool,
    /// The places that it took, one set after the other.
    pub(crate) places: Vec<Claims>,
    /// Whether the last of them are lost to a block.
    pub(crate) is_displaced: bool,
    /// Whether it ever lost places so, or is a hold that the node made for such a one.
    pub(crate) knows_blocks: bool,
    /// Its patient, where an account held it first.
    pub(crate) named: Option<PatientId>,
    /// Whether a payment order moved its deadline.
    pub(crate) is_ordered: bool,
}

/// Everything that is durable.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) records: Vec<Record>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) lives: BTreeMap<AppointmentId, Life>,
    /// Requests that did something, or were declined for good.
    pub(crate) requests: BTreeSet<RequestId>,
    pub(crate) declined: BTreeMap<AppointmentId, Outcome>,
    /// Rules that came into force at any time.
    pub(crate) rules: Vec<Rules>,
    /// Strikes, and what followed from them, by patient.
    pub(crate) struck: BTreeMap<PatientId, Vec<Struck>>,
    pub(crate) barred: BTreeMap<PatientId, Vec<Barred>>,
    /// What was done about restrictions, with those about which nothing was.
    pub(crate) amended: BTreeMap<RestrictionId, Vec<RestrictionStep>>,
    /// Keys that were merged into others, with whom they are of.
    pub(crate) persons: BTreeMap<PatientId, PatientId>,
    /// Slots that are blocked.
    pub(crate) blocked: BTreeSet<(SessionId, u16)>,
    /// Places on their way back, by session, slot, pool and when they come.
    pub(crate) returning: BTreeMap<(SessionId, u16, u8, Timestamp), i64>,
}

/// The records of a block.
pub(crate) fn records_of(bytes: &[u8]) -> Vec<Record> {
    let block = Block::parse(bytes).expect("what was synced is a block");
    let records = block.records();
    records
        .map(|(sequence, time, bytes)| Record {
            sequence,
            time,
            facts: decode_facts(bytes).expect("what was synced can be read"),
            bytes: bytes.to_vec(),
        })
        .collect()
}

impl History {
    /// The last durable record.
    pub(crate) fn last(&self) -> Sequence {
        Sequence(self.records.len() as u64)
    }

    pub(crate) fn add(&mut self, record: Record) {
        for fact in &record.facts {
            self.add_fact(fact);
        }
        self.records.push(record);
    }

    /// Places that come back later are on their way.
    fn set_out(&mut self, claims: &[Claim], back: &[Timestamp]) {
        let later = claims.iter().zip(back).filter(|(_, back)| **back != Timestamp::default());
        for (claim, back) in later {
            for slot in claim.slot.0..claim.slot.0 + u16::from(claim.count) {
                let cell = (claim.session, slot, claim.pool.0, *back);
                *self.returning.entry(cell).or_default() += 1;
            }
        }
    }

    /// The key under which somebody is kept.
    pub(crate) fn person(&self, key: PatientId) -> PatientId {
        self.persons.get(&key).copied().unwrap_or(key)
    }

    fn merge(&mut self, from: PatientId, into: PatientId) {
        let own = self.persons.values_mut().filter(|person| **person == from);
        own.for_each(|person| *person = into);
        self.persons.insert(from, into);
        let lives = self.lives.values_mut().filter(|life| life.held.patient == from);
        lives.for_each(|life| life.held.patient = into);
        let named = self.lives.values_mut().filter(|life| life.named == Some(from));
        named.for_each(|life| life.named = Some(into));
        let struck = self.struck.remove(&from).unwrap_or_default();
        self.struck.entry(into).or_default().extend(struck);
        let barred = self.barred.remove(&from).unwrap_or_default();
        self.barred.entry(into).or_default().extend(barred);
    }

    /// Whether an appointment ever was what an answer says it is.
    pub(crate) fn was(&self, told: &Appointment) -> bool {
        let told = Appointment { patient: self.person(told.patient), ..told.clone() };
        self.lives.get(&told.id).is_some_and(|life| life.was(&told))
    }

    fn add_fact(&mut self, fact: &Fact) {
        self.requests.extend(fact.request().map(|(request, _)| request));
        let status = match fact {
            Fact::SessionOpened(opened) => {
                self.sessions.insert(opened.session.id, opened.session.clone());
                return;
            }
            Fact::Held(held) => {
                self.requests.insert(held.appointment.request());
                let life = Life::new(held.clone(), AppointmentStatus::Pending);
                self.lives.entry(held.appointment).or_insert(life);
                return;
            }
            Fact::PlaceOffered(offered) => {
                for claim in &offered.held.claims {
                    let cell = (claim.session, claim.slot.0, claim.pool.0, offered.back);
                    *self.returning.entry(cell).or_default() -= 1;
                }
                self.requests.insert(offered.held.appointment.request());
                let life = Life::new(offered.held.clone(), AppointmentStatus::Pending);
                self.lives.entry(offered.held.appointment).or_insert(life);
                return;
            }
            Fact::Offered(offered) => {
                let mut life = Life::new(offered.held.clone(), AppointmentStatus::Pending);
                life.knows_blocks = true;
                self.lives.entry(offered.held.appointment).or_insert(life);
                return;
            }
            Fact::PlaceAdded(added) => {
                self.requests.insert(added.appointment.request());
                let life = Life::new(added_as_held(added), AppointmentStatus::Booked);
                self.lives.entry(added.appointment).or_insert(life);
                return;
            }
            Fact::SessionBlocked(fact) => {
                for slot in fact.block.slots() {
                    let cell = (fact.block.session, slot.0);
                    if fact.block.is_blocked {
                        self.blocked.insert(cell);
                    } else {
                        self.blocked.remove(&cell);
                    }
                }
                return;
            }
            Fact::Substituted(fact) => {
                if let Some(session) = self.sessions.get_mut(&fact.substitute.session) {
                    session.resource = fact.substitute.resource;
                }
                return;
            }
            Fact::Displaced(fact) => {
                if let Some(life) = self.lives.get_mut(&fact.appointment) {
                    (life.is_displaced, life.knows_blocks) = (true, true);
                }
                AppointmentStatus::Booked
            }
            Fact::QuotasSet(set) => {
                if let Some(session) = self.sessions.get_mut(&set.session) {
                    for (pool, quotas) in session.pools.iter_mut().zip(&set.quotas) {
                        pool.quotas.clone_from(quotas);
                    }
                }
                return;
            }
            Fact::Reclaimed(fact) => {
                if let Some(session) = self.sessions.get_mut(&fact.session) {
                    let (from, to) = (usize::from(fact.from.0), usize::from(fact.to.0));
                    for (slot, places) in fact.places.iter().enumerate() {
                        session.pools[from].quotas[slot] -= places;
                        session.pools[to].quotas[slot] += places;
                    }
                    session.pools[from].terms.reclaim = None;
                }
                return;
            }
            Fact::RulesApplied(applied) => {
                self.rules.push(applied.rules.clone());
                return;
            }
            Fact::Struck(struck) => {
                let id = RestrictionId(struck.appointment.0);
                if struck.restriction.is_some() {
                    self.amended.entry(id).or_default();
                }
                self.struck.entry(struck.patient).or_default().push((**struck).clone());
                return;
            }
            Fact::Barred(fact) => {
                self.amended.entry(fact.id).or_default();
                self.barred.entry(fact.patient).or_default().push(**fact);
                return;
            }
            Fact::Restricted(fact) => {
                self.amended.entry(RestrictionId(fact.request.0)).or_default();
                return;
            }
            Fact::Amended(fact) => {
                self.amended.entry(fact.restriction).or_default().push(fact.step);
                return;
            }
            Fact::PatientsMerged(fact) => {
                self.merge(fact.from, fact.into);
                return;
            }
            Fact::PatientNamed(fact) => {
                if let Some(life) = self.lives.get_mut(&fact.appointment) {
                    life.named = Some(fact.patient);
                }
                return;
            }
            Fact::Ordered(fact) => {
                if let Some(life) = self.lives.get_mut(&fact.appointment) {
                    life.is_ordered = true;
                }
                return;
            }
            Fact::DecidedUnder(_)
            | Fact::LeftLate(_)
            | Fact::Billed(_)
            | Fact::Phoned(_)
            | Fact::Bound(_)
            | Fact::Swept(_)
            | Fact::Recorded(_)
            | Fact::Cooled(_)
            | Fact::Probed(_)
            | Fact::WaitJoined(_)
            | Fact::WaitLeft(_)
            | Fact::WaitDrawn(_)
            | Fact::Called(_)
            | Fact::BeaconGiven(_)
            | Fact::DrawRevealed(_) => return,
            Fact::Declined(declined) => {
                self.requests.insert(declined.appointment.request());
                self.declined.insert(declined.appointment, declined.outcome);
                return;
            }
            Fact::Forgotten(forgotten) => {
                for id in &forgotten.appointments {
                    if let Some(life) = self.lives.get_mut(id) {
                        life.is_forgotten = true;
                    }
                }
                return;
            }
            Fact::Entered(entered) => {
                self.requests.insert(entered.appointment.request());
                let life = Life::new(entry_as_held(entered), AppointmentStatus::Waitlist);
                self.lives.entry(entered.appointment).or_insert(life);
                return;
            }
            Fact::DrawWon(won) => {
                if let Some(life) = self.lives.get_mut(&won.appointment) {
                    life.places.push(std::iter::once(won.claim).collect());
                }
                AppointmentStatus::Pending
            }
            Fact::Rescheduled(moved) => {
                self.set_out(&moved.from, &moved.back);
                if let Some(life) = self.lives.get_mut(&moved.appointment) {
                    life.places.push(moved.to.clone());
                    life.is_displaced = false;
                }
                return;
            }
            Fact::Booked(_) => AppointmentStatus::Booked,
            Fact::Returned(fact) => {
                for places in &fact.places {
                    let cell = (fact.session, places.slot.0, places.pool.0, places.until);
                    *self.returning.entry(cell).or_default() -= i64::from(places.count);
                }
                return;
            }
            Fact::Ended(_) | Fact::EntryEnded(_) => AppointmentStatus::Cancelled,
            Fact::Freed(freed) => {
                self.set_out(&freed.ended.claims, &freed.back);
                AppointmentStatus::Cancelled
            }
            Fact::Progressed(fact) => fact.status,
            Fact::Settled(fact) => fact.status,
            Fact::Left(fact) => fact.status,
            Fact::Queued(_) => AppointmentStatus::CheckedIn,
        };
        let life = fact.appointment().and_then(|id| self.lives.get_mut(&id));
        if let Some(life) = life {
            life.statuses.push(status);
        }
    }
}

/// An entry of a draw, as if it were a hold: it names the place that is wished most, and takes none.
fn entry_as_held(entered: &Entered) -> Held {
    let DrawId { session, pool } = entered.draw;
    let choice = &entered.entry.choice;
    let slot = choice.slots.first().copied().unwrap_or_default();
    Held {
        appointment: entered.appointment,
        patient: entered.patient,
        account: entered.account,
        organization: entered.organization,
        channel: entered.channel,
        class: choice.class,
        sharing: entered.sharing,
        until: entered.until,
        fingerprint: entered.fingerprint,
        rules: entered.rules,
        claims: std::iter::once(Claim { session, slot, count: choice.count, pool }).collect(),
    }
}

/// An added place, as if it had been held.
fn added_as_held(added: &PlaceAdded) -> Held {
    Held {
        appointment: added.appointment,
        patient: added.patient,
        account: None,
        organization: added.organization,
        channel: added.channel,
        class: added.class,
        sharing: added.sharing,
        until: Timestamp::default(),
        fingerprint: added.fingerprint,
        rules: added.rules,
        claims: added.claims.clone(),
    }
}

impl Life {
    fn new(held: Held, status: AppointmentStatus) -> Self {
        let (statuses, places) = (vec![status], vec![held.claims.clone()]);
        let (is_forgotten, is_displaced, knows_blocks) = (false, false, false);
        let (named, is_ordered) = (None, false);
        Self { held, statuses, is_forgotten, places, is_displaced, knows_blocks, named, is_ordered }
    }

    /// Whether it ever was a patient's, or an account's under that line.
    pub(crate) fn is_of(&self, patient: PatientId) -> bool {
        self.held.patient == patient || self.named == Some(patient)
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> AppointmentStatus {
        *self.statuses.last().expect("a life begins with a hold")
    }

    /// The places that it takes, or took at its end.
    pub(crate) fn claims(&self) -> &Claims {
        self.places.last().expect("a life begins with places")
    }

    /// Whether it ever was what an answer says it is.
    pub(crate) fn was(&self, told: &Appointment) -> bool {
        let as_held = self.is_of(told.patient)
            && (told.channel, told.fingerprint) == (self.held.channel, self.held.fingerprint);
        // A move may lead to another organization.
        let as_held =
            as_held && (1 < self.places.len() || told.organization == self.held.organization);
        let cause_fits = match told.cause {
            Cause::None => told.status != AppointmentStatus::Cancelled,
            // A hold in a blocked slot ends with this cause too.
            Cause::Displaced if told.status != AppointmentStatus::Cancelled => self.knows_blocks,
            _ => told.status == AppointmentStatus::Cancelled,
        };
        as_held && cause_fits && self.places.contains(&told.claims) && self.stood(told.status)
    }

    /// Whether it ever stood there.
    pub(crate) fn stood(&self, status: AppointmentStatus) -> bool {
        self.statuses.contains(&status)
    }
}
