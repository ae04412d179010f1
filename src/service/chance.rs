//! Random numbers for decisions, one for each that may need one.
//!
//! **Architecture invariant:** this is where chance comes from. The engine is handed a number, and
//! what it made of it is in the fact. Who knows the key knows the numbers, so it is the system's
//! randomness and never leaves; a simulation gives its own.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A keyed counter.
pub(super) struct Chances {
    key: [u8; 32],
    next: AtomicU64,
}

impl Chances {
    /// With a key from the system.
    pub(super) fn from_system() -> Self {
        // The standard library keys each of these from the system's randomness.
        let mut hasher = blake3::Hasher::new();
        for number in 0..8_u64 {
            hasher.update(&RandomState::new().hash_one(number).to_le_bytes());
        }
        Self { key: hasher.finalize().into(), next: AtomicU64::new(0) }
    }

    /// With a key that is told, so that a run can be repeated.
    pub(super) fn of_seed(seed: u64) -> Self {
        let key = blake3::hash(&seed.to_le_bytes()).into();
        Self { key, next: AtomicU64::new(0) }
    }

    /// The next number.
    pub(super) fn draw(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let hash = blake3::keyed_hash(&self.key, &number.to_le_bytes());
        let bytes = hash.as_bytes().first_chunk().expect("a hash has more than eight bytes");
        u64::from_le_bytes(*bytes)
    }
}

impl std::fmt::Debug for Chances {
    /// Without the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Chances").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_the_system_others() {
        let (one, same, other) = (Chances::of_seed(1), Chances::of_seed(1), Chances::of_seed(2));
        let numbers = |chances: &Chances| [chances.draw(), chances.draw()];
        let first = numbers(&one);
        assert_ne!(first[0], first[1]);
        assert_eq!(first, numbers(&same));
        assert_ne!(first, numbers(&other));
        assert_ne!(numbers(&Chances::from_system()), numbers(&Chances::from_system()));
    }
}
