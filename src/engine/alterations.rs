//! What was changed about a session since it was opened, besides its quotas.
//!
//! ```text
//! slot       0   1   2   3   4
//! blocked            x   x   x     nothing there can be held; what frees a place frees it for later
//! added      1       2             places in no pool, each of one patient
//! ```

use std::collections::BTreeMap;

use crate::model::{SlotIndex, limits::ADDED_PLACES_MAX};

/// Blocked slots and added places of a session. Most sessions have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alterations {
    /// Blocked slots, with the code of the reason.
    pub blocked: BTreeMap<SlotIndex, u16>,
    /// Whether the block may not have reached every appointment yet.
    pub is_sweeping: bool,
    /// Added places of slots that have some.
    pub added: BTreeMap<SlotIndex, u16>,
}

impl Alterations {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Added places over all slots.
    pub fn added_sum(&self) -> u16 {
        self.added.values().fold(0, |sum, added| sum.saturating_add(*added))
    }

    /// Adds a place to a slot. `None` where there are too many.
    pub(super) fn add(&mut self, slot: SlotIndex) -> Option<()> {
        if ADDED_PLACES_MAX <= self.added_sum() {
            return None;
        }
        let added = self.added.entry(slot).or_default();
        *added = added.checked_add(1)?;
        Some(())
    }

    /// Takes an added place away for good. `None` where there is none.
    pub(super) fn take_away(&mut self, slot: SlotIndex) -> Option<()> {
        let added = self.added.get_mut(&slot)?;
        *added = added.checked_sub(1)?;
        if *added == 0 {
            self.added.remove(&slot);
        }
        Some(())
    }
}
