//! How long what was asked has waited for its answer.
//!
//! ```text
//! stretch        from 0 ms     from 10 ms     from 20 ms
//! asked          40            50             40
//! open           0             31             40             the oldest waits since 10 ms
//! ```
//!
//! A node sees only what it has read. Where more comes than it can read, the rest waits with the
//! client, behind the flow control of its stream: who asks there is told late, or too late. So the
//! client looks how long the oldest has waited, and asks for no more holds while that is long.
//!
//! **Architecture invariant:** nothing here reads a clock; memory is bounded by the time that the
//! oldest has waited, not by how many wait.

use std::collections::VecDeque;

/// What is asked and not answered yet, by the time at which it was asked. Who gives up is counted
/// off his own stretch: whoever waits longer than he did is still the oldest.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// The oldest first, and in that nobody is open only where somebody older is.
    stretches: VecDeque<Stretch>,
    /// The number of the oldest stretch.
    first: u64,
    open: u64,
}

/// In which stretch something was asked: told when it is asked, and given back with its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StretchId(u64);

#[derive(Clone, Debug)]
struct Stretch {
    /// Microseconds.
    from: u64,
    open: u64,
}

/// A stretch whose beginning counts for all of it, in microseconds.
const STRETCH_MICROS: u64 = 10_000;

impl Backlog {
    /// Something is asked. Time is in microseconds from any zero, and never goes back.
    pub fn ask(&mut self, micros: u64) -> StretchId {
        self.open += 1;
        match self.stretches.back_mut() {
            Some(last) if micros < last.from + STRETCH_MICROS => last.open += 1,
            _ => self.stretches.push_back(Stretch { from: micros, open: 1 }),
        }
        StretchId(self.first + self.stretches.len() as u64 - 1)
    }

    /// Something that was asked is answered, or nobody waits for it any more. Once for each.
    pub fn answer(&mut self, asked: StretchId) {
        let stretch = asked.0.checked_sub(self.first).and_then(|nth| usize::try_from(nth).ok());
        let Some(stretch) = stretch.and_then(|nth| self.stretches.get_mut(nth)) else { return };
        if stretch.open == 0 {
            return;
        }
        stretch.open -= 1;
        self.open -= 1;
        while self.stretches.front().is_some_and(|oldest| oldest.open == 0) {
            self.stretches.pop_front();
            self.first += 1;
        }
    }

    /// For how many microseconds the oldest has waited; 0 where nothing is open.
    pub fn waits(&self, micros: u64) -> u64 {
        self.stretches.front().map_or(0, |oldest| micros.saturating_sub(oldest.from))
    }

    /// How much is open.
    pub const fn open(&self) -> u64 {
        self.open
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
        let asked: Vec<StretchId> = [(0, 40), (10_000, 50), (20_000, 40)]
            .into_iter()
            .flat_map(|(from, count)| (0..count).map(move |nth| from + nth))
            .map(|micros| backlog.ask(micros))
            .collect();
        // Answered so far, and for how long the oldest has waited at 25 ms.
        let table =
            [(0, 25_000), (39, 25_000), (40, 15_000), (89, 15_000), (90, 5_000), (129, 5_000)];
        let mut answered = 0;
        for (count, waits) in table {
            for asked in &asked[answered..count] {
                backlog.answer(*asked);
            }
            answered = count;
            assert_eq!(backlog.waits(25_000), waits, "{answered} answered");
            assert_eq!(backlog.open(), 130 - answered as u64);
        }
        backlog.answer(asked[129]);
        assert_eq!((backlog.waits(25_000), backlog.open()), (0, 0), "all are answered");
        backlog.ask(90_000);
        assert_eq!(backlog.waits(91_000), 1_000, "what comes after a pause waits from then on");
    }

    #[test]
    fn whoever_gives_up_or_is_answered_sooner_leaves_the_oldest_waiting() {
        let mut backlog = Backlog::default();
        let oldest = backlog.ask(0);
        for nth in 1..=100 {
            let younger = backlog.ask(nth * 5_000);
            backlog.answer(younger);
            assert_eq!(backlog.waits(nth * 5_000), nth * 5_000, "{nth} gave up");
        }
        backlog.answer(oldest);
        assert_eq!((backlog.waits(600_000), backlog.open()), (0, 0));
    }

    #[test]
    fn a_million_that_wait_for_a_second_take_a_hundred_stretches() {
        let mut backlog = Backlog::default();
        let asked: Vec<StretchId> = (0..1_000_000).map(|micros| backlog.ask(micros)).collect();
        assert_eq!(backlog.stretches.len(), 100);
        for asked in &asked {
            backlog.answer(*asked);
        }
        assert_eq!((backlog.open(), backlog.stretches.len()), (0, 0));
        backlog.answer(asked[0]);
        assert_eq!(backlog.open(), 0, "an answer too many counts for nothing");
    }
}
