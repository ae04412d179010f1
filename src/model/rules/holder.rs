//! Whose a hold may be: a patient's, or an account's that names the patient after (选择就诊人).

use crate::model::fingerprint::Fingerprint;

/// Whose a hold may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderRule {
    /// Whose.
    pub by: Holder,
    /// How many holds one account may have at a time whose patients it has not named, 1 to 8.
    pub limit: u8,
}

/// Whose a hold may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Holder {
    /// A patient's alone.
    #[default]
    Patient = 0,
    /// An account's too.
    Account = 1,
}

impl HolderRule {
    /// How many bytes it takes.
    pub(super) const WEIGHT: usize = 3;

    pub(super) const fn is_sound(self) -> bool {
        1 <= self.limit && self.limit <= LIMIT_MAX
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        print.add(8 << 56 | self.by as u64 | u64::from(self.limit) << 8);
    }
}

/// A family; more is a dealer.
const LIMIT_MAX: u8 = 8;
