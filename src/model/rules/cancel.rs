//! Until when a visit can be cancelled (退号截止), and what comes of it later.
//!
//! ```text
//! booked ---------- deadline =============== visit        late: refused, or allowed and marked
//!                   30 minutes before the slot
//!                   00:00 of the day of the visit, 15:00 of the day or the workday before it
//!                   the beginning of its half of the day
//! ```
//!
//! Sources of the forms: the platforms P1, P2 and P6 of `docs/policies/`.

use arrayvec::ArrayVec;

use super::{RuleMode, RuleRef};
use crate::model::actor::ChannelSet;
use crate::model::civil::{CivilTime, Day};
use crate::model::fingerprint::Fingerprint;
use crate::model::id::{AppointmentId, PatientId};
use crate::model::limits::RULE_DAYS_MAX;
use crate::model::time::Timestamp;

/// Until when a visit can be cancelled or moved, and what comes of it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRule {
    /// The deadline. It is late at that instant.
    pub until: Deadline,
    /// Channels through which a late cancel is never refused, such as a counter's.
    pub later: ChannelSet,
    /// What a late cancel comes to.
    pub late: LateCancel,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// An instant before a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// So many minutes before its slot begins.
    Minutes(u32),
    /// A minute of the local day, so many days before the day of the visit; 0 that day itself.
    Days {
        /// How many days before.
        days: u8,
        /// The minute, 0 to 1,440.
        minute: u16,
    },
    /// The same counted in days of work.
    Workdays {
        /// How many days of work before.
        days: u8,
        /// The minute, 0 to 1,440.
        minute: u16,
        /// Mondays to Fridays that are none, Saturdays and Sundays that are.
        except: ArrayVec<Day, RULE_DAYS_MAX>,
    },
    /// 1: when the half of the local day in which the slot begins does, at midnight or noon. 2: half
    /// a day before that, and so on.
    HalfDays(u8),
}

/// What a late cancel comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LateCancel {
    /// It is refused.
    #[default]
    Refuse = 0,
    /// It is allowed, and the appointment is marked.
    Mark = 1,
}

/// See [`crate::model::Fact::LeftLate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftLate {
    /// Whose place was left.
    pub appointment: AppointmentId,
    /// By whom.
    pub patient: PatientId,
    /// Until when it would have been in time.
    pub deadline: Timestamp,
    /// By which rule; its tier is 0.
    pub rule: RuleRef,
}

impl CancelRule {
    /// How many bytes it takes at most.
    pub(super) fn weight(&self) -> usize {
        let except = match &self.until {
            Deadline::Workdays { except, .. } => except.len(),
            Deadline::Minutes(_) | Deadline::Days { .. } | Deadline::HalfDays(_) => 0,
        };
        except.saturating_mul(4).saturating_add(20)
    }

    pub(super) fn is_sound(&self) -> bool {
        match &self.until {
            Deadline::Minutes(minutes) => *minutes <= MINUTES_MAX,
            Deadline::Days { days, minute } => *days <= DAYS_MAX && *minute <= 1_440,
            Deadline::Workdays { days, minute, except } => {
                let in_order = except.windows(2).all(|pair| pair[0] < pair[1]);
                *days <= DAYS_MAX && *minute <= 1_440 && in_order
            }
            Deadline::HalfDays(halves) => (1..=DAYS_MAX).contains(halves),
        }
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        let (kind, count, minute, except) = self.until.parts();
        print.add(6 << 56 | u64::from(kind) | u64::from(count) << 8 | u64::from(minute) << 40);
        for day in except {
            print.add(u64::from(day.0));
        }
        print.add(self.later.0).add(self.late as u64 | (self.mode as u64) << 8);
    }
}

impl Deadline {
    /// Its number, how many of what it counts in, its minute, and its exceptions.
    pub fn parts(&self) -> (u8, u32, u16, &[Day]) {
        match self {
            Self::Minutes(minutes) => (1, *minutes, 0, &[]),
            Self::Days { days, minute } => (2, u32::from(*days), *minute, &[]),
            Self::Workdays { days, minute, except } => (3, u32::from(*days), *minute, except),
            Self::HalfDays(halves) => (4, u32::from(*halves), 0, &[]),
        }
    }

    /// The deadline of a visit whose slot begins at an instant.
    pub fn of(&self, civil: &CivilTime, start: Timestamp) -> Timestamp {
        let day = civil.day_of(start);
        match self {
            Self::Minutes(minutes) => {
                start.minus_millis(u64::from(*minutes).saturating_mul(60_000))
            }
            Self::Days { days, minute } => civil.at(day.minus(u32::from(*days)), *minute),
            Self::Workdays { days, minute, except } => {
                civil.at(workday_before(day, *days, except), *minute)
            }
            Self::HalfDays(halves) => {
                let noon = u32::from(720 <= civil.minute_of(start));
                let half = day.0.saturating_mul(2).saturating_add(noon);
                let half = half.saturating_add(1).saturating_sub(u32::from(*halves));
                civil.at(Day(half >> 1), if half & 1 == 1 { 720 } else { 0 })
            }
        }
    }
}

fn workday_before(mut day: Day, days: u8, except: &[Day]) -> Day {
    for _ in 0..days {
        // A calendar with nothing but exceptions ends the search.
        for _ in 0..=RULE_DAYS_MAX.saturating_add(7) {
            day = day.minus(1);
            if is_workday(day, except) {
                break;
            }
        }
    }
    day
}

fn is_workday(day: Day, except: &[Day]) -> bool {
    (day.weekday() < 5) != except.contains(&day)
}

/// The longest deadline in minutes: sixty days, as far as bookings are made ahead.
const MINUTES_MAX: u32 = 60 * 24 * 60;
/// The longest in days, days of work or halves of them.
const DAYS_MAX: u8 = 60;
