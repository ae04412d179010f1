//! Slow drip: never asks faster than a limit of rates would notice.

use haoyuan::model::Outcome;

use super::Tactic;
use crate::market::crowd::between;
use crate::market::manner::{Moment, Next};

#[derive(Debug)]
pub(super) struct Drip;

impl Tactic for Drip {
    fn refused(&mut self, moment: &mut Moment<'_>, _outcome: Outcome, next: &mut Next) {
        let seconds = moment.scenario.ring.drip_seconds * between(moment.random, [1.0, 1.5]);
        let least = moment.scenario.time.race(seconds);
        if let Next::Again(after) = next {
            *after = (*after).max(least);
        }
    }
}
