//! What is asked next: by chance, or by what became of the request before.
//!
//! ```text
//! life:  hold -+- 3/4 -> book -+- 1/5 -> cancel -.
//!              '- 1/4 -> release                 +-> hold, of another patient
//!                              '- 4/5 -----------'
//! ```

use clap::ValueEnum;
use serde::Serialize;

use crate::random::Random;

/// What a run sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mix {
    /// Holds of one slot
    #[default]
    Hold,
    /// Holds of slots that have no places left
    SoldOut,
    /// Hold, then book or release; some of the booked are cancelled
    Life,
    /// Availability of a session
    Read,
    /// The opening minute: nine reads to one hold
    Opening,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    #[default]
    Hold,
    Book,
    Release,
    Cancel,
    Read,
}

impl Kind {
    /// Every kind, in order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Hold, Self::Book, Self::Release, Self::Cancel, Self::Read];

    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Book => "book",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Read => "availability",
        }
    }
}

impl Mix {
    /// What follows on a request of a kind that was carried out or not.
    pub(crate) const fn next(self, before: Kind, done: bool, random: &mut Random) -> Kind {
        match self {
            Self::Hold | Self::SoldOut => Kind::Hold,
            Self::Read => Kind::Read,
            Self::Opening => {
                if random.below(10) == 0 {
                    Kind::Hold
                } else {
                    Kind::Read
                }
            }
            Self::Life => match before {
                Kind::Hold if done && random.below(4) == 0 => Kind::Release,
                Kind::Hold if done => Kind::Book,
                Kind::Book if done && random.below(5) == 0 => Kind::Cancel,
                _ => Kind::Hold,
            },
        }
    }

    /// Whether its holds take places for good, so that a long run would sell everything.
    pub(crate) const fn uses_up(self) -> bool {
        !matches!(self, Self::Read | Self::SoldOut)
    }

    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::SoldOut => "sold-out",
            Self::Life => "life",
            Self::Read => "read",
            Self::Opening => "opening",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_begins_with_a_hold_and_ends_before_the_next() {
        let mut random = Random::new(1);
        let mut seen = [0_u32; Kind::ALL.len()];
        let mut kind = Kind::Hold;
        for _ in 0..10_000 {
            let next = Mix::Life.next(kind, true, &mut random);
            match kind {
                Kind::Hold => assert!(matches!(next, Kind::Book | Kind::Release)),
                Kind::Book => assert!(matches!(next, Kind::Cancel | Kind::Hold)),
                _ => assert_eq!(next, Kind::Hold),
            }
            seen[next as usize] += 1;
            kind = next;
        }
        assert!(seen[..4].iter().all(|count| 100 < *count), "{seen:?}");
        assert_eq!(Mix::Life.next(Kind::Hold, false, &mut random), Kind::Hold);
    }

    #[test]
    fn an_opening_is_nine_reads_to_one_hold() {
        let mut random = Random::new(2);
        let is_hold = |_: &u32| Mix::Opening.next(Kind::Read, true, &mut random) == Kind::Hold;
        let holds = (0..10_000).filter(is_hold).count();
        assert!((900..1_100).contains(&holds), "{holds}");
    }
}
