//! How far the log is durable, and who waits for it to move.
//!
//! **Architecture invariant:** the horizon only moves forward, and never again after a failure.
//! Only the commit thread moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use parking_lot::Mutex;

use super::{JournalError, Sequence};

/// The durable horizon. See the module.
#[derive(Debug)]
pub(super) struct Horizon {
    durable: AtomicU64,
    phase: AtomicU8,
    wakers: Mutex<Vec<Waker>>,
}

impl Horizon {
    /// A horizon that starts at a record.
    pub(super) fn new(durable: Sequence) -> Self {
        Self {
            durable: AtomicU64::new(durable.0),
            phase: AtomicU8::new(RUNNING),
            wakers: Mutex::default(),
        }
    }

    /// The last durable record.
    pub(super) fn durable(&self) -> Sequence {
        Sequence(self.durable.load(Ordering::Acquire))
    }

    /// Whether a commit failed: the horizon stands still for ever.
    pub(super) fn is_failed(&self) -> bool {
        self.phase.load(Ordering::Acquire) == FAILED
    }

    /// Has the waker called once, when the horizon moves next or the journal ends.
    ///
    /// Register first, then look at [`durable`](Self::durable) again: a move in between is either
    /// seen by that look or wakes.
    pub(super) fn register(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        // A task that polls twice between two commits is mostly among the latest.
        if !wakers.iter().rev().take(DUPLICATES_SOUGHT).any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    /// Waits until a record is durable, on this thread.
    pub(super) fn wait(&self, sequence: Sequence) -> Result<(), JournalError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            self.register(&waker);
            // The phase first: a journal that closes does so after its last move.
            let phase = self.phase.load(Ordering::Acquire);
            if sequence <= self.durable() {
                return Ok(());
            }
            match phase {
                RUNNING => thread::park(),
                CLOSED => return Err(JournalError::Closed),
                _ => return Err(JournalError::Failed),
            }
        }
    }

    /// Moves the horizon. `spare` lends its capacity for the wakers.
    pub(super) fn publish(&self, durable: Sequence, spare: &mut Vec<Waker>) {
        if self.is_failed() {
            return;
        }
        debug_assert!(self.durable() <= durable, "the horizon moves forward");
        self.durable.store(durable.0, Ordering::Release);
        self.wake_all(spare);
    }

    /// Stops the horizon for ever.
    pub(super) fn fail(&self) {
        self.phase.store(FAILED, Ordering::Release);
        self.wake_all(&mut Vec::new());
    }

    /// Says that the horizon will not move any more, because all is durable.
    pub(super) fn close(&self) {
        if !self.is_failed() {
            self.phase.store(CLOSED, Ordering::Release);
        }
        self.wake_all(&mut Vec::new());
    }

    fn wake_all(&self, spare: &mut Vec<Waker>) {
        debug_assert!(spare.is_empty(), "spare capacity only");
        std::mem::swap(&mut *self.wakers.lock(), spare);
        // Outside the lock: a woken task may register at once.
        spare.drain(..).for_each(Waker::wake);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

const RUNNING: u8 = 0;
const FAILED: u8 = 1;
const CLOSED: u8 = 2;
/// How many of the latest wakers are compared with a new one.
const DUPLICATES_SOUGHT: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_waker_is_called_once_per_registration() {
        let horizon = Horizon::new(Sequence(0));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        horizon.register(&waker);
        horizon.register(&waker);
        horizon.publish(Sequence(1), &mut Vec::new());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        horizon.publish(Sequence(2), &mut Vec::new());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failure_wakes_and_is_told_apart_from_a_close() {
        let horizon = Horizon::new(Sequence(3));
        let count = Arc::new(Count::default());
        horizon.register(&Waker::from(Arc::clone(&count)));
        horizon.fail();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(horizon.wait(Sequence(3)).is_ok());
        assert!(matches!(horizon.wait(Sequence(4)), Err(JournalError::Failed)));

        let horizon = Horizon::new(Sequence(3));
        horizon.close();
        assert!(matches!(horizon.wait(Sequence(4)), Err(JournalError::Closed)));
    }
}
