//! The waitlist of a session (候补): its rule, who waits, and what becomes of them.
//!
//! ```text
//! JoinWaitlist --> WaitJoined      in the ledger of the patient, and by reference in each target
//! not drawn at an opening --^
//!                  WaitDrawn       the order of those who came soon after the first
//!                  PlaceOffered         a hold that the engine makes for the first who may have a place
//! book, release, deadline, leave, close --> WaitLeft
//! ```
//!
//! **Architecture invariant:** an entry has at most one offer in its life, whatever its targets are:
//! its end, in whichever way, ends the entry.

use arrayvec::ArrayVec;

use super::actor::BookingChannel;
use super::actor::ChannelSet;
use super::appointment::PatientClass;
use super::command::Attributes;
use super::fact::Held;
use super::fingerprint::Fingerprint;
use super::id::{AccountId, PatientId, RequestId, SessionId};
use super::limits::{CLAIMS_MAX, TTL_MILLIS_MAX, WAITLIST_ENTRIES_MAX};
use super::operation::Operation;
use super::outcome::Outcome;
use super::terms::{ServiceHours, TermsFault};
use super::time::Timestamp;

/// How a session keeps a waitlist. It needs freed places to go to the waitlist first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitlistRule {
    /// Who may wait at one time, 1 to [`WAITLIST_ENTRIES_MAX`].
    pub entries_max: u16,
    /// Who goes before whom: a number for each class of patient, the lowest first.
    pub priority: [u8; PatientClass::COUNT],
    /// How long after the first entry those who join are ordered by a draw, in milliseconds. With 0
    /// all are ordered by when they joined.
    pub draw_millis: u32,
    /// How long an offer lasts, 1 ms to a day.
    pub offer_millis: u32,
    /// How long it lasts where the visit is near, 1 ms to a day.
    pub near_offer_millis: u32,
    /// How long before a slot begins its visit is near, in milliseconds.
    pub near_millis: u32,
    /// When in the day offers are made; always where it is not said. It binds every channel.
    pub hours: Option<ServiceHours>,
    /// When the waitlist closes: nobody joins, nothing is offered, and who waits is told.
    pub closes_at: Timestamp,
}

/// The sessions of an entry, each once.
pub type Targets = ArrayVec<SessionId, CLAIMS_MAX>;

/// Joins the waitlists of sessions that are full (加入候补).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinWaitlist {
    /// The id of the request, and of the entry.
    pub request: RequestId,
    /// Who is to be seen.
    pub patient: PatientId,
    /// Who asks, if it is said.
    pub account: Option<AccountId>,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What the gateway vouches for.
    pub attributes: Attributes,
    /// The earliest begin of a slot that will do.
    pub earliest: Timestamp,
    /// The latest.
    pub latest: Timestamp,
    /// In which sessions, 1 to 8: a place in one of them.
    pub targets: Targets,
}

/// Leaves the waitlists that an entry is in (退出候补).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveWaitlist {
    /// The id of the request.
    pub request: RequestId,
    /// Which entry.
    pub entry: RequestId,
    /// Whose it is.
    pub patient: PatientId,
    /// Through which channel.
    pub channel: BookingChannel,
}

/// An entry as its patient's ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitEntry {
    /// The request that made it.
    pub entry: RequestId,
    /// Who is to be seen.
    pub patient: PatientId,
    /// Who asked, if it was said.
    pub account: Option<AccountId>,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What the gateway vouched for.
    pub attributes: Attributes,
    /// When it was made.
    pub joined: Timestamp,
    /// The earliest begin of a slot that will do.
    pub earliest: Timestamp,
    /// The latest.
    pub latest: Timestamp,
    /// In which sessions it still waits.
    pub targets: ArrayVec<WaitTarget, CLAIMS_MAX>,
}

/// A session that an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTarget {
    /// Which.
    pub session: SessionId,
    /// The priority of the patient's class there, the lowest first.
    pub priority: u8,
    /// What orders it among those of its priority.
    pub order: WaitOrder,
    /// When the draw takes place that orders it; zero where none does.
    pub drawn_at: Timestamp,
}

/// What orders somebody who waits among those of the same priority. The first of these go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum WaitOrder {
    /// The draw of an opening that brought them here without a place: by their ranks in it.
    Opening = 1,
    /// The draw of those who joined soon after the first.
    Draw = 2,
    /// When they joined.
    Time = 3,
}

/// A waitlist as its session has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitState {
    /// When the draw takes place; zero before the first entry, and where there is none.
    pub drawn_at: Timestamp,
    /// What was drawn.
    pub seed: Option<u64>,
    /// How many have ever joined.
    pub joined: u32,
    /// How many of them the draw of an opening brought.
    pub brought: u32,
    /// Who waits or has an offer, in the order of joining.
    pub waiters: Vec<Waiter>,
}

/// A session's reference to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The entry.
    pub entry: RequestId,
    /// Whose.
    pub patient: PatientId,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// The earliest begin of a slot that will do.
    pub earliest: Timestamp,
    /// The latest.
    pub latest: Timestamp,
    /// The lowest first.
    pub priority: u8,
    /// How many had joined before.
    pub number: u32,
    /// What orders it among those of its priority.
    pub order: WaitOrder,
    /// Whether it has an offer, here or elsewhere.
    pub is_offered: bool,
}

/// See [`super::Fact::WaitJoined`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitJoined {
    /// The fingerprint of the request, whose id is the entry's; `None` where the draw of an opening
    /// brought the patient, and the id is that of the appointment which had no place.
    pub fingerprint: Option<u64>,
    /// The entry.
    pub entry: WaitEntry,
    /// Its targets.
    pub targets: Targets,
}

/// See [`super::Fact::WaitDrawn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitDrawn {
    /// Of which session.
    pub session: SessionId,
    /// What was drawn.
    pub seed: u64,
}

/// See [`super::Fact::PlaceOffered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceOffered {
    /// To which entry.
    pub entry: RequestId,
    /// Every session in which it waits.
    pub targets: Targets,
    /// When the place would have come back.
    pub back: Timestamp,
    /// The hold. Its only claim is one place.
    pub held: Held,
}

impl PlaceOffered {
    /// Whether the hold is of one place, in a session in which the entry waits.
    pub fn is_one_place(&self) -> bool {
        matches!(self.held.claims.as_slice(), [claim]
            if claim.count == 1 && self.targets.contains(&claim.session))
    }
}

/// See [`super::Fact::WaitLeft`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitLeft {
    /// The request that did it, with its fingerprint, where it was one to leave.
    pub request: Option<(RequestId, u64)>,
    /// Which entry.
    pub entry: RequestId,
    /// Whose.
    pub patient: PatientId,
    /// The sessions in which it waits no more.
    pub targets: Targets,
    /// Why.
    pub why: WaitEnd,
}

/// Why somebody waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum WaitEnd {
    /// The offer was booked.
    Accepted = 1,
    /// The patient left.
    Left = 2,
    /// The offer was released. Never a violation.
    Declined = 3,
    /// The deadline of the offer passed. Never a violation.
    Lapsed = 4,
    /// The waitlist was closed.
    Cleared = 5,
    /// What was offered was blocked before it was booked.
    Blocked = 6,
}

impl WaitEnd {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Left => "left",
            Self::Declined => "declined",
            Self::Lapsed => "lapsed",
            Self::Cleared => "cleared",
            Self::Blocked => "blocked",
        }
    }
}

impl WaitlistRule {
    /// Checks ranges.
    pub(super) fn check(&self) -> Result<(), TermsFault> {
        let ttl = 1..=TTL_MILLIS_MAX;
        let sound = (1..=WAITLIST_ENTRIES_MAX).contains(&self.entries_max)
            && ttl.contains(&self.offer_millis)
            && ttl.contains(&self.near_offer_millis)
            && self.hours.as_ref().is_none_or(|hours| hours.channels == ChannelSet::ALL);
        if !sound {
            return Err(TermsFault::Waitlist);
        }
        self.hours.as_ref().map_or(Ok(()), ServiceHours::check)
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        let priority = self.priority.iter().fold(0, |all, class| all << 8 | u64::from(*class));
        print.add(u64::from(self.entries_max) << 48 | priority);
        print.add(u64::from(self.draw_millis) << 32 | u64::from(self.near_millis));
        print.add(u64::from(self.offer_millis) << 32 | u64::from(self.near_offer_millis));
        print.add(self.closes_at.as_millis());
        if let Some(hours) = &self.hours {
            hours.fingerprint(print);
        }
    }

    /// The priority of a class, the lowest first.
    pub fn priority_of(&self, class: PatientClass) -> u8 {
        self.priority.get(class as usize).copied().unwrap_or(u8::MAX)
    }

    /// How long until offers are made, in milliseconds; `None` where they are made now.
    pub fn quiet_for(&self, now: Timestamp) -> Option<u64> {
        self.hours.as_ref()?.closed_for(now, BookingChannel::default())
    }

    /// When an offer of a slot ends that is made now.
    pub fn offer_until(&self, now: Timestamp, slot_start: Timestamp) -> Timestamp {
        let is_near = slot_start <= now.plus_millis(self.near_millis.into());
        let millis = if is_near { self.near_offer_millis } else { self.offer_millis };
        now.plus_millis(millis.into()).min(self.closes_at)
    }
}

impl JoinWaitlist {
    /// Checks what can be checked without state.
    ///
    /// # Errors
    ///
    /// `ClaimsInvalid` without a target or with the latest begin before the earliest, `ClaimsOverlap`
    /// where a target is named twice.
    pub fn check(&self) -> Result<(), Outcome> {
        if self.targets.is_empty() || self.latest < self.earliest {
            return Err(Outcome::ClaimsInvalid);
        }
        let repeats = |(index, session): (usize, &SessionId)| {
            self.targets.iter().take(index).any(|other| other == session)
        };
        if self.targets.iter().enumerate().any(repeats) {
            return Err(Outcome::ClaimsOverlap);
        }
        Ok(())
    }

    /// A hash of what is asked for. What is vouched for is not in it, as in that of a hold.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::JoinWaitlist as u64);
        print.add_wide(patient.0).add_optional(self.account.map(|account| account.0));
        print.add(u64::from(self.channel.number()) << 8 | self.class as u64);
        print.add(self.earliest.as_millis()).add(self.latest.as_millis());
        self.targets.iter().for_each(|session| {
            print.add(session.0);
        });
        print.finish()
    }
}

impl LeaveWaitlist {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::LeaveWaitlist as u64);
        print.add_wide(self.entry.0).add_wide(patient.0).finish()
    }
}

impl WaitEntry {
    /// The sessions in which it waits.
    pub fn sessions(&self) -> Targets {
        self.targets.iter().map(|target| target.session).collect()
    }

    /// Counts it into the waitlist of one of its targets, and refers to it there.
    pub fn join(&self, target: &WaitTarget, state: &mut WaitState) {
        state.drawn_at = state.drawn_at.max(target.drawn_at);
        state.waiters.push(self.waiter(target, state.joined));
        state.joined = state.joined.saturating_add(1);
        if target.order == WaitOrder::Opening {
            state.brought = state.brought.saturating_add(1);
        }
    }

    /// A session's reference to it, of the `number`th who joined there.
    pub fn waiter(&self, target: &WaitTarget, number: u32) -> Waiter {
        Waiter {
            entry: self.entry,
            patient: self.patient,
            channel: self.channel,
            class: self.class,
            earliest: self.earliest,
            latest: self.latest,
            priority: target.priority,
            number,
            order: target.order,
            is_offered: false,
        }
    }
}

impl Waiter {
    /// What orders it among the others, the lowest first: class, then those whom an opening's draw
    /// brought as it ranked them, then those of the waitlist's draw by what was drawn, then the others by
    /// when they joined.
    pub fn key(&self, seed: Option<u64>) -> (u8, WaitOrder, u64, u32) {
        let rank = match seed {
            Some(seed) if self.order == WaitOrder::Draw => draw_rank(seed, self.patient),
            _ => 0,
        };
        (self.priority, self.order, rank, self.number)
    }
}

/// The rank of a patient in a draw, the lowest first. The seed is drawn when nobody can join the draw
/// any more, and the patient is no choice of the client's.
fn draw_rank(seed: u64, patient: PatientId) -> u64 {
    Fingerprint::new(seed).add_wide(patient.0).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The function orders real people, so it never changes.
    #[test]
    fn the_rank_of_a_draw_is_pinned() {
        let rank = draw_rank(7, PatientId(9));
        assert_eq!(rank, PINNED, "{rank:x}");
        assert_ne!(rank, draw_rank(8, PatientId(9)));
    }

    const PINNED: u64 = 0x1a35_aca3_75d9_139f;
}
