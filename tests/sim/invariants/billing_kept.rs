//! What was paid is booked with or owed back, once; nobody's place is booked; a place that is given up
//! in time is not marked.

use std::collections::{BTreeMap, BTreeSet};

use haoyuan::model::{
    AccountId, AppointmentId, Bill, Cause, Fact, Outcome, PatientId, PaymentRef, RefundState,
    Timestamp,
};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Body;
use crate::history::Record;
use haoyuan::model::Command;

#[derive(Default)]
pub(super) struct BillingKept {
    bills: BTreeMap<(AppointmentId, PaymentRef), Bill>,
    unnamed: BTreeSet<AppointmentId>,
    /// Deadlines that orders moved.
    ordered: BTreeMap<AppointmentId, Timestamp>,
}

impl Invariant for BillingKept {
    fn name(&self) -> &'static str {
        "billing_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => self.see_record(record),
            Sight::Told { ask, reply } if reply.outcome() == Outcome::PaymentRefundable => {
                let (id, payment) = match &ask.body {
                    Body::Command(Command::Pay(pay)) => (pay.appointment, pay.payment),
                    Body::Command(Command::Change(change)) => match change.action {
                        haoyuan::model::Action::Book { payment } => (change.appointment, payment),
                        _ => return Err(format!("{ask} pays for nothing")),
                    },
                    _ => return Err(format!("{ask} pays for nothing")),
                };
                let known = self.bills.get(&(id, payment));
                let is_owed = known.is_some_and(|bill| bill.refund != RefundState::None);
                ensure(is_owed, || format!("{ask} was told that money is owed, and it is not"))
            }
            _ => Ok(()),
        }
    }
}

impl BillingKept {
    fn see_record(&mut self, record: &Record) -> Result<(), String> {
        let facts = &record.facts;
        for fact in facts {
            self.see_fact(fact, record.time)?;
        }
        let cancelled = facts.iter().filter_map(Fact::ended);
        for ended in cancelled.filter(|ended| ended.cause == Cause::Cancelled) {
            let id = ended.appointment;
            let mut own = self.bills.values().filter(|bill| bill.appointment == id);
            let is_kept = own.any(|it| it.refund == RefundState::None && it.rebooked.is_none());
            ensure(!is_kept, || format!("{:x} is cancelled and its payment kept", id.0))?;
        }
        Ok(())
    }

    fn see_fact(&mut self, fact: &Fact, time: Timestamp) -> Result<(), String> {
        match fact {
            Fact::Held(held) => {
                if held.account.map(AccountId::holder) == Some(held.patient) {
                    self.unnamed.insert(held.appointment);
                }
                Ok(())
            }
            Fact::PatientNamed(named) => {
                let was_unnamed = self.unnamed.remove(&named.appointment);
                let is_holder = named.patient == PatientId(named.account.holder().0);
                ensure(was_unnamed && !is_holder, || format!("{named:?} names nobody"))
            }
            Fact::Booked(booked) => {
                let id = booked.appointment;
                let deadline = self.ordered.remove(&id);
                ensure(!self.unnamed.contains(&id), || format!("{:x} is of nobody", id.0))?;
                let in_time = deadline.is_none_or(|deadline| time < deadline);
                ensure(in_time, || format!("{:x} is booked after its order", id.0))
            }
            Fact::Ordered(ordered) => {
                self.ordered.insert(ordered.appointment, ordered.until);
                ensure(time < ordered.until, || format!("{ordered:?} is over"))
            }
            Fact::Billed(billed) => self.bill(&billed.bill),
            Fact::LeftLate(left) => {
                ensure(left.deadline <= time, || format!("{left:?} at {}", time.as_millis()))
            }
            _ => Ok(()),
        }
    }

    fn bill(&mut self, bill: &Bill) -> Result<(), String> {
        let earlier = self.bills.insert((bill.appointment, bill.payment), *bill);
        let before = earlier.map(|bill| bill.refund);
        let goes_on = match bill.refund {
            RefundState::None => before.is_none(),
            RefundState::Due => before.is_none() || before == Some(RefundState::None),
            RefundState::Refunded => before == Some(RefundState::Due),
        };
        ensure(goes_on, || format!("{bill:?} after {before:?}"))?;
        let again = bill.rebooked.is_some() && bill.refund != RefundState::None;
        ensure(!again, || format!("{bill:?} books and is owed back"))
    }
}
