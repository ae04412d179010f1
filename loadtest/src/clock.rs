//! The clock and the pauses of measurements, in one place.
//!
//! **Architecture invariant:** the only place here that asks for the time.

#![expect(clippy::disallowed_methods, reason = "a measurement needs the time that passes")]

use std::time::{Duration, Instant, SystemTime};

use haoyuan::model::Timestamp;

/// The present, to measure with.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall's time, for the ids of requests and for a node's clock.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Lets time pass on this thread.
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Lets time pass on this thread until an instant of the wall's time, unless that is over.
pub(crate) fn pause_until(instant: Timestamp) {
    pause(Duration::from_millis(instant.as_millis().saturating_sub(wall().as_millis())));
}

/// Lets time pass in a task.
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Lets closed connections say goodbye: a node that stops waits for those that did not.
pub(crate) async fn linger() {
    tokio::time::sleep(LINGER).await;
}

/// Ticks for a generator that sends by the clock. Ticks that were missed are not made up: what is due
/// is known without them.
pub(crate) fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// A packet on its way takes far less.
const LINGER: Duration = Duration::from_millis(20);

/// A duration in whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
