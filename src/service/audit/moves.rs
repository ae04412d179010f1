//! The audit of appointments that move to other places.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary.

use super::{Account, AuditReport};
use crate::model::{AppointmentStatus, Cause, Rescheduled, Sequence, Timestamp};

impl Account {
    /// All new places are taken and all old ones given back, in one record.
    pub(super) fn reschedule(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Rescheduled,
    ) {
        let Some(appointment) = self.appointments.get_mut(&fact.appointment) else {
            return report.fault(sequence, "an unknown appointment is moved");
        };
        if appointment.patient != fact.patient {
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
