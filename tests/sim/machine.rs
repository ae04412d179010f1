//! The life of the node: its journal's turns, its ticks, how it dies and starts again.

use std::sync::Arc;
use std::time::Duration;

use haoyuan::inventory::Inventory;
use haoyuan::journal::MemoryStore;
use haoyuan::model::Timestamp;
use haoyuan::ops::clock::{self, StartFault};

use crate::disk::flipped;
use crate::history::{Record, records_of};
use crate::invariants::Sight;
use crate::node::{Copy, recover};
use crate::plan::{MISCHIEFS, Mischief};
use crate::world::{Event, Failure, SECOND, World};

/// Groups that the threads have under way: one is synced, one was written meanwhile.
const GROUPS_MAX: usize = 2;

impl World {
    /// Rings the commit thread, if there is something for it.
    pub(crate) fn ring(&mut self) {
        let Some(node) = &self.node else { return };
        let waits = node.service.durable() < node.service.journal().appended();
        if waits && !self.is_writing {
            self.is_writing = true;
            let pause = self.random.between(10, 300);
            self.after(pause, Event::Write(self.epoch));
        }
    }

    /// A turn of the commit thread.
    pub(crate) fn write(&mut self) -> Result<(), Failure> {
        self.is_writing = false;
        let Some(node) = &mut self.node else { return Ok(()) };
        if GROUPS_MAX <= node.hand.unsynced() || !node.hand.write() {
            return Ok(());
        }
        let groups = node.hand.unsynced();
        self.note(format_args!("written, {groups} groups wait"));
        self.heed_failure()?;
        self.schedule_sync();
        Ok(())
    }

    fn schedule_sync(&mut self) {
        let waits = self.node.as_ref().is_some_and(|node| 0 < node.hand.unsynced());
        if waits && !self.is_syncing {
            self.is_syncing = true;
            let longest = self.plan.sync_micros;
            let mut pause = self.random.between(longest / 10, longest);
            if self.micros < self.slow_until {
                pause *= 50;
            }
            self.after(pause, Event::Sync(self.epoch));
        }
    }

    /// A turn of the sync thread. Its answers leave a moment later, if the node lives.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        self.is_syncing = false;
        let count = self.random.index(GROUPS_MAX) + 1;
        let Some(node) = &mut self.node else { return Ok(()) };
        if node.hand.sync(count) {
            self.feed()?;
            self.heed_failure()?;
            let pause = self.random.below(200);
            self.after(pause, Event::Release(self.epoch));
        }
        self.schedule_sync();
        self.ring();
        Ok(())
    }

    /// Takes note of what the disk has for good.
    fn feed(&mut self) -> Result<(), Failure> {
        let Some(node) = &self.node else { return Ok(()) };
        let blocks = node.disk.take_synced();
        let records: Vec<Record> = blocks.iter().flat_map(|bytes| records_of(bytes)).collect();
        if let Some(last) = records.last() {
            let last = last.sequence.0;
            self.note(format_args!("durable up to {last}"));
        }
        self.add_records(records)
    }

    fn add_records(&mut self, records: Vec<Record>) -> Result<(), Failure> {
        for record in records {
            for fact in &record.facts {
                self.counts.add("fact", fact.name());
            }
            self.history.add(record.clone());
            self.show_plain(&Sight::Durable(&record))?;
        }
        Ok(())
    }

    /// Once a commit failed, the process ends soon.
    fn heed_failure(&mut self) -> Result<(), Failure> {
        let Some(node) = &mut self.node else { return Ok(()) };
        if node.failures() == 0 || node.failure_is_known {
            return Ok(());
        }
        node.failure_is_known = true;
        self.fault("commit failed");
        let durable = self.history.last();
        self.show_plain(&Sight::Failed { durable })?;
        let pause = self.random.below(SECOND / 20);
        self.after(pause, Event::Die(self.epoch));
        Ok(())
    }

    pub(crate) fn tick(&mut self) -> Result<(), Failure> {
        let clock = self.clock();
        let Some(node) = &mut self.node else { return Ok(()) };
        let now = node.now(clock);
        self.known_time = now;
        let is_paused = node.heed_clock();
        let expired = node.service.tick(now);
        let mut forgotten = 0;
        if node.forgot_at.plus_millis(60_000) <= now {
            node.forgot_at = now;
            forgotten = node.service.forget(now);
        }
        self.counts.add_many("upkeep", "expired", expired);
        self.counts.add_many("upkeep", "records of forgetting", forgotten);
        if 0 < expired + forgotten {
            self.note(format_args!("tick: {expired} expired, {forgotten} forgotten"));
        }
        self.show(|node| Sight::Ticked { service: &node.service, now, is_paused })?;
        if is_paused && !self.is_confirming {
            self.fault("clock suspended");
            self.is_confirming = true;
            let pause = self.random.between(SECOND, 120 * SECOND);
            self.after(pause, Event::Confirm(self.epoch));
        }
        let longest = self.tempo.clamp(10_000, 20 * SECOND);
        let pause = self.random.between(5_000, longest);
        self.after(pause, Event::Tick(self.epoch));
        self.ring();
        Ok(())
    }

    pub(crate) fn confirm(&mut self) {
        self.is_confirming = false;
        self.note(format_args!("the operator confirms the clock"));
        if let Some(node) = &mut self.node {
            node.confirm_clock();
        }
    }

    /// Does something bad, or looks closer.
    pub(crate) fn mischief(&mut self) -> Result<(), Failure> {
        if self.is_healing {
            return Ok(());
        }
        let longest = self.plan.mischief_micros;
        let pause = self.random.between(longest / 10, 2 * longest);
        self.after(pause, Event::Mischief);
        let kind = MISCHIEFS[self.random.weighted(&self.plan.weights)];
        let Some(node) = &mut self.node else { return Ok(()) };
        match kind {
            Mischief::Crash => return self.crash("power fails"),
            Mischief::OrderlyStop => return self.stop_orderly(),
            Mischief::FailedSync => node.disk.fail_sync(),
            Mischief::FailedWrite => node.disk.fail_write(),
            Mischief::SlowDisk => {
                self.fault("slow disk");
                self.slow_until = self.micros + self.random.between(SECOND, 60 * SECOND);
            }
            Mischief::WallJump => {
                self.fault("wall clock jumps");
                let seconds =
                    self.random.pick(&[-3_600, -600, -2, -2, -1, 1, 2, 2, 600, 3_600_i64]);
                self.wall_error += seconds * 1_000_000;
            }
            Mischief::Snapshot => {
                if node.copy.is_none() {
                    node.copy = Some(Copy::default());
                    self.after(0, Event::CopyStep(self.epoch));
                }
            }
            Mischief::Lull => return self.calm(),
        }
        Ok(())
    }

    /// Copies some more shards of a snapshot; finishes it when the journal is durable so far.
    pub(crate) fn copy_step(&mut self) -> Result<(), Failure> {
        let count = self.random.index(200) + 20;
        let pause = self.random.between(100, 20_000);
        let Some(node) = &mut self.node else { return Ok(()) };
        let Some(copy) = &mut node.copy else { return Ok(()) };
        if copy.step(&node.service, count) || node.service.durable() < copy.highest() {
            self.after(pause, Event::CopyStep(self.epoch));
            return Ok(());
        }
        let Some(copy) = node.copy.take() else { return Ok(()) };
        let snapshot = Arc::new(copy.finish());
        self.counts.add("upkeep", "snapshots");
        let (lowest, highest) = (snapshot.lowest.0, snapshot.highest.0);
        self.note(format_args!("snapshot from {lowest} to {highest}"));
        self.show_plain(&Sight::Copied(&snapshot))?;
        self.snapshots.push(snapshot);
        // The newest two are kept.
        if 2 < self.snapshots.len() {
            drop(self.snapshots.remove(0));
        }
        if let ([oldest, _], Some(node), true) =
            (self.snapshots.as_slice(), &mut self.node, self.plan.prunes)
        {
            node.hand.prune(oldest.lowest.next());
            self.is_pruned |= 1 < node.service.journal().oldest().0;
            self.counts.add("upkeep", "prunings");
        }
        Ok(())
    }

    /// Lets the journal catch up, and has everything looked at.
    pub(crate) fn calm(&mut self) -> Result<(), Failure> {
        while self.node.as_mut().is_some_and(|node| node.hand.write() || node.hand.sync(1)) {
            self.feed()?;
            self.heed_failure()?;
        }
        self.release()?;
        let Some(node) = &self.node else { return Ok(()) };
        if node.failures() == 0 {
            self.counts.add("run", "looks at the whole state");
            self.show(|node| Sight::Calm { service: &node.service })?;
        }
        Ok(())
    }

    fn stop_orderly(&mut self) -> Result<(), Failure> {
        self.fault("orderly stop");
        let Some(node) = &mut self.node else { return Ok(()) };
        let _failed = node.service.close();
        let ended = node.hand.end();
        self.feed()?;
        self.heed_failure()?;
        self.release()?;
        let all = self.node.as_ref().map(|node| node.service.journal().appended());
        if ended.is_ok() && all != Some(self.history.last()) {
            return Self::fail("durable_is_kept", "an orderly stop left something behind");
        }
        self.leave()
    }

    pub(crate) fn crash(&mut self, why: &'static str) -> Result<(), Failure> {
        self.fault("crash");
        self.note(format_args!("{why}"));
        self.leave()
    }

    /// The process is gone; the disk is as it is.
    fn leave(&mut self) -> Result<(), Failure> {
        let Some(node) = self.node.take() else { return Ok(()) };
        let (image, what) = node.disk.crash(&mut self.random);
        self.counts.add("damage", what);
        self.note(format_args!("{what}, {} answers were never given", node.outbox.len()));
        self.image = image;
        self.epoch += 1;
        (self.is_writing, self.is_syncing, self.is_confirming) = (false, false, false);
        let mut pause = self.random.between(SECOND / 20, 5 * SECOND);
        if !self.is_healing && self.random.chance(50) {
            // A machine that comes up at once, with a clock that lost some seconds.
            pause = SECOND / 100;
            self.wall_error -= i64::try_from(self.random.between(500_000, 4_000_000)).unwrap();
        }
        self.after(pause, Event::Start);
        self.show_plain(&Sight::Stopped)
    }

    /// Starts a node on what the disk has, as `serve` does.
    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        if self.node.is_some() {
            return Ok(());
        }
        self.try_damaged()?;
        if !self.is_healing && 1 < self.snapshots.len() && self.random.chance(100) {
            self.fault("newest snapshot damaged");
            drop(self.snapshots.pop());
        }
        if !self.is_healing && self.random.chance(150) && self.die_while_starting()? {
            return Ok(());
        }
        let ignores = !self.is_pruned && self.random.chance(200);
        let snapshot = self.snapshots.last().filter(|_| !ignores).map(Arc::clone);
        let recovered = match recover(&self.plan, &self.image, snapshot.as_deref(), None) {
            Ok(Some(recovered)) => recovered,
            Ok(None) => return Ok(()),
            Err(error) => return Self::fail("durable_is_kept", error),
        };
        let now = Timestamp::from_millis(self.clock().wall / 1_000);
        match clock::check_start(now, recovered.last_time()) {
            Ok(()) => {}
            Err(fault) => {
                self.wait_for_clock(now, &fault);
                return Ok(());
            }
        }
        self.begin_serving(recovered, snapshot.is_some())
    }

    fn begin_serving(
        &mut self,
        mut recovered: crate::node::Recovered,
        from_snapshot: bool,
    ) -> Result<(), Failure> {
        let kept = std::mem::take(&mut recovered.kept);
        self.counts.add("start", if from_snapshot { "from a snapshot" } else { "from the log" });
        if recovered.is_cut {
            self.counts.add("start", "with a damaged tail cut");
        }
        let last = recovered.last().0;
        self.note(format_args!("starts at {last}, from a snapshot: {from_snapshot}"));
        let known = self.history.last();
        let survivors: Vec<_> =
            kept.iter().filter(|record| known < record.sequence).cloned().collect();
        self.counts.add_many("start", "unacknowledged records kept", survivors.len() as u64);
        self.add_records(survivors)?;
        let clock = self.clock();
        let node = recovered.start(&self.plan, clock);
        self.show_plain(&Sight::Started { service: &node.service, kept: &kept })?;
        self.node = Some(node);
        self.after(5_000, Event::Tick(self.epoch));
        Ok(())
    }

    /// A log with a changed bit, in what was acknowledged, must not open.
    fn try_damaged(&mut self) -> Result<(), Failure> {
        if self.is_healing || !self.random.chance(200) {
            return Ok(());
        }
        let mut damaged = self.image.clone();
        damaged.acknowledged = self.history.last();
        // Whatever a damaged tail says of itself, a start cuts it: it is not what was acknowledged.
        let Ok((store, ..)) = MemoryStore::reopen(&self.image) else { return Ok(()) };
        let kept = store.medium().crash().blocks;
        let sound = kept.iter().filter(|bytes| {
            let block = haoyuan::journal::Block::parse(bytes);
            block.is_ok_and(|block| block.last() <= damaged.acknowledged)
        });
        let count = sound.count();
        if count == 0 {
            return Ok(());
        }
        let at = self.random.index(count);
        damaged.blocks[at] = flipped(&damaged.blocks[at], &mut self.random);
        self.fault("a bit flips in the log");
        let was_refused = MemoryStore::reopen(&damaged).is_err();
        self.show_plain(&Sight::DamagedStart { was_refused })
    }

    /// A crash during recovery, before or after the damaged tail was cut. Says whether it was.
    fn die_while_starting(&mut self) -> Result<bool, Failure> {
        let stop_after = self.random.index(40);
        let snapshot = self.snapshots.last().map(Arc::clone);
        let stopped = recover(&self.plan, &self.image, snapshot.as_deref(), Some(stop_after));
        if !matches!(stopped, Ok(None)) {
            return Ok(false);
        }
        self.fault("crash during recovery");
        if self.random.chance(500) {
            let reopened = MemoryStore::reopen(&self.image);
            match reopened {
                Ok((store, ..)) => self.image = store.medium().crash(),
                Err(error) => return Self::fail("durable_is_kept", error.to_string()),
            }
        }
        let pause = self.random.between(SECOND / 20, 5 * SECOND);
        self.after(pause, Event::Start);
        Ok(true)
    }

    fn wait_for_clock(&mut self, now: Timestamp, fault: &StartFault) {
        match fault {
            StartFault::Wait(behind) => {
                self.fault("start waits for the clock");
                let micros = u64::try_from(behind.as_micros()).expect("a few seconds");
                self.after(micros, Event::Start);
            }
            StartFault::Behind { last_millis, .. } => {
                self.fault("start refused: the clock is behind");
                let behind = Duration::from_millis(last_millis - now.as_millis()).as_micros();
                self.wall_error += i64::try_from(behind).expect("some hours");
                self.after(SECOND, Event::Start);
            }
        }
    }

    /// The faults are over: everything must come right.
    pub(crate) fn heal(&mut self) -> Result<(), Failure> {
        self.note(format_args!("the faults are over"));
        (self.is_healing, self.slow_until, self.tempo) = (true, 0, 10 * SECOND);
        self.plan.sync_micros = 5_000;
        // What was read in as history is not read in again after it may be forgotten.
        for ask in &mut self.asks {
            ask.is_answered |= matches!(ask.body, crate::ask::Body::Import(_));
        }
        for _ in 0..HEALING_ROUNDS_MAX {
            self.run_for(150 * SECOND)?;
            let open: Vec<usize> =
                self.asks.iter().filter(|ask| !ask.is_answered).map(|ask| ask.number).collect();
            if open.is_empty() {
                break;
            }
            for number in open {
                if self.asks[number].identity().is_some() {
                    self.send(number);
                    self.run_for(SECOND / 10)?;
                } else {
                    self.asks[number].is_answered = true;
                }
            }
        }
        if let Some(ask) = self.asks.iter().find(|ask| !ask.is_answered) {
            return Self::fail("heals", format!("{ask} was never answered"));
        }
        // Longer than the longest hold that clients ask for; again after a start with an older clock,
        // and until the last draw is made.
        for _ in 0..6 {
            self.run_for(16 * 60 * SECOND)?;
            let is_over = |inventory: &Inventory| {
                inventory.counts().0 == 0 && inventory.next_draw_deadline().is_none()
            };
            if self.node.as_ref().is_some_and(|node| is_over(node.service.inventory())) {
                break;
            }
        }
        self.calm()?;
        let Some(node) = &self.node else { return Self::fail("heals", "the node is down") };
        let image = node.disk.power_off();
        let snapshot = self.snapshots.last().map(Arc::clone);
        let recovered = match recover(&self.plan, &image, snapshot.as_deref(), None) {
            Ok(Some(recovered)) => recovered,
            Ok(None) => return Self::fail("heals", "the start was interrupted"),
            Err(error) => return Self::fail("heals", error),
        };
        let digest = recovered.digest();
        self.note(format_args!("healed: {digest:02x?}"));
        self.show(|node| Sight::Healed { service: &node.service, digest })
    }
}

/// Rounds of repeating what is unanswered. Two are the rule; more are for a node that was down.
const HEALING_ROUNDS_MAX: usize = 20;
