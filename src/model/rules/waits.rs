//! How much somebody may wait for at a time (候补限制).
//!
//! ```text
//! within   region | organization | department
//! counts   sessions | resources        of all that the patient waits for, and what is asked for
//! most     1
//! ```
//!
//! Limits of all layers hold together; of those that say the same but for how many, the nearest counts.
//!
//! Source of the form: Hangzhou (P10 of `docs/policies/`), one practitioner and one session.

use super::{RuleMode, ScopeKind};
use crate::model::fingerprint::Fingerprint;
use crate::model::limits::{CLAIMS_MAX, PATIENT_ENTRIES_MAX};

/// How much a patient may wait for at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitLimit {
    /// What is counted.
    pub key: WaitKey,
    /// How many there may be, those that are asked for among them: 0 to [`WaitLimit::MOST_MAX`], or
    /// [`WaitLimit::NO_LIMIT`].
    pub most: u16,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// What a limit of waiting counts. Two with the same key are the same limit, and the nearer layer
/// decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitKey {
    /// How far around a session others are counted with it: the region, the hospital or the department.
    pub within: ScopeKind,
    /// What.
    pub counts: WaitCounts,
}

/// What is counted of what somebody waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum WaitCounts {
    /// The sessions.
    #[default]
    Sessions = 0,
    /// Their resources: practitioners, devices.
    Resources = 1,
}

impl WaitLimit {
    /// As `most`: as many as one likes. A nearer layer lifts a limit by it.
    pub const NO_LIMIT: u16 = u16::MAX;

    /// The largest number that it names: nobody can wait for more.
    #[expect(clippy::cast_possible_truncation, reason = "16 entries of 8 sessions")]
    pub const MOST_MAX: u16 = (PATIENT_ENTRIES_MAX * CLAIMS_MAX) as u16;

    /// How many bytes it takes.
    pub(super) const WEIGHT: usize = 5;

    fn is_sound(self) -> bool {
        self.key.within <= ScopeKind::Department
            && (self.most <= Self::MOST_MAX || self.most == Self::NO_LIMIT)
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        let WaitKey { within, counts } = self.key;
        let key = within as u64 | (counts as u64) << 8 | (self.mode as u64) << 16;
        print.add(13 << 56 | key | u64::from(self.most) << 24);
    }
}

/// Whether the limits of a layer are sound, and no two say the same.
pub(super) fn are_sound(limits: &[WaitLimit]) -> bool {
    let is_first = |(index, limit): (usize, &WaitLimit)| {
        limits.iter().take(index).all(|earlier| earlier.key != limit.key)
    };
    limits.iter().all(|limit| limit.is_sound()) && limits.iter().enumerate().all(is_first)
}
