//! Payments, orders and unnamed holds through the pipeline: crashes, snapshots, forgetting.

use super::{Node, refused};
use crate::engine::tests::build::{self, DAY, MINUTE};
use crate::inventory::{Inventory, Part};
use crate::model::{
    AccountId, Action, Actor, Answer, ApplyRules, AppointmentId, AppointmentStatus, Attributes,
    CivilTime, ClientKeys, Command, Hold, Holder, HolderRule, LatePayment, NamePatient, Order,
    OrderRule, Outcome, PatientClass, PatientId, Pay, PaymentKind, PaymentMode, PaymentRef,
    PaymentRule, Query, Reading, Receipt, Refund, RefundState, Role, RuleLayer, RuleMode, Rules,
    RulesVersion, Ttl,
};
use crate::service::digest::of_inventory;
use crate::service::image;

impl Node {
    fn ask(&self, command: &Command) -> Answer<Receipt> {
        self.service.call(self.now, &self.actor, command)
    }

    /// Has payments made by patients, orders of half an hour, and accounts that hold two places.
    fn under_payment_rules(&mut self) {
        let payment = PaymentRule {
            by: PaymentMode::SelfPay,
            channels: crate::model::ChannelSet::ALL,
            late: LatePayment::Rebook,
            order: Some(OrderRule { minutes: 30, times: 2 }),
            mode: RuleMode::Enforce,
        };
        let layer = RuleLayer {
            payment: Some(payment),
            holder: Some(HolderRule { by: Holder::Account, limit: 2 }),
            ..RuleLayer::default()
        };
        let from = self.now.plus_millis(MINUTE);
        let civil = CivilTime::default();
        let rules = Rules {
            version: RulesVersion(0),
            from,
            civil,
            layers: vec![layer],
            ..Rules::default()
        };
        let apply = ApplyRules { request: build::request(9 << 40), rules };
        let admin = Actor::unbounded(Role::Admin);
        self.service.call(self.now, &admin, &Command::ApplyRules(apply.into())).result.unwrap();
        self.later(MINUTE);
    }

    fn hold_for(&self, id: u128, minutes: u32, session: u64) -> Answer<Receipt> {
        let ttl = Ttl::from_millis(minutes * 60_000).unwrap();
        self.hold(&Hold { ttl, ..build::hold(id, id, [build::any(session)]) })
    }

    fn pay(&self, request: u128, id: u128, payment: u128) -> Answer<Receipt> {
        self.ask(&Command::Pay(Pay {
            request: build::request(request),
            appointment: build::appointment(id),
            patient: None,
            channel: build::channel(0),
            kind: PaymentKind::SelfPay,
            payment: PaymentRef(payment),
        }))
    }

    fn order(&self, request: u128, id: u128, minutes: u64) -> Answer<Receipt> {
        self.ask(&Command::Order(Order {
            request: build::request(request),
            appointment: build::appointment(id),
            patient: None,
            channel: build::channel(0),
            until: self.now.plus_millis(minutes * MINUTE),
        }))
    }

    fn unnamed(&self, id: u128, account: u128, session: u64) -> Answer<Receipt> {
        let keys = keys(account);
        self.hold(&Hold { patient: None, keys, ..build::hold(id, 0, [build::any(session)]) })
    }

    fn name(&self, request: u128, id: u128, account: u128, patient: u128) -> Answer<Receipt> {
        self.ask(&Command::NamePatient(Box::new(NamePatient {
            request: build::request(request),
            appointment: build::appointment(id),
            patient: PatientId(patient),
            keys: keys(account),
            channel: build::channel(0),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
        })))
    }

    fn due(&self) -> Vec<(AppointmentId, PaymentRef)> {
        let admin = Actor::unbounded(Role::Admin);
        let query = Query::ReadBills { appointment: None, after: AppointmentId(0) };
        let Ok(Reading::Bills(page)) = self.service.read(self.now, &admin, &query).result else {
            panic!("an administrator may read what is owed")
        };
        page.bills.iter().map(|bill| (bill.appointment, bill.payment)).collect()
    }

    fn free(&self, session: u64) -> u16 {
        let query = Query::Availability {
            session: crate::model::SessionId(session),
            channel: build::channel(0),
            class: PatientClass::Outpatient,
        };
        match self.service.read(self.now, &self.actor, &query).result {
            Ok(Reading::Availability(found)) => found.free.iter().sum(),
            other => panic!("{other:?}"),
        }
    }
}

/// What a start makes of what a crash leaves, at the same time.
fn after_crash(node: &Node) -> Node {
    let mut recovered = Node::recovered(&node.medium.crash());
    recovered.now = node.now;
    recovered
}

fn keys(account: u128) -> ClientKeys {
    ClientKeys { account: Some(AccountId(account)), ..ClientKeys::default() }
}

/// A node with holds that were ordered, paid, paid late, cancelled and named.
fn busy() -> Node {
    let mut node = Node::new();
    node.open(build::session(1, &[40, 40]));
    node.open(build::session(2, &[1]));
    node.under_payment_rules();
    for id in 1..=20 {
        node.hold_for(id, 5, 1).result.unwrap();
    }
    node.hold_for(21, 5, 2).result.unwrap();
    for id in 1..=4 {
        node.order(1_000 + id, id, 20).result.unwrap();
        node.pay(2_000 + id, 4 + id, 7).result.unwrap();
    }
    node.change(&build::change(3_000, 5, Action::Cancel)).result.unwrap();
    node.unnamed(30, 1, 1).result.unwrap();
    node.unnamed(31, 2, 1).result.unwrap();
    node.name(3_001, 31, 2, 77).result.unwrap();
    node.later(5 * MINUTE);
    node.service.tick(node.now);
    node.hold_for(22, 5, 2).result.unwrap();
    assert_eq!(refused(&node.pay(3_002, 21, 8)), Outcome::PaymentRefundable);
    node.pay(3_003, 10, 9).result.unwrap();
    node
}

#[test]
fn what_lies_beside_appointments_survives_a_crash_and_is_in_snapshots() {
    let node = busy();
    node.commit();
    let recovered = Node::recovered(&node.medium.crash());
    assert_eq!(recovered.service.digest(), node.service.digest());

    let mut restored = Inventory::new(99, DAY);
    for (kind, index) in Inventory::parts() {
        let mut bytes = Vec::new();
        let inventory = node.service.inventory();
        inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
        let base = node.service.journal().appended();
        restored.restore_part(kind, index, base, |part| image::read(part, &bytes)).unwrap();
    }
    restored.rebuild();
    assert_eq!(of_inventory(&restored), node.service.digest());
    assert_eq!(restored.next_deadline(), node.service.inventory().next_deadline());
    let counts = |inventory: &Inventory| {
        let (mut bills, mut orders) = (0, 0);
        for (kind, index) in Inventory::parts() {
            inventory.with_part(kind, index, |part| {
                if let Part::Home(home) = part {
                    bills += home.billing().bills().count();
                    orders += home.billing().ordered().count();
                }
            });
        }
        (bills, orders)
    };
    assert_eq!(counts(&restored), (7, 4));
}

#[test]
fn an_order_keeps_its_place_over_a_crash_until_its_own_deadline_and_no_longer() {
    let mut node = Node::new();
    node.open(build::session(1, &[1]));
    node.under_payment_rules();
    node.hold_for(1, 5, 1).result.unwrap();
    node.order(1_000, 1, 20).result.unwrap();
    node.commit();
    let mut node = after_crash(&node);
    node.later(6 * MINUTE);
    assert_eq!(node.service.tick(node.now), 0);
    assert_eq!((node.free(1), refused(&node.hold_for(2, 5, 1))), (0, Outcome::SoldOut));
    node.later(14 * MINUTE);
    assert_eq!(refused(&node.order(1_001, 1, 20)), Outcome::HoldExpired);
    assert_eq!((node.service.tick(node.now), node.free(1)), (1, 1));
    assert_eq!(node.service.tick(node.now), 0);
}

#[test]
fn an_order_that_is_given_up_frees_its_place_at_once() {
    let mut node = Node::new();
    node.open(build::session(1, &[1]));
    node.under_payment_rules();
    node.hold_for(1, 5, 1).result.unwrap();
    node.order(1_000, 1, 20).result.unwrap();
    node.release(1).result.unwrap();
    assert_eq!(node.free(1), 1);
    node.hold_for(2, 5, 1).result.unwrap();
    node.later(30 * MINUTE);
    assert_eq!((node.service.tick(node.now), node.free(1)), (1, 1));
}

#[test]
fn a_late_payment_that_is_repeated_after_a_crash_gets_the_same_answer() {
    let node = busy();
    node.commit();
    let recovered = after_crash(&node);
    assert_eq!(refused(&recovered.pay(3_002, 21, 8)), Outcome::PaymentRefundable);
    let again = recovered.pay(3_003, 10, 9).result.unwrap();
    assert!(again.retried);
    assert_eq!(again.appointment, Some(build::appointment(3_003)));
    assert_eq!(again.status, Some(AppointmentStatus::Booked));
    let due = [(5, 7), (21, 8)]
        .map(|(id, payment): (u128, u128)| (build::appointment(id), PaymentRef(payment)));
    assert_eq!(recovered.due(), due);
}

#[test]
fn what_is_owed_back_outlives_its_appointment_until_it_is_refunded() {
    let mut node = busy();
    node.later(4 * DAY);
    node.service.tick(node.now);
    while 0 < node.service.forget(node.now) {}
    let (found, _) = node.service.inventory().appointment(build::appointment(5));
    assert_eq!(found, None);
    assert_eq!(node.due().len(), 2);
    let refund = Command::Refund(Refund {
        request: crate::model::RequestId::from_parts(node.now, 1),
        appointment: build::appointment(5),
        payment: PaymentRef(7),
        reference: PaymentRef(70),
    });
    assert!(!node.ask(&refund).result.unwrap().retried);
    assert!(node.ask(&refund).result.unwrap().retried);
    assert_eq!(node.due().len(), 1);
    let state = |node: &Node| {
        let query =
            Query::ReadBills { appointment: Some(build::appointment(5)), after: AppointmentId(0) };
        match node.service.read(node.now, &node.actor, &query).result {
            Ok(Reading::Bills(page)) => page.bills.first().map(|bill| bill.refund),
            other => panic!("{other:?}"),
        }
    };
    // It was given back, and its appointment is gone: nothing is left of it.
    assert_eq!(state(&node), None::<RefundState>);
    node.commit();
    let recovered = Node::recovered(&node.medium.crash());
    assert_eq!(recovered.service.digest(), node.service.digest());
}

#[test]
fn naming_a_patient_takes_the_hold_out_of_the_line_of_the_account() {
    let mut node = Node::new();
    node.open(build::session(1, &[40]));
    node.open(build::session(2, &[40]));
    node.open(build::session(3, &[40]));
    node.under_payment_rules();
    for round in 0..64_u128 {
        // Each account and each patient has a ledger of its own; now and then both have the same.
        let id = 100 * (round + 1);
        let account = round;
        node.unnamed(id, account, 1 + u64::try_from(round % 3).unwrap()).result.unwrap();
        node.name(id + 1, id, account, 1_000 + round).result.unwrap();
        let holder = AccountId(account).holder();
        assert_eq!(node.service.inventory().live(holder).0, []);
        let live = node.service.inventory().live(PatientId(1_000 + round)).0;
        assert_eq!(live, [build::appointment(id)]);
    }
}
