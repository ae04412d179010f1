//! Where the entry with a hash lies: a table of numbers, one line of memory for each look.
//!
//! ```text
//! cells   | . | 7a31:4 | 7a30:9 | . | ...      32 bits of a hash, and a position plus one
//! ```
//!
//! The entries themselves lie in [`Chunks`](super::chunks::Chunks), which never move: when this table
//! grows, it alone is copied, and no entry is read. A table of the entries would touch two lines for
//! each look (its tags, then the entry), and move every entry each time it doubles.
//!
//! **Architecture invariant:** a cell that is not empty can be reached from the cell of its hash
//! over cells that are not empty.

use super::chunks::Position;

/// Positions by 32 bits of a hash.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, or none. 0 is empty.
    cells: Vec<u64>,
    len: usize,
}

impl Index {
    /// The position under that hash of which `is_it` holds.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(Position) -> bool) -> Option<Position> {
        self.cell_of(hash, is_it).and_then(|cell| self.cells.get(cell)).map(|word| position(*word))
    }

    /// Adds a position, which must not be there.
    pub(super) fn insert(&mut self, hash: u32, at: Position) {
        // At most five eighths full: a look for what is not there then takes four cells on average,
        // and all of them lie in one line.
        if self.cells.len().saturating_mul(5) <= self.len.saturating_add(1).saturating_mul(8) {
            self.grow();
        }
        self.place(word_of(hash, at));
        self.len = self.len.saturating_add(1);
    }

    /// Takes a position out, and says whether it was there.
    pub(super) fn remove(&mut self, hash: u32, at: Position) -> bool {
        let Some(mut hole) = self.cell_of(hash, |other| other == at) else { return false };
        let mask = self.mask();
        let mut next = hole;
        loop {
            next = next.wrapping_add(1) & mask;
            let word = self.word(next);
            if word == 0 {
                break;
            }
            // What follows moves up, unless that put it before the cell of its hash.
            let way = next.wrapping_sub(home(word, mask)) & mask;
            if next.wrapping_sub(hole) & mask <= way {
                self.set(hole, word);
                hole = next;
            }
        }
        self.set(hole, 0);
        self.len = self.len.saturating_sub(1);
        true
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Every position, in no order that means anything.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        self.cells.iter().filter(|word| **word != 0).map(|word| position(*word))
    }

    fn cell_of(&self, hash: u32, is_it: impl Fn(Position) -> bool) -> Option<usize> {
        if self.cells.is_empty() {
            return None;
        }
        let mask = self.mask();
        let mut cell = hash as usize & mask;
        loop {
            let word = self.word(cell);
            if word == 0 {
                return None;
            }
            if word >> 32 == u64::from(hash) && is_it(position(word)) {
                return Some(cell);
            }
            cell = cell.wrapping_add(1) & mask;
        }
    }

    fn grow(&mut self) {
        let larger = self.cells.len().saturating_mul(2).max(CELLS_MIN);
        // Written, not asked for as zeroes: a page of those is mapped when it is read first, and once more
        // when it is written, and then every processor is told of it.
        let empty = std::iter::repeat_n(std::hint::black_box(0), larger).collect();
        let cells = std::mem::replace(&mut self.cells, empty);
        cells.into_iter().filter(|word| *word != 0).for_each(|word| self.place(word));
    }

    fn place(&mut self, word: u64) {
        let mask = self.mask();
        let mut cell = home(word, mask);
        while self.word(cell) != 0 {
            cell = cell.wrapping_add(1) & mask;
        }
        self.set(cell, word);
    }

    const fn mask(&self) -> usize {
        self.cells.len().wrapping_sub(1)
    }

    fn word(&self, cell: usize) -> u64 {
        self.cells.get(cell).copied().unwrap_or_default()
    }

    fn set(&mut self, cell: usize, word: u64) {
        if let Some(place) = self.cells.get_mut(cell) {
            *place = word;
        }
    }
}

/// One line of memory.
const CELLS_MIN: usize = 8;

fn word_of(hash: u32, at: Position) -> u64 {
    u64::from(hash) << 32 | u64::from(at).saturating_add(1)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of the word")]
const fn position(word: u64) -> Position {
    (word as u32).wrapping_sub(1)
}

/// Where the search for a word begins.
const fn home(word: u64, mask: usize) -> usize {
    (word >> 32) as usize & mask
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_index_agrees_with_a_map_whatever_is_added_and_taken_out() {
        let mut random = 7_u64;
        let mut next = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % bound
        };
        // Few hashes, many of them alike, at both ends of the table: chains meet and wrap.
        for hashes in [1, 3, 16, 1_000_000] {
            let (mut index, mut naive) = (Index::default(), BTreeMap::new());
            for step in 0..4_000_u32 {
                let hash = u32::MAX - u32::try_from(next(hashes)).unwrap();
                if next(5) < 3 {
                    index.insert(hash, step);
                    naive.insert(step, hash);
                } else if let Some((&at, &hash)) =
                    naive.range(u32::try_from(next(4_000)).unwrap()..).next()
                {
                    assert!(index.remove(hash, at) && !index.remove(hash, at));
                    naive.remove(&at);
                }
                assert_eq!(index.len(), naive.len());
            }
            for (at, hash) in &naive {
                assert_eq!(index.find(*hash, |other| other == *at), Some(*at), "{hashes} hashes");
            }
            let mut positions: Vec<Position> = index.positions().collect();
            positions.sort_unstable();
            assert_eq!(positions, naive.into_keys().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        assert_eq!(Index::default().find(0, |_| true), None);
        assert!(!Index::default().remove(0, 0));
    }
}
