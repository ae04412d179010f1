//! What each of the people does next.
//!
//! ```text
//! first --> asked -- refused --> again | wait | stop
//!                 '- held    --> book  | release | forget
//!                                '- booked --> keep | cancel | hand over
//! ```
//!
//! Everybody decides as a person does; each tactic of the population changes what the ring does.
//!
//! **Architecture invariant:** decisions only. Who decides sends nothing and knows no clock.

use std::sync::Arc;
use std::time::Duration;

use super::Part;
use super::people::Person;
use super::population::{Population, Tactic, duration};
use crate::cli::demo::patients::Dice;
use crate::model::Outcome;

/// How somebody decides about one clinic. The same person decides the same in every run.
#[derive(Debug)]
pub(super) struct Mind {
    population: Arc<Population>,
    part: Part,
    is_ring: bool,
    dice: Dice,
}

/// When somebody asks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    Before(Duration),
    After(Duration),
}

/// A refusal, and what a decision after it may rest on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) outcome: Outcome,
    /// After which time the node says to come back.
    pub(super) hint: Duration,
    pub(super) since_opening: Duration,
    pub(super) has_joined: bool,
    /// Scripts that ask at this time.
    pub(super) scripts: u32,
}

/// After a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Again(Duration),
    /// Joins the waitlist.
    Wait,
    Stop,
}

/// After a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Books, in time or not.
    Book(Duration),
    Release(Duration),
    /// Lets it lapse.
    Forget,
}

/// After a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Later {
    Keep,
    Cancel(Duration),
    /// Cancels so that a customer of the ring can have it.
    HandOver(Duration),
}

impl Mind {
    pub(super) fn new(population: &Arc<Population>, part: Part, who: Person, clinic: u16) -> Self {
        let seed = u64::from(clinic) << 32 | u64::from(who.number);
        let population = Arc::clone(population);
        Self { population, part, is_ring: who.is_ring, dice: Dice::new(seed) }
    }

    fn does(&self, tactic: Tactic) -> bool {
        self.is_ring && self.population.ring.tactics.contains(&tactic)
    }

    /// Whether somebody who entered, waits, or lost asks on.
    pub(super) fn asks_on(&self) -> bool {
        self.does(Tactic::Retry)
    }

    /// One of so many, by chance.
    pub(super) fn one_of(&mut self, count: usize) -> usize {
        let one = self.dice.below(u64::try_from(count).unwrap_or(1).max(1));
        usize::try_from(one).unwrap_or_default()
    }

    /// When somebody asks first. Who probes is there before who merely reacts at once.
    pub(super) fn first(&mut self) -> First {
        let Population { time, honest, ring, draw, .. } = &*self.population;
        let chance = self.dice.share();
        let window = draw.window_hours * 3_600.0;
        let person = match self.part {
            // At any time of the window.
            Part::ByLot => time.wait(window * between(chance, [0.01, 0.97])),
            Part::FirstCome => {
                let beyond = -honest.hesitation_seconds * (1.0 - chance).ln();
                time.race(honest.reaction_seconds + beyond)
            }
        };
        if self.does(Tactic::Probe) {
            return First::Before(time.race(ring.probe_seconds * chance));
        }
        if !self.does(Tactic::ZeroReaction) {
            return First::After(person);
        }
        let at_once = match self.part {
            Part::ByLot => time.wait(window * chance / ring.speed),
            Part::FirstCome => person.div_f64(ring.speed),
        };
        First::After(at_once.max(REACTION_MIN))
    }

    /// From a refusal to a person's next try.
    fn pause(&mut self) -> Duration {
        let Population { time, honest, .. } = &*self.population;
        time.race(honest.pause_seconds * between(self.dice.share(), [0.7, 1.3]))
    }

    pub(super) fn refused(&mut self, refused: &Refused) -> Next {
        let person = self.person_refused(refused.outcome);
        if !self.does(Tactic::Retry) {
            return person;
        }
        // The waitlist is another way, tried once.
        if person == Next::Wait && !refused.has_joined {
            return Next::Wait;
        }
        let pause = self.pause();
        let Population { time, ring, .. } = &*self.population;
        let least = f64::from(refused.scripts) / ring.requests_per_second_max;
        let pause = pause.div_f64(ring.speed).max(duration(least));
        // When the race is over it waits for what comes back.
        let is_over = time.race(ring.race_seconds) < refused.since_opening;
        let pause = if is_over { pause.mul_f64(ring.watches_slower) } else { pause };
        match refused.outcome {
            // The node says when it opens, and a script is there.
            Outcome::NotOpenYet if !refused.hint.is_zero() => Next::Again(pause.min(refused.hint)),
            _ => Next::Again(pause),
        }
    }

    fn person_refused(&mut self, outcome: Outcome) -> Next {
        match outcome {
            Outcome::SoldOut if self.part == Part::ByLot => Next::Wait,
            Outcome::SoldOut
            | Outcome::NotOpenYet
            | Outcome::RateLimited
            | Outcome::DrawPending => {
                // As many tries as somebody has on average: each is the last with the same chance.
                if self.dice.share() < 1.0 / self.population.honest.tries {
                    Next::Stop
                } else {
                    Next::Again(self.pause())
                }
            }
            _ => Next::Stop,
        }
    }

    /// What somebody does with a place that is held for so long: got in the race, or told of.
    pub(super) fn held(&mut self, hold: Duration, is_race: bool) -> Then {
        let Population { time, honest, ring, .. } = &*self.population;
        if self.does(Tactic::Retry) {
            return Then::Book(hold.mul_f64(PAYS_WITHIN / ring.speed));
        }
        let chance = self.dice.share();
        let in_time = if is_race {
            time.race(between(chance, honest.think_seconds))
        } else {
            hold.mul_f64(between(chance, [0.05, 0.6]))
        };
        let at = self.dice.share();
        if at < honest.never_pays {
            Then::Forget
        } else if at < honest.never_pays + honest.pays_late {
            Then::Book(hold.mul_f64(1.05))
        } else if at < honest.never_pays + honest.pays_late + honest.releases {
            Then::Release(in_time)
        } else {
            Then::Book(in_time)
        }
    }

    pub(super) fn booked(&mut self) -> Later {
        let Population { time, honest, ring, .. } = &*self.population;
        let (chance, minutes) =
            (self.dice.share(), between(self.dice.share(), honest.cancel_minutes));
        let after = time.wait(60.0 * minutes);
        if self.does(Tactic::HandOver) {
            if chance < ring.hands_over { Later::HandOver(after) } else { Later::Keep }
        } else if chance < honest.cancels {
            // Who cancels finds no other clinic to try: everybody wants all of them anyway.
            Later::Cancel(after)
        } else {
            Later::Keep
        }
    }
}

/// So far from the one to the other.
fn between(chance: f64, [least, most]: [f64; 2]) -> f64 {
    least + (most - least) * chance
}

/// A good machine and a short line: no script is faster.
const REACTION_MIN: Duration = Duration::from_micros(50);

/// A person takes about so much of a hold's time to pay, and a script as many times less as it is faster.
const PAYS_WITHIN: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::super::people::everybody;
    use super::*;

    fn population() -> Arc<Population> {
        Arc::new(Population::read().unwrap())
    }

    fn mind(population: &Arc<Population>, part: Part, is_ring: bool) -> Mind {
        let who = everybody(population).into_iter().find(|person| person.is_ring == is_ring);
        Mind::new(population, part, who.unwrap(), 0)
    }

    fn refused(outcome: Outcome) -> Refused {
        let none = Duration::ZERO;
        Refused { outcome, hint: none, since_opening: none, has_joined: true, scripts: 1 }
    }

    #[test]
    fn a_script_is_there_before_the_opening_and_asks_again_as_many_times_faster_without_end() {
        let population = population();
        let mut script = mind(&population, Part::FirstCome, true);
        let mut person = mind(&population, Part::FirstCome, false);
        assert!(matches!(script.first(), First::Before(_)));
        assert!(matches!(person.first(), First::After(after) if 25 <= after.as_millis()));
        let mut tries = 0;
        while person.refused(&refused(Outcome::SoldOut)) != Next::Stop {
            tries += 1;
            assert!(tries < 100, "a person gives up");
        }
        for _ in 0..100 {
            let Next::Again(after) = script.refused(&refused(Outcome::SoldOut)) else { panic!() };
            assert!((4..9).contains(&after.as_millis()), "{after:?}");
        }
        let crowded = Refused { scripts: 800, ..refused(Outcome::SoldOut) };
        assert_eq!(script.refused(&crowded), Next::Again(Duration::from_millis(100)));
        let hint = Duration::from_millis(2);
        let early = Refused { hint, ..refused(Outcome::NotOpenYet) };
        assert_eq!(script.refused(&early), Next::Again(hint));
    }

    #[test]
    fn without_tactics_an_identity_decides_as_a_person_does() {
        let mut lame = Population::read().unwrap();
        lame.ring.tactics.clear();
        let mut identity = mind(&Arc::new(lame), Part::ByLot, true);
        assert!(!identity.asks_on() && matches!(identity.first(), First::After(_)));
        assert_eq!(identity.refused(&refused(Outcome::LimitReached)), Next::Stop);
        assert_eq!(identity.refused(&refused(Outcome::SoldOut)), Next::Wait);
        assert!(!matches!(identity.booked(), Later::HandOver(_)));
    }

    #[test]
    fn holds_are_booked_and_handed_over_as_often_as_the_population_says() {
        let population = population();
        let (mut script, mut person) =
            (mind(&population, Part::ByLot, true), mind(&population, Part::ByLot, false));
        let hold = Duration::from_secs(1);
        let (mut booked, mut handed) = (0, 0);
        for _ in 0..1_000 {
            assert_eq!(script.held(hold, false), Then::Book(Duration::from_millis(3)));
            booked += u32::from(matches!(person.held(hold, false), Then::Book(_)));
            handed += u32::from(matches!(script.booked(), Later::HandOver(_)));
        }
        assert!((930..=990).contains(&booked), "{booked}");
        let share = f64::from(handed) / 1_000.0;
        assert!((share - population.ring.hands_over).abs() < 0.06, "{share}");
    }
}
