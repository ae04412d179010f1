//! One opening's places, line by line of the journal.
//!
//! ```text
//! Held, DrawWon, PlaceOffered: taken      Released, Expired, Cancelled: freed, by whom
//!       '-- by whom the same place was freed last: a hand-over, where both are the ring's
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::account::{Kind as Fault, Violations};
use super::crowd::Crowd;
use super::recount::{Line, number};

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// An entry of a draw.
    Entered,
    Held,
    Booked,
    Over,
}

/// A place: slot and pool.
type Place = (u16, u8);

/// What happened in one opening.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// When its pools open, and when its draw closes, in ms of the wall.
    pub(crate) opens: u64,
    pub(crate) closes: u64,
    is_draw: bool,
    capacity: BTreeMap<Place, i64>,
    taken: BTreeMap<Place, i64>,
    pub(crate) appointments: BTreeMap<u128, Taken>,
    /// Whose, and where, for what is live.
    live: BTreeMap<u128, (u32, Place)>,
    of_person: BTreeMap<u32, u128>,
    /// Entries of the draw in the order in which they were made.
    pub(crate) entries: Vec<u32>,
    /// Who was drawn.
    pub(crate) drawn: BTreeSet<u32>,
    /// Who ever had a place.
    pub(crate) had: BTreeSet<u32>,
    waiting: BTreeSet<u32>,
    ever_waiting: bool,
    freed: BTreeMap<Place, VecDeque<u32>>,
    /// Places that the ring freed and took again by asking: all, and those for which people waited.
    pub(crate) handovers: [u64; 2],
    /// When the last place was taken for the first time.
    pub(crate) sold: Option<u64>,
    /// Places at the end, and of them booked by people and by the ring.
    pub(crate) booked: [u64; 2],
    /// When each place was booked that is booked at the end, ms after the opening, and by whom.
    bookings: BTreeMap<u128, u64>,
    /// Taken places when the node was asked: the least and the most, from and to then.
    at_reading: Option<[u64; 2]>,
}

impl Ledger {
    pub(crate) fn new(opens: u64, closes: u64, is_draw: bool) -> Self {
        Self { opens, closes, is_draw, ..Self::default() }
    }

    /// Places that there are.
    pub(crate) fn places(&self) -> u64 {
        u64::try_from(self.capacity.values().sum::<i64>()).unwrap_or(0)
    }

    /// Taken places while the node was asked, the least and the most.
    pub(crate) fn read_between(&self) -> [u64; 2] {
        let now = self.sum_taken();
        self.at_reading.unwrap_or([now, now])
    }

    /// Who is booked at the end and since how many ms after the opening.
    pub(crate) fn bookings(&self) -> impl Iterator<Item = (u32, u64)> {
        self.bookings.iter().filter_map(|(id, after)| Some((self.live.get(id)?.0, *after)))
    }

    /// Takes a line in.
    pub(super) fn add(
        &mut self,
        line: &Line<'_>,
        person: Option<u32>,
        crowd: &Crowd,
        [from, to]: [u64; 2],
        violations: &mut Violations,
    ) {
        // Before the first line after the reading began: what was taken then.
        if from <= line.time_ms && self.at_reading.is_none() {
            let now = self.sum_taken();
            self.at_reading = Some([now, now]);
        }
        self.take_in(line, person, crowd, violations);
        if from <= line.time_ms && line.time_ms <= to {
            let now = self.sum_taken();
            let [least, most] = self.at_reading.unwrap_or([now, now]);
            self.at_reading = Some([least.min(now), most.max(now)]);
        }
    }

    fn take_in(
        &mut self,
        line: &Line<'_>,
        person: Option<u32>,
        crowd: &Crowd,
        violations: &mut Violations,
    ) {
        let id = line.appointment.and_then(number);
        match (line.fact, id, person) {
            ("SessionOpened", ..) => self.provide(line, 1),
            ("Reclaimed", ..) => self.move_places(line),
            ("Entered", Some(id), Some(person)) => {
                self.is_early(line, violations);
                self.is_double(id, person, violations);
                self.appointments.insert(id, Taken::Entered);
                self.of_person.insert(person, id);
                self.entries.push(person);
            }
            ("Held", Some(id), Some(person)) => {
                self.is_early(line, violations);
                self.is_double(id, person, violations);
                self.is_handed_over(line, person, crowd);
                self.take(line, id, person, violations);
            }
            ("DrawWon", Some(id), Some(person)) => {
                if line.time_ms < self.closes {
                    violations.note(Fault::Early, || format!("drawn before the close: {line:?}"));
                }
                self.drawn.insert(person);
                self.take(line, id, person, violations);
            }
            ("PlaceOffered" | "Offered", Some(id), Some(person)) => {
                self.is_double(id, person, violations);
                let _previous = self.last_freed(line);
                self.take(line, id, person, violations);
            }
            ("Booked", Some(id), _) => {
                self.appointments.insert(id, Taken::Booked);
                self.bookings.insert(id, line.time_ms.saturating_sub(self.opens));
            }
            ("Released" | "Expired" | "Cancelled" | "NotDrawn" | "Withdrawn", Some(id), _) => {
                self.free(id);
            }
            ("WaitJoined", _, Some(person)) => {
                self.ever_waiting = true;
                self.waiting.insert(person);
            }
            ("WaitLeft", _, Some(person)) => {
                self.waiting.remove(&person);
            }
            _ => {}
        }
    }

    fn provide(&mut self, line: &Line<'_>, sign: i64) {
        let places = i64::from(line.places.unwrap_or(0)) * sign;
        let first = line.slot.unwrap_or(0);
        for slot in first..first + line.count.unwrap_or(0) {
            *self.capacity.entry((slot, line.pool.unwrap_or(0))).or_default() += places;
        }
    }

    fn move_places(&mut self, line: &Line<'_>) {
        self.provide(line, -1);
        self.provide(&Line { pool: line.to_pool, ..*line }, 1);
    }

    fn is_early(&self, line: &Line<'_>, violations: &mut Violations) {
        if line.time_ms < self.opens {
            let early = self.opens - line.time_ms;
            violations.note(Fault::Early, || format!("{early} ms before the opening: {line:?}"));
        }
    }

    fn is_double(&mut self, id: u128, person: u32, violations: &mut Violations) {
        let is_known = self.appointments.contains_key(&id);
        let other = self.of_person.get(&person).filter(|other| **other != id);
        let other = other.filter(|other| self.appointments.get(other) != Some(&Taken::Over));
        if is_known || other.is_some() {
            violations.note(Fault::Double, || {
                format!("{id:032x} of person {person}, who has {other:032x?}")
            });
        }
    }

    fn take(&mut self, line: &Line<'_>, id: u128, person: u32, violations: &mut Violations) {
        let place = place(line);
        self.appointments.insert(id, Taken::Held);
        self.of_person.insert(person, id);
        self.had.insert(person);
        self.live.insert(id, (person, place));
        let taken = self.taken.entry(place).or_default();
        *taken += 1;
        let capacity = self.capacity.get(&place).copied().unwrap_or(0);
        if capacity < *taken {
            violations.note(Fault::Oversold, || format!("{taken} of {capacity} places: {line:?}"));
        }
        if self.sold.is_none() && self.sum_taken() == self.places() {
            self.sold = Some(line.time_ms);
        }
    }

    fn free(&mut self, id: u128) {
        self.appointments.insert(id, Taken::Over);
        self.bookings.remove(&id);
        let Some((person, place)) = self.live.remove(&id) else { return };
        *self.taken.entry(place).or_default() -= 1;
        self.freed.entry(place).or_default().push_back(person);
    }

    /// Whose the place was that is taken now, if it was anybody's. Places of a slot are alike: the one that
    /// was freed first is taken first.
    fn last_freed(&mut self, line: &Line<'_>) -> Option<u32> {
        self.freed.get_mut(&place(line))?.pop_front()
    }

    fn is_handed_over(&mut self, line: &Line<'_>, person: u32, crowd: &Crowd) {
        let Some(before) = self.last_freed(line) else { return };
        if crowd.is_ring(before) && crowd.is_ring(person) {
            let people_wait = self.waiting.iter().any(|person| !crowd.is_ring(*person));
            self.handovers[0] += 1;
            // Where nobody can wait, people ask again and again: they always wait.
            self.handovers[1] += u64::from(people_wait || !self.ever_waiting && !self.is_draw);
        }
    }

    fn sum_taken(&self) -> u64 {
        u64::try_from(self.taken.values().sum::<i64>()).unwrap_or(0)
    }

    /// Free places while people wait for one: the platform keeps them from somebody.
    pub(crate) fn idle(&self, crowd: &Crowd) -> u64 {
        let people_wait = self.waiting.iter().any(|person| !crowd.is_ring(*person));
        if people_wait { self.places().saturating_sub(self.sum_taken()) } else { 0 }
    }

    /// Counts who has the places at the end.
    pub(crate) fn close(&mut self, crowd: &Crowd) {
        for (id, (person, _)) in &self.live {
            if self.appointments.get(id) == Some(&Taken::Booked) {
                self.booked[usize::from(crowd.is_ring(*person))] += 1;
            }
        }
    }
}

fn place(line: &Line<'_>) -> Place {
    (line.slot.unwrap_or(0), line.pool.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::crowd::Crowd;
    use crate::market::scenario::Scenario;

    /// The ring's identities are 2,000 and above; the opening is at 1,000.
    const ID: &str = "000000000000000000000000000000";

    /// Reads a script: fact, time, appointment, person, slot; two places in slot 0, one in slot 1.
    fn read(script: &[(&str, u64, u8, u32, u16)]) -> (Ledger, Violations) {
        let crowd = Crowd::new(&Scenario::built_in().unwrap(), 1);
        let (mut ledger, mut violations) =
            (Ledger::new(1_000, 1_000, false), Violations::default());
        let opened = |slot, places| Line {
            seq: 1,
            time_ms: 0,
            fact: "SessionOpened",
            appointment: None,
            patient: None,
            session: None,
            slot: Some(slot),
            count: Some(1),
            pool: Some(0),
            places: Some(places),
            to_pool: None,
        };
        let window = [u64::MAX, u64::MAX];
        for line in [opened(0, 2), opened(1, 1)] {
            ledger.add(&line, None, &crowd, window, &mut violations);
        }
        for (fact, time_ms, id, person, slot) in script {
            let appointment = format!("{ID}{id:02x}");
            let line = Line {
                seq: 1,
                time_ms: *time_ms,
                fact,
                appointment: Some(&appointment),
                ..opened(*slot, 0)
            };
            ledger.add(&line, Some(*person), &crowd, window, &mut violations);
        }
        ledger.close(&crowd);
        (ledger, violations)
    }

    #[test]
    fn places_are_counted_and_what_must_not_be_is_found() {
        for (name, script, expected) in [
            ("fine", vec![("Held", 1_000, 1, 5, 0), ("Booked", 1_001, 1, 5, 0)], [0, 0, 0, 0]),
            ("early", vec![("Held", 999, 1, 5, 0)], [0, 0, 0, 1]),
            ("entered early", vec![("Entered", 998, 1, 5, 0)], [0, 0, 0, 1]),
            ("oversold", vec![("Held", 1_000, 1, 5, 1), ("Held", 1_000, 2, 6, 1)], [1, 0, 0, 0]),
            ("two of one", vec![("Held", 1_000, 1, 5, 0), ("Held", 1_000, 2, 5, 0)], [0, 0, 1, 0]),
            ("twice", vec![("Held", 1_000, 1, 5, 0), ("Held", 1_000, 1, 5, 0)], [0, 0, 1, 0]),
            (
                "again",
                vec![
                    ("Held", 1_000, 1, 5, 1),
                    ("Expired", 1_100, 1, 5, 1),
                    ("Held", 1_200, 2, 5, 1),
                ],
                [0, 0, 0, 0],
            ),
        ] {
            let (_, found) = read(&script);
            assert_eq!([found.oversold, found.lost, found.double, found.early], expected, "{name}");
        }
    }

    #[test]
    fn a_hand_over_is_from_the_ring_to_the_ring_by_asking_while_people_wait() {
        let sold = [("Held", 1_000, 1, 2_000, 1), ("Booked", 1_001, 1, 2_000, 1)];
        let freed = ("Cancelled", 1_500, 1, 2_000, 1);
        let wait = ("WaitJoined", 1_200, 9, 7, 0);
        for (name, then, expected) in [
            ("caught", vec![freed, ("Held", 1_501, 2, 2_001, 1)], [1, 1]),
            ("by a person", vec![freed, ("Held", 1_501, 2, 8, 1)], [0, 0]),
            ("offered", vec![wait, freed, ("PlaceOffered", 1_501, 2, 2_001, 1)], [0, 0]),
            ("past who waits", vec![wait, freed, ("Held", 1_501, 2, 2_001, 1)], [1, 1]),
            (
                "nobody waits any more",
                vec![wait, freed, ("WaitLeft", 1_501, 9, 7, 0), ("Held", 1_502, 2, 2_001, 1)],
                [1, 0],
            ),
            ("another slot", vec![freed, ("Held", 1_501, 2, 2_001, 0)], [0, 0]),
        ] {
            let (ledger, violations) = read(&[&sold[..], &then].concat());
            assert_eq!(ledger.handovers, expected, "{name}");
            assert!(violations.first.is_empty(), "{name}: {violations:?}");
        }
    }

    #[test]
    fn what_is_booked_at_the_end_counts_and_whose_it_is() {
        let (ledger, _) = read(&[
            ("Held", 1_000, 1, 5, 0),
            ("Booked", 1_010, 1, 5, 0),
            ("Held", 1_000, 2, 2_003, 0),
            ("Booked", 1_020, 2, 2_003, 0),
            ("Held", 1_004, 3, 6, 1),
        ]);
        assert_eq!((ledger.booked, ledger.places(), ledger.sold), ([1, 1], 3, Some(1_004)));
        assert_eq!(ledger.bookings().collect::<Vec<_>>(), [(5, 10), (2_003, 20)]);
    }
}
