//! The vocabulary that every other module shares: values, their ranges, their names.
//!
//! ```text
//! Session --< slots x pools          supply
//! Appointment --< claims             demand
//! Command -> Fact* + Receipt         asked and done
//!         -> Refusal                 asked and not done
//! ```
//!
//! **Architecture invariant:** this module imports nothing from the rest of the crate, and does
//! nothing but check its own ranges.

mod actor;
mod answer;
mod appointment;
mod attendance;
mod civil;
mod command;
mod disruption;
mod draw;
mod explain;
mod fact;
mod fingerprint;
mod history;
mod id;
mod identity;
pub mod limits;
mod operation;
mod outcome;
mod payment;
mod query;
mod reschedule;
mod returns;
mod rules;
mod session;
mod subject;
mod terms;
mod time;
mod waitlist;

pub use actor::{Actor, BookingChannel, ChannelSet, Organizations, Role};
pub use answer::{Answer, FeedError, FeedPage, FeedRecord};
pub use appointment::{
    Appointment, AppointmentEvent, AppointmentStatus, Cause, Claim, Claims, PatientClass,
};
pub use attendance::{
    Attendance, CallLine, CallNext, CallOrder, CallOrderOf, LateRule, PickUpWindow, QueueEntry,
};
pub use civil::{CivilTime, Day};
pub use command::{
    Action, Attributes, Change, ClaimRequest, ClaimRequests, ClientKeys, Command, Hold, HoldFault,
    OpenSession, Receipt, SetQuotas, SlotChoice,
};
pub use disruption::{
    AddPlace, BlockSession, Displaced, PlaceAdded, SessionBlocked, Substitute, Substituted,
};
pub use draw::{
    Beacon, BeaconGiven, Draw, DrawChoice, DrawEntry, DrawHash, DrawId, DrawReading, DrawRevealed,
    DrawWon, Entered, EntryEnded, Pseudonym, RevealDraw, Seed,
};
pub use explain::{
    CountedStrike, Counter, ExplainOf, Explained, ExplainedAppointment, ExplainedPatient,
    ExplainedRequest, Explanation, NextStep, RefusedRequest, STEPS_MAX, Step, StepBy,
};
pub use fact::{
    Booked, Called, Declined, Ended, Fact, Facts, Forgotten, Held, Left, Offered, Progressed,
    Queued, QuotasSet, Reclaimed, SessionOpened, Settled,
};
pub use history::{Ending, HalfDay, HistoryRoom, Past, Recorded, Stay, Visit, Visits};
pub use id::{
    AccountId, AppointmentId, ClientKey, DepartmentId, EvidenceRef, IdFault, OrganizationId,
    PatientId, PaymentRef, PoolIndex, RequestId, ResourceId, RestrictionId, RulesVersion, Sequence,
    ServiceId, SessionId, SiteId, SlotIndex,
};
pub use identity::{Estate, KeptLine, MergePatients, PatientsMerged};
pub use operation::{Operation, OperationKind, permits};
pub use outcome::{Outcome, Refusal};
pub use payment::{
    Bill, Billed, NamePatient, Order, Ordered, PatientNamed, Pay, PaymentKind, Refund, RefundState,
};
pub use query::{
    ALTERNATIVES_MAX, Alternative, Availability, BillsPage, ClockReading, DisplacedPage,
    LISTED_MAX, Query, Reading, RecordReading, RulesReading, STANDING_MAX, SessionReading,
    StandingReading, WaitlistReading,
};
pub use reschedule::{MoveSessions, Reschedule, Rescheduled};
pub use returns::{Freed, Returned, Returning};
pub use rules::{
    AdmissionRule, Amend, Amended, Amendment, Appeal, AppealRule, AppealTerm, ApplyRules, Barred,
    Begins, BookingLimit, Bound, CancelRule, Changes, ChannelShare, Consequence, Cooldown,
    CooldownLength, CooldownRule, Cooled, CountedOf, Counts, DayOf, Deadline, EndingSet, Ground,
    Holder, HolderRule, KeptRestriction, LateCancel, LatePayment, LeftLate, LimitKey, LimitScope,
    NeverHeard, NewPatients, NoShowRule, OrderRule, PaymentMode, PaymentRule, Period, PersonsRule,
    Place, Probed, ProbingRule, RateKey, RateRule, Restrict, Restricted, Restriction,
    RestrictionCause, RestrictionState, RestrictionStep, RuleCondition, RuleKey, RuleLayer,
    RuleMode, RuleRef, RuleScope, RuleWhy, Rules, RulesApplied, RulesFault, ScopeKind, StepKind,
    Stricter, Strike, Struck, Term, Tie, TieRule, Tier, Undecided, Unheard, Violation,
    ViolationRule, ViolationSet, WaitCounts, WaitKey, WaitLimit, Window,
};
pub use session::{ClassSet, Pick, Pool, Repeat, Session, SessionFault, Sharing};
pub use subject::{Asked, Phoned, Subject, Subjects};
pub use terms::{Delay, PoolTerms, Reclaim, ReturnRule, ServiceHours, SessionTerms, TermsFault};
pub use time::{Timestamp, Ttl};
pub use waitlist::{
    JoinWaitlist, LeaveWaitlist, PlaceOffered, Targets, WaitDrawn, WaitEnd, WaitEntry, WaitJoined,
    WaitLeft, WaitOrder, WaitState, WaitTarget, Waiter, WaitlistRule,
};
