//! How many appointments somebody may have (限约): where, in which time, and counted how.
//!
//! ```text
//! within   session | resource | department | organization | region | service | appointment type
//! period   half-day | day | rolling days or months | week, month, quarter, year | any
//! by       the day of the visit, or the day of booking
//! counts   live | all | departments | resources | operations
//! most     3
//! ```
//!
//! Limits of all layers hold together; of those that say the same but for how many, the nearest counts.
//!
//! Sources of the forms: the platforms P1, P2 and P6 of `docs/policies/`.

use super::{RuleMode, RuleScope, ScopeKind};
use crate::model::civil::Day;
use crate::model::fingerprint::Fingerprint;
use crate::model::history::Visit;
use crate::model::limits::{LAYER_LIMITS_MAX, LIMIT_COUNT_MAX};

/// How many a patient may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookingLimit {
    /// What is counted, and how.
    pub key: LimitKey,
    /// How many there may be, the new one among them: 0 to [`LIMIT_COUNT_MAX`], or
    /// [`BookingLimit::NO_LIMIT`].
    pub most: u16,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// What a limit counts. Two with the same key are the same limit, and the nearer layer decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    /// Where.
    pub within: LimitScope,
    /// In which time.
    pub period: Period,
    /// Of which day the time is.
    pub by: DayOf,
    /// What.
    pub counts: Counts,
}

/// How far around a visit others are counted with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LimitScope {
    /// All of the platform.
    #[default]
    Region = 0,
    /// The hospital.
    Organization = 1,
    /// The department.
    Department = 2,
    /// The resource: a practitioner, a device.
    Schedule = 3,
    /// The service item.
    Service = 4,
    /// The session: the same resource, service item and appointment type in the same half-day.
    Session = 5,
    /// The hospital's appointments of the same type.
    AppointmentType = 6,
}

/// In which time appointments are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Whenever they are.
    #[default]
    Any,
    /// In the same half of a day.
    HalfDay,
    /// On the same day.
    Day,
    /// Within any so many days in a row, 1 to 366.
    Days(u16),
    /// Within any so many months: up to the day before the same day of a month, 1 to 12.
    Months(u8),
    /// In the same week, from Monday on.
    Week,
    /// In the same month.
    Month,
    /// In the same quarter.
    Quarter,
    /// In the same year.
    Year,
}

/// Of which day a period is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DayOf {
    /// The day of the visit.
    #[default]
    Visit = 0,
    /// The day on which it was made.
    Booking = 1,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Counts {
    /// Appointments that still lie ahead: held, booked, arrived, or waiting for a draw.
    #[default]
    Live = 0,
    /// Those, and what was booked and is over: visited, missed, or cancelled.
    All = 1,
    /// The departments of those.
    Departments = 2,
    /// The resources of those.
    Resources = 3,
    /// Every hold that was made, and once more where it was given up or cancelled.
    Operations = 4,
}

impl BookingLimit {
    /// As `most`: as many as one likes. A nearer layer lifts a limit by it.
    pub const NO_LIMIT: u16 = u16::MAX;

    /// How many bytes it takes at most.
    pub(super) const WEIGHT: usize = 12;

    pub(super) fn is_sound(&self) -> bool {
        let LimitKey { within, period, by, counts } = self.key;
        let lasts = match period {
            Period::Days(days) => (1..=366).contains(&days),
            Period::Months(months) => (1..=12).contains(&months),
            // Nobody is asked for the hour of a booking.
            Period::HalfDay => by == DayOf::Visit,
            // What is over is not kept for ever.
            Period::Any => counts == Counts::Live || within == LimitScope::Session,
            Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => true,
        };
        lasts && (self.most <= LIMIT_COUNT_MAX || self.most == Self::NO_LIMIT)
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        let LimitKey { within, period, by, counts } = self.key;
        let (period, length) = period.parts();
        print.add(within as u64 | u64::from(period) << 8 | u64::from(length) << 16);
        print.add(by as u64 | (counts as u64) << 8 | (self.mode as u64) << 16);
        print.add(u64::from(self.most));
    }
}

impl Period {
    /// Its number and its length, 0 where it has none.
    pub const fn parts(self) -> (u8, u16) {
        match self {
            Self::Any => (0, 0),
            Self::Days(days) => (1, days),
            Self::Months(months) => (2, months as u16),
            Self::Month => (3, 0),
            Self::Quarter => (4, 0),
            Self::Year => (5, 0),
            Self::HalfDay => (6, 0),
            Self::Day => (7, 0),
            Self::Week => (8, 0),
        }
    }

    /// The period with these parts, if there is one.
    pub fn of_parts(number: u8, length: u16) -> Option<Self> {
        Some(match (number, length) {
            (0, 0) => Self::Any,
            (1, days) => Self::Days(days),
            (2, months) => Self::Months(u8::try_from(months).ok()?),
            (3, 0) => Self::Month,
            (4, 0) => Self::Quarter,
            (5, 0) => Self::Year,
            (6, 0) => Self::HalfDay,
            (7, 0) => Self::Day,
            (8, 0) => Self::Week,
            _ => return None,
        })
    }

    /// The days from the first to the last that count together where the period ends with a day, or
    /// that day lies in it.
    pub fn around(self, day: Day) -> (Day, Day) {
        match self {
            Self::Any => (Day(0), Day(u32::MAX)),
            Self::HalfDay | Self::Day => (day, day),
            Self::Days(days) => (day.minus(u32::from(days)).plus(1).min(day), day),
            Self::Months(months) => (day.minus_months(months.into()).plus(1).min(day), day),
            Self::Week => (day.week_start(), day.week_start().plus(6)),
            Self::Month => (day.month_start(), day.month_start().plus_months(1).minus(1)),
            Self::Quarter => (day.quarter_start(), day.quarter_start().plus_months(3).minus(1)),
            Self::Year => (day.year_start(), day.year_start().plus_months(12).minus(1)),
        }
    }

    /// Whether periods of it overlap: then each of them counts, wherever it begins.
    pub const fn is_rolling(self) -> bool {
        matches!(self, Self::Days(_) | Self::Months(_))
    }
}

impl LimitScope {
    /// Whether two visits lie in one of it.
    pub fn joins(self, one: &Visit, other: &Visit) -> bool {
        let kind = match self {
            Self::Region => return true,
            Self::Organization => ScopeKind::Organization,
            Self::Department => ScopeKind::Department,
            Self::Schedule => ScopeKind::Schedule,
            Self::Service => ScopeKind::Service,
            Self::Session => return one == other,
            Self::AppointmentType => {
                return one.appointment_type == other.appointment_type
                    && one.place.organization == other.place.organization;
            }
        };
        RuleScope::around(kind, &one.place).contains(&other.place)
    }
}

/// Whether the limits of a layer are sound, and no two say the same.
pub(super) fn are_sound(limits: &[BookingLimit]) -> bool {
    let is_first = |(index, limit): (usize, &BookingLimit)| {
        limits.iter().take(index).all(|earlier| earlier.key != limit.key)
    };
    limits.len() <= LAYER_LIMITS_MAX
        && limits.iter().all(BookingLimit::is_sound)
        && limits.iter().enumerate().all(is_first)
}
