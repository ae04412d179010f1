//! What each command costs the engine on one thread: deciding and letting happen, and letting happen
//! alone, as a start does. Fixed seeds; `cargo bench --bench engine -- [NAME] [DIVISOR]`.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod clinic;

use std::time::Instant;

use haoyuan::inventory::Inventory;
use haoyuan::model::{
    Action, BookingChannel, Facts, Hold, PatientClass, PatientId, Sequence, SessionId,
};

use self::clinic::{BOOK, Clinic, NOW, is_wanted, next};

const SESSIONS: u64 = 12_500;
const PLACES: u16 = 20;

fn main() {
    let divisor = clinic::divisor();
    let count = 2_000_000 / divisor;
    let plain = || Clinic::new(SESSIONS, PLACES);
    holds("hold", plain, count);
    holds("hold, under rules", || plain().under_rules(), count);
    changes("book", plain, count / 2, BOOK);
    changes("release", plain, count / 2, Action::Release);
    if is_wanted("cancel a booking") {
        let clinic = plain();
        let held = held(&clinic, count / 2);
        act_on_all(&clinic, &held, 1, BOOK);
        measure("cancel a booking", count / 2, || act_on_all(&clinic, &held, 2, Action::Cancel));
    }
    refusals(count);
    if is_wanted("availability, 40 slots") {
        let (clinic, mut random) = (plain(), 1);
        measure("availability, 40 slots", count, || {
            (0..count).for_each(|_| read(&clinic, &mut random));
        });
    }
    happen("let a hold happen", count / 2, |clinic, count| {
        held(clinic, count);
    });
    happen("let a hold and a booking happen", count / 2, |clinic, count| {
        act_on_all(clinic, &held(clinic, count), 1, BOOK);
    });
}

fn measure(name: &str, count: u64, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    let each = start.elapsed().as_nanos() / u128::from(count.max(1));
    println!("{name:32} {each:6} ns");
}

fn held(clinic: &Clinic, count: u64) -> Vec<Hold> {
    let mut random = 1;
    (0..count).filter_map(|_| clinic.hold(&mut random, None)).collect()
}

fn act_on_all(clinic: &Clinic, held: &[Hold], number: u128, action: Action) {
    for hold in held {
        clinic.act(hold, number, action);
    }
}

fn holds(name: &str, clinic: impl Fn() -> Clinic, count: u64) {
    if is_wanted(name) {
        let (clinic, mut random) = (clinic(), 1);
        measure(name, count, || {
            (0..count).for_each(|_| drop(std::hint::black_box(clinic.hold(&mut random, None))));
        });
    }
}

fn changes(name: &str, clinic: impl Fn() -> Clinic, count: u64, action: Action) {
    if is_wanted(name) {
        let clinic = clinic();
        let held = held(&clinic, count);
        measure(name, held.len() as u64, || act_on_all(&clinic, &held, 1, action));
    }
}

/// What is sold out is refused without a lock; what somebody has already, under one.
fn refusals(count: u64) {
    if is_wanted("refuse: sold out") {
        let (clinic, mut random) = (Clinic::new(SESSIONS, 0), 1);
        measure("refuse: sold out", count, || {
            for _ in 0..count {
                let hold = clinic.request(&mut random, None);
                assert!(clinic.inventory.refuse_at_once(&clinic.context(), &hold).is_some());
            }
        });
    }
    if is_wanted("refuse: has one already") {
        let (clinic, mut random) = (Clinic::new(1, 100), 1);
        let mut hold = clinic.hold(&mut random, Some(0)).expect("there are places");
        measure("refuse: has one already", count, || {
            for _ in 0..count {
                hold.appointment = clinic.request(&mut random, Some(0)).appointment;
                let append = |facts: &Facts| clinic.append(facts);
                let answer = clinic.inventory.hold(&clinic.context(), &hold, append);
                assert!(answer.result.is_err());
            }
        });
    }
}

fn read(clinic: &Clinic, random: &mut u64) {
    let session = SessionId(next(random) % clinic.sessions);
    let (channel, class) = (BookingChannel::default(), PatientClass::Outpatient);
    let answer = clinic.inventory.availability(&clinic.context(), session, channel, class);
    std::hint::black_box(answer.result.is_ok());
}

/// What happened once happens again, without a decision.
fn happen(name: &str, count: u64, life: impl FnOnce(&Clinic, u64)) {
    if !is_wanted(name) {
        return;
    }
    let clinic = Clinic::new(SESSIONS, PLACES).keeping();
    life(&clinic, count);
    let kept = clinic.kept();
    let mut again = Clinic::new(SESSIONS, PLACES).inventory;
    measure(name, kept.len() as u64, || replay(&mut again, &kept, SESSIONS));
    let alive = |inventory: &Inventory| inventory.live(PatientId(0xabc)).0.len();
    assert_eq!(alive(&again), alive(&clinic.inventory));
}

fn replay(inventory: &mut Inventory, kept: &[Facts], first: u64) {
    for (facts, number) in kept.iter().zip(first + 1..) {
        inventory.replay(Sequence(number), NOW, facts);
    }
}
