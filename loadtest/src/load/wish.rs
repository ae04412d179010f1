//! Who wants what: drawn the same way for a node and for the systems that it is compared with.
//!
//! **Architecture invariant:** the same numbers give the same wishes, whoever is asked.

use crate::random::{Random, mix};
use crate::supply::Supply;

/// Patients that a run draws from.
pub(crate) const PATIENTS: u32 = 10_000_000;

/// A place in some slot for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Counted from the first session of the supply.
    pub(crate) session: u32,
    pub(crate) slot: u16,
    pub(crate) patient: u32,
}

impl Wish {
    /// Every slot and every patient is as likely as any other.
    #[inline]
    pub(crate) fn draw(random: &mut Random, supply: &Supply) -> Self {
        Self::draw_among(random, supply, PATIENTS)
    }

    /// The same, of so many patients.
    #[inline]
    pub(super) fn draw_among(random: &mut Random, supply: &Supply, patients: u32) -> Self {
        let session = random.below(supply.sessions);
        let slot =
            u16::try_from(random.below(supply.slots)).expect("a session has at most 288 slots");
        Self { session, slot, patient: random.below(patients) }
    }
}

/// The key of a patient: a keyed hash of somebody, as a gateway would send it.
#[inline]
pub(crate) fn patient_key(patient: u32) -> u128 {
    u128::from(mix(u64::from(patient))) << 64 | u128::from(patient)
}

/// The account of a patient: everybody has one, and it is another number.
#[inline]
pub(crate) const fn account_key(patient: u128) -> u128 {
    patient ^ 0x6163_6374 << 96
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_wishes() {
        let supply = Supply::new(100, 40, 1);
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| Wish::draw(&mut random, &supply)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert!(draw(3).iter().all(|wish| wish.session < 100 && wish.slot < 40));
    }
}
