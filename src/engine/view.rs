//! What a decision may look at, and what it comes to.

use super::home::HomeShard;
use super::ledger::LedgerShard;
use super::session::{SessionShard, SessionState};
use crate::draw::NodeKey;
use crate::model::{
    Actor, Appointment, AppointmentId, Facts, Outcome, PatientId, Receipt, RequestId, RulesVersion,
    SessionId, Timestamp,
};

/// The shards that a command touches, to read. Which they are, the caller has found out.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The homes of the ids in the command.
    pub homes: &'a [&'a HomeShard],
    /// The ledger of the patient, where one is named.
    pub ledger: Option<&'a LedgerShard>,
    /// The shards of the sessions.
    pub sessions: &'a [&'a SessionShard],
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The node's time.
    pub now: Timestamp,
    /// Who asks.
    pub actor: &'a Actor,
    /// The rules in force.
    pub rules: RulesVersion,
    /// The time that openings go by: `now`, unless the clock is suspended. Then it stands still.
    pub openings: Timestamp,
    /// A random number for this command alone, where it needs one.
    pub chance: u64,
    /// The node's key for draws, if it has one.
    pub key: Option<&'a NodeKey>,
}

impl<'a> Context<'a> {
    /// Somebody who asks now, without rules, while the clock is believed.
    pub const fn new(now: Timestamp, actor: &'a Actor) -> Self {
        Self { now, actor, rules: RulesVersion(0), openings: now, chance: 0, key: None }
    }
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens. Empty if the request is a retry: it has happened before.
    pub facts: Facts,
    /// What the client learns.
    pub receipt: Receipt,
}

impl<'a> View<'a> {
    /// The appointment with that id.
    pub fn appointment(&self, id: AppointmentId) -> Option<Appointment> {
        self.homes.iter().find_map(|home| home.appointment(id))
    }

    /// The fingerprint of an earlier request with that id that was no hold.
    pub fn request(&self, id: RequestId) -> Option<u64> {
        self.homes.iter().find_map(|home| home.request(id))
    }

    /// The refusal that is remembered under that id, with the fingerprint of its request.
    pub fn declined(&self, id: AppointmentId) -> Option<(u64, Outcome)> {
        self.homes.iter().find_map(|home| home.declined(id))
    }

    /// The session with that id.
    pub fn session(&self, id: SessionId) -> Option<&'a SessionState> {
        self.sessions.iter().find_map(|shard| shard.session(id))
    }

    /// How often an appointment was moved by wish.
    pub fn changes(&self, id: AppointmentId) -> u8 {
        self.homes.iter().map(|home| home.changes(id)).max().unwrap_or_default()
    }

    /// Whether the patient has a live appointment in the session that is none of `but`.
    pub fn has_live_but(
        &self,
        patient: PatientId,
        session: SessionId,
        but: &[AppointmentId],
    ) -> bool {
        self.ledger.is_some_and(|ledger| ledger.has_live_but(patient, session, but))
    }
}

impl Decision {
    /// Nothing new: where an appointment stands that an earlier request with the same id made or
    /// changed.
    pub fn retry(appointment: &Appointment) -> Self {
        let receipt = Receipt {
            status: Some(appointment.status),
            until: appointment.until,
            claims: crate::model::Claims::from_slice(&appointment.claims),
            retried: true,
            appointment: None,
        };
        Self { facts: Facts::new(), receipt }
    }
}
