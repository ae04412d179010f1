//! What clients want next: mostly what apps do, now and then what they should not.
//!
//! ```text
//! wish --> staff | people | queries --> a request      known <-- answers
//! ```

mod known;
mod people;
mod queries;
mod staff;

use std::collections::BTreeMap;

use haoyuan::model::{
    Actor, AppointmentId, AppointmentStatus, BookingChannel, ChannelSet, Command, OrganizationId,
    Organizations, PatientId, RequestId, RestrictionId, Role, Session, SessionId, SlotIndex,
    Timestamp,
};

use crate::ask::Body;
use crate::plan::Plan;
use crate::random::Random;
use crate::sessions::MINUTE;

pub(crate) use self::known::Known;

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

    /// One of the sessions that are asked for most.
    fn late_session(&self, random: &mut Random) -> SessionId {
        let oldest = self.sessions.saturating_sub(5).max(1);
        let unknown = u64::from(random.chance(20));
        SessionId(random.between(oldest, self.sessions + unknown))
    }

    /// Somebody, by one of their keys.
    pub(crate) fn patient(&self, random: &mut Random) -> PatientId {
        if !self.keys.is_empty() && random.chance(120) {
            return self.keys[random.index(self.keys.len())];
        }
        PatientId(u128::from(random.between(1, self.patients)))
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

/// Whether half of the visits of a session should have begun.
fn is_half_over(session: &Session, now: Timestamp) -> bool {
    let half = u16::try_from(session.slot_count() / 2).unwrap_or_default();
    session.slot_start(SlotIndex(half)) <= now
}
