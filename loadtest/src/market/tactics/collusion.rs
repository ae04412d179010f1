//! Collusion: the same identities ask through one gateway after the other.

use haoyuan::model::BookingChannel;

use super::Tactic;
use crate::market::manner::{Guise, Moment};

#[derive(Debug, Default)]
pub(super) struct Collusion {
    turn: usize,
}

impl Tactic for Collusion {
    fn disguise(&mut self, moment: &mut Moment<'_>, guise: &mut Guise) {
        let doors = &moment.scenario.gateways;
        self.turn = (self.turn + 1) % doors.len().max(1);
        let door = doors.get(self.turn).and_then(|door| BookingChannel::new(door.channel));
        guise.channel = door.unwrap_or(guise.channel);
    }
}
