//! The appointments of a shard's patients that are over, in eight bytes for each visit.
//!
//! ```text
//! patient -> entry, 20 bytes -> node: five visits, and the node before it
//! visit     place 24 bits | day 16 | booked: days before 8 | ended: days after that 8 | flags 8
//! place     where, and the appointment type: once for all shards, by number
//! flags     how it ended 3 bits | half-day | joined | is a strike | used up | the row is over
//!           of a visit that took place: used up stands for late
//! ```
//!
//! A strike is a mark on the visit that was missed or left late. It outlives the visit, for rules may
//! count for ever: then the word stays and stands for the strike alone.
//!
//! A patient with ten visits takes 20 + 2 × 44 bytes and a cell of the index. Nodes of one size leave
//! no gaps when patients grow in turn, and nothing is copied when one grows.
//!
//! **Architecture invariant:** what is kept depends on the visits that were put in and their order, not
//! on how they lie: a history that a snapshot brought is the same.

use foldhash::fast::FixedState;
use std::hash::BuildHasher;
use std::sync::Arc;

use super::chunks::{Chunks, Position};
use super::index::Index;
use super::ledger::{joined, quarters};
use super::record::KeptStrike;
use crate::model::limits::HISTORY_DAYS;
use crate::model::{
    Day, Ending, HalfDay, HistoryRoom, Past, PatientId, Place, RuleScope, Strike, Visit,
};
use crate::sync::Numbers;

/// The histories of the patients of a shard.
#[derive(Debug)]
pub(super) struct Histories {
    index: Index,
    hasher: FixedState,
    entries: Chunks<Entry>,
    nodes: Chunks<Node>,
    places: Arc<Numbers<(Place, u8)>>,
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
            places: Arc::new(Numbers::new(seed)),
        }
    }

    /// None, with the numbers of places that these have.
    pub(super) fn beside(&self) -> Self {
        Self {
            index: Index::default(),
            hasher: self.hasher.clone(),
            entries: Chunks::default(),
            nodes: Chunks::default(),
            places: Arc::clone(&self.places),
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

    /// Takes everything that is kept of a patient out.
    pub(super) fn remove(&mut self, patient: PatientId) {
        let Some(position) = self.find(patient) else { return };
        let mut at = self.entries.get(position).newest;
        while at != NONE {
            let next = link(self.nodes.get(at));
            self.nodes.remove(at);
            at = next;
        }
        self.entries.remove(position);
        self.index.remove(self.hash(patient), position);
    }

    /// Puts what was kept of a patient under another key among what is kept, appointment by appointment
    /// by the day on which it ended. Both are oldest first.
    pub(super) fn merge(&mut self, patient: PatientId, other: &[Past]) {
        if other.is_empty() {
            return;
        }
        let mut own: Vec<Past> = self.of(patient).collect();
        own.reverse();
        let strikes = self.strikes(patient);
        self.remove(patient);
        let of_one = |_: &Past, next: &Past| next.is_joined;
        let both = own.chunk_by(of_one).chain(other.chunk_by(of_one));
        let mut appointments: Vec<&[Past]> = both.collect();
        appointments.sort_by_key(|visits| visits.first().map(|first| first.ended));
        // The first of one whose earlier visits were dropped is not of the appointment before it.
        let parted = |visits: &[Past]| {
            let first = |(index, past): (usize, &Past)| Past {
                is_joined: past.is_joined && index != 0,
                ..*past
            };
            visits.iter().enumerate().map(first).collect::<Vec<_>>()
        };
        self.push(patient, appointments.into_iter().flat_map(parted));
        for kept in &strikes {
            self.strike(patient, kept);
        }
    }

    /// Marks a visit as a strike: the first of that day and place that is none yet. Where none is kept,
    /// the strike is kept alone.
    pub(super) fn strike(&mut self, patient: PatientId, kept: &KeptStrike) {
        let Strike { day, place } = kept.strike.kept();
        let marks = STRIKE | flag(USED, kept.is_used) | flag(OVER, kept.is_over);
        let is_it = |word: u64| {
            let may_be = matches!(word & ENDING, MISSED | CANCELLED) && word & STRIKE == 0;
            may_be && visit_day(word) == day && self.places.get(place_of(word)).0 == place
        };
        let visit = self.spots(patient).filter(|(_, _, word)| is_it(*word)).last();
        if let Some((position, at, word)) = visit {
            set(self.nodes.get_mut(position), at, word | marks);
            return;
        }
        let number = u64::from(self.places.number((place, 0)));
        let word = number << 40 | u64::from(day.0) << 24 | marks | ALONE;
        self.append(patient, word);
    }

    /// The strikes of a patient, by day and place.
    pub(super) fn strikes(&self, patient: PatientId) -> Vec<KeptStrike> {
        let words = self.spots(patient).map(|(_, _, word)| word);
        let strikes = words.filter(|word| word & STRIKE != 0).map(|word| KeptStrike {
            strike: Strike { day: visit_day(word), place: self.places.get(place_of(word)).0 },
            is_used: word & USED != 0,
            is_over: word & OVER != 0,
        });
        let mut strikes: Vec<_> = strikes.collect();
        strikes.sort_unstable_by_key(|it| (it.strike.day, it.strike.place, it.is_used, it.is_over));
        strikes
    }

    /// Everybody who has one, with their strikes, in no order of patients.
    pub(super) fn all_strikes(&self) -> impl Iterator<Item = (PatientId, Vec<KeptStrike>)> + '_ {
        let patients = self.index.positions();
        let patients = patients.map(|at| PatientId(joined(self.entries.get(at).patient)));
        patients.map(|it| (it, self.strikes(it))).filter(|(_, strikes)| !strikes.is_empty())
    }

    /// A visit took place: it ends a row of strikes.
    pub(super) fn end_row(&mut self, patient: PatientId) {
        self.mark(patient, OVER, |_, _| true);
    }

    /// Marks the strikes of some days in a scope: a restriction used them up.
    pub(super) fn use_up(
        &mut self,
        patient: PatientId,
        within: RuleScope,
        days: std::ops::RangeInclusive<Day>,
    ) {
        self.mark(patient, USED, |day, place| days.contains(&day) && within.contains(place));
    }

    fn mark(&mut self, patient: PatientId, mark: u64, is_it: impl Fn(Day, &Place) -> bool) {
        let mut at = self.newest_of(patient);
        while at != NONE {
            for index in 0..VISITS {
                let word = word(self.nodes.get(at), index);
                let place = self.places.get(place_of(word)).0;
                if word & STRIKE != 0 && is_it(visit_day(word), &place) {
                    set(self.nodes.get_mut(at), index, word | mark);
                }
            }
            at = link(self.nodes.get(at));
        }
    }

    /// The visits of a patient, newest first.
    pub(super) fn of(&self, patient: PatientId) -> impl Iterator<Item = Past> + '_ {
        let words = self.spots(patient).map(|(_, _, word)| word);
        words.filter(|word| word & ENDING != ALONE).map(|word| self.unpack(word))
    }

    /// Every patient with visits, oldest visit first, in no order of patients.
    pub(super) fn all(&self) -> impl Iterator<Item = (PatientId, Vec<Past>)> + '_ {
        let patients = self.index.positions();
        let patients = patients.map(|at| PatientId(joined(self.entries.get(at).patient)));
        let all = patients.map(|patient| {
            let mut past: Vec<_> = self.of(patient).collect();
            past.reverse();
            (patient, past)
        });
        all.filter(|(_, past)| !past.is_empty())
    }

    /// The words of a patient, newest first, and where each lies.
    fn spots(&self, patient: PatientId) -> impl Iterator<Item = (Position, usize, u64)> + '_ {
        let first = Some(self.newest_of(patient)).filter(|newest| *newest != NONE);
        let nodes = std::iter::successors(first, |position| {
            Some(link(self.nodes.get(*position))).filter(|next| *next != NONE)
        });
        let spots = nodes.flat_map(|position| {
            let node = self.nodes.get(position);
            (0..VISITS).rev().map(move |at| (position, at, word(node, at)))
        });
        spots.filter(|(_, _, word)| *word != 0)
    }

    fn newest_of(&self, patient: PatientId) -> Position {
        self.find(patient).map_or(NONE, |position| self.entries.get(position).newest)
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
        let (mut at, mut newer) = (self.entries.get(position).newest, NONE);
        let mut room = HistoryRoom::default();
        while at != NONE {
            let mut is_empty = true;
            for index in (0..VISITS).rev() {
                let word = word(self.nodes.get(at), index);
                if word == 0 {
                    continue;
                }
                if word & ENDING == ALONE {
                    is_empty = false;
                } else if last_day(word) < horizon || !room.takes(ending(word)) {
                    let is_strike = word & STRIKE != 0;
                    let left = if is_strike { word & !ENDING | ALONE } else { 0 };
                    set(self.nodes.get_mut(at), index, left);
                    is_empty &= !is_strike;
                } else {
                    is_empty = false;
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
        let ending = if ending == Ending::Late { FULFILLED | LATE } else { ending as u64 };
        let flags = ending | (visit.half as u64) << 3 | u64::from(is_joined) << 4;
        u64::from(place) << 40
            | u64::from(day) << 24
            | u64::from(ahead) << 16
            | u64::from(lasted) << 8
            | flags
    }

    fn unpack(&self, word: u64) -> Past {
        let (place, appointment_type) = self.places.get(place_of(word));
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

/// How a visit ended, as [`Ending`] numbers it; or that the word stands for a strike alone.
const ENDING: u64 = 7;
const MISSED: u64 = Ending::Missed as u64;
const CANCELLED: u64 = Ending::Cancelled as u64;
const ALONE: u64 = 0;

/// Marks of a word.
const STRIKE: u64 = 1 << 5;
const USED: u64 = 1 << 6;
const OVER: u64 = 1 << 7;
/// Of a visit that took place, which is never a strike: the patient came late.
const LATE: u64 = USED;
const FULFILLED: u64 = Ending::Fulfilled as u64;

const fn flag(mark: u64, is_set: bool) -> u64 {
    if is_set { mark } else { 0 }
}

const fn place_of(word: u64) -> Position {
    (word >> 40) as Position
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
        FULFILLED if word & LATE != 0 => Ending::Late,
        FULFILLED => Ending::Fulfilled,
        2 => Ending::Missed,
        3 => Ending::Cancelled,
        4 => Ending::Released,
        6 => Ending::Probed,
        7 => Ending::Booked,
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

    fn missed(day: u32) -> Recorded {
        let place = Place { resource: crate::model::ResourceId(9), ..Place::default() };
        let visit = Visit { place, appointment_type: 1, day: Day(day), half: HalfDay::Morning };
        Recorded {
            patient: PatientId(7),
            ending: Ending::Missed,
            booked: Day(day - 3),
            ended: Day(day),
            visits: std::iter::once(visit).collect(),
        }
    }

    fn strike_of(fact: &Recorded) -> KeptStrike {
        let visit = fact.visits.first().unwrap();
        let strike = Strike { day: visit.day, place: visit.place };
        KeptStrike { strike, is_used: false, is_over: false }
    }

    #[test]
    fn who_probed_takes_little_room_of_what_else_is_kept() {
        // Visits, how often somebody probed after them, how often before; what is kept of both.
        let table = [
            (10, 5, 0, 10, 5),
            (10, 100, 0, 10, 32),
            (300, 0, 0, 255, 0),
            (300, 5, 0, 250, 5),
            (300, 100, 0, 223, 32),
            (300, 0, 20, 255, 0),
            (240, 10, 20, 240, 15),
        ];
        for (visits, after, before, kept_visits, kept_probed) in table {
            let (mut histories, patient) = (Histories::new(1), PatientId(7));
            let probed = |day: u32| Recorded { ending: Ending::Probed, ..missed(day) };
            let all = (0..before).map(|_| probed(20_000));
            let all = all.chain((0..visits).map(|at| missed(20_000 + at / 8)));
            let all = all.chain((0..after).map(|_| probed(20_040)));
            all.for_each(|fact| histories.push(patient, fact.past()));
            let kept: Vec<_> = histories.of(patient).collect();
            let probed = kept.iter().filter(|past| past.ending == Ending::Probed).count();
            let counted = (kept.len() - probed, probed);
            assert_eq!(counted, (kept_visits, kept_probed), "{visits}, {after}, {before}");
            // A snapshot brings the same.
            let mut restored = Histories::new(2);
            restored.push(patient, kept.iter().rev().copied());
            assert_eq!(restored.of(patient).collect::<Vec<_>>(), kept);
        }
    }

    #[test]
    fn a_strike_is_a_mark_on_its_visit_and_outlives_it() {
        let mut histories = Histories::new(1);
        let patient = PatientId(7);
        let days = [20_000, 20_010, 20_010, 20_020];
        for (nth, day) in days.into_iter().enumerate() {
            let fact = missed(day);
            histories.push(patient, fact.past());
            histories.strike(patient, &strike_of(&fact));
            match nth {
                0 => histories.end_row(patient),
                1 => histories.use_up(patient, RuleScope::Region, Day(20_005)..=Day(20_010)),
                _ => {}
            }
        }
        let told = |histories: &Histories| -> Vec<(u32, bool, bool)> {
            let strikes = histories.strikes(patient);
            strikes.iter().map(|it| (it.strike.day.0, it.is_used, it.is_over)).collect()
        };
        let all = [
            (20_000, false, true),
            (20_010, false, false),
            (20_010, true, false),
            (20_020, false, false),
        ];
        assert_eq!(told(&histories), all);
        assert_eq!(histories.nodes.iter().count(), 1, "four words, which one node has room for");

        // Two years later the visits are too old, and the strikes are not.
        histories.push(patient, missed(20_700).past());
        assert_eq!(histories.of(patient).count(), 1);
        assert_eq!(told(&histories), all);

        // A snapshot tells visits and strikes apart, and brings the same.
        let mut restored = Histories::new(2);
        restored.push(patient, histories.of(patient));
        histories.strikes(patient).iter().for_each(|kept| restored.strike(patient, kept));
        assert_eq!(told(&restored), all);
        assert_eq!(
            restored.of(patient).collect::<Vec<_>>(),
            histories.of(patient).collect::<Vec<_>>()
        );
    }
}
