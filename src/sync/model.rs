//! What the models run on: loom's types in the shape of the real ones.
//!
//! Loom runs its threads in turns on one thread of the system and switches where they use these
//! types. A real lock is therefore allowed in a model only if nothing here is used under it, or if
//! nobody waits for it.
//!
//! **Architecture invariant:** nothing here is weaker than what it stands for: a model that holds
//! with these types would not be helped by the real ones.

use std::fmt;

pub(crate) use loom::sync::{MutexGuard, atomic};

/// A lock that nobody poisons, as that of `parking_lot`.
#[derive(Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model ends with its first panic")
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().expect("a model ends with its first panic")
    }

    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.0.try_lock().is_err()
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mutex").finish_non_exhaustive()
    }
}

/// A lock that many may read under, as that of `parking_lot`.
#[derive(Default)]
pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> loom::sync::RwLockReadGuard<'_, T> {
        self.0.read().expect("a model ends with its first panic")
    }

    pub(crate) fn write(&self) -> loom::sync::RwLockWriteGuard<'_, T> {
        self.0.write().expect("a model ends with its first panic")
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().expect("a model ends with its first panic")
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RwLock").finish_non_exhaustive()
    }
}

/// Threads that park. Loom's own parking wakes a thread that waits for something else, too.
pub(crate) mod thread {
    use std::sync::Arc;

    use loom::sync::Condvar;
    #[cfg(test)]
    pub(crate) use loom::thread::spawn;

    use super::Mutex;

    /// A handle to wake a thread.
    #[derive(Clone, Debug)]
    pub(crate) struct Thread(Arc<(Mutex<bool>, Condvar)>);

    loom::thread_local! {
        static CURRENT: Thread = Thread(Arc::new((Mutex::new(false), Condvar::new())));
    }

    pub(crate) fn current() -> Thread {
        CURRENT.with(Clone::clone)
    }

    pub(crate) fn park() {
        let thread = current();
        let (token, moved) = &*thread.0;
        let mut may_go = token.lock();
        while !*may_go {
            may_go = moved.wait(may_go).expect("a model ends with its first panic");
        }
        *may_go = false;
    }

    impl Thread {
        pub(crate) fn unpark(&self) {
            let (token, moved) = &*self.0;
            *token.lock() = true;
            moved.notify_one();
        }
    }
}

/// Bounded channels, as those of `crossbeam`.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use loom::sync::{Condvar, MutexGuard};

    use super::Mutex;

    /// The other side is gone.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Gone;

    /// No room, or nobody to take it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Full;

    /// The side that sends.
    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Channel<T>>);

    /// The side that takes.
    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    /// A channel with room for `capacity` messages. Without room, who sends waits until the message
    /// is taken.
    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let state =
            State { messages: VecDeque::new(), taken: 0, is_sending: true, is_taking: true };
        let channel = Channel { capacity, state: Mutex::new(state), moved: Condvar::new() };
        let channel = Arc::new(channel);
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, message: T) -> Result<(), Gone> {
            let channel = &*self.0;
            let mut state = channel.state.lock();
            while state.is_taking && channel.capacity.max(1) <= state.messages.len() {
                state = channel.wait(state);
            }
            state.messages.push_back(message);
            channel.moved.notify_all();
            let number = state.taken + state.messages.len();
            while channel.capacity == 0 && state.is_taking && state.taken < number {
                state = channel.wait(state);
            }
            if state.is_taking { Ok(()) } else { Err(Gone) }
        }

        pub(crate) fn try_send(&self, message: T) -> Result<(), Full> {
            let mut state = self.0.state.lock();
            if !state.is_taking || self.0.capacity <= state.messages.len() {
                return Err(Full);
            }
            state.messages.push_back(message);
            self.0.moved.notify_all();
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn recv(&self) -> Result<T, Gone> {
            let mut state = self.0.state.lock();
            loop {
                if let Some(message) = self.0.take(&mut state) {
                    return Ok(message);
                }
                if !state.is_sending {
                    return Err(Gone);
                }
                state = self.0.wait(state);
            }
        }

        pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
            std::iter::from_fn(|| self.0.take(&mut self.0.state.lock()))
        }
    }

    #[derive(Debug)]
    struct Channel<T> {
        capacity: usize,
        state: Mutex<State<T>>,
        moved: Condvar,
    }

    #[derive(Debug)]
    struct State<T> {
        messages: VecDeque<T>,
        taken: usize,
        is_sending: bool,
        is_taking: bool,
    }

    impl<T> Channel<T> {
        fn take(&self, state: &mut State<T>) -> Option<T> {
            let message = state.messages.pop_front()?;
            state.taken += 1;
            self.moved.notify_all();
            Some(message)
        }

        fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
            self.moved.wait(state).expect("a model ends with its first panic")
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            // A model that has failed has no turns left.
            if !std::thread::panicking() {
                self.0.state.lock().is_sending = false;
                self.0.moved.notify_all();
            }
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            // A model that has failed has no turns left.
            if !std::thread::panicking() {
                self.0.state.lock().is_taking = false;
                self.0.moved.notify_all();
            }
        }
    }
}

/// Runs a model under every interleaving with at most [`PREEMPTIONS_MAX`] switches that no thread
/// asked for, and says how many those were.
#[cfg(test)]
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    use std::sync::atomic::{AtomicU64, Ordering};

    let runs = std::sync::Arc::new(AtomicU64::new(0));
    let count = std::sync::Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    builder.max_branches = 20_000;
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    eprintln!("{} interleavings", runs.load(Ordering::Relaxed));
}

/// Known races need one or two; `LOOM_MAX_PREEMPTIONS` sets another bound.
#[cfg(test)]
const PREEMPTIONS_MAX: usize = 3;
