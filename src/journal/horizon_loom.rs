//! The horizon in every interleaving: no wake-up is lost, and nothing is told before it is true.
//!
//! Each model stands beside one whose step is wrong on purpose, which must fail.

use super::*;
use crate::sync::atomic::AtomicBool;
use crate::sync::explore;

fn horizon() -> Arc<Horizon> {
    Arc::new(Horizon::new(Sequence(0)))
}

/// One thread waits for record 2 as `wait` says, while the horizon moves twice.
fn model_of_waiting(wait: fn(&Horizon, Sequence)) {
    explore(move || {
        let horizon = horizon();
        let other = Arc::clone(&horizon);
        let waiter = thread::spawn(move || wait(&other, Sequence(2)));
        horizon.publish(Sequence(1), &mut Vec::new());
        horizon.publish(Sequence(2), &mut Vec::new());
        waiter.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_record_is_woken() {
    model_of_waiting(|horizon, sequence| horizon.wait(sequence).unwrap());
}

/// Broken: the waiter looks first and registers then. A move in between wakes nobody.
#[test]
#[should_panic(expected = "deadlock")]
fn broken_who_looks_before_it_registers_sleeps_for_ever() {
    model_of_waiting(|horizon, sequence| {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while horizon.durable() < sequence {
            horizon.register(&waker);
            thread::park();
        }
    });
}

#[test]
fn a_failure_and_a_close_wake_who_waits() {
    for end in [Horizon::fail, Horizon::close] {
        explore(move || {
            let horizon = horizon();
            let other = Arc::clone(&horizon);
            let waiter = thread::spawn(move || other.wait(Sequence(2)).is_err());
            horizon.publish(Sequence(1), &mut Vec::new());
            end(&horizon);
            assert!(waiter.join().unwrap());
        });
    }
}

/// A task as the server's: it registers once for each horizon that it sees, and is polled whenever
/// it is woken.
fn model_of_a_task(publish: fn(&Horizon, Sequence)) {
    explore(move || {
        let horizon = horizon();
        let other = Arc::clone(&horizon);
        let task = thread::spawn(move || {
            let woken = Arc::new(Flag(AtomicBool::new(false), thread::current()));
            let waker = Waker::from(Arc::clone(&woken));
            let mut registered = None;
            loop {
                let durable = other.durable();
                if durable == Sequence(2) {
                    return;
                }
                if registered == Some(durable) {
                    woken.wait();
                } else {
                    registered = Some(durable);
                    other.register(&waker);
                }
            }
        });
        publish(&horizon, Sequence(1));
        publish(&horizon, Sequence(2));
        task.join().unwrap();
    });
}

/// Remembers that it was woken.
struct Flag(AtomicBool, Thread);

impl Flag {
    fn wait(&self) {
        while !self.0.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        // Not a store: loom would let the swap of the other side come after it.
        self.0.swap(true, Ordering::AcqRel);
        self.1.unpark();
    }
}

#[test]
fn a_task_that_registers_once_per_advance_is_woken() {
    model_of_a_task(|horizon, sequence| horizon.publish(sequence, &mut Vec::new()));
}

/// Broken: the horizon moves before the lock of the wakers is taken. A task that has seen the move
/// registers for the next one, and is taken for this one.
#[test]
#[should_panic(expected = "deadlock")]
fn broken_a_move_before_the_lock_forgets_a_task() {
    model_of_a_task(|horizon, sequence| {
        horizon.durable.store(sequence.0, Ordering::Release);
        horizon.wake_all(&mut Vec::new(), || ());
    });
}

/// Whoever sees that a record is durable sees what made it so.
fn model_of_visibility(publish: fn(&Horizon)) {
    explore(move || {
        let shared = Arc::new((horizon(), AtomicU64::new(0)));
        let other = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let durable = other.0.durable().0;
            assert!(durable <= other.1.load(Ordering::Relaxed), "told before it was synced");
        });
        shared.1.store(1, Ordering::Relaxed);
        publish(&shared.0);
        reader.join().unwrap();
    });
}

#[test]
fn who_sees_the_horizon_sees_what_was_synced() {
    model_of_visibility(|horizon| horizon.publish(Sequence(1), &mut Vec::new()));
}

/// Broken: the horizon is stored without an order.
#[test]
#[should_panic(expected = "told before it was synced")]
fn broken_a_relaxed_horizon_is_seen_before_the_sync() {
    model_of_visibility(|horizon| horizon.durable.store(1, Ordering::Relaxed));
}

/// Pruning may fail on a thread of its own while a group is made durable.
fn model_of_a_failure(publish: fn(&Horizon)) {
    explore(move || {
        let horizon = horizon();
        let (failing, publishing) = (Arc::clone(&horizon), Arc::clone(&horizon));
        let threads =
            [thread::spawn(move || failing.fail()), thread::spawn(move || publish(&publishing))];
        if horizon.is_failed() {
            let durable = horizon.durable();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(horizon.durable(), durable, "it moved after the failure");
        }
    });
}

#[test]
fn the_horizon_never_moves_after_a_failure() {
    model_of_a_failure(|horizon| horizon.publish(Sequence(1), &mut Vec::new()));
}

/// Broken: the failure is looked for before the lock of the wakers is taken.
#[test]
#[should_panic(expected = "it moved after the failure")]
fn broken_a_look_before_the_lock_misses_the_failure() {
    model_of_a_failure(|horizon| {
        if !horizon.is_failed() {
            horizon.wake_all(&mut Vec::new(), || horizon.durable.store(1, Ordering::Release));
        }
    });
}
