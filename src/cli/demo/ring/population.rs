//! The population of the scene of scalpers: who wants places, and what the ring does.
//!
//! ```text
//! loadtest/scenarios/opening.toml <-- demo.toml, key by key        rules.toml beside them
//! ```
//!
//! The files are those that `loadtest market` plays, built into the command: who these people are stands in
//! one place, whoever plays them.
//!
//! **Architecture invariant:** no number of the population stands here; only what is read of it does.

use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};

use crate::cli::failure::Failure;
use crate::ops::overlay::lay_over;
use crate::ops::rules::{self, RuleDocument};
use crate::ops::sessions::{DocumentDefaults, DocumentFormat};

const OPENING: &str = include_str!("../../../../loadtest/scenarios/opening.toml");
const DEMO: &str = include_str!("../../../../loadtest/scenarios/demo.toml");
const RULES: &str = include_str!("../../../../loadtest/scenarios/rules.toml");

/// What the scene needs of a scenario. Every key is explained in `opening.toml`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Population {
    /// The name of the document of rules.
    rules: String,
    pub(super) time: Time,
    pub(super) openings: Openings,
    pub(super) draw: Draw,
    pub(super) waitlist: Waitlist,
    pub(super) returns: Returns,
    pub(super) honest: Honest,
    pub(super) gateways: Vec<Gateway>,
    pub(super) ring: Ring,
    pub(super) parts: Parts,
}

/// How much faster the scene is than life.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Time {
    race: f64,
    wait: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Openings {
    pub(super) count: u16,
    pub(super) places: u16,
    pub(super) slots: u16,
    lasts_seconds: f64,
    pub(super) hold_minutes: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Draw {
    pub(super) window_hours: f64,
    pub(super) hold_hours: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Waitlist {
    pub(super) entries: u16,
    pub(super) offer_hours: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Returns {
    pub(super) least_minutes: f64,
    pub(super) most_minutes: f64,
}

/// People who want a place for themselves.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Honest {
    pub(super) count: u32,
    pub(super) reaction_seconds: f64,
    pub(super) hesitation_seconds: f64,
    pub(super) pause_seconds: f64,
    pub(super) tries: f64,
    pub(super) think_seconds: [f64; 2],
    pub(super) never_pays: f64,
    pub(super) pays_late: f64,
    pub(super) releases: f64,
    pub(super) cancels: f64,
    pub(super) cancel_minutes: [f64; 2],
    pub(super) families: f64,
    pub(super) people_per_address: u32,
}

/// A way in, and its share of the people.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Gateway {
    pub(super) channel: u8,
    pub(super) share: u32,
}

/// The scalpers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Ring {
    pub(super) identities: u32,
    pub(super) speed: f64,
    pub(super) tactics: Vec<Tactic>,
    pub(super) patients_per_account: u32,
    pub(super) probe_seconds: f64,
    pub(super) hands_over: f64,
    pub(super) race_seconds: f64,
    pub(super) watches_slower: f64,
    pub(super) requests_per_second_max: f64,
}

/// What the ring does: those tactics of `loadtest market` that the scene can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tactic {
    /// Many real identities, on accounts of few each. Without it all have one account.
    Identities,
    /// Asks as many times sooner after an opening as scripts are faster.
    ZeroReaction,
    /// Asks again as many times faster, without limit, and pays at once.
    Retry,
    /// Asks before the opening.
    Probe,
    /// Cancels, so that a customer catches the place.
    #[serde(rename = "handover")]
    HandOver,
}

/// The parts of a scenario that the scene plays.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Parts {
    pub(super) control: PartTerms,
    pub(super) draw: PartTerms,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct PartTerms {
    pub(super) visit_days: u64,
}

impl Time {
    /// Seconds of life while people race, in the time of the scene.
    pub(super) fn race(self, seconds: f64) -> Duration {
        duration(seconds / self.race)
    }

    /// Seconds of life while they wait, in the time of the scene.
    pub(super) fn wait(self, seconds: f64) -> Duration {
        duration(seconds / self.wait)
    }
}

impl Population {
    /// Reads what is built in.
    pub(super) fn read() -> Result<Self, Failure> {
        Self::of(OPENING, DEMO).map_err(|error| of_built_in(&error))
    }

    fn of(text: &str, over: &str) -> Result<Self, toml::de::Error> {
        let mut table: Table = toml::from_str(text)?;
        lay_over(&mut table, toml::from_str(over)?);
        Value::Table(table).try_into()
    }

    /// The rules of the part that has rules.
    pub(super) fn rules(&self) -> Result<RuleDocument, Failure> {
        let defaults = DocumentDefaults::default();
        let read = rules::read(&self.rules, RULES, DocumentFormat::Toml, &defaults);
        read.map_err(|error| of_built_in(&error))
    }

    /// How long a part is played after its opening.
    pub(super) fn lasts(&self) -> Duration {
        duration(self.openings.lasts_seconds)
    }

    /// Of everybody who asks, the ring's part.
    pub(super) fn identity_share(&self) -> f64 {
        let ring = f64::from(self.ring.identities);
        ring / (ring + f64::from(self.honest.count))
    }
}

/// Seconds; none where they are no length of time.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn of_built_in(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        format!("the population built into the demonstration cannot be read: {error}"),
        "this is a defect: please report it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scene_has_the_population_of_the_load_test_in_small() {
        let population = Population::read().unwrap();
        let whole: Table = toml::from_str(OPENING).unwrap();
        let of = |table: &str, key: &str| whole[table][key].as_float().unwrap();
        let Population { honest, ring, openings, .. } = &population;
        assert!((honest.pause_seconds - of("honest", "pause_seconds")).abs() < 1e-9);
        assert!((ring.speed - of("ring", "speed")).abs() < 1e-9);
        assert!(honest.count < 1_000 && 0 < openings.places, "it names what is smaller");
        assert!((0.02..0.03).contains(&population.identity_share()));
        assert!(openings.places < u16::try_from(ring.identities).unwrap(), "a customer is left");
    }

    #[test]
    fn every_tactic_of_the_population_is_played_here_and_another_is_refused() {
        let whole: Table = toml::from_str(OPENING).unwrap();
        let named = whole["ring"]["tactics"].as_array().unwrap().len();
        assert_eq!(Population::read().unwrap().ring.tactics.len(), named);
        let error = Population::of(OPENING, "[ring]\ntactics = [\"bribery\"]").unwrap_err();
        assert!(error.to_string().contains("unknown variant `bribery`"), "{error}");
    }

    #[test]
    fn the_rules_are_the_document_that_the_population_names_and_there_is_no_counter() {
        let population = Population::read().unwrap();
        assert_eq!(population.rules, "rules.toml");
        assert!(population.rules().is_ok());
        let over: Table = toml::from_str(DEMO).unwrap();
        for (table, key) in [("openings", "counter_places"), ("honest", "elderly")] {
            assert_eq!(over[table][key].as_integer(), Some(0), "{table}.{key}");
        }
    }
}
