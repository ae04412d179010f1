//! The hand-over in every interleaving: permits, order, and the bell.
//!
//! Each model stands beside one whose step is wrong on purpose, which must fail.

use std::sync::Arc;

use super::*;
use crate::sync::channel::bounded;
use crate::sync::{explore, thread};

fn queue(permits: u64) -> Arc<Queue> {
    Arc::new(Queue::new(Sequence(1), permits * PERMIT_BYTES, PERMIT_BYTES))
}

type Reserve = fn(&Queue) -> Option<Permit<'_>>;

/// Two threads want the one permit that there is.
fn model_of_permits(reserve: Reserve) {
    explore(move || {
        let shared = Arc::new((queue(1), AtomicU64::new(0)));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || use_permit(&other.0, &other.1, reserve));
        use_permit(&shared.0, &shared.1, reserve);
        thread.join().unwrap();
        let used = shared.0.used_bytes(Lane::Request);
        assert_eq!(used, 0, "one permit was given twice");
        assert!(reserve(&shared.0).is_some(), "what was given back can be given again");
    });
}

/// Counts itself among those who have a permit.
fn use_permit(queue: &Queue, users: &AtomicU64, reserve: Reserve) {
    let Some(permit) = reserve(queue) else { return };
    let others = users.fetch_add(1, Ordering::Relaxed);
    users.fetch_sub(1, Ordering::Relaxed);
    drop(permit);
    assert_eq!(others, 0, "one permit was given twice");
}

#[test]
fn permits_are_never_over_committed() {
    model_of_permits(|queue| queue.reserve(Lane::Request));
}

/// Broken: reads what is used, then writes it.
#[test]
#[should_panic(expected = "one permit was given twice")]
fn broken_a_permit_in_two_steps_is_given_twice() {
    model_of_permits(|queue| {
        let budget = queue.budget(Lane::Request);
        let used = budget.used.load(Ordering::Acquire) + PERMIT_BYTES;
        if budget.max < used {
            return None;
        }
        budget.used.store(used, Ordering::Release);
        Some(Permit { queue, lane: Lane::Request, bytes: PERMIT_BYTES })
    });
}

type Append = fn(&Queue, Permit<'_>, u8) -> Appended;
type Take = fn(&Queue, &mut Buffer) -> Taken;

/// Two threads append a record each; a third takes groups, and sleeps when there is none.
fn model_of_the_hand_over(append: Append, take: Take) {
    explore(move || {
        let queue = queue(4);
        let (ring, bell) = bounded(1);
        let ring = Arc::new(ring);
        let appenders = [b'a', b'b'].map(|payload| {
            let (queue, ring) = (Arc::clone(&queue), Arc::clone(&ring));
            thread::spawn(move || {
                let permit = queue.reserve(Lane::Request).expect("there is room for four");
                let appended = append(&queue, permit, payload);
                if appended.must_ring {
                    let _rung = ring.try_send(());
                }
                (appended.sequence, payload)
            })
        });
        let mut told = Vec::new();
        let mut buffer = Buffer::default();
        while told.len() < 2 {
            match take(&queue, &mut buffer) {
                Taken::Records => {
                    told.extend(buffer.records().map(|(_, payload)| payload[0]));
                    queue.give_back(buffer.empty());
                }
                Taken::Nothing => bell.recv().expect("the bell is held by this thread too"),
                Taken::Closed => unreachable!("nobody closes"),
            }
        }
        for appender in appenders {
            let (sequence, payload) = appender.join().unwrap();
            assert_eq!(told[sequence.0 as usize - 1], payload, "another order than the numbers");
        }
        assert_eq!((told.len(), queue.appended()), (2, Sequence(2)));
        assert_eq!(queue.used_bytes(Lane::Request), 0);
    });
}

fn append(queue: &Queue, permit: Permit<'_>, payload: u8) -> Appended {
    queue.append(permit, Timestamp::default(), |bytes| bytes.push(payload))
}

#[test]
fn every_record_is_in_one_group_in_the_order_of_numbers() {
    model_of_the_hand_over(append, Queue::take);
}

/// Broken: the number is taken before the lock of the buffer.
#[test]
#[should_panic(expected = "another order than the numbers")]
fn broken_a_number_from_outside_the_lock_is_no_place() {
    let append: Append = |queue, permit, payload| {
        let sequence = Sequence(queue.appended.fetch_add(1, Ordering::AcqRel) + 1);
        let mut state = queue.state.lock();
        state.buffer.bytes.push(payload);
        let entry = Entry { end: state.buffer.bytes.len(), time: 0 };
        state.buffer.entries.push(entry);
        drop(permit);
        Appended { sequence, must_ring: std::mem::take(&mut state.is_idle) }
    };
    model_of_the_hand_over(append, Queue::take);
}

/// Broken: the commit thread finds nothing, and says that it sleeps under the lock only later.
#[test]
#[should_panic(expected = "deadlock")]
fn broken_a_sleep_that_is_told_late_is_never_ended() {
    let take: Take = |queue, empty| {
        let mut state = queue.state.lock();
        if state.buffer.entries.is_empty() {
            drop(state);
            queue.state.lock().is_idle = true;
            return Taken::Nothing;
        }
        std::mem::swap(&mut state.buffer, empty);
        Taken::Records
    };
    model_of_the_hand_over(append, take);
}
