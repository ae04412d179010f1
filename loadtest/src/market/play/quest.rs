//! One person's wish for one opening, and how far it has come.
//!
//! ```text
//! Open -- asks --> Entered -- won --> Held --> Booked --> Over
//!   '-- asks, is offered ------------> '-- lapsed --> Open
//! ```

use crate::market::manner::Guise;
use crate::market::minds::Past;

/// One person's wish for one opening.
#[derive(Debug)]
pub(crate) struct Quest {
    pub(super) past: Past,
    pub(crate) opening: u32,
    pub(super) state: State,
    /// Counts plans: what was planned before the last one is void.
    pub(super) plan: u16,
    pub(super) is_asking: bool,
    pub(super) appointment: u128,
    /// The door through which it was got, with the guise of then.
    pub(super) got_by: Option<Guise>,
    /// The race that a script is in: the opening's, or that for a place which is handed over.
    pub(super) race_from: u64,
    /// Tries elsewhere when it has cancelled.
    pub(super) rebooks: bool,
    /// When the first request was to be sent after the opening; `u64::MAX` before.
    pub(crate) first_asked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Asks, will ask, or waits to be offered a place.
    Open,
    Entered,
    Held,
    Booked,
    /// Wants nothing more.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Ask,
    Book,
    Release,
    Cancel,
    HandOver,
}

impl Quest {
    /// One that nothing was done for yet.
    pub(super) const fn new(past: Past, opening: u32) -> Self {
        Self {
            past,
            opening,
            state: State::Open,
            plan: 0,
            is_asking: false,
            appointment: 0,
            got_by: None,
            race_from: 0,
            rebooks: false,
            first_asked: u64::MAX,
        }
    }
}
