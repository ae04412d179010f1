//! Buckets of persons and machines: as many keys as come, in memory that does not grow.
//!
//! ```text
//! key --keyed hash--> tag (64 bits): its high bits choose a set
//! set   lock | tag level | tag level | ... seven cells, two lines of memory
//! ```
//!
//! A key that has no cell takes the one that is full, or soonest full again: losing that history
//! matters least. A cell whose key was refused, or is blocked, is not given away: a newcomer who finds
//! only such cells passes uncounted, and is counted as that.
//!
//! So who has many keys cannot wash out a limited one. Who wants to pass uncounted has to keep all seven
//! cells of a set limited, with the keys of a set unknown to it: some millions of keys, each asking more
//! than it may, all the time. Who wants another's used, but not limited, bucket forgotten needs seven keys
//! of its set that are used more. Two keys of one hash share a bucket: of a million keys at a time one pair
//! in some ten million tables.
//!
//! **Architecture invariant:** asking takes one lock, which is never held with another, and
//! allocates nothing.

use parking_lot::Mutex;

use super::bucket::{Level, Limit};
use crate::model::Timestamp;

/// A fixed number of cells.
#[derive(Debug)]
pub struct Table {
    sets: Box<[Set]>,
    shift: u32,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Set(Mutex<[Cell; WAYS]>);

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// 0 where nobody has had it.
    tag: u64,
    level: Level,
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There was a token.
    Passed,
    /// There was no cell to count it in.
    Uncounted,
    /// There was none; how long to wait, in milliseconds.
    Limited(u64),
}

/// Cells of a set: with the lock they fill two lines of memory, which are fetched together.
const WAYS: usize = 7;

/// Sets of a node's table, 16 MiB: over 900,000 buckets that are not full at the same time. A bucket
/// of 100 a minute that gave one token is full again after 0.6 s.
pub(super) const SETS: usize = 1 << 17;

const _: () = assert!(size_of::<Set>() == 128);

impl Table {
    /// A table of so many sets, rounded up to a power of two.
    pub fn new(sets: usize) -> Self {
        let sets = sets.next_power_of_two().max(2);
        let shift = u64::BITS - sets.trailing_zeros();
        Self { sets: (0..sets).map(|_| Set::default()).collect(), shift }
    }

    /// Takes a token out of the bucket of a key, by the hash of the key and of its rate.
    pub fn take(&self, hash: u64, now: Timestamp, limit: &Limit) -> Verdict {
        let tag = hash.max(1);
        let Some(set) = self.set(tag) else { return Verdict::Uncounted };
        let mut cells = set.0.lock();
        let known = cells.iter_mut().find(|cell| cell.tag == tag);
        let cell = if let Some(cell) = known {
            cell
        } else {
            let Some(cell) = least(&mut cells, now) else { return Verdict::Uncounted };
            *cell = Cell { tag, level: Level::FULL };
            cell
        };
        match cell.level.take(now, limit, 1) {
            Ok((level, _)) => {
                cell.level = level;
                Verdict::Passed
            }
            Err(short) => {
                cell.level = short.level;
                Verdict::Limited(short.wait_millis)
            }
        }
    }

    /// Fetches the line of memory where the bucket of a hash is, and does not wait for it.
    pub fn touch(&self, hash: u64) {
        // A relaxed load of the lock's word, whose value nobody looks at.
        let _is_locked = self.set(hash.max(1)).is_some_and(|set| set.0.is_locked());
    }

    fn set(&self, tag: u64) -> Option<&Set> {
        usize::try_from(tag >> self.shift).ok().and_then(|index| self.sets.get(index))
    }

    /// About how many buckets are not full, from a look at some of the sets.
    pub fn used(&self, now: Timestamp) -> u64 {
        let step = (self.sets.len() / SETS_LOOKED_AT).max(1);
        let in_use = |set: &Set| {
            let cells = *set.0.lock();
            cells.iter().filter(|cell| cell.level.settled(now) != Level::FULL).count() as u64
        };
        self.sets.iter().step_by(step).map(in_use).sum::<u64>() * step as u64
    }

    /// How many buckets there can be.
    pub fn cells(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// How many bytes it takes, always.
    pub fn bytes(&self) -> usize {
        self.sets.len() * size_of::<Set>()
    }
}

/// The cell that matters least, if it may be given away.
fn least(cells: &mut [Cell; WAYS], now: Timestamp) -> Option<&mut Cell> {
    let least = cells.iter_mut().min_by_key(|cell| cell.level.settled(now))?;
    (!least.level.settled(now).is_limited()).then_some(least)
}

/// Sets that are looked at to tell how many buckets are in use: a scrape takes microseconds.
const SETS_LOOKED_AT: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChannelSet, RateKey, RateRule, RuleMode};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn limit(rate: u32, every_seconds: u32, burst: u32, block_minutes: u16) -> Limit {
        Limit::from(&RateRule {
            per: RateKey::Address,
            rate,
            every_seconds,
            burst,
            block_minutes,
            channels: ChannelSet::ALL,
            mode: RuleMode::Enforce,
        })
    }

    /// A hash of a number that nobody could choose.
    fn hash(number: u64) -> u64 {
        blake3::hash(&number.to_le_bytes()).as_bytes()[..8]
            .iter()
            .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }

    /// A hash in the only set that there is of half of all hashes.
    const fn in_first_set(number: u64) -> u64 {
        number & (u64::MAX >> 1)
    }

    #[test]
    fn ten_million_keys_take_no_more_memory_and_wash_out_nobody_who_is_limited() {
        let table = Table::new(SETS);
        let (bytes, ten_in_a_minute) = (table.bytes(), limit(10, 60, 10, 0));
        let blocking = limit(100, 60, 100, 60);
        let limited: Vec<u64> = (0..1_000).map(|number| hash(1 << 40 | number)).collect();
        let blocked: Vec<u64> = (0..1_000).map(|number| hash(1 << 41 | number)).collect();
        for tag in &limited {
            (0..10)
                .for_each(|_| assert_eq!(table.take(*tag, NOW, &ten_in_a_minute), Verdict::Passed));
            assert_eq!(table.take(*tag, NOW, &ten_in_a_minute), Verdict::Limited(6_000));
        }
        for tag in &blocked {
            (0..100).for_each(|_| assert_eq!(table.take(*tag, NOW, &blocking), Verdict::Passed));
            assert_eq!(table.take(*tag, NOW, &blocking), Verdict::Limited(3_600_000));
        }
        // All within three seconds: every bucket of theirs still lacks its token.
        let mut random = 1_u64;
        for number in 0..10_000_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let now = NOW.plus_millis(number * 3_000 / 10_000_000);
            assert_eq!(table.take(random, now, &ten_in_a_minute), Verdict::Passed);
        }
        let then = NOW.plus_millis(3_000);
        for tag in &limited {
            assert_eq!(table.take(*tag, then, &ten_in_a_minute), Verdict::Limited(3_000));
        }
        for tag in &blocked {
            assert_eq!(table.take(*tag, then, &blocking), Verdict::Limited(3_597_000));
        }
        assert_eq!((table.bytes(), bytes), (16 << 20, 16 << 20));
        let used = table.used(then);
        assert!(9 * table.cells() as u64 / 10 < used, "{used} of {}", table.cells());
        assert!(table.used(NOW.plus_millis(3_600_000)) < used / 100);
    }

    #[test]
    fn a_newcomer_takes_the_cell_that_is_soonest_full() {
        let (table, slow) = (Table::new(2), limit(1, 60, 10, 0));
        for number in 1..=7 {
            (0..number).for_each(|_| {
                table.take(in_first_set(number), NOW, &slow);
            });
        }
        // The first lacked one token, the others more.
        assert_eq!(table.take(in_first_set(8), NOW, &slow), Verdict::Passed);
        for number in 2..=7 {
            let left = 10 - number;
            for _ in 0..left {
                assert_eq!(table.take(in_first_set(number), NOW, &slow), Verdict::Passed);
            }
            let told = table.take(in_first_set(number), NOW, &slow);
            assert_eq!(told, Verdict::Limited(60_000), "{number} was forgotten");
        }
    }

    #[test]
    fn limited_and_blocked_cells_stay_and_who_finds_no_other_passes_uncounted() {
        let (table, one) = (Table::new(2), limit(1, 60, 1, 0));
        let blocking = limit(1, 60, 1, 10);
        for number in 1..=7 {
            let limit = if number < 4 { &one } else { &blocking };
            assert_eq!(table.take(in_first_set(number), NOW, limit), Verdict::Passed);
            assert_ne!(table.take(in_first_set(number), NOW, limit), Verdict::Passed);
        }
        for _ in 0..3 {
            assert_eq!(table.take(in_first_set(8), NOW, &one), Verdict::Uncounted);
        }
        // A minute later the limited ones are full; the blocked ones stay for their term.
        let later = NOW.plus_millis(60_000);
        for number in 8..=20 {
            table.take(in_first_set(number), later, &one);
        }
        for number in 4..=7 {
            let told = table.take(in_first_set(number), later, &blocking);
            assert_eq!(told, Verdict::Limited(540_000), "{number}");
        }
        let after = NOW.plus_millis(600_000);
        assert_eq!(table.take(in_first_set(4), after, &blocking), Verdict::Passed);
    }

    #[test]
    fn two_threads_take_no_token_twice() {
        let (table, limit) = (Table::new(2), limit(1, 86_400, 10_000, 0));
        let passed =
            |_: usize| (0..8_000).filter(|_| table.take(7, NOW, &limit) == Verdict::Passed).count();
        let sum: usize = std::thread::scope(|scope| {
            let (one, two) = (scope.spawn(|| passed(0)), scope.spawn(|| passed(1)));
            one.join().unwrap() + two.join().unwrap()
        });
        assert_eq!(sum, 10_000);
    }
}
