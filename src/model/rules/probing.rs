//! Who asks again and again for what is not to be had (刷号): a script that tries places that are gone,
//! or that do not open yet.
//!
//! ```text
//! refused, nothing there:  x x x x x ... 60th in 5 minutes -> Probed, and the count begins anew
//!                          `--- window ---'                    `- counts as a violation
//! ```
//!
//! Refusals are counted in memory that may forget; what came of them is journaled.
//!
//! **Architecture invariant:** nobody is refused for probing by itself: what follows from it, the rules
//! about violations say.

use super::violations::CountedOf;
use super::{RuleMode, RuleRef};
use crate::model::appointment::PatientClass;
use crate::model::fingerprint::Fingerprint;
use crate::model::history::{Ending, Past, Recorded, Visit};
use crate::model::id::{AppointmentId, PatientId, SessionId};
use crate::model::limits::PROBING_MINUTES_MAX;
use crate::model::outcome::Outcome;
use crate::model::time::Timestamp;

/// How many refusals in which time are a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbingRule {
    /// How many holds are refused because nothing is to be had, 2 or more.
    pub refusals: u16,
    /// In how many minutes, 1 to [`PROBING_MINUTES_MAX`].
    pub minutes: u16,
    /// Of whom they are counted.
    pub of: CountedOf,
    /// Whether it is kept of them, or only written down.
    pub mode: RuleMode,
}

/// See [`crate::model::Fact::Probed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The hold whose refusal was the last that was counted. There is no such appointment.
    pub appointment: AppointmentId,
    /// Who asked so often: the patient, or the key under which the ledger of an account or a telephone
    /// lies.
    pub patient: PatientId,
    /// Which of them it is.
    pub of: CountedOf,
    /// As what the patient would have come.
    pub class: PatientClass,
    /// The session that was asked for last, the first of several.
    pub session: SessionId,
    /// Where that is, and the local day and half-day on which it was asked for.
    pub visit: Visit,
    /// How many refusals were counted.
    pub count: u16,
    /// Since when; none of them was before.
    pub since: Timestamp,
    /// By which rule.
    pub rule: RuleRef,
    /// Whether it is kept of who asked.
    pub mode: RuleMode,
}

impl ProbingRule {
    /// How many bytes it takes at most.
    pub(super) const WEIGHT: usize = 8;

    pub(super) fn is_sound(self) -> bool {
        2 <= self.refusals && (1..=PROBING_MINUTES_MAX).contains(&self.minutes)
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        print.add(
            12 << 56
                | u64::from(self.refusals)
                | u64::from(self.minutes) << 16
                | (self.of as u64) << 32
                | (self.mode as u64) << 40,
        );
    }

    /// How long refusals count together, in milliseconds.
    pub const fn window_millis(self) -> u64 {
        self.minutes as u64 * 60_000
    }

    /// Whether it can go against anybody.
    pub(super) fn harms(self) -> bool {
        self.mode == RuleMode::Enforce
    }

    /// Whether somebody may be found probing by it sooner than by another.
    pub(super) fn is_stricter_than(self, old: Self) -> bool {
        let is_sooner = self.refusals < old.refusals || old.minutes < self.minutes;
        self.harms() && (!old.harms() || is_sooner || self.of != old.of)
    }
}

impl Outcome {
    /// Whether a hold was refused because nothing is to be had, now or at all.
    pub const fn says_nothing_is_there(self) -> bool {
        matches!(self, Self::SoldOut | Self::NotOpenYet)
    }
}

impl Probed {
    /// What a ledger keeps of it, where it is kept.
    pub fn past(&self) -> Option<Past> {
        let day = self.visit.day;
        let recorded = Recorded {
            patient: self.patient,
            ending: Ending::Probed,
            booked: day,
            ended: day,
            visits: std::iter::once(self.visit).collect(),
        };
        recorded.past().next().filter(|_| self.mode == RuleMode::Enforce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: ProbingRule =
        ProbingRule { refusals: 60, minutes: 5, of: CountedOf::Account, mode: RuleMode::Enforce };

    #[test]
    fn fewer_refusals_in_a_longer_time_are_stricter() {
        let shadow = ProbingRule { mode: RuleMode::Shadow, ..RULE };
        for (after, is_stricter) in [
            (RULE, false),
            (ProbingRule { refusals: 61, ..RULE }, false),
            (ProbingRule { refusals: 59, ..RULE }, true),
            (ProbingRule { minutes: 4, ..RULE }, false),
            (ProbingRule { minutes: 6, ..RULE }, true),
            (ProbingRule { of: CountedOf::Phone, ..RULE }, true),
            (ProbingRule { refusals: 2, ..shadow }, false),
        ] {
            assert_eq!(after.is_stricter_than(RULE), is_stricter, "{after:?}");
        }
        assert!(RULE.is_stricter_than(shadow), "what was only written down counts now");
    }

    #[test]
    fn a_rule_counts_two_refusals_or_more_within_a_day() {
        for (refusals, minutes, is_sound) in [
            (60, 5, true),
            (2, 1, true),
            (u16::MAX, PROBING_MINUTES_MAX, true),
            (1, 5, false),
            (0, 5, false),
            (60, 0, false),
            (60, PROBING_MINUTES_MAX + 1, false),
        ] {
            let rule = ProbingRule { refusals, minutes, ..RULE };
            assert_eq!(rule.is_sound(), is_sound, "{rule:?}");
        }
    }
}
