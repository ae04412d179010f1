//! Who is compared, at what.
//!
//! ```text
//! hold_commit 50 x 16   everybody, at every durability
//! sold_out    50 x 16   a refusal writes nothing, so one durability of each
//! sold_out    50 x 64   the same
//! ```

use clap::ValueEnum;
use serde::Serialize;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// A node of our own
    Haoyuan,
    /// With everything in one Lua script that a node checks
    Redis,
    /// With the least that cannot oversell
    RedisLean,
    /// With row locks in a function
    Postgres,
}

/// What an answer survives, as each server calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// haoyuan: an fsync before each answer.
    Commit,
    /// haoyuan: nothing.
    None,
    /// Redis: an fsync before each answer.
    Always,
    /// Redis: what is a second old.
    Everysec,
    /// Redis: nothing. `PostgreSQL`: an orderly stop.
    Off,
    /// `PostgreSQL`: an fsync before each answer.
    On,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// Holds of slots that have places enough.
    HoldCommit,
    /// Holds of slots that have none.
    SoldOut,
}

/// One thing that is measured again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Round {
    pub(crate) system: System,
    pub(crate) durability: Durability,
    pub(crate) tls: bool,
    pub(crate) workload: Workload,
    /// Requests under way on each of the connections.
    pub(crate) window: u32,
}

/// Connections to a server.
pub(crate) const CONNECTIONS: u32 = 50;

/// Requests under way on each.
pub(crate) const WINDOW: u32 = 16;

/// The same for refusals, once more.
pub(crate) const WINDOW_DEEP: u32 = 64;

impl System {
    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Haoyuan => "haoyuan",
            Self::Redis => "redis",
            Self::RedisLean => "redis-lean",
            Self::Postgres => "postgres",
        }
    }

    /// What an answer survives, the safest first, and whether the connection is encrypted.
    const fn forms(self) -> &'static [(Durability, bool)] {
        use Durability::{Always, Commit, Everysec, None, Off, On};
        match self {
            Self::Haoyuan => &[(Commit, true), (None, true)],
            Self::Redis | Self::RedisLean => &[
                (Always, false),
                (Always, true),
                (Everysec, false),
                (Everysec, true),
                (Off, false),
                (Off, true),
            ],
            Self::Postgres => &[(On, false), (Off, false)],
        }
    }
}

impl Durability {
    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::None => "none",
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::Off => "off",
            Self::On => "on",
        }
    }

    /// Whether every answer comes after an fsync.
    pub(crate) const fn is_full(self) -> bool {
        matches!(self, Self::Commit | Self::Always | Self::On)
    }
}

impl Workload {
    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HoldCommit => "hold_commit",
            Self::SoldOut => "sold_out",
        }
    }
}

impl Round {
    /// Requests under way at a time.
    pub(crate) const fn in_flight(self) -> u32 {
        CONNECTIONS * self.window
    }
}

/// All rounds of some systems, those that the ratios need first. `quick` leaves out the others.
pub(crate) fn rounds(systems: &[System], quick: bool) -> Vec<Round> {
    let mut rounds = Vec::new();
    for system in systems {
        for (durability, tls) in system.forms() {
            let (system, durability, tls) = (*system, *durability, *tls);
            let round = |workload, window| Round { system, durability, tls, workload, window };
            let is_plain = !tls || system == System::Haoyuan;
            if quick && !(durability.is_full() && is_plain) {
                continue;
            }
            rounds.push(round(Workload::HoldCommit, WINDOW));
            if durability.is_full() {
                rounds.push(round(Workload::SoldOut, WINDOW));
                rounds.push(round(Workload::SoldOut, WINDOW_DEEP));
            }
        }
    }
    rounds.sort_by_key(|round| (round.workload, round.window, !round.durability.is_full()));
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [System; 4] = [System::Haoyuan, System::Redis, System::RedisLean, System::Postgres];

    #[test]
    fn every_ratio_has_its_two_rounds() {
        use Durability::{Always, Commit, On};
        for quick in [true, false] {
            let rounds = rounds(&ALL, quick);
            for (system, durability, tls, workload, window) in [
                (System::Haoyuan, Commit, true, Workload::HoldCommit, 16),
                (System::Redis, Always, false, Workload::HoldCommit, 16),
                (System::RedisLean, Always, false, Workload::HoldCommit, 16),
                (System::Postgres, On, false, Workload::HoldCommit, 16),
                (System::Haoyuan, Commit, true, Workload::SoldOut, 16),
                (System::Redis, Always, false, Workload::SoldOut, 16),
                (System::Haoyuan, Commit, true, Workload::SoldOut, 64),
                (System::Redis, Always, false, Workload::SoldOut, 64),
            ] {
                let wanted = Round { system, durability, tls, workload, window };
                assert_eq!(
                    rounds.iter().filter(|round| **round == wanted).count(),
                    1,
                    "{wanted:?}"
                );
            }
        }
    }

    #[test]
    fn redis_is_measured_at_every_durability_with_tls_and_without() {
        let is_hold = |round: &Round| round.workload == Workload::HoldCommit;
        assert_eq!(rounds(&[System::Redis], false).into_iter().filter(is_hold).count(), 6);
        assert!(rounds(&[System::Redis], true).iter().all(|round| !round.tls));
    }
}
