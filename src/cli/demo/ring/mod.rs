//! The scene of the scalpers: the same people and the same ring come to the same clinics twice.
//!
//! ```text
//! population --> people decide --> quests ask --> node --> killed --> journal --> who has the places
//!                     first come, first served, no rules | by lot, under rules, returns to who waits
//! ```
//!
//! **Architecture invariant:** who got the places is counted from the journal after the kill (`seen`), and
//! never from what the people of the scene believe.

mod clinics;
mod mind;
mod people;
mod play;
mod population;
mod quest;
mod report;
mod seen;
mod stage;

pub(super) use self::play::{Played, play};
pub(super) use self::report::RingReport;
pub(super) use self::seen::Seen;

/// How the places are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// To whoever asks first, by nobody's rules.
    FirstCome = 0,
    /// By lot, under rules, and what comes back to those who wait.
    ByLot = 1,
}

impl Part {
    const ALL: [Self; 2] = [Self::FirstCome, Self::ByLot];
}
