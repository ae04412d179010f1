//! Deadlines, the earliest first.
//!
//! Holds of one session share a length, so that most deadlines come in order: those go to the end
//! of a queue, which touches one line of memory. The others go to a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::chunks::Position;
use crate::model::Timestamp;

/// When which position is due.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: VecDeque<(Timestamp, Position)>,
    others: BinaryHeap<Reverse<(Timestamp, Position)>>,
}

impl Deadlines {
    pub(super) fn push(&mut self, until: Timestamp, position: Position) {
        if self.in_order.back().is_none_or(|(last, _)| *last <= until) {
            self.in_order.push_back((until, position));
        } else {
            self.others.push(Reverse((until, position)));
        }
    }

    /// The earliest deadline and its position.
    pub(super) fn first(&self) -> Option<(Timestamp, Position)> {
        let other = self.others.peek().map(|Reverse(first)| *first);
        match (self.in_order.front().copied(), other) {
            (Some(first), Some(other)) => Some(first.min(other)),
            (first, other) => first.or(other),
        }
    }

    /// Drops what [`first`](Self::first) gives.
    pub(super) fn drop_first(&mut self) {
        let Some(first) = self.first() else { return };
        if self.in_order.front() == Some(&first) {
            self.in_order.pop_front();
        } else {
            self.others.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_out_in_order_whatever_the_order_they_went_in() {
        for order in [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [3, 5, 1, 4, 2], [2, 2, 1, 1, 3]] {
            let mut deadlines = Deadlines::default();
            for (position, until) in (0..).zip(order) {
                deadlines.push(Timestamp::from_millis(until), position);
            }
            let mut sorted = order;
            sorted.sort_unstable();
            for until in sorted {
                assert_eq!(deadlines.first().unwrap().0.as_millis(), until, "{order:?}");
                deadlines.drop_first();
            }
            assert_eq!(deadlines.first(), None);
        }
    }
}
