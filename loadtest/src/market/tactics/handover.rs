//! Hand-over: a place is booked under one identity, and when a customer is found it is cancelled, and the
//! customer's script asks at once and again.

use super::Tactic;
use crate::market::crowd::{between, chance};
use crate::market::manner::{Later, Moment};

#[derive(Debug)]
pub(super) struct HandOver;

impl Tactic for HandOver {
    fn booked(&mut self, moment: &mut Moment<'_>, later: &mut Later) {
        let share = moment.scenario.ring.hands_over;
        *later = if chance(moment.random, share) {
            let minutes = between(moment.random, moment.scenario.honest.cancel_minutes);
            Later::HandOver(moment.scenario.time.wait(60.0 * minutes))
        } else {
            Later::Keep
        };
    }
}
