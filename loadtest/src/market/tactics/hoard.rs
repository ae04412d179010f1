//! Hoarding: a share of its holds is not paid for. They keep places off the market until a customer is
//! found; when they lapse the ring holds again, if it can.

use super::Tactic;
use crate::market::crowd::chance;
use crate::market::manner::{Moment, Then};

#[derive(Debug)]
pub(super) struct Hoard;

impl Tactic for Hoard {
    fn held(&mut self, moment: &mut Moment<'_>, then: &mut Then) {
        let share = moment.scenario.ring.hoards;
        if chance(moment.random, share) {
            *then = Then::Forget;
        }
    }
}
