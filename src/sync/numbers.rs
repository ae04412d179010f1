//! Values by number, each once: what is long and said often is kept as four bytes.
//!
//! ```text
//! number(value)   known? its number : the next one, and the value in its cell
//! get(number)     segment 0: 1,024 cells | 1: 2,048 | 2: 4,096 | ...      no lock, and nothing moves
//! ```
//!
//! **Architecture invariant:** a number means the same for as long as the process lives, to every
//! thread. Which number a value has depends on who came first, so nobody is told one.

use std::hash::Hash;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use foldhash::fast::FixedState;

/// Values by number.
#[derive(Debug)]
pub(crate) struct Numbers<T: Eq + Hash> {
    known: DashMap<T, u32, FixedState>,
    next: AtomicU32,
    segments: [OnceLock<Segment<T>>; SEGMENTS],
}

type Segment<T> = Box<[OnceLock<T>]>;

/// Together 2^25 cells and a few less: more than 24 bits name.
const SEGMENTS: usize = 15;
const FIRST: u32 = 1_024;

impl<T: Copy + Eq + Hash> Numbers<T> {
    /// No values. `seed` makes the table hard to attack.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            known: DashMap::with_hasher(FixedState::with_seed(seed)),
            next: AtomicU32::new(0),
            segments: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// The number of a value.
    ///
    /// # Panics
    ///
    /// Panics with the 2^25th value.
    pub(crate) fn number(&self, value: T) -> u32 {
        if let Some(known) = self.known.get(&value) {
            return *known;
        }
        // Whoever comes second waits here for the first, and finds it.
        *self.known.entry(value).or_insert_with(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let is_first = self.cell(number).set(value).is_ok();
            assert!(is_first, "number {number} was given twice");
            number
        })
    }

    /// The value of a number that [`Self::number`] gave.
    ///
    /// # Panics
    ///
    /// Panics at another number.
    pub(crate) fn get(&self, number: u32) -> T {
        *self.cell(number).get().expect("a number comes from `number`")
    }

    fn cell(&self, number: u32) -> &OnceLock<T> {
        let segment = (number / FIRST + 1).ilog2();
        let before = FIRST * ((1 << segment) - 1);
        let cells = || (0..FIRST << segment).map(|_| OnceLock::new()).collect();
        let known = self.segments.get(segment as usize).expect("fewer than 2^25 values");
        &known.get_or_init(cells)[(number - before) as usize]
    }
}

#[cfg(all(test, not(haoyuan_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_number_whoever_asks_and_the_number_means_it() {
        let numbers = Numbers::new(7);
        let ask = |from: u64| {
            // Each thread asks in another order.
            let order = (0..5_000_u64).map(|nth| (nth * 7 + from * 1_237) % 5_000);
            let mut all: Vec<_> = order.map(|value| (value, numbers.number(value))).collect();
            all.sort_unstable();
            all
        };
        let told = std::thread::scope(|scope| {
            let asking = [0, 1, 2, 3].map(|from| scope.spawn(move || ask(from)));
            asking.map(|thread| thread.join().unwrap())
        });
        assert!(told.iter().all(|all| *all == told[0]), "all are told the same");
        assert!(told[0].iter().all(|(value, number)| numbers.get(*number) == *value));
        let mut given: Vec<u32> = told[0].iter().map(|(_, number)| *number).collect();
        given.sort_unstable();
        assert_eq!(given, (0..5_000).collect::<Vec<_>>(), "no number is left out");
    }
}
