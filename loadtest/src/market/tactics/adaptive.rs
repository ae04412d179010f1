//! Adaptive: backs off when it is limited, and comes back to its pace when it is let in.

use std::collections::BTreeMap;

use haoyuan::model::Outcome;

use super::Tactic;
use crate::market::manner::{Moment, Next};

#[derive(Debug, Default)]
pub(super) struct Adaptive {
    /// How many times each identity has halved its pace.
    slower: BTreeMap<u32, u32>,
}

/// It never asks more than a thousand times slower.
const SLOWER_MAX: u32 = 10;

impl Tactic for Adaptive {
    fn refused(&mut self, moment: &mut Moment<'_>, outcome: Outcome, next: &mut Next) {
        let slower = self.slower.entry(moment.person).or_default();
        *slower = if crate::market::tally::is_limit(outcome) {
            (*slower + 1).min(SLOWER_MAX)
        } else {
            slower.saturating_sub(1)
        };
        if let Next::Again(after) = next {
            *after <<= *slower;
        }
    }
}
