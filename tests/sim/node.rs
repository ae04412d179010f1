//! A node as it is put together for serving, with its journal turned by hand.
//!
//! ```text
//! image + snapshots -> reopen, restore, replay -> Service on Journal::by_hand(Disk(MemoryStore))
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use haoyuan::codec::decode_facts;
use haoyuan::draw::NodeKey;
use haoyuan::inventory::Inventory;
use haoyuan::journal::{
    Hand, Journal, JournalConfig, MemoryImage, MemoryStore, OnFatal, Store, Tail,
};
use haoyuan::model::{Sequence, Timestamp};
use haoyuan::ops::clock::{ClockState, Reading, Slew};
use haoyuan::service::{Limits, Service, restore_shard};

use crate::ask::Reply;
use crate::disk::Disk;
use crate::history::{Record, records_of};
use crate::plan::Plan;

/// A running node.
pub(crate) struct Node {
    pub(crate) service: Service,
    pub(crate) hand: Hand,
    pub(crate) disk: Disk,
    /// Answers that wait for the disk, with the number of their request.
    pub(crate) outbox: Vec<(usize, Reply)>,
    pub(crate) copy: Option<Copy>,
    pub(crate) is_paused: bool,
    pub(crate) forgot_at: Timestamp,
    pub(crate) failure_is_known: bool,
    fatal: Arc<AtomicU64>,
    slew: Slew,
    observed: u64,
}

/// A complete snapshot, as it lies on the disk.
pub(crate) struct Snapshot {
    pub(crate) lowest: Sequence,
    pub(crate) highest: Sequence,
    images: Vec<(u8, usize, Sequence, Vec<u8>)>,
}

/// A snapshot in the making.
#[derive(Default)]
pub(crate) struct Copy {
    images: Vec<(u8, usize, Sequence, Vec<u8>)>,
}

/// What a start made of a log.
pub(crate) struct Recovered {
    inventory: Inventory,
    store: MemoryStore,
    tail: Tail,
    /// What is in the log, for who checks the start.
    pub(crate) kept: Vec<Record>,
    pub(crate) is_cut: bool,
}

impl Copy {
    /// Copies some more shards. Says whether there are more.
    pub(crate) fn step(&mut self, service: &Service, count: usize) -> bool {
        let done = self.images.len();
        for (kind, index) in Inventory::parts().skip(done).take(count) {
            let mut image = Vec::new();
            let sequence = service.copy_shard(kind, index, &mut image);
            self.images.push((kind, index, sequence, image));
        }
        self.images.len() < Inventory::parts().count()
    }

    /// The highest record that it knows: the journal must be durable up to there.
    pub(crate) fn highest(&self) -> Sequence {
        self.images.iter().map(|image| image.2).max().unwrap_or_default()
    }

    pub(crate) fn finish(self) -> Snapshot {
        let lowest = self.images.iter().map(|image| image.2).min().unwrap_or_default();
        Snapshot { lowest, highest: self.highest(), images: self.images }
    }
}

impl Snapshot {
    /// Fills an empty inventory.
    pub(crate) fn restore(&self, inventory: &mut Inventory) -> Result<(), String> {
        for (kind, index, sequence, image) in &self.images {
            restore_shard(inventory, *kind, *index, *sequence, image)
                .map_err(|error| format!("part {kind}/{index}: {error}"))?;
        }
        Ok(())
    }
}

/// Opens a log and brings the state up to its end, unless `stop_after` records it is interrupted.
pub(crate) fn recover(
    plan: &Plan,
    image: &MemoryImage,
    snapshot: Option<&Snapshot>,
    stop_after: Option<usize>,
) -> Result<Option<Recovered>, String> {
    let (store, tail, is_cut) = MemoryStore::reopen(image).map_err(|error| error.to_string())?;
    let reader = store.reader();
    let mut inventory = Inventory::new(plan.seed, plan.retention_millis);
    let mut from = Sequence(1);
    if let Some(snapshot) = snapshot {
        snapshot.restore(&mut inventory)?;
        from = snapshot.lowest.next();
    }
    if from < reader.oldest() {
        return Err(format!("the log begins at {}, after {}", reader.oldest().0, from.0));
    }
    let read = |from| reader.read(from, tail.last_sequence(), usize::MAX);
    let page = read(from).map_err(|error| error.to_string())?;
    for (count, (sequence, time, bytes)) in page.records().enumerate() {
        if stop_after == Some(count) {
            return Ok(None);
        }
        let facts = decode_facts(bytes).map_err(|error| error.to_string())?;
        inventory.replay(sequence, time, &facts);
    }
    inventory.rebuild();
    let page = read(reader.oldest()).map_err(|error| error.to_string())?;
    let kept = page.blocks().iter().flat_map(|bytes| records_of(bytes)).collect();
    Ok(Some(Recovered { inventory, store, tail, kept, is_cut }))
}

impl Recovered {
    /// The time of the last record: the clock must not be behind it.
    pub(crate) const fn last_time(&self) -> Timestamp {
        self.tail.last_time
    }

    pub(crate) const fn last(&self) -> Sequence {
        self.tail.last_sequence()
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        haoyuan::service::digest::of_inventory(&self.inventory)
    }

    /// Serves.
    pub(crate) fn start(self, plan: &Plan, clock: Reading) -> Node {
        let Self { inventory, store, tail, .. } = self;
        let fatal = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&fatal);
        let on_fatal: OnFatal = Arc::new(move |_| _ = seen.fetch_add(1, Ordering::SeqCst));
        let config = JournalConfig {
            request_bytes_max: plan.request_bytes,
            upkeep_bytes_max: plan.upkeep_bytes,
            recent_bytes_max: plan.recent_bytes,
            ..JournalConfig::default()
        };
        let disk = Disk::new(store.medium());
        let (journal, hand) = Journal::by_hand(Box::new(disk.clone()), tail, config, on_fatal);
        let limits = Limits { retention_millis: plan.retention_millis, ..Limits::default() };
        Node {
            service: {
                let service = Service::new(inventory, journal, limits).with_chances(clock.wall);
                service.set_draw_key(NodeKey::new(DRAW_KEY));
                service
            },
            hand,
            disk,
            outbox: Vec::new(),
            copy: None,
            is_paused: false,
            forgot_at: Timestamp::from_millis(clock.wall / 1_000),
            failure_is_known: false,
            fatal,
            slew: Slew::new(clock),
            observed: clock.monotonic,
        }
    }
}

impl Node {
    /// The node's time, as `ops::clock::Clock` makes it of the two clocks of the machine.
    pub(crate) fn now(&mut self, clock: Reading) -> Timestamp {
        if LOOK_MICROS <= clock.monotonic - self.observed {
            self.slew.observe(clock);
            self.observed = clock.monotonic;
        }
        self.slew.time_at(clock.monotonic)
    }

    /// Pauses upkeep while the time is in doubt, as the ticker does.
    pub(crate) fn heed_clock(&mut self) -> bool {
        self.is_paused = matches!(self.slew.state(), ClockState::Suspended { .. });
        self.service.set_paused(self.is_paused);
        self.is_paused
    }

    /// The operator says that the wall is right.
    pub(crate) fn confirm_clock(&mut self) {
        self.slew.confirm();
    }

    /// How often the journal said that it cannot go on.
    pub(crate) fn failures(&self) -> u64 {
        self.fatal.load(Ordering::SeqCst)
    }
}

/// How often a node looks at the wall.
/// The key for draws: a secret of the node, and the same after every start.
const DRAW_KEY: [u8; NodeKey::BYTES] = [9; NodeKey::BYTES];

const LOOK_MICROS: u64 = 100_000;
