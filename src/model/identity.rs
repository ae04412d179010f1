//! Two keys of one person: patients are keyed hashes made outside, and keys are rotated (密钥轮换).
//!
//! ```text
//! key of last year --.
//!                     >-- merge --> one person, under the newer key; the older one is accepted for good
//! key of this year --'
//! ```
//!
//! **Architecture invariant:** a merge is one fact. It carries all that the older key had, so that both
//! ledgers evolve from it alone, each once.

use std::collections::BTreeSet;

use super::fingerprint::Fingerprint;
use super::history::Past;
use super::id::{AppointmentId, PatientId, RequestId, SessionId, SlotIndex};
use super::limits::{KEYS_MAX, MERGE_BYTES_MAX};
use super::operation::Operation;
use super::rules::{KeptRestriction, Place, Strike};
use super::time::Timestamp;
use super::waitlist::WaitEntry;

/// Says that two keys are of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergePatients {
    /// The id of the request.
    pub request: RequestId,
    /// The older key. It is accepted for good, and acts as the other.
    pub from: PatientId,
    /// The newer key, under which everything is kept from then on.
    pub into: PatientId,
}

/// See [`crate::model::Fact::PatientsMerged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientsMerged {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// The key under which the node kept the one.
    pub from: PatientId,
    /// The key under which it keeps both.
    pub into: PatientId,
    /// Keys that were merged into `from` before.
    pub keys: Vec<PatientId>,
    /// What `from` had.
    pub estate: Estate,
}

/// Everything that a patient has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estate {
    /// Live appointments, one line for each claim.
    pub live: Vec<KeptLine>,
    /// Entries of waitlists, and the offers that they have.
    pub waits: Vec<(WaitEntry, Option<AppointmentId>)>,
    /// Strikes, and whether each is used up, and whether a visit came after it.
    pub strikes: Vec<(Strike, bool, bool)>,
    /// Restrictions, and what was done about them.
    pub restrictions: Vec<KeptRestriction>,
    /// Visits of appointments that are over, oldest first.
    pub past: Vec<Past>,
}

/// A claim of a live appointment, as a ledger keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptLine {
    /// Which appointment.
    pub appointment: AppointmentId,
    /// In which session.
    pub session: SessionId,
    /// In which slot: the first while it waits for a draw, and when it won.
    pub slot: SlotIndex,
    /// When it was made, to the second; 0 where a snapshot of an earlier version did not say.
    pub since: Timestamp,
}

impl MergePatients {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::MergePatients as u64);
        print.add_wide(self.from.0).add_wide(self.into.0).finish()
    }
}

impl PatientsMerged {
    /// Whether one record carries it.
    pub fn fits(&self) -> bool {
        self.keys.len() < KEYS_MAX && self.estate.weight() <= MERGE_BYTES_MAX
    }
}

impl Estate {
    /// How many bytes it takes at most.
    pub fn weight(&self) -> usize {
        let waits = self.waits.iter().map(|(entry, _)| 120 + 18 * entry.targets.len());
        let restrictions = self.restrictions.iter().map(|kept| 91 + 58 * kept.steps.len());
        34 * self.live.len()
            + waits.sum::<usize>()
            + 26 * self.strikes.len()
            + restrictions.sum::<usize>()
            + 6 * self.past.len()
            + 21 * self.places().len()
    }

    /// The places of the visits that are over, with the appointment type, each once.
    fn places(&self) -> BTreeSet<(Place, u8)> {
        self.past.iter().map(|past| (past.visit.place, past.visit.appointment_type)).collect()
    }
}
