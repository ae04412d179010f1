//! How far the log is durable, and who waits for it to move.
//!
//! **Architecture invariant:** the horizon only moves forward, and never again after a failure.
//! Only the thread that holds the syncing side of the store moves it.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{JournalError, Sequence};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::thread::{self, Thread};

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
        debug_assert!(self.durable() <= durable, "the horizon moves forward");
        self.wake_all(spare, || {
            // Under the lock, as the failure: a pruning may fail on another thread meanwhile.
            if !self.is_failed() {
                self.durable.store(durable.0, Ordering::Release);
            }
        });
    }

    /// Stops the horizon for ever.
    pub(super) fn fail(&self) {
        self.wake_all(&mut Vec::new(), || self.phase.store(FAILED, Ordering::Release));
    }

    /// Says that the horizon will not move any more, because all is durable.
    pub(super) fn close(&self) {
        self.wake_all(&mut Vec::new(), || {
            if !self.is_failed() {
                self.phase.store(CLOSED, Ordering::Release);
            }
        });
    }

    /// Moves, and wakes who registered before the move. The move happens under the lock of the
    /// wakers: one who has seen it registers for the next one, and is not taken for this one. A
    /// task that registers once per advance would else sleep for ever.
    fn wake_all(&self, spare: &mut Vec<Waker>, advance: impl FnOnce()) {
        debug_assert!(spare.is_empty(), "spare capacity only");
        let mut wakers = self.wakers.lock();
        advance();
        std::mem::swap(&mut *wakers, spare);
        drop(wakers);
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

#[cfg(all(test, haoyuan_loom))]
#[path = "horizon_loom.rs"]
mod loom;

#[cfg(all(test, not(haoyuan_loom)))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Remembers that it was woken.
    struct Flag(AtomicBool, Thread);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
            self.1.unpark();
        }
    }

    impl Flag {
        /// Waits to be woken, 20 s at the most. A thread may come back from parking by itself.
        fn wait(&self) -> bool {
            (0..2_000).any(|_| {
                let woken = self.0.swap(false, Ordering::SeqCst);
                if !woken {
                    thread::park_timeout(Duration::from_millis(10));
                }
                woken
            })
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

    /// A task as the server's: it registers once for each horizon that it sees, and is polled
    /// whenever it is woken. One lost wake-up and the two threads wait for each other.
    #[test]
    fn a_task_that_registers_once_per_advance_is_never_forgotten() {
        const STEPS: u64 = 20_000;
        let horizon = Horizon::new(Sequence(0));
        let seen = AtomicU64::new(0);
        thread::scope(|scope| {
            let task = scope.spawn(|| {
                let woken = Arc::new(Flag(AtomicBool::new(false), thread::current()));
                let waker = Waker::from(Arc::clone(&woken));
                let mut registered = None;
                for step in 1..=STEPS {
                    while horizon.durable().0 < step {
                        let durable = horizon.durable();
                        if registered == Some(durable) {
                            assert!(woken.wait(), "the wake-up for {step} was lost");
                            continue;
                        }
                        registered = Some(durable);
                        horizon.register(&waker);
                    }
                    seen.store(step, Ordering::Release);
                }
            });
            for step in 1..=STEPS {
                horizon.publish(Sequence(step), &mut Vec::new());
                while seen.load(Ordering::Acquire) < step && !task.is_finished() {
                    thread::yield_now();
                }
            }
        });
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
