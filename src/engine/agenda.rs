//! Which sessions time will change, the earliest first.

use std::collections::BTreeSet;

use crate::model::{SessionId, Timestamp};

/// When which session is due. Most have nothing to wait for and are not in it.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeSet<(Timestamp, SessionId)>,
}

impl Agenda {
    /// Moves a session from one instant to another.
    pub(super) fn move_to(
        &mut self,
        id: SessionId,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.entries.remove(&(before, id));
        }
        if let Some(after) = after {
            self.entries.insert((after, id));
        }
    }

    /// The sessions that are due by an instant, the earliest first.
    pub(super) fn until(&self, now: Timestamp) -> impl Iterator<Item = SessionId> + '_ {
        self.entries.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// The session that is due first.
    pub(super) fn first(&self) -> Option<(Timestamp, SessionId)> {
        self.entries.first().copied()
    }
}
