//! The value format: records of one commit, cut into blocks that the store keeps as one value each.
//!
//! ```text
//! offset size
//!      0    2  format, 0x4801 ("H", version 1)
//!      2    2  record count, at least 1
//!      4    8  sequence number of the first record
//!     12    8  base time, ms since the epoch
//!     20   16  chain: first 16 bytes of blake3(chain of the previous block | bytes 0..20 | bytes 36..)
//!     36       per record: length u16, time i32 (ms after the base time, may be negative), payload
//! ```
//!
//! All numbers are little-endian. The chain ties each block to all before it: a flipped bit, a
//! missing block and a block from another log all show.
//!
//! **Architecture invariant:** parsing never panics, whatever the bytes are.

use std::sync::Arc;

use super::{Sequence, Timestamp};

pub use crate::model::limits::RECORD_BYTES_MAX;

/// The largest block, in bytes. sled turns leaves of 16 KiB and more into blob files that it never
/// syncs; values up to this size were never seen to become one.
pub const BLOCK_BYTES_MAX: usize = 7_000;
/// Bytes before the first record of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 36;
/// Bytes before the payload of a record.
pub(super) const RECORD_HEADER_BYTES: usize = 6;

/// What ties a block to its predecessors.
pub type Chain = [u8; 16];

/// The chain before the first block of a log.
pub const GENESIS: Chain = [0; 16];

/// A block that parsed: its structure is sound, its chain is not checked yet.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    bytes: &'a [u8],
    count: u16,
    first: u64,
    base_time: u64,
    latest: u64,
    chain: Chain,
}

/// The records of a block, in order.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    next: u64,
    base_time: u64,
}

/// A finished block on its way to the store.
#[derive(Clone, Debug)]
pub struct BlockRef {
    /// The first record in it.
    pub first: Sequence,
    /// The last record in it.
    pub last: Sequence,
    /// The latest time of this and all earlier records.
    pub latest: Timestamp,
    /// Its chain.
    pub chain: Chain,
    /// The block itself.
    pub bytes: Arc<[u8]>,
}

/// Cuts a stream of records into chained blocks.
#[derive(Debug)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    count: u16,
    base_time: u64,
    next: u64,
    latest: u64,
    chain: Chain,
}

/// Bytes that are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a block: {0}")]
pub struct Malformed(pub &'static str);

impl<'a> Block<'a> {
    /// Checks the structure of a block: every record lies inside it, and nothing follows the last.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (format, rest) = bytes.split_first_chunk().ok_or(Malformed("too short"))?;
        let (count, rest) = rest.split_first_chunk().ok_or(Malformed("too short"))?;
        let (first, rest) = rest.split_first_chunk().ok_or(Malformed("too short"))?;
        let (base_time, rest) = rest.split_first_chunk().ok_or(Malformed("too short"))?;
        let (chain, records) = rest.split_first_chunk().ok_or(Malformed("too short"))?;
        if u16::from_le_bytes(*format) != FORMAT {
            return Err(Malformed("unknown format"));
        }
        if BLOCK_BYTES_MAX < bytes.len() {
            return Err(Malformed("too long"));
        }
        let mut block = Self {
            bytes,
            count: u16::from_le_bytes(*count),
            first: u64::from_le_bytes(*first),
            base_time: u64::from_le_bytes(*base_time),
            latest: 0,
            chain: *chain,
        };
        if block.count == 0 || block.first == 0 {
            return Err(Malformed("a zero where none may be"));
        }
        if block.first.checked_add(u64::from(block.count)).is_none() {
            return Err(Malformed("sequence numbers overflow"));
        }
        block.latest = block.walk(records)?;
        Ok(block)
    }

    /// The format of a block that is newer than ours and follows another: the header, and what the
    /// chain covers, are the same in every format.
    pub(super) fn newer_format(bytes: &[u8], previous: &Chain) -> Option<u32> {
        let format = u16::from_le_bytes(*bytes.first_chunk()?);
        let chain = bytes.get(CHAIN_START..BLOCK_HEADER_BYTES)?;
        let is_newer = FORMAT < format && format >> 8 == FORMAT >> 8;
        (is_newer && chain == chain_of(previous, bytes)).then_some((format & 0xff).into())
    }

    /// The number of the first record.
    pub const fn first(&self) -> Sequence {
        Sequence(self.first)
    }

    /// The number of the last record.
    pub fn last(&self) -> Sequence {
        Sequence(self.first.saturating_add(u64::from(self.count)).saturating_sub(1))
    }

    /// The latest time of a record in it.
    pub const fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest)
    }

    /// The chain that the block claims.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Whether the block follows a block with this chain, and nothing in it was changed.
    pub fn follows(&self, previous: &Chain) -> bool {
        chain_of(previous, self.bytes) == self.chain
    }

    /// The records in it, in order.
    pub fn records(&self) -> Records<'a> {
        Records {
            rest: self.bytes.get(BLOCK_HEADER_BYTES..).unwrap_or_default(),
            next: self.first,
            base_time: self.base_time,
        }
    }

    /// Checks that the records fill the block exactly, and finds the latest time.
    fn walk(&self, mut rest: &[u8]) -> Result<u64, Malformed> {
        let mut latest = 0;
        for _ in 0..self.count {
            let (delta, payload, after) = split_record(rest).ok_or(Malformed("a record is cut"))?;
            if RECORD_BYTES_MAX < payload.len() {
                return Err(Malformed("a record is too long"));
            }
            latest = latest.max(self.base_time.saturating_add_signed(delta.into()));
            rest = after;
        }
        if rest.is_empty() { Ok(latest) } else { Err(Malformed("bytes follow the last record")) }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Sequence, Timestamp, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (delta, payload, rest) = split_record(self.rest)?;
        let sequence = Sequence(self.next);
        self.rest = rest;
        self.next = self.next.saturating_add(1);
        let time = Timestamp::from_millis(self.base_time.saturating_add_signed(delta.into()));
        Some((sequence, time, payload))
    }
}

impl Cutter {
    /// A cutter that continues a log.
    pub(super) fn new(next: Sequence, latest: Timestamp, chain: Chain) -> Self {
        Self {
            bytes: Vec::with_capacity(BLOCK_BYTES_MAX),
            count: 0,
            base_time: 0,
            next: next.0,
            latest: latest.as_millis(),
            chain,
        }
    }

    /// Adds the next record. Hands over the block before it, if the record does not fit into it.
    pub(super) fn push(&mut self, time: u64, payload: &[u8]) -> Option<BlockRef> {
        let length = u16::try_from(payload.len()).expect("a record is bounded on append");
        let full = BLOCK_BYTES_MAX < self.bytes.len() + RECORD_HEADER_BYTES + payload.len();
        let finished = if full || self.delta(time).is_none() { self.finish() } else { None };
        if self.count == 0 {
            self.base_time = time;
            self.bytes.resize(BLOCK_HEADER_BYTES, 0);
        }
        let delta = self.delta(time).unwrap_or_default();
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&delta.to_le_bytes());
        self.bytes.extend_from_slice(payload);
        self.count += 1;
        self.latest = self.latest.max(time);
        finished
    }

    /// Seals the block at hand, if there is one.
    pub(super) fn finish(&mut self) -> Option<BlockRef> {
        if self.count == 0 {
            return None;
        }
        let first = self.next;
        self.bytes[0..2].copy_from_slice(&FORMAT.to_le_bytes());
        self.bytes[2..4].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[4..12].copy_from_slice(&first.to_le_bytes());
        self.bytes[12..CHAIN_START].copy_from_slice(&self.base_time.to_le_bytes());
        self.chain = chain_of(&self.chain, &self.bytes);
        self.bytes[CHAIN_START..BLOCK_HEADER_BYTES].copy_from_slice(&self.chain);

        self.next += u64::from(self.count);
        let block = BlockRef {
            first: Sequence(first),
            last: Sequence(self.next - 1),
            latest: Timestamp::from_millis(self.latest),
            chain: self.chain,
            bytes: Arc::from(self.bytes.as_slice()),
        };
        self.bytes.clear();
        self.count = 0;
        Some(block)
    }

    /// The distance of a time from the base time, if a record can hold it.
    fn delta(&self, time: u64) -> Option<i32> {
        if self.count == 0 {
            return Some(0);
        }
        let delta = i128::from(time) - i128::from(self.base_time);
        i32::try_from(delta).ok()
    }
}

/// Time, payload and what follows, of the record at the front.
fn split_record(bytes: &[u8]) -> Option<(i32, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (delta, rest) = rest.split_first_chunk()?;
    let (payload, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((i32::from_le_bytes(*delta), payload, rest))
}

/// The chain of a block whose header is complete but for the chain itself.
pub(super) fn chain_of(previous: &Chain, block: &[u8]) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(block.get(..CHAIN_START).unwrap_or_default());
    hasher.update(block.get(BLOCK_HEADER_BYTES..).unwrap_or_default());
    short_hash(&hasher)
}

/// The first 16 bytes of a blake3 hash.
pub(super) fn short_hash(hasher: &blake3::Hasher) -> Chain {
    let mut chain = GENESIS;
    hasher.finalize_xof().fill(&mut chain);
    chain
}

const FORMAT: u16 = 0x4801;
pub(super) const CHAIN_START: usize = 20;

const _: () =
    assert!(BLOCK_HEADER_BYTES + RECORD_HEADER_BYTES + RECORD_BYTES_MAX <= BLOCK_BYTES_MAX);
const _: () = assert!(CHAIN_START + size_of::<Chain>() == BLOCK_HEADER_BYTES);
// The range in which sled was never seen to make a blob.
const _: () = assert!(BLOCK_BYTES_MAX < 7_001);
// The count is a u16: even empty records cannot overflow it.
const _: () =
    assert!((BLOCK_BYTES_MAX - BLOCK_HEADER_BYTES) / RECORD_HEADER_BYTES <= u16::MAX as usize);
const _: () = assert!(RECORD_BYTES_MAX <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(records: &[(u64, Vec<u8>)]) -> Vec<BlockRef> {
        let mut cutter = Cutter::new(Sequence(1), Timestamp::default(), GENESIS);
        let mut blocks: Vec<_> =
            records.iter().filter_map(|(time, payload)| cutter.push(*time, payload)).collect();
        blocks.extend(cutter.finish());
        blocks
    }

    #[test]
    fn small_records_fill_blocks_to_between_4000_and_7000_bytes() {
        for size in [0, 1, 40, 75, 100, 1_000, 2_900] {
            let blocks = cut(&vec![(5, vec![7; size]); 3_000]);
            let (_, full) = blocks.split_last().unwrap();
            assert!(
                full.iter().all(|block| (4_000..=7_000).contains(&block.bytes.len())),
                "{size}"
            );
        }
    }

    #[test]
    fn a_jump_in_time_that_a_record_cannot_hold_starts_a_block() {
        let records = [(0, vec![1]), (1 << 40, vec![2]), (3, vec![3]), (2, vec![4])];
        let blocks = cut(&records);
        assert_eq!(blocks.len(), 3);
        let read: Vec<_> = blocks
            .iter()
            .flat_map(|block| Block::parse(&block.bytes).unwrap().records())
            .map(|(_, time, payload)| (time.as_millis(), payload.to_vec()))
            .collect();
        assert_eq!(read, records);
        assert_eq!(blocks[2].latest.as_millis(), 1 << 40);
    }

    #[test]
    fn any_changed_bit_breaks_the_chain() {
        let blocks = cut(&[(9, b"held".to_vec()), (10, b"booked".to_vec())]);
        let good = &blocks[0].bytes;
        assert!(Block::parse(good).unwrap().follows(&GENESIS));
        assert!(!Block::parse(good).unwrap().follows(&[1; 16]));
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Block::parse(&bad).is_ok_and(|block| block.follows(&GENESIS)).eq(&false),
                "{bit}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_reads_back(
            records in prop::collection::vec(
                (0_u64..1 << 33, prop::collection::vec(any::<u8>(), 0..200)), 1..400
            )
        ) {
            let (mut chain, mut next) = (GENESIS, 1);
            let mut read = Vec::new();
            for block in cut(&records) {
                let parsed = Block::parse(&block.bytes).unwrap();
                prop_assert!(parsed.follows(&chain));
                prop_assert_eq!((parsed.first(), parsed.last()), (block.first, block.last));
                prop_assert!(block.bytes.len() <= BLOCK_BYTES_MAX);
                chain = parsed.chain();
                for (sequence, time, payload) in parsed.records() {
                    prop_assert_eq!(sequence.0, next);
                    next += 1;
                    read.push((time.as_millis(), payload.to_vec()));
                }
            }
            prop_assert_eq!(read, records);
        }

        #[test]
        fn parsing_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300), sound: bool) {
            if sound && 2 <= bytes.len() {
                bytes[..2].copy_from_slice(&FORMAT.to_le_bytes());
            }
            if let Ok(block) = Block::parse(&bytes) {
                prop_assert_eq!(block.records().count(), usize::from(block.count));
            }
        }
    }
}
