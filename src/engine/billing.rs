//! What lies beside the appointments of a home: payments, orders, and marks of late cancels.
//!
//! **Architecture invariant:** what is owed back outlives its appointment, which memory forgets after
//! the retention time; money does not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{AppointmentId, Bill, PaymentRef, RefundState};

/// What lies beside the appointments of a home. Few have any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    bills: BTreeMap<AppointmentId, Vec<Bill>>,
    orders: BTreeMap<AppointmentId, u8>,
    late: BTreeSet<AppointmentId>,
}

impl Billing {
    /// The payments of an appointment, in the order in which they came.
    pub fn of(&self, appointment: AppointmentId) -> &[Bill] {
        self.bills.get(&appointment).map_or(&[], Vec::as_slice)
    }

    /// One payment of an appointment.
    pub fn bill(&self, appointment: AppointmentId, payment: PaymentRef) -> Option<&Bill> {
        self.of(appointment).iter().find(|bill| bill.payment == payment)
    }

    /// Every payment, by appointment.
    pub fn bills(&self) -> impl Iterator<Item = &Bill> {
        self.bills.values().flatten()
    }

    /// The payments that are owed back, of appointments with an id above one.
    pub fn due(&self, after: AppointmentId) -> impl Iterator<Item = &Bill> {
        let above = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let bills = self.bills.range(above).flat_map(|(_, bills)| bills);
        bills.filter(|bill| bill.refund == RefundState::Due)
    }

    /// How many orders a hold had.
    pub fn orders(&self, appointment: AppointmentId) -> u8 {
        self.orders.get(&appointment).copied().unwrap_or_default()
    }

    /// Every hold that had one, and how many, by id.
    pub fn ordered(&self) -> impl Iterator<Item = (AppointmentId, u8)> + '_ {
        self.orders.iter().map(|(id, orders)| (*id, *orders))
    }

    /// Whether the patient of an appointment left a place late.
    pub fn is_late(&self, appointment: AppointmentId) -> bool {
        self.late.contains(&appointment)
    }

    /// Every appointment whose patient did, by id.
    pub fn late(&self) -> impl Iterator<Item = AppointmentId> + '_ {
        self.late.iter().copied()
    }

    /// Whether there is none of it.
    pub fn is_empty(&self) -> bool {
        self.bills.is_empty() && self.orders.is_empty() && self.late.is_empty()
    }

    /// Writes a payment down, as a fact or a snapshot brings it.
    pub fn put(&mut self, bill: Bill) {
        let bills = self.bills.entry(bill.appointment).or_default();
        match bills.iter_mut().find(|known| known.payment == bill.payment) {
            Some(known) => *known = bill,
            None => bills.push(bill),
        }
    }

    /// Writes down how many orders a hold had, as a fact or a snapshot brings it.
    pub fn put_orders(&mut self, appointment: AppointmentId, orders: u8) {
        self.orders.insert(appointment, orders);
    }

    /// Marks an appointment, as a fact or a snapshot does.
    pub fn mark_late(&mut self, appointment: AppointmentId) {
        self.late.insert(appointment);
    }

    /// A hold is none any more.
    pub(super) fn end_orders(&mut self, appointment: AppointmentId) {
        self.orders.remove(&appointment);
    }

    /// The appointment leaves memory, or left it. What is owed back stays.
    pub(super) fn forget(&mut self, appointment: AppointmentId) {
        self.orders.remove(&appointment);
        self.late.remove(&appointment);
        if let Some(bills) = self.bills.get_mut(&appointment) {
            bills.retain(|bill| bill.refund == RefundState::Due);
            if bills.is_empty() {
                self.bills.remove(&appointment);
            }
        }
    }
}
