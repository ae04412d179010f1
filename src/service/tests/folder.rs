//! A service on a real folder: recovery, snapshots, pruning, audit.

use std::path::Path;
use std::sync::Arc;

use crate::codec::encode_facts;
use crate::engine::tests::build;
use crate::journal::{
    DataFolder, FolderOptions, Journal, JournalConfig, Lane, OnFatal, Opened, Snapshots,
};
use crate::model::{
    Action, Actor, Cause, Change, Command, Ended, Fact, Facts, Hold, PaymentRef, Role, Sequence,
    SessionOpened, Timestamp,
};
use crate::service::audit::{AuditReport, audit, history};
use crate::service::{OpenOptions, RecoveryReport, Service};

fn start(path: &Path) -> (Arc<Service>, RecoveryReport) {
    let on_fatal: OnFatal = Arc::new(|error| panic!("{error}"));
    Service::open(path, &OpenOptions::default(), on_fatal).unwrap()
}

fn call(service: &Service, role: Role, command: &Command) -> bool {
    service.call(build::MORNING, &Actor::unbounded(role), command).result.is_ok()
}

fn open(service: &Service, sessions: std::ops::Range<u64>) {
    for id in sessions {
        let open = build::open(build::session(id, &[40, 40]));
        assert!(call(service, Role::Admin, &Command::OpenSession(open.into())));
    }
}

/// A hold, which is then booked, released, or left.
fn visit(service: &Service, id: u128) {
    let hold = build::hold(id, id, [build::any(u64::try_from(id % 20).unwrap())]);
    if !call(service, Role::Gateway, &Command::Hold(hold)) {
        return;
    }
    let change = |action| -> Change { build::change(5 << 40 | id, id, action) };
    match id % 3 {
        0 => call(service, Role::Gateway, &Command::Change(change(Action::Release))),
        1 => {
            let payment = PaymentRef(id);
            call(service, Role::Gateway, &Command::Change(change(Action::Book { payment })))
        }
        _ => true,
    };
}

/// Audits a closed folder and asserts that all is well.
#[track_caller]
fn clean(path: &Path) -> AuditReport {
    let report = audit(path).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    report
}

#[test]
fn a_folder_without_a_snapshot_is_recovered_from_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let (service, found) = start(folder.path());
    assert_eq!((found.replayed, found.last), (0, Sequence(0)));
    open(&service, 0..20);
    (0..300).for_each(|id| visit(&service, id));
    service.tick(build::MORNING.plus_millis(20 * build::MINUTE));
    service.close().unwrap();
    let (digest, last) = (service.digest(), service.durable());
    drop(service);

    let (service, found) = start(folder.path());
    assert_eq!((found.replayed, found.last, found.snapshot), (last.0, last, None));
    assert_eq!(found.last_time, build::MORNING.plus_millis(20 * build::MINUTE));
    assert_eq!(service.digest(), digest);
    service.close().unwrap();
    drop(service);
    let report = clean(folder.path());
    assert_eq!((report.digest, report.records, report.oversold), (digest, last.0, 0));
    assert_eq!(report.causes.get(&Cause::Expired), Some(&100));
}

#[test]
fn a_folder_is_recovered_from_a_snapshot_and_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _) = start(folder.path());
    open(&service, 0..20);
    (0..300).for_each(|id| visit(&service, id));
    let path = service.take_snapshot().unwrap().unwrap();
    let before = service.journal().appended();
    (300..400).for_each(|id| visit(&service, id));
    service.close().unwrap();
    let (digest, last) = (service.digest(), service.durable());
    drop(service);

    let (service, found) = start(folder.path());
    assert_eq!(service.digest(), digest);
    assert_eq!(found.snapshot.as_deref(), Some(path.as_path()));
    assert_eq!(found.replayed, last.0 - before.0);
    (400..450).for_each(|id| visit(&service, id));
    service.close().unwrap();
    let digest = service.digest();
    drop(service);
    assert_eq!(clean(folder.path()).digest, digest);
}

#[test]
fn a_snapshot_that_is_taken_while_threads_write_recovers_to_their_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _) = start(folder.path());
    open(&service, 0..20);
    std::thread::scope(|scope| {
        for thread in 0..2_u128 {
            let service = &service;
            scope.spawn(move || (0..600).for_each(|id| visit(service, thread * 1_000 + id)));
        }
        for _ in 0..2 {
            service.take_snapshot().unwrap().unwrap();
        }
    });
    service.journal().wait_pruned();
    service.close().unwrap();
    let digest = service.digest();
    drop(service);

    let (service, found) = start(folder.path());
    assert!(found.snapshot.is_some());
    assert_eq!(service.digest(), digest);
    service.close().unwrap();
    drop(service);
    assert_eq!(clean(folder.path()).digest, digest);
}

/// Small trees, so that something can be dropped.
fn start_with_small_trees(path: &Path) -> (Journal, DataFolder) {
    let options = FolderOptions { blocks_per_tree: 5, ..FolderOptions::default() };
    let Opened { log, store, folder } = DataFolder::open(path, &options).unwrap();
    let on_fatal: OnFatal = Arc::new(|error| panic!("{error}"));
    let config = JournalConfig { recent_bytes_max: 0, ..JournalConfig::default() };
    (Journal::start(Box::new(store), log.tail(), config, on_fatal), folder)
}

fn append(journal: &Journal, time: Timestamp, facts: &[Fact]) -> Sequence {
    let facts: Facts = facts.iter().cloned().collect();
    let permit = journal.reserve(Lane::Upkeep).unwrap();
    let sequence = journal.append(permit, time, |buffer| encode_facts(&facts, buffer));
    journal.wait_durable(sequence).unwrap();
    sequence
}

/// The facts that open a session of one place, and hold it.
fn opened() -> Fact {
    let open = build::open(build::session(1, &[1]));
    let (request, fingerprint) = (open.request, open.fingerprint());
    Fact::SessionOpened(Box::new(SessionOpened { request, fingerprint, session: open.session }))
}

fn held(id: u128) -> Fact {
    let (service, hold) = (scratch(), build::hold(id, id, [build::at(1, 0)]));
    assert!(call(&service, Role::Gateway, &Command::Hold(hold)));
    service.journal().wait_durable(Sequence(2)).unwrap();
    let page = service.journal().read(Sequence(2), usize::MAX).unwrap();
    let (_, _, bytes) = page.records().next().unwrap();
    crate::codec::decode_facts(bytes).unwrap().remove(0)
}

/// A service in memory with the same session.
fn scratch() -> Service {
    let store = crate::journal::MemoryStore::new(&crate::journal::MemoryMedium::default());
    let on_fatal: OnFatal = Arc::new(|_| ());
    let tail = crate::journal::Tail::default();
    let journal = Journal::start(Box::new(store), tail, JournalConfig::default(), on_fatal);
    let inventory = crate::inventory::Inventory::new(0, build::DAY);
    let service = Service::new(inventory, journal, crate::service::Limits::default());
    let open = build::open(build::session(1, &[1]));
    assert!(call(&service, Role::Admin, &Command::OpenSession(open.into())));
    service
}

fn ended(fact: &Fact) -> Fact {
    let Fact::Held(held) = fact else { panic!("{fact:?}") };
    Fact::Ended(Ended {
        request: None,
        appointment: held.appointment,
        patient: held.patient,
        cause: Cause::Expired,
        claims: held.claims.clone(),
    })
}

#[test]
fn what_was_pruned_is_audited_from_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = start_with_small_trees(folder.path());
    append(&journal, build::MORNING, &[opened()]);
    for id in 1..=20 {
        let held = held(id);
        append(&journal, build::MORNING, std::slice::from_ref(&held));
        append(&journal, build::MORNING, &[ended(&held)]);
    }
    journal.close().unwrap();
    drop(journal);

    // Two snapshots, so that the older log may go.
    for _ in 0..2 {
        let (service, _) = start(folder.path());
        service.take_snapshot().unwrap().unwrap();
        service.journal().wait_pruned();
        service.close().unwrap();
    }
    let below = Snapshots::new(&folder.path().join("snapshots")).prunable_below().unwrap();
    assert_eq!(below, Some(Sequence(42)));
    let log = DataFolder::inspect(folder.path()).unwrap();
    assert!(Sequence(1) < log.oldest(), "something was pruned");
    drop(log);

    let report = clean(folder.path());
    assert_eq!((report.records, report.last, report.sessions), (41, Sequence(41), 1));
    let mut read = Vec::new();
    history(folder.path(), Sequence(1), |sequence, _, _| read.push(sequence.0)).unwrap();
    assert_eq!(read, (1..=41).collect::<Vec<u64>>());
    let (service, found) = start(folder.path());
    assert_eq!((service.digest(), found.replayed), (report.digest, 0));
}

#[test]
fn a_place_that_was_sold_twice_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = start_with_small_trees(folder.path());
    for fact in [opened(), held(1), held(2)] {
        append(&journal, build::MORNING, &[fact]);
    }
    journal.close().unwrap();
    drop(journal);
    let report = audit(folder.path()).unwrap();
    assert_eq!((report.oversold, report.is_clean()), (1, false));
    assert_eq!(report.faults[0], "record 3: a place is sold twice");
}

#[test]
fn an_audit_names_what_cannot_have_happened() {
    let booked = |id| {
        let (request, appointment) = (build::request(90 + id), build::appointment(id));
        let payment = PaymentRef(1);
        Fact::Booked(crate::model::Booked { request, fingerprint: 1, appointment, payment })
    };
    for (facts, fault) in [
        (vec![opened(), opened()], "record 2: a session is malformed or opened twice"),
        (vec![opened(), held(1), held(1)], "record 3: an appointment is held twice"),
        (vec![held(1)], "record 1: a claim is in no session"),
        (vec![opened(), booked(1)], "record 2: a fact is about no appointment"),
        (
            vec![opened(), held(1), ended(&held(1)), booked(1)],
            "record 4: Book is not possible where an appointment is Cancelled",
        ),
        (vec![opened(), ended(&held(1))], "record 2: a fact is about no appointment"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = start_with_small_trees(folder.path());
        for fact in facts {
            append(&journal, build::MORNING, &[fact]);
        }
        journal.close().unwrap();
        drop(journal);
        let report = audit(folder.path()).unwrap();
        assert!(!report.is_clean());
        assert_eq!(report.faults[0], fault);
    }
}

#[test]
fn i5_a_killed_node_has_every_row_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _) = start(folder.path());
    open(&service, 0..2);
    let row = |id: u128| Hold {
        book: Some(PaymentRef(id)),
        ..build::hold(id, id, [build::any(u64::try_from(id % 2).unwrap())])
    };
    let mut acknowledged = Vec::new();
    for id in 0..100 {
        let answer = service.import(build::MORNING, &row(id));
        if id % 7 == 0 {
            service.wait_durable(answer.after).unwrap();
            acknowledged.push(id);
        }
    }
    // The folder as a kill would leave it, when nothing is being written: a copy is no instant.
    let last = service.journal().appended();
    service.wait_durable(last).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    service.close().unwrap();

    let (restarted, found) = start(copy.path());
    assert!(last <= found.last);
    for id in acknowledged {
        let found = restarted.inventory().appointment(build::appointment(id)).0;
        assert!(found.is_some(), "row {id} was acknowledged and is gone");
    }
    (0..100).for_each(|id| assert!(restarted.import(build::MORNING, &row(id)).result.is_ok()));
    assert_eq!(restarted.digest(), service.digest(), "the run that was continued ends the same");
    restarted.close().unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
