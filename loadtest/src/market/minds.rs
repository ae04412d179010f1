//! Whose decision it is: a person's, or a person's that the ring's tactics have changed.
//!
//! **Architecture invariant:** chance comes from the seed, the person and the opening, so the same seed gives
//! the same arrivals whatever the node answers.

use haoyuan::model::Outcome;

use super::crowd::{Crowd, Person, Side};
use super::manner::{self, Guise, Later, Moment, Next, Then};
use super::scenario::{Part, Scenario};
use super::tactics::{self, Tactic};
use crate::random::{Random, mix};

/// What somebody did so far in one opening.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) person: u32,
    pub(crate) tries: u16,
    pub(crate) has_joined: bool,
    pub(crate) random: Random,
}

/// What a decision may rest on besides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) ring_asking: u32,
    pub(crate) since_opening: u64,
    pub(crate) hint_micros: u64,
    pub(crate) hold_micros: u64,
}

/// Everybody's decisions in a part.
#[derive(Debug)]
pub(crate) struct Minds {
    pub(crate) scenario: Scenario,
    pub(crate) part: Part,
    pub(crate) crowd: Crowd,
    ring: Vec<Box<dyn Tactic>>,
}

impl Past {
    /// Nothing yet.
    pub(crate) fn new(seed: u64, person: u32, opening: u32) -> Self {
        let random = Random::new(mix(seed ^ mix(u64::from(person) << 32 | u64::from(opening))));
        Self { person, tries: 0, has_joined: false, random }
    }
}

impl Minds {
    pub(crate) fn new(scenario: Scenario, part: Part, seed: u64) -> Result<Self, String> {
        let mut ring = tactics::of(&scenario)?;
        let mut crowd = Crowd::new(&scenario, seed);
        for tactic in &mut ring {
            tactic.dress(&scenario, crowd.ring());
        }
        Ok(Self { scenario, part, crowd, ring })
    }

    pub(crate) fn person(&self, person: u32) -> Person {
        self.crowd.people[person as usize]
    }

    /// When somebody asks first, in µs from the opening.
    pub(crate) fn first(&mut self, past: &mut Past) -> i64 {
        let (mut moment, ring) = self.moment(past, Told::default());
        let mut after = manner::first(&mut moment);
        for tactic in ring.iter_mut() {
            tactic.first(&mut moment, &mut after);
        }
        after
    }

    /// As whom somebody asks this time.
    pub(crate) fn guise(&mut self, past: &mut Past) -> Guise {
        let mut guise = self.person(past.person);
        let (mut moment, ring) = self.moment(past, Told::default());
        for tactic in ring.iter_mut() {
            tactic.disguise(&mut moment, &mut guise);
        }
        guise
    }

    pub(crate) fn refused(&mut self, past: &mut Past, told: Told, outcome: Outcome) -> Next {
        let (mut moment, ring) = self.moment(past, told);
        let mut next = manner::refused(&mut moment, outcome);
        for tactic in ring.iter_mut() {
            tactic.refused(&mut moment, outcome, &mut next);
        }
        next
    }

    pub(crate) fn held(&mut self, past: &mut Past, told: Told, is_race: bool) -> Then {
        let (mut moment, ring) = self.moment(past, told);
        let mut then = manner::held(&mut moment, is_race);
        for tactic in ring.iter_mut() {
            tactic.held(&mut moment, &mut then);
        }
        then
    }

    pub(crate) fn booked(&mut self, past: &mut Past) -> Later {
        let (mut moment, ring) = self.moment(past, Told::default());
        let mut later = manner::booked(&mut moment);
        for tactic in ring.iter_mut() {
            tactic.booked(&mut moment, &mut later);
        }
        later
    }

    /// Whether somebody who entered, waits, or lost asks on.
    pub(crate) fn asks_on(&self, person: u32) -> bool {
        self.crowd.is_ring(person) && self.ring.iter().any(|tactic| tactic.asks_on())
    }

    /// The moment of a decision, and the tactics that change it: none for who is not of the ring.
    fn moment<'a>(
        &'a mut self,
        past: &'a mut Past,
        told: Told,
    ) -> (Moment<'a>, &'a mut [Box<dyn Tactic>]) {
        let side = self.crowd.people[past.person as usize].side;
        let moment = Moment {
            scenario: &self.scenario,
            kind: self.part.kind,
            has_waitlist: self.part.waitlist,
            side,
            person: past.person,
            since_opening: told.since_opening,
            has_joined: past.has_joined,
            ring_asking: told.ring_asking,
            hint_micros: told.hint_micros,
            hold_micros: told.hold_micros,
            random: &mut past.random,
        };
        let tactics = if side == Side::Ring { self.ring.as_mut_slice() } else { &mut [] };
        (moment, tactics)
    }
}
