//! Accounts and telephones through the pipeline: what lies beside appointments, and rules for moves.

use super::{Node, refused};
use crate::engine::tests::build::{self, DAY, MINUTE, MORNING};
use crate::inventory::{Inventory, Part};
use crate::model::{
    AccountId, Action, Actor, Answer, ApplyRules, Begins, CancelRule, Changes, ChannelSet,
    CivilTime, ClientKey, ClientKeys, Command, Consequence, CountedOf, Deadline, Fact, Facts,
    Forgotten, Held, Hold, LateCancel, NoShowRule, Outcome, PaymentRef, Period, PersonsRule,
    Phoned, Receipt, Reschedule, Role, RuleLayer, RuleMode, Rules, ScopeKind, Sequence,
    SessionOpened, Term, TieRule, Tier, Violation, ViolationRule, ViolationSet, Window,
};
use crate::service::digest::of_inventory;
use crate::service::image;

impl Node {
    /// Puts a layer in force.
    fn under(&mut self, layer: RuleLayer) {
        let (from, layers) = (self.now.plus_millis(MINUTE), vec![layer]);
        let rules = Rules { from, layers, civil: CivilTime::default(), ..Rules::default() };
        let apply = ApplyRules { request: build::request(9 << 40), rules };
        let admin = Actor::unbounded(Role::Admin);
        self.service.call(self.now, &admin, &Command::ApplyRules(apply.into())).result.unwrap();
        self.later(MINUTE);
    }

    /// A hold of an account, with its telephone.
    fn hold_by(&self, id: u128, patient: u128, account: u128) -> Answer<Receipt> {
        let keys = ClientKeys {
            account: Some(AccountId(account)),
            phone: Some(ClientKey(account)),
            ..ClientKeys::default()
        };
        self.hold(&Hold { keys, ..build::hold(id, patient, [build::any(1)]) })
    }
}

/// Two patients of an account and of a telephone, of which one may be exchanged in a month.
fn family() -> RuleLayer {
    let changes = Some(Changes { most: 1, period: Period::Month });
    let two = Some(TieRule { patients: 2, accounts: 0, changes });
    let rule = PersonsRule { account: two, phone: two, ..PersonsRule::default() };
    RuleLayer { persons: Some(Box::new(rule)), ..RuleLayer::default() }
}

#[test]
fn nobody_with_a_visit_ahead_gives_way_wherever_their_ledger_is() {
    let mut node = Node::new();
    node.open(build::session(1, &[200, 200]));
    node.under(family());
    // Keys of many shards, so that no ledger is locked by chance.
    for family in 1..=40 {
        let (first, second, third) = (family * 100, family * 100 + 1, family * 100 + 2);
        node.hold_by(first, first, family).result.unwrap();
        node.hold_by(second, second, family).result.unwrap();
        let full = node.hold_by(third, third, family);
        assert_eq!(refused(&full), Outcome::PersonLimit, "{family}");
        node.release(second).result.unwrap();
        node.hold_by(third, third, family).result.unwrap();
        node.hold_by(first + 3, second, family).result.unwrap_err();
    }
}

#[test]
fn who_is_bound_survives_snapshots_and_crashes() {
    let mut node = Node::new();
    node.open(build::session(1, &[40, 40]));
    node.under(family());
    for id in 1..=2 {
        node.hold_by(id, id, 1).result.unwrap();
        node.hold_by(10 + id, 10 + id, 2).result.unwrap();
    }
    node.release(1).result.unwrap();
    node.hold_by(3, 3, 1).result.unwrap();
    let base = node.service.journal().appended();
    let copied = copy(node.service.inventory(), base);
    assert_eq!(of_inventory(&copied), node.service.digest());
    let holder = AccountId(1).holder();
    let ties = node.service.inventory().ties(holder).unwrap();
    assert_eq!((ties.bound.len(), ties.changes.len()), (2, 1));
    assert_eq!(copied.ties(holder), Some(ties));

    node.commit();
    let mut recovered = Node::recovered(&node.medium.crash());
    recovered.now = node.now;
    assert_eq!(recovered.service.digest(), node.service.digest());
    let full = recovered.hold_by(4, 4, 1);
    assert_eq!(refused(&full), Outcome::PersonLimit, "the change of this month was made");
}

#[test]
fn a_move_is_decided_by_the_rules_in_force() {
    let mut node = Node::new();
    node.open(build::session(1, &[3, 3]));
    node.open(build::session(2, &[5]));
    let layer = RuleLayer {
        cancel: Some(CancelRule {
            until: Deadline::Minutes(600),
            later: ChannelSet(0),
            late: LateCancel::Refuse,
            mode: RuleMode::Enforce,
        }),
        ..RuleLayer::default()
    };
    node.under(layer);
    let held = Hold { book: Some(PaymentRef(1)), ..build::hold(1, 1, [build::any(1)]) };
    node.hold(&held).result.unwrap();
    let ask = Reschedule {
        request: build::request(8 << 40),
        appointment: build::appointment(1),
        patient: None,
        channel: build::channel(0),
        claims: std::iter::once(build::any(2)).collect(),
    };
    let answer = node.service.call(node.now, &node.actor, &Command::Reschedule(Box::new(ask)));
    assert_eq!(refused(&answer), Outcome::CancelTooLate);
}

#[test]
fn the_telephone_of_an_appointment_is_kept_as_long_as_the_appointment() {
    let (id, phone) = (build::appointment(1), ClientKey(7));
    let session = build::session(1, &[1]);
    let opened = SessionOpened { request: build::request(1 << 40), fingerprint: 0, session };
    let node = Node::new();
    node.open(build::session(1, &[1]));
    node.hold_any(1, 1).result.unwrap();
    node.commit();
    let held = node.records().into_iter().flat_map(|(_, _, facts)| facts);
    let held: Vec<Held> = held.filter_map(|fact| fact.held().cloned()).collect();
    let ended = crate::model::Ended {
        request: None,
        appointment: id,
        patient: held[0].patient,
        cause: crate::model::Cause::Expired,
        claims: held[0].claims.clone(),
    };
    let mut inventory = Inventory::new(0, DAY);
    for (number, fact) in (1..).zip([
        Fact::SessionOpened(Box::new(opened)),
        Fact::Held(held[0].clone()),
        Fact::Phoned(Phoned { appointment: id, phone }),
        Fact::Ended(ended),
    ]) {
        inventory.replay(Sequence(number), MORNING, &Facts::from_iter([fact]));
    }
    assert_eq!(phones(&inventory), [(id, phone)]);
    let copy = copy(&inventory, Sequence(4));
    assert_eq!(phones(&copy), [(id, phone)]);
    assert_eq!(of_inventory(&copy), of_inventory(&inventory));

    let forgotten = Forgotten { appointments: std::iter::once(id).collect() };
    let record = Facts::from_iter([Fact::Forgotten(Box::new(forgotten))]);
    inventory.replay(Sequence(5), MORNING, &record);
    assert_eq!(phones(&inventory), []);
    assert_ne!(of_inventory(&copy), of_inventory(&inventory));
}

#[test]
fn a_telephone_that_gave_back_too_much_books_for_nobody_also_after_a_restart() {
    let mut node = Node::new();
    node.open(build::session(1, &[9]));
    let rule = NoShowRule {
        within: ScopeKind::Region,
        window: Window::Month,
        begins: Begins::AtOnce,
        is_used_up: false,
        is_once: false,
        mode: RuleMode::Enforce,
        tiers: std::iter::once(Tier {
            count: 2,
            consequence: Consequence::Refuse { but: ChannelSet(0) },
            term: Term::Days(1),
        })
        .collect(),
    };
    let counts = ViolationSet::only(Violation::Release);
    let violations = vec![ViolationRule { counts, of: CountedOf::Phone, rule }];
    let layers = vec![RuleLayer { violations, ..RuleLayer::default() }];
    let from = node.now.plus_millis(MINUTE);
    let rules = Rules { from, layers, civil: CivilTime::default(), ..Rules::default() };
    let apply = ApplyRules { request: build::request(9 << 40), rules };
    let admin = Actor::unbounded(Role::Admin);
    node.service.call(node.now, &admin, &Command::ApplyRules(apply.into())).result.unwrap();
    node.later(MINUTE);
    let phone = Some(ClientKey(77));
    let ask = |number: u128| {
        let hold = build::hold(number, 100 + number, [build::any(1)]);
        Hold { keys: ClientKeys { phone, ..hold.keys }, ..hold }
    };
    // Of patients in other shards each.
    for number in 1..=2 {
        node.hold(&ask(number)).result.unwrap();
        let release = build::change(1_000 + number, number, Action::Release);
        node.service.call(node.now, &node.actor, &Command::Change(release)).result.unwrap();
    }
    assert_eq!(refused(&node.hold(&ask(3))), Outcome::Restricted);
    node.hold_any(4, 1).result.unwrap();
    let inventory = node.service.inventory();
    let copy = copy(inventory, node.service.journal().appended());
    assert_eq!(of_inventory(&copy), of_inventory(inventory));
    let phone = ClientKey(77).phone_holder();
    assert_eq!(copy.restrictions(phone, node.now).len(), 1);
}

fn phones(inventory: &Inventory) -> Vec<(crate::model::AppointmentId, ClientKey)> {
    let mut all = Vec::new();
    for (kind, index) in Inventory::parts() {
        inventory.with_part(kind, index, |part| {
            if let Part::Home(home) = part {
                all.extend(home.phones().all());
            }
        });
    }
    all
}

/// What is restored from the image of every shard.
fn copy(inventory: &Inventory, base: Sequence) -> Inventory {
    let mut copy = Inventory::new(9, DAY);
    for (kind, index) in Inventory::parts() {
        let mut bytes = Vec::new();
        inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
        copy.restore_part(kind, index, base, |part| image::read(part, &bytes)).unwrap();
    }
    copy.rebuild();
    copy
}
