//! The audit of appointments that move to other places.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary.

use super::{Account, AuditReport};
use crate::model::{
    AppointmentId, AppointmentStatus, Cause, Claim, Rescheduled, Sequence, Timestamp,
};

impl Account {
    pub(super) fn forget(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        id: AppointmentId,
    ) {
        let Some(appointment) = self.appointments.remove(&id) else {
            return report.fault(sequence, "an unknown appointment is forgotten");
        };
        self.changes.remove(&id);
        self.beside.forget(id);
        self.ties.forget(id);
        if appointment.status.is_live() {
            report.fault(sequence, "a live appointment is forgotten");
        }
        for (claim, slot) in cells(appointment.places()) {
            *self.kept.entry((claim.session, slot, claim.pool.0)).or_default() += 1;
        }
    }

    /// All new places are taken and all old ones given back, in one record.
    pub(super) fn reschedule(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Rescheduled,
    ) {
        let whose = self.appointments.get(&fact.appointment).map(|it| self.person(it.patient));
        let Some(appointment) = self.appointments.get_mut(&fact.appointment) else {
            return report.fault(sequence, "an unknown appointment is moved");
        };
        if whose != Some(fact.patient) {
            report.fault(sequence, "a fact is about another patient");
        }
        if !matches!(appointment.status, AppointmentStatus::Pending | AppointmentStatus::Booked) {
            report.fault(sequence, "an appointment is moved that lies no longer ahead");
        }
        if appointment.places() != fact.from.as_slice() {
            report.fault(sequence, "other places come back than were taken");
        }
        if appointment.is_displaced() {
            (appointment.cause, appointment.until) = (Cause::None, time);
        }
        appointment.claims.clone_from(&fact.to);
        (appointment.organization, appointment.sharing) = (fact.organization, fact.sharing);
        if 0 < fact.changes {
            self.changes.insert(fact.appointment, fact.changes);
        }
        self.give_back(report, sequence, &fact.from, &fact.back);
        self.take(report, sequence, &fact.to);
    }
}

/// Every slot of every claim.
pub(super) fn cells(claims: &[Claim]) -> impl Iterator<Item = (&Claim, u16)> {
    claims.iter().flat_map(|claim| slots(claim).map(move |slot| (claim, slot)))
}

/// The slots of a claim.
pub(super) fn slots(claim: &Claim) -> std::ops::Range<u16> {
    claim.slot.0..claim.slot.0.saturating_add(u16::from(claim.count))
}
