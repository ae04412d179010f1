//! What a node does by itself: expiry, forgetting, snapshots, and a look at the clock.
//!
//! ```text
//! ticker     every 5 ms: clock good? -> expire what is due; every minute: forget
//! snapshots  every second: enough records, or long enough? -> snapshot
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::state::NodeState;
use crate::model::Timestamp;
use crate::ops::clock::{self, ClockState};
use crate::ops::config::JournalConfig;
use crate::service::Service;

/// The threads of upkeep. They end when they are told to.
#[derive(Debug)]
pub(super) struct Upkeep {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// When snapshots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SnapshotRule {
    records: u64,
    millis: u64,
}

impl Upkeep {
    /// Starts both threads.
    pub(super) fn start(
        state: &Arc<NodeState>,
        service: &Arc<Service>,
        config: &JournalConfig,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let rule = SnapshotRule {
            records: config.snapshot_every_records,
            millis: config.snapshot_every_minutes * 60_000,
        };
        let duty = || Duty {
            state: Arc::clone(state),
            service: Arc::clone(service),
            stop: Arc::clone(&stop),
        };
        let (one, other) = (duty(), duty());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            thread("ticker").spawn(move || one.tick())?,
            thread("snapshots").spawn(move || other.take_snapshots(rule))?,
        ];
        Ok(Self { stop, threads })
    }

    /// Tells the threads to end, and waits for them.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of upkeep ended before it was told to");
            }
        }
    }
}

/// What a thread of upkeep works on.
struct Duty {
    state: Arc<NodeState>,
    service: Arc<Service>,
    stop: Arc<AtomicBool>,
}

impl Duty {
    fn tick(&self) {
        let mut forgot_at = self.state.clock.now();
        let mut was_good = true;
        let mut was_shedding = false;
        while !self.stop.load(Ordering::Relaxed) {
            let is_good = self.heed_clock(was_good);
            was_good = is_good;
            let now = self.state.clock.now();
            self.service.tick(now);
            was_shedding = self.tell_shedding(was_shedding);
            if forgot_at.plus_millis(FORGET_EVERY_MILLIS) <= now {
                forgot_at = now;
                self.service.forget(now);
            }
            clock::pause(TICK);
        }
    }

    /// Pauses expiry while the time is in doubt, and says so when that changes.
    fn heed_clock(&self, was_good: bool) -> bool {
        match self.state.clock.state() {
            ClockState::Good if was_good => true,
            ClockState::Good => {
                tracing::warn!("the time was confirmed; holds expire and sessions open again");
                self.service.set_paused(false);
                true
            }
            ClockState::Suspended { gap_millis } => {
                if was_good {
                    tracing::error!(
                        gap_millis,
                        "the machine's clock jumped; no hold expires and no session opens until the time \
                         is confirmed: put the clock right, then `haoyuan ctl clock confirm`"
                    );
                    self.service.set_paused(true);
                }
                false
            }
        }
    }

    /// Says when the node begins to shed, and when it has ended.
    fn tell_shedding(&self, was_shedding: bool) -> bool {
        let is_shedding = self.service.is_shedding();
        if is_shedding != was_shedding {
            let target_micros = self.service.regime().target_micros;
            if is_shedding {
                tracing::warn!(target_micros, "more comes than the disk takes; holds are shed");
            } else {
                tracing::info!("all holds are let in again");
            }
        }
        is_shedding
    }

    fn take_snapshots(&self, rule: SnapshotRule) {
        let mut last = (self.service.durable().0, self.state.clock.now());
        while !self.stop.load(Ordering::Relaxed) {
            clock::pause(LOOK);
            let now = self.state.clock.now();
            let records = self.service.durable().0.saturating_sub(last.0);
            if !rule.is_due(records, last.1, now) {
                continue;
            }
            last = (self.service.durable().0, now);
            match self.service.take_snapshot() {
                Ok(Some(path)) => {
                    self.state.snapshot_millis.store(now.as_millis(), Ordering::Relaxed);
                    tracing::info!(path = %path.display(), records, "took a snapshot");
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "no snapshot could be taken; the older ones stay");
                }
            }
        }
    }
}

impl SnapshotRule {
    /// Whether a snapshot is due, so many records and so long after the last one.
    const fn is_due(self, records: u64, last: Timestamp, now: Timestamp) -> bool {
        let waited = now.as_millis().saturating_sub(last.as_millis());
        self.records <= records || (0 < records && self.millis <= waited)
    }
}

/// A tenth of the lag that expiry may have.
const TICK: Duration = Duration::from_millis(5);

/// How soon a snapshot that is due begins, and how long a stop waits for this thread.
const LOOK: Duration = Duration::from_millis(200);

/// What ended long ago may stay a little longer.
const FORGET_EVERY_MILLIS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_after_enough_records_or_long_enough_with_any() {
        let rule = SnapshotRule { records: 100, millis: 60_000 };
        let at = Timestamp::from_millis;
        for (records, waited, due) in [
            (0, 600_000, false),
            (1, 59_999, false),
            (1, 60_000, true),
            (99, 0, false),
            (100, 0, true),
        ] {
            assert_eq!(rule.is_due(records, at(5), at(5 + waited)), due, "{records} {waited}");
        }
    }
}
