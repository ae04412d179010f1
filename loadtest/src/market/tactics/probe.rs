//! Probing: asks from some time before the opening on, to learn of it first.

use super::Tactic;
use crate::market::crowd::between;
use crate::market::manner::Moment;

#[derive(Debug)]
pub(super) struct Probe;

impl Tactic for Probe {
    fn first(&mut self, moment: &mut Moment<'_>, after: &mut i64) {
        let before = moment.scenario.ring.probe_seconds * between(moment.random, [0.0, 1.0]);
        let before = moment.scenario.time.race(before);
        *after = -i64::try_from(before).unwrap_or(0);
    }
}
