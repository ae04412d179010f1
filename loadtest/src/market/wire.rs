//! What somebody sends, made of little: the same again after a lost answer.
//!
//! **Architecture invariant:** a request that is sent again is the same request, under the same id.

use haoyuan::model::{
    Action, AppointmentId, Attributes, BookingChannel, Change, ClaimRequest, Command, Hold,
    JoinWaitlist, PatientClass, PaymentRef, RequestId, SlotChoice, Timestamp,
};
use haoyuan::protocol::Request;

use super::crowd::{Side, patient_key};
use super::manner::Guise;
use super::openings::{session_id, ttl};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A place, or an entry of a draw.
    Hold,
    Book,
    Release,
    Cancel,
    /// A place on the waitlist.
    Join,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) quest: u32,
    pub(crate) person: u32,
    pub(crate) opening: u32,
    pub(crate) what: What,
    pub(crate) id: u128,
    /// The appointment that a change is about.
    pub(crate) appointment: u128,
    pub(crate) guise: Guise,
    pub(crate) hold_micros: u64,
}

impl Asked {
    /// Through which door.
    pub(crate) fn channel(&self) -> BookingChannel {
        self.guise.channel
    }

    /// The request.
    pub(crate) fn request(&self) -> Request {
        match self.what {
            What::Hold => self.hold().into(),
            What::Book => self.change(Action::Book { payment: PaymentRef(self.appointment) }),
            What::Release => self.change(Action::Release),
            What::Cancel => self.change(Action::Cancel),
            What::Join => Command::JoinWaitlist(Box::new(self.join())).into(),
        }
    }

    fn hold(&self) -> Hold {
        let claim =
            ClaimRequest { session: session_id(self.opening), count: 1, slots: SlotChoice::Any };
        let at_counter = self.guise.side == Side::Elder;
        Hold {
            appointment: AppointmentId(self.id),
            patient: Some(patient_key(self.person)),
            keys: self.guise.keys(),
            channel: self.channel(),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            ttl: ttl(self.hold_micros),
            book: at_counter.then_some(PaymentRef(self.id)),
            claims: std::iter::once(claim).collect(),
        }
    }

    fn change(&self, action: Action) -> Request {
        Request::from(Change {
            request: RequestId(self.id),
            appointment: AppointmentId(self.appointment),
            patient: Some(patient_key(self.person)),
            channel: self.channel(),
            action,
        })
    }

    fn join(&self) -> JoinWaitlist {
        JoinWaitlist {
            request: RequestId(self.id),
            patient: patient_key(self.person),
            account: self.guise.keys().account,
            channel: self.channel(),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            earliest: Timestamp::default(),
            latest: Timestamp::MAX,
            targets: std::iter::once(session_id(self.opening)).collect(),
        }
    }
}
