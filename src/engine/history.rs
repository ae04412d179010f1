//! The appointments of a shard's patients that are over, in eight bytes for each visit.
//!
//! ```text
//! patient -> entry, 20 bytes -> node: five visits, and the node before it
//! visit     place 24 bits | day 16 | booked: days before 8 | ended: days after that 8 | flags 8
//! place     where, and the appointment type: once for each shard, by number
//! ```
//!
//! A patient with ten visits takes 20 + 2 × 44 bytes and a cell of the index. Nodes of one size leave
//! no gaps when patients grow in turn, and nothing is copied when one grows.
//!
//! **Architecture invariant:** what is kept depends on the visits that were put in and their order, not
//! on how they lie: a history that a snapshot brought is the same.

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use super::chunks::{Chunks, Position};
use super::index::Index;
use super::ledger::{joined, quarters};
use crate::model::limits::{HISTORY_DAYS, HISTORY_MAX};
use crate::model::{Day, Ending, HalfDay, Past, PatientId, Place, Visit};

/// The histories of the patients of a shard.
#[derive(Debug)]
pub(super) struct Histories {
    index: Index,
    hasher: FixedState,
    entries: Chunks<Entry>,
    nodes: Chunks<Node>,
    places: Places,
}

/// Whose history it is, and its newest node.
#[derive(Clone, Copy, Debug)]
struct Entry {
    patient: [u32; 4],
    newest: Position,
}

/// Five visits, oldest first, each two words; 0 where there is none. Behind them the node before.
type Node = [u32; 2 * VISITS + 1];

const VISITS: usize = 5;
const NONE: Position = Position::MAX;

const _: () = assert!(size_of::<Entry>() == 20 && size_of::<Node>() == 44);

impl Histories {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            index: Index::default(),
            hasher: FixedState::with_seed(seed),
            entries: Chunks::default(),
            nodes: Chunks::default(),
            places: Places::new(seed),
        }
    }

    /// Puts visits behind what is known of a patient. What no rule may ask about any more goes.
    pub(super) fn push(&mut self, patient: PatientId, past: impl Iterator<Item = Past>) {
        let mut newest_day = Day(0);
        for past in past {
            newest_day = newest_day.max(past.ended);
            let word = self.pack(&past);
            self.append(patient, word);
        }
        self.drop_old(patient, newest_day);
    }

    /// The visits of a patient, newest first.
    pub(super) fn of(&self, patient: PatientId) -> impl Iterator<Item = Past> + '_ {
        let entry = self.find(patient).map(|position| self.entries.get(position));
        let words = self.words(entry.map_or(NONE, |entry| entry.newest));
        words.map(|word| self.unpack(word))
    }

    /// Every patient with a history, oldest visit first, in no order of patients.
    pub(super) fn all(&self) -> impl Iterator<Item = (PatientId, Vec<Past>)> + '_ {
        self.index.positions().map(|position| {
            let entry = self.entries.get(position);
            let mut past: Vec<_> = self.words(entry.newest).map(|word| self.unpack(word)).collect();
            past.reverse();
            (PatientId(joined(entry.patient)), past)
        })
    }

    fn words(&self, newest: Position) -> impl Iterator<Item = u64> + '_ {
        let first = (newest != NONE).then_some(newest);
        let nodes = std::iter::successors(first, |position| {
            Some(link(self.nodes.get(*position))).filter(|next| *next != NONE)
        });
        nodes.flat_map(|position| {
            let node = self.nodes.get(position);
            (0..VISITS).rev().map(|at| word(node, at)).filter(|word| *word != 0)
        })
    }

    fn append(&mut self, patient: PatientId, word: u64) {
        let Some(position) = self.find(patient) else {
            let newest = self.nodes.insert(node_of(word, NONE));
            let entry = Entry { patient: quarters(patient.0), newest };
            let position = self.entries.insert(entry);
            self.index.insert(self.hash(patient), position);
            return;
        };
        let newest = self.entries.get(position).newest;
        let node = self.nodes.get_mut(newest);
        // Behind the last one, even where older ones are gone.
        let last = (0..VISITS).rev().find(|at| self::word(node, *at) != 0);
        match last.map_or(0, |last| last.saturating_add(1)) {
            VISITS => {
                let newest = self.nodes.insert(node_of(word, newest));
                self.entries.get_mut(position).newest = newest;
            }
            at => set(node, at, word),
        }
    }

    /// Takes out what is too long ago, and the oldest of too many.
    fn drop_old(&mut self, patient: PatientId, today: Day) {
        let Some(position) = self.find(patient) else { return };
        let horizon = today.minus(HISTORY_DAYS);
        let (mut at, mut newer, mut kept) = (self.entries.get(position).newest, NONE, 0_usize);
        while at != NONE {
            let mut is_empty = true;
            for index in (0..VISITS).rev() {
                let word = word(self.nodes.get(at), index);
                if word == 0 {
                    continue;
                }
                if kept == HISTORY_MAX || last_day(word) < horizon {
                    set(self.nodes.get_mut(at), index, 0);
                } else {
                    (kept, is_empty) = (kept.saturating_add(1), false);
                }
            }
            let next = link(self.nodes.get(at));
            // The newest node stays: it has the visit that was just put in.
            if is_empty && newer != NONE {
                relink(self.nodes.get_mut(newer), next);
                self.nodes.remove(at);
            } else {
                newer = at;
            }
            at = next;
        }
    }

    fn pack(&mut self, past: &Past) -> u64 {
        let Past { visit, ending, booked, ended, is_joined } = *past;
        let place = self.places.number((visit.place, visit.appointment_type));
        let day = visit.day.0.min(u32::from(u16::MAX));
        let ahead = day.saturating_sub(booked.0).min(255);
        let lasted = ended.0.saturating_sub(booked.0).min(255);
        let flags = ending as u64 | (visit.half as u64) << 3 | u64::from(is_joined) << 4;
        u64::from(place) << 40
            | u64::from(day) << 24
            | u64::from(ahead) << 16
            | u64::from(lasted) << 8
            | flags
    }

    fn unpack(&self, word: u64) -> Past {
        let (place, appointment_type) = self.places.get((word >> 40) as u32);
        let day = visit_day(word);
        let booked = booked(word);
        let half = if word >> 3 & 1 == 0 { HalfDay::Morning } else { HalfDay::Afternoon };
        Past {
            visit: Visit { place, appointment_type, day, half },
            ending: ending(word),
            booked,
            ended: booked.plus((word >> 8 & 0xff) as u32),
            is_joined: word >> 4 & 1 == 1,
        }
    }

    fn find(&self, patient: PatientId) -> Option<Position> {
        let key = quarters(patient.0);
        self.index.find(self.hash(patient), |position| self.entries.get(position).patient == key)
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are kept")]
    fn hash(&self, patient: PatientId) -> u32 {
        (self.hasher.hash_one(patient.0) >> 16) as u32
    }
}

const fn visit_day(word: u64) -> Day {
    Day((word >> 24 & 0xffff) as u32)
}

const fn booked(word: u64) -> Day {
    visit_day(word).minus((word >> 16 & 0xff) as u32)
}

/// The last day on which anything of it was.
fn last_day(word: u64) -> Day {
    visit_day(word).max(booked(word).plus((word >> 8 & 0xff) as u32))
}

const fn ending(word: u64) -> Ending {
    match word & 7 {
        1 => Ending::Fulfilled,
        2 => Ending::Missed,
        3 => Ending::Cancelled,
        4 => Ending::Released,
        _ => Ending::Expired,
    }
}

fn word(node: &Node, at: usize) -> u64 {
    let (words, _) = node.as_chunks::<2>();
    words.get(at).map_or(0, |[low, high]| u64::from(*low) | u64::from(*high) << 32)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
fn set(node: &mut Node, at: usize, word: u64) {
    let (words, _) = node.as_chunks_mut::<2>();
    if let Some(place) = words.get_mut(at) {
        *place = [word as u32, (word >> 32) as u32];
    }
}

const fn link(node: &Node) -> Position {
    let [.., link] = *node;
    link
}

const fn relink(node: &mut Node, to: Position) {
    let [.., link] = node;
    *link = to;
}

fn node_of(word: u64, before: Position) -> Node {
    let mut node = [0; 2 * VISITS + 1];
    set(&mut node, 0, word);
    relink(&mut node, before);
    node
}

/// Places by number, each once.
#[derive(Debug)]
struct Places {
    index: Index,
    hasher: FixedState,
    known: Chunks<(Place, u8)>,
}

impl Places {
    fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { index: Index::default(), hasher, known: Chunks::default() }
    }

    fn number(&mut self, place: (Place, u8)) -> Position {
        let hash = self.hash(&place);
        let known = self.index.find(hash, |position| *self.known.get(position) == place);
        known.unwrap_or_else(|| {
            let position = self.known.insert(place);
            self.index.insert(hash, position);
            position
        })
    }

    fn get(&self, number: Position) -> (Place, u8) {
        *self.known.get(number)
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are kept")]
    fn hash(&self, place: &(Place, u8)) -> u32 {
        (self.hasher.hash_one(place) >> 16) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Recorded;

    #[test]
    fn what_is_kept_reads_back_as_the_fact_tells_it_however_odd_the_days_are() {
        // Booked, visit, ended: usual; longer ahead and later than is told apart; unknown; after the
        // year 2149; in an impossible order.
        let table = [
            (20_000, 20_005, 20_005),
            (20_000, 20_300, 20_301),
            (20_000, 20_001, 20_600),
            (0, 20_005, 20_005),
            (65_530, 70_000, 70_001),
            (0, u32::MAX, u32::MAX),
            (20_009, 20_001, 20_000),
        ];
        for (booked, visit, ended) in table {
            let visit = Visit {
                place: Place::default(),
                appointment_type: 3,
                day: Day(visit),
                half: HalfDay::Afternoon,
            };
            let fact = Recorded {
                patient: PatientId(7),
                ending: Ending::Missed,
                booked: Day(booked),
                ended: Day(ended),
                visits: [visit, visit].into_iter().collect(),
            };
            let mut histories = Histories::new(1);
            histories.push(fact.patient, fact.past());
            let mut kept: Vec<_> = histories.of(fact.patient).collect();
            kept.reverse();
            assert_eq!(kept, fact.past().collect::<Vec<_>>(), "{fact:?}");
        }
    }
}
