//! The gate in front of a disk that takes so long for a commit and so long for each record, under
//! virtual time: goodput, latency, evenness, recovery.
//!
//! ```text
//! patients -> gate -> buffer -> written -> sync of base + records x cost -> durable -> think -> book
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Gate, Observation, position};
use crate::model::{BookingChannel, PatientId, Timestamp};

const STEP_MICROS: u64 = 250;
const SECOND: u64 = 1_000_000;
const SEED: u64 = 99;

/// A node with one disk, and everybody who asks it.
struct World {
    gate: Gate,
    base: u64,
    cost: u64,
    micros: u64,
    appended: u64,
    durable: u64,
    small: (u64, u64),
    buffer: Vec<Waiting>,
    written: Vec<Waiting>,
    commit: Option<(u64, u64, Vec<Waiting>)>,
    /// When accepted holds will be booked, in order.
    bookings: BinaryHeap<Reverse<u64>>,
    next_patient: u128,
    said: Said,
}

#[derive(Clone, Copy)]
struct Waiting {
    since: u64,
    /// The channel of a hold.
    hold: Option<usize>,
}

/// What a stretch of time brought.
#[derive(Default)]
struct Said {
    offered: u64,
    held: u64,
    booked: u64,
    unbooked: u64,
    latencies: Vec<u64>,
    patients: Vec<u128>,
    /// Holds by channel, asked for and let in.
    asked_by: [u64; 3],
    held_by: [u64; 3],
}

impl Said {
    fn p99(&mut self) -> u64 {
        self.latencies.sort_unstable();
        self.latencies[self.latencies.len() * 99 / 100]
    }
}

impl World {
    fn new(base: u64, cost: u64) -> Self {
        Self {
            gate: Gate::new(250, SEED),
            base,
            cost,
            micros: 1_000 * SECOND,
            appended: 0,
            durable: 0,
            small: (0, 0),
            buffer: Vec::new(),
            written: Vec::new(),
            commit: None,
            bookings: BinaryHeap::new(),
            next_patient: 0,
            said: Said::default(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.micros / 1_000)
    }

    /// Lets time pass with so many new patients a second, and says what came of it.
    fn run(&mut self, rate: u64, micros: u64) -> Said {
        self.run_all(&[rate], micros)
    }

    /// The same with so many in each channel.
    fn run_all(&mut self, rates: &[u64], micros: u64) -> Said {
        self.said = Said::default();
        let steps = micros / STEP_MICROS;
        for step in 0..steps {
            self.step();
            for (channel, rate) in rates.iter().enumerate() {
                let due = |step| rate * STEP_MICROS * step / SECOND;
                for _ in due(step)..due(step + 1) {
                    self.next_patient += 1;
                    self.ask(channel, self.next_patient);
                }
            }
        }
        std::mem::take(&mut self.said)
    }

    fn ask(&mut self, channel: usize, patient: u128) {
        self.said.offered += 1;
        self.said.asked_by[channel] += 1;
        let waiting = self.appended - self.durable;
        let through = BookingChannel::new(u8::try_from(channel).unwrap()).unwrap();
        let who = (PatientId(patient), through);
        if self.gate.admit_hold(self.now(), waiting, false, who).is_ok() {
            self.said.patients.push(patient);
            self.said.held_by[channel] += 1;
            self.append(Some(channel));
        }
    }

    fn append(&mut self, hold: Option<usize>) {
        self.appended += 1;
        self.buffer.push(Waiting { since: self.micros, hold });
    }

    fn step(&mut self) {
        self.micros += STEP_MICROS;
        if let Some((started, ends, _)) = self.commit
            && ends <= self.micros
        {
            let (_, _, group) = self.commit.take().unwrap();
            self.durable += group.len() as u64;
            if group.len() <= 8 {
                self.small = (self.small.0 + 1, self.small.1 + ends - started);
            }
            for waiting in group {
                self.said.latencies.push(self.micros - waiting.since);
                // Everybody thinks for between a fifth of a second and a second.
                let think = 200_000 + (self.said.latencies.len() as u64 * 7_919) % 800_000;
                if waiting.hold.is_some() {
                    self.said.held += 1;
                    self.bookings.push(Reverse(self.micros + think));
                } else {
                    self.said.booked += 1;
                }
            }
        }
        if self.written.is_empty() {
            self.written = std::mem::take(&mut self.buffer);
        }
        if self.commit.is_none() && !self.written.is_empty() {
            let group = std::mem::replace(&mut self.written, std::mem::take(&mut self.buffer));
            let ends = self.micros + self.base + group.len() as u64 * self.cost;
            self.commit = Some((self.micros, ends, group));
        }
        while self.bookings.peek().is_some_and(|due| due.0 <= self.micros) {
            self.bookings.pop();
            if self.gate.admit_finish(self.appended - self.durable).is_ok() {
                self.append(None);
            } else {
                self.said.unbooked += 1;
            }
        }
        if self.micros.is_multiple_of(5_000) {
            self.gate.look(&Observation {
                now: self.now(),
                appended: self.appended,
                durable: self.durable,
                small_commits: self.small.0,
                small_commit_micros: self.small.1,
            });
        }
    }
}

fn of(patient: u128) -> (PatientId, BookingChannel) {
    (PatientId(patient), BookingChannel::default())
}

#[test]
fn a_flood_in_one_channel_takes_nothing_from_another() {
    for (base, cost) in [(500, 25), (1_000, 50), (3_000, 100)] {
        let mut world = World::new(base, cost);
        let ideal = SECOND / cost / 2;
        world.run_all(&[ideal / 4, ideal / 10], 2 * SECOND);
        // Ten times what the disk takes, in the third channel.
        let rates = [ideal / 4, ideal / 10, ideal * 10];
        let first = world.run_all(&rates, 3 * SECOND);
        let over = world.run_all(&rates, 6 * SECOND);
        for channel in 0..2 {
            let (asked, held) = (over.asked_by[channel], over.held_by[channel]);
            assert!(asked * 90 / 100 <= held, "{base}: {held} of {asked} in channel {channel}");
            let (asked, held) = (first.asked_by[channel], first.held_by[channel]);
            assert!(asked / 2 <= held, "{base}: {held} of {asked} in the first seconds");
        }
        let all: u64 = over.held_by.iter().sum();
        assert!(ideal * 6 * 70 / 100 <= all, "{base}: only {all} came in");
        assert_eq!(over.unbooked, 0);
    }
}

#[test]
fn channels_that_all_want_more_share_the_node_by_their_weights() {
    for (weights, rates, parts) in [
        ([1, 1, 1], [10, 3, 0], [50, 50, 0]),
        ([1, 1, 1], [2, 20, 5], [33, 33, 33]),
        ([3, 1, 1], [10, 10, 0], [75, 25, 0]),
        ([2, 1, 1], [4, 4, 40], [50, 25, 25]),
    ] {
        let mut world = World::new(2_000, 100);
        let mut all = [1; 64];
        all[..3].copy_from_slice(&weights);
        world.gate.weigh(&all);
        let ideal = SECOND / 100 / 2;
        let rates = rates.map(|times| times * ideal);
        world.run_all(&rates, 4 * SECOND);
        let over = world.run_all(&rates, 12 * SECOND);
        let sum: u64 = over.held_by.iter().sum();
        for (held, part) in over.held_by.iter().zip(parts) {
            let percent = held * 100 / sum;
            assert!(percent.abs_diff(part) <= 6, "{weights:?} {:?}", over.held_by);
        }
    }
}

#[test]
fn ten_times_the_load_costs_neither_goodput_nor_latency_nor_time_to_recover() {
    for (base, cost) in [(500, 25), (1_000, 50), (3_000, 100)] {
        let mut world = World::new(base, cost);
        // Patients a second whose hold and booking the disk takes, were commits without end.
        let ideal = SECOND / cost / 2;
        world.run(ideal / 10, SECOND);
        world.run(ideal * 12 / 10, 3 * SECOND);
        let full = world.run(ideal * 12 / 10, 3 * SECOND);
        // Holds and bookings take turns for a while; together they are what the disk does.
        let capacity = u64::midpoint(full.held, full.booked) / 3;
        assert!(ideal * 78 / 100 <= capacity, "{base}: {capacity} of {ideal}");

        world.run(ideal / 2, 3 * SECOND);
        world.run(capacity * 9 / 10, 2 * SECOND);
        let mut nearly = world.run(capacity * 9 / 10, 3 * SECOND);
        assert!(nearly.offered * 99 / 100 <= nearly.held, "{base}: shed at nine tenths");

        world.run(ideal * 10, SECOND);
        let mut over = world.run(ideal * 10, 6 * SECOND);
        assert!(capacity * 6 * 90 / 100 <= over.booked, "{base}: {} {capacity}", over.booked / 6);
        assert_eq!(over.unbooked, 0);
        let (p99, reference) = (over.p99(), nearly.p99());
        assert!(p99 <= 2 * reference, "{base}: {p99} us against {reference} us");

        world.run(capacity / 2, 2 * SECOND);
        let after = world.run(capacity / 2, SECOND);
        assert_eq!(after.held.abs_diff(after.offered) / 200, 0, "{base}: still shedding");
        assert!(!world.gate.is_shedding());
    }
}

#[test]
fn every_part_of_the_ring_is_let_in_alike_and_hammering_gains_nothing() {
    let mut world = World::new(2_000, 100);
    world.run(50_000, 2 * SECOND);
    // A round takes five seconds or so: each part has its turn four or five times.
    let over = world.run(25_000, 22 * SECOND);
    let mut groups = [0_u64; 20];
    for patient in &over.patients {
        let position = u64::from(position(SEED, PatientId(*patient)));
        groups[usize::try_from((position * 20) >> 32).unwrap()] += 1;
    }
    let (least, most) = (groups.iter().min().unwrap(), groups.iter().max().unwrap());
    assert!(*most <= least * 3 / 2, "{groups:?}");
}

#[test]
fn who_hammers_waits_as_long_as_who_comes_when_told() {
    let mut world = World::new(2_000, 100);
    world.run(50_000, 2 * SECOND);
    // Two thousand of each kind. The polite come at the time they are told, the others always.
    let mut polite: Vec<(u128, u64)> = (0..2_000).map(|number| (1 << 100 | number, 0)).collect();
    let mut pushy: Vec<u128> = (0..2_000).map(|number| 1 << 101 | number).collect();
    let (mut politely, mut pushily) = (Vec::new(), Vec::new());
    let start = world.micros;
    for _ in 0..8_000 {
        world.run(50_000, 5_000);
        let (now, micros) = (world.now(), world.micros);
        let waiting = world.appended - world.durable;
        polite.retain_mut(|(patient, due)| {
            if micros < *due {
                return true;
            }
            match world.gate.admit_hold(now, waiting, false, of(*patient)) {
                Ok(()) => politely.push(micros - start),
                Err(shed) => {
                    *due = micros + u64::from(shed.retry_after_millis) * 1_000;
                    return true;
                }
            }
            false
        });
        pushy.retain(|patient| {
            let shed = world.gate.admit_hold(now, waiting, false, of(*patient)).is_err();
            if !shed {
                pushily.push(micros - start);
            }
            shed
        });
        if polite.is_empty() && pushy.is_empty() {
            break;
        }
    }
    assert!(polite.is_empty() && pushy.is_empty(), "{} and {} left", polite.len(), pushy.len());
    let mean = |waits: &[u64]| waits.iter().sum::<u64>() / waits.len() as u64;
    let (polite, pushy) = (mean(&politely), mean(&pushily));
    assert!(pushy * 5 / 4 + SECOND / 2 >= polite, "polite {polite} us, pushy {pushy} us");
    assert!(SECOND < pushy, "hammering got through after {pushy} us");
}
