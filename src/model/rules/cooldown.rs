//! How long somebody waits after they gave a place up (冷却期): there and around, before the next.
//!
//! ```text
//! cancelled, released, expired ====== cooled ======| until       a place within the scope: CoolingDown
//!                              minutes, hours, days
//! cancelled, released, expired ====== on its way ======| back == minutes ==| until
//! ```
//!
//! All entries of the nearest layer that says some hold together; of those of one scope the latest end
//! counts.
//!
//! **Architecture invariant:** what followed from an entry is in the fact [`Cooled`], with its end. It
//! holds until then whatever rules come later.

use super::{CountedOf, RuleLayer, RuleMode, RuleRef, RuleScope, RuleWhy, ScopeKind};
use crate::model::civil::CivilTime;
use crate::model::fingerprint::Fingerprint;
use crate::model::history::Ending;
use crate::model::id::{AppointmentId, PatientId};
use crate::model::limits::{COOLDOWN_DAYS_MAX, LAYER_COOLDOWNS_MAX};
use crate::model::subject::Asked;
use crate::model::time::Timestamp;

/// How long one waits after places were given up in some way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CooldownRule {
    /// After which ends of an appointment.
    pub after: EndingSet,
    /// How far around the place one waits.
    pub within: ScopeKind,
    /// For how long.
    pub length: CooldownLength,
    /// Who waits: the patient, or the account or telephone behind the place, for any patient.
    pub of: CountedOf,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// How long one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CooldownLength {
    /// So many minutes, 1 or more.
    Minutes(u16),
    /// So many hours, 1 to 24 times [`COOLDOWN_DAYS_MAX`].
    Hours(u16),
    /// Until the same local time so many days later, 1 to [`COOLDOWN_DAYS_MAX`].
    Days(u16),
    /// As long as the place that was given up is on its way back, and so many minutes more. Where it
    /// never comes back there is nothing to wait for.
    Returned(u16),
}

/// Ways in which a patient gives a place up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndingSet(pub u8);

/// What somebody waits for after one end of an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// Which appointment was given up.
    pub appointment: AppointmentId,
    /// Where one waits.
    pub within: RuleScope,
    /// When the place was given up.
    pub since: Timestamp,
    /// Until when; that instant is free again.
    pub until: Timestamp,
    /// By which rule; its tier is the position of the entry.
    pub rule: RuleRef,
    /// As whom one waits: what an account waits for as a patient, for its holds that name nobody, keeps
    /// it from no hold for a patient.
    pub of: CountedOf,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// See [`crate::model::Fact::Cooled`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooled {
    /// Who waits.
    pub patient: PatientId,
    /// For what.
    pub cooldowns: Vec<Cooldown>,
}

impl EndingSet {
    /// Cancelled, released and expired.
    pub const ALL: Self = Self(0b111);

    /// One way alone; none where it is no way of giving a place up.
    pub const fn of(ending: Ending) -> Self {
        Self(match ending {
            Ending::Cancelled => 1,
            Ending::Released => 2,
            Ending::Expired => 4,
            Ending::Fulfilled | Ending::Late | Ending::Missed | Ending::Booked | Ending::Probed => {
                0
            }
        })
    }

    /// Whether it is one of them.
    pub const fn contains(self, ending: Ending) -> bool {
        self.0 & Self::of(ending).0 != 0
    }
}

impl CooldownLength {
    /// Its number and how many of them.
    pub const fn parts(self) -> (u8, u16) {
        match self {
            Self::Minutes(minutes) => (1, minutes),
            Self::Hours(hours) => (2, hours),
            Self::Days(days) => (3, days),
            Self::Returned(minutes) => (4, minutes),
        }
    }

    /// The length with these parts, if there is one.
    pub const fn of_parts(number: u8, length: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Minutes(length),
            2 => Self::Hours(length),
            3 => Self::Days(length),
            4 => Self::Returned(length),
            _ => return None,
        })
    }

    /// When it is over that begins now, for a place that is back at an instant: [`Timestamp::MAX`] where
    /// it never is. `None` where nobody waits.
    pub fn end(self, civil: &CivilTime, now: Timestamp, back: Timestamp) -> Option<Timestamp> {
        let after = |from: Timestamp, minutes: u16| {
            from.plus_millis(u64::from(minutes).saturating_mul(60_000))
        };
        let until = match self {
            Self::Minutes(minutes) => after(now, minutes),
            Self::Hours(hours) => now.plus_millis(u64::from(hours).saturating_mul(3_600_000)),
            Self::Days(days) => civil.plus_days(now, days.into()),
            Self::Returned(_) if back == Timestamp::MAX => return None,
            Self::Returned(minutes) => after(back.max(now), minutes),
        };
        (now < until).then_some(until)
    }

    const fn is_sound(self) -> bool {
        match self {
            Self::Minutes(minutes) => minutes != 0,
            Self::Hours(hours) => hours != 0 && hours <= 24 * COOLDOWN_DAYS_MAX,
            Self::Days(days) => days != 0 && days <= COOLDOWN_DAYS_MAX,
            Self::Returned(minutes) => minutes <= 24 * 60,
        }
    }
}

impl CooldownRule {
    /// How many bytes it takes.
    pub(super) const WEIGHT: usize = 6;

    const fn is_sound(self) -> bool {
        let ways = self.after.0;
        ways != 0 && ways & !EndingSet::ALL.0 == 0 && self.length.is_sound()
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        let (unit, length) = self.length.parts();
        print.add(
            4 << 56
                | u64::from(self.after.0)
                | (self.within as u64) << 8
                | u64::from(unit) << 16
                | u64::from(length) << 24
                | (self.mode as u64) << 40
                | (self.of as u64) << 48,
        );
    }
}

impl Cooldown {
    /// Bytes that one takes in a record.
    pub const WEIGHT: usize = 52;

    /// Puts one with others. Of one scope, subject and mode that stays which ends last.
    pub fn join(self, others: &mut Vec<Self>) {
        let key = |it: &Self| (it.within, it.of, it.mode);
        match others.iter_mut().find(|other| key(other) == key(&self)) {
            Some(known) if known.order() < self.order() => *known = self,
            Some(_) => {}
            None => others.push(self),
        }
    }

    /// Of several the largest is told of: what ends last, and of those what began last.
    pub const fn order(&self) -> (Timestamp, Timestamp, AppointmentId, RuleScope) {
        (self.until, self.since, self.appointment, self.within)
    }

    /// Why it refuses.
    pub fn why(&self) -> RuleWhy {
        let (within, since, until) = (self.within.kind(), self.since, self.until);
        RuleWhy { within, since, until, ..RuleWhy::of(super::RuleKey::Cooldown, self.rule) }
    }
}

impl RuleLayer {
    /// Whom its cool-downs keep waiting besides patients.
    pub fn cooldown_asks(&self) -> Asked {
        let asks = |of| self.cooldown.iter().any(|rule| rule.of == of);
        Asked { account: asks(CountedOf::Account), phone: asks(CountedOf::Phone) }
    }
}

/// Whether the cool-downs of a layer are sound.
pub(super) fn are_sound(rules: &[CooldownRule]) -> bool {
    rules.len() <= LAYER_COOLDOWNS_MAX && rules.iter().all(|rule| rule.is_sound())
}
