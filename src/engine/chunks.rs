//! Entries by position, in chunks: none moves once it is written.
//!
//! A vector that doubles would copy megabytes under a lock; a chunk that is full stays where it is.

/// A place in the chunks.
pub(super) type Position = u32;

/// Entries by position, with the positions that are free again.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    vacant: Vec<Position>,
}

const CHUNK: usize = 128;

impl<T> Chunks<T> {
    /// Puts an entry in, where one was removed if there is such a place.
    ///
    /// # Panics
    ///
    /// Never: 2^32 entries of a shard are more than memory holds.
    pub(super) fn insert(&mut self, entry: T) -> Position {
        if let Some(position) = self.vacant.pop() {
            *self.get_mut(position) = entry;
            return position;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = self.chunks.len().saturating_sub(1).saturating_mul(CHUNK);
        let chunk = self.chunks.last_mut().expect("a chunk with room was just ensured");
        let position = full.saturating_add(chunk.len());
        chunk.push(entry);
        Position::try_from(position).expect("a shard holds less than 2^32 entries")
    }

    /// Lets the position be given to another entry. What lies there stays until then: nobody may
    /// ask for it.
    pub(super) fn remove(&mut self, position: Position) {
        self.vacant.push(position);
    }

    /// The entry at a position that `insert` gave.
    ///
    /// # Panics
    ///
    /// Panics at another position.
    pub(super) fn get(&self, position: Position) -> &T {
        let (chunk, index) = place(position);
        let chunk = self.chunks.get(chunk).expect("a position comes from insert");
        chunk.get(index).expect("a position comes from insert")
    }

    /// The same, to change it.
    ///
    /// # Panics
    ///
    /// Panics at another position.
    pub(super) fn get_mut(&mut self, position: Position) -> &mut T {
        let (chunk, index) = place(position);
        let chunk = self.chunks.get_mut(chunk).expect("a position comes from insert");
        chunk.get_mut(index).expect("a position comes from insert")
    }

    /// Every entry, removed ones too, in the order of positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        self.chunks.iter().flatten()
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), vacant: Vec::new() }
    }
}

const fn place(position: Position) -> (usize, usize) {
    (position as usize / CHUNK, position as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_again_and_nothing_else_moves() {
        let mut chunks = Chunks::default();
        for number in 0..300_u32 {
            assert_eq!(chunks.insert(number), number);
        }
        chunks.remove(7);
        chunks.remove(200);
        assert_eq!(
            [chunks.insert(1_000), chunks.insert(1_001), chunks.insert(1_002)],
            [200, 7, 300]
        );
        *chunks.get_mut(299) += 5;
        let expected = (0..303).map(|at| match at {
            200 => 1_000,
            7 => 1_001,
            300 => 1_002,
            299 => 304,
            other => other,
        });
        let all: Vec<u32> = chunks.iter().copied().collect();
        assert_eq!(all, expected.take(301).collect::<Vec<_>>());
        assert!((0..301).all(|at| *chunks.get(at) == all[at as usize]));
        assert!(chunks.chunks.iter().all(|chunk| chunk.capacity() == CHUNK), "no chunk has grown");
    }
}
