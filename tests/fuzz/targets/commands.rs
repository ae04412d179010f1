//! Commands to the engine, through its locks: the naive model agrees, and the journal replays.
//!
//! ```text
//! bytes -> commands -+-> Inventory, records kept as a journal keeps them    mode 0: with the naive
//!                    |       answers == naive answers                                model beside it
//!                    '-> Service on the journal in memory, a crash at the end        mode 1
//! records -> account clean, digest the same; replay -> digest the same
//! ```

#![no_main]

use std::sync::Arc;

use haoyuan::codec::{decode_facts, encode_facts};
use haoyuan::engine::Context;
use haoyuan::fuzzing::Naive;
use haoyuan::inventory::{Inventory, SHARD_COUNT};
use haoyuan::journal::{Journal, JournalConfig, MemoryMedium, MemoryStore, Store, Tail};
use haoyuan::model::{
    Actor, Answer, Command, Facts, Hold, OpenSession, Organizations, Outcome, Receipt, Refusal,
    Role, Sequence, Timestamp,
};
use haoyuan::service::digest::of_inventory;
use haoyuan::service::probe::account;
use haoyuan::service::{Imported, Limits, Service};
use haoyuan_fuzz::{
    Bytes, MORNING, amend, appeal, apply_rules, call_next, change, hold, join, leave, merge,
    name_patient, order, pay, refund, request, reschedule, restrict, session, set_quotas,
};

const RETENTION: u64 = 60 * 60 * 1_000;

type Records = Vec<(Sequence, Timestamp, Facts)>;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    if bytes.once_in(16) {
        service(&mut bytes);
    } else {
        naive(&mut bytes);
    }
});

enum Step {
    Run(Actor, Box<Command>),
    Import(Box<Hold>),
    Later(u64),
    Expire,
    Forget,
}

fn step(bytes: &mut Bytes<'_>, now: Timestamp, settle: bool) -> Step {
    let of_one = bytes.once_in(16);
    let role = if bytes.once_in(4) { Role::Counter } else { Role::Gateway };
    let mut actor = Actor::unbounded(role);
    if of_one {
        actor.organizations =
            Organizations::Only([haoyuan::model::OrganizationId(1)].into_iter().collect());
    }
    let command = match bytes.below(27) {
        18 => {
            actor.role = Role::Admin;
            Command::ApplyRules(Box::new(apply_rules(bytes, now)))
        }
        19 => Command::Order(order(bytes, now)),
        20 => Command::Pay(pay(bytes)),
        21 => Command::Refund(refund(bytes)),
        22 => Command::NamePatient(Box::new(name_patient(bytes))),
        23 => {
            actor.role = Role::Admin;
            Command::Restrict(Box::new(restrict(bytes, now)))
        }
        24 => {
            actor.role = Role::Admin;
            Command::Amend(Box::new(amend(bytes, now)))
        }
        25 => Command::Appeal(Box::new(appeal(bytes))),
        26 => {
            actor.role = Role::Admin;
            Command::MergePatients(merge(bytes))
        }
        14 | 15 => Command::JoinWaitlist(Box::new(join(bytes))),
        16 => Command::LeaveWaitlist(leave(bytes)),
        17 => {
            actor.role = Role::Practitioner;
            Command::CallNext(call_next(bytes))
        }
        13 => Command::Reschedule(Box::new(reschedule(bytes))),
        12 => {
            actor.role = Role::Admin;
            Command::SetQuotas(Box::new(set_quotas(bytes)))
        }
        0 | 1 => {
            let session = session(bytes);
            let request =
                request(if bytes.once_in(8) { 3 } else { 1_000 + u128::from(bytes.byte()) });
            actor.role = Role::Admin;
            Command::OpenSession(Box::new(OpenSession { request, session }))
        }
        2..=5 => Command::Hold(hold(bytes)),
        6..=8 => {
            if bytes.once_in(2) {
                actor.role = Role::Practitioner;
            }
            Command::Change(change(bytes, settle))
        }
        9 => {
            return Step::Import(Box::new(Hold {
                book: Some(haoyuan::model::PaymentRef(1)),
                ..hold(bytes)
            }));
        }
        10 => return Step::Later(u64::from(bytes.byte()) * 60_000),
        _ => return if bytes.once_in(4) { Step::Forget } else { Step::Expire },
    };
    Step::Run(actor, Box::new(command))
}

/// Every answer is that of the naive model, which never forgets: neither does the engine here.
fn naive(bytes: &mut Bytes<'_>) {
    let engine = Inventory::new(1, u64::MAX / 4);
    let mut model = Naive::default();
    let mut records = Records::new();
    let mut now = MORNING;
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let mut append = |facts: &Facts| append(&mut records, now, facts);
        match step(bytes, now, true) {
            Step::Run(actor, command) => {
                let expected = model.run(now, &actor, &command);
                let context = Context::new(now, &actor);
                let at_once = match &*command {
                    // Asked only of what admission has looked at.
                    Command::Hold(hold) if hold.check().is_ok() => {
                        engine.refuse_at_once(&context, hold)
                    }
                    _ => None,
                };
                let answer = match &*command {
                    Command::Hold(hold) => engine.hold(&context, hold, append),
                    Command::Change(change) => engine.change(&context, change, append),
                    Command::OpenSession(open) => engine.open(&context, open, append),
                    Command::SetQuotas(set) => engine.set_quotas(&context, set, append),
                    Command::Reschedule(ask) => engine.reschedule(&context, ask, append),
                    Command::BlockSession(block) => engine.block(&context, block, append),
                    Command::Substitute(ask) => engine.substitute(&context, ask, append),
                    Command::AddPlace(add) => engine.add_place(&context, add, append),
                    Command::RevealDraw(reveal) => engine.give_beacon(&context, reveal, append),
                    Command::JoinWaitlist(ask) => engine.join_waitlist(&context, ask, append),
                    Command::LeaveWaitlist(ask) => engine.leave_waitlist(&context, ask, append),
                    Command::CallNext(call) => engine.call_next(&context, call, append),
                    Command::ApplyRules(apply) => engine.apply_rules(&context, apply, append),
                    Command::Order(order) => engine.order(&context, order, append),
                    Command::Pay(pay) => engine.pay(&context, pay, append),
                    Command::Refund(refund) => engine.refund(&context, refund, append),
                    Command::NamePatient(name) => engine.name_patient(&context, name, append),
                    Command::Restrict(ask) => engine.restrict(&context, ask, append),
                    Command::Amend(ask) => engine.amend(&context, ask, append),
                    Command::Appeal(ask) => engine.appeal(&context, ask, append),
                    Command::MergePatients(ask) => engine.merge(&context, ask, append),
                };
                let told = answer.result.clone().map_err(Naive::in_its_words);
                assert_eq!(told, expected, "{command:?}");
                if let Some(refusal) = at_once {
                    assert_eq!(answer.result, Err(refusal), "told without a lock: {command:?}");
                }
            }
            Step::Import(hold) => {
                let expected = model.import(now, &hold);
                let actor = Actor::unbounded(Role::Admin);
                let context = Context::new(now, &actor);
                let answer = engine.import(&context, &hold, append);
                assert_eq!(told(answer), expected, "{hold:?}");
            }
            Step::Later(millis) => now = now.plus_millis(millis),
            Step::Expire | Step::Forget => {
                for shard in engine.due_sessions(now).collect::<Vec<_>>() {
                    while engine.step_session(shard, now, 0, &mut append).is_some() {}
                }
                model.step_sessions(now);
                let mut expired = 0;
                for home in engine.due_homes(now).collect::<Vec<_>>() {
                    while engine.expire_one(home, now, 0, &mut append).is_some() {
                        expired += 1;
                    }
                }
                assert_eq!(expired, model.expire(now).len());
            }
        }
    }
    compare(&engine, &model);
    settled(&engine, &records);
}

fn told(answer: Answer<Imported>) -> Result<Result<Receipt, Outcome>, Refusal> {
    answer.result.map(|imported| match imported {
        Imported::Booked(receipt) => Ok(receipt),
        Imported::Declined(outcome) => Err(outcome),
    })
}

fn append(records: &mut Records, now: Timestamp, facts: &Facts) -> Sequence {
    let mut bytes = Vec::new();
    encode_facts(facts, &mut bytes);
    let read = decode_facts(&bytes).expect("it was just written");
    assert_eq!(&read, facts);
    let sequence = Sequence(records.len() as u64 + 1);
    records.push((sequence, now, read));
    sequence
}

/// Places and ledgers are those that counting comes to.
fn compare(engine: &Inventory, model: &Naive) {
    let mut lines = Vec::new();
    for index in 0..SHARD_COUNT {
        engine.with_part(2, index, |part| {
            let haoyuan::inventory::Part::Session(shard) = part else { return };
            for state in shard.sessions() {
                for (slot, pool, taken) in state.cells() {
                    assert_eq!(taken, model.taken(state.spec().id, slot.0, pool.0));
                }
            }
        });
        engine.with_part(1, index, |part| {
            let haoyuan::inventory::Part::Ledger(ledger) = part else { return };
            for entry in ledger.entries() {
                let of = |live: &haoyuan::engine::Live| {
                    (entry.patient(), live.appointment(), live.session())
                };
                lines.extend(entry.live().map(of));
            }
        });
    }
    lines.sort_unstable();
    assert_eq!(lines, model.ledger());
}

/// The records are a possible story, and lead to the same state.
fn settled(engine: &Inventory, records: &Records) {
    let said = account(records);
    assert!(said.is_clean(), "{:?}", said.faults);
    let digest = of_inventory(engine);
    assert_eq!(digest, said.digest, "the state is not what the facts say");
    assert_eq!(of_inventory(&replayed(records)), digest, "the replay comes to another state");
}

fn replayed(records: &Records) -> Inventory {
    let mut inventory = Inventory::new(2, RETENTION);
    for (sequence, time, facts) in records {
        inventory.replay(*sequence, *time, facts);
    }
    inventory.rebuild();
    inventory
}

/// A whole service, forgetting included, and what a crash leaves of it.
fn service(bytes: &mut Bytes<'_>) {
    let medium = MemoryMedium::default();
    let journal = Journal::start(
        Box::new(MemoryStore::new(&medium)),
        Tail::default(),
        JournalConfig::default(),
        Arc::new(|error| panic!("{error}")),
    );
    let limits = Limits { retention_millis: RETENTION, ..Limits::default() };
    let service = Service::new(Inventory::new(1, RETENTION), journal, limits);
    let mut now = MORNING;
    let mut told = Sequence(0);
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        match step(bytes, now, false) {
            Step::Run(actor, command) => {
                let after = service.call(now, &actor, &command).after;
                if bytes.once_in(8) {
                    service.wait_durable(after).expect("memory does not fail");
                    told = told.max(after);
                }
            }
            Step::Import(hold) => drop(service.import(now, &hold)),
            Step::Later(millis) => now = now.plus_millis(millis),
            Step::Expire => _ = service.tick(now),
            Step::Forget => _ = service.forget(now),
        }
    }
    let crashed = if bytes.once_in(2) { medium.crash_torn() } else { medium.crash() };
    let (store, tail, _) = MemoryStore::reopen(&crashed).expect("a crash leaves a sound log");
    assert!(told <= tail.last_sequence(), "an answer was told, and its record is lost");
    let left = read(&store.reader(), tail.last_sequence());
    let after_crash = replayed(&left);
    settled(&after_crash, &left);

    service.close().expect("memory does not fail");
    let last = service.journal().appended();
    let all = read(&store_of(&medium).reader(), last);
    assert_eq!(all.len() as u64, last.0, "every record is there");
    settled(service.inventory(), &all);
}

fn store_of(medium: &MemoryMedium) -> MemoryStore {
    MemoryStore::new(medium)
}

fn read(store: &Arc<dyn haoyuan::journal::ReadStore>, last: Sequence) -> Records {
    if last == Sequence(0) {
        return Records::new();
    }
    let page = store.read(Sequence(1), last, usize::MAX).expect("nothing was pruned");
    let of =
        |(sequence, time, bytes)| (sequence, time, decode_facts(bytes).expect("it was written"));
    page.records().map(of).collect()
}
