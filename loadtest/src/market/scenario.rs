//! What is played: openings, people, a ring, and the parts, as a TOML file says.
//!
//! ```text
//! scenarios/opening.toml (built in) <-- a file that names what it changes <-- flags
//! ```
//!
//! **Architecture invariant:** every number of a run stands in the default file, with its reason; a file
//! that names a key which is not there is refused with its place.

use std::path::Path;

use haoyuan::model::{BookingChannel, Rules, Timestamp};
use haoyuan::ops::overlay::lay_over;
use haoyuan::ops::rules::{self, RuleDocument};
use haoyuan::ops::sessions::{DocumentDefaults, DocumentFormat};
use serde::Deserialize;
use toml::{Table, Value};

/// The defaults, with their documentation.
const DEFAULT: &str = include_str!("../../scenarios/opening.toml");
const DEFAULT_RULES: &str = include_str!("../../scenarios/rules.toml");

/// A scenario, complete.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The document of rules, beside the file.
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
    #[serde(skip)]
    document: Option<RuleDocument>,
}

/// How much faster the run is than life.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    race: f64,
    wait: f64,
}

/// What opens. The keys of all tables are explained in the default file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Openings {
    pub(super) count: u32,
    pub(super) places: u16,
    pub(super) slots: u16,
    pub(super) counter_places: u16,
    pub(super) at_once: u32,
    pub(super) every_seconds: f64,
    pub(super) lasts_seconds: f64,
    pub(super) hold_minutes: f64,
}

/// Times of a draw.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draw {
    pub(super) window_hours: f64,
    pub(super) hold_hours: f64,
}

/// Who waits, and how long an offer stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waitlist {
    pub(super) entries: u16,
    pub(super) offer_hours: f64,
}

/// Delays of returned places.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Returns {
    pub(super) least_minutes: f64,
    pub(super) most_minutes: f64,
}

/// Patients who want a place for themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Honest {
    pub(super) count: u32,
    pub(super) elderly: u32,
    pub(super) wants: [u32; 2],
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
    pub(super) rebooks: f64,
    pub(super) families: f64,
    pub(super) people_per_address: u32,
}

/// A way in, which has a connection of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    /// For who reads the file.
    #[serde(rename = "name")]
    _name: String,
    pub(super) channel: u8,
    pub(super) share: u32,
}

/// Scalpers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ring {
    pub(super) identities: u32,
    pub(super) speed: f64,
    pub(super) tactics: Vec<String>,
    pub(super) patients_per_account: u32,
    pub(super) probe_seconds: f64,
    pub(super) hoards: f64,
    pub(super) hands_over: f64,
    pub(super) drip_seconds: f64,
    pub(super) requests_per_second_max: f64,
    pub(super) race_seconds: f64,
    pub(super) watches_slower: f64,
}

/// The four parts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    pub(super) control: Part,
    pub(super) draw: Part,
    pub(super) sparse: Part,
    pub(super) rules: Part,
}

/// How one part is played.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(super) kind: Kind,
    pub(super) wants: Wants,
    pub(super) rules: bool,
    pub(super) waitlist: bool,
    pub(super) counter: bool,
    pub(super) visit_days: u64,
}

/// How places are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// To whoever asks first.
    FirstCome,
    /// By lot, among those who entered.
    Draw,
}

/// How many openings somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wants {
    /// All of them.
    All,
    /// A few; the ring wants all.
    Few,
}

impl Time {
    /// Seconds of life while people race, in microseconds of the run.
    pub(super) fn race(self, seconds: f64) -> u64 {
        micros(seconds / self.race)
    }

    /// Seconds of life while they wait, in microseconds of the run.
    pub(super) fn wait(self, seconds: f64) -> u64 {
        micros(seconds / self.wait)
    }
}

/// Seconds as microseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by `check`")]
pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

impl Scenario {
    /// The built-in one.
    pub(crate) fn built_in() -> Result<Self, String> {
        Self::from_texts("", "the built-in scenario", None)
    }

    /// That of a file: what it does not name is as in the built-in one.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{path} cannot be read: {error}"))?;
        Self::from_texts(&text, path, Path::new(path).parent())
    }

    fn from_texts(text: &str, name: &str, folder: Option<&Path>) -> Result<Self, String> {
        let at = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let over: Table = toml::from_str(text).map_err(|error| at(&error))?;
        let names_rules = over.contains_key("rules");
        let mut table: Table = toml::from_str(DEFAULT).map_err(|error| at(&error))?;
        lay_over(&mut table, over);
        let mut scenario: Self =
            Value::Table(table).try_into().map_err(|error: toml::de::Error| at(&error))?;
        scenario.check().map_err(|error| at(&error))?;
        let document = match folder.filter(|_| names_rules) {
            Some(folder) => {
                let path = folder.join(&scenario.rules);
                std::fs::read_to_string(&path)
                    .map_err(|error| at(&format!("{}: {error}", path.display())))?
            }
            None => DEFAULT_RULES.to_owned(),
        };
        let defaults = DocumentDefaults::default();
        let read = rules::read(&scenario.rules, &document, DocumentFormat::Toml, &defaults);
        scenario.document = Some(read.map_err(|error| at(&error))?);
        Ok(scenario)
    }

    /// The rules of the parts that have rules, in force from an instant on.
    pub(super) fn rules(&self, from: Timestamp) -> Option<Rules> {
        self.document.as_ref().map(|document| document.rules(from))
    }

    /// The channels, the counter first.
    pub(super) fn channels(&self) -> Vec<BookingChannel> {
        let doors = self.gateways.iter().filter_map(|door| BookingChannel::new(door.channel));
        std::iter::once(BookingChannel::default()).chain(doors).collect()
    }

    /// Of everybody who asks, the ring's part.
    pub(super) fn identity_share(&self) -> f64 {
        let ring = f64::from(self.ring.identities);
        ring / (ring + f64::from(self.honest.count))
    }

    /// What cannot be played.
    pub(super) fn check(&self) -> Result<(), String> {
        let (openings, honest, ring) = (&self.openings, &self.honest, &self.ring);
        let shares = [
            honest.never_pays,
            honest.pays_late,
            honest.releases,
            honest.cancels,
            honest.rebooks,
            honest.families,
            ring.hoards,
            ring.hands_over,
        ];
        let lengths = [
            openings.every_seconds,
            openings.lasts_seconds,
            openings.hold_minutes,
            self.draw.window_hours,
            self.draw.hold_hours,
            self.waitlist.offer_hours,
            honest.pause_seconds,
            honest.tries,
            ring.speed,
            ring.requests_per_second_max,
            ring.race_seconds,
            ring.watches_slower,
            self.time.race,
            self.time.wait,
        ];
        let window = self.time.wait(self.draw.window_hours * 3_600.0);
        let rules = [
            ((1..=10_000).contains(&openings.count), "openings.count is 1 to 10,000"),
            (openings.at_once != 0, "openings.at_once is 1 or more"),
            ((1..=288).contains(&openings.slots), "openings.slots is 1 to 288"),
            ((1..=2_880).contains(&openings.places), "openings.places is 1 to 2,880"),
            (openings.counter_places < openings.places, "some places are not the counter's"),
            (honest.elderly <= honest.count, "honest.elderly is at most honest.count"),
            ((1..=1_000_000).contains(&honest.count), "honest.count is 1 to 1,000,000"),
            (ring.identities <= 100_000, "ring.identities is at most 100,000"),
            (
                0 < honest.wants[0] && honest.wants[0] <= honest.wants[1],
                "honest.wants is [1, more]",
            ),
            (honest.people_per_address != 0, "honest.people_per_address is 1 or more"),
            (ring.patients_per_account != 0, "ring.patients_per_account is 1 or more"),
            (shares.iter().all(|share| (0.0..=1.0).contains(share)), "a share is from 0 to 1"),
            (
                lengths.iter().all(|length| (1e-3..=1e6).contains(length)),
                "a length, a speed and a rate are from 0.001 to 1,000,000",
            ),
            (
                window < micros(openings.lasts_seconds),
                "draw.window_hours is over before openings.lasts_seconds",
            ),
            ((1..=1_000).contains(&self.waitlist.entries), "waitlist.entries is 1 to 1,000"),
            (
                self.gateways.iter().all(|door| (1..64).contains(&door.channel)),
                "a gateway's channel is 1 to 63; 0 is the counter",
            ),
            (
                self.gateways.iter().any(|door| 0 < door.share),
                "there is a gateway with a share of the people",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(format!("this cannot be played: {rule}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_the_issue_of_scalpers_asks_for() {
        let scenario = Scenario::built_in().unwrap();
        let Openings { count, places, .. } = scenario.openings;
        assert_eq!((count, places), (200, 20));
        assert_eq!((scenario.honest.count, scenario.ring.identities), (2_000, 50));
        assert!((scenario.identity_share() - 0.0244).abs() < 1e-4);
        assert!(scenario.rules(Timestamp::from_millis(1)).is_some());
    }

    #[test]
    fn every_scenario_beside_the_default_can_be_played() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut names = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name != "rules.toml" {
                let read = Scenario::read(&path.to_string_lossy());
                assert!(read.is_ok(), "{name}: {:?}", read.err());
                names.push(name);
            }
        }
        assert!(names.contains(&"demo.toml".to_owned()), "{names:?}");
    }

    #[test]
    fn a_file_names_what_it_changes_and_a_fault_says_where_it_is() {
        for (text, expected) in [
            ("[ring]\nspeed = 7.0", Ok(7.0)),
            ("[ring]\nsped = 7.0", Err("unknown field `sped`")),
            ("[honest]\nelderly = 3000", Err("honest.elderly is at most honest.count")),
            ("[honest]\ncancels = 1.5", Err("a share is from 0 to 1")),
            ("[parts.draw]\nkind = \"lottery\"", Err("unknown variant `lottery`")),
            ("[ring", Err("TOML parse error")),
        ] {
            let read = Scenario::from_texts(text, "mine.toml", None);
            match (read, expected) {
                (Ok(read), Ok(speed)) => assert!((read.ring.speed - speed).abs() < 1e-9),
                (Err(said), Err(expected)) => {
                    assert!(said.starts_with("mine.toml: ") && said.contains(expected), "{said}");
                }
                (read, _) => panic!("{text}: {:?}", read.map(|read| read.ring)),
            }
        }
    }
}
