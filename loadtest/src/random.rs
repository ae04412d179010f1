//! A generator of numbers that look random, two nanoseconds each, the same for the same seed.
//!
//! **Architecture invariant:** nothing secret depends on it.

/// `SplitMix64`: a counter and a mixer, so its period is 2^64 and no value comes twice in it.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, as good as evenly.
    pub(crate) const fn below(&mut self, bound: u32) -> u32 {
        // The upper half of a product of 32-bit numbers is below either.
        (((self.next() >> 32) * bound as u64) >> 32) as u32
    }
}

/// Spreads a number over 64 bits; no two numbers give the same.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(7);
        let mut seen = [0_u32; 10];
        (0..10_000).for_each(|_| seen[random.below(10) as usize] += 1);
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    }
}
