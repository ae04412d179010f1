//! Recounts payments, orders, late cancels and the naming of patients.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, AuditReport};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Bill, Booked, Cause, Fact, LeftLate, Ordered,
    PatientNamed, PaymentRef, RefundState, Sequence, Timestamp,
};
use crate::service::digest::Digest;

/// What lies beside the appointments.
#[derive(Default)]
pub(super) struct Beside {
    bills: BTreeMap<(AppointmentId, PaymentRef), Bill>,
    orders: BTreeMap<AppointmentId, u8>,
    late: BTreeSet<AppointmentId>,
}

impl Beside {
    /// A hold is none any more.
    pub(super) fn end_hold(&mut self, id: AppointmentId) {
        self.orders.remove(&id);
    }

    /// Only what is owed back is kept.
    pub(super) fn forget(&mut self, id: AppointmentId) {
        self.orders.remove(&id);
        self.late.remove(&id);
        self.bills.retain(|(of, _), bill| *of != id || bill.refund == RefundState::Due);
    }

    pub(super) fn close(
        &self,
        report: &mut AuditReport,
        appointments: &BTreeMap<AppointmentId, Appointment>,
        digest: &mut Digest,
    ) {
        for bill in self.bills.values() {
            digest.bill(bill);
            let is_kept = bill.refund == RefundState::None && bill.rebooked.is_none();
            let of = appointments.get(&bill.appointment);
            if is_kept && of.is_some_and(|of| of.cause == Cause::Cancelled) {
                report.fault(
                    report.last,
                    "by the rules: a cancelled appointment keeps what was paid for it",
                );
            }
        }
        self.orders.iter().for_each(|(id, orders)| digest.orders(*id, *orders));
        self.late.iter().for_each(|id| digest.late(*id));
    }
}

impl Account {
    pub(super) fn add_billing(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Fact,
    ) {
        match fact {
            Fact::LeftLate(fact) => self.leave_late(report, sequence, time, fact),
            Fact::Billed(fact) => self.bill(report, sequence, &fact.bill),
            Fact::Ordered(fact) => self.order(report, sequence, time, fact),
            Fact::PatientNamed(fact) => self.name(report, sequence, time, fact),
            _ => {}
        }
    }

    pub(super) fn book(&mut self, report: &mut AuditReport, sequence: Sequence, fact: &Booked) {
        let Some(appointment) = self.appointments.get_mut(&fact.appointment) else { return };
        appointment.payment = Some(fact.payment);
        if appointment.is_unnamed() {
            report.fault(sequence, "by the rules: a place is booked for nobody");
        }
    }

    fn bill(&mut self, report: &mut AuditReport, sequence: Sequence, bill: &Bill) {
        let key = (bill.appointment, bill.payment);
        let known = self.beside.bills.get(&key);
        if !bill.may_follow(known) {
            report.fault(sequence, "a payment becomes what it cannot be");
        }
        let again = bill.rebooked.map(|id| self.appointments.get(&id));
        if again.is_some_and(|it| it.is_none_or(|it| it.payment != Some(bill.payment))) {
            report.fault(sequence, "by the rules: a payment books nothing and is not owed back");
        }
        let of = self.appointments.get(&bill.appointment);
        if known.is_none() && of.is_none() {
            report.fault(sequence, "a payment is of no appointment");
        }
        if known.is_none() && of.is_some_and(|of| self.person(of.patient) != bill.patient) {
            report.fault(sequence, "by the rules: a payment is of another patient");
        }
        let is_gone = of.is_none();
        self.beside.bills.insert(key, *bill);
        if is_gone {
            self.beside.forget(bill.appointment);
        }
    }

    fn order(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Ordered,
    ) {
        let hold = self.appointments.get_mut(&fact.appointment);
        let Some(hold) = hold.filter(|hold| hold.status == AppointmentStatus::Pending) else {
            return report.fault(sequence, "an order is for no hold");
        };
        let orders = self.beside.orders.entry(fact.appointment).or_default();
        *orders += 1;
        if hold.until <= time || fact.until <= time || *orders != fact.orders {
            report.fault(sequence, "by the rules: an order comes too late, or is miscounted");
        }
        *orders = fact.orders;
        hold.until = fact.until;
    }

    fn leave_late(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &LeftLate,
    ) {
        let of = self.appointments.get(&fact.appointment);
        let Some(of) = of else {
            return report.fault(sequence, "a place of no appointment is left late");
        };
        if self.person(of.patient) != fact.patient || time < fact.deadline {
            report.fault(sequence, "by the rules: a place is left late that was not");
        }
        self.beside.late.insert(fact.appointment);
    }

    fn name(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &PatientNamed,
    ) {
        let hold = self.appointments.get_mut(&fact.appointment);
        let Some(hold) = hold.filter(|hold| hold.is_unnamed()) else {
            return report.fault(sequence, "a patient is named twice, or of no hold");
        };
        let is_right = hold.account == Some(fact.account)
            && hold.claims == fact.claims
            && hold.status == AppointmentStatus::Pending;
        let who = (fact.patient, fact.appointment, (hold.channel, fact.class));
        (hold.patient, hold.class) = (fact.patient, fact.class);
        if !is_right {
            report.fault(sequence, "a patient is named of another hold");
        }
        self.look_for_restriction(report, sequence, time, who, &fact.claims);
    }
}
