//! What a client may read, and what it learns.

use arrayvec::ArrayVec;

use super::actor::BookingChannel;
use super::appointment::Claim;
use super::appointment::{Appointment, PatientClass};
use super::attendance::{CallOrder, CallOrderOf};
use super::draw::{DrawId, DrawReading};
use super::explain::{ExplainOf, Explanation};
use super::id::{
    AppointmentId, DepartmentId, OrganizationId, PatientId, RequestId, ResourceId, RulesVersion,
    SessionId, SlotIndex,
};
use super::limits::SESSION_SLOTS_MAX;
use super::operation::Operation;
use super::payment::Bill;
use super::returns::Returning;
use super::rules::{KeptRestriction, Restriction, RestrictionState, Rules, Strike};
use super::session::Session;
use super::time::Timestamp;

/// A request that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The free places of a session, for a channel and a class (余号).
    Availability {
        /// The session.
        session: SessionId,
        /// Through which channel they would be booked.
        channel: BookingChannel,
        /// For which class of patient.
        class: PatientClass,
    },
    /// One appointment.
    Get {
        /// Which.
        appointment: AppointmentId,
        /// Whose it is. A gateway says so, and somebody else's appointment is not found.
        patient: Option<PatientId>,
        /// Through which channel it is read.
        channel: BookingChannel,
    },
    /// The live appointments of a patient, oldest id first, at most [`LISTED_MAX`].
    List {
        /// Whose.
        patient: PatientId,
        /// Through which channel they are read.
        channel: BookingChannel,
    },
    /// A session as it stands: its terms, its quotas, and what is taken.
    ReadSession {
        /// The session.
        session: SessionId,
    },
    /// The nearest places that an appointment, or a claim, could have instead: of the same resource
    /// first, then of the same department and type, by distance in time; at most
    /// [`ALTERNATIVES_MAX`].
    Alternatives {
        /// The appointment. Its first claim counts.
        appointment: Option<AppointmentId>,
        /// Without one: the session of a claim.
        session: SessionId,
        /// Its slot.
        slot: SlotIndex,
        /// How many slots.
        count: u8,
        /// Whose appointment it is or would be.
        patient: Option<PatientId>,
        /// Through which channel it would be booked.
        channel: BookingChannel,
        /// For which class of patient; an appointment has its own.
        class: PatientClass,
    },
    /// Appointments that lost their places and have no others yet, by id, at most [`LISTED_MAX`].
    Displaced {
        /// Those that were in this session.
        session: Option<SessionId>,
        /// Those that were in this department of the organization.
        department: Option<(OrganizationId, DepartmentId)>,
        /// Those with an id above this one; 0 for the first page.
        after: AppointmentId,
    },
    /// Where a draw stands.
    Draw {
        /// Which draw.
        draw: DrawId,
        /// An entrant whose receipt is wanted too.
        appointment: Option<AppointmentId>,
        /// Whose entry it is. A gateway says so, and somebody else's is not found.
        patient: Option<PatientId>,
        /// Through which channel it is read.
        channel: BookingChannel,
    },
    /// How many wait for a session, and where a patient stands.
    Waitlist {
        /// The session.
        session: SessionId,
        /// Who wants to know; nobody in particular where it is not said.
        patient: Option<PatientId>,
        /// Through which channel.
        channel: BookingChannel,
    },
    /// Whose turn it is in a session's queue.
    CallOrder {
        /// The session.
        session: SessionId,
        /// Everybody's turn, or one appointment's.
        of: CallOrderOf,
    },
    /// The rules that are in force at an instant.
    ReadRules {
        /// When; now where it is not said.
        at: Option<Timestamp>,
    },
    /// What is kept of how a patient behaved: strikes and restrictions.
    ReadRecord {
        /// Whose.
        patient: PatientId,
        /// Through which channel it is read.
        channel: BookingChannel,
    },
    /// Why something is as it is.
    Explain {
        /// What.
        of: ExplainOf,
        /// Through which channel it is read.
        channel: BookingChannel,
        /// For which instant a patient's record is told; now where it is not said.
        at: Option<Timestamp>,
    },
    /// What is owed back, or the payments of one appointment.
    ReadBills {
        /// The appointment. Without one, every payment that is owed back.
        appointment: Option<AppointmentId>,
        /// Those of appointments with an id above this one; 0 for the first page.
        after: AppointmentId,
    },
    /// Where a patient's restrictions stand.
    ReadStanding {
        /// Whose.
        patient: PatientId,
        /// Through which channel it is read.
        channel: BookingChannel,
    },
    /// The node's clock.
    Clock,
    /// The node's clock, after an operator said that the machine's is right. It changes nothing that
    /// is journaled, and doing it again does nothing, so it has no id.
    ConfirmClock,
}

/// Appointments that one answer lists.
pub const LISTED_MAX: usize = 64;

/// Places that one answer proposes.
pub const ALTERNATIVES_MAX: usize = 16;

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "availability is the usual reading, and must not allocate"
)]
pub enum Reading {
    /// See [`Query::Availability`].
    Availability(Availability),
    /// See [`Query::Get`].
    Appointment(Box<Appointment>),
    /// See [`Query::List`].
    Appointments(Vec<Appointment>),
    /// See [`Query::Clock`].
    Clock(ClockReading),
    /// See [`Query::ReadSession`].
    Session(Box<SessionReading>),
    /// See [`Query::Draw`].
    Draw(Box<DrawReading>),
    /// See [`Query::Alternatives`].
    Alternatives(Vec<Alternative>),
    /// See [`Query::Displaced`].
    Displaced(DisplacedPage),
    /// See [`Query::Waitlist`].
    Waitlist(WaitlistReading),
    /// See [`Query::CallOrder`].
    CallOrder(Box<CallOrder>),
    /// See [`Query::ReadRules`].
    Rules(Box<RulesReading>),
    /// See [`Query::ReadRecord`].
    Record(Box<RecordReading>),
    /// See [`Query::Explain`].
    Explanation(Box<Explanation>),
    /// See [`Query::ReadBills`].
    Bills(Box<BillsPage>),
    /// See [`Query::ReadStanding`].
    Standing(Box<StandingReading>),
}

/// Payments, as far as the reader may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillsPage {
    /// By appointment, at most [`LISTED_MAX`] and what the last appointment has beyond.
    pub bills: Vec<Bill>,
    /// Where the next page begins, if there may be one: its `after`.
    pub next: Option<AppointmentId>,
}

/// Rules, and what comes after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesReading {
    /// The rules in force; version 0 before there are any.
    pub rules: Rules,
    /// The version that comes into force next, and when.
    pub next: Option<(RulesVersion, Timestamp)>,
}

/// What is kept of how a patient behaved, as far as the reader may see it: strikes of their own
/// organizations, and restrictions that hold there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordReading {
    /// The newest strikes, oldest first, at most [`LISTED_MAX`].
    pub strikes: Vec<Strike>,
    /// The newest restrictions, oldest first, at most [`LISTED_MAX`]; those that are over too.
    pub restrictions: Vec<Restriction>,
}

/// Where a patient's restrictions stand, as far as the reader may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandingReading {
    /// The key under which the node keeps them.
    pub patient: PatientId,
    /// Other keys of the same person that were merged into it, at most [`KEYS_MAX`].
    ///
    /// [`KEYS_MAX`]: super::limits::KEYS_MAX
    pub keys: Vec<PatientId>,
    /// Sessions in which the patient has more than one live appointment.
    pub doubled: u16,
    /// The newest restrictions, oldest first, at most [`STANDING_MAX`], with where they stand now.
    pub restrictions: Vec<(RestrictionState, KeptRestriction)>,
}

/// Restrictions that one answer tells about, each with all of its steps.
pub const STANDING_MAX: usize = 12;

/// A place that would be given if it were asked for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The place.
    pub claim: Claim,
    /// Who or what is booked there.
    pub resource: ResourceId,
    /// When it begins.
    pub start: Timestamp,
}

/// A page of displaced appointments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplacedPage {
    /// The appointments, by id. Their claims are what they lost.
    pub appointments: Vec<Appointment>,
    /// Where the next page begins, if there may be one: its `after`.
    pub next: Option<AppointmentId>,
}

/// A waitlist as a patient may see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitlistReading {
    /// Who waits, or has an offer.
    pub waiting: u16,
    /// When it closes.
    pub closes_at: Timestamp,
    /// The patient's entry.
    pub entry: Option<RequestId>,
    /// Where the patient stands among those who wait, from 1. Unknown before the draw, and where the
    /// patient has an offer.
    pub position: Option<u16>,
    /// The offer that the patient has.
    pub offer: Option<AppointmentId>,
    /// How many of a thousand who waited in the department and did not leave were offered a place, as
    /// far as the node has seen. Unknown before it has seen enough.
    pub likelihood: Option<u16>,
}

/// A session as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReading {
    /// The session, with the quotas of now.
    pub session: Session,
    /// Taken places, slot by slot, pool by pool.
    pub taken: Vec<u16>,
    /// Those of them that nobody has: they are on their way back, the earliest first.
    pub returning: Vec<Returning>,
}

/// What the node's clock shows, and whether it is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// The time that requests are told.
    pub time: Timestamp,
    /// The machine's wall clock minus that, in milliseconds; negative where the wall is behind.
    pub gap_millis: i64,
    /// Whether the wall jumped, and expiry and openings wait for an operator.
    pub is_suspended: bool,
}

/// The places of a session that a request could take now. What is held, reserved or not yet open is
/// not free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// When the first slot begins.
    pub start: Timestamp,
    /// The length of a slot in milliseconds.
    pub slot_millis: u32,
    /// Free places of each slot, over the pools that admit the channel and class.
    pub free: ArrayVec<u16, SESSION_SLOTS_MAX>,
}

impl Query {
    /// What kind of request it is.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Availability { .. } => Operation::Availability,
            Self::Get { .. } => Operation::Get,
            Self::List { .. } => Operation::List,
            Self::ReadSession { .. } => Operation::ReadSession,
            Self::Alternatives { .. } => Operation::Alternatives,
            Self::Displaced { .. } => Operation::Displaced,
            Self::Draw { .. } => Operation::Draw,
            Self::Waitlist { .. } => Operation::Waitlist,
            Self::CallOrder { .. } => Operation::CallOrder,
            Self::ReadRules { .. } => Operation::ReadRules,
            Self::ReadRecord { .. } => Operation::ReadRecord,
            Self::Explain { .. } => Operation::Explain,
            Self::ReadBills { .. } => Operation::ReadBills,
            Self::ReadStanding { .. } => Operation::ReadStanding,
            Self::Clock => Operation::Clock,
            Self::ConfirmClock => Operation::ConfirmClock,
        }
    }
}
