//! A small stable hash over words, for telling a retry from another request under the same id.
//!
//! **Architecture invariant:** the function never changes, because journals keep its values.
//! It is no defence against an enemy: who makes two requests collide fools only itself.

/// A running hash: multiply 64 × 64 → 128 bits and fold, word by word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// A hash that starts with a kind.
    pub(super) const fn new(kind: u64) -> Self {
        Self(mix(kind ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93))
    }

    /// Adds a word.
    pub(super) const fn add(&mut self, word: u64) -> &mut Self {
        self.0 = mix(self.0 ^ word, 0xa076_1d64_78bd_642f).wrapping_add(0xe703_7ed1_a0b4_28db);
        self
    }

    /// Adds two words.
    #[expect(clippy::cast_possible_truncation, reason = "the halves are added one by one")]
    pub(super) const fn add_wide(&mut self, word: u128) -> &mut Self {
        self.add(word as u64).add((word >> 64) as u64)
    }

    /// Adds what may be absent: nothing is as 0 was before the two were told apart, and 0 has a word more.
    pub(super) const fn add_optional(&mut self, word: Option<u128>) -> &mut Self {
        match word {
            None => self.add_wide(0),
            Some(0) => self.add_wide(0).add(1 << 63),
            Some(word) => self.add_wide(word),
        }
    }

    /// The hash so far.
    pub(super) const fn finish(self) -> u64 {
        mix(self.0, 0x8ebc_6af0_9c88_c6e3)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "folding takes the two halves")]
const fn mix(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_pinned_because_journals_keep_them() {
        let mut print = Fingerprint::new(2);
        print.add(1).add_wide(u128::MAX).add(0);
        assert_eq!(print.finish(), PINNED, "{:x}", print.finish());
    }

    #[test]
    fn nothing_is_not_zero_and_whatever_else_there_is_is_as_it_was() {
        let optional = |word| Fingerprint::new(2).add_optional(word).finish();
        let plain = |word| Fingerprint::new(2).add_wide(word).finish();
        assert_eq!(optional(None), plain(0));
        assert_ne!(optional(Some(0)), plain(0));
        assert_eq!(optional(Some(7)), plain(7));
    }

    const PINNED: u64 = 0xb118_04e3_a98c_5cab;
}
