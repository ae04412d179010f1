//! Who did not come (爽约): what counts, in which window, and what follows.
//!
//! ```text
//! strike strike   strike                          tier: count 3, refuse for 6 months
//! --|------|--------|----> days                   begins  at once | the day after | with the first
//!   `--- window ----'[================]                   of those that were counted
//!                     restriction      until
//! ```
//!
//! Sources of the forms: the platforms P1, P2, P6 and P7 of `docs/policies/`.

use arrayvec::ArrayVec;

use super::{Place, RuleMode, RuleScope, ScopeKind};
use crate::model::actor::ChannelSet;
use crate::model::civil::{CivilTime, Day};
use crate::model::fingerprint::Fingerprint;
use crate::model::history::DAY_MAX;
use crate::model::id::{AppointmentId, PatientId, RulesVersion};
use crate::model::limits::{FEWER_MAX, RULE_TIERS_MAX};
use crate::model::session::ClassSet;
use crate::model::time::Timestamp;

/// What becomes of who does not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoShowRule {
    /// How far around a missed visit strikes are counted together, and where the consequence holds.
    pub within: ScopeKind,
    /// Which strikes are counted together.
    pub window: Window,
    /// When the consequence begins.
    pub begins: Begins,
    /// Whether strikes that led to a restriction are counted no more.
    pub is_used_up: bool,
    /// Whether a tier acts only when its count is reached, and not again beyond it: 3 and 6 are then two
    /// times, and 4 and 5 are none.
    pub is_once: bool,
    /// Whether it is applied.
    pub mode: RuleMode,
    /// What follows after how many, fewest first. The last that is reached counts.
    pub tiers: ArrayVec<Tier, RULE_TIERS_MAX>,
}

/// Which strikes are counted together with the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Those of the last so many days, the strike's own among them.
    Days(u16),
    /// Those of the last so many months: since the day after the same day of the month then.
    Months(u8),
    /// Those of its month.
    Month,
    /// Those of its quarter.
    Quarter,
    /// Those of its year.
    Year,
    /// Those since the last visit that took place.
    InARow,
    /// All.
    Ever,
}

/// What follows after some strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// How many, 1 or more.
    pub count: u16,
    /// What follows.
    pub consequence: Consequence,
    /// For how long.
    pub term: Term,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The patient is told.
    Warn,
    /// The patient waits behind others: the class of waitlists is so much lower.
    Lower(u8),
    /// Nothing can be booked but through these channels; they may be none.
    Refuse {
        /// Through which booking goes on, such as a counter's.
        but: ChannelSet,
    },
    /// Nothing can be booked but through these channels as one of these classes: through the pools that
    /// are for them.
    RefuseBut {
        /// Through which booking goes on.
        channels: ChannelSet,
        /// As what the patient comes then.
        classes: ClassSet,
    },
    /// At most so many live appointments at a time, 1 to [`FEWER_MAX`]: one more is refused.
    Fewer(u8),
}

/// How long something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// So many days.
    Days(u16),
    /// So many months.
    Months(u8),
    /// Until the month of the strike is over.
    MonthEnd,
    /// Until its day is over.
    DayEnd,
    /// Until its quarter is over.
    QuarterEnd,
    /// Until its year is over.
    YearEnd,
}

/// When a consequence begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Begins {
    /// With the day after the strike.
    #[default]
    NextDay = 0,
    /// At once.
    AtOnce = 1,
    /// With the day of the first strike that was counted.
    FirstStrike = 2,
}

/// One counted no-show (爽约记次).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The local day of the visit.
    pub day: Day,
    /// Where it would have been.
    pub place: Place,
}

/// What a patient may not do, or has to put up with, for a time (限制预约).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Where.
    pub within: RuleScope,
    /// Why.
    pub cause: RestrictionCause,
    /// What.
    pub consequence: Consequence,
    /// Whether it is applied.
    pub mode: RuleMode,
    /// Since when.
    pub from: Timestamp,
    /// Until when; that instant is free again.
    pub until: Timestamp,
    /// By which rule.
    pub rule: RuleRef,
    /// How many strikes or violations were counted.
    pub count: u16,
    /// The day of the first of them.
    pub since: Day,
}

/// Why somebody is restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RestrictionCause {
    /// They did not come.
    NoShow = 1,
    /// Staff found a reason.
    Staff = 2,
    /// They left holds unpaid.
    Unpaid = 17,
    /// They gave holds up.
    Release = 18,
    /// They cancelled.
    Cancel = 19,
    /// They cancelled on the day of the visit.
    SameDayCancel = 20,
    /// They booked.
    Booking = 21,
    /// They asked again and again for what was not to be had.
    Probing = 22,
    /// They came late.
    Late = 23,
    /// They did not come, as a rule about violations counts it.
    Missed = 24,
}

/// One rule of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The version.
    pub version: RulesVersion,
    /// The position of the layer in it.
    pub layer: u8,
    /// The position of the tier in the rule, or of the rule in its list; of violations that of the tier
    /// among those of all rules of the list.
    pub tier: u8,
}

/// See [`crate::model::Fact::Struck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// Which appointment was missed.
    pub appointment: AppointmentId,
    /// By whom.
    pub patient: PatientId,
    /// The strike.
    pub strike: Strike,
    /// What followed from it.
    pub restriction: Option<Restriction>,
    /// Whether the strikes that were counted are used up by it.
    pub is_used_up: bool,
}

impl NoShowRule {
    /// How many bytes it takes at most.
    pub(super) fn weight(&self) -> usize {
        self.tiers.len().saturating_mul(16).saturating_add(12)
    }

    pub(super) fn is_sound(&self) -> bool {
        let lasts = |tier: &Tier| tier.term != Term::Days(0) && tier.term != Term::Months(0);
        let windowed = !matches!(self.window, Window::Days(0) | Window::Months(0));
        let in_order = self.tiers.windows(2).all(|pair| pair[0].count < pair[1].count);
        let counted = self.tiers.first().is_some_and(|tier| 0 < tier.count);
        let says = self.tiers.iter().all(|tier| tier.consequence.is_sound());
        windowed && counted && in_order && says && self.tiers.iter().all(lasts)
    }

    /// The tier that acts after so many, by its position, if any.
    pub fn reached(&self, count: u16) -> Option<(u8, &Tier)> {
        let tiers = (0_u8..).zip(&self.tiers);
        let last = tiers.filter(|(_, tier)| tier.count <= count).last();
        last.filter(|(_, tier)| !self.is_once || tier.count == count)
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        let (window, length) = self.window.parts();
        print.add(u64::from(window) | u64::from(length) << 8 | (self.within as u64) << 32);
        let flags = u64::from(self.is_used_up) | u64::from(self.is_once) << 1;
        print.add(self.begins as u64 | flags << 8 | (self.mode as u64) << 16);
        for tier in &self.tiers {
            let (term, length) = tier.term.parts();
            print.add(u64::from(tier.count) | u64::from(term) << 16 | u64::from(length) << 32);
            tier.consequence.fingerprint(print);
        }
    }
}

impl Window {
    /// Its number and its length, 0 where it has none.
    pub const fn parts(self) -> (u8, u16) {
        match self {
            Self::Days(days) => (1, days),
            Self::Months(months) => (2, months as u16),
            Self::Month => (3, 0),
            Self::Quarter => (4, 0),
            Self::Year => (5, 0),
            Self::InARow => (6, 0),
            Self::Ever => (7, 0),
        }
    }

    /// The first day that counts together with a strike of that day.
    pub fn first_day(self, day: Day) -> Day {
        match self {
            Self::Days(days) => day.minus(u32::from(days)).plus(1).min(day),
            Self::Months(months) => day.minus_months(u16::from(months)).plus(1).min(day),
            Self::Month => day.month_start(),
            Self::Quarter => day.quarter_start(),
            Self::Year => day.year_start(),
            Self::InARow | Self::Ever => Day(0),
        }
    }
}

impl Strike {
    /// As a ledger keeps it: days after 2149 are one.
    #[must_use]
    pub fn kept(self) -> Self {
        Self { day: self.day.min(DAY_MAX), ..self }
    }
}

impl Term {
    /// Its number and its length, 0 where it has none.
    pub const fn parts(self) -> (u8, u16) {
        match self {
            Self::Days(days) => (1, days),
            Self::Months(months) => (2, months as u16),
            Self::MonthEnd => (3, 0),
            Self::DayEnd => (4, 0),
            Self::QuarterEnd => (5, 0),
            Self::YearEnd => (6, 0),
        }
    }

    /// When it is over that begins at an instant, for a strike of that day.
    pub fn end(self, civil: &CivilTime, from: Timestamp, day: Day) -> Timestamp {
        match self {
            Self::Days(days) => civil.plus_days(from, days.into()),
            Self::Months(months) => civil.plus_months(from, months.into()),
            Self::DayEnd => civil.start_of(day.plus(1)),
            Self::MonthEnd => civil.start_of(day.month_start().plus_months(1)),
            Self::QuarterEnd => civil.start_of(day.quarter_start().plus_months(3)),
            Self::YearEnd => civil.start_of(day.year_start().plus_months(12)),
        }
    }
}

impl Consequence {
    /// Whether it keeps the patient from booking, through whichever channel.
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Refuse { .. } | Self::RefuseBut { .. })
    }

    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Lower(_) => "lower",
            Self::Refuse { .. } | Self::RefuseBut { .. } => "refuse",
            Self::Fewer(_) => "fewer",
        }
    }

    /// How many live appointments it lets somebody have at a time, where it bears on that: none where it
    /// refuses to book.
    pub const fn most(self) -> Option<u8> {
        match self {
            Self::Warn | Self::Lower(_) => None,
            Self::Refuse { .. } | Self::RefuseBut { .. } => Some(0),
            Self::Fewer(most) => Some(most),
        }
    }

    /// Whether rules and staff may say it. None at a time is to refuse.
    pub(crate) fn is_sound(self) -> bool {
        !matches!(self, Self::Fewer(most) if !(1..=FEWER_MAX).contains(&most))
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        match self {
            Self::Warn => print.add(1),
            Self::Lower(by) => print.add(2).add(u64::from(by)),
            Self::Refuse { but } => print.add(3).add(but.0),
            Self::RefuseBut { channels, classes } => {
                print.add(4).add(channels.0).add(u64::from(classes.0))
            }
            Self::Fewer(most) => print.add(5).add(u64::from(most)),
        };
    }
}

impl Restriction {
    /// Whether it holds at an instant.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}
