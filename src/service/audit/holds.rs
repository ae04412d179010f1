//! The account of holds: who has which places.
//!
//! **Architecture invariant:** a place is counted for each claim on it, and asked of no table that the
//! engine keeps.

use super::moves::slots;
use super::{Account, AuditReport};
use crate::model::{
    Appointment, AppointmentStatus, Cause, Claim, DrawId, Held, PoolIndex, Sequence, SlotIndex,
};

impl Account {
    pub(super) fn hold(&mut self, report: &mut AuditReport, sequence: Sequence, held: &Held) {
        self.look_for_draw(report, sequence, &held.claims);
        self.hold_returning(report, sequence, held);
    }

    /// A hold of places that come back. Nobody can win them any more, also while some are still to be told
    /// what they won: a winner gave them up.
    pub(super) fn hold_returning(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        held: &Held,
    ) {
        let appointment = Appointment {
            id: held.appointment,
            patient: held.patient,
            account: held.account,
            organization: held.organization,
            channel: held.channel,
            class: held.class,
            sharing: held.sharing,
            status: AppointmentStatus::Pending,
            cause: Cause::None,
            until: held.until,
            fingerprint: held.fingerprint,
            payment: None,
            rules: held.rules,
            claims: held.claims.clone(),
        };
        if self.appointments.insert(held.appointment, appointment).is_some() {
            report.fault(sequence, "an appointment is held twice");
        }
        self.take_drawn(report, sequence, &held.claims);
    }

    pub(super) fn take(&mut self, report: &mut AuditReport, sequence: Sequence, claims: &[Claim]) {
        self.look_for_draw(report, sequence, claims);
        self.take_drawn(report, sequence, claims);
    }

    /// Places that are drawn are for nobody else until the draw is over.
    fn look_for_draw(&self, report: &mut AuditReport, sequence: Sequence, claims: &[Claim]) {
        for claim in claims {
            let drawn = self.draws.get(&DrawId { session: claim.session, pool: claim.pool });
            if drawn.is_some_and(|draw| !draw.may_take()) {
                report.fault(sequence, "a place is taken that is to be drawn");
            }
        }
    }

    /// Takes places, of a draw too.
    pub(super) fn take_drawn(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        claims: &[Claim],
    ) {
        if claims.is_empty() {
            report.fault(sequence, "an appointment takes no place");
        }
        for claim in claims {
            let Some(session) = self.sessions.get(&claim.session) else {
                report.fault(sequence, "a claim is in no session");
                continue;
            };
            let end = usize::from(claim.slot.0).saturating_add(claim.count.into());
            if claim.count == 0 || session.slot_count() < end {
                report.fault(sequence, "a claim is beyond its session");
            }
            let altered = self.altered.get(&claim.session);
            for slot in slots(claim) {
                let slot_index = SlotIndex(slot);
                if altered.is_some_and(|altered| altered.blocked.contains_key(&slot_index)) {
                    report.fault(sequence, "a place is taken in a blocked slot");
                }
                if claim.pool == PoolIndex::ADDED {
                    report.fault(sequence, "an added place goes to somebody else");
                }
                let quota = u32::from(session.quota(slot_index, claim.pool));
                let taken = self.taken.entry((claim.session, slot, claim.pool.0)).or_default();
                *taken += 1;
                if quota < *taken {
                    report.oversold += 1;
                    report.fault(sequence, "a place is sold twice");
                }
            }
        }
    }
}
