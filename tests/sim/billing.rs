//! What clients want of payments, orders, refunds and holds that name nobody yet.

use haoyuan::model::{
    AccountId, AppointmentId, AppointmentStatus, Attributes, ClientKey, ClientKeys, Command, Hold,
    NamePatient, Order, PatientClass, Pay, PaymentKind, PaymentRef, Query, Refund, Timestamp,
};

use crate::ask::Body;
use crate::random::Random;
use crate::sessions::MINUTE;
use crate::traffic::{Known, Traffic, new_id};

/// Accounts of a run: each takes many holds.
const ACCOUNTS: u64 = 6;

impl Traffic {
    /// Something about a payment, or about who a hold is for.
    pub(crate) fn billing_wish(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        // Now and then one that names nobody yet: who pays for it is told so.
        let held = match random.below(10) {
            0..5 => self.held(random),
            5 => self.unnamed(random),
            _ => None,
        };
        let known = held.or_else(|| self.some_known(random));
        let appointment =
            known.map_or_else(|| AppointmentId(new_id(random, now).0), |known| known.id);
        let channel = match known.filter(|_| random.chance(800)) {
            Some(known) => known.channel,
            None => self.own_channel(random, client),
        };
        let patient = known.map(|known| known.patient).filter(|_| random.chance(500));
        let request = new_id(random, now);
        match random.weighted(&[4, 6, 2, 15, 1]) {
            0 => Body::Command(Command::Pay(Pay {
                request,
                appointment,
                patient,
                channel,
                kind: random.pick(&[
                    PaymentKind::SelfPay,
                    PaymentKind::SelfPay,
                    PaymentKind::Insurance,
                    PaymentKind::PreAuthorization,
                ]),
                payment: PaymentRef(u128::from(random.between(1, 3))),
            })),
            1 => Body::Command(Command::Order(Order {
                request,
                appointment,
                patient,
                channel,
                until: now.plus_millis(random.below(20 * MINUTE)),
            })),
            2 => Body::Command(Command::Refund(Refund {
                request,
                appointment: self.owed(random).unwrap_or(appointment),
                payment: PaymentRef(u128::from(random.between(1, 3))),
                // No two requests mean the same refund.
                reference: PaymentRef(request.0),
            })),
            3 => self.naming(random, client, now),
            _ => Body::Query(self.bills(random)),
        }
    }

    /// The payments of one appointment, or all that are owed back.
    pub(crate) fn bills(&self, random: &mut Random) -> Query {
        let appointment = self.some_known(random).map(|known| known.id);
        let appointment = appointment.filter(|_| random.chance(500));
        Query::ReadBills { appointment, after: AppointmentId(0) }
    }

    /// One of the last holds: those before are over, though nobody was told.
    fn held(&self, random: &mut Random) -> Option<&Known> {
        let is_held = |known: &&Known| known.status == AppointmentStatus::Pending;
        let latest: Vec<&Known> = self.known.iter().rev().filter(is_held).take(2).collect();
        latest.get(random.index(latest.len().max(1))).copied()
    }

    /// One of the last holds that name nobody yet.
    fn unnamed(&self, random: &mut Random) -> Option<&Known> {
        let is_unnamed = |known: &&Known| {
            let holder = known.account.map(AccountId::holder);
            holder == Some(known.patient) && known.status == AppointmentStatus::Pending
        };
        let latest = self.known.iter().rev().take(40);
        let found: Vec<&Known> = latest.filter(is_unnamed).collect();
        found.get(random.index(found.len().max(1))).copied()
    }

    /// One that was cancelled.
    fn owed(&self, random: &mut Random) -> Option<AppointmentId> {
        let over = |known: &&Known| known.status == AppointmentStatus::Cancelled;
        let all: Vec<&Known> = self.known.iter().filter(over).collect();
        all.get(random.index(all.len().max(1))).map(|known| known.id)
    }

    fn naming(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let known = self.unnamed(random).or_else(|| self.some_known(random));
        let unknown = AppointmentId(new_id(random, now).0);
        let account = known.and_then(|known| known.account).filter(|_| random.chance(950));
        Body::Command(Command::NamePatient(Box::new(NamePatient {
            request: new_id(random, now),
            appointment: known.map_or(unknown, |known| known.id),
            patient: self.patient(random),
            keys: ClientKeys {
                account,
                phone: random.chance(300).then_some(ClientKey(1)),
                ..ClientKeys::default()
            },
            channel: match known {
                Some(known) => known.channel,
                None => self.own_channel(random, client),
            },
            class: if random.chance(850) {
                PatientClass::Outpatient
            } else {
                PatientClass::Referral
            },
            attributes: Attributes::default(),
        })))
    }
}

/// A hold as an account asks for it, now and then without the patient.
pub(crate) fn by_account(random: &mut Random, hold: Hold, is_billing: bool) -> Hold {
    if random.chance(if is_billing { 150 } else { 800 }) {
        return hold;
    }
    let account = Some(AccountId(u128::from(random.between(1, ACCOUNTS))));
    let phone = Some(ClientKey(u128::from(random.between(1, ACCOUNTS))));
    let keys = ClientKeys { account, phone, ..hold.keys };
    let is_unnamed = random.chance(600);
    let patient = hold.patient.filter(|_| !is_unnamed);
    let book = hold.book.filter(|_| !is_unnamed);
    Hold { keys, patient, book, ..hold }
}
