//! A log with a changed bit before its mark does not open.

use super::{History, Invariant, Sight, ensure};

pub(super) struct DamageIsRefused;

impl Invariant for DamageIsRefused {
    fn name(&self) -> &'static str {
        "damage_is_refused"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        match sight {
            Sight::DamagedStart { was_refused } => {
                ensure(*was_refused, || "a changed block was opened".to_owned())
            }
            _ => Ok(()),
        }
    }
}
