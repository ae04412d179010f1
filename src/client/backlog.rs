//! How long what was asked has waited for its answer.
//!
//! ```text
//! asked      1 .. 40 from 0 ms | 41 .. 90 from 10 ms | 91 .. 130 from 20 ms        answered: 60
//! waits      since 10 ms: the first of the tens in which something is open
//! ```
//!
//! A node sees only what it has read. Where more comes than it can read, the rest waits with the
//! client, behind the flow control of its stream: who asks there is told late, or too late. So the
//! client looks how long the oldest has waited, and asks for no more holds while that is long.
//!
//! **Architecture invariant:** nothing here reads a clock; memory is bounded by the time that the
//! oldest has waited, not by how many wait.

use std::collections::VecDeque;

/// What is asked and not answered yet, by the time at which it was asked. Answers are counted as if
/// they came in the order of asking: few overtake others, and none by much.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    asked: u64,
    answered: u64,
    /// The number of the first that was asked in a stretch, and when that was.
    marks: VecDeque<(u64, u64)>,
}

/// A stretch whose beginning counts for all of it, in microseconds.
const STRETCH_MICROS: u64 = 10_000;

impl Backlog {
    /// Something is asked. Time is in microseconds from any zero, and never goes back.
    pub fn ask(&mut self, micros: u64) {
        self.asked += 1;
        if self.marks.back().is_none_or(|(_, from)| from + STRETCH_MICROS <= micros) {
            self.marks.push_back((self.asked, micros));
        }
    }

    /// Something that was asked is answered, or nobody waits for it any more.
    pub fn answer(&mut self) {
        self.answered = self.asked.min(self.answered + 1);
        let open = self.answered + 1;
        while self.marks.get(1).is_some_and(|(first, _)| *first <= open) {
            self.marks.pop_front();
        }
        if self.answered == self.asked {
            self.marks.clear();
        }
    }

    /// For how many microseconds the oldest has waited; 0 where nothing is open.
    pub fn waits(&self, micros: u64) -> u64 {
        self.marks.front().map_or(0, |(_, from)| micros.saturating_sub(*from))
    }

    /// How much is open.
    pub const fn open(&self) -> u64 {
        self.asked - self.answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_open_says_how_long_it_waits() {
        let mut backlog = Backlog::default();
        assert_eq!((backlog.waits(5_000), backlog.open()), (0, 0), "nothing was asked");
        // Forty at once, fifty 10 ms later, forty 10 ms later.
        for (from, count) in [(0, 40), (10_000, 50), (20_000, 40)] {
            (0..count).for_each(|nth| backlog.ask(from + nth));
        }
        // Answered so far, and for how long the oldest has waited at 25 ms.
        let table =
            [(0, 25_000), (39, 25_000), (40, 15_000), (89, 15_000), (90, 5_000), (129, 5_000)];
        for (answered, waits) in table {
            while backlog.answered < answered {
                backlog.answer();
            }
            assert_eq!(backlog.waits(25_000), waits, "{answered} answered");
            assert_eq!(backlog.open(), 130 - answered);
        }
        backlog.answer();
        assert_eq!((backlog.waits(25_000), backlog.open()), (0, 0), "all are answered");
        backlog.ask(90_000);
        assert_eq!(backlog.waits(91_000), 1_000, "what comes after a pause waits from then on");
    }

    #[test]
    fn a_million_that_wait_for_a_second_take_a_hundred_marks() {
        let mut backlog = Backlog::default();
        (0..1_000_000).for_each(|micros| backlog.ask(micros));
        assert_eq!(backlog.marks.len(), 100);
        (0..1_000_000).for_each(|_| backlog.answer());
        assert_eq!((backlog.open(), backlog.marks.len()), (0, 0));
        backlog.answer();
        assert_eq!(backlog.open(), 0, "an answer too many counts for nothing");
    }
}
