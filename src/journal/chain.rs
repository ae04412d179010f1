//! The one check of a log: sequence numbers without a gap, and an unbroken chain.
//!
//! **Architecture invariant:** whatever reads old blocks back (recovery, archive, tests) decides
//! with this type whether they are sound; there is no second opinion on disk formats.

use super::block::{Block, Chain, GENESIS, Malformed};
use super::{Sequence, Timestamp};
#[cfg(any(feature = "node", fuzzing))]
use {super::JournalError, std::path::Path};

/// Where a log ends, or where a kept part of it starts: enough to continue or to verify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The number of the next record.
    pub next_sequence: Sequence,
    /// The chain of the last block.
    pub last_chain: Chain,
    /// The latest time of any record.
    pub last_time: Timestamp,
}

/// Why a block does not continue a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Blocks are missing.
    #[error("record {} is missing, the log goes on with {}", expected.0, found.0)]
    Hole {
        /// The record that should come next.
        expected: Sequence,
        /// The record that comes next.
        found: Sequence,
    },
    /// The bytes are not a block.
    #[error("the block of record {} cannot be read ({cause})", expected.0)]
    Malformed {
        /// The record that should come next.
        expected: Sequence,
        /// What is wrong with the bytes.
        cause: Malformed,
    },
    /// The block, or one before it, was changed.
    #[error("the checksum chain breaks at record {}", at.0)]
    Broken {
        /// The first record of the block.
        at: Sequence,
    },
    /// The block is sound, and of a format that this release does not know.
    #[error("the block of record {} is of block format {format}", at.0)]
    Newer {
        /// The first record of the block.
        at: Sequence,
        /// Its format.
        format: u32,
    },
}

#[cfg(any(feature = "node", fuzzing))]
impl Damage {
    /// What is no damage: a block of a newer format, in a file.
    pub(super) fn newer(&self, file: &Path) -> Option<JournalError> {
        let Self::Newer { format, .. } = *self else { return None };
        let file = file.to_owned();
        Some(JournalError::NewerFormat { file, kind: "block", found: format, known: 1 })
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            next_sequence: Sequence(1),
            last_chain: GENESIS,
            last_time: Timestamp::from_millis(0),
        }
    }
}

impl Tail {
    /// The number of the last record, 0 in an empty log.
    pub const fn last_sequence(&self) -> Sequence {
        Sequence(self.next_sequence.0.saturating_sub(1))
    }

    /// Steps over the next block, if it is sound.
    pub fn accept<'a>(&mut self, bytes: &'a [u8]) -> Result<Block<'a>, Damage> {
        let expected = self.next_sequence;
        if let Some(format) = Block::newer_format(bytes, &self.last_chain) {
            return Err(Damage::Newer { at: expected, format });
        }
        let block = Block::parse(bytes).map_err(|cause| Damage::Malformed { expected, cause })?;
        if block.first() != expected {
            return Err(Damage::Hole { expected, found: block.first() });
        }
        if !block.follows(&self.last_chain) {
            return Err(Damage::Broken { at: expected });
        }

        self.next_sequence = block.last().next();
        self.last_chain = block.chain();
        self.last_time = self.last_time.max(block.latest());
        Ok(block)
    }
}
