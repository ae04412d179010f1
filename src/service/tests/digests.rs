//! The digest: what changes it, and what does not.

use std::collections::BTreeMap;

use super::Node;
use crate::engine::tests::build::{self, DAY, MORNING};
use crate::engine::{Alterations, SessionState};
use crate::inventory::Inventory;
use crate::model::{
    AccountId, Appointment, AppointmentId, AppointmentStatus, Cause, ChannelSet, Claim, ClassSet,
    DepartmentId, OrganizationId, Outcome, PatientClass, PatientId, PaymentRef, Pick, PoolIndex,
    Repeat, ResourceId, RulesVersion, Sequence, Session, SessionId, Sharing, SiteId, SlotIndex,
    Ttl,
};
use crate::service::digest::{Digest, of_inventory};

fn of(add: impl FnOnce(&mut Digest)) -> [u8; 32] {
    let mut digest = Digest::default();
    add(&mut digest);
    digest.finish()
}

/// Asserts that no two of the digests are the same.
fn all_differ(digests: impl IntoIterator<Item = (&'static str, [u8; 32])>) {
    let mut seen = BTreeMap::new();
    for (what, digest) in digests {
        if let Some(other) = seen.insert(digest, what) {
            panic!("`{what}` and `{other}` have the same digest");
        }
    }
    assert!(1 < seen.len());
}

fn appointment() -> Appointment {
    Appointment {
        id: AppointmentId(1),
        patient: PatientId(2),
        account: None,
        organization: OrganizationId(3),
        channel: build::channel(4),
        class: PatientClass::Outpatient,
        sharing: Sharing::Cancel,
        status: AppointmentStatus::Pending,
        cause: Cause::None,
        until: MORNING,
        fingerprint: 5,
        payment: None,
        rules: RulesVersion(6),
        claims: [claim(1, 0, 1, 0), claim(2, 0, 1, 0)].into_iter().collect(),
    }
}

fn claim(session: u64, slot: u16, count: u8, pool: u8) -> Claim {
    Claim { session: SessionId(session), slot: SlotIndex(slot), count, pool: PoolIndex(pool) }
}

#[test]
fn changing_any_field_of_an_appointment_changes_the_digest() {
    let changed = |change: fn(&mut Appointment)| {
        let mut appointment = appointment();
        change(&mut appointment);
        of(|digest| digest.appointment(&appointment))
    };
    // Every field, so that a new one is placed here on purpose.
    let Appointment {
        id: _,
        patient: _,
        account: _,
        organization: _,
        channel: _,
        class: _,
        sharing: _,
        status: _,
        cause: _,
        until: _,
        fingerprint: _,
        payment: _,
        rules: _,
        claims: _,
    } = appointment();
    all_differ([
        ("nothing", changed(|_| ())),
        ("id", changed(|a| a.id = AppointmentId(9))),
        ("patient", changed(|a| a.patient = PatientId(9))),
        ("account", changed(|a| a.account = Some(AccountId(0)))),
        ("other account", changed(|a| a.account = Some(AccountId(1)))),
        ("organization", changed(|a| a.organization = OrganizationId(9))),
        ("channel", changed(|a| a.channel = build::channel(9))),
        ("class", changed(|a| a.class = PatientClass::Emergency)),
        ("sharing", changed(|a| a.sharing = Sharing::Own)),
        ("status", changed(|a| a.status = AppointmentStatus::Booked)),
        ("other status", changed(|a| a.status = AppointmentStatus::Arrived)),
        ("cause", changed(|a| a.cause = Cause::Released)),
        ("deadline", changed(|a| a.until = MORNING.plus_millis(1))),
        ("fingerprint", changed(|a| a.fingerprint = 9)),
        ("payment", changed(|a| a.payment = Some(PaymentRef(0)))),
        ("rules", changed(|a| a.rules = RulesVersion(9))),
        ("claim's session", changed(|a| a.claims[1] = claim(9, 0, 1, 0))),
        ("claim's slot", changed(|a| a.claims[1] = claim(2, 9, 1, 0))),
        ("claim's run", changed(|a| a.claims[1] = claim(2, 0, 9, 0))),
        ("claim's pool", changed(|a| a.claims[1] = claim(2, 0, 1, 7))),
        ("order of claims", changed(|a| a.claims.swap(0, 1))),
        ("number of claims", changed(|a| _ = a.claims.pop())),
    ]);
}

#[test]
fn when_a_status_was_reached_does_not_change_the_digest() {
    for status in AppointmentStatus::ALL {
        let at = |millis| {
            let until = MORNING.plus_millis(millis);
            of(|digest| digest.appointment(&Appointment { status, until, ..appointment() }))
        };
        assert_eq!(at(0) == at(1), status != AppointmentStatus::Pending, "{status:?}");
    }
}

#[test]
fn changing_any_place_or_pool_of_a_session_changes_the_digest() {
    let of_parts = |session: Session, taken: [u16; 4]| {
        let state = SessionState::from_parts(session, &taken).unwrap();
        of(|digest| digest.session(&state))
    };
    let base = || {
        let mut session = build::session(1, &[5, 5]);
        session.pools.push(session.pools[0].clone());
        session
    };
    let changed = |change: fn(&mut Session)| {
        let mut session = base();
        change(&mut session);
        of_parts(session, [1, 1, 1, 1])
    };
    let Session {
        id: _,
        organization: _,
        site: _,
        department: _,
        resource: _,
        appointment_type: _,
        start: _,
        slot_millis: _,
        pick: _,
        repeat: _,
        sharing: _,
        ttl_max: _,
        terms: _,
        pools: _,
    } = base();
    all_differ([
        ("nothing", changed(|_| ())),
        ("id", changed(|s| s.id = SessionId(9))),
        ("organization", changed(|s| s.organization = OrganizationId(9))),
        ("site", changed(|s| s.site = SiteId(9))),
        ("department", changed(|s| s.department = DepartmentId(9))),
        ("resource", changed(|s| s.resource = ResourceId(9))),
        ("type", changed(|s| s.appointment_type = 9)),
        ("start", changed(|s| s.start = s.start.plus_millis(1))),
        ("slot length", changed(|s| s.slot_millis += 1)),
        ("pick", changed(|s| s.pick = Pick::Even)),
        ("repeat", changed(|s| s.repeat = Repeat::Unlimited)),
        ("sharing", changed(|s| s.sharing = Sharing::Own)),
        ("longest hold", changed(|s| s.ttl_max = Ttl::DEFAULT)),
        ("channels of a pool", changed(|s| s.pools[1].channels = ChannelSet(1))),
        ("classes of a pool", changed(|s| s.pools[1].classes = ClassSet(1))),
        ("quota", changed(|s| s.pools[1].quotas[1] = 6)),
        ("place of slot 0, pool 0", of_parts(base(), [2, 1, 1, 1])),
        ("place of slot 0, pool 1", of_parts(base(), [1, 2, 1, 1])),
        ("place of slot 1, pool 0", of_parts(base(), [1, 1, 2, 1])),
        ("place of slot 1, pool 1", of_parts(base(), [1, 1, 1, 2])),
    ]);
}

#[test]
fn changing_what_was_altered_or_moved_changes_the_digest() {
    let altered = |blocked: &[(u16, u16)], added: &[(u16, u16)], is_sweeping| {
        let slots = |list: &[(u16, u16)]| {
            list.iter().map(|(slot, number)| (SlotIndex(*slot), *number)).collect()
        };
        let altered = Alterations { blocked: slots(blocked), is_sweeping, added: slots(added) };
        let state = SessionState::from_parts(build::session(1, &[5, 5]), &[1, 1]).unwrap();
        let state = state.with_alterations(altered).unwrap();
        of(|digest| digest.session(&state))
    };
    let state = SessionState::from_parts(build::session(1, &[5, 5]), &[1, 1]).unwrap();
    assert_eq!(altered(&[], &[], false), of(|digest| digest.session(&state)), "as before 0.2");
    let moved = |id, changes| of(|digest| digest.moved(AppointmentId(id), changes));
    all_differ([
        ("nothing", altered(&[], &[], false)),
        ("a block under way", altered(&[(0, 1)], &[], true)),
        ("a blocked slot", altered(&[(0, 1)], &[], false)),
        ("its slot", altered(&[(1, 1)], &[], false)),
        ("its reason", altered(&[(0, 2)], &[], false)),
        ("another one", altered(&[(0, 1), (1, 1)], &[], false)),
        ("all open again, and a block under way", altered(&[], &[], true)),
        ("an added place", altered(&[], &[(0, 1)], false)),
        ("its slot too", altered(&[], &[(1, 1)], false)),
        ("two of them", altered(&[], &[(0, 2)], false)),
        ("a moved appointment", moved(1, 1)),
        ("how often", moved(1, 2)),
        ("which", moved(2, 1)),
    ]);
}

#[test]
fn changing_a_ledger_or_a_remembered_refusal_changes_the_digest() {
    let live = |patient, id, session| {
        of(|d| d.live(PatientId(patient), AppointmentId(id), SessionId(session)))
    };
    let declined =
        |id, print, outcome| of(|digest| digest.declined(AppointmentId(id), print, outcome));
    all_differ([
        ("nothing", of(|_| ())),
        ("a line", live(1, 2, 3)),
        ("its patient", live(9, 2, 3)),
        ("its appointment", live(1, 9, 3)),
        ("its session", live(1, 2, 9)),
        ("a refusal", declined(1, 2, Outcome::SoldOut)),
        ("its id", declined(9, 2, Outcome::SoldOut)),
        ("its fingerprint", declined(1, 9, Outcome::SoldOut)),
        ("its outcome", declined(1, 2, Outcome::SlotInPast)),
    ]);
}

/// The digest of a live node covers all four: taking one item away, or doubling it, shows.
#[test]
fn an_item_more_or_less_changes_the_digest() {
    let one = of(|digest| digest.appointment(&appointment()));
    let two = of(|digest| {
        digest.appointment(&appointment());
        digest.appointment(&appointment());
    });
    let four = of(|digest| (0..4).for_each(|_| digest.appointment(&appointment())));
    all_differ([("none", of(|_| ())), ("one", one), ("two", two), ("four", four)]);
}

#[test]
fn neither_record_boundaries_nor_wall_clock_times_change_the_digest() {
    let node = Node::new();
    node.open(build::session(1, &[9, 9]));
    for id in 1..=6 {
        let hold = build::hold(id, id, [build::any(1)]);
        node.hold(&crate::model::Hold { book: Some(PaymentRef(1)), ..hold }).result.unwrap();
    }
    node.hold_any(7, 1).result.unwrap();
    node.release(7).result.unwrap();
    node.hold_any(8, 1).result.unwrap();
    node.commit();

    let mut otherwise = Inventory::new(1_234, DAY);
    let facts = node.records().into_iter().flat_map(|(_, _, facts)| facts);
    let mut count = 0;
    for (number, fact) in (1..).zip(facts) {
        let time = MORNING.plus_millis(1_000 + number);
        otherwise.replay(Sequence(number), time, &std::iter::once(fact).collect());
        count = number;
    }
    assert_eq!(count, 1 + 12 + 4, "a booked hold was one record of two facts, and so a release");
    assert_eq!(of_inventory(&otherwise), node.service.digest());
}
