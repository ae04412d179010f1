//! What else counts against somebody (违规): holds left unpaid or given up, cancels, bookings, probing,
//! visits that somebody was late for or missed.
//!
//! ```text
//! hold    -> expired: unpaid | given up: release            each rule counts some of them, of whom,
//! booking -> booked: booking | cancelled: cancel,           and goes on as one about missed visits
//!            on the day of the visit: same-day cancel too
//! visit   -> seen, and checked in late: late | missed: missed
//! ```
//!
//! Sources of the forms: the platforms P1, P2, P6 and P7 of `docs/policies/`.
//!
//! **Architecture invariant:** what is counted are the histories that ledgers keep of everybody: a rule
//! costs no memory but for whom it restricts.

use super::no_show::{
    Begins, Consequence, NoShowRule, Restriction, RestrictionCause, Tier, Window,
};
use super::{RuleLayer, RuleMode};
use crate::model::civil::Day;
use crate::model::fingerprint::Fingerprint;
use crate::model::history::{Ending, Past};
use crate::model::id::{AppointmentId, PatientId, RestrictionId};
use crate::model::limits::{LAYER_VIOLATIONS_MAX, VIOLATION_DAYS_MAX, VIOLATION_MONTHS_MAX};
use crate::model::subject::Asked;

/// What may count against somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Violation {
    /// A hold was neither booked nor given up in time (未支付).
    Unpaid = 1,
    /// A hold was given up (放弃锁号).
    Release = 2,
    /// What was booked was cancelled (退号).
    Cancel = 3,
    /// It was cancelled on the local day of the visit, or later (当日退号).
    SameDayCancel = 4,
    /// An appointment was booked (预约). A live one counts, a hold that is pending too; of those that
    /// are over, what was booked.
    Booking = 5,
    /// Somebody asked again and again for what was not to be had (刷号), as a rule about
    /// [probing](super::ProbingRule) counts it.
    Probing = 6,
    /// The visit took place, and the queue of its session had the patient as late (迟到).
    Late = 7,
    /// The visit was missed (爽约). It is counted here where a rule names it, whatever a rule about
    /// missed visits alone makes of it.
    Missed = 8,
}

/// Some of what may count: one bit each, by number; the eighth is bit 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViolationSet(pub u8);

/// Of whom something is counted, and who is restricted.
///
/// What an account or a telephone did is kept from when rules ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CountedOf {
    /// Of the patient.
    #[default]
    Patient = 0,
    /// Of the account that asked for it, whoever the patient is.
    Account = 1,
    /// Of the telephone that it was asked for with.
    Phone = 2,
}

/// What becomes of who does such things often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViolationRule {
    /// What is counted, each once.
    pub counts: ViolationSet,
    /// Of whom.
    pub of: CountedOf,
    /// How it is counted, and what follows: as of visits that were missed.
    pub rule: NoShowRule,
}

/// See [`crate::model::Fact::Barred`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barred {
    /// The appointment whose end or booking reached a tier; of who probed the hold that was refused.
    pub appointment: AppointmentId,
    /// Who is restricted: the patient, or the key under which the ledger of an account or a telephone lies.
    pub patient: PatientId,
    /// The id of the restriction.
    pub id: RestrictionId,
    /// The restriction.
    pub restriction: Restriction,
}

impl CountedOf {
    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Account => "account",
            Self::Phone => "phone",
        }
    }
}

impl Violation {
    /// Everything that may count, by number.
    pub const ALL: [Self; 8] = [
        Self::Unpaid,
        Self::Release,
        Self::Cancel,
        Self::SameDayCancel,
        Self::Booking,
        Self::Probing,
        Self::Late,
        Self::Missed,
    ];

    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::SameDayCancel => "same-day-cancel",
            Self::Booking => "booking",
            Self::Probing => "probing",
            Self::Late => "late",
            Self::Missed => "missed",
        }
    }

    /// The cause of a restriction that follows from it.
    pub const fn cause(self) -> RestrictionCause {
        match self {
            Self::Unpaid => RestrictionCause::Unpaid,
            Self::Release => RestrictionCause::Release,
            Self::Cancel => RestrictionCause::Cancel,
            Self::SameDayCancel => RestrictionCause::SameDayCancel,
            Self::Booking => RestrictionCause::Booking,
            Self::Probing => RestrictionCause::Probing,
            Self::Late => RestrictionCause::Late,
            Self::Missed => RestrictionCause::Missed,
        }
    }
}

impl RestrictionCause {
    /// What was counted, where it was something like that.
    pub fn violation(self) -> Option<Violation> {
        Violation::ALL.into_iter().find(|violation| violation.cause() == self)
    }
}

impl ViolationSet {
    /// One alone.
    pub const fn only(violation: Violation) -> Self {
        Self(1 << (violation as u8 & 7))
    }

    /// Whether it is one of them.
    pub const fn contains(self, violation: Violation) -> bool {
        self.0 & Self::only(violation).0 != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The one with the largest number, which says most.
    pub fn last(self) -> Option<Violation> {
        Violation::ALL.into_iter().rev().find(|violation| self.contains(*violation))
    }

    const fn is_sound(self) -> bool {
        self.0 != 0
    }
}

impl FromIterator<Violation> for ViolationSet {
    fn from_iter<T: IntoIterator<Item = Violation>>(all: T) -> Self {
        Self(all.into_iter().fold(0, |set, violation| set | Self::only(violation).0))
    }
}

impl Past {
    /// What of its end may count.
    pub fn violations(&self) -> ViolationSet {
        let all = |violations: &[Violation]| violations.iter().copied().collect();
        match self.ending {
            Ending::Fulfilled | Ending::Booked => ViolationSet::default(),
            Ending::Late => all(&[Violation::Late]),
            Ending::Missed => all(&[Violation::Missed]),
            Ending::Expired => all(&[Violation::Unpaid]),
            Ending::Released => all(&[Violation::Release]),
            Ending::Cancelled if self.visit.day <= self.ended => {
                all(&[Violation::Cancel, Violation::SameDayCancel])
            }
            Ending::Cancelled => all(&[Violation::Cancel]),
            Ending::Probed => all(&[Violation::Probing]),
        }
    }
}

impl ViolationRule {
    /// Whether a visit that is kept was booked: an account or a telephone has a line of its own for that.
    pub fn was_booked(&self, past: &Past) -> bool {
        match self.of {
            CountedOf::Patient => past.ending.was_booked(),
            CountedOf::Account | CountedOf::Phone => past.ending == Ending::Booked,
        }
    }

    /// Whether it is the same rule as another but for what follows, and when.
    fn is_like(&self, other: &Self) -> bool {
        let parts = |it: &Self| (it.counts, it.of, it.rule.within, it.rule.window);
        parts(self) == parts(other)
    }

    fn is_sound(&self) -> bool {
        let is_kept = match self.rule.window {
            Window::Days(days) => days <= VIOLATION_DAYS_MAX,
            Window::Months(months) => months <= VIOLATION_MONTHS_MAX,
            Window::Month | Window::Quarter | Window::Year => true,
            Window::InARow | Window::Ever => false,
        };
        // What a restriction used up is told by when it begins.
        let is_told = !(self.rule.is_used_up && self.rule.begins == Begins::FirstStrike);
        // What the patients of an account or a telephone have lies in ledgers of their own.
        let is_fewer = |tier: &Tier| matches!(tier.consequence, Consequence::Fewer(_));
        let is_known = self.of == CountedOf::Patient || !self.rule.tiers.iter().any(is_fewer);
        self.counts.is_sound() && is_kept && is_told && is_known && self.rule.is_sound()
    }

    fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(3 << 56 | u64::from(self.counts.0) | (self.of as u64) << 8);
        self.rule.fingerprint(print);
    }
}

impl RuleLayer {
    /// Of whom its rules about violations count besides patients.
    pub fn violations_ask(&self) -> Asked {
        let asks = |of| self.violations.iter().any(|rule| rule.of == of);
        Asked { account: asks(CountedOf::Account), phone: asks(CountedOf::Phone) }
    }

    /// A tier of its rules about violations, by its number among all of them: those of the first rule
    /// come first.
    pub fn violation_tier(&self, number: u8) -> Option<(&ViolationRule, &Tier)> {
        let rules = self.violations.iter();
        let mut tiers = rules.flat_map(|rule| rule.rule.tiers.iter().map(move |tier| (rule, tier)));
        tiers.nth(number.into())
    }
}

/// Whether a layer may have these rules.
pub(super) fn are_sound(rules: &[ViolationRule]) -> bool {
    let is_new = |(index, rule): (usize, &ViolationRule)| {
        !rules.iter().take(index).any(|earlier| earlier.is_like(rule))
    };
    rules.len() <= LAYER_VIOLATIONS_MAX
        && rules.iter().all(ViolationRule::is_sound)
        && rules.iter().enumerate().all(is_new)
}

/// How many bytes rules take at most.
pub(super) fn weight(rules: &[ViolationRule]) -> usize {
    rules.iter().map(|rule| rule.rule.weight().saturating_add(2)).sum()
}

pub(super) fn fingerprint(rules: &[ViolationRule], print: &mut Fingerprint) {
    for rule in rules {
        rule.fingerprint(print);
    }
}

pub(super) fn in_shadow(rules: &mut [ViolationRule]) {
    for rule in rules {
        rule.rule.mode = RuleMode::Shadow;
    }
}

impl Barred {
    /// The id of the restriction that follows from the end or the booking of an appointment. It follows
    /// from the appointment, from what was counted, and from the tier; where a refused hold was, which
    /// may be asked for again, from when it begins too.
    pub fn id_of(appointment: AppointmentId, restriction: &Restriction) -> RestrictionId {
        let half = |kind: u64| {
            let mut print = Fingerprint::new(kind);
            print.add_wide(appointment.0).add(restriction.cause as u64);
            if restriction.cause == RestrictionCause::Probing {
                print.add(restriction.from.as_millis());
            }
            u128::from(print.add(restriction.rule.tier.into()).finish())
        };
        RestrictionId(half(3) << 64 | half(4))
    }
}

impl Restriction {
    /// The first day whose violations count, where those that led to this restriction are used up: the
    /// first that begins when it does or later.
    pub fn counts_again(&self, civil: &crate::model::civil::CivilTime) -> Day {
        civil.day_of(self.from.minus_millis(1)).plus(1)
    }
}
