//! Ranks, places by rank, and the digests that are published.

use hmac::Mac;
use sha2::{Digest as _, Sha256};

use super::hash;
use super::key::mac_of;
use crate::model::{DrawChoice, DrawEntry, DrawHash, DrawId, Pseudonym, Seed, SlotIndex};

/// An entry in the order of the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranked {
    rank: [u8; 32],
    pseudonym: Pseudonym,
    /// Its position in the list that was ranked.
    pub position: u32,
}

/// Ranks entries: the lowest HMAC-SHA256 of final seed and pseudonym is first. Equal ones, which
/// nobody will see, go by pseudonym.
pub fn rank(seed: &Seed, entrants: impl Iterator<Item = Pseudonym>) -> Vec<Ranked> {
    let mac = mac_of(&seed.0);
    let ranked = (0..).zip(entrants).map(|(position, pseudonym)| {
        let mut mac = mac.clone();
        mac.update(&pseudonym.0);
        Ranked { rank: mac.finalize().into_bytes().into(), pseudonym, position }
    });
    let mut order: Vec<_> = ranked.collect();
    order.sort_unstable();
    order
}

/// The places of a draw that nobody has won yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    free: Vec<u16>,
    left: u64,
}

impl Places {
    /// Free places, slot by slot.
    pub fn new(free: &[u16]) -> Self {
        Self { left: free.iter().map(|free| u64::from(*free)).sum(), free: free.to_vec() }
    }

    /// The free places, slot by slot.
    pub fn free(&self) -> &[u16] {
        &self.free
    }

    /// Whether none is left.
    pub const fn are_gone(&self) -> bool {
        self.left == 0
    }

    /// Gives the next entry by rank its best preference that is free: the earliest run of slots
    /// where it has none. `None`: it gets nothing.
    pub fn give(&mut self, choice: &DrawChoice) -> Option<SlotIndex> {
        if self.are_gone() {
            return None;
        }
        let slot = if choice.slots.is_empty() {
            let slots = u16::try_from(self.free.len()).unwrap_or(u16::MAX);
            (0..slots).map(SlotIndex).find(|slot| self.has_room(*slot, choice.count))
        } else {
            choice.slots.iter().copied().find(|slot| self.has_room(*slot, choice.count))
        }?;
        self.take(slot, choice.count);
        Some(slot)
    }

    /// Takes a run of slots that was won.
    pub fn take(&mut self, slot: SlotIndex, count: u8) {
        for free in self.free.iter_mut().skip(slot.0.into()).take(count.into()) {
            *free = free.saturating_sub(1);
            self.left = self.left.saturating_sub(1);
        }
    }

    /// Whether a run of slots has a place in each.
    pub fn has_room(&self, slot: SlotIndex, count: u8) -> bool {
        let run = self.free.iter().skip(slot.0.into()).take(count.into());
        count != 0
            && run.clone().count() == usize::from(count)
            && run.clone().all(|free| *free != 0)
    }
}

/// What an entrant keeps to find the entry in the published list: a hash of all that it says.
pub fn receipt(draw: DrawId, entry: &DrawEntry) -> DrawHash {
    hash("haoyuan draw entry 1", draw, |hasher| add_entry(hasher, entry))
}

/// A digest of all entries, which come in canonical order: by pseudonym.
pub fn entries_digest<'a>(draw: DrawId, entries: impl Iterator<Item = &'a DrawEntry>) -> DrawHash {
    hash("haoyuan draw entries 1", draw, |hasher| {
        entries.for_each(|entry| add_entry(hasher, entry));
    })
}

/// A digest of who gets what, in the order of ranks.
pub fn result_digest(
    draw: DrawId,
    results: impl Iterator<Item = (Pseudonym, Option<SlotIndex>)>,
) -> DrawHash {
    hash("haoyuan draw result 1", draw, |hasher| {
        for (pseudonym, slot) in results {
            hasher.update(pseudonym.0);
            hasher.update(slot.map_or(u16::MAX, |slot| slot.0).to_le_bytes());
        }
    })
}

/// Pseudonym, class, count, and the slots with their number in front: no two entries look the same.
fn add_entry(hasher: &mut Sha256, DrawEntry { pseudonym, choice }: &DrawEntry) {
    hasher.update(pseudonym.0);
    let slots = u8::try_from(choice.slots.len()).unwrap_or(u8::MAX);
    hasher.update([choice.class as u8, choice.count, slots]);
    choice.slots.iter().for_each(|slot| hasher.update(slot.0.to_le_bytes()));
}
