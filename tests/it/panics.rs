//! A panic in the engine under its locks: the node dies of it, and the next start is clean.
//!
//! The node is this test binary, run again: service, folder and server as `serve` has them, and a
//! client beside them. Its memory is damaged through a shard that the library lends out, so that the
//! next record is impossible; nothing in what is shipped knows of that.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;

use haoyuan::client::ids;
use haoyuan::codec::decode_facts;
use haoyuan::inventory::{Inventory, Part, SHARD_COUNT};
use haoyuan::journal::is_opening_store;
use haoyuan::model::*;
use haoyuan::ops::config::LogFormat;
use haoyuan::ops::trace::{abort_on_panic, start};
use haoyuan::service::{OpenOptions, Service, digest};

use super::quic::fake::{hold, validity};
use super::quic::service::{serve, session};

const PATIENTS: u128 = 4;
const SIGABRT: i32 = 6;

#[test]
fn i9_a_panic_in_evolve_ends_the_node_and_the_next_start_has_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["panics::a_node_that_panics", "--exact", "--ignored", "--nocapture"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (said, log) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert_eq!(child.status.signal(), Some(SIGABRT), "{said}\n{log}");
    for part in ["an invariant broke", "start it again", "an impossible fact: the patient of"] {
        assert!(log.contains(part), "{part:?} is missing: {log}");
    }
    assert!(!said.contains("went on") && !log.contains("went on"), "{said}\n{log}");

    let told = said.lines().find_map(|line| line.split_once("acknowledged ")).unwrap().1;
    let (number, acknowledged) = told.trim().split_once(' ').unwrap();
    let number = Sequence(number.parse().unwrap());
    assert_eq!(number.0, 1 + u64::try_from(PATIENTS).unwrap());
    let (service, report) = open(folder.path());
    assert_eq!(report.warnings, [""; 0]);
    // The release has its number, and may have reached the disk; nobody was told.
    assert!(number <= report.last && report.last <= number.next(), "{report:?}");
    assert_eq!(hex(&digest_at(&service, number)), acknowledged);
    assert_eq!(service.digest(), digest_at(&service, report.last));

    let holds = report.last == number;
    assert_eq!(service.stats().holds, u64::try_from(PATIENTS).unwrap() - u64::from(!holds));
    service.close().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of the test above"]
async fn a_node_that_panics() {
    start(LogFormat::Text, "error").unwrap();
    abort_on_panic(is_opening_store);
    let (service, _) = open(&std::env::current_dir().unwrap());
    let now = validity().now;
    let (_running, client) = serve(&service, now);

    let request = ids::new_request_id(now);
    client(Role::Admin).open_session(OpenSession { request, session: session(now) }).await.unwrap();
    let gateway = client(Role::Gateway);
    let mut holds = Vec::new();
    for number in 1..=PATIENTS {
        let patient = Some(PatientId(number));
        let claims = vec![ClaimRequest { slots: SlotChoice::Any, ..hold(1).claims[0].clone() }];
        let appointment = ids::new_appointment_id(now);
        let hold = Hold { appointment, patient, claims: claims.into_iter().collect(), ..hold(1) };
        gateway.hold(hold.clone()).await.unwrap();
        holds.push(hold);
    }
    println!("\nacknowledged {} {}", service.durable().0, hex(&service.digest()));

    let victim = &holds[1];
    forget_what_a_patient_has(&service, victim);
    let release = Change {
        request: ids::new_request_id(now),
        appointment: victim.appointment,
        patient: victim.patient,
        channel: victim.channel,
        action: Action::Release,
    };
    // Without the hook tokio would swallow the panic, the locks would be free again, and the node
    // would go on with a shard that is half written.
    let answer = gateway.release(release).await;
    println!("went on: {answer:?}");
}

fn open(path: &std::path::Path) -> (Arc<Service>, haoyuan::service::RecoveryReport) {
    let path = path.join("data");
    Service::open(&path, &OpenOptions::default(), Arc::new(|error| panic!("{error}"))).unwrap()
}

/// Damages memory as a bug of the engine would: the ledger has no line for a live hold.
fn forget_what_a_patient_has(service: &Service, hold: &Hold) {
    let patient = hold.patient.unwrap();
    let found = (0..SHARD_COUNT).any(|index| {
        service.inventory().with_part(1, index, |part| {
            let Part::Ledger(ledger) = part else { return false };
            let has = ledger.has_live(patient, hold.claims[0].session);
            if has {
                ledger.evolve(
                    Timestamp::default(),
                    &Fact::Ended(Ended {
                        request: None,
                        appointment: hold.appointment,
                        patient,
                        cause: Cause::Released,
                        claims: Claims::new(),
                    }),
                );
            }
            has
        })
    });
    assert!(found);
}

/// The digest of the state after a record, from the journal alone.
fn digest_at(service: &Service, last: Sequence) -> [u8; 32] {
    let mut inventory = Inventory::new(3, haoyuan::service::Limits::default().retention_millis);
    let mut next = Sequence(1);
    while next <= last {
        let page = service.journal().read(next, 1 << 20).unwrap();
        for (sequence, time, bytes) in page.records().filter(|(sequence, ..)| *sequence <= last) {
            inventory.replay(sequence, time, &decode_facts(bytes).unwrap());
        }
        next = page.next();
    }
    inventory.rebuild();
    digest::of_inventory(&inventory)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
