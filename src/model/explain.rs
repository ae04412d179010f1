//! What a node tells of why something is as it is (说明): a request, an appointment, a patient.
//!
//! ```text
//! request      -> what refused it, while the node remembers; what it made
//! appointment  -> where it stands, by which rules, who may do what next until when
//! patient      -> what is kept of them, until when it counts, how near to a limit they are
//! ```
//!
//! **Architecture invariant:** facts and figures only. Which words they are told in is the reader's.

use super::actor::BookingChannel;
use super::appointment::Appointment;
use super::civil::CivilTime;
use super::id::{AppointmentId, PatientId, RequestId, SessionId};
use super::operation::Operation;
use super::outcome::Outcome;
use super::rules::{KeptRestriction, RestrictionState, RuleScope, RuleWhy, Strike};
use super::time::Timestamp;

/// What is to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainOf {
    /// What came of a request. A hold's id is its appointment's.
    Request {
        /// Which.
        request: RequestId,
        /// Whose it was. A gateway says so, and somebody else's is not found.
        patient: Option<PatientId>,
    },
    /// Where an appointment stands.
    Appointment {
        /// Which.
        appointment: AppointmentId,
        /// Whose it is, as above.
        patient: Option<PatientId>,
    },
    /// What is kept of a patient.
    Patient(PatientId),
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What a day is by the rules in force, to tell instants as people count them.
    pub civil: CivilTime,
    /// What was asked about.
    pub about: Explained,
}

/// What a node knows of what was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explained {
    /// See [`ExplainOf::Request`].
    Request(ExplainedRequest),
    /// See [`ExplainOf::Appointment`].
    Appointment(ExplainedAppointment),
    /// See [`ExplainOf::Patient`].
    Patient(ExplainedPatient),
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedRequest {
    /// Its newest refusal that the node remembers.
    pub refused: Option<RefusedRequest>,
    /// The refusal that is remembered for good, of a row of history.
    pub declined: Option<Outcome>,
    /// The appointment that it made.
    pub made: Option<ExplainedAppointment>,
    /// Whether it was carried out.
    pub is_done: bool,
    /// How many refusals the node remembers at most.
    pub kept: u32,
}

/// A request that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// When.
    pub at: Timestamp,
    /// What it asked for.
    pub operation: Operation,
    /// What it was refused with.
    pub outcome: Outcome,
    /// When it was to come back, in milliseconds from then; 0 where nothing was said.
    pub retry_after_millis: u32,
    /// The rule that refused it, if one did.
    pub why: Option<RuleWhy>,
    /// For whom, where it named somebody.
    pub patient: Option<PatientId>,
    /// About which appointment, where it was about one.
    pub appointment: Option<AppointmentId>,
    /// The first session that it named.
    pub session: Option<SessionId>,
    /// Through which channel it came; 0 where it names none.
    pub channel: BookingChannel,
}

/// Where an appointment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedAppointment {
    /// The appointment, with its cause and the version of the rules that it was made under.
    pub appointment: Appointment,
    /// When its first slot begins; 0 where its session is unknown.
    pub start: Timestamp,
    /// What may happen next, at most [`STEPS_MAX`].
    pub steps: Vec<NextStep>,
}

/// Something that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// What.
    pub what: Step,
    /// Who does it.
    pub by: StepBy,
    /// From when on; 0 where it can be done now.
    pub from: Timestamp,
    /// Until when; 0 where nothing ends it.
    pub until: Timestamp,
}

/// What may happen to an appointment next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    /// It is confirmed.
    Book = 1,
    /// The place is given up.
    Release = 2,
    /// It is cancelled.
    Cancel = 3,
    /// It is moved to another place.
    Move = 4,
    /// The patient arrives, and picks up the number.
    Arrive = 5,
    /// The patient joins the queue.
    CheckIn = 6,
    /// The visit takes place.
    Fulfil = 7,
    /// It is noted that the patient did not come.
    NoShow = 8,
    /// The hold ends by itself.
    Expire = 9,
    /// The draw is made.
    Draw = 10,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum StepBy {
    /// The patient, or an app or a counter for them.
    Patient = 1,
    /// Who works there.
    Staff = 2,
    /// The node, when the time comes.
    Node = 3,
}

/// What is kept of a patient, as far as the reader may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedPatient {
    /// The instant that it is told for.
    pub at: Timestamp,
    /// The restrictions whose term that instant lies in, as they stood then, with what was done about
    /// them by then; oldest first, the newest `STANDING_MAX`.
    pub restrictions: Vec<(RestrictionState, KeptRestriction)>,
    /// The newest strikes, oldest first, at most `LISTED_MAX`.
    pub strikes: Vec<CountedStrike>,
    /// What the rules in force then count, at most `LISTED_MAX`.
    pub counters: Vec<Counter>,
}

/// A strike, and how long it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedStrike {
    /// The strike.
    pub strike: Strike,
    /// Whether it counts at the time that is told of.
    pub counts: bool,
    /// Until when it counts, by the rules in force then; 0 where time does not end it.
    pub until: Timestamp,
}

/// What one rule counts of a patient somewhere. `why` says how much and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Where it is counted.
    pub scope: RuleScope,
    /// By which rule; what was counted, and the number that comes next; since when, and when it is
    /// less again.
    pub why: RuleWhy,
}

/// Steps that one answer names.
pub const STEPS_MAX: usize = 16;

impl Step {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Move => "move",
            Self::Arrive => "arrive",
            Self::CheckIn => "check_in",
            Self::Fulfil => "fulfil",
            Self::NoShow => "no_show",
            Self::Expire => "expire",
            Self::Draw => "draw",
        }
    }
}

impl StepBy {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Staff => "staff",
            Self::Node => "node",
        }
    }
}

impl ExplainedRequest {
    /// Whether the node knows nothing of it.
    pub const fn is_unknown(&self) -> bool {
        self.refused.is_none() && self.declined.is_none() && self.made.is_none() && !self.is_done
    }
}

impl ExplainedPatient {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.restrictions.is_empty() && self.strikes.is_empty() && self.counters.is_empty()
    }
}
