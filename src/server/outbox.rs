//! What a stream has answered and not sent: some ready, some waiting for the journal.
//!
//! ```text
//! answer(after 0)   ------------------------------> ready, packed into frames --> take
//! answer(after 17)  --> waiting: 17, 17, 18, 21 --release(18)--^
//! ```
//!
//! **Architecture invariant:** what rests on a record leaves `waiting` only by
//! [`Outbox::release`] with a horizon at or beyond that record (I-5).

use std::collections::VecDeque;
use std::time::Instant;

use super::limits::OUTBOX_BYTES_MAX;
use super::metrics::{AnswerClass, ServerMetrics};
use crate::model::{FeedRecord, Sequence};
use crate::protocol::{FrameKind, IN_FLIGHT_MAX, Packer, append_item, write_fact_item};

#[derive(Debug, Default)]
pub(super) struct Outbox {
    ready: Packer,
    /// Encoded answers that wait, back to back, from `head` on.
    waiting: Vec<u8>,
    head: usize,
    /// Where each of them ends, and what it waits for: never less than the one before.
    marks: VecDeque<Mark>,
    /// When they were read, batch by batch.
    batches: VecDeque<Batch>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    after: Sequence,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    read: Instant,
    left: usize,
}

impl Outbox {
    /// Adds an answer that may be said at once.
    pub(super) fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.ready.item(FrameKind::Replies, write);
    }

    /// Adds an answer that may be said once `after` is durable. A stream's answers wait in line:
    /// one that rests on an older record than the one before leaves with it.
    pub(super) fn say_after(&mut self, after: Sequence, write: impl FnOnce(&mut Vec<u8>)) {
        append_item(&mut self.waiting, write);
        let after = self.marks.back().map_or(after, |last| last.after.max(after));
        self.marks.push_back(Mark { after, end: self.waiting.len() });
    }

    /// Notes when the answers added since the last call were read, for the latency.
    pub(super) fn end_batch(&mut self, read: Instant, added: usize) {
        if 0 < added {
            self.batches.push_back(Batch { read, left: added });
        }
    }

    /// Makes ready what rests on records up to `durable`.
    pub(super) fn release(&mut self, durable: Sequence, metrics: &ServerMetrics) {
        let mut released = 0;
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.after <= durable) {
            let item = self.waiting.get(self.head..mark.end).unwrap_or_default();
            self.ready.encoded_item(FrameKind::Replies, item);
            self.head = mark.end;
            released += 1;
        }
        if 0 < released {
            self.tidy();
            self.record(released, metrics);
        }
    }

    /// What the first of the waiting answers waits for.
    pub(super) fn awaits(&self) -> Option<Sequence> {
        self.marks.front().map(|mark| mark.after)
    }

    /// Answers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.marks.len()
    }

    /// Whether more may be read and answered.
    pub(super) fn has_room(&self) -> bool {
        let bytes = self.ready.len() + self.waiting.len() - self.head;
        bytes < OUTBOX_BYTES_MAX && self.marks.len() < IN_FLIGHT_MAX as usize
    }

    /// Takes what is ready, as whole frames.
    pub(super) fn take(&mut self) -> Option<bytes::Bytes> {
        (!self.ready.is_empty()).then(|| bytes::Bytes::from(self.ready.take()))
    }

    /// Adds a whole frame.
    pub(super) fn frame(&mut self, kind: FrameKind, write: impl FnOnce(&mut Vec<u8>)) {
        self.ready.frame(kind, write);
    }

    /// Adds a record of the feed.
    pub(super) fn fact(&mut self, record: &FeedRecord) {
        self.ready.item(FrameKind::Facts, |buffer| write_fact_item(record, buffer));
    }

    /// Gives the space of what has left back to `waiting`.
    fn tidy(&mut self) {
        if self.head == self.waiting.len() {
            self.waiting.clear();
            self.head = 0;
        } else if OUTBOX_BYTES_MAX / 8 < self.head {
            self.waiting.drain(..self.head);
            for mark in &mut self.marks {
                mark.end -= self.head;
            }
            self.head = 0;
        }
    }

    fn record(&mut self, mut released: usize, metrics: &ServerMetrics) {
        while let Some(batch) = self.batches.front_mut() {
            let count = released.min(batch.left);
            if count == 0 {
                break;
            }
            metrics.record(AnswerClass::Durable, batch.read, count);
            released -= count;
            batch.left -= count;
            if batch.left == 0 {
                self.batches.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Assembler;
    use crate::server::metrics::stopwatch;

    fn said(outbox: &mut Outbox) -> Vec<u8> {
        let mut assembler = Assembler::default();
        assembler.push(&outbox.take().unwrap_or_default());
        let mut said = Vec::new();
        while let Some((_, unit)) = assembler.next_unit().unwrap() {
            said.push(unit[0]);
        }
        said
    }

    #[test]
    fn an_answer_leaves_only_when_its_record_is_durable() {
        let metrics = ServerMetrics::default();
        let mut outbox = Outbox::default();
        for (name, after) in [(1, 5), (2, 7), (3, 6), (4, 9)] {
            outbox.say_after(Sequence(after), |buffer| buffer.push(name));
        }
        outbox.say(|buffer| buffer.push(0));
        outbox.end_batch(stopwatch(), 4);
        assert_eq!(outbox.awaits(), Some(Sequence(5)));
        for (durable, expected) in
            [(4, &[0][..]), (5, &[1]), (6, &[]), (7, &[2, 3]), (8, &[]), (9, &[4])]
        {
            outbox.release(Sequence(durable), &metrics);
            assert_eq!(said(&mut outbox), expected, "horizon {durable}");
        }
        assert_eq!((outbox.awaits(), outbox.waiting()), (None, 0));
        assert_eq!(metrics.latency(AnswerClass::Durable).len(), 4);
    }

    #[test]
    fn a_full_outbox_has_no_room_until_something_leaves() {
        let metrics = ServerMetrics::default();
        let mut outbox = Outbox::default();
        let mut sequence = 0;
        while outbox.has_room() {
            sequence += 1;
            outbox.say_after(Sequence(sequence), |buffer| buffer.extend_from_slice(&[1; 100]));
        }
        assert!(outbox.waiting() <= IN_FLIGHT_MAX as usize);
        outbox.release(Sequence(sequence / 2), &metrics);
        assert!(!said(&mut outbox).is_empty() && outbox.has_room());
        outbox.release(Sequence(sequence), &metrics);
        assert_eq!(said(&mut outbox).len() as u64, sequence - sequence / 2);
    }
}
