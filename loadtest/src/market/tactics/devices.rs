//! Many devices and addresses: every request comes from another one.

use super::Tactic;
use crate::market::crowd::RING;
use crate::market::manner::{Guise, Moment};

#[derive(Debug, Default)]
pub(super) struct Devices {
    used: u64,
}

impl Tactic for Devices {
    fn disguise(&mut self, _moment: &mut Moment<'_>, guise: &mut Guise) {
        self.used += 1;
        (guise.device, guise.address) = (RING + RING + self.used, RING + RING + self.used);
    }
}
