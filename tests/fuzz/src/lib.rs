//! What the fuzz targets share: reading small numbers from bytes, and two watchers.
//!
//! ```text
//! bytes --> Bytes --> a value of the model, small numbers only, so that things meet
//! possible(run)   an "impossible fact" is an answer (crash rather than corrupt); any other panic ends
//! bounded(run)    what is allocated for an input is bounded by its length
//! ```

mod facts;
mod memory;
mod values;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

pub use facts::FactSource;
pub use memory::{TIMES, bounded};
pub use values::{
    MORNING, amend, appeal, apply_rules, appointment, call_next, change, channel, hold, join,
    leave, merge, name_patient, order, patient, pay, refund, request, reschedule, restrict,
    session, set_quotas,
};

/// Bytes that are read to their end, and then are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Whether nothing but zeros is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: u16) -> u8 {
        let number = u16::from(self.byte()) % bound;
        u8::try_from(number).expect("a remainder of 256 fits a byte")
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u16) -> bool {
        self.below(times) == 1
    }

    /// The next two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The next eight bytes.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// So many bytes, or what is left.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

static EXPECTED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Runs what may meet an impossible fact: `None` where it did. Every other panic ends the process.
pub fn possible<T>(run: impl FnOnce() -> T) -> Option<T> {
    HOOK.call_once(|| {
        let abort = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !(EXPECTED.load(Ordering::Relaxed) && text.starts_with("an impossible fact")) {
                abort(info);
            }
        }));
    });
    EXPECTED.store(true, Ordering::Relaxed);
    let result = panic::catch_unwind(AssertUnwindSafe(run)).ok();
    EXPECTED.store(false, Ordering::Relaxed);
    result
}
