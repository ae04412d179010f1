//! What is kept of an appointment that is over, as far as rules count it.
//!
//! ```text
//! appointment   claims      visits                 booked    ended
//! A 12          S1 slot 3   place, day, half-day   day       day, and how
//!               S2 slot 0   place, day, half-day
//! ```
//!
//! **Architecture invariant:** days are local days by the rules that were in force; who counts later
//! asks no clock, no zone and no session.

use arrayvec::ArrayVec;

use super::civil::{CivilTime, Day};
use super::id::{PatientId, SlotIndex};
use super::limits::{CLAIMS_MAX, HISTORY_MAX, PROBED_MAX};
use super::rules::Place;
use super::session::Session;
use super::time::Timestamp;

/// Where and when one claim of an appointment lets somebody be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Visit {
    /// Where.
    pub place: Place,
    /// The appointment type of its session.
    pub appointment_type: u8,
    /// The local day on which the slot begins.
    pub day: Day,
    /// The half of that day.
    pub half: HalfDay,
}

/// Halves of a local day. A clinic day has two sessions (上午, 下午).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum HalfDay {
    /// Before 12:00.
    #[default]
    Morning = 0,
    /// From 12:00 on.
    Afternoon = 1,
}

/// How an appointment came to its end, by the patient's doing. 0 is a strike that outlived its visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Ending {
    /// The visit took place.
    Fulfilled = 1,
    /// The patient did not come.
    Missed = 2,
    /// It was booked, and cancelled.
    Cancelled = 3,
    /// It was held, and given up.
    Released = 4,
    /// It was held, and neither booked nor given up in time.
    Expired = 5,
    /// There is no appointment: it was asked for again and again where nothing was to be had.
    Probed = 6,
    /// It was booked: kept of accounts and telephones alone, besides how it ended.
    Booked = 7,
    /// The visit took place, and the patient had checked in late.
    Late = 8,
}

/// The visits of an appointment, in the order of its claims.
pub type Visits = ArrayVec<Visit, CLAIMS_MAX>;

/// See [`crate::model::Fact::Recorded`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whose appointment is over.
    pub patient: PatientId,
    /// How it ended.
    pub ending: Ending,
    /// The local day on which it was made; 0 where a snapshot of an earlier version did not say.
    pub booked: Day,
    /// The local day on which it ended.
    pub ended: Day,
    /// Where it would have been, or was.
    pub visits: Visits,
}

/// One visit of an appointment that is over, as a ledger keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Past {
    /// The visit.
    pub visit: Visit,
    /// How its appointment ended.
    pub ending: Ending,
    /// The local day on which it was made, 255 days before the visit at most.
    pub booked: Day,
    /// The local day on which it ended, from that day on and 255 days after it at most.
    pub ended: Day,
    /// Whether it is of the same appointment as the visit before it.
    pub is_joined: bool,
}

/// What a ledger has room for, filled from the newest on: [`HISTORY_MAX`] visits, of which some are
/// of who probed. So a script that asks and asks does not make a ledger forget what else there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryRoom {
    all: usize,
    probed: usize,
}

impl HistoryRoom {
    /// Whether there is room for one more, which is then taken.
    pub fn takes(&mut self, ending: Ending) -> bool {
        let is_probed = ending == Ending::Probed;
        if self.all == HISTORY_MAX || is_probed && self.probed == PROBED_MAX {
            return false;
        }
        self.all = self.all.saturating_add(1);
        self.probed = self.probed.saturating_add(is_probed.into());
        true
    }
}

/// What a session says of where and when its visits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Where.
    pub place: Place,
    /// The appointment type.
    pub appointment_type: u8,
    /// When the first slot begins.
    pub start: Timestamp,
    /// How long a slot is, in milliseconds.
    pub slot_millis: u32,
}

impl Stay {
    /// Of a session.
    pub const fn of(session: &Session) -> Self {
        Self {
            place: Place::of(session),
            appointment_type: session.appointment_type,
            start: session.start,
            slot_millis: session.slot_millis,
        }
    }

    /// The visit of one of its slots.
    pub fn visit(&self, civil: &CivilTime, slot: SlotIndex) -> Visit {
        let into = u64::from(self.slot_millis).saturating_mul(u64::from(slot.0));
        let (day, half) = civil.half_of(self.start.plus_millis(into));
        Visit { place: self.place, appointment_type: self.appointment_type, day, half }
    }
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 8] = [
        Self::Fulfilled,
        Self::Missed,
        Self::Cancelled,
        Self::Released,
        Self::Expired,
        Self::Probed,
        Self::Booked,
        Self::Late,
    ];

    /// Whether the appointment was more than a hold, and is over.
    pub const fn was_booked(self) -> bool {
        matches!(self, Self::Fulfilled | Self::Late | Self::Missed | Self::Cancelled)
    }

    /// How many operations it took: a hold, and where it was given up one more.
    pub const fn operations(self) -> u32 {
        match self {
            Self::Cancelled | Self::Released => 2,
            Self::Probed => 0,
            Self::Fulfilled | Self::Late | Self::Missed | Self::Expired | Self::Booked => 1,
        }
    }

    /// The name in JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fulfilled => "fulfilled",
            Self::Missed => "missed",
            Self::Cancelled => "cancelled",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Probed => "probed",
            Self::Booked => "booked",
            Self::Late => "late",
        }
    }
}

impl Recorded {
    /// What a ledger keeps of it, visit by visit.
    pub fn past(&self) -> impl Iterator<Item = Past> {
        let Self { ending, booked, ended, ref visits, .. } = *self;
        let booked = booked.min(ended);
        visits.iter().enumerate().map(move |(index, visit)| {
            let visit = Visit { day: visit.day.min(DAY_MAX), ..*visit };
            let earliest = Day(visit.day.0.saturating_sub(DAYS_TOLD));
            let booked = booked.clamp(earliest, visit.day.max(earliest));
            let ended = ended.clamp(booked, booked.plus(DAYS_TOLD));
            Past { visit, ending, booked, ended, is_joined: index != 0 }
        })
    }
}

/// The last day that is kept as itself: in the year 2149.
pub(super) const DAY_MAX: Day = Day(u16::MAX as u32);

/// Days between booking and visit, or booking and end, that are told apart.
const DAYS_TOLD: u32 = 255;
