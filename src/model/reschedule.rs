//! Moving an appointment to other places (改约): new ones are taken and the old ones freed, or nothing.

use arrayvec::ArrayVec;

use super::actor::BookingChannel;
use super::appointment::{Claim, Claims};
use super::command::{ClaimRequests, HoldFault, SlotChoice, check_claims};
use super::fingerprint::Fingerprint;
use super::id::{AppointmentId, OrganizationId, PatientId, RequestId, SessionId};
use super::limits::MOVE_SESSIONS_MAX;
use super::operation::Operation;
use super::session::Sharing;
use super::time::Timestamp;

/// Moves an appointment. It keeps its id, status, deadline and payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reschedule {
    /// The id of the request.
    pub request: RequestId,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose it is. A gateway says so, and an appointment of somebody else is not found.
    pub patient: Option<PatientId>,
    /// Through which channel.
    pub channel: BookingChannel,
    /// What is wanted instead, 1 to 8, each in another session.
    pub claims: ClaimRequests,
}

/// An appointment was moved. See `Fact::Rescheduled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescheduled {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// Whose session it is in now.
    pub organization: OrganizationId,
    /// What other channels may do now.
    pub sharing: Sharing,
    /// How often it was moved, with this time, by wish.
    pub changes: u8,
    /// The places that it gives back. None where it had lost them before.
    pub from: Claims,
    /// When those of each claim come back, as by [`super::Fact::Freed`]. Empty where all do at once.
    pub back: Vec<Timestamp>,
    /// The places that it takes now.
    pub to: Claims,
}

/// The sessions of one move, each once.
pub type MoveSessions = ArrayVec<SessionId, MOVE_SESSIONS_MAX>;

impl Reschedule {
    /// Checks what can be checked without state.
    ///
    /// # Errors
    ///
    /// The first [`HoldFault`] in the order of that enum, never `Patient`.
    pub fn check(&self) -> Result<(), HoldFault> {
        check_claims(&self.claims)
    }

    /// A hash of which appointment is to move where. Patient and channel are not in it: they say who
    /// asks.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::Reschedule as u64);
        print.add_wide(self.appointment.0);
        for claim in &self.claims {
            print.add(claim.session.0).add(u64::from(claim.count));
            if let SlotChoice::Ranked(slots) = &claim.slots {
                slots.iter().for_each(|slot| {
                    print.add(1 << 32 | u64::from(slot.0));
                });
            }
        }
        print.finish()
    }

    /// The sessions that the move touches; `None` where they are too many for one record.
    pub fn sessions(&self, leaves: &[Claim]) -> Option<MoveSessions> {
        let wanted = self.claims.iter().map(|claim| claim.session);
        let mut sessions = MoveSessions::new();
        for session in leaves.iter().map(|claim| claim.session).chain(wanted) {
            if !sessions.contains(&session) {
                sessions.try_push(session).ok()?;
            }
        }
        Some(sessions)
    }
}
