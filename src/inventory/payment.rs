//! Payments, orders, refunds and the naming of patients, under locks.
//!
//! ```text
//! order, pay      home of the request, of the hold < ledger of its patient < its sessions
//! refund          home of the request, of the appointment
//! name_patient    the same homes < ledgers of patient and holder < its sessions
//! ```

use super::Inventory;
use super::group::Group;
use super::waitlist::sessions_of;
use super::{lock_with_leavers, with};
use crate::engine::{Asker, Context, decide_name, decide_order, decide_pay, decide_refund};
use crate::model::{
    Actor, Answer, AppointmentId, Bill, BillsPage, ClientKeys, Facts, LISTED_MAX, NamePatient,
    Order, Pay, Reading, Receipt, Refund, RequestId, RuleKey, Sequence,
};

impl Inventory {
    /// Moves the deadline of a hold to that of a payment order, or refuses.
    pub fn order(
        &self,
        context: &Context<'_>,
        order: &Order,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = self.lock_appointment(context, order.request, order.appointment);
            let decided = group.view(|view| decide_order(view, context, order));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Books a hold with a payment, or what comes of it when the hold is over.
    pub fn pay(
        &self,
        context: &Context<'_>,
        pay: &Pay,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = self.lock_appointment(context, pay.request, pay.appointment);
            let decided = self.decided(&group, context, |view, it| decide_pay(view, it, pay));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Writes down that money was given back, or refuses.
    pub fn refund(
        &self,
        context: &Context<'_>,
        refund: &Refund,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let ids = [refund.request, refund.appointment.request()];
            let mut group = Group::of_homes(&self.homes, &ids);
            let decided = group.view(|view| decide_refund(view, context, refund));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Makes an account's hold a patient's, or refuses.
    pub fn name_patient(
        &self,
        context: &Context<'_>,
        name: &NamePatient,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let ids = [name.request, name.appointment.request()];
            let known = |group: &Group<'_>| group.view(|view| view.appointment(name.appointment));
            let mut group = lock_with_leavers(context, |also| {
                let mut group = Group::of_homes(&self.homes, &ids);
                let Some(appointment) = known(&group) else { return (group, None) };
                let phone = group.view(|view| view.phone(name.appointment));
                let keys = ClientKeys { phone: name.keys.phone.or(phone), ..name.keys };
                // The hold is in the ledger of the account that has it, whatever rules ask.
                let mut who =
                    with(&keys.subjects(name.patient).ledgers(context.rules.asked()), also);
                who.push(appointment.patient);
                group.lock_ledgers(&self.ledgers, &who);
                let asker = || Asker {
                    patient: Some(group.view(|view| view.person(name.patient))),
                    account: keys.account,
                    phone: keys.phone,
                    class: name.class,
                    attributes: name.attributes,
                };
                let asker = context.rules.says(RuleKey::Persons).then(asker);
                (group, asker)
            });
            if let Some(appointment) = known(&group) {
                let sessions = appointment.claims.iter().map(|claim| claim.session);
                group.lock_sessions(&self.sessions, sessions);
            }
            let decided = self.decided(&group, context, |view, it| decide_name(view, it, name));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Locks what a change of an appointment touches.
    fn lock_appointment(
        &self,
        context: &Context<'_>,
        request: RequestId,
        id: AppointmentId,
    ) -> Group<'_> {
        let mut group = Group::of_homes(&self.homes, &[request, id.request()]);
        // As in a change: what the homes say stays true while the other locks are taken.
        if let Some(appointment) = group.view(|view| view.appointment(id)) {
            self.lock_who(&mut group, context, &appointment);
            let sessions = sessions_of(&group, &appointment);
            group.lock_sessions(&self.sessions, sessions.into_iter());
        }
        group
    }

    /// The payments of an appointment, or a page of those that are owed back. Home by home, so that a
    /// page is of no single instant; what was owed before it was asked for and still is, is in it.
    pub fn read_bills(
        &self,
        actor: &Actor,
        appointment: Option<AppointmentId>,
        after: AppointmentId,
    ) -> Answer<Reading> {
        let (mut found, mut rests_on) = (Vec::new(), Sequence(0));
        let may_see = |bill: &&Bill| actor.may_touch(bill.organization);
        if let Some(id) = appointment {
            let home = self.homes.lock(super::shards::route(id.0));
            rests_on = home.last;
            found.extend(home.state.billing().of(id).iter().filter(may_see).copied());
        } else {
            for index in 0..super::SHARD_COUNT {
                let home = self.homes.lock(index);
                rests_on = rests_on.max(home.last);
                let due = home.state.billing().due(after).filter(may_see);
                found.extend(due.take(LISTED_MAX + 1).copied());
            }
        }
        for bill in &mut found {
            bill.patient = self.person(bill.patient);
        }
        Answer { after: rests_on, result: Ok(Reading::Bills(Box::new(page(found)))) }
    }
}

/// The first of them; the payments of one appointment are not parted.
fn page(mut found: Vec<Bill>) -> BillsPage {
    found.sort_by_key(|bill| bill.appointment);
    let Some(last) = found.get(LISTED_MAX).map(|bill| bill.appointment) else {
        return BillsPage { bills: found, next: None };
    };
    found.retain(|bill| bill.appointment < last);
    let next = found.last().map(|bill| bill.appointment);
    BillsPage { bills: found, next }
}
