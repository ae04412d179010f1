//! Lines of payments, orders, late cancels and named patients; and a line as people read it.

use super::{Enricher, Line, hex};
use crate::model::{Billed, Fact};

impl Line {
    /// The line for people: short, without keys.
    pub(in super::super) fn for_people(&self) -> String {
        let time = i64::try_from(self.time_ms).ok();
        let time = time.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        let mut parts =
            vec![format!("{:>10} {} {:<13}", self.seq, time.unwrap_or_default(), self.fact)];
        parts.extend(self.appointment.clone());
        if let (Some(session), Some(slot), Some(count)) = (self.session, self.slot, self.count) {
            parts.push(format!("session {session} slot {slot}"));
            if count != 1 {
                parts.push(format!("to {}", slot.saturating_add(count.saturating_sub(1))));
            }
        }
        parts.extend(self.pool.map(|pool| format!("pool {pool}")));
        parts.extend(self.places.map(|places| format!("places {places}")));
        parts.extend(self.outcome.map(ToOwned::to_owned));
        parts.join(" ")
    }

    /// A payment, and what became of it.
    fn of_bill(self, fact: &Billed) -> Self {
        let bill = &fact.bill;
        Self {
            appointment: Some(hex(bill.appointment.0)),
            patient: Some(hex(bill.patient.0)),
            organization: Some(bill.organization.0),
            request: fact.request.map(|(request, _)| hex(request.0)),
            payment: Some(hex(bill.payment.0)),
            paid_by: Some(bill.kind.name()),
            rebooked: bill.rebooked.map(|id| hex(id.0)),
            ..self
        }
    }
}

impl Enricher {
    pub(super) fn add_billing(&mut self, lines: &mut Vec<Line>, line: Line, fact: &Fact) {
        match fact {
            Fact::LeftLate(fact) => {
                let until_ms = Some(fact.deadline.as_millis());
                self.add_known(lines, Line { until_ms, ..line }, fact.appointment);
            }
            Fact::Billed(fact) => lines.push(line.of_bill(fact)),
            Fact::Ordered(fact) => {
                let request = Some(hex(fact.request.0));
                let until_ms = Some(fact.until.as_millis());
                self.add_known(lines, Line { until_ms, request, ..line }, fact.appointment);
            }
            Fact::PatientNamed(fact) => {
                if let Some(known) = self.known.get_mut(&fact.appointment) {
                    known.patient = fact.patient;
                }
                let request = Some(hex(fact.request.0));
                self.add_known(lines, Line { request, ..line }, fact.appointment);
            }
            _ => {}
        }
    }
}
