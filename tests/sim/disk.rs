//! A disk that fails when it is told to, behind the journal's own traits.
//!
//! ```text
//! Journal -- Store, Syncer --> Disk { faults, what is unsynced } -- Store, Syncer --> MemoryStore
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haoyuan::journal::{
    BlockRef, JournalError, MemoryImage, MemoryMedium, MemoryStore, ReadStore, Store, Syncer,
};

use crate::random::Random;

/// A handle to the disk: the journal has one, the simulation another.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    medium: MemoryMedium,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    fails_write: bool,
    fails_sync: bool,
    /// Written and not synced, oldest first.
    unsynced: VecDeque<BlockRef>,
    /// Synced, and not looked at yet.
    synced: Vec<Arc<[u8]>>,
}

impl Disk {
    pub(crate) fn new(medium: MemoryMedium) -> Self {
        Self { medium, faults: Arc::default() }
    }

    /// Makes the next write fail: part of it reaches the disk.
    pub(crate) fn fail_write(&self) {
        self.faults().fails_write = true;
    }

    /// Makes the next sync fail.
    pub(crate) fn fail_sync(&self) {
        self.faults().fails_sync = true;
    }

    /// The blocks that became durable since the last call: the disk's own word.
    pub(crate) fn take_synced(&self) -> Vec<Arc<[u8]>> {
        std::mem::take(&mut self.faults().synced)
    }

    /// What is left when the power fails now, and how it was damaged. Everything that was synced
    /// is there; of the rest, anything may be.
    pub(crate) fn crash(&self, random: &mut Random) -> (MemoryImage, &'static str) {
        let mut image = self.medium.crash();
        let unsynced: Vec<_> =
            self.faults().unsynced.iter().map(|b| Arc::clone(&b.bytes)).collect();
        let survivors = random.index(unsynced.len() + 1);
        let next = unsynced.get(survivors);
        let what = match (random.below(5), next) {
            (0, _) => "the unsynced tail is lost",
            (1, Some(next)) => {
                image.blocks.extend(unsynced.iter().take(survivors).map(Arc::clone));
                let length = random.index(next.len());
                image.blocks.push(next.iter().copied().take(length).collect());
                "a block is torn"
            }
            (2, Some(next)) => {
                image.blocks.extend(unsynced.iter().take(survivors).map(Arc::clone));
                image.blocks.push(flipped(next, random));
                "an unsynced block is garbled"
            }
            (3, Some(_)) => {
                let kept = unsynced.iter().enumerate().filter(|(index, _)| *index != survivors);
                image.blocks.extend(kept.map(|(_, bytes)| Arc::clone(bytes)));
                "an unsynced block is missing"
            }
            _ => {
                image.blocks.extend(unsynced.iter().map(Arc::clone));
                "everything written survives"
            }
        };
        if random.chance(200) {
            // The mark is synced every second only.
            image.acknowledged.0 -= random.below(image.acknowledged.0 + 1);
        }
        (image, what)
    }

    /// What is synced, and nothing else.
    pub(crate) fn power_off(&self) -> MemoryImage {
        self.medium.crash()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes with one bit changed.
pub(crate) fn flipped(bytes: &[u8], random: &mut Random) -> Arc<[u8]> {
    let at = random.index(bytes.len());
    let bit = 1 << random.below(8);
    let flip = |(index, byte): (usize, &u8)| if index == at { byte ^ bit } else { *byte };
    bytes.iter().enumerate().map(flip).collect()
}

impl Store for Disk {
    fn write(&mut self, blocks: &[BlockRef]) -> Result<bool, JournalError> {
        let mut faults = self.faults();
        if faults.fails_write {
            faults.unsynced.extend(blocks.first().cloned());
            return Err(JournalError::Store { what: "write", detail: "injected".to_owned() });
        }
        faults.unsynced.extend(blocks.iter().cloned());
        drop(faults);
        MemoryStore::new(&self.medium).write(blocks)
    }

    fn reader(&self) -> Arc<dyn ReadStore> {
        Arc::new(self.medium.clone())
    }

    fn syncer(&mut self) -> Result<Box<dyn Syncer>, JournalError> {
        Ok(Box::new(self.clone()))
    }
}

impl Syncer for Disk {
    fn sync(&mut self, last: &BlockRef, rolled: bool) -> Result<(), JournalError> {
        let mut faults = self.faults();
        if faults.fails_sync {
            return Err(JournalError::Store { what: "sync", detail: "injected".to_owned() });
        }
        while let Some(block) = faults.unsynced.pop_front_if(|block| block.last <= last.last) {
            faults.synced.push(block.bytes);
        }
        drop(faults);
        self.medium.sync(last, rolled)
    }

    fn close(&mut self) -> Result<(), JournalError> {
        Syncer::close(&mut self.medium)
    }
}
