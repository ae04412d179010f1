//! Streams that wait for their peer, and how long they do.
//!
//! ```text
//! stream      note(waits, progress) --> Pulse --> Watch  look, look, look: the same? too slow
//! (each loop: one store)               (shared)          (the connection's task, every few seconds)
//! ```
//!
//! **Architecture invariant:** costs a stream one store of its own memory per loop, and no timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::PEER_LOOKS;

/// Whether a stream waits for its peer, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    /// Notes both. Progress is a frame that was ended, or a byte that was taken: a byte of a frame
    /// is none, or one in a minute would be enough.
    pub(super) fn note(&self, waits: bool, progress: u64) {
        self.0.store(progress << 1 | u64::from(waits), Ordering::Relaxed);
    }
}

/// Watches the pulse of one stream.
#[derive(Debug)]
pub(super) struct Watch {
    pulse: Arc<Pulse>,
    last: u64,
    same: u32,
}

impl Watch {
    pub(super) fn new(pulse: &Arc<Pulse>) -> Self {
        Self { pulse: Arc::clone(pulse), last: 0, same: 0 }
    }

    /// Whether the stream still lives.
    pub(super) fn is_needed(&self) -> bool {
        1 < Arc::strong_count(&self.pulse)
    }

    /// Looks once more. Says whether the peer has made the stream wait at [`PEER_LOOKS`] looks in a
    /// row, without any progress.
    pub(super) fn look(&mut self) -> bool {
        let now = self.pulse.0.load(Ordering::Relaxed);
        let waits = now & 1 == 1;
        self.same = if waits && now == self.last { self.same + 1 } else { 0 };
        self.last = now;
        PEER_LOOKS <= self.same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(pulse: &Arc<Pulse>, mut meanwhile: impl FnMut(u64)) -> Option<u64> {
        let mut watch = Watch::new(pulse);
        (1..=100).find(|look| {
            meanwhile(*look);
            watch.look()
        })
    }

    #[test]
    fn only_who_makes_a_stream_wait_without_progress_is_too_slow() {
        let pulse = Arc::new(Pulse::default());
        assert_eq!(looks(&pulse, |_| {}), None, "an idle stream waits for nobody");
        pulse.note(true, 7);
        let enough = u64::from(PEER_LOOKS) + 1;
        assert_eq!(looks(&pulse, |_| {}), Some(enough));
        assert_eq!(looks(&pulse, |look| pulse.note(true, look)), None, "progress");
        assert_eq!(looks(&pulse, |look| pulse.note(look % 5 != 0, 7)), None, "caught up");
        assert_eq!(looks(&pulse, |look| pulse.note(true, look.min(3))), Some(3 + enough - 1));
    }
}
