//! The hand-over from the shards to the commit thread: two buffers that swap.
//!
//! ```text
//! reserve (no lock held) -> append (under shard locks) -> [buffer] -swap- [buffer] -> commit thread
//!      ^------------------ bytes come back when the commit is done ---------------------------'
//! ```
//!
//! **Architecture invariant:** an append touches memory only, and cannot fail: whatever could be
//! refused was refused by `reserve`. A record's place in the buffer and its sequence number are
//! taken under one lock, so both orders are the same.

use crossbeam::utils::CachePadded;

use super::block::RECORD_BYTES_MAX;
use super::{Sequence, Timestamp};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Bytes of records that requests may have waiting: about a second of the disk's throughput. More
/// would only be latency.
pub const QUEUE_BYTES_MAX: u64 = 64 << 20;
/// The same for upkeep (expiry, settlement). It has its own so that requests cannot starve it; a
/// small one, because a request's record waits behind all of it: 2,000 expiries, some 10 ms.
pub const UPKEEP_BYTES_MAX: u64 = 256 << 10;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A client's command.
    Request,
    /// The node's own duty: expiry, settlement, resumed intents.
    Upkeep,
}

/// The right to append one record of any size. Dropping it gives the right back.
#[derive(Debug)]
pub struct Permit<'a> {
    queue: &'a Queue,
    lane: Lane,
    bytes: u64,
}

/// What an append did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    /// The number of the record.
    pub(super) sequence: Sequence,
    /// Whether the commit thread sleeps and must be rung.
    pub(super) must_ring: bool,
}

/// What the commit thread found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The buffer now holds records.
    Records,
    /// Nothing yet: wait to be rung.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

/// Bytes that a buffer's records are charged to the lanes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charged([u64; 2]);

/// Records in order of their sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    charged: [u64; 2],
}

/// The hand-over. See the module.
#[derive(Debug)]
pub(super) struct Queue {
    state: CachePadded<Mutex<State>>,
    lanes: [CachePadded<Budget>; 2],
    appended: AtomicU64,
}

impl Queue {
    /// An empty queue whose first record gets the number `next`.
    pub(super) fn new(next: Sequence, request_bytes_max: u64, upkeep_bytes_max: u64) -> Self {
        let budget = |max| CachePadded::new(Budget { used: AtomicU64::new(0), max });
        Self {
            state: CachePadded::new(Mutex::new(State {
                buffer: Buffer::default(),
                next: next.0,
                is_idle: false,
                is_closing: false,
            })),
            lanes: [budget(request_bytes_max), budget(upkeep_bytes_max)],
            appended: AtomicU64::new(next.0.saturating_sub(1)),
        }
    }

    /// Room for one record of the largest size, or `None` when the lane is full. Takes no lock.
    pub(super) fn reserve(&self, lane: Lane) -> Option<Permit<'_>> {
        let budget = self.budget(lane);
        let used = budget.used.fetch_add(PERMIT_BYTES, Ordering::AcqRel) + PERMIT_BYTES;
        if budget.max < used {
            budget.used.fetch_sub(PERMIT_BYTES, Ordering::AcqRel);
            return None;
        }
        Some(Permit { queue: self, lane, bytes: PERMIT_BYTES })
    }

    /// Appends the bytes that `encode` adds to the buffer as the next record.
    ///
    /// # Panics
    ///
    /// Panics if `encode` adds more than [`RECORD_BYTES_MAX`], or removes bytes.
    pub(super) fn append(
        &self,
        mut permit: Permit<'_>,
        time: Timestamp,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Appended {
        let mut state = self.state.lock();
        let start = state.buffer.bytes.len();
        encode(&mut state.buffer.bytes);
        let end = state.buffer.bytes.len();
        let length = end.checked_sub(start).expect("an encoder only adds bytes");
        assert!(length <= RECORD_BYTES_MAX, "a record of {length} bytes");

        let charge = length as u64 + ENTRY_BYTES;
        state.buffer.entries.push(Entry { end, time: time.as_millis() });
        state.buffer.charged[permit.lane as usize] += charge;
        let sequence = state.next;
        state.next = sequence.checked_add(1).expect("2^64 records take 10,000 years");
        self.appended.store(sequence, Ordering::Release);
        let must_ring = std::mem::take(&mut state.is_idle);
        drop(state);

        permit.bytes -= charge;
        Appended { sequence: Sequence(sequence), must_ring }
    }

    /// Swaps the filled buffer for an empty one.
    pub(super) fn take(&self, empty: &mut Buffer) -> Taken {
        debug_assert!(empty.entries.is_empty(), "an empty buffer is swapped in");
        let mut state = self.state.lock();
        if state.buffer.entries.is_empty() {
            state.is_idle = true;
            return if state.is_closing { Taken::Closed } else { Taken::Nothing };
        }
        std::mem::swap(&mut state.buffer, empty);
        Taken::Records
    }

    /// Gives the bytes of a committed buffer back to the lanes.
    pub(super) fn give_back(&self, charged: Charged) {
        for (lane, bytes) in self.lanes.iter().zip(charged.0) {
            lane.used.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// Lets the commit thread end once everything is taken.
    pub(super) fn close(&self) {
        self.state.lock().is_closing = true;
    }

    /// The last record appended, 0 before the first.
    pub(super) fn appended(&self) -> Sequence {
        Sequence(self.appended.load(Ordering::Acquire))
    }

    /// Bytes that a lane has reserved or waiting.
    pub(super) fn used_bytes(&self, lane: Lane) -> u64 {
        self.budget(lane).used.load(Ordering::Relaxed)
    }

    fn budget(&self, lane: Lane) -> &Budget {
        &self.lanes[lane as usize]
    }
}

impl Buffer {
    /// Empties the buffer, and says what its records are still charged.
    pub(super) fn empty(&mut self) -> Charged {
        self.bytes.clear();
        self.entries.clear();
        Charged(std::mem::take(&mut self.charged))
    }

    /// How many records wait in it.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Time (ms) and payload of each record, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let payload = &self.bytes[start..entry.end];
            start = entry.end;
            (entry.time, payload)
        })
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.queue.budget(self.lane).used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[derive(Debug)]
struct State {
    buffer: Buffer,
    next: u64,
    /// The commit thread found nothing and is about to sleep, or sleeps.
    is_idle: bool,
    is_closing: bool,
}

#[derive(Debug)]
struct Budget {
    used: AtomicU64,
    max: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where the record ends in the bytes.
    end: usize,
    /// Milliseconds since the epoch.
    time: u64,
}

/// What a record costs beside its payload.
const ENTRY_BYTES: u64 = size_of::<Entry>() as u64;
/// What the largest record costs.
const PERMIT_BYTES: u64 = RECORD_BYTES_MAX as u64 + ENTRY_BYTES;

// There is room for a thousand commands at once, whatever they write; upkeep is a few threads.
const _: () = assert!(1_000 * PERMIT_BYTES <= QUEUE_BYTES_MAX);
const _: () = assert!(32 * PERMIT_BYTES <= UPKEEP_BYTES_MAX);
const _: () = assert!(UPKEEP_BYTES_MAX <= QUEUE_BYTES_MAX);

#[cfg(all(test, haoyuan_loom))]
#[path = "queue_loom.rs"]
mod loom;

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(permits: u64) -> Queue {
        Queue::new(Sequence(1), permits * PERMIT_BYTES, PERMIT_BYTES)
    }

    #[test]
    fn permits_are_bounded_and_upkeep_has_its_own() {
        let queue = queue(2);
        let first = queue.reserve(Lane::Request).unwrap();
        let _second = queue.reserve(Lane::Request).unwrap();
        assert!(queue.reserve(Lane::Request).is_none());
        let upkeep = queue.reserve(Lane::Upkeep).unwrap();
        assert!(queue.reserve(Lane::Upkeep).is_none());

        drop(first);
        drop(upkeep);
        assert!(queue.reserve(Lane::Request).is_some());
        assert!(queue.reserve(Lane::Upkeep).is_some());
    }

    #[test]
    fn a_record_is_charged_for_its_bytes_until_it_is_committed() {
        let queue = queue(2);
        let permit = queue.reserve(Lane::Request).unwrap();
        queue.append(permit, Timestamp::from_millis(1), |bytes| bytes.extend_from_slice(b"held"));
        assert_eq!(queue.used_bytes(Lane::Request), 4 + ENTRY_BYTES);

        let mut buffer = Buffer::default();
        assert_eq!(queue.take(&mut buffer), Taken::Records);
        assert_eq!(queue.used_bytes(Lane::Request), 4 + ENTRY_BYTES);
        queue.give_back(buffer.empty());
        assert_eq!(queue.used_bytes(Lane::Request), 0);
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn only_the_first_append_after_a_look_at_nothing_rings() {
        let queue = queue(9);
        let mut buffer = Buffer::default();
        let append = || {
            let permit = queue.reserve(Lane::Request).unwrap();
            queue.append(permit, Timestamp::default(), |_| ()).must_ring
        };
        assert!(!append());
        assert_eq!(queue.take(&mut buffer), Taken::Records);
        queue.give_back(buffer.empty());
        assert_eq!(queue.take(&mut buffer), Taken::Nothing);
        assert!(append());
        assert!(!append());
    }

    #[test]
    fn a_closed_queue_is_drained_first() {
        let queue = queue(9);
        let mut buffer = Buffer::default();
        let permit = queue.reserve(Lane::Upkeep).unwrap();
        queue.append(permit, Timestamp::default(), |_| ());
        queue.close();
        assert_eq!(queue.take(&mut buffer), Taken::Records);
        queue.give_back(buffer.empty());
        assert_eq!(queue.take(&mut buffer), Taken::Closed);
    }

    #[test]
    #[should_panic(expected = "a record of 4001 bytes")]
    fn a_record_over_the_bound_is_a_bug() {
        let queue = queue(1);
        let permit = queue.reserve(Lane::Request).unwrap();
        queue.append(permit, Timestamp::default(), |bytes| bytes.resize(RECORD_BYTES_MAX + 1, 0));
    }

    #[test]
    fn the_order_of_sequences_is_the_order_of_appends() {
        const PER_THREAD: u64 = 20_000;
        let queue = Queue::new(Sequence(1), QUEUE_BYTES_MAX, UPKEEP_BYTES_MAX);
        let turn = Mutex::new(0_u64);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..PER_THREAD {
                        let permit = queue.reserve(Lane::Request).unwrap();
                        // The turn stands for a shard lock: the append happens under it.
                        let mut turn = turn.lock();
                        *turn += 1;
                        let number = *turn;
                        let appended = queue.append(permit, Timestamp::from_millis(number), |to| {
                            to.extend_from_slice(&number.to_le_bytes());
                        });
                        assert_eq!(appended.sequence.0, number);
                    }
                });
            }
        });

        let mut buffer = Buffer::default();
        assert_eq!(queue.take(&mut buffer), Taken::Records);
        for (number, (time, payload)) in (1_u64..).zip(buffer.records()) {
            assert_eq!((time, payload), (number, number.to_le_bytes().as_slice()));
        }
        assert_eq!(buffer.len() as u64, 2 * PER_THREAD);
    }
}
