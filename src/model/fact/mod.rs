//! What happened: the lines of the journal, in the past tense.
//!
//! ```text
//! record = time + 1..=9 facts           Held [Booked]   one command, all or nothing
//! fact   -> the shards that it touches  home(id), ledger(patient), sessions(claims): see `reach`
//! ```
//!
//! **Architecture invariant:** a fact is self-sufficient. It carries results (slot, pool, deadline,
//! rule version), never something to compute again or to look up elsewhere, so that recovery, a
//! replica and an auditor need nothing but the facts.

mod reach;

use arrayvec::ArrayVec;
use smallvec::SmallVec;

use super::actor::BookingChannel;
use super::appointment::{AppointmentEvent, AppointmentStatus, Cause, Claims, PatientClass};
use super::disruption::{Displaced, PlaceAdded, SessionBlocked, Substituted};
use super::draw::{BeaconGiven, DrawRevealed, DrawWon, Entered, EntryEnded};
use super::history::Recorded;
use super::id::{
    AccountId, AppointmentId, OrganizationId, PatientId, PaymentRef, PoolIndex, RequestId,
    RulesVersion, SessionId, SlotIndex,
};
use super::identity::PatientsMerged;
use super::limits::FORGOTTEN_MAX;
use super::outcome::Outcome;
use super::payment::{Billed, Ordered, PatientNamed, RefundState};
use super::reschedule::Rescheduled;
use super::returns::{Freed, Returned};
use super::rules::{
    Amended, Barred, Bound, Cooled, LeftLate, Probed, Restricted, RulesApplied, Struck,
};
use super::session::{Session, Sharing};
use super::subject::Phoned;
use super::time::Timestamp;
use super::waitlist::{PlaceOffered, WaitDrawn, WaitJoined, WaitLeft};

/// The facts of one record, at most `RECORD_FACTS_MAX`. The usual one lies in place.
pub type Facts = SmallVec<[Fact; 1]>;

/// Something that happened. The tags of the encoding stand in `codec::fact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A session was opened.
    SessionOpened(Box<SessionOpened>),
    /// Places were taken until a deadline.
    Held(Held),
    /// A hold was confirmed.
    Booked(Booked),
    /// An appointment ended and its places came back: released, expired or cancelled.
    Ended(Ended),
    /// An appointment moved on and stays live: arrived or checked in.
    Progressed(Progressed),
    /// An appointment was settled, fulfilled or not: it is not live, its places stay taken.
    Settled(Settled),
    /// A request was refused for good and the refusal is remembered (history that is read in).
    Declined(Declined),
    /// Appointments that ended long ago left memory. The archive keeps their story.
    Forgotten(Box<Forgotten>),
    /// The places of a session were shared out anew among its pools.
    QuotasSet(Box<QuotasSet>),
    /// Unused places of a pool went to another one, at the time that its session says.
    Reclaimed(Box<Reclaimed>),
    /// An appointment ended, and some of its places are on their way back, or do not come back.
    Freed(Box<Freed>),
    /// Places that were on their way back are free again.
    Returned(Box<Returned>),
    /// An appointment was moved: it takes other places, and the old ones came back.
    Rescheduled(Box<Rescheduled>),
    /// Every appointment that a block reaches was reached.
    Swept(SessionId),
    /// Slots of a session were closed, or opened again.
    SessionBlocked(Box<SessionBlocked>),
    /// An appointment lost its places and stays booked.
    Displaced(Box<Displaced>),
    /// Another resource was put into a session.
    Substituted(Box<Substituted>),
    /// A place was added to a session for one patient, and booked.
    PlaceAdded(Box<PlaceAdded>),
    /// Places were held for an appointment that was displaced.
    Offered(Box<Offered>),
    /// A patient entered a draw. No place was taken.
    Entered(Box<Entered>),
    /// The value of a draw's public beacon was given.
    BeaconGiven(Box<BeaconGiven>),
    /// The seed of a draw was revealed. What follows from it is done entry by entry.
    DrawRevealed(Box<DrawRevealed>),
    /// An entry won places, which are held until a deadline.
    DrawWon(DrawWon),
    /// An entry ended without a place: withdrawn, or not drawn.
    EntryEnded(EntryEnded),
    /// A patient waits for places in sessions that are full.
    WaitJoined(Box<WaitJoined>),
    /// A place was taken until a deadline for somebody who waits.
    PlaceOffered(Box<PlaceOffered>),
    /// Somebody waits no more.
    WaitLeft(Box<WaitLeft>),
    /// The order of those who came soon after the first was drawn.
    WaitDrawn(WaitDrawn),
    /// A patient checked in where the session keeps a queue, and waits in it.
    Queued(Queued),
    /// An appointment was settled as by [`Fact::Settled`], and left its session's queue.
    Left(Left),
    /// The next of a queue was called.
    Called(Called),
    /// Rules were put in force from an instant on.
    RulesApplied(Box<RulesApplied>),
    /// A missed visit was counted, and what followed from it.
    Struck(Box<Struck>),
    /// A patient was restricted for what counts against them besides missed visits.
    Barred(Box<Barred>),
    /// A patient was restricted by hand.
    Restricted(Box<Restricted>),
    /// Something was done about a restriction.
    Amended(Box<Amended>),
    /// Two keys are of one person: what the older one had belongs to the other.
    PatientsMerged(Box<PatientsMerged>),
    /// An appointment is over, and what rules count of it is kept.
    Recorded(Box<Recorded>),
    /// A patient left a place later than a rule says.
    LeftLate(Box<LeftLate>),
    /// A payment was made, is owed back, or was given back.
    Billed(Box<Billed>),
    /// The deadline of a hold was moved to that of a payment order.
    Ordered(Ordered),
    /// The patient of an account's hold was named.
    PatientNamed(Box<PatientNamed>),
    /// The telephone that a hold was asked for with, where rules ask for it.
    Phoned(Phoned),
    /// All of a record was decided under that version of the rules. The last fact of a record, where rules
    /// are in force and no other fact of it names them.
    DecidedUnder(RulesVersion),
    /// Somebody who gave a place up waits before the next one.
    Cooled(Box<Cooled>),
    /// A patient or an account belongs to somebody from now on.
    Bound(Box<Bound>),
    /// Somebody asked again and again for what was not to be had.
    Probed(Box<Probed>),
}

/// See [`Fact::SessionOpened`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpened {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// The session.
    pub session: Session,
}

/// See [`Fact::Held`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The appointment, new.
    pub appointment: AppointmentId,
    /// Who is to be seen.
    pub patient: PatientId,
    /// Who asked, if it was said.
    pub account: Option<AccountId>,
    /// Whose session it is.
    pub organization: OrganizationId,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What other channels may do.
    pub sharing: Sharing,
    /// The deadline.
    pub until: Timestamp,
    /// The fingerprint of the request.
    pub fingerprint: u64,
    /// The rules that it was decided under.
    pub rules: RulesVersion,
    /// The places.
    pub claims: Claims,
}

/// See [`Fact::Booked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// With which payment.
    pub payment: PaymentRef,
}

/// See [`Fact::Ended`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The request that did it, with its fingerprint. None if a deadline did.
    pub request: Option<(RequestId, u64)>,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// Why.
    pub cause: Cause,
    /// The places that came back.
    pub claims: Claims,
}

/// See [`Fact::Progressed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progressed {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// `Arrived` or `CheckedIn`.
    pub status: AppointmentStatus,
}

/// See [`Fact::Settled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// `Fulfilled` or `NoShow`.
    pub status: AppointmentStatus,
}

/// See [`Fact::Declined`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined {
    /// The appointment that was asked for.
    pub appointment: AppointmentId,
    /// For whom.
    pub patient: PatientId,
    /// The fingerprint of the request.
    pub fingerprint: u64,
    /// The refusal.
    pub outcome: Outcome,
}

/// See [`Fact::Forgotten`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Which, all of one home shard.
    pub appointments: ArrayVec<AppointmentId, FORGOTTEN_MAX>,
}

/// See [`Fact::QuotasSet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotasSet {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which session.
    pub session: SessionId,
    /// The places of each pool in each slot.
    pub quotas: Vec<Vec<u16>>,
}

/// See [`Fact::Reclaimed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// Which session.
    pub session: SessionId,
    /// The pool that gave them.
    pub from: PoolIndex,
    /// The pool that got them.
    pub to: PoolIndex,
    /// How many, in each slot.
    pub places: Vec<u16>,
}

/// See [`Fact::Offered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// For which appointment.
    pub displaced: AppointmentId,
    /// The hold.
    pub held: Held,
}

/// See [`Fact::Queued`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which appointment. It is checked in.
    pub appointment: AppointmentId,
    /// In which session's queue.
    pub session: SessionId,
    /// The slot that was booked, the first of a run.
    pub slot: SlotIndex,
    /// The slot in whose turn they are called.
    pub segment: SlotIndex,
    /// Whether they came after the grace.
    pub is_late: bool,
    /// When.
    pub since: Timestamp,
}

/// See [`Fact::Left`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// `Fulfilled` or `NoShow`.
    pub status: AppointmentStatus,
    /// Whose queue.
    pub session: SessionId,
    /// How long the visit took, in milliseconds, where it began with a call and ended with its
    /// fulfilment.
    pub visit_millis: Option<u32>,
}

/// See [`Fact::Called`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// From which session's queue.
    pub session: SessionId,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// When: the actual start of the visit.
    pub at: Timestamp,
}

impl Ended {
    const fn name(&self) -> &'static str {
        match self.cause {
            Cause::Released => "Released",
            Cause::Expired => "Expired",
            Cause::None | Cause::Cancelled | Cause::Displaced | Cause::NotDrawn => "Cancelled",
        }
    }

    /// What happened to the appointment; `None` where the fact names no cause.
    pub const fn event(&self) -> Option<AppointmentEvent> {
        match self.cause {
            Cause::Released => Some(AppointmentEvent::Release),
            Cause::Expired => Some(AppointmentEvent::Expire),
            Cause::Cancelled => Some(AppointmentEvent::Cancel),
            Cause::Displaced => Some(AppointmentEvent::Displace),
            Cause::None | Cause::NotDrawn => None,
        }
    }
}

impl Progressed {
    /// What happened to the appointment; `None` where the status is none to progress to.
    pub const fn event(&self) -> Option<AppointmentEvent> {
        match self.status {
            AppointmentStatus::Arrived => Some(AppointmentEvent::Arrive),
            AppointmentStatus::CheckedIn => Some(AppointmentEvent::CheckIn),
            _ => None,
        }
    }
}

impl Left {
    /// What happened to the appointment; `None` where the status settles nothing.
    pub fn event(&self) -> Option<AppointmentEvent> {
        self.settled().event()
    }

    /// The same without the queue.
    pub const fn settled(&self) -> Settled {
        let Self { request, fingerprint, appointment, patient, status, .. } = *self;
        Settled { request, fingerprint, appointment, patient, status }
    }
}

impl Settled {
    /// What happened to the appointment; `None` where the status settles nothing.
    pub const fn event(&self) -> Option<AppointmentEvent> {
        match self.status {
            // By a visit or by the end of the day: the fact is the same, and the end of the day
            // may come where a visit may.
            AppointmentStatus::Fulfilled => Some(AppointmentEvent::Settle),
            AppointmentStatus::NoShow => Some(AppointmentEvent::NoShow),
            _ => None,
        }
    }
}

impl Fact {
    /// The name in JSON: what happened, in the words of the glossary.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionOpened(_) => "SessionOpened",
            Self::Held(_) => "Held",
            Self::Booked(_) => "Booked",
            Self::Ended(ended) => ended.name(),
            Self::Freed(freed) => freed.ended.name(),
            Self::Returned(_) => "Returned",
            Self::WaitJoined(_) => "WaitJoined",
            Self::Offered(_) => "Offered",
            Self::WaitLeft(_) => "WaitLeft",
            Self::WaitDrawn(_) => "WaitDrawn",
            Self::Progressed(progressed) => match progressed.status {
                AppointmentStatus::Arrived => "Arrived",
                _ => "CheckedIn",
            },
            Self::Settled(Settled { status, .. }) | Self::Left(Left { status, .. }) => match status
            {
                AppointmentStatus::Fulfilled => "Fulfilled",
                _ => "NoShow",
            },
            Self::Queued(_) => "Queued",
            Self::Called(_) => "Called",
            Self::RulesApplied(_) => "RulesApplied",
            Self::Struck(_) => "Struck",
            Self::Barred(_) => "Barred",
            Self::Restricted(_) => "Restricted",
            Self::Amended(fact) => fact.step.what.name(),
            Self::PatientsMerged(_) => "PatientsMerged",
            Self::Recorded(_) => "Recorded",
            Self::DecidedUnder(_) => "DecidedUnder",
            Self::LeftLate(_) => "LeftLate",
            Self::Ordered(_) => "Ordered",
            Self::PatientNamed(_) => "PatientNamed",
            Self::Phoned(_) => "Phoned",
            Self::Cooled(_) => "Cooled",
            Self::Bound(_) => "Bound",
            Self::Probed(_) => "Probed",
            Self::Billed(fact) => match fact.bill.refund {
                RefundState::None if fact.bill.rebooked.is_some() => "Rebooked",
                RefundState::None => "Paid",
                RefundState::Due => "RefundDue",
                RefundState::Refunded => "Refunded",
            },
            Self::Declined(_) => "Declined",
            Self::Forgotten(_) => "Forgotten",
            Self::QuotasSet(_) => "QuotasSet",
            Self::Reclaimed(_) => "Reclaimed",
            Self::Rescheduled(_) => "Rescheduled",
            Self::Swept(_) => "Swept",
            Self::SessionBlocked(fact) if fact.block.is_blocked => "SessionBlocked",
            Self::SessionBlocked(_) => "SessionUnblocked",
            Self::Displaced(_) => "Displaced",
            Self::Substituted(_) => "Substituted",
            Self::PlaceAdded(_) => "PlaceAdded",
            Self::PlaceOffered(_) => "PlaceOffered",
            Self::Entered(_) => "Entered",
            Self::BeaconGiven(_) => "BeaconGiven",
            Self::DrawRevealed(_) => "DrawRevealed",
            Self::DrawWon(_) => "DrawWon",
            Self::EntryEnded(ended) => match ended.cause {
                Cause::NotDrawn => "NotDrawn",
                _ => "Withdrawn",
            },
        }
    }
}
