//! What the scene of the scalpers showed: who got the places, in both parts.
//!
//! **Architecture invariant:** a share is shown and never judged: how fast a ring is against people is a
//! figure of the machine. Only what must hold on any machine is a fault.

use serde::Serialize;

use super::Part;
use super::play::{PartPlayed, Played};
use super::seen::{Count, Seen};
use crate::cli::demo::table::{Table, percent, permille};
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// What the scene showed.
#[derive(Debug, Serialize)]
pub(in crate::cli::demo) struct RingReport {
    people: u32,
    ring_people: u32,
    /// Of everybody who asks, the ring's part, from 0 to 1.
    identity_share: f64,
    /// How many times faster than a person the scripts of the ring are.
    speed: f64,
    clinics: u32,
    first_come: PartReport,
    by_lot: PartReport,
    /// Whether all of it is as it must be.
    holds: bool,
}

/// What a part showed.
#[derive(Debug, Serialize)]
struct PartReport {
    /// Requests for a place, and those of the ring among them.
    requests: u64,
    ring_requests: u64,
    /// Places that there are, that are booked at the end, and that are the ring's of these.
    places: u32,
    booked: u32,
    ring_places: u32,
    /// From 0 to 1.
    ring_share: f64,
    left_empty: u32,
    /// How often the ring gave a place up for a customer, and how often the customer's script caught it.
    handovers_tried: u32,
    handovers: u32,
    /// People to whom a rule refused something.
    people_hindered: u32,
    #[serde(flatten)]
    lots: Option<LotsReport>,
}

/// What a draw showed besides.
#[derive(Debug, Serialize)]
struct LotsReport {
    entries: u32,
    ring_entries: u32,
    /// Places that even lots give to the ring's entries, on average.
    ring_expected: f64,
}

impl RingReport {
    /// Counts, and says what must not be.
    pub(in crate::cli::demo) fn new(played: &Played, seen: &Seen) -> (Self, Vec<String>) {
        let population = &played.population;
        let counts = Part::ALL.map(|part| seen.count(part));
        let [first_come, by_lot] = [0, 1].map(|part| {
            PartReport::new(&played.parts[part], &counts[part], Part::ALL[part] == Part::ByLot)
        });
        let expected = u32::from(population.openings.count);
        let faults = faults(&counts, expected);
        let report = Self {
            people: population.honest.count,
            ring_people: population.ring.identities,
            identity_share: population.identity_share(),
            speed: population.ring.speed,
            clinics: expected,
            first_come,
            by_lot,
            holds: faults.is_empty(),
        };
        (report, faults)
    }

    /// Tells it.
    pub(in crate::cli::demo) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let Self { people, ring_people, speed, clinics, first_come, .. } = self;
        let places = first_come.places;
        output.line("3. A RING OF SCALPERS (黄牛)")?;
        output.line(format_args!(
            "   {clinics} clinics have {places} places. {people} people want one in each, and so does a ring with the papers of"
        ))?;
        output.line(format_args!(
            "   {ring_people} people and scripts {speed:.0} times as fast. They come twice: to a door that is open to whoever is"
        ))?;
        output.line(
            "   first, without rules; and to a draw, under rules, where what is freed goes to who waits.",
        )?;
        output.line("")?;
        self.print_places(output)?;
        output.line("")?;
        self.print_facts(output)?;
        output.line("")?;
        self.print_end(output)?;
        output.line("")
    }

    fn print_places(&self, output: &mut Output) -> Result<(), Failure> {
        let mut table = Table::new(&[false, false, true, true, true, true, true, true, true]);
        table.row(&[
            "places go to",
            "who",
            "people",
            "of people",
            "requests",
            "entries",
            "places",
            "of places",
            "on average*",
        ]);
        let all = self.people + self.ring_people;
        for (name, part) in [("whoever is first", &self.first_come), ("lots", &self.by_lot)] {
            for is_ring in [false, true] {
                let people = if is_ring { self.ring_people } else { self.people };
                let (requests, entries, places, mean) = part.side(is_ring);
                table.row(&[
                    if is_ring { "" } else { name },
                    if is_ring { "the ring" } else { "people" },
                    &people.to_string(),
                    &percent(permille(people, all)),
                    &requests.to_string(),
                    &entries.map_or_else(String::new, |entries| entries.to_string()),
                    &places.to_string(),
                    &percent(permille(places, part.booked)),
                    &mean.map_or_else(String::new, |mean| format!("{mean:.1}")),
                ]);
            }
        }
        table.print(output)?;
        output.line("   * Places are few, so luck shows. These are the places that even lots give to the same entries.")
    }

    fn print_facts(&self, output: &mut Output) -> Result<(), Failure> {
        let (first, lots) = (&self.first_come, &self.by_lot);
        let mut facts = Table::new(&[false, true, true]);
        facts.row(&["", "whoever is first", "lots"]);
        let mut fact = |what: &str, of: fn(&PartReport) -> String| {
            facts.row(&[what, &of(first), &of(lots)]);
        };
        fact("the ring gave a place up, and a customer's script caught it", |part| {
            format!("{} of {}", part.handovers, part.handovers_tried)
        });
        fact("places left empty", |part| part.left_empty.to_string());
        fact("people to whom a rule refused anything", |part| part.people_hindered.to_string());
        facts.print(output)
    }

    fn print_end(&self, output: &mut Output) -> Result<(), Failure> {
        if !self.holds {
            return output.line("   => This did not go as it must: see the faults below.");
        }
        let share = |part: &PartReport| percent(permille(part.ring_places, part.booked));
        let people = percent(permille(self.ring_people, self.people + self.ring_people));
        let (_, entries, ..) = self.by_lot.side(true);
        output.line(format_args!(
            "   => Where whoever is first has the place, {people} of the people got {} of them. By lot they got {}:",
            share(&self.first_come),
            share(&self.by_lot),
        ))?;
        output.line(format_args!(
            "      {} requests of the ring made {} entries, one for each of its people and clinics, like everybody's.",
            self.by_lot.ring_requests,
            entries.unwrap_or_default(),
        ))
    }
}

impl PartReport {
    fn new(played: &PartPlayed, count: &Count, is_draw: bool) -> Self {
        let [_, ring_places] = count.booked;
        let booked = count.booked_of_all();
        let [_, ring_entries] = count.entries;
        Self {
            requests: played.requests.iter().sum(),
            ring_requests: played.requests[1],
            places: count.places,
            booked,
            ring_places,
            ring_share: f64::from(ring_places) / f64::from(booked.max(1)),
            left_empty: count.places.saturating_sub(booked),
            handovers_tried: played.handovers_tried,
            handovers: count.handovers,
            people_hindered: played.hindered,
            lots: is_draw.then(|| LotsReport {
                entries: count.entries.iter().sum(),
                ring_entries,
                ring_expected: count.ring_expected,
            }),
        }
    }

    /// Requests, entries, places, and places by even lots: of people, or of the ring.
    fn side(&self, is_ring: bool) -> (u64, Option<u32>, u32, Option<f64>) {
        let lots = self.lots.as_ref();
        if is_ring {
            let entries = lots.map(|lots| lots.ring_entries);
            return (
                self.ring_requests,
                entries,
                self.ring_places,
                lots.map(|lots| lots.ring_expected),
            );
        }
        (
            self.requests - self.ring_requests,
            lots.map(|lots| lots.entries - lots.ring_entries),
            self.booked - self.ring_places,
            lots.map(|lots| f64::from(self.places) - lots.ring_expected),
        )
    }
}

/// What must hold on any machine.
fn faults(counts: &[Count; 2], clinics: u32) -> Vec<String> {
    let sum = |of: fn(&Count) -> u32| counts.iter().map(of).sum::<u32>();
    let [_, by_lot] = counts;
    let rules = [
        (counts.iter().all(|count| count.clinics == clinics), "a clinic was not opened"),
        (sum(|count| count.oversold) == 0, "a place was given twice"),
        (sum(|count| count.early) == 0, "a place was given before its time"),
        (sum(|count| count.second) == 0, "somebody had two places or entries in one clinic"),
        (by_lot.drawn == by_lot.to_draw, "not every place was drawn, or one twice"),
        (
            by_lot.handovers_past == 0,
            "the ring handed a place over while somebody waited for the clinic",
        ),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    broken.map(|(_, what)| format!("the ring: {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_hold_on_any_machine_is_a_fault_and_a_share_is_none() {
        let fine = Count { clinics: 6, places: 48, drawn: 48, to_draw: 48, ..Count::default() };
        let greedy = Count { booked: [0, 48], handovers: 9, ..fine };
        for (name, second, expected) in [
            ("fine", fine.clone(), ""),
            ("the ring has all", greedy, ""),
            ("oversold", Count { oversold: 1, ..fine }, "given twice"),
            ("early", Count { early: 1, ..fine }, "before its time"),
            ("second", Count { second: 1, ..fine }, "two places or entries"),
            ("not drawn", Count { drawn: 47, ..fine }, "not every place was drawn"),
            ("past", Count { handovers_past: 1, ..fine }, "while somebody waited"),
            ("missing", Count { clinics: 5, ..fine }, "was not opened"),
        ] {
            let first = Count { drawn: 0, to_draw: 0, ..fine };
            let found = faults(&[first, second], 6).join("; ");
            assert_eq!(found.is_empty(), expected.is_empty(), "{name}: {found}");
            assert!(found.contains(expected), "{name}: {found}");
        }
    }
}
