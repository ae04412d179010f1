//! A wall clock that is wrong on purpose: for tests of what the node does then.

use std::path::PathBuf;

use crate::ops::clock::{ClockSource, SystemClock};

/// The machine's clocks, with a file's number of milliseconds added to the wall's.
#[derive(Debug)]
pub(super) struct OffsetClock {
    system: SystemClock,
    file: PathBuf,
}

impl OffsetClock {
    /// The offset is read at every look; a file that cannot be read adds nothing.
    pub(super) const fn new(system: SystemClock, file: PathBuf) -> Self {
        Self { system, file }
    }
}

impl ClockSource for OffsetClock {
    fn monotonic(&self) -> u64 {
        self.system.monotonic()
    }

    fn wall(&self) -> u64 {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let millis: i64 = text.trim().parse().unwrap_or(0);
        self.system.wall().saturating_add_signed(millis.saturating_mul(1_000))
    }
}
