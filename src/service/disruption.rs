//! Blocks under way, and what can be had instead of a place.

use super::Service;
use super::read::may_read;
use crate::engine::Seeker;
use crate::journal::Lane;
use crate::model::{
    Actor, Answer, AppointmentId, Claim, Outcome, PoolIndex, Query, Reading, Refusal, Sequence,
    SessionId, Timestamp,
};

/// Homes that one tick looks through for the appointments of blocked sessions: with ticks of 5 ms all
/// 256 are seen in a sixth of a second, and a tick is never long.
const SWEPT_HOMES: usize = 8;

impl Service {
    /// Goes on with the blocks under way: a few homes, and everybody in them.
    pub(super) fn sweep(&self, now: Timestamp) {
        for _ in 0..SWEPT_HOMES {
            let Some(reached) = self.inventory.sweep_home() else { return };
            for id in reached {
                // Without room in the journal the home is seen again at the next tick.
                if !self.displace(now, id) {
                    return;
                }
            }
            for session in self.inventory.sweep_on() {
                if !self.end_sweep(now, session) {
                    return;
                }
            }
        }
    }

    /// Says whether there was room in the journal.
    fn displace(&self, now: Timestamp, id: AppointmentId) -> bool {
        let Some(permit) = self.journal.reserve(Lane::Upkeep) else { return false };
        self.inventory.displace(now, id, self.append(permit, now));
        let Some(permit) = self.journal.reserve(Lane::Upkeep) else { return false };
        self.inventory.offer(now, id, self.append(permit, now));
        true
    }

    fn end_sweep(&self, now: Timestamp, session: SessionId) -> bool {
        let Some(permit) = self.journal.reserve(Lane::Upkeep) else { return false };
        self.inventory.end_sweep(now, session, self.append(permit, now));
        true
    }

    /// Places that an appointment, or a claim, could have instead.
    pub(super) fn alternatives(
        &self,
        now: Timestamp,
        actor: &Actor,
        query: &Query,
    ) -> Answer<Reading> {
        let Query::Alternatives { appointment, session, slot, count, patient, channel, class } =
            *query
        else {
            return Answer::refused(Outcome::Malformed);
        };
        let openings = self.openings(now);
        let seeker = Seeker { now, openings, channel, class, heeds_hours: true };
        let Some(id) = appointment else {
            let claim = Claim { session, slot, count, pool: PoolIndex(0) };
            return self.inventory.alternatives(actor, &claim, seeker, patient, &[]);
        };
        let (found, after) = self.inventory.appointment(id);
        let found = match may_read(actor, channel, patient, found) {
            Ok(found) => found,
            Err(outcome) => return Answer { after, result: Err(Refusal::from(outcome)) },
        };
        let Some(claim) = found.claims.first() else {
            return Answer { after: Sequence(0), result: Err(Outcome::AppointmentNotFound.into()) };
        };
        let seeker = Seeker { class: found.class, ..seeker };
        let patient = Some(found.patient);
        // An offer ends when its appointment moves, wherever that is.
        let own = [id, found.offer_id().unwrap_or(id)];
        let answer = self.inventory.alternatives(actor, claim, seeker, patient, &own);
        Answer { after: answer.after.max(after), ..answer }
    }
}
