//! What a client may ask.

use arrayvec::ArrayVec;
use smallvec::SmallVec;

use super::actor::BookingChannel;
use super::appointment::{AppointmentEvent, Claims, PatientClass};
use super::attendance::CallNext;
use super::disruption::{AddPlace, BlockSession, Substitute};
use super::draw::RevealDraw;
use super::fingerprint::Fingerprint;
use super::id::{
    AccountId, AppointmentId, ClientKey, PatientId, PaymentRef, RequestId, SessionId, SlotIndex,
};
use super::identity::MergePatients;
use super::limits::{CLAIMS_MAX, RANKED_SLOTS_MAX, RUN_SLOTS_MAX};
use super::operation::Operation;
use super::payment::{NamePatient, Order, Pay, Refund};
use super::reschedule::Reschedule;
use super::rules::{Amend, Appeal, ApplyRules, Restrict};
use super::session::Session;
use super::time::{Timestamp, Ttl};
use super::waitlist::{JoinWaitlist, LeaveWaitlist};

/// A request that changes something. Each carries an id that makes a retry safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens a session for booking (放号).
    OpenSession(Box<OpenSession>),
    /// Holds places for a patient (锁号).
    Hold(Hold),
    /// Changes an appointment that exists.
    Change(Change),
    /// Shares the places of a session out anew among its pools (调整配额).
    SetQuotas(Box<SetQuotas>),
    /// Moves an appointment to other places (改约).
    Reschedule(Box<Reschedule>),
    /// Closes slots of a session, or opens them again (停诊).
    BlockSession(BlockSession),
    /// Puts another resource into a session (替诊).
    Substitute(Substitute),
    /// Adds a place for one patient (加号).
    AddPlace(AddPlace),
    /// Gives the value of a draw's public beacon.
    RevealDraw(Box<RevealDraw>),
    /// Joins waitlists (加入候补).
    JoinWaitlist(Box<JoinWaitlist>),
    /// Leaves waitlists (退出候补).
    LeaveWaitlist(LeaveWaitlist),
    /// Calls the next patient of a session's queue (叫号).
    CallNext(CallNext),
    /// Puts rules in force (规则生效).
    ApplyRules(Box<ApplyRules>),
    /// Restricts a patient by hand (限制预约).
    Restrict(Box<Restrict>),
    /// Lifts, suspends or resumes a restriction, or decides an appeal (解除, 暂停, 裁定).
    Amend(Box<Amend>),
    /// Appeals against a restriction (申诉).
    Appeal(Box<Appeal>),
    /// Says that two keys are of one person (密钥轮换).
    MergePatients(MergePatients),
    /// Moves the deadline of a hold to that of a payment order (支付订单).
    Order(Order),
    /// Books a hold with a payment of a kind (支付).
    Pay(Pay),
    /// Says that money was given back (退费).
    Refund(Refund),
    /// Names the patient of a hold (选择就诊人).
    NamePatient(Box<NamePatient>),
}

/// Opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The id of the request.
    pub request: RequestId,
    /// What to open.
    pub session: Session,
}

/// Shares the places of a session out anew. In every slot the sum stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetQuotas {
    /// The id of the request.
    pub request: RequestId,
    /// Which session.
    pub session: SessionId,
    /// The places of each pool in each slot: as many pools and slots as the session has.
    pub quotas: Vec<Vec<u16>>,
}

/// Holds places until a deadline, or books them at once: all claims or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The new appointment, and the id of the request.
    pub appointment: AppointmentId,
    /// Who is to be seen. Without one the hold is the account's, where a rule lets it be.
    pub patient: Option<PatientId>,
    /// Who asks.
    pub keys: ClientKeys,
    /// Through which channel.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What the gateway vouches for.
    pub attributes: Attributes,
    /// How long to hold; the session may allow less.
    pub ttl: Ttl,
    /// Book at once with this payment, as a counter does.
    pub book: Option<PaymentRef>,
    /// What is wanted, 1 to 8, each in another session.
    pub claims: ClaimRequests,
}

/// Keyed hashes of who and what stands behind a request, as far as the gateway knows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientKeys {
    /// The account that is logged in.
    pub account: Option<AccountId>,
    /// Its telephone.
    pub phone: Option<ClientKey>,
    /// The device.
    pub device: Option<ClientKey>,
    /// The network address.
    pub address: Option<ClientKey>,
}

/// What a gateway attests of a patient, as bits: 0–7 age in years (255: not said), 8 on file at
/// the site (建档), 9 first visit, 10–13 kind of identity document. The rest is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes(pub u32);

impl Default for Attributes {
    fn default() -> Self {
        Self(0xff)
    }
}

/// The claims of a request, at most [`CLAIMS_MAX`]. The usual one lies in place.
pub type ClaimRequests = SmallVec<[ClaimRequest; 1]>;

/// A wish for a run of consecutive slots in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The session.
    pub session: SessionId,
    /// How many consecutive slots, 1 to 96.
    pub count: u8,
    /// Which of them.
    pub slots: SlotChoice,
}

/// Which slot a claim wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotChoice {
    /// Any: the engine picks by the session's rule.
    Any,
    /// These, best first, 1 to 8. One is the usual case.
    Ranked(ArrayVec<SlotIndex, RANKED_SLOTS_MAX>),
}

impl SlotChoice {
    /// Exactly this slot.
    pub fn at(slot: SlotIndex) -> Self {
        Self::Ranked(std::iter::once(slot).collect())
    }
}

/// A change of an appointment that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The id of the request.
    pub request: RequestId,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose it is. A gateway says so, and an appointment of somebody else is not found.
    pub patient: Option<PatientId>,
    /// Through which channel.
    pub channel: BookingChannel,
    /// What to do.
    pub action: Action,
}

/// What to do with an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Confirm the hold.
    Book {
        /// With which payment.
        payment: PaymentRef,
    },
    /// Give up the hold.
    Release,
    /// Cancel the booked appointment.
    Cancel,
    /// The patient is in the house.
    Arrive,
    /// The patient is in the queue.
    CheckIn,
    /// The visit took place.
    Fulfil,
    /// The patient did not come.
    NoShow,
    /// The day is over and the patient counts as seen. Not on the wire.
    Settle,
}

impl Action {
    /// What happens to the appointment.
    pub const fn event(self) -> AppointmentEvent {
        match self {
            Self::Book { .. } => AppointmentEvent::Book,
            Self::Release => AppointmentEvent::Release,
            Self::Cancel => AppointmentEvent::Cancel,
            Self::Arrive => AppointmentEvent::Arrive,
            Self::CheckIn => AppointmentEvent::CheckIn,
            Self::Fulfil => AppointmentEvent::Fulfil,
            Self::NoShow => AppointmentEvent::NoShow,
            Self::Settle => AppointmentEvent::Settle,
        }
    }

    /// The operation that asks for it. Settling is no client's operation; it ranks with fulfilling.
    pub const fn operation(self) -> Operation {
        match self {
            Self::Book { .. } => Operation::Book,
            Self::Release => Operation::Release,
            Self::Cancel => Operation::Cancel,
            Self::Arrive => Operation::Arrive,
            Self::CheckIn => Operation::CheckIn,
            Self::Fulfil | Self::Settle => Operation::Fulfil,
            Self::NoShow => Operation::NoShow,
        }
    }
}

/// Why a hold cannot even be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldFault {
    /// No claim, a run of no slots or of too many, or an empty ranking.
    Claims,
    /// Two claims are in the same session.
    Overlap,
    /// It names neither a patient nor an account, or none and is to be booked.
    Patient,
}

impl Hold {
    /// Places for a patient who names nobody else: as an outpatient, through channel 0, for
    /// [`Ttl::DEFAULT`], to be booked later. What differs is named beside it.
    pub fn of(
        appointment: AppointmentId,
        patient: PatientId,
        claims: impl IntoIterator<Item = ClaimRequest>,
    ) -> Self {
        Self {
            appointment,
            patient: Some(patient),
            keys: ClientKeys::default(),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            ttl: Ttl::DEFAULT,
            book: None,
            claims: claims.into_iter().collect(),
        }
    }

    /// Checks what can be checked without state, and says in whose ledger the hold is: the patient's,
    /// or the account's.
    ///
    /// # Errors
    ///
    /// The first [`HoldFault`] in the order of that enum.
    pub fn check(&self) -> Result<PatientId, HoldFault> {
        check_claims(&self.claims)?;
        let holder = self.keys.account.map(AccountId::holder);
        match self.patient {
            Some(patient) if holder != Some(patient) => Ok(patient),
            None if self.book.is_none() => holder.ok_or(HoldFault::Patient),
            Some(_) | None => Err(HoldFault::Patient),
        }
    }

    /// In whose ledger it is: the patient's, or that of the account as a holder.
    pub fn holder(&self) -> Option<PatientId> {
        self.patient.or_else(|| self.keys.account.map(AccountId::holder))
    }

    /// A hash of what is asked for, to tell a retry from a reused id. Attributes, telephone, device
    /// and address are not in it: they may differ where the same request is sent again.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: Option<PatientId>) -> u64 {
        let mut print = Fingerprint::new(Operation::Hold as u64);
        print.add_wide(patient.map_or(0, |patient| patient.0));
        print.add_optional(self.keys.account.map(|account| account.0));
        print.add_wide(self.book.map_or(0, |payment| payment.0));
        print.add(
            u64::from(self.ttl.as_millis())
                | u64::from(self.channel.number()) << 32
                | u64::from(self.class as u8) << 40
                | u64::from(self.book.is_some()) << 48
                | u64::from(self.patient.is_none()) << 49,
        );
        for claim in &self.claims {
            print.add(claim.session.0).add(u64::from(claim.count));
            if let SlotChoice::Ranked(slots) = &claim.slots {
                slots.iter().for_each(|slot| {
                    print.add(1 << 32 | u64::from(slot.0));
                });
            }
        }
        print.finish()
    }
}

/// Checks the claims of a hold or of a move.
pub(super) fn check_claims(claims: &ClaimRequests) -> Result<(), HoldFault> {
    let sound = |claim: &ClaimRequest| {
        let ranked = match &claim.slots {
            SlotChoice::Any => true,
            SlotChoice::Ranked(slots) => !slots.is_empty(),
        };
        ranked && 0 < claim.count && claim.count <= RUN_SLOTS_MAX
    };
    if claims.is_empty() || CLAIMS_MAX < claims.len() || !claims.iter().all(sound) {
        return Err(HoldFault::Claims);
    }
    let repeats = |(index, claim): (usize, &ClaimRequest)| {
        claims.iter().take(index).any(|other| other.session == claim.session)
    };
    if claims.iter().enumerate().any(repeats) { Err(HoldFault::Overlap) } else { Ok(()) }
}

impl Change {
    /// A hash of what is to happen to which appointment. Patient and channel are not in it: they
    /// say who asks.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(self.action.operation() as u64);
        print.add_wide(self.appointment.0);
        if let Action::Book { payment } = self.action {
            print.add_wide(payment.0);
        }
        print.add(u64::from(matches!(self.action, Action::Settle))).finish()
    }
}

impl OpenSession {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let session = &self.session;
        let mut print = Fingerprint::new(Operation::OpenSession as u64);
        print.add(session.id.0).add(session.resource.0).add(session.start.as_millis());
        print.add(u64::from(session.organization.0) << 32 | u64::from(session.department.0));
        print.add(u64::from(session.slot_millis) << 32 | u64::from(session.ttl_max.as_millis()));
        print.add(
            u64::from(session.site.0)
                | u64::from(session.appointment_type) << 16
                | (session.pick as u64) << 24
                | (session.repeat as u64) << 32
                | (session.sharing as u64) << 40,
        );
        for pool in &session.pools {
            print.add(pool.channels.0).add(u64::from(pool.classes.0));
            pool.quotas.iter().for_each(|quota| {
                print.add(u64::from(*quota));
            });
        }
        if session.has_terms() {
            session.terms.fingerprint(&mut print);
            session.pools.iter().for_each(|pool| pool.terms.fingerprint(&mut print));
        }
        print.finish()
    }
}

impl SetQuotas {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::SetQuotas as u64);
        print.add(self.session.0);
        for quotas in &self.quotas {
            print.add(quotas.len() as u64);
            for quota in quotas {
                print.add(u64::from(*quota));
            }
        }
        print.finish()
    }
}

impl Command {
    /// The id that makes a retry safe.
    pub const fn request(&self) -> RequestId {
        match self {
            Self::SetQuotas(set) => set.request,
            Self::RevealDraw(reveal) => reveal.request,
            Self::JoinWaitlist(join) => join.request,
            Self::LeaveWaitlist(leave) => leave.request,
            Self::OpenSession(open) => open.request,
            Self::Hold(hold) => hold.appointment.request(),
            Self::Change(change) => change.request,
            Self::Reschedule(ask) => ask.request,
            Self::BlockSession(block) => block.request,
            Self::Substitute(substitute) => substitute.request,
            Self::AddPlace(add) => add.appointment.request(),
            Self::CallNext(call) => call.request,
            Self::ApplyRules(apply) => apply.request,
            Self::Order(order) => order.request,
            Self::Pay(pay) => pay.request,
            Self::Refund(refund) => refund.request,
            Self::NamePatient(name) => name.request,
            Self::Restrict(ask) => ask.request,
            Self::Amend(ask) => ask.request,
            Self::Appeal(ask) => ask.request,
            Self::MergePatients(ask) => ask.request,
        }
    }

    /// Through which channel it comes. Who runs the hospital comes through none.
    pub const fn channel(&self) -> Option<BookingChannel> {
        match self {
            Self::OpenSession(_)
            | Self::SetQuotas(_)
            | Self::RevealDraw(_)
            | Self::CallNext(_)
            | Self::ApplyRules(_)
            | Self::BlockSession(_)
            | Self::Refund(_)
            | Self::Restrict(_)
            | Self::Amend(_)
            | Self::MergePatients(_)
            | Self::Substitute(_) => None,
            Self::Appeal(appeal) => Some(appeal.channel),
            Self::Order(order) => Some(order.channel),
            Self::Pay(pay) => Some(pay.channel),
            Self::NamePatient(name) => Some(name.channel),
            Self::AddPlace(add) => Some(add.channel),
            Self::Hold(hold) => Some(hold.channel),
            Self::Change(change) => Some(change.channel),
            Self::Reschedule(ask) => Some(ask.channel),
            Self::JoinWaitlist(join) => Some(join.channel),
            Self::LeaveWaitlist(leave) => Some(leave.channel),
        }
    }

    /// For which patient it is, as far as it says.
    pub const fn patient(&self) -> Option<PatientId> {
        match self {
            Self::Order(order) => order.patient,
            Self::Pay(pay) => pay.patient,
            Self::NamePatient(name) => Some(name.patient),
            Self::Hold(hold) => hold.patient,
            Self::Change(change) => change.patient,
            Self::Reschedule(ask) => ask.patient,
            Self::AddPlace(add) => Some(add.patient),
            Self::JoinWaitlist(join) => Some(join.patient),
            Self::LeaveWaitlist(leave) => Some(leave.patient),
            Self::Restrict(ask) => Some(ask.patient),
            Self::Amend(ask) => Some(ask.patient),
            Self::Appeal(appeal) => Some(appeal.patient),
            Self::OpenSession(_)
            | Self::SetQuotas(_)
            | Self::RevealDraw(_)
            | Self::CallNext(_)
            | Self::ApplyRules(_)
            | Self::BlockSession(_)
            | Self::Refund(_)
            | Self::MergePatients(_)
            | Self::Substitute(_) => None,
        }
    }

    /// What kind of request it is.
    pub fn operation(&self) -> Operation {
        match self {
            Self::OpenSession(open) if open.session.has_terms() => Operation::OpenWithTerms,
            Self::OpenSession(_) => Operation::OpenSession,
            Self::SetQuotas(_) => Operation::SetQuotas,
            Self::RevealDraw(_) => Operation::RevealDraw,
            Self::JoinWaitlist(_) => Operation::JoinWaitlist,
            Self::LeaveWaitlist(_) => Operation::LeaveWaitlist,
            Self::Hold(_) => Operation::Hold,
            Self::Reschedule(_) => Operation::Reschedule,
            Self::BlockSession(_) => Operation::BlockSession,
            Self::Substitute(_) => Operation::Substitute,
            Self::AddPlace(_) => Operation::AddPlace,
            Self::Change(change) => change.action.operation(),
            Self::CallNext(_) => Operation::CallNext,
            Self::ApplyRules(_) => Operation::ApplyRules,
            Self::Restrict(_) => Operation::Restrict,
            Self::Amend(_) => Operation::Amend,
            Self::Appeal(_) => Operation::Appeal,
            Self::MergePatients(_) => Operation::MergePatients,
            Self::Order(_) => Operation::Order,
            Self::Pay(_) => Operation::Pay,
            Self::Refund(_) => Operation::Refund,
            Self::NamePatient(_) => Operation::NamePatient,
        }
    }
}

/// What a client learns of a change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where the appointment stands now. `None` where the request was about no appointment.
    pub status: Option<super::appointment::AppointmentStatus>,
    /// Pending: the deadline. Otherwise when the status was reached.
    pub until: Timestamp,
    /// The places it takes, as the engine picked them.
    pub claims: Claims,
    /// Whether an earlier request with the same id did it.
    pub retried: bool,
    /// The appointment that the engine chose, where the request named none.
    pub appointment: Option<AppointmentId>,
}
