//! The last committed blocks, for subscribers that keep up.
//!
//! **Architecture invariant:** only durable blocks enter, without a gap, so that a reader never
//! sees what a crash could take back.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Sequence;
use super::block::BlockRef;
use super::store::Page;

#[derive(Debug)]
pub(super) struct Recent {
    blocks: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<BlockRef>,
    bytes: usize,
}

impl Recent {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { blocks: Mutex::default(), bytes_max }
    }

    /// Adds committed blocks, and forgets the oldest beyond the bound.
    pub(super) fn extend(&self, blocks: impl Iterator<Item = BlockRef>) {
        let mut kept = self.blocks.lock();
        for block in blocks {
            kept.bytes += block.bytes.len();
            kept.blocks.push_back(block);
        }
        while self.bytes_max < kept.bytes {
            let Some(oldest) = kept.blocks.pop_front() else { break };
            kept.bytes -= oldest.bytes.len();
        }
    }

    /// A page from memory, if the record at its start is still there.
    pub(super) fn read(&self, from: Sequence, bytes_max: usize) -> Option<Page> {
        let kept = self.blocks.lock();
        if from < kept.blocks.front()?.first {
            return None;
        }
        let start = kept.blocks.partition_point(|block| block.last < from);
        let mut bytes = 0;
        let blocks = kept
            .blocks
            .range(start..)
            .take_while(|block| {
                let is_first = bytes == 0;
                bytes += block.bytes.len();
                is_first || bytes <= bytes_max
            })
            .map(|block| Arc::clone(&block.bytes))
            .collect();
        Some(Page::new(from, blocks))
    }
}
