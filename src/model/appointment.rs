//! Demand: an appointment, its claims, and the one table of its transitions.

use smallvec::SmallVec;

use super::actor::BookingChannel;
use super::draw::DrawId;
use super::id::{
    AccountId, AppointmentId, OrganizationId, PatientId, PaymentRef, PoolIndex, RulesVersion,
    SessionId, SlotIndex,
};
use super::session::Sharing;
use super::time::Timestamp;

/// A run of consecutive slots of one session, taken from one pool: one place in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// The session.
    pub session: SessionId,
    /// The first slot.
    pub slot: SlotIndex,
    /// How many slots, from 1.
    pub count: u8,
    /// The pool that gave the places, and gets them back.
    pub pool: PoolIndex,
}

/// The claims of an appointment, 1 to 8, at most one per session. The usual one lies in place.
pub type Claims = SmallVec<[Claim; 1]>;

/// An appointment (预约记录), from its hold to its end. FHIR `Appointment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// Its id, chosen by the client.
    pub id: AppointmentId,
    /// Who is to be seen.
    pub patient: PatientId,
    /// Who booked, if it was said.
    pub account: Option<AccountId>,
    /// Whose session it is in.
    pub organization: OrganizationId,
    /// Through which channel it was made.
    pub channel: BookingChannel,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What other channels may do with it: the strictest of its sessions.
    pub sharing: Sharing,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Why it ended, if it was cancelled. `Displaced` where it is booked: it lost its places, and
    /// `claims` are those that it lost. `Displaced` where it is pending: it is an offer to such a one.
    pub cause: Cause,
    /// Pending: the deadline of the hold. Otherwise: when the status was reached.
    pub until: Timestamp,
    /// A hash of the request that made it, to tell a retry from a reused id.
    pub fingerprint: u64,
    /// The payment that it was booked with.
    pub payment: Option<PaymentRef>,
    /// The rules that it was decided under.
    pub rules: RulesVersion,
    /// The places it takes.
    pub claims: Claims,
}

impl Appointment {
    /// The draw that it waits for, if it is an entry.
    pub fn draw(&self) -> Option<DrawId> {
        let waits = self.status == AppointmentStatus::Waitlist;
        let first = self.claims.first().filter(|_| waits)?;
        Some(DrawId { session: first.session, pool: first.pool })
    }

    /// Whether it is an account's that has not named the patient.
    pub fn is_unnamed(&self) -> bool {
        self.account.is_some_and(|account| account.holder() == self.patient)
    }
}

/// As what a patient comes (患者类别).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PatientClass {
    /// 门诊.
    #[default]
    Outpatient = 0,
    /// 住院.
    Inpatient = 1,
    /// 体检.
    CheckUp = 2,
    /// 急诊.
    Emergency = 3,
    /// 转诊.
    Referral = 4,
}

/// Where an appointment stands. FHIR R4 `Appointment.status`, with its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AppointmentStatus {
    /// Held until a deadline (已锁). `pending`.
    Pending = 1,
    /// Confirmed (已约). `booked`.
    Booked = 2,
    /// The patient is in the house. `arrived`.
    Arrived = 3,
    /// The patient is in the queue (已签到). `checked-in`.
    CheckedIn = 4,
    /// The visit took place (已就诊). `fulfilled`.
    Fulfilled = 5,
    /// Given up, expired or cancelled (已取消). `cancelled`.
    Cancelled = 6,
    /// The patient did not come (爽约). `noshow`.
    NoShow = 7,
    /// Entered in a draw and waiting for it; it takes no place (摇号候选). `waitlist`.
    Waitlist = 8,
}

impl PatientClass {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Every class.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Outpatient, Self::Inpatient, Self::CheckUp, Self::Emergency, Self::Referral];
}

impl AppointmentStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Booked,
        Self::Arrived,
        Self::CheckedIn,
        Self::Fulfilled,
        Self::Cancelled,
        Self::NoShow,
        Self::Waitlist,
    ];

    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Booked => "booked",
            Self::Arrived => "arrived",
            Self::CheckedIn => "checked-in",
            Self::Fulfilled => "fulfilled",
            Self::Cancelled => "cancelled",
            Self::NoShow => "noshow",
            Self::Waitlist => "waitlist",
        }
    }

    /// Whether the appointment still lies ahead: it counts against its patient's limits.
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Waitlist | Self::Pending | Self::Booked | Self::Arrived | Self::CheckedIn
        )
    }

    /// Whether the appointment takes its places. What took place, or could have, keeps them.
    pub const fn takes_places(self) -> bool {
        !matches!(self, Self::Waitlist | Self::Cancelled)
    }

    /// The table of transitions: what an event makes of a status, or `None` where it is refused.
    ///
    /// ```text
    ///             book   release    expire     cancel     arrive   check_in   fulfil     no_show  settle     displace   win      lose
    /// waitlist           cancelled                                                                                      pending  cancelled
    /// pending     booked cancelled  cancelled                                                                cancelled
    /// booked                                   cancelled  arrived  checked-in            noshow   fulfilled  booked
    /// arrived                                  cancelled           checked-in fulfilled  noshow   fulfilled  booked
    /// checked-in                                                              fulfilled  noshow   fulfilled  booked
    /// ```
    ///
    /// `fulfilled`, `cancelled` and `noshow` are final.
    pub const fn after(self, event: AppointmentEvent) -> Option<Self> {
        use AppointmentEvent as E;
        match (self, event) {
            (Self::Pending, E::Book)
            | (Self::Booked | Self::Arrived | Self::CheckedIn, E::Displace) => Some(Self::Booked),
            (Self::Waitlist, E::Win) => Some(Self::Pending),
            (Self::Pending, E::Release | E::Expire | E::Displace)
            | (Self::Waitlist, E::Release | E::Lose)
            | (Self::Booked | Self::Arrived, E::Cancel) => Some(Self::Cancelled),
            (Self::Booked, E::Arrive) => Some(Self::Arrived),
            (Self::Booked | Self::Arrived, E::CheckIn) => Some(Self::CheckedIn),
            (Self::Arrived | Self::CheckedIn, E::Fulfil)
            | (Self::Booked | Self::Arrived | Self::CheckedIn, E::Settle) => Some(Self::Fulfilled),
            (Self::Booked | Self::Arrived | Self::CheckedIn, E::NoShow) => Some(Self::NoShow),
            _ => None,
        }
    }
}

/// What can happen to an appointment after its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppointmentEvent {
    /// The hold is confirmed.
    Book,
    /// The holder gives the hold up.
    Release,
    /// The deadline ends the hold.
    Expire,
    /// The booked appointment is given up.
    Cancel,
    /// The patient is in the house.
    Arrive,
    /// The patient is in the queue.
    CheckIn,
    /// The visit took place.
    Fulfil,
    /// The patient did not come.
    NoShow,
    /// The day is closed with the patient counted as seen; no check-in is asked for.
    Settle,
    /// Its session is blocked. What was held ends; what was booked stays booked, without places.
    Displace,
    /// The draw gave the entry a place.
    Win,
    /// The draw gave the entry nothing.
    Lose,
}

impl AppointmentEvent {
    /// Every event.
    pub const ALL: [Self; 12] = [
        Self::Book,
        Self::Release,
        Self::Expire,
        Self::Cancel,
        Self::Arrive,
        Self::CheckIn,
        Self::Fulfil,
        Self::NoShow,
        Self::Settle,
        Self::Displace,
        Self::Win,
        Self::Lose,
    ];
}

/// Why an appointment was cancelled. FHIR `cancelationReason`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Cause {
    /// It was not.
    #[default]
    None = 0,
    /// The holder gave the hold up.
    Released = 1,
    /// The deadline of the hold passed.
    Expired = 2,
    /// The patient, or somebody for the patient, cancelled.
    Cancelled = 3,
    /// The session was blocked.
    Displaced = 4,
    /// The draw gave the entry nothing.
    NotDrawn = 5,
}

impl Cause {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Displaced => "displaced",
            Self::NotDrawn => "not drawn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same table as in the documentation of `after`, read cell by cell.
    #[test]
    fn transitions_are_this_table_and_nothing_else() {
        let expected = "
            Pending    | Booked | Cancelled | Cancelled | -         | -       | -         | -         | -      | -         | Cancelled | -       | -
            Booked     | -      | -         | -         | Cancelled | Arrived | CheckedIn | -         | NoShow | Fulfilled | Booked    | -       | -
            Arrived    | -      | -         | -         | Cancelled | -       | CheckedIn | Fulfilled | NoShow | Fulfilled | Booked    | -       | -
            CheckedIn  | -      | -         | -         | -         | -       | -         | Fulfilled | NoShow | Fulfilled | Booked    | -       | -
            Fulfilled  | -      | -         | -         | -         | -       | -         | -         | -      | -         | -         | -       | -
            Cancelled  | -      | -         | -         | -         | -       | -         | -         | -      | -         | -         | -       | -
            NoShow     | -      | -         | -         | -         | -       | -         | -         | -      | -         | -         | -       | -
            Waitlist   | -      | Cancelled | -         | -         | -       | -         | -         | -      | -         | -         | Pending | Cancelled
        ";
        let rows: Vec<Vec<&str>> = expected
            .lines()
            .filter(|line| line.contains('|'))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows.len(), AppointmentStatus::ALL.len());
        for (status, row) in AppointmentStatus::ALL.into_iter().zip(rows) {
            assert_eq!(format!("{status:?}"), row[0]);
            for (event, cell) in AppointmentEvent::ALL.into_iter().zip(&row[1..]) {
                let to = status.after(event).map_or_else(|| "-".to_owned(), |to| format!("{to:?}"));
                assert_eq!(&to, cell, "{status:?} {event:?}");
            }
        }
    }
}
